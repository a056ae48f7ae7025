//! Many elements at once: one look at the other side's counter, one copy, one store of the own counter, one ring of the bell.

use super::consumer::{self, Consumer};
use super::producer::{self, Producer};
use crate::element::Element;
use crate::error::{PopError, PopTimeoutError, PushError, PushTimeoutError};
use crate::sync::{by_word, Word};
use crate::wait::{deadline_after, Announce, Wait};
use core::time::Duration;

impl<T: Element, W: Word> producer::Half<'_, T, W> {
    /// How many of `wanted` slots are free from `tail` on; `None` if the consumer's counter is impossible.
    #[inline]
    fn room(&mut self, wanted: usize) -> Option<usize> {
        let mut room = self.limit.minus(self.tail);
        if room.index() < wanted && room != self.ends.capacity {
            let head = self.ends.head_now();
            self.ends.between(head, self.tail)?;
            self.limit = head.plus(self.ends.capacity);
            room = self.limit.minus(self.tail);
        }
        // At most the capacity, which was checked against this target's `usize` when the ring was opened.
        Some(room.index().min(wanted))
    }

    /// Publishes the next `count` slots, which are free and written.
    #[inline]
    fn publish(&mut self, count: usize) {
        let from = self.tail;
        self.tail = from.plus(W::low(count as u64));
        self.ends.publish(from, count, self.tail);
    }
}

impl<T: Element, W: Word> consumer::Half<'_, T, W> {
    /// How many of `wanted` elements are there from `head` on; `None` if the producer's counter is impossible.
    #[inline]
    fn there(&mut self, wanted: usize) -> Option<usize> {
        let mut there = self.tail.minus(self.head);
        if there.index() < wanted && there != self.ends.capacity {
            let tail = self.ends.tail_now();
            there = self.ends.between(self.head, tail)?;
            self.tail = tail;
        }
        let there = there.index().min(wanted);
        self.ends.caches.invalidate_slots(&self.ends.slots, self.head.index(), there);
        Some(there)
    }

    /// Frees the next `count` slots, whose elements have been read.
    #[inline]
    fn free(&mut self, count: usize) {
        self.head = self.head.plus(W::low(count as u64));
        self.ends.free(self.head);
    }
}

/// # Many at once
///
/// Each of these looks at the consumer's counter at most once, publishes all that it pushes by one store, and rings for a
/// sleeper once. Wait-free, linear in the number of elements. A producer killed inside has pushed all of them or none.
impl<'a, T: Element> Producer<'a, T> {
    /// Pushes as many of `values` as there is room for, from the first on; returns how many, at least 1 unless `values` is
    /// empty.
    ///
    /// ```
    /// # use zeroipc_nostd::{FormatOptions, PushError, Region, Ring, Span};
    /// # let mut memory = vec![0_u64; 1024];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// # let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
    /// let samples = Ring::<u16>::create(region, "samples", 4)?;
    /// let (mut producer, mut consumer) = (samples.producer()?, samples.consumer()?);
    /// assert_eq!(producer.try_push_slice(&[1, 2, 3])?, 3);
    /// assert_eq!(producer.try_push_slice(&[4, 5, 6])?, 1);
    /// assert!(matches!(producer.try_push_slice(&[5, 6]), Err(PushError::Full([5, 6]))));
    ///
    /// let mut popped = [0; 8];
    /// assert_eq!(consumer.try_pop_slice(&mut popped)?, 4);
    /// assert_eq!(popped[..4], [1, 2, 3, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Producer::try_push`], with all of `values` given back: [`PushError::Full`] if there is room for none of them.
    #[inline]
    pub fn try_push_slice<'v>(&mut self, values: &'v [T]) -> Result<usize, PushError<&'v [T]>> {
        match self.push_some(values, 1) {
            Some(0) if !values.is_empty() => Err(PushError::Full(values)),
            Some(count) => Ok(count),
            None => Err(PushError::Corrupt(values)),
        }
    }

    /// Pushes all of `values`, or none if there is not room for all.
    ///
    /// # Errors
    /// As [`Producer::try_push`]: [`PushError::Full`] if not all fit now, and always if there are more than the capacity.
    #[inline]
    pub fn try_push_exact<'v>(&mut self, values: &'v [T]) -> Result<(), PushError<&'v [T]>> {
        match self.push_some(values, values.len()) {
            Some(count) if count == values.len() => Ok(()),
            Some(_) => Err(PushError::Full(values)),
            None => Err(PushError::Corrupt(values)),
        }
    }

    /// Pushes as many of `values` as there is room for, waiting until there is room for one, as long as it takes; returns
    /// how many.
    ///
    /// To push all: `while !values.is_empty() { values = &values[producer.push_slice(values)?..]; }`.
    ///
    /// # Errors
    /// [`PushTimeoutError::Corrupt`], [`PushTimeoutError::NoWaiter`].
    pub fn push_slice<'v>(&mut self, values: &'v [T]) -> Result<usize, PushTimeoutError<&'v [T]>> {
        match self.ring.notifier.waiter() {
            Some(waiter) => self.push_slice_with(values, waiter, None),
            None => Err(PushTimeoutError::NoWaiter(values)),
        }
    }

    /// [`Producer::push_slice`] for at most `timeout`.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`], never early; [`PushTimeoutError::Corrupt`]; [`PushTimeoutError::NoWaiter`] if the
    /// region was opened without a notifier.
    pub fn push_slice_timeout<'v>(
        &mut self,
        values: &'v [T],
        timeout: Duration,
    ) -> Result<usize, PushTimeoutError<&'v [T]>> {
        match self.ring.notifier.waiter() {
            Some(waiter) => self.push_slice_with(values, waiter, deadline_after(waiter, timeout)),
            None => Err(PushTimeoutError::NoWaiter(values)),
        }
    }

    /// [`Producer::push_slice`] until `deadline` on the waiter's clock; for ever if there is none.
    ///
    /// Waits for the consumer. If it is dead this returns at the deadline.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`], never before the deadline; [`PushTimeoutError::Corrupt`].
    pub fn push_slice_with<'v>(
        &mut self,
        values: &'v [T],
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<usize, PushTimeoutError<&'v [T]>> {
        let space = self.ring.space;
        space.wait_to_push(values, waiter, deadline, || self.try_push_slice(values))
    }

    /// Pushes what there is room for, if that is at least `least`; returns how many there was room for.
    #[inline]
    fn push_some(&mut self, values: &[T], least: usize) -> Option<usize> {
        let count = by_word!(&mut self.half, half => {
            let count = half.room(values.len())?;
            if count == 0 || count < least {
                return Some(count);
            }
            half.ends.slots.write_slice(half.tail.index(), values.get(..count)?);
            half.publish(count);
            count
        });
        self.items.ring();
        Some(count)
    }

    /// How many of `wanted` slots are free; `None` if the consumer's counter is impossible.
    #[inline]
    pub(super) fn room(&mut self, wanted: usize) -> Option<usize> {
        by_word!(&mut self.half, half => half.room(wanted))
    }

    /// Publishes the next `count` slots, which [`Producer::room`] found free, and which are written.
    #[inline]
    pub(super) fn publish(&mut self, count: usize) {
        if count > 0 {
            by_word!(&mut self.half, half => half.publish(count));
            self.items.ring();
        }
    }
}

/// # Many at once
///
/// Each of these looks at the producer's counter at most once, frees all that it pops by one store, and rings for a sleeper
/// once. Wait-free, linear in the number of elements. A consumer killed inside has popped all of them or none.
impl<'a, T: Element> Consumer<'a, T> {
    /// Pops as many elements as are there and `values` has room for, into its start; returns how many, at least 1 unless
    /// `values` is empty.
    ///
    /// # Errors
    /// As [`Consumer::try_pop`]: [`PopError::Empty`] if there is none.
    #[inline]
    pub fn try_pop_slice(&mut self, values: &mut [T]) -> Result<usize, PopError> {
        let wanted = values.len();
        match self.pop_some(values, 1) {
            Some(0) if wanted > 0 => Err(PopError::Empty),
            Some(count) => Ok(count),
            None => Err(PopError::Corrupt),
        }
    }

    /// Pops as many elements as `values` has room for, or none if there are not so many; then `values` is not changed.
    ///
    /// # Errors
    /// As [`Consumer::try_pop`]: [`PopError::Empty`] if not enough are there now, and always if `values` is longer than the
    /// capacity.
    #[inline]
    pub fn try_pop_exact(&mut self, values: &mut [T]) -> Result<(), PopError> {
        let wanted = values.len();
        match self.pop_some(values, wanted) {
            Some(count) if count == wanted => Ok(()),
            Some(_) => Err(PopError::Empty),
            None => Err(PopError::Corrupt),
        }
    }

    /// Pops as many elements as are there and `values` has room for, waiting until there is one, as long as it takes;
    /// returns how many.
    ///
    /// # Errors
    /// [`PopTimeoutError::Corrupt`], [`PopTimeoutError::NoWaiter`].
    pub fn pop_slice(&mut self, values: &mut [T]) -> Result<usize, PopTimeoutError> {
        let waiter = self.ring.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?;
        self.pop_slice_with(values, waiter, None)
    }

    /// [`Consumer::pop_slice`] for at most `timeout`.
    ///
    /// # Errors
    /// [`PopTimeoutError::Timeout`], never early; [`PopTimeoutError::Corrupt`]; [`PopTimeoutError::NoWaiter`] if the
    /// region was opened without a notifier.
    pub fn pop_slice_timeout(
        &mut self,
        values: &mut [T],
        timeout: Duration,
    ) -> Result<usize, PopTimeoutError> {
        let waiter = self.ring.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?;
        self.pop_slice_with(values, waiter, deadline_after(waiter, timeout))
    }

    /// [`Consumer::pop_slice`] until `deadline` on the waiter's clock; for ever if there is none.
    ///
    /// Waits for the producer. If it is dead this returns at the deadline.
    ///
    /// # Errors
    /// [`PopTimeoutError::Timeout`], never before the deadline; [`PopTimeoutError::Corrupt`].
    pub fn pop_slice_with(
        &mut self,
        values: &mut [T],
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<usize, PopTimeoutError> {
        let items = self.ring.items;
        items.wait_to_pop(waiter, deadline, || self.try_pop_slice(values))
    }

    /// A copy of the oldest element, which stays. Wait-free: at most one look at the producer's counter.
    ///
    /// ```
    /// # use zeroipc_nostd::{FormatOptions, Region, Ring, Span};
    /// # let mut memory = vec![0_u64; 1024];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// # let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
    /// let samples = Ring::<u16>::create(region, "samples", 4)?;
    /// let (mut producer, mut consumer) = (samples.producer()?, samples.consumer()?);
    /// producer.try_push_slice(&[1, 2, 3])?;
    /// assert_eq!(consumer.peek(), Ok(1));
    /// assert_eq!(consumer.skip(2), Ok(2));
    /// assert_eq!(consumer.peek(), Ok(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PopError::Empty`]; [`PopError::Corrupt`] if the producer's counter is impossible.
    #[inline]
    pub fn peek(&mut self) -> Result<T, PopError> {
        by_word!(&mut self.half, half => match half.there(1) {
            Some(1) => Ok(half.ends.slots.read(half.head.index())),
            Some(_) => Err(PopError::Empty),
            None => Err(PopError::Corrupt),
        })
    }

    /// Drops the oldest `count` elements, or all if there are fewer; returns how many. Wait-free, in constant time.
    ///
    /// # Errors
    /// [`PopError::Corrupt`] if the producer's counter is impossible.
    #[inline]
    pub fn skip(&mut self, count: usize) -> Result<usize, PopError> {
        let count = self.there(count).ok_or(PopError::Corrupt)?;
        self.free(count);
        Ok(count)
    }

    /// Pops what is there, if that is at least `least`; returns how many there were.
    #[inline]
    fn pop_some(&mut self, values: &mut [T], least: usize) -> Option<usize> {
        let count = by_word!(&mut self.half, half => {
            let count = half.there(values.len())?;
            if count == 0 || count < least {
                return Some(count);
            }
            half.ends.slots.read_slice(half.head.index(), values.get_mut(..count)?);
            half.free(count);
            count
        });
        self.space.ring();
        Some(count)
    }

    /// How many of `wanted` elements are there; `None` if the producer's counter is impossible.
    #[inline]
    pub(super) fn there(&mut self, wanted: usize) -> Option<usize> {
        by_word!(&mut self.half, half => half.there(wanted))
    }

    /// Frees the next `count` slots, which [`Consumer::there`] found filled, and whose elements have been read.
    #[inline]
    pub(super) fn free(&mut self, count: usize) {
        if count > 0 {
            by_word!(&mut self.half, half => half.free(count));
            self.space.ring();
        }
    }
}
