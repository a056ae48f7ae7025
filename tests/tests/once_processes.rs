//! A Once across eight processes: it is done once, also when those that run it are killed.

use std::time::{Duration, Instant};
use zeroipc::{Array, Liveness, Memory, Once, PartyId};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::Random;
use zeroipc_tests::scratch::Scratch;

const PARTIES: u64 = 8;
const ROUNDS: usize = 6;
const LIMIT: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(60);

/// What the supervisor has learnt from `waitpid`: element i is 1 once party i + 1 is dead.
#[derive(Debug)]
struct Told<'a>(Array<'a, u32>);

impl Liveness for Told<'_> {
    fn is_dead(&self, party: PartyId) -> bool {
        self.0.load(party.number() as usize - 1) == Ok(1)
    }
}

#[test]
fn done_once() {
    through("done_once", false);
}

#[test]
fn done_once_though_its_runners_are_killed() {
    through("done_once_though_its_runners_are_killed", true);
}

fn through(test: &str, kill: bool) {
    if let Some(part) = part() {
        return call(&part);
    }
    let mut random = Random::new(u64::from(std::process::id()));
    for _ in 0..ROUNDS {
        round(test, kill, &mut random);
    }
}

fn round(test: &str, kill: bool, random: &mut Random) {
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    let once = Once::create(&memory, "once").unwrap();
    let dead = Array::<u32>::create(&memory, "dead", PARTIES as usize).unwrap();
    // Who runs it, who did it to the end, and who was told of which dead party.
    let runner = Array::<u32>::create(&memory, "runner", 1).unwrap();
    let done = Array::<u32>::create(&memory, "done", PARTIES as usize).unwrap();
    let told = Array::<u32>::create(&memory, "told", PARTIES as usize).unwrap();
    let role = if kill { "slow" } else { "quick" };
    let mut parties: Vec<_> =
        (1..=PARTIES).map(|number| Party::start(test, role, number, scratch.name())).collect();
    let mut killed = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while kill && killed.len() < 3 && !once.is_completed() {
        assert!(Instant::now() < deadline, "nobody runs it");
        let running = runner.load(0).unwrap();
        if running == 0 || killed.contains(&running) {
            std::thread::sleep(Duration::from_micros(50));
            continue;
        }
        // Somewhere in the middle, or just after it.
        std::thread::sleep(Duration::from_micros(random.below(6000)));
        parties[running as usize - 1].kill();
        killed.push(running);
        dead.store(running as usize - 1, 1).unwrap();
    }
    for (index, party) in parties.iter_mut().enumerate() {
        if !killed.contains(&(index as u32 + 1)) {
            party.finish(LIMIT);
        }
    }
    assert!(once.is_completed());
    // A killed one may have done it all, and not lived to have it counted: then another did it again, and was told.
    let living: u32 = (1..=PARTIES as u32)
        .filter(|number| !killed.contains(number))
        .map(|number| done.load(number as usize - 1).unwrap())
        .sum();
    let last_killed = killed.iter().any(|number| done.load(*number as usize - 1) == Ok(1));
    assert!(living == 1 || (living == 0 && last_killed), "done {living} times by the living");
    assert!(told.iter().all(|number| number == 0 || killed.contains(&number)));
}

fn call(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let told_dead = Told(Array::open(&memory, "dead").unwrap());
    let me = part.number as u32;
    let region = memory.region().with_party(PartyId::new(me).unwrap(), &told_dead);
    let once = Once::open(region, "once").unwrap();
    let runner = Array::<u32>::open(&memory, "runner").unwrap();
    let done = Array::<u32>::open(&memory, "done").unwrap();
    let told = Array::<u32>::open(&memory, "told").unwrap();
    let mine = me as usize - 1;
    let ran = once.call_once_timeout(PATIENCE, |state| {
        runner.store(0, me).unwrap();
        if let Some(before) = state.owner_died() {
            told.store(mine, before.number()).unwrap();
        }
        if part.role == "slow" {
            std::thread::sleep(Duration::from_millis(5));
        }
        done.store(mine, done.load(mine).unwrap() + 1).unwrap();
    });
    ran.unwrap();
    assert!(once.is_completed());
    assert!((0..PARTIES as usize).any(|index| done.load(index) == Ok(1)));
}
