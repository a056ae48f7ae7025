//! The operators as derived streams.

use super::driver::{DeriveError, Driver, Ended};
use super::pipeline::{Pipeline, Step, Tracked};
use super::stop::UNTIL_STOPPED;
use super::target::Target;
use super::{derive, Derived};
use crate::{source, Element, Memory, Name, NextError, Source, Stream, Wait, WaitSet};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Operators whose result is a stream in the region, for any process to subscribe to.
///
/// Each creates the result, or opens it if it is there, and starts a thread that drives it: that subscribes to this stream, applies
/// the operator and emits. The [`Derived`] that is returned stops the thread when it is dropped. When this stream is closed
/// and all its values are done, the result is closed, too.
///
/// `memory` is the memory that this stream lies in: the thread opens the stream in a clone of it, by name.
///
/// ```
/// use zeroipc::{Memory, Stream, StreamExt};
///
/// let memory = Memory::anonymous(1 << 16)?;
/// let temperature = Stream::<f32>::create(&memory, "temperature", 64)?;
/// let fahrenheit = temperature.map(&memory, "temp_f", |celsius| celsius * 1.8 + 32.0)?;
///
/// // In another process, say:
/// let mut temp_f = Stream::<f32>::open(&memory, "temp_f")?.subscribe()?;
/// temperature.emit(20.0)?;
/// assert_eq!(temp_f.next()?, 68.0);
///
/// fahrenheit.stop()?; // or by dropping it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ## When it is stopped, or killed
///
/// The result stays. Whoever derives the same name again, in any process, goes on where it was: **each value of this stream has
/// its effect on the result exactly once, in order**, wherever the thread was stopped, or its process killed, as long as this
/// stream still has the values that came meanwhile. If they were overwritten, those are left out, and [`Derived::missed`]
/// says how many. State is kept in the region where an operator has one ([`StreamExt::scan`], [`StreamExt::fold`], [`StreamExt::window`], ...); what a
/// closure keeps for itself is gone.
///
/// For that, small arrays lie beside the result `x`: `x.at` (where in its source it is; `x.at1` for a second source) and
/// `x.state`. With 4-byte words all this holds for the first 2^32 values.
///
/// One driver at a time is meant to derive a name. If there are two, one of them ends with [`DeriveError::Overtaken`] and the
/// other goes on.
///
/// A driver that is too slow for a stream without backpressure misses values like any subscriber. With backpressure it holds the
/// publishers up, also while it is dead, unless its party is registered and known to be dead.
pub trait StreamExt<T: Element> {
    /// What `f` makes of each value.
    ///
    /// # Errors
    /// [`DeriveError::Structure`]; [`DeriveError::Subscribe`]; [`DeriveError::NoThread`].
    fn map<'n, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        f: impl FnMut(T) -> U + Send + 'static,
    ) -> Result<Derived<U>, DeriveError>;

    /// The values that `keep` says yes to.
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn filter<'n>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        keep: impl FnMut(&T) -> bool + Send + 'static,
    ) -> Result<Derived<T>, DeriveError>;

    /// What `f` makes of each value, without those of which it makes nothing.
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn filter_map<'n, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        f: impl FnMut(T) -> Option<U> + Send + 'static,
    ) -> Result<Derived<U>, DeriveError>;

    /// What `f` makes of a state, which starts as `initial` and is kept in the region, and of each value. The result is closed
    /// when `f` returns `None`.
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn scan<'n, S: Element, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        initial: S,
        f: impl FnMut(&mut S, T) -> Option<U> + Send + 'static,
    ) -> Result<Derived<U>, DeriveError>;

    /// After each value, what `f` has made of `initial` and all of them: the last value of the result is the fold. (A fold of
    /// a stream that may never end has a value at any time, not one at the end.)
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn fold<'n, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        initial: U,
        f: impl FnMut(U, T) -> U + Send + 'static,
    ) -> Result<Derived<U>, DeriveError>;

    /// The first `count` values; then the result is closed.
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn take<'n>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        count: u64,
    ) -> Result<Derived<T>, DeriveError>;

    /// The values after the first `count` from where it began.
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn skip<'n>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        count: u64,
    ) -> Result<Derived<T>, DeriveError>;

    /// The values without those that equal the one before.
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn dedup<'n>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
    ) -> Result<Derived<T>, DeriveError>
    where
        T: PartialEq;

    /// Sliding windows of N values, as [`Source::window`].
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn window<'n, const N: usize>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
    ) -> Result<Derived<[T; N]>, DeriveError>;

    /// Windows of N values one after another, as [`Source::chunks`].
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn chunks<'n, const N: usize>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
    ) -> Result<Derived<[T; N]>, DeriveError>;

    /// What `fold` makes of `initial` and the values that come in each `length` of time, as [`Source::window_time`].
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn window_time<'n, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        length: Duration,
        initial: U,
        fold: impl FnMut(U, T) -> U + Send + 'static,
    ) -> Result<Derived<U>, DeriveError>;

    /// The values of both as they come, as [`Source::merge`]. Which of two that are there at the same time comes first may
    /// differ after a restart.
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn merge<'n>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        other: &Stream<'_, T>,
    ) -> Result<Derived<T>, DeriveError>;

    /// What `f` makes of the n-th of both, as [`Source::zip`].
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn zip<'n, B: Element, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        other: &Stream<'_, B>,
        f: impl FnMut(T, B) -> U + Send + 'static,
    ) -> Result<Derived<U>, DeriveError>;

    /// Calls `f` in a thread for each value from now on. Nothing is kept in the region.
    ///
    /// # Errors
    /// As [`StreamExt::map`].
    fn for_each(
        &self,
        memory: &Memory,
        f: impl FnMut(T) + Send + 'static,
    ) -> Result<Driver, DeriveError>;
}

/// Derives from the stream `name` by what `build` makes of the subscriber.
fn from_one<'n, T: Element, U: Element>(
    stream: &Stream<'_, T>,
    memory: &Memory,
    target: impl Into<Target<'n>>,
    build: impl for<'a> FnOnce(Pipeline<'a, U>, Tracked<'a, T>) -> Result<Ended, DeriveError>
        + Send
        + 'static,
) -> Result<Derived<U>, DeriveError> {
    let name = stream.name();
    let target = target.into().or_capacity(stream.capacity());
    derive(memory, target, move |mut pipeline| {
        let values = pipeline.subscribe(name.as_str())?;
        build(pipeline, values)
    })
}

/// A value for the result, or nothing of interest.
fn kept<U>(value: Option<U>) -> Step<U> {
    value.map_or(Step::Pass, Step::Emit)
}

impl<T: Element> StreamExt<T> for Stream<'_, T> {
    fn map<'n, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        f: impl FnMut(T) -> U + Send + 'static,
    ) -> Result<Derived<U>, DeriveError> {
        from_one(self, memory, target, |pipeline, values| pipeline.emit(values.map(f)))
    }

    fn filter<'n>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        mut keep: impl FnMut(&T) -> bool + Send + 'static,
    ) -> Result<Derived<T>, DeriveError> {
        self.filter_map(memory, target, move |value| keep(&value).then_some(value))
    }

    fn filter_map<'n, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        mut f: impl FnMut(T) -> Option<U> + Send + 'static,
    ) -> Result<Derived<U>, DeriveError> {
        from_one(self, memory, target, |pipeline, values| {
            pipeline.drive(values.map(move |value| kept(f(value))))
        })
    }

    fn scan<'n, S: Element, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        initial: S,
        mut f: impl FnMut(&mut S, T) -> Option<U> + Send + 'static,
    ) -> Result<Derived<U>, DeriveError> {
        from_one(self, memory, target, move |mut pipeline, values| {
            let state = pipeline.state(initial)?;
            pipeline.emit(values.scan((), move |(), value| {
                let mut now = state.get();
                let made = f(&mut now, value);
                state.set(now);
                made
            }))
        })
    }

    fn fold<'n, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        initial: U,
        mut f: impl FnMut(U, T) -> U + Send + 'static,
    ) -> Result<Derived<U>, DeriveError> {
        from_one(self, memory, target, move |pipeline, values| {
            let mut folded = pipeline.last()?.unwrap_or(initial);
            pipeline.emit(values.map(move |value| {
                folded = f(folded, value);
                folded
            }))
        })
    }

    fn take<'n>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        count: u64,
    ) -> Result<Derived<T>, DeriveError> {
        from_one(self, memory, target, move |pipeline, values| {
            let left = count.saturating_sub(pipeline.count());
            pipeline.emit(values.take(left))
        })
    }

    fn skip<'n>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        count: u64,
    ) -> Result<Derived<T>, DeriveError> {
        from_one(self, memory, target, move |pipeline, values| {
            // Until there is a result, its place is where it began.
            let left = if pipeline.count() == 0 { count } else { 0 };
            pipeline.emit(values.skip(left))
        })
    }

    fn dedup<'n>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
    ) -> Result<Derived<T>, DeriveError>
    where
        T: PartialEq,
    {
        from_one(self, memory, target, |pipeline, values| {
            let mut last = pipeline.last()?;
            pipeline.drive(values.map(move |value| {
                let new = last != Some(value);
                last = Some(value);
                kept(new.then_some(value))
            }))
        })
    }

    fn window<'n, const N: usize>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
    ) -> Result<Derived<[T; N]>, DeriveError> {
        from_one(self, memory, target, |pipeline, values| {
            // The last window but its oldest value is what the next one begins with.
            let begun = pipeline.last()?.into_iter().flatten().skip(1);
            pipeline.emit(After { first: begun, then: values }.window::<N>())
        })
    }

    fn chunks<'n, const N: usize>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
    ) -> Result<Derived<[T; N]>, DeriveError> {
        from_one(self, memory, target, |pipeline, values| pipeline.emit(values.chunks::<N>()))
    }

    fn window_time<'n, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        length: Duration,
        initial: U,
        fold: impl FnMut(U, T) -> U + Send + 'static,
    ) -> Result<Derived<U>, DeriveError> {
        from_one(self, memory, target, move |pipeline, values| {
            pipeline.emit(values.window_time(length, initial, fold))
        })
    }

    fn merge<'n>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        other: &Stream<'_, T>,
    ) -> Result<Derived<T>, DeriveError> {
        let other = other.name();
        from_one(self, memory, target, move |mut pipeline, values| {
            let others = pipeline.subscribe(other.as_str())?;
            pipeline.emit(values.merge(others))
        })
    }

    fn zip<'n, B: Element, U: Element>(
        &self,
        memory: &Memory,
        target: impl Into<Target<'n>>,
        other: &Stream<'_, B>,
        mut f: impl FnMut(T, B) -> U + Send + 'static,
    ) -> Result<Derived<U>, DeriveError> {
        let other: Name = other.name();
        from_one(self, memory, target, move |mut pipeline, values| {
            let others = pipeline.subscribe::<B>(other.as_str())?;
            pipeline.emit(values.zip(others).map(move |(value, other)| f(value, other)))
        })
    }

    fn for_each(
        &self,
        memory: &Memory,
        mut f: impl FnMut(T) + Send + 'static,
    ) -> Result<Driver, DeriveError> {
        let name = self.name();
        Driver::start(memory, move |memory, shared, ready| {
            let mut values = Stream::<T>::open(memory, name.as_str())?.subscribe()?;
            ready();
            while !shared.stop.is_stopped() {
                match values.next_with(&shared.stop, UNTIL_STOPPED) {
                    Ok(value) => f(value),
                    Err(NextError::Lagged { missed }) => {
                        shared.missed.fetch_add(missed, Relaxed);
                    }
                    Err(NextError::Closed) => return Ok(Ended::Closed),
                    Err(NextError::Timeout) => break,
                    Err(_) => return Err(DeriveError::Corrupt),
                }
            }
            Ok(Ended::Stopped)
        })
    }
}

/// A stream of what `f` makes of a state, one value after another, beginning with `seed`, each with the next state; it is closed
/// when `f` makes none. Infinite if it always does.
///
/// The state is kept in the region: after a restart it goes on, whatever `seed` says then. Nothing holds it up but its target: give
/// that a [pace](Target::every), or [backpressure](Target::backpressure) and subscribers; otherwise it runs as fast as it can.
///
/// ```
/// use std::time::Duration;
/// use zeroipc::{unfold, Memory, Target};
///
/// let memory = Memory::anonymous(1 << 16)?;
/// let target = Target::new("ticks").every(Duration::from_millis(1));
/// let ticks = unfold(&memory, target, 0_u64, |tick| Some((tick, tick + 1)))?;
/// let mut subscriber = ticks.stream()?.subscribe_from_oldest()?;
/// assert_eq!([subscriber.next()?, subscriber.next()?, subscriber.next()?], [0, 1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`StreamExt::map`].
pub fn unfold<'n, S: Element, U: Element>(
    memory: &Memory,
    target: impl Into<Target<'n>>,
    seed: S,
    mut f: impl FnMut(S) -> Option<(U, S)> + Send + 'static,
) -> Result<Derived<U>, DeriveError> {
    derive(memory, target, move |mut pipeline| {
        let state = pipeline.state(seed)?;
        pipeline.emit(source::from_iter(std::iter::from_fn(move || {
            let (value, next) = f(state.get())?;
            state.set(next);
            Some(value)
        })))
    })
}

/// Some values before those of a source.
#[derive(Debug)]
struct After<I, S> {
    first: I,
    then: S,
}

impl<'a, S: Source<'a>, I: Iterator<Item = S::Item>> Source<'a> for After<I, S> {
    type Item = S::Item;

    fn try_next(&mut self) -> Result<S::Item, NextError> {
        match self.first.next() {
            Some(value) => Ok(value),
            None => self.then.try_next(),
        }
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        self.then.announce(waiter, set);
    }

    fn due(&self, waiter: &dyn Wait) -> Option<u64> {
        self.then.due(waiter)
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.then.waiter()
    }
}
