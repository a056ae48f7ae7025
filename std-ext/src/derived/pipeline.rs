//! What a driver does: pulls from a chain of operators, emits into the result, and keeps its place in the region.
//!
//! Beside the result `x` lies, for each source, an array of two `u64`: `x.at`, `x.at1`, and so on. Element e modulo 2 says where
//! in that source whoever drives goes on when the result has e values: that sequence number plus 1, or 0 for never begun. So the
//! driver
//!
//! 1. takes what it needs for value e from its sources, and makes it;
//! 2. writes where its sources are now into element e + 1 modulo 2 of each array, none of which counts yet;
//! 3. emits the value as number e, and as no other ([`Stream::emit_at_with`]). From this moment on those elements count.
//!
//! Killed anywhere before step 3 has happened, its successor finds e values and makes value e again from the same place; killed
//! afterwards, it finds e + 1. Two drivers at once cannot both emit value e: one goes on, the other ends. Elements only grow
//! (`fetch_max`), so one that was stopped for long and ended by that has written nothing that counts.
//!
//! State that lives in the region (`x.state`) is kept in the same way.

use super::driver::{DeriveError, Ended, Shared};
use super::stop::UNTIL_STOPPED;
use super::target::{Manner, Start};
use crate::{
    Array, Element, EmitError, Memory, Name, NextError, Region, Source, Stream, Subscriber,
};
use crate::{SubscribeError, Wait, WaitSet};
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

/// What came of a pull.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<U> {
    /// A value for the result.
    Emit(U),
    /// None, and what was taken for it need not be looked at again. Only from operators without state.
    Pass,
}

/// What a derived stream is made by: subscribes to sources in the region, and emits what a chain of operators makes of them.
///
/// Given to the function that [`derive`](crate::derive) runs in a thread of its own.
pub struct Pipeline<'a, U> {
    region: Region<'a>,
    shared: &'a Shared,
    ready: &'a dyn Fn(),
    result: Stream<'a, U>,
    manner: Manner,
    /// How many values the result has.
    count: u64,
    sources: usize,
    /// Each writes where it is into the element for so many values.
    keepers: Vec<Box<dyn Fn(u64) -> Option<()> + 'a>>,
    stateful: bool,
}

impl<U> fmt::Debug for Pipeline<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("count", &self.count).finish_non_exhaustive()
    }
}

/// `name` with something behind it.
fn beside(name: Name, what: &str) -> String {
    format!("{name}{what}")
}

impl<'a, U: Element> Pipeline<'a, U> {
    pub(super) fn new(
        memory: &'a Memory,
        shared: &'a Shared,
        ready: &'a dyn Fn(),
        name: Name,
        manner: Manner,
    ) -> Result<Self, DeriveError> {
        let result = manner.open_result(memory, name.as_str())?;
        Ok(Pipeline {
            region: memory.region(),
            shared,
            ready,
            result,
            manner,
            count: result.next_sequence(),
            sources: 0,
            keepers: Vec::new(),
            stateful: false,
        })
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> Region<'a> {
        self.region
    }

    /// How many values the result had when this driver began: 0 unless it goes on with an earlier one's work.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The last value of the result, if there is one: what an operator may go on from.
    ///
    /// # Errors
    /// [`DeriveError::Overtaken`] if another driver has emitted so much meanwhile that it is gone; [`DeriveError::Corrupt`].
    pub fn last(&self) -> Result<Option<U>, DeriveError> {
        let Some(last) = self.count.checked_sub(1) else { return Ok(None) };
        match self.result.get(last) {
            Ok(value) => Ok(Some(value)),
            Err(NextError::Lagged { .. }) => Err(DeriveError::Overtaken),
            Err(_) => Err(DeriveError::Corrupt),
        }
    }

    /// Subscribes to the stream `name`: where an earlier driver of this result was, or else as the target says.
    ///
    /// An earlier driver's sources are told by the order in which they are subscribed to.
    ///
    /// # Errors
    /// [`DeriveError::Structure`], [`DeriveError::Subscribe`].
    pub fn subscribe<T: Element>(&mut self, name: &str) -> Result<Tracked<'a, T>, DeriveError> {
        let stream = Stream::<T>::open(self.region, name)?;
        let kept = match self.sources {
            0 => beside(self.result.name(), ".at"),
            source => beside(self.result.name(), &format!(".at{source}")),
        };
        self.sources += 1;
        let kept = Array::<u64>::open_or_create(self.region, &kept, 2)?;
        let now = (self.count % 2) as usize;
        let at = match kept.load(now).unwrap_or(0).checked_sub(1) {
            Some(at) => at,
            None => match self.manner.start {
                Start::Now => stream.next_sequence(),
                Start::Oldest => stream.oldest_sequence(),
            },
        };
        let subscriber = match stream.subscribe_at(at) {
            // Of another stream of that name, or spoilt. (Numbers of 4 bytes are modular: one far ahead may pass for one behind.)
            Err(SubscribeError::Ahead { .. }) => stream.subscribe()?,
            Ok(_) if at > stream.next_sequence() => stream.subscribe()?,
            subscribed => subscribed?,
        };
        // Said at once: what comes before the first result is not forgotten if we are killed.
        let position = Rc::new(Cell::new(subscriber.sequence()));
        let keep = {
            let position = position.clone();
            move |count: u64| {
                let next = position.get().saturating_add(1);
                kept.fetch_max((count % 2) as usize, next).ok().map(drop)
            }
        };
        keep(self.count).ok_or(DeriveError::Corrupt)?;
        self.keepers.push(Box::new(keep));
        Ok(Tracked { subscriber, position })
    }

    /// A state that is kept in the region: `initial`, or what an earlier driver of this result left with its last value.
    ///
    /// # Errors
    /// [`DeriveError::Structure`].
    pub fn state<S: Element>(&mut self, initial: S) -> Result<State<S>, DeriveError> {
        let kept =
            Array::<S>::open_or_create(self.region, &beside(self.result.name(), ".state"), 2)?;
        let found = (self.count > 0).then(|| kept.load((self.count % 2) as usize).ok()).flatten();
        let state = State(Rc::new(Cell::new(found.unwrap_or(initial))));
        let written = state.clone();
        self.keepers.push(Box::new(move |count| {
            // Not the element that counts now, so nobody finds half of it.
            kept.store((count % 2) as usize, written.get()).ok()
        }));
        self.stateful = true;
        Ok(state)
    }

    /// Emits all that comes from `source` into the result, until the source ends or the driver is stopped.
    ///
    /// # Errors
    /// [`DeriveError::Overtaken`], [`DeriveError::ResultClosed`], [`DeriveError::NoPublisher`], [`DeriveError::Corrupt`].
    pub fn emit(self, source: impl Source<'a, Item = U>) -> Result<Ended, DeriveError> {
        self.drive(source.map(Step::Emit))
    }

    pub(super) fn drive(
        mut self,
        mut source: impl Source<'a, Item = Step<U>>,
    ) -> Result<Ended, DeriveError> {
        (self.ready)();
        let stop = &self.shared.stop;
        let mut due = 0;
        while !stop.is_stopped() {
            match source.next_with(stop, UNTIL_STOPPED) {
                Ok(Step::Emit(value)) => {
                    self.keep(self.count + 1)?;
                    match self.result.emit_at_with(self.count, value, stop, UNTIL_STOPPED) {
                        Ok(_) => {
                            self.count += 1;
                            due = self.pause(due);
                        }
                        Err(EmitError::Timeout(_)) => return Ok(Ended::Stopped),
                        Err(EmitError::NotNext(_)) => return Err(DeriveError::Overtaken),
                        // By another driver, who has emitted this value and the rest, too?
                        Err(EmitError::Closed(_)) if self.result.next_sequence() > self.count => {
                            return Err(DeriveError::Overtaken);
                        }
                        Err(EmitError::Closed(_)) => return Err(DeriveError::ResultClosed),
                        Err(EmitError::Corrupt(_)) => return Err(DeriveError::Corrupt),
                        Err(_) => return Err(DeriveError::NoPublisher),
                    }
                }
                Ok(Step::Pass) if self.stateful => {}
                Ok(Step::Pass) => self.keep(self.count)?,
                Err(NextError::Lagged { missed }) => {
                    self.shared.missed.fetch_add(missed, Relaxed);
                }
                Err(NextError::Closed) => {
                    self.result.close().map_err(|_| DeriveError::NoPublisher)?;
                    return Ok(Ended::Closed);
                }
                Err(NextError::Timeout) => return Ok(Ended::Stopped),
                Err(_) => return Err(DeriveError::Corrupt),
            }
        }
        Ok(Ended::Stopped)
    }

    /// Waits for the time of the next value, if it has one; `due` was that of the last.
    fn pause(&self, due: u64) -> u64 {
        let (stop, period) = (&self.shared.stop, self.manner.period);
        if period == 0 {
            return 0;
        }
        let now = stop.now();
        // In step with the ones before, unless they were late by more than a period.
        let next = due.saturating_add(period);
        let next = if next < now { now } else { next };
        stop.sleep_until(next);
        next
    }

    /// Writes where everything is when the result has `count` values.
    fn keep(&self, count: u64) -> Result<(), DeriveError> {
        self.keepers.iter().try_for_each(|keep| keep(count)).ok_or(DeriveError::Corrupt)
    }
}

/// A subscriber whose place is kept in the region: from [`Pipeline::subscribe`].
#[derive(Debug)]
#[must_use = "a source does nothing until values are pulled from it"]
pub struct Tracked<'a, T: Element> {
    subscriber: Subscriber<'a, T>,
    position: Rc<Cell<u64>>,
}

impl<'a, T: Element> Source<'a> for Tracked<'a, T> {
    type Item = T;

    fn try_next(&mut self) -> Result<T, NextError> {
        let next = self.subscriber.try_next();
        if !matches!(next, Err(NextError::Empty)) {
            self.position.set(self.subscriber.sequence());
        }
        next
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        self.subscriber.announce(waiter, set);
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        Source::waiter(&self.subscriber)
    }
}

/// A state that is kept in the region with each value of the result: from [`Pipeline::state`].
#[derive(Clone)]
pub struct State<S>(Rc<Cell<S>>);

impl<S: Copy + fmt::Debug> fmt::Debug for State<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&self.get()).finish()
    }
}

impl<S: Copy> State<S> {
    /// What it is.
    #[must_use]
    pub fn get(&self) -> S {
        self.0.get()
    }

    /// Makes it something else, from the next value of the result on.
    pub fn set(&self, state: S) {
        self.0.set(state);
    }
}
