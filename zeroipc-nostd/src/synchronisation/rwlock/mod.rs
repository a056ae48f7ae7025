//! RwLock: a value that many parties read at a time, or one writes; robust.
//!
//! L is the line size, R the number of places for readers.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `RWLK`, `extra` = R, `capacity` 1 |
//! | 24 | 4 | the gate: the writer's lock word |
//! | 28 | 4 | eventcount of free places |
//! | 32 | `elem_size` | the value |
//! | P = (32 + `elem_size`) up to L | L x R | places: 4 bytes each, at multiples of L from P |
//!
//! The algorithm is in `core.rs`.

mod core;
mod guards;

pub use guards::{RwLockReadGuard, RwLockWriteGuard};

use self::core::{Core, Reading};
use super::lock_word::{Held, Identity, LockWord};
use crate::element::Element;
use crate::error::{LockError, StructureError, TryLockError};
use crate::geometry::{align_up, Geometry};
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, open_or_create, Region};
use crate::sync::{Span, Wrapped};
use crate::table::block_bytes;
use crate::wait::{EventCount, Limit, Notifier, Wait};
use ::core::time::Duration;

const GATE: u64 = 24;
const FREE_PLACES: u64 = 28;
const VALUE: u64 = 32;

/// Places of a lock that does not say: so many parties read at once, or wait for that; more wait for a place.
const DEFAULT_READERS: u32 = 16;
const MAX_READERS: u32 = 1024;

/// A value that many parties read at a time, or one writes, under a lock that survives them. Needs compare-and-exchange.
///
/// The lock records its writer, and each reader in a place of its own ([`Region::with_party`]). If a writer dies, whoever has
/// the lock next, reader or writer, is told by [`LockError::OwnerDied`] that the value may be half-written, until a writer has
/// repaired it and said so by [`RwLockWriteGuard::mark_consistent`]. A reader that dies changes nothing: its place is cleared.
/// A party that is only slow or stopped keeps the lock. A party without a number is never found dead.
///
/// A writer that has come keeps new readers out while it waits for those that are in; when it goes, it lets in all readers that
/// wait, before the next writer. So neither starve. Among writers there is no order, as in a [`Mutex`](crate::Mutex).
///
/// Reading costs one compare-and-exchange on a line that no other reader writes, and a look at the writers' word. Writing costs
/// a look at each reader's place. If all places are taken, readers wait for one.
///
/// Not recursive: a party that has the lock and waits for it again may wait for itself, for reading, too, if a writer came in
/// between.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Region, RwLock, Span, TryLockError};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let limits = RwLock::<[f32; 2]>::create(region, "limits", [0.0, 1.0])?;
/// {
///     let elsewhere = RwLock::<[f32; 2]>::open(region, "limits")?;
///     let (one, another) = (limits.try_read().unwrap(), elsewhere.try_read().unwrap());
///     assert_eq!(one.load(), another.load());
///     assert!(matches!(limits.try_write(), Err(TryLockError::WouldBlock)));
/// }
/// let mut writer = limits.try_write().unwrap();
/// writer.store([-1.0, 1.0]);
/// let reader = writer.downgrade().unwrap();
/// assert_eq!(reader.load(), [-1.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RwLock<'a, T> {
    core: Core<'a>,
    value: Wrapped<'a, T>,
}

impl<T> Clone for RwLock<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for RwLock<'_, T> {}

/// What taking the lock comes to, if it may wait and if it may not.
type Locked<G> = Result<G, LockError<G>>;
type Tried<G> = Result<G, TryLockError<G>>;

impl<'a, T: Element> RwLock<'a, T> {
    /// Creates a lock around `value`, with places for 16 readers.
    ///
    /// Lock-free; a party that dies inside leaks at most the lock's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, an element of no size, a region without
    /// compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        value: T,
    ) -> Result<Self, StructureError> {
        Self::create_with_readers(region, name, value, DEFAULT_READERS)
    }

    /// Creates a lock around `value` with places for `readers` (1 to 1024) that read, or wait for that, at once. Each takes a
    /// line of memory, and makes writing slower by a look at it.
    ///
    /// # Errors
    /// As [`RwLock::create`]; [`StructureError::BadCapacity`] for an impossible number of readers.
    pub fn create_with_readers(
        region: impl Into<Region<'a>>,
        name: &str,
        value: T,
        readers: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let elem_size = elem_size::<T>()?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::RWLOCK });
        }
        let (capacity, max) = (u64::from(readers), u64::from(MAX_READERS));
        let bad = StructureError::BadCapacity { capacity, min: 1, max };
        let mut prefix = Prefix::new(Kind::RWLOCK, region.geometry(), elem_size, 1);
        prefix.extra = readers;
        let layout = Layout::of(&prefix).ok_or(bad)?;
        region.create_structure(name, prefix, layout.size, |span| {
            span.clear(GATE, VALUE - GATE);
            span.wrapped(VALUE, 1)?.write(0, &value);
            span.clear(layout.places, layout.size - layout.places);
            Some(layout.size)
        })?;
        Self::open(region, name)
    }

    /// Opens a lock.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure, a region or target
    /// without compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::RWLOCK, elem_size::<T>()?)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::RWLOCK });
        }
        let corrupt = found.corrupt("its number of readers or size");
        let layout = Layout::of(&found.prefix).ok_or(corrupt)?;
        let identity = Identity::new(region.membership());
        let core = layout.core(found.span, region.notifier(), identity).ok_or(corrupt)?;
        let value = found.span.wrapped(VALUE, 1).ok_or(corrupt)?;
        Ok(RwLock { core, value })
    }

    /// Opens the lock, or creates it around `value`, with places for 16 readers, if there is none.
    ///
    /// # Errors
    /// As [`RwLock::open`] and [`RwLock::create`].
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        value: T,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        open_or_create(|| Self::open(region, name), || Self::create(region, name, value))
    }

    /// Bytes that a lock around a `T` with places for `readers` takes in a region, at most; `None` if there can be none.
    #[must_use]
    pub fn footprint(geometry: Geometry, readers: u32) -> Option<u64> {
        let mut prefix = Prefix::new(Kind::RWLOCK, geometry, elem_size::<T>().ok()?, 1);
        prefix.extra = readers;
        block_bytes(geometry, Layout::of(&prefix)?.size)
    }

    /// How many parties can read, or wait for that, at once.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.core.count
    }

    /// Takes the lock for reading if no living writer has it and a place is free. Wait-free, apart from asking who is dead: at
    /// most one round over the places, twice.
    ///
    /// What the last writer did before it released the lock is visible. A party that is killed inside leaves at most a place
    /// taken, which is cleared as that of a reader that died.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] if a writer has the lock, waits for readers, or looked into it at this moment, or if all
    /// places are taken; [`TryLockError::OwnerDied`] with the guard if a writer has died and nobody has repaired the value since.
    #[inline]
    pub fn try_read(&self) -> Tried<RwLockReadGuard<'_, T>> {
        let reading = self.core.try_read(true).ok_or(TryLockError::WouldBlock)?;
        self.read_guard(reading).map_err(TryLockError::OwnerDied)
    }

    /// Takes the lock for reading, waiting as long as it takes: [`RwLock::read_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] with the guard; [`LockError::NoWaiter`].
    pub fn read(&self) -> Locked<RwLockReadGuard<'_, T>> {
        self.read_within(self.core.gate.notifier.forever()?)
    }

    /// Takes the lock for reading, waiting for at most `timeout`, asleep if it takes long.
    ///
    /// Waits for the writer, and for the next one if that comes at the same time; if all places are taken, for a reader. Notices
    /// within about 100 ms that one of them has died. Needs a region with a notifier, which `zeroipc::Memory` has.
    ///
    /// # Errors
    /// [`LockError::Timeout`], never early; [`LockError::OwnerDied`] with the guard if a writer has died and nobody has repaired
    /// the value since; [`LockError::NoWaiter`] if the region was opened without a notifier.
    pub fn read_timeout(&self, timeout: Duration) -> Locked<RwLockReadGuard<'_, T>> {
        self.read_within(self.core.gate.notifier.at_most(timeout)?)
    }

    /// Takes the lock for reading, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`LockError::Timeout`], never before the deadline; [`LockError::OwnerDied`] with the guard.
    pub fn read_with(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Locked<RwLockReadGuard<'_, T>> {
        self.read_within(Limit { waiter, deadline })
    }

    /// Takes the lock for writing if nobody living has it. Wait-free, apart from asking who is dead: three rounds over the places.
    ///
    /// Readers that come while it looks may find the lock taken. A party that is killed inside may count as a writer that died,
    /// though it has not written.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`]; [`TryLockError::OwnerDied`] with the guard if a writer has died and nobody has repaired the
    /// value since.
    #[inline]
    pub fn try_write(&self) -> Tried<RwLockWriteGuard<'_, T>> {
        let held = self.core.try_write().ok_or(TryLockError::WouldBlock)?;
        self.write_guard(held).map_err(TryLockError::OwnerDied)
    }

    /// Takes the lock for writing, waiting as long as it takes: [`RwLock::write_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] with the guard; [`LockError::NoWaiter`].
    pub fn write(&self) -> Locked<RwLockWriteGuard<'_, T>> {
        self.write_within(self.core.gate.notifier.forever()?)
    }

    /// Takes the lock for writing, waiting for at most `timeout`, asleep if it takes long.
    ///
    /// Waits for other writers, and then, keeping new readers out, for the readers that are in. Notices within about 100 ms that
    /// one of them has died.
    ///
    /// # Errors
    /// [`LockError::Timeout`], never early; [`LockError::OwnerDied`] with the guard if a writer has died and nobody has repaired
    /// the value since; [`LockError::NoWaiter`] if the region was opened without a notifier.
    pub fn write_timeout(&self, timeout: Duration) -> Locked<RwLockWriteGuard<'_, T>> {
        self.write_within(self.core.gate.notifier.at_most(timeout)?)
    }

    /// Takes the lock for writing, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`LockError::Timeout`], never before the deadline; [`LockError::OwnerDied`] with the guard.
    pub fn write_with(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Locked<RwLockWriteGuard<'_, T>> {
        self.write_within(Limit { waiter, deadline })
    }

    fn read_within(&self, limit: Limit<'_>) -> Locked<RwLockReadGuard<'_, T>> {
        let reading = self.core.read_within(limit).ok_or(LockError::Timeout)?;
        self.read_guard(reading).map_err(LockError::OwnerDied)
    }

    fn write_within(&self, limit: Limit<'_>) -> Locked<RwLockWriteGuard<'_, T>> {
        let held = self.core.write_within(limit).ok_or(LockError::Timeout)?;
        self.write_guard(held).map_err(LockError::OwnerDied)
    }

    fn read_guard(
        &self,
        reading: Reading,
    ) -> Result<RwLockReadGuard<'_, T>, RwLockReadGuard<'_, T>> {
        let guard = RwLockReadGuard { lock: self, reading };
        if reading.inconsistent {
            Err(guard)
        } else {
            Ok(guard)
        }
    }

    fn write_guard(&self, held: Held) -> Result<RwLockWriteGuard<'_, T>, RwLockWriteGuard<'_, T>> {
        let guard = RwLockWriteGuard { lock: self, held };
        if held.is_inconsistent() {
            Err(guard)
        } else {
            Ok(guard)
        }
    }
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    places: u64,
    line: u64,
    readers: u32,
    size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is not one that [`RwLock::create`] writes.
    fn of(prefix: &Prefix) -> Option<Self> {
        let (line, readers) = (u64::from(prefix.geometry.ok()?.line_bytes()), prefix.extra);
        let possible =
            prefix.capacity == 1 && prefix.elem_size > 0 && (1..=MAX_READERS).contains(&readers);
        let places = align_up(VALUE + u64::from(prefix.elem_size), line)?;
        let size = places + line * u64::from(readers);
        possible.then_some(Layout { places, line, readers, size })
    }

    fn core<'a>(
        &self,
        span: Span<'a>,
        notifier: Notifier<'a>,
        identity: Identity<'a>,
    ) -> Option<Core<'a>> {
        // The whole of the last line, too.
        span.part(0, self.size)?;
        let (stride, count) = (self.line as usize, self.readers as usize);
        Some(Core {
            gate: LockWord { word: span.word(GATE)?, notifier, identity },
            free_places: EventCount::new(span.word(FREE_PLACES)?),
            places: span.words(self.places, stride, count)?,
            count,
        })
    }
}

/// How many parties hold the lock that begins `span`, for a view; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let identity = Identity::new(crate::party::Membership::default());
    Some(Layout::of(prefix)?.core(span, Notifier::new(None), identity)?.holders())
}
