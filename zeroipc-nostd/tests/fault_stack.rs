//! Stack: a party stopped, or killed, before every one of its accesses holds up nobody, loses nothing, doubles nothing.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;
mod stepper;

use memory::Memory;
use std::collections::BTreeSet;
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{FormatOptions, Geometry, PopError, PushError, Stack, WordSize};

/// Three words that belong together: a slot with two writers would show.
type Item = [u32; 3];

fn item(value: u32) -> Item {
    [value, !value, value.wrapping_mul(0x9E37_79B1)]
}

fn value(found: Item) -> u32 {
    assert_eq!(found, item(found[0]), "a torn value");
    found[0]
}

/// Values of stopped parties, apart from those of the others.
const PARTY: u32 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Push(u32),
    Pop,
    Peek,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Pushed(u32),
    Popped(u32),
    Full,
    Empty,
    Blocked,
    Seen,
}

fn run(stack: Stack<'_, Item>, act: Act) -> Outcome {
    match act {
        Act::Push(value) => match stack.try_push(item(value)) {
            Ok(()) => Outcome::Pushed(value),
            Err(PushError::Full(given)) => {
                assert_eq!(given, item(value));
                Outcome::Full
            }
            Err(PushError::Blocked(_)) => Outcome::Blocked,
            Err(PushError::Corrupt(_)) => panic!("corrupt"),
        },
        Act::Pop => match stack.try_pop() {
            Ok(item) => Outcome::Popped(value(item)),
            Err(PopError::Empty) => Outcome::Empty,
            Err(error) => panic!("{error}"),
        },
        Act::Peek => {
            stack.peek().map(value);
            assert!(stack.len() <= stack.capacity());
            Outcome::Seen
        }
    }
}

/// One thread that pushes rising numbers and keeps books on all parties.
struct Others<'a> {
    stack: Stack<'a, Item>,
    next: u32,
    /// What is in the stack for certain, from the bottom; of the stopped parties' own nothing.
    model: Vec<u32>,
    /// Values of stopped or dead pushes that may be in it, and have not come out yet.
    maybe_in: BTreeSet<u32>,
    /// Values that stopped or dead pops may have taken.
    gone: BTreeSet<u32>,
    poppers: usize,
    came: BTreeSet<u32>,
}

impl<'a> Others<'a> {
    fn new(stack: Stack<'a, Item>) -> Self {
        Others {
            stack,
            next: 0,
            model: Vec::new(),
            maybe_in: BTreeSet::new(),
            gone: BTreeSet::new(),
            poppers: 0,
            came: BTreeSet::new(),
        }
    }

    fn push(&mut self) -> Outcome {
        self.next += 1;
        let outcome = run(self.stack, Act::Push(self.next));
        match outcome {
            Outcome::Pushed(value) => self.model.push(value),
            Outcome::Full => {
                let (most, capacity) =
                    (self.model.len() + self.maybe_in.len(), self.stack.capacity());
                assert!(most >= capacity, "full with {most} of {capacity}");
            }
            _ => {}
        }
        assert!(self.model.len() <= self.stack.capacity() + self.poppers, "more than fits");
        outcome
    }

    fn pop(&mut self) -> Outcome {
        let outcome = run(self.stack, Act::Pop);
        match outcome {
            Outcome::Popped(value) => {
                assert!(self.came.insert(value), "{value} came twice");
                if !self.maybe_in.remove(&value) {
                    // What lay above it and is of the certain ones was taken by a stopped pop.
                    while let Some(top) = self.model.pop() {
                        if top == value {
                            break;
                        }
                        self.gone.insert(top);
                    }
                    assert!(self.gone.len() <= self.poppers, "{:?} are gone", self.gone);
                }
            }
            Outcome::Empty => {
                assert!(
                    self.model.len() <= self.poppers - self.gone.len(),
                    "empty: {:?}",
                    self.model
                );
                self.gone.extend(self.model.drain(..));
            }
            _ => {}
        }
        outcome
    }

    fn drain(&mut self) {
        while self.pop() != Outcome::Empty {}
    }

    /// `held` elements, on slots that have been used before.
    fn prepare(&mut self, held: usize) {
        self.drain();
        for _ in 0..3 {
            while matches!(self.push(), Outcome::Pushed(_)) {}
            self.drain();
        }
        (0..held).for_each(|_| assert!(matches!(self.push(), Outcome::Pushed(_))));
    }

    fn churn(&mut self, operations: usize) {
        let mut seed = 1_u32;
        for round in 0..operations {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pushes = if round / 16 % 2 == 0 { 3 } else { 1 };
            let outcome = if (seed >> 16) % 4 < pushes { self.push() } else { self.pop() };
            assert_ne!(outcome, Outcome::Blocked, "held up");
            assert!(self.stack.len() <= self.stack.capacity());
        }
        self.fill();
        self.drain();
    }

    /// Exactly so many fit, whoever is stopped.
    fn fill(&mut self) {
        self.drain();
        (0..self.stack.capacity()).for_each(|n| {
            let outcome = self.push();
            assert!(matches!(outcome, Outcome::Pushed(_)), "{outcome:?} at {n}");
        });
        assert_eq!(self.push(), Outcome::Full);
    }

    fn stops(&mut self, act: Act) {
        match act {
            Act::Push(value) => assert!(self.maybe_in.insert(value)),
            Act::Pop => self.poppers += 1,
            Act::Peek => {}
        }
    }

    fn resumes(&mut self, act: Act, outcome: Outcome) {
        match (act, outcome) {
            (Act::Push(value), Outcome::Pushed(_)) => {
                // Somewhere in the stack, unless it has come out: both are known after the next drain.
                assert!(self.maybe_in.contains(&value) || self.came.contains(&value));
            }
            (Act::Push(value), Outcome::Full) => {
                assert!(self.maybe_in.remove(&value), "{value} came and was refused");
            }
            (Act::Pop, Outcome::Popped(value)) => {
                assert!(self.came.insert(value), "{value} came twice");
                self.poppers -= 1;
                let certain = self.model.iter().position(|n| *n == value);
                let known = self.gone.remove(&value)
                    || self.maybe_in.remove(&value)
                    || certain.map(|at| self.model.remove(at)).is_some();
                assert!(known, "{value} from nowhere");
            }
            (Act::Pop, Outcome::Empty) => self.poppers -= 1,
            (Act::Peek, _) => {}
            other => panic!("{other:?}: a resumed party was held up"),
        }
        assert!(self.gone.len() <= self.poppers, "{:?} are gone", self.gone);
    }
}

/// A stack in a region of its own.
fn with_stack(word: WordSize, capacity: usize, spares: u32, test: impl FnOnce(Stack<'_, Item>)) {
    let geometry = Geometry::new(word, 16).unwrap();
    let mut memory = Memory::filled(2048, 0xA5);
    let region = memory.region(FormatOptions::new().max_entries(4).geometry(geometry));
    test(Stack::create_with_spares(region, "stack", capacity, spares).unwrap());
}

fn shapes() -> impl Iterator<Item = (WordSize, usize, usize)> {
    [WordSize::Four, WordSize::Eight].into_iter().flat_map(|word| {
        [(1, 0), (1, 1), (2, 1), (4, 0), (4, 2), (4, 4)]
            .into_iter()
            .map(move |(capacity, held)| (word, capacity, held))
    })
}

fn acts(number: u64) -> [Act; 3] {
    [Act::Push(PARTY + number as u32), Act::Pop, Act::Peek]
}

#[test]
fn one_stopped_party_holds_up_nobody() {
    for (word, capacity, held) in shapes() {
        for which in 0..3 {
            // The same stack for all steps: what a resumed party does not give back would be missed.
            with_stack(word, capacity, 1, |stack| {
                let mut others = Others::new(stack);
                for step in 0.. {
                    others.prepare(held);
                    let act = acts(step)[which];
                    let stopped = thread::scope(|scope| {
                        let party = Party::start(scope, step, move || run(stack, act));
                        let stopped = party.is_stopped();
                        others.stops(act);
                        if stopped {
                            others.churn(1000);
                        }
                        let outcome = party.finish();
                        others.resumes(act, outcome);
                        if let (Act::Push(value), Outcome::Pushed(_)) = (act, outcome) {
                            others.drain();
                            assert!(others.came.contains(&value), "{value} is lost");
                        }
                        stopped
                    });
                    others.fill();
                    others.drain();
                    assert!(others.maybe_in.is_empty() && others.gone.is_empty());
                    if !stopped {
                        assert!(step >= 1, "an operation of {step} steps");
                        break;
                    }
                }
            });
        }
    }
}

/// Stopped again and again on its way: it starts again each time, and never needs a second slot.
#[test]
fn one_party_stopped_again_and_again_holds_up_nobody() {
    for (word, capacity, held) in shapes() {
        for which in 0..3 {
            for (first, gap) in (0..8).flat_map(|first| (1..9).map(move |gap| (first, gap))) {
                with_stack(word, capacity, 1, |stack| {
                    let mut others = Others::new(stack);
                    others.prepare(held);
                    let act = acts(0)[which];
                    thread::scope(|scope| {
                        let mut party = Party::start(scope, first, move || run(stack, act));
                        others.stops(act);
                        let mut step = first;
                        while party.is_stopped() && step < 64 {
                            others.churn(16);
                            step += gap;
                            party.go_to(step);
                        }
                        others.resumes(act, party.finish());
                    });
                    others.fill();
                });
            }
        }
    }
}

#[test]
fn two_stopped_parties_hold_up_nobody_with_two_spares() {
    for (word, capacity, held) in shapes() {
        for which in [[0, 0], [0, 1], [1, 1], [1, 2]] {
            with_stack(word, capacity, 2, |stack| {
                let mut others = Others::new(stack);
                for (first, second) in (0..10).flat_map(|first| (0..10).map(move |n| (first, n))) {
                    others.prepare(held);
                    let number = 2 * (64 * first + second);
                    let pair = [acts(number)[which[0]], acts(number + 1)[which[1]]];
                    thread::scope(|scope| {
                        let one = Party::start(scope, first, move || run(stack, pair[0]));
                        others.stops(pair[0]);
                        let mut two = Party::start(scope, second, move || run(stack, pair[1]));
                        others.stops(pair[1]);
                        others.churn(32);
                        two.go_to(second + 3);
                        others.churn(16);
                        others.resumes(pair[0], one.finish());
                        others.churn(8);
                        others.resumes(pair[1], two.finish());
                    });
                    others.fill();
                    others.drain();
                    assert!(others.maybe_in.is_empty() && others.gone.is_empty());
                }
            });
        }
    }
}

#[test]
fn a_killed_party_takes_one_value_at_most() {
    for (word, capacity, held) in shapes() {
        for spares in [1, 3] {
            for which in 0..3 {
                for step in 0.. {
                    let mut finished = false;
                    with_stack(word, capacity, spares, |stack| {
                        let mut others = Others::new(stack);
                        for victim in 0..u64::from(spares) {
                            others.prepare(held);
                            let act = acts(victim)[which];
                            others.stops(act);
                            if let Ok(outcome) = abandon_at(step, || run(stack, act)) {
                                others.resumes(act, outcome);
                                finished = true;
                            }
                            others.churn(200);
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

/// More dead parties than spares: operations end, with an answer, what fits no more is told, and nothing is doubled.
#[test]
fn beyond_the_spares_operations_say_blocked() {
    let mut blocked = 0;
    for (word, capacity, _) in shapes() {
        for step in 0..12 {
            with_stack(word, capacity, 1, |stack| {
                let mut others = Others::new(stack);
                for victim in 0..6 {
                    let act = acts(victim)[0];
                    others.stops(act);
                    match abandon_at(step, || run(stack, act)) {
                        Ok(Outcome::Blocked) | Err(_) => {}
                        Ok(outcome) => others.resumes(act, outcome),
                    }
                    for round in 0..20 {
                        let outcome = if round % 4 < 2 { others.push() } else { others.pop() };
                        blocked += u32::from(outcome == Outcome::Blocked);
                    }
                    others.drain();
                }
            });
        }
    }
    assert!(blocked > 0, "nobody was ever blocked: the test tests nothing");
}
