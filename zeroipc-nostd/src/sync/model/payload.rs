//! Payload of the model: with an owner, looked at by anybody, without an owner, and the cells of a map.

use super::{Cell, Payload, Span, Words};
use crate::element::Element;
use crate::sync::atomic::Atomic;
use crate::sync::hook;
use crate::sync::number::NativeInteger;
use crate::sync::word::{ByWord, Wide, Word};
use core::marker::PhantomData;
use core::mem::size_of;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::cell::UnsafeCell;
use std::boxed::Box;

/// The model's [`super::super::real::Slots`].
#[derive(Debug)]
pub(crate) struct Slots<'a, T> {
    pub(super) span: Span<'a>,
    pub(super) offset: usize,
    pub(super) stride: usize,
    pub(super) count: usize,
    pub(super) life: PhantomData<fn() -> T>,
}

impl<T> Clone for Slots<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Slots<'_, T> {}

impl<'a, T: Element> Slots<'a, T> {
    pub(super) fn payload(&self, index: usize) -> Option<&'a UnsafeCell<Box<[u8]>>> {
        (index < self.count).then_some(())?;
        let at = self.span.at(self.offset + index * self.stride, size_of::<T>())?;
        let make = || Cell::Payload(Payload(UnsafeCell::new(std::vec![0; size_of::<T>()].into())));
        match self.span.slab.cell(at, make)? {
            Cell::Payload(Payload(bytes)) => Some(bytes),
            Cell::W4(_) | Cell::W8(_) => panic!("a slot where a word was"),
        }
    }

    pub(crate) fn write(&self, index: usize, value: &T) {
        hook::step();
        if let Some(bytes) = self.payload(index) {
            // SAFETY: loom gives a valid pointer and has just checked that nobody else accesses the cell.
            bytes.with_mut(|bytes| unsafe { (*bytes).copy_from_slice(value.as_bytes()) });
        }
    }

    pub(crate) fn read(&self, index: usize) -> Option<T> {
        hook::step();
        // SAFETY: as above, for reading.
        self.payload(index)?.with(|bytes| T::read_from_bytes(unsafe { &*bytes }).ok())
    }

    pub(crate) fn write_bytes(&self, index: usize, offset: usize, from: &[u8]) -> bool {
        hook::step();
        let Some(bytes) = self.payload(index) else { return false };
        bytes.with_mut(|bytes| {
            // SAFETY: as in `write`.
            let bytes = unsafe { &mut *bytes };
            let part = bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..from.len()));
            part.map(|part| part.copy_from_slice(from)).is_some()
        })
    }

    pub(crate) fn read_bytes(&self, index: usize, offset: usize, to: &mut [u8]) -> bool {
        hook::step();
        let Some(bytes) = self.payload(index) else { return false };
        bytes.with(|bytes| {
            // SAFETY: as in `read`.
            let bytes = unsafe { &*bytes };
            let part = bytes.get(offset..).and_then(|rest| rest.get(..to.len()));
            part.map(|part| to.copy_from_slice(part)).is_some()
        })
    }
}

/// The model's [`super::super::real::Wrapped`].
#[derive(Debug)]
pub(crate) struct Wrapped<'a, T> {
    pub(super) slots: Slots<'a, T>,
    pub(super) mask: usize,
}

impl<T> Clone for Wrapped<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Wrapped<'_, T> {}

impl<T: Element> Wrapped<'_, T> {
    pub(crate) fn prefetch_for_read(&self, _index: usize) {}

    pub(crate) fn prefetch_for_write(&self, _index: usize) {}

    pub(crate) fn write(&self, index: usize, value: &T) {
        self.slots.write(index & self.mask, value);
    }

    pub(crate) fn read(&self, index: usize) -> T {
        self.slots.read(index & self.mask).expect("every masked index has a slot")
    }

    pub(crate) fn write_slice(&self, index: usize, values: &[T]) {
        for (nth, value) in values.iter().enumerate() {
            self.write(index.wrapping_add(nth), value);
        }
    }

    pub(crate) fn read_slice(&self, index: usize, values: &mut [T]) {
        for (nth, value) in values.iter_mut().enumerate() {
            *value = self.read(index.wrapping_add(nth));
        }
    }
}

/// The model's [`super::super::real::Racy`]: relaxed atomics, since here races are allowed and must be noticed by the algorithm.
#[derive(Debug)]
pub(crate) struct Racy<'a, T> {
    pub(super) span: Span<'a>,
    pub(super) offset: usize,
    pub(super) stride: usize,
    pub(super) count: usize,
    pub(super) life: PhantomData<fn() -> T>,
}

impl<T> Clone for Racy<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Racy<'_, T> {}

impl<'a, T: Element> Racy<'a, T> {
    /// Slot `index` as the only element.
    fn only(&self, index: usize) -> Self {
        Racy { offset: self.offset + index * self.stride, count: 1, ..*self }
    }

    pub(super) fn word(&self, index: usize, part: usize) -> Option<Atomic<'a, u32>> {
        (index < self.count).then_some(())?;
        self.span.word((self.offset + index * self.stride + 4 * part) as u64)
    }

    pub(crate) fn write(&self, index: usize, value: &T) {
        loom::sync::atomic::fence(Release);
        for (part, bytes) in value.as_bytes().chunks_exact(4).enumerate() {
            let Some(word) = self.word(index, part) else { return };
            let bytes = [0, 1, 2, 3].map(|i| bytes.get(i).copied().unwrap_or(0));
            word.store(u32::from_le_bytes(bytes), Relaxed);
        }
    }

    pub(crate) fn read(&self, index: usize) -> Option<T> {
        let mut bytes = Vec::new();
        for part in 0..size_of::<T>() / 4 {
            bytes.extend(self.word(index, part)?.load(Relaxed).to_le_bytes());
        }
        loom::sync::atomic::fence(Acquire);
        T::read_from_bytes(&bytes).ok()
    }

    pub(crate) fn read_into(&self, index: usize, value: &mut T) -> bool {
        self.read(index).map(|read| *value = read).is_some()
    }
}

/// The model's [`super::super::real::Raw`]: looks at what the structure's own accesses have made there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a> {
    pub(super) span: Span<'a>,
    pub(super) offset: usize,
    pub(super) stride: usize,
    pub(super) count: usize,
    pub(super) size: usize,
}

impl Raw<'_> {
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn bytes(&self, index: usize) -> Option<Vec<u8>> {
        (index < self.count).then_some(())?;
        let start = self.span.at(self.offset + index * self.stride, self.size)?;
        let mut bytes = Vec::new();
        while bytes.len() < self.size {
            let cell = self.span.slab.cell(start + bytes.len(), u32::new_cell)?;
            hook::step();
            match cell {
                Cell::W4(word) => bytes.extend(word.load(Relaxed).to_le_bytes()),
                Cell::W8(word) => bytes.extend(word.load(Relaxed).to_le_bytes()),
                // SAFETY: loom gives a valid pointer and has just checked that nobody writes the cell.
                Cell::Payload(Payload(cell)) => cell.with(|cell| bytes.extend(unsafe { &**cell })),
            }
        }
        loom::sync::atomic::fence(Acquire);
        Some(bytes)
    }

    pub(crate) fn read(&self, index: usize, to: &mut [u8]) -> bool {
        let Some(bytes) = self.bytes(index) else { return false };
        to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        true
    }

    pub(crate) fn matches(&self, index: usize, bytes: &[u8]) -> bool {
        self.bytes(index).is_some_and(|found| found.iter().zip(bytes).all(|(a, b)| a == b))
    }
}

/// The model's [`super::super::real::Shared`]: elements of 8 bytes, and of any other multiple of 4, those word by word.
#[derive(Debug)]
pub(crate) struct Shared<'a, T> {
    pub(super) span: Span<'a>,
    pub(super) offset: usize,
    pub(super) count: usize,
    pub(super) words: ByWord<Words<'a, u32>, Words<'a, Wide>>,
    pub(super) life: PhantomData<fn() -> T>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<'_, T> {}

impl<T> Shared<'_, T> {
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl<'a, T: Element> Shared<'a, T> {
    pub(crate) fn load(&self, index: usize) -> Option<T> {
        let mut bytes = Vec::new();
        match self.words {
            ByWord::W8(words, _) => bytes.extend(words.get(index)?.load(Acquire).to_le_bytes()),
            ByWord::W4(words) => {
                let per = size_of::<T>() / 4;
                for word in 0..per {
                    bytes.extend(words.get(index * per + word)?.load(Acquire).to_le_bytes());
                }
            }
        }
        T::read_from_bytes(&bytes).ok()
    }

    pub(crate) fn store(&self, index: usize, value: &T) -> bool {
        let bytes = value.as_bytes();
        match self.words {
            ByWord::W8(words, _) => {
                let (Some(at), Ok(bytes)) = (words.get(index), bytes.try_into()) else {
                    return false;
                };
                at.store(u64::from_le_bytes(bytes), Release);
            }
            ByWord::W4(words) => {
                let per = size_of::<T>() / 4;
                for (word, bytes) in bytes.chunks_exact(4).enumerate() {
                    let Some(at) = words.get(index * per + word) else { return false };
                    let bytes = [0, 1, 2, 3].map(|i| bytes.get(i).copied().unwrap_or(0));
                    at.store(u32::from_le_bytes(bytes), Release);
                }
            }
        }
        true
    }

    fn fits(&self, start: usize, len: usize) -> bool {
        start <= self.count && len <= self.count - start
    }

    pub(crate) fn read_into(&self, start: usize, values: &mut [T]) -> bool {
        if self.fits(start, values.len()) {
            for (index, to) in values.iter_mut().enumerate() {
                *to = self.load(start + index).expect("it fits");
            }
            return true;
        }
        false
    }

    pub(crate) fn write_from(&self, start: usize, values: &[T]) -> bool {
        self.fits(start, values.len())
            && values.iter().enumerate().all(|(index, value)| self.store(start + index, value))
    }

    pub(crate) fn native<N: NativeInteger>(&self, index: usize) -> Option<&'a N::Native> {
        (index < self.count && size_of::<T>() == size_of::<N>()).then_some(())?;
        let at = self.span.at(self.offset + index * size_of::<T>(), size_of::<T>())?;
        N::of_cell(self.span.slab.cells.get(at / 4)?.get()?)
    }
}

/// The model's [`super::super::real::Cells`].
#[derive(Debug)]
pub(crate) struct Cells<'a, K, V, W> {
    pub(super) heads: Words<'a, W>,
    pub(super) links: Words<'a, W>,
    pub(super) keys: Racy<'a, K>,
    pub(super) values: Racy<'a, V>,
}

impl<K, V, W> Clone for Cells<'_, K, V, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, W> Copy for Cells<'_, K, V, W> {}

impl<'a, K: Element, V: Element, W: Word> Cells<'a, K, V, W> {
    pub(crate) fn at(
        span: Span<'a>,
        offset: u64,
        stride: usize,
        count: usize,
        (key, value): (usize, usize),
    ) -> Option<Self> {
        Some(Cells {
            heads: span.words(offset, stride, count)?,
            links: span.words(offset + W::BYTES as u64, stride, count)?,
            keys: span.racy(offset + key as u64, stride, count)?,
            values: span.racy(offset + value as u64, stride, count)?,
        })
    }

    pub(crate) fn get(&self, index: usize) -> Option<MapCell<'a, K, V, W>> {
        let (head, link) = (self.heads.get(index)?, self.links.get(index)?);
        Some(MapCell { head, link, key: self.keys.only(index), value: self.values.only(index) })
    }
}

/// The model's cell of [`Cells`].
pub(crate) struct MapCell<'a, K, V, W: Word> {
    pub(super) head: Atomic<'a, W>,
    pub(super) link: Atomic<'a, W>,
    pub(super) key: Racy<'a, K>,
    pub(super) value: Racy<'a, V>,
}

impl<K, V, W: Word> Clone for MapCell<'_, K, V, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, W: Word> Copy for MapCell<'_, K, V, W> {}

impl<'a, K: Element, V: Element, W: Word> MapCell<'a, K, V, W> {
    pub(crate) fn head(&self) -> Atomic<'a, W> {
        self.head
    }

    pub(crate) fn link(&self) -> Atomic<'a, W> {
        self.link
    }

    pub(crate) fn key(&self) -> Racy<'a, K> {
        self.key
    }

    pub(crate) fn value(&self) -> Racy<'a, V> {
        self.value
    }
}
