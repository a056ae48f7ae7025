//! The real form: raw memory and native atomics.
//!
//! A peer may write any byte at any time, so nothing here makes a reference to plain data in a region: words are reached
//! as atomics, and payload is moved by relaxed atomic loads and stores of the widest word that its size divides into.
//! That is what makes a torn or hostile value a wrong value and never undefined behaviour.

use super::atomic::Atomic;
use super::hook;
use super::word::Word;
use crate::element::Element;
use crate::error::RegionError;
use core::marker::PhantomData;
use core::mem::{size_of, MaybeUninit};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{self, Relaxed};
use portable_atomic::{AtomicU16, AtomicU32, AtomicU8};

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

    /// `count` payload slots of a `T`, the first at `offset`, `stride` bytes apart.
    pub(crate) fn slots<T: Element>(
        &self,
        offset: u64,
        stride: usize,
        count: usize,
    ) -> Option<Slots<'a, T>> {
        let first = self.strided(offset, stride, count, size_of::<T>(), copy_width::<T>())?;
        Some(Slots { first, stride, count, life: PhantomData })
    }

    /// `count` (at least 1) payload slots of a `T` side by side, by an index that wraps around.
    pub(crate) fn wrapped<T: Element>(&self, offset: u64, count: usize) -> Option<Wrapped<'a, T>> {
        let first =
            self.strided(offset, size_of::<T>(), count, size_of::<T>(), copy_width::<T>())?;
        Some(Wrapped { first, mask: count - 1, life: PhantomData })
    }

    /// Elements that anybody may read and write at any time.
    pub(crate) fn shared<T: Element>(&self, offset: u64, count: usize) -> Option<Shared<'a, T>> {
        self.slots(offset, size_of::<T>(), count).map(|slots| Shared { slots })
    }

    fn strided(
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

/// Payload slots: written and read by whoever the algorithm made the owner.
#[derive(Debug)]
pub(crate) struct Slots<'a, T> {
    first: NonNull<u8>,
    stride: usize,
    count: usize,
    life: PhantomData<&'a T>,
}

impl<T> Clone for Slots<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Slots<'_, T> {}

// SAFETY: as for `Span`: access is atomic only, and `T: Element` is `Send` plain data.
unsafe impl<T: Send> Send for Slots<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Slots<'_, T> {}

impl<T: Element> Slots<'_, T> {
    #[inline(always)]
    fn pointer(&self, index: usize) -> Option<NonNull<u8>> {
        if index >= self.count {
            return None;
        }
        // SAFETY: `index < count`, and `strided` proved that all `count` slots lie inside the span.
        Some(unsafe { self.first.add(index * self.stride) })
    }

    /// Writes slot `index`, which the caller owns; nothing happens if there is no such slot.
    #[inline(always)]
    pub(crate) fn write(&self, index: usize, value: &T) {
        let Some(to) = self.pointer(index) else { return };
        // SAFETY: `pointer` gives a slot of `size_of::<T>()` bytes inside the span, aligned to `copy_width::<T>()`.
        unsafe { copy_in(to, value) };
    }

    /// Reads slot `index`, which the caller owns.
    #[inline(always)]
    pub(crate) fn read(&self, index: usize) -> Option<T> {
        let from = self.pointer(index)?;
        // SAFETY: as in `write`.
        Some(unsafe { copy_out(from) })
    }
}

/// Payload slots side by side, found by the low bits of a counter: any index is good.
#[derive(Debug)]
pub(crate) struct Wrapped<'a, T> {
    first: NonNull<u8>,
    /// One less than the number of slots, which the algorithm made a power of two.
    mask: usize,
    life: PhantomData<&'a T>,
}

impl<T> Clone for Wrapped<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Wrapped<'_, T> {}

// SAFETY: as for `Slots`.
unsafe impl<T: Send> Send for Wrapped<'_, T> {}
// SAFETY: as for `Slots`.
unsafe impl<T: Send> Sync for Wrapped<'_, T> {}

impl<T: Element> Wrapped<'_, T> {
    #[inline(always)]
    fn pointer(&self, index: usize) -> NonNull<u8> {
        let offset = (index & self.mask) * size_of::<T>();
        // SAFETY: whatever the mask, `index & mask <= mask`, and `strided` proved that `mask + 1` slots of this size lie
        // inside the span.
        unsafe { self.first.add(offset) }
    }

    /// Writes slot `index`, which the caller owns.
    #[inline(always)]
    pub(crate) fn write(&self, index: usize, value: &T) {
        // SAFETY: `pointer` gives a slot of `size_of::<T>()` bytes inside the span, aligned to `copy_width::<T>()`.
        unsafe { copy_in(self.pointer(index), value) };
    }

    /// Reads slot `index`, which the caller owns.
    #[inline(always)]
    pub(crate) fn read(&self, index: usize) -> T {
        // SAFETY: as in `write`.
        unsafe { copy_out(self.pointer(index)) }
    }
}

/// Elements without an owner: each load and store stands for itself.
#[derive(Debug)]
pub(crate) struct Shared<'a, T> {
    slots: Slots<'a, T>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<'_, T> {}

impl<T: Element> Shared<'_, T> {
    /// One element: a single atomic load with acquire if the size is 1, 2, 4 or 8 (and the target has that width).
    #[inline(always)]
    pub(crate) fn load(&self, index: usize) -> Option<T> {
        let from = self.slots.pointer(index)?;
        // SAFETY: as in `Slots::write`.
        let value = unsafe { copy_out(from) };
        // Turns the relaxed loads above into acquiring ones: what was stored before a value we saw is visible after.
        core::sync::atomic::fence(Ordering::Acquire);
        Some(value)
    }

    /// Stores one element, with release; false if there is no such index.
    #[inline(always)]
    pub(crate) fn store(&self, index: usize, value: &T) -> bool {
        let Some(to) = self.slots.pointer(index) else { return false };
        core::sync::atomic::fence(Ordering::Release);
        // SAFETY: as in `Slots::write`.
        unsafe { copy_in(to, value) };
        true
    }
}

/// The widest word, at most 8 bytes, that the size of `T` divides into: how payload is copied, and how it is aligned.
const fn copy_width<T>() -> usize {
    let size = size_of::<T>();
    let mut width = if cfg!(target_has_atomic = "64") { 8 } else { 4 };
    while size % width != 0 {
        width /= 2;
    }
    width
}

/// Copies `value` into a region.
///
/// # Safety
/// `to` must be valid for atomic writes of `size_of::<T>()` bytes and aligned to `copy_width::<T>()`.
#[inline(always)]
unsafe fn copy_in<T: Element>(to: NonNull<u8>, value: &T) {
    let from = core::ptr::from_ref(value).cast::<u8>();
    macro_rules! by {
        ($int:ty, $atomic:ty) => {
            for at in (0..size_of::<T>()).step_by(size_of::<$int>()) {
                // SAFETY: `at + width <= size_of::<T>()`, inside `value`.
                let source = unsafe { from.add(at) };
                // SAFETY: inside `value`, which has no padding (`T: IntoBytes`), so every byte is initialised.
                let word = unsafe { source.cast::<$int>().read_unaligned() };
                // SAFETY: inside the slot (contract).
                let target = unsafe { to.add(at) };
                // SAFETY: aligned and valid for atomic writes (contract); shared access is atomic on all sides.
                let target = unsafe { target.cast::<$atomic>().as_ref() };
                hook::step();
                target.store(word, Relaxed);
            }
        };
    }
    match copy_width::<T>() {
        #[cfg(target_has_atomic = "64")]
        8 => by!(u64, portable_atomic::AtomicU64),
        4 => by!(u32, AtomicU32),
        2 => by!(u16, AtomicU16),
        _ => by!(u8, AtomicU8),
    }
}

/// Copies a value out of a region; it may be torn if somebody writes at the same time.
///
/// # Safety
/// `from` must be valid for atomic reads of `size_of::<T>()` bytes and aligned to `copy_width::<T>()`.
#[inline(always)]
unsafe fn copy_out<T: Element>(from: NonNull<u8>) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    let to = value.as_mut_ptr().cast::<u8>();
    macro_rules! by {
        ($int:ty, $atomic:ty) => {
            for at in (0..size_of::<T>()).step_by(size_of::<$int>()) {
                // SAFETY: inside the slot (contract).
                let source = unsafe { from.add(at) };
                // SAFETY: aligned and valid for atomic reads (contract).
                let source = unsafe { source.cast::<$atomic>().as_ref() };
                hook::step();
                let word = source.load(Relaxed);
                // SAFETY: `at + width <= size_of::<T>()`, inside `value`.
                let target = unsafe { to.add(at) };
                // SAFETY: inside `value`, which is ours alone.
                unsafe { target.cast::<$int>().write_unaligned(word) };
            }
        };
    }
    match copy_width::<T>() {
        #[cfg(target_has_atomic = "64")]
        8 => by!(u64, portable_atomic::AtomicU64),
        4 => by!(u32, AtomicU32),
        2 => by!(u16, AtomicU16),
        _ => by!(u8, AtomicU8),
    }
    // SAFETY: the loop wrote all `size_of::<T>()` bytes, and any bytes make a valid `T` (`T: FromBytes`).
    unsafe { value.assume_init() }
}
