//! Models of the Stack. Values are two words that belong together, so a torn one shows.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release -p zeroipc-nostd --test loom_stack`. Preemptions are bounded as each
//! model says; the bound can be raised by `LOOM_MAX_PREEMPTIONS`.
#![cfg(loom)]

mod kernel;

use kernel::Kernel;
use loom::thread;
use std::sync::Arc;
use zeroipc_nostd::testing::{abandon_at, unexplored, Slab};
use zeroipc_nostd::{FormatOptions, Geometry, PopError, PushError, Region, Span, Stack, WordSize};

type Item = [u32; 2];

fn item(value: u32) -> Item {
    [value, !value]
}

fn value(item: Item) -> u32 {
    assert_eq!(item[1], !item[0], "a torn value");
    item[0]
}

fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder
}

/// A stack with the values 1 to `held` in it, `held` on top.
fn memory(word: WordSize, capacity: usize, spares: u32, held: u32) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(word, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    let stack = Stack::<Item>::create_with_spares(region, "s", capacity, spares).unwrap();
    (1..=held).for_each(|n| stack.try_push(item(n)).unwrap());
    slab
}

fn open(span: Span<'_>) -> Stack<'_, Item> {
    unexplored(|| Stack::open(Region::open(span).unwrap(), "s").unwrap())
}

fn party<R: 'static>(
    slab: &Arc<Slab>,
    body: impl FnOnce(Stack<'_, Item>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let slab = slab.clone();
    thread::spawn(move || body(open(slab.span())))
}

fn pop(stack: &Stack<'_, Item>) -> Option<u32> {
    match stack.try_pop() {
        Ok(item) => Some(value(item)),
        Err(PopError::Empty) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Whether there was room.
fn push(stack: &Stack<'_, Item>, value: u32) -> bool {
    match stack.try_push(item(value)) {
        Ok(()) => true,
        Err(PushError::Full(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

fn rest(slab: &Arc<Slab>) -> Vec<u32> {
    let stack = open(slab.span());
    let (len, top) = (stack.len(), stack.peek().map(value));
    let rest: Vec<u32> = stack.drain().map(value).collect();
    assert_eq!((len, top), (rest.len(), rest.first().copied()));
    rest
}

/// When nobody is inside, every slot is free again.
fn check_slots(slab: &Arc<Slab>, capacity: usize, spares: u32) {
    let stack = open(slab.span());
    for _ in 0..spares {
        // Leaves after it has taken a slot.
        assert!(abandon_at(4, || stack.try_push(item(99))).is_err());
    }
    for n in 0..capacity {
        stack.try_push(item(n as u32)).unwrap();
    }
    assert!(stack.try_push(item(9)) == Err(PushError::Full(item(9))));
}

fn two_push_one_pops(word: WordSize) {
    bounded(2).check(move || {
        let slab = memory(word, 2, 2, 0);
        let pushers = [1, 2].map(|n| party(&slab, move |stack| stack.try_push(item(n)).unwrap()));
        let popper = party(&slab, |stack| [pop(&stack), pop(&stack)]);
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        let mut got: Vec<u32> = popper.join().unwrap().into_iter().flatten().collect();
        got.extend(rest(&slab));
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        check_slots(&slab, 2, 2);
    });
}

#[test]
fn two_push_one_pops_with_8_byte_words() {
    two_push_one_pops(WordSize::Eight);
}

#[test]
fn two_push_one_pops_with_4_byte_words() {
    two_push_one_pops(WordSize::Four);
}

/// The classic: one pops while another takes two and puts one back, into the slot that was on top.
#[test]
fn the_same_slot_comes_back_on_top() {
    bounded(3).check(|| {
        let slab = memory(WordSize::Eight, 2, 1, 2);
        let one = party(&slab, |stack| pop(&stack));
        let other = party(&slab, |stack| {
            let popped = [pop(&stack), pop(&stack)];
            (popped, push(&stack, 3), push(&stack, 4))
        });
        let one = one.join().unwrap();
        let (popped, third, fourth) = other.join().unwrap();
        assert!(third && fourth, "one is inside, one slot is spare");
        let mut got: Vec<u32> = popped.into_iter().chain([one]).flatten().collect();
        got.extend(rest(&slab));
        got.sort_unstable();
        assert_eq!(got, [1, 2, 3, 4]);
        check_slots(&slab, 2, 1);
    });
}

/// Who looks sees a whole value that was on top, never one that was not.
#[test]
fn a_look_at_what_changes() {
    bounded(3).check(|| {
        let slab = memory(WordSize::Eight, 1, 1, 1);
        let looker = party(&slab, |stack| (stack.peek().map(value), stack.len()));
        let other = party(&slab, |stack| {
            assert_eq!(pop(&stack), Some(1));
            stack.try_push(item(2)).unwrap();
        });
        let (seen, len) = looker.join().unwrap();
        assert!(matches!(seen, None | Some(1 | 2)), "{seen:?}");
        assert!(len <= 1);
        other.join().unwrap();
        assert_eq!(rest(&slab), [2]);
    });
}

/// `Full` and `Empty` are the truth: with one place, what two parties are told must fit one order of their operations.
#[test]
fn full_and_empty_are_exact() {
    bounded(3).check(|| {
        let slab = memory(WordSize::Eight, 1, 2, 1);
        let one = party(&slab, |stack| (push(&stack, 2), pop(&stack)));
        let other = party(&slab, |stack| (pop(&stack), push(&stack, 3)));
        let one = one.join().unwrap();
        let other = other.join().unwrap();
        let rest = rest(&slab);
        #[allow(clippy::type_complexity)] // a table
        let allowed: &[((bool, Option<u32>), (Option<u32>, bool), &[u32])] = &[
            // In full before out, and so on: every order of push 2, pop (one) and pop, push 3 (other).
            ((false, Some(1)), (None, true), &[3]),
            ((false, None), (Some(1), true), &[3]),
            ((false, Some(3)), (Some(1), true), &[]),
            ((true, Some(2)), (Some(1), true), &[3]),
            ((true, Some(2)), (Some(1), false), &[]),
        ];
        assert!(allowed.contains(&(one, other, &rest)), "{one:?} {other:?} {rest:?}");
    });
}

/// One is stopped for ever before each of its accesses; another goes on, and finds a slot for all that fits.
fn stops_anywhere(held: u32, act: fn(&Stack<'_, Item>) -> Option<u32>) {
    for step in 0.. {
        let reached = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = reached.clone();
        bounded(2).check(move || {
            let slab = memory(WordSize::Eight, 2, 1, held);
            let stopped = party(&slab, move |stack| abandon_at(step, || act(&stack)));
            let other = party(&slab, |stack| {
                let popped = pop(&stack);
                stack.try_push(item(8)).unwrap();
                popped
            });
            let stopped = stopped.join().unwrap();
            let finished = stopped.is_ok();
            if !finished {
                seen.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            let mut got: Vec<u32> = other.join().unwrap().into_iter().collect();
            got.extend(stopped.ok().flatten());
            got.extend(rest(&slab));
            got.sort_unstable();
            let all: Vec<u32> = (1..=held).chain([8]).collect();
            let with: Vec<u32> = (1..=held).chain([7, 8]).collect();
            let whole = got == all || got == with;
            let lost = !finished
                && all.iter().any(|gone| {
                    got == all.iter().copied().filter(|n| n != gone).collect::<Vec<_>>()
                });
            assert!(whole || lost, "{got:?}");
            let stack = open(slab.span());
            (0..2).for_each(|n| stack.try_push(item(n)).unwrap());
            assert!(stack.try_push(item(9)) == Err(PushError::Full(item(9))));
        });
        if !reached.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(step > 4, "an operation has at least five accesses");
            break;
        }
    }
}

#[test]
fn a_push_that_stops_anywhere() {
    stops_anywhere(0, |stack| stack.try_push(item(7)).map(|()| None).unwrap());
}

#[test]
fn a_pop_that_stops_anywhere() {
    stops_anywhere(2, pop);
}

/// Sleeps until there is an element, or room.
#[test]
fn sleepers_are_woken() {
    bounded(3).check(|| {
        let slab = memory(WordSize::Four, 1, 2, 0);
        let kernel = Kernel::new();
        let with_kernel = |body: fn(Stack<'_, Item>)| {
            let (slab, kernel) = (slab.clone(), kernel.clone());
            thread::spawn(move || {
                let region = unexplored(|| Region::open(slab.span()).unwrap());
                let region = region.with_notifier(&*kernel);
                body(unexplored(|| Stack::open(region, "s").unwrap()));
            })
        };
        let pusher = with_kernel(|stack| (1..3).for_each(|n| stack.push(item(n)).unwrap()));
        let popper = with_kernel(|stack| {
            assert_eq!([1, 2].map(|_| value(stack.pop().unwrap())), [1, 2]);
        });
        pusher.join().unwrap();
        popper.join().unwrap();
    });
}
