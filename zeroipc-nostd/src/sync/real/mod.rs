//! The real form: raw memory and native atomics.
//!
//! A peer may write any byte at any time, so nothing here makes a reference to plain data in a region: words are reached
//! as atomics, and payload is moved by relaxed atomic loads and stores of the widest word that its size divides into.
//! That is what makes a torn or hostile value a wrong value and never undefined behaviour.

mod bulk;
mod cells;
mod payload;
mod raw;
mod shared;

pub(crate) use cells::Cells;
pub(crate) use payload::{Racy, Slots, Wrapped};
pub(crate) use raw::Raw;
pub(crate) use shared::Shared;

use super::atomic::Atomic;
use super::hook;
use super::word::Word;
use crate::element::Element;
use crate::error::RegionError;
use core::marker::PhantomData;
use core::mem::size_of;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
use payload::{copy_width, width_of};
use portable_atomic::AtomicU8;

/// Where a region lies: a pointer and a length that live for `'a`.
///
/// The only way from memory to a [`Region`](crate::Region) or a [`View`](crate::View). Everything that is read through
/// it is bounds-checked once, when a structure is opened.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    base: NonNull<u8>,
    len: usize,
    life: PhantomData<&'a ()>,
}

// SAFETY: all access through a span is atomic, and the constructors demand memory that any thread may access so.
unsafe impl Send for Span<'_> {}
// SAFETY: as above; the span itself is never changed.
unsafe impl Sync for Span<'_> {}

impl<'a> Span<'a> {
    /// A span over memory that this program owns: a static, a buffer, a test.
    ///
    /// # Errors
    /// [`RegionError::Misaligned`] unless the slice starts at a multiple of 8.
    pub fn from_slice(memory: &'a mut [u8]) -> Result<Self, RegionError> {
        let len = memory.len();
        // SAFETY: the exclusive borrow makes the memory valid for reads and writes for `'a`, and nobody else can
        // reach it except through copies of this span, which only access it atomically.
        unsafe { Self::from_raw_parts(memory.as_mut_ptr(), len) }
    }

    /// A span over memory that others share: a mapping, a linker section, a DMA buffer.
    ///
    /// # Safety
    /// For all of `'a`, the `len` bytes at `base` must be mapped, valid for atomic reads (and, if the span becomes a
    /// [`Region`](crate::Region) and not only a [`View`](crate::View), writes), never truncated or unmapped, and this
    /// program must not access them other than atomically. Other parties may write anything at any time.
    ///
    /// # Errors
    /// [`RegionError::Misaligned`] unless `base` is a multiple of 8; [`RegionError::NullAddress`] if it is null;
    /// [`RegionError::AddressOverflow`] if the range wraps around or exceeds `isize::MAX` bytes.
    pub unsafe fn from_raw_parts(base: *mut u8, len: usize) -> Result<Self, RegionError> {
        let base = NonNull::new(base).ok_or(RegionError::NullAddress)?;
        let address = base.as_ptr() as usize;
        if address % 8 != 0 {
            return Err(RegionError::Misaligned { address });
        }
        if isize::try_from(len).is_err() || address.checked_add(len).is_none() {
            return Err(RegionError::AddressOverflow { address, len });
        }
        Ok(Span { base, len, life: PhantomData })
    }

    /// A read-only view's span over bytes at rest.
    pub(crate) fn from_bytes(bytes: &'a [u8]) -> Result<Self, RegionError> {
        // SAFETY: the bytes are valid for reads for `'a`. The result goes into a `View`, which only ever loads; std
        // documents atomic loads of at most pointer size as allowed on memory that must not be written.
        unsafe { Self::from_raw_parts(bytes.as_ptr().cast_mut(), bytes.len()) }
    }

    /// Length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // an empty span is never useful: every region is larger than its header
    pub fn len(&self) -> usize {
        self.len
    }

    /// The address of the first byte.
    #[must_use]
    pub fn base(&self) -> *const u8 {
        self.base.as_ptr()
    }

    /// The part of `len` bytes at `offset`, if it lies inside and starts at a multiple of 8.
    pub(crate) fn part(&self, offset: u64, len: u64) -> Option<Span<'a>> {
        let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
        let end = offset.checked_add(len)?;
        if end > self.len || offset % 8 != 0 {
            return None;
        }
        // SAFETY: `offset <= end <= self.len`, so the pointer stays inside the allocation or at its end.
        let base = unsafe { self.base.add(offset) };
        Some(Span { base, len, life: PhantomData })
    }

    /// How far from the start of `outer` it begins; `None` if it is no part of it.
    pub(crate) fn offset_in(&self, outer: &Span<'_>) -> Option<u64> {
        let offset = (self.base.as_ptr() as usize).checked_sub(outer.base.as_ptr() as usize)?;
        (offset.checked_add(self.len)? <= outer.len).then_some(offset as u64)
    }

    /// A pointer to `size` bytes at `offset`, if they lie inside and the address is a multiple of `align`.
    fn at(&self, offset: usize, size: usize, align: usize) -> Option<NonNull<u8>> {
        if offset.checked_add(size)? > self.len {
            return None;
        }
        // SAFETY: `offset + size <= self.len`, so the pointer stays inside the allocation.
        let pointer = unsafe { self.base.add(offset) };
        (pointer.as_ptr() as usize % align == 0).then_some(pointer)
    }

    /// The word at `offset`.
    pub(crate) fn word<W: Word>(&self, offset: u64) -> Option<Atomic<'a, W>> {
        let pointer = self.at(usize::try_from(offset).ok()?, W::BYTES, W::BYTES)?;
        // SAFETY: `at` gives an aligned pointer to `W::BYTES` bytes inside the span, which are valid for atomic access
        // for `'a` (constructors); `W::Native` is an atomic integer of that size.
        let native = unsafe { pointer.cast::<W::Native>().as_ref() };
        Some(Atomic { native })
    }

    /// `count` words, the first at `offset`, `stride` bytes apart.
    pub(crate) fn words<W: Word>(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
    ) -> Option<Words<'a, W>> {
        let first = self.strided(offset, stride, count, W::BYTES, W::BYTES)?;
        Some(Words { first, stride, count, life: PhantomData })
    }

    /// `count` (a power of two) words by an index that wraps around, the first at `offset`, `stride` bytes apart.
    pub(crate) fn wrapped_words<W: Word>(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
    ) -> Option<WrappedWords<'a, W>> {
        let first = self.strided(offset, stride, count, W::BYTES, W::BYTES)?;
        Some(WrappedWords { first, stride, mask: count - 1, life: PhantomData })
    }

    /// `count` payload slots of a `T`, the first at `offset`, `stride` bytes apart.
    pub(crate) fn slots<T: Element>(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
    ) -> Option<Slots<'a, T>> {
        let first = self.strided(offset, stride, count, size_of::<T>(), copy_width::<T>())?;
        Some(Slots::new(first, stride, count))
    }

    /// `count` (at least 1) payload slots of a `T` side by side, by an index that wraps around.
    pub(crate) fn wrapped<T: Element>(&self, offset: u64, count: usize) -> Option<Wrapped<'a, T>> {
        let first =
            self.strided(offset, size_of::<T>(), count, size_of::<T>(), copy_width::<T>())?;
        Some(Wrapped::new(first, count - 1))
    }

    /// As [`Span::slots`], for readers that look without owning and check afterwards.
    pub(crate) fn racy<T: Element>(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
    ) -> Option<Racy<'a, T>> {
        self.slots(offset, stride, count).map(Racy::new)
    }

    /// Elements that anybody may read and write at any time.
    pub(crate) fn shared<T: Element>(&self, offset: u64, count: usize) -> Option<Shared<'a, T>> {
        let first =
            self.strided(offset, size_of::<T>(), count, size_of::<T>(), copy_width::<T>())?;
        Some(Shared::new(first, count))
    }

    /// `count` elements of `size` bytes of a type that is not known here, the first at `offset`, `stride` bytes apart: for
    /// readers that look without owning and check afterwards.
    pub(crate) fn raw(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
        size: usize,
    ) -> Option<Raw<'a>> {
        let first = self.strided(offset, stride, count, size, width_of(size))?;
        Some(Raw::new(first, stride, count, size))
    }

    pub(super) fn strided(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
        size: usize,
        align: usize,
    ) -> Option<NonNull<u8>> {
        let last = stride.checked_mul(count.checked_sub(1)?)?;
        if stride % align != 0 {
            return None;
        }
        self.at(usize::try_from(offset).ok()?, last.checked_add(size)?, align)
    }

    /// `N` words from `offset` on, each loaded relaxed: for names, which never change once they can be found.
    pub(crate) fn load_block<const N: usize>(&self, offset: u64) -> Option<[u32; N]> {
        let words = self.words::<u32>(offset, 4, N)?;
        let mut block = [0; N];
        for (index, to) in block.iter_mut().enumerate() {
            *to = words.get(index)?.load(Relaxed);
        }
        Some(block)
    }

    /// Stores `N` words from `offset` on, each relaxed.
    pub(crate) fn store_block<const N: usize>(&self, offset: u64, block: &[u32; N]) -> Option<()> {
        let words = self.words::<u32>(offset, 4, N)?;
        for (index, from) in block.iter().enumerate() {
            words.get(index)?.store(*from, Relaxed);
        }
        Some(())
    }

    /// Zeroes `len` bytes at `offset`, a multiple of 4, word by word; nothing happens if they do not lie inside.
    pub(crate) fn clear(&self, offset: u64, len: u64) {
        let (Ok(offset), Ok(len)) = (usize::try_from(offset), usize::try_from(len)) else { return };
        if self.at(offset, len, 4).is_none() {
            return;
        }
        let whole = len / 4;
        if let Some(words) = self.words::<u32>(offset as u64, 4, whole) {
            (0..whole).filter_map(|index| words.get(index)).for_each(|word| word.store(0, Relaxed));
        }
        for at in offset + whole * 4..offset + len {
            if let Some(pointer) = self.at(at, 1, 1) {
                // SAFETY: `at` gives a pointer to a byte inside the span, valid for atomic access (constructors).
                let byte = unsafe { pointer.cast::<AtomicU8>().as_ref() };
                hook::step();
                byte.store(0, Relaxed);
            }
        }
    }

    /// The byte at `offset`, for dumps.
    pub(crate) fn byte(&self, offset: usize) -> Option<u8> {
        let pointer = self.at(offset, 1, 1)?;
        // SAFETY: `at` gives a pointer to a byte inside the span, valid for atomic access for `'a` (constructors).
        let byte = unsafe { pointer.cast::<AtomicU8>().as_ref() };
        Some(byte.load(Relaxed))
    }
}

/// Words of one width at a fixed stride, bounds-checked as a whole when made.
#[derive(Debug)]
pub(crate) struct Words<'a, W> {
    first: NonNull<u8>,
    stride: usize,
    count: usize,
    life: PhantomData<&'a W>,
}

impl<W> Clone for Words<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W> Copy for Words<'_, W> {}

// SAFETY: as for `Span`: access is atomic only.
unsafe impl<W> Send for Words<'_, W> {}
// SAFETY: as for `Span`.
unsafe impl<W> Sync for Words<'_, W> {}

impl<'a, W: Word> Words<'a, W> {
    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> Option<Atomic<'a, W>> {
        if index >= self.count {
            return None;
        }
        // SAFETY: `index < count`, and `strided` proved that all `count` words lie inside the span.
        let pointer = unsafe { self.first.add(index * self.stride) };
        // SAFETY: inside the span, aligned (`strided`: first and stride are multiples of the width), valid for `'a`.
        let native = unsafe { pointer.cast::<W::Native>().as_ref() };
        Some(Atomic { native })
    }
}

/// Words of one width at a fixed stride, found by the low bits of a counter: any index is good.
#[derive(Debug)]
pub(crate) struct WrappedWords<'a, W> {
    first: NonNull<u8>,
    stride: usize,
    /// One less than the number of words, which the algorithm made a power of two.
    mask: usize,
    life: PhantomData<&'a W>,
}

impl<W> Clone for WrappedWords<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W> Copy for WrappedWords<'_, W> {}

// SAFETY: as for `Span`: access is atomic only.
unsafe impl<W> Send for WrappedWords<'_, W> {}
// SAFETY: as for `Span`.
unsafe impl<W> Sync for WrappedWords<'_, W> {}

impl<'a, W: Word> WrappedWords<'a, W> {
    #[inline(always)]
    fn pointer(&self, index: usize) -> NonNull<u8> {
        // SAFETY: whatever the mask, `index & mask <= mask`, and `strided` proved that `mask + 1` words at this stride lie
        // inside the span.
        unsafe { self.first.add((index & self.mask) * self.stride) }
    }

    /// Asks for the word's cache line, to be read soon.
    #[inline(always)]
    pub(crate) fn prefetch_for_read(&self, index: usize) {
        prefetch_for_read(self.pointer(index));
    }

    /// Asks for the word's cache line, to be written soon.
    #[inline(always)]
    pub(crate) fn prefetch_for_write(&self, index: usize) {
        prefetch_for_write(self.pointer(index));
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> Atomic<'a, W> {
        let pointer = self.pointer(index);
        // SAFETY: inside the span, aligned (`strided`: first and stride are multiples of the width), valid for `'a`.
        let native = unsafe { pointer.cast::<W::Native>().as_ref() };
        Atomic { native }
    }
}

/// Asks for the cache line at `address`, to be written soon. A hint: it says nothing and changes nothing.
#[inline(always)]
pub(super) fn prefetch_for_write(address: NonNull<u8>) {
    let _ = address;
    #[cfg(all(target_arch = "x86_64", not(any(zeroipc_fault, miri))))]
    // SAFETY: a hint that never faults, whatever the address, and touches no register; processors without it take it for a
    // no-op (AMD64 Architecture Programmer's Manual vol. 3 and Intel SDM vol. 2, PREFETCHW).
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) address.as_ptr(), options(nostack, preserves_flags, readonly));
    }
}

/// Asks for the cache line at `address`, to be read soon. A hint: it says nothing and changes nothing.
#[inline(always)]
pub(super) fn prefetch_for_read(address: NonNull<u8>) {
    let _ = address;
    #[cfg(all(target_arch = "x86_64", not(any(zeroipc_fault, miri))))]
    // SAFETY: a hint that never faults, whatever the address; SSE is part of x86-64.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(
            address.as_ptr().cast(),
        );
    }
}
