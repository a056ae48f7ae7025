//! Sources as iterators.

use super::Source;
use crate::error::NextError;
use core::marker::PhantomData;

/// Of [`Source::iter`].
#[derive(Debug)]
pub struct Iter<'s, 'a, S: ?Sized> {
    source: &'s mut S,
    done: bool,
    memory: PhantomData<&'a ()>,
}

impl<'s, S: ?Sized> Iter<'s, '_, S> {
    pub(super) fn new(source: &'s mut S) -> Self {
        Iter { source, done: false, memory: PhantomData }
    }
}

impl<'a, S: Source<'a> + ?Sized> Iterator for Iter<'_, 'a, S> {
    type Item = Result<S::Item, NextError>;

    fn next(&mut self) -> Option<Self::Item> {
        step(&mut self.done, || self.source.next())
    }
}

/// Of [`Source::try_iter`].
#[derive(Debug)]
pub struct TryIter<'s, 'a, S: ?Sized> {
    source: &'s mut S,
    done: bool,
    memory: PhantomData<&'a ()>,
}

impl<'s, S: ?Sized> TryIter<'s, '_, S> {
    pub(super) fn new(source: &'s mut S) -> Self {
        TryIter { source, done: false, memory: PhantomData }
    }
}

impl<'a, S: Source<'a> + ?Sized> Iterator for TryIter<'_, 'a, S> {
    type Item = Result<S::Item, NextError>;

    fn next(&mut self) -> Option<Self::Item> {
        step(&mut self.done, || self.source.try_next())
    }
}

fn step<T>(
    done: &mut bool,
    next: impl FnOnce() -> Result<T, NextError>,
) -> Option<Result<T, NextError>> {
    if *done {
        return None;
    }
    let next = next();
    *done = matches!(next, Err(error) if !matches!(error, NextError::Lagged { .. }));
    match next {
        Err(NextError::Closed | NextError::Empty) => None,
        other => Some(other),
    }
}
