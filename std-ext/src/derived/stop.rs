//! Stopping a thread that waits, wherever it waits.

use std::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Release};
use zeroipc_nostd::{Wait, WaitSet, WaitWord};
use zeroipc_posix::Futex;

const STOPPED: u32 = 1;

/// The deadline of a wait that only a stop ends: the last moment of the clock.
pub(super) const UNTIL_STOPPED: Option<u64> = Some(u64::MAX);

/// [`Futex`] whose sleeps end when it is stopped: each sleep waits for a word of our own, too, and the clock of who is stopped
/// has run out. So any waiting form that is given [`UNTIL_STOPPED`] returns at once with a timeout, however it waits.
#[derive(Debug, Default)]
pub(super) struct Stop {
    word: AtomicU32,
}

impl Stop {
    /// Ends all waiting by this, now and later.
    pub(super) fn stop(&self) {
        self.word.store(STOPPED, Release);
        Futex.wake(WaitWord::of(&self.word), u32::MAX);
    }

    /// Sleeps until `deadline` on the clock of [`Futex`], or until it is stopped.
    pub(super) fn sleep_until(&self, deadline: u64) {
        while self.now() < deadline {
            Futex.wait(WaitWord::of(&self.word), 0, deadline);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.word.load(Acquire) == STOPPED
    }
}

impl Wait for Stop {
    fn now(&self) -> u64 {
        if self.is_stopped() {
            u64::MAX
        } else {
            Futex.now()
        }
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        let mut set = WaitSet::new();
        set.add(word, expected);
        self.wait_any(&set, deadline);
    }

    fn wait_any(&self, set: &WaitSet<'_>, deadline: u64) {
        // Ours first: a set has an end.
        let mut all = WaitSet::new();
        all.add(WaitWord::of(&self.word), 0);
        for (word, expected) in set.iter() {
            all.add(word, expected);
        }
        Futex.wait_any(&all, deadline);
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        Futex.wake(word, count)
    }

    fn sleeper_fences_for_us(&self) -> bool {
        Futex.sleeper_fences_for_us()
    }

    fn sleep_fence(&self) {
        Futex.sleep_fence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, NextError, Queue, Source};
    use std::time::Duration;

    #[test]
    fn a_stop_ends_every_wait() {
        let memory = Memory::anonymous(1 << 16).unwrap();
        let queue = Queue::<u32>::create(&memory, "queue", 4).unwrap();
        let stop = Stop::default();
        std::thread::scope(|scope| {
            let one = scope.spawn(|| { queue }.next_with(&stop, UNTIL_STOPPED));
            let two = scope.spawn(|| queue.merge(queue).next_with(&stop, UNTIL_STOPPED));
            let pop = scope.spawn(|| queue.pop_with(&stop, UNTIL_STOPPED).is_err());
            std::thread::sleep(Duration::from_millis(20));
            stop.stop();
            assert_eq!(one.join().unwrap(), Err(NextError::Timeout));
            assert_eq!(two.join().unwrap(), Err(NextError::Timeout));
            assert!(pop.join().unwrap());
        });
        // What is there is still given.
        queue.push(1).unwrap();
        assert_eq!({ queue }.next_with(&stop, UNTIL_STOPPED), Ok(1));
        assert_eq!({ queue }.next_with(&stop, UNTIL_STOPPED), Err(NextError::Timeout));
    }
}
