//! A Ring between two real processes: a million items, each once, intact and in order.

use std::time::Duration;
use zeroipc::{Geometry, Memory, Ring, WordSize};
use zeroipc_tests::item::{item, opened, Item};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_million_items() {
    let geometry = Geometry::new(WordSize::Eight, 64).unwrap();
    through("a_million_items", geometry, 1024, 1_000_000);
}

/// Counters of 4 bytes, and so little room that both ends sleep again and again.
#[test]
fn both_ends_of_a_small_ring_sleep() {
    through("both_ends_of_a_small_ring_sleep", Geometry::SMALLEST, 16, 100_000);
}

fn through(test: &str, geometry: Geometry, capacity: usize, items: u64) {
    if let Some(part) = part() {
        return match part.role.as_str() {
            "producer" => produce(&part),
            "consumer" => consume(&part),
            other => panic!("no role {other}"),
        };
    }
    let scratch = Scratch::new();
    let memory = Memory::options().geometry(geometry).create(scratch.name(), 1 << 20).unwrap();
    let ring = Ring::<Item>::create(&memory, "items", capacity).unwrap();
    let mut consumer = Party::start(test, "consumer", items, scratch.name());
    let mut producer = Party::start(test, "producer", items, scratch.name());
    producer.finish(LIMIT);
    consumer.finish(LIMIT);
    assert!(ring.is_empty());
    // Both gave their roles back.
    assert!(ring.producer().is_ok() && ring.consumer().is_ok());
}

/// The part's number is how many items there are.
fn produce(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let mut producer = Ring::<Item>::open(&memory, "items").unwrap().producer().unwrap();
    for sequence in 0..part.number {
        producer.push_timeout(item(7, sequence), PATIENCE).unwrap();
    }
}

fn consume(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let mut consumer = Ring::<Item>::open(&memory, "items").unwrap().consumer().unwrap();
    for sequence in 0..part.number {
        assert_eq!(opened(consumer.pop_timeout(PATIENCE).unwrap()), (7, sequence));
    }
    assert!(consumer.try_pop().is_err(), "more came than was pushed");
}
