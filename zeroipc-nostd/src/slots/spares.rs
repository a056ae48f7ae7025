//! Spare slots: a few words, each empty (0) or holding one slot number plus 1.
//!
//! Every slot is owned by exactly one of: an entry, a spare word, a party in the middle of an operation. There are as many
//! spare words as slots beyond the entries, so an owner always finds an empty word.

use crate::sync::{Atomic, Word, Words};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};

#[derive(Debug)]
pub(crate) struct Spares<'a, W> {
    pub(crate) words: Words<'a, W>,
    pub(crate) count: usize,
    /// Slots that exist.
    pub(crate) slots: usize,
}

impl<W> Clone for Spares<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W> Copy for Spares<'_, W> {}

impl<W: Word> Spares<'_, W> {
    /// Takes a slot: the caller owns it. `None` if all are with other parties. Bounded by the number of words.
    #[inline]
    pub(crate) fn take(&self) -> Option<usize> {
        // Relaxed loads may be late; a read-modify-write is not.
        self.take_where(|word| word.load(Relaxed) != W::ZERO).or_else(|| self.take_where(|_| true))
    }

    #[inline]
    fn take_where(&self, is_full: impl Fn(Atomic<'_, W>) -> bool) -> Option<usize> {
        for index in 0..self.count {
            let word = self.words.get(index)?;
            if is_full(word) {
                // Acquire: who gave it has finished with it. Release: who finds the word empty may give again.
                let slot = word.swap(W::ZERO, AcqRel).index();
                if (1..=self.slots).contains(&slot) {
                    return Some(slot - 1);
                }
            }
        }
        None
    }

    /// Gives a slot that the caller owns.
    ///
    /// The words that were empty when we came may fill while we walk, but then others empty, since there are never more
    /// slots outside the entries than words: a few rounds suffice. Only where a peer invented slots are all words full;
    /// then ours is leaked.
    #[inline]
    pub(crate) fn give(&self, slot: usize) {
        let full = W::low(slot as u64 + 1);
        for round in 0..=self.count {
            for index in 0..self.count {
                let Some(word) = self.words.get(index) else { return };
                // Relaxed: a late load costs a round, and after the first we look by the read-modify-write, which is never late.
                let may_be_empty = round > 0 || word.load(Relaxed) == W::ZERO;
                if may_be_empty && word.compare_exchange(W::ZERO, full, AcqRel, Relaxed).is_ok() {
                    return;
                }
            }
        }
    }
}
