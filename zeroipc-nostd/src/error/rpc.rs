//! Errors of a Service.

use super::{WaitError, NO_WAITER};
use crate::codata::FailureText;
use core::fmt;

const CORRUPT: &str = "corrupt: a peer has spoilt the structure; recreate the region";

/// Why a call brought no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CallError {
    /// There is no answer yet.
    Pending,
    /// The server answered by a failure.
    Failed(FailureText),
    /// The server that had taken the call gave it up, or died.
    Broken,
    /// The service is closed, and no server had taken the call.
    Closed,
    /// All places for calls are taken.
    Full,
    /// The time was up, and there was no answer. The call was cancelled, unless it still has a handle.
    Timeout,
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl From<WaitError> for CallError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Timeout => Self::Timeout,
            WaitError::NoWaiter => Self::NoWaiter,
            WaitError::Corrupt => Self::Corrupt,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("there is no answer yet; wait for it"),
            Self::Failed(text) => write!(f, "the call failed: {text}"),
            Self::Broken => f.write_str("the server gave the call up or died; call again"),
            Self::Closed => f.write_str("the service is closed"),
            Self::Full => f.write_str(
                "every place for a call is taken; wait for one, or reclaim those of dead parties",
            ),
            Self::Timeout => f.write_str("timed out: no server answered"),
            Self::NoWaiter => f.write_str(NO_WAITER),
            Self::Corrupt => f.write_str(CORRUPT),
        }
    }
}

impl core::error::Error for CallError {}

/// Why an answer reached nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReplyError {
    /// The client had cancelled the call: it did not want to wait any longer.
    Cancelled,
    /// Another party had broken the call, in the belief that this one was dead.
    Broken,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "the client cancelled the call: nobody waits for the answer",
            Self::Broken => "this party was taken for dead, and the client was told so",
            Self::Corrupt => CORRUPT,
        })
    }
}

impl core::error::Error for ReplyError {}
