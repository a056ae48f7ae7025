//! Tasks that wait, without a thread for each: one thread of the process sleeps for all.
//!
//! Each word that some task waits on has a list of tasks and one expected value. A thread sleeps by `futex_waitv` on up to 127 words
//! and one of its own, by which it is told of more; for more words there are more threads. It begins with the first wait.
//!
//! - *Watch*: if the word has another value than expected, say so. Else add the task to the word's list, with this as the word's
//!   expected value. If the expected value was another, and each task must look ([`Wakes::All`]), those that were there
//!   before are woken. If one suffices they are not: the new task looks after this, and if it finds something it passes on.
//! - *A word changes*, or somebody is woken who sleeps on it: the present value becomes the expected one; the first task of the list, or
//!   all tasks, are taken out and woken.
//! - *Unwatch, passing on*: the next task of the list is woken; all, if each must look.
//! - Each 100 ms one task of each word is woken to look, for peers that were killed before they woke anybody.
//!
//! Why nobody is forgotten where one suffices: whenever the word changes, some task looks after that. If there is something it takes
//! it and passes on; if there is nothing there is nothing for any of them.
//!
//! A wake-up that was meant for one sleeper may reach our thread when the task that waited is gone. Then it is given to the next
//! sleeper in the kernel.
//!
//! A task that is leaked (`mem::forget`) stays in its list while its memory is mapped; unmapping takes it out, so no word is looked
//! at that is not there.

mod list;
mod thread;

use list::State;
use rustix::process::{getpid, Pid};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::AcqRel, Ordering::Acquire};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use zeroipc_nostd::{Reactor, Ticket, WaitWord, Wakes, WatchError};

/// The process's reactor, for words in a [`Mapping`](crate::mapping::Mapping) only.
#[derive(Debug)]
pub(crate) struct Tasks;

/// The one that every region of this crate gets.
pub(crate) static TASKS: Tasks = Tasks;

/// What belongs to one process; a child that was forked has none of its threads, and makes its own.
#[derive(Debug)]
struct Process {
    id: Pid,
    state: Mutex<State>,
}

static PROCESS: AtomicPtr<Process> = AtomicPtr::new(null_mut());

impl Process {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process's, if it has begun.
    fn existing() -> Option<&'static Process> {
        let pointer = PROCESS.load(Acquire);
        // SAFETY: null, or leaked by `current`, so valid for ever, and only shared.
        let process = unsafe { pointer.as_ref() };
        process.filter(|process| process.id == getpid())
    }

    fn current() -> &'static Process {
        let seen = PROCESS.load(Acquire);
        if let Some(process) = Self::existing() {
            return process;
        }
        let id = getpid();
        let new = Box::new(Process { id, state: Mutex::new(State::new(id)) });
        let new: &'static mut Process = Box::leak(new);
        match PROCESS.compare_exchange(seen, new, AcqRel, Acquire) {
            Ok(_) => new,
            // Another thread of this process was first; a few bytes are leaked, once.
            Err(_) => Self::existing().unwrap_or(new),
        }
    }
}

impl Reactor for Tasks {
    fn watch(
        &self,
        word: WaitWord<'_>,
        expected: u32,
        wakes: Wakes,
        waker: &Waker,
    ) -> Result<Ticket, WatchError> {
        let process = Process::current();
        let waker = waker.clone();
        let mut state = process.lock();
        let watched = state.watch(word, expected, wakes, waker);
        let new_thread = state.take_new_thread();
        drop(state);
        if let Some(number) = new_thread {
            thread::start(process, number);
        }
        let watched = watched?;
        watched.wake();
        Ok(watched.ticket)
    }

    fn renew(&self, ticket: Ticket, waker: &Waker) -> bool {
        let Some(process) = Process::existing() else { return false };
        let mut state = process.lock();
        let Some(mine) = state.waker(ticket) else { return false };
        // The old one is dropped after the lock is: it may be the last of its task, whose future then ends its watch.
        let _old = (!mine.will_wake(waker)).then(|| std::mem::replace(mine, waker.clone()));
        drop(state);
        true
    }

    fn unwatch(&self, ticket: Ticket, word: WaitWord<'_>, pass_on: bool) -> bool {
        let Some(process) = Process::existing() else { return true };
        let mut state = process.lock();
        let mine = state.remove(ticket);
        let mut next = Vec::new();
        if pass_on {
            state.next(list::address(word), &mut next);
        }
        drop(state);
        next.into_iter().for_each(Waker::wake);
        mine.is_none()
    }
}

/// Takes out all that is watched in memory that is about to be unmapped.
pub(crate) fn forget(start: usize, len: usize) {
    if let Some(process) = Process::existing() {
        let wakers = process.lock().forget(start, len);
        // After the lock is, as in `renew`.
        drop(wakers);
    }
}
