//! Payload in raw memory, moved by relaxed atomic accesses.
//!
//! | type | who may access an element | what a reader gets |
//! |---|---|---|
//! | [`Slots`] | its owner, which the algorithm makes unique | what the last owner wrote |
//! | [`Wrapped`] | as `Slots`, found by the low bits of a counter | the same |
//! | [`Racy`] | one writer at a time; readers at any time, who then check whether they raced | maybe a torn value |
//! | [`Shared`](super::Shared) | anybody at any time | each access stands for itself |

use super::super::hook;
use super::bulk::{copy_slice_in, copy_slice_out};
use crate::element::Element;
use core::marker::PhantomData;
use core::mem::{align_of, size_of, MaybeUninit};
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

    /// Reads slot `index` into `value`; false, with `value` as it was, if there is no such slot.
    #[inline(always)]
    fn read_into(&self, index: usize, value: &mut T) -> bool {
        let Some(from) = self.pointer(index) else { return false };
        // SAFETY: `from` as in `write`; `value` is exclusively ours, and any bytes make a valid `T` (`T: FromBytes`).
        unsafe { copy_out_to(from, value, Relaxed) };
        true
    }

    /// Writes `bytes` into slot `index`, which the caller owns, from its byte `offset` on; false, and nothing is written,
    /// if they do not lie inside.
    pub(crate) fn write_bytes(&self, index: usize, offset: usize, bytes: &[u8]) -> bool {
        let Some(to) = self.bytes_at(index, offset, bytes.len()) else { return false };
        // SAFETY: `bytes_at` gives a pointer to `bytes.len()` bytes inside the span.
        unsafe { copy_bytes_in(to, bytes) };
        true
    }

    /// Reads bytes of slot `index`, which the caller owns, from its byte `offset` on; false, and `bytes` is untouched, if
    /// they do not lie inside.
    pub(crate) fn read_bytes(&self, index: usize, offset: usize, bytes: &mut [u8]) -> bool {
        let Some(from) = self.bytes_at(index, offset, bytes.len()) else { return false };
        // SAFETY: as in `write_bytes`.
        unsafe { copy_bytes_out(from, bytes) };
        true
    }

    fn bytes_at(&self, index: usize, offset: usize, len: usize) -> Option<NonNull<u8>> {
        if offset.checked_add(len)? > size_of::<T>() {
            return None;
        }
        // SAFETY: `offset <= size_of::<T>()`, so the pointer stays inside the slot or at its end.
        Some(unsafe { self.pointer(index)?.add(offset) })
    }

    /// Where slot `index` lies, for access without copying; `None` if there is no such slot, or if it lies at an address
    /// that is no multiple of the alignment of `T`.
    #[inline(always)]
    pub(crate) fn address(&self, index: usize) -> Option<NonNull<T>> {
        let pointer = self.pointer(index)?.cast::<T>();
        pointer.is_aligned().then_some(pointer)
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

    /// Asks for the slot's cache line, to be read soon.
    #[inline(always)]
    pub(crate) fn prefetch_for_read(&self, index: usize) {
        super::prefetch_for_read(self.pointer(index));
    }

    /// Asks for the slot's cache line, to be written soon.
    #[inline(always)]
    pub(crate) fn prefetch_for_write(&self, index: usize) {
        super::prefetch_for_write(self.pointer(index));
    }

    /// Reads slot `index`, which the caller owns.
    #[inline(always)]
    pub(crate) fn read(&self, index: usize) -> T {
        // SAFETY: as in `write`.
        unsafe { copy_out(self.pointer(index)) }
    }

    /// How many of `count` slots from `index` on lie before the wrap, and how many after it: together at most all there are.
    #[inline(always)]
    fn runs(&self, index: usize, count: usize) -> (usize, usize) {
        let masked = index & self.mask;
        // Cannot overflow: `mask + 1` slots exist (constructor), and the masked index is at most `mask`.
        let before = count.min(self.mask - masked + 1);
        (before, (count - before).min(masked))
    }

    /// The bytes of the slots from `index` on, in at most two runs.
    #[cfg(feature = "incoherent")]
    pub(crate) fn each_run(
        &self,
        index: usize,
        count: usize,
        mut each: impl FnMut(*const u8, usize),
    ) {
        let (before, after) = self.runs(index, count);
        for (first, count) in [(index, before), (0, after)] {
            if count > 0 {
                each(self.pointer(first).as_ptr(), count * size_of::<T>());
            }
        }
    }

    /// Writes the slots from `index` on, all of which the caller owns; at most as many as there are.
    #[inline]
    pub(crate) fn write_slice(&self, index: usize, values: &[T]) {
        let (before, after) = self.runs(index, values.len());
        let (first, rest) = values.split_at(before);
        // SAFETY: `runs` says that so many slots follow from `index` on, each as in `write`, side by side.
        unsafe { copy_slice_in(self.pointer(index), first) };
        // SAFETY: as above, from the first slot on.
        unsafe { copy_slice_in(self.pointer(0), rest.get(..after).unwrap_or_default()) };
    }

    /// Reads the slots from `index` on, all of which the caller owns; at most as many as there are.
    #[inline]
    pub(crate) fn read_slice(&self, index: usize, values: &mut [T]) {
        let (before, after) = self.runs(index, values.len());
        let (first, rest) = values.split_at_mut(before);
        // SAFETY: as in `write_slice`.
        unsafe { copy_slice_out(self.pointer(index), first) };
        // SAFETY: as in `write_slice`.
        unsafe { copy_slice_out(self.pointer(0), rest.get_mut(..after).unwrap_or_default()) };
    }

    /// The `count` slots from `index` on as plain memory: the part before the wrap, and the part after it. `None` if they
    /// are not aligned for a `T`.
    pub(crate) fn as_raw_slices(&self, index: usize, count: usize) -> Option<[NonNull<[T]>; 2]> {
        let (before, after) = self.runs(index, count);
        // Slots are side by side and a size is a multiple of its alignment: all are aligned if the first one is.
        if self.first.as_ptr() as usize % align_of::<T>() != 0 {
            return None;
        }
        let first = NonNull::slice_from_raw_parts(self.pointer(index).cast(), before);
        Some([first, NonNull::slice_from_raw_parts(self.pointer(0).cast(), after)])
    }

    /// Where slot `index` lies: inside the region as long as that lives, and aligned for a `T`; `None` if it is not.
    pub(crate) fn address(&self, index: usize) -> Option<NonNull<T>> {
        let pointer = self.pointer(index).cast::<T>();
        (pointer.as_ptr() as usize % core::mem::align_of::<T>() == 0).then_some(pointer)
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

    /// Where slot `index` begins.
    #[cfg(feature = "incoherent")]
    pub(crate) fn first_byte(&self, index: usize) -> Option<*const u8> {
        Some(self.slots.pointer(index)?.as_ptr())
    }

    /// As [`Slots::address`].
    pub(crate) fn address(&self, index: usize) -> Option<NonNull<T>> {
        self.slots.address(index)
    }

    /// Reads slot `index`. The value may be torn: the caller checks the word that named the slot once more.
    #[inline(always)]
    pub(crate) fn read(&self, index: usize) -> Option<T> {
        let value = self.slots.read(index);
        core::sync::atomic::fence(Ordering::Acquire);
        value
    }

    /// Reads slot `index` into `value`, as [`Racy::read`]: without moving the value once more, which costs as much as reading it.
    /// False, with `value` as it was, if there is no such slot.
    #[inline(always)]
    pub(crate) fn read_into(&self, index: usize, value: &mut T) -> bool {
        let read = self.slots.read_into(index, value);
        core::sync::atomic::fence(Ordering::Acquire);
        read
    }
}

/// The widest word, at most 8 bytes, that the size of `T` divides into: how payload is copied, and how it is aligned.
pub(super) const fn copy_width<T>() -> usize {
    width_of(size_of::<T>())
}

/// As [`copy_width`], of a size.
pub(super) const fn width_of(size: usize) -> usize {
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
pub(super) unsafe fn copy_in<T: Element>(to: NonNull<u8>, value: &T) {
    // SAFETY: the same contract.
    unsafe { copy_in_ordered(to, value, Relaxed) }
}

/// [`copy_in`], each store with the ordering given.
///
/// # Safety
/// As for [`copy_in`].
#[inline(always)]
pub(super) unsafe fn copy_in_ordered<T: Element>(to: NonNull<u8>, value: &T, order: Ordering) {
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
                target.store(word, order);
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
pub(super) unsafe fn copy_out<T: Element>(from: NonNull<u8>) -> T {
    // SAFETY: the same contract.
    unsafe { copy_out_ordered(from, Relaxed) }
}

/// [`copy_out`], each load with the ordering given.
///
/// # Safety
/// As for [`copy_out`].
#[inline(always)]
pub(super) unsafe fn copy_out_ordered<T: Element>(from: NonNull<u8>, order: Ordering) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: `from` as the contract says; `value` is ours.
    unsafe { copy_out_to(from, value.as_mut_ptr(), order) };
    // SAFETY: `copy_out_to` wrote all `size_of::<T>()` bytes, and any bytes make a valid `T` (`T: FromBytes`).
    unsafe { value.assume_init() }
}

/// As [`copy_out_ordered`], to where the value is wanted.
///
/// # Safety
/// `from` as for [`copy_out`]; `value` must be valid for writes of a `T`, and nobody else's meanwhile.
#[inline(always)]
unsafe fn copy_out_to<T: Element>(from: NonNull<u8>, value: *mut T, order: Ordering) {
    let to = value.cast::<u8>();
    macro_rules! by {
        ($int:ty, $atomic:ty) => {
            for at in (0..size_of::<T>()).step_by(size_of::<$int>()) {
                // SAFETY: inside the slot (contract).
                let source = unsafe { from.add(at) };
                // SAFETY: aligned and valid for atomic reads (contract).
                let source = unsafe { source.cast::<$atomic>().as_ref() };
                hook::step();
                let word = source.load(order);
                // SAFETY: `at + width <= size_of::<T>()`, inside `value`.
                let target = unsafe { to.add(at) };
                // SAFETY: inside `value`, which is ours alone (contract).
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
}

/// The word of bulk copies.
type Bulk = super::super::Wide;
type AtomicBulk = <Bulk as super::super::Word>::Native;

const BULK: usize = size_of::<Bulk>();

/// Which part of `len` bytes at `address` consists of whole words on their alignment; what is before and after, of bytes.
fn whole_words(address: NonNull<u8>, len: usize) -> core::ops::Range<usize> {
    let start = ((address.as_ptr() as usize).wrapping_neg() % BULK).min(len);
    start..len - (len - start) % BULK
}

/// Copies bytes into a region: wide words where the address allows it, single bytes before and after.
///
/// # Safety
/// `to` must be valid for atomic writes of `bytes.len()` bytes.
unsafe fn copy_bytes_in(to: NonNull<u8>, bytes: &[u8]) {
    let words = whole_words(to, bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        // SAFETY: `at < bytes.len()`, inside what `to` is valid for (contract).
        let target = unsafe { to.add(at) };
        // SAFETY: `at < bytes.len()`, inside the slice.
        let source = unsafe { bytes.as_ptr().add(at) };
        hook::step();
        if words.contains(&at) {
            // SAFETY: a whole word inside the slice (`whole_words`).
            let word = unsafe { source.cast::<Bulk>().read_unaligned() };
            // SAFETY: a whole word inside what `to` is valid for, aligned (`whole_words`).
            let target = unsafe { target.cast::<AtomicBulk>().as_ref() };
            target.store(word, Relaxed);
            at += BULK;
        } else {
            // SAFETY: a byte inside the slice.
            let byte = unsafe { source.read() };
            // SAFETY: a byte inside what `to` is valid for.
            let target = unsafe { target.cast::<AtomicU8>().as_ref() };
            target.store(byte, Relaxed);
            at += 1;
        }
    }
}

/// Copies bytes out of a region, as [`copy_bytes_in`].
///
/// # Safety
/// `from` must be valid for atomic reads of `bytes.len()` bytes.
unsafe fn copy_bytes_out(from: NonNull<u8>, bytes: &mut [u8]) {
    let words = whole_words(from, bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        // SAFETY: `at < bytes.len()`, inside what `from` is valid for (contract).
        let source = unsafe { from.add(at) };
        // SAFETY: `at < bytes.len()`, inside the slice.
        let target = unsafe { bytes.as_mut_ptr().add(at) };
        hook::step();
        if words.contains(&at) {
            // SAFETY: a whole word inside what `from` is valid for, aligned (`whole_words`).
            let source = unsafe { source.cast::<AtomicBulk>().as_ref() };
            let word = source.load(Relaxed);
            // SAFETY: a whole word inside the slice (`whole_words`).
            unsafe { target.cast::<Bulk>().write_unaligned(word) };
            at += BULK;
        } else {
            // SAFETY: a byte inside what `from` is valid for.
            let source = unsafe { source.cast::<AtomicU8>().as_ref() };
            let byte = source.load(Relaxed);
            // SAFETY: a byte inside the slice.
            unsafe { target.write(byte) };
            at += 1;
        }
    }
}
