//! A region as seen by somebody who only looks.

use crate::codata;
use crate::error::{RegionError, StructureError};
use crate::geometry::{BadGeometry, Geometry};
use crate::name::Name;
use crate::prefix::{Kind, Prefix};
use crate::sync::Span;
use crate::synchronisation;
use crate::table::record::Capability;
use crate::table::{BadEntry, Entry, Table, TableVersion};

/// A read-only look at a region: a mapping, a snapshot, a dump file. Never writes, needs no compare-and-exchange.
///
/// What it shows of a live region is a moment's value; each item is read on its own.
///
/// ```
/// use zeroipc_nostd::{Array, FormatOptions, Region, Span, View};
///
/// let mut memory = vec![0_u64; 512];
/// let bytes = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(bytes)?, &FormatOptions::new())?;
/// Array::<u32>::create(region, "counts", 8)?.store(3, 7)?;
///
/// let dump: Vec<u64> = memory; // as read from a file, say
/// let view = View::from_bytes(zerocopy::IntoBytes::as_bytes(dump.as_slice()))?;
/// let names: Vec<_> = view.entries().flatten().map(|e| e.name.to_string()).collect();
/// assert_eq!(names, [".region", "counts"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub(crate) table: Table<'a>,
}

/// What a structure says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StructureInfo {
    /// Its kind.
    pub kind: Kind,
    /// Word size and line size.
    pub geometry: Geometry,
    /// Bytes of one element; 0 where there are no elements.
    pub elem_size: u32,
    /// How many elements fit; of a [`Signal`](crate::Signal) the number of its value slots.
    pub capacity: u64,
    /// How many elements are in it now; `None` where that has no meaning, or the kind is not known here.
    ///
    /// Of a pool the slots that are taken, on loan or on their way; of a semaphore the free permits; of an event 1 while it
    /// is set; of a latch what is left to count; of a barrier who has arrived; of a once 1 when it is done; of a lock how
    /// many parties hold it; of a signal its version; of a future 1 once it is settled; of a lazy value 1 while it is evaluated; of a
    /// stream the values that are left; of a service the places that are taken by calls; of a channel without a buffer how many
    /// parties wait at it.
    pub fill: Option<u64>,
}

impl<'a> View<'a> {
    /// A view of the region in `span`. Constant time; reads the header, entry 0 and the region record.
    ///
    /// # Errors
    /// [`RegionError`], by what is wrong.
    pub fn open(span: Span<'a>) -> Result<Self, RegionError> {
        Table::open(span).map(|table| View { table })
    }

    /// A view of a region at rest: a dump, a file read whole, a read-only mapping.
    ///
    /// # Errors
    /// As [`View::open`]; [`RegionError::Misaligned`] unless the bytes start at a multiple of 8.
    #[cfg(not(loom))]
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, RegionError> {
        Self::open(Span::from_bytes(bytes)?)
    }

    /// The table's version.
    #[must_use]
    pub fn version(&self) -> TableVersion {
        self.table.version
    }

    /// Bytes of the region, as recorded at creation.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.table.record.size
    }

    /// The geometry of structures that do not choose their own.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.table.record.geometry
    }

    /// What the region's parties may use.
    #[must_use]
    pub fn capability(&self) -> Capability {
        self.table.record.capability
    }

    /// The session number stamped at creation.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.table.record.session
    }

    /// Whether the region is still the one that was opened: false once it was created anew in the same memory.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.table.is_current()
    }

    /// How many entries the table has room for.
    #[must_use]
    pub fn max_entries(&self) -> u32 {
        self.table.max_entries
    }

    /// How many entries are in use, the region's own record included.
    #[must_use]
    pub fn entry_count(&self) -> u32 {
        self.table.entry_count()
    }

    /// Where the next block starts: all before it is used (or leaked), all after it is free.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.table.next_offset().min(self.size())
    }

    /// Where blocks start: the end of the table and the region's record.
    #[must_use]
    pub fn heap_offset(&self) -> u64 {
        self.table.heap
    }

    /// The entries in the order of their creation, reserved names included.
    ///
    /// # Errors
    /// An item is [`BadEntry`] where a peer wrote nonsense.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, BadEntry>> + 'a {
        let table = self.table;
        (0..table.entry_count()).map(move |index| table.entry(index))
    }

    /// The entry named `name`. Linear in the number of entries.
    ///
    /// # Errors
    /// [`StructureError::Name`], [`StructureError::NotFound`].
    pub fn find(&self, name: &str) -> Result<Entry, StructureError> {
        let name = Name::new(name)?;
        self.table.find(&name).ok_or(StructureError::NotFound { name })
    }

    /// What the structure behind `entry` says about itself.
    ///
    /// # Errors
    /// [`StructureError::Corrupt`] or [`StructureError::UnknownLayout`]; an unknown kind is not an error.
    pub fn inspect(&self, entry: &Entry) -> Result<StructureInfo, StructureError> {
        let (part, prefix) = self.prefix(entry)?;
        let geometry = check_geometry(&prefix, entry.name)?;
        let corrupt = StructureError::Corrupt { name: entry.name, what: "its capacity" };
        let fill = match prefix.kind {
            Kind::ARRAY => Some(crate::array::fill(part, &prefix).ok_or(corrupt)?),
            Kind::RING => Some(crate::ring::fill(part, &prefix).ok_or(corrupt)?),
            Kind::MAP | Kind::SET => Some(crate::map::fill(part, &prefix).ok_or(corrupt)?),
            Kind::QUEUE => Some(crate::queue::fill(part, &prefix).ok_or(corrupt)?),
            Kind::SEMAPHORE => Some(synchronisation::semaphore_fill(part, &prefix).ok_or(corrupt)?),
            Kind::EVENT => Some(synchronisation::event_fill(part, &prefix).ok_or(corrupt)?),
            Kind::LATCH => Some(synchronisation::latch_fill(part, &prefix).ok_or(corrupt)?),
            Kind::BARRIER => Some(synchronisation::barrier_fill(part, &prefix).ok_or(corrupt)?),
            Kind::ONCE => Some(synchronisation::once_fill(part, &prefix).ok_or(corrupt)?),
            Kind::MUTEX => Some(synchronisation::mutex_fill(part, &prefix).ok_or(corrupt)?),
            Kind::MONITOR => Some(synchronisation::monitor_fill(part, &prefix).ok_or(corrupt)?),
            Kind::RWLOCK => Some(synchronisation::rwlock_fill(part, &prefix).ok_or(corrupt)?),
            Kind::SIGNAL => Some(synchronisation::signal_fill(part, &prefix).ok_or(corrupt)?),
            Kind::STACK => Some(crate::stack::fill(part, &prefix).ok_or(corrupt)?),
            Kind::POOL => Some(crate::pool::fill(part, &prefix).ok_or(corrupt)?),
            Kind::FUTURE => Some(codata::future_fill(part, &prefix).ok_or(corrupt)?),
            Kind::LAZY => Some(codata::lazy_fill(part, &prefix).ok_or(corrupt)?),
            Kind::STREAM => Some(codata::stream_fill(part, &prefix).ok_or(corrupt)?),
            Kind::SERVICE => Some(codata::service_fill(part, &prefix).ok_or(corrupt)?),
            Kind::CHANNEL => Some(codata::channel_fill(part, &prefix).ok_or(corrupt)?),
            _ => None,
        };
        Ok(StructureInfo {
            kind: prefix.kind,
            geometry,
            elem_size: prefix.elem_size,
            capacity: prefix.capacity,
            fill,
        })
    }

    /// Copies bytes from `offset` on into `buffer`; returns how many there were, fewer at the region's end.
    ///
    /// Byte by byte and without any promise of consistency: for looking, not for decoding live structures.
    #[cfg(not(loom))]
    pub fn read_bytes(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let Ok(offset) = usize::try_from(offset) else { return 0 };
        let mut count = 0;
        for (index, to) in buffer.iter_mut().enumerate() {
            let Some(byte) = offset.checked_add(index).and_then(|at| self.table.span.byte(at))
            else {
                break;
            };
            *to = byte;
            count += 1;
        }
        count
    }

    pub(crate) fn prefix(&self, entry: &Entry) -> Result<(Span<'a>, Prefix), StructureError> {
        let corrupt = StructureError::Corrupt { name: entry.name, what: "its place" };
        let part = self.table.span.part(entry.offset, entry.size).ok_or(corrupt)?;
        let prefix = Prefix::read(part).ok_or(corrupt)?;
        Ok((part, prefix))
    }
}

pub(crate) fn check_geometry(prefix: &Prefix, name: Name) -> Result<Geometry, StructureError> {
    prefix.geometry.map_err(|bad| match bad {
        BadGeometry::Revision(revision) => StructureError::UnknownLayout { name, revision },
        BadGeometry::Invalid => StructureError::Corrupt { name, what: "its geometry" },
    })
}
