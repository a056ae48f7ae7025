//! Windows of a number of values.

use super::sieve::Sieve;
use super::{waits_as_inner, Source};
use crate::error::NextError;

/// Values one after another, without a gap: up to N of them.
#[derive(Debug, Clone)]
pub(super) struct Run<T, const N: usize> {
    /// The first `len` are the run; the others are copies of its first. `None` before the first value.
    values: Option<[T; N]>,
    len: usize,
    sieve: Sieve,
}

impl<T: Copy, const N: usize> Run<T, N> {
    pub(super) fn new() -> Self {
        const { assert!(N > 0, "a window of no values") };
        Run { values: None, len: 0, sieve: Sieve::default() }
    }

    /// Appends a value; the oldest goes if there are N. Returns the N newest, if there are so many.
    fn append(&mut self, value: T) -> Option<[T; N]> {
        let values = self.values.get_or_insert([value; N]);
        if self.len == N {
            values.rotate_left(1);
        } else {
            self.len += 1;
        }
        if let Some(last) = values.get_mut(self.len - 1) {
            *last = value;
        }
        (self.len == N).then_some(*values)
    }

    /// Takes values until there are N in a row; `keep` of them stay for the next.
    fn pull<'a, S: Source<'a, Item = T>>(
        &mut self,
        source: &mut S,
        keep: usize,
    ) -> Result<[T; N], NextError> {
        let mut sieve = self.sieve;
        let pulled = sieve.pull(source, |next| match next {
            Ok(value) => self.append(value).map(Ok),
            Err(error) => {
                if matches!(error, NextError::Lagged { .. }) {
                    self.len = 0;
                }
                Some(Err(error))
            }
        });
        self.sieve = sieve;
        if pulled.is_ok() {
            self.len = keep.min(self.len);
        }
        pulled
    }

    fn has_more(&self) -> bool {
        self.sieve.has_more()
    }

    fn as_slice(&self) -> &[T] {
        self.values.as_ref().and_then(|values| values.get(..self.len)).unwrap_or_default()
    }
}

/// Of [`Source::window`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Window<S, T, const N: usize> {
    pub(super) source: S,
    pub(super) run: Run<T, N>,
}

impl<S: core::fmt::Debug, T, const N: usize> core::fmt::Debug for Window<S, T, N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Window").field("source", &self.source).finish_non_exhaustive()
    }
}

impl<'a, S: Source<'a>, const N: usize> Source<'a> for Window<S, S::Item, N>
where
    S::Item: Copy,
{
    type Item = [S::Item; N];

    fn try_next(&mut self) -> Result<Self::Item, NextError> {
        // All stay: the next value pushes the oldest out.
        self.run.pull(&mut self.source, N)
    }

    waits_as_inner!(run);
}

/// Of [`Source::chunks`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Chunks<S, T, const N: usize> {
    pub(super) source: S,
    pub(super) run: Run<T, N>,
}

impl<S: core::fmt::Debug, T, const N: usize> core::fmt::Debug for Chunks<S, T, N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Chunks").field("source", &self.source).finish_non_exhaustive()
    }
}

impl<S, T: Copy, const N: usize> Chunks<S, T, N> {
    /// What came since the last chunk: fewer than N values.
    #[must_use]
    pub fn remainder(&self) -> &[T] {
        self.run.as_slice()
    }
}

impl<'a, S: Source<'a>, const N: usize> Source<'a> for Chunks<S, S::Item, N>
where
    S::Item: Copy,
{
    type Item = [S::Item; N];

    fn try_next(&mut self) -> Result<Self::Item, NextError> {
        self.run.pull(&mut self.source, 0)
    }

    waits_as_inner!(run);
}
