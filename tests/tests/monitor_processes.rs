//! A bounded buffer on a Monitor between real processes: each item exactly once.

use std::time::Duration;
use zeroipc::{Array, Memory, Monitor, MonitorGuard};
use zeroipc_tests::item::{item, opened, Item};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::scratch::Scratch;

const PRODUCERS: u64 = 2;
const CONSUMERS: u64 = 2;
const EACH: u64 = 50_000;
const PLACES: usize = 16;
const LIMIT: Duration = Duration::from_secs(100);
const TEST: &str = "a_hundred_thousand_items_through_a_buffer";

/// The first word counts all items that were put in, the second all that were taken out; then come places of three words.
type Buffer = [u64; 2 + 3 * PLACES];

fn is_empty(buffer: &Buffer) -> bool {
    buffer[0] == buffer[1]
}

fn is_full(buffer: &Buffer) -> bool {
    buffer[0] - buffer[1] == PLACES as u64
}

fn place(count: u64) -> std::ops::Range<usize> {
    let start = 2 + 3 * (count as usize % PLACES);
    start..start + 3
}

/// Waits until `unfit` does not hold any more.
fn fit<'g>(
    monitor: &'g Monitor<'_, Buffer>,
    unfit: fn(&Buffer) -> bool,
) -> (MonitorGuard<'g, Buffer>, Buffer) {
    let guard = monitor.wait_while(monitor.lock().unwrap(), unfit).unwrap();
    let buffer = guard.load();
    (guard, buffer)
}

#[test]
fn a_hundred_thousand_items_through_a_buffer() {
    if let Some(part) = part() {
        return match part.role.as_str() {
            "producer" => produce(&part),
            "consumer" => consume(&part),
            other => panic!("no role {other}"),
        };
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let monitor = Monitor::<Buffer>::create(&memory, "buffer", [0; 2 + 3 * PLACES]).unwrap();
    let seen: Vec<_> = (0..CONSUMERS)
        .map(|number| {
            let items = (PRODUCERS * EACH) as usize;
            Array::<u8>::create(&memory, &format!("seen by {number}"), items).unwrap()
        })
        .collect();
    let start = |role: &'static str| {
        let name = scratch.name();
        move |number| Party::start(TEST, role, number, name)
    };
    let mut consumers: Vec<_> = (0..CONSUMERS).map(start("consumer")).collect();
    let mut producers: Vec<_> = (0..PRODUCERS).map(start("producer")).collect();
    producers.iter_mut().chain(&mut consumers).for_each(|party| party.finish(LIMIT));
    for index in 0..(PRODUCERS * EACH) as usize {
        let times: u8 = seen.iter().map(|map| map.load(index).unwrap()).sum();
        assert_eq!(times, 1, "item {index} came {times} times");
    }
    assert!(is_empty(&monitor.try_lock().unwrap().load()));
}

fn produce(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let monitor = Monitor::<Buffer>::open(&memory, "buffer").unwrap();
    for sequence in 0..EACH {
        let (mut guard, mut buffer) = fit(&monitor, is_full);
        let was_empty = is_empty(&buffer);
        let next = place(buffer[0]);
        buffer[next].copy_from_slice(&item(part.number, sequence));
        buffer[0] += 1;
        guard.store(buffer);
        drop(guard);
        // Producers and consumers wait for different things on one condition, so one of them would not do.
        if was_empty {
            monitor.notify_all();
        }
    }
}

fn consume(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let monitor = Monitor::<Buffer>::open(&memory, "buffer").unwrap();
    let seen = Array::<u8>::open(&memory, &format!("seen by {}", part.number)).unwrap();
    for _ in 0..PRODUCERS * EACH / CONSUMERS {
        let (mut guard, mut buffer) = fit(&monitor, is_empty);
        let was_full = is_full(&buffer);
        let taken: Item = buffer[place(buffer[1])].try_into().unwrap();
        buffer[1] += 1;
        guard.store(buffer);
        // Here with the lock held, there without.
        if was_full {
            monitor.notify_all();
        }
        drop(guard);
        let (producer, sequence) = opened(taken);
        let index = (producer * EACH + sequence) as usize;
        seen.store(index, seen.load(index).unwrap() + 1).unwrap();
    }
}
