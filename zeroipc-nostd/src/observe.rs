//! Following the values of a structure without taking part: by loads alone, knowing the size of an element and not its type.

use crate::array::Elements;
use crate::codata::{channel_buffer, StreamObserver};
use crate::error::{NextError, StructureError};
use crate::geometry::WordSize;
use crate::prefix::Kind;
use crate::queue::QueueObserver;
use crate::ring::RingObserver;
use crate::sync::{Word, HAS_WIDE};
use crate::synchronisation::SignalObserver;
use crate::view::{check_geometry, View};

/// How often one look starts again because what it looked at was taken out meanwhile.
pub(crate) const TURNS: u32 = 16;

/// Follows the values of a Stream, a Ring, a Queue, a Channel or a Signal by loads alone: it takes no role, wakes nobody, is waited for by nobody and can
/// hold up nobody. From [`View::observe`], which needs no more than a read-only mapping.
///
/// | kind | values | sequence | misses |
/// |---|---|---|---|
/// | Stream | each value emitted | its sequence number from 0 | what is overwritten before it is copied: exactly |
/// | Ring | each element pushed | its number from 0 | what is popped before it is copied: exactly |
/// | Queue | each element pushed | its ticket from 0 | what is popped before it is copied, and pushes that others displaced, which had no value |
/// | Channel with a buffer | as Queue | as Queue | as Queue |
/// | Signal | the current value, once for each version | the version | versions that were never current at a look: exactly |
///
/// A value is shown only if it was still in the structure after it was copied: so it is whole, and in its place.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, NextError, Region, Ring, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let samples = Ring::<u32>::create(region, "samples", 64)?;
/// let (mut producer, mut consumer) = (samples.producer()?, samples.consumer()?);
///
/// let mut observer = region.view().observe("samples")?;
/// for n in 10..13 {
///     producer.try_push(n)?;
/// }
/// assert_eq!(consumer.try_pop(), Ok(10)); // before we looked
///
/// let mut value = [0; 4];
/// assert_eq!(observer.try_next(&mut value)?.sequence, 1);
/// assert_eq!(u32::from_le_bytes(value), 11);
/// assert_eq!(observer.missed(), 1);
/// assert_eq!(observer.try_next(&mut value)?.sequence, 2);
/// assert_eq!(observer.try_next(&mut value), Err(NextError::Empty));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Observer<'a> {
    kind: Kind,
    elem_size: u32,
    taken: bool,
    missed: u64,
    source: Source<'a>,
}

/// A value that was seen: its bytes are where [`Observer::try_next`] was told to put them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Which one: see [`Observer`]. Words of 4 bytes wrap around; this counts on, if fewer than 2^31 pass between two looks.
    pub sequence: u64,
    /// Whether it had been taken out of the structure when it was copied, so that nothing proves it: see
    /// [`Observer::including_taken`].
    pub taken: bool,
}

#[derive(Debug)]
enum Source<'a> {
    Ring(RingObserver<'a>),
    Queue(QueueObserver<'a>),
    Signal(SignalObserver<'a>),
    Stream(StreamObserver<'a>),
}

/// What can be followed.
pub(crate) trait Passing {
    /// Begins with the last `count` values that are still there.
    fn rewind(&mut self, count: u64, taken: bool);

    /// The next value, into `value`; counts in `missed` what is passed over.
    fn try_next(
        &mut self,
        value: &mut [u8],
        taken: bool,
        missed: &mut u64,
    ) -> Result<Seen, NextError>;
}

/// How far `word` is ahead of `position`, which counts on where words wrap around; none if it lies behind.
pub(crate) fn ahead<W: Word>(position: u64, word: W) -> Option<u64> {
    let apart = word.minus(W::low(position));
    (!apart.is_negative()).then_some(apart.wide())
}

impl<'a> View<'a> {
    /// Follows the Stream, Ring, Queue, Channel (with a buffer) or Signal `name` from the next value on: what is in it now is not seen unless
    /// [`Observer::rewind`] asks for it.
    ///
    /// # Errors
    /// [`StructureError::NotFound`], [`StructureError::Corrupt`], [`StructureError::UnknownLayout`],
    /// [`StructureError::NeedsWideAtomics`], [`StructureError::Stale`]; [`StructureError::NotAFlow`] for a structure of another kind: see [`View::elements`] for
    /// Arrays.
    pub fn observe(&self, name: &str) -> Result<Observer<'a>, StructureError> {
        let entry = self.find(name)?;
        if !self.is_current() {
            return Err(StructureError::Stale);
        }
        let (span, prefix) = self.prefix(&entry)?;
        let name = entry.name;
        if check_geometry(&prefix, name)?.word() == WordSize::Eight && !HAS_WIDE {
            return Err(StructureError::NeedsWideAtomics { name });
        }
        let (kind, elem_size) = (prefix.kind, prefix.elem_size);
        let source = match kind {
            Kind::RING => RingObserver::new(span, &prefix).map(Source::Ring),
            Kind::QUEUE => QueueObserver::new(span, &prefix).map(Source::Queue),
            Kind::CHANNEL if prefix.capacity > 0 => channel_buffer(span, &prefix)
                .and_then(|(part, inner)| QueueObserver::new(part, &inner))
                .map(Source::Queue),
            Kind::SIGNAL => SignalObserver::new(span, &prefix).map(Source::Signal),
            Kind::STREAM => StreamObserver::new(span, &prefix).map(Source::Stream),
            _ => return Err(StructureError::NotAFlow { name, kind }),
        };
        let source = source.ok_or(StructureError::Corrupt { name, what: "its capacity" })?;
        Ok(Observer { kind, elem_size, taken: false, missed: 0, source })
    }

    /// The elements of the Array `name`, as bytes.
    ///
    /// # Errors
    /// [`StructureError::NotFound`], [`StructureError::WrongKind`], [`StructureError::Corrupt`],
    /// [`StructureError::UnknownLayout`], [`StructureError::Stale`].
    pub fn elements(&self, name: &str) -> Result<Elements<'a>, StructureError> {
        let entry = self.find(name)?;
        if !self.is_current() {
            return Err(StructureError::Stale);
        }
        let (span, prefix) = self.prefix(&entry)?;
        let (name, found) = (entry.name, prefix.kind);
        if found != Kind::ARRAY {
            return Err(StructureError::WrongKind { name, expected: Kind::ARRAY, found });
        }
        check_geometry(&prefix, name)?;
        Elements::new(span, &prefix).ok_or(StructureError::Corrupt { name, what: "its capacity" })
    }
}

impl Observer<'_> {
    /// What is followed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes of a value.
    #[must_use]
    pub fn elem_size(&self) -> usize {
        self.elem_size as usize
    }

    /// Shows of a Ring, a Queue or a Channel also values that were taken out before they were copied, as long as their slot does not count as
    /// used again: [`Seen::taken`] marks them.
    ///
    /// Nearly always such a value is what it was. But the layouts do not tell how far the producer of a Ring is writing ahead, many
    /// at a time or in place, nor whether a Queue's slot was exchanged by a grant or by the displacement of a stopped
    /// producer: then it may be another value, or a part of one. Without this, such values count as missed.
    #[must_use]
    pub fn including_taken(mut self) -> Self {
        self.taken = true;
        self
    }

    /// Begins with the last `count` values that are still there, of a Signal with the current one; goes back behind values that were
    /// seen already, or forward.
    pub fn rewind(&mut self, count: u64) {
        let taken = self.taken;
        self.source.passing().rewind(count, taken);
    }

    /// Copies the next value into the first bytes of `value`, or as many of its first bytes as fit. Wait-free: 64 copies at most, of
    /// which the second is rare.
    ///
    /// What its producer did before it published the value is visible afterwards.
    ///
    /// # Errors
    /// [`NextError::Empty`] if there is none yet, or none could be copied before it was gone; [`NextError::Closed`] of a Stream
    /// that ended, once all were seen, and of a Channel that is closed and drained; [`NextError::Corrupt`] if a peer wrote
    /// nonsense. What is in `value` then is not a value. Never [`NextError::Lagged`]: what was missed is counted, and the
    /// sequence shows where.
    pub fn try_next(&mut self, value: &mut [u8]) -> Result<Seen, NextError> {
        let taken = self.taken;
        self.source.passing().try_next(value, taken, &mut self.missed)
    }

    /// How many values went by unseen, since it began: see [`Observer`] for what counts.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl<'a> Source<'a> {
    fn passing(&mut self) -> &mut (dyn Passing + 'a) {
        match self {
            Source::Ring(ring) => ring,
            Source::Queue(queue) => queue,
            Source::Signal(signal) => signal,
            Source::Stream(stream) => stream,
        }
    }
}
