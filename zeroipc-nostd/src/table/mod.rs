//! The table of names at the start of a region.
//!
//! | version 1 (below 4 GiB) | bytes | version 3 | bytes | field |
//! |---|---|---|---|---|
//! | 0 | 4 | 0 | 4 | `magic` = 0x5A49504D |
//! | 4 | 4 | 4 | 4 | `version` = 1 or 3 |
//! | 8 | 4 | 8 | 4 | `entry_count`: entries that are complete |
//! | | | 12 | 4 | `max_entries` |
//! | | | 16 | 8 | `memory_size` |
//! | 12 | 4 | 24 | 8 | `next_offset`: where the next block starts |
//! | 16 + 40 i | 40 | 32 + 48 i | 48 | entry i |
//!
//! | version 1 | bytes | version 3 | bytes | field of an entry |
//! |---|---|---|---|---|
//! | 0 | 32 | 0 | 32 | `name`, padded with NULs |
//! | 32 | 4 | 32 | 8 | `offset` of the structure, 0 while free |
//! | 36 | 4 | 40 | 8 | `size` of the structure |
//!
//! Entry 0 is always `.region`, the [record](record) of the region about itself, placed right behind the table. So in
//! version 1 the number of entries that fit is `(entry[0].offset - 16) / 40`, rounded down, for everybody and for ever.

pub(crate) mod create;
mod format;
pub(crate) mod record;

pub(crate) use create::{block_bytes, Plan};
pub use format::FormatOptions;

use crate::error::RegionError;
use crate::name::{Name, NAME_BYTES};
use crate::sync::{full_fence, AnyWord, Atomic, Caches, Span, HAS_WIDE};
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use record::Record;

/// `"MPIZ"` in memory: the first word of every region.
pub const MAGIC: u32 = 0x5A49_504D;

/// Most entries that a table may have.
pub(crate) const ENTRIES_LIMIT: u32 = 1 << 20;

/// The name of entry 0.
pub(crate) const RECORD_NAME: Name = Name::known(b".region");

/// The table's versions that this library writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TableVersion {
    /// 4-byte offsets and sizes: regions below 4 GiB.
    V1,
    /// 8-byte offsets and sizes.
    V3,
}

impl TableVersion {
    /// The number in the header.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            TableVersion::V1 => 1,
            TableVersion::V3 => 3,
        }
    }

    /// The same, where the compiler can see that a target without 64-bit atomics opens no version 3.
    const fn possible(self) -> Self {
        if HAS_WIDE {
            self
        } else {
            TableVersion::V1
        }
    }

    pub(crate) const fn header_bytes(self) -> u64 {
        match self.possible() {
            TableVersion::V1 => 16,
            TableVersion::V3 => 32,
        }
    }

    pub(crate) const fn entry_bytes(self) -> u64 {
        match self.possible() {
            TableVersion::V1 => 40,
            TableVersion::V3 => 48,
        }
    }

    const fn next_offset_at(self) -> u64 {
        match self.possible() {
            TableVersion::V1 => 12,
            TableVersion::V3 => 24,
        }
    }
}

/// What an entry says, checked against the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Entry {
    /// Its place in the table.
    pub index: u32,
    /// The structure's name.
    pub name: Name,
    /// Where the structure starts, in bytes from the region's start.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// An entry that contradicts itself or the region; a peer has spoilt it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadEntry {
    /// Its place in the table.
    pub index: u32,
}

/// A table, validated once at open. Everything in it that can change is still read with suspicion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) span: Span<'a>,
    pub(crate) version: TableVersion,
    pub(crate) max_entries: u32,
    pub(crate) record: Record,
    /// Where the first block may start: the record's end.
    pub(crate) heap: u64,
    pub(crate) caches: Caches<'a>,
}

impl<'a> Table<'a> {
    /// Validates the table at the start of `span`.
    pub(crate) fn open(span: Span<'a>) -> Result<Self, RegionError> {
        let have = span.len() as u64;
        let too_small = RegionError::TooSmall { size: have, needed: 16 };
        let magic = span.word::<u32>(0).ok_or(too_small)?.load(Acquire);
        if magic != MAGIC {
            return Err(RegionError::WrongMagic { found: magic });
        }
        let number = span.word::<u32>(4).ok_or(too_small)?.load(Relaxed);
        let version = match number {
            1 => TableVersion::V1,
            3 => TableVersion::V3,
            version => return Err(RegionError::UnknownVersion { version }),
        };
        if version == TableVersion::V3 && !HAS_WIDE {
            return Err(RegionError::NeedsWideAtomics);
        }
        let mut table = Table {
            span,
            version,
            max_entries: 1, // entry 0 tells
            record: Record::UNKNOWN,
            heap: 0,
            caches: Caches::default(),
        };
        let next = table.next_offset_word().ok_or(too_small)?.load(Relaxed);
        if next > have {
            return Err(RegionError::Truncated { have, recorded: next });
        }
        if version.possible() == TableVersion::V3 {
            let recorded = table.wide(16).ok_or(too_small)?.load(Relaxed);
            if recorded > have {
                return Err(RegionError::Truncated { have, recorded });
            }
        }
        table.max_entries = table.derive_max_entries()?;
        let corrupt = RegionError::Corrupt { what: "the region record's entry" };
        let entry = table.entry_if(0, &RECORD_NAME).ok_or(corrupt)?;
        table.record = Record::open(span, &entry)?;
        if table.record.size > have {
            return Err(RegionError::Truncated { have, recorded: table.record.size });
        }
        table.heap = entry.offset + record::RECORD_BYTES;
        if table.record.size < table.heap {
            return Err(RegionError::Corrupt { what: "the region's size" });
        }
        // Formatting takes the magic number away first and changes the session: if both still stand, all the above was one
        // region's.
        full_fence();
        if table.is_current() {
            return Ok(table);
        }
        let found = span.word::<u32>(0).ok_or(too_small)?.load(Relaxed);
        Err(RegionError::WrongMagic { found })
    }

    fn derive_max_entries(&self) -> Result<u32, RegionError> {
        let corrupt = RegionError::Corrupt { what: "the number of entries" };
        let (header, stride) = (self.version.header_bytes(), self.version.entry_bytes());
        let first = self.offset_word(0).ok_or(corrupt)?.load(Relaxed);
        let room = first.checked_sub(header).ok_or(corrupt)? / stride;
        let max = match self.version.possible() {
            TableVersion::V1 => room,
            TableVersion::V3 => u64::from(self.narrow(12).ok_or(corrupt)?.load(Relaxed)),
        };
        if max == 0 || max > room || first > self.span.len() as u64 {
            return Err(corrupt);
        }
        u32::try_from(max).ok().filter(|max| *max <= ENTRIES_LIMIT).ok_or(corrupt)
    }

    /// Entries that are complete. A peer may write nonsense here, so it is clamped.
    pub(crate) fn entry_count(&self) -> u32 {
        // Acquire pairs with the release that completed the last entry: what it leads to is initialised.
        self.entry_count_word().map_or(0, |word| word.load(Acquire)).min(self.max_entries)
    }

    pub(crate) fn next_offset(&self) -> u64 {
        self.next_offset_word().map_or(0, |word| word.load(Relaxed))
    }

    /// Entry `index` (below `entry_count`), checked against the region.
    pub(crate) fn entry(&self, index: u32) -> Result<Entry, BadEntry> {
        let bad = BadEntry { index };
        let name = Name::from_words(self.name_words(index).ok_or(bad)?).ok_or(bad)?;
        let (offset, size) = self.extent(index).ok_or(bad)?;
        Ok(Entry { index, name, offset, size })
    }

    /// Entry `index` (below `entry_count`), checked against the region, if it has this name.
    fn entry_if(&self, index: u32, name: &Name) -> Option<Entry> {
        if !self.name_is(index, &name.to_words()) {
            return None;
        }
        let (offset, size) = self.extent(index)?;
        Some(Entry { index, name: *name, offset, size })
    }

    /// Offset and size in entry `index`, if they lie in the region.
    fn extent(&self, index: u32) -> Option<(u64, u64)> {
        let offset = self.offset_word(index)?.load(Relaxed);
        let size = self.size_word(index)?.load(Relaxed);
        let end = offset.checked_add(size)?;
        let inside = offset >= self.entry_at(self.max_entries) && end <= self.limit();
        (offset % 8 == 0 && inside).then_some((offset, size))
    }

    /// Looks `name` up among the entries from `from` on that are complete.
    pub(crate) fn find_from(&self, from: u32, name: &Name) -> Option<Entry> {
        self.caches.invalidate_span(self.span, 0, self.heap);
        (from..self.entry_count()).find_map(|index| self.entry_if(index, name))
    }

    pub(crate) fn find(&self, name: &Name) -> Option<Entry> {
        self.find_from(0, name)
    }

    /// Whether the region is still the one that was opened: not created anew since.
    pub(crate) fn is_current(&self) -> bool {
        self.caches.invalidate_span(self.span, 0, self.heap);
        // A new table may be shorter and leave the old record where it was: it counts only while entry 0 names it.
        self.narrow(0).map(|word| word.load(Acquire)) == Some(MAGIC)
            && self.narrow(4).map(|word| word.load(Relaxed)) == Some(self.version.number())
            && self.offset_word(0).map(|word| word.load(Relaxed)) == Some(self.record.offset())
            && self.record.session_now(self.span) == Some(self.record.session)
    }

    /// Offsets end here: the region's own size, or all of the span while the record is not read yet.
    fn limit(&self) -> u64 {
        self.record.size.min(self.span.len() as u64)
    }

    fn name_is(&self, index: u32, wanted: &[u32; NAME_BYTES / 4]) -> bool {
        // The first word differs for most names, so the rest is seldom read.
        let first = self.narrow(self.entry_at(index)).map(|word| word.load(Relaxed));
        first == wanted.first().copied() && self.name_words(index).as_ref() == Some(wanted)
    }

    fn name_words(&self, index: u32) -> Option<[u32; NAME_BYTES / 4]> {
        self.span.load_block(self.entry_at(index))
    }

    fn entry_at(&self, index: u32) -> u64 {
        self.version.header_bytes() + self.version.entry_bytes() * u64::from(index)
    }

    fn entry_count_word(&self) -> Option<Atomic<'a, u32>> {
        self.narrow(8)
    }

    fn next_offset_word(&self) -> Option<AnyWord<'a>> {
        self.versioned(self.version.next_offset_at())
    }

    fn offset_word(&self, index: u32) -> Option<AnyWord<'a>> {
        self.versioned(self.entry_at(index) + 32)
    }

    fn size_word(&self, index: u32) -> Option<AnyWord<'a>> {
        let at = match self.version.possible() {
            TableVersion::V1 => 36,
            TableVersion::V3 => 40,
        };
        self.versioned(self.entry_at(index) + at)
    }

    fn narrow(&self, offset: u64) -> Option<Atomic<'a, u32>> {
        self.span.word(offset)
    }

    fn wide(&self, offset: u64) -> Option<AnyWord<'a>> {
        self.span.word(offset).map(AnyWord::Wide)
    }

    /// A word that is 4 bytes in version 1 and 8 in version 3.
    fn versioned(&self, offset: u64) -> Option<AnyWord<'a>> {
        match self.version.possible() {
            TableVersion::V1 => self.narrow(offset).map(AnyWord::Narrow),
            TableVersion::V3 => self.wide(offset),
        }
    }
}
