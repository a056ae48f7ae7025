//! Once: something that is done once, by whichever party comes first.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `ONCE`, `capacity` = 1 |
//! | 24 | 4 | eventcount of those that wait |
//! | 28 | 4 | `state`: bits 0 and 1: 0 pending, 1 running, 2 done; bits 2 to 31 a party's number |
//!
//! The number is: while running, who runs it (2^30 - 1 if it has none); while pending, who gave it up last, or 0; when done,
//! who did it.
//!
//! 1. Pending: CAS to running with our number; on success run it. Running by a party that is known to be dead: the same.
//! 2. Run to its end: CAS to done, and wake all. Given up (a panic, a guard that is dropped): CAS to pending with our number,
//!    and wake all.
//! 3. Running by another: wait for a change.
//!
//! Unlike in std, a panic poisons nothing: the next one is told ([`OnceState::was_abandoned`]) and runs it again. Across
//! processes a failed attempt is one party's trouble, and the others would have no way to heal a poisoned one.

use crate::error::{OnceError, StructureError, WaitError};
use crate::geometry::Geometry;
use crate::party::{Membership, PartyId, UNKNOWN_PARTY};
use crate::prefix::{Kind, Prefix};
use crate::region::{open_or_create, Region};
use crate::sync::{Atomic, Span};
use crate::table::block_bytes;
use crate::wait::{Announce, EventCount, Limit, Notifier, Wait};
use core::sync::atomic::Ordering::{AcqRel, Acquire};
use core::time::Duration;

const SLEEPERS: u64 = 24;
const STATE: u64 = 28;
const SIZE: u64 = 32;

const PENDING: u32 = 0;
const RUNNING: u32 = 1;
const DONE: u32 = 2;
const PHASE: u32 = 3;
const NUMBER_SHIFT: u32 = 2;

/// How often an operation starts again because another changed the state in between. Correct peers change it a few times.
const TURNS: u32 = 1 << 10;

/// Something that is done once, by whichever party comes first. Copy it freely.
///
/// The query is wait-free. Who finds another running it waits for that one; its death is noticed if the region was opened
/// [as a party](Region::with_party), and another runs it then. Needs compare-and-exchange.
///
/// What the one that ran it did is visible to all that see it done.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Once, Region, Span};
///
/// # let mut memory = vec![0_u64; 128];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let calibrated = Once::create(region, "calibrated")?;
/// let ran = calibrated.try_call_once(|state| {
///     if state.owner_died().is_some() || state.was_abandoned() {
///         // another began before us: clean up what it left
///     }
/// })?;
/// assert!(ran && calibrated.is_completed());
/// assert!(!calibrated.try_call_once(|_| unreachable!())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Once<'a> {
    state: Atomic<'a, u32>,
    sleepers: EventCount<'a>,
    notifier: Notifier<'a>,
    membership: Membership<'a>,
}

impl<'a> Once<'a> {
    /// Creates one that is not done yet.
    ///
    /// Lock-free; a party that dies inside leaks at most its memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a region without compare-and-exchange.
    pub fn create(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::ONCE });
        }
        let prefix = Prefix::new(Kind::ONCE, region.geometry(), 0, 1);
        region.create_structure(name, prefix, SIZE, |span| {
            span.clear(SLEEPERS, SIZE - SLEEPERS);
            Some(SIZE)
        })?;
        Self::open(region, name)
    }

    /// Opens one.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, a corrupt structure, a region or target without
    /// compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::ONCE, 0)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::ONCE });
        }
        if found.prefix.capacity != 1 {
            return Err(found.corrupt("its capacity"));
        }
        let word = |offset| found.span.word::<u32>(offset).ok_or(found.corrupt("its size"));
        Ok(Once {
            state: word(STATE)?,
            sleepers: EventCount::new(word(SLEEPERS)?),
            notifier: region.notifier(),
            membership: region.membership(),
        })
    }

    /// Opens it, or creates it if there is none.
    ///
    /// # Errors
    /// As [`Once::open`] and [`Once::create`].
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        open_or_create(|| Self::open(region, name), || Self::create(region, name))
    }

    /// Bytes that it takes in a region at most.
    #[must_use]
    pub fn footprint(geometry: Geometry) -> Option<u64> {
        block_bytes(geometry, SIZE)
    }

    /// Whether it is done. Wait-free; once true, always true.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.state.load(Acquire) & PHASE == DONE
    }

    /// Runs `run` unless it is done or another runs it; returns whether it ran, false if it was done.
    ///
    /// Takes over from a party that is known to be dead. If `run` panics it is pending again.
    ///
    /// # Errors
    /// [`OnceError::Running`] if another runs it; [`OnceError::Contended`] and [`OnceError::Corrupt`] if a peer wrote
    /// nonsense.
    pub fn try_call_once(&self, run: impl FnOnce(&OnceState)) -> Result<bool, OnceError> {
        Ok(finish(self.try_begin()?, run))
    }

    /// Runs `run`, or waits for whoever runs it, as long as it takes; returns whether it was `run` that did it.
    ///
    /// Calling it from within `run` waits for itself.
    ///
    /// # Errors
    /// [`WaitError::Corrupt`]; [`WaitError::NoWaiter`] if the region was opened without a notifier, without having run.
    pub fn call_once(&self, run: impl FnOnce(&OnceState)) -> Result<bool, WaitError> {
        self.call_within(self.notifier.forever()?, run)
    }

    /// Runs `run`, or waits for whoever runs it for at most `timeout`. While `run` itself runs, nobody looks at the clock.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], never early, if another still runs it; [`WaitError::Corrupt`], [`WaitError::NoWaiter`].
    pub fn call_once_timeout(
        &self,
        timeout: Duration,
        run: impl FnOnce(&OnceState),
    ) -> Result<bool, WaitError> {
        self.call_within(self.notifier.at_most(timeout)?, run)
    }

    /// Runs `run`, or waits for whoever runs it by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], never before the deadline, if another still runs it; [`WaitError::Corrupt`].
    pub fn call_once_with(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
        run: impl FnOnce(&OnceState),
    ) -> Result<bool, WaitError> {
        self.call_within(Limit { waiter, deadline }, run)
    }

    fn call_within(
        &self,
        limit: Limit<'_>,
        run: impl FnOnce(&OnceState),
    ) -> Result<bool, WaitError> {
        let mut looks = limit.waiter.spins();
        let begun = self.sleepers.wait_within(limit, || {
            // The dead are asked for when spinning did not help.
            let ask = looks == 0;
            looks = looks.saturating_sub(1);
            match self.begin(ask) {
                Ok(begun) => Some(Ok(begun)),
                Err(OnceError::Running { .. } | OnceError::Contended) => None,
                Err(OnceError::Corrupt) => Some(Err(WaitError::Corrupt)),
            }
        })??;
        Ok(finish(begun, run))
    }

    /// Becomes the one that does it, with a guard instead of a closure; `None` if it is done.
    ///
    /// # Errors
    /// As [`Once::try_call_once`].
    pub fn try_begin(&self) -> Result<Option<OnceRun<'a>>, OnceError> {
        self.begin(true)
    }

    fn begin(&self, ask: bool) -> Result<Option<OnceRun<'a>>, OnceError> {
        let mine = self.membership.number() << NUMBER_SHIFT | RUNNING;
        let mut state = self.state.load(Acquire);
        for _ in 0..TURNS {
            let number = state >> NUMBER_SHIFT;
            let before = match state & PHASE {
                DONE => return Ok(None),
                PENDING => OnceState { died: None, abandoned: number != 0 },
                RUNNING if ask && self.membership.is_dead(number) => {
                    OnceState { died: PartyId::new(number), abandoned: false }
                }
                RUNNING => {
                    let owner = PartyId::new(number).filter(|_| number != UNKNOWN_PARTY);
                    return Err(OnceError::Running { owner });
                }
                _ => return Err(OnceError::Corrupt),
            };
            // Acquire: what the one before us did until it gave up.
            match self.state.compare_exchange(state, mine, AcqRel, Acquire) {
                Ok(_) => return Ok(Some(OnceRun { once: *self, mine, before })),
                Err(now) => state = now,
            }
        }
        Err(OnceError::Contended)
    }

    /// Ends our run with `phase`; false if the run was not ours any more.
    fn end(&self, mine: u32, phase: u32) -> bool {
        let state = mine & !PHASE | phase;
        // Release: what we did is visible to who sees it done, or runs it next.
        let ended = self.state.compare_exchange(mine, state, AcqRel, Acquire).is_ok();
        if ended {
            self.sleepers.notify_many(self.notifier, u32::MAX);
        }
        ended
    }
}

fn finish(begun: Option<OnceRun<'_>>, run: impl FnOnce(&OnceState)) -> bool {
    let Some(guard) = begun else { return false };
    run(guard.state());
    // False only if another took over in the belief that we are dead; the closure ran all the same.
    let _ = guard.complete();
    true
}

/// What whoever runs a [`Once`] is told about those who began before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnceState {
    died: Option<PartyId>,
    abandoned: bool,
}

impl OnceState {
    /// The party that died while it ran it, if this run takes over from one: it may have done a part, and what it had
    /// written last may be seen in any order.
    #[must_use]
    pub fn owner_died(&self) -> Option<PartyId> {
        self.died
    }

    /// Whether the run before this one gave up (a panic, a dropped guard): it may have done a part.
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.abandoned
    }
}

/// The run of a [`Once`] by this party. Dropped without [`OnceRun::complete`], it is pending again, and another runs it.
#[must_use = "dropped at once, it gives the run up"]
#[derive(Debug)]
pub struct OnceRun<'a> {
    once: Once<'a>,
    mine: u32,
    before: OnceState,
}

impl OnceRun<'_> {
    /// What is known about those who began before.
    #[must_use]
    pub fn state(&self) -> &OnceState {
        &self.before
    }

    /// It is done. False if another took this run over, believing this party dead: then that one decides.
    #[must_use]
    pub fn complete(self) -> bool {
        let done = self.once.end(self.mine, DONE);
        core::mem::forget(self);
        done
    }
}

impl Drop for OnceRun<'_> {
    fn drop(&mut self) {
        self.once.end(self.mine, PENDING);
    }
}

/// 1 if the once that begins `span` is done, else 0, for a view; `None` if its state is none.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let state = span.word::<u32>(STATE)?.load(Acquire);
    (prefix.capacity == 1 && state & PHASE <= DONE).then_some(u64::from(state & PHASE == DONE))
}
