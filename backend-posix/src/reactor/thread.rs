//! A thread that sleeps for tasks.

use super::list::Look;
use super::Process;
use crate::futex::{fences_reach, timespec, FUTEX};
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, WaitFlags, WaitPtr, WaitvFlags};
use rustix::time::ClockId;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::Waker;
use std::thread;
use zeroipc_nostd::Wait;

/// How many words one call can wait for, but for the thread's own.
pub(super) const MOST_WORDS: usize = 127;

/// How often one task of each word is woken to look by itself, in nanoseconds (100 ms).
const SLICE: u64 = 100_000_000;

/// The same where that is all that can be done, in nanoseconds (1 ms).
const SHORT_SLICE: u64 = 1_000_000;

/// By which a thread is told that it has more words.
#[derive(Debug, Default)]
pub(super) struct Bell(AtomicU32);

impl Bell {
    pub(super) fn ring(&self) {
        // Relaxed: the thread looks under the lock.
        self.0.fetch_add(1, Relaxed);
        let _ = futex::wake(&self.0, Flags::PRIVATE, 1);
    }
}

/// Starts thread `number` of the process. If there can be no thread, the next one that is started does its work.
pub(super) fn start(process: &'static Process, number: usize) {
    let builder = thread::Builder::new().name("zeroipc-tasks".into()).stack_size(128 << 10);
    let started = builder.spawn(move || sleep_for_tasks(process, number));
    if started.is_err() {
        process.lock().retry_thread(number);
    }
}

/// How a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slept {
    /// By a wake-up at one of the words, by its place in the list, and maybe at more.
    Woken(usize),
    /// In any other way.
    Otherwise,
    /// This kernel, or a filter, does not have the call.
    Impossible,
}

fn sleep_for_tasks(process: &'static Process, number: usize) {
    let Some(bell) = process.lock().bell(number) else { return };
    let slice = if fences_reach() { SLICE } else { SHORT_SLICE };
    let mut list: Vec<(usize, u32)> = Vec::with_capacity(MOST_WORDS);
    let (mut slept, mut impossible) = (Slept::Otherwise, false);
    let mut due = FUTEX.now().saturating_add(slice);
    let mut wakers: Vec<Waker> = Vec::new();
    loop {
        let now = FUTEX.now();
        let time = now >= due;
        if time {
            due = now.saturating_add(slice);
        }
        let here = match slept {
            Slept::Woken(index) => list.get(index).map(|(address, _)| *address),
            _ => None,
        };
        let woken_somewhere = matches!(slept, Slept::Woken(_));
        list.clear();

        let mut state = process.lock();
        for address in state.words(number) {
            let woken_here = here == Some(address);
            let look = Look { woken_here, woken_somewhere, time };
            state.look(address, look, &mut wakers);
            list.extend(state.expected(address).map(|expected| (address, expected)));
        }
        state.falls_asleep(number);
        let rung = bell.0.load(Relaxed);
        drop(state);

        // Not under the lock: a task may run, or end, at once.
        for waker in wakers.drain(..) {
            // An executor that panics has lost this task, but not those of others.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
        slept = sleep(bell, rung, &list, due, impossible);
        impossible |= slept == Slept::Impossible;
    }
}

fn sleep(bell: &Bell, rung: u32, list: &[(usize, u32)], due: u64, impossible: bool) -> Slept {
    if list.is_empty() {
        let _ = futex::wait(&bell.0, Flags::PRIVATE, rung, None);
        return Slept::Otherwise;
    }
    if impossible {
        // The words are looked at each time.
        let until = timespec(due.min(FUTEX.now().saturating_add(SHORT_SLICE)));
        let any = std::num::NonZeroU32::MAX;
        let _ = futex::wait_bitset(&bell.0, Flags::PRIVATE, rung, Some(&until), any);
        return Slept::Otherwise;
    }
    let mut all = [futex::Wait::new(); MOST_WORDS + 1];
    for (place, (address, expected)) in all.iter_mut().zip(list) {
        place.val = u64::from(*expected);
        place.uaddr = WaitPtr::new(std::ptr::with_exposed_provenance_mut(*address));
        // Shared between processes, so not `PRIVATE`.
        place.flags = WaitFlags::SIZE_U32;
    }
    let len = list.len().min(MOST_WORDS);
    let own = &mut all[len];
    own.val = u64::from(rung);
    own.uaddr = WaitPtr::new(bell.0.as_ptr().cast());
    own.flags = WaitFlags::SIZE_U32 | WaitFlags::PRIVATE;
    // The kernel only compares the words, and refuses addresses where nothing is (any more).
    match futex::waitv(&all[..=len], WaitvFlags::empty(), Some(&timespec(due)), ClockId::Monotonic)
    {
        Ok(index) => Slept::Woken(index),
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Slept::Impossible,
        Err(_) => Slept::Otherwise,
    }
}
