//! The bound on how many values one `try_next` may reject.

use super::Source;
use crate::error::NextError;

/// How many values one call takes at most.
const MOST: usize = 64;

/// Whether the last call stopped at the bound.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sieve {
    more: bool,
}

impl Sieve {
    /// Takes values from `source` until `keep` makes something of one; at most [`MOST`], and then says empty.
    pub(super) fn pull<'a, S: Source<'a>, U>(
        &mut self,
        source: &mut S,
        mut keep: impl FnMut(Result<S::Item, NextError>) -> Option<Result<U, NextError>>,
    ) -> Result<U, NextError> {
        self.more = false;
        for _ in 0..MOST {
            if let Some(kept) = keep(source.try_next()) {
                return kept;
            }
        }
        self.more = true;
        Err(NextError::Empty)
    }

    /// [`Sieve::pull`] where errors come through.
    pub(super) fn pull_values<'a, S: Source<'a>, U>(
        &mut self,
        source: &mut S,
        mut keep: impl FnMut(S::Item) -> Option<U>,
    ) -> Result<U, NextError> {
        self.pull(source, |next| match next {
            Ok(value) => keep(value).map(Ok),
            Err(error) => Some(Err(error)),
        })
    }

    /// Whether there may be more to see at once, although the last call said empty.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }
}
