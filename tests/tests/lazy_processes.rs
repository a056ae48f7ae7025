//! A Lazy across eight processes: it is evaluated once, also when those that evaluate it are killed.

use std::time::{Duration, Instant};
use zeroipc::{Array, Lazy, Liveness, Memory, PartyId};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::Random;
use zeroipc_tests::scratch::Scratch;

const PARTIES: u64 = 8;
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(60);

type Block = [u32; 32];

/// What the supervisor has learnt from `waitpid`: element i is 1 once party i is dead.
#[derive(Debug)]
struct Told<'a>(Array<'a, u32>);

impl Liveness for Told<'_> {
    fn is_dead(&self, party: PartyId) -> bool {
        self.0.load(party.number() as usize) == Ok(1)
    }
}

#[test]
fn evaluated_once() {
    through("evaluated_once", false);
}

#[test]
fn evaluated_once_though_evaluators_are_killed() {
    through("evaluated_once_though_evaluators_are_killed", true);
}

fn through(test: &str, kill: bool) {
    if let Some(part) = part() {
        return evaluate(&part);
    }
    let mut random = Random::new(u64::from(std::process::id()));
    for _ in 0..ROUNDS {
        round(test, kill, &mut random);
    }
}

fn round(test: &str, kill: bool, random: &mut Random) {
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    let lazy = Lazy::<Block>::create(&memory, "lazy").unwrap();
    let many = PARTIES as usize + 1;
    let dead = Array::<u32>::create(&memory, "dead", many).unwrap();
    // Who evaluates it, who began to, and what each found.
    let evaluator = Array::<u32>::create(&memory, "evaluator", 1).unwrap();
    let begun = Array::<u32>::create(&memory, "begun", many).unwrap();
    let found = Array::<u32>::create(&memory, "found", many).unwrap();
    let role = if kill { "slow" } else { "quick" };
    let mut parties: Vec<_> =
        (1..=PARTIES).map(|number| Party::start(test, role, number, scratch.name())).collect();
    let mut killed = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while kill && killed.len() < 3 && lazy.peek().is_none() {
        assert!(Instant::now() < deadline, "nobody evaluates it");
        let running = evaluator.load(0).unwrap();
        if running == 0 || killed.contains(&running) {
            std::thread::sleep(Duration::from_micros(50));
            continue;
        }
        // Somewhere in the middle, or just after it.
        std::thread::sleep(Duration::from_micros(random.below(6000)));
        parties[running as usize - 1].kill();
        killed.push(running);
        dead.store(running as usize, 1).unwrap();
    }
    let living = (1..=PARTIES as u32).filter(|number| !killed.contains(number));
    for number in living.clone() {
        parties[number as usize - 1].finish(LIMIT);
    }
    let value = lazy.peek().expect("a value");
    let maker = value[0];
    assert_eq!(value, [maker; 32], "a torn value");
    assert!(living.clone().all(|number| found.load(number as usize) == Ok(maker)));
    // Of the living only the one whose value it is began; if that is a dead one, none did.
    for number in living {
        let expected = u32::from(number == maker);
        assert_eq!(begun.load(number as usize), Ok(expected), "party {number} of {maker}");
    }
}

fn evaluate(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let told = Told(Array::open(&memory, "dead").unwrap());
    let me = part.number as u32;
    let region = memory.region().with_party(PartyId::new(me).unwrap(), &told);
    let lazy = Lazy::<Block>::open(region, "lazy").unwrap();
    let evaluator = Array::<u32>::open(&memory, "evaluator").unwrap();
    let begun = Array::<u32>::open(&memory, "begun").unwrap();
    let found = Array::<u32>::open(&memory, "found").unwrap();
    let value = lazy.get_or_init_timeout(PATIENCE, || {
        begun.store(me as usize, begun.load(me as usize).unwrap() + 1).unwrap();
        evaluator.store(0, me).unwrap();
        if part.role == "slow" {
            std::thread::sleep(Duration::from_millis(5));
        }
        [me; 32]
    });
    found.store(me as usize, value.unwrap()[0]).unwrap();
}
