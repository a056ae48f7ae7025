//! Books on a queue: what was pushed and popped, by parties that may be stopped or dead, and what that allows.

#![allow(unreachable_pub)]

use std::collections::BTreeSet;
use zerocopy::{FromBytes, Immutable, IntoBytes};
use zeroipc_nostd::{PopError, PushError, Queue};

/// Three words that belong together: a slot with two writers would show.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Item([u32; 3]);

impl Item {
    pub fn new(value: u32) -> Self {
        Item([value, !value, value.wrapping_mul(0x9E37_79B1)])
    }

    pub fn value(self) -> u32 {
        let value = self.0[0];
        assert_eq!(self.0, Item::new(value).0, "a torn value");
        value
    }
}

/// Values of a stopped party, apart from those of the others.
pub const PARTY: u32 = 1 << 30;

/// What a stopped party does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    Push(u32),
    Pop,
    /// A push by a grant.
    Grant(u32),
    /// A pop by a grant.
    Take,
    /// A look at the oldest value.
    Peek,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    Pushed(u32),
    Popped(u32),
    Nothing,
    Blocked,
}

impl Act {
    /// The same act of another party: its value is its own.
    pub fn numbered(self, number: u64) -> Self {
        match self {
            Act::Push(value) => Act::Push(value + 1 + number as u32),
            Act::Grant(value) => Act::Grant(value + 1 + number as u32),
            other => other,
        }
    }

    pub fn run(self, queue: Queue<'_, Item>) -> Outcome {
        let popped = |result: Result<Item, PopError>| match result {
            Ok(item) => Outcome::Popped(item.value()),
            Err(PopError::Empty) => Outcome::Nothing,
            Err(PopError::Blocked) => Outcome::Blocked,
            Err(PopError::Corrupt) => panic!("corrupt"),
        };
        match self {
            Act::Push(value) => match queue.try_push(Item::new(value)) {
                Ok(()) => Outcome::Pushed(value),
                Err(PushError::Full(item)) => {
                    assert_eq!(item.value(), value);
                    Outcome::Nothing
                }
                Err(PushError::Blocked(_)) => Outcome::Blocked,
                Err(PushError::Corrupt(_)) => panic!("corrupt"),
            },
            Act::Grant(value) => {
                let Ok(grant) = queue.try_grant() else { return Outcome::Blocked };
                grant.write(Item::new(value));
                match grant.commit() {
                    Ok(()) => Outcome::Pushed(value),
                    Err(refused) => {
                        assert!(matches!(refused.reason(), PushError::Full(())));
                        Outcome::Nothing
                    }
                }
            }
            Act::Pop => popped(queue.try_pop()),
            Act::Take => popped(queue.try_pop_grant().map(|grant| grant.read())),
            Act::Peek => match popped(queue.peek()) {
                Outcome::Popped(_) => Outcome::Nothing,
                other => other,
            },
        }
    }
}

/// The others: one thread that pushes rising numbers and keeps books on all parties.
pub struct Others<'a> {
    queue: Queue<'a, Item>,
    next: u32,
    pushed: BTreeSet<u32>,
    popped: BTreeSet<u32>,
    /// The last of its own numbers that this thread popped itself.
    last: u32,
    /// Values known to be pushed that nobody has told of popping.
    outstanding: usize,
    /// Parties that are stopped, or dead, inside a push or a pop.
    pushers: usize,
    poppers: usize,
    /// Pops that never returned: each may have had a value.
    lost: usize,
    /// Values of pushes that never returned: each may be there or not.
    uncertain: BTreeSet<u32>,
    seed: u32,
}

impl<'a> Others<'a> {
    pub fn new(queue: Queue<'a, Item>) -> Self {
        Others {
            queue,
            next: 0,
            pushed: BTreeSet::new(),
            popped: BTreeSet::new(),
            last: 0,
            outstanding: 0,
            pushers: 0,
            poppers: 0,
            lost: 0,
            uncertain: BTreeSet::new(),
            seed: 1,
        }
    }

    fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Pushed(value) => {
                assert!(self.pushed.insert(value));
                // A stopped push may have been popped before it could tell.
                self.outstanding += usize::from(!self.popped.contains(&value));
            }
            Outcome::Popped(value) => {
                assert!(self.popped.insert(value), "{value} came twice");
                self.outstanding -= usize::from(self.pushed.contains(&value));
            }
            Outcome::Nothing | Outcome::Blocked => {}
        }
    }

    pub fn push(&mut self) -> Outcome {
        self.next += 1;
        let outcome = Act::Push(self.next).run(self.queue);
        self.note(outcome);
        if outcome == Outcome::Nothing {
            let (out, capacity) = (self.outstanding, self.queue.capacity());
            assert!(out + self.pushers >= capacity, "full with {out} of {capacity}");
        }
        assert!(self.outstanding <= self.queue.capacity() + self.poppers, "more than fits");
        outcome
    }

    pub fn pop(&mut self) -> Outcome {
        let outcome = Act::Pop.run(self.queue);
        self.note(outcome);
        match outcome {
            Outcome::Popped(value) if value < PARTY => {
                assert!(value > self.last, "{value} after {}", self.last);
                self.last = value;
            }
            Outcome::Nothing => {
                assert!(self.outstanding <= self.poppers, "empty with {} there", self.outstanding);
                assert!(self.queue.is_empty());
            }
            _ => {}
        }
        outcome
    }

    /// Pushes `held` elements into the empty queue, some turns after the last time it was empty.
    pub fn prepare(&mut self, held: usize) {
        self.drain();
        for _ in 0..=self.queue.capacity() {
            assert!(matches!(self.push(), Outcome::Pushed(_)));
            assert!(matches!(self.pop(), Outcome::Popped(_)));
        }
        for _ in 0..held {
            assert!(matches!(self.push(), Outcome::Pushed(_)));
        }
    }

    /// At least so many pushes and pops that nobody may hold up, through full and empty.
    pub fn churn(&mut self, operations: usize) {
        for round in 0..operations {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Mostly towards full for a while, then towards empty.
            let pushes = if round / 16 % 2 == 0 { 3 } else { 1 };
            let push = (self.seed >> 16) % 4 < pushes;
            let outcome = if push { self.push() } else { self.pop() };
            assert_ne!(outcome, Outcome::Blocked, "held up");
        }
        self.fill();
        self.drain();
    }

    pub fn fill(&mut self) {
        while self.push() != Outcome::Nothing {
            assert!(self.outstanding <= self.queue.capacity() + self.poppers);
        }
    }

    pub fn drain(&mut self) {
        loop {
            match self.pop() {
                Outcome::Popped(_) => {}
                Outcome::Nothing => break,
                other => panic!("{other:?} while draining"),
            }
        }
    }

    /// A party has stopped inside.
    pub fn stops(&mut self, act: Act) {
        match act {
            Act::Push(value) | Act::Grant(value) => {
                self.pushers += 1;
                self.uncertain.insert(value);
            }
            Act::Pop | Act::Take => self.poppers += 1,
            Act::Peek => {}
        }
    }

    /// A stopped party has gone on and told what came of it.
    pub fn resumes(&mut self, act: Act, outcome: Outcome) {
        assert_ne!(outcome, Outcome::Blocked, "a resumed party was held up");
        self.note(outcome);
        match act {
            Act::Push(value) | Act::Grant(value) => {
                self.pushers -= 1;
                self.uncertain.remove(&value);
            }
            Act::Pop | Act::Take => self.poppers -= 1,
            Act::Peek => {}
        }
    }

    /// A stopped party will never go on.
    pub fn dies(&mut self, act: Act) {
        self.lost += usize::from(matches!(act, Act::Pop | Act::Take));
    }

    /// Each value exactly once; of dead parties at most the one that they had.
    pub fn audit(&mut self) {
        self.drain();
        for value in self.popped.difference(&self.pushed) {
            assert!(self.uncertain.contains(value), "{value} was never pushed");
        }
        let missing = self.pushed.difference(&self.popped).count();
        assert!(missing <= self.lost, "{missing} values are gone, {} pops died", self.lost);
    }
}
