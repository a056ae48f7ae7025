//! Ring: a bounded queue from one producer to one consumer, by loads and stores alone.
//!
//! W is the word size, L the line size.
//!
//! | offset | bytes | field | written by |
//! |---|---|---|---|
//! | 0 | 24 | prefix: kind `RING`, `capacity` = number of elements, a power of two | creator |
//! | 24 | 4 | producer role: odd while taken | who takes or releases it |
//! | 28 | 4 | consumer role: odd while taken | who takes or releases it |
//! | 32 | 4 | `rung` of the items doorbell | producer |
//! | 36 | 4 | `waiting` of the items doorbell | consumer |
//! | 40 | 4 | `rung` of the space doorbell | consumer |
//! | 44 | 4 | `waiting` of the space doorbell | producer |
//! | A = 48 up to L | W | `tail`: how many elements were ever pushed, modulo 2^(8W) | producer |
//! | B = A + W up to L | W | `head`: how many elements were ever popped, modulo 2^(8W) | consumer |
//! | B + W up to L | `elem_size` x `capacity` | element i of the stream at i modulo `capacity` | producer |
//!
//! 1. Push: if `tail - head` is `capacity` the ring is full. Write element `tail`, then store `tail + 1` (release).
//! 2. Pop: if `tail` is `head` the ring is empty. Read element `head`, then store `head + 1` (release).
//! 3. Many at once, copied (`bulk.rs`) or in place (`grant.rs`), are the same with n in place of 1: the slots from `tail` to
//!    `head + capacity` are the producer's, those from `head` to `tail` the consumer's.
//!
//! Each side keeps its own counter in its handle and a copy of the other's, which it renews (acquire) only when the copy
//! says full or empty: Lamport 1977 (<https://doi.org/10.1145/359863.359878>) with the cached indices of MCRingBuffer
//! (Lee, Bu, Chandranmenon 2010, <https://doi.org/10.1109/IPDPS.2010.5470368>).

mod ahead;
mod bulk;
mod consumer;
mod grant;
mod observe;
mod producer;

pub use consumer::Consumer;
pub use grant::{ReadGrant, WriteGrant};
pub(crate) use observe::RingObserver;
pub use producer::Producer;

use crate::element::Element;
use crate::error::{RoleTaken, StructureError};
use crate::geometry::{align_up, Geometry, WordSize};
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, open_or_create, Found, Region};
use crate::role::Role;
use crate::sync::{Atomic, ByWord, Caches, Span, Wide, Word, Wrapped};
use crate::table::block_bytes;
use crate::wait::{Doorbell, Notifier};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const PRODUCER_ROLE: u64 = 24;
const CONSUMER_ROLE: u64 = 28;
const ITEMS: u64 = 32;
const SPACE: u64 = 40;
const CONTROL_BYTES: u64 = 48;

/// A bounded queue from one producer to one consumer. Wait-free; needs loads and stores only.
///
/// The two ends are roles that are taken from the ring: [`Ring::producer`] and [`Ring::consumer`]. Both work on one element
/// ([`Producer::try_push`], [`Consumer::try_pop`]), on many ([`Producer::try_push_slice`], [`Consumer::try_pop_slice`]) or
/// in place ([`Producer::try_grant`], [`Consumer::try_read_grant`]).
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Region, Ring, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let samples = Ring::<u64>::create(region, "samples", 64)?;
/// let mut producer = samples.producer()?;
/// let mut consumer = Ring::<u64>::open(region, "samples")?.consumer()?;
///
/// producer.try_push(1)?;
/// producer.try_push(2)?;
/// assert_eq!(consumer.try_pop(), Ok(1));
/// assert_eq!(consumer.try_pop(), Ok(2));
/// assert!(samples.producer().is_err()); // there is one already
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Ring<'a, T> {
    ends: ByWord<Ends<'a, T, u32>, Ends<'a, T, Wide>>,
    producer: Role<'a>,
    consumer: Role<'a>,
    pub(crate) items: Doorbell<'a>,
    pub(crate) space: Doorbell<'a>,
    pub(crate) notifier: Notifier<'a>,
    capacity: usize,
}

impl<T> Clone for Ring<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ring<'_, T> {}

/// The words and slots that both ends use.
#[derive(Debug)]
struct Ends<'a, T, W: Word> {
    tail: Atomic<'a, W>,
    head: Atomic<'a, W>,
    slots: Wrapped<'a, T>,
    /// A power of two.
    capacity: W,
    caches: Caches<'a>,
}

impl<T, W: Word> Clone for Ends<'_, T, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, W: Word> Copy for Ends<'_, T, W> {}

impl<T: Element, W: Word> Ends<'_, T, W> {
    /// The consumer's counter, for the producer.
    #[inline(always)]
    fn head_now(&self) -> W {
        self.caches.invalidate_word(self.head);
        // Acquire: the consumer has read what we are about to overwrite.
        self.head.load(Acquire)
    }

    /// The producer's counter, for the consumer.
    #[inline(always)]
    fn tail_now(&self) -> W {
        self.caches.invalidate_word(self.tail);
        // Acquire: pairs with the push, whose element we are about to read.
        self.tail.load(Acquire)
    }

    /// Publishes `count` elements that were written from `from` on: the new tail is `tail`.
    #[inline(always)]
    fn publish(&self, from: W, count: usize, tail: W) {
        self.caches.clean_slots(&self.slots, from.index(), count);
        // Release: the elements are visible to whoever acquires the new tail.
        self.tail.store(tail, Release);
        self.caches.clean_word(self.tail);
    }

    /// Gives the slots before `head` back.
    #[inline(always)]
    fn free(&self, head: W) {
        // Release: our reads of the elements come before the producer's next writes to their slots.
        self.head.store(head, Release);
        self.caches.clean_word(self.head);
    }
}

impl<T, W: Word> Ends<'_, T, W> {
    /// Elements between two counters, or `None` if a peer wrote nonsense.
    #[inline(always)]
    fn between(&self, head: W, tail: W) -> Option<W> {
        let count = tail.minus(head);
        (count.wide() <= self.capacity.wide()).then_some(count)
    }
}

impl<'a, T: Element> Ring<'a, T> {
    /// Creates a ring for at least `capacity` elements: the next power of two.
    ///
    /// Lock-free; a party that dies inside leaks at most the ring's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a capacity of 0 or above the limit, an
    /// element of no size.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let elem_size = elem_size::<T>()?;
        let geometry = region.geometry();
        let max = max_capacity(elem_size);
        let (capacity, layout) = rounded(capacity)
            .map(|rounded| rounded as u64)
            .filter(|rounded| *rounded <= max)
            .and_then(|rounded| Some((rounded, Layout::new(geometry, elem_size, rounded)?)))
            .ok_or(StructureError::BadCapacity { capacity: capacity as u64, min: 1, max })?;
        let prefix = Prefix::new(Kind::RING, geometry, elem_size, capacity);
        region.create_structure(name, prefix, layout.size, |span| {
            span.clear(PRODUCER_ROLE, layout.data - PRODUCER_ROLE);
            Some(layout.data)
        })?;
        Self::open(region, name)
    }

    /// Opens a ring.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::RING, elem_size::<T>()?)?;
        Self::at(&region, &found).ok_or_else(|| found.corrupt("its capacity"))
    }

    /// The ring that was found; `None` if its prefix is not one that [`Ring::create`] writes.
    fn at(region: &Region<'a>, found: &Found<'a>) -> Option<Self> {
        let (span, prefix) = (found.span, &found.prefix);
        let layout = Layout::of(prefix)?;
        let caches = region.caches();
        let ends = match found.geometry.word() {
            WordSize::Four => ByWord::W4(layout.ends(span, prefix.capacity, caches)?),
            WordSize::Eight => ByWord::wide(layout.ends(span, prefix.capacity, caches)?)?,
        };
        let word = |offset| span.word::<u32>(offset);
        let (cas, recorded) = (region.has_cas(), !caches.is_incoherent());
        let bell = |offset| {
            let (rung, waiting) = (word(offset)?, word(offset + 4)?);
            Some(Doorbell { rung, waiting, announced: recorded })
        };
        Some(Ring {
            ends,
            producer: Role { word: word(PRODUCER_ROLE)?, cas, recorded },
            consumer: Role { word: word(CONSUMER_ROLE)?, cas, recorded },
            items: bell(ITEMS)?,
            space: bell(SPACE)?,
            notifier: region.notifier(),
            capacity: usize::try_from(prefix.capacity).ok()?,
        })
    }

    /// Opens the ring, or creates it for at least `capacity` elements if there is none.
    ///
    /// # Errors
    /// As [`Ring::open`] and [`Ring::create`]; [`StructureError::WrongCapacity`] if it exists with another capacity.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let ring =
            open_or_create(|| Self::open(region, name), || Self::create(region, name, capacity))?;
        if rounded(capacity) != Some(ring.capacity) {
            let (expected, found) = (capacity as u64, ring.capacity as u64);
            let name = crate::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected, found });
        }
        Ok(ring)
    }

    /// How many bytes a ring for at least `capacity` elements takes in a region at most; `None` if there can't be one.
    ///
    /// The exact number depends on where its block starts on a line. The sum over all structures, and the table, is what a
    /// region needs.
    #[must_use]
    pub fn footprint(geometry: Geometry, capacity: usize) -> Option<u64> {
        let elem_size = elem_size::<T>().ok()?;
        let capacity = rounded(capacity)? as u64;
        let layout = Layout::new(geometry, elem_size, capacity)
            .filter(|_| capacity <= max_capacity(elem_size))?;
        block_bytes(geometry, layout.size)
    }

    /// Takes the producer's role; the handle gives it back when dropped.
    ///
    /// The role is recorded in the region, so two producers exclude each other across processes. Where there is no
    /// compare-and-exchange this works only if no two parties take the role in the same moment.
    ///
    /// # Errors
    /// [`RoleTaken`] if somebody has it. A killed holder keeps it: see [`Ring::take_over_producer`].
    pub fn producer(&self) -> Result<Producer<'a, T>, RoleTaken> {
        self.producer.take().map(|token| Producer::new(*self, token))
    }

    /// Takes the producer's role from a holder that is known to be dead.
    ///
    /// What the dead producer had pushed stays; what it had not finished pushing is not seen. If it is alive after all,
    /// elements may be lost, doubled or torn; memory safety is not at stake.
    #[must_use]
    pub fn take_over_producer(&self) -> Producer<'a, T> {
        Producer::new(*self, self.producer.take_over())
    }

    /// Takes the consumer's role; the handle gives it back when dropped.
    ///
    /// # Errors
    /// [`RoleTaken`] if somebody has it. A killed holder keeps it: see [`Ring::take_over_consumer`].
    pub fn consumer(&self) -> Result<Consumer<'a, T>, RoleTaken> {
        self.consumer.take().map(|token| Consumer::new(*self, token))
    }

    /// Takes the consumer's role from a holder that is known to be dead. The element that it was popping may come again.
    #[must_use]
    pub fn take_over_consumer(&self) -> Consumer<'a, T> {
        Consumer::new(*self, self.consumer.take_over())
    }

    pub(crate) fn notifier(&self) -> Notifier<'a> {
        self.notifier
    }

    /// How many elements fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many elements are in it: a moment's value. Wait-free.
    #[must_use]
    pub fn len(&self) -> usize {
        let len = crate::sync::by_word!(&self.ends, ends => {
            // Head first: it only grows towards tail, so the difference is never negative.
            let head = ends.head_now();
            ends.tail_now().minus(head).wide()
        });
        usize::try_from(len).unwrap_or(usize::MAX).min(self.capacity)
    }

    /// Whether nothing is in it: a moment's value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no more fits: a moment's value.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity
    }
}

/// The capacity that a ring gets for the one asked for.
fn rounded(capacity: usize) -> Option<usize> {
    capacity.checked_next_power_of_two().filter(|_| capacity > 0)
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    tail: u64,
    head: u64,
    data: u64,
    size: u64,
}

impl Layout {
    fn new(geometry: Geometry, elem_size: u32, capacity: u64) -> Option<Self> {
        let (word, line) = (u64::from(geometry.word_bytes()), u64::from(geometry.line_bytes()));
        let tail = align_up(CONTROL_BYTES, line)?;
        let head = align_up(tail + word, line)?;
        let data = align_up(head + word, line)?;
        let size = data.checked_add(capacity.checked_mul(u64::from(elem_size))?)?;
        Some(Layout { tail, head, data, size })
    }

    /// Of a ring that exists; `None` if its prefix is not one that [`Ring::create`] writes.
    fn of(prefix: &Prefix) -> Option<Self> {
        let possible = prefix.capacity.is_power_of_two()
            && prefix.elem_size > 0
            && prefix.capacity <= MAX_CAPACITY
            && prefix.capacity * u64::from(prefix.elem_size) <= MAX_BYTES;
        Layout::new(prefix.geometry.ok()?, prefix.elem_size, prefix.capacity).filter(|_| possible)
    }

    fn ends<'a, T: Element, W: Word>(
        &self,
        span: Span<'a>,
        capacity: u64,
        caches: Caches<'a>,
    ) -> Option<Ends<'a, T, W>> {
        let count = usize::try_from(capacity).ok()?;
        Some(Ends {
            tail: span.word(self.tail)?,
            head: span.word(self.head)?,
            slots: span.wrapped(self.data, count)?,
            capacity: W::low(capacity),
            caches,
        })
    }
}

/// Half of what a 4-byte counter can tell apart.
const MAX_CAPACITY: u64 = 1 << 31;
/// Half of what a pointer can reach.
const MAX_BYTES: u64 = isize::MAX as u64 / 2;

/// The largest power of two that is within both limits.
fn max_capacity(elem_size: u32) -> u64 {
    let elements = MAX_BYTES / u64::from(elem_size.max(1));
    MAX_CAPACITY.min((elements + 1).next_power_of_two() / 2)
}

/// How many elements are in the ring that begins `span`, for a view; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let layout = Layout::of(prefix).filter(|layout| layout.size <= span.len() as u64)?;
    counters_apart(span, prefix, layout.head, layout.tail)
}

/// The counter at `tail` minus the one at `head`, if it is a possible number of elements.
pub(crate) fn counters_apart(span: Span<'_>, prefix: &Prefix, head: u64, tail: u64) -> Option<u64> {
    fn apart<W: Word>(span: Span<'_>, head: u64, tail: u64) -> Option<u64> {
        let head = span.word::<W>(head)?.load(Acquire);
        Some(span.word::<W>(tail)?.load(Relaxed).minus(head).wide())
    }
    let count = match prefix.geometry.ok()?.word() {
        WordSize::Four => apart::<u32>(span, head, tail)?,
        WordSize::Eight => apart::<Wide>(span, head, tail)?,
    };
    // Between the two loads more may have passed than fits.
    Some(count.min(prefix.capacity))
}
