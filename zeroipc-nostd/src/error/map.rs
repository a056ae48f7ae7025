//! Errors of operations on an open Map or Set.

use core::fmt;

/// Why an operation on a [`Map`](crate::Map) or a [`Set`](crate::Set) was not done. The structure is as if it had not been called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MapError {
    /// No room for another key. Exact: at one moment during the call the key was not there and at least as many keys were
    /// as the capacity says.
    ///
    /// Only where more parties are inside operations at once, or were killed inside, than the spares allow for, is it
    /// said with less; then also of a key that is there, whose new value needs a slot of its own for a moment.
    Full,
    /// Other parties changed the same bucket without end while this one looked. Trying again is harmless.
    Contended,
    /// A peer wrote nonsense into the structure.
    Corrupt,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full: remove keys, or create it for more",
            Self::Contended => "other parties change the same bucket without end; try again",
            Self::Corrupt => "corrupt: a peer has spoilt the structure; recreate the region",
        })
    }
}

impl core::error::Error for MapError {}
