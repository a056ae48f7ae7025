//! A Signal between real processes: values are whole, versions never go back, updates are counted, and sleepers are woken.

use std::time::{Duration, Instant};
use zeroipc::{Array, Geometry, Memory, Signal, SignalError, WaitError, WordSize};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::mix;
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(60);

/// 256 bytes: 31 numbers that follow from the first, and a checksum.
type Block = [u64; 32];

fn block(n: u64) -> Block {
    let mut block: Block = std::array::from_fn(|i| n.wrapping_mul(i as u64 + 1));
    block[31] = sum(&block);
    block
}

fn sum(block: &Block) -> u64 {
    block[..31].iter().fold(0, |sum, word| mix(sum ^ word))
}

fn number(block: &Block) -> u64 {
    assert_eq!(block[31], sum(block), "a torn value");
    block[0]
}

/// Reads until the version is `last`; the value is that of its version.
fn read(part: &Part, last: u64) {
    let memory = Memory::open(&part.region).unwrap();
    let signal = Signal::<Block>::open(&memory, "signal").unwrap();
    let (mut version, mut reads) = (0, 0_u64);
    while version < last {
        match signal.get_with_version() {
            Ok((value, at)) => {
                assert!(at >= version, "version {at} after {version}");
                assert_eq!(number(&value), at, "the value of another version");
                (version, reads) = (at, reads + 1);
            }
            Err(error) => assert_eq!(error, SignalError::Contended),
        }
    }
    assert!(reads > 0);
}

const FULL_RATE: u64 = 100_000;

/// One writer at full rate, in either form.
fn full_rate(test: &str, single: bool) {
    if let Some(part) = part() {
        return read(&part, FULL_RATE);
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let signal = if single {
        Signal::create_single_writer(&memory, "signal", block(0), 4)
    } else {
        Signal::create(&memory, "signal", block(0))
    }
    .unwrap();
    let mut readers = [0, 1].map(|n| Party::start(test, "reader", n, scratch.name()));
    if single {
        let mut writer = signal.writer().unwrap();
        (1..=FULL_RATE).for_each(|n| assert_eq!(writer.set(block(n)), n));
    } else {
        (1..=FULL_RATE).for_each(|n| assert_eq!(signal.set(block(n)), Ok(n)));
    }
    readers.iter_mut().for_each(|reader| reader.finish(LIMIT));
}

#[test]
fn one_of_many_writers_at_full_rate() {
    full_rate("one_of_many_writers_at_full_rate", false);
}

#[test]
fn the_only_writer_at_full_rate() {
    full_rate("the_only_writer_at_full_rate", true);
}

const WRITERS: u64 = 3;
const UPDATES: u64 = 10_000;

/// As a counter: each update counts once. Also in the geometry of microcontrollers.
#[test]
fn many_writers_count() {
    if let Some(part) = part() {
        if part.role == "reader" {
            return read(&part, WRITERS * UPDATES);
        }
        let memory = Memory::open(&part.region).unwrap();
        let signal = Signal::<Block>::open(&memory, "signal").unwrap();
        for _ in 0..UPDATES {
            signal.update(|old| block(number(&old) + 1)).unwrap();
        }
        return;
    }
    for geometry in [Geometry::SMALLEST, Geometry::new(WordSize::Eight, 64).unwrap()] {
        let scratch = Scratch::new();
        let memory = Memory::options().geometry(geometry).create(scratch.name(), 1 << 20).unwrap();
        let signal = Signal::create(&memory, "signal", block(0)).unwrap();
        let start = |role, number| Party::start("many_writers_count", role, number, scratch.name());
        let mut parties: Vec<_> = (0..WRITERS).map(|number| start("writer", number)).collect();
        parties.push(start("reader", 0));
        parties.iter_mut().for_each(|party| party.finish(LIMIT));
        let all = WRITERS * UPDATES;
        assert_eq!(signal.get_with_version(), Ok((block(all), all)));
    }
}

const ROUNDS: u64 = 3_000;

/// There and back by two signals; the other party mostly sleeps.
#[test]
fn ping_pong() {
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let there = Signal::<u64>::open(&memory, "there").unwrap();
        let back = Signal::<u64>::open(&memory, "back").unwrap();
        let mut writer = back.writer().unwrap();
        let mut version = 0;
        while version < ROUNDS {
            let (value, at) = there.wait_for_change_timeout(version, LIMIT).unwrap();
            assert_eq!((value, at), (version + 1, version + 1));
            version = at;
            writer.set(value);
        }
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let there = Signal::create(&memory, "there", 0_u64).unwrap();
    let back = Signal::create_single_writer(&memory, "back", 0_u64, 2).unwrap();
    let mut other = Party::start("ping_pong", "other", 0, scratch.name());
    for round in 1..=ROUNDS {
        assert_eq!(there.set(round), Ok(round));
        assert_eq!(back.wait_for_change_timeout(round - 1, LIMIT), Ok((round, round)));
    }
    other.finish(LIMIT);
}

/// Several processes sleep on each form; one set wakes all of them, long before they would look by themselves.
#[test]
fn all_sleepers_are_woken() {
    const SLEEPERS: u64 = 3;
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let ready = Array::<u32>::open(&memory, "ready").unwrap();
        for name in ["many", "one"] {
            let signal = Signal::<u64>::open(&memory, name).unwrap();
            ready
                .store(part.number as usize, ready.load(part.number as usize).unwrap() + 1)
                .unwrap();
            assert_eq!(signal.wait_for_change(0), Ok((7, 1)));
        }
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let ready = Array::<u32>::create(&memory, "ready", SLEEPERS as usize).unwrap();
    let many = Signal::create(&memory, "many", 0_u64).unwrap();
    let one = Signal::create_single_writer(&memory, "one", 0_u64, 2).unwrap();
    let start = |number| Party::start("all_sleepers_are_woken", "sleeper", number, scratch.name());
    let mut sleepers: Vec<_> = (0..SLEEPERS).map(start).collect();
    let until = |count| {
        let deadline = Instant::now() + LIMIT;
        while !ready.iter().all(|at| at == count) {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(1));
        }
        // Most likely they are asleep by then.
        std::thread::sleep(Duration::from_millis(20));
    };
    until(1);
    many.set(7).unwrap();
    until(2);
    one.writer().unwrap().set(7);
    sleepers.iter_mut().for_each(|sleeper| sleeper.finish(LIMIT));
}

#[test]
fn a_timeout_is_never_early() {
    let memory = Memory::anonymous(1 << 16).unwrap();
    let many = Signal::create(&memory, "many", 0_u64).unwrap();
    let one = Signal::create_single_writer(&memory, "one", 0_u64, 2).unwrap();
    for signal in [many, one] {
        for timeout in [0, 1, 130].map(Duration::from_millis) {
            let start = Instant::now();
            assert_eq!(signal.wait_for_change_timeout(0, timeout), Err(WaitError::Timeout));
            assert!(start.elapsed() >= timeout);
            assert_eq!(signal.wait_for_change_timeout(1, timeout), Ok((0, 0)));
        }
    }
}

/// Writers that are killed again and again: at most one slot goes with each, and no reader sees half a value.
#[test]
fn killed_writers() {
    const SLOTS: u32 = 10;
    if let Some(part) = part() {
        if part.role == "reader" {
            return read(&part, u64::MAX);
        }
        let memory = Memory::open(&part.region).unwrap();
        let signal = Signal::<Block>::open(&memory, "signal").unwrap();
        loop {
            signal.update(|old| block(number(&old) + 1)).unwrap();
        }
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let signal = Signal::create_with_slots(&memory, "signal", block(0), SLOTS).unwrap();
    let start = |role, number| Party::start("killed_writers", role, number, scratch.name());
    let mut reader = start("reader", 0);
    // One slot is current, and one is for whoever writes on.
    for victim in 0..u64::from(SLOTS) - 2 {
        let mut writer = start("writer", victim);
        let before = signal.version();
        let deadline = Instant::now() + LIMIT;
        while signal.version() < before + 200 {
            assert!(Instant::now() < deadline && writer.ended().is_none());
            std::thread::yield_now();
        }
        writer.kill();
        let (value, version) = signal.get_with_version().unwrap();
        assert_eq!(number(&value), version);
        assert!(reader.ended().is_none(), "the reader failed");
    }
    let (old, new) = signal.update(|old| block(number(&old) + 1)).unwrap();
    assert_eq!(number(&old) + 1, number(&new));
    reader.kill();
}
