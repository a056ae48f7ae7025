//! Emitting, by one of many publishers, and waiting until that is possible.

use super::core::{Refusal, Refused};
use super::Stream;
use crate::element::Element;
use crate::error::EmitError;
use crate::sync::{by_word, Word};
use crate::wait::{Announce, Limit, Wait};
use core::time::Duration;

impl<T: Element> Stream<'_, T> {
    /// Publishes `value` and returns its sequence number. Lock-free: it starts again only when another publisher succeeded, and goes
    /// past one that is stopped after a short while.
    ///
    /// What this party did before is visible to whoever takes the value. Wakes all subscribers that wait, and makes no system
    /// call if nobody does. A publisher that stops inside holds up nobody, and at most one slot is with it; if it is killed there the
    /// slot is gone, and the value was published or not; those that wait may then learn of it only when they look by themselves, within
    /// 100 ms.
    ///
    /// # Errors
    /// [`EmitError::Full`], only with backpressure: exact, but for dead subscribers; [`EmitError::Closed`]; [`EmitError::Blocked`] if
    /// more publishers than the stream has spares for are stopped inside; [`EmitError::SinglePublisher`], [`EmitError::NeedsCas`],
    /// [`EmitError::Corrupt`].
    #[inline]
    pub fn try_emit(&self, value: T) -> Result<u64, EmitError<T>> {
        self.try_emit_as(None, value)
    }

    /// As whatever number is the next, or only as a certain one.
    #[inline(always)]
    pub(super) fn try_emit_as(&self, at: Option<u64>, value: T) -> Result<u64, EmitError<T>> {
        if self.one_publisher {
            return Err(EmitError::SinglePublisher(value));
        }
        if !self.cas {
            return Err(EmitError::NeedsCas(value));
        }
        let emitted =
            by_word!(&self.core, core => core.emit(&value, at.map(Word::low)).map(Word::wide));
        match emitted {
            Ok(sequence) => {
                self.sleepers.ring(&self.notifier);
                Ok(sequence)
            }
            Err(Refused { why, gave_slot }) => {
                if gave_slot {
                    // Somebody may wait for it who is blocked.
                    self.sleepers.ring(&self.notifier);
                }
                Err(refused(why, value))
            }
        }
    }

    /// Publishes `value` and returns its sequence number, waiting as long as it takes: with backpressure for the slowest subscriber;
    /// and for one of the publishers that are stopped inside, if there are more than the stream has spares for.
    ///
    /// A subscriber whose death is known does not count; it is noticed within 100 ms. Publishers that were killed inside are not
    /// noticed: if so many were as the stream has spares, and one more, nobody emits ever again, and only
    /// [`Stream::emit_timeout`] and [`Stream::try_emit`] say so.
    ///
    /// # Errors
    /// As [`Stream::try_emit`], without [`EmitError::Full`] and [`EmitError::Blocked`]; [`EmitError::NoWaiter`] if it would have to
    /// wait and the region was opened without a notifier.
    #[inline]
    pub fn emit(&self, value: T) -> Result<u64, EmitError<T>> {
        match self.try_emit(value) {
            Err(EmitError::Full(value) | EmitError::Blocked(value)) => {
                match self.notifier.forever() {
                    Ok(limit) => self.emit_within(value, limit),
                    Err(error) => Err(EmitError::of_waiting(error, value)),
                }
            }
            emitted => emitted,
        }
    }

    /// Publishes `value`, waiting as [`Stream::emit`] for at most `timeout`.
    ///
    /// # Errors
    /// As [`Stream::emit`]; [`EmitError::Timeout`], never early.
    pub fn emit_timeout(&self, value: T, timeout: Duration) -> Result<u64, EmitError<T>> {
        match self.try_emit(value) {
            Err(EmitError::Full(value) | EmitError::Blocked(value)) => {
                match self.notifier.at_most(timeout) {
                    Ok(limit) => self.emit_within(value, limit),
                    Err(error) => Err(EmitError::of_waiting(error, value)),
                }
            }
            emitted => emitted,
        }
    }

    /// Publishes `value`, waiting as [`Stream::emit`] by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Stream::emit`]; [`EmitError::Timeout`], never before the deadline.
    pub fn emit_with(
        &self,
        value: T,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<u64, EmitError<T>> {
        self.emit_within(value, Limit { waiter, deadline })
    }

    fn emit_within(&self, value: T, limit: Limit<'_>) -> Result<u64, EmitError<T>> {
        self.wait_to_emit(value, limit, || self.try_emit(value))
    }

    /// Repeats `emit` while a subscriber or stopped publishers are in the way; asks for dead subscribers when spinning did not help.
    ///
    /// Each kind of obstacle is slept on where its end is told: room on `space`; what a publisher does that goes on, on the values.
    pub(super) fn wait_to_emit(
        &self,
        value: T,
        limit: Limit<'_>,
        mut emit: impl FnMut() -> Result<u64, EmitError<T>>,
    ) -> Result<u64, EmitError<T>> {
        let Limit { waiter, deadline } = limit;
        loop {
            let mut looks = waiter.spins();
            let mut attempt = |ask: bool| match emit() {
                Err(EmitError::Full(_)) if ask && self.remove_dead_subscribers() > 0 => emit(),
                emitted => emitted,
            };
            let unless_full = |emitted| match emitted {
                Err(EmitError::Full(_)) => None,
                emitted => Some(emitted),
            };
            let emitted = self.space.wait_until(waiter, deadline, || {
                let ask = looks == 0;
                looks = looks.saturating_sub(1);
                unless_full(attempt(ask))
            });
            // A short deadline may have passed before anybody asked.
            match emitted.or_else(|| unless_full(attempt(true))) {
                None => return Err(EmitError::Timeout(value)),
                Some(Err(EmitError::Blocked(_))) => {}
                Some(emitted) => return emitted,
            }
            let emitted = self.sleepers.wait_until(waiter, deadline, || match emit() {
                Err(EmitError::Blocked(_)) => None,
                emitted => Some(emitted),
            });
            match emitted {
                None => return Err(EmitError::Timeout(value)),
                Some(Err(EmitError::Full(_))) if !limit.is_over() => {}
                Some(Err(EmitError::Full(_))) => return Err(EmitError::Timeout(value)),
                Some(emitted) => return emitted,
            }
        }
    }
}

pub(super) fn refused<T>(refusal: Refusal, value: T) -> EmitError<T> {
    match refusal {
        Refusal::Full => EmitError::Full(value),
        Refusal::Closed => EmitError::Closed(value),
        Refusal::NotNext => EmitError::NotNext(value),
        Refusal::Blocked => EmitError::Blocked(value),
        Refusal::Corrupt => EmitError::Corrupt(value),
    }
}
