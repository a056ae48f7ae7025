//! Payload in raw memory, moved by relaxed atomic accesses.
//!
//! | type | who may access an element | what a reader gets |
//! |---|---|---|
//! | [`Slots`] | its owner, which the algorithm makes unique | what the last owner wrote |
//! | [`Wrapped`] | as `Slots`, found by the low bits of a counter | the same |
//! | [`Racy`] | one writer at a time; readers at any time, who then check whether they raced | maybe a torn value |
//! | [`Shared`] | anybody at any time | each access stands for itself |

use super::super::hook;
use crate::element::Element;
use core::marker::PhantomData;
use core::mem::{size_of, MaybeUninit};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{self, Relaxed};
use portable_atomic::{AtomicU16, AtomicU32, AtomicU8};

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

impl<'a, T> Slots<'a, T> {
    /// The caller proved (`Span::strided`) that all `count` slots lie inside a span that lives for `'a`.
    pub(super) fn new(first: NonNull<u8>, stride: usize, count: usize) -> Self {
        Slots { first, stride, count, life: PhantomData }
    }
}

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

impl<'a, T> Wrapped<'a, T> {
    /// The caller proved (`Span::strided`) that `mask + 1` slots lie inside a span that lives for `'a`.
    pub(super) fn new(first: NonNull<u8>, mask: usize) -> Self {
        Wrapped { first, mask, life: PhantomData }
    }
}

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

/// Payload slots that one party at a time writes, and that others may read meanwhile and then check whether they raced.
///
/// The order of things, with a *word* that names a slot and changes before the slot is written again:
///
/// - A reader loads the word (acquire), reads the slot, and looks whether the word is still the same: by a load, or by a
///   compare-and-exchange with release. If it is, the value is whole and belongs to that word.
/// - A writer owns the slot, because the word was moved away from it, by itself or by somebody whose release it acquired.
///
/// If a reader saw any part of a later write, then the writer's release fence in [`Racy::write`] and the reader's acquire fence
/// in [`Racy::read`] order the change of the word before the reader's second look, which therefore sees it.
#[derive(Debug)]
pub(crate) struct Racy<'a, T> {
    slots: Slots<'a, T>,
}

impl<T> Clone for Racy<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Racy<'_, T> {}

impl<'a, T> Racy<'a, T> {
    pub(super) fn new(slots: Slots<'a, T>) -> Self {
        Racy { slots }
    }
}

impl<T: Element> Racy<'_, T> {
    /// Writes slot `index`, of which the caller is the only writer; nothing happens if there is no such slot.
    #[inline(always)]
    pub(crate) fn write(&self, index: usize, value: &T) {
        core::sync::atomic::fence(Ordering::Release);
        self.slots.write(index, value);
    }

    /// Reads slot `index`. The value may be torn: the caller checks the word that named the slot once more.
    #[inline(always)]
    pub(crate) fn read(&self, index: usize) -> Option<T> {
        let value = self.slots.read(index);
        core::sync::atomic::fence(Ordering::Acquire);
        value
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

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(slots: Slots<'a, T>) -> Self {
        Shared { slots }
    }
}

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
pub(super) const fn copy_width<T>() -> usize {
    let size = size_of::<T>();
    if size == 0 {
        return 1; // nothing to copy, anywhere
    }
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
