//! Creating a structure: many parties at once, any of which may stop or die anywhere.
//!
//! 1. Look the name up; if it is there, it exists.
//! 2. Reserve a block: move `next_offset` past it by CAS. A block is an *intent* of 40 bytes (name, size as two words)
//!    right before the structure, which starts on a line. Nobody else knows the block; a creator that dies before step 4
//!    leaks it and holds up nobody.
//! 3. Initialise the structure, then write the intent.
//! 4. With n = `entry_count`: if entry n's `offset` is not 0, somebody claimed it: complete it (step 5) and look again.
//!    Otherwise check the names that came since (a duplicate gives the block back), and claim entry n by CAS on its
//!    `offset` from 0.
//! 5. Complete entry n, ours or another's: copy name and size from the intent behind its `offset`, then move
//!    `entry_count` from n to n + 1 by CAS. Anybody may do it, at any time, any number of times: it writes the same
//!    words each time, because an intent never changes once it is claimed.
//!
//! Entries are claimed in order and a name is checked against all before its own, so a name exists at most once. Step 5
//! is "helping" as in Herlihy, "Wait-free synchronization" (1991): <https://doi.org/10.1145/114005.102808>.
//!
//! Where some party has no compare-and-exchange, only the handle that formatted the region creates, with plain stores in
//! the same order, and finders see the same states.

use super::Table;
use crate::error::StructureError;
use crate::geometry::{align_up, Geometry};
use crate::name::{Name, NAME_BYTES};
use crate::sync::{AnyWord, Span};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Bytes of an intent, right before its structure: the name, then the size as two words.
pub(crate) const INTENT_BYTES: u64 = 40;

/// The most bytes that a structure of `size` bytes takes in a region: its block, wherever that starts.
pub(crate) fn block_bytes(geometry: Geometry, size: u64) -> Option<u64> {
    // Blocks start at multiples of 8 and structures on lines, so up to a line less 8 bytes lies between.
    align_up(size, 8)?.checked_add(INTENT_BYTES + u64::from(geometry.line_bytes()) - 8)
}

/// How often a creator starts a step again because another party moved on in between. Each turn means that somebody
/// else got something done, so only a peer that does nothing but create, or a hostile one, can use them up.
const TURNS: u32 = 1 << 20;

/// A reserved block: `[start, end)` with the structure at `offset`.
struct Block {
    start: u64,
    offset: u64,
    end: u64,
}

/// What a creation writes: how the structure's memory is set up, and how much of its start is touched by that.
pub(crate) struct Plan<'p, 'a> {
    pub(crate) name: Name,
    pub(crate) size: u64,
    pub(crate) line: u64,
    /// Initialises the structure; returns how many bytes from its start may have been written.
    pub(crate) init: &'p mut dyn FnMut(Span<'a>) -> Option<u64>,
    /// Whether compare-and-exchange may be used; if not, the caller is the only creator.
    pub(crate) cas: bool,
    /// Whether the structure must not share its last line with what is created next.
    pub(crate) alone: bool,
}

impl<'a> Table<'a> {
    /// Creates a structure; returns its memory.
    pub(crate) fn create(&self, plan: Plan<'_, 'a>) -> Result<Span<'a>, StructureError> {
        let name = plan.name;
        match self.create_unless_taken(plan) {
            // Whoever took the last of it may have taken it for this name: then that is the news.
            Err(StructureError::TableFull { .. } | StructureError::NoSpace { .. })
                if self.find(&name).is_some() =>
            {
                Err(StructureError::Exists { name })
            }
            other => other,
        }
    }

    fn create_unless_taken(&self, plan: Plan<'_, 'a>) -> Result<Span<'a>, StructureError> {
        let name = plan.name;
        let corrupt = StructureError::Corrupt { name, what: "the table" };
        if self.find(&name).is_some() {
            return Err(StructureError::Exists { name });
        }
        if self.entry_count() == self.max_entries {
            return Err(StructureError::TableFull { max_entries: self.max_entries });
        }
        let block = self.reserve(&plan)?;
        // Nothing of ours is left in the cache when the table is looked at again.
        self.caches.clean_span(self.span, 0, self.heap);
        let part = self.span.part(block.offset, plan.size).ok_or(corrupt)?;
        let touched = (plan.init)(part).ok_or(corrupt)?;
        self.write_intent(&block, &plan).ok_or(corrupt)?;
        self.caches.clean_span(self.span, block.start, block.end - block.start);
        match self.publish(&block, &plan) {
            Ok(()) => Ok(part),
            Err(error) => {
                self.give_back(&block, touched, plan.cas);
                Err(error)
            }
        }
    }

    /// Step 2.
    fn reserve(&self, plan: &Plan<'_, 'a>) -> Result<Block, StructureError> {
        let corrupt = StructureError::Corrupt { name: plan.name, what: "the table's next_offset" };
        let next = self.next_offset_word().ok_or(corrupt)?;
        for _ in 0..TURNS {
            // Acquire: a block that was given back was cleared before, and what we write must come after that.
            let start = next.load(Acquire);
            if start % 8 != 0 || start < self.heap || start > self.record.size {
                return Err(corrupt);
            }
            let available = self.record.size - start;
            let block = plan.block_at(start);
            let Some(block) = block.filter(|block| block.end <= self.record.size) else {
                let needed = plan.size.saturating_add(INTENT_BYTES);
                return Err(StructureError::NoSpace { needed, available });
            };
            if exchange(next, start, block.end, plan.cas) {
                return Ok(block);
            }
        }
        Err(StructureError::Contended)
    }

    /// Step 3, second half.
    fn write_intent(&self, block: &Block, plan: &Plan<'_, 'a>) -> Option<()> {
        let intent = block.offset - INTENT_BYTES;
        self.span.store_block(intent, &plan.name.to_words())?;
        self.narrow(intent + 32)?.store(plan.size as u32, Relaxed);
        self.narrow(intent + 36)?.store((plan.size >> 32) as u32, Relaxed);
        Some(())
    }

    /// Steps 4 and 5.
    fn publish(&self, block: &Block, plan: &Plan<'_, 'a>) -> Result<(), StructureError> {
        let name = plan.name;
        let corrupt = StructureError::Corrupt { name, what: "the table's entries" };
        let mut checked = 0;
        for _ in 0..TURNS {
            let n = self.entry_count();
            if self.find_from(checked, &name).is_some() {
                return Err(StructureError::Exists { name });
            }
            // `find_from` may have looked further than n: those are checked again, which costs little.
            checked = n;
            if n == self.max_entries {
                return Err(StructureError::TableFull { max_entries: self.max_entries });
            }
            let claim = self.offset_word(n).ok_or(corrupt)?;
            // Acquire pairs with the claim: the intent behind a claimed offset is complete.
            let claimed = claim.load(Acquire);
            if claimed != 0 {
                self.complete(n, claimed, plan.cas).ok_or(corrupt)?;
            } else if exchange(claim, 0, block.offset, plan.cas) {
                return self.complete(n, block.offset, plan.cas).ok_or(corrupt);
            }
        }
        Err(StructureError::Contended)
    }

    /// Step 5: `None` if a peer wrote nonsense into the claim.
    fn complete(&self, n: u32, offset: u64, cas: bool) -> Option<()> {
        let intent = offset.checked_sub(INTENT_BYTES).filter(|intent| *intent >= self.heap)?;
        if offset % 8 != 0 || offset > self.record.size {
            return None;
        }
        let name = self.span.load_block::<{ NAME_BYTES / 4 }>(intent)?;
        let low = self.narrow(intent + 32)?.load(Relaxed);
        let high = self.narrow(intent + 36)?.load(Relaxed);
        self.span.store_block(self.entry_at(n), &name)?;
        self.size_word(n)?.store(u64::from(low) | u64::from(high) << 32, Relaxed);
        // The count lies in a line that may be written back at any time once it is there.
        self.caches.clean_span(self.span, 0, self.heap);
        // Release: whoever sees the new count sees the entry, and through our acquire of the claim the structure.
        // If it fails, another party has completed the entry: that is just as well.
        let count = AnyWord::Narrow(self.entry_count_word()?);
        exchange(count, u64::from(n), u64::from(n) + 1, cas);
        self.caches.clean_span(self.span, 0, self.heap);
        Some(())
    }

    /// Undoes step 2, if no block was reserved since; otherwise the block is leaked. It is not referenced by anybody.
    fn give_back(&self, block: &Block, touched: u64, cas: bool) {
        if self.record.zeroed {
            // What is beyond `next_offset` must stay all zero.
            let len = block.offset - block.start + touched;
            self.span.clear(block.start, align_up(len, 4).unwrap_or(len));
        }
        if let Some(next) = self.next_offset_word() {
            exchange(next, block.end, block.start, cas);
        }
        self.caches.clean_span(self.span, 0, self.heap);
    }
}

impl Plan<'_, '_> {
    /// The block at `start` that holds the intent and the structure; `None` if the numbers overflow.
    fn block_at(&self, start: u64) -> Option<Block> {
        let offset = align_up(start.checked_add(INTENT_BYTES)?, self.line)?;
        let end = align_up(offset.checked_add(self.size)?, if self.alone { self.line } else { 8 })?;
        Some(Block { start, offset, end })
    }
}

/// `word` from `from` to `to`: by CAS, or by a store if the caller is the only writer.
fn exchange(word: AnyWord<'_>, from: u64, to: u64, cas: bool) -> bool {
    if cas {
        // AcqRel: publishes what was written before, and takes over what the previous holder of the word published.
        word.compare_exchange(from, to, AcqRel, Acquire)
    } else {
        word.store(to, Release);
        true
    }
}
