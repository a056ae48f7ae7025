//! Errors of the structures that count parties and permits.

use super::{WaitError, NO_WAITER};
use crate::party::PartyId;
use core::fmt;

const CORRUPT: &str = "corrupt: a peer has spoilt the structure; recreate the region";
const CONTENDED: &str = "other parties change it without end; try again";

/// Why no permit was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TryAcquireError {
    /// Fewer are free than were asked for. Exact: so it was at one moment of the call.
    NoPermits,
    /// More were asked for than there ever are.
    AboveMax {
        /// The most that there may be.
        max: u32,
    },
    /// Others changed the count each time that this call tried to, far more often than correct peers do.
    Contended,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoPermits => f.write_str("not so many permits are free"),
            Self::AboveMax { max } => write!(f, "there are never more than {max} permits"),
            Self::Contended => f.write_str(CONTENDED),
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for TryAcquireError {}

/// Why a wait for permits ended without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AcquireError {
    /// The time was up.
    Timeout,
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
    /// More were asked for than there ever are.
    AboveMax {
        /// The most that there may be.
        max: u32,
    },
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl From<WaitError> for AcquireError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Timeout => Self::Timeout,
            WaitError::NoWaiter => Self::NoWaiter,
            WaitError::Corrupt => Self::Corrupt,
        }
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Timeout => f.write_str("timed out: not so many permits became free"),
            Self::NoWaiter => f.write_str(NO_WAITER),
            Self::AboveMax { max } => write!(f, "there are never more than {max} permits"),
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for AcquireError {}

/// Why permits were not given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReleaseError {
    /// More would be free than there may be: somebody gave back what was not taken. Nothing was released.
    AboveMax {
        /// The most that there may be.
        max: u32,
    },
    /// Others changed the count each time that this call tried to, far more often than correct peers do.
    Contended,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AboveMax { max } => {
                write!(f, "more than {max} permits would be free; release only what was taken")
            }
            Self::Contended => f.write_str(CONTENDED),
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for ReleaseError {}

/// Why a latch was not counted down. Nothing was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CountDownError {
    /// Less is left than was to be counted.
    BelowZero {
        /// What is left.
        left: u32,
    },
    /// The latch has a counter for each party, which the party's handle counts down.
    NeedsParty,
    /// Others changed the count each time that this call tried to, far more often than correct peers do.
    Contended,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for CountDownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BelowZero { left } => write!(f, "only {left} are left to count"),
            Self::NeedsParty => {
                f.write_str("each party counts its own counter: take the handle of a party")
            }
            Self::Contended => f.write_str(CONTENDED),
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for CountDownError {}

/// Why an arrival at a latch, with a wait for the others, failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ArriveError {
    /// It was not counted.
    Count(CountDownError),
    /// It was counted, except with [`WaitError::NoWaiter`], and then the wait ended.
    Wait(WaitError),
}

impl From<CountDownError> for ArriveError {
    fn from(error: CountDownError) -> Self {
        Self::Count(error)
    }
}

impl From<WaitError> for ArriveError {
    fn from(error: WaitError) -> Self {
        Self::Wait(error)
    }
}

impl fmt::Display for ArriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(error) => error.fmt(f),
            Self::Wait(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ArriveError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Count(error) => Some(error),
            Self::Wait(error) => Some(error),
        }
    }
}

/// Why a party's counter of a latch was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PartyError {
    /// The latch has no such party.
    OutOfBounds {
        /// How many it has; 0 if all count down one counter.
        parties: u32,
    },
    /// Another handle has it.
    Taken,
}

impl fmt::Display for PartyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutOfBounds { parties } => write!(f, "the latch has {parties} parties"),
            Self::Taken => super::RoleTaken.fmt(f),
        }
    }
}

impl core::error::Error for PartyError {}

/// All places of a barrier are taken, and nobody who has one is known to be dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoPlace {
    /// How many there are.
    pub participants: u32,
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all {} places of the barrier are taken", self.participants)
    }
}

impl core::error::Error for NoPlace {}

/// Why a wait at a barrier ended before all had arrived. This party's arrival was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BarrierError {
    /// The time was up.
    Timeout,
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
    /// A participant died before it arrived. Who joins next takes its place; until then no generation completes.
    PeerDied(PartyId),
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl From<WaitError> for BarrierError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Timeout => Self::Timeout,
            WaitError::NoWaiter => Self::NoWaiter,
            WaitError::Corrupt => Self::Corrupt,
        }
    }
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timed out: not all participants arrived"),
            Self::NoWaiter => f.write_str(NO_WAITER),
            Self::PeerDied(party) => {
                write!(f, "{party} died before it arrived; let another join in its place")
            }
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for BarrierError {}

/// Why a once was not run, and is not done either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OnceError {
    /// Another runs it.
    Running {
        /// Who, if it has a number.
        owner: Option<PartyId>,
    },
    /// Others changed it each time that this call tried to, far more often than correct peers do.
    Contended,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for OnceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { owner: Some(owner) } => write!(f, "{owner} runs it"),
            Self::Running { owner: None } => f.write_str("another party runs it"),
            Self::Contended => f.write_str(CONTENDED),
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for OnceError {}
