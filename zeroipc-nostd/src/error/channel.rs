//! Errors of a Channel. Those of sending give the value back.

use super::operation::error_with_value;
use super::NO_WAITER;
use core::fmt;

const CORRUPT: &str = "corrupt: a peer has spoilt the structure; recreate the region";
const CLOSED: &str = "closed: nothing can be sent any more";
const DRAINED: &str = "closed: all that was sent has been received";

/// Why [`Channel::try_send`](crate::Channel::try_send) did not send; the value is given back.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TrySendError<T> {
    /// No room; of a rendezvous: nobody waits to receive.
    Full(T),
    /// The channel is closed.
    Closed(T),
    /// All spare slots are with peers that stopped, or all places of a rendezvous are taken. Trying again is harmless.
    Blocked(T),
    /// A peer wrote nonsense into the structure.
    Corrupt(T),
}
error_with_value!(TrySendError: Full, Closed, Blocked, Corrupt);

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "full, or nobody waits to receive",
            Self::Closed(_) => CLOSED,
            Self::Blocked(_) => "blocked by peers that stopped inside an operation; try again",
            Self::Corrupt(_) => CORRUPT,
        })
    }
}

/// Why a waiting send did not send; the value is given back, and was certainly not received.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError<T> {
    /// The channel is closed.
    Closed(T),
    /// The time was up.
    Timeout(T),
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter(T),
    /// A peer wrote nonsense into the structure.
    Corrupt(T),
}
error_with_value!(SendError: Closed, Timeout, NoWaiter, Corrupt);

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed(_) => CLOSED,
            Self::Timeout(_) => "timed out: the value was not taken",
            Self::NoWaiter(_) => NO_WAITER,
            Self::Corrupt(_) => CORRUPT,
        })
    }
}

/// Why [`Channel::try_recv`](crate::Channel::try_recv) received nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TryRecvError {
    /// Nothing there; of a rendezvous: nobody offers.
    Empty,
    /// The channel is closed, and all that was sent has been received.
    Closed,
    /// A peer that stopped or died is in the way, and all spare slots are taken. Trying again is harmless.
    Blocked,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty, or nobody offers",
            Self::Closed => DRAINED,
            Self::Blocked => "blocked by a peer that stopped inside an operation; try again",
            Self::Corrupt => CORRUPT,
        })
    }
}

impl core::error::Error for TryRecvError {}

/// Why a waiting receive gave no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RecvError {
    /// The channel is closed, and all that was sent has been received.
    Closed,
    /// The time was up and nothing had come.
    Timeout,
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => DRAINED,
            Self::Timeout => "timed out: nothing was sent",
            Self::NoWaiter => NO_WAITER,
            Self::Corrupt => CORRUPT,
        })
    }
}

impl core::error::Error for RecvError {}

/// Why nothing was selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SelectError {
    /// The time was up, and none of the cases could be done. Nothing was.
    Timeout,
    /// There are no cases.
    NoCases,
    /// There are more cases than one sleep waits for (64), or than a rendezvous tells apart (64, or 16 with 4-byte words).
    TooManyCases,
    /// Channels without a buffer that are in different regions, or in one that is mapped twice, cannot be selected together.
    DifferentRegions,
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
    /// A peer wrote nonsense into a structure.
    Corrupt,
}

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timed out: none of the cases could be done",
            Self::NoCases => "nothing to select from",
            Self::TooManyCases => "too many cases for one select; use fewer",
            Self::DifferentRegions => {
                "channels without a buffer can be selected together only in one region, opened once"
            }
            Self::NoWaiter => NO_WAITER,
            Self::Corrupt => CORRUPT,
        })
    }
}

impl core::error::Error for SelectError {}
