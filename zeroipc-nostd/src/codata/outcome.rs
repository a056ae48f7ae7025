//! What a Future and a Lazy have in common: an outcome, a value or a failure, that one party at a time makes.
//!
//! | offset | bytes | field | written by |
//! |---|---|---|---|
//! | 0 | 24 | prefix: `extra` = 0, `capacity` = 1 | creator |
//! | 24 | 4 | what parties that wait sleep on: eventcount; without compare-and-exchange `rung` of the broadcast | |
//! | 28 | 4 | `waiting` of the broadcast | sleepers, who settles |
//! | A = 32 up to L | 4 | `owner`: the number of the party that may settle the outcome; 0 if nobody | its takers |
//! | A + 4 | 4 | reserved | |
//! | A + 8 | W | `state`: generation x 8 + phase | the owner, who begins a generation |
//! | V = A + 16 | `elem_size` | value | the owner |
//! | X = (V + `elem_size`) up to 8 | 120 | text of the failure | the owner |
//!
//! W is the word size, L the line size. V moves up to the element's alignment (the largest power of two that divides
//! `elem_size`, at most 16 and at most L), which it has already. Initially all but the prefix is 0.
//!
//! 1. *Own*: CAS `owner` from 0, or from the number of a party that is known to be dead, to one's own number.
//! 2. *Settle*: the owner writes value or text, and moves `state` by CAS to a settled phase of the same generation.
//! 3. *Disown*: CAS `owner` from one's own number to 0.
//! 4. *Begin a generation*: anybody moves `state` by CAS to phase 0 (vacant) of the next generation.
//! 5. *Read*: load `state`, copy what its phase says is there, and look whether `state` is the same.
//!
//! Why nobody takes the outcome of one generation for that of another: only the owner writes, and only before it settles. So
//! a copy whose beginning and end saw the same settled `state` had no writer in between: the next owner writes after it saw
//! the state that step 4 made, so a reader that saw any of that sees this state too ([`Racy`]). An owner whose generation is
//! over finds that out in step 2, and nobody else writes until it has disowned.

use super::text::{FailureText, Record, TEXT_BYTES};
use crate::element::Element;
use crate::error::StructureError;
use crate::geometry::{align_up, Geometry, WordSize};
use crate::party::{Membership, PartyId, UNKNOWN_PARTY};
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, Region};
use crate::sync::{AnyWord, Atomic, Racy, Span};
use crate::table::block_bytes;
use crate::table::record::Capability;
use crate::wait::{Announce, Bell, Notifier, Wait, WaitWord};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const SLEEPERS: u64 = 24;
const WAITING: u64 = 28;
const CONTROL_BYTES: u64 = 32;
/// From the owner on.
const STATE: u64 = 8;
const VALUE_AT: u64 = 16;

const PHASE_BITS: u32 = 3;

/// How often an operation starts again because the state changed meanwhile. In one generation it changes twice.
pub(super) const TURNS: u32 = 16;

/// How far an outcome is. What stands in a region may be none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Vacant,
    /// A party has promised to settle it.
    Promised,
    Value,
    Failed,
    Broken,
}

impl Phase {
    fn bits(self) -> u64 {
        match self {
            Phase::Vacant => 0,
            Phase::Promised => 1,
            Phase::Value => 2,
            Phase::Failed => 3,
            Phase::Broken => 4,
        }
    }
}

/// The state word's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u64);

impl State {
    pub(super) fn new(generation: u64, phase: Phase) -> Self {
        State(generation << PHASE_BITS | phase.bits())
    }

    pub(super) fn generation(self) -> u64 {
        self.0 >> PHASE_BITS
    }

    /// `None` if a peer wrote nonsense.
    pub(super) fn phase(self) -> Option<Phase> {
        match self.0 & ((1 << PHASE_BITS) - 1) {
            0 => Some(Phase::Vacant),
            1 => Some(Phase::Promised),
            2 => Some(Phase::Value),
            3 => Some(Phase::Failed),
            4 => Some(Phase::Broken),
            _ => None,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<T> {
    Value(T),
    Failed(FailureText),
    Broken,
    /// Not settled.
    Open,
    /// It was settled when it was looked at, and another generation began meanwhile.
    Gone,
    Corrupt,
}

/// Why a party did not become the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owned {
    /// Who is, if it has a number.
    pub(super) by: Option<PartyId>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Outcome<'a, T> {
    /// Of all that wait. With loads and stores alone the one party that settles is the only waker.
    sleepers: Bell<'a>,
    /// Whether several parties may settle it, as they have compare-and-exchange.
    cas: bool,
    owner: Atomic<'a, u32>,
    state: AnyWord<'a>,
    value: Racy<'a, T>,
    text: Racy<'a, Record>,
    pub(super) notifier: Notifier<'a>,
    membership: Membership<'a>,
}

impl<T> Clone for Outcome<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Outcome<'_, T> {}

impl<'a, T: Element> Outcome<'a, T> {
    pub(super) fn create(region: Region<'a>, name: &str, kind: Kind) -> Result<(), StructureError> {
        let prefix = Prefix::new(kind, region.geometry(), elem_size::<T>()?, 1);
        let layout = Layout::of(&prefix)
            .ok_or(StructureError::ElementTooLarge { size: core::mem::size_of::<T>() })?;
        region.create_structure(name, prefix, layout.size, |span| {
            span.clear(SLEEPERS, layout.value - SLEEPERS);
            Some(layout.value)
        })?;
        Ok(())
    }

    pub(super) fn open(region: Region<'a>, name: &str, kind: Kind) -> Result<Self, StructureError> {
        let found = region.open_structure(name, kind, elem_size::<T>()?)?;
        let cas = region.has_cas();
        if !cas && region.view().capability() == Capability::Cas {
            return Err(StructureError::NeedsCas { kind });
        }
        let layout = Layout::of(&found.prefix).ok_or(found.corrupt("its capacity"))?;
        let (span, corrupt) = (found.span, found.corrupt("its size"));
        let word = |offset| span.word::<u32>(offset).ok_or(corrupt);
        let stride = core::mem::size_of::<T>();
        let sleepers = Bell::for_all(word(SLEEPERS)?, word(WAITING)?, !cas, cas);
        Ok(Outcome {
            sleepers,
            cas,
            owner: word(layout.owner)?,
            state: layout.state_word(span).ok_or(corrupt)?,
            value: span.racy(layout.value, stride, 1).ok_or(corrupt)?,
            text: span.racy(layout.text, TEXT_BYTES as usize, 1).ok_or(corrupt)?,
            notifier: region.notifier(),
            membership: region.membership(),
        })
    }

    /// Whether several parties may settle it, as they have compare-and-exchange.
    pub(super) fn has_cas(&self) -> bool {
        self.cas
    }

    /// Acquire: whoever settled it had finished with what it did before.
    pub(super) fn state(&self) -> State {
        State(self.state.load(Acquire))
    }

    /// The generation after `generation`. They wrap around.
    pub(super) fn after(&self, generation: u64) -> u64 {
        let bits = match self.state {
            AnyWord::Narrow(_) => 32 - PHASE_BITS,
            AnyWord::Wide(_) => 64 - PHASE_BITS,
        };
        generation.wrapping_add(1) & ((1 << bits) - 1)
    }

    /// Moves the state; false if it is not `from` any more.
    pub(super) fn move_state(&self, from: State, to: State) -> bool {
        if self.has_cas() {
            // Release: value or text are there for whoever acquires the state. Acquire: as in `state`.
            return self.state.compare_exchange(from.0, to.0, AcqRel, Acquire);
        }
        // Only one party changes it.
        let same = self.state.load(Acquire) == from.0;
        if same {
            self.state.store(to.0, Release);
        }
        same
    }

    /// Becomes the owner if nobody is; or, if it may `ask`, if the owner is known to be dead.
    pub(super) fn own(&self, ask: bool) -> Result<(), Owned> {
        // Acquire: the last owner has finished with value and text.
        let mut seen = self.owner.load(Acquire);
        for _ in 0..TURNS {
            if seen != 0 && !(ask && self.membership.is_dead(seen)) {
                break;
            }
            match self.exchange_owner(seen, self.membership.number()) {
                Ok(()) => return Ok(()),
                Err(now) => seen = now,
            }
        }
        Err(Owned { by: owner(seen) })
    }

    /// Gives up what [`Outcome::own`] got. Nothing happens if another took it over, believing this party dead.
    pub(super) fn disown(&self) {
        let _ = self.exchange_owner(self.membership.number(), 0);
    }

    fn exchange_owner(&self, from: u32, to: u32) -> Result<(), u32> {
        if self.has_cas() {
            // Release: what we did as the owner is done for the next one.
            return self.owner.compare_exchange(from, to, AcqRel, Acquire).map(|_| ());
        }
        let seen = self.owner.load(Acquire);
        if seen != from {
            return Err(seen);
        }
        self.owner.store(to, Release);
        Ok(())
    }

    /// Who owns it, if it has a number.
    pub(super) fn owner(&self) -> Option<PartyId> {
        owner(self.owner.load(Acquire))
    }

    /// Whether somebody owns it.
    pub(super) fn is_owned(&self) -> bool {
        self.owner.load(Acquire) != 0
    }

    /// Whether the owner is known to be dead. May be a system call.
    pub(super) fn owner_is_dead(&self) -> bool {
        self.membership.is_dead(self.owner.load(Acquire))
    }

    /// The owner settles it, if `from` is still its state.
    pub(super) fn settle(&self, from: State, outcome: Result<&T, &FailureText>) -> bool {
        // An owner that was believed dead and is not finds that out here at the latest, before it spoils another's value.
        if self.state() != from {
            return false;
        }
        let phase = match outcome {
            Ok(value) => {
                self.value.write(0, value);
                Phase::Value
            }
            Err(text) => {
                self.text.write(0, text.record());
                Phase::Failed
            }
        };
        self.move_state(from, State::new(from.generation(), phase))
    }

    /// What `state`, just loaded, says is there. Wait-free.
    pub(super) fn read(&self, state: State) -> Found<T> {
        let found = match state.phase() {
            None => return Found::Corrupt,
            Some(Phase::Vacant | Phase::Promised) => return Found::Open,
            Some(Phase::Broken) => return Found::Broken,
            Some(Phase::Value) => self.value.read(0).map(Found::Value),
            Some(Phase::Failed) => {
                self.text.read(0).map(|text| match FailureText::from_record(text) {
                    Some(text) => Found::Failed(text),
                    None => Found::Corrupt,
                })
            }
        };
        // Relaxed: `Racy::read` ends with the fence that orders this load after the copy.
        if self.state.load(Relaxed) == state.0 {
            found.unwrap_or(Found::Corrupt)
        } else {
            Found::Gone
        }
    }

    pub(super) fn bell(&self) -> Bell<'a> {
        self.sleepers
    }

    /// Wakes all that wait. The caller has just moved the state or the owner.
    pub(super) fn notify(&self) {
        self.sleepers.ring(&self.notifier);
    }
}

impl<T> Announce for Outcome<'_, T> {
    fn announce(&self, waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        self.sleepers.announce(waiter)
    }
}

fn owner(number: u32) -> Option<PartyId> {
    PartyId::new(number).filter(|_| number != UNKNOWN_PARTY)
}

/// Bytes that one takes in a region at most.
pub(super) fn footprint<T: Element>(geometry: Geometry, kind: Kind) -> Option<u64> {
    let prefix = Prefix::new(kind, geometry, elem_size::<T>().ok()?, 1);
    block_bytes(geometry, Layout::of(&prefix)?.size)
}

/// The phase of the one that begins `span`, for a view; `None` if it is none, or if it does not fit into the span.
pub(super) fn phase(span: Span<'_>, prefix: &Prefix) -> Option<Phase> {
    let layout = Layout::of(prefix).filter(|layout| layout.size <= span.len() as u64)?;
    State(layout.state_word(span)?.load(Acquire)).phase()
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    word: WordSize,
    owner: u64,
    state: u64,
    value: u64,
    text: u64,
    size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is not one that creation writes.
    fn of(prefix: &Prefix) -> Option<Self> {
        let geometry = prefix.geometry.ok()?;
        let elem = u64::from(prefix.elem_size);
        if elem == 0 || elem > 1 << 30 || prefix.capacity != 1 {
            return None;
        }
        let line = u64::from(geometry.line_bytes());
        let owner = align_up(CONTROL_BYTES, line)?;
        let elem_align = (1 << elem.trailing_zeros()).min(16).min(line);
        let value = align_up(owner + VALUE_AT, elem_align)?;
        let text = align_up(value + elem, 8)?;
        let (state, size) = (owner + STATE, text + TEXT_BYTES);
        Some(Layout { word: geometry.word(), owner, state, value, text, size })
    }

    fn state_word<'a>(&self, span: Span<'a>) -> Option<AnyWord<'a>> {
        Some(match self.word {
            WordSize::Four => AnyWord::Narrow(span.word(self.state)?),
            WordSize::Eight => AnyWord::Wide(span.word(self.state)?),
        })
    }
}
