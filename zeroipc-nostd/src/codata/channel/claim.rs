//! Claim words: one for each party that waits at a rendezvous, or at several in one select. Who moves one from *open* to *matched*
//! has met that party, and nobody else can.
//!
//! From bit 0 on: phase (3 bits), place (5), case (4 with 4-byte words, 6 with 8-byte words), generation (the rest: 20, or 50).
//! Place and case are 0 except in *matched*. The generation counts the uses of the place; so a word is never the same in two uses,
//! unless a party stops between looking at it and changing it for exactly as many uses as there are generations.

use crate::sync::{AnyWord, Atomic, Span, Wide};
use crate::wait::{EventCount, Notifier};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

const PHASE_BITS: u32 = 3;
const PLACE_BITS: u32 = 5;
/// Where the case begins.
const CASE_AT: u32 = PHASE_BITS + PLACE_BITS;

/// The most places of a kind: what the place's bits, and a bitmap of 32 bits, have room for.
pub(super) const MOST_PLACES: u32 = 1 << PLACE_BITS;

/// From the claim word, which begins a place, to the word that its party sleeps on.
pub(super) const BELL: u64 = 12;

/// What a party at a place is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody's.
    Free,
    /// Somebody's, and nobody else may do anything with it.
    Owned,
    /// One of several of a select whose claim word is elsewhere.
    Posted,
    /// Can be matched.
    Open,
    /// Can not be matched at the moment: its party tries to match another.
    Busy,
    /// Met.
    Matched,
    /// Holds a value that its party tries to give to one that waits.
    Given,
    /// Holds a value that was given: the receiver's now.
    Handed,
}

impl Phase {
    const ALL: [Phase; 8] = [
        Phase::Free,
        Phase::Owned,
        Phase::Posted,
        Phase::Open,
        Phase::Busy,
        Phase::Matched,
        Phase::Given,
        Phase::Handed,
    ];
}

/// A claim word's value, and how its word size divides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    bits: u64,
    wide: bool,
}

impl Claim {
    fn generation_at(self) -> u32 {
        CASE_AT + case_bits(self.wide)
    }

    pub(super) fn phase(self) -> Phase {
        let bits = (self.bits & ((1 << PHASE_BITS) - 1)) as usize;
        Phase::ALL.get(bits).copied().unwrap_or(Phase::Free)
    }

    /// Which place the value was left in, of *matched*.
    pub(super) fn place(self) -> usize {
        (self.bits >> PHASE_BITS) as usize & ((1 << PLACE_BITS) - 1)
    }

    /// Which of a select's cases was met, of *matched*.
    pub(super) fn case(self) -> usize {
        (self.bits >> CASE_AT) as usize & ((1 << case_bits(self.wide)) - 1)
    }

    fn generation(self) -> u64 {
        self.bits >> self.generation_at()
    }

    /// The same use in another phase.
    pub(super) fn in_phase(self, phase: Phase) -> Self {
        let generation = self.generation() << self.generation_at();
        Claim { bits: generation | phase as u64, wide: self.wide }
    }

    pub(super) fn matched(self, case: u32, place: usize) -> Self {
        let case = u64::from(case) & ((1 << case_bits(self.wide)) - 1);
        let place = place as u64 & ((1 << PLACE_BITS) - 1);
        let Claim { bits, wide } = self.in_phase(Phase::Matched);
        Claim { bits: bits | place << PHASE_BITS | case << CASE_AT, wide }
    }

    /// The next use of the place.
    pub(super) fn next(self) -> Self {
        let generation = self.generation().wrapping_add(1) << self.generation_at();
        let bits = generation | Phase::Free as u64;
        Claim { bits: if self.wide { bits } else { bits & u64::from(u32::MAX) }, wide: self.wide }
    }

    /// Whether it is the same use.
    pub(super) fn is_use_of(self, other: Self) -> bool {
        self.generation() == other.generation()
    }

    pub(super) fn bits(self) -> u64 {
        self.bits
    }
}

fn case_bits(wide: bool) -> u32 {
    if wide {
        6
    } else {
        4
    }
}

/// How many cases a claim word tells apart.
pub(crate) fn most_cases(wide: bool) -> usize {
    1 << case_bits(wide)
}

/// A word of the structure's word size.
pub(super) fn any_word(span: Span<'_>, wide: bool, offset: u64) -> Option<AnyWord<'_>> {
    Some(if wide {
        AnyWord::Wide(span.word::<Wide>(offset)?)
    } else {
        AnyWord::Narrow(span.word::<u32>(offset)?)
    })
}

/// Where a party waits: its claim word and its bell.
#[derive(Debug, Clone, Copy)]
pub struct Home<'a> {
    word: AnyWord<'a>,
    bell: EventCount<'a>,
    /// Where in the region it is.
    at: u64,
    wide: bool,
}

impl<'a> Home<'a> {
    /// The one at `at` in the region; `None` if no word can be there.
    pub(super) fn at(region: Span<'a>, wide: bool, at: u64) -> Option<Self> {
        let bell: Atomic<'a, u32> = region.word(at.checked_add(BELL)?)?;
        Some(Home { word: any_word(region, wide, at)?, bell: EventCount::new(bell), at, wide })
    }

    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    pub(crate) fn bell(&self) -> &EventCount<'a> {
        &self.bell
    }

    /// A value that was read elsewhere.
    pub(super) fn claim(&self, bits: u64) -> Claim {
        Claim { bits, wide: self.wide }
    }

    /// Acquire: what whoever matched it left for us is there.
    pub(super) fn load(&self) -> Claim {
        self.claim(self.word.load(Acquire))
    }

    /// For the owner, where nobody else changes it.
    pub(super) fn store(&self, claim: Claim) {
        self.word.store(claim.bits, Release);
    }

    /// Release: the place is complete, or what was copied was copied before. Acquire: as in `load`.
    pub(super) fn exchange(&self, from: Claim, to: Claim) -> bool {
        self.word.compare_exchange(from.bits, to.bits, AcqRel, Acquire)
    }

    fn step(&self, from: Phase, to: Phase) -> bool {
        let now = self.load();
        now.phase() == from && self.exchange(now.in_phase(from), now.in_phase(to))
    }

    /// From now on it can be matched.
    pub(crate) fn open(&self) -> bool {
        self.step(Phase::Owned, Phase::Open)
    }

    /// So that its party may do something else for good: false if it has been matched.
    pub(crate) fn enter(&self) -> bool {
        self.step(Phase::Open, Phase::Busy)
    }

    /// It did nothing: can be matched again.
    pub(crate) fn leave(&self) {
        self.step(Phase::Busy, Phase::Open);
    }

    /// It did it: can't be matched any more.
    pub(crate) fn finish(&self) {
        self.step(Phase::Busy, Phase::Owned);
    }

    /// Can't be matched any more: false if it has been.
    pub(crate) fn withdraw(&self) -> bool {
        self.step(Phase::Open, Phase::Owned)
    }

    /// Which case was met, and in which place its value is.
    pub(crate) fn met(&self) -> Met {
        let claim = self.load();
        match claim.phase() {
            Phase::Matched => Met::Yes { case: claim.case(), place: claim.place() },
            Phase::Open => Met::NotYet,
            _ => Met::Corrupt,
        }
    }

    /// Tells its party that something has changed. The caller has just done that by a read-modify-write.
    pub(super) fn ring(&self, notifier: Notifier<'_>) {
        self.bell.notify(notifier);
    }
}

/// What a party finds when it looks at its own claim word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    NotYet,
    Yes { case: usize, place: usize },
    Corrupt,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_they_mean() {
        for wide in [false, true] {
            let mut claim = Claim { bits: 0, wide };
            for _ in 0..3 {
                let open = claim.in_phase(Phase::Open);
                assert_eq!(open.phase(), Phase::Open);
                let case = most_cases(wide) - 1;
                let matched = open.matched(case as u32, 31);
                assert_eq!(matched.phase(), Phase::Matched);
                assert_eq!((matched.case(), matched.place()), (case, 31));
                assert!(matched.is_use_of(open) && !matched.is_use_of(claim.next()));
                claim = claim.next();
                assert_eq!(claim.phase(), Phase::Free);
            }
        }
    }

    #[test]
    fn generations_wrap_within_their_word() {
        let last = Claim { bits: u64::from(u32::MAX), wide: false };
        assert_eq!(last.next().bits(), 0);
        let last = Claim { bits: u64::MAX, wide: true };
        assert_eq!(last.next().bits(), 0);
    }
}
