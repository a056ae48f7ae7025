//! The text of an error, as it is kept in a region.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | its length in bytes |
//! | 4 | 116 | UTF-8, then zeros |

use core::fmt;

const LENGTH_BYTES: usize = 4;
const RECORD_BYTES: usize = LENGTH_BYTES + FailureText::MAX_BYTES;

/// As it stands in a region: a plain element.
pub(super) type Record = [u8; RECORD_BYTES];

/// Bytes of a text in a region.
pub(super) const TEXT_BYTES: u64 = RECORD_BYTES as u64;

/// What went wrong, in words: as much of them as a region keeps, at most 116 bytes of UTF-8.
///
/// ```
/// use zeroipc_nostd::FailureText;
///
/// let text = FailureText::new("no such sensor");
/// assert_eq!(text.as_str(), "no such sensor");
/// assert_eq!(FailureText::display(format_args!("error {}", 5)), FailureText::new("error 5"));
/// assert!(FailureText::new(&"é".repeat(100)).as_str().len() <= FailureText::MAX_BYTES);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FailureText(Record);

impl FailureText {
    /// The most bytes that are kept.
    pub const MAX_BYTES: usize = 116;

    const EMPTY: Self = FailureText([0; RECORD_BYTES]);

    /// The text, cut before the first character that does not fit.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut new = Self::EMPTY;
        new.append(text);
        new
    }

    /// What `error` shows, cut before the first character that does not fit.
    #[must_use]
    pub fn display(error: impl fmt::Display) -> Self {
        let mut new = Self::EMPTY;
        // Fails where it was cut.
        let _ = fmt::Write::write_fmt(&mut new, format_args!("{error}"));
        new
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        Self::parse(&self.0).unwrap_or("")
    }

    /// What stands in a region; `None` if it is no text.
    pub(super) fn from_record(record: Record) -> Option<Self> {
        let text = Self::parse(&record)?;
        // Made anew, so that what a peer left behind its end makes no difference.
        Some(Self::new(text))
    }

    pub(super) fn record(&self) -> &Record {
        &self.0
    }

    fn parse(record: &Record) -> Option<&str> {
        let (length, bytes) = record.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        core::str::from_utf8(bytes.get(..length)?).ok()
    }

    /// Appends as much as fits; false if that was not all.
    fn append(&mut self, text: &str) -> bool {
        let old = self.as_str().len();
        let mut end = text.len().min(Self::MAX_BYTES - old.min(Self::MAX_BYTES));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let Some((length, bytes)) = self.0.split_first_chunk_mut::<LENGTH_BYTES>() else {
            return false;
        };
        let (to, from) = (bytes.get_mut(old..old + end), text.as_bytes().get(..end));
        if let (Some(to), Some(from)) = (to, from) {
            to.copy_from_slice(from);
            *length = ((old + end) as u32).to_le_bytes();
        }
        end == text.len()
    }
}

impl fmt::Write for FailureText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.append(text) {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

impl fmt::Debug for FailureText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for FailureText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for FailureText {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}
