//! Errors of making or opening a region, and of names.

use core::fmt;

/// Why a region could not be created or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RegionError {
    /// The address is null.
    NullAddress,
    /// The memory does not start at a multiple of 8.
    Misaligned {
        /// Where it starts.
        address: usize,
    },
    /// The range wraps around the address space, or is longer than an object may be.
    AddressOverflow {
        /// Where it starts.
        address: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// The memory cannot hold the table and the region record.
    TooSmall {
        /// Bytes given.
        size: u64,
        /// Bytes needed at least.
        needed: u64,
    },
    /// The region is too large for version 1 of the table.
    TooLarge {
        /// Bytes given.
        size: u64,
        /// Largest size of that version.
        limit: u64,
    },
    /// The table would need more entries than a table may have.
    TooManyEntries {
        /// Entries asked for.
        entries: u32,
        /// Most that a table may have.
        limit: u32,
    },
    /// The line size is not a power of two from 8 to 128.
    BadLineSize {
        /// Bytes asked for.
        bytes: u32,
    },
    /// The first word is not the magic number.
    WrongMagic {
        /// What stands there.
        found: u32,
    },
    /// The table has a version that this library does not read.
    UnknownVersion {
        /// The version found.
        version: u32,
    },
    /// The region says that it is larger than the memory given.
    Truncated {
        /// Bytes given.
        have: u64,
        /// Bytes that the region was created with.
        recorded: u64,
    },
    /// The table contradicts itself.
    Corrupt {
        /// Which part.
        what: &'static str,
    },
    /// The region needs 64-bit atomics, and this target has none.
    NeedsWideAtomics,
    /// The region's structures were created with compare-and-exchange, and this target has none.
    NeedsCas,
    /// The region lies in memory that caches do not keep coherent, and this party does not maintain its cache.
    NeedsCacheMaintenance,
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NullAddress => f.write_str("the region's address is null"),
            Self::Misaligned { address } => {
                write!(f, "the region starts at {address:#x}, which is not a multiple of 8; align it")
            }
            Self::AddressOverflow { address, len } => {
                write!(f, "{len} bytes at {address:#x} do not fit the address space")
            }
            Self::TooSmall { size, needed } => write!(
                f,
                "a region of {size} bytes is too small: its table needs {needed}; give more memory or ask for fewer entries"
            ),
            Self::TooLarge { size, limit } => write!(
                f,
                "a region of {size} bytes exceeds the {limit} of table version 1; use version 3"
            ),
            Self::TooManyEntries { entries, limit } => {
                write!(f, "{entries} table entries are more than the {limit} that a table may have")
            }
            Self::BadLineSize { bytes } => {
                write!(f, "a line size of {bytes} bytes is not a power of two from 8 to 128")
            }
            Self::WrongMagic { found } => write!(
                f,
                "no ZeroIPC region here: the magic number is {found:#010x}, not 0x5a49504d (it may not have been created yet)"
            ),
            Self::UnknownVersion { version } => write!(
                f,
                "table version {version} is not known here (1 and 3 are); use a newer library or recreate the region"
            ),
            Self::Truncated { have, recorded } => write!(
                f,
                "the region was created with {recorded} bytes, but only {have} are there; map it whole"
            ),
            Self::Corrupt { what } => {
                write!(f, "the region's table is corrupt ({what}); recreate the region")
            }
            Self::NeedsWideAtomics => f.write_str(
                "the region needs 64-bit atomics, which this target lacks; create it as version 1",
            ),
            Self::NeedsCas => f.write_str(
                "the region needs compare-and-exchange, which this target lacks; create it with the LoadStore capability",
            ),
            Self::NeedsCacheMaintenance => f.write_str(
                "the region lies in memory that caches do not keep coherent; open it by Region::open_incoherent",
            ),
        }
    }
}

impl core::error::Error for RegionError {}

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It has more than 31 bytes.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It contains a NUL or another control character.
    Control,
    /// It starts with a dot: such names belong to the region itself.
    Reserved,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("the name is empty; give 1 to 31 bytes"),
            Self::TooLong { len } => write!(f, "the name has {len} bytes; at most 31 fit"),
            Self::Control => f.write_str("the name contains a control character; leave it out"),
            Self::Reserved => f.write_str(
                "names that start with a dot belong to the region itself; choose another",
            ),
        }
    }
}

impl core::error::Error for NameError {}
