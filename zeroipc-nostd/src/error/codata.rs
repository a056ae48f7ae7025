//! Errors of a Future, a Lazy, and of whatever gives one value after another.

use super::{WaitError, NO_WAITER};
use crate::codata::FailureText;
use crate::party::PartyId;
use core::fmt;

const CORRUPT: &str = "corrupt: a peer has spoilt the structure; recreate the region";

/// Why a future gave no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FutureError {
    /// Nobody has settled it yet.
    Pending,
    /// It was settled by a failure.
    Failed(FailureText),
    /// Whoever had promised to settle it dropped the promise, or died.
    Broken,
    /// The slot is in another use by now: see [`Future::reset`](crate::Future::reset).
    Superseded,
    /// The time was up, and nobody had settled it.
    Timeout,
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl From<WaitError> for FutureError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Timeout => Self::Timeout,
            WaitError::NoWaiter => Self::NoWaiter,
            WaitError::Corrupt => Self::Corrupt,
        }
    }
}

impl fmt::Display for FutureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("nobody has settled the future yet; wait for it"),
            Self::Failed(text) => write!(f, "the future failed: {text}"),
            Self::Broken => f.write_str(
                "whoever promised to settle the future gave up or died; reset it and ask again",
            ),
            Self::Superseded => f.write_str("the future was reset for another use"),
            Self::Timeout => f.write_str("timed out: nobody settled the future"),
            Self::NoWaiter => f.write_str(NO_WAITER),
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for FutureError {}

/// Why a promise was not given, or not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PromiseError {
    /// Another handle has the role.
    RoleTaken {
        /// Whose it is, if that party has a number.
        owner: Option<PartyId>,
    },
    /// The future is settled: by a value, a failure, or a broken promise.
    Settled,
    /// The slot is in another use by now: see [`Future::reset`](crate::Future::reset).
    Superseded,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for PromiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoleTaken { owner: Some(owner) } => {
                write!(f, "{owner} has promised to settle the future")
            }
            Self::RoleTaken { owner: None } => {
                f.write_str("another handle has promised to settle the future")
            }
            Self::Settled => f.write_str("the future is settled; reset it for another use"),
            Self::Superseded => {
                f.write_str("the future was reset meanwhile: nobody waits for this answer any more")
            }
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for PromiseError {}

/// Why a lazy value was not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LazyError {
    /// Its evaluation failed. That is kept until somebody invalidates it.
    Failed(FailureText),
    /// Another party evaluates it.
    Running {
        /// Who, if that party has a number.
        owner: Option<PartyId>,
    },
    /// The time was up, and another party still evaluated it.
    Timeout,
    /// Another party evaluates it, and the region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl From<WaitError> for LazyError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Timeout => Self::Timeout,
            WaitError::NoWaiter => Self::NoWaiter,
            WaitError::Corrupt => Self::Corrupt,
        }
    }
}

impl fmt::Display for LazyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) => write!(f, "the evaluation failed: {text}"),
            Self::Running { owner: Some(owner) } => write!(f, "{owner} evaluates it; wait for it"),
            Self::Running { owner: None } => f.write_str("another party evaluates it; wait for it"),
            Self::Timeout => f.write_str("timed out: another party still evaluated it"),
            Self::NoWaiter => f.write_str(NO_WAITER),
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for LazyError {}

/// Why there was no next value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NextError {
    /// None yet.
    Empty,
    /// None will come any more, and all that came were taken.
    Closed,
    /// Values were overwritten before they were read. The next call goes on with the oldest that is left.
    Lagged {
        /// Exactly how many were missed.
        missed: u64,
    },
    /// The time was up, and there was none.
    Timeout,
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl From<WaitError> for NextError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Timeout => Self::Timeout,
            WaitError::NoWaiter => Self::NoWaiter,
            WaitError::Corrupt => Self::Corrupt,
        }
    }
}

impl fmt::Display for NextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no value yet; wait for one or try again later"),
            Self::Closed => f.write_str("closed: no value will come any more"),
            Self::Lagged { missed } => {
                write!(f, "{missed} values were overwritten before they were read; read on")
            }
            Self::Timeout => f.write_str("timed out: no value came"),
            Self::NoWaiter => f.write_str(NO_WAITER),
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for NextError {}
