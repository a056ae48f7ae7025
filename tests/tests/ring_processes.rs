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
    through("a_million_items", geometry, 1024, 1_000_000, ["one", "one"]);
}

/// Many at a time, in lengths that do not divide the capacity.
#[test]
fn a_million_items_by_slices() {
    let geometry = Geometry::new(WordSize::Eight, 64).unwrap();
    through("a_million_items_by_slices", geometry, 1024, 1_000_000, ["many", "many"]);
}

#[test]
fn a_million_items_in_place() {
    let geometry = Geometry::new(WordSize::Four, 64).unwrap();
    through("a_million_items_in_place", geometry, 1024, 1_000_000, ["in place", "in place"]);
}

/// One end does not know how the other works. Both sleep again and again.
#[test]
fn every_way_to_every_other() {
    let ways = ["one", "many", "in place"];
    for (pushing, popping) in ways.iter().flat_map(|a| ways.map(|b| (*a, b))) {
        if pushing != popping {
            let name = "every_way_to_every_other";
            through(name, Geometry::SMALLEST, 16, 10_000, [pushing, popping]);
            if part().is_some() {
                return;
            }
        }
    }
}

/// Counters of 4 bytes, and so little room that both ends sleep again and again.
#[test]
fn both_ends_of_a_small_ring_sleep() {
    through("both_ends_of_a_small_ring_sleep", Geometry::SMALLEST, 16, 100_000, ["one", "one"]);
}

/// `ways` are how the producer and the consumer move items.
fn through(test: &str, geometry: Geometry, capacity: usize, items: u64, ways: [&str; 2]) {
    if let Some(part) = part() {
        return match part.role.split_once(", ") {
            Some(("producer", way)) => produce(&part, way),
            Some(("consumer", way)) => consume(&part, way),
            _ => panic!("no role {}", part.role),
        };
    }
    let scratch = Scratch::new();
    let memory = Memory::options().geometry(geometry).create(scratch.name(), 1 << 20).unwrap();
    let ring = Ring::<Item>::create(&memory, "items", capacity).unwrap();
    let [pushing, popping] = ways;
    let consuming = format!("consumer, {popping}");
    let producing = format!("producer, {pushing}");
    let mut consumer = Party::start(test, &consuming, items, scratch.name());
    let mut producer = Party::start(test, &producing, items, scratch.name());
    producer.finish(LIMIT);
    consumer.finish(LIMIT);
    assert!(ring.is_empty());
    // Both gave their roles back.
    assert!(ring.producer().is_ok() && ring.consumer().is_ok());
}

/// How many items are moved at once at most: from 1 to 37, and never the same twice in a row.
fn length(sequence: u64) -> usize {
    (sequence % 37 + 1) as usize
}

/// The part's number is how many items there are.
fn produce(part: &Part, way: &str) {
    let memory = Memory::open(&part.region).unwrap();
    let mut producer = Ring::<Item>::open(&memory, "items").unwrap().producer().unwrap();
    let mut next = 0;
    while next < part.number {
        let count = length(next).min((part.number - next) as usize);
        match way {
            "one" => {
                producer.push_timeout(item(7, next), PATIENCE).unwrap();
                next += 1;
            }
            "many" => {
                let values: Vec<Item> =
                    (0..count as u64).map(|index| item(7, next + index)).collect();
                next += producer.push_slice_timeout(&values, PATIENCE).unwrap() as u64;
            }
            _ => {
                let mut grant = producer.grant_timeout(count, PATIENCE).unwrap();
                // All but the last, unless that is all: a part of a grant may be committed.
                let len = grant.len().max(2) - 1;
                let values = (next..).map(|sequence| item(7, sequence));
                if next % 2 == 0 {
                    (0..len)
                        .zip(values)
                        .for_each(|(index, item)| grant.write(index, item).unwrap());
                } else {
                    // SAFETY: the consumer of this test is a correct one, and nobody takes roles over.
                    let (before, after) = unsafe { grant.as_mut_slices() }.unwrap();
                    before
                        .iter_mut()
                        .chain(after)
                        .zip(values)
                        .for_each(|(slot, item)| *slot = item);
                }
                grant.commit(len);
                next += len as u64;
            }
        }
    }
}

fn consume(part: &Part, way: &str) {
    let memory = Memory::open(&part.region).unwrap();
    let mut consumer = Ring::<Item>::open(&memory, "items").unwrap().consumer().unwrap();
    let mut next = 0;
    while next < part.number {
        match way {
            "one" => {
                assert_eq!(opened(consumer.pop_timeout(PATIENCE).unwrap()), (7, next));
                next += 1;
            }
            "many" => {
                let mut values = vec![[0; 3]; length(next)];
                let count = consumer.pop_slice_timeout(&mut values, PATIENCE).unwrap();
                for value in &values[..count] {
                    assert_eq!(opened(*value), (7, next));
                    next += 1;
                }
                // The next one, if it is there, does not go away by being looked at.
                if let Ok(value) = consumer.peek() {
                    assert_eq!(opened(value), (7, next));
                }
            }
            _ => {
                let grant = consumer.read_grant_timeout(length(next), PATIENCE).unwrap();
                // SAFETY: the producer of this test is a correct one, and nobody takes roles over.
                let (before, after) = unsafe { grant.as_slices() }.unwrap();
                assert!(grant.iter().eq(before.iter().chain(after).copied()));
                for (value, sequence) in before.iter().chain(after).zip(next..) {
                    assert_eq!(opened(*value), (7, sequence));
                }
                let len = grant.len().max(2) - 1;
                grant.release(len);
                next += len as u64;
            }
        }
    }
    assert!(consumer.try_pop().is_err(), "more came than was pushed");
}
