//! One shared word, as algorithms see it.

use super::hook;
use super::word::Word;
use core::fmt;
use core::sync::atomic::Ordering;

/// An atomic word inside a region.
pub(crate) struct Atomic<'a, W: Word> {
    pub(super) native: &'a W::Native,
}

impl<W: Word> Clone for Atomic<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W: Word> Copy for Atomic<'_, W> {}

impl<W: Word> fmt::Debug for Atomic<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value is not shown: looking at it would be one more shared access.
        f.debug_struct("Atomic").field("bytes", &W::BYTES).finish()
    }
}

impl<'a, W: Word> Atomic<'a, W> {
    #[inline(always)]
    pub(crate) fn load(self, order: Ordering) -> W {
        hook::step();
        W::load(self.native, order)
    }

    #[inline(always)]
    pub(crate) fn store(self, value: W, order: Ordering) {
        hook::step();
        W::store(self.native, value, order);
    }

    #[inline(always)]
    pub(crate) fn compare_exchange(
        self,
        current: W,
        new: W,
        success: Ordering,
        failure: Ordering,
    ) -> Result<W, W> {
        hook::step();
        W::compare_exchange(self.native, current, new, success, failure)
    }

    #[inline(always)]
    pub(crate) fn swap(self, value: W, order: Ordering) -> W {
        hook::step();
        W::swap(self.native, value, order)
    }

    #[inline(always)]
    pub(crate) fn fetch_add(self, value: W, order: Ordering) -> W {
        hook::step();
        W::fetch_add(self.native, value, order)
    }

    #[inline(always)]
    pub(crate) fn fetch_or(self, value: W, order: Ordering) -> W {
        hook::step();
        W::fetch_or(self.native, value, order)
    }

    #[inline(always)]
    pub(crate) fn fetch_and(self, value: W, order: Ordering) -> W {
        hook::step();
        W::fetch_and(self.native, value, order)
    }
}

#[cfg(loom)]
impl Atomic<'_, u32> {
    /// Tells words apart.
    pub(crate) fn id(self) -> usize {
        core::ptr::from_ref(self.native) as usize
    }
}

#[cfg(not(loom))]
impl<'a> Atomic<'a, u32> {
    /// A word that is not in a region.
    pub(crate) fn of(word: &'a core::sync::atomic::AtomicU32) -> Self {
        let pointer: *const core::sync::atomic::AtomicU32 = word;
        // SAFETY: both types are a `u32` with interior mutability, of the same size and alignment (4 on every target that
        // has the native type), and `word` is valid for `'a`.
        Atomic { native: unsafe { &*pointer.cast::<portable_atomic::AtomicU32>() } }
    }

    /// The word as the system's waiting call needs it.
    pub(crate) fn address(self) -> &'a core::sync::atomic::AtomicU32 {
        let pointer: *const portable_atomic::AtomicU32 = self.native;
        // SAFETY: both types are a `u32` with interior mutability, of the same size and alignment (4, checked when
        // `self` was made), and `self.native` is valid for `'a`.
        unsafe { &*pointer.cast::<core::sync::atomic::AtomicU32>() }
    }
}

/// A word of the table: 4 bytes in version 1, 4 or 8 in version 3. Not for hot paths.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AnyWord<'a> {
    Narrow(Atomic<'a, u32>),
    Wide(Atomic<'a, super::word::Wide>),
}

impl AnyWord<'_> {
    pub(crate) fn load(self, order: Ordering) -> u64 {
        match self {
            AnyWord::Narrow(word) => word.load(order).wide(),
            AnyWord::Wide(word) => word.load(order).wide(),
        }
    }

    /// Stores `value`; the caller has checked that it fits the table's version.
    pub(crate) fn store(self, value: u64, order: Ordering) {
        match self {
            AnyWord::Narrow(word) => word.store(u32::low(value), order),
            AnyWord::Wide(word) => word.store(Word::low(value), order),
        }
    }

    pub(crate) fn compare_exchange(
        self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> bool {
        match self {
            AnyWord::Narrow(word) => {
                word.compare_exchange(u32::low(current), u32::low(new), success, failure).is_ok()
            }
            AnyWord::Wide(word) => {
                word.compare_exchange(Word::low(current), Word::low(new), success, failure).is_ok()
            }
        }
    }
}
