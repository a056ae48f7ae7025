//! Mutex: a value that one party at a time reads and writes; robust.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `MUTX`, `capacity` 1 |
//! | 24 | 4 | the lock's word: owner's number, sleepers, inconsistent |
//! | 28 | 4 | 0 |
//! | 32 | `elem_size` | the value |
//!
//! The lock and its value share a line, as who takes the one wants the other. The algorithm is in `lock_word.rs`.

use super::lock_word::{owners, Held, Identity, LockWord};
use crate::element::Element;
use crate::error::{LockError, StructureError, TryLockError};
use crate::geometry::Geometry;
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, open_or_create, Region};
use crate::sync::hook::is_abandoned;
use crate::sync::{Atomic, Span, Wrapped};
use crate::table::block_bytes;
use crate::wait::{Limit, Wait};
use core::time::Duration;

const WORD: u64 = 24;
/// Reserved in a Mutex; a Monitor's condition.
const SECOND_WORD: u64 = 28;
/// A multiple of every alignment that the format gives an element.
const VALUE: u64 = 32;

/// A value that one party at a time reads and writes, under a lock that survives its owner. Needs compare-and-exchange.
///
/// The lock records who owns it ([`Region::with_party`]). If the owner dies, the next one gets the lock together with the
/// news, [`LockError::OwnerDied`]: the value may be half-written. Whoever has repaired it says so by
/// [`MutexGuard::mark_consistent`]; until then every further owner gets the same news. An owner that is only slow or stopped
/// keeps the lock, and whoever waits waits for it. A party without a number is never found dead.
///
/// Not recursive: a party that locks it twice waits for itself, also if it is two threads with one number, which exclude
/// each other as any two parties do. Not fair: a running party may take a lock just released before a sleeper that was woken
/// for it; one sleeper is woken at a time, in the order in which the system wakes.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Mutex, Region, Span, TryLockError};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let account = Mutex::<u64>::create(region, "account", 100)?;
/// {
///     let mut balance = account.try_lock().unwrap();
///     balance.update(|balance| balance - 30);
///     assert!(matches!(account.try_lock(), Err(TryLockError::WouldBlock)));
/// }
/// let elsewhere = Mutex::<u64>::open(region, "account")?;
/// assert_eq!(elsewhere.try_lock().unwrap().load(), 70);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What to do when an owner has died:
///
/// ```
/// # use zeroipc_nostd::{LockError, Mutex, MutexGuard};
/// /// Two halves that always sum up to 100.
/// fn lock<'a>(
///     halves: &'a Mutex<'_, [u32; 2]>,
/// ) -> Result<MutexGuard<'a, [u32; 2]>, LockError<MutexGuard<'a, [u32; 2]>>> {
///     match halves.lock() {
///         Err(LockError::OwnerDied(mut guard)) => {
///             guard.update(|[one, _]| [one.min(100), 100 - one.min(100)]);
///             guard.mark_consistent();
///             Ok(guard)
///         }
///         other => other,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Mutex<'a, T> {
    lock: LockWord<'a>,
    value: Wrapped<'a, T>,
}

impl<T> Clone for Mutex<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Mutex<'_, T> {}

impl<'a, T: Element> Mutex<'a, T> {
    /// Creates a mutex around `value`. Lock-free; a party that dies inside leaks at most the mutex's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, an element of no size, a region without
    /// compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        value: T,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        create(region, name, Kind::MUTEX, value)?;
        Self::open(region, name)
    }

    /// Opens a mutex.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure, a region or target
    /// without compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let (lock, value, _) = open(region.into(), name, Kind::MUTEX)?;
        Ok(Mutex { lock, value })
    }

    /// Opens the mutex, or creates it around `value` if there is none.
    ///
    /// # Errors
    /// As [`Mutex::open`] and [`Mutex::create`].
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        value: T,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        open_or_create(|| Self::open(region, name), || Self::create(region, name, value))
    }

    /// Bytes that a mutex around a `T` takes in a region, at most; `None` if there can be none.
    #[must_use]
    pub fn footprint(geometry: Geometry) -> Option<u64> {
        block_bytes(geometry, size(elem_size::<T>().ok()?))
    }

    /// Takes the lock if it is free, or if its owner is known to be dead. Wait-free, apart from asking.
    ///
    /// What the last owner did before it released the lock is visible to this one. A party stopped inside holds the lock or
    /// does not; one that is killed inside and had taken it is an owner that died.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`]; [`TryLockError::OwnerDied`] with the guard.
    #[inline]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError<MutexGuard<'_, T>>> {
        let held = self.lock.try_acquire(true).ok_or(TryLockError::WouldBlock)?;
        self.guard(held).map_err(TryLockError::OwnerDied)
    }

    /// Takes the lock, waiting as long as it takes: [`Mutex::lock_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] with the guard; [`LockError::NoWaiter`].
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_within(self.lock.notifier.forever()?)
    }

    /// Takes the lock, waiting for at most `timeout`, asleep if it takes long.
    ///
    /// Waits for the owner, and notices within about 100 ms that it has died. Needs a region with a notifier, which
    /// `zeroipc::Memory` has.
    ///
    /// # Errors
    /// [`LockError::Timeout`], never early; [`LockError::OwnerDied`] with the guard; [`LockError::NoWaiter`] if the region was
    /// opened without a notifier.
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_within(self.lock.notifier.at_most(timeout)?)
    }

    /// Takes the lock, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`LockError::Timeout`], never before the deadline; [`LockError::OwnerDied`] with the guard.
    pub fn lock_with(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_within(Limit { waiter, deadline })
    }

    fn lock_within(
        &self,
        limit: Limit<'_>,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        let held = self.lock.acquire_within(limit).ok_or(LockError::Timeout)?;
        self.guard(held).map_err(LockError::OwnerDied)
    }

    fn guard(&self, held: Held) -> Result<MutexGuard<'_, T>, MutexGuard<'_, T>> {
        let guard = MutexGuard { mutex: self, held };
        if held.is_inconsistent() {
            Err(guard)
        } else {
            Ok(guard)
        }
    }
}

/// The lock of a [`Mutex`], held: the way to its value. Dropping it releases the lock.
///
/// Forgetting it ([`core::mem::forget`]) leaves the lock taken until this party dies.
#[derive(Debug)]
#[must_use = "the lock is released when the guard is dropped"]
pub struct MutexGuard<'a, T: Element> {
    mutex: &'a Mutex<'a, T>,
    held: Held,
}

impl<T: Element> MutexGuard<'_, T> {
    /// The value.
    #[inline]
    #[must_use]
    pub fn load(&self) -> T {
        self.mutex.value.read(0)
    }

    /// Replaces the value. A party that dies here leaves a part of the old and a part of the new one.
    #[inline]
    pub fn store(&mut self, value: T) {
        self.mutex.value.write(0, &value);
    }

    /// Replaces the value by what `change` makes of it.
    #[inline]
    pub fn update(&mut self, change: impl FnOnce(T) -> T) {
        self.store(change(self.load()));
    }

    /// Whether an owner has died and nobody has declared the value consistent since.
    #[must_use]
    pub fn is_inconsistent(&self) -> bool {
        self.held.is_inconsistent()
    }

    /// Declares that the value is as it should be: the next owner is not told any more of an owner that died.
    ///
    /// Takes effect when the lock is released. A party that dies before has not declared anything.
    pub fn mark_consistent(&mut self) {
        self.held.mark_consistent();
    }

    /// The value where it lies; `None` if the memory is not aligned for a `T`.
    ///
    /// # Safety
    /// As long as the reference lives no party may write the value: all parties that have the region must be trusted to hold
    /// the lock when they write, and to be right about who is dead.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_ref(&self) -> Option<&T> {
        let value = self.mutex.value.address(0)?;
        // SAFETY: aligned and inside a region that lives for `'a` (`address`); any bytes make a valid `T`; nobody writes it
        // (the caller's promise, and the borrow of the guard for this party).
        Some(unsafe { value.as_ref() })
    }

    /// The value where it lies, to be written in place; `None` if the memory is not aligned for a `T`.
    ///
    /// # Safety
    /// As long as the reference lives no party may read or write the value: all parties that have the region must be trusted
    /// to hold the lock when they do, and to be right about who is dead.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_mut(&mut self) -> Option<&mut T> {
        let mut value = self.mutex.value.address(0)?;
        // SAFETY: as in `as_ref`; the mutable borrow of the guard makes this the only reference of this party, and the
        // caller promises that no other party accesses the value.
        Some(unsafe { value.as_mut() })
    }
}

impl<T: Element> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !is_abandoned() {
            self.mutex.lock.release(self.held);
        }
    }
}

/// Bytes of a lock with two words and a value.
pub(super) fn size(elem_size: u32) -> u64 {
    VALUE + u64::from(elem_size)
}

/// Creates a lock with two words, both 0, and a value.
pub(super) fn create<T: Element>(
    region: Region<'_>,
    name: &str,
    kind: Kind,
    value: T,
) -> Result<(), StructureError> {
    let elem_size = elem_size::<T>()?;
    if !region.has_cas() {
        return Err(StructureError::NeedsCas { kind });
    }
    let prefix = Prefix::new(kind, region.geometry(), elem_size, 1);
    let size = size(elem_size);
    region.create_structure(name, prefix, size, |span| {
        span.clear(WORD, VALUE - WORD);
        span.wrapped(VALUE, 1)?.write(0, &value);
        Some(size)
    })?;
    Ok(())
}

/// Opens a lock with two words and a value: the lock, the value, and the second word.
pub(super) fn open<'a, T: Element>(
    region: Region<'a>,
    name: &str,
    kind: Kind,
) -> Result<(LockWord<'a>, Wrapped<'a, T>, Atomic<'a, u32>), StructureError> {
    let found = region.open_structure(name, kind, elem_size::<T>()?)?;
    if !region.has_cas() {
        return Err(StructureError::NeedsCas { kind });
    }
    let corrupt = found.corrupt("its capacity or size");
    if !is_possible(found.span, &found.prefix) {
        return Err(corrupt);
    }
    let lock = LockWord {
        word: found.span.word(WORD).ok_or(corrupt)?,
        notifier: region.notifier(),
        identity: Identity::new(region.membership()),
    };
    let value = found.span.wrapped(VALUE, 1).ok_or(corrupt)?;
    Ok((lock, value, found.span.word(SECOND_WORD).ok_or(corrupt)?))
}

fn is_possible(span: Span<'_>, prefix: &Prefix) -> bool {
    prefix.capacity == 1
        && prefix.extra == 0
        && prefix.elem_size > 0
        && size(prefix.elem_size) <= span.len() as u64
}

/// How many parties hold the lock that begins `span` (0 or 1), for a view; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    is_possible(span, prefix).then_some(())?;
    Some(owners(span.word(WORD)?))
}
