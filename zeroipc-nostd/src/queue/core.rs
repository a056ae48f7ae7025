//! The relocating queue's algorithm, for one word size.
//!
//! Ticket p belongs to entry p modulo capacity, whose word says `(state, slot)`: `free(p)` until a push claims it, `claimed(p)`
//! while that push fills the slot, `ready(p)` after, `free(p + capacity)` once it was popped. Tickets are claimed in order
//! and popped in order. `tail` and `head` are hints: never beyond the first ticket that is not claimed, or not popped.
//!
//! **push(v)**
//! 1. Read t = `tail` and the entry of t. If it is beyond `free(t)`, t was claimed: go on to the first ticket that was not.
//! 2. If it is behind `free(t)`, ticket t - capacity was claimed and not popped yet: the queue is full.
//! 3. It is `free(t)`: CAS it to `claimed(t)`; on failure start again. Ticket and slot are ours.
//! 4. Write v into the slot and CAS the entry from `claimed(t)` to `ready(t)`. Move `tail` to t + 1. Done.
//! 5. If that fails, a consumer displaced us and put a spare slot in our place. Our slot is ours alone and goes to the
//!    spares; start again.
//!
//! **pop()**
//! 1. Read h = `head` and the entry of h. If it is beyond `ready(h)`, h was popped or displaced: go on to the first ticket
//!    that was not.
//! 2. If it is `free(h)`, nothing was claimed from h on: the queue is empty.
//! 3. If it is `ready(h)`: copy v out of the slot and CAS the entry to `free(h + capacity)`. If that succeeds nobody else
//!    took or changed it meanwhile and v is ours. Move `head` to h + 1. Done. Otherwise start again.
//! 4. It is `claimed(h)`: a producer is filling it. Look again a few times. If the next ticket is not claimed either, no push
//!    but that one has come this far, and it is not done: the queue is empty. Otherwise displace it: CAS the entry from
//!    `(claimed(h), p)` to `(free(h + capacity), spare)`, and start again.
//!
//! **Why it holds.** An entry changes only by CAS from the very word that was seen. A consumer owns nothing, ever: it copies
//! first, and the CAS tells whether the copy is good. A displaced producer owns the slot that it names, so no entry can name
//! that slot until it gives the slot up, and its late CAS cannot succeed by accident. Slots are written only under ownership.
//!
//! **Full and empty** are seen in one entry: if that of t is still with ticket t - capacity, then so many are in the queue; if that
//! of h is free, then none is. Neither side reads what the other side writes to, except for the entries themselves.
//!
//! **How many spares.** A stopped producer is in the way with one ticket, which costs one spare to displace; from then on it
//! owns the slot that it had there, and is in nobody's way. So n spares stand for n stopped producers; with none left and one in
//! the way, a pop says `Blocked`. Stopped consumers cost nothing.
//!
//! **seal()**, for a [`Channel`](crate::Channel) that is closed: the entry of the first ticket that was not popped, h, moves from
//! `free(h)` to `sealed(h)`, the one sequence number before it, which is otherwise never used. That is behind `free(h)` and behind
//! `ready(h)`, so from then on every push says full and every pop says empty, and neither needs to know. A push that has claimed
//! h is displaced first, as in step 4 of pop, whether the next ticket is claimed or not.
//!
//! Nobody but a displaced producer owns the slot that its CAS names. Whoever stops right before one while the others go exactly
//! a multiple of 2^(sequence bits - 2) laps around may find the very same word again and take what is there now: a pop would
//! return an old copy. That is 2^30 laps or more with 8-byte words, and 2^27 tickets or more with 4-byte words (SPECIFICATION.md,
//! "Limits").
//!
//! The algorithm is this project's own, from Vyukov's bounded MPMC queue (2010,
//! <https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue>), the transition that a dequeuer forces on
//! a late enqueuer in LCRQ (Morrison and Afek 2013, <https://doi.org/10.1145/2442516.2442527>), and head and tail that may lag
//! behind, as in Michael and Scott 1996 (<https://doi.org/10.1145/248052.248106>).

use super::entry::{Form, State};
use super::{Layout, Unsealed};
use crate::element::Element;
use crate::error::{PopError, PushError};
use crate::slots::Spares;
use crate::sync::{look_again, rest_after_a_look, Atomic, Racy, Span, Word, WrappedWords};
use core::mem::size_of;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// How often an operation starts again before it says `Blocked`. Each turn means that another party moved on, so only a
/// hostile peer, or hardly credible bad luck, uses them up.
const TURNS: u32 = 1 << 16;

#[derive(Debug)]
pub(super) struct Core<'a, T, W: Word> {
    tail: Atomic<'a, W>,
    head: Atomic<'a, W>,
    entries: WrappedWords<'a, W>,
    slots: Racy<'a, T>,
    spares: Spares<'a, W>,
    pub(super) form: Form<W>,
    ahead: Ahead<W>,
    /// A power of two, at least 2.
    capacity: usize,
}

/// When to ask for cache lines in advance: with several cells in a line, once a line, two lines ahead.
///
/// Either side changes an entry by a CAS, which waits for its line where a store would not. Measured: 1.7 to 2.6 times the
/// throughput of small elements; with at most one cell in a line it gains nothing. Asking further ahead takes lines that the
/// other side is working on (four lines: a quarter of the throughput).
#[derive(Debug, Clone, Copy)]
struct Ahead<W> {
    /// One less than the number of cells in a line, or all ones.
    mask: W,
    tickets: W,
}

/// Bytes of a cache line as the processor moves it, whatever the structure's geometry.
const LINE: u64 = 64;

impl<W: Word> Ahead<W> {
    fn new(stride: u64) -> Self {
        // Never 0, which the compiler does not know; a division that may fail would link the machinery of panics.
        let cells = LINE.checked_div(stride).unwrap_or(0);
        if cells < 2 {
            return Ahead { mask: W::ZERO.minus(W::ONE), tickets: W::ZERO };
        }
        let cells = 1 << cells.ilog2();
        Ahead { mask: W::low(cells - 1), tickets: W::low(2 * cells) }
    }

    #[inline(always)]
    fn is_due(&self, ticket: W) -> bool {
        ticket & self.mask == W::ZERO
    }
}

impl<T, W: Word> Clone for Core<'_, T, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, W: Word> Copy for Core<'_, T, W> {}

/// A ticket to push, and what its entry holds.
struct Claim<'a, W: Word> {
    ticket: W,
    word: Atomic<'a, W>,
    claimed: W,
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
            entries: span.wrapped_words(layout.cells, stride, capacity)?,
            slots: span.racy(layout.cells + layout.slot_in_cell, stride, slots)?,
            spares: Spares {
                words: span.words(layout.spares, W::BYTES, spare_count)?,
                count: spare_count,
                slots,
            },
            form: Form::new(capacity, slots),
            ahead: Ahead::new(layout.stride),
            capacity,
        })
    }

    /// Writes the initial state; nobody else knows the queue yet.
    pub(super) fn initialise(&self, span: Span<'a>, layout: &Layout) -> Option<()> {
        self.tail.store(W::ZERO, Relaxed);
        self.head.store(W::ZERO, Relaxed);
        for index in 0..self.capacity {
            let free = self.form.free(W::low(index as u64));
            self.entries.get(index).store(free.naming(index), Relaxed);
        }
        for index in 0..self.spares.count {
            let slot = (self.capacity + index) as u64;
            span.word::<W>(layout.cells + slot * layout.stride)?.store(W::ZERO, Relaxed);
            self.spares.words.get(index)?.store(W::low(slot + 1), Relaxed);
        }
        Some(())
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// By the entries, since `tail` and `head` may lag behind. Only loads.
    pub(super) fn len(&self) -> usize {
        // Head first: it only grows towards tail.
        let head = self.first_not_popped();
        let tail = self.first_not_claimed();
        let len = tail.minus(head);
        if len.is_negative() {
            return 0;
        }
        // A single push that has not come to an end is not seen by a pop either.
        let claimed = self.form.claimed(head);
        if len == W::ONE && self.form.is_in(self.entry(head).load(Acquire), claimed) {
            return 0;
        }
        len.index().min(self.capacity)
    }

    /// The first ticket that was neither popped nor passed over. Only loads.
    pub(super) fn first_not_popped(&self) -> W {
        self.first_not_beyond(self.head.load(Acquire), Form::ready)
    }

    /// The first ticket that no push has claimed. Only loads.
    pub(super) fn first_not_claimed(&self) -> W {
        self.first_not_beyond(self.tail.load(Acquire), Form::free)
    }

    /// `ticket`, or the first after it whose entry is not beyond `state`.
    fn first_not_beyond(&self, ticket: W, state: impl Fn(&Form<W>, W) -> State<W>) -> W {
        if self.form.is_beyond(self.entry(ticket).load(Acquire), state(&self.form, ticket)) {
            self.first_after(ticket, state)
        } else {
            ticket
        }
    }

    #[inline(always)]
    pub(super) fn entry(&self, ticket: W) -> Atomic<'a, W> {
        self.entries.get(ticket.index())
    }

    #[inline(always)]
    pub(super) fn push(&self, value: T) -> Result<(), PushError<T>> {
        // Acquire: tickets before this one were claimed by parties whose claims we must see too, or a push that follows one
        // that has returned could be overtaken by it in somebody's view.
        let ticket = self.tail.load(Acquire);
        match self.claim(ticket) {
            Some(claim) if self.fill(&claim, &value) => {
                self.move_tail(ticket.plus(W::ONE));
                Ok(())
            }
            claim => self.push_slowly(value, claim),
        }
    }

    /// What push does when it did not succeed at once: `claim` is what it was displaced from.
    #[cold]
    #[inline(never)]
    fn push_slowly(&self, value: T, claim: Option<Claim<'a, W>>) -> Result<(), PushError<T>> {
        if let Some(claim) = claim {
            self.spares.give(claim.slot);
        }
        for _ in 0..TURNS {
            let claim = self.find_and_claim().map_err(|refusal| refusal.with(value))?;
            let filled = self.fill(&claim, &value);
            self.move_tail(claim.ticket.plus(W::ONE));
            if filled {
                return Ok(());
            }
            self.spares.give(claim.slot);
        }
        Err(PushError::Blocked(value))
    }

    /// Step 3 of push, if the entry of `ticket` is free.
    #[inline(always)]
    fn claim(&self, ticket: W) -> Option<Claim<'a, W>> {
        let word = self.entry(ticket);
        // Acquire: as for `tail`.
        let entry = word.load(Acquire);
        let slot = self.form.slot_in(entry, self.form.free(ticket));
        let claimed = self.form.forward(entry);
        // Acquire: whoever read the slot has finished. Release: who sees this claim sees those before it.
        let ours = slot < self.spares.slots as u64
            && word.compare_exchange(entry, claimed, AcqRel, Relaxed).is_ok();
        ours.then_some(Claim { ticket, word, claimed, slot: slot as usize })
    }

    /// Steps 1 to 3 of push.
    fn find_and_claim(&self) -> Result<Claim<'a, W>, Refusal> {
        for _ in 0..TURNS {
            let (ticket, ..) = self.find_free()?;
            if let Some(claim) = self.claim(ticket) {
                return Ok(claim);
            }
        }
        Err(Refusal::Blocked)
    }

    /// Steps 1 and 2 of push: the first ticket that was not claimed, and its free entry as it was then.
    fn find_free(&self) -> Result<(W, Atomic<'a, W>, W), Refusal> {
        let mut ticket = self.tail.load(Acquire);
        for _ in 0..TURNS {
            let word = self.entry(ticket);
            let entry = word.load(Acquire);
            let free = self.form.free(ticket);
            if self.form.is_in(entry, free) {
                if self.form.slot_in(entry, free) >= self.spares.slots as u64 {
                    return Err(Refusal::Corrupt);
                }
                return Ok((ticket, word, entry));
            }
            if !self.form.is_beyond(entry, free) {
                return Err(Refusal::Full);
            }
            ticket = self.first_after(ticket, Form::free);
            self.move_tail(ticket);
        }
        Err(Refusal::Blocked)
    }

    /// Step 4 of push; false if a consumer has displaced us.
    #[inline(always)]
    fn fill(&self, claim: &Claim<'_, W>, value: &T) -> bool {
        self.look_ahead(claim.ticket, Form::free);
        self.slots.write(claim.slot, value);
        let ready = self.form.forward(claim.claimed);
        // Release: the value is visible to whoever acquires the entry. The failure must acquire: whoever displaced us had
        // seen newer entries, and if we went on with older ones we could say `Full` of a queue that is not.
        claim.word.compare_exchange(claim.claimed, ready, AcqRel, Acquire).is_ok()
    }

    /// Release: pairs with the load in `push`.
    #[inline(always)]
    fn move_tail(&self, ticket: W) {
        self.tail.store(ticket, Release);
    }

    /// Release: pairs with the load in `pop`.
    #[inline(always)]
    fn move_head(&self, ticket: W) {
        self.head.store(ticket, Release);
    }

    /// Pushes `values` from the first on, until one is refused: how many were pushed, and why no more.
    pub(super) fn push_many(&self, values: &[T]) -> (usize, Option<PushError<()>>) {
        let mut ticket = self.tail.load(Acquire);
        for (count, value) in values.iter().enumerate() {
            match self.claim(ticket) {
                Some(claim) if self.fill(&claim, value) => ticket = ticket.plus(W::ONE),
                claim => {
                    self.move_tail(ticket);
                    if let Err(error) = self.push_slowly(*value, claim) {
                        return (count, Some(error.without_value()));
                    }
                    ticket = self.tail.load(Acquire);
                }
            }
        }
        self.move_tail(ticket);
        (values.len(), None)
    }

    /// Pops into `values` from the first on, until there is nothing: how many were popped, and why no more.
    pub(super) fn pop_many(&self, values: &mut [T]) -> (usize, Option<PopError>) {
        let mut ticket = self.head.load(Acquire);
        for (count, to) in values.iter_mut().enumerate() {
            let word = self.entry(ticket);
            if let Some(value) = self.take(ticket, word, word.load(Acquire)) {
                *to = value;
                ticket = ticket.plus(W::ONE);
                continue;
            }
            self.move_head(ticket);
            match self.pop_slowly() {
                Ok(value) => *to = value,
                Err(error) => return (count, Some(error)),
            }
            ticket = self.head.load(Acquire);
        }
        self.move_head(ticket);
        (values.len(), None)
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Result<T, PopError> {
        // Acquire: as for `tail` in `push`.
        let ticket = self.head.load(Acquire);
        let word = self.entry(ticket);
        // Acquire: pairs with the publication of the value.
        let entry = word.load(Acquire);
        match self.take(ticket, word, entry) {
            Some(value) => {
                self.move_head(ticket.plus(W::ONE));
                Ok(value)
            }
            None if self.form.is_in(entry, self.form.free(ticket)) => {
                rest_after_a_look();
                Err(PopError::Empty)
            }
            None => self.pop_slowly(),
        }
    }

    /// Step 3 of pop, if the entry of `ticket` is ready.
    #[inline(always)]
    fn take(&self, ticket: W, word: Atomic<'a, W>, entry: W) -> Option<T> {
        let slot = self.form.slot_in(entry, self.form.ready(ticket));
        if slot >= self.spares.slots as u64 {
            return None;
        }
        let value = self.slots.read(slot as usize)?;
        self.look_ahead(ticket, Form::ready);
        // Release: our copy comes before the next push's write.
        word.compare_exchange(entry, self.form.popped(entry), AcqRel, Relaxed).ok()?;
        Some(value)
    }

    /// Asks for the line ahead of `ticket`, if it is time, and if the last entry of this line is in its ticket's `state`: then
    /// the other side is at least a line away, and is not disturbed where it works.
    #[inline(always)]
    fn look_ahead(&self, ticket: W, state: impl Fn(&Form<W>, W) -> State<W>) {
        if !self.ahead.is_due(ticket) {
            return;
        }
        let last = ticket.plus(self.ahead.mask);
        if self.form.is_in(self.entry(last).load(Relaxed), state(&self.form, last)) {
            self.entries.prefetch_for_write(ticket.plus(self.ahead.tickets).index());
        }
    }

    /// What pop does when it neither succeeded nor found the queue empty at once.
    #[cold]
    #[inline(never)]
    fn pop_slowly(&self) -> Result<T, PopError> {
        self.front(|ticket, word, entry, _| {
            let value = self.take(ticket, word, entry)?;
            self.move_head(ticket.plus(W::ONE));
            Some(value)
        })
    }

    /// A copy of the oldest element, which stays.
    pub(super) fn peek(&self) -> Result<T, PopError> {
        self.front(|_, word, entry, slot| {
            let value = self.slots.read(slot)?;
            // Unchanged: nobody popped it while we copied (`Racy`).
            (word.load(Relaxed) == entry).then_some(value)
        })
    }

    /// Pops the oldest element together with its slot, for which the entry gets a spare.
    pub(super) fn pop_slot(&self) -> Result<usize, PopError> {
        let spare = self.spares.take().ok_or(PopError::Blocked)?;
        let taken = self.front(|ticket, word, entry, slot| {
            // Acquire: the slot is ours, with what its push wrote.
            let free = self.form.skipped(ticket, spare);
            word.compare_exchange(entry, free, AcqRel, Relaxed).ok()?;
            self.move_head(ticket.plus(W::ONE));
            Some(slot)
        });
        if taken.is_err() {
            self.spares.give(spare);
        }
        taken
    }

    /// Publishes `slot`, which the caller owns and has filled, by one CAS; the entry's own slot goes to the spares.
    pub(super) fn push_slot(&self, slot: usize) -> Result<(), PushError<()>> {
        for _ in 0..TURNS {
            let (ticket, word, entry) = self.find_free().map_err(|refusal| refusal.with(()))?;
            let ready = self.form.ready(ticket).naming(slot);
            let theirs = self.form.slot_in(entry, self.form.free(ticket)) as usize;
            // Release: the value is visible to whoever acquires the entry. Acquire: their slot was given up before.
            if word.compare_exchange(entry, ready, AcqRel, Acquire).is_ok() {
                self.move_tail(ticket.plus(W::ONE));
                self.spares.give(theirs);
                return Ok(());
            }
        }
        Err(PushError::Blocked(()))
    }

    pub(super) fn take_spare(&self) -> Option<usize> {
        self.spares.take()
    }

    pub(super) fn give_spare(&self, slot: usize) {
        self.spares.give(slot);
    }

    /// The payload, for who owns a slot.
    pub(super) fn slots(&self) -> Racy<'a, T> {
        self.slots
    }

    /// Steps 1, 2 and 4 of pop, and `take` where the entry is ready, with its slot, until that gives something.
    #[inline]
    fn front<R>(
        &self,
        mut take: impl FnMut(W, Atomic<'a, W>, W, usize) -> Option<R>,
    ) -> Result<R, PopError> {
        let mut looks = 0;
        let mut ticket = self.head.load(Acquire);
        for _ in 0..TURNS {
            let word = self.entry(ticket);
            let entry = word.load(Acquire);
            let ready = self.form.ready(ticket);
            if self.form.is_in(entry, ready) {
                let slot = self.form.slot_in(entry, ready);
                if slot >= self.spares.slots as u64 {
                    return Err(PopError::Corrupt);
                }
                if let Some(taken) = take(ticket, word, entry, slot as usize) {
                    return Ok(taken);
                }
            } else if self.form.is_beyond(entry, ready) {
                ticket = self.first_after(ticket, Form::ready);
                self.move_head(ticket);
            } else if self.form.is_in(entry, self.form.claimed(ticket)) {
                if !look_again(&mut looks) {
                    self.pass_push(ticket, word, entry)?;
                }
            } else {
                return Err(PopError::Empty);
            }
        }
        Err(PopError::Blocked)
    }

    /// Step 4 of pop, when it is time to act.
    #[cold]
    fn pass_push(&self, ticket: W, word: Atomic<'a, W>, entry: W) -> Result<(), PopError> {
        let next = ticket.plus(W::ONE);
        if !self.form.is_beyond(self.entry(next).load(Acquire), self.form.free(next)) {
            return Err(PopError::Empty);
        }
        self.displace(ticket, word, entry).ok_or(PopError::Blocked)
    }

    /// Puts a spare slot in the place of the push that has claimed `ticket`, unless it moved on; `None` if there is no spare.
    fn displace(&self, ticket: W, word: Atomic<'a, W>, entry: W) -> Option<()> {
        let spare = self.spares.take()?;
        let skipped = self.form.skipped(ticket, spare);
        if word.compare_exchange(entry, skipped, AcqRel, Acquire).is_err() {
            self.spares.give(spare);
        }
        Some(())
    }

    /// See the [module](self).
    pub(super) fn seal(&self) -> Result<(), Unsealed> {
        let mut looks = 0;
        let mut ticket = self.head.load(Acquire);
        for _ in 0..TURNS {
            let word = self.entry(ticket);
            let entry = word.load(Acquire);
            if self.form.is_in(entry, self.form.ready(ticket)) {
                return Err(Unsealed::Values);
            }
            if self.form.is_beyond(entry, self.form.ready(ticket)) {
                ticket = self.first_after(ticket, Form::ready);
                self.move_head(ticket);
            } else if self.form.is_in(entry, self.form.claimed(ticket)) {
                if !look_again(&mut looks) {
                    self.displace(ticket, word, entry).ok_or(Unsealed::Blocked)?;
                }
            } else if self.form.is_in(entry, self.form.free(ticket)) {
                // Release: who is refused by it sees what we have seen, the closed word included.
                if word.compare_exchange(entry, self.form.back(entry), AcqRel, Relaxed).is_ok() {
                    return Ok(());
                }
            } else if self.form.is_in(entry, self.form.sealed(ticket)) {
                return Ok(());
            } else {
                return Err(Unsealed::Corrupt);
            }
        }
        Err(Unsealed::Blocked)
    }

    /// The first ticket after `ticket` whose entry is not beyond `state`, where that of `ticket` is, and those that are come
    /// before those that are not. Takes about twice as many looks as the distance has bits.
    #[cold]
    fn first_after(&self, ticket: W, state: impl Fn(&Form<W>, W) -> State<W>) -> W {
        let mut last = ticket;
        let mut step = W::ONE;
        // Bounded: a hostile peer may change what we have seen. An answer that is too low is found out by the caller.
        for _ in 0..4 * 8 * W::BYTES {
            let at = last.plus(step);
            if self.form.is_beyond(self.entry(at).load(Acquire), state(&self.form, at)) {
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
}
