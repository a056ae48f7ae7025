//! Maintenance of caches that are not coherent, at the points where something is published or acquired.
//!
//! Structures call [`Caches`] there. Without the feature `incoherent` it has no size and its methods no code.

use super::{Atomic, Racy, Span, Word, Wrapped};
use crate::element::Element;
use core::fmt::Debug;
#[cfg(not(all(feature = "incoherent", not(loom))))]
use core::marker::PhantomData;

/// How a core whose data cache is not coherent with its peers' writes its cache back and drops what is in it.
///
/// Called by the core's structures for exactly the bytes that a party has written for others, or is about to read of them; the
/// implementation acts on all lines that these touch. No line of a structure is written by two parties, so a clean never takes
/// anything away from a peer, and what is invalidated is never dirty.
///
/// `zeroipc-raw` has implementations for Cortex-M7 and Cortex-A. A core without a cache, or with a mapping that is uncached, takes
/// part with [`NoCache`].
pub trait CacheMaintenance: Debug + Send + Sync {
    /// The largest cache line of all parties, in bytes.
    fn line(&self) -> u32;

    /// Writes the lines with these bytes back to memory. All is there, for all parties, before anything that comes after.
    fn clean(&self, first: *const u8, len: usize);

    /// Drops the lines with these bytes, so that later loads come from memory.
    fn invalidate(&self, first: *const u8, len: usize);
}

/// The maintenance of a core that has no cache, or maps the region uncached, in a region that others cache: only fences.
#[derive(Debug, Clone, Copy)]
pub struct NoCache {
    line: u32,
}

impl NoCache {
    /// For a region whose other parties have cache lines of so many bytes.
    #[must_use]
    pub const fn new(line: u32) -> Self {
        NoCache { line }
    }
}

impl CacheMaintenance for NoCache {
    fn line(&self) -> u32 {
        self.line
    }

    fn clean(&self, _first: *const u8, _len: usize) {
        super::full_fence();
    }

    fn invalidate(&self, _first: *const u8, _len: usize) {
        super::full_fence();
    }
}

/// What a handle does at publish and acquire points: nothing in a coherent region.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Caches<'a> {
    #[cfg(all(feature = "incoherent", not(loom)))]
    maintenance: Option<&'a dyn CacheMaintenance>,
    #[cfg(not(all(feature = "incoherent", not(loom))))]
    none: PhantomData<&'a ()>,
}

#[cfg(not(all(feature = "incoherent", not(loom))))]
#[allow(clippy::unused_self)] // the other form uses it
impl<'a> Caches<'a> {
    #[inline(always)]
    pub(crate) fn is_incoherent(self) -> bool {
        false
    }
    #[inline(always)]
    pub(crate) fn clean_word<W: Word>(self, _word: Atomic<'_, W>) {}
    #[inline(always)]
    pub(crate) fn invalidate_word<W: Word>(self, _word: Atomic<'_, W>) {}
    #[inline(always)]
    pub(crate) fn clean_slots<T: Element>(
        self,
        _slots: &Wrapped<'_, T>,
        _at: usize,
        _count: usize,
    ) {
    }
    #[inline(always)]
    pub(crate) fn invalidate_slots<T: Element>(
        self,
        _slots: &Wrapped<'_, T>,
        _at: usize,
        _count: usize,
    ) {
    }
    #[inline(always)]
    pub(crate) fn clean_slot<T: Element>(self, _slots: &Racy<'_, T>, _at: usize) {}
    #[inline(always)]
    pub(crate) fn invalidate_slot<T: Element>(self, _slots: &Racy<'_, T>, _at: usize) {}
    #[inline(always)]
    pub(crate) fn clean_span(self, _span: Span<'_>, _offset: u64, _len: u64) {}
    #[inline(always)]
    pub(crate) fn invalidate_span(self, _span: Span<'_>, _offset: u64, _len: u64) {}
}

#[cfg(all(feature = "incoherent", not(loom)))]
impl<'a> Caches<'a> {
    pub(crate) fn by(maintenance: &'a dyn CacheMaintenance) -> Self {
        Caches { maintenance: Some(maintenance) }
    }

    #[inline(always)]
    pub(crate) fn is_incoherent(self) -> bool {
        self.maintenance.is_some()
    }

    /// The largest line, or 1 where all is coherent.
    pub(crate) fn line(self) -> u32 {
        self.maintenance.map_or(1, CacheMaintenance::line)
    }

    #[inline(always)]
    pub(crate) fn clean_word<W: Word>(self, word: Atomic<'_, W>) {
        if let Some(maintenance) = self.maintenance {
            maintenance.clean(core::ptr::from_ref(word.native).cast(), W::BYTES);
        }
    }

    #[inline(always)]
    pub(crate) fn invalidate_word<W: Word>(self, word: Atomic<'_, W>) {
        if let Some(maintenance) = self.maintenance {
            maintenance.invalidate(core::ptr::from_ref(word.native).cast(), W::BYTES);
        }
    }

    pub(crate) fn clean_slots<T: Element>(self, slots: &Wrapped<'_, T>, at: usize, count: usize) {
        let Some(maintenance) = self.maintenance else { return };
        slots.each_run(at, count, |first, len| maintenance.clean(first, len));
    }

    pub(crate) fn invalidate_slots<T: Element>(
        self,
        slots: &Wrapped<'_, T>,
        at: usize,
        count: usize,
    ) {
        let Some(maintenance) = self.maintenance else { return };
        slots.each_run(at, count, |first, len| maintenance.invalidate(first, len));
    }

    pub(crate) fn clean_slot<T: Element>(self, slots: &Racy<'_, T>, at: usize) {
        if let (Some(maintenance), Some(first)) = (self.maintenance, slots.first_byte(at)) {
            maintenance.clean(first, core::mem::size_of::<T>());
        }
    }

    pub(crate) fn invalidate_slot<T: Element>(self, slots: &Racy<'_, T>, at: usize) {
        if let (Some(maintenance), Some(first)) = (self.maintenance, slots.first_byte(at)) {
            maintenance.invalidate(first, core::mem::size_of::<T>());
        }
    }

    pub(crate) fn clean_span(self, span: Span<'_>, offset: u64, len: u64) {
        if let (Some(maintenance), Some(part)) = (self.maintenance, span.part(offset, len)) {
            maintenance.clean(part.base(), part.len());
        }
    }

    pub(crate) fn invalidate_span(self, span: Span<'_>, offset: u64, len: u64) {
        if let (Some(maintenance), Some(part)) = (self.maintenance, span.part(offset, len)) {
            maintenance.invalidate(part.base(), part.len());
        }
    }
}
