//! What overlapping operations of a Stack return is linearizable, `Full`, `Empty`, peek and length included.

use stateright::semantics::SequentialSpec;
use zeroipc_nostd::{FormatOptions, Geometry, PopError, PushError, Region, Stack, WordSize};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::history::check;
use zeroipc_tests::random::Random;

#[derive(Debug, Clone)]
struct Model {
    values: Vec<u32>,
    capacity: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Op {
    Push(u32),
    Pop,
    Peek,
    Len,
}

#[derive(Debug, Clone, PartialEq)]
enum Ret {
    Pushed,
    Full,
    Value(Option<u32>),
    Len(usize),
}

impl SequentialSpec for Model {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        match op {
            Op::Push(_) if self.values.len() == self.capacity => Ret::Full,
            Op::Push(value) => {
                self.values.push(*value);
                Ret::Pushed
            }
            Op::Pop => Ret::Value(self.values.pop()),
            Op::Peek => Ret::Value(self.values.last().copied()),
            Op::Len => Ret::Len(self.values.len()),
        }
    }
}

/// Two words that belong together: a torn value would show.
fn run(stack: &Stack<'_, [u32; 2]>, op: &Op) -> Ret {
    let value = |[value, inverse]: [u32; 2]| {
        assert_eq!(inverse, !value, "torn");
        value
    };
    match op {
        Op::Push(value) => match stack.try_push([*value, !value]) {
            Ok(()) => Ret::Pushed,
            Err(PushError::Full(_)) => Ret::Full,
            Err(error) => panic!("{error}"),
        },
        Op::Pop => match stack.try_pop() {
            Ok(item) => Ret::Value(Some(value(item))),
            Err(PopError::Empty) => Ret::Value(None),
            Err(error) => panic!("{error}"),
        },
        Op::Peek => Ret::Value(stack.peek().map(value)),
        Op::Len => Ret::Len(stack.len()),
    }
}

fn histories(seed: u64, count: u32, capacity: usize) {
    let mut random = Random::new(seed);
    let word = random.pick(&[WordSize::Four, WordSize::Eight]);
    let memory = Guarded::new(4096);
    let options = FormatOptions::new().geometry(Geometry::new(word, 64).unwrap());
    let region = Region::create(memory.span(), &options).unwrap();
    let stack = Stack::<[u32; 2]>::create(region, "stack", capacity).unwrap();
    for round in 0..count {
        let held = random.below(capacity as u64 + 1) as u32;
        let values: Vec<u32> = (0..held).map(|n| round << 8 | 0xF0 | n).collect();
        values.iter().for_each(|value| assert_eq!(run(&stack, &Op::Push(*value)), Ret::Pushed));
        let programs = (0..3)
            .map(|thread| {
                (0..4)
                    .map(|n| match random.below(8) {
                        0..=2 => Op::Push(round << 8 | thread << 4 | n),
                        3..=5 => Op::Pop,
                        6 => Op::Peek,
                        _ => Op::Len,
                    })
                    .collect()
            })
            .collect();
        check(Model { values, capacity }, programs, |_, op| run(&stack, op));
        stack.drain().for_each(drop);
    }
}

#[test]
fn a_stack_of_one() {
    histories(1, 400, 1);
}

#[test]
fn a_small_stack() {
    histories(2, 400, 2);
    histories(3, 400, 3);
}
