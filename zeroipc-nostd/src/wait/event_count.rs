//! An eventcount: any number of sleepers and wakers on one 32-bit word, and no system call while nobody sleeps.
//!
//! Bit 0: somebody may be asleep. Bits 1 to 31: epoch.
//!
//! - A sleeper sets bit 0, looks once more, and sleeps while the word keeps the value that it saw.
//! - A waker that has published loads the word; only if bit 0 is set, it moves the epoch and wakes one. If nobody was
//!   asleep it clears the bit, which changes the word for whoever is on the way to sleep, and wakes whoever slipped in.
//!
//! Either the sleeper's second look sees what was published, or the waker sees bit 0: between the publication and the
//! load, and between setting the bit and the look, stands a full fence (Dekker 1965). The idea of an eventcount is from
//! Reed and Kanodia 1979, <https://doi.org/10.1145/359060.359076>; of one beside lock-free queues from Vyukov,
//! <https://www.1024cores.net/home/lock-free-algorithms/eventcounts>.
//!
//! A party stopped or killed anywhere here holds up nobody: the word is never 'busy'.

use super::{Announce, Notifier, Wait, WaitWord};
use crate::sync::{fence_after_rmw, Atomic};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

const SLEEPERS: u32 = 1;
const EPOCH: u32 = 2;

#[derive(Debug, Clone, Copy)]
pub(crate) struct EventCount<'a> {
    word: Atomic<'a, u32>,
}

impl<'a> EventCount<'a> {
    pub(crate) fn new(word: Atomic<'a, u32>) -> Self {
        EventCount { word }
    }

    /// Wakes one sleeper, if there may be one. The caller published by a read-modify-write just before.
    #[inline(always)]
    pub(crate) fn notify(&self, notifier: Notifier<'_>) {
        self.notify_asleep(notifier);
    }

    /// As [`EventCount::notify`]; returns whether somebody was asleep.
    #[inline(always)]
    pub(crate) fn notify_asleep(&self, notifier: Notifier<'_>) -> bool {
        let Some(notifier) = notifier.wait else { return false };
        fence_after_rmw();
        let word = self.word.load(Relaxed);
        word & SLEEPERS != 0 && self.wake(notifier, word)
    }

    /// Wakes up to `count` sleepers, if there may be any; [`u32::MAX`] for all. The caller published by a
    /// read-modify-write just before.
    #[inline(always)]
    pub(crate) fn notify_many(&self, notifier: Notifier<'_>, count: u32) {
        let Some(notifier) = notifier.wait else { return };
        fence_after_rmw();
        if self.word.load(Relaxed) & SLEEPERS != 0 {
            self.wake_many(notifier, count);
        }
    }

    #[cold]
    fn wake_many(&self, notifier: &dyn Wait, count: u32) {
        // Always moved, unlike in `wake`: there, whoever sets the bit again after another waker cleared it takes the one
        // thing that was published. Here more than one party has something to see, also one on its way to sleep.
        let moved = self.word.fetch_add(EPOCH, AcqRel).wrapping_add(EPOCH);
        if notifier.wake(WaitWord(self.word), count) == 0 {
            self.clear(notifier, moved);
        }
    }

    /// Nobody was asleep: clears the bit, so that the next waker saves the call.
    fn clear(&self, notifier: &dyn Wait, moved: u32) {
        let _ = self.word.compare_exchange(moved, moved & !SLEEPERS, AcqRel, Relaxed);
        // Whoever went to sleep on `moved` between the two calls would be forgotten by the clear bit.
        notifier.wake(WaitWord(self.word), u32::MAX);
    }

    /// Wakes all sleepers, if there may be any, where each looks for itself whether what was published concerns it. The caller
    /// published by a read-modify-write just before. The bit goes with the epoch, so the next waker saves the call.
    #[inline(always)]
    pub(crate) fn notify_all(&self, notifier: Notifier<'_>) {
        let Some(notifier) = notifier.wait else { return };
        fence_after_rmw();
        let word = self.word.load(Relaxed);
        if word & SLEEPERS != 0 {
            self.wake_all(notifier, word);
        }
    }

    #[cold]
    fn wake_all(&self, notifier: &dyn Wait, word: u32) {
        // Whoever announces after this sees what was published. A failure means that another waker moved on: it wakes whoever
        // announced before that, but it may be stopped before it does, so we wake them too.
        let moved = word.wrapping_add(EPOCH) & !SLEEPERS;
        let _ = self.word.compare_exchange(word, moved, AcqRel, Relaxed);
        notifier.wake(WaitWord(self.word), u32::MAX);
    }

    #[cold]
    fn wake(&self, notifier: &dyn Wait, word: u32) -> bool {
        let moved = word.wrapping_add(EPOCH);
        if self.word.compare_exchange(word, moved, AcqRel, Relaxed).is_err() {
            // Somebody else moved it since: a waker, who wakes one itself (but maybe only one for the two of us), or
            // the bit was cleared and set again. One wake-up too many is harmless.
            return notifier.wake(WaitWord(self.word), 1) > 0;
        }
        let woken = notifier.wake(WaitWord(self.word), 1) > 0;
        if !woken {
            self.clear(notifier, moved);
        }
        woken
    }
}

impl Announce for EventCount<'_> {
    fn announce(&self, _waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        self.announced()
    }
}

impl<'a> EventCount<'a> {
    /// [`Announce::announce`], for whoever keeps the word longer than this.
    pub(crate) fn announced(self) -> (WaitWord<'a>, u32) {
        let mut word = self.word.load(Relaxed);
        // Each failure means that a waker moved on: it ends when they do, and a look at the structure follows anyway.
        let value = loop {
            match self.word.compare_exchange(word, word | SLEEPERS, AcqRel, Acquire) {
                Ok(_) => break word | SLEEPERS,
                Err(now) => word = now,
            }
        };
        fence_after_rmw();
        (WaitWord(self.word), value)
    }

    /// As [`EventCount::announced`], where some of those that wake publish by a store and do not fence.
    pub(crate) fn announced_to_stores(self, waiter: &dyn Wait) -> (WaitWord<'a>, u32) {
        let announced = self.announced();
        waiter.sleep_fence();
        announced
    }
}
