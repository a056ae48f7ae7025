//! In which order cases are tried.

use crate::sync::scattered;

/// All numbers below a limit, from a random one on, in steps of a random length: of any two numbers either comes first as often as
/// the other.
#[derive(Debug, Clone)]
pub(super) struct Order {
    next: usize,
    step: usize,
    limit: usize,
    left: usize,
}

impl Order {
    pub(super) fn of(limit: usize) -> Self {
        let random = random();
        let (start, seed) = (random as u32 as usize, (random >> 32) as usize);
        // The steps that visit all numbers have no divisor in common with the limit; 1 is one of them.
        let step = (0..limit)
            .map(|nth| 1 + (seed + nth) % limit)
            .find(|step| divisor(*step, limit) == 1)
            .unwrap_or(1);
        Order { next: start.checked_rem(limit).unwrap_or(0), step, limit, left: limit }
    }
}

impl Iterator for Order {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let index = self.next;
        self.next = (index + self.step) % self.limit;
        Some(index)
    }
}

/// The greatest that divides both (Euclid).
fn divisor(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// SplitMix64 (Steele, Lea, Flood 2014, <https://doi.org/10.1145/2660193.2660195>) of a counter.
fn random() -> u64 {
    let mut bits = (scattered() as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn each_comes_once() {
        for limit in 0..=64 {
            for _ in 0..50 {
                let mut all: Vec<_> = Order::of(limit).collect();
                all.sort_unstable();
                assert!(all.iter().copied().eq(0..limit));
            }
        }
    }

    #[test]
    fn of_two_either_comes_first_as_often() {
        const TIMES: usize = 20_000;
        for (limit, a, b) in [(2, 0, 1), (3, 0, 2), (12, 3, 4), (16, 3, 4), (16, 0, 8)] {
            let first =
                |_: &usize| Order::of(limit).find(|index| *index == a || *index == b) == Some(a);
            let count = (0..TIMES).filter(first).count();
            assert!(
                (TIMES * 48 / 100..TIMES * 52 / 100).contains(&count),
                "{limit} {a} {b}: {count}"
            );
        }
    }
}
