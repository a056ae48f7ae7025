//! Queue: a party stopped, or killed, before every one of its accesses holds up nobody, loses nothing, doubles nothing.
#![cfg(all(zeroipc_fault, not(loom)))]

mod books;
mod memory;
mod stepper;

use books::{Act, Item, Others, Outcome, PARTY};
use memory::Memory;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{FormatOptions, Geometry, Queue, WordSize};

const ACTS: [Act; 5] = [Act::Push(PARTY), Act::Pop, Act::Grant(PARTY), Act::Take, Act::Peek];

/// A queue in a region of its own.
fn with_queue(word: WordSize, capacity: usize, spares: u32, test: impl FnOnce(Queue<'_, Item>)) {
    let geometry = Geometry::new(word, 16).unwrap();
    let mut memory = Memory::filled(2048, 0xA5);
    let region = memory.region(FormatOptions::new().max_entries(4).geometry(geometry));
    test(Queue::create_with_spares(region, "queue", capacity, spares).unwrap());
}

/// Every size worth trying: word, capacity, how many elements are in it.
fn shapes() -> impl Iterator<Item = (WordSize, usize, usize)> {
    [WordSize::Four, WordSize::Eight].into_iter().flat_map(|word| {
        [(2, 0), (2, 1), (2, 2), (4, 0), (4, 2), (4, 4)]
            .into_iter()
            .map(move |(capacity, held)| (word, capacity, held))
    })
}

/// Stops a party at each of its steps, and lets it finish after `meanwhile`.
fn stopped_at_each_step(act: Act, held: usize, others: &mut Others<'_>, queue: Queue<'_, Item>) {
    for step in 0.. {
        others.prepare(held);
        let act = act.numbered(step);
        let done = thread::scope(|scope| {
            let party = Party::start(scope, step, move || act.run(queue));
            let stopped = party.is_stopped();
            others.stops(act);
            if stopped {
                others.churn(1000);
            }
            others.resumes(act, party.finish());
            !stopped
        });
        others.audit();
        if done {
            assert!(step >= 2, "an operation of {step} steps");
            return;
        }
    }
}

#[test]
fn one_stopped_party_holds_up_nobody() {
    for (word, capacity, held) in shapes() {
        for spares in [1, 2] {
            for act in ACTS {
                // The same queue for all steps: what a resumed party does not give back would be missed.
                with_queue(word, capacity, spares, |queue| {
                    stopped_at_each_step(act, held, &mut Others::new(queue), queue);
                });
            }
        }
    }
}

/// Stops a party at step `first` and every `gap` steps after that: it is displaced, goes on, and is displaced again.
fn stopped_again(queue: Queue<'_, Item>, act: Act, held: usize, first: u64, gap: u64) {
    let mut others = Others::new(queue);
    others.prepare(held);
    let act = act.numbered(first);
    thread::scope(|scope| {
        let mut party = Party::start(scope, first, move || act.run(queue));
        others.stops(act);
        let mut step = first;
        while party.is_stopped() && step < 64 {
            others.churn(16);
            step += gap;
            party.go_to(step);
        }
        others.resumes(act, party.finish());
    });
    others.audit();
}

#[test]
fn one_party_stopped_again_and_again_holds_up_nobody() {
    for (word, capacity, held) in shapes() {
        for act in ACTS {
            for (first, gap) in (0..8).flat_map(|first| (1..9).map(move |gap| (first, gap))) {
                with_queue(word, capacity, 1, |queue| {
                    stopped_again(queue, act, held, first, gap);
                });
            }
        }
    }
}

/// Two parties stopped at step `first` and `second`, which then finish in either order.
fn two_stopped(queue: Queue<'_, Item>, acts: [Act; 2], held: usize, turned: bool) {
    let mut others = Others::new(queue);
    for first in 0..64 {
        for second in 0..64 {
            others.prepare(held);
            let number = 64 * first + second;
            let acts = [acts[0].numbered(2 * number), acts[1].numbered(2 * number + 1)];
            let (one_stopped, two_stopped) = thread::scope(|scope| {
                let mut one = Party::start(scope, first, move || acts[0].run(queue));
                others.stops(acts[0]);
                let mut two = Party::start(scope, second, move || acts[1].run(queue));
                others.stops(acts[1]);
                let stopped = (one.is_stopped(), two.is_stopped());
                others.churn(32);
                // Both go on a little, and stop again somewhere else.
                one.go_to(first + 1 + second % 5);
                two.go_to(second + 1 + first % 3);
                others.churn(16);
                if turned {
                    others.resumes(acts[1], two.finish());
                    others.churn(8);
                    others.resumes(acts[0], one.finish());
                } else {
                    others.resumes(acts[0], one.finish());
                    others.churn(8);
                    others.resumes(acts[1], two.finish());
                }
                stopped
            });
            others.audit();
            if !one_stopped {
                return;
            }
            if !two_stopped {
                break;
            }
        }
    }
}

#[test]
fn two_stopped_parties_hold_up_nobody_with_two_spares() {
    for word in [WordSize::Four, WordSize::Eight] {
        for acts in [[0, 0], [0, 1], [1, 0], [1, 1], [0, 3], [2, 1], [2, 3], [3, 2]]
            .map(|pair| pair.map(|act: usize| ACTS[act]))
        {
            for held in 0..=2 {
                for turned in [false, true] {
                    // A grant has a spare of its own.
                    let granted = |act: &Act| matches!(act, Act::Grant(_) | Act::Take);
                    let spares = 2 + acts.iter().filter(|act| granted(act)).count() as u32;
                    with_queue(word, 2, spares, |queue| two_stopped(queue, acts, held, turned));
                    with_queue(word, 4, spares, |queue| {
                        two_stopped(queue, acts, 2 * held, turned);
                    });
                }
            }
        }
    }
}

#[test]
fn a_killed_party_takes_one_value_at_most() {
    for (word, capacity, held) in shapes() {
        for spares in [1, 2, 3] {
            for act in ACTS {
                for step in 0.. {
                    let mut finished = false;
                    with_queue(word, capacity, spares, |queue| {
                        let mut others = Others::new(queue);
                        for victim in 0..u64::from(spares) {
                            others.prepare(held);
                            let act = act.numbered(victim);
                            others.stops(act);
                            match abandon_at(step, || act.run(queue)) {
                                Ok(outcome) => {
                                    others.resumes(act, outcome);
                                    finished = true;
                                }
                                Err(_) => others.dies(act),
                            }
                            others.churn(200);
                            others.audit();
                        }
                    });
                    if finished {
                        break;
                    }
                }
            }
        }
    }
}

/// A party that is killed while it displaces another dead one, or goes on after it was displaced.
#[test]
fn killed_while_displacing() {
    for (word, capacity, held) in shapes() {
        for first in ACTS {
            for second in ACTS {
                for (one, two) in (0..8).flat_map(|one| (0..40).map(move |two| (one, two))) {
                    with_queue(word, capacity, 2, |queue| {
                        let mut others = Others::new(queue);
                        others.prepare(held);
                        for (act, step) in [(first.numbered(0), one), (second.numbered(1), two)] {
                            others.stops(act);
                            match abandon_at(step, || act.run(queue)) {
                                Ok(outcome) => others.resumes(act, outcome),
                                Err(_) => others.dies(act),
                            }
                        }
                        others.churn(40);
                        others.audit();
                    });
                }
            }
        }
    }
}

/// More dead parties than spares: operations end, with an answer, and nothing is doubled.
#[test]
fn beyond_the_spares_operations_say_blocked() {
    let mut blocked = 0;
    for (word, capacity, held) in shapes() {
        for act in ACTS {
            for step in 0..10 {
                with_queue(word, capacity, 1, |queue| {
                    let mut others = Others::new(queue);
                    others.prepare(held);
                    for victim in 0..6 {
                        let act = act.numbered(victim);
                        others.stops(act);
                        match abandon_at(step, || act.run(queue)) {
                            // Blocked by those before it.
                            Ok(Outcome::Blocked) => others.resumes(act, Outcome::Nothing),
                            Ok(outcome) => others.resumes(act, outcome),
                            Err(_) => others.dies(act),
                        }
                        for round in 0..20 {
                            let outcome = if round % 4 < 2 { others.push() } else { others.pop() };
                            blocked += u32::from(outcome == Outcome::Blocked);
                        }
                    }
                });
            }
        }
    }
    assert!(blocked > 0, "nobody was ever blocked: the test tests nothing");
}

/// Blocked is no verdict for ever: when a stopped producer goes on, so do the others. Stopped consumers block nobody.
#[test]
fn blocked_ends_when_a_stopped_party_goes_on() {
    for word in [WordSize::Four, WordSize::Eight] {
        for (act, expected) in [(ACTS[0], true), (ACTS[1], false)] {
            with_queue(word, 2, 1, |queue| {
                let mut others = Others::new(queue);
                others.prepare(if act == Act::Pop { 2 } else { 0 });
                let acts = [act.numbered(0), act.numbered(1)];
                thread::scope(|scope| {
                    // Inside: the ticket is claimed, or the element is being copied. The second push finds the first's
                    // ticket claimed and `tail` behind it, which takes six steps more.
                    let mut parties = Vec::new();
                    for (act, step) in acts.into_iter().zip([3, if expected { 9 } else { 3 }]) {
                        others.stops(act);
                        parties.push(Party::start(scope, step, move || act.run(queue)));
                    }
                    let blocked = (0..8).any(|round| {
                        let outcome = if round % 4 < 2 { others.pop() } else { others.push() };
                        outcome == Outcome::Blocked
                    });
                    assert_eq!(blocked, expected, "two stopped, one spare");
                    let mut parties = parties.into_iter();
                    others.resumes(acts[0], parties.next().unwrap().finish());
                    others.churn(100);
                    others.resumes(acts[1], parties.next().unwrap().finish());
                    others.churn(100);
                });
                others.audit();
            });
        }
    }
}

/// Pushes `count` values of producer `id`, however often it takes.
fn produce(queue: Queue<'_, Item>, id: u32, count: u32) {
    for value in (0..count).map(|n| id << 20 | n) {
        while Act::Push(value).run(queue) != Outcome::Pushed(value) {
            thread::yield_now();
        }
    }
}

/// Pops until `producing` is over and nothing is left.
fn consume(queue: Queue<'_, Item>, producing: &AtomicBool) -> Vec<u32> {
    let mut popped = Vec::new();
    loop {
        let more = producing.load(Acquire);
        match Act::Pop.run(queue) {
            Outcome::Popped(value) => popped.push(value),
            Outcome::Nothing if !more => return popped,
            _ => thread::yield_now(),
        }
    }
}

/// Two producers and two consumers, while a party is stopped; returns all that was popped, and what the party did.
fn crowd(queue: Queue<'_, Item>, act: Act, step: u64, count: u32) -> (Vec<u32>, Outcome) {
    let producing = AtomicBool::new(true);
    thread::scope(|scope| {
        let party = Party::start(scope, step, move || act.run(queue));
        let producers = [1, 2].map(|id| scope.spawn(move || produce(queue, id, count)));
        let consumers = [(); 2].map(|()| scope.spawn(|| consume(queue, &producing)));
        producers.into_iter().for_each(|thread| thread.join().unwrap());
        producing.store(false, Release);
        let popped = consumers.map(|thread| thread.join().unwrap());
        for values in &popped {
            for id in [1, 2] {
                let one: Vec<_> = values.iter().filter(|value| **value >> 20 == id).collect();
                assert!(one.windows(2).all(|pair| pair[0] < pair[1]), "order of {id}");
            }
        }
        let outcome = party.finish();
        let mut all = popped.concat();
        all.extend(match outcome {
            Outcome::Popped(value) => Some(value),
            _ => None,
        });
        all.extend(consume(queue, &producing));
        (all, outcome)
    })
}

#[test]
fn running_threads_are_not_held_up_by_a_stopped_party() {
    const EACH: u32 = 500;
    for word in [WordSize::Four, WordSize::Eight] {
        for act in ACTS {
            for step in 0..12 {
                with_queue(word, 4, 8, |queue| {
                    Others::new(queue).prepare(2);
                    let (mut all, outcome) = crowd(queue, act.numbered(step), step, EACH);
                    let expected = 2 + 2 * EACH + u32::from(matches!(outcome, Outcome::Pushed(_)));
                    assert_eq!(all.len(), expected as usize);
                    all.sort_unstable();
                    all.dedup();
                    assert_eq!(all.len(), expected as usize, "a value came twice");
                });
            }
        }
    }
}
