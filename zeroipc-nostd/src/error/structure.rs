//! Errors of creating or opening a structure.

use super::NameError;
use crate::name::Name;
use crate::prefix::Kind;
use core::fmt;

/// Why a structure could not be created or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StructureError {
    /// The name is not valid.
    Name(NameError),
    /// No structure has this name.
    NotFound {
        /// The name.
        name: Name,
    },
    /// The name is taken.
    Exists {
        /// The name.
        name: Name,
    },
    /// The structure is of another kind.
    WrongKind {
        /// Its name.
        name: Name,
        /// The kind asked for.
        expected: Kind,
        /// The kind found.
        found: Kind,
    },
    /// The structure has no values that follow one another, or not in a form that can be watched.
    NotAFlow {
        /// Its name.
        name: Name,
        /// Its kind.
        kind: Kind,
    },
    /// The structure's elements have another size.
    WrongElementSize {
        /// Its name.
        name: Name,
        /// Size of the type asked for, in bytes.
        expected: u32,
        /// Size of the elements found, in bytes.
        found: u32,
    },
    /// The keys of a map or set have another size, and its values too.
    WrongKeySize {
        /// Its name.
        name: Name,
        /// Size of the type asked for, in bytes.
        expected: u32,
        /// Size of the keys found, in bytes.
        found: u32,
    },
    /// The structure exists with another capacity (from `open_or_create`).
    WrongCapacity {
        /// Its name.
        name: Name,
        /// Capacity asked for.
        expected: u64,
        /// Capacity found.
        found: u64,
    },
    /// The structure exists in another form: an event of the other mode, a latch with other parties (from
    /// `open_or_create`).
    WrongForm {
        /// Its name.
        name: Name,
    },
    /// The table has no free entry.
    TableFull {
        /// Entries in the table.
        max_entries: u32,
    },
    /// The region has not enough memory left.
    NoSpace {
        /// Bytes that the structure needs.
        needed: u64,
        /// Bytes left.
        available: u64,
    },
    /// Elements of no size cannot be shared.
    ZeroSizedElement,
    /// The element type is larger than an element may be.
    ElementTooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The capacity is not possible for this structure in this geometry.
    BadCapacity {
        /// Capacity asked for.
        capacity: u64,
        /// Smallest capacity possible.
        min: u64,
        /// Largest capacity possible.
        max: u64,
    },
    /// The structure contradicts its own entry: a peer has spoilt it.
    Corrupt {
        /// Its name.
        name: Name,
        /// Which part.
        what: &'static str,
    },
    /// The structure has a layout revision that this library does not know.
    UnknownLayout {
        /// Its name.
        name: Name,
        /// The revision found.
        revision: u8,
    },
    /// The structure has 8-byte words, and this target has no 64-bit atomics.
    NeedsWideAtomics {
        /// Its name.
        name: Name,
    },
    /// This kind of structure needs compare-and-exchange, and the region promises only loads and stores.
    NeedsCas {
        /// The kind.
        kind: Kind,
    },
    /// This kind of structure needs coherent caches, and the region was created for memory without them.
    NeedsCoherence {
        /// The kind.
        kind: Kind,
    },
    /// In a region of loads and stores only the handle that formatted it may create structures.
    NotCreator,
    /// Other parties changed the table without end while we tried.
    Contended,
    /// The region was created anew since this handle was made.
    Stale,
}

impl From<NameError> for StructureError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl fmt::Display for StructureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name(ref error) => error.fmt(f),
            Self::NotFound { name } => {
                write!(f, "no structure is named {name:?}; create it, or check the spelling")
            }
            Self::Exists { name } => write!(f, "the name {name:?} is taken; open it instead"),
            Self::WrongKind { name, expected, found } => {
                write!(f, "{name:?} is of kind {found}, not {expected}")
            }
            Self::NotAFlow { name, kind } => {
                write!(f, "{name:?} is of kind {kind}, whose values do not come one after another")
            }
            Self::WrongElementSize { name, expected, found } => write!(
                f,
                "{name:?} has elements of {found} bytes, not {expected}; open it with the type that it was created with"
            ),
            Self::WrongKeySize { name, expected, found } => write!(
                f,
                "{name:?} has keys of {found} bytes, not {expected}; open it with the types that it was created with"
            ),
            Self::WrongCapacity { name, expected, found } => {
                write!(f, "{name:?} exists with a capacity of {found}, not {expected}")
            }
            Self::WrongForm { name } => {
                write!(f, "{name:?} exists in another form; open it to see which")
            }
            Self::TableFull { max_entries } => write!(
                f,
                "all {max_entries} entries of the table are used; create the region with more"
            ),
            Self::NoSpace { needed, available } => write!(
                f,
                "{needed} bytes are needed and {available} are left; create the region larger"
            ),
            Self::ZeroSizedElement => f.write_str("elements of no size cannot be shared"),
            Self::ElementTooLarge { size } => {
                write!(f, "elements of {size} bytes are too large to be shared")
            }
            Self::BadCapacity { capacity, min, max } => {
                write!(f, "a capacity of {capacity} is not possible here; take {min} to {max}")
            }
            Self::Corrupt { name, what } => write!(
                f,
                "{name:?} is corrupt ({what}): a peer has spoilt it; recreate the region"
            ),
            Self::UnknownLayout { name, revision } => write!(
                f,
                "{name:?} has layout revision {revision}, which is not known here; use a newer library"
            ),
            Self::NeedsWideAtomics { name } => write!(
                f,
                "{name:?} has 8-byte words and this target has no 64-bit atomics; create it with 4-byte words"
            ),
            Self::NeedsCas { kind } => write!(
                f,
                "a {kind} needs compare-and-exchange, which this region does not promise"
            ),
            Self::NeedsCoherence { kind } => write!(
                f,
                "a {kind} needs coherent caches; in this region use a Ring or a Signal with one writer"
            ),
            Self::NotCreator => f.write_str(
                "in a region of loads and stores only the party that formatted it creates structures",
            ),
            Self::Contended => f.write_str("other parties change the table without end; try again"),
            Self::Stale => {
                f.write_str("the region was created anew under this handle; open it again")
            }
        }
    }
}

impl core::error::Error for StructureError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Name(error) => Some(error),
            _ => None,
        }
    }
}
