//! A queue's values as they pass, seen by a party that only loads.
//!
//! An element is copied as a pop copies it: out of the slot that its entry names, and then the entry is looked at once more. If
//! it is the same, or was popped meanwhile and still names the slot, then nobody has written the slot: that takes a claim of the
//! entry first. Otherwise the copy is thrown away.
//!
//! An element that was popped before we came stays in its slot until a push claims the entry for the next lap. But the entry then does not tell a slot
//! whose element was popped from a spare that a grant, or a displaced push, left in its place: so of a popped value nothing can be
//! proven. Nor does it tell a ticket whose element was popped from one that was displaced and never had one.

use super::core::Core;
use super::Layout;
use crate::error::NextError;
use crate::geometry::WordSize;
use crate::observe::{ahead, Passing, Seen, TURNS};
use crate::prefix::Prefix;
use crate::sync::{by_word, ByWord, Raw, Span, Wide, Word};
use ::core::sync::atomic::Ordering::{Acquire, Relaxed};

/// Follows a queue.
#[derive(Debug)]
pub(crate) struct QueueObserver<'a> {
    tickets: ByWord<Tickets<'a, u32>, Tickets<'a, Wide>>,
}

#[derive(Debug)]
struct Tickets<'a, W: Word> {
    /// Its slots are not used, so any element will do that fits into every cell: a word of 4 bytes.
    core: Core<'a, u32, W>,
    slots: Raw<'a>,
    capacity: u64,
    /// The next ticket to be seen, counted on where the words wrap around.
    next: u64,
}

impl<'a> QueueObserver<'a> {
    /// From the elements on that are pushed next; `None` if the queue does not fit into `span`.
    pub(crate) fn new(span: Span<'a>, prefix: &Prefix) -> Option<Self> {
        let layout = Layout::of(prefix)?;
        let span = span.part(0, layout.size)?;
        let tickets = match prefix.geometry.ok()?.word() {
            WordSize::Four => ByWord::W4(Tickets::new(span, prefix, &layout)?),
            WordSize::Eight => ByWord::wide(Tickets::new(span, prefix, &layout)?)?,
        };
        Some(QueueObserver { tickets })
    }
}

impl Passing for QueueObserver<'_> {
    fn rewind(&mut self, count: u64, taken: bool) {
        by_word!(&mut self.tickets, tickets => tickets.rewind(count, taken));
    }

    fn try_next(
        &mut self,
        value: &mut [u8],
        taken: bool,
        missed: &mut u64,
    ) -> Result<Seen, NextError> {
        by_word!(&mut self.tickets, tickets => tickets.try_next(value, taken, missed))
    }
}

impl<'a, W: Word> Tickets<'a, W> {
    fn new(span: Span<'a>, prefix: &Prefix, layout: &Layout) -> Option<Self> {
        let stride = usize::try_from(layout.stride).ok()?;
        let slots = usize::try_from(layout.capacity + u64::from(layout.spare_count)).ok()?;
        let first = layout.cells + layout.slot_in_cell;
        let core = Core::at(span, layout)?;
        Some(Tickets {
            core,
            slots: span.raw(first, stride, slots, prefix.elem_size as usize)?,
            capacity: layout.capacity,
            next: core.first_not_claimed().wide(),
        })
    }

    fn rewind(&mut self, count: u64, taken: bool) {
        // Tail first: what is between is then never more than there is.
        let tail = self.core.first_not_claimed();
        let inside = tail.minus(self.core.first_not_popped());
        let inside = if inside.is_negative() { 0 } else { inside.wide() };
        // Of a queue that was never full, no more than were ever pushed.
        let kept = if taken { self.capacity.min(tail.wide()) } else { 0 };
        let there = inside.min(self.capacity).max(kept);
        let end = self.next.wrapping_add(ahead(self.next, tail).unwrap_or(0));
        self.next = end.wrapping_sub(count.min(there));
    }

    fn try_next(
        &mut self,
        value: &mut [u8],
        taken: bool,
        missed: &mut u64,
    ) -> Result<Seen, NextError> {
        let form = self.core.form;
        for _ in 0..TURNS {
            let gone = self.gone(taken);
            if gone > 0 {
                *missed = missed.saturating_add(gone);
                self.next = self.next.wrapping_add(gone);
            }
            let ticket = W::low(self.next);
            let word = self.core.entry(ticket);
            // Acquire: pairs with the publication of the value.
            let entry = word.load(Acquire);
            let after = form.free(W::low(self.next.wrapping_add(self.capacity)));
            let (slot, popped) = if form.is_in(entry, form.ready(ticket)) {
                (form.slot_in(entry, form.ready(ticket)), false)
            } else if taken && form.is_in(entry, after) {
                (form.slot_in(entry, after), true)
            } else if form.is_beyond(entry, form.ready(ticket)) {
                continue; // popped since we looked
            } else if form.is_in(entry, form.sealed(ticket)) {
                return Err(NextError::Closed); // of a channel
            } else {
                return Err(NextError::Empty);
            };
            if !self.slots.read(usize::try_from(slot).unwrap_or(usize::MAX), value) {
                return Err(NextError::Corrupt);
            }
            // Unchanged, or popped and no more than that: nobody claimed the slot while we copied (`Racy`).
            let now = word.load(Relaxed);
            if now == entry || (!popped && now == form.popped(entry)) {
                let sequence = self.next;
                self.next = sequence.wrapping_add(1);
                return Ok(Seen { sequence, taken: popped });
            }
        }
        Err(NextError::Empty)
    }

    /// How many tickets from `next` on cannot be seen any more.
    ///
    /// By `head` and the entries from there on, and not by the entry of `next`: `head` counts in whole words, so it tells also when
    /// more laps have gone by than an entry's sequence number can count.
    fn gone(&self, taken: bool) -> u64 {
        let popped = ahead(self.next, self.core.first_not_popped()).unwrap_or(0);
        if !taken || popped == 0 {
            return popped;
        }
        let claimed = ahead(self.next, self.core.first_not_claimed()).unwrap_or(0);
        popped.min(claimed.saturating_sub(self.capacity))
    }
}
