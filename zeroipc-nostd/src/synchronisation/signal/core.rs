//! The algorithm of a signal. Readers copy a slot and check its stamp; writers never touch a slot that is in sight.
//!
//! `current` is (version, slot). A *stamp* is a version with two marks in the low bits:
//!
//! | mark | meaning |
//! |---|---|
//! | `FREE` | nobody owns the slot; it still holds the value of its version unless it is void |
//! | `VOID` | the slot does not hold the value of the stamp's version (any more) |
//!
//! **Read**: load `current` (acquire), copy the slot it names, load the slot's stamp. If it is the version of `current`, not void, the
//! copy is the value of that version, and was the current one when `current` was loaded. Otherwise the slot was taken for
//! a new value meanwhile: start again.
//!
//! **Set**, one of many writers:
//! 1. Take a free slot, the next after the current one if possible: CAS its stamp from `FREE` to `VOID`. Write the value.
//! 2. Load c = `current`. Stamp the slot with c's version + 1.
//! 3. CAS `current` from c to (c's version + 1, slot). On failure go to 2.
//! 4. The slot that c named is ours now: set its stamp to c's version, `FREE`.
//!
//! **Set**, the only writer: stamp the next slot with the next version, write the value, store `current`.
//!
//! Why a value is never torn: a stamp's version only grows, and a slot gets a new one, or `VOID`, before its value changes.
//! In step 2 c is loaded after the slot was taken, so c's version is not behind any that the slot was published with. If
//! a reader saw any part of a later value, then by the fences in [`Racy`] it also sees that value's stamp, or a later one.
//! (Boehm 2012, "Can seqlocks get along with programming language memory models?", <https://doi.org/10.1145/2247684.2247688>.)
//!
//! Why a reader makes do with few tries: slots are reused in a round, so a try fails only if so many sets as there are free slots
//! went by between its two loads. (Many buffers instead of one: Peterson 1983, "Concurrent reading while writing",
//! <https://doi.org/10.1145/357195.357198>.)

use super::Layout;
use crate::element::Element;
use crate::error::SignalError;
use crate::sync::{look_again, Atomic, Caches, Racy, Span, Word, Words};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const FREE: u64 = 1;
const VOID: u64 = 2;

/// How often a read starts again. Each turn means that writers came all around the slots during one copy.
pub(super) const READS: u32 = 64;
/// How often a write starts again. Each turn means that another write succeeded.
const WRITES: u32 = 1 << 16;

/// The words and slots of a signal.
#[derive(Debug)]
pub(super) struct Core<'a, T, W: Word> {
    current: Atomic<'a, W>,
    stamps: Words<'a, W>,
    values: Racy<'a, T>,
    slots: usize,
    /// How many bits of `current` are the slot's number, and which.
    bits: u32,
    mask: W,
    caches: Caches<'a>,
}

impl<T, W: Word> Clone for Core<'_, T, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, W: Word> Copy for Core<'_, T, W> {}

impl<'a, T: Element, W: Word> Core<'a, T, W> {
    /// The parts, if they all lie inside `span`.
    pub(super) fn at(span: Span<'a>, layout: &Layout, caches: Caches<'a>) -> Option<Self> {
        let slots = usize::try_from(layout.slots).ok()?;
        let stride = usize::try_from(layout.stride).ok()?;
        // A span of the size that the layout needs: cells end with padding, which nobody accesses.
        span.part(0, layout.size)?;
        Some(Core {
            current: span.word(layout.current)?,
            stamps: span.words(layout.cells, stride, slots)?,
            values: span.racy(layout.cells + layout.value_in_cell, stride, slots)?,
            slots,
            bits: layout.bits,
            mask: (W::ONE << layout.bits).minus(W::ONE),
            caches,
        })
    }

    /// Version 0 in slot 0; nobody else knows the structure yet.
    pub(super) fn initialise(&self, value: &T) -> Option<()> {
        for slot in 0..self.slots {
            let stamp = if slot == 0 { 0 } else { FREE | VOID };
            self.stamps.get(slot)?.store(W::low(stamp), Relaxed);
        }
        self.values.write(0, value);
        self.current.store(W::ZERO, Relaxed);
        Some(())
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// The version in a word like `current`.
    #[inline(always)]
    pub(super) fn version(&self, word: W) -> u64 {
        (word >> self.bits).wide()
    }

    /// `current`, acquired: whoever set it had finished with what it did before.
    #[inline(always)]
    pub(super) fn word(&self) -> W {
        self.caches.invalidate_word(self.current);
        self.current.load(Acquire)
    }

    /// The slot that `word` names.
    #[inline(always)]
    pub(super) fn slot(&self, word: W) -> usize {
        (word & self.mask).index()
    }

    /// A clean stamp of the version in `word`.
    #[inline(always)]
    fn stamp(&self, word: W) -> W {
        word.minus(word & self.mask)
    }

    /// The word after `word`, naming `slot`. Versions wrap around.
    #[inline(always)]
    fn next(&self, word: W, slot: usize) -> W {
        ((word >> self.bits).plus(W::ONE) << self.bits) | W::low(slot as u64)
    }

    /// The slot after `slot` in the round; one that exists, whatever `slot` is.
    #[inline(always)]
    fn after(&self, slot: usize) -> usize {
        if slot + 1 < self.slots {
            slot + 1
        } else {
            0
        }
    }

    /// The current value and the word that named it. Wait-free: at most [`READS`] tries.
    ///
    /// By value, in one loop: so a small value stays in registers until it is known to be whole.
    #[inline(always)]
    pub(super) fn read(&self) -> Result<(T, W), SignalError> {
        for _ in 0..READS {
            let word = self.word();
            let slot = self.slot(word);
            self.caches.invalidate_slot(&self.values, slot);
            let value = self.values.read(slot).ok_or(SignalError::Corrupt)?;
            if self.is_whole(word, slot) {
                return Ok((value, word));
            }
        }
        Err(SignalError::Contended)
    }

    /// Reads the current value into `value`; returns the word that named it. What is in `value` after an error is not a value.
    #[inline(always)]
    pub(super) fn read_into(&self, value: &mut T) -> Result<W, SignalError> {
        for _ in 0..READS {
            let word = self.word();
            let slot = self.slot(word);
            self.caches.invalidate_slot(&self.values, slot);
            if !self.values.read_into(slot, value) {
                return Err(SignalError::Corrupt);
            }
            if self.is_whole(word, slot) {
                return Ok(word);
            }
        }
        Err(SignalError::Contended)
    }

    /// Whether a copy of `slot`, which `word` named, is that version's value.
    #[inline(always)]
    pub(super) fn is_whole(&self, word: W, slot: usize) -> bool {
        // Acquire: a stamp that is newer than `word` was written by somebody who had seen a newer `current`. So the next try
        // finds a newer one too.
        let stamp = self.stamps.get(slot).map_or(W::low(VOID), |stamp| {
            self.caches.invalidate_word(stamp);
            stamp.load(Acquire)
        });
        stamp | W::low(FREE) == self.stamp(word) | W::low(FREE)
    }

    /// Sets the value; returns the word that names it.
    #[inline(always)]
    pub(super) fn set(&self, value: &T) -> Result<W, SignalError> {
        let slot = self.take()?;
        self.values.write(slot, value);
        for _ in 0..WRITES {
            let word = self.word();
            if let Some(published) = self.publish(slot, word)? {
                return Ok(published);
            }
        }
        self.give_back(slot);
        Err(SignalError::Contended)
    }

    /// Sets the value if `current` is still `expected`; returns the word that names it, or what `current` is.
    #[inline(always)]
    pub(super) fn set_if(&self, expected: W, value: &T) -> Result<Result<W, W>, SignalError> {
        let slot = self.take()?;
        self.values.write(slot, value);
        // Looked at again before the slot is stamped: the stamp must not go back behind a version that the slot had.
        let word = self.word();
        if word == expected {
            if let Some(published) = self.publish(slot, word)? {
                return Ok(Ok(published));
            }
        }
        self.give_back(slot);
        Ok(Err(self.word()))
    }

    /// Replaces the value by what `change` makes of it; returns both, and the word that names the new one.
    #[inline(always)]
    pub(super) fn update(&self, mut change: impl FnMut(T) -> T) -> Result<(T, T, W), SignalError> {
        for _ in 0..WRITES {
            let (old, word) = self.read()?;
            let new = change(old);
            if let Ok(published) = self.set_if(word, &new)? {
                return Ok((old, new, published));
            }
        }
        Err(SignalError::Contended)
    }

    /// Takes a free slot, which is void from then on. Looks around a bounded number of times.
    #[inline(always)]
    fn take(&self) -> Result<usize, SignalError> {
        let mut looks = 0;
        let mut slot = self.slot(self.current.load(Relaxed));
        loop {
            for _ in 0..self.slots {
                slot = self.after(slot);
                let at = self.stamps.get(slot).ok_or(SignalError::Corrupt)?;
                let stamp = at.load(Relaxed);
                if (stamp & W::low(FREE)) == W::ZERO {
                    continue;
                }
                let void = (stamp | W::low(FREE | VOID)).minus(W::low(FREE));
                // Acquire: its last owner has finished with it. What that one saw of `current`, we see too. Release: see `is_whole`.
                if at.compare_exchange(stamp, void, AcqRel, Relaxed).is_ok() {
                    return Ok(slot);
                }
            }
            if !look_again(&mut looks) {
                return Err(SignalError::Blocked);
            }
        }
    }

    /// Publishes `slot`, which we own and have filled, after `word`, which we acquired since we own it; `None` if `current` is not `word` any more.
    #[inline(always)]
    fn publish(&self, slot: usize, word: W) -> Result<Option<W>, SignalError> {
        let old = self.slot(word);
        let (Some(mine), Some(theirs)) = (self.stamps.get(slot), self.stamps.get(old)) else {
            self.give_back(slot);
            return Err(SignalError::Corrupt);
        };
        let next = self.next(word, slot);
        // Release: see `is_whole`.
        mine.store(self.stamp(next), Release);
        // Release: the value and its stamp are there for whoever acquires `current`. That the old slot's owner has finished with
        // it, whom we are about to follow, we know since `word` was acquired.
        if self.current.compare_exchange(word, next, Release, Relaxed).is_err() {
            return Ok(None);
        }
        theirs.store(self.stamp(word) | W::low(FREE), Release);
        Ok(Some(next))
    }

    /// Gives back a slot that we own and have not published.
    #[inline(always)]
    fn give_back(&self, slot: usize) {
        if let Some(at) = self.stamps.get(slot) {
            // Nobody else writes the stamp of a slot that we own. Void stays, as the value is not that of any version.
            let stamp = at.load(Relaxed) | W::low(FREE | VOID);
            at.store(stamp, Release);
        }
    }

    /// The only writer's set, by loads and stores: `word` is `current`. Returns the new one. Wait-free.
    #[inline(always)]
    pub(super) fn set_alone(&self, word: W, value: &T) -> W {
        let slot = self.after(self.slot(word));
        let next = self.next(word, slot);
        if let Some(at) = self.stamps.get(slot) {
            // Nobody can have seen a `current` with this version and this slot yet, so for readers the slot is void now.
            // Release: see `is_whole`. The write below begins with a release fence.
            at.store(self.stamp(next), Release);
            self.caches.clean_word(at);
        }
        self.values.write(slot, value);
        self.caches.clean_slot(&self.values, slot);
        self.current.store(next, Release);
        self.caches.clean_word(self.current);
        next
    }

    /// The only writer's look at its own last value.
    pub(super) fn read_alone(&self, word: W) -> Option<T> {
        self.values.read(self.slot(word))
    }
}
