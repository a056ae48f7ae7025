//! Many elements at once: the same relaxed accesses as for one, but in the machine's widest word.
//!
//! Elements of 1, 2 or 4 bytes that lie side by side are moved 8 bytes at a time where this file knows the instruction
//! (x86-64, AArch64). An aligned access of 8 bytes is one indivisible access on these machines, so each element that it
//! covers is whole, and it is one of the ways in which relaxed accesses of all these elements, one after another, may come
//! out. It is written as an instruction and not as a wider atomic because Rust's atomics know no accesses of different
//! widths to the same memory at the same time, and a peer may well access a single element meanwhile.
//!
//! Elsewhere, and for elements that are multiples of 8 bytes, the accesses are those of
//! [`copy_width`](super::payload::copy_width).

use super::super::hook;
use super::payload::copy_width;
use crate::element::Element;
use core::mem::{size_of, size_of_val};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
use portable_atomic::{AtomicU16, AtomicU32, AtomicU8};

/// Bytes of a wide access.
const WIDE: usize = 8;

/// Whether this file knows an instruction for it.
const HAS_WIDE_ACCESS: bool =
    cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)));

/// How a run of `len` bytes at `address` is cut: so many bytes up to the first wide boundary, and so many in wide words.
/// What remains after both is shorter than a wide word.
#[inline(always)]
fn cut(address: usize, len: usize) -> (usize, usize) {
    if !HAS_WIDE_ACCESS {
        return (len, 0);
    }
    let head = address.wrapping_neg() % WIDE;
    if head >= len {
        return (len, 0);
    }
    (head, (len - head) / WIDE * WIDE)
}

/// Copies `values` into a region, one element after another.
///
/// # Safety
/// `to` must be valid for atomic writes of `size_of_val(values)` bytes and aligned to `copy_width::<T>()`.
#[inline]
pub(super) unsafe fn copy_slice_in<T: Element>(to: NonNull<u8>, values: &[T]) {
    let (from, len) = (values.as_ptr().cast::<u8>(), size_of_val(values));
    let (head, wide) = cut(to.as_ptr() as usize, len);
    // SAFETY: `head <= len`, so both sides are as the contract says. The boundaries of the three runs are multiples of
    // `copy_width::<T>()`, which divides `WIDE`, `len` and the address.
    unsafe { narrow_in::<T>(to, from, 0, head) };
    // SAFETY: `head + wide <= len`; the run starts at a multiple of `WIDE` and is a multiple of it long.
    unsafe { wide_in::<T>(to, from, head, head + wide) };
    // SAFETY: as for the first run.
    unsafe { narrow_in::<T>(to, from, head + wide, len) };
}

/// Copies elements out of a region into `values`, one after another; each may be torn as a single one may be.
///
/// # Safety
/// `from` must be valid for atomic reads of `size_of_val(values)` bytes and aligned to `copy_width::<T>()`.
#[inline]
pub(super) unsafe fn copy_slice_out<T: Element>(from: NonNull<u8>, values: &mut [T]) {
    let len = size_of_val(values);
    let to = values.as_mut_ptr().cast::<u8>();
    let (head, wide) = cut(from.as_ptr() as usize, len);
    // SAFETY: as in `copy_slice_in`; whatever bytes come make valid elements (`T: FromBytes`).
    unsafe { narrow_out::<T>(from, to, 0, head) };
    // SAFETY: as in `copy_slice_in`.
    unsafe { wide_out::<T>(from, to, head, head + wide) };
    // SAFETY: as in `copy_slice_in`.
    unsafe { narrow_out::<T>(from, to, head + wide, len) };
}

/// Stores the bytes from `at` to `end` in words of `copy_width::<T>()`.
///
/// # Safety
/// Both runs must lie inside their memory, `to` as in [`copy_slice_in`]; `at` and `end` are multiples of the width.
#[inline(always)]
unsafe fn narrow_in<T>(to: NonNull<u8>, from: *const u8, mut at: usize, end: usize) {
    macro_rules! by {
        ($int:ty, $atomic:ty) => {
            while at < end {
                // SAFETY: `at + width <= end`, inside the values (contract).
                let source = unsafe { from.add(at) };
                // SAFETY: inside the values, which have no padding (`T: IntoBytes`), so every byte is initialised.
                let word = unsafe { source.cast::<$int>().read_unaligned() };
                // SAFETY: inside the region's elements (contract).
                let target = unsafe { to.add(at) };
                // SAFETY: aligned and valid for atomic writes (contract); shared access is atomic on all sides.
                let target = unsafe { target.cast::<$atomic>().as_ref() };
                hook::step();
                target.store(word, Relaxed);
                at += size_of::<$int>();
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

/// Loads the bytes from `at` to `end` in words of `copy_width::<T>()`.
///
/// # Safety
/// As for [`narrow_in`], with `from` in the region.
#[inline(always)]
unsafe fn narrow_out<T>(from: NonNull<u8>, to: *mut u8, mut at: usize, end: usize) {
    macro_rules! by {
        ($int:ty, $atomic:ty) => {
            while at < end {
                // SAFETY: inside the region's elements (contract).
                let source = unsafe { from.add(at) };
                // SAFETY: aligned and valid for atomic reads (contract).
                let source = unsafe { source.cast::<$atomic>().as_ref() };
                hook::step();
                let word = source.load(Relaxed);
                // SAFETY: `at + width <= end`, inside the values (contract).
                let target = unsafe { to.add(at) };
                // SAFETY: inside the values, which are ours alone.
                unsafe { target.cast::<$int>().write_unaligned(word) };
                at += size_of::<$int>();
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

/// Stores the bytes from `at` to `end` in wide words.
///
/// # Safety
/// As for [`narrow_in`], with the width `WIDE`.
#[inline(always)]
unsafe fn wide_in<T>(to: NonNull<u8>, from: *const u8, mut at: usize, end: usize) {
    let one = |at| {
        // SAFETY: `at + WIDE <= end`, inside the values (contract).
        let source = unsafe { from.add(at) };
        // SAFETY: inside the values, every byte of which is initialised (`T: IntoBytes`).
        let word = unsafe { source.cast::<u64>().read_unaligned() };
        // SAFETY: inside the region's elements (contract).
        let target = unsafe { to.add(at) };
        hook::step();
        // SAFETY: aligned to `WIDE` and valid for atomic writes (contract).
        unsafe { store_wide::<T>(target.cast(), word) };
    };
    // Eight at a time: else a third of the instructions would count.
    while end - at >= 8 * WIDE {
        (0..8).for_each(|word| one(at + word * WIDE));
        at += 8 * WIDE;
    }
    while at < end {
        one(at);
        at += WIDE;
    }
}

/// Loads the bytes from `at` to `end` in wide words.
///
/// # Safety
/// As for [`narrow_out`], with the width `WIDE`.
#[inline(always)]
unsafe fn wide_out<T>(from: NonNull<u8>, to: *mut u8, mut at: usize, end: usize) {
    let one = |at| {
        // SAFETY: inside the region's elements (contract).
        let source = unsafe { from.add(at) };
        hook::step();
        // SAFETY: aligned to `WIDE` and valid for atomic reads (contract).
        let word = unsafe { load_wide::<T>(source.cast()) };
        // SAFETY: `at + WIDE <= end`, inside the values (contract).
        let target = unsafe { to.add(at) };
        // SAFETY: inside the values, which are ours alone.
        unsafe { target.cast::<u64>().write_unaligned(word) };
    };
    while end - at >= 8 * WIDE {
        (0..8).for_each(|word| one(at + word * WIDE));
        at += 8 * WIDE;
    }
    while at < end {
        one(at);
        at += WIDE;
    }
}

/// One load of 8 bytes, as relaxed loads of all elements in it.
///
/// # Safety
/// `from` must be aligned to 8 and valid for atomic reads of 8 bytes.
#[inline(always)]
unsafe fn load_wide<T>(from: NonNull<u64>) -> u64 {
    #[cfg(target_has_atomic = "64")]
    if copy_width::<T>() == WIDE {
        // SAFETY: aligned and valid for atomic reads (contract), of the elements' own width.
        return unsafe { from.cast::<portable_atomic::AtomicU64>().as_ref() }.load(Relaxed);
    }
    let word;
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: reads the 8 bytes that the contract allows, and nothing else.
    unsafe {
        core::arch::asm!(
            "mov {word}, qword ptr [{from}]",
            from = in(reg) from.as_ptr(),
            word = lateout(reg) word,
            options(nostack, preserves_flags, readonly),
        );
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: reads the 8 bytes that the contract allows, and nothing else.
    unsafe {
        core::arch::asm!(
            "ldr {word}, [{from}]",
            from = in(reg) from.as_ptr(),
            word = lateout(reg) word,
            options(nostack, preserves_flags, readonly),
        );
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
    {
        // Never called: `cut` makes no wide runs here.
        let _ = from;
        word = 0;
    }
    word
}

/// One store of 8 bytes, as relaxed stores of all elements in it.
///
/// # Safety
/// `to` must be aligned to 8 and valid for atomic writes of 8 bytes.
#[inline(always)]
unsafe fn store_wide<T>(to: NonNull<u64>, word: u64) {
    #[cfg(target_has_atomic = "64")]
    if copy_width::<T>() == WIDE {
        // SAFETY: aligned and valid for atomic writes (contract), of the elements' own width.
        return unsafe { to.cast::<portable_atomic::AtomicU64>().as_ref() }.store(word, Relaxed);
    }
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: writes the 8 bytes that the contract allows, and nothing else.
    unsafe {
        core::arch::asm!(
            "mov qword ptr [{to}], {word}",
            to = in(reg) to.as_ptr(),
            word = in(reg) word,
            options(nostack, preserves_flags),
        );
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: writes the 8 bytes that the contract allows, and nothing else.
    unsafe {
        core::arch::asm!(
            "str {word}, [{to}]",
            to = in(reg) to.as_ptr(),
            word = in(reg) word,
            options(nostack, preserves_flags),
        );
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
    {
        // Never called: `cut` makes no wide runs here.
        let _ = (to, word);
    }
}
