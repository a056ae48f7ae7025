//! Cells of a Map: two words, a key and a value at one address, which is computed once for all of them.

use super::super::atomic::Atomic;
use super::super::word::Word;
use super::payload::{copy_width, Racy, Slots};
use super::Span;
use crate::element::Element;
use core::marker::PhantomData;
use core::mem::size_of;
use core::ptr::NonNull;

/// Cells at a fixed stride, bounds-checked as a whole when made. In each a head at 0, a link at W, a key, and a value.
#[derive(Debug)]
pub(crate) struct Cells<'a, K, V, W> {
    first: NonNull<u8>,
    stride: usize,
    count: usize,
    key: usize,
    value: usize,
    life: PhantomData<(&'a K, &'a V, &'a W)>,
}

impl<K, V, W> Clone for Cells<'_, K, V, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, W> Copy for Cells<'_, K, V, W> {}

// SAFETY: as for `Span`: access is atomic only, and keys and values are `Send` plain data.
unsafe impl<K: Send, V: Send, W> Send for Cells<'_, K, V, W> {}
// SAFETY: as above.
unsafe impl<K: Send, V: Send, W> Sync for Cells<'_, K, V, W> {}

impl<'a, K: Element, V: Element, W: Word> Cells<'a, K, V, W> {
    /// `count` cells, the first at `offset`, `stride` bytes apart, with the key and the value so many bytes from a cell's start.
    pub(crate) fn at(
        span: Span<'a>,
        offset: u64,
        stride: usize,
        count: usize,
        (key, value): (usize, usize),
    ) -> Option<Self> {
        let words = 2 * W::BYTES;
        let (key_end, value_end) =
            (key.checked_add(size_of::<K>())?, value.checked_add(size_of::<V>())?);
        let (key_width, value_width) = (copy_width::<K>(), copy_width::<V>());
        if key % key_width != 0 || value % value_width != 0 {
            return None;
        }
        let size = words.max(key_end).max(value_end);
        let align = W::BYTES.max(key_width).max(value_width);
        let first = span.strided(offset, stride, count, size, align)?;
        Some(Cells { first, stride, count, key, value, life: PhantomData })
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> Option<MapCell<'a, K, V, W>> {
        if index >= self.count {
            return None;
        }
        // SAFETY: `index < count`, and `strided` proved that all `count` cells lie inside the span.
        let start = unsafe { self.first.add(index * self.stride) };
        Some(MapCell { start, key: self.key, value: self.value, life: PhantomData })
    }
}

/// One of them: `start` is aligned to all its parts, which lie inside the span (`Cells::at`).
pub(crate) struct MapCell<'a, K, V, W> {
    start: NonNull<u8>,
    key: usize,
    value: usize,
    life: PhantomData<(&'a K, &'a V, &'a W)>,
}

impl<K, V, W> Clone for MapCell<'_, K, V, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, W> Copy for MapCell<'_, K, V, W> {}

impl<'a, K: Element, V: Element, W: Word> MapCell<'a, K, V, W> {
    /// The head of a bucket.
    #[inline(always)]
    pub(crate) fn head(&self) -> Atomic<'a, W> {
        // SAFETY: the first W bytes of a cell, aligned, inside the span, valid for atomic access for `'a`.
        let native = unsafe { self.start.cast::<W::Native>().as_ref() };
        Atomic { native }
    }

    /// The link of the slot.
    #[inline(always)]
    pub(crate) fn link(&self) -> Atomic<'a, W> {
        // SAFETY: a cell has at least 2W bytes.
        let at = unsafe { self.start.add(W::BYTES) };
        // SAFETY: as in `head`: a multiple of W from an aligned start.
        let native = unsafe { at.cast::<W::Native>().as_ref() };
        Atomic { native }
    }

    /// The key of the slot, as the only element.
    #[inline(always)]
    pub(crate) fn key(&self) -> Racy<'a, K> {
        // SAFETY: the key's bytes lie inside the cell; its offset is a multiple of `copy_width::<K>()`.
        Racy::new(Slots::new(unsafe { self.start.add(self.key) }, 0, 1))
    }

    /// The value of the slot, as the only element.
    #[inline(always)]
    pub(crate) fn value(&self) -> Racy<'a, V> {
        // SAFETY: as in `key`.
        Racy::new(Slots::new(unsafe { self.start.add(self.value) }, 0, 1))
    }
}
