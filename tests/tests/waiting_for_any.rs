//! One sleep for several things: by `futex_waitv`, by the default that looks every millisecond, and where a filter forbids the call.

use rustix::io::Errno;
use rustix::thread::futex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;
use zeroipc::{
    select_with, Channel, Event, EventMode, Futex, Memory, Queue, Selectable, Wait, WaitSet,
    WaitWord,
};
use zeroipc_tests::processes::{part, Party};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(60);

/// Nanoseconds: long enough that only a wake-up that never came explains it.
const PATIENCE: u64 = 30_000_000_000;

/// Sleeps as the futex does, without spinning, and counts; the deadline of a slice is not heeded, so whatever ends a sleep woke it.
#[derive(Debug, Default)]
struct Deep {
    sleeps: AtomicU32,
}

impl Wait for Deep {
    fn now(&self) -> u64 {
        Futex.now()
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, _: u64) {
        self.sleeps.fetch_add(1, SeqCst);
        Futex.wait(word, expected, self.now() + PATIENCE);
    }

    fn wait_any(&self, set: &WaitSet<'_>, _: u64) {
        self.sleeps.fetch_add(1, SeqCst);
        let deadline = self.now() + PATIENCE;
        Futex.wait_any(set, deadline);
        assert!(self.now() < deadline, "a wake-up was lost");
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        Futex.wake(word, count)
    }

    fn spins(&self) -> u32 {
        0
    }
}

/// The same by the default of the trait.
#[derive(Debug, Default)]
struct Plain {
    sleeps: AtomicU32,
}

impl Wait for Plain {
    fn now(&self) -> u64 {
        Futex.now()
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        self.sleeps.fetch_add(1, SeqCst);
        Futex.wait(word, expected, deadline);
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        Futex.wake(word, count)
    }

    fn spins(&self) -> u32 {
        0
    }
}

/// Whether this thread may sleep on several words at once: then a word that has changed is said at once.
fn has_waitv() -> bool {
    let word = AtomicU32::new(1);
    let mut one = futex::Wait::new();
    one.val = 0;
    one.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
    one.flags = futex::WaitFlags::SIZE_U32;
    let flags = futex::WaitvFlags::empty();
    let clock = rustix::time::ClockId::Monotonic;
    let until = futex::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(futex::waitv(&[one], flags, Some(&until), clock), Err(Errno::AGAIN))
}

/// Asleep on 18 words, woken through each of them; returns in how many rounds.
fn woken_by_each(waiter: &dyn Wait) -> u32 {
    let memory = Memory::anonymous(1 << 18).unwrap();
    let names: Vec<_> = (0..8).map(|index| format!("channel{index}")).collect();
    let channels: Vec<_> = (0..8)
        .map(|index| Channel::<u64>::create(&memory, &names[index], index / 4 * 4).unwrap())
        .collect();
    let names: Vec<_> = (0..8).map(|index| format!("queue{index}")).collect();
    let queues: Vec<_> =
        names.iter().map(|name| Queue::<u64>::create(&memory, name, 2).unwrap()).collect();
    let names: Vec<_> = (0..2).map(|index| format!("event{index}")).collect();
    let events: Vec<_> = names
        .iter()
        .map(|name| Event::create(&memory, name, EventMode::Automatic).unwrap())
        .collect();
    let recvs: Vec<_> = channels.iter().map(Channel::select_recv).collect();
    let pops: Vec<_> = queues.iter().map(Queue::select_pop).collect();
    let waits: Vec<_> = events.iter().map(Event::select_wait).collect();
    let mut cases: Vec<&dyn Selectable> = recvs.iter().map(|case| case as _).collect();
    cases.extend(pops.iter().map(|case| case as &dyn Selectable));
    cases.extend(waits.iter().map(|case| case as &dyn Selectable));
    for round in 0..cases.len() {
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                match round {
                    0..8 => channels[round].send_timeout(7, LIMIT).unwrap(),
                    8..16 => queues[round - 8].try_push(7).unwrap(),
                    _ => events[round - 16].set(),
                }
            });
            assert_eq!(select_with(&cases, waiter, None), Ok(round));
        });
        match round {
            0..8 => assert_eq!(recvs[round].result(), Some(Ok(7))),
            8..16 => assert_eq!(pops[round - 8].result(), Some(Ok(7))),
            _ => {}
        }
    }
    cases.len() as u32
}

#[test]
fn one_sleep_is_woken_by_each() {
    if !has_waitv() {
        eprintln!("SKIPPED: this kernel has no futex_waitv");
        return;
    }
    let waiter = Deep::default();
    let rounds = woken_by_each(&waiter);
    // One for each; a few more where the other was slow to begin, or a system call was interrupted.
    let sleeps = waiter.sleeps.into_inner();
    assert!((1..=3 * rounds).contains(&sleeps), "{sleeps} sleeps in {rounds} rounds");
}

#[test]
fn the_default_finds_out_about_each() {
    let waiter = Plain::default();
    let rounds = woken_by_each(&waiter);
    // 20 ms in sleeps of 1 ms.
    assert!(waiter.sleeps.into_inner() > rounds);
}

/// From here on `futex_waitv` does not exist for this thread; false where the kernel cannot do that.
fn hide_waitv() -> bool {
    let filter = |code: u32, jump: u8, value: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: jump,
        k: value,
    };
    // The call's number is the first word of `seccomp_data`.
    let mut filters = [
        filter(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, libc::SYS_futex_waitv as u32),
        filter(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        filter(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filters.as_mut_ptr() };
    // SAFETY: `PR_SET_NO_NEW_PRIVS` takes four numbers and touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return false;
    }
    // SAFETY: `program` is a filter of four instructions, all alive during the call, and the kernel copies them.
    unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0 }
}

#[test]
fn without_the_call_each_is_found_out_about() {
    const TEST: &str = "without_the_call_each_is_found_out_about";
    if part().is_some() {
        if !hide_waitv() {
            eprintln!("SKIPPED: this kernel filters no system calls");
            return;
        }
        assert!(!has_waitv());
        woken_by_each(&Futex);
        return;
    }
    let scratch = Scratch::new();
    Party::start(TEST, "wait", 0, scratch.name()).finish(LIMIT);
}
