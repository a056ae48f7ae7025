//! Processes that change a record under a lock: what Mutex and RwLock have in common.
//!
//! A record that was changed by two at once, or half, shows by its checksums.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};
use zeroipc::{Array, LockError, Memory, Mutex, RwLock};
use zeroipc_tests::deaths::Deaths;
use zeroipc_tests::processes::{Part, Party};
use zeroipc_tests::random::{mix, Random};
use zeroipc_tests::scratch::Scratch;

pub const LIMIT: Duration = Duration::from_secs(60);
/// Parties that may exist one after another.
const PARTIES: u32 = 500;
/// Processes at a time that write.
const WRITERS: usize = 4;

/// How often it was changed, how often a death was told, and four checksums of the former.
pub type Record = [u64; 6];

pub fn record(count: u64, told: u64) -> Record {
    let sum = |n| mix(count << 8 | n);
    [count, told, sum(0), sum(1), sum(2), sum(3)]
}

pub fn is_whole(record_: Record) -> bool {
    record_ == record(record_[0], record_[1])
}

/// What a party does with the lock held: it gets the news of a death if there is any, the record, and a way to store one.
pub type Body<'b> = dyn FnMut(bool, Record, &mut dyn FnMut(Record)) + 'b;

/// A lock around a record.
pub trait Lock {
    /// Runs `body` with the lock held for writing. Returns when it is released, with the value declared consistent.
    fn write(&self, body: &mut Body<'_>);
}

macro_rules! lock {
    ($lock:ident, $write:ident) => {
        impl Lock for $lock<'_, Record> {
            fn write(&self, body: &mut Body<'_>) {
                let (mut guard, told) = match self.$write(LIMIT) {
                    Ok(guard) => (guard, false),
                    Err(LockError::OwnerDied(guard)) => (guard, true),
                    Err(error) => panic!("{error}"),
                };
                body(told, guard.load(), &mut |record| guard.store(record));
                guard.mark_consistent();
            }
        }
    };
}
lock!(Mutex, lock_timeout);
lock!(RwLock, write_timeout);

/// Makes a lock and what the processes report, runs `test`, and gives back what the record is in the end.
pub fn with_memory(create: impl FnOnce(&Memory), test: impl FnOnce(&Memory, &str)) {
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    create(&memory);
    let _ = Deaths::create(&memory, PARTIES);
    Array::<u64>::create(&memory, "done", PARTIES as usize + 1).unwrap();
    Array::<u32>::create(&memory, "stop", 1).unwrap();
    Array::<u32>::create(&memory, "holding", 1).unwrap();
    test(&memory, scratch.name());
}

/// Opens what [`with_memory`] made, as this process's party.
pub fn as_party(part: &Part, body: impl FnOnce(zeroipc::Region<'_>, Shared<'_>)) {
    let memory = Memory::open(&part.region).unwrap();
    let deaths = Deaths::open(&memory);
    body(deaths.region(&memory, part.number as u32), Shared::open(&memory));
}

/// What processes tell each other besides.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    /// By party: how many changes it has made for certain.
    pub done: Array<'a, u64>,
    /// Not 0 when all are to end.
    pub stop: Array<'a, u32>,
    /// The party that holds the lock in order to be killed.
    pub holding: Array<'a, u32>,
}

impl<'a> Shared<'a> {
    pub fn open(memory: &'a Memory) -> Self {
        let done = Array::open(memory, "done").unwrap();
        let [stop, holding] = ["stop", "holding"].map(|name| Array::open(memory, name).unwrap());
        Shared { done, stop, holding }
    }

    pub fn stopped(&self) -> bool {
        self.stop.load(0).unwrap() != 0
    }

    pub fn one_more(&self, party: u64) {
        let before = self.done.load(party as usize).unwrap();
        self.done.store(party as usize, before + 1).unwrap();
    }
}

/// One change: the record is broken for a moment. Whoever was not told of a death finds it whole.
pub fn change(lock: &impl Lock) {
    lock.write(&mut |told, found, store| {
        assert!(told || is_whole(found), "half-written, and nobody said so: {found:?}");
        let [count, tells, ..] = found;
        let mut broken = found;
        broken[0] = count + 1;
        store(broken);
        if count % 64 == 0 {
            // Long enough for the others to go to sleep.
            yield_now();
        }
        store(record(count + 1, tells + u64::from(told)));
    });
}

/// The part `writer`: changes until told to stop, or `most` times.
pub fn write(part: &Part, lock: &impl Lock, shared: Shared<'_>, most: u64) {
    for _ in 0..most {
        if shared.stopped() {
            return;
        }
        change(lock);
        shared.one_more(part.number);
        // The lock is not fair: a sleeper that was woken needs a moment in which it is free.
        (0..300).for_each(|_| std::hint::spin_loop());
    }
}

/// The part `holder`: takes the lock, breaks the record, and waits to be killed.
pub fn hold(part: &Part, lock: &impl Lock, shared: Shared<'_>) {
    lock.write(&mut |told, found, store| {
        assert!(!told && is_whole(found));
        store([found[0] + 1, found[1], 0, 0, 0, 0]);
        shared.holding.store(0, part.number as u32).unwrap();
        sleep(LIMIT);
    });
}

fn found(lock: &impl Lock) -> (bool, Record) {
    let mut result = None;
    lock.write(&mut |told, record, _| result = Some((told, record)));
    result.unwrap()
}

/// Four processes, each so many times; nobody dies.
pub fn take_turns(test: &str, region: &str, lock: &impl Lock, more: &[&str], each: u64) {
    let start = |(number, role): (usize, &str)| Party::start(test, role, number as u64 + 1, region);
    let roles = ["writer"; WRITERS].iter().chain(more).copied();
    let mut parties: Vec<_> = roles.enumerate().map(start).collect();
    parties.iter_mut().for_each(|party| party.finish(LIMIT));
    assert_eq!(found(lock), (false, record(WRITERS as u64 * each, 0)));
}

/// Holders are killed one after another while others want the lock: each death is told once.
pub fn killed_holders(
    test: &str,
    region: &str,
    lock: &impl Lock,
    shared: Shared<'_>,
    memory: &Memory,
) {
    const KILLS: u32 = 12;
    let deaths = Deaths::open(memory);
    let mut others: Vec<_> =
        (1..=2).map(|number| Party::start(test, "writer", number, region)).collect();
    for kill in 1..=KILLS {
        let number = 10 + kill;
        let mut holder = Party::start(test, "holder", u64::from(number), region);
        let deadline = Instant::now() + LIMIT;
        while shared.holding.load(0).unwrap() != number {
            assert!(Instant::now() < deadline, "the holder never had it");
            sleep(Duration::from_micros(200));
        }
        holder.kill();
        deaths.mark(number);
        // They go on.
        let done = || shared.done.load(1).unwrap() + shared.done.load(2).unwrap();
        let before = done();
        while done() < before + 100 {
            assert!(Instant::now() < deadline, "nobody went on");
            sleep(Duration::from_micros(200));
        }
        let (told, now) = found(lock);
        assert!(!told && is_whole(now));
        assert_eq!(now[1], u64::from(kill), "each death is told once");
    }
    shared.stop.store(0, 1).unwrap();
    others.iter_mut().for_each(|party| party.finish(LIMIT));
    let done: u64 = shared.done.iter().sum();
    assert_eq!(found(lock), (false, record(done + u64::from(KILLS), u64::from(KILLS))));
}

/// Processes in all `roles` are killed at random moments; the rest go on, and no change is lost or made twice.
pub fn killed_at_random(
    test: &str,
    region: &str,
    lock: &impl Lock,
    roles: &[&str],
    shared: Shared<'_>,
    memory: &Memory,
) {
    const KILLS: u64 = 20;
    let deaths = Deaths::open(memory);
    let mut random = Random::new(u64::from(std::process::id()));
    let mut numbers = 1_u32..;
    let mut start = |role: &str| {
        let number = numbers.next().unwrap();
        (number, Party::start(test, role, u64::from(number), region))
    };
    let mut parties: Vec<_> = roles.iter().map(|role| start(role)).collect();
    for _ in 0..KILLS {
        sleep(Duration::from_micros(random.below(20_000)));
        let victim = random.below(roles.len() as u64) as usize;
        let (number, party) = &mut parties[victim];
        party.kill();
        deaths.mark(*number);
        parties[victim] = start(roles[victim]);
        let deadline = Instant::now() + LIMIT;
        for (number, _) in &parties {
            let before = shared.done.load(*number as usize).unwrap();
            while shared.done.load(*number as usize).unwrap() == before {
                assert!(Instant::now() < deadline, "{number} stands still");
                sleep(Duration::from_micros(200));
            }
        }
    }
    shared.stop.store(0, 1).unwrap();
    parties.iter_mut().for_each(|(_, party)| party.finish(LIMIT));
    let (told, last) = found(lock);
    assert!(!told && is_whole(last));
    let writers = writers_done(roles, shared);
    // A killed writer may have made one change more than it reported.
    assert!((writers..=writers + KILLS).contains(&last[0]), "{} of {writers}", last[0]);
    assert!(last[1] <= KILLS, "{} deaths told", last[1]);
}

/// What all writers have reported; readers report elsewhere.
fn writers_done(roles: &[&str], shared: Shared<'_>) -> u64 {
    let all: u64 = shared.done.iter().sum();
    if roles.contains(&"reader") {
        // Readers count from 2^32 on.
        return shared.done.iter().map(|done| done & 0xFFFF_FFFF).sum();
    }
    all
}
