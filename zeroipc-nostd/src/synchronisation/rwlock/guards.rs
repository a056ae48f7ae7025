//! An RwLock, held.

use super::core::Reading;
use super::{Held, RwLock};
use crate::element::Element;
use crate::sync::hook::is_abandoned;

/// An [`RwLock`], held for reading: the way to its value. Dropping it releases the lock.
///
/// Forgetting it ([`core::mem::forget`]) leaves its place taken, and keeps writers out, until this party dies.
#[derive(Debug)]
#[must_use = "the lock is released when the guard is dropped"]
pub struct RwLockReadGuard<'a, T: Element> {
    pub(super) lock: &'a RwLock<'a, T>,
    pub(super) reading: Reading,
}

impl<T: Element> RwLockReadGuard<'_, T> {
    /// The value.
    #[inline]
    #[must_use]
    pub fn load(&self) -> T {
        self.lock.value.read(0)
    }

    /// Whether, when the lock was taken, a writer had died and nobody had declared the value consistent since.
    #[must_use]
    pub fn is_inconsistent(&self) -> bool {
        self.reading.inconsistent
    }

    /// The value where it lies; `None` if the memory is not aligned for a `T`.
    ///
    /// # Safety
    /// As long as the reference lives no party may write the value: all parties that have the region must be trusted to hold
    /// the lock for writing when they do, and to be right about who is dead.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_ref(&self) -> Option<&T> {
        let value = self.lock.value.address(0)?;
        // SAFETY: aligned and inside a region that lives for `'a` (`address`); any bytes make a valid `T`; nobody writes it
        // (the caller's promise: readers keep writers out).
        Some(unsafe { value.as_ref() })
    }
}

impl<T: Element> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !is_abandoned() {
            self.lock.core.stop_reading(self.reading);
        }
    }
}

/// An [`RwLock`], held for writing: the way to its value. Dropping it releases the lock.
///
/// Forgetting it ([`core::mem::forget`]) leaves the lock taken until this party dies.
#[derive(Debug)]
#[must_use = "the lock is released when the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: Element> {
    pub(super) lock: &'a RwLock<'a, T>,
    pub(super) held: Held,
}

impl<'a, T: Element> RwLockWriteGuard<'a, T> {
    /// The value.
    #[inline]
    #[must_use]
    pub fn load(&self) -> T {
        self.lock.value.read(0)
    }

    /// Replaces the value. A party that dies here leaves a part of the old and a part of the new one.
    #[inline]
    pub fn store(&mut self, value: T) {
        self.lock.value.write(0, &value);
    }

    /// Replaces the value by what `change` makes of it.
    #[inline]
    pub fn update(&mut self, change: impl FnOnce(T) -> T) {
        self.store(change(self.load()));
    }

    /// Whether a writer has died and nobody has declared the value consistent since.
    #[must_use]
    pub fn is_inconsistent(&self) -> bool {
        self.held.is_inconsistent()
    }

    /// Declares that the value is as it should be: the next ones are not told any more of a writer that died.
    ///
    /// Takes effect when the lock is released. A party that dies before has not declared anything.
    pub fn mark_consistent(&mut self) {
        self.held.mark_consistent();
    }

    /// Goes on reading without letting another writer in between; readers come in, too.
    ///
    /// # Errors
    /// The guard itself, if all places are taken by readers that wait.
    pub fn downgrade(self) -> Result<RwLockReadGuard<'a, T>, Self> {
        match self.lock.core.downgrade(self.held) {
            Some(reading) => {
                let lock = self.lock;
                // Released already.
                core::mem::forget(self);
                Ok(RwLockReadGuard { lock, reading })
            }
            None => Err(self),
        }
    }

    /// The value where it lies; `None` if the memory is not aligned for a `T`.
    ///
    /// # Safety
    /// As long as the reference lives no party may write the value: all parties that have the region must be trusted to hold
    /// the lock for writing when they do, and to be right about who is dead.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_ref(&self) -> Option<&T> {
        let value = self.lock.value.address(0)?;
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
        let mut value = self.lock.value.address(0)?;
        // SAFETY: as in `as_ref`; the mutable borrow of the guard makes this the only reference of this party, and the
        // caller promises that no other party accesses the value.
        Some(unsafe { value.as_mut() })
    }
}

impl<T: Element> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !is_abandoned() {
            self.lock.core.stop_writing(self.held);
        }
    }
}
