//! Two sources as one.

use super::Source;
use crate::error::NextError;
use crate::wait::{Wait, WaitSet};
use core::fmt;

/// How many values one call takes of each side at most.
const MOST: usize = 64;

/// The earlier of two times, of which either may be never.
fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Of [`Source::merge`].
#[derive(Debug, Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Merge<A, B> {
    left: A,
    right: B,
    left_ended: bool,
    right_ended: bool,
    /// Whether it is the turn of the right one.
    right_first: bool,
}

impl<A, B> Merge<A, B> {
    pub(super) fn new(left: A, right: B) -> Self {
        Merge { left, right, left_ended: false, right_ended: false, right_first: false }
    }
}

impl<'a, A: Source<'a>, B: Source<'a, Item = A::Item>> Source<'a> for Merge<A, B> {
    type Item = A::Item;

    fn try_next(&mut self) -> Result<A::Item, NextError> {
        for right in [self.right_first, !self.right_first] {
            let ended = if right { &mut self.right_ended } else { &mut self.left_ended };
            if *ended {
                continue;
            }
            match if right { self.right.try_next() } else { self.left.try_next() } {
                Err(NextError::Empty) => {}
                Err(NextError::Closed) => *ended = true,
                other => {
                    self.right_first = !right;
                    return other;
                }
            }
        }
        Err(if self.left_ended && self.right_ended { NextError::Closed } else { NextError::Empty })
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        if !self.left_ended {
            self.left.announce(waiter, set);
        }
        if !self.right_ended {
            self.right.announce(waiter, set);
        }
    }

    fn due(&self, waiter: &dyn Wait) -> Option<u64> {
        let left = if self.left_ended { None } else { self.left.due(waiter) };
        let right = if self.right_ended { None } else { self.right.due(waiter) };
        earlier(left, right)
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.left.waiter().or_else(|| self.right.waiter())
    }
}

/// One of the two that are zipped.
#[derive(Clone)]
struct Side<S, T> {
    source: S,
    /// Its next value, while the other has none.
    held: Option<T>,
    /// How many of its values are still to be dropped, because the other one has missed their partners.
    partnerless: u64,
    /// Whether the last call stopped at the bound.
    more: bool,
}

impl<S, T> Side<S, T> {
    fn new(source: S) -> Self {
        Side { source, held: None, partnerless: 0, more: false }
    }

    /// Whether it holds a value for the next pair.
    fn is_ready(&self) -> bool {
        self.held.is_some() && self.partnerless == 0
    }

    /// Sees to it that it holds its value for the next pair.
    fn fill<'a>(&mut self) -> Result<(), NextError>
    where
        S: Source<'a, Item = T>,
    {
        self.more = false;
        for _ in 0..MOST {
            if self.is_ready() {
                return Ok(());
            }
            match self.held.take() {
                Some(_) => self.partnerless -= 1,
                None => self.held = Some(self.source.try_next()?),
            }
        }
        self.more = !self.is_ready();
        if self.more {
            Err(NextError::Empty)
        } else {
            Ok(())
        }
    }

    /// Notes that this side has missed values: so many partners of the other are to be dropped.
    fn missed(&mut self, missed: u64, other: &mut u64) {
        // Those that were to be dropped anyway have no partners to drop.
        let dropped = self.partnerless.min(missed);
        self.partnerless -= dropped;
        *other = other.saturating_add(missed - dropped);
    }

    fn announce<'a>(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>)
    where
        S: Source<'a>,
    {
        if !self.is_ready() {
            self.source.announce(waiter, set);
        }
    }

    fn due<'a>(&self, waiter: &dyn Wait) -> Option<u64>
    where
        S: Source<'a>,
    {
        if self.is_ready() {
            None
        } else if self.more {
            Some(0)
        } else {
            self.source.due(waiter)
        }
    }
}

/// Of [`Source::zip`]. It takes a value ahead from the side that has one first, and keeps it until its partner is there.
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Zip<A, B, T, U> {
    left: Side<A, T>,
    right: Side<B, U>,
    ended: bool,
}

impl<A, B, T, U> Zip<A, B, T, U> {
    pub(super) fn new(left: A, right: B) -> Self {
        Zip { left: Side::new(left), right: Side::new(right), ended: false }
    }
}

impl<A: fmt::Debug, B: fmt::Debug, T, U> fmt::Debug for Zip<A, B, T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zip")
            .field("left", &self.left.source)
            .field("right", &self.right.source)
            .finish_non_exhaustive()
    }
}

impl<'a, A: Source<'a>, B: Source<'a>> Source<'a> for Zip<A, B, A::Item, B::Item> {
    type Item = (A::Item, B::Item);

    fn try_next(&mut self) -> Result<Self::Item, NextError> {
        if self.ended {
            return Err(NextError::Closed);
        }
        let left = self.left.fill();
        if let Err(NextError::Lagged { missed }) = left {
            self.left.missed(missed, &mut self.right.partnerless);
        }
        if !matches!(left, Ok(()) | Err(NextError::Empty)) {
            self.ended = left == Err(NextError::Closed);
            left?;
        }
        let right = self.right.fill();
        if let Err(NextError::Lagged { missed }) = right {
            self.right.missed(missed, &mut self.left.partnerless);
        }
        self.ended = right == Err(NextError::Closed);
        right?;
        left?;
        match (self.left.held.take(), self.right.held.take()) {
            (Some(left), Some(right)) => Ok((left, right)),
            // Both are filled by now.
            _ => Err(NextError::Empty),
        }
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        self.left.announce(waiter, set);
        self.right.announce(waiter, set);
    }

    fn due(&self, waiter: &dyn Wait) -> Option<u64> {
        earlier(self.left.due(waiter), self.right.due(waiter))
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.left.source.waiter().or_else(|| self.right.source.waiter())
    }
}
