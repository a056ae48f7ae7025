//! Many elements at once, one after another: each is pushed or popped by itself, and sleepers are woken once, at the end.

use super::Queue;
use crate::element::Element;
use crate::error::{PopError, PopTimeoutError, PushError, PushTimeoutError};
use crate::sync::by_word;
use crate::wait::{deadline_after, Announce, Wait};
use core::time::Duration;

/// # Many at once
///
/// Elements of one call come in order, but those of other producers may come between them. Lock-free; a party that is killed
/// inside has pushed, or popped, some of them.
impl<'a, T: Element> Queue<'a, T> {
    /// Pushes as many of `values` as there is room for, from the first on; returns how many, at least 1 unless `values` is
    /// empty.
    ///
    /// ```
    /// # use zeroipc_nostd::{FormatOptions, PushError, Queue, Region, Span};
    /// # let mut memory = vec![0_u64; 1024];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// # let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
    /// let jobs = Queue::<u16>::create(region, "jobs", 4)?;
    /// assert_eq!(jobs.try_push_slice(&[1, 2, 3])?, 3);
    /// assert_eq!(jobs.try_push_slice(&[4, 5])?, 1);
    /// assert_eq!(jobs.try_push_slice(&[5]), Err(PushError::Full(&[5][..])));
    ///
    /// let mut popped = [0; 3];
    /// assert_eq!(jobs.try_pop_slice(&mut popped)?, 3);
    /// assert_eq!(popped, [1, 2, 3]);
    /// assert_eq!(jobs.peek()?, 4);
    /// assert!(jobs.drain().eq([4]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Queue::try_push`], with all of `values` given back: only if none was pushed.
    #[inline]
    pub fn try_push_slice<'v>(&self, values: &'v [T]) -> Result<usize, PushError<&'v [T]>> {
        let (count, refused) = by_word!(&self.core, core => core.push_many(values));
        match refused {
            Some(error) if count == 0 => return Err(error.with(values)),
            _ => {}
        }
        self.items.notify_many(self.notifier, u32::try_from(count).unwrap_or(u32::MAX));
        Ok(count)
    }

    /// Pops as many elements as `values` has room for, or as there are; returns how many, at least 1 unless `values` is empty.
    ///
    /// # Errors
    /// As [`Queue::try_pop`]: only if none was popped.
    #[inline]
    pub fn try_pop_slice(&self, values: &mut [T]) -> Result<usize, PopError> {
        let (count, refused) = by_word!(&self.core, core => core.pop_many(values));
        match refused {
            Some(error) if count == 0 => return Err(error),
            _ => {}
        }
        self.space.notify_many(self.notifier, u32::try_from(count).unwrap_or(u32::MAX));
        Ok(count)
    }

    /// Pushes as many of `values` as there is room for, waiting for room for the first as long as it takes.
    ///
    /// # Errors
    /// [`PushTimeoutError::Corrupt`], [`PushTimeoutError::NoWaiter`], with all of `values` given back.
    pub fn push_slice<'v>(&self, values: &'v [T]) -> Result<usize, PushTimeoutError<&'v [T]>> {
        match self.notifier.waiter() {
            Some(waiter) => self.push_slice_with(values, waiter, None),
            None => Err(PushTimeoutError::NoWaiter(values)),
        }
    }

    /// Pushes as many of `values` as there is room for, waiting for room for the first for at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::push_timeout`], with all of `values` given back.
    pub fn push_slice_timeout<'v>(
        &self,
        values: &'v [T],
        timeout: Duration,
    ) -> Result<usize, PushTimeoutError<&'v [T]>> {
        match self.notifier.waiter() {
            Some(waiter) => self.push_slice_with(values, waiter, deadline_after(waiter, timeout)),
            None => Err(PushTimeoutError::NoWaiter(values)),
        }
    }

    /// Pushes as many of `values` as there is room for, waiting for room for the first until `deadline` on the waiter's
    /// clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Queue::push_with`], with all of `values` given back.
    pub fn push_slice_with<'v>(
        &self,
        values: &'v [T],
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<usize, PushTimeoutError<&'v [T]>> {
        self.space.wait_to_push(values, waiter, deadline, || self.try_push_slice(values))
    }

    /// Pops as many elements as `values` has room for, or as there are, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// [`PopTimeoutError::Corrupt`], [`PopTimeoutError::NoWaiter`].
    pub fn pop_slice(&self, values: &mut [T]) -> Result<usize, PopTimeoutError> {
        self.pop_slice_with(values, self.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?, None)
    }

    /// Pops as many elements as `values` has room for, or as there are, waiting for the first for at most `timeout`.
    ///
    /// # Errors
    /// As [`Queue::pop_timeout`].
    pub fn pop_slice_timeout(
        &self,
        values: &mut [T],
        timeout: Duration,
    ) -> Result<usize, PopTimeoutError> {
        let waiter = self.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?;
        self.pop_slice_with(values, waiter, deadline_after(waiter, timeout))
    }

    /// Pops as many elements as `values` has room for, or as there are, waiting for the first until `deadline` on the
    /// waiter's clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Queue::pop_with`].
    pub fn pop_slice_with(
        &self,
        values: &mut [T],
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<usize, PopTimeoutError> {
        self.items.wait_to_pop(waiter, deadline, || self.try_pop_slice(values))
    }

    /// A copy of the oldest element, which stays in the queue; another consumer may pop it at any moment. Lock-free.
    ///
    /// # Errors
    /// As [`Queue::try_pop`].
    pub fn peek(&self) -> Result<T, PopError> {
        by_word!(&self.core, core => core.peek())
    }

    /// Pops until nothing is there, or a pop fails otherwise: an iterator that never waits.
    pub fn drain(&self) -> impl Iterator<Item = T> + 'a {
        let queue = *self;
        core::iter::from_fn(move || queue.try_pop().ok())
    }
}
