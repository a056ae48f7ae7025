//! Histories of a Set are linearizable to a bounded set: a few threads, few keys, one or two buckets.

use stateright::semantics::SequentialSpec;
use std::collections::BTreeSet;
use zeroipc_nostd::{FormatOptions, Geometry, MapError, MapOptions, Region, Set, WordSize};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::history::check;
use zeroipc_tests::random::Random;

#[derive(Debug, Clone)]
enum Op {
    Insert(u32),
    Remove(u32),
    Contains(u32),
}

#[derive(Debug, Clone, PartialEq)]
enum Ret {
    Is(bool),
    Full,
}

/// The sequential set: it may be full from its capacity on.
#[derive(Debug, Clone)]
struct Bounded {
    keys: BTreeSet<u32>,
    capacity: usize,
}

impl SequentialSpec for Bounded {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        Ret::Is(match op {
            Op::Insert(key) => self.keys.insert(*key),
            Op::Remove(key) => self.keys.remove(key),
            Op::Contains(key) => self.keys.contains(key),
        })
    }

    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        match (op, ret) {
            (Op::Insert(key), Ret::Full) => {
                !self.keys.contains(key) && self.keys.len() >= self.capacity
            }
            _ => self.invoke(op) == *ret,
        }
    }
}

fn run(set: Set<'_, u32>, op: &Op) -> Ret {
    let done = match op {
        Op::Insert(key) => set.insert(*key),
        Op::Remove(key) => set.remove(key),
        Op::Contains(key) => set.contains(key),
    };
    match done {
        Ok(is) => Ret::Is(is),
        Err(error) => {
            assert_eq!(error, MapError::Full);
            Ret::Full
        }
    }
}

#[test]
fn a_set_is_linearizable() {
    let mut random = Random::new(2);
    for round in 0..3000 {
        let memory = Guarded::new(4096);
        let word = random.pick(&[WordSize::Four, WordSize::Eight]);
        let options = FormatOptions::new().geometry(Geometry::new(word, 8).unwrap());
        let region = Region::create(memory.span(), &options).unwrap();
        let capacity = random.pick(&[1, 2, 4]);
        let options = MapOptions::new().spares(4).seed(round);
        let set = Set::<u32>::create_with(region, "set", capacity, &options).unwrap();
        let threads = 2 + random.below(2);
        let programs = (0..threads)
            .map(|_| {
                let op = |_| {
                    let key = random.below(3) as u32;
                    match random.below(5) {
                        0 | 1 => Op::Insert(key),
                        2 | 3 => Op::Remove(key),
                        _ => Op::Contains(key),
                    }
                };
                (0..6).map(op).collect()
            })
            .collect();
        check(Bounded { keys: BTreeSet::new(), capacity }, programs, |_, op| run(set, op));
        assert!(memory.is_intact());
    }
}
