//! Windows of time.

use super::sieve::Sieve;
use super::Source;
use crate::error::NextError;
use crate::wait::{Wait, WaitSet};
use core::fmt;
use core::time::Duration;

/// Of [`Source::window_time`].
///
/// - The first window begins with the first pull, each later one where the one before ended; if nobody pulled for longer than
///   a window, it begins with the pull that finds that out.
/// - A value belongs to the window in which it is pulled. Waiting pulls in time: [`Source::next`] sleeps until a value comes or
///   the window ends.
/// - A window in which nothing came gives `initial`: a consumer hears from its source in every window.
/// - At the end of the source the last window is given if something came in it.
/// - [`NextError::Lagged`] comes through; the window goes on.
///
/// No allocation: the values are folded as they come. Without a clock (a source without a waiter) there is
/// [`NextError::NoWaiter`] at the first pull: see [`Source::window_time_with`].
#[derive(Clone)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct WindowTime<'a, S, B, F> {
    source: S,
    clock: Option<&'a dyn Wait>,
    /// Nanoseconds.
    length: u64,
    initial: B,
    fold: F,
    window: Option<Open<B>>,
    ended: bool,
    sieve: Sieve,
}

/// A window that has begun.
#[derive(Debug, Clone)]
struct Open<B> {
    end: u64,
    folded: B,
    count: u64,
}

impl<'a, S, B: Clone, F> WindowTime<'a, S, B, F> {
    pub(super) fn new(
        source: S,
        clock: Option<&'a dyn Wait>,
        length: Duration,
        initial: B,
        fold: F,
    ) -> Self {
        // A window has a length, or time would not pass.
        let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).max(1);
        let sieve = Sieve::default();
        WindowTime { source, clock, length, initial, fold, window: None, ended: false, sieve }
    }

    fn begin(&self, at: u64) -> Open<B> {
        Open { end: at.saturating_add(self.length), folded: self.initial.clone(), count: 0 }
    }
}

impl<S: fmt::Debug, B, F> fmt::Debug for WindowTime<'_, S, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowTime")
            .field("source", &self.source)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl<'a, S, B, F> Source<'a> for WindowTime<'a, S, B, F>
where
    S: Source<'a>,
    B: Clone,
    F: FnMut(B, S::Item) -> B,
{
    type Item = B;

    fn try_next(&mut self) -> Result<B, NextError> {
        if self.ended {
            return Err(NextError::Closed);
        }
        let now = self.clock.ok_or(NextError::NoWaiter)?.now();
        let mut window = self.window.take().unwrap_or_else(|| self.begin(now));
        if now >= window.end {
            let late = now - window.end >= self.length;
            self.window = Some(self.begin(if late { now } else { window.end }));
            return Ok(window.folded);
        }
        let (initial, fold) = (&self.initial, &mut self.fold);
        let pulled = self.sieve.pull_values(&mut self.source, |value| {
            // `initial` stands in while `fold` has it.
            let folded = core::mem::replace(&mut window.folded, initial.clone());
            window.folded = fold(folded, value);
            window.count += 1;
            None::<B>
        });
        self.ended = matches!(pulled, Err(NextError::Closed));
        if self.ended && window.count > 0 {
            return Ok(window.folded);
        }
        self.window = Some(window);
        pulled
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        self.source.announce(waiter, set);
    }

    fn due(&self, waiter: &dyn Wait) -> Option<u64> {
        if self.sieve.has_more() {
            return Some(0);
        }
        // The two clocks need not agree, only go alike.
        let left = self.window.as_ref()?.end.saturating_sub(self.clock?.now());
        let end = waiter.now().saturating_add(left);
        Some(self.source.due(waiter).map_or(end, |due| due.min(end)))
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.source.waiter().or(self.clock)
    }
}
