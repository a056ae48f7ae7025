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
    /// Whether the words are used: not where caches are incoherent. There each change wakes, and a sleeper waits for that alone.
    pub(crate) announced: bool,
}

/// The waker's end of a doorbell: it counts the rings itself, since nobody else writes `rung`.
#[derive(Debug)]
pub(crate) struct Ringer<'a> {
    bell: Doorbell<'a>,
    notifier: Notifier<'a>,
    manner: Manner,
    /// What `waiting` holds if the sleeper waits for the next ring.
    next: u32,
}

/// What stands between publishing and looking for a sleeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Nobody is ever woken.
    Silent,
    /// Whether somebody sleeps is not known: all are woken each time.
    Always,
    /// The sleeper's fence runs on our core too; only the compiler must keep the order.
    SleeperFences,
    /// A fence of our own.
    WakerFences,
}

impl<'a> Ringer<'a> {
    /// For the party that has the waker's role.
    pub(crate) fn new(bell: Doorbell<'a>, notifier: Notifier<'a>) -> Self {
        let manner = match notifier.wait {
            None => Manner::Silent,
            Some(_) if !bell.announced => Manner::Always,
            Some(_) if notifier.sleeper_fences => Manner::SleeperFences,
            Some(_) => Manner::WakerFences,
        };
        Ringer { bell, notifier, manner, next: bell.rung.load(Relaxed).wrapping_add(1) }
    }

    /// Wakes the sleeper, if there may be one. The caller published by a store just before.
    #[inline(always)]
    pub(crate) fn ring(&mut self) {
        match self.manner {
            Manner::Silent => return,
            Manner::Always => return self.wake_unannounced(),
            Manner::SleeperFences => compiler_fence(SeqCst),
            Manner::WakerFences => full_fence(),
        }
        if self.bell.waiting.load(Relaxed) == self.next {
            self.wake();
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_unannounced(&self) {
        if let Some(wait) = self.notifier.wait {
            wait.wake(WaitWord(self.bell.rung), 1);
        }
    }

    #[cold]
    #[inline(never)]
    fn wake(&mut self) {
        self.bell.rung.store(self.next, Release);
        self.next = self.next.wrapping_add(1);
        if let Some(wait) = self.notifier.wait {
            wait.wake(WaitWord(self.bell.rung), 1);
        }
    }
}

impl Announce for Doorbell<'_> {
    fn announce(&self, waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        self.announced(waiter)
    }
}

impl<'a> Doorbell<'a> {
    /// [`Announce::announce`], for whoever keeps the word longer than this.
    pub(crate) fn announced(self, waiter: &dyn Wait) -> (WaitWord<'a>, u32) {
        let rung = self.rung.load(Acquire);
        if !self.announced {
            return (WaitWord(self.rung), rung);
        }
        self.waiting.store(rung.wrapping_add(1), Release);
        waiter.sleep_fence();
        (WaitWord(self.rung), rung)
    }
}
