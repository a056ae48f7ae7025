//! Errors of a Stream.

use super::{WaitError, NO_WAITER};
use core::fmt;

/// Why a value was not published; it is given back.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EmitError<T> {
    /// A registered subscriber has not taken the value that this one would overwrite.
    Full(T),
    /// The stream is closed.
    Closed(T),
    /// The value was to have a certain sequence number, and that is not the next one.
    NotNext(T),
    /// The time was up, and the slowest subscriber had not gone on.
    Timeout(T),
    /// There is no room, and the region was opened without a notifier, so there is nothing to wait with.
    NoWaiter(T),
    /// A publisher stopped inside is in the way, and all spare slots are with stopped or killed ones. Trying again is harmless.
    Blocked(T),
    /// The stream has one publisher: take the role.
    SinglePublisher(T),
    /// Many publishers need compare-and-exchange, which this party does not have.
    NeedsCas(T),
    /// A peer wrote nonsense into the structure.
    Corrupt(T),
}

impl<T> EmitError<T> {
    /// The value that was not published.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value)
            | Self::Closed(value)
            | Self::NotNext(value)
            | Self::Timeout(value)
            | Self::NoWaiter(value)
            | Self::Blocked(value)
            | Self::SinglePublisher(value)
            | Self::NeedsCas(value)
            | Self::Corrupt(value) => value,
        }
    }

    pub(crate) fn of_waiting(error: WaitError, value: T) -> Self {
        match error {
            WaitError::Timeout => Self::Timeout(value),
            WaitError::NoWaiter => Self::NoWaiter(value),
            WaitError::Corrupt => Self::Corrupt(value),
        }
    }
}

impl<T> fmt::Debug for EmitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
            Self::NotNext(_) => "NotNext(..)",
            Self::Timeout(_) => "Timeout(..)",
            Self::NoWaiter(_) => "NoWaiter(..)",
            Self::Blocked(_) => "Blocked(..)",
            Self::SinglePublisher(_) => "SinglePublisher(..)",
            Self::NeedsCas(_) => "NeedsCas(..)",
            Self::Corrupt(_) => "Corrupt(..)",
        })
    }
}

impl<T> fmt::Display for EmitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => {
                "a subscriber has not taken the oldest value yet; wait for it, or remove those that are dead"
            }
            Self::Closed(_) => "the stream is closed",
            Self::NotNext(_) => "another value has this sequence number, or it is not its turn yet",
            Self::Timeout(_) => "timed out: the slowest subscriber did not go on",
            Self::NoWaiter(_) => NO_WAITER,
            Self::Blocked(_) => {
                "too many publishers are stopped inside an emit; try again, or create the stream with more spares"
            }
            Self::SinglePublisher(_) => "the stream has one publisher; take its role and emit by that",
            Self::NeedsCas(_) => {
                "a stream with many publishers needs compare-and-exchange; create it for one"
            }
            Self::Corrupt(_) => CORRUPT,
        })
    }
}

impl<T> core::error::Error for EmitError<T> {}

/// Why a party could not subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SubscribeError {
    /// All places for registered subscribers are taken.
    TooMany {
        /// How many there are.
        places: usize,
    },
    /// The sequence number asked for is beyond the next value: it is another stream's, or of a stream that was created anew.
    Ahead {
        /// The sequence number of the next value.
        next: u64,
    },
    /// Registering needs compare-and-exchange, which this party does not have.
    NeedsCas,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { places } => {
                write!(f, "all {places} places for subscribers are taken; create the stream for more")
            }
            Self::Ahead { next } => write!(
                f,
                "the sequence number was never published here: the next is {next}; subscribe from the oldest"
            ),
            Self::NeedsCas => f.write_str(
                "a stream with backpressure needs compare-and-exchange; create one that overwrites",
            ),
        }
    }
}

impl core::error::Error for SubscribeError {}

/// Why a party could not become the publisher, or close the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PublisherError {
    /// Another handle has the role.
    RoleTaken,
    /// The stream has many publishers, and so no such role: emit by the stream itself.
    ManyPublishers,
    /// Many publishers need compare-and-exchange, which this party does not have.
    NeedsCas,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for PublisherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoleTaken => {
                "another handle has the publisher's role; take it over if that is dead"
            }
            Self::ManyPublishers => "the stream has many publishers; emit by the stream itself",
            Self::NeedsCas => {
                "a stream with many publishers needs compare-and-exchange; create it for one"
            }
            Self::Corrupt => CORRUPT,
        })
    }
}

impl core::error::Error for PublisherError {}

const CORRUPT: &str = "corrupt: a peer has spoilt the structure; recreate the region";
