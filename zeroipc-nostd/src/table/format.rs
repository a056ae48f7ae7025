//! Formatting: a fresh, empty table over any memory.

use super::record::{Capability, Record, RECORD_BYTES};
use super::{Table, TableVersion, ENTRIES_LIMIT, MAGIC, RECORD_NAME};
use crate::error::RegionError;
use crate::geometry::{align_up, Geometry};
use crate::sync::{full_fence, native_cas, Caches, Span, HAS_WIDE};
use core::sync::atomic::Ordering::{Relaxed, Release};

/// How a region is created.
///
/// ```
/// use zeroipc_nostd::{Capability, FormatOptions, Geometry, WordSize};
///
/// // For two Cortex-M0+ cores: 4-byte words, no cache lines, loads and stores only.
/// let options = FormatOptions::new()
///     .max_entries(8)
///     .geometry(Geometry::new(WordSize::Four, 8)?)
///     .capability(Capability::LoadStore);
/// # let _ = options;
/// # Ok::<(), zeroipc_nostd::RegionError>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct FormatOptions {
    max_entries: Option<u32>,
    geometry: Geometry,
    capability: Capability,
    version: Option<TableVersion>,
    session: u32,
    zeroed: bool,
}

impl Default for FormatOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl FormatOptions {
    /// The defaults: this target's geometry and capability, up to 64 entries, the version that fits the size.
    pub fn new() -> Self {
        FormatOptions {
            max_entries: None,
            geometry: Geometry::default(),
            capability: if native_cas() { Capability::Cas } else { Capability::LoadStore },
            version: None,
            session: 0,
            zeroed: false,
        }
    }

    /// Room for at least so many structures (one more is taken by the region's own record).
    ///
    /// By default one for each 256 bytes, at least 4 and at most 64.
    pub fn max_entries(mut self, entries: u32) -> Self {
        self.max_entries = Some(entries);
        self
    }

    /// The geometry of structures that do not choose their own.
    pub fn geometry(mut self, geometry: Geometry) -> Self {
        self.geometry = geometry;
        self
    }

    /// What every party may use on the region's words.
    pub fn capability(mut self, capability: Capability) -> Self {
        self.capability = capability;
        self
    }

    /// The line size of the geometry.
    #[cfg(all(feature = "incoherent", not(loom)))]
    pub(crate) fn lines(&self) -> u32 {
        self.geometry.line_bytes()
    }

    /// Forces a table version; by default 1 below 4 GiB and 3 from there on.
    pub fn version(mut self, version: TableVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// A number that differs from boot to boot: a random word, a boot counter. Whatever is given, the session number
    /// becomes different from that of a region found in the same memory.
    pub fn session(mut self, seed: u32) -> Self {
        self.session = seed;
        self
    }

    /// Says that the memory is all zero (fresh from the operating system), so that large arrays need not be cleared.
    /// If it is not, they begin with what was there.
    pub fn zeroed(mut self, zeroed: bool) -> Self {
        self.zeroed = zeroed;
        self
    }
}

impl<'a> Table<'a> {
    /// Writes an empty table into `span`, whatever was there.
    ///
    /// The magic number goes first and comes back last, so that nobody opens a half-made table, whenever this stops.
    pub(crate) fn format(
        span: Span<'a>,
        options: &FormatOptions,
        caches: Caches<'a>,
    ) -> Result<Self, RegionError> {
        let size = span.len() as u64;
        let version = match options.version {
            Some(version) => version,
            None if u32::try_from(size).is_ok() => TableVersion::V1,
            None => TableVersion::V3,
        };
        if version == TableVersion::V1 && u32::try_from(size).is_err() {
            return Err(RegionError::TooLarge { size, limit: u64::from(u32::MAX) });
        }
        if version == TableVersion::V3 && !HAS_WIDE {
            return Err(RegionError::NeedsWideAtomics);
        }
        if options.capability == Capability::Cas && !native_cas() {
            return Err(RegionError::NeedsCas);
        }
        let wanted = options.max_entries.unwrap_or((size / 256).clamp(4, 64) as u32);
        let entries = wanted.saturating_add(1);
        // One entry is the record's own, and padding before the record may make up to three more in version 1.
        let too_many = RegionError::TooManyEntries { entries: wanted, limit: ENTRIES_LIMIT - 4 };
        if entries > ENTRIES_LIMIT {
            return Err(too_many);
        }

        let table_end = version.header_bytes() + version.entry_bytes() * u64::from(entries);
        let line = u64::from(options.geometry.line_bytes());
        let record_at = align_up(table_end, line).unwrap_or(u64::MAX - RECORD_BYTES);
        let heap = record_at + RECORD_BYTES;
        let too_small = RegionError::TooSmall { size, needed: heap };
        if heap > size {
            return Err(too_small);
        }
        // What the padding before the record holds in version 1 counts as entries: everybody derives it so.
        let max_entries = match version {
            TableVersion::V1 => {
                ((record_at - version.header_bytes()) / version.entry_bytes()) as u32
            }
            TableVersion::V3 => entries,
        };
        if max_entries > ENTRIES_LIMIT {
            return Err(too_many);
        }

        let left_over = Record::left_over(span).unwrap_or(0);
        let session = fresh_session(options.session, left_over);
        let mut record = Record::new(
            record_at,
            size,
            options.geometry,
            options.capability,
            options.zeroed,
            session,
        );
        record.incoherent = caches.is_incoherent();
        let table = Table { span, version, max_entries, record, heap, caches };
        table.write(record_at, left_over).ok_or(too_small)?;
        Ok(table)
    }

    fn write(&self, record_at: u64, left_over: u32) -> Option<()> {
        // Not the magic number any more, and the next formatter's to avoid if this one dies.
        self.narrow(0)?.store(left_over, Relaxed);
        // Nobody may see the new content under the old magic number.
        full_fence();
        self.caches.clean_span(self.span, 0, 8);
        self.span.clear(4, record_at - 4);
        self.narrow(4)?.store(self.version.number(), Relaxed);
        if self.version == TableVersion::V3 {
            self.narrow(12)?.store(self.max_entries, Relaxed);
            self.wide(16)?.store(self.record.size, Relaxed);
        }
        self.record.write(self.span)?;
        self.span.store_block(self.entry_at(0), &RECORD_NAME.to_words())?;
        self.offset_word(0)?.store(record_at, Relaxed);
        self.size_word(0)?.store(RECORD_BYTES, Relaxed);
        self.next_offset_word()?.store(self.heap, Relaxed);
        self.entry_count_word()?.store(1, Relaxed);
        self.caches.clean_span(self.span, 0, self.heap);
        // Release: whoever acquires the magic number sees the whole table.
        self.narrow(0)?.store(MAGIC, Release);
        self.caches.clean_span(self.span, 0, 8);
        Some(())
    }
}

/// A session number that is neither 0, nor the magic number, nor that of the region found here.
fn fresh_session(seed: u32, left_over: u32) -> u32 {
    let wanted = if seed == 0 { left_over.wrapping_add(1) } else { seed };
    (0..4)
        .map(|more| wanted.wrapping_add(more))
        .find(|session| ![0, MAGIC, left_over].contains(session))
        .unwrap_or(1) // four different numbers, three to avoid: never reached
}
