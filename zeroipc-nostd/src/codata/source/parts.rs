//! Adapters that look at one value after another.

use super::sieve::Sieve;
use super::{debug_by, waits_as_inner, Source};
use crate::error::NextError;

/// Of [`Source::map`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Map<S, F> {
    pub(super) source: S,
    pub(super) f: F,
}
debug_by!(Map < S, F > source);

impl<'a, S: Source<'a>, U, F: FnMut(S::Item) -> U> Source<'a> for Map<S, F> {
    type Item = U;

    fn try_next(&mut self) -> Result<U, NextError> {
        self.source.try_next().map(&mut self.f)
    }

    waits_as_inner!();
}

/// Of [`Source::filter`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Filter<S, F> {
    pub(super) source: S,
    pub(super) keep: F,
    pub(super) sieve: Sieve,
}
debug_by!(Filter < S, F > source);

impl<'a, S: Source<'a>, F: FnMut(&S::Item) -> bool> Source<'a> for Filter<S, F> {
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        let keep = &mut self.keep;
        self.sieve.pull_values(&mut self.source, |value| keep(&value).then_some(value))
    }

    waits_as_inner!(sieve);
}

/// Of [`Source::filter_map`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct FilterMap<S, F> {
    pub(super) source: S,
    pub(super) f: F,
    pub(super) sieve: Sieve,
}
debug_by!(FilterMap < S, F > source);

impl<'a, S: Source<'a>, U, F: FnMut(S::Item) -> Option<U>> Source<'a> for FilterMap<S, F> {
    type Item = U;

    fn try_next(&mut self) -> Result<U, NextError> {
        self.sieve.pull_values(&mut self.source, &mut self.f)
    }

    waits_as_inner!(sieve);
}

/// Of [`Source::inspect`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Inspect<S, F> {
    pub(super) source: S,
    pub(super) f: F,
}
debug_by!(Inspect < S, F > source);

impl<'a, S: Source<'a>, F: FnMut(&S::Item)> Source<'a> for Inspect<S, F> {
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        let value = self.source.try_next()?;
        (self.f)(&value);
        Ok(value)
    }

    waits_as_inner!();
}

/// Of [`Source::scan`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Scan<S, State, F> {
    pub(super) source: S,
    pub(super) state: State,
    pub(super) f: F,
    pub(super) done: bool,
}
debug_by!(Scan < S, State, F > source);

impl<S, State, F> Scan<S, State, F> {
    /// The state after the last value.
    pub fn state(&self) -> &State {
        &self.state
    }
}

impl<'a, S, State, U, F> Source<'a> for Scan<S, State, F>
where
    S: Source<'a>,
    F: FnMut(&mut State, S::Item) -> Option<U>,
{
    type Item = U;

    fn try_next(&mut self) -> Result<U, NextError> {
        if self.done {
            return Err(NextError::Closed);
        }
        let made = (self.f)(&mut self.state, self.source.try_next()?);
        self.done = made.is_none();
        made.ok_or(NextError::Closed)
    }

    waits_as_inner!();
}

/// Of [`Source::dedup`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Dedup<S, T> {
    pub(super) source: S,
    pub(super) last: Option<T>,
    pub(super) sieve: Sieve,
}
debug_by!(Dedup < S, T > source);

impl<'a, S: Source<'a>> Source<'a> for Dedup<S, S::Item>
where
    S::Item: PartialEq + Clone,
{
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        let last = &mut self.last;
        self.sieve.pull_values(&mut self.source, |value| {
            if last.as_ref() == Some(&value) {
                return None;
            }
            *last = Some(value.clone());
            Some(value)
        })
    }

    waits_as_inner!(sieve);
}

/// Of [`Source::latest`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Latest<S> {
    pub(super) source: S,
    /// What came after the newest value: said on the next call.
    pub(super) error: Option<NextError>,
}
debug_by!(Latest<S> source);

impl<'a, S: Source<'a>> Source<'a> for Latest<S> {
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let mut newest = None;
        let looked = Sieve::default().pull_values(&mut self.source, |value| {
            newest = Some(value);
            None::<()>
        });
        let error = looked.err().unwrap_or(NextError::Empty);
        let newest = newest.ok_or(error)?;
        self.error = Some(error).filter(|error| *error != NextError::Empty);
        Ok(newest)
    }

    waits_as_inner!();
}

/// Of [`Source::lossy`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Lossy<S> {
    pub(super) source: S,
    pub(super) missed: u64,
    pub(super) sieve: Sieve,
}
debug_by!(Lossy<S> source);

impl<S> Lossy<S> {
    /// How many values were missed so far.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl<'a, S: Source<'a>> Source<'a> for Lossy<S> {
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        let total = &mut self.missed;
        self.sieve.pull(&mut self.source, |next| match next {
            Err(NextError::Lagged { missed }) => {
                *total = total.saturating_add(missed);
                None
            }
            other => Some(other),
        })
    }

    waits_as_inner!(sieve);
}
