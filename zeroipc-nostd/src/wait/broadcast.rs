//! A broadcast: any number of sleepers and one waker on two 32-bit words, by loads and stores alone.
//!
//! `rung` belongs to the waker and counts its rings; `waiting` is 1 while somebody may be asleep.
//!
//! - A sleeper reads `rung`, stores 1 into `waiting`, fences, looks once more, and sleeps while `rung` keeps its value. All
//!   sleepers store the same, so they need not exclude each other.
//! - The waker publishes, fences, and loads `waiting`: if it is 1 it stores 0, counts `rung` up and wakes all.
//!
//! Why none is lost: either the sleeper's second look sees what was published or the waker sees the 1, as in
//! [`event_count`](super::event_count). If the waker's 0 falls on a later sleeper's 1, that sleeper has read `rung` before it was
//! counted up (who reads the new `rung`, acquire, stores its 1 after the 0), so it does not sleep on, or is woken with the rest.
//!
//! A waker that stops between the 0 and the ring is the only one who publishes: until it goes on there is nothing to wake for.
//! If it is killed there, sleepers look again by themselves.

use super::{Announce, Notifier, Wait, WaitWord};
use crate::sync::{full_fence, Atomic};
use core::sync::atomic::compiler_fence;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Broadcast<'a> {
    pub(crate) rung: Atomic<'a, u32>,
    pub(crate) waiting: Atomic<'a, u32>,
}

impl Broadcast<'_> {
    /// Wakes all sleepers, if there may be any. The caller is the only waker and published by a store just before.
    #[inline(always)]
    pub(crate) fn ring(&self, notifier: Notifier<'_>) {
        let Some(wait) = notifier.wait else { return };
        if notifier.sleeper_fences {
            // The sleeper's fence runs on our core too; only the compiler must keep the order.
            compiler_fence(SeqCst);
        } else {
            full_fence();
        }
        if self.waiting.load(Relaxed) != 0 {
            self.wake(wait);
        }
    }

    #[cold]
    fn wake(&self, notifier: &dyn Wait) {
        self.waiting.store(0, Relaxed);
        // Release: whoever sees the new count stores its 1 after our 0.
        self.rung.store(self.rung.load(Relaxed).wrapping_add(1), Release);
        notifier.wake(WaitWord(self.rung), u32::MAX);
    }
}

impl Announce for Broadcast<'_> {
    fn announce(&self, waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        self.announced(waiter)
    }
}

impl<'a> Broadcast<'a> {
    /// [`Announce::announce`], for whoever keeps the word longer than this.
    pub(crate) fn announced(self, waiter: &dyn Wait) -> (WaitWord<'a>, u32) {
        let rung = self.rung.load(Acquire);
        self.waiting.store(1, Release);
        waiter.sleep_fence();
        (WaitWord(self.rung), rung)
    }
}
