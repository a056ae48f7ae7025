//! Queue against a `VecDeque`, across the wrap of its sequence numbers, and what its creation and opening refuse.
#![cfg(not(loom))]

#[macro_use]
mod elements;
mod memory;

use elements::{Sample, TYPES};
use memory::{geometries, Memory};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::thread;
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, Kind, PopError, PushError, Queue, Region, Ring,
    StructureError, WordSize,
};

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Pop(usize),
    PushSlice(usize),
    PopSlice(usize),
    /// By a grant; half of them are given up.
    Grant(bool),
    TakeGrant,
    /// Goes on with the handle of another party.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_usize..40).prop_map(Step::Push),
        8 => (1_usize..40).prop_map(Step::Pop),
        2 => (0_usize..40).prop_map(Step::PushSlice),
        2 => (0_usize..40).prop_map(Step::PopSlice),
        2 => any::<bool>().prop_map(Step::Grant),
        2 => Just(Step::TakeGrant),
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
    let mut memory = Memory::filled(16384, 0xA5).shifted(shift);
    let span = memory.span();
    let options = FormatOptions::new().max_entries(4).geometry(geometry);
    let region = Region::create(span, &options).unwrap();
    let mut queue = Queue::<T>::create_with_spares(region, "queue", capacity, spares).unwrap();
    let guard = Array::<u8>::create(region, "guard", 8).unwrap();
    let capacity = capacity.max(2).next_power_of_two();
    assert_eq!(queue.capacity(), capacity);
    let mut model = VecDeque::new();
    let mut next = 0;
    for step in steps {
        match *step {
            Step::Push(count) => {
                for _ in 0..count {
                    next += 1;
                    let value = T::nth(next);
                    if model.len() == capacity {
                        assert!(queue.try_push(value) == Err(PushError::Full(value)));
                    } else {
                        queue.try_push(value).unwrap();
                        model.push_back(value);
                    }
                }
            }
            Step::Pop(count) => {
                for _ in 0..count {
                    assert_eq!(queue.try_pop(), model.pop_front().ok_or(PopError::Empty));
                }
            }
            Step::PushSlice(count) => {
                let values: Vec<T> = (1..=count as u64).map(|n| T::nth(next + n)).collect();
                next += count as u64;
                let room = count.min(capacity - model.len());
                match queue.try_push_slice(&values) {
                    Ok(pushed) => assert_eq!(pushed, room),
                    Err(PushError::Full(back)) => assert!(room == 0 && back == values),
                    Err(error) => panic!("{error}"),
                }
                model.extend(&values[..room]);
            }
            Step::PopSlice(count) => {
                let mut values = vec![T::nth(0); count];
                let there = count.min(model.len());
                match queue.try_pop_slice(&mut values) {
                    Ok(popped) => assert_eq!(popped, there),
                    Err(error) => assert!(there == 0 && error == PopError::Empty),
                }
                assert!(values[..there].iter().copied().eq(model.drain(..there)));
            }
            Step::Grant(commit) => {
                next += 1;
                let mut grant = queue.try_grant().unwrap();
                grant.write(T::nth(next));
                // SAFETY: nobody else is there.
                if let Some(value) = unsafe { grant.as_mut() } {
                    assert_eq!(*value, T::nth(next));
                    *value = T::nth(next);
                }
                if commit {
                    match grant.commit() {
                        Ok(()) => model.push_back(T::nth(next)),
                        Err(refused) => {
                            assert_eq!(refused.reason(), PushError::Full(()));
                            assert_eq!(model.len(), capacity);
                            drop(refused.into_grant());
                        }
                    }
                }
            }
            Step::TakeGrant => match queue.try_pop_grant() {
                Ok(grant) => {
                    let expected = model.pop_front();
                    // SAFETY: nobody else is there.
                    let in_place = unsafe { grant.as_ref() };
                    assert!(in_place.map_or(true, |value| Some(*value) == expected));
                    assert_eq!(Some(grant.read()), expected);
                }
                Err(error) => assert!(error == PopError::Empty && model.is_empty()),
            },
            Step::Reopen => {
                queue = Queue::open(Region::open(span).unwrap(), "queue").unwrap();
                assert_eq!(queue.capacity(), capacity);
            }
        }
        assert_eq!(queue.peek().ok(), model.front().copied());
        let len = model.len();
        assert_eq!((queue.len(), queue.is_empty()), (len, len == 0));
        assert_eq!(queue.is_full(), len == capacity);
        let entry = region.view().find("queue").unwrap();
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(len as u64));
    }
    assert!(guard.iter().eq([0; 8]), "wrote beyond the queue");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_is_a_bounded_deque(
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

/// Round and round, until the laps that an entry counts begin again.
#[test]
fn sequence_numbers_wrap() {
    const COUNT: u32 = 3_000_000;
    let mut memory = Memory::zeroed(16384);
    let region = region_in(&mut memory, WordSize::Four);
    // So many slots leave 20 bits of sequence number to four entries: 2^18 laps, 2^20 tickets.
    let queue = Queue::<u32>::create_with_spares(region, "queue", 4, 1020).unwrap();
    // Three are in it all the time, so full and empty are near.
    (0..3).for_each(|n| queue.try_push(n).unwrap());
    for n in 3..COUNT {
        queue.try_push(n).unwrap();
        if n % 65_537 == 0 {
            assert!(queue.try_push(0) == Err(PushError::Full(0)));
        }
        assert_eq!(queue.try_pop(), Ok(n - 3));
    }
    (0..3).for_each(|n| assert_eq!(queue.try_pop(), Ok(COUNT - 3 + n)));
    assert_eq!(queue.try_pop(), Err(PopError::Empty));
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory, WordSize::Four);
    let queue = |capacity, spares| {
        Queue::<u32>::create_with_spares(region, "queue", capacity, spares).map(drop).unwrap_err()
    };

    assert!(matches!(queue(0, 1), StructureError::BadCapacity { capacity: 0, min: 1, max: 32768 }));
    assert!(matches!(queue(32769, 1), StructureError::BadCapacity { max: 32768, .. }));
    assert!(matches!(queue(usize::MAX, 1), StructureError::BadCapacity { .. }));
    assert!(matches!(queue(32768, 1), StructureError::NoSpace { .. }));
    assert!(matches!(queue(4, 0), StructureError::BadCapacity { .. }));
    assert!(matches!(queue(4, 1025), StructureError::BadCapacity { .. }));
    assert!(matches!(queue(4, 1024), StructureError::NoSpace { .. }));
    assert!(matches!(
        Queue::<[u8; 0]>::create(region, "queue", 4),
        Err(StructureError::ZeroSizedElement)
    ));
    assert!(matches!(Queue::<u32>::open(region, "queue"), Err(StructureError::NotFound { .. })));

    assert_eq!(Queue::<u32>::create(region, "queue", 1).unwrap().capacity(), 2);
    assert!(matches!(queue(1, 1), StructureError::Exists { .. }));
    assert!(matches!(
        Queue::<u64>::open(region, "queue"),
        Err(StructureError::WrongElementSize { expected: 8, found: 4, .. })
    ));
    assert!(matches!(
        Ring::<u32>::open(region, "queue"),
        Err(StructureError::WrongKind { expected: Kind::RING, found: Kind::QUEUE, .. })
    ));
}

#[test]
fn the_largest_queue_of_small_words() {
    let mut memory = Memory::zeroed(64 * 1024);
    let region = region_in(&mut memory, WordSize::Four);
    let queue = Queue::<u64>::create_with_spares(region, "queue", 2048, 1024).unwrap();
    for round in 0..3 {
        (0..2048).for_each(|n| queue.try_push(round * 10_000 + n).unwrap());
        assert!(queue.try_push(0) == Err(PushError::Full(0)));
        (0..2048).for_each(|n| assert_eq!(queue.try_pop(), Ok(round * 10_000 + n)));
    }
}

#[test]
fn open_or_create() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory, WordSize::Eight);
    let one = Queue::<u32>::open_or_create(region, "queue", 5).unwrap();
    one.try_push(7).unwrap();
    for capacity in 5..=8 {
        assert_eq!(Queue::<u32>::open_or_create(region, "queue", capacity).unwrap().len(), 1);
    }
    for capacity in [1, 4, 9] {
        assert!(matches!(
            Queue::<u32>::open_or_create(region, "queue", capacity),
            Err(StructureError::WrongCapacity { found: 8, expected, .. }) if expected == capacity as u64
        ));
    }
    // Capacity 1 is 2.
    Queue::<u32>::open_or_create(region, "two", 1).unwrap();
    Queue::<u32>::open_or_create(region, "two", 2).unwrap();
}

/// Capacity 0 is refused, whether the queue is there or not.
#[test]
fn open_or_create_of_nothing() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory, WordSize::Eight);
    Queue::<u32>::create(region, "two", 2).unwrap();
    for name in ["two", "none"] {
        assert!(Queue::<u32>::open_or_create(region, name, 0).is_err(), "{name}");
    }
}

#[test]
fn needs_compare_and_exchange() {
    let mut memory = Memory::zeroed(4096);
    let span = memory.span();
    let options = FormatOptions::new().capability(Capability::LoadStore);
    let region = Region::create(span, &options).unwrap();
    let needs = |result: Result<Queue<'_, u32>, _>| {
        assert!(
            matches!(result, Err(StructureError::NeedsCas { kind: Kind::QUEUE })),
            "{result:?}"
        );
    };
    needs(Queue::create(region, "queue", 4));
    needs(Queue::create(Region::open(span).unwrap(), "queue", 4));
    needs(Queue::open_or_create(region, "queue", 4));
    // Nothing was taken by that.
    assert_eq!(region.view().next_offset(), region.view().heap_offset());
}

/// Two producers and two consumers: each element once, in the order of its producer.
#[test]
fn every_element_arrives_once_and_in_order() {
    const EACH: u64 = 20_000;
    for word in [WordSize::Four, WordSize::Eight] {
        let mut memory = Memory::zeroed(4096);
        let queue = Queue::<[u64; 2]>::create(region_in(&mut memory, word), "queue", 4).unwrap();
        let item = |id: u64, n: u64| [id << 32 | n, !(id << 32 | n)];
        let popped = thread::scope(|scope| {
            for id in 0..2 {
                scope.spawn(move || {
                    for n in 0..EACH {
                        while queue.try_push(item(id, n)).is_err() {
                            thread::yield_now();
                        }
                    }
                });
            }
            let consumers = [(); 2].map(|()| {
                scope.spawn(move || {
                    let mut popped = Vec::new();
                    while popped.len() < EACH as usize {
                        match queue.try_pop() {
                            Ok([value, inverse]) => {
                                assert_eq!(inverse, !value, "a torn element");
                                popped.push(value);
                            }
                            Err(_) => thread::yield_now(),
                        }
                    }
                    popped
                })
            });
            consumers.map(|consumer| consumer.join().unwrap())
        });
        for values in &popped {
            for id in 0..2 {
                let one: Vec<_> = values.iter().filter(|value| **value >> 32 == id).collect();
                assert!(one.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
        let mut all = popped.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq((0..2).flat_map(|id| (0..EACH).map(move |n| id << 32 | n))));
        assert_eq!(queue.try_pop(), Err(PopError::Empty));
    }
}
