//! The producer's end of a ring.

use super::ahead::{elements_ahead, starts_line};
use super::{Ends, Ring};
use crate::element::Element;
use crate::error::{PushError, PushTimeoutError};
use crate::role::Token;
use crate::sync::{by_word, ByWord, Wide, Word};
use crate::wait::{deadline_after, Announce, Ringer, Wait};
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

/// The producer's end of a [`Ring`]: one at a time in all parties.
#[derive(Debug)]
pub struct Producer<'a, T> {
    pub(super) ring: Ring<'a, T>,
    pub(super) half: ByWord<Half<'a, T, u32>, Half<'a, T, Wide>>,
    token: Token,
    pub(super) items: Ringer<'a>,
}

#[derive(Debug)]
pub(super) struct Half<'a, T, W: Word> {
    pub(super) ends: Ends<'a, T, W>,
    /// What `tail` holds: nobody else writes it. Points to a slot that is free unless the ring is full.
    pub(super) tail: W,
    /// What `head` held when we last looked, plus the capacity: until `tail` is there, there is room.
    pub(super) limit: W,
}

impl<'a, T, W: Word> Half<'a, T, W> {
    fn new(ends: Ends<'a, T, W>) -> Self {
        // Nobody else writes `tail`, and the role's acquire made it current.
        let tail = ends.tail.load(Relaxed);
        // Starts as if full, so that the first push looks at `head` and checks it.
        Half { ends, tail, limit: tail }
    }
}

impl<T: Element, W: Word> Half<'_, T, W> {
    #[inline(always)]
    fn try_push(&mut self, value: T) -> Result<(), PushError<T>> {
        let tail = self.tail;
        if tail == self.limit && !self.look_for_room(&value)? {
            return Err(PushError::Full(value));
        }
        let ahead = tail.index().wrapping_add(elements_ahead::<T>());
        if starts_line::<T>(tail.index()) && self.limit.minus(tail).index() > elements_ahead::<T>()
        {
            self.ends.slots.prefetch_for_write(ahead);
        }
        self.ends.slots.write(tail.index(), &value);
        self.tail = tail.plus(W::ONE);
        self.ends.publish(tail, 1, self.tail);
        Ok(())
    }

    #[cold]
    fn look_for_room(&mut self, value: &T) -> Result<bool, PushError<T>> {
        let head = self.ends.head_now();
        let Some(used) = self.ends.between(head, self.tail) else {
            return Err(PushError::Corrupt(*value));
        };
        self.limit = head.plus(self.ends.capacity);
        Ok(used != self.ends.capacity)
    }
}

impl<'a, T: Element> Producer<'a, T> {
    pub(super) fn new(ring: Ring<'a, T>, token: Token) -> Self {
        let half = match ring.ends {
            ByWord::W4(ends) => ByWord::W4(Half::new(ends)),
            ByWord::W8(ends, having) => ByWord::W8(Half::new(ends), having),
        };
        Producer { ring, half, token, items: Ringer::new(ring.items, ring.notifier) }
    }

    /// Pushes `value` unless the ring is full. Wait-free: at most one look at the consumer's counter.
    ///
    /// What the producer wrote before is visible to the consumer that pops the value. A producer killed inside has
    /// pushed the value or not; a stopped consumer only lets the ring fill up.
    ///
    /// # Errors
    /// [`PushError::Full`]; [`PushError::Corrupt`] if the consumer's counter is impossible.
    #[inline]
    pub fn try_push(&mut self, value: T) -> Result<(), PushError<T>> {
        by_word!(&mut self.half, half => half.try_push(value))?;
        self.items.ring();
        Ok(())
    }

    /// Pushes `value`, waiting for room as long as it takes: [`Producer::push_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`PushTimeoutError::Corrupt`], [`PushTimeoutError::NoWaiter`].
    pub fn push(&mut self, value: T) -> Result<(), PushTimeoutError<T>> {
        match self.ring.notifier.waiter() {
            Some(waiter) => self.push_with(value, waiter, None),
            None => Err(PushTimeoutError::NoWaiter(value)),
        }
    }

    /// Pushes `value`, waiting for room for at most `timeout`, asleep if it takes long.
    ///
    /// Waits for the consumer. Needs a region with a notifier, which `zeroipc::Memory` has.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`], never early; [`PushTimeoutError::Corrupt`]; [`PushTimeoutError::NoWaiter`] if the
    /// region was opened without a notifier.
    pub fn push_timeout(&mut self, value: T, timeout: Duration) -> Result<(), PushTimeoutError<T>> {
        match self.ring.notifier.waiter() {
            Some(waiter) => self.push_with(value, waiter, deadline_after(waiter, timeout)),
            None => Err(PushTimeoutError::NoWaiter(value)),
        }
    }

    /// Pushes `value`, waiting for room until `deadline` on the waiter's clock; for ever if there is none.
    ///
    /// Waits for the consumer. If it is dead this returns at the deadline.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`], never before the deadline; [`PushTimeoutError::Corrupt`].
    pub fn push_with(
        &mut self,
        value: T,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<(), PushTimeoutError<T>> {
        let space = self.ring.space;
        space.wait_to_push(value, waiter, deadline, || self.try_push(value))
    }

    /// The ring.
    #[must_use]
    pub fn ring(&self) -> &Ring<'a, T> {
        &self.ring
    }
}

impl<T> Drop for Producer<'_, T> {
    fn drop(&mut self) {
        self.ring.producer.release(&self.token);
    }
}
