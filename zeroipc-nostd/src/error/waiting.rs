//! Errors of waiting.

use core::fmt;

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WaitError {
    /// The time was up.
    Timeout,
    /// The region was opened without a notifier, so there is nothing to wait with.
    NoWaiter,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timed out: what was waited for did not come",
            Self::NoWaiter => super::NO_WAITER,
            Self::Corrupt => "corrupt: a peer has spoilt the structure; recreate the region",
        })
    }
}

impl core::error::Error for WaitError {}
