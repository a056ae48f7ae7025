//! Errors of operations on an open structure.

use super::NO_WAITER;
use core::fmt;

/// What every error that gives a value back has in common; `T` need not be `Debug`.
macro_rules! error_with_value {
    ($name:ident: $($variant:ident),+) => {
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant(_) => concat!(stringify!($variant), "(..)"),)+
                })
            }
        }

        impl<T> core::error::Error for $name<T> {}

        impl<T> $name<T> {
            /// The value that was not passed on.
            pub fn into_inner(self) -> T {
                match self {
                    $(Self::$variant(value) => value,)+
                }
            }
        }
    };
}

pub(super) use error_with_value;

/// Why a value was not pushed; it is given back.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PushError<T> {
    /// No room. Exact: at one moment during the call every place was taken (by values or by pushes in progress).
    Full(T),
    /// A peer stopped inside an operation is in the way, and all spare slots are with stopped peers. Trying again is
    /// harmless and succeeds as soon as one of them goes on.
    Blocked(T),
    /// A peer wrote nonsense into the structure. Nothing was changed by this call that the structure can still use.
    Corrupt(T),
}
error_with_value!(PushError: Full, Blocked, Corrupt);

impl<T> PushError<T> {
    /// The same reason, without the value.
    pub(crate) fn without_value(self) -> PushError<()> {
        match self {
            Self::Full(_) => PushError::Full(()),
            Self::Blocked(_) => PushError::Blocked(()),
            Self::Corrupt(_) => PushError::Corrupt(()),
        }
    }

    /// The same reason, with another value to give back.
    pub(crate) fn with<U>(self, value: U) -> PushError<U> {
        match self {
            Self::Full(_) => PushError::Full(value),
            Self::Blocked(_) => PushError::Blocked(value),
            Self::Corrupt(_) => PushError::Corrupt(value),
        }
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "full",
            Self::Blocked(_) => {
                "blocked by a peer that stopped inside an operation; try again, or create with more spares"
            }
            Self::Corrupt(_) => "corrupt: a peer has spoilt the structure; recreate the region",
        })
    }
}

/// Why no value was popped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PopError {
    /// Nothing there. Exact: at one moment during the call nothing was in it whose push was done.
    Empty,
    /// A peer stopped inside an operation is in the way, and all spare slots are with stopped peers. Trying again is
    /// harmless and succeeds as soon as one of them goes on.
    Blocked,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for PopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::Blocked => {
                "blocked by a peer that stopped inside an operation; try again, or create with more spares"
            }
            Self::Corrupt => "corrupt: a peer has spoilt the structure; recreate the region",
        })
    }
}

impl core::error::Error for PopError {}

/// Why a slot of a Pool was not given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PoolError {
    /// No slot is free: each was taken when it was looked at.
    Full,
    /// The handle was used before, or this pool never gave it out.
    Stale,
    /// The handle names a slot that this pool does not have.
    NoSuchSlot,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "every slot is taken; wait for one, or reclaim those of dead parties",
            Self::Stale => "the handle was used before, or this pool never gave it out",
            Self::NoSuchSlot => "the handle names a slot that this pool does not have",
            Self::Corrupt => "corrupt: a peer has spoilt the structure; recreate the region",
        })
    }
}

impl core::error::Error for PoolError {}

/// An index at or beyond the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct IndexOutOfBounds {
    /// The index.
    pub index: usize,
    /// The number of elements.
    pub len: usize,
}

impl fmt::Display for IndexOutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index {} is out of bounds of {} elements", self.index, self.len)
    }
}

impl core::error::Error for IndexOutOfBounds {}

/// Why an element of an Array was not updated in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum UpdateError {
    /// There is no such element.
    OutOfBounds(IndexOutOfBounds),
    /// The region promises only loads and stores, or this target has no compare-and-exchange.
    NeedsCas,
    /// Other parties changed the element each of very many times that this one tried to. Trying again is harmless.
    Contended,
}

impl From<IndexOutOfBounds> for UpdateError {
    fn from(error: IndexOutOfBounds) -> Self {
        Self::OutOfBounds(error)
    }
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds(error) => error.fmt(f),
            Self::NeedsCas => f.write_str(
                "updating in place needs compare-and-exchange, which this region does not promise; let one party store",
            ),
            Self::Contended => f.write_str("other parties change the element without end; try again"),
        }
    }
}

impl core::error::Error for UpdateError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::OutOfBounds(error) => Some(error),
            _ => None,
        }
    }
}

/// The role (producer or consumer of a Ring) is held by another handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RoleTaken;

impl fmt::Display for RoleTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the role is taken by another handle; if its holder is dead, take it over")
    }
}

impl core::error::Error for RoleTaken {}

/// Why a waiting push ended without having pushed; the value is given back.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PushTimeoutError<T> {
    /// The time was up and there was still no room.
    Timeout(T),
    /// A peer wrote nonsense into the structure.
    Corrupt(T),
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter(T),
}
error_with_value!(PushTimeoutError: Timeout, Corrupt, NoWaiter);

impl<T> fmt::Display for PushTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => "timed out: no room came",
            Self::Corrupt(_) => "corrupt: a peer has spoilt the structure; recreate the region",
            Self::NoWaiter(_) => NO_WAITER,
        })
    }
}

/// Why a waiting pop ended without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PopTimeoutError {
    /// The time was up and nothing had come.
    Timeout,
    /// A peer wrote nonsense into the structure.
    Corrupt,
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
}

impl fmt::Display for PopTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timed out: nothing came",
            Self::Corrupt => "corrupt: a peer has spoilt the structure; recreate the region",
            Self::NoWaiter => NO_WAITER,
        })
    }
}

impl core::error::Error for PopTimeoutError {}
