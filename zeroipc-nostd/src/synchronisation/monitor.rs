//! Monitor: a value under a lock, and a condition to wait for.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `MONI`, `capacity` 1 |
//! | 24 | 4 | the lock's word, as in a Mutex |
//! | 28 | 4 | the condition's word: bit 0, somebody may be asleep; bits 1 to 31, how often somebody was notified |
//! | 32 | `elem_size` | the value |
//!
//! 1. Wait, with the lock held: set bit 0 of the condition, release the lock, sleep while the condition keeps that value, take
//!    the lock again.
//! 2. Notify: if bit 0 is clear, done. Otherwise count the condition up (which keeps whoever is on the way to sleep awake) and
//!    wake one, or all. If nobody was asleep, clear the bit.
//!
//! Monitors are Hoare's (1974, <https://doi.org/10.1145/355620.361161>) with the rules of Mesa (Lampson, Redell 1980,
//! <https://doi.org/10.1145/358818.358824>): who was notified takes the lock like anybody else, and looks again.
//!
//! **No notification is lost.** The sleeper announces itself before it releases the lock. So a notifier that has changed the
//! value under the lock after the sleeper looked sees the announcement, and counts; the sleeper then finds another value, or is
//! asleep and woken. The count is added and never set, so no two notifiers make it look as if nothing had happened.

use super::lock_word::{Held, LockWord};
use super::mutex;
use crate::element::Element;
use crate::error::{LockError, StructureError, TryLockError};
use crate::geometry::Geometry;
use crate::prefix::Kind;
use crate::region::{elem_size, open_or_create, Region};
use crate::sync::hook::is_abandoned;
use crate::sync::{Atomic, Wrapped};
use crate::table::block_bytes;
use crate::wait::{Limit, Notifier, Wait, WaitWord, SLICE};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use core::time::Duration;

pub(crate) use super::mutex::fill;

const SLEEPERS: u32 = 1;
const COUNT: u32 = 2;

/// See the [module](self).
#[derive(Debug, Clone, Copy)]
struct Condition<'a> {
    word: Atomic<'a, u32>,
}

impl Condition<'_> {
    /// Announces a sleeper, who holds the lock; the value to sleep on.
    fn announce(&self) -> u32 {
        // Relaxed would do for the notifier, who takes the lock after us; acquire and release cost nothing here, and order the
        // sleepers among each other.
        self.word.fetch_or(SLEEPERS, AcqRel) | SLEEPERS
    }

    /// Wakes `count` (one, or all) of those who announced themselves before.
    #[inline]
    fn notify(&self, notifier: Notifier<'_>, count: u32) {
        // No fence: who changed the value under the lock after a sleeper had looked at it has acquired what the sleeper
        // released, its announcement included.
        if self.word.load(Relaxed) & SLEEPERS != 0 {
            self.wake(notifier, count);
        }
    }

    #[cold]
    fn wake(&self, notifier: Notifier<'_>, count: u32) {
        let counted = self.word.fetch_add(COUNT, AcqRel).wrapping_add(COUNT);
        let Some(waiter) = notifier.waiter() else { return };
        let word = WaitWord(self.word);
        if count == 1 && waiter.wake(word, 1) != 0 {
            return;
        }
        // Nobody is left whom the bit stands for, unless somebody announced itself since we counted: it would be forgotten by
        // the clear bit, so it is woken, and looks again.
        let _ = self.word.compare_exchange(counted, counted & !SLEEPERS, AcqRel, Relaxed);
        waiter.wake(word, u32::MAX);
    }
}

/// A value under a lock, and a condition to wait for: a [`Mutex`](crate::Mutex) and a condition variable in one. Needs
/// compare-and-exchange.
///
/// Whoever waits gives the lock to others meanwhile, and has it again afterwards. The lock is as robust as a Mutex's, and
/// [`LockError::OwnerDied`] comes out of waiting, too. The death of a party that waits harms nobody; one that is killed after it
/// was woken takes the wake-up with it, and the others look again within 100 ms. So does whoever waits for a party that was
/// killed between changing the value and notifying.
///
/// [`Monitor::notify_all`] wakes all at once, and they take the lock one after the other. Where one waiter can go on, and any
/// of them will do, [`Monitor::notify_one`] is cheaper.
///
/// ```
/// use std::time::Duration;
/// use zeroipc_nostd::{FormatOptions, Monitor, Region, Span, Spin};
/// # fn clock() -> u64 {
/// #     use std::{sync::OnceLock, time::Instant};
/// #     static START: OnceLock<Instant> = OnceLock::new();
/// #     START.get_or_init(Instant::now).elapsed().as_nanos() as u64
/// # }
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let waiter = Spin::new(clock); // on a hosted system the region brings its own
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?.with_notifier(&waiter);
/// let jobs = Monitor::<u32>::create(region, "jobs left", 0)?;
///
/// std::thread::scope(|scope| {
///     let worker = scope.spawn(|| {
///         let mut left = jobs.wait_while(jobs.lock()?, |left| *left == 0)?;
///         left.update(|left| left - 1);
///         Ok::<_, zeroipc_nostd::LockError<_>>(left.load())
///     });
///     jobs.lock()?.store(5);
///     jobs.notify_one();
///     assert_eq!(worker.join().expect("no panic")?, 4);
///
///     let (left, outcome) =
///         jobs.wait_while_timeout(jobs.lock()?, |left| *left > 0, Duration::from_millis(5))?;
///     assert!(outcome.timed_out());
///     assert_eq!(left.load(), 4);
///     Ok::<(), zeroipc_nostd::LockError<_>>(())
/// })
/// .map_err(|error| error.to_string())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Monitor<'a, T> {
    lock: LockWord<'a>,
    condition: Condition<'a>,
    value: Wrapped<'a, T>,
}

impl<T> Clone for Monitor<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Monitor<'_, T> {}

/// Whether a wait that had a timeout ended because the time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitTimeoutResult {
    timed_out: bool,
}

impl WaitTimeoutResult {
    /// Whether the time was up: never said before it was.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }
}

/// What taking the lock, or taking it again, comes to.
type Locked<G> = Result<G, LockError<G>>;
/// The same for a wait with a timeout.
type Timed<G> = Result<(G, WaitTimeoutResult), LockError<G>>;

impl<'a, T: Element> Monitor<'a, T> {
    /// Creates a monitor around `value`. Lock-free; a party that dies inside leaks at most the monitor's memory.
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
        mutex::create(region, name, Kind::MONITOR, value)?;
        Self::open(region, name)
    }

    /// Opens a monitor.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure, a region or target
    /// without compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let (lock, value, second_word) = mutex::open(region.into(), name, Kind::MONITOR)?;
        Ok(Monitor { lock, condition: Condition { word: second_word }, value })
    }

    /// Opens the monitor, or creates it around `value` if there is none.
    ///
    /// # Errors
    /// As [`Monitor::open`] and [`Monitor::create`].
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        value: T,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        open_or_create(|| Self::open(region, name), || Self::create(region, name, value))
    }

    /// Bytes that a monitor around a `T` takes in a region, at most; `None` if there can be none.
    #[must_use]
    pub fn footprint(geometry: Geometry) -> Option<u64> {
        block_bytes(geometry, mutex::size(elem_size::<T>().ok()?))
    }

    /// Takes the lock if it is free, or if its owner is known to be dead. Wait-free, apart from asking.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`]; [`TryLockError::OwnerDied`] with the guard.
    #[inline]
    pub fn try_lock(&self) -> Result<MonitorGuard<'_, T>, TryLockError<MonitorGuard<'_, T>>> {
        let held = self.lock.try_acquire(true).ok_or(TryLockError::WouldBlock)?;
        self.guard(held).map_err(TryLockError::OwnerDied)
    }

    /// Takes the lock, waiting for its owner as long as it takes.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] with the guard; [`LockError::NoWaiter`].
    pub fn lock(&self) -> Locked<MonitorGuard<'_, T>> {
        self.lock_within(self.lock.notifier.forever()?)
    }

    /// Takes the lock, waiting for its owner for at most `timeout`.
    ///
    /// # Errors
    /// [`LockError::Timeout`], never early; [`LockError::OwnerDied`] with the guard; [`LockError::NoWaiter`] if the region was
    /// opened without a notifier.
    pub fn lock_timeout(&self, timeout: Duration) -> Locked<MonitorGuard<'_, T>> {
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
    ) -> Locked<MonitorGuard<'_, T>> {
        self.lock_within(Limit { waiter, deadline })
    }

    /// Releases the lock, waits to be notified, and takes the lock again: one step to whoever notifies.
    ///
    /// Returns also for no reason, after 100 ms at the latest: what is waited for has to be looked at again, in a loop or by
    /// [`Monitor::wait_while`]. It is the guard's own monitor that is waited for.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] with the guard, if an owner died meanwhile, or the value is still not declared consistent;
    /// [`LockError::NoWaiter`], with the lock released.
    pub fn wait<'g>(&self, guard: MonitorGuard<'g, T>) -> Locked<MonitorGuard<'g, T>> {
        let limit = self.lock.notifier.forever()?;
        guard.park(limit).map(|(guard, _)| guard)
    }

    /// As [`Monitor::wait`], for at most `timeout`, and then as long as it takes to have the lock again.
    ///
    /// # Errors
    /// As [`Monitor::wait`].
    pub fn wait_timeout<'g>(
        &self,
        guard: MonitorGuard<'g, T>,
        timeout: Duration,
    ) -> Timed<MonitorGuard<'g, T>> {
        guard.park(self.lock.notifier.at_most(timeout)?)
    }

    /// As [`Monitor::wait`], waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] with the guard.
    pub fn wait_with<'g>(
        &self,
        guard: MonitorGuard<'g, T>,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Timed<MonitorGuard<'g, T>> {
        guard.park(Limit { waiter, deadline })
    }

    /// Waits while `condition` holds of the value: looked at with the lock held, before waiting and whenever notified.
    ///
    /// Waits for whoever changes the value and notifies, as long as it takes. A change without a notification, as by a party
    /// that was killed in between, is found within 100 ms.
    ///
    /// # Errors
    /// As [`Monitor::wait`].
    pub fn wait_while<'g>(
        &self,
        guard: MonitorGuard<'g, T>,
        condition: impl FnMut(&T) -> bool,
    ) -> Locked<MonitorGuard<'g, T>> {
        let limit = self.lock.notifier.forever()?;
        park_while(guard, condition, limit).map(|(guard, _)| guard)
    }

    /// As [`Monitor::wait_while`], for at most `timeout`, and then as long as it takes to have the lock again.
    ///
    /// If the time was up, `condition` still held after that.
    ///
    /// # Errors
    /// As [`Monitor::wait`].
    pub fn wait_while_timeout<'g>(
        &self,
        guard: MonitorGuard<'g, T>,
        condition: impl FnMut(&T) -> bool,
        timeout: Duration,
    ) -> Timed<MonitorGuard<'g, T>> {
        park_while(guard, condition, self.lock.notifier.at_most(timeout)?)
    }

    /// As [`Monitor::wait_while`], waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] with the guard.
    pub fn wait_while_with<'g>(
        &self,
        guard: MonitorGuard<'g, T>,
        condition: impl FnMut(&T) -> bool,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Timed<MonitorGuard<'g, T>> {
        park_while(guard, condition, Limit { waiter, deadline })
    }

    /// Wakes one of those that wait, if there are any. Wait-free, apart from the system call, which is made only if somebody
    /// may be asleep.
    ///
    /// Call it after having changed the value under the lock, with the lock held or after its release. If it is called after
    /// the release, a party that begins to wait only then may get the wake-up in place of an older one where the system does not
    /// wake in order; the older one finds out within 100 ms.
    #[inline]
    pub fn notify_one(&self) {
        self.condition.notify(self.lock.notifier, 1);
    }

    /// Wakes all that wait. Wait-free, apart from the system call, which is made only if somebody may be asleep.
    ///
    /// Call it after having changed the value under the lock, with the lock held or after its release.
    #[inline]
    pub fn notify_all(&self) {
        self.condition.notify(self.lock.notifier, u32::MAX);
    }

    fn lock_within(&self, limit: Limit<'_>) -> Locked<MonitorGuard<'_, T>> {
        let held = self.lock.acquire_within(limit).ok_or(LockError::Timeout)?;
        self.guard(held).map_err(LockError::OwnerDied)
    }

    fn guard(&self, held: Held) -> Result<MonitorGuard<'_, T>, MonitorGuard<'_, T>> {
        let guard = MonitorGuard { monitor: self, held };
        if held.is_inconsistent() {
            Err(guard)
        } else {
            Ok(guard)
        }
    }
}

/// The lock of a [`Monitor`], held: the way to its value. Dropping it releases the lock, and notifies nobody.
///
/// Forgetting it ([`core::mem::forget`]) leaves the lock taken until this party dies.
#[derive(Debug)]
#[must_use = "the lock is released when the guard is dropped"]
pub struct MonitorGuard<'a, T: Element> {
    monitor: &'a Monitor<'a, T>,
    held: Held,
}

impl<'a, T: Element> MonitorGuard<'a, T> {
    /// The value.
    #[inline]
    #[must_use]
    pub fn load(&self) -> T {
        self.monitor.value.read(0)
    }

    /// Replaces the value. A party that dies here leaves a part of the old and a part of the new one.
    #[inline]
    pub fn store(&mut self, value: T) {
        self.monitor.value.write(0, &value);
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
    /// Takes effect when the lock is released, also by waiting. A party that dies before has not declared anything.
    pub fn mark_consistent(&mut self) {
        self.held.mark_consistent();
    }

    /// The value where it lies; `None` if the memory is not aligned for a `T`.
    ///
    /// # Safety
    /// As for [`MutexGuard::as_ref`](crate::MutexGuard::as_ref): as long as the reference lives no party may write the value.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_ref(&self) -> Option<&T> {
        let value = self.monitor.value.address(0)?;
        // SAFETY: aligned and inside a region that lives for `'a` (`address`); any bytes make a valid `T`; nobody writes it
        // (the caller's promise, and the borrow of the guard for this party).
        Some(unsafe { value.as_ref() })
    }

    /// The value where it lies, to be written in place; `None` if the memory is not aligned for a `T`.
    ///
    /// # Safety
    /// As for [`MutexGuard::as_mut`](crate::MutexGuard::as_mut): as long as the reference lives no party may read or write the
    /// value.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_mut(&mut self) -> Option<&mut T> {
        let mut value = self.monitor.value.address(0)?;
        // SAFETY: as in `as_ref`; the mutable borrow of the guard makes this the only reference of this party, and the
        // caller promises that no other party accesses the value.
        Some(unsafe { value.as_mut() })
    }

    /// Gives the lock away, sleeps until notified, the deadline or the end of a slice, and takes the lock again.
    fn park(self, limit: Limit<'_>) -> Timed<Self> {
        let monitor = self.monitor;
        let word = monitor.condition.word;
        let announced = monitor.condition.announce();
        drop(self);
        let slice = limit.waiter.now().saturating_add(SLICE);
        let until = limit.deadline.map_or(slice, |deadline| deadline.min(slice));
        limit.waiter.wait(WaitWord(word), announced, until);
        // Notified at the last moment is notified.
        let timed_out = word.load(Acquire) == announced && limit.is_over();
        let guard = monitor.lock_within(Limit { deadline: None, ..limit })?;
        Ok((guard, WaitTimeoutResult { timed_out }))
    }
}

/// Waits while `condition` holds.
fn park_while<'a, T: Element>(
    mut guard: MonitorGuard<'a, T>,
    mut condition: impl FnMut(&T) -> bool,
    limit: Limit<'_>,
) -> Timed<MonitorGuard<'a, T>> {
    while condition(&guard.load()) {
        if limit.is_over() {
            return Ok((guard, WaitTimeoutResult { timed_out: true }));
        }
        (guard, _) = guard.park(limit)?;
    }
    Ok((guard, WaitTimeoutResult { timed_out: false }))
}

impl<T: Element> Drop for MonitorGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !is_abandoned() {
            self.monitor.lock.release(self.held);
        }
    }
}
