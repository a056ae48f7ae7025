//! The stack's algorithm, for one word size.
//!
//! `head` is one word, `(tag, top)`: the number of the top slot plus 1, 0 if there is none, and above it a tag that each push
//! counts up. A slot in the stack knows the slot below it (`next`, again plus 1) and how deep the stack is with it on top
//! (`depth`). Both, and the value, are written by the slot's owner before it is published, and do not change while it is in.
//!
//! **push(v)**
//! 1. Read h = `head`, and the depth of its top. If that is the capacity, and `head` is still h, the stack is full.
//! 2. Take a free slot by the bitmap, if possible the *home* of the new depth: slot d for the element at depth d + 1. So a
//!    stack that goes up and down uses the same slots again, which are warm, without remembering anything.
//! 3. Write v, `next` = the top of h, `depth` = one more than that of h. CAS `head` from h to `(tag + 1, slot)`. On failure look
//!    again as in 1, and write `next` and `depth` again. If it is full by now, the slot goes back.
//!
//! **pop()**
//! 1. Read h = `head`. If it has no top the stack is empty.
//! 2. Read `next` of the top and CAS `head` from h to `(tag, next)`. On failure start again. Now the slot is ours.
//! 3. Read v, and give the slot back to the bitmap.
//!
//! **Why it holds.** Within one tag there are only pops, and each leaves another slot on top, so no word comes twice in `head`
//! until the tag wraps: whoever finds `head` unchanged knows that nothing happened in between, and what it read of the top is
//! true. That is the answer to ABA of R. K. Treiber, "Systems Programming: Coping with Parallelism" (IBM RJ 5118, 1986,
//! <https://dominoweb.draco.res.ibm.com/58319a2ed2b1078985257003004617ef.html>) and of the IBM System/370's free lists, which Michael
//! 2004 (<https://doi.org/10.1109/TPDS.2004.8>) discusses among its alternatives. Home slots and the depth in the slots are ours.
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
use crate::slots::Bitmap;
use crate::sync::{acquire_fence, Atomic, Racy, Span, Word, Words};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// How often an operation starts again before it says `Blocked`. Each turn means that another party moved on, so only a
/// hostile peer, or hardly credible bad luck, uses them up.
const TURNS: u32 = 1 << 16;

#[derive(Debug)]
pub(super) struct Core<'a, T, W: Word> {
    head: Atomic<'a, W>,
    free: Bitmap<'a>,
    next: Words<'a, u32>,
    depth: Words<'a, u32>,
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
            free: Bitmap::at(span, layout.bitmap, slots)?,
            next: span.words(layout.cells, stride, slots)?,
            depth: span.words(layout.cells + 4, stride, slots)?,
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

    #[inline(always)]
    pub(super) fn push(&self, value: T) -> Result<(), PushError<T>> {
        let mut slot = None;
        for _ in 0..TURNS {
            let Some(head) = self.load() else {
                return self.push_fails(slot, PushError::Corrupt(value));
            };
            let Some(depth) = self.depth(head) else {
                return self.push_fails(slot, PushError::Corrupt(value));
            };
            if depth == self.capacity {
                if self.unchanged(head) {
                    return self.push_fails(slot, PushError::Full(value));
                }
                continue;
            }
            let mine = match slot {
                Some(mine) => mine,
                None => {
                    let Some(mine) = self.free.take(depth as usize) else {
                        if self.unchanged(head) {
                            return Err(PushError::Blocked(value));
                        }
                        continue;
                    };
                    self.values.write(mine, &value);
                    slot = Some(mine);
                    mine
                }
            };
            if self.publish(mine, head, depth) {
                return Ok(());
            }
        }
        self.push_fails(slot, PushError::Blocked(value))
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

    #[cold]
    fn push_fails(&self, slot: Option<usize>, error: PushError<T>) -> Result<(), PushError<T>> {
        if let Some(slot) = slot {
            self.free.give(slot);
        }
        Err(error)
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Result<T, PopError> {
        for _ in 0..TURNS {
            let head = self.load().ok_or(PopError::Corrupt)?;
            let top = (head.top as usize).checked_sub(1).ok_or(PopError::Empty)?;
            // If somebody else pops the top meanwhile, this may be anything, and the CAS fails.
            let next = self.next.get(top).ok_or(PopError::Corrupt)?.load(Relaxed);
            if next > self.slots || next == head.top {
                if self.unchanged(head) {
                    return Err(PopError::Corrupt);
                }
                continue;
            }
            let tag = head.word >> self.top_bits;
            let new = tag << self.top_bits | W::low(u64::from(next));
            // Relaxed: the value was acquired with `head`, and whoever gets the slot next gets it by the bitmap's release.
            if self.head.compare_exchange(head.word, new, Relaxed, Relaxed).is_ok() {
                let value = self.values.read(top);
                // Release (in the bitmap): our read comes before the next push's write.
                return if self.free.give(top) { value } else { None }.ok_or(PopError::Corrupt);
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

    /// How many elements there are, for a view, if the head and its top make sense.
    pub(super) fn fill(&self) -> Option<u64> {
        self.depth(self.load()?).map(u64::from)
    }
}

/// How many bits a number from 0 to `slots` needs.
pub(super) const fn top_bits(slots: u64) -> u32 {
    u64::BITS - slots.leading_zeros()
}
