//! When an end of a stream asks for cache lines in advance.
//!
//! A cell travels in a line that another core had last, which the processor's own prefetchers do not fetch well enough. Asking four
//! lines ahead, both by the publisher and by a subscriber that is behind, doubled the throughput between cores without a common
//! cache. Nobody asks for a line that the other end is likely to be working on.

const LINE: usize = 64;

/// How far ahead, by the size of cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    /// One less than the number of cells that a line holds, a power of two.
    mask: usize,
    /// How many cells ahead.
    pub(super) cells: usize,
}

impl Ahead {
    /// For cells of `stride` bytes; never asks if these are longer than a line, so that they are streams by themselves, or if there
    /// are so few that what lies ahead is soon what lies behind.
    pub(super) fn new(stride: usize, capacity: usize) -> Self {
        let in_line = LINE.checked_div(stride).filter(|cells| *cells > 0);
        let in_line = in_line.map_or(0, |cells| 1_usize << cells.ilog2());
        if in_line == 0 || capacity < 16 * in_line {
            return Ahead { mask: usize::MAX, cells: 0 };
        }
        Ahead { mask: in_line - 1, cells: 4 * in_line }
    }

    /// Whether it is time: once a line.
    #[inline(always)]
    pub(super) fn is_due(self, index: usize) -> bool {
        index & self.mask == 0
    }
}
