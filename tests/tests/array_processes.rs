//! An Array between real processes that update the same elements: no update is lost, doubled or half-done, and none of a
//! killed process is either.

use std::time::Duration;
use zeroipc::{Array, Memory};
use zeroipc_tests::item::{item, opened, Item};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);
const PROCESSES: u64 = 3;
const EACH: u64 = 50_000;

/// One element for each kind of update, side by side, so that all meet on one line.
const SUM: usize = 0;
const MIN: usize = 1;
const MAX: usize = 2;
const XOR: usize = 3;
const TICKETS: usize = 4;

#[test]
fn everybody_updates_the_same_elements() {
    if let Some(part) = part() {
        return update(&part);
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let words = Array::<u64>::create(&memory, "words", 8).unwrap();
    let bytes = Array::<u8>::create(&memory, "bytes", 8).unwrap();
    let doubles = Array::<f64>::create(&memory, "doubles", 8).unwrap();
    let singles = Array::<f32>::create(&memory, "singles", 8).unwrap();
    let taken = Array::<u8>::create(&memory, "taken", (PROCESSES * EACH) as usize).unwrap();
    words.store(MIN, u64::MAX).unwrap();
    doubles.store(MIN, f64::NAN).unwrap();

    let start = |number| {
        Party::start("everybody_updates_the_same_elements", "updater", number, scratch.name())
    };
    let mut parties: Vec<_> = (0..PROCESSES).map(start).collect();
    parties.iter_mut().for_each(|party| party.finish(LIMIT));

    let all = PROCESSES * EACH;
    let last = all - 1;
    let xor = (0..all).fold(0, |xor, n| xor ^ n);
    assert!(words.iter().eq([all * last / 2, 0, last, xor, all, 0, 0, 0]));
    // Neighbours in one word, each with its own carry.
    let each = (all as u8, (all as u8).wrapping_neg());
    assert!(bytes.iter().eq([each.0, each.1, each.0, each.1, each.0, each.1, each.0, each.1]));
    // Halves are exact up to 2^52, and quarters of this many up to 2^23.
    let sum = all as f64 / 2.0;
    assert!(doubles.iter().eq([sum, 0.0, last as f64, 0.0, -sum, 0.0, 0.0, 0.0]));
    assert_eq!(singles.load(SUM), Ok(all as f32 / 4.0));
    // Each ticket was had by one process.
    assert!(taken.iter().all(|times| times == 1));
}

/// The part's number is which of the processes this is.
fn update(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let words = Array::<u64>::open(&memory, "words").unwrap();
    let bytes = Array::<u8>::open(&memory, "bytes").unwrap();
    let doubles = Array::<f64>::open(&memory, "doubles").unwrap();
    let singles = Array::<f32>::open(&memory, "singles").unwrap();
    let taken = Array::<u8>::open(&memory, "taken").unwrap();
    for n in (0..EACH).map(|n| n * PROCESSES + part.number) {
        words.fetch_add(SUM, n).unwrap();
        words.fetch_min(MIN, n).unwrap();
        words.fetch_max(MAX, n).unwrap();
        words.fetch_xor(XOR, n).unwrap();
        let ticket = take_ticket(words);
        assert_eq!(taken.fetch_add(ticket as usize, 1), Ok(0), "ticket {ticket} was had before");
        for index in 0..8 {
            bytes.fetch_add(index, if index % 2 == 0 { 1 } else { u8::MAX }).unwrap();
        }
        doubles.fetch_add(SUM, 0.5).unwrap();
        doubles.fetch_sub(TICKETS, 0.5).unwrap();
        doubles.fetch_min(MIN, n as f64).unwrap();
        doubles.fetch_max(MAX, n as f64).unwrap();
        singles.fetch_add(SUM, 0.25).unwrap();
    }
}

/// What `fetch_add` would do, by compare-and-exchange.
fn take_ticket(words: Array<'_, u64>) -> u64 {
    let mut next = words.load(TICKETS).unwrap();
    loop {
        match words.compare_exchange(TICKETS, next, next + 1).unwrap() {
            Ok(ticket) => return ticket,
            Err(instead) => next = instead,
        }
    }
}

/// Bulk writes by one process, published by a counter; bulk reads by another, which sees each turn whole if the counter
/// did not move on, and each small element whole in any case.
#[test]
fn bulk_copies() {
    const ITEMS: usize = 400;
    const TURNS: u64 = 2_000;
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let items = Array::<Item>::open(&memory, "items").unwrap();
        let turn = Array::<u64>::open(&memory, "turn").unwrap();
        let halves = Array::<u16>::open(&memory, "halves").unwrap();
        for n in 1..=TURNS {
            // Odd while it writes.
            turn.store(0, 2 * n - 1).unwrap();
            let values: Vec<Item> = (0..ITEMS as u64).map(|index| item(n, index)).collect();
            items.write_from(0, &values).unwrap();
            halves.write_from(1, &[(n as u16 & 0xFF) * 0x0101; 1000]).unwrap();
            turn.store(0, 2 * n).unwrap();
        }
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let items = Array::<Item>::create(&memory, "items", ITEMS).unwrap();
    let turn = Array::<u64>::create(&memory, "turn", 1).unwrap();
    let halves = Array::<u16>::create(&memory, "halves", 1001).unwrap();
    let mut writer = Party::start("bulk_copies", "writer", 0, scratch.name());
    let mut values = [[0; 3]; ITEMS];
    let mut small = [0; 1001];
    loop {
        let ended = writer.ended().is_some();
        let before = turn.load(0).unwrap();
        items.read_into(0, &mut values).unwrap();
        halves.read_into(0, &mut small).unwrap();
        assert!(small.iter().all(|half| half >> 8 == half & 0xFF), "a torn element");
        // An update that changes nothing: it orders the loads before it.
        if turn.fetch_add(0, 0).unwrap() == before && before.is_multiple_of(2) && before > 0 {
            for (value, index) in values.iter().zip(0..) {
                assert_eq!(opened(*value), (before / 2, index));
            }
        }
        if ended {
            break;
        }
    }
    writer.finish(LIMIT);
    assert_eq!(turn.load(0), Ok(2 * TURNS));
}

/// Killed anywhere, a process has done an update or not: the sums of all stay in step with each other.
#[test]
fn a_killed_updater() {
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let doubles = Array::<f64>::open(&memory, "doubles").unwrap();
        loop {
            doubles.fetch_add(0, 1.0).unwrap();
            doubles.fetch_add(1, 1.0).unwrap();
        }
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let doubles = Array::<f64>::create(&memory, "doubles", 2).unwrap();
    for round in 0..5 {
        let mut party = Party::start("a_killed_updater", "updater", 0, scratch.name());
        let before = doubles.load(0).unwrap();
        while doubles.load(0).unwrap() < before + 1000.0 {
            doubles.fetch_add(1, 1.0).unwrap();
            doubles.fetch_add(0, 1.0).unwrap();
        }
        party.kill();
        let (first, second) = (doubles.load(0).unwrap(), doubles.load(1).unwrap());
        // Each killed process may have done the first of a pair and not the second.
        assert!(first >= second && first - second <= f64::from(round + 1), "{first} {second}");
        assert_eq!(first.fract(), 0.0);
    }
}
