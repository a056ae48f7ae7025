//! Streams that are derived from streams: an operator that runs in a thread and whose result lies in the region under a name, so
//! that any process subscribes to it.

mod driver;
mod operators;
mod pipeline;
mod stop;
mod target;

pub use driver::{DeriveError, Driver, Ended};
pub use operators::{unfold, StreamExt};
pub use pipeline::{Pipeline, State, Tracked};
pub use target::Target;

use crate::{Element, Memory, Name, Stream, StructureError};
use std::marker::PhantomData;

/// A stream that this process derives: the thread that drives it, and the way to its result.
///
/// Dropping it stops the thread and waits for its end; the result stays in the region, and whoever derives the same name again
/// goes on where it was. See [`StreamExt`].
#[derive(Debug)]
#[must_use = "dropped at once, it stops at once"]
pub struct Derived<U> {
    driver: Driver,
    memory: Memory,
    name: Name,
    values: PhantomData<fn() -> U>,
}

impl<U: Element> Derived<U> {
    /// The result.
    ///
    /// # Errors
    /// [`StructureError`], only if a peer has spoilt the region.
    pub fn stream(&self) -> Result<Stream<'_, U>, StructureError> {
        Stream::open(&self.memory, self.name.as_str())
    }

    /// Stops the thread: if it waits it is woken, if it works it finishes the value that it has. The result stays open.
    ///
    /// Returns how it ended, which may be for a reason before this call.
    ///
    /// # Errors
    /// [`DeriveError`], if it had given up.
    pub fn stop(self) -> Result<Ended, DeriveError> {
        self.driver.stop()
    }

    /// Waits until it ends by itself: when its source closes, all values are done and the result is closed.
    ///
    /// # Errors
    /// [`DeriveError`], if it gave up.
    pub fn join(self) -> Result<Ended, DeriveError> {
        self.driver.join()
    }

    /// Lets it run without a handle: until the source closes, or the process ends.
    pub fn detach(self) {
        self.driver.detach();
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.driver.is_running()
    }

    /// How many values of its sources this driver has missed so far, because they were overwritten before it took them.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.driver.missed()
    }
}

/// Derives a stream by any chain of operators on any number of streams: `build` subscribes to its sources and emits what it makes
/// of them, in a thread of its own. Returns once it emits, or with the error that kept it from that.
///
/// ```
/// use zeroipc::{derive, Memory, Source, Stream};
///
/// let memory = Memory::anonymous(1 << 16)?;
/// let volts = Stream::<f64>::create(&memory, "volts", 64)?;
/// let amperes = Stream::<f64>::create(&memory, "amperes", 64)?;
///
/// let watts = derive::<f64>(&memory, "watts", |mut pipeline| {
///     let volts = pipeline.subscribe::<f64>("volts")?;
///     let amperes = pipeline.subscribe::<f64>("amperes")?;
///     pipeline.emit(volts.zip(amperes).map(|(volts, amperes)| volts * amperes))
/// })?;
/// let mut meter = watts.stream()?.subscribe()?;
/// volts.emit(5.0)?;
/// amperes.emit(2.0)?;
/// assert_eq!(meter.next()?, 10.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **What a successor knows** after this driver was stopped or killed: where each source was when the last value was emitted, and
/// every [`Pipeline::state`]. So a chain of operators that keep nothing else in mind (map, filter, inspect, zip, merge) goes on
/// exactly; one that does ([`Source::scan`](crate::Source::scan), [`Source::window`](crate::Source::window), ...) begins with its memory empty. The methods of
/// [`StreamExt`] see to theirs.
///
/// # Errors
/// [`DeriveError`]: what `build` returned before it emitted; no room for the result.
pub fn derive<'n, U: Element>(
    memory: &Memory,
    target: impl Into<Target<'n>>,
    build: impl for<'a> FnOnce(Pipeline<'a, U>) -> Result<Ended, DeriveError> + Send + 'static,
) -> Result<Derived<U>, DeriveError> {
    let Target { name, manner } = target.into();
    let name = Name::new(name).map_err(StructureError::Name)?;
    let driver = Driver::start(memory, move |memory, shared, ready| {
        build(Pipeline::new(memory, shared, ready, name, manner)?)
    })?;
    Ok(Derived { driver, memory: memory.clone(), name, values: PhantomData })
}
