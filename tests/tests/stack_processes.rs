//! A Stack between real processes, some of which are killed: each item at most once, intact, and only those are gone that a
//! killed process had in its hands.

use std::time::{Duration, Instant};
use zeroipc::{
    Array, Geometry, Memory, PopError, PopTimeoutError, PushError, PushTimeoutError, Stack,
    WordSize,
};
use zeroipc_tests::item::{item, opened, Item};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::Random;
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);
/// Processes at a time: 0 and 1 push, 2 and 3 pop.
const PLACES: u64 = 4;
const EACH: u64 = 50_000;

/// Nobody is killed: every item comes once. All parties sleep again and again.
#[test]
fn every_item_comes_once() {
    for (geometry, capacity) in
        [(Geometry::new(WordSize::Eight, 64).unwrap(), 64), (Geometry::SMALLEST, 3)]
    {
        if !through("every_item_comes_once", geometry, capacity, 0) {
            return;
        }
    }
}

#[test]
fn each_killed_process_takes_one_item_at_most() {
    let geometry = Geometry::new(WordSize::Eight, 64).unwrap();
    through("each_killed_process_takes_one_item_at_most", geometry, 16, 40);
}

/// Whether this is the process that runs the test.
fn through(test: &str, geometry: Geometry, capacity: usize, kills: u64) -> bool {
    if let Some(part) = part() {
        match part.role.as_str() {
            "pusher" => push(&part),
            "popper" => pop(&part),
            other => panic!("no role {other}"),
        }
        return false;
    }
    let senders = kills + 2;
    let scratch = Scratch::new();
    let memory = Memory::options().geometry(geometry).create(scratch.name(), 24 << 20).unwrap();
    Stack::<Item>::create_with_spares(&memory, "items", capacity, kills as u32 + 4).unwrap();
    let pushed = Array::<u64>::create(&memory, "pushed", senders as usize).unwrap();
    let done = Array::<u64>::create(&memory, "done", PLACES as usize).unwrap();
    let finished = Array::<u32>::create(&memory, "finished", 1).unwrap();
    let seen = [2, 3].map(|place| {
        Array::<u8>::create(&memory, seen_name(place), (senders * EACH) as usize).unwrap()
    });
    let mut sender = 0;
    let mut start = |place: u64| {
        if place >= 2 {
            return Party::start(test, "popper", place, scratch.name());
        }
        sender += 1;
        Party::start(test, "pusher", place + 2 * (sender - 1), scratch.name())
    };
    let mut parties: Vec<Party> = (0..PLACES).map(&mut start).collect();
    let mut random = Random::new(u64::from(std::process::id()));
    let mut killed_poppers = 0;
    for _ in 0..kills {
        std::thread::sleep(Duration::from_micros(random.below(15_000)));
        let victim = random.below(PLACES);
        parties[victim as usize].kill();
        killed_poppers += usize::from(victim >= 2);
        parties[victim as usize] = start(victim);
        // The others go on: those that pop are never done, and have something to do while anybody pushes.
        let place = if victim == 2 { 3 } else { 2 };
        let before = done.load(place).unwrap();
        let deadline = Instant::now() + LIMIT;
        while done.load(place).unwrap() == before
            && (0..2).any(|pusher| parties[pusher].ended().is_none())
        {
            assert!(Instant::now() < deadline, "{place} stands still since {victim} was killed");
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    let (pushers, poppers) = parties.split_at_mut(2);
    pushers.iter_mut().for_each(|party| party.finish(LIMIT));
    finished.store(0, 1).unwrap();
    poppers.iter_mut().for_each(|party| party.finish(LIMIT));

    let mut missing = 0;
    for sender in 0..senders {
        let pushed = pushed.load(sender as usize).unwrap();
        assert!(kills > 0 || pushed == EACH);
        for sequence in 0..EACH {
            let index = (sender * EACH + sequence) as usize;
            match seen.iter().map(|seen| seen.load(index).unwrap()).sum::<u8>() {
                0 => missing += usize::from(sequence < pushed),
                // The one that a killed pusher had pushed and not reported yet may be there, too.
                1 => assert!(sequence <= pushed, "{sequence} of {sender} was never pushed"),
                times => panic!("{sequence} of {sender} came {times} times"),
            }
        }
    }
    assert!(missing <= killed_poppers, "{missing} lost by {killed_poppers} killed poppers");
    // As many fit as ever.
    let stack = Stack::<Item>::open(&memory, "items").unwrap();
    assert!(stack.is_empty());
    (0..capacity).for_each(|n| stack.try_push(item(0, n as u64)).unwrap());
    assert!(stack.is_full() && matches!(stack.try_push(item(0, 0)), Err(PushError::Full(_))));
    true
}

fn seen_name(place: u64) -> &'static str {
    if place == 2 {
        "seen by 2"
    } else {
        "seen by 3"
    }
}

fn push(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let stack = Stack::<Item>::open(&memory, "items").unwrap();
    let pushed = Array::<u64>::open(&memory, "pushed").unwrap();
    let done = Array::<u64>::open(&memory, "done").unwrap();
    let (sender, place) = (part.number / 2, (part.number % 2) as usize);
    for sequence in 0..EACH {
        // One place sleeps when there is no room, the other looks again and again.
        loop {
            let item = item(sender, sequence);
            let pushed = if place == 0 {
                match stack.push_timeout(item, SHORT) {
                    Ok(()) => true,
                    Err(PushTimeoutError::Timeout(_)) => false,
                    Err(error) => panic!("{error}"),
                }
            } else {
                match stack.try_push(item) {
                    Ok(()) => true,
                    Err(PushError::Full(_)) => false,
                    Err(error) => panic!("{error}"),
                }
            };
            if pushed {
                break;
            }
            std::thread::yield_now();
        }
        pushed.store(sender as usize, sequence + 1).unwrap();
        done.store(place, done.load(place).unwrap() + 1).unwrap();
    }
}

fn pop(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let stack = Stack::<Item>::open(&memory, "items").unwrap();
    let finished = Array::<u32>::open(&memory, "finished").unwrap();
    let seen = Array::<u8>::open(&memory, seen_name(part.number)).unwrap();
    let done = Array::<u64>::open(&memory, "done").unwrap();
    let place = part.number as usize;
    loop {
        // Asked before: what is empty then, after all have pushed all, stays empty.
        let last = finished.load(0).unwrap() != 0;
        if let Some(item) = stack.peek() {
            let _ = opened(item);
        }
        let popped = if place == 2 {
            match stack.pop_timeout(SHORT) {
                Ok(item) => Some(item),
                Err(PopTimeoutError::Timeout) => None,
                Err(error) => panic!("{error}"),
            }
        } else {
            match stack.try_pop() {
                Ok(item) => Some(item),
                Err(PopError::Empty) => None,
                Err(error) => panic!("{error}"),
            }
        };
        match popped {
            Some(item) => {
                let (sender, sequence) = opened(item);
                let index = (sender * EACH + sequence) as usize;
                seen.store(index, seen.load(index).unwrap() + 1).unwrap();
                done.store(place, done.load(place).unwrap() + 1).unwrap();
            }
            None if last => return,
            None => std::thread::yield_now(),
        }
    }
}
