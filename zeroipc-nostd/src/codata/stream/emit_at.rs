//! Values by their sequence numbers: publishing one as a certain number or not at all, so that each value of a restarted
//! publisher comes once; and looking at one without subscribing.

use super::core::Look;
use super::Stream;
use crate::element::Element;
use crate::error::{EmitError, NextError};
use crate::sync::{by_word, Word};
use crate::wait::{Limit, Wait};

impl<T: Element> Stream<'_, T> {
    /// Publishes `value` if `sequence` is the number of the next value, and as that.
    ///
    /// As [`Stream::try_emit`] otherwise. A publisher that knows which value it publishes as which number may try again whatever
    /// happened, also after it was killed and restarted, or with another one that does the same beside it: each comes once.
    ///
    /// ```
    /// use zeroipc_nostd::{EmitError, FormatOptions, Region, Span, Stream};
    ///
    /// # let mut memory = vec![0_u64; 1024];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
    /// let lines = Stream::<u32>::create(region, "lines", 4)?;
    /// assert_eq!(lines.try_emit_at(0, 7), Ok(0));
    /// assert_eq!(lines.try_emit_at(0, 7), Err(EmitError::NotNext(7))); // it came already
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`EmitError::NotNext`] if another value has this number, or if it is not the turn of this number yet; otherwise as
    /// [`Stream::try_emit`].
    pub fn try_emit_at(&self, sequence: u64, value: T) -> Result<u64, EmitError<T>> {
        self.try_emit_as(Some(sequence), value)
    }

    /// As [`Stream::try_emit_at`], waiting as [`Stream::emit`] by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Stream::try_emit_at`], without [`EmitError::Full`] and [`EmitError::Blocked`]; [`EmitError::Timeout`], never before the deadline.
    pub fn emit_at_with(
        &self,
        sequence: u64,
        value: T,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<u64, EmitError<T>> {
        let limit = Limit { waiter, deadline };
        self.wait_to_emit(value, limit, || self.try_emit_at(sequence, value))
    }

    /// The value with this sequence number, if it is still there. Wait-free; needs loads only, and no place for a subscriber.
    ///
    /// ```
    /// use zeroipc_nostd::{FormatOptions, NextError, Region, Span, Stream};
    ///
    /// # let mut memory = vec![0_u64; 1024];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
    /// let levels = Stream::<u32>::create(region, "levels", 2)?;
    /// for level in [10, 11, 12] {
    ///     levels.emit(level)?;
    /// }
    /// assert_eq!(levels.get(levels.next_sequence() - 1), Ok(12)); // the newest
    /// assert_eq!(levels.get(0), Err(NextError::Lagged { missed: 1 }));
    /// assert_eq!(levels.get(3), Err(NextError::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NextError::Lagged`] if it was overwritten: so many values from it on were. [`NextError::Empty`] if it was not published yet,
    /// [`NextError::Closed`] if it is the first that never will be; [`NextError::Corrupt`].
    pub fn get(&self, sequence: u64) -> Result<T, NextError> {
        let look = by_word!(&self.core, core => core.read(Word::low(sequence)));
        match look {
            Look::Value(value) => Ok(value),
            Look::Nothing => Err(NextError::Empty),
            Look::End => Err(NextError::Closed),
            Look::Overwritten => {
                let missed = self.oldest_sequence().saturating_sub(sequence).max(1);
                Err(NextError::Lagged { missed })
            }
            Look::Corrupt => Err(NextError::Corrupt),
        }
    }
}
