//! The relocating queue's algorithm, for one word size.
//!
//! `head` and `tail` are tickets. Ticket p belongs to entry p modulo capacity, whose word says `(state, slot)`: `free(p)`
//! before the push with ticket p has filled the slot, `ready(p)` after, `free(p + capacity)` once it was popped.
//!
//! **push(v)**
//! 1. Read t = `tail` and the entry of t. If it is `free(t)`, CAS `tail` from t to t + 1. Now the ticket and the slot in the
//!    entry are ours: while `tail` was t nobody could change a `free(t)` entry.
//! 2. Write v into the slot and CAS the entry from `free(t)` to `ready(t)`. Done.
//! 3. If that fails, a consumer displaced us and put a spare slot in our place. Our slot is ours alone and goes to the
//!    spares; start again.
//! 4. If the entry is behind `free(t)` the pop of r = t - capacity has not freed it. If `head` is not beyond r the queue is
//!    full. Otherwise a consumer has claimed r: look again a few times, then displace it: CAS the entry from
//!    `(ready(r), p)` to `(free(t), spare)`.
//!
//! **pop()**
//! 1. Read h = `head` and the entry of h. If it is `ready(h)`, CAS `head` from h to h + 1. Read v from the slot and CAS the
//!    entry from `ready(h)` to `free(h + capacity)`. If that fails a producer displaced us, and the slot goes to the spares.
//! 2. If the entry is ahead of `ready(h)`, ticket h was displaced: CAS `head` to h + 1 and start again.
//! 3. If it is `free(h)`: if `tail` is h the queue is empty. Otherwise a producer has claimed h: look again a few times, then
//!    displace it: CAS the entry from `(free(h), p)` to `(free(h + capacity), spare)`.
//!
//! **Why it holds.** A displaced party owns the slot that it names, so no entry can name that slot until the party gives it
//! up, and its late CAS cannot succeed by accident. Slots are read and written only under ownership.
//!
//! **How many spares.** A stopped party is in the way with one ticket, which costs one spare to displace; from then on it owns
//! the slot that it had there, and is in nobody's way. So n spares stand for n stopped parties, wherever they stopped; with
//! none left and a party in the way, an operation says `Blocked`. A displaced push could instead publish the slot that
//! it owns under its next ticket and save copying the value once more; but then a party that is displaced and stops again
//! before its next publication costs a second spare (the model checker found it), and the rare copy is the better price.
//!
//! A displacer does *not* own the slot it names. If it stops right before its CAS while the others take exactly a multiple of
//! 2^(sequence bits - 1) tickets (2^39 with 8-byte words, 2^19 with 4-byte words) and the entry holds the very same word
//! again, it displaces a value nobody claimed, which is lost. SPECIFICATION.md says so under "Limits".
//!
//! The algorithm is this project's own, from Vyukov's bounded MPMC queue (2010,
//! <https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue>) and the transition that a dequeuer
//! forces on a late enqueuer in LCRQ (Morrison and Afek 2013, <https://doi.org/10.1145/2442516.2442527>).

use super::entry::{slot, State};
use super::spares::Spares;
use super::Layout;
use crate::element::Element;
use crate::error::{PopError, PushError};
use crate::sync::{look_again, Atomic, Slots, Span, Word, Words};
use core::cmp::Ordering;
use core::mem::size_of;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// How often an operation starts again before it says `Blocked`. Each turn means that another party moved on, so only a
/// hostile peer, or hardly credible bad luck, uses them up.
const TURNS: u32 = 1 << 16;

#[derive(Debug)]
pub(super) struct Core<'a, T, W: Word> {
    tail: Atomic<'a, W>,
    head: Atomic<'a, W>,
    entries: Words<'a, W>,
    slots: Slots<'a, T>,
    spares: Spares<'a, W>,
    /// A power of two, at least 2.
    capacity: usize,
}

impl<T, W: Word> Clone for Core<'_, T, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, W: Word> Copy for Core<'_, T, W> {}

/// A ticket to push, with the entry's word as it was when the ticket was claimed.
struct Claim<W> {
    ticket: W,
    entry: W,
    slot: usize,
}

/// Why there is no ticket to push.
enum Refusal {
    Full,
    Blocked,
    Corrupt,
}

impl Refusal {
    fn with<T>(self, value: T) -> PushError<T> {
        match self {
            Refusal::Full => PushError::Full(value),
            Refusal::Blocked => PushError::Blocked(value),
            Refusal::Corrupt => PushError::Corrupt(value),
        }
    }
}

impl<'a, T: Element, W: Word> Core<'a, T, W> {
    /// The queue in `span`; `None` if the layout does not fit into it.
    pub(super) fn at(span: Span<'a>, layout: &Layout) -> Option<Self> {
        let capacity = usize::try_from(layout.capacity).ok()?;
        let spare_count = usize::try_from(layout.spare_count).ok()?;
        let stride = usize::try_from(layout.stride).ok()?;
        let slots = capacity + spare_count;
        debug_assert!(size_of::<T>() <= stride);
        Some(Core {
            tail: span.word(layout.tail)?,
            head: span.word(layout.head)?,
            entries: span.words(layout.cells, stride, slots)?,
            slots: span.slots(layout.cells + layout.slot_in_cell, stride, slots)?,
            spares: Spares {
                words: span.words(layout.spares, W::BYTES, spare_count)?,
                count: spare_count,
                slots,
            },
            capacity,
        })
    }

    /// Writes the initial state; nobody else knows the queue yet.
    pub(super) fn initialise(&self) -> Option<()> {
        self.tail.store(W::ZERO, Relaxed);
        self.head.store(W::ZERO, Relaxed);
        for index in 0..self.capacity {
            let free = State::free(W::low(index as u64));
            self.entries.get(index)?.store(free.naming(index), Relaxed);
        }
        for index in 0..self.spares.count {
            let slot = self.capacity + index;
            self.entries.get(slot)?.store(W::ZERO, Relaxed);
            self.spares.words.get(index)?.store(W::low(slot as u64 + 1), Relaxed);
        }
        Some(())
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn len(&self) -> usize {
        // Head first: it only grows towards tail, so the difference is never negative.
        let head = self.head.load(Acquire);
        self.tail.load(Acquire).minus(head).index().min(self.capacity)
    }

    #[inline(always)]
    fn entry(&self, ticket: W) -> Option<Atomic<'a, W>> {
        self.entries.get(ticket.index() & (self.capacity - 1))
    }

    #[inline(always)]
    pub(super) fn push(&self, value: T) -> Result<(), PushError<T>> {
        for _ in 0..TURNS {
            let claim = self.claim().map_err(|refusal| refusal.with(value))?;
            self.slots.write(claim.slot, &value);
            if self.publish(&claim) {
                return Ok(());
            }
            self.spares.give(claim.slot);
        }
        Err(PushError::Blocked(value))
    }

    /// Step 1 and 4 of push: a ticket, and with it the slot that its entry names.
    #[inline(always)]
    fn claim(&self) -> Result<Claim<W>, Refusal> {
        let mut looks = 0;
        for _ in 0..TURNS {
            let ticket = self.tail.load(Acquire);
            let word = self.entry(ticket).ok_or(Refusal::Corrupt)?;
            // Acquire: whoever freed the entry has finished with its slot.
            let entry = word.load(Acquire);
            match State::of(entry).compare(State::free(ticket)) {
                Ordering::Equal => {
                    let slot = slot(entry);
                    if slot >= self.spares.slots {
                        return Err(Refusal::Corrupt);
                    }
                    // AcqRel, so that tickets are handed from party to party in one order with what they saw before.
                    let next = ticket.plus(W::ONE);
                    if self.tail.compare_exchange(ticket, next, AcqRel, Relaxed).is_ok() {
                        return Ok(Claim { ticket, entry, slot });
                    }
                }
                Ordering::Less => self.make_room(ticket, word, entry, &mut looks)?,
                Ordering::Greater => {} // `tail` is old by now
            }
        }
        Err(Refusal::Blocked)
    }

    /// Step 4 of push: the entry of `ticket` is still with an earlier ticket.
    #[cold]
    fn make_room(
        &self,
        ticket: W,
        word: Atomic<'a, W>,
        entry: W,
        looks: &mut u32,
    ) -> Result<(), Refusal> {
        let earlier = ticket.minus(W::low(self.capacity as u64));
        // Acquire: if `head` is beyond, so is all that its consumer saw.
        let head = self.head.load(Acquire);
        if head == earlier || head.minus(earlier).is_negative() {
            return Err(Refusal::Full);
        }
        if look_again(looks) {
            return Ok(());
        }
        // Anything but this state was seen too late, and looks different by now.
        if State::of(entry) == State::ready(earlier) {
            let spare = self.spares.take().ok_or(Refusal::Blocked)?;
            let free = State::free(ticket).naming(spare);
            if word.compare_exchange(entry, free, AcqRel, Acquire).is_err() {
                self.spares.give(spare);
            }
        }
        Ok(())
    }

    /// Step 2 of push. The failure ordering must acquire: whoever displaced us had seen a newer `head`, and if we went on
    /// with an older one we would say `Full` of a queue that is not.
    #[inline(always)]
    fn publish(&self, claim: &Claim<W>) -> bool {
        let ready = State::ready(claim.ticket).naming(claim.slot);
        self.entry(claim.ticket)
            .is_some_and(|word| word.compare_exchange(claim.entry, ready, AcqRel, Acquire).is_ok())
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Result<T, PopError> {
        let mut looks = 0;
        for _ in 0..TURNS {
            let ticket = self.head.load(Acquire);
            let word = self.entry(ticket).ok_or(PopError::Corrupt)?;
            // Acquire: pairs with the publication of the value.
            let entry = word.load(Acquire);
            let next = ticket.plus(W::ONE);
            match State::of(entry).compare(State::ready(ticket)) {
                Ordering::Equal => {
                    let slot = slot(entry);
                    if slot >= self.spares.slots {
                        return Err(PopError::Corrupt);
                    }
                    if self.head.compare_exchange(ticket, next, AcqRel, Relaxed).is_ok() {
                        return self.take(ticket, word, entry, slot).ok_or(PopError::Corrupt);
                    }
                }
                // Skipped: whoever had the ticket to push was displaced. If it fails another party moved on already.
                Ordering::Greater => {
                    let _ = self.head.compare_exchange(ticket, next, AcqRel, Relaxed);
                }
                Ordering::Less => self.await_push(ticket, word, entry, &mut looks)?,
            }
        }
        Err(PopError::Blocked)
    }

    /// The rest of step 1 of pop: the ticket is ours, and with it the slot.
    #[inline(always)]
    fn take(&self, ticket: W, word: Atomic<'a, W>, entry: W, slot: usize) -> Option<T> {
        let value = self.slots.read(slot);
        let free = State::free(ticket.plus(W::low(self.capacity as u64))).naming(slot);
        // Release: our read comes before the next push's write.
        if word.compare_exchange(entry, free, AcqRel, Acquire).is_err() {
            self.spares.give(slot);
        }
        value
    }

    /// Step 3 of pop: the entry of `ticket` is not filled.
    #[inline(always)]
    fn await_push(
        &self,
        ticket: W,
        word: Atomic<'a, W>,
        entry: W,
        looks: &mut u32,
    ) -> Result<(), PopError> {
        // Acquire: if `tail` is beyond, so is all that its producer saw.
        if self.tail.load(Acquire) == ticket {
            return Err(PopError::Empty);
        }
        if look_again(looks) {
            return Ok(());
        }
        self.displace_push(ticket, word, entry)
    }

    #[cold]
    fn displace_push(&self, ticket: W, word: Atomic<'a, W>, entry: W) -> Result<(), PopError> {
        // Anything but this state was seen too late, and looks different by now.
        if State::of(entry) == State::free(ticket) {
            let spare = self.spares.take().ok_or(PopError::Blocked)?;
            let skipped = State::free(ticket.plus(W::low(self.capacity as u64))).naming(spare);
            if word.compare_exchange(entry, skipped, AcqRel, Acquire).is_err() {
                self.spares.give(spare);
            }
        }
        Ok(())
    }
}
