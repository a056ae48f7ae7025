//! A region: memory with a table of named structures at its start.

use crate::element::Element;
use crate::error::{RegionError, StructureError};
use crate::geometry::{Geometry, WordSize};
use crate::name::Name;
use crate::party::{Liveness, Membership, PartyId};
use crate::prefix::{Kind, Prefix};
use crate::sync::{native_cas, Caches, Span, HAS_WIDE};
use crate::table::record::Capability;
use crate::table::{FormatOptions, Plan, Table};
use crate::view::{check_geometry, View};
use crate::wait::{Notifier, Wait};
use core::mem::size_of;

/// A handle to a region that this party may read and write. Copy it freely.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Queue, Region, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// // One party creates the region in memory that others see too ...
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let commands = Queue::<u32>::create(region, "commands", 16)?;
/// commands.try_push(7)?;
///
/// // ... and another opens what it finds there.
/// let commands = Queue::<u32>::open(region, "commands")?;
/// assert_eq!(commands.try_pop(), Ok(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Region<'a> {
    view: View<'a>,
    notifier: Option<&'a dyn Wait>,
    membership: Membership<'a>,
    /// Whether this handle formatted the region: where there is no CAS, only it creates.
    creator: bool,
}

impl<'a> Region<'a> {
    /// Formats the memory and opens it. Whatever was there is lost to new openers; handles of the old region stay safe,
    /// and [`Region::is_current`] tells them; but nobody may be creating a structure in the old region at that moment, since
    /// its entry could end up in the new table.
    ///
    /// Time is linear in the number of entries. If this party stops half-way, others find no region
    /// ([`RegionError::WrongMagic`]) and may create it.
    ///
    /// # Errors
    /// [`RegionError::TooSmall`], [`RegionError::TooLarge`], [`RegionError::TooManyEntries`],
    /// [`RegionError::NeedsWideAtomics`], [`RegionError::NeedsCas`].
    pub fn create(span: Span<'a>, options: &FormatOptions) -> Result<Self, RegionError> {
        let table = Table::format(span, options, Caches::default())?;
        Ok(Region {
            view: View { table },
            notifier: None,
            membership: Membership::default(),
            creator: true,
        })
    }

    /// Opens a region that somebody created. Constant time.
    ///
    /// # Errors
    /// [`RegionError`], by what is wrong: [`RegionError::WrongMagic`] also while nobody has created it yet.
    pub fn open(span: Span<'a>) -> Result<Self, RegionError> {
        let view = View::open(span)?;
        if view.table.record.incoherent {
            return Err(RegionError::NeedsCacheMaintenance);
        }
        Ok(Region { view, notifier: None, membership: Membership::default(), creator: false })
    }

    /// As [`Region::create`], in memory that the parties' caches do not keep coherent: `caches` maintains this party's at each
    /// publish and acquire point. The region's capability is [`Capability::LoadStore`].
    ///
    /// What works there is the [`Ring`](crate::Ring) and the [`Signal`](crate::Signal) with one writer. Their roles are *not* recorded
    /// there, since that word would be written by two parties: that a ring has one producer and one consumer, and a signal one
    /// writer, is up to the program. A party that waits is woken at each change, by a [`Wait`] that remembers a wake-up which comes
    /// before the sleep (an event, a mailbox), and not by a word of the region.
    ///
    /// # Errors
    /// As [`Region::create`]; [`RegionError::BadLineSize`] if the geometry's line is shorter than the cache's;
    /// [`RegionError::Misaligned`] if the memory starts inside a line.
    #[cfg(all(feature = "incoherent", not(loom)))]
    pub fn create_incoherent(
        span: Span<'a>,
        options: &FormatOptions,
        caches: &'a dyn crate::CacheMaintenance,
    ) -> Result<Self, RegionError> {
        let caches = Caches::by(caches);
        if options.lines() < caches.line() {
            return Err(RegionError::BadLineSize { bytes: options.lines() });
        }
        let address = span.base() as usize;
        if address % caches.line() as usize != 0 {
            return Err(RegionError::Misaligned { address });
        }
        caches.invalidate_span(span, 0, span.len() as u64);
        let options = options.capability(Capability::LoadStore);
        let view = View { table: Table::format(span, &options, caches)? };
        Ok(Region { view, notifier: None, membership: Membership::default(), creator: true })
    }

    /// Opens a region that was created by [`Region::create_incoherent`]. Invalidates all of it once.
    ///
    /// # Errors
    /// As [`Region::open`]; [`RegionError::BadLineSize`] if the region's lines are shorter than the cache's.
    #[cfg(all(feature = "incoherent", not(loom)))]
    pub fn open_incoherent(
        span: Span<'a>,
        caches: &'a dyn crate::CacheMaintenance,
    ) -> Result<Self, RegionError> {
        let caches = Caches::by(caches);
        caches.invalidate_span(span, 0, span.len() as u64);
        let mut view = View::open(span)?;
        let bytes = view.geometry().line_bytes();
        // In a region that its creator takes for coherent nothing is maintained by him either.
        if view.table.record.incoherent {
            if bytes < caches.line() {
                return Err(RegionError::BadLineSize { bytes });
            }
            view.table.caches = caches;
        }
        Ok(Region { view, notifier: None, membership: Membership::default(), creator: false })
    }

    /// What this party does at publish and acquire points.
    pub(crate) fn caches(&self) -> Caches<'a> {
        self.view.table.caches
    }

    /// The same region with a way to wake parties that wait.
    ///
    /// Structures opened through the result wake sleeping peers when they push or pop; without a notifier nobody is
    /// woken, and peers find what happened when they look themselves.
    #[must_use]
    pub fn with_notifier(mut self, notifier: &'a dyn Wait) -> Self {
        self.notifier = Some(notifier);
        self
    }

    /// The same region as the party `me`, with a way to learn who is dead.
    ///
    /// Locks that are opened through the result record `me` as their owner, and tell when an owner has died.
    ///
    /// ```
    /// use zeroipc_nostd::{FormatOptions, Liveness, PartyId, Region, Span};
    ///
    /// /// A board on which a reset handler notes which core was reset.
    /// #[derive(Debug)]
    /// struct Resets(core::sync::atomic::AtomicU32);
    ///
    /// impl Liveness for Resets {
    ///     fn is_dead(&self, party: PartyId) -> bool {
    ///         self.0.load(core::sync::atomic::Ordering::Acquire) >> party.number() & 1 != 0
    ///     }
    /// }
    ///
    /// # let mut memory = vec![0_u64; 128];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// let resets = Resets(0.into());
    /// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?
    ///     .with_party(PartyId::new(1).ok_or("not a number")?, &resets);
    /// # let _ = region;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_party(mut self, me: PartyId, liveness: &'a dyn Liveness) -> Self {
        self.membership = Membership { me: Some(me), liveness: Some(liveness) };
        self
    }

    /// A read-only view of it.
    #[must_use]
    pub fn view(&self) -> View<'a> {
        self.view
    }

    /// Whether the region is still the one that was opened: false once it was created anew in the same memory (another
    /// boot, another run). Then this handle must be dropped and the region opened again.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.view.is_current()
    }

    /// The session number stamped at creation.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.view.session()
    }

    pub(crate) fn notifier(&self) -> Notifier<'a> {
        Notifier::new(self.notifier)
    }

    pub(crate) fn membership(&self) -> Membership<'a> {
        self.membership
    }

    /// Whether this party and the region both have compare-and-exchange.
    pub(crate) fn has_cas(&self) -> bool {
        native_cas() && self.view.capability() == Capability::Cas
    }

    /// The geometry for a new structure.
    pub(crate) fn geometry(&self) -> Geometry {
        self.view.geometry()
    }

    /// Creates a structure of `size` bytes and initialises it by `init`, which says how much of its start it touched.
    pub(crate) fn create_structure(
        &self,
        name: &str,
        prefix: Prefix,
        size: u64,
        init: impl Fn(Span<'a>) -> Option<u64>,
    ) -> Result<Span<'a>, StructureError> {
        let name = Name::new(name)?;
        if name.is_reserved() {
            return Err(StructureError::Name(crate::error::NameError::Reserved));
        }
        let geometry = check_geometry(&prefix, name)?;
        if geometry.word() == WordSize::Eight && !HAS_WIDE {
            return Err(StructureError::NeedsWideAtomics { name });
        }
        if !self.view.table.is_current() {
            return Err(StructureError::Stale);
        }
        let cas = self.view.capability() == Capability::Cas;
        if cas && !native_cas() {
            return Err(StructureError::NeedsCas { kind: prefix.kind });
        }
        if !cas && !self.creator {
            return Err(StructureError::NotCreator);
        }
        let line = u64::from(geometry.line_bytes());
        let mut init = |span: Span<'a>| {
            prefix.write(span)?;
            init(span)
        };
        let alone = self.coherent_enough_for(prefix.kind)?;
        self.view.table.create(Plan { name, size, line, init: &mut init, cas, alone })
    }

    /// Whether the region is incoherent; an error if this kind cannot be there.
    fn coherent_enough_for(&self, kind: Kind) -> Result<bool, StructureError> {
        match self.caches().is_incoherent() {
            true if kind != Kind::RING && kind != Kind::SIGNAL => {
                Err(StructureError::NeedsCoherence { kind })
            }
            incoherent => Ok(incoherent),
        }
    }

    /// Finds a structure and checks what every kind has in common.
    pub(crate) fn open_structure(
        &self,
        name: &str,
        kind: Kind,
        elem_size: u32,
    ) -> Result<Found<'a>, StructureError> {
        let entry = self.view.find(name)?;
        let name = entry.name;
        if !self.view.table.is_current() {
            return Err(StructureError::Stale);
        }
        self.coherent_enough_for(kind)?;
        self.caches().invalidate_span(self.view.table.span, entry.offset, entry.size);
        let (span, prefix) = self.view.prefix(&entry)?;
        if prefix.kind != kind {
            return Err(StructureError::WrongKind { name, expected: kind, found: prefix.kind });
        }
        let geometry = check_geometry(&prefix, name)?;
        if geometry.word() == WordSize::Eight && !HAS_WIDE {
            return Err(StructureError::NeedsWideAtomics { name });
        }
        if prefix.elem_size != elem_size {
            let found = prefix.elem_size;
            return Err(StructureError::WrongElementSize { name, expected: elem_size, found });
        }
        Ok(Found { name, span, prefix, geometry })
    }
}

/// A structure that was found, with what it says about itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) name: Name,
    pub(crate) span: Span<'a>,
    pub(crate) prefix: Prefix,
    pub(crate) geometry: Geometry,
}

impl Found<'_> {
    pub(crate) fn corrupt(&self, what: &'static str) -> StructureError {
        StructureError::Corrupt { name: self.name, what }
    }
}

/// The size of `T` as the prefix records it.
pub(crate) fn elem_size<T: Element>() -> Result<u32, StructureError> {
    match u32::try_from(size_of::<T>()) {
        Ok(0) => Err(StructureError::ZeroSizedElement),
        // Offsets are computed in `u64` from sizes and counts of at most 32 bits; half of that is room enough.
        Ok(size) if size <= 1 << 30 => Ok(size),
        _ => Err(StructureError::ElementTooLarge { size: size_of::<T>() }),
    }
}

/// Opens a structure, or creates it if there is none: whichever party comes first creates.
pub(crate) fn open_or_create<S>(
    open: impl Fn() -> Result<S, StructureError>,
    create: impl Fn() -> Result<S, StructureError>,
) -> Result<S, StructureError> {
    match open() {
        Err(StructureError::NotFound { .. }) => match create() {
            Err(StructureError::Exists { .. }) => open(),
            other => other,
        },
        other => other,
    }
}
