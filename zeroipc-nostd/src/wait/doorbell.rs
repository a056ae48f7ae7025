//! A doorbell: one sleeper and one waker on two 32-bit words, by loads and stores alone.
//!
//! `rung` belongs to the waker and counts its rings; `waiting` belongs to the sleeper and holds `rung + 1` while it
//! waits for the ring after `rung`.
//!
//! - The sleeper reads `rung`, stores `waiting`, fences, looks once more, and sleeps while `rung` keeps its value.
//! - The waker publishes, fences, and compares the two: if `waiting` is `rung + 1` it counts `rung` up and wakes.
//!   Afterwards `waiting` is stale by itself, so one sleep costs one wake-up however often the waker publishes.
//!
//! Why none is lost: as in [`event_count`](super::event_count), with the fences of [`Wait`], of which a platform may
//! move all cost to the sleeper. After 2^32 rings `waiting` could look current without a sleeper: a wake-up too many.

use super::{Announce, Notifier, Wait, WaitWord};
use crate::sync::{full_fence, Atomic};
use core::sync::atomic::compiler_fence;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Doorbell<'a> {
    pub(crate) rung: Atomic<'a, u32>,
    pub(crate) waiting: Atomic<'a, u32>,
}

impl Doorbell<'_> {
    /// Wakes the sleeper, if there may be one. The caller published by a store just before.
    #[inline(always)]
    pub(crate) fn ring(&self, notifier: Notifier<'_>) {
        let Some(wait) = notifier.wait else { return };
        if notifier.sleeper_fences {
            // The sleeper's fence runs on our core too; only the compiler must keep the order.
            compiler_fence(SeqCst);
        } else {
            full_fence();
        }
        let next = self.rung.load(Relaxed).wrapping_add(1);
        if self.waiting.load(Relaxed) == next {
            self.wake(wait, next);
        }
    }

    #[cold]
    fn wake(&self, notifier: &dyn Wait, next: u32) {
        self.rung.store(next, Release);
        notifier.wake(WaitWord(self.rung), 1);
    }
}

impl Announce for Doorbell<'_> {
    fn announce(&self, waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        let rung = self.rung.load(Acquire);
        self.waiting.store(rung.wrapping_add(1), Release);
        waiter.sleep_fence();
        (WaitWord(self.rung), rung)
    }
}
