//! Many processes create the same names at once: each name is created by exactly one of them, and a process killed in
//! the middle delays nobody.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use zeroipc::{Array, Memory, Queue, Ring, StructureError};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::Random;
use zeroipc_tests::scratch::Scratch;

const PROCESSES: u64 = 8;
const NAMES: u64 = 100;
const LIMIT: Duration = Duration::from_secs(60);
/// `.region`, "signals" and "created" are there before.
const BEFORE: u32 = 3;

/// Elements of "signals": one for each process, and then the start.
const READY: u32 = 1;
const START: usize = PROCESSES as usize;

#[test]
fn eight_processes_create_a_hundred_names() {
    const TEST: &str = "eight_processes_create_a_hundred_names";
    if let Some(part) = part() {
        return create_all(&part);
    }
    let round = Round::start(TEST);
    round.go();
    let unmarked = round.end(&[]);
    assert_eq!(unmarked, 0, "each name was created by one process");
}

#[test]
fn killed_creators_delay_nobody() {
    const TEST: &str = "killed_creators_delay_nobody";
    if let Some(part) = part() {
        return create_all(&part);
    }
    let mut random = Random::new(u64::from(std::process::id()));
    for round in 0..20 {
        let mut running = Round::start(TEST);
        running.go();
        let mut killed = Vec::new();
        for _ in 0..=round % 3 {
            let number = random.below(PROCESSES) as usize;
            std::thread::sleep(Duration::from_micros(random.below(800)));
            running.parties[number].kill();
            killed.push(number);
        }
        // A victim may have created one name more than it could report.
        assert!(running.end(&killed) <= killed.len());
    }
}

/// A region in which all processes stand ready to create the same names.
struct Round {
    parties: Vec<Party>,
    memory: Memory,
    _scratch: Scratch,
}

impl Round {
    fn start(test: &str) -> Self {
        let scratch = Scratch::new();
        let memory = Memory::options().max_entries(128).create(scratch.name(), 1 << 20).unwrap();
        let signals = Array::<u32>::create(&memory, "signals", START + 1).unwrap();
        let all = (PROCESSES * NAMES) as usize;
        Array::<u8>::create(&memory, "created", all).unwrap();
        let start = |number| Party::start(test, "creator", number, scratch.name());
        let mut parties: Vec<_> = (0..PROCESSES).map(start).collect();
        let deadline = Instant::now() + LIMIT;
        for (number, party) in parties.iter_mut().enumerate() {
            while signals.load(number).unwrap() != READY {
                assert!(party.ended().is_none() && Instant::now() < deadline, "{number} not ready");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Round { parties, memory, _scratch: scratch }
    }

    fn go(&self) {
        Array::<u32>::open(&self.memory, "signals").unwrap().store(START, 1).unwrap();
    }

    /// Waits for all but `killed`; checks the table; returns how many names nobody reports to have created.
    fn end(mut self, killed: &[usize]) -> usize {
        for (number, party) in self.parties.iter_mut().enumerate() {
            if !killed.contains(&number) {
                party.finish(LIMIT);
            }
        }
        let created = Array::<u8>::open(&self.memory, "created").unwrap();
        let mut unmarked = 0;
        for name in 0..NAMES {
            let index = |process| (process * NAMES + name) as usize;
            let times: u8 = (0..PROCESSES).map(|p| created.load(index(p)).unwrap()).sum();
            assert!(times <= 1, "name {name} was created {times} times");
            unmarked += usize::from(times == 0);
            open(&self.memory, name).unwrap();
        }
        let view = self.memory.region().view();
        let names: BTreeSet<_> = view.entries().map(|entry| entry.unwrap().name).collect();
        assert_eq!(names.len(), BEFORE as usize + NAMES as usize, "all names differ");
        assert_eq!(view.entry_count(), BEFORE + NAMES as u32);
        unmarked
    }
}

fn text(name: u64) -> String {
    format!("structure {name}")
}

/// All kinds, so that blocks of different sizes and initialisations meet.
fn create(memory: &Memory, name: u64) -> Result<(), StructureError> {
    let text = text(name);
    match name % 3 {
        0 => Array::<u64>::create(memory, &text, 20).map(drop),
        1 => Ring::<u32>::create(memory, &text, 16).map(drop),
        _ => Queue::<u32>::create(memory, &text, 4).map(drop),
    }
}

fn open(memory: &Memory, name: u64) -> Result<(), StructureError> {
    let text = text(name);
    match name % 3 {
        0 => {
            let array = Array::<u64>::open(memory, &text)?;
            assert!(array.iter().all(|element| element == 0), "{text} is initialised");
        }
        1 => assert!(Ring::<u32>::open(memory, &text)?.is_empty(), "{text} is initialised"),
        _ => {
            let queue = Queue::<u32>::open(memory, &text)?;
            assert_eq!(queue.try_push(5), Ok(()));
            assert_eq!(queue.try_pop(), Ok(5));
        }
    }
    Ok(())
}

fn create_all(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let signals = Array::<u32>::open(&memory, "signals").unwrap();
    let created = Array::<u8>::open(&memory, "created").unwrap();
    signals.store(part.number as usize, READY).unwrap();
    while signals.load(START).unwrap() == 0 {
        std::thread::yield_now();
    }
    for name in 0..NAMES {
        match create(&memory, name) {
            Ok(()) => {
                let index = (part.number * NAMES + name) as usize;
                created.store(index, 1).unwrap();
            }
            // Somebody was faster; what it created is complete.
            Err(StructureError::Exists { .. }) => {
                assert!(memory.region().view().find(&text(name)).is_ok());
            }
            Err(error) => panic!("{}: {error}", text(name)),
        }
    }
}
