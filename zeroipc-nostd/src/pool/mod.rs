//! Pool: a fixed number of slots, each owned by one party at a time; ownership travels between parties as a handle.
//!
//! L is the line size. E, the alignment of a slot, is L if `elem_size` is at least L; otherwise the largest power of two that
//! divides `elem_size`, at most 16 and at most L. D = `elem_size` up to E.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `POOL`, `extra` = 0, `capacity` = number of slots |
//! | 24 | 4 | eventcount of space: who waits for a slot sleeps on it |
//! | 28 | 4 | reserved, 0 |
//! | A = 32 up to L | 8 x `capacity` | records, one a slot: `state` u32, `generation` u32 |
//! | A + 8 x `capacity` up to L | D x `capacity` | slots |
//!
//! All words are of 4 bytes, in both word sizes. A `state` has a tag in its two high bits and 30 bits below:
//!
//! | tag | low 30 bits | the slot |
//! |---|---|---|
//! | 0 | 0 | is free |
//! | 1 | the owner's [`PartyId`](crate::PartyId), 2^30 - 1 if it has none | is on loan to a party |
//! | 2 | the handle's generation, not 0 | is on its way: a handle stands for it |
//!
//! 1. **alloc**: look for a free slot, from the place where this handle of the pool last had one, and CAS its state from free
//!    to owned. Each slot is looked at once.
//! 2. **drop** a loan: CAS the state from owned to free.
//! 3. **into_handle**: the owner counts its slot's `generation` up and CASes the state from owned to in transit with it.
//! 4. **from_handle**: CAS the state from in transit, with the handle's generation, to owned. Of several who try one succeeds, and
//!    since every transit has a generation of its own, an old or made-up handle fails.
//! 5. **reclaim**: CAS the state of a slot from owned by a dead party to free.
//!
//! **Why a word a slot, and not a bitmap.** Taking a slot and recording its owner are one CAS here, so there is no moment at which
//! a party could die and leave a slot that is taken by nobody knows whom. Parties that use different slots write different
//! words. With a bitmap the record would be a second step. The price is the search when nearly all is taken: 4 bytes a slot.
//!
//! There is no ABA: the CASes from owned are the owner's own (or happen after its death), a free slot is as good as it was
//! before, and the generation tells transits apart until it wraps, after 2^30 - 1 transits of the same slot.

mod loan;
mod state;

pub use loan::Loan;
pub use state::Handle;

use self::state::{next_generation, State, MASK};
use crate::element::Element;
use crate::error::{PoolError, StructureError, WaitError};
use crate::geometry::{align_up, Geometry};
use crate::party::{Membership, UNKNOWN_PARTY};
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, open_or_create, Region};
use crate::sync::{scattered, Slots, Span, Words};
use crate::table::block_bytes;
use crate::wait::{Announce, EventCount, Limit, Notifier, Wait};
use core::fmt;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::time::Duration;
use portable_atomic::AtomicUsize;

const SPACE: u64 = 24;
const CONTROL_BYTES: u64 = 32;
const RECORD_BYTES: u64 = 8;
/// What an index of a handle reaches, with room to spare.
const MAX_SLOTS: u64 = 1 << 30;
/// Records in a line of the largest size: how far apart handles of the pool in one process begin to look.
const APART: usize = 16;

/// A fixed number of slots for a `T` each, shared by all parties. Allocating and freeing is lock-free and costs one
/// compare-and-exchange each.
///
/// A slot is used through a [`Loan`], which gives it back when it is dropped. To send what is in a slot to another party without
/// copying it, turn the loan into a [`Handle`] and send that:
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Handle, Pool, Queue, Region, Span};
///
/// # let mut memory = vec![0_u64; 8192];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let frames = Pool::<[u8; 4096]>::create(region, "frames", 8)?;
/// let ready = Queue::<Handle>::create(region, "ready", 8)?;
///
/// // One party fills a slot in place and sends 8 bytes ...
/// let mut frame = frames.try_alloc()?;
/// frame.write_bytes(0, b"a picture")?;
/// ready.try_push(frame.into_handle())?;
///
/// // ... and another takes it over, reads in place, and gives it back by dropping it.
/// let frame = frames.from_handle(ready.try_pop()?)?;
/// let mut start = [0; 9];
/// frame.read_bytes(0, &mut start)?;
/// assert_eq!(&start, b"a picture");
/// drop(frame);
/// assert_eq!(frames.taken(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **When a party dies** with slots on loan, they stay taken until somebody calls [`Pool::reclaim`] (a party that waits for a slot
/// does). For that the parties open the pool through a region with
/// [`Region::with_party`]. A slot on its way as a handle belongs to nobody who could die.
///
/// A pool can be used by several threads at once. Each handle of the pool remembers where it last found a slot; a clone for each
/// thread keeps threads from looking at the same place.
pub struct Pool<'a, T> {
    states: Words<'a, u32>,
    generations: Words<'a, u32>,
    slots: Slots<'a, T>,
    capacity: usize,
    space: EventCount<'a>,
    notifier: Notifier<'a>,
    membership: Membership<'a>,
    /// The state word of a slot that this party has on loan.
    mine: u32,
    /// Where to look first. A hint: any value is good.
    hint: AtomicUsize,
}

impl<T> Clone for Pool<'_, T> {
    fn clone(&self) -> Self {
        Pool { hint: first_hint(self.membership), ..*self }
    }
}

impl<T> fmt::Debug for Pool<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl<'a, T: Element> Pool<'a, T> {
    /// Creates a pool of `capacity` slots. What is in them is not specified.
    ///
    /// Linear in the capacity. Lock-free; a party that dies inside leaks at most the pool's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a capacity of 0 or above 2^30, an element of no size,
    /// a region without compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let (geometry, elem_size) = (region.geometry(), elem_size::<T>()?);
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::POOL });
        }
        let prefix = Prefix::new(Kind::POOL, geometry, elem_size, capacity as u64);
        let max = max_slots(elem_size);
        let bad = StructureError::BadCapacity { capacity: capacity as u64, min: 1, max };
        let layout = Layout::of(&prefix).ok_or(bad)?;
        region.create_structure(name, prefix, layout.size, |span| {
            // All zero is the initial state: no sleeper, free, generation 0.
            span.clear(SPACE, layout.slots - SPACE);
            Some(layout.slots)
        })?;
        Self::open(region, name)
    }

    /// Opens a pool.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure, a region or target
    /// without compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::POOL, elem_size::<T>()?)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::POOL });
        }
        let corrupt = found.corrupt("its capacity");
        let layout = Layout::of(&found.prefix).ok_or(corrupt)?;
        let capacity = usize::try_from(layout.capacity).map_err(|_| corrupt)?;
        let stride = usize::try_from(layout.stride).map_err(|_| corrupt)?;
        let records = |offset| found.span.words(layout.records + offset, 8, capacity);
        let membership = region.membership();
        let owner = membership.number();
        Ok(Pool {
            states: records(0).ok_or(corrupt)?,
            generations: records(4).ok_or(corrupt)?,
            slots: found.span.slots(layout.slots, stride, capacity).ok_or(corrupt)?,
            capacity,
            space: EventCount::new(found.span.word(SPACE).ok_or(corrupt)?),
            notifier: region.notifier(),
            membership,
            mine: State::Owned(owner).word(),
            hint: first_hint(membership),
        })
    }

    /// Opens the pool, or creates it with `capacity` slots if there is none.
    ///
    /// # Errors
    /// As [`Pool::open`] and [`Pool::create`]; [`StructureError::WrongCapacity`] if it exists with another capacity.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let pool =
            open_or_create(|| Self::open(region, name), || Self::create(region, name, capacity))?;
        if pool.capacity != capacity {
            let (expected, found) = (capacity as u64, pool.capacity as u64);
            let name = crate::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected, found });
        }
        Ok(pool)
    }

    /// Bytes that a pool of `capacity` slots takes in a region of this geometry, its alignment and its share of bookkeeping
    /// included; `None` if it is not possible.
    #[must_use]
    pub fn footprint(geometry: Geometry, capacity: usize) -> Option<u64> {
        let prefix = Prefix::new(Kind::POOL, geometry, elem_size::<T>().ok()?, capacity as u64);
        block_bytes(geometry, Layout::of(&prefix)?.size)
    }

    /// Takes a free slot. Lock-free: linear in the number of slots if nearly all are taken, and each lost race means that
    /// another party took a slot.
    ///
    /// What the last owner of the slot did with it is done. What is in it is whatever was left there.
    /// If this party dies inside, the slot is free or counts as its own, for [`Pool::reclaim`].
    ///
    /// # Errors
    /// [`PoolError::Full`] if each slot was taken when it was looked at; so it is never said while one was free all the time.
    /// [`PoolError::Corrupt`] if none was free and a peer wrote nonsense.
    #[inline]
    pub fn try_alloc(&self) -> Result<Loan<'_, T>, PoolError> {
        let hint = self.hint.load(Relaxed);
        let first = if hint < self.capacity { hint } else { hint % self.capacity.max(1) };
        if self.take(first) {
            self.hint.store(first + 1, Relaxed);
            return Ok(Loan::new(self, first));
        }
        self.search(first)
    }

    /// The rest of [`Pool::try_alloc`]: slot `first` was taken.
    fn search(&self, first: usize) -> Result<Loan<'_, T>, PoolError> {
        let mut nonsense = false;
        for slot in (first + 1..self.capacity).chain(0..first) {
            if self.take(slot) {
                self.hint.store(slot + 1, Relaxed);
                return Ok(Loan::new(self, slot));
            }
            nonsense |= self.state(slot) == State::Nonsense;
        }
        nonsense |= self.state(first) == State::Nonsense;
        Err(if nonsense { PoolError::Corrupt } else { PoolError::Full })
    }

    /// Takes `slot` if it is free.
    ///
    /// Acquire: the last owner has finished with it. No release is needed, since we publish nothing yet.
    #[inline(always)]
    fn take(&self, slot: usize) -> bool {
        let free = State::Free.word();
        // Looked at first, so that a taken slot costs no write.
        self.states.get(slot).is_some_and(|state| {
            state.load(Relaxed) == free
                && state.compare_exchange(free, self.mine, Acquire, Relaxed).is_ok()
        })
    }

    /// Takes a free slot, waiting for one as long as it takes: [`Pool::alloc_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`WaitError::NoWaiter`], [`WaitError::Corrupt`].
    pub fn alloc(&self) -> Result<Loan<'_, T>, WaitError> {
        self.alloc_within(self.notifier.forever()?)
    }

    /// Takes a free slot, waiting for one for at most `timeout`, asleep if it takes long.
    ///
    /// Waits for some owner to give a slot back. When it has waited for a while it looks for slots of dead parties by itself, at
    /// least every 100 ms. Needs a region with a notifier, which `zeroipc::Memory` has.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], never early; [`WaitError::NoWaiter`] if the region was opened without a notifier;
    /// [`WaitError::Corrupt`] if a peer wrote nonsense.
    pub fn alloc_timeout(&self, timeout: Duration) -> Result<Loan<'_, T>, WaitError> {
        self.alloc_within(self.notifier.at_most(timeout)?)
    }

    /// Takes a free slot, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], never before the deadline; [`WaitError::Corrupt`].
    pub fn alloc_with(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<Loan<'_, T>, WaitError> {
        self.alloc_within(Limit { waiter, deadline })
    }

    fn alloc_within(&self, limit: Limit<'_>) -> Result<Loan<'_, T>, WaitError> {
        let mut looks_left = limit.waiter.spins();
        self.space.wait_within(limit, || {
            let mut alloc = self.try_alloc();
            // Asking who is dead may be a system call for each owner, so only those ask who would sleep otherwise.
            if matches!(alloc, Err(PoolError::Full)) && looks_left == 0 && self.reclaim() > 0 {
                alloc = self.try_alloc();
            }
            looks_left = looks_left.saturating_sub(1);
            match alloc {
                Ok(loan) => Some(Ok(loan)),
                Err(PoolError::Full) => None,
                Err(_) => Some(Err(WaitError::Corrupt)),
            }
        })?
    }

    /// Takes over the slot that `handle` stands for: exactly one of all who try with it succeeds. Wait-free.
    ///
    /// What the sender did with the slot is visible to whoever takes it over. If this party dies inside, the slot counts as its
    /// own, or the handle is as good as lost: see [`Handle`].
    ///
    /// # Errors
    /// [`PoolError::NoSuchSlot`] if the pool has no such slot; [`PoolError::Stale`] if the handle was used before or is not one
    /// that this pool gave out. Nothing has changed then.
    #[inline]
    pub fn from_handle(&self, handle: Handle) -> Result<Loan<'_, T>, PoolError> {
        let slot = usize::try_from(handle.index()).map_err(|_| PoolError::NoSuchSlot)?;
        let state = self.states.get(slot).ok_or(PoolError::NoSuchSlot)?;
        if !(1..=MASK).contains(&handle.generation()) {
            return Err(PoolError::Stale);
        }
        let sent = State::InTransit(handle.generation()).word();
        // Acquire: pairs with the release in `send`.
        match state.compare_exchange(sent, self.mine, Acquire, Relaxed) {
            Ok(_) => Ok(Loan::new(self, slot)),
            Err(_) => Err(PoolError::Stale),
        }
    }

    /// Gives back the slots on loan to parties that are known to be dead; returns how many. Lock-free, linear in the number of
    /// slots.
    ///
    /// Does nothing unless the pool was opened through a region with [`Region::with_party`], which says how to learn who is dead. A
    /// party that waits for a slot does this by itself. Slots on loan to parties without a number, and slots on their way as
    /// handles, are left alone.
    pub fn reclaim(&self) -> usize {
        let mut count = 0;
        // Most slots of a dead party are found together, and asking may be dear.
        let mut last = (UNKNOWN_PARTY, false);
        for slot in 0..self.capacity {
            let State::Owned(owner) = self.state(slot) else { continue };
            if last.0 != owner {
                last = (owner, self.membership.is_dead(owner));
            }
            if last.1 && self.give(slot, State::Owned(owner).word()) {
                count += 1;
            }
        }
        count
    }

    /// The handles that stand for a slot now, each a moment's value: what was sent and not yet taken over, or lost.
    ///
    /// A handle is lost if its holder dies after it took the handle out of a queue and before [`Pool::from_handle`]. When it is
    /// certain that nobody holds one (nothing is in the queue, and nobody is in between), whoever is in charge can bring such
    /// slots back: take each over, and drop it.
    pub fn in_transit(&self) -> impl Iterator<Item = Handle> + '_ {
        (0..self.capacity).filter_map(|slot| match self.state(slot) {
            State::InTransit(generation) => {
                Some(Handle::new(u32::try_from(slot).ok()?, generation))
            }
            _ => None,
        })
    }

    /// How many slots there are.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many slots are taken, on loan or on their way: each is looked at once. Linear in the number of slots.
    #[must_use]
    pub fn taken(&self) -> usize {
        (0..self.capacity).filter(|slot| self.state(*slot) != State::Free).count()
    }

    fn state(&self, slot: usize) -> State {
        self.states.get(slot).map_or(State::Nonsense, |state| State::of(state.load(Relaxed)))
    }

    /// Frees `slot` if its state is still `owned`, and wakes one who waits for a slot.
    ///
    /// Release: the next owner's accesses come after ours. For a dead owner that is done already by whatever told of its death.
    #[inline(always)]
    fn give(&self, slot: usize, owned: u32) -> bool {
        let freed = self.states.get(slot).is_some_and(|state| {
            state.compare_exchange(owned, State::Free.word(), Release, Relaxed).is_ok()
        });
        if freed {
            self.space.notify(self.notifier);
        }
        freed
    }

    /// Ends the loan of `slot`.
    #[inline(always)]
    fn give_back(&self, slot: usize) {
        // If it fails a peer wrote nonsense, or said that we are dead: then the slot is not ours to give.
        if self.give(slot, self.mine) {
            // Its line is warm.
            self.hint.store(slot, Relaxed);
        }
    }

    /// Puts `slot`, which this party has on loan, on its way.
    #[inline(always)]
    fn send(&self, slot: usize) -> Handle {
        // Only the owner changes the generation. If it dies between the two steps, a generation is left out.
        let generation = self.generations.get(slot).map_or(1, |word| {
            let next = next_generation(word.load(Relaxed));
            word.store(next, Relaxed);
            next
        });
        if let Some(state) = self.states.get(slot) {
            let sent = State::InTransit(generation).word();
            // Release: what we wrote is there for whoever takes it over, and so is the generation. If it fails (see
            // `give_back`), the handle is one that nobody can use.
            let _ = state.compare_exchange(self.mine, sent, Release, Relaxed);
        }
        // Below 2^30 (`Layout::of`).
        Handle::new(slot as u32, generation)
    }
}

/// Where a new handle begins to look: parties, and the handles of one party, begin at different lines.
fn first_hint(membership: Membership<'_>) -> AtomicUsize {
    let party = membership.me.map_or(0, |me| me.number() as usize);
    AtomicUsize::new(party.wrapping_add(scattered()).wrapping_mul(APART))
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    records: u64,
    slots: u64,
    stride: u64,
    capacity: u64,
    size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is not one that [`Pool::create`] writes.
    fn of(prefix: &Prefix) -> Option<Self> {
        let line = u64::from(prefix.geometry.ok()?.line_bytes());
        let (elem, capacity) = (u64::from(prefix.elem_size), prefix.capacity);
        if elem == 0 || !(1..=max_slots(prefix.elem_size)).contains(&capacity) {
            return None;
        }
        let align =
            if elem >= line { line } else { (1 << elem.trailing_zeros()).min(16).min(line) };
        let stride = align_up(elem, align)?;
        let records = align_up(CONTROL_BYTES, line)?;
        let slots = align_up(records + RECORD_BYTES * capacity, line)?;
        let size = slots.checked_add(stride.checked_mul(capacity)?)?;
        Some(Layout { records, slots, stride, capacity, size })
    }
}

/// What a handle can name, and half of what a pointer can reach.
fn max_slots(elem_size: u32) -> u64 {
    MAX_SLOTS.min(isize::MAX as u64 / 2 / (u64::from(elem_size) + 128 + RECORD_BYTES))
}

/// How many slots of the pool that begins `span` are taken, on loan or on their way; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let layout = Layout::of(prefix).filter(|layout| layout.size <= span.len() as u64)?;
    let capacity = usize::try_from(layout.capacity).ok()?;
    let states = span.words::<u32>(layout.records, 8, capacity)?;
    let taken = (0..capacity)
        .filter_map(|slot| states.get(slot))
        .filter(|state| State::of(state.load(Relaxed)) != State::Free);
    Some(taken.count() as u64)
}
