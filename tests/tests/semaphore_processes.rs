//! A Semaphore as a counter of resources among four processes: never are more in use than there are.

use std::time::Duration;
use zeroipc::{Array, Memory, Semaphore};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::Random;
use zeroipc_tests::scratch::Scratch;

const MAX: u32 = 3;
const PARTIES: u64 = 4;
const TURNS: u32 = 3000;
const LIMIT: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(60);

/// A process says in its element how many permits it has, from after it acquired them until before it releases them. So who
/// has all of them finds zeros in all other elements.
#[test]
fn resources() {
    if let Some(part) = part() {
        return work(&part);
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    let permits = Semaphore::create(&memory, "permits", MAX, MAX).unwrap();
    Array::<u32>::create(&memory, "held", PARTIES as usize).unwrap();
    let mut parties: Vec<_> = (0..PARTIES)
        .map(|number| Party::start("resources", "worker", number, scratch.name()))
        .collect();
    parties.iter_mut().for_each(|party| party.finish(LIMIT));
    assert_eq!(permits.available(), MAX);
}

fn work(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let permits = Semaphore::open(&memory, "permits").unwrap();
    let held = Array::<u32>::open(&memory, "held").unwrap();
    let me = part.number as usize;
    let mut random = Random::new(part.number);
    for turn in 0..TURNS {
        let count = if turn % 64 == 0 { MAX } else { 1 };
        let permit = if random.one_in(2) && count == 1 {
            match permits.try_acquire() {
                Ok(permit) => permit,
                Err(_) => continue,
            }
        } else {
            permits.acquire_many_timeout(count, PATIENCE).unwrap()
        };
        held.store(me, count).unwrap();
        if count == MAX {
            // All are ours: nobody else has any, now or until we release.
            let others = (0..PARTIES as usize).filter(|other| *other != me);
            let sum: u32 = others.map(|other| held.load(other).unwrap()).sum();
            assert_eq!(sum, 0, "others hold {sum} while all are taken");
            assert_eq!(permits.available(), 0);
        }
        held.store(me, 0).unwrap();
        drop(permit);
    }
}

/// The permits of killed processes are given back by the supervisor, who knows that each had one.
#[test]
fn killed_holders() {
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let permits = Semaphore::open(&memory, "permits").unwrap();
        let ready = Array::<u32>::open(&memory, "ready").unwrap();
        let _permit = permits.acquire_timeout(PATIENCE).unwrap();
        ready.store(part.number as usize, 1).unwrap();
        std::thread::sleep(PATIENCE);
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    let permits = Semaphore::create(&memory, "permits", 2, 2).unwrap();
    let ready = Array::<u32>::create(&memory, "ready", 6).unwrap();
    for round in 0..3_u64 {
        let mut holders: Vec<_> = (0..2)
            .map(|number| {
                Party::start("killed_holders", "holder", 2 * round + number, scratch.name())
            })
            .collect();
        let both = [2 * round as usize, 2 * round as usize + 1];
        while both.iter().any(|index| ready.load(*index) != Ok(1)) {
            assert!(holders.iter_mut().all(|holder| holder.ended().is_none()));
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(permits.available(), 0);
        for holder in &mut holders {
            holder.kill();
            permits.release().unwrap();
        }
        assert_eq!(permits.available(), 2);
    }
}
