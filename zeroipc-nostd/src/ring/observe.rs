//! A ring's values as they pass, seen by a party that only loads.
//!
//! Element i is copied, and then `head` is looked at once more: while it is not beyond i, the slot is the consumer's and the
//! producer does not write it. That the second look is not too early: a producer loads `head` (acquire) before it writes the slot
//! again, so whoever sees any of what it wrote, and then loads `head` (the copy ends with an acquire fence), sees what the
//! producer saw. This follows a store through two processors without a release in between, which all memory does that ZeroIPC
//! runs on (stores become visible to all other processors at once: x86, Arm, RISC-V), but not every memory that Rust allows.
//!
//! Element i after it was popped stays in its slot until the producer wants to write element i + `capacity`. The producer says
//! that it has come there (`tail`) only with what it publishes; how far it is writing ahead, many at a time or in place, it says
//! nowhere. So of a popped value nothing can be proven.

use super::Layout;
use crate::error::NextError;
use crate::geometry::WordSize;
use crate::observe::{ahead, Passing, Seen, TURNS};
use crate::prefix::Prefix;
use crate::sync::{by_word, Atomic, ByWord, Raw, Span, Wide, Word};
use core::sync::atomic::Ordering::Acquire;

/// Follows a ring.
#[derive(Debug)]
pub(crate) struct RingObserver<'a> {
    ends: ByWord<Ends<'a, u32>, Ends<'a, Wide>>,
}

#[derive(Debug)]
struct Ends<'a, W: Word> {
    tail: Atomic<'a, W>,
    head: Atomic<'a, W>,
    slots: Raw<'a>,
    capacity: u64,
    /// The next element to be seen, counted on where the words wrap around.
    next: u64,
}

impl<'a> RingObserver<'a> {
    /// From the elements on that are pushed next; `None` if the ring does not fit into `span`.
    pub(crate) fn new(span: Span<'a>, prefix: &Prefix) -> Option<Self> {
        let layout = Layout::of(prefix)?;
        let span = span.part(0, layout.size)?;
        let ends = match prefix.geometry.ok()?.word() {
            WordSize::Four => ByWord::W4(Ends::new(span, prefix, &layout)?),
            WordSize::Eight => ByWord::wide(Ends::new(span, prefix, &layout)?)?,
        };
        Some(RingObserver { ends })
    }
}

impl Passing for RingObserver<'_> {
    fn rewind(&mut self, count: u64, taken: bool) {
        by_word!(&mut self.ends, ends => ends.rewind(count, taken));
    }

    fn try_next(
        &mut self,
        value: &mut [u8],
        taken: bool,
        missed: &mut u64,
    ) -> Result<Seen, NextError> {
        by_word!(&mut self.ends, ends => ends.try_next(value, taken, missed))
    }
}

impl<'a, W: Word> Ends<'a, W> {
    fn new(span: Span<'a>, prefix: &Prefix, layout: &Layout) -> Option<Self> {
        let (size, capacity) = (prefix.elem_size as usize, prefix.capacity);
        let tail = span.word::<W>(layout.tail)?;
        Some(Ends {
            tail,
            head: span.word(layout.head)?,
            slots: span.raw(layout.data, size, usize::try_from(capacity).ok()?, size)?,
            capacity,
            next: tail.load(Acquire).wide(),
        })
    }

    fn rewind(&mut self, count: u64, taken: bool) {
        // Tail first: what is between is then never more than there is.
        let tail = self.tail.load(Acquire);
        let inside = tail.minus(self.head.load(Acquire));
        let inside = if inside.is_negative() { 0 } else { inside.wide() };
        // Of a ring that was never full, no more than were ever pushed.
        let kept = if taken { (self.capacity - 1).min(tail.wide()) } else { 0 };
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
        for _ in 0..TURNS {
            // Tail first: in an honest ring `head` is then behind it by no more than the capacity, or beyond it.
            let tail = self.tail.load(Acquire);
            let head = self.head.load(Acquire);
            let inside = tail.minus(head);
            if !inside.is_negative() && inside.wide() > self.capacity {
                return Err(NextError::Corrupt);
            }
            let gone = self.gone(tail, head, taken);
            if gone > 0 {
                *missed = missed.saturating_add(gone);
                self.next = self.next.wrapping_add(gone);
                continue;
            }
            match ahead(self.next, tail) {
                None => return Err(NextError::Corrupt),
                Some(0) => return Err(NextError::Empty),
                Some(_) => {}
            }
            let index = self.next & (self.capacity - 1);
            if !self.slots.read(usize::try_from(index).unwrap_or(usize::MAX), value) {
                return Err(NextError::Corrupt);
            }
            let (tail, head) = (self.tail.load(Acquire), self.head.load(Acquire));
            if self.gone(tail, head, taken) == 0 {
                let sequence = self.next;
                self.next = sequence.wrapping_add(1);
                return Ok(Seen { sequence, taken: self.popped(sequence, head) > 0 });
            }
        }
        Err(NextError::Empty)
    }

    /// How many elements from `next` on cannot be seen any more.
    fn gone(&self, tail: W, head: W, taken: bool) -> u64 {
        let popped = self.popped(self.next, head);
        if !taken {
            return popped;
        }
        // The slot of the element before `tail + 1 - capacity` may be in the producer's hands.
        let pushed = ahead(self.next, tail).unwrap_or(0);
        popped.min((pushed + 1).saturating_sub(self.capacity))
    }

    /// How many elements from `from` on have been popped.
    fn popped(&self, from: u64, head: W) -> u64 {
        ahead(from, head).unwrap_or(0)
    }
}
