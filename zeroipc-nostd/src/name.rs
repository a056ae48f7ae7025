//! Names of structures: 1 to 31 bytes of UTF-8.

use crate::error::NameError;
use core::fmt;

/// Bytes of a name in an entry, including at least one NUL.
pub(crate) const NAME_BYTES: usize = 32;

/// The name of a structure: 1 to 31 bytes of UTF-8 without control characters.
///
/// Names that start with a dot are reserved for the region itself and hidden from listings unless asked for.
///
/// ```
/// use zeroipc_nostd::Name;
///
/// assert_eq!(Name::new("temperature")?.as_str(), "temperature");
/// assert!(Name::new("").is_err());
/// assert!(Name::new("a name that is thirty-two bytes!").is_err());
/// # Ok::<(), zeroipc_nostd::NameError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// UTF-8, padded with NULs.
    bytes: [u8; NAME_BYTES],
}

impl Name {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`NameError::Empty`], [`NameError::TooLong`] above 31 bytes, [`NameError::Control`] if it contains a NUL or
    /// another control character.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() >= NAME_BYTES {
            return Err(NameError::TooLong { len: name.len() });
        }
        // The control characters are 0 to 0x1F, 0x7F, and 0x80 to 0x9F, which UTF-8 writes as 0xC2 and themselves.
        let mut before = 0;
        let mut bytes = [0; NAME_BYTES];
        for (to, byte) in bytes.iter_mut().zip(name.bytes()) {
            if byte < 0x20 || byte == 0x7F || (before == 0xC2 && byte < 0xA0) {
                return Err(NameError::Control);
            }
            before = byte;
            *to = byte;
        }
        Ok(Name { bytes })
    }

    /// A name that is known to be one.
    #[allow(clippy::indexing_slicing)] // one that is too long does not compile
    pub(crate) const fn known<const N: usize>(text: &[u8; N]) -> Self {
        const { assert!(N < NAME_BYTES) };
        let mut bytes = [0; NAME_BYTES];
        let mut at = 0;
        while at < N {
            bytes[at] = text[at];
            at += 1;
        }
        Name { bytes }
    }

    /// What an entry holds, if it is a valid name.
    pub(crate) fn from_words(words: [u32; NAME_BYTES / 4]) -> Option<Self> {
        let bytes: [u8; NAME_BYTES] = zerocopy::transmute!(words);
        let len = bytes.iter().position(|b| *b == 0)?;
        let text = core::str::from_utf8(bytes.get(..len)?).ok()?;
        // Bytes after the NUL are not part of the name: an entry that holds some is not one that we wrote.
        Name::new(text).ok().filter(|name| name.bytes == bytes)
    }

    pub(crate) fn to_words(self) -> [u32; NAME_BYTES / 4] {
        zerocopy::transmute!(self.bytes)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.bytes.iter().position(|b| *b == 0).unwrap_or(NAME_BYTES);
        // Both constructors checked the text, so neither fallback is ever taken.
        self.bytes.get(..len).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("")
    }

    /// Whether it is reserved for the region itself (starts with a dot).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.bytes.first() == Some(&b'.')
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Name {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}
