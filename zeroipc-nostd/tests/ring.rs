//! Ring against a `VecDeque`, its roles, and what its creation and opening refuse.
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
    Array, Capability, FormatOptions, Geometry, Kind, PopError, PushError, Region, Ring, RoleTaken,
    StructureError, WordSize,
};

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Pop(usize),
    /// Gives both roles back and takes them again through another handle.
    Reopen,
    TakeOver,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_usize..40).prop_map(Step::Push),
        8 => (1_usize..40).prop_map(Step::Pop),
        1 => Just(Step::Reopen),
        1 => Just(Step::TakeOver),
    ]
}

fn agrees<T: Sample>(geometry: Geometry, shift: usize, capacity: usize, steps: &[Step]) {
    let mut memory = Memory::filled(8192, 0xA5).shifted(shift);
    let span = memory.span();
    let options = FormatOptions::new().max_entries(4).geometry(geometry);
    let region = Region::create(span, &options).unwrap();
    let mut ring = Ring::<T>::create(region, "ring", capacity).unwrap();
    let guard = Array::<u8>::create(region, "guard", 8).unwrap();
    let capacity = capacity.next_power_of_two();
    assert_eq!(ring.capacity(), capacity);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut model = VecDeque::new();
    let mut next = 0;
    for step in steps {
        match *step {
            Step::Push(count) => {
                for _ in 0..count {
                    next += 1;
                    let value = T::nth(next);
                    if model.len() == capacity {
                        assert!(producer.try_push(value) == Err(PushError::Full(value)));
                    } else {
                        producer.try_push(value).unwrap();
                        model.push_back(value);
                    }
                }
            }
            Step::Pop(count) => {
                for _ in 0..count {
                    assert_eq!(consumer.try_pop(), model.pop_front().ok_or(PopError::Empty));
                }
            }
            Step::Reopen => {
                drop((producer, consumer));
                ring = Ring::open(Region::open(span).unwrap(), "ring").unwrap();
                assert_eq!(ring.capacity(), capacity);
                (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
            }
            Step::TakeOver => {
                (producer, consumer) = (ring.take_over_producer(), ring.take_over_consumer());
                assert_eq!(ring.producer().map(drop), Err(RoleTaken));
                assert_eq!(ring.consumer().map(drop), Err(RoleTaken));
            }
        }
        let len = model.len();
        assert_eq!((ring.len(), ring.is_empty()), (len, len == 0));
        assert_eq!(ring.is_full(), len == capacity);
        let entry = region.view().find("ring").unwrap();
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(len as u64));
    }
    assert!(guard.iter().eq([0; 8]), "wrote beyond the ring");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_ring_is_a_bounded_deque(
        which in 0..TYPES,
        geometry in prop::sample::select(geometries()),
        shift in prop::sample::select(vec![0_usize, 8, 24, 64]),
        capacity in 1_usize..=64,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        for_type!(which, agrees(geometry, shift, capacity, &steps));
    }
}

fn region_in(memory: &mut Memory) -> Region<'_> {
    memory.region(FormatOptions::new().max_entries(8))
}

#[test]
fn each_role_is_held_once() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    let ring = Ring::<u32>::create(region, "ring", 4).unwrap();
    let other = Ring::<u32>::open(region, "ring").unwrap();

    let mut first = ring.producer().unwrap();
    first.try_push(1).unwrap();
    assert_eq!(other.producer().map(drop), Err(RoleTaken));
    assert_eq!(ring.producer().map(drop), Err(RoleTaken));
    // The roles do not depend on each other.
    let mut consumer = other.consumer().unwrap();
    assert_eq!(ring.consumer().map(drop), Err(RoleTaken));

    drop(first);
    let mut second = other.producer().unwrap();
    second.try_push(2).unwrap();
    assert_eq!((consumer.try_pop(), consumer.try_pop()), (Ok(1), Ok(2)));
    drop(consumer);
    drop(ring.consumer().unwrap());
}

#[test]
fn a_role_that_was_taken_over_is_not_released_by_its_old_holder() {
    let mut memory = Memory::zeroed(4096);
    let ring = Ring::<u32>::create(region_in(&mut memory), "ring", 4).unwrap();

    let mut old = ring.producer().unwrap();
    old.try_push(1).unwrap();
    let mut new = ring.take_over_producer();
    drop(old);
    assert_eq!(ring.producer().map(drop), Err(RoleTaken));
    new.try_push(2).unwrap();

    let mut old = ring.consumer().unwrap();
    assert_eq!(old.try_pop(), Ok(1));
    let mut new_consumer = ring.take_over_consumer();
    drop(old);
    assert_eq!(ring.consumer().map(drop), Err(RoleTaken));
    assert_eq!(new_consumer.try_pop(), Ok(2));

    // What the last holders leave is free.
    drop((new, new_consumer));
    drop(ring.producer().unwrap());
    drop(ring.consumer().unwrap());
    // A free role may be taken over too.
    let taken = ring.take_over_producer();
    assert_eq!(ring.producer().map(drop), Err(RoleTaken));
    drop(taken);
    ring.producer().unwrap();
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    let ring = |capacity| Ring::<u32>::create(region, "ring", capacity).map(drop).unwrap_err();

    assert!(matches!(ring(0), StructureError::BadCapacity { capacity: 0, min: 1, .. }));
    assert!(matches!(ring(usize::MAX), StructureError::BadCapacity { .. }));
    let StructureError::BadCapacity { max, .. } = ring(usize::MAX / 2) else { panic!() };
    assert!(max.is_power_of_two());
    assert!(matches!(ring(max as usize), StructureError::NoSpace { .. }));
    assert!(matches!(ring(max as usize + 1), StructureError::BadCapacity { .. }));
    assert!(matches!(
        Ring::<[u8; 0]>::create(region, "ring", 4),
        Err(StructureError::ZeroSizedElement)
    ));
    assert!(matches!(Ring::<u32>::open(region, "ring"), Err(StructureError::NotFound { .. })));

    assert_eq!(Ring::<u32>::create(region, "ring", 1).unwrap().capacity(), 1);
    assert!(matches!(ring(1), StructureError::Exists { .. }));
    assert!(matches!(
        Ring::<u16>::open(region, "ring"),
        Err(StructureError::WrongElementSize { expected: 2, found: 4, .. })
    ));
    assert!(matches!(
        Array::<u32>::open(region, "ring"),
        Err(StructureError::WrongKind { expected: Kind::ARRAY, found: Kind::RING, .. })
    ));
}

#[test]
fn open_or_create() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    let one = Ring::<u32>::open_or_create(region, "ring", 5).unwrap();
    one.producer().unwrap().try_push(7).unwrap();
    // Any capacity that rounds to the same.
    for capacity in 5..=8 {
        assert_eq!(Ring::<u32>::open_or_create(region, "ring", capacity).unwrap().len(), 1);
    }
    for capacity in [0, 4, 9] {
        assert!(matches!(
            Ring::<u32>::open_or_create(region, "ring", capacity),
            Err(StructureError::WrongCapacity { found: 8, expected, .. }) if expected == capacity as u64
        ));
    }
}

/// Capacity 0 is refused, whether the ring is there or not.
#[test]
fn open_or_create_of_nothing() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    Ring::<u32>::create(region, "one", 1).unwrap();
    for name in ["one", "none"] {
        assert!(Ring::<u32>::open_or_create(region, name, 0).is_err(), "{name}");
    }
}

#[test]
fn works_by_loads_and_stores_alone() {
    let mut memory = Memory::filled(4096, 0xA5);
    let span = memory.span();
    let options = FormatOptions::new().capability(Capability::LoadStore);
    let region = Region::create(span, &options).unwrap();
    let ring = Ring::<u32>::create(region, "ring", 4).unwrap();
    let other = Region::open(span).unwrap();
    assert!(matches!(Ring::<u32>::create(other, "late", 4), Err(StructureError::NotCreator)));

    let mut producer = ring.producer().unwrap();
    let mut consumer = Ring::<u32>::open(other, "ring").unwrap().consumer().unwrap();
    assert_eq!(ring.producer().map(drop), Err(RoleTaken));
    for n in 0..20 {
        producer.try_push(n).unwrap();
        assert_eq!(consumer.try_pop(), Ok(n));
    }
    drop(producer);
    ring.producer().unwrap();
}

/// From one thread to another, across the ring's end many times.
#[test]
fn every_element_arrives_once_and_in_order() {
    const COUNT: u64 = 50_000;
    for word in [WordSize::Four, WordSize::Eight] {
        let mut memory = Memory::zeroed(4096);
        let geometry = Geometry::new(word, 64).unwrap();
        let region = memory.region(FormatOptions::new().geometry(geometry));
        let ring = Ring::<elements::Pose>::create(region, "ring", 8).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        thread::scope(|scope| {
            scope.spawn(move || {
                for n in 0..COUNT {
                    while producer.try_push(Sample::nth(n)).is_err() {
                        thread::yield_now();
                    }
                }
            });
            for n in 0..COUNT {
                let popped = loop {
                    match consumer.try_pop() {
                        Ok(popped) => break popped,
                        Err(_) => thread::yield_now(),
                    }
                };
                assert_eq!(popped, Sample::nth(n));
            }
        });
        assert!(ring.is_empty());
    }
}
