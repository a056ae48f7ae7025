//! An entry's word: a lap and two marks above a slot number.
//!
//! Sequence p belongs to entry p modulo capacity, in lap p / capacity. An entry's word says of which lap the value is that its
//! slot holds: the lap plus 1, so that 0 is "of none yet", modulo the bits that slot number and marks leave. An entry only
//! ever moves forward, and any two of its states can be compared.
//!
//! | mark | meaning |
//! |---|---|
//! | `CLOSED` | the stream ended here: the value of the *next* lap never comes; if it is void, that of this lap |
//! | `VOID` | no value of this lap is in the slot: it is being written, or nothing was ever written |

use crate::sync::Word;

/// How an entry's word is divided, by the number of slots and of entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<W> {
    /// Bits of an index: the capacity is 2 to this.
    index_bits: u32,
    /// Bits below the lap: of the slot number, as few as name every slot, and the two marks.
    low_bits: u32,
    closed: W,
    void: W,
    /// One lap.
    lap: W,
}

impl<W: Word> Form<W> {
    /// For `capacity` entries, a power of two, and `slots` slots, at least as many.
    pub(super) fn new(capacity: usize, slots: usize) -> Self {
        let slot_bits = usize::BITS - (slots - 1).leading_zeros();
        Form {
            index_bits: capacity.trailing_zeros(),
            low_bits: slot_bits + 2,
            closed: W::ONE << slot_bits,
            void: W::ONE << (slot_bits + 1),
            lap: W::ONE << (slot_bits + 2),
        }
    }

    /// The word that says: the value of `sequence` is in slot 0.
    #[inline(always)]
    fn lap_of(&self, sequence: W) -> W {
        (sequence >> self.index_bits).plus(W::ONE) << self.low_bits
    }

    /// The word of the entry of `sequence` whose value is in `slot`.
    #[inline(always)]
    pub(super) fn published(&self, sequence: W, slot: usize) -> W {
        self.lap_of(sequence) | W::low(slot as u64)
    }

    /// The word of the entry of `sequence` while its value is written into `slot`.
    #[inline(always)]
    pub(super) fn written(&self, sequence: W, slot: usize) -> W {
        self.published(sequence, slot) | self.void
    }

    /// The word of an entry to which nothing was ever published.
    pub(super) fn unborn(&self, slot: usize) -> W {
        self.void | W::low(slot as u64)
    }

    /// The word `entry` with the mark of the end.
    pub(super) fn closed(&self, entry: W) -> W {
        entry | self.closed
    }

    /// Whether the stream ended at the lap after that of `entry`.
    #[inline(always)]
    pub(super) fn is_closed(&self, entry: W) -> bool {
        entry & self.closed != W::ZERO
    }

    /// The slot that holds the value of `sequence`, if `entry` says that it is there; the slot may not exist.
    #[inline(always)]
    pub(super) fn value_in(&self, entry: W, sequence: W) -> Option<usize> {
        let apart = self.open(entry).minus(self.lap_of(sequence));
        (apart.wide() < self.closed.wide()).then(|| apart.index())
    }

    /// `entry` without the mark of the end.
    #[inline(always)]
    fn open(&self, entry: W) -> W {
        entry.minus(entry & self.closed)
    }

    /// Whether two words name the same value in the same slot: the mark of the end makes no difference.
    #[inline(always)]
    pub(super) fn is_same(&self, entry: W, other: W) -> bool {
        self.open(entry) == self.open(other)
    }

    /// The slot that `entry` names; it may not exist.
    #[inline(always)]
    pub(super) fn slot(&self, entry: W) -> usize {
        (entry & self.closed.minus(W::ONE)).index()
    }

    /// Whether `sequence` was published, as `entry` says, and maybe overwritten.
    #[inline(always)]
    pub(super) fn is_published(&self, entry: W, sequence: W) -> bool {
        let apart = entry.minus(self.lap_of(sequence));
        !apart.is_negative() && (apart.wide() >= self.lap.wide() || apart & self.void == W::ZERO)
    }

    /// Whether `entry` is in the lap of `sequence` and without a value.
    pub(super) fn is_void(&self, entry: W, sequence: W) -> bool {
        let apart = entry.minus(self.lap_of(sequence));
        apart.wide() < self.lap.wide() && apart & self.void != W::ZERO
    }

    /// Whether `entry` is in a later lap than `sequence`; modular.
    #[inline(always)]
    pub(super) fn is_beyond(&self, entry: W, sequence: W) -> bool {
        let apart = entry.minus(self.lap_of(sequence));
        !apart.is_negative() && apart.wide() >= self.lap.wide()
    }

    /// Whether `entry` is in the lap before that of `sequence`: `sequence` is the next value for it.
    #[inline(always)]
    pub(super) fn is_before(&self, entry: W, sequence: W) -> bool {
        entry.plus(self.lap).minus(self.lap_of(sequence)).wide() < self.lap.wide()
    }
}
