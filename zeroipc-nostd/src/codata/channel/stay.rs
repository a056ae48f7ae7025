//! How a task waits at a rendezvous. It looks now and then, and may be given up between any two looks.
//!
//! 1. *Receive*: take an offer if there is one. Otherwise take a place of receivers and show it, with its claim word still *owned*: senders
//!    that offer ring its bell, but nobody gives it anything, since it may be gone before it looks. An offer is taken in the look
//!    that returns its value.
//! 2. *Send*: take a place of senders, offer, ring one receiver. Later looks see whether it was matched; once the channel is closed, withdraw.
//! 3. Who finds no place waits at the eventcount for places, and goes on with 1 or 2.
//! 4. *Give up*: a receiver frees its place and, if there are offers, rings another, since it may have been rung for one. A sender
//!    withdraws, or else was matched, and frees its place.

use super::claim::Met;
use super::places::Side;
use super::rendezvous::Rendezvous;
use super::Channel;
use crate::element::Element;
use crate::error::{RecvError, SendError, TryRecvError};
use crate::sync::hook;
use crate::wait::Bell;

/// A task at a channel without a buffer, on one side of it, for as long as it waits. With a buffer it is never anywhere.
#[derive(Debug)]
pub(crate) struct Stay<'a, T> {
    channel: Channel<'a, T>,
    side: Side,
    spot: Spot,
    /// Whether it has come from the eventcount for places to a place, and did not say so yet.
    has_moved: bool,
}

/// Where it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    Nowhere,
    /// For a place.
    Room,
    Place(usize),
}

impl Spot {
    /// Step 3: a place, if it has none and there is one.
    fn take_place<T>(
        &mut self,
        rendezvous: &Rendezvous<'_, T>,
        side: Side,
        ask: bool,
    ) -> Option<usize> {
        // Also who comes asks for the dead: otherwise they would be noticed only by who has slept.
        let place = rendezvous.take_place(side, ask || *self == Spot::Nowhere);
        *self = place.map_or(Spot::Room, Spot::Place);
        place
    }

    /// Step 4 of a receiver.
    fn stop_receiving<T>(&mut self, rendezvous: &Rendezvous<'_, T>) {
        if let Spot::Place(place) = core::mem::replace(self, Spot::Nowhere) {
            rendezvous.free(Side::Receivers, place);
            rendezvous.pass_on();
        }
    }

    /// Step 4 of a sender.
    fn stop_sending<T>(&mut self, rendezvous: &Rendezvous<'_, T>) -> Sent {
        let Spot::Place(place) = core::mem::replace(self, Spot::Nowhere) else {
            return Sent::No;
        };
        let sent = match rendezvous.home(Side::Senders, place) {
            Some(home) if home.withdraw() => Sent::No,
            Some(home) if matches!(home.met(), Met::Yes { .. }) => Sent::Yes,
            _ => Sent::Corrupt,
        };
        rendezvous.free(Side::Senders, place);
        sent
    }
}

/// What came of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Yes,
    /// Certainly not.
    No,
    /// A peer wrote nonsense.
    Corrupt,
}

impl Sent {
    /// `why`: if it was not.
    fn or<T>(self, why: fn(T) -> SendError<T>, value: T) -> Result<(), SendError<T>> {
        match self {
            Sent::Yes => Ok(()),
            Sent::No => Err(why(value)),
            Sent::Corrupt => Err(SendError::Corrupt(value)),
        }
    }
}

impl<'a, T> Stay<'a, T> {
    pub(crate) fn of_sender(channel: Channel<'a, T>) -> Self {
        Stay { channel, side: Side::Senders, spot: Spot::Nowhere, has_moved: false }
    }

    pub(crate) fn of_receiver(channel: Channel<'a, T>) -> Self {
        Stay { channel, side: Side::Receivers, spot: Spot::Nowhere, has_moved: false }
    }

    pub(crate) fn channel(&self) -> &Channel<'a, T> {
        &self.channel
    }

    /// What it is woken by, after a look that found nothing.
    pub(crate) fn bell(&self) -> Option<Bell<'a>> {
        let rendezvous = self.channel.rendezvous()?;
        match self.spot {
            // Nobody else waits there.
            Spot::Place(place) => Some(Bell::all(*rendezvous.home(self.side, place)?.bell())),
            Spot::Room | Spot::Nowhere => Some(Bell::one(*rendezvous.room(self.side))),
        }
    }

    /// Whether it is woken by another bell than before. Says so once.
    pub(crate) fn has_moved(&mut self) -> bool {
        core::mem::take(&mut self.has_moved)
    }

    /// Leaves: whether something had been sent.
    fn stop(&mut self) -> Sent {
        let Some(rendezvous) = self.channel.rendezvous() else { return Sent::No };
        match self.side {
            Side::Senders => self.spot.stop_sending(rendezvous),
            Side::Receivers => {
                self.spot.stop_receiving(rendezvous);
                Sent::No
            }
        }
    }
}

impl<T: Element> Stay<'_, T> {
    /// Looks: what was received, if anything. `ask`: it is worth to ask who is dead.
    pub(crate) fn receive(&mut self, ask: bool) -> Option<Result<T, RecvError>> {
        let Stay { channel, side, spot, has_moved } = self;
        let rendezvous = channel.rendezvous()?;
        let received = match channel.try_recv() {
            Ok(value) => Ok(value),
            Err(TryRecvError::Closed) => Err(RecvError::Closed),
            Err(TryRecvError::Corrupt) => Err(RecvError::Corrupt),
            Err(TryRecvError::Empty | TryRecvError::Blocked) => {
                if matches!(spot, Spot::Place(_)) {
                    return None;
                }
                let waited = *spot == Spot::Room;
                let place = spot.take_place(rendezvous, *side, ask)?;
                *has_moved |= waited;
                let home = rendezvous.home(*side, place);
                if home.is_some_and(|home| rendezvous.show(*side, place, 0, &home).is_some()) {
                    return None;
                }
                Err(RecvError::Corrupt)
            }
        };
        if *spot == Spot::Room {
            // We may have been woken for a place, which another can have.
            rendezvous.room(*side).notify(rendezvous.notifier);
        }
        spot.stop_receiving(rendezvous);
        Some(received)
    }

    /// Looks: whether `value` was sent, if that is certain. `ask` as in [`Stay::receive`].
    pub(crate) fn send(&mut self, value: T, ask: bool) -> Option<Result<(), SendError<T>>> {
        let Stay { channel, side, spot, has_moved } = self;
        let rendezvous = channel.rendezvous()?;
        if let Spot::Place(place) = *spot {
            let home = rendezvous.home(*side, place);
            let waits = home.is_some_and(|home| home.met() == Met::NotYet);
            if waits && !channel.is_closed() {
                return None;
            }
            return Some(spot.stop_sending(rendezvous).or(SendError::Closed, value));
        }
        if channel.is_closed() {
            *spot = Spot::Nowhere;
            return Some(Err(SendError::Closed(value)));
        }
        let waited = *spot == Spot::Room;
        let place = spot.take_place(rendezvous, *side, ask)?;
        *has_moved |= waited;
        rendezvous.write(place, &value);
        if rendezvous.open(*side, place).is_none() {
            spot.stop_sending(rendezvous);
            return Some(Err(SendError::Corrupt(value)));
        }
        rendezvous.ring_one();
        None
    }

    /// Nobody will wake it: `value` was not sent, unless it was taken meanwhile.
    pub(crate) fn give_up_sending(&mut self, value: T) -> Result<(), SendError<T>> {
        self.stop().or(SendError::NoWaiter, value)
    }

    /// Nobody will wake it.
    pub(crate) fn give_up_receiving(&mut self) {
        self.stop();
    }
}

impl<T> Drop for Stay<'_, T> {
    fn drop(&mut self) {
        // One that was killed does nothing any more.
        if !hook::is_abandoned() {
            self.stop();
        }
    }
}
