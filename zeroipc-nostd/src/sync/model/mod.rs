//! The model: what the real form does in raw memory, on loom's atomics addressed by offset.
//!
//! Loom's atomics cannot lie in raw bytes, so a region is a [`Slab`]: one cell for each 4-byte offset, made at first use
//! with the width of that use; using it otherwise later stops the test. Payload lies in loom's cells, which find a read or
//! write that races with another, so ownership of slots is checked and not assumed.
//!
//! Loom wants objects made before the threads that share them: opening a structure makes all its cells, and
//! [`Slab::prepare`] makes those of a table.

mod payload;

pub(crate) use payload::{Cells, Racy, Raw, Shared, Slots, Wrapped};

use super::atomic::Atomic;
use super::word::{ByWord, Word};
use crate::element::Element;
use crate::error::RegionError;
use core::fmt;
use core::marker::PhantomData;
use core::mem::size_of;
use core::sync::atomic::Ordering::Relaxed;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, AtomicU64};
use std::boxed::Box;
use std::sync::OnceLock;
use std::vec::Vec;

/// What a 4-byte offset holds.
#[derive(Debug)]
pub enum Cell {
    W4(AtomicU32),
    W8(AtomicU64),
    Payload(Payload),
}

/// One element, as bytes.
#[derive(Debug)]
pub struct Payload(UnsafeCell<Box<[u8]>>);

// SAFETY: loom's cell checks at run time that accesses do not race; that check is the point of the model.
unsafe impl Sync for Payload {}
// SAFETY: bytes may be sent anywhere.
unsafe impl Send for Payload {}

/// Memory of a model.
pub struct Slab {
    cells: Vec<OnceLock<Cell>>,
}

impl fmt::Debug for Slab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab").field("bytes", &(self.cells.len() * 4)).finish()
    }
}

impl Slab {
    /// Memory of `len` bytes, all zero.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Slab { cells: (0..len / 4).map(|_| OnceLock::new()).collect() }
    }

    /// All of it.
    #[must_use]
    pub fn span(&self) -> Span<'_> {
        Span { slab: self, start: 0, len: self.cells.len() * 4 }
    }

    /// Makes 4-byte words of what is not used yet.
    pub fn prepare(&self) {
        for cell in &self.cells {
            cell.get_or_init(u32::new_cell);
        }
    }

    fn cell(&self, offset: usize, make: impl FnOnce() -> Cell) -> Option<&Cell> {
        assert!(offset % 4 == 0, "the model has no words at odd offsets");
        Some(self.cells.get(offset / 4)?.get_or_init(make))
    }
}

/// Where a region lies: the model's [`super::real::Span`].
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    slab: &'a Slab,
    start: usize,
    len: usize,
}

impl<'a> Span<'a> {
    /// Not in the model: use [`Slab::span`].
    ///
    /// # Errors
    /// Always.
    pub fn from_slice(_memory: &'a mut [u8]) -> Result<Self, RegionError> {
        Err(RegionError::NullAddress)
    }

    /// Length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn part(&self, offset: u64, len: u64) -> Option<Span<'a>> {
        let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
        (offset.checked_add(len)? <= self.len && offset % 8 == 0).then_some(())?;
        Some(Span { slab: self.slab, start: self.start + offset, len })
    }

    pub(crate) fn offset_in(&self, outer: &Span<'_>) -> Option<u64> {
        core::ptr::eq(self.slab, outer.slab).then_some(())?;
        Some(self.start.checked_sub(outer.start)? as u64)
    }

    fn at(&self, offset: usize, size: usize) -> Option<usize> {
        (offset.checked_add(size)? <= self.len).then_some(self.start + offset)
    }

    pub(crate) fn word<W: Word>(&self, offset: u64) -> Option<Atomic<'a, W>> {
        let at = self.at(usize::try_from(offset).ok()?, W::BYTES)?;
        let native = W::of_cell(self.slab.cell(at, W::new_cell)?);
        Some(Atomic { native: native.expect("one width a word") })
    }

    pub(crate) fn words<W: Word>(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
    ) -> Option<Words<'a, W>> {
        let offset = usize::try_from(offset).ok()?;
        let words = Words { span: *self, offset, stride, count, life: PhantomData };
        (0..count).try_for_each(|index| words.get(index).map(|_| ()))?;
        Some(words)
    }

    pub(crate) fn wrapped_words<W: Word>(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
    ) -> Option<WrappedWords<'a, W>> {
        let words = self.words(offset, stride, count)?;
        Some(WrappedWords { words, mask: count.checked_sub(1)? })
    }

    pub(crate) fn slots<T: Element>(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
    ) -> Option<Slots<'a, T>> {
        let offset = usize::try_from(offset).ok()?;
        let slots = Slots { span: *self, offset, stride, count, life: PhantomData };
        (0..count).try_for_each(|index| slots.payload(index).map(|_| ()))?;
        Some(slots)
    }

    pub(crate) fn wrapped<T: Element>(&self, offset: u64, count: usize) -> Option<Wrapped<'a, T>> {
        let slots = self.slots(offset, size_of::<T>(), count)?;
        Some(Wrapped { slots, mask: count.checked_sub(1)? })
    }

    pub(crate) fn racy<T: Element>(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
    ) -> Option<Racy<'a, T>> {
        assert!(size_of::<T>() % 4 == 0, "the model moves racy payload in words of 4 bytes");
        let (offset, per) = (usize::try_from(offset).ok()?, size_of::<T>() / 4);
        let racy = Racy { span: *self, offset, stride, count, life: PhantomData };
        (0..count)
            .flat_map(|index| (0..per).map(move |part| (index, part)))
            .try_for_each(|(index, part)| racy.word(index, part).map(|_| ()))?;
        Some(racy)
    }

    pub(crate) fn raw(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
        size: usize,
    ) -> Option<Raw<'a>> {
        let offset = usize::try_from(offset).ok()?;
        self.at(offset, stride.checked_mul(count.checked_sub(1)?)?.checked_add(size)?)?;
        Some(Raw { span: *self, offset, stride, count, size })
    }

    pub(crate) fn shared<T: Element>(&self, offset: u64, count: usize) -> Option<Shared<'a, T>> {
        let size = size_of::<T>();
        let words = if size == 8 {
            ByWord::wide(self.words(offset, 8, count)?)?
        } else {
            assert!(size % 4 == 0, "the model has no words of less than 4 bytes");
            ByWord::W4(self.words(offset, 4, count.checked_mul(size / 4)?)?)
        };
        let offset = usize::try_from(offset).ok()?;
        Some(Shared { span: *self, offset, count, words, life: PhantomData })
    }

    /// As in the real form. The first word is explored like any other; for the rest loom takes the first of the possible
    /// interleavings, since a name is published as a whole and its later words meet no other accesses than its first.
    pub(crate) fn load_block<const N: usize>(&self, offset: u64) -> Option<[u32; N]> {
        let words = self.words::<u32>(offset, 4, N)?;
        let mut block = [0; N];
        for (index, to) in block.iter_mut().enumerate() {
            *to = after_the_first(index, || words.get(index).map(|word| word.load(Relaxed)))?;
        }
        Some(block)
    }

    /// As [`Span::load_block`].
    pub(crate) fn store_block<const N: usize>(&self, offset: u64, block: &[u32; N]) -> Option<()> {
        let words = self.words::<u32>(offset, 4, N)?;
        for (index, from) in block.iter().enumerate() {
            after_the_first(index, || words.get(index).map(|word| word.store(*from, Relaxed)))?;
        }
        Some(())
    }

    /// Zeroes what has been used so far; the rest is zero from the start.
    pub(crate) fn clear(&self, offset: u64, len: u64) {
        let (Ok(offset), Ok(len)) = (usize::try_from(offset), usize::try_from(len)) else { return };
        for at in (offset..offset + len).step_by(4).filter_map(|at| self.at(at, 4)) {
            match self.slab.cells.get(at / 4).and_then(OnceLock::get) {
                Some(Cell::W4(word)) => word.store(0, Relaxed),
                Some(Cell::W8(word)) => word.store(0, Relaxed),
                Some(Cell::Payload(_)) | None => {}
            }
        }
    }
}

/// Runs `access`; unless it is the first of its block, without exploring its alternatives.
fn after_the_first<R>(index: usize, access: impl FnOnce() -> R) -> R {
    if index == 0 {
        access()
    } else {
        unexplored(access)
    }
}

std::thread_local! {
    /// How many [`unexplored`] calls are open: loom's own switch does not nest. A system thread runs one model at a time,
    /// and loom does not change threads in between.
    static UNEXPLORED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Runs `body` in the first of its possible interleavings only.
pub fn unexplored<R>(body: impl FnOnce() -> R) -> R {
    /// Also when an abandoned thread leaves by unwinding.
    struct Explore;
    impl Drop for Explore {
        fn drop(&mut self) {
            UNEXPLORED.with(|depth| {
                depth.set(depth.get() - 1);
                if depth.get() == 0 {
                    loom::explore();
                }
            });
        }
    }
    UNEXPLORED.with(|depth| {
        if depth.get() == 0 {
            loom::stop_exploring();
        }
        depth.set(depth.get() + 1);
    });
    let _explore = Explore;
    body()
}

/// The model's [`super::real::Words`].
#[derive(Debug)]
pub(crate) struct Words<'a, W> {
    span: Span<'a>,
    offset: usize,
    stride: usize,
    count: usize,
    life: PhantomData<fn() -> W>,
}

impl<W> Clone for Words<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W> Copy for Words<'_, W> {}

impl<'a, W: Word> Words<'a, W> {
    pub(crate) fn get(&self, index: usize) -> Option<Atomic<'a, W>> {
        (index < self.count).then_some(())?;
        self.span.word((self.offset + index * self.stride) as u64)
    }
}

/// The model's [`super::real::WrappedWords`].
#[derive(Debug)]
pub(crate) struct WrappedWords<'a, W> {
    words: Words<'a, W>,
    mask: usize,
}

impl<W> Clone for WrappedWords<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W> Copy for WrappedWords<'_, W> {}

impl<'a, W: Word> WrappedWords<'a, W> {
    pub(crate) fn prefetch_for_read(&self, _index: usize) {}

    pub(crate) fn prefetch_for_write(&self, _index: usize) {}

    pub(crate) fn get(&self, index: usize) -> Atomic<'a, W> {
        self.words.get(index & self.mask).expect("every masked index has a word")
    }
}
