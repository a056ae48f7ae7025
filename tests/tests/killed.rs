//! Processes killed by SIGKILL at random moments while they push to and pop from one Queue.
//!
//! A supervisor kills one of four, sees that the other three go on without it, and starts a new one in its place. In the
//! end nothing came twice, and each killed process took at most one item with it.

use std::time::{Duration, Instant};
use zeroipc::{
    Array, Geometry, Memory, PopError, PopTimeoutError, PushError, PushTimeoutError, Queue,
    WordSize,
};
use zeroipc_tests::item::{item, opened, Item};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::Random;
use zeroipc_tests::scratch::Scratch;
use zeroipc_tests::slots;

const KILLS: usize = 60;
/// Processes at a time: slots 0 and 1 push, 2 and 3 pop.
const SLOTS: usize = 4;
const PRODUCERS: usize = 2;
/// A producer's end when nobody kills it.
const EACH: u64 = 10_000;
/// Processes that may push, one after another.
const SENDERS: usize = 400;
const CAPACITY: usize = 16;
/// More than are killed, since nobody brings back the slots of the dead yet.
const SPARES: u32 = 64;
const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

#[test]
fn each_takes_one_item_at_most_and_delays_nobody() {
    const TEST: &str = "each_takes_one_item_at_most_and_delays_nobody";
    if let Some(part) = part() {
        return match part.role.as_str() {
            "producer" => produce(&part),
            "consumer" => consume(&part),
            other => panic!("no role {other}"),
        };
    }
    let scratch = Scratch::new();
    let geometry = Geometry::new(WordSize::Eight, 64).unwrap();
    let memory = Memory::options().geometry(geometry).create(scratch.name(), 12 << 20).unwrap();
    Queue::<Item>::create_with_spares(&memory, "items", CAPACITY, SPARES).unwrap();
    let records = Records::create(&memory);
    let mut supervisor = Supervisor::new(TEST, scratch.name(), records);
    let mut random = Random::new(u64::from(std::process::id()));
    let mut killed_consumers = 0;

    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        let victim = random.below(SLOTS as u64) as usize;
        supervisor.parties[victim].kill();
        killed_consumers += usize::from(victim >= PRODUCERS);
        supervisor.others_go_on(victim);
        supervisor.start(victim);
    }
    let senders = supervisor.end();

    let mut missing = 0;
    for sender in 0..senders {
        let pushed = records.pushed.load(sender).unwrap();
        for sequence in 0..EACH {
            match records.times(sender as u64, sequence) {
                0 => missing += usize::from(sequence < pushed),
                // The one that a killed producer had pushed and not reported yet may be there, too.
                1 => assert!(sequence <= pushed, "{sequence} of {sender} was never pushed"),
                times => panic!("{sequence} of {sender} came {times} times"),
            }
        }
    }
    assert!(missing <= killed_consumers, "{missing} lost by {killed_consumers} killed consumers");
    let owned = slots::owned(&memory.region().view(), "items").len();
    assert!(
        owned + KILLS >= CAPACITY + SPARES as usize,
        "each took one slot at most: {owned} left"
    );
}

/// What the processes report in the region, so that it survives them.
#[derive(Clone, Copy)]
struct Records<'a> {
    /// How many items each sender has pushed for certain.
    pushed: Array<'a, u64>,
    /// For each slot that pops, one byte for each item: how often it came there.
    seen: [Array<'a, u8>; SLOTS - PRODUCERS],
    /// For each slot, how many operations its processes have done.
    done: Array<'a, u64>,
    /// Not 0 when all producers have ended.
    finished: Array<'a, u32>,
}

impl<'a> Records<'a> {
    fn create(memory: &'a Memory) -> Self {
        Array::<u64>::create(memory, "pushed", SENDERS).unwrap();
        Array::<u8>::create(memory, "seen by 2", SENDERS * EACH as usize).unwrap();
        Array::<u8>::create(memory, "seen by 3", SENDERS * EACH as usize).unwrap();
        Array::<u64>::create(memory, "done", SLOTS).unwrap();
        Array::<u32>::create(memory, "finished", 1).unwrap();
        Self::open(memory)
    }

    fn open(memory: &'a Memory) -> Self {
        Records {
            pushed: Array::open(memory, "pushed").unwrap(),
            seen: ["seen by 2", "seen by 3"].map(|name| Array::open(memory, name).unwrap()),
            done: Array::open(memory, "done").unwrap(),
            finished: Array::open(memory, "finished").unwrap(),
        }
    }

    fn index(sender: u64, sequence: u64) -> usize {
        (sender * EACH + sequence) as usize
    }

    fn times(&self, sender: u64, sequence: u64) -> u8 {
        self.seen.iter().map(|seen| seen.load(Self::index(sender, sequence)).unwrap()).sum()
    }

    /// One process at a time has the slot, so loading and storing is enough.
    fn one_more(&self, slot: usize) {
        self.done.store(slot, self.done.load(slot).unwrap() + 1).unwrap();
    }
}

struct Supervisor<'a> {
    test: &'static str,
    region: &'a str,
    records: Records<'a>,
    parties: Vec<Party>,
    senders: usize,
}

impl<'a> Supervisor<'a> {
    fn new(test: &'static str, region: &'a str, records: Records<'a>) -> Self {
        let mut supervisor = Supervisor { test, region, records, parties: Vec::new(), senders: 0 };
        for slot in 0..SLOTS {
            let party = supervisor.party(slot);
            supervisor.parties.push(party);
        }
        supervisor
    }

    fn party(&mut self, slot: usize) -> Party {
        if slot >= PRODUCERS {
            return Party::start(self.test, "consumer", slot as u64, self.region);
        }
        let sender = self.senders;
        assert!(sender < SENDERS, "more producers than there are records for");
        self.senders += 1;
        let number = sender * PRODUCERS + slot;
        Party::start(self.test, "producer", number as u64, self.region)
    }

    fn start(&mut self, slot: usize) {
        self.parties[slot] = self.party(slot);
    }

    /// Waits until each slot but `victim` has done something since now.
    fn others_go_on(&mut self, victim: usize) {
        let deadline = Instant::now() + LIMIT;
        for slot in (0..SLOTS).filter(|slot| *slot != victim) {
            let before = self.records.done.load(slot).unwrap();
            while self.records.done.load(slot).unwrap() == before {
                assert!(Instant::now() < deadline, "{slot} stands still since {victim} was killed");
                self.renew_producers(victim);
                std::thread::sleep(Duration::from_micros(100));
            }
        }
    }

    /// Starts a new process for each that has pushed all that it had to.
    fn renew_producers(&mut self, victim: usize) {
        for slot in (0..PRODUCERS).filter(|slot| *slot != victim) {
            if let Some(status) = self.parties[slot].ended() {
                assert!(status.success(), "producer in slot {slot} failed: {status}");
                self.start(slot);
            }
        }
    }

    /// Waits until all have ended by themselves; returns how many producers there were.
    fn end(mut self) -> usize {
        let (producers, consumers) = self.parties.split_at_mut(PRODUCERS);
        producers.iter_mut().for_each(|party| party.finish(LIMIT));
        self.records.finished.store(0, 1).unwrap();
        consumers.iter_mut().for_each(|party| party.finish(LIMIT));
        self.senders
    }
}

fn produce(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let queue = Queue::<Item>::open(&memory, "items").unwrap();
    let records = Records::open(&memory);
    let (sender, slot) = (part.number / PRODUCERS as u64, part.number as usize % PRODUCERS);
    for sequence in 0..EACH {
        // One slot sleeps when there is no room, the other looks again and again.
        while !push(&queue, item(sender, sequence), slot == 0) {}
        records.pushed.store(sender as usize, sequence + 1).unwrap();
        records.one_more(slot);
    }
}

fn push(queue: &Queue<'_, Item>, item: Item, sleep: bool) -> bool {
    if sleep {
        return match queue.push_timeout(item, SHORT) {
            Ok(()) => true,
            Err(PushTimeoutError::Timeout(_)) => false,
            Err(error) => panic!("{error}"),
        };
    }
    match queue.try_push(item) {
        Ok(()) => true,
        Err(PushError::Full(_)) => {
            std::thread::yield_now();
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn consume(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let queue = Queue::<Item>::open(&memory, "items").unwrap();
    let records = Records::open(&memory);
    let slot = part.number as usize;
    let seen = records.seen[slot - PRODUCERS];
    let mut next = vec![0; SENDERS];
    loop {
        let last = records.finished.load(0).unwrap() != 0;
        let Some(item) = pop(&queue, slot == PRODUCERS) else {
            if last {
                return;
            }
            continue;
        };
        let (sender, sequence) = opened(item);
        let next = &mut next[sender as usize];
        assert!(sequence >= *next, "{sequence} of {sender} came after {next}");
        *next = sequence + 1;
        let index = Records::index(sender, sequence);
        seen.store(index, seen.load(index).unwrap() + 1).unwrap();
        records.one_more(slot);
    }
}

fn pop(queue: &Queue<'_, Item>, sleep: bool) -> Option<Item> {
    if sleep {
        return match queue.pop_timeout(SHORT) {
            Ok(item) => Some(item),
            Err(PopTimeoutError::Timeout) => None,
            Err(error) => panic!("{error}"),
        };
    }
    match queue.try_pop() {
        Ok(item) => Some(item),
        Err(PopError::Empty) => {
            std::thread::yield_now();
            None
        }
        Err(error) => panic!("{error}"),
    }
}
