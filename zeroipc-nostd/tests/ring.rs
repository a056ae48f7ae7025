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
use std::time::Duration;
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, IndexOutOfBounds, Kind, PopError, PopTimeoutError,
    PushError, PushTimeoutError, ReadGrant, Region, Ring, RoleTaken, Spin, StructureError,
    WordSize, WriteGrant,
};

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Pop(usize),
    PushSlice(usize),
    PushExact(usize),
    PopSlice(usize),
    PopExact(usize),
    /// Asks for so many slots, writes them by one of several ways, and commits so many.
    Grant(usize, usize, Way),
    ReadGrant(usize, usize, Way),
    Peek,
    Skip(usize),
    /// Gives both roles back and takes them again through another handle.
    Reopen,
    TakeOver,
}

/// How a grant's slots are used.
#[derive(Debug, Clone, Copy)]
enum Way {
    OneByOne,
    Slice,
    InPlace,
}

fn step() -> impl Strategy<Value = Step> {
    let way = prop::sample::select(vec![Way::OneByOne, Way::Slice, Way::InPlace]);
    let grant = (0_usize..70, 0_usize..80, way);
    prop_oneof![
        4 => (0_usize..70).prop_map(Step::PushSlice),
        2 => (0_usize..70).prop_map(Step::PushExact),
        4 => (0_usize..70).prop_map(Step::PopSlice),
        2 => (0_usize..70).prop_map(Step::PopExact),
        4 => grant.clone().prop_map(|(count, commit, way)| Step::Grant(count, commit, way)),
        4 => grant.prop_map(|(count, release, way)| Step::ReadGrant(count, release, way)),
        2 => Just(Step::Peek),
        2 => (0_usize..20).prop_map(Step::Skip),
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
            Step::PushSlice(count) => {
                let values = numbered::<T>(&mut next, count);
                let fits = count.min(capacity - model.len());
                match producer.try_push_slice(&values) {
                    Ok(pushed) => assert_eq!((pushed, fits == 0), (fits, count == 0)),
                    Err(error) => {
                        assert!(error == PushError::Full(&values) && fits == 0);
                    }
                }
                model.extend(&values[..fits]);
            }
            Step::PushExact(count) => {
                let values = numbered::<T>(&mut next, count);
                if count <= capacity - model.len() {
                    producer.try_push_exact(&values).unwrap();
                    model.extend(&values);
                } else {
                    assert!(producer.try_push_exact(&values) == Err(PushError::Full(&values)));
                }
            }
            Step::PopSlice(count) => {
                let mut values = vec![T::nth(0); count];
                let there = count.min(model.len());
                let popped = consumer.try_pop_slice(&mut values);
                let empty = there == 0 && count > 0;
                assert_eq!(popped, if empty { Err(PopError::Empty) } else { Ok(there) });
                assert!(values[..there].iter().copied().eq(model.drain(..there)));
                assert!(values[there..].iter().all(|value| *value == T::nth(0)));
            }
            Step::PopExact(count) => {
                let mut values = vec![T::nth(0); count];
                if count <= model.len() {
                    consumer.try_pop_exact(&mut values).unwrap();
                    assert!(values.iter().copied().eq(model.drain(..count)));
                } else {
                    assert_eq!(consumer.try_pop_exact(&mut values), Err(PopError::Empty));
                    assert!(values.iter().all(|value| *value == T::nth(0)));
                }
            }
            Step::Grant(count, commit, way) => {
                let fits = count.min(capacity - model.len());
                let values = numbered::<T>(&mut next, fits);
                match producer.try_grant(count) {
                    Ok(grant) => {
                        assert_eq!((grant.len(), grant.is_empty()), (fits, count == 0));
                        fill_grant(grant, &values, way, commit);
                        model.extend(&values[..commit.min(fits)]);
                    }
                    Err(error) => assert!(error == PushError::Full(()) && fits == 0 && count > 0),
                }
            }
            Step::ReadGrant(count, release, way) => {
                let there = count.min(model.len());
                match consumer.try_read_grant(count) {
                    Ok(grant) => {
                        let expected: Vec<T> = model.iter().copied().take(there).collect();
                        check_grant(&grant, &expected, way);
                        grant.release(release);
                        model.drain(..release.min(there));
                    }
                    Err(error) => assert!(error == PopError::Empty && there == 0 && count > 0),
                }
            }
            Step::Peek => {
                assert_eq!(consumer.peek(), model.front().copied().ok_or(PopError::Empty));
            }
            Step::Skip(count) => {
                let there = count.min(model.len());
                assert_eq!(consumer.skip(count), Ok(there));
                model.drain(..there);
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

fn numbered<T: Sample>(next: &mut u64, count: usize) -> Vec<T> {
    let first = *next + 1;
    *next += count as u64;
    (first..=*next).map(T::nth).collect()
}

fn fill_grant<T: Sample>(mut grant: WriteGrant<'_, '_, T>, values: &[T], way: Way, commit: usize) {
    let len = values.len();
    let beyond = IndexOutOfBounds { index: len, len };
    assert_eq!(grant.write(len, T::nth(0)), Err(beyond));
    assert_eq!(grant.write_from(len, &[T::nth(0)]), Err(beyond));
    match way {
        Way::OneByOne => {
            for (index, value) in values.iter().enumerate().rev() {
                grant.write(index, *value).unwrap();
            }
        }
        Way::Slice => {
            let (first, rest) = values.split_at(len / 3);
            grant.write_from(len / 3, rest).unwrap();
            grant.write_from(0, first).unwrap();
        }
        // SAFETY: the consumer is a correct one, and nobody else has the role.
        Way::InPlace => match unsafe { grant.as_mut_slices() } {
            Some((before, after)) => {
                assert_eq!(before.len() + after.len(), len);
                let (first, rest) = values.split_at(before.len());
                before.copy_from_slice(first);
                after.copy_from_slice(rest);
            }
            None => grant.write_from(0, values).unwrap(),
        },
    }
    if commit > 0 {
        grant.commit(commit);
    } else {
        drop(grant);
    }
}

fn check_grant<T: Sample>(grant: &ReadGrant<'_, '_, T>, expected: &[T], way: Way) {
    let len = expected.len();
    assert_eq!((grant.len(), grant.is_empty()), (len, len == 0));
    assert_eq!(grant.read(len), Err(IndexOutOfBounds { index: len, len }));
    match way {
        Way::OneByOne => {
            assert!((0..len).all(|index| grant.read(index) == Ok(expected[index])));
            assert!(grant.iter().eq(expected.iter().copied()));
        }
        Way::Slice => {
            let mut values = vec![T::nth(0); len - len / 3];
            grant.read_into(len / 3, &mut values).unwrap();
            assert_eq!(values, expected[len / 3..]);
            values.push(T::nth(0));
            let beyond = IndexOutOfBounds { index: len, len };
            assert_eq!(grant.read_into(len / 3, &mut values), Err(beyond));
        }
        Way::InPlace => {
            // SAFETY: the producer is a correct one, and nobody else has the role.
            if let Some((before, after)) = unsafe { grant.as_slices() } {
                assert_eq!([before, after].concat(), expected);
            }
        }
    }
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
    for n in 0..20 {
        assert_eq!(producer.try_push_slice(&[n, n + 1, n + 2]), Ok(3));
        let grant = consumer.try_read_grant(9).unwrap();
        assert!(grant.iter().eq([n, n + 1, n + 2]));
        grant.release(3);
    }
    drop(producer);
    ring.producer().unwrap();
}

/// The waiting forms give what is there at once, and time out when nothing comes; elements arrive meanwhile.
#[test]
fn waiting_for_many() {
    fn clock() -> u64 {
        use std::time::Instant;
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
    static SPIN: Spin = Spin::new(clock);
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    let (mute, soon) = (Ring::<u32>::create(region, "ring", 8).unwrap(), Duration::from_millis(5));
    {
        let (mut producer, mut consumer) = (mute.producer().unwrap(), mute.consumer().unwrap());
        assert!(producer.push_slice(&[1]) == Err(PushTimeoutError::NoWaiter(&[1])));
        assert_eq!(producer.grant(1).map(drop), Err(PushTimeoutError::NoWaiter(())));
        assert_eq!(consumer.pop_slice(&mut [0]), Err(PopTimeoutError::NoWaiter));
        assert_eq!(consumer.read_grant(1).map(drop), Err(PopTimeoutError::NoWaiter));
    }
    let ring = Ring::<u32>::open(region.with_notifier(&SPIN), "ring").unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());

    let start = clock();
    assert_eq!(consumer.pop_slice_timeout(&mut [0; 3], soon), Err(PopTimeoutError::Timeout));
    assert_eq!(consumer.read_grant_timeout(3, soon).map(drop), Err(PopTimeoutError::Timeout));
    assert!(clock() - start >= 10_000_000);
    assert_eq!(consumer.pop_slice(&mut []), Ok(0));
    assert_eq!(producer.push_slice(&[0; 9]), Ok(8));
    let start = clock();
    let late = producer.push_slice_timeout(&[7], soon);
    assert!(late == Err(PushTimeoutError::Timeout(&[7])));
    assert_eq!(producer.grant_timeout(1, soon).map(drop), Err(PushTimeoutError::Timeout(())));
    assert!(clock() - start >= 10_000_000);
    assert_eq!(consumer.skip(9), Ok(8));

    thread::scope(|scope| {
        scope.spawn(move || {
            let mut values: &[u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
            while !values.is_empty() {
                values = &values[producer.push_slice(values).unwrap()..];
            }
            for n in 13..21 {
                let grant = producer.grant(1).unwrap();
                grant.write(0, n).unwrap();
                grant.commit(1);
            }
        });
        let mut next = 1;
        while next < 21 {
            let mut values = [0; 3];
            let count = consumer.pop_slice(&mut values).unwrap();
            assert!(values[..count].iter().copied().eq(next..next + count as u32));
            next += count as u32;
            if next < 20 {
                let grant = consumer.read_grant(2).unwrap();
                assert_eq!(grant.read(0), Ok(next));
                grant.release(1);
                next += 1;
            }
        }
    });
}

/// A footprint is what a ring takes from the region at most, and not a line more than it takes.
#[test]
fn footprints() {
    for geometry in geometries() {
        for capacity in [1, 2, 3, 50] {
            let mut memory = Memory::zeroed(16384);
            let region = memory.region(FormatOptions::new().max_entries(4).geometry(geometry));
            let most = Ring::<[u8; 3]>::footprint(geometry, capacity).unwrap();
            for name in ["one", "other"] {
                let before = region.view().next_offset();
                Ring::<[u8; 3]>::create(region, name, capacity).unwrap();
                let took = region.view().next_offset() - before;
                let line = u64::from(geometry.line_bytes());
                assert!(took <= most && took + line > most, "{took} {most}");
            }
        }
    }
    assert_eq!(Ring::<u32>::footprint(Geometry::default(), 0), None);
    assert_eq!(Ring::<u32>::footprint(Geometry::default(), usize::MAX), None);
    assert_eq!(Ring::<u32>::footprint(Geometry::default(), usize::MAX / 2), None);
    assert_eq!(Ring::<[u8; 0]>::footprint(Geometry::default(), 1), None);
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
