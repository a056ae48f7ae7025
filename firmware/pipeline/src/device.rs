//! What both cores have in common.

use zeroipc_nostd::{
    Element, EmitError, FutureError, NextError, PopError, PromiseError, PublisherError, PushError,
    RoleTaken, SignalError, StructureError, SubscribeError, Subscriber, TryRecvError, TrySendError,
};
use zeroipc_raw::RawError;

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Something was done.
    Busy,
    /// There was nothing to do.
    Idle,
    /// Linux says stop.
    Stop,
}

impl Turn {
    /// Of two things done in one turn.
    pub(crate) fn and(self, other: Turn) -> Turn {
        match (self, other) {
            (Turn::Stop, _) | (_, Turn::Stop) => Turn::Stop,
            (Turn::Idle, Turn::Idle) => Turn::Idle,
            _ => Turn::Busy,
        }
    }
}

/// Why a core cannot go on in this session of its region. Printable: numbers and names only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The region cannot be created or opened.
    Region(RawError),
    /// A structure cannot be created or opened.
    Structure(StructureError),
    /// Another holds a role that is this core's.
    RoleTaken,
    /// The calibration went wrong.
    Calibration,
    /// The other core has left the session.
    Left,
    /// A peer wrote an impossible counter.
    Corrupt,
}

macro_rules! becomes {
    ($($error:ty => $failure:expr;)*) => {
        $(impl From<$error> for Failure {
            fn from(_: $error) -> Self {
                $failure
            }
        })*
    };
}

becomes! {
    RoleTaken => Failure::RoleTaken;
    FutureError => Failure::Calibration;
    PromiseError => Failure::Calibration;
    SignalError => Failure::Corrupt;
    PublisherError => Failure::RoleTaken;
    SubscribeError => Failure::Corrupt;
}

impl From<RawError> for Failure {
    fn from(error: RawError) -> Self {
        Failure::Region(error)
    }
}

impl From<StructureError> for Failure {
    fn from(error: StructureError) -> Self {
        Failure::Structure(error)
    }
}

/// How many were popped: none if there were none.
pub(crate) fn popped(result: Result<usize, PopError>) -> Result<usize, Failure> {
    match result {
        Ok(count) => Ok(count),
        Err(PopError::Corrupt) => Err(Failure::Corrupt),
        Err(_) => Ok(0),
    }
}

/// How many were pushed: none if there was no room.
pub(crate) fn pushed<T>(result: Result<usize, PushError<T>>) -> Result<usize, Failure> {
    match result {
        Ok(count) => Ok(count),
        Err(PushError::Corrupt(_)) => Err(Failure::Corrupt),
        Err(_) => Ok(0),
    }
}

/// What came over a channel, if something did.
pub(crate) fn received<T>(result: Result<T, TryRecvError>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(TryRecvError::Corrupt | TryRecvError::Closed) => Err(Failure::Corrupt),
        Err(_) => Ok(None),
    }
}

/// Whether it could be sent.
pub(crate) fn sent<T>(result: Result<(), TrySendError<T>>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(TrySendError::Corrupt(_) | TrySendError::Closed(_)) => Err(Failure::Corrupt),
        Err(_) => Ok(false),
    }
}

/// An overwriting stream takes every value.
pub(crate) fn emitted<T>(result: Result<u64, EmitError<T>>) -> Result<(), Failure> {
    result.map(|_| ()).map_err(|_| Failure::Corrupt)
}

/// The next value of a stream, if it is there; what was missed is passed over.
pub(crate) fn next<T: Element>(subscriber: &mut Subscriber<'_, T>) -> Result<Option<T>, Failure> {
    match subscriber.try_next() {
        Ok(value) => Ok(Some(value)),
        Err(NextError::Empty | NextError::Lagged { .. }) => Ok(None),
        Err(_) => Err(Failure::Corrupt),
    }
}
