//! MurmurHash3 x86 32-bit (Austin Appleby, in the public domain): which bucket a key belongs to, for every language.
//!
//! Blocks are little-endian words of 4 bytes; the rest of 1 to 3 bytes counts as a word with zeros above. Collisions can be
//! made on purpose by whoever knows the seed, so it spreads keys and protects against nothing.

const C1: u32 = 0xCC9E_2D51;
const C2: u32 = 0x1B87_3593;

/// One block, scrambled.
#[inline(always)]
const fn scrambled(block: u32) -> u32 {
    block.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
}

/// The hash of `bytes`. For a key of fixed size the compiler unrolls it.
#[inline(always)]
pub(super) fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    let mut hash = seed;
    let mut blocks = bytes.chunks_exact(4);
    for block in &mut blocks {
        let word = block.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ scrambled(word)).rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64);
    }
    let rest = blocks.remainder();
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash ^= scrambled(word);
    }
    // Lengths are below 2^32: elements are at most 2^30 bytes.
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ hash >> 13).wrapping_mul(0xC2B2_AE35);
    hash ^ hash >> 16
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::murmur3;

    /// The table of SPECIFICATION.md.
    #[test]
    fn the_vectors_of_the_specification() {
        let vectors: [(&[u8], u32, u32); 16] = [
            (b"", 0, 0),
            (b"", 1, 0x514E_28B7),
            (b"", 0xFFFF_FFFF, 0x81F1_6F39),
            (&[0xFF, 0xFF, 0xFF, 0xFF], 0, 0x7629_3B50),
            (&[0x21, 0x43, 0x65, 0x87], 0, 0xF55B_516B),
            (&[0x21, 0x43, 0x65, 0x87], 0x5082_EDEE, 0x2362_F9DE),
            (&[0x21, 0x43, 0x65], 0, 0x7E4A_8634),
            (&[0x21, 0x43], 0, 0xA0F7_B07A),
            (&[0x21], 0, 0x7266_1CF4),
            (&[0, 0, 0, 0], 0, 0x2362_F9DE),
            (&[0, 0, 0], 0, 0x85F0_B427),
            (&[0, 0], 0, 0x30F4_C306),
            (&[0], 0, 0x514E_28B7),
            (b"test", 0, 0xBA6B_D213),
            (b"Hello, world!", 0, 0xC036_3E43),
            (b"The quick brown fox jumps over the lazy dog", 0, 0x2E4F_F723),
        ];
        for (bytes, seed, hash) in vectors {
            assert_eq!(murmur3(bytes, seed), hash, "{bytes:02x?} with seed {seed:#x}");
        }
    }
}
