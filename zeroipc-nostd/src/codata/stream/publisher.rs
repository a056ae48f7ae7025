//! The only publisher of a stream.

use super::core::{Core, Refusal};
use super::Stream;
use crate::element::Element;
use crate::error::EmitError;
use crate::role::Token;
use crate::sync::{by_word, hook, ByWord, Wide, Word};
use crate::wait::{Limit, Wait};
use core::time::Duration;

/// The only publisher of a [`Stream`] that has one: at most one handle in all parties. Loads and stores only.
///
/// From [`Stream::publisher`]; gives the role back when dropped.
#[derive(Debug)]
pub struct Publisher<'a, T> {
    stream: Stream<'a, T>,
    half: ByWord<Half<'a, T, u32>, Half<'a, T, Wide>>,
    token: Token,
}

#[derive(Debug)]
struct Half<'a, T, W: Word> {
    core: Core<'a, T, W>,
    /// The sequence number of the next value: nobody else publishes.
    next: W,
    closed: bool,
}

impl<'a, T: Element, W: Word> Half<'a, T, W> {
    fn new(core: Core<'a, T, W>) -> Self {
        // By the entries: the last holder may have died between publishing and moving the hint.
        let next = core.log.next();
        Half { core, next, closed: core.log.is_closed(next) }
    }

    #[inline(always)]
    fn try_emit(&mut self, value: &T) -> Result<u64, Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        let sequence = self.next;
        self.core.emit_alone(sequence, value)?;
        self.next = sequence.plus(W::ONE);
        Ok(sequence.wide())
    }

    fn close(&mut self) -> bool {
        if !self.closed {
            self.core.log.close_alone(self.next);
        }
        !core::mem::replace(&mut self.closed, true)
    }
}

impl<'a, T: Element> Publisher<'a, T> {
    pub(super) fn new(stream: Stream<'a, T>, token: Token) -> Self {
        let half = match stream.core {
            ByWord::W4(core) => ByWord::W4(Half::new(core)),
            ByWord::W8(core, having) => ByWord::W8(Half::new(core), having),
        };
        Publisher { stream, half, token }
    }

    /// Publishes `value`; returns its sequence number. Wait-free, and no read-modify-write.
    ///
    /// What this party did before is visible to whoever takes the value. Wakes all that wait, and makes no system call if nobody
    /// does. A publisher killed inside has published the value or not; subscribers go on.
    ///
    /// # Errors
    /// [`EmitError::Full`], only with backpressure; [`EmitError::Closed`].
    #[inline]
    pub fn try_emit(&mut self, value: T) -> Result<u64, EmitError<T>> {
        let emitted = by_word!(&mut self.half, half => half.try_emit(&value));
        match emitted {
            Ok(sequence) => {
                self.stream.sleepers.ring(&self.stream.notifier);
                Ok(sequence)
            }
            Err(refusal) => Err(super::emit::refused(refusal, value)),
        }
    }

    /// Publishes `value`, with backpressure waiting for the slowest subscriber as long as it takes, as [`Stream::emit`].
    ///
    /// # Errors
    /// As [`Stream::emit`].
    #[inline]
    pub fn emit(&mut self, value: T) -> Result<u64, EmitError<T>> {
        match self.try_emit(value) {
            Err(EmitError::Full(value)) => match self.stream.notifier.forever() {
                Ok(limit) => self.emit_within(value, limit),
                Err(error) => Err(EmitError::of_waiting(error, value)),
            },
            emitted => emitted,
        }
    }

    /// Publishes `value`, with backpressure waiting for the slowest subscriber for at most `timeout`.
    ///
    /// # Errors
    /// As [`Stream::emit_timeout`].
    pub fn emit_timeout(&mut self, value: T, timeout: Duration) -> Result<u64, EmitError<T>> {
        match self.try_emit(value) {
            Err(EmitError::Full(value)) => match self.stream.notifier.at_most(timeout) {
                Ok(limit) => self.emit_within(value, limit),
                Err(error) => Err(EmitError::of_waiting(error, value)),
            },
            emitted => emitted,
        }
    }

    /// Publishes `value`, with backpressure waiting for the slowest subscriber by `waiter` until `deadline` on its clock.
    ///
    /// # Errors
    /// As [`Stream::emit_with`].
    pub fn emit_with(
        &mut self,
        value: T,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<u64, EmitError<T>> {
        self.emit_within(value, Limit { waiter, deadline })
    }

    fn emit_within(&mut self, value: T, limit: Limit<'_>) -> Result<u64, EmitError<T>> {
        let stream = self.stream;
        stream.wait_to_emit(value, limit, || self.try_emit(value))
    }

    /// Ends the stream: subscribers take what is left and are told. False if it was closed already.
    ///
    /// Wait-free. Wakes all that wait.
    pub fn close(&mut self) -> bool {
        let closed = by_word!(&mut self.half, half => half.close());
        self.stream.sleepers.ring(&self.stream.notifier);
        closed
    }

    /// The sequence number of the next value.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        by_word!(&self.half, half => half.next.wide())
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &Stream<'a, T> {
        &self.stream
    }
}

impl<T> Drop for Publisher<'_, T> {
    fn drop(&mut self) {
        if hook::is_abandoned() {
            return;
        }
        self.stream.role.release(&self.token);
    }
}
