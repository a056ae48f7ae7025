//! Errors of a Signal.

use core::fmt;

/// Why an operation on a [`Signal`](crate::Signal) did not do what it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SignalError {
    /// Others set the value without end while this call tried. Nothing was changed; trying again is harmless.
    Contended,
    /// Every slot is with a writer that has stopped inside, or was killed there. Readers go on; a writer can try again, and
    /// succeeds as soon as one of them goes on.
    Blocked,
    /// The version is not the expected one.
    Changed {
        /// The version that was found.
        version: u64,
    },
    /// The signal has one writer, who holds the role: see [`Signal::writer`](crate::Signal::writer).
    SingleWriter,
    /// The signal is set by anybody, so there is no writer's role to take.
    ManyWriters,
    /// The writer's role is held by another handle.
    RoleTaken,
    /// Setting needs compare-and-exchange, which this region or this party does not have.
    NeedsCas,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contended => f.write_str("others set the value without end; try again"),
            Self::Blocked => f.write_str(
                "every slot is with a writer that stopped inside; try again, or create with more slots",
            ),
            Self::Changed { version } => write!(f, "the version is {version} by now"),
            Self::SingleWriter => {
                f.write_str("this signal has one writer; take the role, and set by its handle")
            }
            Self::ManyWriters => f.write_str("this signal is set by anybody; set it without a role"),
            Self::RoleTaken => super::RoleTaken.fmt(f),
            Self::NeedsCas => {
                f.write_str("setting needs compare-and-exchange, which is not to be had here")
            }
            Self::Corrupt => {
                f.write_str("corrupt: a peer has spoilt the structure; recreate the region")
            }
        }
    }
}

impl core::error::Error for SignalError {}
