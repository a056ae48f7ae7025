//! In which order cases are tried.

use super::MOST_CASES;
use crate::sync::scattered;

/// All numbers below a limit in a random order, each as likely as any other (Fisher and Yates, step by step).
#[derive(Debug, Clone)]
pub(super) struct Order {
    numbers: [u8; MOST_CASES],
    /// How many have come.
    come: usize,
    limit: usize,
    random: Random,
}

impl Order {
    /// Of at most 64 numbers.
    pub(super) fn of(limit: usize) -> Self {
        let numbers = core::array::from_fn(|index| index as u8);
        Order { numbers, come: 0, limit: limit.min(MOST_CASES), random: Random::new() }
    }
}

impl Iterator for Order {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let left = self.limit.checked_sub(self.come).filter(|left| *left > 0)?;
        self.numbers.swap(self.come, self.come + self.random.below(left));
        let number = self.numbers.get(self.come).copied()?;
        self.come += 1;
        Some(usize::from(number))
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014, <https://doi.org/10.1145/2660193.2660195>), from a counter on.
#[derive(Debug, Clone)]
struct Random {
    state: u64,
}

impl Random {
    fn new() -> Self {
        Random { state: mix((scattered() as u64).wrapping_add(1)) }
    }

    /// Almost evenly: `limit` is small.
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(STEP);
        ((mix(self.state) >> 32) as usize).checked_rem(limit).unwrap_or(0)
    }
}

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_mul(STEP);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
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
        for (limit, a, b) in [(2, 0, 1), (3, 0, 2), (12, 3, 4), (16, 0, 15)] {
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
