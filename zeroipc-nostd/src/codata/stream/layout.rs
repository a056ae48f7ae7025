//! Where the parts of a stream lie, and what its creator may choose.

use crate::geometry::{align_up, Geometry};
use crate::prefix::Prefix;

pub(super) const VALUES: u64 = 24;
pub(super) const WAITING: u64 = 28;
pub(super) const ROLE: u64 = 32;
pub(super) const SPACE: u64 = 36;
pub(super) const JOINS: u64 = 40;
const CONTROL_BYTES: u64 = 48;

/// So many publishers may be stopped inside, if the creator does not say otherwise.
const DEFAULT_SPARES: u32 = 8;
const MAX_SPARES: u32 = 1024;
const MAX_PLACES: u32 = 1024;

// How `extra` is divided.
const ONE_PUBLISHER: u32 = 1;
const PLACES_SHIFT: u32 = 4;
const PLACES_MASK: u32 = 0xfff;
const SPARES_SHIFT: u32 = 16;

/// What the creator of a [`Stream`](crate::Stream) may choose beyond its capacity.
///
/// ```
/// use zeroipc_nostd::{EmitError, FormatOptions, NextError, Region, Span, Stream, StreamOptions};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let options = StreamOptions::new().backpressure(2);
/// let orders = Stream::<u32>::create_with(region, "orders", 2, &options)?;
///
/// let mut subscriber = orders.subscribe()?;
/// orders.try_emit(1)?;
/// orders.try_emit(2)?;
/// assert_eq!(orders.try_emit(3), Err(EmitError::Full(3)));
/// assert_eq!(subscriber.try_next(), Ok(1));
/// orders.try_emit(3)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamOptions {
    spares: Option<u32>,
    places: u32,
    one_publisher: bool,
}

impl StreamOptions {
    /// Overwrites the oldest values; many publishers, of which 8 may be stopped inside an emit (or one publisher, in a region of
    /// loads and stores only).
    #[must_use]
    pub const fn new() -> Self {
        StreamOptions { spares: None, places: 0, one_publisher: false }
    }

    /// A value is overwritten only when all subscribers have taken it. Up to `subscribers` (1 to 1024) may subscribe at once;
    /// each place costs a line.
    #[must_use]
    pub const fn backpressure(mut self, subscribers: u32) -> Self {
        self.places = subscribers;
        self
    }

    /// How many publishers may be stopped inside an emit at once without anybody noticing (1 to 1024). One that is killed inside
    /// counts for ever. Each costs a slot.
    #[must_use]
    pub const fn spares(mut self, spares: u32) -> Self {
        self.spares = Some(spares);
        self
    }

    /// One publisher, who holds the role: see [`Stream::publisher`](crate::Stream::publisher). Faster, and works with loads and
    /// stores alone.
    #[must_use]
    pub const fn single_publisher(mut self) -> Self {
        self.one_publisher = true;
        self
    }

    /// The same, where not everybody can compare and exchange.
    pub(super) fn or_single_publisher(mut self, has_cas: bool) -> Self {
        self.one_publisher |= !has_cas;
        self
    }

    pub(super) fn has_backpressure(&self) -> bool {
        self.places > 0
    }

    /// As it stands in the prefix; nonsense, which [`Layout::of`] refuses, if a number is impossible.
    pub(super) fn to_extra(self) -> u32 {
        let spares = match (self.one_publisher, self.spares) {
            (true, _) => 0,
            (false, spares) => spares.unwrap_or(DEFAULT_SPARES),
        };
        let form = u32::from(self.one_publisher);
        let possible =
            self.places <= MAX_PLACES && (1..=MAX_SPARES).contains(&spares) != self.one_publisher;
        if possible {
            form | self.places << PLACES_SHIFT | spares << SPARES_SHIFT
        } else {
            u32::MAX
        }
    }

    fn of_extra(extra: u32) -> Option<Self> {
        let one_publisher = extra & ONE_PUBLISHER != 0;
        let places = extra >> PLACES_SHIFT & PLACES_MASK;
        let spares = extra >> SPARES_SHIFT;
        let options =
            StreamOptions { spares: (!one_publisher).then_some(spares), places, one_publisher };
        (options.to_extra() == extra && extra != u32::MAX).then_some(options)
    }
}

/// Offsets from the start of the structure, and sizes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) tail: u64,
    pub(super) slowest: u64,
    pub(super) places: u64,
    /// From one place to the next, and from a place to its cursor.
    pub(super) place_stride: u64,
    pub(super) cursor_in_place: u64,
    pub(super) place_count: u64,
    pub(super) spares: u64,
    pub(super) spare_count: u64,
    pub(super) cells: u64,
    pub(super) slot_in_cell: u64,
    pub(super) stride: u64,
    pub(super) capacity: u64,
    pub(super) one_publisher: bool,
    pub(super) size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is not one that creation writes.
    pub(super) fn of(prefix: &Prefix) -> Option<Self> {
        let geometry = prefix.geometry.ok()?;
        let options = StreamOptions::of_extra(prefix.extra)?;
        let (word, line) = (u64::from(geometry.word_bytes()), u64::from(geometry.line_bytes()));
        let (elem, capacity) = (u64::from(prefix.elem_size), prefix.capacity);
        let possible = (1..=1 << 30).contains(&elem)
            && capacity.is_power_of_two()
            && capacity <= max_capacity(geometry, prefix.elem_size);
        if !possible {
            return None;
        }
        let spare_count = u64::from(options.spares.unwrap_or(0));
        let place_count = u64::from(options.places);
        let tail = align_up(CONTROL_BYTES, line)?;
        let slowest = align_up(tail + word, line)?;
        let places = align_up(slowest + word, line)?;
        let place_stride = align_up(2 * word, line)?;
        let spares = places + place_stride * place_count;
        let cells = align_up(spares + word * spare_count, line)?;
        let elem_align = (1 << elem.trailing_zeros()).min(16).min(line);
        let slot_in_cell = align_up(word, elem_align)?;
        let stride = align_up(slot_in_cell + elem, word.max(elem_align))?;
        let slots = capacity + spare_count;
        if slots > slot_limit(geometry) {
            return None;
        }
        let size = cells.checked_add(stride.checked_mul(slots)?)?;
        Some(Layout {
            tail,
            slowest,
            places,
            place_stride,
            cursor_in_place: word,
            place_count,
            spares,
            spare_count,
            cells,
            slot_in_cell,
            stride,
            capacity,
            one_publisher: options.one_publisher,
            size,
        })
    }
}

/// The capacity that a stream gets for the one asked for.
pub(super) fn rounded(capacity: usize) -> Option<u64> {
    let rounded = capacity.checked_next_power_of_two().filter(|_| capacity > 0)?;
    u64::try_from(rounded).ok()
}

/// How many slots an entry can name: half of its bits, less the marks, are left for the lap.
fn slot_limit(geometry: Geometry) -> u64 {
    1 << (4 * geometry.word_bytes())
}

/// Half of the slots that an entry can name, and half of what a pointer can reach.
pub(super) fn max_capacity(geometry: Geometry, elem_size: u32) -> u64 {
    let bytes = isize::MAX as u64 / 2 / (u64::from(elem_size.max(1)) + 16);
    (slot_limit(geometry) / 2).min((bytes + 1).next_power_of_two() / 2)
}
