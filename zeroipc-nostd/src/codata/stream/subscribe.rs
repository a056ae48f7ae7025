//! How a party subscribes: where it begins, and how it registers where publishers must not overtake it.

use super::core::Core;
use super::subscriber::Half;
use super::{Stream, Subscriber};
use crate::element::Element;
use crate::error::SubscribeError;
use crate::party::Membership;
use crate::sync::{by_word, ByWord, Word};

/// Where a subscriber begins.
#[derive(Debug, Clone, Copy)]
enum Start {
    Now,
    Oldest,
    At(u64),
}

impl<'a, T: Element> Stream<'a, T> {
    /// Subscribes from now on: the first value is the one that is published next.
    ///
    /// Wait-free; with backpressure bounded by the number of places.
    ///
    /// # Errors
    /// [`SubscribeError::TooMany`], [`SubscribeError::NeedsCas`], only with backpressure.
    pub fn subscribe(&self) -> Result<Subscriber<'a, T>, SubscribeError> {
        self.subscribe_from(Start::Now)
    }

    /// Subscribes from the oldest value that is left: the last `capacity` values, or all if there were fewer.
    ///
    /// Without backpressure the oldest may be overwritten before this subscriber takes them, and it is told. With backpressure too,
    /// but only while it joins: it misses nothing that is published after this call.
    ///
    /// # Errors
    /// As [`Stream::subscribe`].
    pub fn subscribe_from_oldest(&self) -> Result<Subscriber<'a, T>, SubscribeError> {
        self.subscribe_from(Start::Oldest)
    }

    /// Subscribes from the value with this sequence number on, as [`Subscriber::sequence`] told before a restart.
    ///
    /// If it was overwritten meanwhile, the first call of [`Subscriber::try_next`] tells how many were missed since.
    ///
    /// # Errors
    /// As [`Stream::subscribe`]; [`SubscribeError::Ahead`] for a sequence number beyond that of the next value. With 4-byte words,
    /// where numbers wrap around, so is one that is 2^31 or more behind, and one that is fewer behind by going back past 0 is not
    /// once a whole lap was published.
    pub fn subscribe_at(&self, sequence: u64) -> Result<Subscriber<'a, T>, SubscribeError> {
        self.subscribe_from(Start::At(sequence))
    }

    fn subscribe_from(&self, start: Start) -> Result<Subscriber<'a, T>, SubscribeError> {
        if self.has_backpressure && !self.cas {
            return Err(SubscribeError::NeedsCas);
        }
        let half = match &self.core {
            ByWord::W4(core) => {
                ByWord::W4(half(core, start, &self.membership, self.notifier.may_store())?)
            }
            ByWord::W8(core, having) => {
                ByWord::W8(half(core, start, &self.membership, self.notifier.may_store())?, *having)
            }
        };
        Ok(Subscriber::new(*self, half))
    }

    /// Gives back the places of registered subscribers that are known to be dead; returns how many. For those that publish by
    /// [`Stream::try_emit`]: publishers that wait do it by themselves. Bounded by the number of places, except for asking.
    pub fn remove_dead_subscribers(&self) -> usize {
        if !self.cas {
            return 0;
        }
        by_word!(&self.core, core => {
            core.places.map_or(0, |places| places.remove_dead(&self.membership))
        })
    }

    /// How many subscribers are registered: a moment's value; 0 without backpressure, where nobody counts them.
    #[must_use]
    pub fn registered_subscribers(&self) -> usize {
        by_word!(&self.core, core => core.places.map_or(0, |places| places.registered()))
    }
}

/// A subscriber's half, registered if the stream registers.
fn half<'a, T: Element, W: Word>(
    core: &Core<'a, T, W>,
    start: Start,
    membership: &Membership<'_>,
    stores: bool,
) -> Result<Half<'a, T, W>, SubscribeError> {
    let log = &core.log;
    let next = log.next();
    let oldest = log.oldest(next);
    let mut cursor = match start {
        Start::Now => next,
        Start::Oldest => oldest,
        Start::At(sequence) => {
            if !log.is_known(sequence, next) {
                return Err(SubscribeError::Ahead { next: next.wide() });
            }
            W::low(sequence)
        }
    };
    let place = match &core.places {
        None => None,
        Some(places) => {
            let too_many = SubscribeError::TooMany { places: places.count() };
            let place = places.take(membership, stores).ok_or(too_many)?;
            // Nobody waits for us to take what is gone.
            let counts = if oldest.minus(cursor).is_negative() { cursor } else { oldest };
            places.activate(&place, counts);
            if let Start::Now = start {
                // See `places.rs`: by now nothing from here on can be lost.
                cursor = log.next();
                place.move_to(cursor);
            }
            Some(place)
        }
    };
    Ok(Half::new(*core, cursor, place))
}
