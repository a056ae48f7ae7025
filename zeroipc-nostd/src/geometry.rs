//! Word size and line size: how a structure is spread over memory, chosen by its creator.

use crate::error::RegionError;
use crate::sync::HAS_WIDE;
use core::fmt;

/// The width of counters, sequence numbers and tagged words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WordSize {
    /// 4 bytes: what a 32-bit microcontroller can use.
    Four,
    /// 8 bytes: counters that never wrap; needs 64-bit atomics in every party.
    Eight,
}

impl WordSize {
    /// The widest that this target has.
    pub const NATIVE: WordSize = if HAS_WIDE { WordSize::Eight } else { WordSize::Four };

    /// In bytes: 4 or 8.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            WordSize::Four => 4,
            WordSize::Eight => 8,
        }
    }
}

/// Word size and line size of a structure.
///
/// The line size is how far apart words of different writers are kept: the cache line of the machines that share the
/// region (64 on most, 128 on some, 32 on Cortex-M7), or 8 where there is no cache and memory is dear.
///
/// ```
/// use zeroipc_nostd::{Geometry, WordSize};
///
/// let small = Geometry::new(WordSize::Four, 8)?;
/// assert_eq!(small.line_bytes(), 8);
/// assert_eq!(Geometry::default().line_bytes(), 64);
/// # Ok::<(), zeroipc_nostd::RegionError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Geometry {
    word: WordSize,
    line: u8,
}

/// The layout revision that this library writes and reads.
const REVISION: u8 = 1;

impl Geometry {
    /// 4-byte words, lines of 8 bytes: what every party can use and what takes the least memory.
    pub const SMALLEST: Geometry = Geometry { word: WordSize::Four, line: 8 };

    /// A geometry.
    ///
    /// # Errors
    /// [`RegionError::BadLineSize`] unless `line_bytes` is 8, 16, 32, 64 or 128.
    pub const fn new(word: WordSize, line_bytes: u32) -> Result<Self, RegionError> {
        match line_bytes {
            8 | 16 | 32 | 64 | 128 => Ok(Geometry { word, line: line_bytes as u8 }),
            _ => Err(RegionError::BadLineSize { bytes: line_bytes }),
        }
    }

    /// The word size.
    #[must_use]
    pub const fn word(self) -> WordSize {
        self.word
    }

    /// The word size in bytes.
    #[must_use]
    pub const fn word_bytes(self) -> u32 {
        self.word.bytes()
    }

    /// The line size in bytes.
    #[must_use]
    pub const fn line_bytes(self) -> u32 {
        self.line as u32
    }

    /// The `geometry` word of a prefix: word size, line size, layout revision, 0, from the lowest byte up.
    pub(crate) const fn to_bits(self) -> u32 {
        u32::from_le_bytes([self.word.bytes() as u8, self.line, REVISION, 0])
    }

    pub(crate) fn from_bits(bits: u32) -> Result<Self, BadGeometry> {
        let [word, line, revision, zero] = bits.to_le_bytes();
        if revision != REVISION || zero != 0 {
            return Err(BadGeometry::Revision(revision));
        }
        let word = match word {
            4 => WordSize::Four,
            8 => WordSize::Eight,
            _ => return Err(BadGeometry::Invalid),
        };
        Geometry::new(word, u32::from(line)).map_err(|_| BadGeometry::Invalid)
    }
}

/// What can be wrong with a `geometry` word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadGeometry {
    Revision(u8),
    Invalid,
}

impl Default for Geometry {
    /// The widest word that this target has, and lines of 64 bytes.
    fn default() -> Self {
        Geometry { word: WordSize::NATIVE, line: 64 }
    }
}

impl fmt::Debug for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "word {} line {}", self.word_bytes(), self.line)
    }
}

/// `value` rounded up to a multiple of `to`, a power of two.
pub(crate) const fn align_up(value: u64, to: u64) -> Option<u64> {
    match value.checked_add(to - 1) {
        Some(sum) => Some(sum & !(to - 1)),
        None => None,
    }
}
