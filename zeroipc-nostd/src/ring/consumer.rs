//! The consumer's end of a ring.

use super::ahead::{elements_ahead, starts_line};
use super::{Ends, Ring};
use crate::element::Element;
use crate::error::{PopError, PopTimeoutError};
use crate::role::Token;
use crate::sync::{by_word, rest_after_a_look, ByWord, Wide, Word};
use crate::wait::{deadline_after, Announce, Ringer, Wait, WaitWord};
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

/// The consumer's end of a [`Ring`]: one at a time in all parties.
#[derive(Debug)]
pub struct Consumer<'a, T> {
    pub(super) ring: Ring<'a, T>,
    pub(super) half: ByWord<Half<'a, T, u32>, Half<'a, T, Wide>>,
    token: Token,
    pub(super) space: Ringer<'a>,
}

#[derive(Debug)]
pub(super) struct Half<'a, T, W: Word> {
    pub(super) ends: Ends<'a, T, W>,
    /// What `head` holds: nobody else writes it. Points to the next element unless the ring is empty.
    pub(super) head: W,
    /// What `tail` held when we last looked; it may have grown since.
    pub(super) tail: W,
}

impl<'a, T, W: Word> Half<'a, T, W> {
    fn new(ends: Ends<'a, T, W>) -> Self {
        let head = ends.head.load(Relaxed);
        // Starts as if empty, so that the first pop looks at `tail` and checks it.
        Half { ends, head, tail: head }
    }
}

impl<T: Element, W: Word> Half<'_, T, W> {
    #[inline(always)]
    fn try_pop(&mut self) -> Result<T, PopError> {
        let head = self.head;
        if head == self.tail {
            let tail = self.ends.tail_now();
            self.ends.between(head, tail).ok_or(PopError::Corrupt)?;
            self.tail = tail;
            if head == tail {
                rest_after_a_look();
                return Err(PopError::Empty);
            }
        }
        let ahead = head.index().wrapping_add(elements_ahead::<T>());
        if starts_line::<T>(head.index()) && self.tail.minus(head).index() > elements_ahead::<T>() {
            self.ends.slots.prefetch_for_read(ahead);
        }
        self.ends.caches.invalidate_slots(&self.ends.slots, head.index(), 1);
        let value = self.ends.slots.read(head.index());
        self.head = head.plus(W::ONE);
        self.ends.free(self.head);
        Ok(value)
    }
}

impl<'a, T: Element> Consumer<'a, T> {
    pub(super) fn new(ring: Ring<'a, T>, token: Token) -> Self {
        let half = match ring.ends {
            ByWord::W4(ends) => ByWord::W4(Half::new(ends)),
            ByWord::W8(ends, having) => ByWord::W8(Half::new(ends), having),
        };
        Consumer { ring, half, token, space: Ringer::new(ring.space, ring.notifier) }
    }

    /// Pops the oldest element. Wait-free: at most one look at the producer's counter.
    ///
    /// A consumer killed inside has popped the element or not; a stopped producer only lets the ring run empty.
    ///
    /// # Errors
    /// [`PopError::Empty`], after a moment's rest, so that polling does not slow down the producer (one `pause`
    /// instruction); [`PopError::Corrupt`] if the producer's counter is impossible.
    #[inline]
    pub fn try_pop(&mut self) -> Result<T, PopError> {
        let value = by_word!(&mut self.half, half => half.try_pop())?;
        self.space.ring();
        Ok(value)
    }

    /// Pops the oldest element, waiting for one as long as it takes: [`Consumer::pop_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`PopTimeoutError::Corrupt`], [`PopTimeoutError::NoWaiter`].
    pub fn pop(&mut self) -> Result<T, PopTimeoutError> {
        self.pop_with(self.ring.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?, None)
    }

    /// Pops the oldest element, waiting for one for at most `timeout`, asleep if it takes long.
    ///
    /// Waits for the producer. Needs a region with a notifier, which `zeroipc::Memory` has.
    ///
    /// # Errors
    /// [`PopTimeoutError::Timeout`], never early; [`PopTimeoutError::Corrupt`]; [`PopTimeoutError::NoWaiter`] if the
    /// region was opened without a notifier.
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<T, PopTimeoutError> {
        let waiter = self.ring.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?;
        self.pop_with(waiter, deadline_after(waiter, timeout))
    }

    /// Pops the oldest element, waiting for one until `deadline` on the waiter's clock; for ever if there is none.
    ///
    /// Waits for the producer. If it is dead this returns at the deadline.
    ///
    /// # Errors
    /// [`PopTimeoutError::Timeout`], never before the deadline; [`PopTimeoutError::Corrupt`].
    pub fn pop_with(
        &mut self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<T, PopTimeoutError> {
        let items = self.ring.items;
        items.wait_to_pop(waiter, deadline, || self.try_pop())
    }

    /// Announces a sleeper for elements.
    pub(crate) fn announced(&self, waiter: &dyn Wait) -> (WaitWord<'a>, u32) {
        self.ring.items.announced(waiter)
    }

    /// The ring.
    #[must_use]
    pub fn ring(&self) -> &Ring<'a, T> {
        &self.ring
    }
}

impl<T> Drop for Consumer<'_, T> {
    fn drop(&mut self) {
        self.ring.consumer.release(&self.token);
    }
}
