//! Array against a `Vec`, and what its creation and opening refuse.
#![cfg(not(loom))]

#[macro_use]
mod elements;
mod memory;

use elements::{Sample, TYPES};
use memory::{geometries, Memory};
use proptest::prelude::*;
use std::thread;
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, IndexOutOfBounds, Kind, NameError, Queue, Region,
    StructureError,
};

#[derive(Debug, Clone)]
enum Step {
    Load(usize),
    Store(usize, u64),
    Compare,
    Reopen,
}

fn step(len: usize) -> impl Strategy<Value = Step> {
    // Beyond the end as well, near and far.
    let index = prop_oneof![8 => 0..len, 1 => len..2 * len, 1 => Just(usize::MAX)];
    prop_oneof![
        4 => index.clone().prop_map(Step::Load),
        8 => (index, any::<u64>()).prop_map(|(index, n)| Step::Store(index, n)),
        1 => Just(Step::Compare),
        1 => Just(Step::Reopen),
    ]
}

fn agrees<T: Sample>(geometry: Geometry, shift: usize, len: usize, steps: &[Step]) {
    let mut memory = Memory::filled(8192, 0xA5).shifted(shift);
    let span = memory.span();
    let options = FormatOptions::new().max_entries(4).geometry(geometry);
    let region = Region::create(span, &options).unwrap();
    let mut array = Array::<T>::create(region, "array", len).unwrap();
    let guard = Array::<u8>::create(region, "guard", 8).unwrap();
    let mut model = vec![T::new_zeroed(); len];
    assert_eq!((array.len(), array.is_empty()), (len, false));
    for step in steps {
        match *step {
            Step::Load(index) => {
                let error = IndexOutOfBounds { index, len };
                assert_eq!(array.load(index), model.get(index).copied().ok_or(error));
            }
            Step::Store(index, n) => match model.get_mut(index) {
                Some(place) => {
                    *place = T::nth(n);
                    array.store(index, *place).unwrap();
                }
                None => {
                    let error = IndexOutOfBounds { index, len };
                    assert_eq!(array.store(index, T::nth(n)), Err(error));
                }
            },
            Step::Compare => assert!(array.iter().eq(model.iter().copied())),
            Step::Reopen => {
                array = Array::open(Region::open(span).unwrap(), "array").unwrap();
                assert_eq!(array.len(), len);
            }
        }
    }
    assert!(array.iter().eq(model.iter().copied()));
    assert!(guard.iter().eq([0; 8]), "wrote beyond the array");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_array_is_a_vec(
        which in 0..TYPES,
        geometry in prop::sample::select(geometries()),
        shift in prop::sample::select(vec![0_usize, 8, 24, 64]),
        (len, steps) in (1_usize..=64).prop_flat_map(|len| {
            (Just(len), prop::collection::vec(step(len), 0..100))
        }),
    ) {
        for_type!(which, agrees(geometry, shift, len, &steps));
    }
}

fn region_in(memory: &mut Memory) -> Region<'_> {
    memory.region(FormatOptions::new().max_entries(8))
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    let array = |len| Array::<u32>::create(region, "array", len).map(drop).unwrap_err();

    assert!(matches!(array(0), StructureError::BadCapacity { capacity: 0, min: 1, .. }));
    assert!(matches!(array(usize::MAX), StructureError::BadCapacity { .. }));
    assert!(matches!(array(usize::MAX / 4 - 64), StructureError::NoSpace { .. }));
    assert!(matches!(array(2000), StructureError::NoSpace { needed: 8000.., available: 1..=4096 }));
    assert!(matches!(
        Array::<[u8; 0]>::create(region, "array", 1),
        Err(StructureError::ZeroSizedElement)
    ));
    assert!(matches!(
        Array::<[u8; (1 << 30) + 1]>::create(region, "array", 1),
        Err(StructureError::ElementTooLarge { size }) if size == (1 << 30) + 1
    ));
    assert!(matches!(
        Array::<u32>::create(region, "", 1),
        Err(StructureError::Name(NameError::Empty))
    ));
    assert!(matches!(
        Array::<u32>::open(region, "array"),
        Err(StructureError::NotFound { name }) if name.as_str() == "array"
    ));

    // None of these took anything away.
    Array::<u32>::create(region, "array", 16).unwrap();
    assert!(matches!(array(16), StructureError::Exists { .. }));
    assert!(matches!(
        Array::<u64>::open(region, "array"),
        Err(StructureError::WrongElementSize { expected: 8, found: 4, .. })
    ));
    assert!(matches!(
        Queue::<u32>::open(region, "array"),
        Err(StructureError::WrongKind { expected: Kind::QUEUE, found: Kind::ARRAY, .. })
    ));
    // Another type of the same size is the user's business.
    assert_eq!(Array::<f32>::open(region, "array").unwrap().len(), 16);
}

#[test]
fn open_or_create() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    let one = Array::<u32>::open_or_create(region, "array", 10).unwrap();
    one.store(9, 5).unwrap();
    let other = Array::<u32>::open_or_create(region, "array", 10).unwrap();
    assert_eq!(other.load(9), Ok(5));
    assert!(matches!(
        Array::<u32>::open_or_create(region, "array", 11),
        Err(StructureError::WrongCapacity { expected: 11, found: 10, .. })
    ));
    assert!(matches!(
        Array::<u8>::open_or_create(region, "array", 40),
        Err(StructureError::WrongElementSize { .. })
    ));
}

#[test]
fn works_by_loads_and_stores_alone() {
    let mut memory = Memory::filled(4096, 0xA5);
    let span = memory.span();
    let options = FormatOptions::new().capability(Capability::LoadStore);
    let region = Region::create(span, &options).unwrap();
    let array = Array::<u64>::create(region, "array", 8).unwrap();
    array.store(7, 1).unwrap();

    let second = Region::open(span).unwrap();
    assert_eq!(second.view().capability(), Capability::LoadStore);
    assert_eq!(Array::<u64>::open(second, "array").unwrap().load(7), Ok(1));
    assert!(matches!(Array::<u64>::create(second, "other", 8), Err(StructureError::NotCreator)));
    assert!(matches!(
        Array::<u64>::open_or_create(second, "other", 8),
        Err(StructureError::NotCreator)
    ));
    Array::<u64>::create(region, "other", 8).unwrap();
    Array::<u64>::open_or_create(second, "other", 8).unwrap();
}

/// An element of 1, 2, 4 or 8 bytes is never seen half-written.
#[test]
fn a_small_element_is_whole() {
    fn whole<T: Sample>() {
        let mut memory = Memory::zeroed(4096);
        let array = Array::<T>::create(region_in(&mut memory), "array", 3).unwrap();
        let values = [T::nth(1), T::nth(2)];
        array.store(1, values[0]).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || (0..20_000).for_each(|n| array.store(1, values[n % 2]).unwrap()));
            for _ in 0..20_000 {
                let seen = array.load(1).unwrap();
                assert!(values.contains(&seen), "{seen:?}");
            }
        });
        // The neighbours were not touched.
        assert_eq!((array.load(0), array.load(2)), (Ok(T::new_zeroed()), Ok(T::new_zeroed())));
    }
    whole::<u8>();
    whole::<u16>();
    whole::<u32>();
    whole::<u64>();
    whole::<[u8; 4]>();
    whole::<[u8; 8]>();
}
