//! A Queue between real processes: a million items, two producers, two consumers; each item exactly once, intact, and
//! those of one producer in their order.

use std::time::Duration;
use zeroipc::{Array, Geometry, Memory, PopTimeoutError, Queue, WordSize};
use zeroipc_tests::item::{item, opened, Item};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::scratch::Scratch;
use zeroipc_tests::slots;

const PRODUCERS: u64 = 2;
const CONSUMERS: u64 = 2;
const SPARES: u32 = 3;
const LIMIT: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_million_items() {
    let geometry = Geometry::new(WordSize::Eight, 64).unwrap();
    through("a_million_items", geometry, 256, 500_000);
}

/// Also the geometry of microcontrollers. All parties sleep again and again.
#[test]
fn a_small_queue_is_full_or_empty_most_of_the_time() {
    through("a_small_queue_is_full_or_empty_most_of_the_time", Geometry::SMALLEST, 4, 50_000);
}

fn through(test: &str, geometry: Geometry, capacity: usize, each: u64) {
    if let Some(part) = part() {
        return match part.role.as_str() {
            "producer" => produce(&part),
            "consumer" => consume(&part),
            other => panic!("no role {other}"),
        };
    }
    let scratch = Scratch::new();
    let memory = Memory::options().geometry(geometry).create(scratch.name(), 4 << 20).unwrap();
    Queue::<Item>::create_with_spares(&memory, "items", capacity, SPARES).unwrap();
    Array::<u64>::create(&memory, "each", 1).unwrap().store(0, each).unwrap();
    let finished = Array::<u32>::create(&memory, "finished", 1).unwrap();
    let seen: Vec<_> =
        (0..CONSUMERS).map(|number| create_seen(&memory, number, PRODUCERS * each)).collect();

    let start = |role: &'static str| {
        let name = scratch.name();
        move |number| Party::start(test, role, number, name)
    };
    let mut consumers: Vec<_> = (0..CONSUMERS).map(start("consumer")).collect();
    let mut producers: Vec<_> = (0..PRODUCERS).map(start("producer")).collect();
    producers.iter_mut().for_each(|party| party.finish(LIMIT));
    finished.store(0, 1).unwrap();
    consumers.iter_mut().for_each(|party| party.finish(LIMIT));

    for index in 0..(PRODUCERS * each) as usize {
        let times: u8 = seen.iter().map(|map| map.load(index).unwrap()).sum();
        assert_eq!(times, 1, "item {index} came {times} times");
    }
    let queue = Queue::<Item>::open(&memory, "items").unwrap();
    assert!(queue.is_empty());
    // Whoever was displaced gave its slot back.
    let owned = slots::owned(&memory.region().view(), "items");
    assert_eq!(owned.len(), queue.capacity() + SPARES as usize);
}

fn seen_name(number: u64) -> String {
    format!("seen by {number}")
}

/// One byte for each item: how often this consumer popped it.
fn create_seen(memory: &Memory, number: u64, items: u64) -> Array<'_, u8> {
    Array::create(memory, &seen_name(number), items as usize).unwrap()
}

/// How many items each producer has to push.
fn each(memory: &Memory) -> u64 {
    Array::<u64>::open(memory, "each").unwrap().load(0).unwrap()
}

fn produce(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let queue = Queue::<Item>::open(&memory, "items").unwrap();
    for sequence in 0..each(&memory) {
        queue.push_timeout(item(part.number, sequence), PATIENCE).unwrap();
    }
}

fn consume(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let queue = Queue::<Item>::open(&memory, "items").unwrap();
    let finished = Array::<u32>::open(&memory, "finished").unwrap();
    let seen = Array::<u8>::open(&memory, &seen_name(part.number)).unwrap();
    let each = each(&memory);
    let mut next = [0; PRODUCERS as usize];
    loop {
        // Asked before the pop: what is empty then, after all have pushed all, stays empty.
        let last = finished.load(0).unwrap() != 0;
        match queue.pop_timeout(Duration::from_millis(20)) {
            Ok(item) => {
                let (producer, sequence) = opened(item);
                let next = &mut next[producer as usize];
                assert!(sequence >= *next, "{sequence} of {producer} came after {next}");
                *next = sequence + 1;
                let index = (producer * each + sequence) as usize;
                seen.store(index, seen.load(index).unwrap() + 1).unwrap();
            }
            Err(PopTimeoutError::Timeout) if last => return,
            Err(PopTimeoutError::Timeout) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
