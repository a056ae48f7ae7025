//! Messages of 4 KiB between real processes without copying: filled in place, sent as a handle, read in place. Some processes
//! are killed, and their slots come back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zeroipc::{Array, Handle, Liveness, Memory, PartyId, Pool, PopTimeoutError, Queue, WaitError};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::{mix, Random};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);
const EACH: u64 = 6_000;
const WORDS: usize = 512;

/// Sender, number, and a filling that follows from both.
type Frame = [u64; WORDS];

fn fill(frame: &mut Frame, sender: u64, number: u64) {
    let seed = mix(sender << 40 | number);
    (frame[0], frame[1]) = (sender, number);
    for (at, word) in (2..).zip(&mut frame[2..]) {
        *word = seed ^ at;
    }
}

fn checked(frame: &Frame) -> (u64, u64) {
    let seed = mix(frame[0] << 40 | frame[1]);
    for (at, word) in (2..).zip(&frame[2..]) {
        assert_eq!(*word, seed ^ at, "a torn frame");
    }
    (frame[0], frame[1])
}

/// The supervisor knows whom it has killed.
#[derive(Debug, Default, Clone)]
struct Killed(Arc<Mutex<BTreeSet<u32>>>);

impl Liveness for Killed {
    fn is_dead(&self, party: PartyId) -> bool {
        self.0.lock().unwrap().contains(&party.number())
    }
}

/// Children know of no death.
#[derive(Debug)]
struct Nobody;

impl Liveness for Nobody {
    fn is_dead(&self, _party: PartyId) -> bool {
        false
    }
}

#[test]
fn every_frame_comes_once() {
    through("every_frame_comes_once", 0);
}

#[test]
fn slots_of_killed_processes_come_back() {
    through("slots_of_killed_processes_come_back", 40);
}

fn through(test: &str, kills: u32) {
    if let Some(part) = part() {
        return match part.role.as_str() {
            "sender" => send(&part),
            "receiver" => receive(&part),
            other => panic!("no role {other}"),
        };
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 24 << 20).unwrap();
    let (slots, parties) = (6, kills + 4);
    Pool::<Frame>::create(&memory, "frames", slots).unwrap();
    Queue::<Handle>::create_with_spares(&memory, "ready", 8, kills + 4).unwrap();
    Array::<u8>::create(&memory, "seen", (u64::from(parties) * EACH) as usize).unwrap();
    let sent = Array::<u64>::create(&memory, "sent", parties as usize).unwrap();
    let finished = Array::<u32>::create(&memory, "finished", 1).unwrap();

    let killed = Killed::default();
    let region = memory.region().with_party(PartyId::new(1000).unwrap(), &killed);
    let pool = Pool::<Frame>::open(region, "frames").unwrap();
    let mut number = 0;
    let mut start = |place: usize| {
        number += 1;
        let role = if place < 2 { "sender" } else { "receiver" };
        (number, Party::start(test, role, u64::from(number), scratch.name()))
    };
    // Two send and one receives; with several the books would need more than loads and stores.
    let mut parties: Vec<(u32, Party)> = (0..3).map(&mut start).collect();
    let mut random = Random::new(u64::from(std::process::id()));
    let mut killed_receivers = 0;
    let mut reclaimed = 0;
    for _ in 0..kills {
        std::thread::sleep(Duration::from_micros(random.below(15_000)));
        let victim = random.below(3) as usize;
        parties[victim].1.kill();
        killed.0.lock().unwrap().insert(parties[victim].0);
        killed_receivers += u64::from(victim == 2);
        reclaimed += pool.reclaim();
        parties[victim] = start(victim);
    }
    let (senders, receivers) = parties.split_at_mut(2);
    // A handle that was popped or not yet pushed by a killed process is lost, and its slot with it, until somebody looks. So many
    // may be lost that senders wait for a slot in vain: they end when told so.
    finished.store(0, u32::from(kills > 0)).unwrap();
    senders.iter_mut().for_each(|(_, party)| party.finish(LIMIT));
    finished.store(0, 2).unwrap();
    receivers.iter_mut().for_each(|(_, party)| party.finish(LIMIT));

    assert!(reclaimed <= kills as usize, "each had one slot at most");
    assert_eq!(pool.reclaim(), 0);
    let left: Vec<Handle> = pool.in_transit().collect();
    assert!(left.len() <= kills as usize && left.len() == pool.taken(), "{left:?}");
    left.into_iter().for_each(|handle| drop(pool.from_handle(handle).unwrap()));
    assert_eq!((0..slots).map(|_| pool.try_alloc().unwrap()).map(|_| ()).count(), slots);

    let seen = Array::<u8>::open(&memory, "seen").unwrap();
    let mut missing = 0;
    for sender in 0..sent.len() as u64 {
        let sent = sent.load(sender as usize).unwrap();
        for number in 0..EACH {
            match seen.load((sender * EACH + number) as usize).unwrap() {
                0 => missing += u64::from(number < sent),
                1 => assert!(number <= sent, "{number} of {sender} was never sent"),
                times => panic!("{number} of {sender} came {times} times"),
            }
        }
        assert!(kills > 0 || sent == 0 || sent == EACH);
    }
    assert!(missing <= killed_receivers, "{missing} lost by {killed_receivers} killed receivers");
}

fn send(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let me = PartyId::new(part.number as u32).unwrap();
    let pool = Pool::<Frame>::open(memory.region().with_party(me, &Nobody), "frames").unwrap();
    let ready = Queue::<Handle>::open(&memory, "ready").unwrap();
    let sent = Array::<u64>::open(&memory, "sent").unwrap();
    let finished = Array::<u32>::open(&memory, "finished").unwrap();
    for number in 0..EACH {
        let mut loan = loop {
            match pool.alloc_timeout(SHORT) {
                Ok(loan) => break loan,
                Err(WaitError::Timeout) if finished.load(0).unwrap() != 0 => return,
                Err(WaitError::Timeout) => {}
                Err(error) => panic!("{error}"),
            }
        };
        // SAFETY: all parties of this test leave slots alone that are on loan to others, and the supervisor takes only those
        // of processes that are gone.
        fill(unsafe { loan.as_mut() }.unwrap(), part.number, number);
        ready.push(loan.into_handle()).unwrap();
        sent.store(part.number as usize, number + 1).unwrap();
    }
}

fn receive(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let me = PartyId::new(part.number as u32).unwrap();
    let pool = Pool::<Frame>::open(memory.region().with_party(me, &Nobody), "frames").unwrap();
    let ready = Queue::<Handle>::open(&memory, "ready").unwrap();
    let seen = Array::<u8>::open(&memory, "seen").unwrap();
    let finished = Array::<u32>::open(&memory, "finished").unwrap();
    loop {
        let last = finished.load(0).unwrap() == 2;
        match ready.pop_timeout(SHORT) {
            Ok(handle) => {
                let loan = pool.from_handle(handle).unwrap();
                // SAFETY: as in `send`.
                let (sender, number) = checked(unsafe { loan.as_ref() }.unwrap());
                let index = (sender * EACH + number) as usize;
                seen.store(index, seen.load(index).unwrap() + 1).unwrap();
                assert!(pool.from_handle(handle).is_err(), "taken over twice");
            }
            Err(PopTimeoutError::Timeout) if last => return,
            Err(PopTimeoutError::Timeout) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
