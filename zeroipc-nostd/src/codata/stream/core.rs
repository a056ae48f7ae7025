//! The stream's algorithm, for one word size.
//!
//! Sequence p, counted from 0 on, belongs to entry p modulo capacity, whose word says `(lap, slot)` (`entry.rs`). `tail` is a
//! hint: never beyond the first sequence that is not published.
//!
//! **emit(v)**, one of many publishers:
//! 1. Find t, the first sequence that is not published: from `tail` on, by the entries. If the entry of t says that the stream
//!    is closed, or if a registered subscriber has not taken t - capacity (`places.rs`), that is the answer.
//! 2. If the entry is of the lap before: CAS it to the lap of t, void. Its slot is ours: write v. CAS the entry to
//!    `(lap of t, slot)`. Move `tail` to t + 1. Done.
//! 3. If the last CAS fails, another publisher has displaced us (or the stream was closed): the slot, with v in it, is ours
//!    alone. Go to 4 with it.
//! 4. If the entry is void at t, another publisher is writing there. Look again a few times. Then go on without it: with a
//!    slot of our own that holds v (a spare, if we have none yet) CAS the entry from what it is to `(lap of t, our slot)`. If
//!    the entry was void the slot that it named is with the one that we displaced; otherwise it goes to the spares. On failure
//!    find t again.
//!
//! **emit(v)**, the only publisher: mark the entry of t void, write v into its slot, store `(lap of t, slot)` into the entry,
//! store `tail` now and then.
//!
//! **next()** at cursor c: load the entry of c. If it is of c's lap, copy the slot and load the entry again: if it is the same
//! the copy is the value of c. If it is of a later lap, now or then, c was overwritten: go on with the oldest that is left. If it
//! is of an earlier lap, c is not published; the stream ended there if the entry says so.
//!
//! **close()**: find t as above, and set the mark of the end in its entry by CAS; the value that this entry holds stays,
//! unless another was being written over it; who was doing that finds itself displaced.
//!
//! **Why it holds.** An entry changes only by CAS from the very word that was seen (or by the only publisher), and that of t only
//! when all before t are published. So sequences are published in order, each once, and the end is one place in that order: an
//! emit comes before it or is refused. A displaced publisher owns the slot that it names, so no entry can name that slot until
//! it gives the slot up, and its late CAS cannot succeed by accident. A publisher that stops is in the way with one sequence, which
//! costs one spare to displace; from then on it is in nobody's way. Subscribers write nothing; a value is overwritten only after its
//! entry has changed; the fences in [`Racy`] make the second look see that.
//!
//! The algorithm is this project's own, that of its Queue without the consumers' half. Copy and check: Boehm 2012, "Can seqlocks
//! get along with programming language memory models?", <https://doi.org/10.1145/2247684.2247688>.

use super::ahead::Ahead;
use super::entry::Form;
use super::layout::Layout;
use super::places::Places;
use crate::element::Element;
use crate::slots::Spares;
use crate::sync::{look_again, rest_after_a_look, Atomic, Racy, Span, Word, WrappedWords};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// How often an operation starts again. Each turn means that another party moved on, so only a hostile peer, or hardly credible
/// bad luck, uses them up.
const TURNS: u32 = 1 << 16;

/// The only publisher moves `tail` after each so many values, a power of two.
const HINT_EACH: usize = 16;

/// What is published: the entries without the values.
#[derive(Debug)]
pub(super) struct Log<'a, W: Word> {
    tail: Atomic<'a, W>,
    entries: WrappedWords<'a, W>,
    pub(super) form: Form<W>,
    /// A power of two.
    capacity: usize,
    ahead: Ahead,
}

impl<W: Word> Clone for Log<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W: Word> Copy for Log<'_, W> {}

impl<'a, W: Word> Log<'a, W> {
    pub(super) fn at(span: Span<'a>, layout: &Layout) -> Option<Self> {
        span.part(0, layout.size)?;
        let capacity = usize::try_from(layout.capacity).ok()?;
        let slots = capacity.checked_add(usize::try_from(layout.spare_count).ok()?)?;
        let stride = usize::try_from(layout.stride).ok()?;
        Some(Log {
            tail: span.word(layout.tail)?,
            entries: span.wrapped_words(layout.cells, stride, capacity)?,
            form: Form::new(capacity, slots),
            capacity,
            ahead: Ahead::new(stride, capacity),
        })
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    #[inline(always)]
    pub(super) fn entry(&self, sequence: W) -> Atomic<'a, W> {
        self.entries.get(sequence.index())
    }

    /// Acquire: whoever published it had finished with the value, and with what it did before.
    #[inline(always)]
    fn look(&self, sequence: W) -> W {
        self.entry(sequence).load(Acquire)
    }

    #[inline(always)]
    fn is_published(&self, sequence: W) -> bool {
        self.form.is_published(self.look(sequence), sequence)
    }

    /// The first sequence that is not published: exact at one moment during the call. Only loads; bounded.
    #[inline]
    pub(super) fn next(&self) -> W {
        // Acquire: what was published before the hint was written is seen as published.
        let hint = self.tail.load(Acquire);
        if self.is_published(hint) {
            self.first_after(hint)
        } else {
            hint
        }
    }

    /// The first sequence after `last`, which is published, that is not. Takes about twice as many looks as the distance has bits.
    #[cold]
    fn first_after(&self, mut last: W) -> W {
        let mut step = W::ONE;
        // Bounded: a hostile peer may change what we have seen. An answer that is too low is found out by the caller.
        for _ in 0..4 * 8 * W::BYTES {
            let at = last.plus(step);
            if self.is_published(at) {
                last = at;
                step = step.plus(step);
            } else if step == W::ONE {
                break;
            } else {
                step = step >> 1;
            }
        }
        last.plus(W::ONE)
    }

    /// The oldest sequence whose value is left, where `next` is the first that is not published.
    pub(super) fn oldest(&self, next: W) -> W {
        let first = next.minus(W::low(self.capacity as u64));
        // A publisher may be writing `next`, for which the oldest gave way.
        for candidate in [first, first.plus(W::ONE)] {
            let entry = self.look(candidate);
            if self.form.is_void(entry, candidate) {
                // Nothing was ever published there: we are in the first lap.
                return next.minus(next & W::low(self.capacity as u64 - 1));
            }
            if !self.form.is_beyond(entry, candidate) {
                return candidate;
            }
        }
        first.plus(W::ONE)
    }

    /// Whether `sequence` is `next`, the first that is not published, or lies before it.
    ///
    /// Modular, where words wrap around: 8-byte words do not, and 4-byte words have not while nothing was overwritten.
    pub(super) fn is_known(&self, sequence: u64, next: W) -> bool {
        let first = next.minus(W::low(self.capacity as u64));
        let is_plain = W::BYTES == 8 || self.form.is_void(self.look(first), first);
        let behind = next.minus(W::low(sequence));
        W::low(sequence).wide() == sequence
            && !behind.is_negative()
            && (sequence <= next.wide() || !is_plain)
    }

    /// Asks for what a subscriber at `cursor` reads soon, if it has taken so many since it last found nothing that it is likely to be
    /// there already. Otherwise the publisher would lose the line on which it works next.
    #[inline(always)]
    pub(super) fn ask_ahead_of(&self, cursor: W, dry: W) {
        let ahead = self.ahead.cells;
        if self.ahead.is_due(cursor.index()) && cursor.minus(dry).index() >= ahead {
            self.entries.prefetch_for_read(cursor.index().wrapping_add(ahead));
        }
    }

    /// Whether the stream ended before `next`, the first sequence that is not published.
    pub(super) fn is_closed(&self, next: W) -> bool {
        self.is_end(self.look(next), next)
    }

    #[inline]
    pub(super) fn is_end(&self, entry: W, sequence: W) -> bool {
        self.form.is_closed(entry)
            && (self.form.is_before(entry, sequence) || self.form.is_void(entry, sequence))
    }

    /// How many values are left: a moment's value.
    pub(super) fn len(&self) -> usize {
        let next = self.next();
        next.minus(self.oldest(next)).index().min(self.capacity)
    }

    /// Release: pairs with the load in `next`.
    #[inline(always)]
    fn move_tail(&self, sequence: W) {
        self.tail.store(sequence, Release);
    }

    /// Step 1 of emit: the first sequence that is not published, its entry, and what that holds: of the lap before, or void.
    fn find_free(&self) -> Result<Free<'a, W>, Refusal> {
        for _ in 0..TURNS {
            let sequence = self.next();
            let word = self.entry(sequence);
            // Acquire: as in `look`; and whoever owned the slot before has finished with it.
            let seen = word.load(Acquire);
            if self.is_end(seen, sequence) {
                return Err(Refusal::Closed);
            }
            if self.form.is_before(seen, sequence) || self.form.is_void(seen, sequence) {
                return Ok(Free { sequence, word, seen });
            }
            if !self.form.is_published(seen, sequence) {
                return Err(Refusal::Corrupt);
            }
        }
        Err(Refusal::Blocked)
    }

    /// Sets the mark of the end; false if it was set already.
    pub(super) fn close(&self) -> Result<bool, Refusal> {
        for _ in 0..TURNS {
            let Free { word, seen, .. } = match self.find_free() {
                Ok(free) => free,
                Err(Refusal::Closed) => return Ok(false),
                Err(refusal) => return Err(refusal),
            };
            // Release: what we did before is seen by who sees the end.
            if word.compare_exchange(seen, self.form.closed(seen), AcqRel, Acquire).is_ok() {
                return Ok(true);
            }
        }
        Err(Refusal::Blocked)
    }

    /// The only publisher sets the mark of the end at `next`.
    pub(super) fn close_alone(&self, next: W) {
        let word = self.entry(next);
        word.store(self.form.closed(word.load(Relaxed)), Release);
    }
}

/// The first sequence that is not published.
#[derive(Debug, Clone, Copy)]
struct Free<'a, W: Word> {
    sequence: W,
    word: Atomic<'a, W>,
    seen: W,
}

/// Why a value was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Full,
    Closed,
    /// The sequence that was asked for is not the first that is not published.
    NotNext,
    Blocked,
    Corrupt,
}

/// Why one of many publishers did not publish.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    pub(super) why: Refusal,
    /// Whether it gave a slot to the spares, which it had since it was displaced.
    pub(super) gave_slot: bool,
}

/// Whether a certain sequence was asked for, and it is not this one.
#[inline(always)]
fn is_another<W: Word>(sequence: W, at: Option<W>) -> bool {
    at.is_some_and(|at| at != sequence)
}

/// What was found at a cursor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Look<T> {
    Value(T),
    /// Not published yet.
    Nothing,
    /// Never to be published.
    End,
    Overwritten,
    Corrupt,
}

/// The log, the values, and the slots that are in neither.
#[derive(Debug)]
pub(super) struct Core<'a, T, W: Word> {
    pub(super) log: Log<'a, W>,
    slots: Racy<'a, T>,
    /// `None` if there is one publisher.
    spares: Option<Spares<'a, W>>,
    pub(super) places: Option<Places<'a, W>>,
}

impl<T, W: Word> Clone for Core<'_, T, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, W: Word> Copy for Core<'_, T, W> {}

impl<'a, T: Element, W: Word> Core<'a, T, W> {
    /// The parts, if they all lie inside `span`.
    pub(super) fn at(span: Span<'a>, layout: &Layout) -> Option<Self> {
        let log = Log::at(span, layout)?;
        let spare_count = usize::try_from(layout.spare_count).ok()?;
        let stride = usize::try_from(layout.stride).ok()?;
        let slots = log.capacity + spare_count;
        let spares = if layout.one_publisher {
            None
        } else {
            let words = span.words(layout.spares, W::BYTES, spare_count)?;
            Some(Spares { words, count: spare_count, slots })
        };
        Some(Core {
            log,
            slots: span.racy(layout.cells + layout.slot_in_cell, stride, slots)?,
            spares,
            places: Places::at(span, layout)?,
        })
    }

    /// Writes the initial state; nobody else knows the stream yet.
    pub(super) fn initialise(&self) -> Option<()> {
        self.log.tail.store(W::ZERO, Relaxed);
        for index in 0..self.log.capacity {
            self.log.entries.get(index).store(self.log.form.unborn(index), Relaxed);
        }
        if let Some(spares) = self.spares {
            for index in 0..spares.count {
                let slot = (self.log.capacity + index) as u64;
                spares.words.get(index)?.store(W::low(slot + 1), Relaxed);
            }
        }
        Some(())
    }

    #[inline(always)]
    fn has_room(&self, sequence: W) -> bool {
        match &self.places {
            None => true,
            Some(places) => places.has_room(sequence, W::low(self.log.capacity as u64)),
        }
    }

    /// Asks for what a publisher writes soon after `sequence`, if every registered subscriber was seen to have taken it.
    #[inline(always)]
    fn ask_ahead_of(&self, sequence: W) {
        let ahead = self.log.ahead.cells;
        if self.log.ahead.is_due(sequence.index())
            && self.places.map_or(true, |places| {
                let last = sequence.plus(W::low(ahead as u64)).plus(W::low(ahead as u64));
                places.had_room(last, W::low(self.log.capacity as u64))
            })
        {
            self.log.entries.prefetch_for_write(sequence.index().wrapping_add(ahead));
        }
    }

    /// Publishes `value`, as one of many publishers, as any sequence or only as `at`; returns its sequence.
    #[inline(always)]
    pub(super) fn emit(&self, value: &T, at: Option<W>) -> Result<W, Refused> {
        // Acquire: as in `next`.
        let sequence = self.log.tail.load(Acquire);
        let word = self.log.entry(sequence);
        let seen = word.load(Acquire);
        let is_free = self.log.form.is_before(seen, sequence) && !self.log.form.is_closed(seen);
        if !is_free || is_another(sequence, at) || !self.has_room(sequence) {
            return self.emit_slowly(value, at, None);
        }
        match self.emit_in_place(Free { sequence, word, seen }, value) {
            Ok(()) => Ok(sequence),
            Err(mine) => self.emit_slowly(value, at, mine),
        }
    }

    /// Step 2 of emit. If that fails, with the slot from which we were displaced, in which `value` is.
    #[inline(always)]
    fn emit_in_place(&self, free: Free<'_, W>, value: &T) -> Result<(), Option<usize>> {
        let Free { sequence, word, seen } = free;
        let slot = self.log.form.slot(seen);
        let written = self.log.form.written(sequence, slot);
        // Acquire: whoever owned the slot before has finished with it. Release: who sees that the value before was overwritten sees
        // what was published since.
        word.compare_exchange(seen, written, AcqRel, Acquire).map_err(|_| None)?;
        self.slots.write(slot, value);
        let published = self.log.form.published(sequence, slot);
        // Release: the value is visible to whoever acquires the entry. Relaxed on failure: what displaced us is in this very entry, so
        // our next look at it, which acquires, finds that or something later.
        word.compare_exchange(written, published, Release, Relaxed).map_err(|_| Some(slot))?;
        self.log.move_tail(sequence.plus(W::ONE));
        Ok(())
    }

    /// What emit does when it did not succeed at once: with a slot of our own, which holds `value` if there is one already.
    #[cold]
    #[inline(never)]
    fn emit_slowly(&self, value: &T, at: Option<W>, mut mine: Option<usize>) -> Result<W, Refused> {
        let emitted = self.emit_from(value, at, &mut mine);
        if let (Some(slot), Some(spares)) = (mine, &self.spares) {
            spares.give(slot);
        }
        emitted.map_err(|why| Refused { why, gave_slot: mine.is_some() })
    }

    /// Steps 1 to 4 of emit. What is in `mine` afterwards goes to the spares.
    fn emit_from(&self, value: &T, at: Option<W>, mine: &mut Option<usize>) -> Result<W, Refusal> {
        let spares = self.spares.as_ref().ok_or(Refusal::Corrupt)?;
        let form = &self.log.form;
        let mut looks = 0;
        for _ in 0..TURNS {
            let free = self.log.find_free()?;
            let Free { sequence, word, seen } = free;
            if is_another(sequence, at) {
                return Err(Refusal::NotNext);
            }
            if !self.has_room(sequence) {
                return Err(Refusal::Full);
            }
            let is_written = form.is_void(seen, sequence);
            if is_written && look_again(&mut looks) {
                continue;
            }
            if !is_written && mine.is_none() {
                match self.emit_in_place(free, value) {
                    Ok(()) => return Ok(sequence),
                    Err(slot) => *mine = slot,
                }
                continue;
            }
            let slot = match *mine {
                Some(slot) => slot,
                None => {
                    let slot = spares.take().ok_or(Refusal::Blocked)?;
                    self.slots.write(slot, value);
                    *mine = Some(slot);
                    slot
                }
            };
            // As for the last CAS of `emit`. Acquire also: their slot was given up before.
            let published = form.published(sequence, slot);
            if word.compare_exchange(seen, published, AcqRel, Acquire).is_ok() {
                *mine = (!is_written).then(|| form.slot(seen));
                self.log.move_tail(sequence.plus(W::ONE));
                return Ok(sequence);
            }
        }
        Err(Refusal::Blocked)
    }

    /// Publishes `value` as `next`, as the only publisher, by stores alone.
    #[inline(always)]
    pub(super) fn emit_alone(&self, next: W, value: &T) -> Result<(), Refusal> {
        if !self.has_room(next) {
            return Err(Refusal::Full);
        }
        self.ask_ahead_of(next);
        let word = self.log.entry(next);
        let slot = next.index() & (self.log.capacity - 1);
        // Release: who sees that the value before was overwritten sees what was published since.
        word.store(self.log.form.written(next, slot), Release);
        self.slots.write(slot, value);
        // Release: the value is visible to whoever acquires the entry.
        word.store(self.log.form.published(next, slot), Release);
        // Only now and then: it is a hint, and those that read it take its line from us.
        let after = next.plus(W::ONE);
        if after.index() & (HINT_EACH - 1) == 0 {
            self.log.move_tail(after);
        }
        Ok(())
    }

    /// What is at `cursor`. Wait-free.
    #[inline(always)]
    pub(super) fn read(&self, cursor: W) -> Look<T> {
        let word = self.log.entry(cursor);
        let seen = word.load(Acquire);
        let Some(slot) = self.log.form.value_in(seen, cursor) else {
            return self.no_value(seen, cursor);
        };
        let Some(value) = self.slots.read(slot) else { return Look::Corrupt };
        // `Racy::read` ends with the fence that orders this load after the copy. Acquire: who finds that the value was overwritten
        // sees what was published since.
        if self.log.form.is_same(word.load(Acquire), seen) {
            Look::Value(value)
        } else {
            Look::Overwritten
        }
    }

    #[inline]
    fn no_value(&self, seen: W, cursor: W) -> Look<T> {
        if self.log.form.is_beyond(seen, cursor) {
            Look::Overwritten
        } else if self.log.is_end(seen, cursor) {
            Look::End
        } else {
            rest_after_a_look();
            Look::Nothing
        }
    }
}
