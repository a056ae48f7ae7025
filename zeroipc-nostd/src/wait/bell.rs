//! Any of the waiting protocols, as a value: what a structure chooses when it is opened, and what a task waits by.

use super::{Announce, Broadcast, Doorbell, EventCount, Notifier, Ringer, Wait, WaitWord};
use crate::asynchronous::Wakes;
use crate::sync::Atomic;
use core::sync::atomic::Ordering::Acquire;

/// Where a party announces that it waits, and where those that it waits for look for it.
#[derive(Debug, Clone, Copy)]
pub struct Bell<'a>(Protocol<'a>);

#[derive(Debug, Clone, Copy)]
enum Protocol<'a> {
    /// Each that is woken takes what there is.
    One(EventCount<'a>),
    /// Each that is woken looks for itself.
    All(EventCount<'a>),
    /// The same, and some of those that ring have published by a store.
    AllOfStores(EventCount<'a>),
    /// There is one sleeper at most.
    Only(Doorbell<'a>),
    /// Each is woken, without compare-and-exchange.
    Broadcast(Broadcast<'a>),
    /// Nobody knows of whoever waits, for want of compare-and-exchange: each looks by itself now and then.
    Unannounced(Atomic<'a, u32>),
    /// Nobody knows of whoever waits, where caches are incoherent: each change wakes all.
    Always(Atomic<'a, u32>),
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

    /// As [`Bell::all`], where those that ring may publish by a store, if [`Notifier::may_store`].
    pub(crate) fn all_of_stores(count: EventCount<'a>) -> Self {
        Bell(Protocol::AllOfStores(count))
    }

    /// All who wait here are woken by each change: by the eventcount on `word`; or if there is one waker, by the broadcast on `word`
    /// and `waiting`. A party without compare-and-exchange cannot announce itself on an eventcount, and looks by itself in slices.
    pub(crate) fn for_all(
        word: Atomic<'a, u32>,
        waiting: Atomic<'a, u32>,
        one_waker: bool,
        cas: bool,
    ) -> Self {
        Bell(match (one_waker, cas) {
            (true, _) => Protocol::Broadcast(Broadcast { rung: word, waiting }),
            (false, true) => Protocol::All(EventCount::new(word)),
            (false, false) => Protocol::Unannounced(word),
        })
    }

    /// All who wait here are woken by each change, whether there are any or not.
    pub(crate) fn always(word: Atomic<'a, u32>) -> Self {
        Bell(Protocol::Always(word))
    }

    /// Wakes who should be, if anybody may be asleep. The caller has just published: by a read-modify-write if anybody may publish;
    /// and if only one party may, as that party.
    #[inline(always)]
    pub(crate) fn ring(&self, notifier: &Notifier<'_>) {
        match &self.0 {
            Protocol::Broadcast(broadcast) => broadcast.ring(*notifier),
            // `notify_all` keeps the compiler from moving a store beyond it, which is all that a store needs here.
            Protocol::All(count) | Protocol::AllOfStores(count) => count.notify_all(*notifier),
            _ => self.ring_another(notifier),
        }
    }

    /// [`Bell::ring`] of the rarer protocols.
    #[inline(never)]
    fn ring_another(&self, notifier: &Notifier<'_>) {
        match self.0 {
            Protocol::Broadcast(_)
            | Protocol::All(_)
            | Protocol::AllOfStores(_)
            | Protocol::Unannounced(_) => {}
            Protocol::One(count) => count.notify(*notifier),
            Protocol::Only(bell) => Ringer::new(bell, *notifier).ring(),
            Protocol::Always(word) => {
                if let Some(wait) = notifier.wait {
                    wait.wake(WaitWord(word), u32::MAX);
                }
            }
        }
    }

    /// [`Announce::announce`], for whoever keeps the word longer than this.
    pub(crate) fn announced(self, waiter: &dyn Wait) -> (WaitWord<'a>, u32) {
        match self.0 {
            Protocol::One(count) | Protocol::All(count) => count.announced(),
            Protocol::AllOfStores(count) => count.announced_to_stores(waiter),
            Protocol::Only(bell) => bell.announced(waiter),
            Protocol::Broadcast(bell) => bell.announced(waiter),
            Protocol::Unannounced(word) | Protocol::Always(word) => {
                (WaitWord(word), word.load(Acquire))
            }
        }
    }

    pub(crate) fn wakes(self) -> Wakes {
        match self.0 {
            Protocol::One(_) | Protocol::Only(_) => Wakes::One,
            _ => Wakes::All,
        }
    }

    /// Somebody who was woken did not look: another should, where only one was.
    pub(crate) fn pass_on(self, waiter: &dyn Wait) {
        if let Protocol::One(count) = self.0 {
            count.notify(Notifier::new(Some(waiter)));
        }
    }
}

impl Announce for Bell<'_> {
    fn announce(&self, waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        self.announced(waiter)
    }
}

impl<'a> From<Doorbell<'a>> for Bell<'a> {
    fn from(bell: Doorbell<'a>) -> Self {
        Bell(Protocol::Only(bell))
    }
}
