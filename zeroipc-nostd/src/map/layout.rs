//! Where the parts of a Map or a Set lie, and what its creator may choose.

use super::word::{fingerprint_bits, index_bits};
use crate::geometry::{align_up, Geometry};
use crate::prefix::Prefix;
use crate::slots::bitmap_bytes;
use crate::sync::Span;
use core::sync::atomic::Ordering::Acquire;

pub(super) const KEY_SIZE: u64 = 24;
pub(super) const SEED: u64 = 28;
const CONTROL_BYTES: u64 = 32;

const DEFAULT_SPARES: u32 = 8;
const MAX_SPARES: u32 = 1024;
/// Slots beyond the capacity and an eighth of it (so that a free one is found soon) for each party that the map allows for: one for a key that it published when others had taken
/// the last place meanwhile, one that it fills or has removed, one that it has unlinked and not yet given back.
pub(super) const SLOTS_A_SPARE: u64 = 3;

/// Tags of 4-byte words have at least so many bits, and those of 8-byte words twice as many.
const TAG_BITS: u32 = 12;

/// What the creator of a [`Map`](crate::Map) or a [`Set`](crate::Set) may choose beyond its capacity.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Map, MapOptions, Region, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let options = MapOptions::new().spares(2).seed(7);
/// let prices = Map::<u32, f32>::create_with(region, "prices", 16, &options)?;
/// assert_eq!(prices.seed(), 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MapOptions {
    spares: Option<u32>,
    seed: Option<u32>,
}

impl MapOptions {
    /// 8 spares, and the region's session number as seed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many parties may be inside operations at once, or be killed inside, with the capacity still good for as many keys
    /// as it says (1 to 1024). Each costs three slots.
    #[must_use]
    pub fn spares(mut self, spares: u32) -> Self {
        self.spares = Some(spares);
        self
    }

    /// The seed of the hash: what decides which keys share a bucket.
    #[must_use]
    pub fn seed(mut self, seed: u32) -> Self {
        self.seed = Some(seed);
        self
    }

    pub(super) fn spares_or_default(&self) -> u32 {
        self.spares.unwrap_or(DEFAULT_SPARES)
    }

    pub(super) fn seed_or(&self, otherwise: u32) -> u32 {
        self.seed.unwrap_or(otherwise)
    }
}

/// Offsets from the start of the structure, and sizes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) count: u64,
    pub(super) bitmap: u64,
    pub(super) cells: u64,
    /// Where in its cell a slot's key and its value lie. The head is at 0 and the link right behind it.
    pub(super) key: u64,
    pub(super) value: u64,
    pub(super) stride: u64,
    pub(super) capacity: u64,
    pub(super) slots: u64,
    pub(super) size: u64,
}

impl Layout {
    /// By the prefix and the size of a key; `None` if they are not what a creator writes.
    pub(super) fn of(prefix: &Prefix, key_size: u32) -> Option<Self> {
        let geometry = prefix.geometry.ok()?;
        let (word, line) = (u64::from(geometry.word_bytes()), u64::from(geometry.line_bytes()));
        let (capacity, spares) = (prefix.capacity, prefix.extra);
        let possible = key_size > 0
            && key_size <= prefix.elem_size
            && capacity.is_power_of_two()
            && capacity <= max_capacity(geometry, prefix.elem_size)
            && (1..=MAX_SPARES).contains(&spares);
        if !possible {
            return None;
        }
        let (key_size, value_size) = (u64::from(key_size), u64::from(prefix.elem_size - key_size));
        let slots = capacity + capacity / 8 + SLOTS_A_SPARE * u64::from(spares);
        if index_bits(slots) > max_index_bits(geometry) {
            return None;
        }
        let count = align_up(CONTROL_BYTES, line)?;
        let bitmap = align_up(count + 4, line)?;
        let cells = align_up(bitmap + bitmap_bytes(slots), line)?;
        let key = align_up(2 * word, alignment(key_size))?;
        let value = align_up(key + key_size, alignment(value_size))?;
        let widest = word.max(alignment(key_size)).max(alignment(value_size));
        let stride = align_up(value + value_size, widest)?;
        let size = cells.checked_add(stride.checked_mul(slots)?)?;
        Some(Layout { count, bitmap, cells, key, value, stride, capacity, slots, size })
    }

    /// Of the structure that begins `span`.
    pub(super) fn found(span: Span<'_>, prefix: &Prefix) -> Option<Self> {
        let key_size = span.word::<u32>(KEY_SIZE)?.load(Acquire);
        Layout::of(prefix, key_size).filter(|layout| layout.size <= span.len() as u64)
    }
}

/// The capacity that a map gets for the one asked for.
pub(super) fn rounded(capacity: usize) -> Option<u64> {
    capacity.checked_next_power_of_two().filter(|_| capacity > 0).map(|capacity| capacity as u64)
}

/// Keys and values are moved in words of at most 8 bytes that their size is a multiple of.
const fn alignment(size: u64) -> u64 {
    match size.trailing_zeros() {
        0 => 1,
        1 => 2,
        2 => 4,
        _ if size == 0 => 1,
        _ => 8,
    }
}

const fn max_index_bits(geometry: Geometry) -> u32 {
    let bits = 8 * geometry.word_bytes();
    bits - 1 - fingerprint_bits(geometry.word_bytes()) - TAG_BITS * geometry.word_bytes() / 4
}

/// Half of the slots that a word can name, and half of what a pointer can reach.
pub(super) fn max_capacity(geometry: Geometry, elem_size: u32) -> u64 {
    let bytes = isize::MAX as u64 / 4 / (u64::from(elem_size.max(1)) + 32);
    (1 << (max_index_bits(geometry) - 1)).min((bytes + 1).next_power_of_two() / 2)
}

/// How many keys are in the map or set that begins `span`, for a view; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let layout = Layout::found(span, prefix)?;
    Some(keys_of(span.word::<u32>(layout.count)?.load(Acquire), layout.slots))
}

/// What the count says: it may be below zero for a moment, or for ever after a party was killed, and hostile at any time.
pub(super) fn keys_of(count: u32, slots: u64) -> u64 {
    u64::try_from(count as i32).unwrap_or(0).min(slots)
}
