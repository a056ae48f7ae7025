//! Stack: bounded, last in, first out, any number of parties, lock-free: a list of slots with a tagged head.
//!
//! W is the word size, L the line size, E the element's alignment: the largest power of two that divides `elem_size`, at
//! most 16 and at most L. S is the number of spares, N = `capacity` + S the number of slots. V = 8 up to E, and
//! D = (V + `elem_size`) up to the larger of 4 and E.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `STAK`, `extra` = S, `capacity` = number of elements |
//! | 24 | 4 | eventcount of items: who waits for an element sleeps on it |
//! | 28 | 4 | eventcount of space: who waits for room sleeps on it |
//! | A = 32 up to L | W | `head`: the number of the top slot plus 1, 0 for none, in as many low bits as N needs; a tag above |
//! | (A + W) up to L | D x N | cells |
//!
//! Cell k is slot k:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `depth`: 0 for a free slot, 2^32 - 1 for one that a push has taken, or how deep the stack is with it on top |
//! | 4 | 4 | `next`: the number of the slot below plus 1, 0 for none |
//! | V | `elem_size` | the value |
//!
//! Initially the eventcounts, `head` and each `depth` are 0.
//!
//! The algorithm is in `core.rs`.

mod core;

use self::core::Core;
use crate::element::Element;
use crate::error::{PopError, PopTimeoutError, PushError, PushTimeoutError, StructureError};
use crate::geometry::{align_up, Geometry, WordSize};
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, open_or_create, Region};
use crate::sync::{by_word, ByWord, Span, Wide, Word};
use crate::table::block_bytes;
use crate::wait::{deadline_after, Announce, EventCount, Notifier, Wait};
use ::core::sync::atomic::Ordering::{Acquire, Relaxed};
use ::core::time::Duration;

const ITEMS: u64 = 24;
const SPACE: u64 = 28;
const CONTROL_BYTES: u64 = 32;
/// `next` and `depth`.
const LINK_BYTES: u64 = 8;

/// Spares of a stack that does not say: so many parties may be stopped inside at once without anybody noticing.
const DEFAULT_SPARES: u32 = 8;
const MAX_SPARES: u32 = 1024;

/// A bounded stack for many parties: last in, first out; lock-free.
///
/// A party that stops, or is killed, anywhere inside an operation holds up nobody. `Full` and `Empty` are exact: at one moment
/// during the call exactly `capacity` elements, or none, were in the stack. Needs compare-and-exchange.
///
/// A party inside an operation has at most one of the stack's slots. There are 8 more slots than elements fit
/// ([`Stack::create_with_spares`] chooses), so pushes go on while so many parties are stopped inside; a killed one takes its
/// slot with it for good.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, PopError, PushError, Region, Span, Stack};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let undo = Stack::<u32>::create(region, "undo", 2)?;
/// undo.try_push(1)?;
/// undo.try_push(2)?;
/// assert_eq!(undo.try_push(3), Err(PushError::Full(3)));
/// assert_eq!(undo.peek(), Some(2));
/// assert_eq!(undo.try_pop(), Ok(2));
/// assert_eq!(undo.try_pop(), Ok(1));
/// assert_eq!(undo.try_pop(), Err(PopError::Empty));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stack<'a, T> {
    core: ByWord<Core<'a, T, u32>, Core<'a, T, Wide>>,
    items: EventCount<'a>,
    space: EventCount<'a>,
    notifier: Notifier<'a>,
}

impl<T> Clone for Stack<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Stack<'_, T> {}

impl<'a, T: Element> Stack<'a, T> {
    /// Creates a stack for `capacity` elements.
    ///
    /// Linear in the capacity. Lock-free; a party that dies inside leaks at most the stack's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a capacity of 0 or above the limit (2048 with
    /// 4-byte words, 2^23 with 8-byte words), an element of no size, a region without compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        Self::create_with_spares(region, name, capacity, DEFAULT_SPARES)
    }

    /// Creates a stack that takes `capacity` elements while up to `spares` parties are stopped inside operations (1 to 1024).
    ///
    /// # Errors
    /// As [`Stack::create`]; [`StructureError::BadCapacity`] also for an impossible number of spares.
    pub fn create_with_spares(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
        spares: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let (geometry, elem_size) = (region.geometry(), elem_size::<T>()?);
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::STACK });
        }
        let prefix = prefix(geometry, elem_size, capacity, spares);
        let max = max_capacity(geometry, elem_size);
        let bad = StructureError::BadCapacity { capacity: capacity as u64, min: 1, max };
        let layout = Layout::of(&prefix).ok_or(bad)?;
        region.create_structure(name, prefix, layout.size, |span| {
            // All zero is the initial state: no sleepers, nothing on top, all slots free.
            span.clear(ITEMS, layout.size - ITEMS);
            Some(layout.size)
        })?;
        Self::open(region, name)
    }

    /// Opens a stack.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure, a region or target
    /// without compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::STACK, elem_size::<T>()?)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::STACK });
        }
        let corrupt = found.corrupt("its capacity or spares");
        let layout = Layout::of(&found.prefix).ok_or(corrupt)?;
        let span = found.span;
        let core = match found.geometry.word() {
            WordSize::Four => ByWord::W4(Core::at(span, &layout).ok_or(corrupt)?),
            WordSize::Eight => Core::at(span, &layout).and_then(ByWord::wide).ok_or(corrupt)?,
        };
        Ok(Stack {
            core,
            items: EventCount::new(span.word(ITEMS).ok_or(corrupt)?),
            space: EventCount::new(span.word(SPACE).ok_or(corrupt)?),
            notifier: region.notifier(),
        })
    }

    /// Opens the stack, or creates it for `capacity` elements if there is none.
    ///
    /// # Errors
    /// As [`Stack::open`] and [`Stack::create`]; [`StructureError::WrongCapacity`] if it exists with another capacity.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let stack =
            open_or_create(|| Self::open(region, name), || Self::create(region, name, capacity))?;
        if stack.capacity() != capacity {
            let (expected, found) = (capacity as u64, stack.capacity() as u64);
            let name = crate::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected, found });
        }
        Ok(stack)
    }

    /// Bytes that a stack for `capacity` elements takes in a region of this geometry, its alignment and its share of
    /// bookkeeping included; `None` if it is not possible.
    #[must_use]
    pub fn footprint(geometry: Geometry, capacity: usize) -> Option<u64> {
        Self::footprint_with_spares(geometry, capacity, DEFAULT_SPARES)
    }

    /// [`Stack::footprint`] of a stack with so many spares.
    #[must_use]
    pub fn footprint_with_spares(geometry: Geometry, capacity: usize, spares: u32) -> Option<u64> {
        let prefix = prefix(geometry, elem_size::<T>().ok()?, capacity, spares);
        block_bytes(geometry, Layout::of(&prefix)?.size)
    }

    /// Puts `value` on top unless the stack is full. Lock-free.
    ///
    /// What this party did before is visible to the one that pops the value. If it is killed inside, the value was pushed or
    /// not, and at most one slot is gone; if it is stopped, nobody is held up.
    ///
    /// # Errors
    /// [`PushError::Full`] if there were `capacity` elements at one moment; [`PushError::Blocked`] if there were fewer and no slot
    /// was to be found, because more parties than there are spares are inside operations, or were killed there;
    /// [`PushError::Corrupt`] if a peer wrote nonsense.
    #[inline]
    pub fn try_push(&self, value: T) -> Result<(), PushError<T>> {
        by_word!(&self.core, core => core.push(value, || self.space.notify(self.notifier)))?;
        self.items.notify(self.notifier);
        Ok(())
    }

    /// Takes the top element. Lock-free.
    ///
    /// If this party is killed inside, the element that it had claimed is gone with it, and a slot; if it is stopped, nobody
    /// is held up.
    ///
    /// # Errors
    /// [`PopError::Empty`] if there was no element at one moment; [`PopError::Blocked`] if others changed the stack tens of
    /// thousands of times meanwhile; [`PopError::Corrupt`] if a peer wrote nonsense.
    #[inline]
    pub fn try_pop(&self) -> Result<T, PopError> {
        let value = by_word!(&self.core, core => core.pop())?;
        // The CAS on `head`, which made room, is the read-modify-write that this relies on. A push that sleeps because no slot
        // was free (more parties inside than spares) waits for the store after it, and may find out 100 ms late.
        self.space.notify(self.notifier);
        Ok(value)
    }

    /// Pushes `value`, waiting for room as long as it takes: [`Stack::push_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`PushTimeoutError::Corrupt`], [`PushTimeoutError::NoWaiter`].
    pub fn push(&self, value: T) -> Result<(), PushTimeoutError<T>> {
        match self.notifier.waiter() {
            Some(waiter) => self.push_with(value, waiter, None),
            None => Err(PushTimeoutError::NoWaiter(value)),
        }
    }

    /// Takes the top element, waiting for one as long as it takes: [`Stack::pop_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`PopTimeoutError::Corrupt`], [`PopTimeoutError::NoWaiter`].
    pub fn pop(&self) -> Result<T, PopTimeoutError> {
        self.pop_with(self.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?, None)
    }

    /// Pushes `value`, waiting for room for at most `timeout`, asleep if it takes long.
    ///
    /// Waits for some party to pop. Needs a region with a notifier, which `zeroipc::Memory` has.
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

    /// Takes the top element, waiting for one for at most `timeout`, asleep if it takes long.
    ///
    /// Waits for some party to push. Needs a region with a notifier, which `zeroipc::Memory` has.
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

    /// Takes the top element, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`PopTimeoutError::Timeout`], never before the deadline; [`PopTimeoutError::Corrupt`].
    pub fn pop_with(&self, waiter: &dyn Wait, deadline: Option<u64>) -> Result<T, PopTimeoutError> {
        self.items.wait_to_pop(waiter, deadline, || self.try_pop())
    }

    /// A copy of the top element, which stays; `None` if there is none. Lock-free: it looks again when others change the stack
    /// meanwhile, and says `None` if they never stop, which only a hostile peer can bring about.
    #[must_use]
    pub fn peek(&self) -> Option<T> {
        by_word!(&self.core, core => core.peek())
    }

    /// Takes elements from the top until the stack is empty, each when the iterator comes to it.
    ///
    /// What others push meanwhile is taken, too, so it may go on as long as they do. Each element is taken by itself: a party
    /// that dies in between takes one along at most. Ends also where [`Stack::try_pop`] has another error.
    pub fn drain(&self) -> impl Iterator<Item = T> + 'a {
        let stack = *self;
        ::core::iter::from_fn(move || stack.try_pop().ok())
    }

    /// How many elements fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        by_word!(&self.core, core => core.capacity())
    }

    /// How many elements are in it: exact at one moment during the call. Lock-free, as [`Stack::peek`].
    #[must_use]
    pub fn len(&self) -> usize {
        by_word!(&self.core, core => core.len())
    }

    /// Whether nothing is in it: exact at one moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no more fits: exact at one moment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }
}

fn prefix(geometry: Geometry, elem_size: u32, capacity: usize, spares: u32) -> Prefix {
    let mut prefix = Prefix::new(Kind::STACK, geometry, elem_size, capacity as u64);
    prefix.extra = spares;
    prefix
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    head: u64,
    cells: u64,
    value_in_cell: u64,
    stride: u64,
    capacity: u64,
    slots: u64,
    size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is not one that [`Stack::create`] writes.
    fn of(prefix: &Prefix) -> Option<Self> {
        let geometry = prefix.geometry.ok()?;
        let (word, line) = (u64::from(geometry.word_bytes()), u64::from(geometry.line_bytes()));
        let (elem, capacity) = (u64::from(prefix.elem_size), prefix.capacity);
        let possible = elem > 0
            && (1..=max_capacity(geometry, prefix.elem_size)).contains(&capacity)
            && (1..=MAX_SPARES).contains(&prefix.extra);
        if !possible {
            return None;
        }
        let slots = capacity + u64::from(prefix.extra);
        let head = align_up(CONTROL_BYTES, line)?;
        let cells = align_up(head + word, line)?;
        let elem_align = (1 << elem.trailing_zeros()).min(16).min(line);
        let value_in_cell = align_up(LINK_BYTES, elem_align)?;
        let stride = align_up(value_in_cell + elem, elem_align.max(4))?;
        let size = cells.checked_add(stride.checked_mul(slots)?)?;
        Some(Layout { head, cells, value_in_cell, stride, capacity, slots, size })
    }
}

/// 2048 or 2^23, which leaves the tag at least 20 or 40 bits; and half of what a pointer can reach.
fn max_capacity(geometry: Geometry, elem_size: u32) -> u64 {
    let bytes = isize::MAX as u64 / 2 / (u64::from(elem_size) + 32);
    (1 << (3 * geometry.word_bytes() - 1)).min(bytes)
}

/// How many elements are in the stack that begins `span`, for a view; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let layout = Layout::of(prefix).filter(|layout| layout.size <= span.len() as u64)?;
    let head = match prefix.geometry.ok()?.word() {
        WordSize::Four => u64::from(span.word::<u32>(layout.head)?.load(Acquire)),
        WordSize::Eight => span.word::<Wide>(layout.head)?.load(Acquire).wide(),
    };
    let top = head & ((1 << core::top_bits(layout.slots)) - 1);
    let Some(top) = top.checked_sub(1) else { return Some(0) };
    let depth = span.word::<u32>(layout.cells + layout.stride * top)?.load(Relaxed);
    // Nobody's depth is more; what is not in the stack any more says so, or how deep it was.
    Some(if depth == core::HELD { 0 } else { u64::from(depth) })
        .filter(|depth| *depth <= layout.capacity)
}
