//! What overlapping operations of a Queue return is linearizable: `Full`, `Empty`, peeks and grants included.

use stateright::semantics::SequentialSpec;
use std::collections::VecDeque;
use zeroipc_nostd::{FormatOptions, Geometry, PopError, PushError, Queue, Region, WordSize};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::history::check;
use zeroipc_tests::random::Random;

#[derive(Debug, Clone)]
struct Model {
    values: VecDeque<u32>,
    capacity: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Op {
    Push(u32),
    PushByGrant(u32),
    Pop,
    PopByGrant,
    Peek,
}

#[derive(Debug, Clone, PartialEq)]
enum Ret {
    Pushed,
    Full,
    Value(Option<u32>),
}

impl SequentialSpec for Model {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        match op {
            Op::Push(_) | Op::PushByGrant(_) if self.values.len() == self.capacity => Ret::Full,
            Op::Push(value) | Op::PushByGrant(value) => {
                self.values.push_back(*value);
                Ret::Pushed
            }
            Op::Pop | Op::PopByGrant => Ret::Value(self.values.pop_front()),
            Op::Peek => Ret::Value(self.values.front().copied()),
        }
    }

    /// `Full` counts pushes in progress, which the model does not know: a push that is going on at the same time may
    /// have the last place. So `Full` is right whenever the queue is full or that could be.
    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        if *ret == Ret::Full {
            return self.values.len() + THREADS > self.capacity;
        }
        self.invoke(op) == *ret
    }
}

const THREADS: usize = 3;

type Item = [u32; 2];

/// Two words that belong together: a torn value would show.
fn run(queue: &Queue<'_, Item>, op: &Op) -> Ret {
    let value = |result: Result<Item, PopError>| match result {
        Ok([value, inverse]) => {
            assert_eq!(inverse, !value, "torn");
            Ret::Value(Some(value))
        }
        Err(PopError::Empty) => Ret::Value(None),
        Err(error) => panic!("{error}"),
    };
    match op {
        Op::Push(value) => match queue.try_push([*value, !value]) {
            Ok(()) => Ret::Pushed,
            Err(PushError::Full(_)) => Ret::Full,
            Err(error) => panic!("{error}"),
        },
        Op::PushByGrant(value) => {
            let grant = queue.try_grant().unwrap();
            grant.write([*value, !value]);
            match grant.commit() {
                Ok(()) => Ret::Pushed,
                Err(refused) if refused.reason() == PushError::Full(()) => Ret::Full,
                Err(refused) => panic!("{}", refused.reason()),
            }
        }
        Op::Pop => value(queue.try_pop()),
        Op::PopByGrant => value(queue.try_pop_grant().map(|grant| grant.read())),
        Op::Peek => value(queue.peek()),
    }
}

fn histories(word: WordSize, capacity: usize, rounds: u64) {
    for round in 0..rounds {
        let memory = Guarded::new(4096);
        let options = FormatOptions::new().max_entries(2).geometry(Geometry::new(word, 8).unwrap());
        let region = Region::create(memory.span(), &options).unwrap();
        let queue = Queue::<Item>::create(region, "queue", capacity).unwrap();
        let mut random = Random::new(round + 1);
        let mut next = 0;
        let mut op = || {
            next += 1;
            match random.below(8) {
                0..3 => Op::Push(next),
                3 => Op::PushByGrant(next),
                4..6 => Op::Pop,
                6 => Op::PopByGrant,
                _ => Op::Peek,
            }
        };
        let programs = (0..THREADS).map(|_| (0..5).map(|_| op()).collect()).collect();
        let model = Model { values: VecDeque::new(), capacity };
        check(model, programs, |_, op| run(&queue, op));
        assert!(memory.is_intact());
    }
}

#[test]
fn a_queue_is_linearizable_with_8_byte_words() {
    histories(WordSize::Eight, 2, 1000);
    histories(WordSize::Eight, 16, 500);
}

#[test]
fn a_queue_is_linearizable_with_4_byte_words() {
    histories(WordSize::Four, 2, 1000);
    histories(WordSize::Four, 16, 500);
}
