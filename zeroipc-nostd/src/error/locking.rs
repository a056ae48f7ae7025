//! Errors of locks; those that still give the lock carry its guard.

use super::{WaitError, NO_WAITER};
use core::fmt;

/// Why a lock was not taken in the ordinary way by an operation that waits.
///
/// [`LockError::OwnerDied`] carries the guard, in the manner of the standard library's `PoisonError`: the lock *is* taken.
#[non_exhaustive]
pub enum LockError<G> {
    /// The lock is taken, but what it protects may be half-written: a party that held it for writing has died, and nobody
    /// has declared the value consistent since. Repair the value, say so (`mark_consistent`), and go on with the guard.
    OwnerDied(G),
    /// The time was up.
    Timeout,
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
}

impl<G> LockError<G> {
    /// The guard, if the lock is taken; it may have to be repaired.
    pub fn into_guard(self) -> Option<G> {
        match self {
            Self::OwnerDied(guard) => Some(guard),
            Self::Timeout | Self::NoWaiter => None,
        }
    }
}

impl<G> From<WaitError> for LockError<G> {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::NoWaiter => Self::NoWaiter,
            // A lock's words have a meaning whatever stands in them, so no wait on one ends as corrupt.
            WaitError::Timeout | WaitError::Corrupt => Self::Timeout,
        }
    }
}

const OWNER_DIED: &str =
    "taken over from an owner that died: repair the value and mark it consistent";

impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnerDied(_) => "OwnerDied(..)",
            Self::Timeout => "Timeout",
            Self::NoWaiter => "NoWaiter",
        })
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnerDied(_) => OWNER_DIED,
            Self::Timeout => "timed out: the lock did not become free",
            Self::NoWaiter => NO_WAITER,
        })
    }
}

impl<G> core::error::Error for LockError<G> {}

/// Why a lock was not taken in the ordinary way by an operation that does not wait.
#[non_exhaustive]
pub enum TryLockError<G> {
    /// The lock is taken, but what it protects may be half-written: as [`LockError::OwnerDied`].
    OwnerDied(G),
    /// Somebody else has it.
    WouldBlock,
}

impl<G> TryLockError<G> {
    /// The guard, if the lock is taken; it may have to be repaired.
    pub fn into_guard(self) -> Option<G> {
        match self {
            Self::OwnerDied(guard) => Some(guard),
            Self::WouldBlock => None,
        }
    }
}

impl<G> fmt::Debug for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnerDied(_) => "OwnerDied(..)",
            Self::WouldBlock => "WouldBlock",
        })
    }
}

impl<G> fmt::Display for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnerDied(_) => OWNER_DIED,
            Self::WouldBlock => "taken by another; try again, or wait for it",
        })
    }
}

impl<G> core::error::Error for TryLockError<G> {}
