//! Slots of a ring, lent to one of its ends to be used in place: no copy of the element is made on the way.
//!
//! A grant covers slots that belong to this end already: free ones from `tail` on, or filled ones from `head` on. So nothing is
//! written to the region when it is made, and nothing when it is dropped; only [`WriteGrant::commit`] and
//! [`ReadGrant::release`] move the counter. Its slots may lie in two parts, before and after the wrap; indices do not show
//! that, slices do.

use super::consumer::Consumer;
use super::producer::Producer;
use crate::element::Element;
use crate::error::{IndexOutOfBounds, PopError, PopTimeoutError, PushError, PushTimeoutError};
use crate::sync::{by_word, Word, Wrapped};
use crate::wait::{deadline_after, Announce, Wait};
use core::time::Duration;

/// Free slots of a [`Ring`](crate::Ring), lent to its producer to be written in place.
///
/// From [`Producer::try_grant`]. Dropped without [`WriteGrant::commit`] it publishes nothing. A producer that is killed with
/// a grant has pushed nothing; a stopped one holds up nobody but lets the ring run empty.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Region, Ring, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let samples = Ring::<u16>::create(region, "samples", 4)?;
/// let (mut producer, mut consumer) = (samples.producer()?, samples.consumer()?);
///
/// let grant = producer.try_grant(10)?;
/// assert_eq!(grant.len(), 4); // all that there is
/// grant.write(0, 7)?;
/// grant.write_from(1, &[8, 9])?;
/// grant.commit(3);
///
/// let grant = consumer.try_read_grant(2)?;
/// assert!(grant.iter().eq([7, 8]));
/// grant.release(1);
/// assert_eq!(consumer.try_pop(), Ok(8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a grant that is not committed publishes nothing"]
pub struct WriteGrant<'p, 'a, T: Element> {
    producer: &'p mut Producer<'a, T>,
    slots: Slots<'a, T>,
}

/// Elements of a [`Ring`](crate::Ring), lent to its consumer to be read in place.
///
/// From [`Consumer::try_read_grant`]. Dropped without [`ReadGrant::release`] it pops nothing: the elements come again. A
/// consumer that is killed with a grant has popped nothing; a stopped one holds up nobody but lets the ring fill up.
#[derive(Debug)]
#[must_use = "a grant that is not released pops nothing"]
pub struct ReadGrant<'c, 'a, T: Element> {
    consumer: &'c mut Consumer<'a, T>,
    slots: Slots<'a, T>,
}

/// The slots of a grant.
#[derive(Debug)]
struct Slots<'a, T> {
    all: Wrapped<'a, T>,
    /// The counter of the first one.
    first: usize,
    /// At most the capacity: from this end's own counters.
    len: usize,
}

impl<T: Element> Slots<'_, T> {
    /// Where the element `index` of the grant is.
    #[inline(always)]
    fn place(&self, index: usize) -> Result<usize, IndexOutOfBounds> {
        if index < self.len {
            // The capacity divides 2^32 and 2^64, so it does not matter where a counter wraps.
            Ok(self.first.wrapping_add(index))
        } else {
            Err(IndexOutOfBounds { index, len: self.len })
        }
    }

    /// Where `count` elements from `start` on are.
    #[inline(always)]
    fn run(&self, start: usize, count: usize) -> Result<usize, IndexOutOfBounds> {
        if start <= self.len && count <= self.len - start {
            Ok(self.first.wrapping_add(start))
        } else {
            let index = start.saturating_add(count.saturating_sub(1));
            Err(IndexOutOfBounds { index, len: self.len })
        }
    }
}

impl<'a, T: Element> Producer<'a, T> {
    /// Up to `count` free slots, to be written in place; at least one, unless `count` is 0. Wait-free: at most one look at
    /// the consumer's counter, and nothing is written.
    ///
    /// # Errors
    /// As [`Producer::try_push`]: [`PushError::Full`] if no slot is free.
    #[inline]
    pub fn try_grant(&mut self, count: usize) -> Result<WriteGrant<'_, 'a, T>, PushError<()>> {
        match self.room(count) {
            Some(0) if count > 0 => Err(PushError::Full(())),
            Some(len) => Ok(self.granted(len)),
            None => Err(PushError::Corrupt(())),
        }
    }

    /// Up to `count` free slots, waiting until there is one, as long as it takes.
    ///
    /// # Errors
    /// [`PushTimeoutError::Corrupt`], [`PushTimeoutError::NoWaiter`].
    pub fn grant(&mut self, count: usize) -> Result<WriteGrant<'_, 'a, T>, PushTimeoutError<()>> {
        let waiter = self.ring.notifier.waiter().ok_or(PushTimeoutError::NoWaiter(()))?;
        self.grant_with(count, waiter, None)
    }

    /// [`Producer::grant`] for at most `timeout`.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`], never early; [`PushTimeoutError::Corrupt`]; [`PushTimeoutError::NoWaiter`] if the
    /// region was opened without a notifier.
    pub fn grant_timeout(
        &mut self,
        count: usize,
        timeout: Duration,
    ) -> Result<WriteGrant<'_, 'a, T>, PushTimeoutError<()>> {
        let waiter = self.ring.notifier.waiter().ok_or(PushTimeoutError::NoWaiter(()))?;
        self.grant_with(count, waiter, deadline_after(waiter, timeout))
    }

    /// [`Producer::grant`] until `deadline` on the waiter's clock; for ever if there is none.
    ///
    /// Waits for the consumer. If it is dead this returns at the deadline.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`], never before the deadline; [`PushTimeoutError::Corrupt`].
    pub fn grant_with(
        &mut self,
        count: usize,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<WriteGrant<'_, 'a, T>, PushTimeoutError<()>> {
        let space = self.ring.space;
        let found = space.wait_until(waiter, deadline, || match self.room(count) {
            Some(0) if count > 0 => None,
            found => Some(found),
        });
        let len = found.ok_or(PushTimeoutError::Timeout(()))?;
        Ok(self.granted(len.ok_or(PushTimeoutError::Corrupt(()))?))
    }

    #[inline]
    fn granted(&mut self, len: usize) -> WriteGrant<'_, 'a, T> {
        let slots = by_word!(&self.half, half => {
            Slots { all: half.ends.slots, first: half.tail.index(), len }
        });
        WriteGrant { producer: self, slots }
    }
}

impl<T: Element> WriteGrant<'_, '_, T> {
    /// How many slots it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.len == 0
    }

    /// Writes a slot. Slots may be written in any order and any number of times.
    ///
    /// # Errors
    /// [`IndexOutOfBounds`].
    #[inline]
    pub fn write(&self, index: usize, value: T) -> Result<(), IndexOutOfBounds> {
        self.slots.all.write(self.slots.place(index)?, &value);
        Ok(())
    }

    /// Writes the slots from `start` on.
    ///
    /// # Errors
    /// [`IndexOutOfBounds`], with the last index, if `values` do not fit; then nothing is written.
    #[inline]
    pub fn write_from(&self, start: usize, values: &[T]) -> Result<(), IndexOutOfBounds> {
        self.slots.all.write_slice(self.slots.run(start, values.len())?, values);
        Ok(())
    }

    /// The slots where they are: those before the wrap, and those after it. They hold what was there last. `None` if they are
    /// not aligned for a `T`, which only happens to types whose alignment is greater than 8, or greater than the largest
    /// power of two that divides their size.
    ///
    /// # Safety
    /// As long as the slices are in use, no party may access these slots by any other way. Nobody does, as long as the
    /// consumer follows the protocol, the role has not been taken over from this producer, and nobody reads the region's
    /// raw bytes; none of which can be checked here.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_mut_slices(&mut self) -> Option<(&mut [T], &mut [T])> {
        let Slots { all, first, len } = &self.slots;
        let [mut before, mut after] = all.as_raw_slices(*first, *len)?;
        // SAFETY: `as_raw_slices` gives aligned slots inside the span, valid for longer than `self`, and any bytes are a
        // valid `T`; by the contract nobody else accesses them, and `&mut self` keeps this grant from doing so.
        let before = unsafe { before.as_mut() };
        // SAFETY: as above; the two parts do not overlap.
        let after = unsafe { after.as_mut() };
        Some((before, after))
    }

    /// Publishes the first `count` slots, or all if there are fewer, by one store, and rings for a sleeper once. Wait-free.
    ///
    /// Slots among them that were not written hold what was there last.
    #[inline]
    pub fn commit(self, count: usize) {
        self.producer.publish(count.min(self.slots.len));
    }
}

impl<'a, T: Element> Consumer<'a, T> {
    /// Up to `count` of the oldest elements, to be read in place; at least one, unless `count` is 0. Wait-free: at most one
    /// look at the producer's counter, and nothing is written.
    ///
    /// # Errors
    /// As [`Consumer::try_pop`]: [`PopError::Empty`] if there is none.
    #[inline]
    pub fn try_read_grant(&mut self, count: usize) -> Result<ReadGrant<'_, 'a, T>, PopError> {
        match self.there(count) {
            Some(0) if count > 0 => Err(PopError::Empty),
            Some(len) => Ok(self.granted(len)),
            None => Err(PopError::Corrupt),
        }
    }

    /// Up to `count` of the oldest elements, waiting until there is one, as long as it takes.
    ///
    /// # Errors
    /// [`PopTimeoutError::Corrupt`], [`PopTimeoutError::NoWaiter`].
    pub fn read_grant(&mut self, count: usize) -> Result<ReadGrant<'_, 'a, T>, PopTimeoutError> {
        let waiter = self.ring.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?;
        self.read_grant_with(count, waiter, None)
    }

    /// [`Consumer::read_grant`] for at most `timeout`.
    ///
    /// # Errors
    /// [`PopTimeoutError::Timeout`], never early; [`PopTimeoutError::Corrupt`]; [`PopTimeoutError::NoWaiter`] if the
    /// region was opened without a notifier.
    pub fn read_grant_timeout(
        &mut self,
        count: usize,
        timeout: Duration,
    ) -> Result<ReadGrant<'_, 'a, T>, PopTimeoutError> {
        let waiter = self.ring.notifier.waiter().ok_or(PopTimeoutError::NoWaiter)?;
        self.read_grant_with(count, waiter, deadline_after(waiter, timeout))
    }

    /// [`Consumer::read_grant`] until `deadline` on the waiter's clock; for ever if there is none.
    ///
    /// Waits for the producer. If it is dead this returns at the deadline.
    ///
    /// # Errors
    /// [`PopTimeoutError::Timeout`], never before the deadline; [`PopTimeoutError::Corrupt`].
    pub fn read_grant_with(
        &mut self,
        count: usize,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<ReadGrant<'_, 'a, T>, PopTimeoutError> {
        let items = self.ring.items;
        let found = items.wait_until(waiter, deadline, || match self.there(count) {
            Some(0) if count > 0 => None,
            found => Some(found),
        });
        let len = found.ok_or(PopTimeoutError::Timeout)?;
        Ok(self.granted(len.ok_or(PopTimeoutError::Corrupt)?))
    }

    #[inline]
    fn granted(&mut self, len: usize) -> ReadGrant<'_, 'a, T> {
        let slots = by_word!(&self.half, half => {
            Slots { all: half.ends.slots, first: half.head.index(), len }
        });
        ReadGrant { consumer: self, slots }
    }
}

impl<T: Element> ReadGrant<'_, '_, T> {
    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.len == 0
    }

    /// A copy of an element, the oldest being 0.
    ///
    /// # Errors
    /// [`IndexOutOfBounds`].
    #[inline]
    pub fn read(&self, index: usize) -> Result<T, IndexOutOfBounds> {
        Ok(self.slots.all.read(self.slots.place(index)?))
    }

    /// Copies the elements from `start` on into `values`, as many as there is room for.
    ///
    /// # Errors
    /// [`IndexOutOfBounds`], with the last index, if there are not so many; then `values` is not changed.
    #[inline]
    pub fn read_into(&self, start: usize, values: &mut [T]) -> Result<(), IndexOutOfBounds> {
        self.slots.all.read_slice(self.slots.run(start, values.len())?, values);
        Ok(())
    }

    /// Copies of all elements in order, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = T> + ExactSizeIterator + '_ {
        let Slots { all, first, len } = &self.slots;
        (0..*len).map(move |index| all.read(first.wrapping_add(index)))
    }

    /// The elements where they are: those before the wrap, and those after it. `None` if they are not aligned for a `T`, as
    /// with [`WriteGrant::as_mut_slices`].
    ///
    /// # Safety
    /// As long as the slices are in use, no party may write these slots. Nobody does, as long as the producer follows the
    /// protocol and the role has not been taken over from this consumer; neither of which can be checked here.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_slices(&self) -> Option<(&[T], &[T])> {
        let Slots { all, first, len } = &self.slots;
        let [before, after] = all.as_raw_slices(*first, *len)?;
        // SAFETY: `as_raw_slices` gives aligned slots inside the span, valid for longer than `self`, and any bytes are a
        // valid `T`; by the contract nobody writes them.
        let before = unsafe { before.as_ref() };
        // SAFETY: as above.
        let after = unsafe { after.as_ref() };
        Some((before, after))
    }

    /// Pops the first `count` elements, or all if there are fewer, by one store, and rings for a sleeper once. Wait-free.
    #[inline]
    pub fn release(self, count: usize) {
        self.consumer.free(count.min(self.slots.len));
    }
}
