//! Sources that make their values.

use super::Source;
use crate::error::NextError;
use core::fmt;

/// The items of an iterator.
///
/// ```
/// use zeroipc_nostd::{source, NextError, Source};
/// let mut letters = source::from_iter("ab".chars());
/// assert_eq!(letters.try_next(), Ok('a'));
/// assert_eq!(letters.try_next(), Ok('b'));
/// assert_eq!(letters.try_next(), Err(NextError::Closed));
/// ```
pub fn from_iter<I: IntoIterator>(items: I) -> FromIter<I::IntoIter> {
    FromIter { items: items.into_iter(), done: false }
}

/// Of [`from_iter`].
#[derive(Debug, Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct FromIter<I> {
    items: I,
    done: bool,
}

impl<I: Iterator> Source<'_> for FromIter<I> {
    type Item = I::Item;

    fn try_next(&mut self) -> Result<I::Item, NextError> {
        if self.done {
            return Err(NextError::Closed);
        }
        let item = self.items.next();
        self.done = item.is_none();
        item.ok_or(NextError::Closed)
    }
}

/// The values that `f` makes of a state, one after another, beginning with `seed`: each with the next state, until it makes
/// none. The opposite of a fold, and as long as one likes: infinite if `f` always makes one.
///
/// ```
/// use zeroipc_nostd::{source, Source};
/// let mut fibonacci = source::unfold((0_u64, 1), |(a, b)| Some((a, (b, a + b))));
/// assert!(fibonacci.by_ref().take(7).iter().eq([0, 1, 1, 2, 3, 5, 8].map(Ok)));
/// assert_eq!(fibonacci.next(), Ok(13));
/// ```
pub fn unfold<State, T, F: FnMut(State) -> Option<(T, State)>>(
    seed: State,
    f: F,
) -> Unfold<State, F> {
    Unfold { state: Some(seed), f }
}

/// Of [`unfold`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Unfold<State, F> {
    /// `None` after the end.
    state: Option<State>,
    f: F,
}

impl<State: fmt::Debug, F> fmt::Debug for Unfold<State, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfold").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<State, T, F: FnMut(State) -> Option<(T, State)>> Source<'_> for Unfold<State, F> {
    type Item = T;

    fn try_next(&mut self) -> Result<T, NextError> {
        let state = self.state.take().ok_or(NextError::Closed)?;
        let (value, next) = (self.f)(state).ok_or(NextError::Closed)?;
        self.state = Some(next);
        Ok(value)
    }
}
