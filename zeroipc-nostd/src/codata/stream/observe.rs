//! A stream's values, seen by a party that only loads: as a subscriber without a place sees them, without knowing the type. No
//! publisher waits for it, with backpressure or without.

use super::core::Log;
use super::layout::Layout;
use crate::error::NextError;
use crate::geometry::WordSize;
use crate::observe::{ahead, Passing, Seen, TURNS};
use crate::prefix::Prefix;
use crate::sync::{by_word, ByWord, Raw, Span, Wide, Word};
use ::core::sync::atomic::Ordering::{Acquire, Relaxed};

/// Follows a stream.
#[derive(Debug)]
pub(crate) struct StreamObserver<'a> {
    sequences: ByWord<Sequences<'a, u32>, Sequences<'a, Wide>>,
}

#[derive(Debug)]
struct Sequences<'a, W: Word> {
    log: Log<'a, W>,
    slots: Raw<'a>,
    /// The next sequence to be seen, counted on where the words wrap around.
    next: u64,
}

impl<'a> StreamObserver<'a> {
    /// From the values on that are emitted next; `None` if the stream does not fit into `span`.
    pub(crate) fn new(span: Span<'a>, prefix: &Prefix) -> Option<Self> {
        let layout = Layout::of(prefix)?;
        let sequences = match prefix.geometry.ok()?.word() {
            WordSize::Four => ByWord::W4(Sequences::new(span, prefix, &layout)?),
            WordSize::Eight => ByWord::wide(Sequences::new(span, prefix, &layout)?)?,
        };
        Some(StreamObserver { sequences })
    }
}

impl Passing for StreamObserver<'_> {
    fn rewind(&mut self, count: u64, _taken: bool) {
        by_word!(&mut self.sequences, sequences => sequences.rewind(count));
    }

    fn try_next(
        &mut self,
        value: &mut [u8],
        _taken: bool,
        missed: &mut u64,
    ) -> Result<Seen, NextError> {
        by_word!(&mut self.sequences, sequences => sequences.try_next(value, missed))
    }
}

impl<'a, W: Word> Sequences<'a, W> {
    fn new(span: Span<'a>, prefix: &Prefix, layout: &Layout) -> Option<Self> {
        let log = Log::<W>::at(span, layout)?;
        let stride = usize::try_from(layout.stride).ok()?;
        let slots = usize::try_from(layout.capacity.checked_add(layout.spare_count)?).ok()?;
        let first = layout.cells + layout.slot_in_cell;
        Some(Sequences {
            log,
            slots: span.raw(first, stride, slots, prefix.elem_size as usize)?,
            next: log.next().wide(),
        })
    }

    fn rewind(&mut self, count: u64) {
        let end = self.log.next();
        let kept = end.minus(self.log.oldest(end));
        let kept = if kept.is_negative() { 0 } else { kept.wide() };
        let position = self.next.wrapping_add(ahead(self.next, end).unwrap_or(0));
        self.next = position.wrapping_sub(count.min(kept));
    }

    fn try_next(&mut self, value: &mut [u8], missed: &mut u64) -> Result<Seen, NextError> {
        for turn in 0..TURNS {
            // By the hint and the entries from there on, and not by the entry of `next` alone: the hint counts in whole words, so it
            // tells also when more laps have gone by than an entry can count.
            let end = self.log.next();
            let mut gone = ahead(self.next, self.log.oldest(end)).unwrap_or(0);
            if gone > 0 && turn > 0 {
                // Outrun once more: as a subscriber, an eighth of the capacity later, or we would never catch one.
                let left = ahead(self.next.wrapping_add(gone), end).unwrap_or(0);
                gone = gone.saturating_add(left.min(self.log.capacity() as u64 / 8));
            }
            *missed = missed.saturating_add(gone);
            self.next = self.next.wrapping_add(gone);
            let sequence = W::low(self.next);
            let (word, form) = (self.log.entry(sequence), self.log.form);
            // Acquire: pairs with the publication of the value.
            let seen = word.load(Acquire);
            let Some(slot) = form.value_in(seen, sequence) else {
                if form.is_beyond(seen, sequence) {
                    continue; // overwritten since we looked
                }
                return Err(match self.log.is_end(seen, sequence) {
                    true => NextError::Closed,
                    false => NextError::Empty,
                });
            };
            if !self.slots.read(slot, value) {
                return Err(NextError::Corrupt);
            }
            // The copy ends with the fence that orders this load after it.
            if form.is_same(word.load(Relaxed), seen) {
                let sequence = self.next;
                self.next = sequence.wrapping_add(1);
                return Ok(Seen { sequence, taken: false });
            }
        }
        Err(NextError::Empty)
    }
}
