//! The stack's algorithm, for one word size.
//!
//! `head` is one word, `(tag, top)`: the number of the top slot plus 1, 0 if there is none, and above it a tag that each push
//! counts up. A slot in the stack knows the slot below it (`next`, again plus 1) and how deep the stack is with it on top
//! (`depth`). A slot whose `depth` is 0 is free. Value, `next` and `depth` are written by the slot's owner before it is published,
//! and do not change while it is in the stack.
//!
//! **push(v)**
//! 1. Read h = `head`, and the depth of its top. If that is the capacity, and `head` is still h, the stack is full.
//! 2. Take a free slot: CAS its `depth` from 0 to `HELD`. The first to be tried is the *home* of the new depth: slot d for the
//!    element at depth d + 1. So a stack that goes up and down uses the same slots again, which are warm, and nobody has to
//!    remember anything. Write v.
//! 3. Write `next` = the top of h, `depth` = one more than that of h. CAS `head` from h to `(tag + 1, slot)`. On failure look
//!    again as in 1, and write `next` and `depth` again. If it is full by now, the slot goes back.
//!
//! **pop()**
//! 1. Read h = `head`. If it has no top the stack is empty.
//! 2. Read `next` of the top and CAS `head` from h to `(tag, next)`. On failure start again. Now the slot is ours.
//! 3. Read v, and store 0 to `depth`: the slot is free.
//!
//! **Why it holds.** Within one tag there are only pops, and each leaves another slot on top, so no word comes twice in `head`
//! until the tag wraps: whoever finds `head` unchanged knows that nothing happened in between, and what it read of the top is
//! true. That is the answer to ABA of R. K. Treiber, "Systems Programming: Coping with Parallelism" (IBM RJ 5118, 1986,
//! <https://dominoweb.draco.res.ibm.com/58319a2ed2b1078985257003004617ef.html>) and of the IBM System/370's free lists, which Michael
//! 2004 (<https://doi.org/10.1109/TPDS.2004.8>) discusses among its alternatives. Home slots and the depth in the slots are ours.
//!
//! **Free slots** are neither a list nor a bitmap. A word in each slot costs one CAS to take and a store to give back, where the
//! other two cost a read-modify-write each, on words that all parties share (measured alone: 18 ns for a push and a pop, 22 with the
//! bitmap, 2.6 for a CAS). It lies in the line that is written anyway.
//! The price is a search where homes are taken; but elements that are not at home are so by races, and then close to it.
//!
//! **The value is read after the CAS**, when the slot is ours, and not before it: then it is read once and never torn, whatever
//! its size. The price is that a pop killed between the CAS and its return takes the value along; but so it does if it
//! is killed right after a CAS that came after reading.
//!
//! **Spares.** There are more slots than elements fit. A party in the middle of a push or a pop has at most one slot, so with S
//! spares a push finds a slot as long as no more than S other parties are inside (or died there).

use super::Layout;
use crate::element::Element;
use crate::error::{PopError, PushError};
use crate::sync::{acquire_fence, look_again, Atomic, Racy, Span, Word, Words};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// How often an operation starts again before it says `Blocked`. Each turn means that another party moved on, so only a
/// hostile peer, or hardly credible bad luck, uses them up.
const TURNS: u32 = 1 << 16;

/// How often a push searches for a free slot before it says `Blocked`, whatever the others do meanwhile.
const SEARCHES: u32 = 1 << 10;

/// The depth of a slot that a push has taken and not published.
pub(super) const HELD: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Core<'a, T, W: Word> {
    head: Atomic<'a, W>,
    depth: Words<'a, u32>,
    next: Words<'a, u32>,
    values: Racy<'a, T>,
    capacity: u32,
    /// Slots, spares included.
    slots: u32,
    /// Bits of `head` for the top; the rest is the tag.
    top_bits: u32,
}

impl<T, W: Word> Clone for Core<'_, T, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, W: Word> Copy for Core<'_, T, W> {}

/// What `head` was, and what it says.
#[derive(Debug, Clone, Copy)]
struct Head<W> {
    word: W,
    /// The top slot plus 1, or 0; checked.
    top: u32,
}

impl<'a, T: Element, W: Word> Core<'a, T, W> {
    /// The stack in `span`; `None` if the layout does not fit into it.
    pub(super) fn at(span: Span<'a>, layout: &Layout) -> Option<Self> {
        let slots = usize::try_from(layout.slots).ok()?;
        let stride = usize::try_from(layout.stride).ok()?;
        Some(Core {
            head: span.word(layout.head)?,
            depth: span.words(layout.cells, stride, slots)?,
            next: span.words(layout.cells + 4, stride, slots)?,
            values: span.racy(layout.cells + layout.value_in_cell, stride, slots)?,
            capacity: u32::try_from(layout.capacity).ok()?,
            slots: u32::try_from(layout.slots).ok()?,
            top_bits: top_bits(layout.slots),
        })
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Acquire: what whoever published the top wrote before is visible. Each change of `head` is a read-modify-write, so also
    /// what lies below was published by something that this load synchronises with (a release sequence).
    #[inline(always)]
    fn load(&self) -> Option<Head<W>> {
        self.checked(self.head.load(Acquire))
    }

    #[inline(always)]
    fn checked(&self, word: W) -> Option<Head<W>> {
        // Shifted out and back, so that no mask constant of either width is needed.
        let above = 8 * W::BYTES as u32 - self.top_bits;
        let top = ((word << above) >> above).wide();
        let top = u32::try_from(top).ok().filter(|top| *top <= self.slots)?;
        Some(Head { word, top })
    }

    /// Whether `head` is still what it was. Acquire fence: what was read of a slot before came from its publication, unless
    /// somebody had taken it away, which this load then sees.
    #[inline(always)]
    fn unchanged(&self, head: Head<W>) -> bool {
        acquire_fence();
        self.head.load(Relaxed) == head.word
    }

    /// The depth of the stack with `head`; true only if `head` is unchanged. `None` if it cannot be.
    #[inline(always)]
    fn depth(&self, head: Head<W>) -> Option<u32> {
        match (head.top as usize).checked_sub(1) {
            None => Some(0),
            Some(top) => {
                let depth = self.depth.get(top)?.load(Relaxed);
                (1..=self.capacity).contains(&depth).then_some(depth)
            }
        }
    }

    /// Pushes `value`; `given` is called after a slot was taken in vain and given back.
    #[inline(always)]
    pub(super) fn push(&self, value: T, given: impl FnOnce()) -> Result<(), PushError<T>> {
        let mut held = None;
        let (mut looks, mut searches) = (0, 0);
        let mut error = PushError::Blocked(value);
        for _ in 0..TURNS {
            let Some(head) = self.load() else {
                error = PushError::Corrupt(value);
                break;
            };
            let depth = match self.depth(head) {
                Some(depth) if depth < self.capacity => depth,
                beyond => {
                    if self.unchanged(head) {
                        let full = beyond.is_some();
                        error =
                            if full { PushError::Full(value) } else { PushError::Corrupt(value) };
                        break;
                    }
                    continue;
                }
            };
            let slot = match held {
                Some(slot) => slot,
                None => {
                    let Some(slot) = self.take(depth as usize) else {
                        // A slot may have become free behind us while another was taken before us: more than one search.
                        searches += 1;
                        let moving = look_again(&mut looks) || !self.unchanged(head);
                        if moving && searches < SEARCHES {
                            continue;
                        }
                        break;
                    };
                    self.values.write(slot, &value);
                    held = Some(slot);
                    slot
                }
            };
            if self.publish(slot, head, depth) {
                return Ok(());
            }
        }
        if let Some(slot) = held {
            self.give(slot);
            given();
        }
        Err(error)
    }

    /// Takes a free slot, `home` if possible, or one behind it. Bounded: each slot is looked at once.
    #[inline(always)]
    fn take(&self, home: usize) -> Option<usize> {
        if self.take_this(home) {
            return Some(home);
        }
        let slots = self.slots as usize;
        (home + 1..slots).chain(0..home).find(|slot| self.take_this(*slot))
    }

    /// Acquire: whoever gave the slot back has finished with it.
    #[inline(always)]
    fn take_this(&self, slot: usize) -> bool {
        // Looked at first, so that a taken slot costs no write.
        self.depth.get(slot).is_some_and(|depth| {
            depth.load(Relaxed) == 0 && depth.compare_exchange(0, HELD, Acquire, Relaxed).is_ok()
        })
    }

    /// Gives back a slot that we own. Release: our accesses come before those of the next owner, and before what a party does
    /// that finds the slot free, where it expected the top of the stack.
    #[inline(always)]
    fn give(&self, slot: usize) {
        if let Some(depth) = self.depth.get(slot) {
            depth.store(0, Release);
        }
    }

    /// Step 3 of push.
    #[inline(always)]
    fn publish(&self, slot: usize, head: Head<W>, depth: u32) -> bool {
        let (Some(next), Some(above)) = (self.next.get(slot), self.depth.get(slot)) else {
            return false;
        };
        next.store(head.top, Relaxed);
        above.store(depth + 1, Relaxed);
        let tag = (head.word >> self.top_bits).plus(W::ONE);
        let new = tag << self.top_bits | W::low(slot as u64 + 1);
        // Release: value, next and depth come first. Nothing is read on success, and on failure all is read again.
        self.head.compare_exchange(head.word, new, Release, Relaxed).is_ok()
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Result<T, PopError> {
        for _ in 0..TURNS {
            let head = self.load().ok_or(PopError::Corrupt)?;
            let top = (head.top as usize).checked_sub(1).ok_or(PopError::Empty)?;
            // If somebody else pops the top meanwhile, these may be anything, and the CAS fails.
            let next = self.next.get(top).ok_or(PopError::Corrupt)?.load(Relaxed);
            // A slot that is not in the stack has no depth: so a list that a peer made a circle ends.
            if next > self.slots || self.depth(head).is_none() {
                if self.unchanged(head) {
                    return Err(PopError::Corrupt);
                }
                continue;
            }
            let tag = head.word >> self.top_bits;
            let new = tag << self.top_bits | W::low(u64::from(next));
            // Relaxed: the value was acquired with `head`, and whoever gets the slot next gets it by a release.
            if self.head.compare_exchange(head.word, new, Relaxed, Relaxed).is_ok() {
                let value = self.values.read(top);
                self.give(top);
                return value.ok_or(PopError::Corrupt);
            }
        }
        Err(PopError::Blocked)
    }

    /// The top value, without taking it.
    pub(super) fn peek(&self) -> Option<T> {
        for _ in 0..TURNS {
            let head = self.load()?;
            let value = self.values.read((head.top as usize).checked_sub(1)?);
            if self.unchanged(head) {
                return value;
            }
        }
        None
    }

    pub(super) fn len(&self) -> usize {
        for _ in 0..TURNS {
            let Some(head) = self.load() else { return 0 };
            let depth = self.depth(head);
            if self.unchanged(head) {
                return depth.unwrap_or(0) as usize;
            }
        }
        0
    }
}

/// How many bits a number from 0 to `slots` needs.
pub(super) const fn top_bits(slots: u64) -> u32 {
    u64::BITS - slots.leading_zeros()
}
