//! Sending and receiving without a buffer: at a place, until somebody has come.

use super::claim::{Home, Met};
use super::places::Side;
use super::rendezvous::{Refused, Rendezvous, Taken};
use crate::element::Element;
use crate::error::{RecvError, SendError, TrySendError};
use crate::sync::Atomic;
use crate::wait::{look, Announce, Limit, Looked};
use core::sync::atomic::Ordering::Acquire;

/// The two things of a channel that this needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meeting<'c, 'a, T> {
    pub(super) rendezvous: &'c Rendezvous<'a, T>,
    pub(super) closed: Atomic<'a, u32>,
}

/// Why nobody was met, or no place found.
#[derive(Debug, Clone, Copy)]
enum Unmet {
    Closed,
    Timeout,
    Corrupt,
}

impl Unmet {
    fn sending<T>(self, value: T) -> SendError<T> {
        match self {
            Unmet::Closed => SendError::Closed(value),
            Unmet::Timeout => SendError::Timeout(value),
            Unmet::Corrupt => SendError::Corrupt(value),
        }
    }

    fn receiving(self) -> RecvError {
        match self {
            Unmet::Closed => RecvError::Closed,
            Unmet::Timeout => RecvError::Timeout,
            Unmet::Corrupt => RecvError::Corrupt,
        }
    }
}

/// A place to wait at, or the value that was to be waited for.
enum Found<T> {
    Place(usize),
    Value(T),
}

impl<'a, T: Element> Meeting<'_, 'a, T> {
    fn is_closed(&self) -> bool {
        self.closed.load(Acquire) != 0
    }

    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.rendezvous.give(&value).map_err(|refused| match refused {
            Refused::NobodyWaits => TrySendError::Full(value),
            Refused::NoPlace => TrySendError::Blocked(value),
        })
    }

    pub(super) fn try_recv(&self) -> Option<T> {
        match self.rendezvous.take(None) {
            Taken::Value(value) => Some(value),
            Taken::Nothing | Taken::Left | Taken::Matched => None,
        }
    }

    pub(super) fn send(&self, value: T, limit: Limit<'_>) -> Result<(), SendError<T>> {
        let place = match self.find(Side::Senders, limit, || None) {
            Ok(Found::Place(place)) => place,
            Ok(Found::Value(())) => return Ok(()),
            Err(unmet) => return Err(unmet.sending(value)),
        };
        self.rendezvous.write(place, &value);
        let home = self.rendezvous.open(Side::Senders, place).ok_or(Unmet::Corrupt);
        let sent = home.and_then(|home| {
            if self.rendezvous.ring_one() {
                self.watch(&home, limit);
            }
            self.until_met(&home, limit, || None, |_| Ok(()))
        });
        self.rendezvous.free(Side::Senders, place);
        sent.map_err(|unmet| unmet.sending(value))
    }

    /// Looks on while a receiver wakes up, which takes longer than one usually looks before going to sleep: otherwise each of the two
    /// would have to wake the other.
    fn watch(&self, home: &Home<'a>, limit: Limit<'_>) {
        let spins = limit.waiter.spins().saturating_mul(4);
        let mut met = || (!matches!(home.met(), Met::NotYet)).then_some(());
        // Whatever came of it: `until_met` looks again.
        look(limit.waiter, limit.deadline, spins, &mut met);
    }

    /// Looks for a while before it takes a place, which costs about ten read-modify-writes (measured: 2 hops).
    fn look(&self, limit: Limit<'_>) -> Option<Result<T, Unmet>> {
        let mut attempt = || {
            if self.is_closed() {
                return Some(Err(Unmet::Closed));
            }
            self.try_recv().map(Ok)
        };
        match look(limit.waiter, limit.deadline, limit.waiter.spins() / 4, &mut attempt) {
            Looked::Over(received) => received,
            Looked::Nothing => None,
        }
    }

    pub(super) fn recv(&self, limit: Limit<'_>) -> Result<T, RecvError> {
        if let Some(received) = self.look(limit) {
            return received.map_err(Unmet::receiving);
        }
        let place = match self.find(Side::Receivers, limit, || self.try_recv()) {
            Ok(Found::Place(place)) => place,
            Ok(Found::Value(value)) => return Ok(value),
            Err(unmet) => return Err(unmet.receiving()),
        };
        let home = self.rendezvous.open(Side::Receivers, place).ok_or(Unmet::Corrupt);
        let received = home.and_then(|home| {
            let take = || match self.rendezvous.take(Some(&home)) {
                Taken::Value(value) => Some(value),
                Taken::Nothing | Taken::Left | Taken::Matched => None,
            };
            let accept = |from| self.rendezvous.accept(from).ok_or(Unmet::Corrupt);
            self.until_met(&home, limit, take, accept)
        });
        self.rendezvous.free(Side::Receivers, place);
        self.rendezvous.pass_on();
        received.map_err(Unmet::receiving)
    }

    /// A place, waiting for one if there is none; or what `attempt` gives first.
    fn find<R>(
        &self,
        side: Side,
        limit: Limit<'_>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Result<Found<R>, Unmet> {
        let mut looks = limit.waiter.spins();
        let mut look = |ask| {
            if self.is_closed() {
                return Some(Err(Unmet::Closed));
            }
            let place = || self.rendezvous.take_place(side, ask).map(Found::Place);
            attempt().map(Found::Value).or_else(place).map(Ok)
        };
        let found = self.rendezvous.room(side).wait_until(limit.waiter, limit.deadline, || {
            // The dead are asked for when spinning did not help.
            let ask = looks == 0;
            looks = looks.saturating_sub(1);
            look(ask)
        });
        let found = found.or_else(|| look(true)).unwrap_or(Err(Unmet::Timeout));
        if matches!(found, Ok(Found::Value(_))) {
            // We may have been woken for a place, which another can have.
            self.rendezvous.room(side).notify(self.rendezvous.notifier);
        }
        found
    }

    /// Waits until somebody has met us at `home`, which `met` completes, or `take` gives something; otherwise nobody has and will.
    fn until_met<R>(
        &self,
        home: &Home<'a>,
        limit: Limit<'_>,
        mut take: impl FnMut() -> Option<R>,
        met: impl Fn(usize) -> Result<R, Unmet>,
    ) -> Result<R, Unmet> {
        let look = || match home.met() {
            Met::Yes { place, .. } => Some(met(place)),
            Met::NotYet => None,
            Met::Corrupt => Some(Err(Unmet::Corrupt)),
        };
        let ended = home.bell().wait_until(limit.waiter, limit.deadline, || {
            if let Some(ended) = look() {
                return Some(ended);
            }
            if self.is_closed() {
                return if home.withdraw() { Some(Err(Unmet::Closed)) } else { look() };
            }
            take().map(Ok).or_else(look)
        });
        ended.unwrap_or_else(|| {
            if home.withdraw() {
                Err(Unmet::Timeout)
            } else {
                look().unwrap_or(Err(Unmet::Corrupt))
            }
        })
    }
}
