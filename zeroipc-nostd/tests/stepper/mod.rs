//! A party that a test stops before a chosen shared access of its operation, and lets go on, or abandons there.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread::{Scope, ScopedJoinHandle};
use zeroipc_nostd::testing::{run, Abandoned};

/// A party on a thread of its own. Dropped while it is stopped, it is abandoned, so a failing test ends.
#[derive(Debug)]
pub struct Party<'s, R> {
    /// Before which access it stops next.
    go: Sender<u64>,
    arrived: Receiver<()>,
    thread: ScopedJoinHandle<'s, Option<R>>,
    stopped: bool,
}

impl<'s, R: Send + 's> Party<'s, R> {
    /// Starts `operation` and returns when it is stopped before its access number `step`, or has finished.
    pub fn start(
        scope: &'s Scope<'s, '_>,
        step: u64,
        operation: impl FnOnce() -> R + Send + 's,
    ) -> Self {
        let (go, told) = channel::<u64>();
        let (arrive, arrived) = channel::<()>();
        let thread = scope.spawn(move || {
            let mut stop = step;
            let hook = move |n| {
                if n == stop {
                    match arrive.send(()).ok().and_then(|()| told.recv().ok()) {
                        Some(next) => stop = next,
                        None => resume_unwind(Box::new(Abandoned)),
                    }
                }
            };
            match catch_unwind(AssertUnwindSafe(|| run(hook, operation))) {
                Ok((result, _)) => Some(result),
                Err(payload) if payload.is::<Abandoned>() => None,
                Err(payload) => resume_unwind(payload),
            }
        });
        // The hook, and with it the sender, is gone when the operation has finished.
        let stopped = arrived.recv().is_ok();
        Party { go, arrived, thread, stopped }
    }

    /// Whether it stands before an access; if not it has finished.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Lets it go on to a later access; returns whether it stopped there.
    pub fn go_to(&mut self, step: u64) -> bool {
        if self.stopped {
            self.go.send(step).unwrap();
            self.stopped = self.arrived.recv().is_ok();
        }
        self.stopped
    }

    /// Lets it finish.
    pub fn finish(mut self) -> R {
        self.go_to(u64::MAX);
        self.thread.join().unwrap().unwrap()
    }

    /// Kills it where it stands; its result if it had finished.
    pub fn abandon(self) -> Option<R> {
        drop(self.go);
        self.thread.join().unwrap()
    }
}
