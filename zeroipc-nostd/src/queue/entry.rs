//! An entry's word: a lap and a phase above a slot number.
//!
//! Ticket p belongs to entry p modulo capacity, in lap p / capacity. An entry goes through three phases in each lap: free,
//! claimed, ready. Together they make a sequence number, 4 x lap + phase, modulo the bits that the slot number leaves, so an
//! entry only ever moves forward and any two of its states can be compared.

use crate::sync::Word;

/// How an entry's word is divided, by the number of slots and of entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<W> {
    /// Bits of the slot number: as few as name every slot.
    slot_bits: u32,
    /// Bits of an index: the capacity is 2 to this.
    index_bits: u32,
    /// One phase in the sequence number.
    phase: W,
}

/// A state that an entry may be in: its word with slot number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State<W>(W);

impl<W: Word> Form<W> {
    /// For `capacity` entries, a power of two, and `slots` slots, more than that.
    pub(super) fn new(capacity: usize, slots: usize) -> Self {
        let slot_bits = usize::BITS - (slots - 1).leading_zeros();
        Form { slot_bits, index_bits: capacity.trailing_zeros(), phase: W::ONE << slot_bits }
    }

    /// To be claimed by the push that takes `ticket`.
    #[inline(always)]
    pub(super) fn free(&self, ticket: W) -> State<W> {
        State(ticket >> self.index_bits << 2 << self.slot_bits)
    }

    /// Being filled by that push.
    #[inline(always)]
    pub(super) fn claimed(&self, ticket: W) -> State<W> {
        State(self.free(ticket).0.plus(self.phase))
    }

    /// Filled by that push.
    #[inline(always)]
    pub(super) fn ready(&self, ticket: W) -> State<W> {
        State(self.free(ticket).0.plus(self.phase).plus(self.phase))
    }

    /// Never to be claimed any more: the sequence number right before `free`, which no push or pop makes.
    pub(super) fn sealed(&self, ticket: W) -> State<W> {
        State(self.free(ticket).0.minus(self.phase))
    }

    /// The word of a free entry, sealed. The slot stays.
    pub(super) fn back(&self, entry: W) -> W {
        entry.minus(self.phase)
    }

    /// The word of a free entry, claimed; of a claimed one, ready. The slot stays.
    #[inline(always)]
    pub(super) fn forward(&self, entry: W) -> W {
        entry.plus(self.phase)
    }

    /// The word of a ready entry, free for the next lap. The slot stays.
    #[inline(always)]
    pub(super) fn popped(&self, entry: W) -> W {
        entry.plus(self.phase).plus(self.phase)
    }

    /// The word of the entry of `ticket`, free for the next lap with another slot.
    pub(super) fn skipped(&self, ticket: W, slot: usize) -> W {
        self.free(ticket).0.plus(self.phase << 2) | W::low(slot as u64)
    }

    /// The slot that `entry` names if its state is `state`; otherwise something that is no slot, beyond `u32` or not.
    #[inline(always)]
    pub(super) fn slot_in(&self, entry: W, state: State<W>) -> u64 {
        entry.minus(state.0).wide()
    }

    /// Whether the state of `entry` comes after `state`; modular.
    #[inline(always)]
    pub(super) fn is_beyond(&self, entry: W, state: State<W>) -> bool {
        let apart = entry.minus(state.0);
        !apart.is_negative() && apart.wide() >= self.phase.wide()
    }

    /// Whether `entry` is in `state`.
    pub(super) fn is_in(&self, entry: W, state: State<W>) -> bool {
        entry.minus(state.0).wide() < self.phase.wide()
    }
}

impl<W: Word> State<W> {
    /// The entry's word in this state, naming `slot`, which exists.
    pub(super) fn naming(self, slot: usize) -> W {
        self.0 | W::low(slot as u64)
    }
}
