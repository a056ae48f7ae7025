//! Where a derived stream goes.

use crate::{Element, Memory, Stream, StreamOptions, StructureError};
use std::time::Duration;

/// The stream that operators derive into: its name, and how it is made if there is none yet.
///
/// A name alone does as well: then it keeps as many values as the stream that it is derived from.
///
/// ```
/// use zeroipc::{Memory, Stream, StreamExt, Target};
///
/// let memory = Memory::anonymous(1 << 16)?;
/// let celsius = Stream::<f32>::create(&memory, "celsius", 64)?;
/// let target = Target::new("fahrenheit").capacity(1024).from_oldest();
/// let fahrenheit = celsius.map(&memory, target, |celsius| celsius * 1.8 + 32.0)?;
/// assert_eq!(fahrenheit.stream()?.capacity(), 1024);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Target<'n> {
    pub(super) name: &'n str,
    pub(super) manner: Manner,
}

/// All of a target but its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    capacity: Option<usize>,
    options: StreamOptions,
    pub(super) start: Start,
    /// Nanoseconds from one value to the next at least.
    pub(super) period: u64,
}

/// Where a pipeline begins that has not run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Now,
    Oldest,
}

impl<'n> Target<'n> {
    /// The stream `name`, from what is emitted from now on.
    pub const fn new(name: &'n str) -> Self {
        let manner = Manner {
            capacity: None,
            options: StreamOptions::new().spares(DEATHS),
            start: Start::Now,
            period: 0,
        };
        Target { name, manner }
    }

    /// So many values are kept; at least 2.
    pub const fn capacity(mut self, capacity: usize) -> Self {
        self.manner.capacity = Some(capacity);
        self
    }

    /// The driver waits for the slowest of up to `subscribers` subscribers, instead of overwriting what it has not taken.
    pub const fn backpressure(mut self, subscribers: u32) -> Self {
        self.manner.options = self.manner.options.backpressure(subscribers);
        self
    }

    /// The first time it begins with the oldest value that its source has left, instead of the next one.
    pub const fn from_oldest(mut self) -> Self {
        self.manner.start = Start::Oldest;
        self
    }

    /// At most one value in each `period`; those that come faster wait in the source.
    ///
    /// For [`unfold`](crate::unfold), which has no other measure of time.
    pub const fn every(mut self, period: Duration) -> Self {
        let nanoseconds = period.as_nanos();
        self.manner.period =
            if nanoseconds > u64::MAX as u128 { u64::MAX } else { nanoseconds as u64 };
        self
    }

    /// With this capacity, unless one was chosen.
    pub(super) fn or_capacity(mut self, capacity: usize) -> Self {
        self.manner.capacity = self.manner.capacity.or(Some(capacity));
        self
    }
}

impl<'n> From<&'n str> for Target<'n> {
    fn from(name: &'n str) -> Self {
        Self::new(name)
    }
}

impl<'n> From<&'n String> for Target<'n> {
    fn from(name: &'n String) -> Self {
        Self::new(name)
    }
}

/// How many values a result keeps if nothing says otherwise.
const CAPACITY: usize = 256;

/// How many drivers may be killed in the middle of an emit: each takes a slot with it.
const DEATHS: u32 = 64;

impl Manner {
    /// Opens the result, or creates it.
    pub(super) fn open_result<'a, U: Element>(
        &self,
        memory: &'a Memory,
        name: &str,
    ) -> Result<Stream<'a, U>, StructureError> {
        // Of two values the last is there also while, or after, somebody was killed who wrote the next.
        let capacity = self.capacity.unwrap_or(CAPACITY).max(2);
        match Stream::open(memory, name) {
            Err(StructureError::NotFound { .. }) => {
                match Stream::create_with(memory, name, capacity, &self.options) {
                    Err(StructureError::Exists { .. }) => Stream::open(memory, name),
                    created => created,
                }
            }
            opened => opened,
        }
    }
}
