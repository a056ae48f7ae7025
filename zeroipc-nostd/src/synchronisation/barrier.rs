//! Barrier: a number of participants wait until all have arrived, again and again.
//!
//! N is the number of participants, L the line size.
//!
//! | offset | bytes | field | written by |
//! |---|---|---|---|
//! | 0 | 24 | prefix: kind `BARR`, `capacity` = N, 1 to 65,536 | creator |
//! | 24 | 4 | eventcount of those that wait for the others | everybody |
//! | 28 | 4 | eventcount of those that wait for a place | everybody |
//! | A = 32 up to L | 4 | `state`: bits 0 to 7 the generation g, bits 8 to 31 a version | everybody |
//! | B = A + 4 up to L, + L for each i < N | 4 | place i: number of the party that has it, 0 if nobody | who takes or leaves it |
//! | 4 bytes behind each place | 4 | `arrived`: g + 1 once the place's holder has arrived in generation g, 0 if it withdrew | its holder |
//!
//! 1. Arrive: load `state`; swap `arrived` to g + 1. Full fence. Then complete if possible (2), and wait until g has moved.
//! 2. Complete: load `state`; if g is still ours, and every place's `arrived` is g + 1, CAS `state` to the next generation. Who
//!    succeeds is the leader, and wakes all. On failure again.
//! 3. Withdraw (a timeout, a dead peer): swap `arrived` to 0, then CAS `state` to the next version. If g has moved, all had
//!    arrived, ourselves included. A completer that had seen us there fails by the new version, and looks again.
//! 4. A place is taken by CAS from 0, or from the number of a party that is known to be dead, and then withdrawn from (3).
//!
//! Flags of arrival instead of a count are from the dissemination and tree barriers of Mellor-Crummey and Scott 1991
//! (<https://doi.org/10.1145/103727.103729>); here they say *who* is missing, which a count cannot. Of two that arrive last
//! at the same time, one sees both flags, because of the fence; and any participant that looks can complete, so nobody waits for
//! one that has arrived and stopped.
//!
//! A generation cannot complete without each holder of a place, so nobody is ever more than one generation behind, and 8 bits
//! tell generations apart. A completer stopped between looking and its CAS is wrong only if meanwhile a multiple of
//! 2^24 withdrawals happen in that same generation.

use crate::error::{BarrierError, NoPlace, StructureError};
use crate::geometry::{align_up, Geometry};
use crate::party::{Membership, PartyId};
use crate::prefix::{Kind, Prefix};
use crate::region::{open_or_create, Region};
use crate::sync::{fence_after_rmw, relax, Atomic, Span, Words};
use crate::table::block_bytes;
use crate::wait::{Announce, EventCount, Limit, Notifier, Wait};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use core::time::Duration;

const SLEEPERS: u64 = 24;
const SEEKERS: u64 = 28;
const CONTROL_BYTES: u64 = 32;

const GENERATION: u32 = 0xFF;
const VERSION: u32 = 1 << 8;
const MAX_PARTICIPANTS: u64 = 1 << 16;

/// How often an operation starts again because another withdrew in between: progress of another each time, so only
/// hostile peers can use them up.
const TURNS: u32 = 1 << 16;

/// A number of participants that wait until all have arrived, again and again. Copy it freely.
///
/// Whoever takes part has a *place*. [`Barrier::join`] takes one for many generations, and is how a participant's death
/// can be noticed: if it was opened [as a party](Region::with_party) and is known to be dead before it arrived, the others get
/// [`BarrierError::PeerDied`] instead of waiting for ever, and whoever joins next takes the dead one's place.
/// [`Barrier::wait`] takes a place for one generation.
///
/// Arriving waits for all participants. One that is stopped after it arrived holds up nobody. What each did before it arrived
/// is visible to all afterwards. Needs compare-and-exchange.
///
/// ```
/// use zeroipc_nostd::{Barrier, FormatOptions, Region, Span, Spin};
///
/// # let mut memory = vec![0_u64; 128];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// # static SPIN: Spin = Spin::new(|| 0);
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let step = Barrier::create(region.with_notifier(&SPIN), "step", 2)?;
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| {
///             let mut participant = step.join().expect("there are two places");
///             for _ in 0..10 {
///                 // ... a step of the work, then:
///                 let result = participant.wait().expect("nobody dies here");
///                 if result.is_leader() {
///                     // one of the two, once a generation
///                 }
///             }
///         });
///     }
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Barrier<'a> {
    state: Atomic<'a, u32>,
    parties: Words<'a, u32>,
    arrived: Words<'a, u32>,
    sleepers: EventCount<'a>,
    seekers: EventCount<'a>,
    notifier: Notifier<'a>,
    membership: Membership<'a>,
    layout: Layout,
}

/// What came of a look at a generation.
enum Look {
    /// Somebody has not arrived.
    Open,
    /// It completed; whether this look did it.
    Complete { leader: bool },
    /// See [`TURNS`].
    Contended,
}

impl<'a> Barrier<'a> {
    /// Creates a barrier for `participants` (1 to 65,536).
    ///
    /// Linear in the number of participants. Lock-free; a party that dies inside leaks at most the barrier's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, an impossible number of participants, a region
    /// without compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        participants: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::BARRIER });
        }
        let capacity = u64::from(participants);
        let prefix = Prefix::new(Kind::BARRIER, region.geometry(), 0, capacity);
        let bad = StructureError::BadCapacity { capacity, min: 1, max: MAX_PARTICIPANTS };
        let layout = Layout::of(&prefix).ok_or(bad)?;
        region.create_structure(name, prefix, layout.size, |span| {
            span.clear(SLEEPERS, layout.size - SLEEPERS);
            Some(layout.size)
        })?;
        Self::open(region, name)
    }

    /// Opens a barrier.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, a corrupt structure, a region or target without
    /// compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::BARRIER, 0)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::BARRIER });
        }
        let corrupt = found.corrupt("its number of participants");
        let layout = Layout::of(&found.prefix).ok_or(corrupt)?;
        let word = |offset| found.span.word::<u32>(offset).ok_or(corrupt);
        Ok(Barrier {
            state: word(layout.state)?,
            parties: layout.parties(found.span).ok_or(corrupt)?,
            arrived: layout.arrived(found.span).ok_or(corrupt)?,
            sleepers: EventCount::new(word(SLEEPERS)?),
            seekers: EventCount::new(word(SEEKERS)?),
            notifier: region.notifier(),
            membership: region.membership(),
            layout,
        })
    }

    /// Opens the barrier, or creates it for `participants` if there is none.
    ///
    /// # Errors
    /// As [`Barrier::open`] and [`Barrier::create`]; [`StructureError::WrongCapacity`] if it exists with another number.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        participants: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let barrier = open_or_create(
            || Self::open(region, name),
            || Self::create(region, name, participants),
        )?;
        if barrier.participants() != participants {
            let (expected, found) = (u64::from(participants), u64::from(barrier.participants()));
            let name = crate::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected, found });
        }
        Ok(barrier)
    }

    /// Bytes that a barrier for `participants` takes in a region at most.
    #[must_use]
    pub fn footprint(geometry: Geometry, participants: u32) -> Option<u64> {
        let prefix = Prefix::new(Kind::BARRIER, geometry, 0, u64::from(participants));
        block_bytes(geometry, Layout::of(&prefix)?.size)
    }

    /// How many have to arrive.
    #[must_use]
    pub fn participants(&self) -> u32 {
        self.layout.participants
    }

    /// Takes a place, for as long as the result lives: one that is free, or that of a party that is known to be dead.
    ///
    /// Lock-free, linear in the number of participants. A party killed inside has a place or not; if it has, that is as if
    /// it had died as a participant.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub fn join(&self) -> Result<Participant<'a>, NoPlace> {
        let me = self.membership.number();
        for index in 0..self.layout.count {
            let (Some(party), Some(arrived)) = (self.parties.get(index), self.arrived.get(index))
            else {
                break;
            };
            let held = party.load(Acquire);
            if held != 0 && !self.membership.is_dead(held) {
                continue;
            }
            // Acquire: the last holder has done with the place.
            if party.compare_exchange(held, me, AcqRel, Relaxed).is_ok() {
                if held != 0 {
                    // It may have arrived before it died.
                    self.withdraw(arrived, None);
                }
                return Ok(Participant { barrier: *self, party, arrived, me });
            }
        }
        Err(NoPlace { participants: self.layout.participants })
    }

    /// Takes a place, waits until all have arrived, as long as it takes, and leaves the place.
    ///
    /// If all places are taken, first waits for one. A party that waits like this is missed by the others only while it waits:
    /// see [`Barrier::join`].
    ///
    /// # Errors
    /// As [`Participant::wait`].
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_by(self.notifier.forever()?)
    }

    /// Takes a place, waits for at most `timeout` until all have arrived, and leaves the place.
    ///
    /// # Errors
    /// As [`Participant::wait_timeout`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_by(self.notifier.at_most(timeout)?)
    }

    /// Takes a place, waits by `waiter` until `deadline` on its clock until all have arrived, and leaves the place.
    ///
    /// # Errors
    /// As [`Participant::wait_with`].
    pub fn wait_with(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_by(Limit { waiter, deadline })
    }

    fn wait_by(&self, limit: Limit<'_>) -> Result<BarrierWaitResult, BarrierError> {
        self.seekers.wait_within(limit, || self.join().ok())?.wait_by(limit)
    }

    fn generation(&self) -> u32 {
        self.state.load(Acquire) & GENERATION
    }

    /// Step 2.
    fn complete(&self, generation: u32) -> Look {
        for _ in 0..TURNS {
            // Acquire: with the version comes the flag of whoever withdrew.
            let state = self.state.load(Acquire);
            if state & GENERATION != generation {
                return Look::Complete { leader: false };
            }
            if self.absent(generation).next().is_some() {
                return Look::Open;
            }
            // Release: passes on what all did before they arrived.
            let next = state & !GENERATION | next_generation(generation);
            if self.state.compare_exchange(state, next, AcqRel, Acquire).is_ok() {
                self.sleepers.notify_many(self.notifier, u32::MAX);
                return Look::Complete { leader: true };
            }
            relax();
        }
        Look::Contended
    }

    /// The places whose holders have not arrived in `generation`.
    fn absent(&self, generation: u32) -> impl Iterator<Item = usize> + '_ {
        (0..self.layout.count).filter(move |index| {
            // Acquire: what each did before it arrived.
            self.arrived.get(*index).is_some_and(|word| word.load(Acquire) != flag(generation))
        })
    }

    /// A participant that died without having arrived in `generation`.
    fn dead(&self, generation: u32) -> Option<PartyId> {
        self.absent(generation).find_map(|index| {
            let number = self.parties.get(index)?.load(Acquire);
            PartyId::new(number).filter(|_| self.membership.is_dead(number))
        })
    }

    /// Step 3, in `generation` or, if that is `None`, in whichever it is; false if the generation completed before.
    fn withdraw(&self, arrived: Atomic<'a, u32>, generation: Option<u32>) -> bool {
        arrived.swap(0, AcqRel);
        for _ in 0..TURNS {
            let state = self.state.load(Acquire);
            if generation.is_some_and(|generation| state & GENERATION != generation) {
                return false;
            }
            // Release: who sees the new version sees the flag.
            let next = state.wrapping_add(VERSION);
            if self.state.compare_exchange(state, next, AcqRel, Acquire).is_ok() {
                break;
            }
            relax();
        }
        true
    }
}

/// Whether a participant led the generation that completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarrierWaitResult {
    leader: bool,
}

impl BarrierWaitResult {
    /// True for exactly one participant of each generation.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leader
    }
}

/// A place at a [`Barrier`], left when this is dropped.
///
/// While somebody has a place, no generation completes without it.
#[derive(Debug)]
pub struct Participant<'a> {
    barrier: Barrier<'a>,
    party: Atomic<'a, u32>,
    arrived: Atomic<'a, u32>,
    /// What we wrote into `party`.
    me: u32,
}

impl Participant<'_> {
    /// Arrives, and waits until all have, as long as it takes.
    ///
    /// # Errors
    /// [`BarrierError::PeerDied`]: this party's arrival is withdrawn, and it may arrive again;
    /// [`BarrierError::NoWaiter`]; [`BarrierError::Corrupt`] if a peer wrote nonsense.
    pub fn wait(&mut self) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_by(self.barrier.notifier.forever()?)
    }

    /// Arrives, and waits for at most `timeout` until all have.
    ///
    /// # Errors
    /// As [`Participant::wait`]; [`BarrierError::Timeout`], never early: this party's arrival is withdrawn, as if it had
    /// never arrived. If the generation completed in that moment, that is no timeout but a success.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_by(self.barrier.notifier.at_most(timeout)?)
    }

    /// Arrives, and waits by `waiter` until `deadline` on its clock until all have; for ever if there is none.
    ///
    /// # Errors
    /// As [`Participant::wait_timeout`].
    pub fn wait_with(
        &mut self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_by(Limit { waiter, deadline })
    }

    fn wait_by(&mut self, limit: Limit<'_>) -> Result<BarrierWaitResult, BarrierError> {
        let barrier = &self.barrier;
        let generation = barrier.generation();
        // Release: what we did before. Nobody has moved the generation since we looked, for that takes us.
        self.arrived.swap(flag(generation), AcqRel);
        // Of two that arrive last, one sees the flags of both at its first look. (Else the look after announcing would.)
        fence_after_rmw();
        let spins = limit.waiter.spins();
        let mut looks = 0_u32;
        let waited = barrier.sleepers.wait_within(limit, || {
            // Who arrives last completes at its first look. Looking through all places again is for the case that it
            // was stopped there, and comes after spinning, as does asking for the dead.
            let (first, late) = (looks == 0, looks >= spins);
            looks = looks.saturating_add(1);
            if !first && !late {
                let moved = barrier.generation() != generation;
                return moved.then_some(Ok(BarrierWaitResult { leader: false }));
            }
            match barrier.complete(generation) {
                Look::Complete { leader } => Some(Ok(BarrierWaitResult { leader })),
                Look::Contended => Some(Err(BarrierError::Corrupt)),
                Look::Open if late => {
                    barrier.dead(generation).map(|party| Err(BarrierError::PeerDied(party)))
                }
                Look::Open => None,
            }
        });
        match waited.map_err(BarrierError::from).and_then(|result| result) {
            Ok(result) => Ok(result),
            Err(error) if barrier.withdraw(self.arrived, Some(generation)) => Err(error),
            Err(_) => Ok(BarrierWaitResult { leader: false }),
        }
    }

    /// The barrier.
    #[must_use]
    pub fn barrier(&self) -> Barrier<'_> {
        self.barrier
    }
}

impl Drop for Participant<'_> {
    fn drop(&mut self) {
        // Not ours any more only if another took it over, believing us dead.
        if self.party.compare_exchange(self.me, 0, AcqRel, Relaxed).is_ok() {
            self.barrier.seekers.notify_many(self.barrier.notifier, 1);
        }
    }
}

/// What `arrived` holds for a generation.
fn flag(generation: u32) -> u32 {
    generation + 1
}

fn next_generation(generation: u32) -> u32 {
    generation.wrapping_add(1) & GENERATION
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    state: u64,
    places: u64,
    stride: usize,
    count: usize,
    participants: u32,
    size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is not one that [`Barrier::create`] writes.
    fn of(prefix: &Prefix) -> Option<Self> {
        let line = u64::from(prefix.geometry.ok()?.line_bytes());
        let participants = prefix.capacity;
        if !(1..=MAX_PARTICIPANTS).contains(&participants) {
            return None;
        }
        let state = align_up(CONTROL_BYTES, line)?;
        let places = align_up(state + 4, line)?;
        Some(Layout {
            state,
            places,
            stride: usize::try_from(line).ok()?,
            count: usize::try_from(participants).ok()?,
            participants: u32::try_from(participants).ok()?,
            size: places + line * (participants - 1) + 8,
        })
    }

    fn parties<'a>(&self, span: Span<'a>) -> Option<Words<'a, u32>> {
        span.words(self.places, self.stride, self.count)
    }

    fn arrived<'a>(&self, span: Span<'a>) -> Option<Words<'a, u32>> {
        span.words(self.places + 4, self.stride, self.count)
    }
}

/// How many have arrived in the present generation of the barrier that begins `span`, for a view; `None` if it does not fit
/// into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let layout = Layout::of(prefix)?;
    let generation = span.word::<u32>(layout.state)?.load(Acquire) & GENERATION;
    let arrived = layout.arrived(span)?;
    let count = (0..layout.count)
        .filter_map(|index| arrived.get(index))
        .filter(|word| word.load(Relaxed) == flag(generation))
        .count();
    u64::try_from(count).ok()
}
