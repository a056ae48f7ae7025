//! How subscribers sleep until something is published, and how publishers wake them.

use crate::sync::Atomic;
use crate::wait::{Announce, Broadcast, EventCount, Notifier, Wait, WaitWord};
use core::sync::atomic::Ordering::Acquire;

/// By the stream's form, since a broadcast has only one waker, and an eventcount needs compare-and-exchange.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sleepers<'a> {
    /// Of many publishers.
    ByAnybody(EventCount<'a>),
    /// Of many publishers, for a party without compare-and-exchange: it cannot announce itself, and so looks by itself in slices.
    Unannounced(Atomic<'a, u32>),
    /// Of one publisher.
    ByOne(Broadcast<'a>),
}

impl<'a> Sleepers<'a> {
    /// [`Announce::announce`], for whoever keeps the word longer than this.
    pub(super) fn announced(self, waiter: &dyn Wait) -> (WaitWord<'a>, u32) {
        match self {
            Sleepers::ByAnybody(count) => count.announced(),
            Sleepers::Unannounced(word) => (WaitWord(word), word.load(Acquire)),
            Sleepers::ByOne(broadcast) => broadcast.announced(waiter),
        }
    }

    /// Wakes all. The caller has just published.
    #[inline(always)]
    pub(super) fn notify(&self, notifier: Notifier<'_>) {
        match self {
            Sleepers::ByAnybody(count) => count.notify_all(notifier),
            Sleepers::Unannounced(_) => {}
            Sleepers::ByOne(broadcast) => broadcast.ring(notifier),
        }
    }
}

impl Announce for Sleepers<'_> {
    fn announce(&self, waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        self.announced(waiter)
    }
}
