//! A Barrier of four processes for thousands of generations, and of processes of which one is killed.

use std::time::Duration;
use zeroipc::{Array, Barrier, BarrierError, Liveness, Memory, PartyId};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::scratch::Scratch;

const PARTIES: u64 = 4;
const GENERATIONS: u32 = 3000;
const LIMIT: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(60);

/// Each says which generation it is in, and after each meeting looks whether all others have come as far.
#[test]
fn thousands_of_generations() {
    if let Some(part) = part() {
        return meet(&part);
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    let barrier = Barrier::create(&memory, "barrier", PARTIES as u32).unwrap();
    Array::<u32>::create(&memory, "reached", PARTIES as usize).unwrap();
    let leaders = Array::<u32>::create(&memory, "leaders", PARTIES as usize).unwrap();
    let mut parties: Vec<_> = (0..PARTIES)
        .map(|number| Party::start("thousands_of_generations", "party", number, scratch.name()))
        .collect();
    parties.iter_mut().for_each(|party| party.finish(LIMIT));
    let led: u32 = leaders.iter().sum();
    assert_eq!(led, GENERATIONS, "one leader a generation");
    assert!((0..PARTIES).map(|_| barrier.join()).all(|place| place.map(std::mem::forget).is_ok()));
}

fn meet(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let barrier = Barrier::open(&memory, "barrier").unwrap();
    let reached = Array::<u32>::open(&memory, "reached").unwrap();
    let leaders = Array::<u32>::open(&memory, "leaders").unwrap();
    let me = part.number as usize;
    let mut participant = barrier.join().unwrap();
    let mut led = 0;
    for generation in 1..=GENERATIONS {
        reached.store(me, generation).unwrap();
        let result = participant.wait_timeout(PATIENCE).unwrap();
        led += u32::from(result.is_leader());
        for other in reached.iter() {
            assert!(other == generation || other == generation + 1, "{other} in {generation}");
        }
    }
    leaders.store(me, led).unwrap();
}

/// What the supervisor has learnt from `waitpid`: element i is 1 once party i is dead.
#[derive(Debug)]
struct Told<'a>(Array<'a, u32>);

impl Liveness for Told<'_> {
    fn is_dead(&self, party: PartyId) -> bool {
        self.0.load(party.number() as usize) == Ok(1)
    }
}

#[test]
fn a_killed_participant_is_missed_and_replaced() {
    const TEST: &str = "a_killed_participant_is_missed_and_replaced";
    const KILLS: u64 = 5;
    if let Some(part) = part() {
        return go_on(&part, KILLS);
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    Barrier::create(&memory, "barrier", 3).unwrap();
    let dead = Array::<u32>::create(&memory, "dead", 32).unwrap();
    let met = Array::<u32>::create(&memory, "met", 32).unwrap();
    let missed = Array::<u32>::create(&memory, "missed", 32).unwrap();
    let stop = Array::<u32>::create(&memory, "stop", 1).unwrap();
    let mut lasting: Vec<_> =
        (1..=2).map(|number| Party::start(TEST, "party", number, scratch.name())).collect();
    for number in 3..3 + KILLS {
        let mut victim = Party::start(TEST, "party", number, scratch.name());
        while met.load(number as usize).unwrap() < 20 {
            assert!(victim.ended().is_none() && lasting.iter_mut().all(|it| it.ended().is_none()));
            std::thread::sleep(Duration::from_micros(100));
        }
        victim.kill();
        dead.store(number as usize, 1).unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        // Both miss it, unless the next one takes its place before.
        while (1..=2).any(|party| missed.load(party).unwrap() != number as u32) {
            assert!(std::time::Instant::now() < deadline, "{number} is not missed");
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    stop.store(0, 1).unwrap();
    lasting.iter_mut().for_each(|party| party.finish(LIMIT));
}

fn go_on(part: &Part, kills: u64) {
    let memory = Memory::open(&part.region).unwrap();
    let told = Told(Array::open(&memory, "dead").unwrap());
    let met = Array::<u32>::open(&memory, "met").unwrap();
    let missed = Array::<u32>::open(&memory, "missed").unwrap();
    let stop = Array::<u32>::open(&memory, "stop").unwrap();
    let me = PartyId::new(part.number as u32).unwrap();
    let region = memory.region().with_party(me, &told);
    let barrier = Barrier::open(region, "barrier").unwrap();
    let mut participant = barrier.join().unwrap();
    let index = part.number as usize;
    while stop.load(0).unwrap() == 0 {
        match participant.wait_timeout(Duration::from_millis(200)) {
            Ok(_) => met.store(index, met.load(index).unwrap() + 1).unwrap(),
            Err(BarrierError::PeerDied(party)) => {
                assert!((3..3 + kills as u32).contains(&party.number()));
                missed.store(index, party.number()).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => assert_eq!(error, BarrierError::Timeout),
        }
    }
}
