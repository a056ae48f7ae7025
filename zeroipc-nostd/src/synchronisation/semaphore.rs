//! Semaphore: a number of permits that parties take and give back.
//!
//! L is the line size.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `SEMA`, `capacity` = the most permits that there may be, 1 to 2^32 - 1 |
//! | 24 | 4 | eventcount of those that wait for one permit |
//! | 28 | 4 | eventcount of those that wait for several |
//! | A = 32 up to L | 4 | `available`: how many permits are free |
//!
//! 1. Acquire n: load `available`; if it is less than n there are none. CAS it to n less.
//! 2. Release n: load `available`; if n more are above the maximum it is an error. CAS it to n more. Wake up to n of those
//!    that wait for one; if at least two are free now, wake all that wait for several.
//!
//! Dijkstra 1965 (<https://www.cs.utexas.edu/~EWD/transcriptions/EWD01xx/EWD123.html>), as a counter and an eventcount.
//!
//! Why those that wait for several sleep apart: a wake-up for one free permit must not end at somebody who needs two and
//! goes back to sleep. Which of them can go on depends on what each needs, so all look.

use crate::error::{AcquireError, ReleaseError, StructureError, TryAcquireError};
use crate::geometry::{align_up, Geometry};
use crate::prefix::{Kind, Prefix};
use crate::region::{open_or_create, Region};
use crate::sync::{relax, Atomic, Span};
use crate::table::block_bytes;
use crate::wait::{Announce, EventCount, Limit, Notifier, Wait};
use core::mem;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use core::time::Duration;

const ONE: u64 = 24;
const SEVERAL: u64 = 28;
const CONTROL_BYTES: u64 = 32;

/// How often an operation starts again because another changed the count in between. Each turn is progress of another,
/// so only hostile peers can use them up.
const TURNS: u32 = 1 << 16;

/// A number of permits that parties take and give back, with a maximum. Copy it freely.
///
/// Trying and releasing are lock-free: a party that stops, or is killed, inside holds up nobody. Waiting waits for some
/// holder to release. Needs compare-and-exchange.
///
/// **Fairness.** None is promised: whoever comes while a permit is free takes it, also before those that were woken for it. A
/// waiter for several permits takes all of them at once or none, and holds none while it waits; so while others keep taking
/// single permits it may wait without end. Where that matters, give it a deadline, or let all take the same number.
///
/// **Death.** The permits of a killed holder stay taken until somebody gives them back by [`Semaphore::release_many`]: only
/// the application knows how many they were. A party killed inside an operation has done it or not.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Region, Semaphore, Span, TryAcquireError};
///
/// # let mut memory = vec![0_u64; 128];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let cameras = Semaphore::create(region, "cameras", 2, 2)?;
/// let one = cameras.try_acquire()?;
/// let other = cameras.try_acquire()?;
/// assert_eq!(cameras.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
/// drop(one); // given back
/// assert_eq!(cameras.available(), 1);
///
/// // Or kept without a guard, to be given back here or in another party.
/// other.forget();
/// cameras.release()?;
/// assert_eq!(cameras.available(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Semaphore<'a> {
    available: Atomic<'a, u32>,
    pub(crate) one: EventCount<'a>,
    pub(crate) several: EventCount<'a>,
    pub(crate) notifier: Notifier<'a>,
    max: u32,
}

impl<'a> Semaphore<'a> {
    /// Creates a semaphore with `permits` free permits of `max`.
    ///
    /// Lock-free; a party that dies inside leaks at most the semaphore's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a region without compare-and-exchange;
    /// [`StructureError::BadCapacity`] if `max` is 0 or less than `permits`.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        permits: u32,
        max: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::SEMAPHORE });
        }
        let bad = StructureError::BadCapacity {
            capacity: u64::from(max),
            min: u64::from(permits.max(1)),
            max: u64::from(u32::MAX),
        };
        let geometry = region.geometry();
        let layout = Layout::new(geometry).filter(|_| max > 0 && permits <= max).ok_or(bad)?;
        let prefix = Prefix::new(Kind::SEMAPHORE, geometry, 0, u64::from(max));
        region.create_structure(name, prefix, layout.size, |span| {
            span.clear(ONE, layout.size - ONE);
            span.word::<u32>(layout.available)?.store(permits, Relaxed);
            Some(layout.size)
        })?;
        Self::open(region, name)
    }

    /// Opens a semaphore.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, a corrupt structure, a region or target without
    /// compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::SEMAPHORE, 0)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::SEMAPHORE });
        }
        let corrupt = found.corrupt("its maximum");
        let (layout, max) = Layout::of(&found.prefix).ok_or(corrupt)?;
        let word = |offset| found.span.word::<u32>(offset).ok_or(corrupt);
        Ok(Semaphore {
            available: word(layout.available)?,
            one: EventCount::new(word(ONE)?),
            several: EventCount::new(word(SEVERAL)?),
            notifier: region.notifier(),
            max,
        })
    }

    /// Opens the semaphore, or creates it with `permits` free permits of `max` if there is none.
    ///
    /// # Errors
    /// As [`Semaphore::open`] and [`Semaphore::create`]; [`StructureError::WrongCapacity`] if it exists with another maximum.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        permits: u32,
        max: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let semaphore = open_or_create(
            || Self::open(region, name),
            || Self::create(region, name, permits, max),
        )?;
        if semaphore.max != max {
            let (expected, found) = (u64::from(max), u64::from(semaphore.max));
            let name = crate::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected, found });
        }
        Ok(semaphore)
    }

    /// Bytes that a semaphore takes in a region at most.
    #[must_use]
    pub fn footprint(geometry: Geometry) -> Option<u64> {
        block_bytes(geometry, Layout::new(geometry)?.size)
    }

    /// Takes a permit if one is free. Lock-free.
    ///
    /// What the releaser did before is visible afterwards.
    ///
    /// # Errors
    /// [`TryAcquireError::NoPermits`], exact at one moment of the call; [`TryAcquireError::Contended`] and
    /// [`TryAcquireError::Corrupt`] if a peer wrote nonsense.
    pub fn try_acquire(&self) -> Result<Permit<'a>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `count` permits if so many are free, or none. Lock-free.
    ///
    /// # Errors
    /// As [`Semaphore::try_acquire`]; [`TryAcquireError::AboveMax`] if there are never so many.
    pub fn try_acquire_many(&self, count: u32) -> Result<Permit<'a>, TryAcquireError> {
        if count > self.max {
            return Err(TryAcquireError::AboveMax { max: self.max });
        }
        let mut available = self.available.load(Acquire);
        for _ in 0..TURNS {
            if available > self.max {
                return Err(TryAcquireError::Corrupt);
            }
            let Some(left) = available.checked_sub(count) else {
                return Err(TryAcquireError::NoPermits);
            };
            // Acquire: what the releaser of any of these permits did. Release: passes that on to who takes the rest.
            match self.available.compare_exchange(available, left, AcqRel, Acquire) {
                Ok(_) => return Ok(Permit { semaphore: *self, count }),
                Err(now) => available = now,
            }
            relax();
        }
        Err(TryAcquireError::Contended)
    }

    /// Takes a permit, waiting for one as long as it takes.
    ///
    /// Waits for some holder to release; see the type's documentation for fairness and for the death of a holder.
    ///
    /// # Errors
    /// [`AcquireError::Corrupt`], [`AcquireError::NoWaiter`].
    pub fn acquire(&self) -> Result<Permit<'a>, AcquireError> {
        self.acquire_many(1)
    }

    /// Takes a permit, waiting for one for at most `timeout`.
    ///
    /// # Errors
    /// [`AcquireError::Timeout`], never early; [`AcquireError::Corrupt`], [`AcquireError::NoWaiter`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'a>, AcquireError> {
        self.acquire_many_timeout(1, timeout)
    }

    /// Takes a permit, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`AcquireError::Timeout`], never before the deadline; [`AcquireError::Corrupt`].
    pub fn acquire_with(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<Permit<'a>, AcquireError> {
        self.acquire_many_with(1, waiter, deadline)
    }

    /// Takes `count` permits at once, waiting as long as it takes; while others keep taking fewer, maybe for ever.
    ///
    /// # Errors
    /// As [`Semaphore::acquire`]; [`AcquireError::AboveMax`] if there are never so many.
    pub fn acquire_many(&self, count: u32) -> Result<Permit<'a>, AcquireError> {
        self.acquire_within(count, self.notifier.forever()?)
    }

    /// Takes `count` permits at once, waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Semaphore::acquire_timeout`]; [`AcquireError::AboveMax`] if there are never so many.
    pub fn acquire_many_timeout(
        &self,
        count: u32,
        timeout: Duration,
    ) -> Result<Permit<'a>, AcquireError> {
        self.acquire_within(count, self.notifier.at_most(timeout)?)
    }

    /// Takes `count` permits at once, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Semaphore::acquire_with`]; [`AcquireError::AboveMax`] if there are never so many.
    pub fn acquire_many_with(
        &self,
        count: u32,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<Permit<'a>, AcquireError> {
        self.acquire_within(count, Limit { waiter, deadline })
    }

    fn acquire_within(&self, count: u32, limit: Limit<'_>) -> Result<Permit<'a>, AcquireError> {
        let sleepers = if count > 1 { &self.several } else { &self.one };
        sleepers.wait_within(limit, || self.attempt(count))?
    }

    /// What a wait for `count` permits ends with, if it ends now.
    pub(crate) fn attempt(&self, count: u32) -> Option<Result<Permit<'a>, AcquireError>> {
        match self.try_acquire_many(count) {
            Ok(permit) => Some(Ok(permit)),
            Err(TryAcquireError::NoPermits | TryAcquireError::Contended) => None,
            Err(TryAcquireError::AboveMax { max }) => Some(Err(AcquireError::AboveMax { max })),
            Err(TryAcquireError::Corrupt) => Some(Err(AcquireError::Corrupt)),
        }
    }

    /// Gives back a permit that was taken and [forgotten](Permit::forget), here or in another party. Lock-free.
    ///
    /// # Errors
    /// As [`Semaphore::release_many`].
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.release_many(1)
    }

    /// Gives back `count` permits that were taken and [forgotten](Permit::forget): by this party, by another, or by one
    /// that died. Lock-free. What this party did before is visible to who takes them.
    ///
    /// Wakes at most `count` of those that wait for one permit, and, if at least two are free then, those that wait for
    /// several. A party killed inside has released and maybe woken nobody: sleepers look again within 100 ms.
    ///
    /// # Errors
    /// [`ReleaseError::AboveMax`] if there would be more than the maximum: nothing was released;
    /// [`ReleaseError::Contended`] and [`ReleaseError::Corrupt`] if a peer wrote nonsense.
    pub fn release_many(&self, count: u32) -> Result<(), ReleaseError> {
        let mut available = self.available.load(Relaxed);
        for _ in 0..TURNS {
            if available > self.max {
                return Err(ReleaseError::Corrupt);
            }
            let Some(more) = available.checked_add(count).filter(|more| *more <= self.max) else {
                return Err(ReleaseError::AboveMax { max: self.max });
            };
            // Release: what we did with the permit. Acquire: passes on what earlier releasers did.
            match self.available.compare_exchange(available, more, AcqRel, Relaxed) {
                Ok(_) => {
                    self.wake(count, more);
                    return Ok(());
                }
                Err(now) => available = now,
            }
            relax();
        }
        Err(ReleaseError::Contended)
    }

    fn wake(&self, released: u32, available: u32) {
        if released > 0 {
            self.one.notify_many(self.notifier, released);
        }
        if available > 1 {
            self.several.notify_many(self.notifier, u32::MAX);
        }
    }

    /// How many permits are free: a moment's value. Wait-free.
    #[must_use]
    pub fn available(&self) -> u32 {
        self.available.load(Acquire).min(self.max)
    }

    /// The most permits that there may be.
    #[must_use]
    pub fn max(&self) -> u32 {
        self.max
    }
}

/// Permits of a [`Semaphore`], given back when this is dropped.
#[must_use = "permits are given back at once if this is not kept"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: Semaphore<'a>,
    count: u32,
}

impl Permit<'_> {
    /// How many permits.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Keeps them taken without a guard: whoever knows of it gives them back by [`Semaphore::release_many`].
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // Fails only if a peer wrote nonsense or gave back what it did not have.
        let _ = self.semaphore.release_many(self.count);
    }
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    available: u64,
    size: u64,
}

impl Layout {
    fn new(geometry: Geometry) -> Option<Self> {
        let available = align_up(CONTROL_BYTES, u64::from(geometry.line_bytes()))?;
        Some(Layout { available, size: available + 4 })
    }

    /// Of a semaphore that exists, with its maximum.
    fn of(prefix: &Prefix) -> Option<(Self, u32)> {
        let max = u32::try_from(prefix.capacity).ok().filter(|max| *max > 0)?;
        Some((Layout::new(prefix.geometry.ok()?)?, max))
    }
}

/// How many permits are free in the semaphore that begins `span`, for a view; `None` if that is not possible.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let (layout, max) = Layout::of(prefix)?;
    let available = span.word::<u32>(layout.available)?.load(Acquire);
    (available <= max).then_some(u64::from(available))
}
