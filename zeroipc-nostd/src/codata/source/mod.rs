//! Values that are pulled one after another, from a region or made, and what is made of them: as iterators, but a source may
//! have no value *yet*, and whoever needs one sleeps until there is.
//!
//! [`Source`] is the trait, with all adapters as its methods. A [`Subscriber`](crate::Subscriber) of a stream, the
//! [`Consumer`](crate::Consumer) of a ring and a [`Queue`](crate::Queue) (popping) are sources; [`from_iter`] and [`unfold`] make
//! values; your own types become sources by one method. Nothing here allocates, and nothing runs until it is pulled.
//!
//! ```
//! use zeroipc_nostd::{source, FormatOptions, NextError, Queue, Region, Source, Span};
//!
//! # let mut memory = vec![0_u64; 1024];
//! # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
//! let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
//! let celsius = Queue::<f32>::create(region, "celsius", 16)?;
//!
//! let mut alarms = celsius.map(|celsius| celsius * 1.8 + 32.0).filter(|f| *f > 100.0).zip(source::from_iter(1..));
//! assert_eq!(alarms.try_next(), Err(NextError::Empty)); // not yet
//! for reading in [21.5, 40.0, 22.0, 45.0] {
//!     celsius.try_push(reading)?;
//! }
//! assert_eq!(alarms.try_next(), Ok((104.0, 1)));
//! assert_eq!(alarms.try_next(), Ok((113.0, 2)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## What all adapters keep to
//!
//! - **Order.** Values come in the order of the source. [`Source::merge`] keeps the order within each of its two.
//! - **Lag.** [`NextError::Lagged`] comes through unchanged, at its place among the values, and the next call goes on. What
//!   an adapter makes of a gap is said there: windows never span one, and [`Source::zip`] still pairs the n-th with the n-th.
//!   [`Source::lossy`] passes over gaps and counts what was missed.
//! - **The end.** [`NextError::Closed`] comes when no value can come any more, also on every later call.
//! - **A bound.** One `try_next` of an adapter that may reject values ([`Source::filter`], [`Source::skip`], ...) takes at most 64 of
//!   its source and then says [`NextError::Empty`], whatever the source still has: a peer that feeds it faster than it can reject
//!   does not keep it for ever. Waiting forms know the difference and do not go to sleep on what is there.
//! - **Waiting.** One sleep waits for everything that a chain depends on; a wake-up is never lost, and one that was meant for
//!   somebody else too is passed on.

mod ends;
mod iter;
mod join;
mod made;
mod parts;
mod sieve;
mod structures;
mod timed;
mod waiting;
mod window;

pub use ends::{Skip, SkipWhile, Take, TakeWhile};
pub use iter::{Iter, TryIter};
pub use join::{Merge, Zip};
pub use made::{from_iter, unfold, FromIter, Unfold};
pub use parts::{Dedup, Filter, FilterMap, Inspect, Latest, Lossy, Map, Scan};
pub use timed::WindowTime;
pub use window::{Chunks, Window};

use crate::error::NextError;
use crate::wait::{Wait, WaitSet};
use core::time::Duration;

/// Values that are pulled one after another: see [the module](self).
///
/// `'a` is the life of the memory that it depends on, if any:
///
/// ```
/// use zeroipc_nostd::{source, NextError, Source};
///
/// /// The mean of all that come, until the end.
/// fn mean<'a>(mut readings: impl Source<'a, Item = f64>) -> Result<f64, NextError> {
///     let (sum, count) = readings.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1))?;
///     Ok(sum / f64::from(count))
/// }
/// assert_eq!(mean(source::from_iter([1.0, 2.0, 6.0])), Ok(3.0));
/// ```
///
/// A type of your own needs `try_next` alone if it never waits for anything:
///
/// ```
/// use zeroipc_nostd::{NextError, Source};
///
/// struct Countdown(u32);
///
/// impl Source<'_> for Countdown {
///     type Item = u32;
///
///     fn try_next(&mut self) -> Result<u32, NextError> {
///         self.0 = self.0.checked_sub(1).ok_or(NextError::Closed)?;
///         Ok(self.0)
///     }
/// }
/// assert!(Countdown(3).iter().eq([Ok(2), Ok(1), Ok(0)]));
/// ```
#[must_use = "a source does nothing until values are pulled from it"]
pub trait Source<'a> {
    /// What comes.
    type Item;

    /// The next value, if there is one: never waits.
    ///
    /// # Errors
    /// [`NextError::Empty`]: none yet. [`NextError::Closed`]: none any more. [`NextError::Lagged`]: values were missed, and the
    /// next call goes on behind them. [`NextError::Corrupt`]: a peer has spoilt the structure.
    fn try_next(&mut self) -> Result<Self::Item, NextError>;

    /// Announces a sleeper on everything that may bring the next value: adds the words to sleep on to `set`.
    ///
    /// Whoever calls it looks once more (by `try_next`) and asks [`Source::due`] before going to sleep. A source that announces
    /// nothing is looked at again and again.
    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        let _ = (waiter, set);
    }

    /// When to look again even if nobody wakes, on the clock of `waiter`: 0 for at once, although the last `try_next` said
    /// empty; `None` if there is nothing to see before a wake-up.
    fn due(&self, waiter: &dyn Wait) -> Option<u64> {
        let _ = waiter;
        None
    }

    /// What it waits by if nothing else is given: the notifier of its region.
    fn waiter(&self) -> Option<&'a dyn Wait> {
        None
    }

    /// The next value, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`Source::try_next`], but never [`NextError::Empty`]; [`NextError::NoWaiter`] if there is none and the region was
    /// opened without a notifier.
    fn next(&mut self) -> Result<Self::Item, NextError> {
        waiting::next(self, None)
    }

    /// The next value, waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Source::next`]; [`NextError::Timeout`], never early.
    fn next_timeout(&mut self, timeout: Duration) -> Result<Self::Item, NextError> {
        waiting::next(self, Some(timeout))
    }

    /// The next value, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Source::try_next`], but never [`NextError::Empty`]; [`NextError::Timeout`], never before the deadline.
    fn next_with(
        &mut self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<Self::Item, NextError> {
        waiting::next_with(self, waiter, deadline)
    }

    /// What `f` makes of each value.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// assert!(source::from_iter(1..=3).map(|n| n * n).iter().eq([Ok(1), Ok(4), Ok(9)]));
    /// ```
    fn map<U, F: FnMut(Self::Item) -> U>(self, f: F) -> Map<Self, F>
    where
        Self: Sized,
    {
        Map { source: self, f }
    }

    /// The values that `keep` says yes to. One `try_next` looks at 64 at most.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// assert!(source::from_iter(1..=5).filter(|n| n % 2 == 0).iter().eq([Ok(2), Ok(4)]));
    /// ```
    fn filter<F: FnMut(&Self::Item) -> bool>(self, keep: F) -> Filter<Self, F>
    where
        Self: Sized,
    {
        Filter { source: self, keep, sieve: sieve::Sieve::default() }
    }

    /// What `f` makes of each value, without those of which it makes nothing. One `try_next` looks at 64 at most.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// let words = source::from_iter(["1", "two", "3"]);
    /// assert!(words.filter_map(|word| word.parse::<u32>().ok()).iter().eq([Ok(1), Ok(3)]));
    /// ```
    fn filter_map<U, F: FnMut(Self::Item) -> Option<U>>(self, f: F) -> FilterMap<Self, F>
    where
        Self: Sized,
    {
        FilterMap { source: self, f, sieve: sieve::Sieve::default() }
    }

    /// The same values; `f` sees each as it passes.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// let mut seen = 0;
    /// source::from_iter(1..=3).inspect(|n| seen += n).for_each(drop)?;
    /// assert_eq!(seen, 6);
    /// # Ok::<(), zeroipc_nostd::NextError>(())
    /// ```
    fn inspect<F: FnMut(&Self::Item)>(self, f: F) -> Inspect<Self, F>
    where
        Self: Sized,
    {
        Inspect { source: self, f }
    }

    /// What `f` makes of a state, which starts as `initial`, and of each value. It ends when `f` returns `None`.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// let sums = source::from_iter([1, 2, 3]).scan(0, |sum, n| {
    ///     *sum += n;
    ///     Some(*sum)
    /// });
    /// assert!({ sums }.iter().eq([Ok(1), Ok(3), Ok(6)]));
    /// ```
    fn scan<State, U, F: FnMut(&mut State, Self::Item) -> Option<U>>(
        self,
        initial: State,
        f: F,
    ) -> Scan<Self, State, F>
    where
        Self: Sized,
    {
        Scan { source: self, state: initial, f, done: false }
    }

    /// The values without those that equal the one before. One `try_next` looks at 64 at most.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// assert!(source::from_iter([1, 1, 2, 2, 1]).dedup().iter().eq([Ok(1), Ok(2), Ok(1)]));
    /// ```
    fn dedup(self) -> Dedup<Self, Self::Item>
    where
        Self: Sized,
        Self::Item: PartialEq + Clone,
    {
        Dedup { source: self, last: None, sieve: sieve::Sieve::default() }
    }

    /// The newest of the values that are there, without those before it; of 64 at a time.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// assert_eq!(source::from_iter([1, 2, 3]).latest().next(), Ok(3));
    /// ```
    fn latest(self) -> Latest<Self>
    where
        Self: Sized,
    {
        Latest { source: self, error: None }
    }

    /// The values without [`NextError::Lagged`] between them; [`Lossy::missed`] counts what was missed.
    fn lossy(self) -> Lossy<Self>
    where
        Self: Sized,
    {
        Lossy { source: self, missed: 0, sieve: sieve::Sieve::default() }
    }

    /// The first `count` values, and then the end, for which the source is not asked.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// assert!(source::from_iter(1..).take(2).iter().eq([Ok(1), Ok(2)]));
    /// ```
    fn take(self, count: u64) -> Take<Self>
    where
        Self: Sized,
    {
        Take { source: self, left: count }
    }

    /// The values before the first that `f` says no to, which is lost.
    fn take_while<F: FnMut(&Self::Item) -> bool>(self, f: F) -> TakeWhile<Self, F>
    where
        Self: Sized,
    {
        TakeWhile { source: self, f, done: false }
    }

    /// The values after the first `count`. What was missed among those counts as skipped, and is not told. One `try_next` skips 64 at
    /// most.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// assert!(source::from_iter(1..=4).skip(2).iter().eq([Ok(3), Ok(4)]));
    /// ```
    fn skip(self, count: u64) -> Skip<Self>
    where
        Self: Sized,
    {
        Skip { source: self, left: count, sieve: sieve::Sieve::default() }
    }

    /// The values from the first on that `f` says no to. One `try_next` looks at 64 at most.
    fn skip_while<F: FnMut(&Self::Item) -> bool>(self, f: F) -> SkipWhile<Self, F>
    where
        Self: Sized,
    {
        SkipWhile { source: self, f, done: false, sieve: sieve::Sieve::default() }
    }

    /// Sliding windows: the first N values, then those from the second to the one after, and so on, as
    /// [`slice::windows`]. A window never spans a gap: after [`NextError::Lagged`] the next one begins behind it.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// let mut smooth = source::from_iter([1.0, 2.0, 6.0, 4.0]).window::<3>().map(|w| w.iter().sum::<f64>() / 3.0);
    /// assert!(smooth.iter().eq([Ok(3.0), Ok(4.0)]));
    /// ```
    fn window<const N: usize>(self) -> Window<Self, Self::Item, N>
    where
        Self: Sized,
        Self::Item: Copy,
    {
        Window { source: self, run: window::Run::new() }
    }

    /// Windows one after another: the first N values, the next N, and so on, as [`slice::chunks_exact`]; what is left at the end is
    /// [`Chunks::remainder`]. A window never spans a gap: what was collected before [`NextError::Lagged`] is dropped.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// assert!(source::from_iter(1..=5).chunks::<2>().iter().eq([Ok([1, 2]), Ok([3, 4])]));
    /// ```
    fn chunks<const N: usize>(self) -> Chunks<Self, Self::Item, N>
    where
        Self: Sized,
        Self::Item: Copy,
    {
        Chunks { source: self, run: window::Run::new() }
    }

    /// Windows of time, one after another: what `fold` makes of `initial` and the values that are pulled in each `length` of the
    /// source's clock, also when none are. See [`WindowTime`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// use zeroipc_nostd::{NextError, Source};
    ///
    /// /// How many values come in each second.
    /// fn rates<'a>(events: impl Source<'a>) -> impl Source<'a, Item = u32> {
    ///     events.window_time(Duration::from_secs(1), 0, |count, _| count + 1)
    /// }
    /// # let _ = rates(zeroipc_nostd::source::from_iter([1]));
    /// ```
    fn window_time<B, F>(self, length: Duration, initial: B, fold: F) -> WindowTime<'a, Self, B, F>
    where
        Self: Sized,
        B: Clone,
        F: FnMut(B, Self::Item) -> B,
    {
        let clock = self.waiter();
        WindowTime::new(self, clock, length, initial, fold)
    }

    /// [`Source::window_time`] by a clock of one's own.
    fn window_time_with<B, F>(
        self,
        clock: &'a dyn Wait,
        length: Duration,
        initial: B,
        fold: F,
    ) -> WindowTime<'a, Self, B, F>
    where
        Self: Sized,
        B: Clone,
        F: FnMut(B, Self::Item) -> B,
    {
        WindowTime::new(self, Some(clock), length, initial, fold)
    }

    /// The values of both as they come; while both have some, in turn, beginning with this one. It ends when both have.
    ///
    /// An error of one comes through in its turn, and the other goes on.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// let mut both = source::from_iter([1, 2, 3]).merge(source::from_iter([10]));
    /// assert!(both.iter().eq([Ok(1), Ok(10), Ok(2), Ok(3)]));
    /// ```
    fn merge<B: Source<'a, Item = Self::Item>>(self, other: B) -> Merge<Self, B>
    where
        Self: Sized,
    {
        Merge::new(self, other)
    }

    /// Pairs: the n-th of this one with the n-th of the other. It ends when one of them does.
    ///
    /// If one has missed values ([`NextError::Lagged`], which comes through), as many are dropped from the other: what is paired
    /// belongs together.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// let mut pairs = source::from_iter([1, 2, 3]).zip(source::from_iter(["a", "b"]));
    /// assert!(pairs.iter().eq([Ok((1, "a")), Ok((2, "b"))]));
    /// ```
    fn zip<B: Source<'a>>(self, other: B) -> Zip<Self, B, Self::Item, B::Item>
    where
        Self: Sized,
    {
        Zip::new(self, other)
    }

    /// Gives each value to `f`, waiting for more, until the end.
    ///
    /// # Errors
    /// [`NextError::Lagged`], after which it may be called again to go on ([`Source::lossy`] before it does without);
    /// [`NextError::NoWaiter`]; [`NextError::Corrupt`].
    fn for_each<F: FnMut(Self::Item)>(&mut self, mut f: F) -> Result<(), NextError>
    where
        Self: Sized,
    {
        self.fold((), |(), value| f(value))
    }

    /// What `f` makes of `initial` and all values, waiting for more, until the end.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// assert_eq!(source::from_iter(1..=4).fold(1, |product, n| product * n), Ok(24));
    /// ```
    ///
    /// # Errors
    /// [`NextError::Lagged`] (put [`Source::lossy`] before it to go on); [`NextError::NoWaiter`]; [`NextError::Corrupt`].
    fn fold<B, F: FnMut(B, Self::Item) -> B>(
        &mut self,
        initial: B,
        mut f: F,
    ) -> Result<B, NextError>
    where
        Self: Sized,
    {
        let mut folded = initial;
        loop {
            match self.next() {
                Ok(value) => folded = f(folded, value),
                Err(NextError::Closed) => return Ok(folded),
                Err(error) => return Err(error),
            }
        }
    }

    /// An iterator that waits for each value. It ends with the source, and after an error that does not pass
    /// ([`NextError::NoWaiter`], [`NextError::Corrupt`]).
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// for value in source::from_iter([1, 2]).iter() {
    ///     println!("{}", value?);
    /// }
    /// # Ok::<(), zeroipc_nostd::NextError>(())
    /// ```
    fn iter(&mut self) -> Iter<'_, 'a, Self>
    where
        Self: Sized,
    {
        Iter::new(self)
    }

    /// An iterator over what is there now, without waiting. It ends where there is no value yet as at the end.
    fn try_iter(&mut self) -> TryIter<'_, 'a, Self>
    where
        Self: Sized,
    {
        TryIter::new(self)
    }

    /// The source itself, to use adapters on it for a while.
    ///
    /// ```
    /// use zeroipc_nostd::{source, Source};
    /// let mut all = source::from_iter(1..=4);
    /// assert!(all.by_ref().take(2).iter().eq([Ok(1), Ok(2)]));
    /// assert_eq!(all.next(), Ok(3));
    /// ```
    fn by_ref(&mut self) -> &mut Self
    where
        Self: Sized,
    {
        self
    }
}

impl<'a, S: Source<'a> + ?Sized> Source<'a> for &mut S {
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        (**self).try_next()
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        (**self).announce(waiter, set);
    }

    fn due(&self, waiter: &dyn Wait) -> Option<u64> {
        (**self).due(waiter)
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        (**self).waiter()
    }
}

/// `Debug` without what cannot be shown: closures, and values that need not be `Debug`.
macro_rules! debug_by {
    ($name:ident<$($parameter:ident),*> $field:ident) => {
        impl<$($parameter),*> core::fmt::Debug for $name<$($parameter),*>
        where
            S: core::fmt::Debug,
        {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name)).field("source", &self.$field).finish_non_exhaustive()
            }
        }
    };
}
use debug_by;

/// Waiting as the one source inside does; `sieve` names the field that knows whether more is there.
macro_rules! waits_as_inner {
    ($($sieve:ident)?) => {
        fn announce(&self, waiter: &dyn $crate::wait::Wait, set: &mut $crate::wait::WaitSet<'a>) {
            self.source.announce(waiter, set);
        }

        fn due(&self, waiter: &dyn $crate::wait::Wait) -> Option<u64> {
            $(if self.$sieve.has_more() {
                return Some(0);
            })?
            self.source.due(waiter)
        }

        fn waiter(&self) -> Option<&'a dyn $crate::wait::Wait> {
            self.source.waiter()
        }
    };
}
use waits_as_inner;
