//! Elements without an owner, which anybody may read and write at any time: each access stands for itself.

use super::super::number::NativeInteger;
use super::bulk::{copy_slice_in, copy_slice_out};
use super::payload::{copy_in, copy_in_ordered, copy_out, copy_out_ordered, copy_width};
use crate::element::Element;
use core::marker::PhantomData;
use core::mem::{align_of, size_of};
use core::ptr::NonNull;
use core::sync::atomic::fence;
use core::sync::atomic::Ordering::{Acquire, Release};

/// Elements side by side.
#[derive(Debug)]
pub(crate) struct Shared<'a, T> {
    first: NonNull<u8>,
    count: usize,
    life: PhantomData<&'a T>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<'_, T> {}

// SAFETY: as for `Span`: access is atomic only, and `T: Element` is `Send` plain data.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<T> Shared<'_, T> {
    /// The caller proved (`Span::strided`) that `count` elements side by side, each aligned to `copy_width::<T>()`, lie
    /// inside a span that lives for `'a`.
    pub(super) fn new(first: NonNull<u8>, count: usize) -> Self {
        Shared { first, count, life: PhantomData }
    }

    /// How many there are.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl<'a, T: Element> Shared<'a, T> {
    #[inline(always)]
    fn pointer(&self, index: usize) -> Option<NonNull<u8>> {
        if index >= self.count {
            return None;
        }
        // SAFETY: `index < count`, and all `count` elements lie inside the span (constructor).
        Some(unsafe { self.first.cast::<T>().add(index) }.cast())
    }

    /// A pointer to `len` elements from `start` on.
    #[inline(always)]
    fn run(&self, start: usize, len: usize) -> Option<NonNull<u8>> {
        if start > self.count || len > self.count - start {
            return None;
        }
        // SAFETY: `start <= count`, so the pointer stays inside the elements or at their end.
        Some(unsafe { self.first.cast::<T>().add(start) }.cast())
    }

    /// One element: a single atomic load with acquire if the size is 1, 2, 4 or 8 (and the target has that width).
    #[inline(always)]
    pub(crate) fn load(&self, index: usize) -> Option<T> {
        let from = self.pointer(index)?;
        if size_of::<T>() == copy_width::<T>() {
            // An acquiring load is cheaper than a fence on most targets, and on x86 leaves the optimiser more freedom.
            // SAFETY: `pointer` gives `size_of::<T>()` bytes inside the span, aligned to `copy_width::<T>()`.
            return Some(unsafe { copy_out_ordered(from, Acquire) });
        }
        // SAFETY: as above.
        let value = unsafe { copy_out(from) };
        // One fence for several loads: what was stored before a value that we saw a part of is visible after.
        fence(Acquire);
        Some(value)
    }

    /// Stores one element, with release; false if there is no such index.
    #[inline(always)]
    pub(crate) fn store(&self, index: usize, value: &T) -> bool {
        let Some(to) = self.pointer(index) else { return false };
        if size_of::<T>() == copy_width::<T>() {
            // SAFETY: as in `load`.
            unsafe { copy_in_ordered(to, value, Release) };
        } else {
            fence(Release);
            // SAFETY: as in `load`.
            unsafe { copy_in(to, value) };
        }
        true
    }

    /// Loads elements from `start` on, each as by [`Shared::load`]; false, and nothing happens, if there are not so many.
    #[inline]
    pub(crate) fn read_into(&self, start: usize, values: &mut [T]) -> bool {
        let Some(from) = self.run(start, values.len()) else { return false };
        // SAFETY: `run` gives so many elements inside the span, aligned to `copy_width::<T>()`.
        unsafe { copy_slice_out(from, values) };
        // One for all: each load above comes before it.
        fence(Acquire);
        true
    }

    /// Stores elements from `start` on, each as by [`Shared::store`]; false, and nothing happens, if there are not so many.
    #[inline]
    pub(crate) fn write_from(&self, start: usize, values: &[T]) -> bool {
        let Some(to) = self.run(start, values.len()) else { return false };
        // One for all: each store below comes after it.
        fence(Release);
        // SAFETY: as in `read_into`.
        unsafe { copy_slice_in(to, values) };
        true
    }

    /// `len` elements from `start` on as plain memory; `None` if there are not so many or they are not aligned for a `T`.
    pub(crate) fn as_raw_slice(&self, start: usize, len: usize) -> Option<NonNull<[T]>> {
        let first = self.run(start, len)?;
        (first.as_ptr() as usize % align_of::<T>() == 0)
            .then(|| NonNull::slice_from_raw_parts(first.cast(), len))
    }

    /// The atomic of an element that is an `N`, or has the bits of one; `None` if there is no such index.
    #[inline(always)]
    pub(crate) fn native<N: NativeInteger>(&self, index: usize) -> Option<&'a N::Native> {
        // Always equal where it is called; no code remains of this.
        if size_of::<T>() != size_of::<N::Native>() || copy_width::<T>() != size_of::<T>() {
            return None;
        }
        let pointer = self.pointer(index)?;
        // SAFETY: the element lies inside the span, is valid for atomic access for `'a`, and is aligned to
        // `copy_width::<T>()`, its own size and the atomic's, which is the alignment of an atomic.
        Some(unsafe { pointer.cast::<N::Native>().as_ref() })
    }
}
