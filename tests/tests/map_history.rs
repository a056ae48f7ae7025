//! Histories of a Map are linearizable to a bounded map: a few threads, few keys, one or two buckets.

use stateright::semantics::SequentialSpec;
use std::collections::BTreeMap;
use zeroipc_nostd::{
    Exchange, FormatOptions, Geometry, Map, MapError, MapOptions, Region, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::history::check;
use zeroipc_tests::random::Random;

/// Two words that belong together.
type Value = [u64; 2];

fn value(n: u64) -> Value {
    [n, !n]
}

fn number(value: Value) -> u64 {
    assert_eq!(value[1], !value[0], "torn");
    value[0]
}

#[derive(Debug, Clone)]
enum Op {
    Insert(u64, u64),
    GetOrInsert(u64, u64),
    Exchange(u64, u64, u64),
    Remove(u64),
    Get(u64),
}

#[derive(Debug, Clone, PartialEq)]
enum Ret {
    Value(Option<u64>),
    Exchange(Exchange<u64>),
    Full,
}

/// The sequential map: it may be full from its capacity on.
#[derive(Debug, Clone)]
struct Bounded {
    keys: BTreeMap<u64, u64>,
    capacity: usize,
}

impl SequentialSpec for Bounded {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        match *op {
            Op::Insert(key, value) => Ret::Value(self.keys.insert(key, value)),
            Op::GetOrInsert(key, value) => Ret::Value(Some(*self.keys.entry(key).or_insert(value))),
            Op::Exchange(key, expected, new) => Ret::Exchange(match self.keys.get_mut(&key) {
                None => Exchange::Absent,
                Some(value) if *value == expected => {
                    *value = new;
                    Exchange::Done
                }
                Some(value) => Exchange::Differs(*value),
            }),
            Op::Remove(key) => Ret::Value(self.keys.remove(&key)),
            Op::Get(key) => Ret::Value(self.keys.get(&key).copied()),
        }
    }

    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        match (op, ret) {
            (Op::Insert(key, _) | Op::GetOrInsert(key, _), Ret::Full) => {
                !self.keys.contains_key(key) && self.keys.len() >= self.capacity
            }
            _ => self.invoke(op) == *ret,
        }
    }
}

fn run(map: Map<'_, u64, Value>, op: &Op) -> Ret {
    let full = |error| {
        assert_eq!(error, MapError::Full);
        Ret::Full
    };
    match *op {
        Op::Insert(key, n) => {
            map.insert(key, value(n)).map_or_else(full, |old| Ret::Value(old.map(number)))
        }
        Op::GetOrInsert(key, n) => {
            map.get_or_insert(key, value(n)).map_or_else(full, |v| Ret::Value(Some(number(v))))
        }
        Op::Exchange(key, expected, new) => {
            let done = map.compare_exchange(&key, value(expected), value(new)).unwrap();
            Ret::Exchange(match done {
                Exchange::Done => Exchange::Done,
                Exchange::Differs(value) => Exchange::Differs(number(value)),
                Exchange::Absent => Exchange::Absent,
            })
        }
        Op::Remove(key) => Ret::Value(map.remove(&key).unwrap().map(number)),
        Op::Get(key) => Ret::Value(map.get(&key).unwrap().map(number)),
    }
}

#[test]
fn a_map_is_linearizable() {
    let mut random = Random::new(1);
    for round in 0..3000 {
        let memory = Guarded::new(4096);
        let word = random.pick(&[WordSize::Four, WordSize::Eight]);
        let options = FormatOptions::new().geometry(Geometry::new(word, 8).unwrap());
        let region = Region::create(memory.span(), &options).unwrap();
        let capacity = random.pick(&[1, 2, 4]);
        let options = MapOptions::new().spares(4).seed(round);
        let map = Map::<u64, Value>::create_with(region, "map", capacity, &options).unwrap();
        let threads = 2 + random.below(2);
        let programs = (0..threads)
            .map(|_| {
                let op = |_| {
                    let key = random.below(3);
                    let (one, two) = (random.below(4), random.below(4));
                    match random.below(6) {
                        0 | 1 => Op::Insert(key, one),
                        2 => Op::GetOrInsert(key, one),
                        3 => Op::Exchange(key, one, two),
                        4 => Op::Remove(key),
                        _ => Op::Get(key),
                    }
                };
                (0..6).map(op).collect()
            })
            .collect();
        check(Bounded { keys: BTreeMap::new(), capacity }, programs, |_, op| run(map, op));
        assert!(memory.is_intact());
    }
}
