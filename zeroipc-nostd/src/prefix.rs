//! The prefix with which every structure begins.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `kind`: four ASCII characters |
//! | 4 | 4 | `geometry`: word size, line size, layout revision (1), 0: one byte each |
//! | 8 | 4 | `elem_size`: bytes of one element |
//! | 12 | 4 | `extra`: meaning by kind, 0 where none is stated |
//! | 16 | 4 | `capacity`, low half |
//! | 20 | 4 | `capacity`, high half |
//!
//! Written once, before the structure can be found; constant afterwards.

use crate::geometry::{BadGeometry, Geometry};
use crate::sync::Span;
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;

/// Bytes of the prefix.
pub(crate) const PREFIX_BYTES: u64 = 24;

/// What a structure is: four readable characters in the region.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(u32);

impl Kind {
    /// The region's record about itself.
    pub const REGION: Kind = Kind::new(*b"REGN");
    /// [`Array`](crate::Array).
    pub const ARRAY: Kind = Kind::new(*b"ARRY");
    /// [`Ring`](crate::Ring).
    pub const RING: Kind = Kind::new(*b"RING");
    /// [`Queue`](crate::Queue).
    pub const QUEUE: Kind = Kind::new(*b"QUEU");
    /// `Stack`.
    pub const STACK: Kind = Kind::new(*b"STAK");
    /// `Map`.
    pub const MAP: Kind = Kind::new(*b"MAP_");
    /// `Set`.
    pub const SET: Kind = Kind::new(*b"SET_");
    /// `Pool`.
    pub const POOL: Kind = Kind::new(*b"POOL");
    /// `Semaphore`.
    pub const SEMAPHORE: Kind = Kind::new(*b"SEMA");
    /// `Mutex`.
    pub const MUTEX: Kind = Kind::new(*b"MUTX");
    /// `RwLock`.
    pub const RWLOCK: Kind = Kind::new(*b"RWLK");
    /// `Monitor`.
    pub const MONITOR: Kind = Kind::new(*b"MONI");
    /// `Barrier`.
    pub const BARRIER: Kind = Kind::new(*b"BARR");
    /// `Latch`.
    pub const LATCH: Kind = Kind::new(*b"LTCH");
    /// `Once`.
    pub const ONCE: Kind = Kind::new(*b"ONCE");
    /// `Event`.
    pub const EVENT: Kind = Kind::new(*b"EVNT");
    /// `Signal`.
    pub const SIGNAL: Kind = Kind::new(*b"SIGN");
    /// `Future`.
    pub const FUTURE: Kind = Kind::new(*b"FUTR");
    /// `Lazy`.
    pub const LAZY: Kind = Kind::new(*b"LAZY");
    /// `Service`.
    pub const SERVICE: Kind = Kind::new(*b"SRVC");

    /// [`Stream`](crate::Stream).
    pub const STREAM: Kind = Kind::new(*b"STRM");

    /// [`Channel`](crate::Channel).
    pub const CHANNEL: Kind = Kind::new(*b"CHAN");

    const fn new(text: [u8; 4]) -> Self {
        Kind(u32::from_le_bytes(text))
    }

    /// The four characters as they stand in the region.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// The name for people: `Array`, or `None` for a kind that this library does not know.
    #[must_use]
    pub const fn known(self) -> Option<&'static str> {
        match self {
            Kind::REGION => Some("Region"),
            Kind::ARRAY => Some("Array"),
            Kind::RING => Some("Ring"),
            Kind::QUEUE => Some("Queue"),
            Kind::STACK => Some("Stack"),
            Kind::MAP => Some("Map"),
            Kind::SET => Some("Set"),
            Kind::POOL => Some("Pool"),
            Kind::SEMAPHORE => Some("Semaphore"),
            Kind::MUTEX => Some("Mutex"),
            Kind::RWLOCK => Some("RwLock"),
            Kind::MONITOR => Some("Monitor"),
            Kind::BARRIER => Some("Barrier"),
            Kind::LATCH => Some("Latch"),
            Kind::ONCE => Some("Once"),
            Kind::EVENT => Some("Event"),
            Kind::SIGNAL => Some("Signal"),
            Kind::FUTURE => Some("Future"),
            Kind::LAZY => Some("Lazy"),
            Kind::STREAM => Some("Stream"),
            Kind::SERVICE => Some("Service"),
            Kind::CHANNEL => Some("Channel"),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(name) => f.write_str(name),
            // Not ours: shown as text as far as it is text.
            None => self.bytes().iter().try_for_each(|byte| write!(f, "{}", byte.escape_ascii())),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Kind {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self.known() {
            Some(name) => defmt::write!(f, "{=str}", name),
            None => defmt::write!(f, "{=[u8; 4]:a}", self.bytes()),
        }
    }
}

/// The prefix, as read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefix {
    pub(crate) kind: Kind,
    pub(crate) geometry: Result<Geometry, BadGeometry>,
    pub(crate) elem_size: u32,
    pub(crate) extra: u32,
    pub(crate) capacity: u64,
}

impl Prefix {
    pub(crate) fn new(kind: Kind, geometry: Geometry, elem_size: u32, capacity: u64) -> Self {
        Prefix { kind, geometry: Ok(geometry), elem_size, extra: 0, capacity }
    }

    /// Writes the prefix at the start of `span`. Relaxed: publication follows by a release.
    pub(crate) fn write(&self, span: Span<'_>) -> Option<()> {
        let geometry = self.geometry.ok()?.to_bits();
        let (low, high) = (self.capacity as u32, (self.capacity >> 32) as u32);
        let fields = [self.kind.0, geometry, self.elem_size, self.extra, low, high];
        for (index, field) in (0_u64..).zip(fields) {
            span.word::<u32>(4 * index)?.store(field, Relaxed);
        }
        Some(())
    }

    /// Reads the prefix at the start of `span`; `None` if the span is too short for one.
    pub(crate) fn read(span: Span<'_>) -> Option<Self> {
        let field = |offset| span.word::<u32>(offset).map(|word| word.load(Relaxed));
        Some(Prefix {
            kind: Kind(field(0)?),
            geometry: Geometry::from_bits(field(4)?),
            elem_size: field(8)?,
            extra: field(12)?,
            capacity: u64::from(field(16)?) | u64::from(field(20)?) << 32,
        })
    }
}
