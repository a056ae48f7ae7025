//! Payload whose size is known at run time only, for who looks without knowing its type.

use super::super::hook;
use super::payload::width_of;
use core::marker::PhantomData;
use core::mem::size_of;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{self, Relaxed};
use portable_atomic::{AtomicU16, AtomicU32, AtomicU8};

/// Elements of `size` bytes at a fixed stride, bounds-checked as a whole when made. Read by the same accesses by which a
/// structure reads its elements, and as racy as [`Racy`](super::Racy): the caller checks afterwards what it has.
#[derive(Debug)]
pub(crate) struct Raw<'a> {
    first: NonNull<u8>,
    stride: usize,
    count: usize,
    size: usize,
    life: PhantomData<&'a ()>,
}

impl Clone for Raw<'_> {
    fn clone(&self) -> Self {
        *self
    }
}
impl Copy for Raw<'_> {}

// SAFETY: as for `Span`: access is atomic only.
unsafe impl Send for Raw<'_> {}
// SAFETY: as for `Span`.
unsafe impl Sync for Raw<'_> {}

impl Raw<'_> {
    /// The caller proved (`Span::strided`) that `count` elements of `size` bytes, each aligned to `width_of(size)`, lie inside a
    /// span that lives for the lifetime.
    pub(super) fn new(first: NonNull<u8>, stride: usize, count: usize, size: usize) -> Self {
        Raw { first, stride, count, size, life: PhantomData }
    }

    /// How many elements there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Bytes of an element.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Copies element `index` into the first bytes of `to`, or as many of its first bytes as there are; false, and `to` is
    /// untouched, if there is no such element. The bytes may be torn.
    pub(crate) fn read(&self, index: usize, to: &mut [u8]) -> bool {
        let mut rest = to.iter_mut();
        let found = self.for_each_byte(index, |byte| rest.next().map(|to| *to = byte).is_some());
        core::sync::atomic::fence(Ordering::Acquire);
        found
    }

    /// Whether element `index` consists of the first bytes of `bytes` now, as far as those reach.
    pub(crate) fn matches(&self, index: usize, bytes: &[u8]) -> bool {
        let mut rest = bytes.iter();
        let mut same = true;
        let found = self.for_each_byte(index, |byte| match rest.next() {
            Some(expected) => {
                same &= *expected == byte;
                true
            }
            None => false,
        });
        core::sync::atomic::fence(Ordering::Acquire);
        found && same
    }

    /// Calls `each` with the element's bytes in order until it says that it has enough; false if there is no such element.
    fn for_each_byte(&self, index: usize, mut each: impl FnMut(u8) -> bool) -> bool {
        if index >= self.count {
            return false;
        }
        // SAFETY: `index < count`, and `strided` proved that all `count` elements lie inside the span.
        let element = unsafe { self.first.add(index * self.stride) };
        macro_rules! by {
            ($int:ty, $atomic:ty) => {
                for at in (0..self.size).step_by(size_of::<$int>()) {
                    // SAFETY: the width divides the size (`width_of`), so `at + width <= size`, inside the element.
                    let word = unsafe { element.add(at) };
                    // SAFETY: inside the span, aligned to the width (constructor), valid for atomic reads.
                    let word = unsafe { word.cast::<$atomic>().as_ref() };
                    hook::step();
                    if !word.load(Relaxed).to_le_bytes().into_iter().all(&mut each) {
                        break;
                    }
                }
            };
        }
        match width_of(self.size) {
            #[cfg(target_has_atomic = "64")]
            8 => by!(u64, portable_atomic::AtomicU64),
            4 => by!(u32, AtomicU32),
            2 => by!(u16, AtomicU16),
            _ => by!(u8, AtomicU8),
        }
        true
    }
}
