//! A subscriber: a cursor of its own in a stream.

use super::core::{Core, Look};
use super::places::Place;
use super::Stream;
use crate::element::Element;
use crate::error::NextError;
use crate::sync::{by_word, hook, ByWord, Wide, Word};
use crate::wait::{Announce, Limit, Wait, WaitWord};
use core::time::Duration;

/// A subscriber of a [`Stream`]: takes its values one after another, at its own speed.
///
/// From [`Stream::subscribe`], [`Stream::subscribe_from_oldest`], [`Stream::subscribe_at`]. Without backpressure it lives in this
/// handle alone and writes nothing into the region: any number of them cost the publishers nothing. With backpressure it is
/// registered, and dropping it gives the place back; the place of a party that dies is found by publishers that wait
/// ([`Stream::remove_dead_subscribers`]).
#[derive(Debug)]
pub struct Subscriber<'a, T> {
    stream: Stream<'a, T>,
    half: ByWord<Half<'a, T, u32>, Half<'a, T, Wide>>,
}

#[derive(Debug)]
pub(super) struct Half<'a, T, W: Word> {
    core: Core<'a, T, W>,
    /// The sequence number of the next value to take.
    cursor: W,
    /// Where publishers see the cursor, if they look.
    place: Option<Place<'a, W>>,
    /// Where the cursor was when there was nothing to take, last: all from there on was there when it was asked for.
    dry: W,
    /// Whether the last call found that values were missed, and nothing was taken since.
    outrun: bool,
}

impl<'a, T: Element, W: Word> Half<'a, T, W> {
    pub(super) fn new(core: Core<'a, T, W>, cursor: W, place: Option<Place<'a, W>>) -> Self {
        Half { core, cursor, place, dry: cursor, outrun: false }
    }

    #[inline(always)]
    fn try_next(&mut self) -> Result<T, NextError> {
        self.core.log.ask_ahead_of(self.cursor, self.dry);
        match self.core.read(self.cursor) {
            Look::Value(value) => {
                self.outrun = false;
                self.move_to(self.cursor.plus(W::ONE));
                Ok(value)
            }
            Look::Nothing => {
                self.dry = self.cursor;
                Err(NextError::Empty)
            }
            Look::End => Err(NextError::Closed),
            Look::Overwritten => Err(self.catch_up()),
            Look::Corrupt => Err(NextError::Corrupt),
        }
    }

    #[inline(always)]
    fn move_to(&mut self, cursor: W) {
        self.cursor = cursor;
        if let Some(place) = &self.place {
            place.move_to(cursor);
        }
    }

    /// Goes on with the oldest value that is left.
    #[cold]
    #[inline(never)]
    fn catch_up(&mut self) -> NextError {
        let Some((cursor, missed)) = self.missed() else { return NextError::Corrupt };
        self.outrun = true;
        // What lies ahead is what the publisher is about to overwrite.
        self.dry = cursor;
        self.move_to(cursor);
        NextError::Lagged { missed }
    }

    /// Where to go on when the value at the cursor was overwritten, and how many were missed; `None` if that cannot be.
    ///
    /// If publishers outrun us once more before we took anything, that is an eighth of the capacity beyond the oldest, or we
    /// would never catch a value while they run.
    fn missed(&self) -> Option<(W, u64)> {
        let log = &self.core.log;
        let next = log.next();
        let mut cursor = log.oldest(next);
        if self.outrun {
            let left = next.minus(cursor);
            let ahead = W::low(log.capacity() as u64 / 8);
            cursor = if ahead.wide() < left.wide() { cursor.plus(ahead) } else { next };
        }
        let missed = cursor.minus(self.cursor);
        (missed != W::ZERO && !missed.is_negative()).then(|| (cursor, missed.wide()))
    }

    fn peek(&self) -> Result<T, NextError> {
        match self.core.read(self.cursor) {
            Look::Value(value) => Ok(value),
            Look::Nothing => Err(NextError::Empty),
            Look::End => Err(NextError::Closed),
            Look::Overwritten => Err(match self.missed() {
                Some((_, missed)) => NextError::Lagged { missed },
                None => NextError::Corrupt,
            }),
            Look::Corrupt => Err(NextError::Corrupt),
        }
    }

    fn lag(&self) -> u64 {
        let lag = self.core.log.next().minus(self.cursor);
        if lag.is_negative() {
            0
        } else {
            lag.wide()
        }
    }

    fn available(&self) -> usize {
        self.core.log.len().min(usize::try_from(self.lag()).unwrap_or(usize::MAX))
    }
}

impl<'a, T: Element> Subscriber<'a, T> {
    pub(super) fn new(
        stream: Stream<'a, T>,
        half: ByWord<Half<'a, T, u32>, Half<'a, T, Wide>>,
    ) -> Self {
        Subscriber { stream, half }
    }

    /// The next value, if it is there. Wait-free: one copy, never repeated.
    ///
    /// What its publisher did before it emitted it is visible afterwards. Nobody who stops or dies holds up this call. A value is
    /// never torn, never that of another sequence number, and never given twice.
    ///
    /// # Errors
    /// [`NextError::Empty`]; [`NextError::Closed`] once all values were taken and none will come; [`NextError::Lagged`] if values
    /// were overwritten before this subscriber took them: how many exactly. The next call goes on with the oldest that is left; if
    /// publishers are so fast that this one is gone by then too, the call after that skips an eighth of the capacity, and counts it
    /// as missed. [`NextError::Corrupt`].
    #[inline]
    pub fn try_next(&mut self) -> Result<T, NextError> {
        let next = by_word!(&mut self.half, half => half.try_next());
        if let Ok(_) | Err(NextError::Lagged { .. }) = next {
            self.stream.tell_publishers();
        }
        next
    }

    /// The next value, waiting for it as long as it takes: for whoever publishes it or closes the stream.
    ///
    /// Any number of subscribers wait, in any process; an emit wakes all, and makes no system call if nobody waits.
    ///
    /// # Errors
    /// [`NextError::Closed`], [`NextError::Lagged`], [`NextError::Corrupt`] as [`Subscriber::try_next`]; [`NextError::NoWaiter`] if the
    /// region was opened without a notifier.
    #[allow(clippy::should_implement_trait)] // it is the name of the operation, and its errors are not an iterator's end
    pub fn next(&mut self) -> Result<T, NextError> {
        self.next_within(self.stream.notifier.forever()?)
    }

    /// The next value, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`Subscriber::next`]; [`NextError::Timeout`], never early.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<T, NextError> {
        self.next_within(self.stream.notifier.at_most(timeout)?)
    }

    /// The next value, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Subscriber::next`]; [`NextError::Timeout`], never before the deadline.
    pub fn next_with(&mut self, waiter: &dyn Wait, deadline: Option<u64>) -> Result<T, NextError> {
        self.next_within(Limit { waiter, deadline })
    }

    fn next_within(&mut self, limit: Limit<'_>) -> Result<T, NextError> {
        let sleepers = self.stream.sleepers;
        let next = sleepers.wait_until(limit.waiter, limit.deadline, || match self.try_next() {
            Err(NextError::Empty) => None,
            next => Some(next),
        });
        next.unwrap_or(Err(NextError::Timeout))
    }

    /// A copy of the next value, which stays the next. Wait-free, and writes nothing.
    ///
    /// For a party that must not lose a value if it is killed while it works on it: it peeks, publishes what it made of the value, and
    /// takes it only then. With backpressure the value stays until it is taken.
    ///
    /// # Errors
    /// As [`Subscriber::try_next`], but values that were missed stay to be told until the next call of that.
    #[inline]
    pub fn peek(&self) -> Result<T, NextError> {
        by_word!(&self.half, half => half.peek())
    }

    /// The sequence number of the value that is taken next. With 4-byte words modulo 2^32.
    ///
    /// Kept elsewhere, it lets a restarted party go on where it was: [`Stream::subscribe_at`].
    #[must_use]
    pub fn sequence(&self) -> u64 {
        by_word!(&self.half, half => half.cursor.wide())
    }

    /// How many values were published and not taken by this subscriber, those included that it has missed by now. A moment's value.
    #[must_use]
    pub fn lag(&self) -> u64 {
        by_word!(&self.half, half => half.lag())
    }

    /// How many values it could take now: a moment's value.
    #[must_use]
    pub fn available(&self) -> usize {
        by_word!(&self.half, half => half.available())
    }

    /// Announces a sleeper for values.
    pub(crate) fn announced(&self, waiter: &dyn Wait) -> (WaitWord<'a>, u32) {
        self.stream.sleepers.announced(waiter)
    }

    pub(crate) fn waiter(&self) -> Option<&'a dyn Wait> {
        self.stream.notifier.waiter()
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &Stream<'a, T> {
        &self.stream
    }
}

impl<T> Announce for Subscriber<'_, T> {
    fn announce(&self, waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        self.stream.sleepers.announce(waiter)
    }
}

impl<T> Drop for Subscriber<'_, T> {
    fn drop(&mut self) {
        if hook::is_abandoned() {
            return;
        }
        by_word!(&self.half, half => if let Some(place) = &half.place {
            place.leave();
        });
        self.stream.tell_publishers();
    }
}
