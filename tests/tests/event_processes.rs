//! Wake-ups between two processes, counted: none is missed, and none comes by mistake.

use std::time::Duration;
use zeroipc::{Array, Event, EventMode, Memory};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(60);

/// A hundred thousand in release; fewer in debug, for busy machines. `ZEROIPC_WAKE_UPS` says otherwise.
fn wake_ups() -> u32 {
    let usual = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    std::env::var("ZEROIPC_WAKE_UPS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

#[test]
fn ping_pong() {
    if let Some(part) = part() {
        return pong(&part);
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    let ping = Event::create(&memory, "ping", EventMode::Automatic).unwrap();
    let pong = Event::create(&memory, "pong", EventMode::Automatic).unwrap();
    let turns = Array::<u32>::create(&memory, "turns", 1).unwrap();
    let mut other = Party::start("ping_pong", "pong", 0, scratch.name());
    for turn in 0..wake_ups() {
        // Each wake-up finds what its setter wrote before: one that came by mistake would find the last turn's.
        turns.store(0, 2 * turn + 1).unwrap();
        ping.set();
        pong.wait_timeout(PATIENCE).unwrap();
        assert_eq!(turns.load(0).unwrap(), 2 * turn + 2);
    }
    other.finish(LIMIT);
    assert!(!ping.is_set() && !pong.is_set());
}

fn pong(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let ping = Event::open(&memory, "ping").unwrap();
    let pong = Event::open(&memory, "pong").unwrap();
    let turns = Array::<u32>::open(&memory, "turns").unwrap();
    for turn in 0..wake_ups() {
        ping.wait_timeout(PATIENCE).unwrap();
        assert_eq!(turns.load(0).unwrap(), 2 * turn + 1);
        turns.store(0, 2 * turn + 2).unwrap();
        pong.set();
    }
}

/// Asleep each time: the other is slow to set it.
#[test]
fn a_slow_setter() {
    const TURNS: u32 = 200;
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let event = Event::open(&memory, "event").unwrap();
        let taken = Array::<u32>::open(&memory, "taken").unwrap();
        for turn in 1..=TURNS {
            event.wait_timeout(PATIENCE).unwrap();
            taken.store(0, turn).unwrap();
        }
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    let event = Event::create(&memory, "event", EventMode::Automatic).unwrap();
    let taken = Array::<u32>::create(&memory, "taken", 1).unwrap();
    let mut other = Party::start("a_slow_setter", "waiter", 0, scratch.name());
    for turn in 1..=TURNS {
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(taken.load(0).unwrap(), turn - 1, "released without a set");
        event.set();
        let deadline = std::time::Instant::now() + PATIENCE;
        while taken.load(0).unwrap() != turn {
            assert!(std::time::Instant::now() < deadline, "wake-up {turn} is missing");
            std::thread::sleep(Duration::from_micros(50));
        }
    }
    other.finish(LIMIT);
}

#[test]
fn a_manual_event_starts_all() {
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let started = Array::<u32>::open(&memory, "started").unwrap();
        Event::open(&memory, "start").unwrap().wait_timeout(PATIENCE).unwrap();
        started.store(part.number as usize, started.load(4).unwrap()).unwrap();
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    let start = Event::create(&memory, "start", EventMode::Manual).unwrap();
    let started = Array::<u32>::create(&memory, "started", 5).unwrap();
    let mut others: Vec<_> = (0..4)
        .map(|number| Party::start("a_manual_event_starts_all", "waiter", number, scratch.name()))
        .collect();
    std::thread::sleep(Duration::from_millis(50));
    started.store(4, 7).unwrap();
    start.set();
    others.iter_mut().for_each(|party| party.finish(LIMIT));
    assert!((0..4).all(|index| started.load(index) == Ok(7)));
}
