//! Event: a flag that parties wait for, reset by hand or by the waiter that it releases.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `EVNT`, `extra` = mode (0 manual, 1 automatic), `capacity` = 1 |
//! | 24 | 4 | eventcount of those that wait |
//! | 28 | 4 | `state`: bit 0 while it is set; bits 1 to 31 count the resets, modulo 2^31 |
//!
//! 1. Set: `state` OR 1. Manual: wake all. Automatic: wake one.
//! 2. Reset, and in automatic mode taking: load `state`; if it is odd, CAS it to one more, which clears bit 0 and counts.
//! 3. Wait, manual: until `state` is odd, or not what it was when the wait began. Automatic: until a taking succeeds.
//!
//! The count is why a manual set releases all that were waiting even if the reset follows before they have run. If the CAS
//! fails another has reset it (a set does not change an odd state), so no step is repeated and all three are wait-free.
//!
//! There is no `pulse` (wake who waits now, and stay reset): whoever is between looking and sleeping, or is awake for any
//! other reason, would miss it; the systems that have it advise against it. Set and reset do what it promises.

use crate::error::{StructureError, WaitError};
use crate::geometry::Geometry;
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

const SET: u32 = 1;

/// What resets an [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventMode {
    /// [`Event::reset`] only: a set releases all that wait, and all that come until the reset.
    Manual,
    /// The waiter: each set releases exactly one, now or when it comes. Sets that nobody took yet are one.
    Automatic,
}

impl EventMode {
    fn bits(self) -> u32 {
        match self {
            EventMode::Manual => 0,
            EventMode::Automatic => 1,
        }
    }

    fn from_bits(bits: u32) -> Option<Self> {
        match bits {
            0 => Some(EventMode::Manual),
            1 => Some(EventMode::Automatic),
            _ => None,
        }
    }
}

/// A flag that parties wait for. Copy it freely.
///
/// All but waiting is wait-free; a party that stops, or is killed, inside holds up nobody. Waiting waits for who sets it.
/// Needs compare-and-exchange. A party killed right after it took an automatic event takes that set with it.
///
/// ```
/// use zeroipc_nostd::{Event, EventMode, FormatOptions, Region, Span};
///
/// # let mut memory = vec![0_u64; 128];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let started = Event::create(region, "started", EventMode::Manual)?;
/// started.set();
/// assert!(started.try_wait() && started.try_wait()); // for everybody, until it is reset
///
/// let work = Event::create(region, "work", EventMode::Automatic)?;
/// work.set();
/// assert!(work.try_wait());
/// assert!(!work.try_wait()); // one set, one waiter
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    state: Atomic<'a, u32>,
    sleepers: EventCount<'a>,
    notifier: Notifier<'a>,
    mode: EventMode,
}

impl<'a> Event<'a> {
    /// Creates an event that is not set.
    ///
    /// Lock-free; a party that dies inside leaks at most the event's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a region without compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        mode: EventMode,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::EVENT });
        }
        let mut prefix = Prefix::new(Kind::EVENT, region.geometry(), 0, 1);
        prefix.extra = mode.bits();
        region.create_structure(name, prefix, SIZE, |span| {
            span.clear(SLEEPERS, SIZE - SLEEPERS);
            Some(SIZE)
        })?;
        Self::open(region, name)
    }

    /// Opens an event, of either mode.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, a corrupt structure, a region or target without
    /// compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::EVENT, 0)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::EVENT });
        }
        let mode = EventMode::from_bits(found.prefix.extra)
            .filter(|_| found.prefix.capacity == 1)
            .ok_or(found.corrupt("its mode"))?;
        let word = |offset| found.span.word::<u32>(offset).ok_or(found.corrupt("its size"));
        Ok(Event {
            state: word(STATE)?,
            sleepers: EventCount::new(word(SLEEPERS)?),
            notifier: region.notifier(),
            mode,
        })
    }

    /// Opens the event, or creates it, not set, if there is none.
    ///
    /// # Errors
    /// As [`Event::open`] and [`Event::create`]; [`StructureError::WrongForm`] if it exists with the other mode.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        mode: EventMode,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let event =
            open_or_create(|| Self::open(region, name), || Self::create(region, name, mode))?;
        if event.mode != mode {
            return Err(StructureError::WrongForm { name: crate::Name::new(name)? });
        }
        Ok(event)
    }

    /// Bytes that an event takes in a region at most.
    #[must_use]
    pub fn footprint(geometry: Geometry) -> Option<u64> {
        block_bytes(geometry, SIZE)
    }

    /// Sets the event. Wait-free. Releases all waiters of a manual event, and one of an automatic one.
    ///
    /// What this party did before is visible to whom it releases, also if the event was set already. A party killed inside
    /// has set it and maybe woken nobody: sleepers look again within 100 ms.
    pub fn set(&self) {
        // Also if it is set already: only a read-modify-write passes on what we did before.
        self.state.fetch_or(SET, AcqRel);
        match self.mode {
            EventMode::Manual => self.sleepers.notify_many(self.notifier, u32::MAX),
            EventMode::Automatic => self.sleepers.notify(self.notifier),
        }
    }

    /// Takes the set back; returns whether it was set. Wait-free.
    ///
    /// Who began to wait before the set is released all the same, if the event is manual.
    pub fn reset(&self) -> bool {
        let state = self.state.load(Acquire);
        // Fails only if another reset it, since setting leaves an odd state as it is: then it was not set for us.
        state & SET != 0
            && self.state.compare_exchange(state, state.wrapping_add(1), AcqRel, Acquire).is_ok()
    }

    /// Whether it is set: a moment's value. Wait-free. Takes nothing.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.state.load(Acquire) & SET != 0
    }

    /// Whether a wait would end now. Wait-free. In automatic mode, true resets it: the set was this party's.
    #[must_use]
    pub fn try_wait(&self) -> bool {
        match self.mode {
            EventMode::Manual => self.is_set(),
            EventMode::Automatic => self.reset(),
        }
    }

    /// Waits for the event as long as it takes, for whoever sets it.
    ///
    /// # Errors
    /// [`WaitError::NoWaiter`].
    pub fn wait(&self) -> Result<(), WaitError> {
        self.wait_within(self.notifier.forever()?)
    }

    /// Waits for the event for at most `timeout`.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], never early; [`WaitError::NoWaiter`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), WaitError> {
        self.wait_within(self.notifier.at_most(timeout)?)
    }

    /// Waits for the event by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], never before the deadline.
    pub fn wait_with(&self, waiter: &dyn Wait, deadline: Option<u64>) -> Result<(), WaitError> {
        self.wait_within(Limit { waiter, deadline })
    }

    fn wait_within(&self, limit: Limit<'_>) -> Result<(), WaitError> {
        match self.mode {
            EventMode::Automatic => self.sleepers.wait_within(limit, || self.reset().then_some(())),
            EventMode::Manual => {
                let began = self.state();
                self.sleepers.wait_within(limit, || self.was_set_since(began).then_some(()))
            }
        }
    }

    /// What those that wait sleep on.
    pub(crate) fn sleepers(&self) -> &EventCount<'a> {
        &self.sleepers
    }

    pub(crate) fn notifier(&self) -> Notifier<'a> {
        self.notifier
    }

    pub(crate) fn state(&self) -> u32 {
        self.state.load(Acquire)
    }

    /// Whether a wait ends that began when the state was `began`. Odd at the beginning ends it at once; afterwards any change
    /// means that it was set since.
    pub(crate) fn was_set_since(&self, began: u32) -> bool {
        let state = self.state();
        state & SET != 0 || state != began
    }

    /// What resets it.
    #[must_use]
    pub fn mode(&self) -> EventMode {
        self.mode
    }
}

/// 1 if the event that begins `span` is set, 0 if not, for a view; `None` if its mode is none.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    EventMode::from_bits(prefix.extra).filter(|_| prefix.capacity == 1)?;
    Some(u64::from(span.word::<u32>(STATE)?.load(Acquire) & SET))
}
