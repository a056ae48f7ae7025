//! An entry's word: a sequence number above a slot number.
//!
//! For ticket p, `free(p)` is sequence number 2p and `ready(p)` is 2p + 1, modulo the bits that there are.

use crate::sync::Word;
use core::cmp::Ordering;

/// Bits of the slot number: 12 of 32, 24 of 64.
const fn slot_bits<W: Word>() -> u32 {
    3 * W::BYTES as u32
}

/// A state that an entry may be in, with its slot number left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State<W>(W);

impl<W: Word> State<W> {
    /// Ready to be filled by the push that holds ticket `ticket`.
    #[inline(always)]
    pub(super) fn free(ticket: W) -> Self {
        State(ticket.plus(ticket) << slot_bits::<W>())
    }

    /// Filled by that push.
    #[inline(always)]
    pub(super) fn ready(ticket: W) -> Self {
        State(ticket.plus(ticket).plus(W::ONE) << slot_bits::<W>())
    }

    #[inline(always)]
    pub(super) fn of(entry: W) -> Self {
        State((entry >> slot_bits::<W>()) << slot_bits::<W>())
    }

    /// Whether this state is before, at or after `other` in an entry's life; modular.
    #[inline(always)]
    pub(super) fn compare(self, other: Self) -> Ordering {
        if self.0 == other.0 {
            Ordering::Equal
        } else if self.0.minus(other.0).is_negative() {
            Ordering::Less
        } else {
            Ordering::Greater
        }
    }

    /// The entry's word in this state, naming `slot` (below the limit that was checked at open).
    #[inline(always)]
    pub(super) fn naming(self, slot: usize) -> W {
        self.0 | W::low(slot as u64)
    }
}

/// The slot that an entry names: any number below the limit, to be checked against the slots that there are.
#[inline(always)]
pub(super) fn slot<W: Word>(entry: W) -> usize {
    // Shifted out and back, so that no mask constant of either width is needed.
    let above = 8 * W::BYTES as u32 - slot_bits::<W>();
    ((entry << above) >> above).index()
}
