//! A slot's state word, and the handle that stands for a slot on its way.

use crate::party::PARTY_BITS;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bits of an owner's number, and of a generation.
const BITS: u32 = PARTY_BITS;
/// As many ones.
pub(super) const MASK: u32 = (1 << BITS) - 1;

/// What a state word says: the tag in its two high bits, and 30 bits whose meaning the tag gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Anybody may take the slot.
    Free,
    /// A party has the slot on loan.
    Owned(u32),
    /// A handle of this generation stands for the slot.
    InTransit(u32),
    /// No correct party writes this.
    Nonsense,
}

impl State {
    #[inline(always)]
    pub(super) const fn of(word: u32) -> Self {
        match (word >> BITS, word & MASK) {
            (0, 0) => State::Free,
            (1, owner) if owner != 0 => State::Owned(owner),
            (2, generation) if generation != 0 => State::InTransit(generation),
            _ => State::Nonsense,
        }
    }

    #[inline(always)]
    pub(super) const fn word(self) -> u32 {
        match self {
            State::Free => 0,
            State::Owned(owner) => 1 << BITS | owner,
            State::InTransit(generation) => 2 << BITS | generation,
            State::Nonsense => u32::MAX,
        }
    }
}

/// The generation after this one: 1 to 2^30 - 1, again and again.
pub(super) const fn next_generation(generation: u32) -> u32 {
    match generation.wrapping_add(1) & MASK {
        0 => 1,
        next => next,
    }
}

/// A slot of a [`Pool`](super::Pool) on its way from one party to another: 8 bytes that go through a Queue, a Ring, or any other
/// structure.
///
/// Whoever receives it takes the slot by [`Pool::from_handle`](super::Pool::from_handle), once. It is plain data: copies do no
/// harm, since only the first to be used succeeds, and made-up ones are refused. All zero is never valid.
///
/// While a handle is on its way the slot belongs to nobody, so no death gives it back. A handle that is thrown away keeps its
/// slot taken; [`Pool::in_transit`](super::Pool::in_transit) finds it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Handle {
    index: u32,
    generation: u32,
}

impl Handle {
    pub(super) const fn new(index: u32, generation: u32) -> Self {
        Handle { index, generation }
    }

    /// Which slot of its pool it stands for.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Which of the handles that ever stood for this slot it is; from 1 to 2^30 - 1, then from 1 again.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::UNKNOWN_PARTY;

    #[test]
    fn words_say_what_they_mean() {
        for state in [
            State::Free,
            State::Owned(1),
            State::Owned(UNKNOWN_PARTY),
            State::InTransit(1),
            State::InTransit(MASK),
        ] {
            assert_eq!(State::of(state.word()), state);
        }
        for word in [1, MASK, 1 << 30, 2 << 30, 3 << 30, u32::MAX] {
            assert_eq!(State::of(word), State::Nonsense);
        }
        assert_eq!(State::Free.word(), 0, "fresh memory is a free slot");
    }

    #[test]
    fn generations_wrap_and_are_never_0() {
        assert_eq!(next_generation(0), 1);
        assert_eq!(next_generation(MASK - 1), MASK);
        assert_eq!(next_generation(MASK), 1);
        assert!((1..=MASK).contains(&next_generation(u32::MAX)), "whatever a peer wrote");
    }
}
