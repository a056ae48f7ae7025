//! Memory for a region with guard words on both sides, which can be spoilt while handles to the region are open.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use zeroipc_nostd::Span;

const GUARD_WORDS: usize = 512;
const GUARD: u64 = 0xA5C3_96F0_0F69_3C5A;

/// Zeroed memory between two guards of 4 KiB each.
#[derive(Debug)]
pub struct Guarded {
    words: Box<[AtomicU64]>,
    len: usize,
}

impl Guarded {
    /// `len` bytes of zeros, between guards; `len` is a multiple of 8.
    #[must_use]
    pub fn new(len: usize) -> Self {
        assert_eq!(len % 8, 0);
        let count = len / 8 + 2 * GUARD_WORDS;
        let inside = GUARD_WORDS..count - GUARD_WORDS;
        let word = |index| AtomicU64::new(if inside.contains(&index) { 0 } else { GUARD });
        Guarded { words: (0..count).map(word).collect(), len }
    }

    /// The memory, for a region.
    #[must_use]
    pub fn span(&self) -> Span<'_> {
        let base = self.inside().as_ptr().cast::<u8>().cast_mut();
        // SAFETY: `len` bytes of atomic words, borrowed for the span's life, which this type accesses atomically only;
        // atomics allow writes through a shared reference.
        unsafe { Span::from_raw_parts(base, self.len) }.expect("aligned to 8, as a u64 is")
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The 8 bytes at `offset` rounded down to a multiple of 8.
    #[must_use]
    pub fn read_u64(&self, offset: usize) -> u64 {
        self.inside()[offset / 8].load(Relaxed)
    }

    /// The 4 bytes at `offset` rounded down to a multiple of 4.
    #[must_use]
    pub fn read_u32(&self, offset: usize) -> u32 {
        (self.read_u64(offset) >> half(offset)) as u32
    }

    /// Overwrites the 8 bytes at `offset` rounded down to a multiple of 8.
    pub fn write_u64(&self, offset: usize, value: u64) {
        self.inside()[offset / 8].store(value, Relaxed);
    }

    /// Overwrites the 4 bytes at `offset` rounded down to a multiple of 4.
    pub fn write_u32(&self, offset: usize, value: u32) {
        let keep = self.read_u64(offset) & !(0xFFFF_FFFF << half(offset));
        self.write_u64(offset, keep | u64::from(value) << half(offset));
    }

    /// Flips one bit of the byte at `offset`.
    pub fn flip(&self, offset: usize, bit: u32) {
        self.inside()[offset / 8].fetch_xor(1 << (8 * (offset % 8) as u32 + bit), Relaxed);
    }

    /// A copy of all bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.inside().iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect()
    }

    /// Whether nobody wrote outside the memory, as far as the guards reach.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        let (before, rest) = self.words.split_at(GUARD_WORDS);
        let after = &rest[self.len / 8..];
        before.iter().chain(after).all(|word| word.load(Relaxed) == GUARD)
    }

    fn inside(&self) -> &[AtomicU64] {
        &self.words[GUARD_WORDS..self.words.len() - GUARD_WORDS]
    }
}

/// Where in its 8 bytes the 4-byte word at `offset` starts, in bits.
fn half(offset: usize) -> usize {
    offset / 4 % 2 * 32
}
