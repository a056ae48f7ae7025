//! Elements written and read in place: who has a grant owns a slot, and one CAS moves it into the queue or out of it.
//!
//! A grant to push takes a spare slot, and when it is committed the entry of the next ticket takes that slot and gives up its own: no
//! copy, and no moment at which the party is in anybody's way, however long it takes to write. A grant to pop takes the oldest
//! element's slot out of its entry and leaves a spare. So there can be as many grants at a time as there are spares, less
//! those that are with stopped parties.

use super::Queue;
use crate::element::Element;
use crate::error::{PopError, PushError};
use crate::sync::by_word;
use crate::sync::hook::is_abandoned;

/// A slot of a [`Queue`], lent to be filled and pushed. From [`Queue::try_grant`].
///
/// Dropped without [`PushGrant::commit`] it pushes nothing. It is in nobody's way, however long it is kept; a party that is
/// killed with it takes the slot along, and has pushed nothing.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Queue, Region, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let images = Queue::<[u8; 64]>::create(region, "images", 4)?;
///
/// let grant = images.try_grant()?;
/// grant.write([7; 64]);
/// grant.commit().map_err(|refused| refused.reason())?;
///
/// let image = images.try_pop_grant()?;
/// assert_eq!(image.read()[0], 7);
/// drop(image); // the slot goes back
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a grant that is not committed pushes nothing"]
pub struct PushGrant<'a, T: Element> {
    queue: Queue<'a, T>,
    slot: Option<usize>,
}

/// An element that was popped, still in its slot. From [`Queue::try_pop_grant`].
///
/// When dropped, the slot goes back to the queue. A party that is killed with it takes slot and element along.
#[derive(Debug)]
pub struct PopGrant<'a, T: Element> {
    queue: Queue<'a, T>,
    slot: usize,
}

/// A grant that could not be committed, with the reason. The grant is not lost: it can be committed later.
#[derive(Debug)]
pub struct Refused<'a, T: Element> {
    grant: PushGrant<'a, T>,
    reason: PushError<()>,
}

impl<'a, T: Element> Queue<'a, T> {
    /// A slot to fill and then push. Lock-free.
    ///
    /// # Errors
    /// [`PushError::Blocked`] if all spares are lent or with stopped parties: create the queue with more.
    pub fn try_grant(&self) -> Result<PushGrant<'a, T>, PushError<()>> {
        let slot = by_word!(&self.core, core => core.take_spare());
        match slot {
            Some(slot) => Ok(PushGrant { queue: *self, slot: Some(slot) }),
            None => Err(PushError::Blocked(())),
        }
    }

    /// Pops the oldest element without copying it. Lock-free.
    ///
    /// # Errors
    /// As [`Queue::try_pop`]; [`PopError::Blocked`] also if all spares are lent.
    pub fn try_pop_grant(&self) -> Result<PopGrant<'a, T>, PopError> {
        let slot = by_word!(&self.core, core => core.pop_slot())?;
        self.space.notify(self.notifier);
        Ok(PopGrant { queue: *self, slot })
    }
}

impl<'a, T: Element> PushGrant<'a, T> {
    /// Writes the element. What the slot held before is not specified.
    pub fn write(&self, value: T) {
        if let Some(slot) = self.slot {
            by_word!(&self.queue.core, core => core.slots().write(slot, &value));
        }
    }

    /// The element, in place.
    ///
    /// `None` if the slot's address is no multiple of the alignment of `T`.
    ///
    /// # Safety
    /// While the reference lives, no peer may write to the slot. Correct peers do not: they at most read it, and throw
    /// away what they read. A hostile or faulty one can write anywhere at any time, and then the behaviour is undefined: so only
    /// where all parties are trusted.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_mut(&mut self) -> Option<&mut T> {
        let address = by_word!(&self.queue.core, core => core.slots().address(self.slot?))?;
        // SAFETY: inside the span and aligned (`address`); any bytes are a valid `T`; ours alone (the caller's contract).
        Some(unsafe { &mut *address.as_ptr() })
    }

    /// Pushes the element. Lock-free. Wakes a consumer that waits.
    ///
    /// # Errors
    /// [`Refused`], with the grant, as [`Queue::try_push`] would be: mostly because the queue is full.
    #[allow(clippy::result_large_err)] // it is the grant itself that comes back
    pub fn commit(mut self) -> Result<(), Refused<'a, T>> {
        let Some(slot) = self.slot else { return Ok(()) };
        match by_word!(&self.queue.core, core => core.push_slot(slot)) {
            Ok(()) => {
                self.slot = None;
                self.queue.items.notify(self.queue.notifier);
                Ok(())
            }
            Err(reason) => Err(Refused { grant: self, reason }),
        }
    }
}

impl<T: Element> Drop for PushGrant<'_, T> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take().filter(|_| !is_abandoned()) {
            by_word!(&self.queue.core, core => core.give_spare(slot));
        }
    }
}

impl<'a, T: Element> Refused<'a, T> {
    /// Why.
    #[must_use]
    pub fn reason(&self) -> PushError<()> {
        self.reason
    }

    /// The grant, to try again.
    pub fn into_grant(self) -> PushGrant<'a, T> {
        self.grant
    }
}

impl<T: Element> PopGrant<'_, T> {
    /// A copy of the element.
    #[must_use]
    pub fn read(&self) -> T {
        let value = by_word!(&self.queue.core, core => core.slots().read(self.slot));
        // The slot was checked when it was taken, so there is always a value.
        value.unwrap_or_else(T::new_zeroed)
    }

    /// The element, in place.
    ///
    /// `None` if the slot's address is no multiple of the alignment of `T`.
    ///
    /// # Safety
    /// While the reference lives, no peer may write to the slot. Correct peers do not; a hostile or faulty one can write
    /// anywhere at any time, and then the behaviour is undefined: so only where all parties are trusted.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_ref(&self) -> Option<&T> {
        let address = by_word!(&self.queue.core, core => core.slots().address(self.slot))?;
        // SAFETY: inside the span and aligned (`address`); any bytes are a valid `T`; nobody writes (the caller's contract).
        Some(unsafe { &*address.as_ptr() })
    }
}

impl<T: Element> Drop for PopGrant<'_, T> {
    fn drop(&mut self) {
        if !is_abandoned() {
            by_word!(&self.queue.core, core => core.give_spare(self.slot));
        }
    }
}
