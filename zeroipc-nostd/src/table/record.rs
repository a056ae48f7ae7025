//! The region's record about itself: structure `.region`, always entry 0.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `REGN`, the region's default geometry, `elem_size` 0, `extra` = flags, `capacity` = region size |
//! | 24 | 4 | `session`: differs from that of the region that lay here before; never 0 |
//! | 28 | 4 | reserved, 0 |
//!
//! Flags: bit 0, every party has compare-and-exchange; bit 1, the memory was all zero before the region was created; bit 2, the
//! parties' caches are not coherent there, so that only who maintains them may take part.

use super::{Entry, MAGIC};
use crate::error::RegionError;
use crate::geometry::Geometry;
use crate::prefix::{Kind, Prefix};
use crate::sync::Span;
use core::sync::atomic::Ordering::Relaxed;

pub(crate) const RECORD_BYTES: u64 = 32;
const FLAG_CAS: u32 = 1;
const FLAG_ZEROED: u32 = 2;
const FLAG_INCOHERENT: u32 = 4;

/// What the parties of a region may use on its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Capability {
    /// Loads and stores alone: some party (a Cortex-M0+, a bus without exclusives) has nothing more. One party creates
    /// all structures, and only those that need no more can be created.
    LoadStore,
    /// Compare-and-exchange by every party.
    Cas,
}

/// The record, as read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) geometry: Geometry,
    pub(crate) capability: Capability,
    pub(crate) zeroed: bool,
    pub(crate) incoherent: bool,
    pub(crate) size: u64,
    pub(crate) session: u32,
    offset: u64,
}

impl Record {
    /// Before the record is read: nothing is ruled out yet.
    pub(crate) const UNKNOWN: Record = Record {
        geometry: Geometry::SMALLEST,
        capability: Capability::LoadStore,
        zeroed: false,
        incoherent: false,
        size: u64::MAX,
        session: 0,
        offset: 0,
    };

    pub(crate) fn new(
        offset: u64,
        size: u64,
        geometry: Geometry,
        capability: Capability,
        zeroed: bool,
        session: u32,
    ) -> Self {
        Record { geometry, capability, zeroed, incoherent: false, size, session, offset }
    }

    pub(crate) fn open(span: Span<'_>, entry: &Entry) -> Result<Self, RegionError> {
        let corrupt = RegionError::Corrupt { what: "the region record" };
        if entry.size < RECORD_BYTES {
            return Err(corrupt);
        }
        let part = span.part(entry.offset, RECORD_BYTES).ok_or(corrupt)?;
        let prefix = Prefix::read(part).ok_or(corrupt)?;
        if prefix.kind != Kind::REGION {
            return Err(corrupt);
        }
        let geometry = prefix.geometry.map_err(|_| corrupt)?;
        let session = part.word::<u32>(24).ok_or(corrupt)?.load(Relaxed);
        Ok(Record {
            geometry,
            capability: if prefix.extra & FLAG_CAS != 0 {
                Capability::Cas
            } else {
                Capability::LoadStore
            },
            zeroed: prefix.extra & FLAG_ZEROED != 0,
            incoherent: prefix.extra & FLAG_INCOHERENT != 0,
            size: prefix.capacity,
            session,
            offset: entry.offset,
        })
    }

    pub(crate) fn write(&self, span: Span<'_>) -> Option<()> {
        let part = span.part(self.offset, RECORD_BYTES)?;
        let cas = if self.capability == Capability::Cas { FLAG_CAS } else { 0 };
        let zeroed = if self.zeroed { FLAG_ZEROED } else { 0 };
        let mut prefix = Prefix::new(Kind::REGION, self.geometry, 0, self.size);
        let incoherent = if self.incoherent { FLAG_INCOHERENT } else { 0 };
        prefix.extra = cas | zeroed | incoherent;
        prefix.write(part)?;
        part.word::<u32>(24)?.store(self.session, Relaxed);
        part.word::<u32>(28)?.store(0, Relaxed);
        Some(())
    }

    /// Where it lies.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The session number that stands there now.
    pub(crate) fn session_now(&self, span: Span<'_>) -> Option<u32> {
        Some(span.word::<u32>(self.offset + 24)?.load(Relaxed))
    }

    /// The session number to avoid: that of the region in `span`, live or left over from before a reset.
    ///
    /// While a region is being formatted the first word holds the session of the one before, so that a formatter that dies
    /// does not bring it back. Any other number there is nobody's session, and avoiding it costs nothing.
    pub(crate) fn left_over(span: Span<'_>) -> Option<u32> {
        match span.word::<u32>(0)?.load(Relaxed) {
            MAGIC => super::Table::open(span)
                .ok()
                .map(|table| table.record.session)
                // No session is the magic number: one that a peer put there would keep the half-made table open.
                .filter(|session| *session != MAGIC),
            number => Some(number),
        }
    }
}
