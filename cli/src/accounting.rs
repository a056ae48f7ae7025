//! Which of a region's bytes are used, leaked or free.
//!
//! Structures lie in blocks that follow one another from [`View::heap_offset`] on. A block begins with an intent of 40
//! bytes; the structure follows on its next line, and the block's end is rounded up to 8 bytes. A gap that this does not
//! explain belongs to a block whose creator died, or which came second with a name that was taken.

use zeroipc::View;

/// Bytes of an intent, right before its structure.
const INTENT_BYTES: u64 = 40;

/// Where a structure lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) size: u64,
    /// The line size that its offset was aligned to.
    pub(crate) line: u64,
}

/// The bytes of a region. They add up to its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Bytes {
    /// The table, the structures and what they need around them.
    pub(crate) used: u64,
    /// Reserved, but part of no structure; or of one that is being created just now.
    pub(crate) leaked: u64,
    /// Not reserved yet.
    pub(crate) free: u64,
}

impl Bytes {
    /// Of the region in `view`, whose structures lie in `places`, in any order. Read the places first: a structure that
    /// is created in between then counts as being created, and not as overlapping.
    pub(crate) fn of(view: &View<'_>, places: Vec<Place>) -> Bytes {
        let reserved = view.next_offset();
        let leaked = leaked(view.heap_offset(), reserved, places);
        Bytes { used: reserved - leaked, leaked, free: view.size().saturating_sub(reserved) }
    }
}

/// Bytes between `heap` and `reserved` that no place explains; at most `reserved`.
fn leaked(heap: u64, reserved: u64, mut places: Vec<Place>) -> u64 {
    // The region's own record lies before the heap, and a spoilt entry may lie anywhere.
    places.retain(|place| place.offset >= heap);
    places.sort_unstable_by_key(|place| place.offset);
    let mut end = heap;
    let mut leaked = 0_u64;
    for place in places {
        let intent = place.offset.saturating_sub(INTENT_BYTES);
        let explained = align_up(end.saturating_add(INTENT_BYTES), place.line) == place.offset;
        if !explained {
            leaked = leaked.saturating_add(intent.saturating_sub(end));
        }
        end = end.max(align_up(place.offset.saturating_add(place.size), 8));
    }
    leaked.saturating_add(reserved.saturating_sub(end)).min(reserved)
}

/// `value` rounded up to a multiple of `to`, or the largest number if there is none.
fn align_up(value: u64, to: u64) -> u64 {
    value.checked_next_multiple_of(to).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u64, size: u64) -> Place {
        Place { offset, size, line: 64 }
    }

    #[test]
    fn adjacent_blocks_leak_nothing() {
        // 100 + 40 up to 64 is 192; its end 202 up to 8 is 208, + 40 up to 64 is 256.
        let places = vec![place(256, 8), place(192, 10)];
        assert_eq!(leaked(100, 264, places), 0);
    }

    #[test]
    fn a_gap_and_the_rest_leak() {
        // From 100 on, 192 is explained; 512 is not: the intent starts at 472, and 208 to 472 belongs to nobody.
        let places = vec![place(192, 10), place(512, 8)];
        assert_eq!(leaked(100, 600, places), (472 - 208) + (600 - 520));
    }

    #[test]
    fn nonsense_stays_in_bounds() {
        let places = vec![place(u64::MAX - 7, u64::MAX), place(8, 8), place(192, u64::MAX)];
        assert!(leaked(100, 600, places) <= 600);
        assert_eq!(leaked(100, 50, Vec::new()), 0);
    }
}
