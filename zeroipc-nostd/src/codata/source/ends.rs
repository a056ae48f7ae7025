//! Adapters that begin later or end sooner.

use super::sieve::Sieve;
use super::{debug_by, waits_as_inner, Source};
use crate::error::NextError;

/// Of [`Source::take`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Take<S> {
    pub(super) source: S,
    pub(super) left: u64,
}
debug_by!(Take<S> source);

impl<'a, S: Source<'a>> Source<'a> for Take<S> {
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        let left = self.left.checked_sub(1).ok_or(NextError::Closed)?;
        let value = self.source.try_next()?;
        self.left = left;
        Ok(value)
    }

    waits_as_inner!();
}

/// Of [`Source::take_while`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct TakeWhile<S, F> {
    pub(super) source: S,
    pub(super) f: F,
    pub(super) done: bool,
}
debug_by!(TakeWhile < S, F > source);

impl<'a, S: Source<'a>, F: FnMut(&S::Item) -> bool> Source<'a> for TakeWhile<S, F> {
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        if self.done {
            return Err(NextError::Closed);
        }
        let value = self.source.try_next()?;
        self.done = !(self.f)(&value);
        if self.done {
            return Err(NextError::Closed);
        }
        Ok(value)
    }

    waits_as_inner!();
}

/// Of [`Source::skip`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Skip<S> {
    pub(super) source: S,
    pub(super) left: u64,
    pub(super) sieve: Sieve,
}
debug_by!(Skip<S> source);

impl<'a, S: Source<'a>> Source<'a> for Skip<S> {
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        let left = &mut self.left;
        self.sieve.pull(&mut self.source, |next| match next {
            Ok(_) if *left > 0 => {
                *left -= 1;
                None
            }
            Err(NextError::Lagged { missed }) if *left > 0 => {
                let skipped = missed.min(*left);
                *left -= skipped;
                let missed = missed - skipped;
                (missed > 0).then_some(Err(NextError::Lagged { missed }))
            }
            other => Some(other),
        })
    }

    waits_as_inner!(sieve);
}

/// Of [`Source::skip_while`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct SkipWhile<S, F> {
    pub(super) source: S,
    pub(super) f: F,
    pub(super) done: bool,
    pub(super) sieve: Sieve,
}
debug_by!(SkipWhile < S, F > source);

impl<'a, S: Source<'a>, F: FnMut(&S::Item) -> bool> Source<'a> for SkipWhile<S, F> {
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        let (done, f) = (&mut self.done, &mut self.f);
        self.sieve.pull_values(&mut self.source, |value| {
            *done = *done || !f(&value);
            done.then_some(value)
        })
    }

    waits_as_inner!(sieve);
}
