//! Latch: counted down once to zero, for which parties wait.
//!
//! Two forms. With *one counter* any party counts it down, by compare-and-exchange. With *a counter for each party* a party
//! counts its own down by stores, and the latch is done when all are zero: for regions of loads and stores.
//!
//! P is the number of parties, 0 in the first form; N is the larger of P and 1. L is the line size.
//!
//! | offset | bytes | field | written by |
//! |---|---|---|---|
//! | 0 | 24 | prefix: kind `LTCH`, `extra` = P, `capacity` = what all counters together start with | creator |
//! | 24 | 4 | `waiting`: 1 once somebody may be asleep | who waits |
//! | 32 up to L, + L for each i < N | 4 | counter i: starts with `capacity` / N | everybody, or party i |
//! | 4 bytes behind each counter | 4 | role of party i: odd while taken; 0 in the first form | who takes or releases it |
//!
//! 1. Count down by n: if less than n is left it is an error. Make the counter n less. If it is zero now and `waiting` is
//!    set, wake all that sleep on that counter.
//! 2. Wait: until all counters are zero. To sleep, set `waiting`, look once more, and sleep on the first counter that is not.
//!
//! Between making a counter zero and looking at `waiting`, and between setting `waiting` and the last look, stands a full
//! fence (Dekker): one of the two sees the other. A latch ends once, so `waiting` need not be cleared, and a counter that is
//! zero stays so: zeros that were seen one after another are zeros at the same time.

use crate::error::{ArriveError, CountDownError, PartyError, StructureError, WaitError};
use crate::geometry::{align_up, Geometry};
use crate::prefix::{Kind, Prefix};
use crate::region::{open_or_create, Region};
use crate::role::{Role, Token};
use crate::sync::{fence_after_rmw, full_fence, relax, Atomic, Span, Words};
use crate::table::block_bytes;
use crate::wait::{Announce, Limit, Notifier, Wait, WaitWord};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::time::Duration;

const WAITING: u64 = 24;
const CONTROL_BYTES: u64 = 32;
const MAX_PARTIES: u32 = 1 << 16;

/// How often an operation starts again because another changed the counter in between. Each turn is progress of another,
/// so only hostile peers can use them up.
const TURNS: u32 = 1 << 16;

/// A counter that goes down to zero once, for which parties wait. Copy it freely.
///
/// Counting down is lock-free, and wait-free in the form with [a counter for each party](Latch::create_for_parties), which
/// needs loads and stores only; the query is wait-free, linear in the number of parties. Waiting waits for all that still
/// have to count: one that dies before holds up the waiters, until another counts for it
/// ([`Latch::count_down`], [`Latch::take_over_party`]).
///
/// What the parties did before they counted is visible to whoever has seen the latch done.
///
/// ```
/// use zeroipc_nostd::{Capability, CountDownError, FormatOptions, Latch, Region, Span};
///
/// # let mut memory = vec![0_u64; 256];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// # let mut more = vec![0_u64; 256];
/// # let more = zerocopy::IntoBytes::as_mut_bytes(more.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let ready = Latch::create(region, "ready", 3)?;
/// ready.count_down()?;
/// assert_eq!(ready.count_down_by(3), Err(CountDownError::BelowZero { left: 2 }));
/// ready.count_down_by(2)?;
/// assert!(ready.is_done());
///
/// // Two cores that share memory without compare-and-exchange: each has a counter.
/// let options = FormatOptions::new().capability(Capability::LoadStore);
/// let region = Region::create(Span::from_slice(more)?, &options)?;
/// let booted = Latch::create_for_parties(region, "booted", 2, 1)?;
/// let (mut this, mut that) = (booted.party(0)?, booted.party(1)?);
/// this.count_down()?;
/// assert!(!booted.is_done());
/// that.count_down()?;
/// assert!(booted.is_done());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Latch<'a> {
    counters: Words<'a, u32>,
    roles: Words<'a, u32>,
    waiting: Atomic<'a, u32>,
    notifier: Notifier<'a>,
    layout: Layout,
    cas: bool,
}

impl<'a> Latch<'a> {
    /// Creates a latch with one counter, which any party counts down from `count`. With 0 it is done at once.
    ///
    /// Lock-free; a party that dies inside leaks at most the latch's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a region without compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        count: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::LATCH });
        }
        Self::create_with(region, name, 0, count)
    }

    /// Creates a latch with a counter for each of `parties` (1 to 65,536), each starting with `count_each`. Needs loads and
    /// stores only.
    ///
    /// # Errors
    /// As [`Latch::create`]; [`StructureError::BadCapacity`] for an impossible number of parties, no count, or more than
    /// 2^32 - 1 counts together.
    pub fn create_for_parties(
        region: impl Into<Region<'a>>,
        name: &str,
        parties: u32,
        count_each: u32,
    ) -> Result<Self, StructureError> {
        if parties == 0 {
            return Err(bad_capacity(0));
        }
        Self::create_with(region.into(), name, parties, count_each)
    }

    fn create_with(
        region: Region<'a>,
        name: &str,
        parties: u32,
        each: u32,
    ) -> Result<Self, StructureError> {
        let geometry = region.geometry();
        let total = u64::from(parties.max(1)) * u64::from(each);
        let mut prefix = Prefix::new(Kind::LATCH, geometry, 0, total);
        prefix.extra = parties;
        let layout = Layout::of(&prefix).ok_or(bad_capacity(total))?;
        region.create_structure(name, prefix, layout.size, |span| {
            span.clear(WAITING, layout.size - WAITING);
            let counters = layout.counters(span)?;
            (0..layout.count).try_for_each(|index| {
                counters.get(index)?.store(each, Relaxed);
                Some(())
            })?;
            Some(layout.size)
        })?;
        Self::open(region, name)
    }

    /// Opens a latch of either form.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, a corrupt structure; for a latch with one counter, a region or target
    /// without compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::LATCH, 0)?;
        let corrupt = found.corrupt("its count or parties");
        let layout = Layout::of(&found.prefix).ok_or(corrupt)?;
        if layout.parties == 0 && !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::LATCH });
        }
        Ok(Latch {
            counters: layout.counters(found.span).ok_or(corrupt)?,
            roles: layout.roles(found.span).ok_or(corrupt)?,
            waiting: found.span.word(WAITING).ok_or(corrupt)?,
            notifier: region.notifier(),
            layout,
            cas: region.has_cas(),
        })
    }

    /// Opens the latch, or creates it with one counter if there is none.
    ///
    /// # Errors
    /// As [`Latch::open`] and [`Latch::create`]; [`StructureError::WrongForm`] if it exists with a counter for each party,
    /// [`StructureError::WrongCapacity`] if it exists with another count.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        count: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        open_or_create(|| Self::open(region, name), || Self::create(region, name, count))?
            .expected(name, 0, count)
    }

    /// Opens the latch, or creates it with a counter for each party if there is none.
    ///
    /// # Errors
    /// As [`Latch::open`] and [`Latch::create_for_parties`]; [`StructureError::WrongForm`] if it exists with other parties,
    /// [`StructureError::WrongCapacity`] if it exists with another count.
    pub fn open_or_create_for_parties(
        region: impl Into<Region<'a>>,
        name: &str,
        parties: u32,
        count_each: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let create = || Self::create_for_parties(region, name, parties, count_each);
        open_or_create(|| Self::open(region, name), create)?.expected(name, parties, count_each)
    }

    fn expected(self, name: &str, parties: u32, each: u32) -> Result<Self, StructureError> {
        if self.layout.parties != parties {
            return Err(StructureError::WrongForm { name: crate::Name::new(name)? });
        }
        if self.layout.each != each {
            let (expected, found) = (u64::from(each), u64::from(self.layout.each));
            let name = crate::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected, found });
        }
        Ok(self)
    }

    /// Bytes that a latch takes in a region at most: with one counter if `parties` is 0, else with one for each.
    #[must_use]
    pub fn footprint(geometry: Geometry, parties: u32) -> Option<u64> {
        let mut prefix = Prefix::new(Kind::LATCH, geometry, 0, u64::from(parties));
        prefix.extra = parties;
        block_bytes(geometry, Layout::of(&prefix)?.size)
    }

    /// Counts the one counter down by one. Lock-free.
    ///
    /// # Errors
    /// As [`Latch::count_down_by`].
    pub fn count_down(&self) -> Result<(), CountDownError> {
        self.count_down_by(1)
    }

    /// Counts the one counter down by `count`. Lock-free. What this party did before is visible to whoever sees the latch
    /// done.
    ///
    /// A party killed inside has counted or not, and maybe woken nobody: sleepers look again within 100 ms.
    ///
    /// # Errors
    /// [`CountDownError::BelowZero`] if less is left; [`CountDownError::NeedsParty`] if each party has a counter;
    /// [`CountDownError::Contended`] and [`CountDownError::Corrupt`] if a peer wrote nonsense.
    pub fn count_down_by(&self, count: u32) -> Result<(), CountDownError> {
        if self.layout.parties != 0 {
            return Err(CountDownError::NeedsParty);
        }
        let counter = self.counters.get(0).ok_or(CountDownError::Corrupt)?;
        let mut left = counter.load(Relaxed);
        for _ in 0..TURNS {
            if left > self.layout.each {
                return Err(CountDownError::Corrupt);
            }
            let Some(less) = left.checked_sub(count) else {
                return Err(CountDownError::BelowZero { left });
            };
            // Release: what we did before. What those did who counted before us stays visible, since a
            // read-modify-write continues their release sequence.
            match counter.compare_exchange(left, less, Release, Relaxed) {
                Ok(_) => {
                    if less == 0 {
                        fence_after_rmw();
                        self.wake(counter);
                    }
                    return Ok(());
                }
                Err(now) => left = now,
            }
            relax();
        }
        Err(CountDownError::Contended)
    }

    /// Wakes all that sleep on `counter`, which is zero since before the caller's fence.
    fn wake(&self, counter: Atomic<'a, u32>) {
        let Some(wait) = self.notifier.waiter() else { return };
        if self.waiting.load(Relaxed) != 0 {
            wait.wake(WaitWord(counter), u32::MAX);
        }
    }

    /// Takes the counter of party `index`; the handle gives it back when dropped, counted as far as it is.
    ///
    /// The role is recorded in the region, so two holders exclude each other across processes. Where there is no
    /// compare-and-exchange this works only if no two parties take the same role in the same moment.
    ///
    /// # Errors
    /// [`PartyError::OutOfBounds`], also if the latch has one counter for all; [`PartyError::Taken`] if another has it. A
    /// killed holder keeps it: see [`Latch::take_over_party`].
    pub fn party(&self, index: u32) -> Result<LatchParty<'a>, PartyError> {
        let (counter, role) = self.role(index)?;
        let token = role.take().map_err(|_| PartyError::Taken)?;
        Ok(LatchParty::new(*self, counter, role, token))
    }

    /// Takes the counter of a party from a holder that is known to be dead.
    ///
    /// If it is alive after all, counts of one of the two may be lost.
    ///
    /// # Errors
    /// [`PartyError::OutOfBounds`].
    pub fn take_over_party(&self, index: u32) -> Result<LatchParty<'a>, PartyError> {
        let (counter, role) = self.role(index)?;
        let token = role.take_over();
        Ok(LatchParty::new(*self, counter, role, token))
    }

    fn role(&self, index: u32) -> Result<(Atomic<'a, u32>, Role<'a>), PartyError> {
        let bad = PartyError::OutOfBounds { parties: self.layout.parties };
        if index >= self.layout.parties {
            return Err(bad);
        }
        let index = usize::try_from(index).map_err(|_| bad)?;
        let counter = self.counters.get(index).ok_or(bad)?;
        Ok((
            counter,
            Role { word: self.roles.get(index).ok_or(bad)?, cas: self.cas, recorded: true },
        ))
    }

    /// Whether all counters are zero. Wait-free; once true, always true.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.first_left().is_none()
    }

    /// The same as [`Latch::is_done`].
    #[must_use]
    pub fn try_wait(&self) -> bool {
        self.is_done()
    }

    /// The first counter that is not zero, with its value.
    fn first_left(&self) -> Option<(Atomic<'a, u32>, u32)> {
        (0..self.layout.count)
            .filter_map(|index| self.counters.get(index))
            .map(|counter| (counter, counter.load(Acquire)))
            .find(|(_, left)| *left != 0)
    }

    /// What is left to count, of all counters together: a moment's value. Wait-free.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.layout.remaining(&self.counters).unwrap_or(u32::MAX)
    }

    /// How many parties have a counter of their own; 0 if all count down one.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.layout.parties
    }

    /// Waits until the latch is done, as long as it takes.
    ///
    /// # Errors
    /// [`WaitError::Corrupt`], [`WaitError::NoWaiter`].
    pub fn wait(&self) -> Result<(), WaitError> {
        self.wait_by(self.notifier.forever()?)
    }

    /// Waits until the latch is done, for at most `timeout`.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], never early; [`WaitError::Corrupt`], [`WaitError::NoWaiter`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), WaitError> {
        self.wait_by(self.notifier.at_most(timeout)?)
    }

    /// Waits until the latch is done, by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], never before the deadline; [`WaitError::Corrupt`].
    pub fn wait_with(&self, waiter: &dyn Wait, deadline: Option<u64>) -> Result<(), WaitError> {
        self.wait_by(Limit { waiter, deadline })
    }

    fn wait_by(&self, limit: Limit<'_>) -> Result<(), WaitError> {
        self.wait_within(limit, || match self.first_left() {
            None => Some(Ok(())),
            Some((_, left)) if left > self.layout.each => Some(Err(WaitError::Corrupt)),
            Some(_) => None,
        })?
    }

    /// Counts down by one and waits until the latch is done, as long as it takes.
    ///
    /// # Errors
    /// [`ArriveError::Count`] as [`Latch::count_down`]; [`ArriveError::Wait`] as [`Latch::wait`].
    pub fn arrive_and_wait(&self) -> Result<(), ArriveError> {
        let limit = self.notifier.forever()?;
        self.count_down()?;
        Ok(self.wait_by(limit)?)
    }
}

impl Announce for Latch<'_> {
    fn announce(&self, _waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        self.waiting.store(1, Relaxed);
        // Not the waiter's fence: who counts down to zero does that once, and fences itself.
        full_fence();
        match self.first_left() {
            Some((counter, left)) => (WaitWord(counter), left),
            // Done: the look that follows will say so.
            None => (WaitWord(self.waiting), 0),
        }
    }
}

/// One party's counter of a [`Latch`]: the only handle that counts it down, by stores.
///
/// Wait-free. A holder that dies keeps the role: see [`Latch::take_over_party`].
#[derive(Debug)]
pub struct LatchParty<'a> {
    latch: Latch<'a>,
    counter: Atomic<'a, u32>,
    role: Role<'a>,
    token: Token,
    /// What the counter holds; ours is the only hand that changes it.
    left: u32,
}

impl<'a> LatchParty<'a> {
    fn new(latch: Latch<'a>, counter: Atomic<'a, u32>, role: Role<'a>, token: Token) -> Self {
        let left = counter.load(Acquire).min(latch.layout.each);
        LatchParty { latch, counter, role, token, left }
    }

    /// Counts this party's counter down by one. Wait-free.
    ///
    /// # Errors
    /// [`CountDownError::BelowZero`] if nothing is left.
    pub fn count_down(&mut self) -> Result<(), CountDownError> {
        self.count_down_by(1)
    }

    /// Counts this party's counter down by `count`. Wait-free.
    ///
    /// # Errors
    /// [`CountDownError::BelowZero`] if less is left.
    pub fn count_down_by(&mut self, count: u32) -> Result<(), CountDownError> {
        let Some(less) = self.left.checked_sub(count) else {
            return Err(CountDownError::BelowZero { left: self.left });
        };
        self.left = less;
        // Release: what we did before.
        self.counter.store(less, Release);
        if less == 0 {
            full_fence();
            self.latch.wake(self.counter);
        }
        Ok(())
    }

    /// What this party has left to count.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.left
    }

    /// Counts down by one and waits until the latch is done, as long as it takes.
    ///
    /// # Errors
    /// [`ArriveError::Count`] as [`LatchParty::count_down`]; [`ArriveError::Wait`] as [`Latch::wait`].
    pub fn arrive_and_wait(&mut self) -> Result<(), ArriveError> {
        let limit = self.latch.notifier.forever()?;
        self.count_down()?;
        Ok(self.latch.wait_by(limit)?)
    }
}

impl Drop for LatchParty<'_> {
    fn drop(&mut self) {
        self.role.release(&self.token);
    }
}

fn bad_capacity(capacity: u64) -> StructureError {
    StructureError::BadCapacity { capacity, min: 1, max: u64::from(u32::MAX) }
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    first: u64,
    stride: usize,
    /// How many counters.
    count: usize,
    parties: u32,
    /// What each starts with.
    each: u32,
    size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is not one that `create` writes.
    fn of(prefix: &Prefix) -> Option<Self> {
        let line = u64::from(prefix.geometry.ok()?.line_bytes());
        let (parties, total) = (prefix.extra, u32::try_from(prefix.capacity).ok()?);
        let count = parties.max(1);
        let each = total / count;
        if parties > MAX_PARTIES || total % count != 0 || (parties > 0 && each == 0) {
            return None;
        }
        let first = align_up(CONTROL_BYTES, line)?;
        Some(Layout {
            first,
            stride: usize::try_from(line).ok()?,
            count: usize::try_from(count).ok()?,
            parties,
            each,
            size: first + line * u64::from(count - 1) + 8,
        })
    }

    fn counters<'a>(&self, span: Span<'a>) -> Option<Words<'a, u32>> {
        span.words(self.first, self.stride, self.count)
    }

    fn roles<'a>(&self, span: Span<'a>) -> Option<Words<'a, u32>> {
        span.words(self.first + 4, self.stride, self.count)
    }

    /// The sum of the counters; `None` if one has more than it started with.
    fn remaining(&self, counters: &Words<'_, u32>) -> Option<u32> {
        (0..self.count).try_fold(0_u32, |sum, index| {
            let left = counters.get(index)?.load(Acquire);
            sum.checked_add(left).filter(|_| left <= self.each)
        })
    }
}

/// What is left to count of the latch that begins `span`, for a view; `None` if that is not possible.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let layout = Layout::of(prefix)?;
    layout.remaining(&layout.counters(span)?).map(u64::from)
}
