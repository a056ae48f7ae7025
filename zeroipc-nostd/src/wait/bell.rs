//! What a task waits by: any of the waiting protocols, as a value.

use super::{Broadcast, Doorbell, EventCount, Notifier, Wait, WaitWord};
use crate::asynchronous::Wakes;
use crate::sync::Atomic;
use core::sync::atomic::Ordering::Acquire;

/// Where a task announces that it waits.
#[derive(Debug, Clone, Copy)]
pub struct Bell<'a>(Protocol<'a>);

#[derive(Debug, Clone, Copy)]
enum Protocol<'a> {
    /// Each that is woken takes what there is.
    One(EventCount<'a>),
    /// Each that is woken looks for itself.
    All(EventCount<'a>),
    /// There is one sleeper at most.
    Only(Doorbell<'a>),
    /// Each is woken, without compare-and-exchange.
    Broadcast(Broadcast<'a>),
    /// Nobody knows of whoever waits, for want of compare-and-exchange: each looks by itself now and then.
    Unannounced(Atomic<'a, u32>),
}

impl<'a> Bell<'a> {
    /// Of those who wait here one is woken for each thing that there is, and takes it.
    pub(crate) fn one(count: EventCount<'a>) -> Self {
        Bell(Protocol::One(count))
    }

    /// Those who wait here wait for the same, or for different things: each looks for itself.
    pub(crate) fn all(count: EventCount<'a>) -> Self {
        Bell(Protocol::All(count))
    }

    /// Those who wait here can not announce that, and look at the word.
    pub(crate) fn unannounced(word: Atomic<'a, u32>) -> Self {
        Bell(Protocol::Unannounced(word))
    }

    /// As [`Announce::announce`](super::Announce::announce); the word lives as long as the region.
    pub(crate) fn announce(self, waiter: &dyn Wait) -> (WaitWord<'a>, u32) {
        match self.0 {
            Protocol::One(count) | Protocol::All(count) => count.announced(),
            Protocol::Only(bell) => bell.announced(waiter),
            Protocol::Broadcast(bell) => bell.announced(waiter),
            Protocol::Unannounced(word) => (WaitWord(word), word.load(Acquire)),
        }
    }

    pub(crate) fn wakes(self) -> Wakes {
        match self.0 {
            Protocol::One(_) | Protocol::Only(_) => Wakes::One,
            Protocol::All(_) | Protocol::Broadcast(_) | Protocol::Unannounced(_) => Wakes::All,
        }
    }

    /// Somebody who was woken did not look: another should, where only one was.
    pub(crate) fn pass_on(self, waiter: &dyn Wait) {
        if let Protocol::One(count) = self.0 {
            count.notify(Notifier::new(Some(waiter)));
        }
    }
}

impl<'a> From<Doorbell<'a>> for Bell<'a> {
    fn from(bell: Doorbell<'a>) -> Self {
        Bell(Protocol::Only(bell))
    }
}

impl<'a> From<Broadcast<'a>> for Bell<'a> {
    fn from(bell: Broadcast<'a>) -> Self {
        Bell(Protocol::Broadcast(bell))
    }
}
