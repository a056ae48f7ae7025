//! The words that name slots: heads of buckets, and the link of each slot.
//!
//! | bits, from the lowest | W = 4 | W = 8 | field |
//! |---|---|---|---|
//! | F | 0 | 8 | fingerprint of the key in the slot named: the highest F bits of its hash; 0 if none is named |
//! | 1 | 1 | 1 | mark: the slot that this link belongs to is removed |
//! | I | I | I | slot number plus 1, or 0 for none; I is the number of bits of the number of slots |
//! | rest | 31 - I | 55 - I | tag: one more at each change of the word |

use crate::sync::Word;

/// Bits of the fingerprint. Small words keep theirs for the tag.
pub(super) const fn fingerprint_bits(word_bytes: u32) -> u32 {
    if word_bytes == 8 {
        8
    } else {
        0
    }
}

/// How the words of one map are divided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naming<W> {
    /// Slot number plus 1, shifted down.
    number: W,
    /// Fingerprint, mark and slot number: all but the tag.
    body: W,
}

impl<W: Word> Naming<W> {
    const FINGERPRINT: u32 = fingerprint_bits(W::BYTES as u32);

    /// For words that can name `slots` slots.
    pub(super) fn of(slots: u64) -> Self {
        let bits = index_bits(slots);
        let body = Self::FINGERPRINT + 1 + bits;
        Naming { number: W::low((1 << bits) - 1), body: W::low((1 << body) - 1) }
    }

    /// What words that name a key with this hash say about it.
    #[inline(always)]
    pub(super) fn fingerprint_of_hash(hash: u32) -> usize {
        match Self::FINGERPRINT {
            0 => 0,
            bits => (hash >> (32 - bits)) as usize,
        }
    }

    #[inline(always)]
    pub(super) fn fingerprint(word: W) -> usize {
        (word & W::low((1 << Self::FINGERPRINT) - 1)).index()
    }

    #[inline(always)]
    fn mark() -> W {
        W::ONE << Self::FINGERPRINT
    }

    #[inline(always)]
    pub(super) fn is_marked(word: W) -> bool {
        word & Self::mark() != W::ZERO
    }

    /// The slot that `word` names, if it names one; it may not exist.
    #[inline(always)]
    pub(super) fn slot(&self, word: W) -> Option<usize> {
        (word >> (Self::FINGERPRINT + 1) & self.number).index().checked_sub(1)
    }

    /// The word after `word` in the same place: the next tag, and what `like` names, unmarked.
    #[inline(always)]
    pub(super) fn naming_same(&self, word: W, like: W) -> W {
        let like = like & self.body;
        self.next_tag(word) | if Self::is_marked(like) { like.minus(Self::mark()) } else { like }
    }

    /// The word after `word` in the same place: the next tag, naming `slot` unmarked.
    #[inline(always)]
    pub(super) fn naming_slot(&self, word: W, slot: usize, fingerprint: usize) -> W {
        let number = W::low(slot as u64 + 1) << (Self::FINGERPRINT + 1);
        self.next_tag(word) | number | W::low(fingerprint as u64)
    }

    #[inline(always)]
    pub(super) fn marked(word: W) -> W {
        word | Self::mark()
    }

    /// The next tag, naming nothing. Wraps around at the top.
    #[inline(always)]
    fn next_tag(&self, word: W) -> W {
        (word | self.body).plus(W::ONE)
    }
}

/// Bits that name one of `slots` slots or none.
pub(super) const fn index_bits(slots: u64) -> u32 {
    u64::BITS - slots.leading_zeros()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn words_say_what_they_name<W: Word>(top_tag: W) {
        for slots in [1, 2, 3, 4, 255, 256, 5000] {
            let naming = Naming::<W>::of(slots);
            for slot in [0, slots as usize / 2, slots as usize - 1] {
                let fingerprint = Naming::<W>::fingerprint_of_hash(0xABCD_EF01);
                let mut tags = std::vec::Vec::new();
                let mut word = W::ZERO;
                for _ in 0..5 {
                    word = naming.naming_slot(word, slot, fingerprint);
                    assert_eq!(naming.slot(word), Some(slot));
                    assert_eq!(Naming::fingerprint(word), fingerprint);
                    assert!(!Naming::is_marked(word));
                    let marked = Naming::marked(word);
                    assert!(Naming::is_marked(marked));
                    assert_eq!(naming.slot(marked), Some(slot));
                    let same = naming.naming_same(W::ZERO, marked);
                    assert_eq!(same, naming.naming_same(W::ZERO, word));
                    assert_eq!(naming.slot(same), Some(slot));
                    assert!(!tags.contains(&word), "the tag did not change");
                    tags.push(word);
                    word = naming.naming_same(word, W::ZERO);
                    assert_eq!((naming.slot(word), Naming::fingerprint(word)), (None, 0));
                }
            }
            // The tag wraps to 0 and disturbs nothing else.
            assert_eq!(naming.naming_same(top_tag, W::ZERO), W::ZERO);
        }
    }

    #[test]
    fn both_word_sizes() {
        words_say_what_they_name::<u32>(u32::MAX);
        words_say_what_they_name::<u64>(u64::MAX);
    }
}
