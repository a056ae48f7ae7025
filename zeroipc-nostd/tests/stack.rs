//! Stack against a `Vec`, across the wrap of its tags, from several threads, and what its creation and opening refuse.
#![cfg(not(loom))]

#[macro_use]
mod elements;
mod memory;
mod sleeper;

use elements::{Sample, TYPES};
use memory::{geometries, Memory};
use proptest::prelude::*;
use sleeper::Sleeper;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, Kind, PopError, PopTimeoutError, PushError,
    PushTimeoutError, Queue, Region, Stack, StructureError, WordSize,
};

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Pop(usize),
    Drain,
    /// Goes on with the handle of another party.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_usize..40).prop_map(Step::Push),
        8 => (1_usize..40).prop_map(Step::Pop),
        1 => Just(Step::Drain),
        1 => Just(Step::Reopen),
    ]
}

fn agrees<T: Sample>(
    geometry: Geometry,
    shift: usize,
    capacity: usize,
    spares: u32,
    steps: &[Step],
) {
    let mut memory = Memory::filled(24576, 0xA5).shifted(shift);
    let span = memory.span();
    let options = FormatOptions::new().max_entries(4).geometry(geometry);
    let region = Region::create(span, &options).unwrap();
    let start = region.view().next_offset();
    let mut stack = Stack::<T>::create_with_spares(region, "stack", capacity, spares).unwrap();
    let used = region.view().next_offset() - start;
    let footprint = Stack::<T>::footprint_with_spares(geometry, capacity, spares).unwrap();
    assert!(used <= footprint && footprint <= used + 128, "{used} of {footprint}");
    let guard = Array::<u8>::create(region, "guard", 8).unwrap();
    assert_eq!(stack.capacity(), capacity);
    let mut model = Vec::new();
    let mut next = 0;
    for step in steps {
        match *step {
            Step::Push(count) => {
                for _ in 0..count {
                    next += 1;
                    let value = T::nth(next);
                    if model.len() == capacity {
                        assert!(stack.try_push(value) == Err(PushError::Full(value)));
                    } else {
                        stack.try_push(value).unwrap();
                        model.push(value);
                    }
                }
            }
            Step::Pop(count) => {
                for _ in 0..count {
                    assert_eq!(stack.try_pop(), model.pop().ok_or(PopError::Empty));
                }
            }
            Step::Drain => assert!(stack.drain().eq(std::iter::from_fn(|| model.pop()))),
            Step::Reopen => {
                stack = Stack::open(Region::open(span).unwrap(), "stack").unwrap();
                assert_eq!(stack.capacity(), capacity);
            }
        }
        let len = model.len();
        assert_eq!(stack.peek(), model.last().copied());
        assert_eq!((stack.len(), stack.is_empty()), (len, len == 0));
        assert_eq!(stack.is_full(), len == capacity);
        let entry = region.view().find("stack").unwrap();
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(len as u64));
    }
    assert!(guard.iter().eq([0; 8]), "wrote beyond the stack");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stack_is_a_bounded_vec(
        which in 0..TYPES,
        geometry in prop::sample::select(geometries()),
        shift in prop::sample::select(vec![0_usize, 8, 24, 64]),
        capacity in 1_usize..=64,
        spares in 1_u32..=9,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        for_type!(which, agrees(geometry, shift, capacity, spares, &steps));
    }
}

fn region_in(memory: &mut Memory, word: WordSize) -> Region<'_> {
    let geometry = Geometry::new(word, 8).unwrap();
    memory.region(FormatOptions::new().max_entries(8).geometry(geometry))
}

/// The largest stack of 4-byte words has 20 bits of tag: they wrap every 2^20 pushes.
#[test]
fn tags_wrap() {
    const COUNT: u32 = 2_500_000;
    let mut memory = Memory::zeroed(64 * 1024);
    let region = region_in(&mut memory, WordSize::Four);
    let stack = Stack::<u32>::create_with_spares(region, "stack", 2048, 1024).unwrap();
    stack.try_push(7).unwrap();
    for n in 0..COUNT {
        stack.try_push(n).unwrap();
        assert_eq!(stack.try_pop(), Ok(n));
    }
    assert!(stack.drain().eq([7]));
    for n in 0..2048 {
        stack.try_push(n).unwrap();
    }
    assert!(stack.try_push(0) == Err(PushError::Full(0)));
    assert!(stack.drain().eq((0..2048).rev()));
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory, WordSize::Four);
    let stack = |capacity, spares| {
        Stack::<u32>::create_with_spares(region, "stack", capacity, spares).map(drop).unwrap_err()
    };
    assert!(matches!(stack(0, 1), StructureError::BadCapacity { capacity: 0, min: 1, max: 2048 }));
    assert!(matches!(stack(2049, 1), StructureError::BadCapacity { max: 2048, .. }));
    assert!(matches!(stack(usize::MAX, 1), StructureError::BadCapacity { .. }));
    assert!(matches!(stack(2048, 1), StructureError::NoSpace { .. }));
    assert!(matches!(stack(4, 0), StructureError::BadCapacity { .. }));
    assert!(matches!(stack(4, 1025), StructureError::BadCapacity { .. }));
    assert!(matches!(
        Stack::<[u8; 0]>::create(region, "stack", 4),
        Err(StructureError::ZeroSizedElement)
    ));
    assert!(matches!(Stack::<u32>::open(region, "stack"), Err(StructureError::NotFound { .. })));
    assert_eq!(Stack::<u32>::footprint(Geometry::SMALLEST, 0), None);
    assert_eq!(Stack::<u32>::footprint(Geometry::SMALLEST, 2049), None);
    assert_eq!(Stack::<[u8; 0]>::footprint(Geometry::SMALLEST, 1), None);

    assert_eq!(Stack::<u32>::create(region, "stack", 1).unwrap().capacity(), 1);
    assert!(matches!(stack(1, 1), StructureError::Exists { .. }));
    assert!(matches!(
        Stack::<u64>::open(region, "stack"),
        Err(StructureError::WrongElementSize { expected: 8, found: 4, .. })
    ));
    assert!(matches!(
        Queue::<u32>::open(region, "stack"),
        Err(StructureError::WrongKind { expected: Kind::QUEUE, found: Kind::STACK, .. })
    ));
}

#[test]
fn open_or_create() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory, WordSize::Eight);
    Stack::<u32>::open_or_create(region, "stack", 5).unwrap().try_push(7).unwrap();
    assert_eq!(Stack::<u32>::open_or_create(region, "stack", 5).unwrap().peek(), Some(7));
    for capacity in [0, 4, 6] {
        assert!(matches!(
            Stack::<u32>::open_or_create(region, "stack", capacity),
            Err(StructureError::WrongCapacity { found: 5, expected, .. }) if expected == capacity as u64
        ));
    }
    assert!(Stack::<u32>::open_or_create(region, "none", 0).is_err());
}

#[test]
fn needs_compare_and_exchange() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    let needs = |result: Result<Stack<'_, u32>, _>| {
        let kind = Kind::STACK;
        assert!(matches!(result, Err(StructureError::NeedsCas { kind: k }) if k == kind));
    };
    needs(Stack::create(region, "stack", 4));
    needs(Stack::open_or_create(region, "stack", 4));
    assert_eq!(region.view().next_offset(), region.view().heap_offset());
}

/// Four threads, each of which pushes and pops: each element once, intact, never more than fit.
#[test]
fn every_element_comes_once() {
    const EACH: u64 = 20_000;
    for word in [WordSize::Four, WordSize::Eight] {
        let mut memory = Memory::zeroed(4096);
        let region = region_in(&mut memory, word);
        let stack = Stack::<[u64; 2]>::create(region, "stack", 3).unwrap();
        let popped = thread::scope(|scope| {
            let threads = [0, 1, 2, 3].map(|id| {
                scope.spawn(move || {
                    let mut popped = Vec::new();
                    let mut next = 0;
                    while next < EACH {
                        let value = id << 32 | next;
                        match stack.try_push([value, !value]) {
                            Ok(()) => next += 1,
                            Err(PushError::Full(_)) => popped.extend(stack.try_pop()),
                            Err(error) => panic!("{error}"),
                        }
                        if let Some([value, inverse]) = stack.peek() {
                            assert_eq!(inverse, !value, "a torn look");
                        }
                        if next % 3 != 0 {
                            popped.extend(stack.try_pop());
                        }
                        assert!(stack.len() <= 3);
                        if next % 64 == 0 {
                            popped.extend(stack.drain());
                        }
                    }
                    popped
                })
            });
            threads.map(|thread| thread.join().unwrap())
        });
        let mut all: Vec<_> = popped.concat();
        all.extend(stack.drain());
        all.iter().for_each(|[value, inverse]| assert_eq!(*inverse, !value, "torn"));
        let mut all: Vec<_> = all.into_iter().map(|[value, _]| value).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq((0..4).flat_map(|id| (0..EACH).map(move |n| id << 32 | n))));
    }
}

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn waiting() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let stack = Stack::<u32>::create(region, "stack", 2).unwrap();
    assert!(stack.push(1) == Err(PushTimeoutError::NoWaiter(1)));
    assert!(stack.push_timeout(1, SHORT) == Err(PushTimeoutError::NoWaiter(1)));
    assert_eq!(stack.pop(), Err(PopTimeoutError::NoWaiter));
    assert_eq!(stack.pop_timeout(SHORT), Err(PopTimeoutError::NoWaiter));
    assert_eq!(stack.pop_with(&sleeper, Some(0)), Err(PopTimeoutError::Timeout));

    let stack = Stack::<u32>::open(region.with_notifier(&sleeper), "stack").unwrap();
    let start = Instant::now();
    assert_eq!(stack.pop_timeout(SHORT), Err(PopTimeoutError::Timeout));
    stack.push(1).unwrap();
    stack.push_timeout(2, SHORT).unwrap();
    assert!(stack.push_timeout(3, SHORT) == Err(PushTimeoutError::Timeout(3)));
    assert!(start.elapsed() >= 2 * SHORT, "early");
    thread::scope(|scope| {
        let pushing = scope.spawn(move || stack.push(3));
        sleeper.until_asleep(1);
        assert_eq!(stack.try_pop(), Ok(2));
        pushing.join().unwrap().unwrap();
        assert!(stack.drain().eq([3, 1]));
        let popping = scope.spawn(move || stack.pop());
        sleeper.until_asleep(1);
        stack.try_push(4).unwrap();
        assert_eq!(popping.join().unwrap(), Ok(4));
    });
    sleeper.wakes();
    for n in 0..100 {
        stack.push(n).unwrap();
        assert_eq!(stack.pop(), Ok(n));
    }
    assert!(sleeper.wakes().len() <= 4, "woken for nothing");
}

/// Many sleeps through a small stack, by a waiter that sleeps at once and never wakes by itself.
#[test]
fn no_wake_up_is_lost() {
    const COUNT: u32 = 2000;
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let stack = Stack::<u32>::create(region, "stack", 2).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || (0..COUNT).for_each(|n| stack.push(n).unwrap()));
        }
        let consumers = [(); 2].map(|()| {
            scope.spawn(move || (0..COUNT).map(|_| u64::from(stack.pop().unwrap())).sum::<u64>())
        });
        let sum: u64 = consumers.into_iter().map(|consumer| consumer.join().unwrap()).sum();
        assert_eq!(sum, u64::from(COUNT) * u64::from(COUNT - 1));
    });
}
