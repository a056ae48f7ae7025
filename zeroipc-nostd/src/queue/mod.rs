//! Queue: bounded, many producers, many consumers, lock-free: the *relocating queue*.
//!
//! W is the word size, L the line size, E the element's alignment: the largest power of two that divides `elem_size`, at
//! most 16 and at most L. S is the number of spares.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `QUEU`, `extra` = S, `capacity` = number of elements, a power of two, at least 2 |
//! | 24 | 4 | eventcount of items: consumers sleep on it |
//! | 28 | 4 | eventcount of space: producers sleep on it |
//! | A = 32 up to L | W | `tail`: tickets claimed by pushes, modulo 2^(8W); a hint that may lag behind |
//! | B = A + W up to L | W | `head`: tickets popped, modulo 2^(8W); a hint that may lag behind |
//! | C = B + W up to L | D x (`capacity` + S) | cells, D = (V + `elem_size`) up to max(W, E), V = W up to E |
//! | C + D x (`capacity` + S) up to W | W x S | spare words: 0 for none, or slot number + 1 |
//!
//! A cell is an entry (W bytes) and, at V, a slot. Slot k lies in cell k. The last S cells have a slot only; their entry is 0.
//! An entry holds a slot number in its low bits, as few as name `capacity` + S slots, and a sequence number above.
//! Initially entry i holds sequence number 0 and slot i, and spare word k holds slot `capacity` + k.
//!
//! The algorithm is in `core.rs`.

mod bulk;
mod core;
mod entry;
mod grant;
mod observe;

pub use self::grant::{PopGrant, PushGrant, Refused};
pub(crate) use self::observe::QueueObserver;

use self::core::Core;
use crate::element::Element;
use crate::error::{PopError, PopTimeoutError, PushError, PushTimeoutError, StructureError};
use crate::geometry::{align_up, Geometry, WordSize};
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, open_or_create, Region};
use crate::sync::{by_word, ByWord, Span, Wide};
use crate::table::block_bytes;
use crate::wait::{deadline_after, Announce, EventCount, Notifier, Wait};
use ::core::time::Duration;

const ITEMS: u64 = 24;
const SPACE: u64 = 28;
const CONTROL_BYTES: u64 = 32;

/// Spares of a queue that does not say: so many parties may be stopped inside at once without anybody noticing.
pub(crate) const DEFAULT_SPARES: u32 = 8;
const MAX_SPARES: u32 = 1024;

/// A bounded queue for many producers and many consumers in many parties. First in, first out; lock-free.
///
/// A party that stops, or is killed, anywhere inside an operation holds up nobody: at most one slot, and for a push its
/// unpublished value, is with it. `Full` and `Empty` are exact. Needs compare-and-exchange.
///
/// Elements of one producer arrive in the order in which it pushed them.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, PopError, PushError, Queue, Region, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let jobs = Queue::<u32>::create(region, "jobs", 2)?;
/// jobs.try_push(1)?;
/// jobs.try_push(2)?;
/// assert_eq!(jobs.try_push(3), Err(PushError::Full(3)));
/// assert_eq!(jobs.try_pop(), Ok(1));
/// assert_eq!(jobs.try_pop(), Ok(2));
/// assert_eq!(jobs.try_pop(), Err(PopError::Empty));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Queue<'a, T> {
    core: ByWord<Core<'a, T, u32>, Core<'a, T, Wide>>,
    items: EventCount<'a>,
    space: EventCount<'a>,
    notifier: Notifier<'a>,
}

impl<T> Clone for Queue<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Queue<'_, T> {}

impl<'a, T: Element> Queue<'a, T> {
    /// Creates a queue for at least `capacity` elements: the next power of two, at least 2.
    ///
    /// Linear in the capacity. Lock-free; a party that dies inside leaks at most the queue's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a capacity of 0 or above the limit (32768
    /// with 4-byte words), an element of no size, a region without compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        Self::create_with_spares(region, name, capacity, DEFAULT_SPARES)
    }

    /// Creates a queue that stays lock-free while up to `spares` parties are stopped inside operations (1 to 1024).
    ///
    /// # Errors
    /// As [`Queue::create`]; [`StructureError::BadCapacity`] also for an impossible number of spares.
    pub fn create_with_spares(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
        spares: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let elem_size = elem_size::<T>()?;
        let geometry = region.geometry();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::QUEUE });
        }
        let max = max_capacity(geometry, elem_size);
        let block = Block::new::<T>(geometry, capacity, spares)
            .ok_or(StructureError::BadCapacity { capacity: capacity as u64, min: 1, max })?;
        let size = block.size();
        region.create_structure(name, block.prefix, size, |span| block.initialise::<T>(span))?;
        Self::open(region, name)
    }

    /// Opens a queue.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure, a region or target
    /// without compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::QUEUE, elem_size::<T>()?)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::QUEUE });
        }
        Self::at(found.span, &found.prefix, region.notifier())
            .ok_or(found.corrupt("its capacity or spares"))
    }

    /// The queue in `span`, by a prefix whose element size and word size this target and `T` have.
    pub(crate) fn at(span: Span<'a>, prefix: &Prefix, notifier: Notifier<'a>) -> Option<Self> {
        let layout = Layout::of(prefix)?;
        let core = match prefix.geometry.ok()?.word() {
            WordSize::Four => ByWord::W4(Core::at(span, &layout)?),
            WordSize::Eight => ByWord::wide(Core::at(span, &layout)?)?,
        };
        let items = EventCount::new(span.word(ITEMS)?);
        Some(Queue { core, items, space: EventCount::new(span.word(SPACE)?), notifier })
    }

    /// Opens the queue, or creates it for at least `capacity` elements if there is none.
    ///
    /// # Errors
    /// As [`Queue::open`] and [`Queue::create`]; [`StructureError::WrongCapacity`] if it exists with another capacity.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let queue =
            open_or_create(|| Self::open(region, name), || Self::create(region, name, capacity))?;
        if rounded(capacity) != Some(queue.capacity()) {
            let (expected, found) = (capacity as u64, queue.capacity() as u64);
            let name = crate::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected, found });
        }
        Ok(queue)
    }

    /// Bytes that a queue for at least `capacity` elements takes in a region at most; `None` if there can't be one.
    #[must_use]
    pub fn footprint(geometry: Geometry, capacity: usize) -> Option<u64> {
        block_bytes(geometry, Block::new::<T>(geometry, capacity, DEFAULT_SPARES)?.size())
    }

    /// Pushes `value` unless the queue is full. Lock-free.
    ///
    /// What the producer did before is visible to the consumer that pops the value. If this party is killed inside, the
    /// value was pushed or not, and one slot may be gone; if it is stopped, the others displace it and go on.
    ///
    /// # Errors
    /// [`PushError::Full`]; [`PushError::Blocked`] if a stopped party is in the way and every spare is with another;
    /// [`PushError::Corrupt`] if a peer wrote nonsense.
    #[inline]
    pub fn try_push(&self, value: T) -> Result<(), PushError<T>> {
        by_word!(&self.core, core => core.push(value))?;
        self.items.notify(self.notifier);
        Ok(())
    }

    /// Pops the oldest element. Lock-free.
    ///
    /// A consumer owns nothing before it has popped: if it is stopped it is in nobody's way, and if it is killed the element is
    /// there for the next one, or was popped and is gone with it. Large elements are copied before it is known whether another
    /// consumer was faster; for those pass handles of a pool.
    ///
    /// # Errors
    /// [`PopError::Empty`], after a moment's rest, so that polling does not slow down the producer (one `pause`
    /// instruction); [`PopError::Blocked`] if a stopped producer is in the way and every spare is with another;
    /// [`PopError::Corrupt`] if a peer wrote nonsense.
    #[inline]
    pub fn try_pop(&self) -> Result<T, PopError> {
        let value = by_word!(&self.core, core => core.pop())?;
        self.space.notify(self.notifier);
        Ok(value)
    }

    /// Pushes `value`, waiting for room as long as it takes: [`Queue::push_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`PushTimeoutError::Corrupt`], [`PushTimeoutError::NoWaiter`].
    pub fn push(&self, value: T) -> Result<(), PushTimeoutError<T>> {
        match self.notifier.waiter() {
            Some(waiter) => self.push_with(value, waiter, None),
            None => Err(PushTimeoutError::NoWaiter(value)),
        }
    }

    /// Pops the oldest element, waiting for one as long as it takes: [`Queue::pop_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`PopTimeoutError::Corrupt`], [`PopTimeoutError::NoWaiter`].
    pub fn pop(&self) -> Result<T, PopTimeoutError> {
        self.pop_with(self.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?, None)
    }

    /// Pushes `value`, waiting for room for at most `timeout`, asleep if it takes long.
    ///
    /// Waits for some consumer. Needs a region with a notifier, which `zeroipc::Memory` has.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`], never early; [`PushTimeoutError::Corrupt`]; [`PushTimeoutError::NoWaiter`] if the
    /// region was opened without a notifier.
    pub fn push_timeout(&self, value: T, timeout: Duration) -> Result<(), PushTimeoutError<T>> {
        match self.notifier.waiter() {
            Some(waiter) => self.push_with(value, waiter, deadline_after(waiter, timeout)),
            None => Err(PushTimeoutError::NoWaiter(value)),
        }
    }

    /// Pops the oldest element, waiting for one for at most `timeout`, asleep if it takes long.
    ///
    /// Waits for some producer. Needs a region with a notifier, which `zeroipc::Memory` has.
    ///
    /// # Errors
    /// [`PopTimeoutError::Timeout`], never early; [`PopTimeoutError::Corrupt`]; [`PopTimeoutError::NoWaiter`] if the
    /// region was opened without a notifier.
    pub fn pop_timeout(&self, timeout: Duration) -> Result<T, PopTimeoutError> {
        let waiter = self.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?;
        self.pop_with(waiter, deadline_after(waiter, timeout))
    }

    /// Pushes `value`, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`], never before the deadline; [`PushTimeoutError::Corrupt`].
    pub fn push_with(
        &self,
        value: T,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<(), PushTimeoutError<T>> {
        self.space.wait_to_push(value, waiter, deadline, || self.try_push(value))
    }

    /// Pops the oldest element, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`PopTimeoutError::Timeout`], never before the deadline; [`PopTimeoutError::Corrupt`].
    pub fn pop_with(&self, waiter: &dyn Wait, deadline: Option<u64>) -> Result<T, PopTimeoutError> {
        self.items.wait_to_pop(waiter, deadline, || self.try_pop())
    }

    /// What consumers sleep on.
    pub(crate) fn items(&self) -> &EventCount<'a> {
        &self.items
    }

    /// What producers sleep on.
    pub(crate) fn space(&self) -> &EventCount<'a> {
        &self.space
    }

    pub(crate) fn notifier(&self) -> Notifier<'a> {
        self.notifier
    }

    /// Takes care that no push succeeds any more, once all that were pushed are popped. Lock-free.
    ///
    /// # Errors
    /// [`Unsealed`]: what is still to be done first.
    pub(crate) fn seal(&self) -> Result<(), Unsealed> {
        by_word!(&self.core, core => core.seal())
    }

    /// How many elements fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        by_word!(&self.core, core => core.capacity())
    }

    /// How many elements are in it, those being pushed included: a moment's value. Wait-free.
    ///
    /// A single push that is not done, with nothing behind it, does not count: [`Queue::try_pop`] says empty, too.
    #[must_use]
    pub fn len(&self) -> usize {
        by_word!(&self.core, core => core.len())
    }

    /// Whether nothing is in it: a moment's value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no more fits: a moment's value.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }
}

/// Why a queue is not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsealed {
    /// There is something to pop, or there was a moment ago.
    Values,
    /// A stopped producer is in the way, and every spare is with another.
    Blocked,
    /// A peer wrote nonsense.
    Corrupt,
}

/// What a queue takes: in a region by itself, or in the block of a structure that is made of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    pub(crate) prefix: Prefix,
    layout: Layout,
}

impl Block {
    /// For at least `capacity` elements; `None` if there can't be one.
    pub(crate) fn new<T: Element>(
        geometry: Geometry,
        capacity: usize,
        spares: u32,
    ) -> Option<Self> {
        let (size, capacity) = (elem_size::<T>().ok()?, rounded(capacity)? as u64);
        let mut prefix = Prefix::new(Kind::QUEUE, geometry, size, capacity);
        prefix.extra = spares;
        Some(Block { prefix, layout: Layout::of(&prefix)? })
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.layout.size
    }

    /// Writes the initial state of all but the prefix; returns how many bytes it touched.
    pub(crate) fn initialise<T: Element>(&self, span: Span<'_>) -> Option<u64> {
        let layout = &self.layout;
        span.clear(ITEMS, layout.cells - ITEMS);
        match self.prefix.geometry.ok()?.word() {
            WordSize::Four => Core::<T, u32>::at(span, layout)?.initialise(span, layout),
            WordSize::Eight => Core::<T, Wide>::at(span, layout)?.initialise(span, layout),
        }?;
        Some(layout.size)
    }
}

/// The capacity that a queue gets for the one asked for.
pub(crate) fn rounded(capacity: usize) -> Option<usize> {
    capacity.max(2).checked_next_power_of_two().filter(|_| capacity > 0)
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    tail: u64,
    head: u64,
    cells: u64,
    slot_in_cell: u64,
    stride: u64,
    spares: u64,
    capacity: u64,
    spare_count: u32,
    size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is not one that [`Queue::create`] writes.
    fn of(prefix: &Prefix) -> Option<Self> {
        let geometry = prefix.geometry.ok()?;
        let (word, line) = (u64::from(geometry.word_bytes()), u64::from(geometry.line_bytes()));
        let (elem, capacity, spare_count) =
            (u64::from(prefix.elem_size), prefix.capacity, prefix.extra);
        let possible = elem > 0
            && capacity.is_power_of_two()
            && (2..=max_capacity(geometry, prefix.elem_size)).contains(&capacity)
            && (1..=MAX_SPARES).contains(&spare_count);
        if !possible {
            return None;
        }
        let tail = align_up(CONTROL_BYTES, line)?;
        let head = align_up(tail + word, line)?;
        let cells = align_up(head + word, line)?;
        let elem_align = (1 << elem.trailing_zeros()).min(16).min(line);
        let slot_in_cell = align_up(word, elem_align)?;
        let stride = align_up(slot_in_cell + elem, word.max(elem_align))?;
        let slots = capacity + u64::from(spare_count);
        if slots > slot_limit(geometry) {
            return None;
        }
        let spares = align_up(cells.checked_add(stride.checked_mul(slots)?)?, word)?;
        let size = spares.checked_add(word * u64::from(spare_count))?;
        Some(Layout {
            tail,
            head,
            cells,
            slot_in_cell,
            stride,
            spares,
            capacity,
            spare_count,
            size,
        })
    }
}

/// How many slots an entry can name: half of its bits are left for the sequence number.
fn slot_limit(geometry: Geometry) -> u64 {
    1 << (4 * geometry.word_bytes())
}

/// Half of the slots that an entry can name, and half of what a pointer can reach.
pub(crate) fn max_capacity(geometry: Geometry, elem_size: u32) -> u64 {
    let bytes = isize::MAX as u64 / 2 / (u64::from(elem_size.max(1)) + 16);
    (slot_limit(geometry) / 2).min((bytes + 1).next_power_of_two() / 2)
}

/// How many elements are in the queue that begins `span`, for a view; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let layout = Layout::of(prefix).filter(|layout| layout.size <= span.len() as u64)?;
    // Slots are not looked at, so any element that fits does.
    let len = match prefix.geometry.ok()?.word() {
        WordSize::Four => Core::<u8, u32>::at(span, &layout)?.len(),
        WordSize::Eight => Core::<u8, Wide>::at(span, &layout)?.len(),
    };
    Some(len as u64)
}
