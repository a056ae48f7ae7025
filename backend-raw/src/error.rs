//! Why a range of addresses is no region.

use core::fmt;
use zeroipc_nostd::RegionError;

/// Why a range of addresses cannot be shared, or holds no region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RawError {
    /// The address is null.
    NullAddress,
    /// The address is not a multiple of what is needed.
    Misaligned {
        /// The address.
        address: usize,
        /// What it must be a multiple of, in bytes.
        align: usize,
    },
    /// The length is not a multiple of the line size, so the last line would be shared with something else.
    UnevenLength {
        /// The length in bytes.
        len: usize,
        /// The line size in bytes.
        line: usize,
    },
    /// The line size is not a power of two of at least 8 bytes.
    BadLineSize {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The range ends beyond the address space, or is longer than an object may be.
    AddressOverflow {
        /// The first address.
        address: usize,
        /// The length in bytes.
        len: usize,
    },
    /// The range's end lies before its start.
    Reversed {
        /// The first address.
        start: usize,
        /// The address after the last.
        end: usize,
    },
    /// Two ranges have bytes in common.
    Overlap {
        /// The first address that they have in common.
        address: usize,
        /// How many bytes they have in common.
        len: usize,
    },
    /// The memory is there, but the region in it could not be created or opened.
    Region(RegionError),
}

impl From<RegionError> for RawError {
    fn from(error: RegionError) -> Self {
        Self::Region(error)
    }
}

impl fmt::Display for RawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NullAddress => f.write_str("the region's address is null"),
            Self::Misaligned { address, align } => write!(
                f,
                "the region starts at {address:#x}, which is not a multiple of {align}; align it in the linker script or the allocation"
            ),
            Self::UnevenLength { len, line } => write!(
                f,
                "{len} bytes are not whole lines of {line}; round the length, so that nothing else lies on the last line"
            ),
            Self::BadLineSize { bytes } => {
                write!(f, "a line size of {bytes} bytes is not a power of two of at least 8")
            }
            Self::AddressOverflow { address, len } => {
                write!(f, "{len} bytes at {address:#x} do not fit the address space")
            }
            Self::Reversed { start, end } => {
                write!(f, "the region would end at {end:#x}, before its start at {start:#x}")
            }
            Self::Overlap { address, len } => {
                write!(f, "two regions have {len} bytes at {address:#x} in common; move one of them")
            }
            Self::Region(ref error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RawError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Region(error) => Some(error),
            _ => None,
        }
    }
}
