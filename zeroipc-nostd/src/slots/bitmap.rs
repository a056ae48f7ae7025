//! A bitmap of slots: which are taken.
//!
//! One bit a slot in 32-bit words, 1 while somebody owns the slot. Taking is one read-modify-write on the word, giving
//! back another. A bit says nothing about what happened in between, so there is no ABA: whoever sets it owns the slot.
//!
//! A party that stops between taking and publishing a slot keeps that one slot; if it is killed there, the slot stays
//! taken until somebody who knows of the death gives it back.

use crate::sync::{Atomic, Span, Words};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, Release};

const BITS: usize = 32;

/// Bytes of a bitmap for `slots` slots: whole words of 4 bytes.
pub(crate) const fn bitmap_bytes(slots: u64) -> u64 {
    slots.div_ceil(BITS as u64) * 4
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bitmap<'a> {
    words: Words<'a, u32>,
    /// How many slots there are: bits from here on stay 0 and are never taken.
    slots: usize,
}

impl<'a> Bitmap<'a> {
    /// The bitmap of `slots` (at least 1) slots at `offset`, a multiple of 4; `None` if it does not fit into `span`.
    pub(crate) fn at(span: Span<'a>, offset: u64, slots: usize) -> Option<Self> {
        Some(Bitmap { words: span.words(offset, 4, slots.div_ceil(BITS))?, slots })
    }

    /// Marks all slots free; nobody else knows the structure yet.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn initialise(&self) -> Option<()> {
        (0..self.slots.div_ceil(BITS)).try_for_each(|word| {
            self.words.get(word)?.store(0, Relaxed);
            Some(())
        })
    }

    /// The word that holds the bit of `slot`, and the bit.
    #[inline(always)]
    fn bit(&self, slot: usize) -> Option<(Atomic<'a, u32>, u32)> {
        if slot >= self.slots {
            return None;
        }
        Some((self.words.get(slot / BITS)?, 1 << (slot % BITS)))
    }

    /// Takes `slot` if it is free. Wait-free.
    ///
    /// Acquire: who gave it back has finished with it.
    #[inline]
    pub(crate) fn take_this(&self, slot: usize) -> bool {
        let Some((word, bit)) = self.bit(slot) else { return false };
        // Looked at first, so that a taken slot costs no write.
        word.load(Relaxed) & bit == 0 && word.fetch_or(bit, AcqRel) & bit == 0
    }

    /// Takes a free slot, `near` this one if possible; `None` if there was none at the moment that each word was looked at.
    ///
    /// Lock-free: a lost race means that another party took a slot or gave one back. Bounded: one round over the words, and
    /// in each as many tries as it has bits.
    #[inline]
    pub(crate) fn take(&self, near: usize) -> Option<usize> {
        if self.take_this(near) {
            return Some(near);
        }
        let count = self.slots.div_ceil(BITS);
        let first = (near / BITS).min(count - 1);
        (first..count).chain(0..first).find_map(|index| self.take_in(index))
    }

    fn take_in(&self, index: usize) -> Option<usize> {
        let word = self.words.get(index)?;
        let left = self.slots - index * BITS;
        let exist = if left >= BITS { u32::MAX } else { (1 << left) - 1 };
        let mut seen = word.load(Relaxed);
        for _ in 0..BITS {
            let free = !seen & exist;
            if free == 0 {
                return None;
            }
            let bit = free & free.wrapping_neg();
            seen = word.fetch_or(bit, AcqRel);
            if seen & bit == 0 {
                return Some(index * BITS + bit.trailing_zeros() as usize);
            }
        }
        None
    }

    /// Gives back a slot that the caller owns; false if it was free or does not exist: then a peer wrote nonsense. Wait-free.
    ///
    /// Release: the next owner sees all that this one did with it.
    #[inline]
    pub(crate) fn give(&self, slot: usize) -> bool {
        let Some((word, bit)) = self.bit(slot) else { return false };
        word.fetch_and(!bit, Release) & bit != 0
    }

    /// Whether `slot` is taken: a moment's value.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn is_taken(&self, slot: usize) -> bool {
        self.bit(slot).is_some_and(|(word, bit)| word.load(Relaxed) & bit != 0)
    }

    /// How many slots are taken: each word is a moment's value.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn taken(&self) -> usize {
        (0..self.slots.div_ceil(BITS))
            .filter_map(|index| self.words.get(index))
            .map(|word| word.load(Relaxed).count_ones() as usize)
            .sum::<usize>()
            .min(self.slots)
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used)] // in tests it should stop them
mod tests {
    use super::*;

    fn with_bitmap(slots: usize, test: impl FnOnce(Bitmap<'_>)) {
        let mut memory = vec![u64::MAX; 16];
        let bytes = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
        let map = Bitmap::at(Span::from_slice(bytes).unwrap(), 8, slots).unwrap();
        map.initialise().unwrap();
        test(map);
    }

    #[test]
    fn every_slot_is_taken_once_and_none_beyond() {
        for slots in [1, 2, 31, 32, 33, 64, 65, 100] {
            with_bitmap(slots, |map| {
                for near in [0, slots - 1, slots, usize::MAX] {
                    let mut taken: Vec<_> = (0..slots).map(|_| map.take(near).unwrap()).collect();
                    assert_eq!((map.take(near), map.taken()), (None, slots));
                    taken.sort_unstable();
                    assert!(taken.iter().copied().eq(0..slots));
                    assert!(taken.into_iter().all(|slot| map.is_taken(slot) && map.give(slot)));
                    assert_eq!(map.taken(), 0);
                }
                assert!(!map.give(0), "it was free");
                assert!(!map.give(slots) && !map.take_this(slots) && !map.is_taken(slots));
            });
        }
    }

    #[test]
    fn the_one_that_is_near_comes_first() {
        with_bitmap(70, |map| {
            assert_eq!(map.take(40), Some(40));
            assert_eq!(map.take(40), Some(32));
            assert!(map.give(40));
            assert_eq!(map.take(40), Some(40));
            assert!(!map.take_this(40) && map.take_this(41));
        });
    }
}
