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
    StructureError, UpdateError,
};

#[derive(Debug, Clone)]
enum Step {
    Load(usize),
    Store(usize, u64),
    Read(usize, usize),
    Write(usize, usize, u64),
    Fill(u64),
    Compare,
    Reopen,
}

fn step(len: usize) -> impl Strategy<Value = Step> {
    // Beyond the end as well, near and far.
    let index = prop_oneof![8 => 0..len, 1 => len..2 * len, 1 => Just(usize::MAX)];
    prop_oneof![
        4 => index.clone().prop_map(Step::Load),
        8 => (index.clone(), any::<u64>()).prop_map(|(index, n)| Step::Store(index, n)),
        4 => (index.clone(), 0..=len + 1).prop_map(|(start, count)| Step::Read(start, count)),
        4 => (index, 0..=len + 1, any::<u64>()).prop_map(|(start, count, n)| {
            Step::Write(start, count, n)
        }),
        1 => any::<u64>().prop_map(Step::Fill),
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
            Step::Read(start, count) => {
                let mut found = vec![T::nth(0); count];
                let read = array.read_into(start, &mut found);
                match model.get(start..start.saturating_add(count)) {
                    Some(part) => {
                        assert_eq!((read, found.as_slice()), (Ok(()), part));
                    }
                    None => {
                        let index = start.saturating_add(count.saturating_sub(1));
                        assert_eq!(read, Err(IndexOutOfBounds { index, len }));
                        assert_eq!(found, vec![T::nth(0); count]);
                    }
                }
            }
            Step::Write(start, count, n) => {
                let values: Vec<T> = (0..count as u64).map(|i| T::nth(n.wrapping_add(i))).collect();
                let written = array.write_from(start, &values);
                match model.get_mut(start..start.saturating_add(count)) {
                    Some(part) => {
                        part.copy_from_slice(&values);
                        assert_eq!(written, Ok(()));
                    }
                    None => {
                        let index = start.saturating_add(count.saturating_sub(1));
                        assert_eq!(written, Err(IndexOutOfBounds { index, len }));
                    }
                }
            }
            Step::Fill(n) => {
                array.fill(T::nth(n));
                model.fill(T::nth(n));
            }
            Step::Compare => {
                assert!(array.iter().eq(model.iter().copied()));
                assert!(array.iter().rev().eq(model.iter().rev().copied()));
                assert_eq!(array.iter().len(), len);
                // SAFETY: nobody else is there.
                if let Some(slice) = unsafe { array.as_slice() } {
                    assert_eq!(slice, model);
                }
            }
            Step::Reopen => {
                array = Array::open(Region::open(span).unwrap(), "array").unwrap();
                assert_eq!(array.len(), len);
            }
        }
    }
    assert!(array.iter().eq(model.iter().copied()));
    // SAFETY: nobody else is there.
    if let Some(slice) = unsafe { array.as_mut_slice() } {
        slice.reverse();
        model.reverse();
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

/// Each update of an integer gives what std's wrapping arithmetic gives.
macro_rules! updates_of_integers {
    ($($type:ident),+) => { proptest! {
#![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
$(
        #[test]
        fn $type(
            which in 0_usize..9,
            start: $type,
            value: $type,
            geometry in prop::sample::select(geometries()),
        ) {
            let mut memory = Memory::filled(4096, 0xA5);
            let region = memory.region(FormatOptions::new().max_entries(4).geometry(geometry));
            let array = Array::<$type>::create(region, "array", 3).unwrap();
            array.store(1, start).unwrap();
            let (found, now) = match which {
                0 => (array.fetch_add(1, value), start.wrapping_add(value)),
                1 => (array.fetch_sub(1, value), start.wrapping_sub(value)),
                2 => (array.fetch_and(1, value), start & value),
                3 => (array.fetch_or(1, value), start | value),
                4 => (array.fetch_xor(1, value), start ^ value),
                5 => (array.fetch_min(1, value), start.min(value)),
                6 => (array.fetch_max(1, value), start.max(value)),
                7 => (array.swap(1, value), value),
                _ => {
                    let missed = array.compare_exchange(1, !start, value).unwrap();
                    prop_assert_eq!(missed, Err(start));
                    (array.compare_exchange(1, start, value).map(|found| found.unwrap()), value)
                }
            };
            prop_assert_eq!(found, Ok(start));
            prop_assert!(array.iter().eq([0, now, 0]));
        }
    )+ } };
}

/// Numbers of all kinds, NaNs among them.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<f64>(),
        4 => -100_f64..100.0,
        1 => prop::sample::select(vec![f64::NAN, -f64::NAN, 0.0, -0.0, f64::INFINITY]),
    ]
}

macro_rules! updates_of_floats {
    ($($type:ident),+) => { proptest! {
#![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
$(
        #[test]
        fn $type(which in 0_usize..6, start in float(), value in float()) {
            let (start, value) = (start as $type, value as $type);
            let mut memory = Memory::filled(4096, 0xA5);
            let array = Array::<$type>::create(region_in(&mut memory), "array", 3).unwrap();
            array.store(1, start).unwrap();
            let (found, now) = match which {
                0 => (array.fetch_add(1, value), start + value),
                1 => (array.fetch_sub(1, value), start - value),
                2 => (array.fetch_min(1, value), start.min(value)),
                3 => (array.fetch_max(1, value), start.max(value)),
                4 => (array.swap(1, value), value),
                _ => {
                    let other = <$type>::from_bits(start.to_bits() ^ 1);
                    let missed = array.compare_exchange(1, other, value).unwrap();
                    prop_assert_eq!(missed.map_err(<$type>::to_bits), Err(start.to_bits()));
                    (array.compare_exchange(1, start, value).map(|found| found.unwrap()), value)
                }
            };
            prop_assert_eq!(found.map(<$type>::to_bits), Ok(start.to_bits()));
            let left = array.load(1).unwrap();
            prop_assert!(left == now || (left.is_nan() && now.is_nan()), "{left}, not {now}");
            prop_assert_eq!((array.load(0), array.load(2)), (Ok(0.0), Ok(0.0)));
        }
    )+ } };
}

mod updates {
    use super::*;

    updates_of_integers!(u8, i8, u16, i16, u32, i32, u64, i64);
    updates_of_floats!(f32, f64);
}

/// What a NaN, and a zero of another sign, does to the least and the greatest: stated, so exact.
#[test]
fn min_and_max_of_floats() {
    let mut memory = Memory::zeroed(4096);
    let array = Array::<f32>::create(region_in(&mut memory), "array", 1).unwrap();
    let left = |start: f32, value: f32| {
        array.store(0, start).unwrap();
        let least = array.fetch_min(0, value).map(|_| array.load(0).unwrap().to_bits()).unwrap();
        array.store(0, start).unwrap();
        array.fetch_max(0, value).unwrap();
        (f32::from_bits(least), array.load(0).unwrap())
    };
    assert_eq!(left(1.0, f32::NAN), (1.0, 1.0));
    assert_eq!(left(f32::NAN, 1.0), (1.0, 1.0));
    assert_eq!(left(f32::NEG_INFINITY, 1.0), (f32::NEG_INFINITY, 1.0));
    for (start, value) in [(0.0_f32, -0.0_f32), (-0.0, 0.0)] {
        let (least, greatest) = left(start, value);
        assert_eq!((least.to_bits(), greatest.to_bits()), (start.to_bits(), start.to_bits()));
    }
}

/// Where there is no compare-and-exchange, updates are refused and not emulated.
#[test]
fn updates_need_compare_and_exchange() {
    let mut memory = Memory::zeroed(4096);
    let options = FormatOptions::new().capability(Capability::LoadStore);
    let region = memory.region(options);
    let array = Array::<u32>::create(region, "array", 4).unwrap();
    array.store(0, 7).unwrap();
    assert_eq!(array.fetch_add(0, 1), Err(UpdateError::NeedsCas));
    assert_eq!(array.fetch_or(0, 1), Err(UpdateError::NeedsCas));
    assert_eq!(array.swap(9, 1), Err(UpdateError::NeedsCas));
    assert_eq!(array.compare_exchange(0, 7, 1), Err(UpdateError::NeedsCas));
    let floats = Array::<f64>::create(region, "floats", 4).unwrap();
    assert_eq!(floats.fetch_add(0, 1.0), Err(UpdateError::NeedsCas));
    assert_eq!(array.load(0), Ok(7));
    assert!(UpdateError::NeedsCas.to_string().contains("compare-and-exchange"));

    let mut memory = Memory::zeroed(4096);
    let array = Array::<u32>::create(region_in(&mut memory), "array", 4).unwrap();
    let error = IndexOutOfBounds { index: 4, len: 4 };
    assert_eq!(array.fetch_add(4, 1), Err(error.into()));
    assert_eq!(UpdateError::from(error).to_string(), error.to_string());
    assert_eq!(array.fetch_and(4, 1), Err(UpdateError::OutOfBounds(error)));
    assert_eq!(array.compare_exchange(4, 0, 1), Err(error.into()));
}

/// A footprint is what a structure takes from the region at most, and not a line more than it takes.
#[test]
fn footprints() {
    fn taken<T: Sample>(geometry: Geometry, len: usize) {
        let mut memory = Memory::zeroed(16384);
        let region = memory.region(FormatOptions::new().max_entries(4).geometry(geometry));
        let most = Array::<T>::footprint(geometry, len).unwrap();
        for name in ["one", "other"] {
            let before = region.view().next_offset();
            Array::<T>::create(region, name, len).unwrap();
            let took = region.view().next_offset() - before;
            assert!(
                took <= most && took + u64::from(geometry.line_bytes()) > most,
                "{took} {most}"
            );
        }
    }
    for geometry in geometries() {
        for len in [1, 2, 3, 50] {
            for which in 0..TYPES {
                for_type!(which, taken(geometry, len));
            }
        }
    }
    assert_eq!(Array::<u32>::footprint(Geometry::default(), 0), None);
    assert_eq!(Array::<u128>::footprint(Geometry::default(), usize::MAX), None);
    assert_eq!(Array::<[u8; 0]>::footprint(Geometry::default(), 1), None);
}

/// An element that needs more alignment than the format gives is not lent as a slice, unless it happens to be aligned.
#[test]
fn slices_are_aligned() {
    for shift in [0, 8] {
        let mut memory = Memory::zeroed(4096).shifted(shift);
        let region = region_in(&mut memory);
        let words = Array::<u64>::create(region, "words", 4).unwrap();
        // SAFETY: nobody else is there.
        let slice = unsafe { words.as_mut_slice() }.unwrap();
        slice.copy_from_slice(&[1, 2, 3, 4]);
        assert!(words.iter().eq([1, 2, 3, 4]));
        let wide = Array::<u128>::create(region, "wide", 4).unwrap();
        // SAFETY: nobody else is there.
        let slice = unsafe { wide.as_slice() };
        // On some 32-bit machines a `u128` needs no more than the format gives.
        let aligned = shift % align_of::<u128>() == 0;
        assert_eq!(slice.is_some(), aligned);
        // SAFETY: nobody else is there.
        assert_eq!(unsafe { wide.as_mut_slice() }.is_some(), aligned);
    }
}

/// Each element of a bulk copy is whole, though a peer stores single ones meanwhile.
#[test]
fn elements_of_a_bulk_copy_are_whole() {
    fn whole<T: Sample>() {
        let mut memory = Memory::zeroed(4096);
        let array = Array::<T>::create(region_in(&mut memory), "array", 33).unwrap();
        let values = [T::nth(1), T::nth(2)];
        array.fill(values[0]);
        thread::scope(|scope| {
            scope.spawn(move || {
                for n in 0..20_000 {
                    array.store(n % 33, values[n / 33 % 2]).unwrap();
                }
            });
            scope.spawn(move || {
                for n in 0..2_000 {
                    array.write_from(n % 8, &[values[n % 2]; 25]).unwrap();
                }
            });
            let mut seen = [values[0]; 31];
            for start in (0..3).cycle().take(3_000) {
                array.read_into(start, &mut seen).unwrap();
                assert!(seen.iter().all(|value| values.contains(value)), "{seen:?}");
            }
        });
    }
    whole::<u8>();
    whole::<u16>();
    whole::<u32>();
    whole::<u64>();
    whole::<[u8; 4]>();
}

/// No update is lost between threads.
#[test]
fn updates_by_several_threads() {
    const EACH: u32 = 5_000;
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    let bytes = Array::<u8>::create(region, "bytes", 4).unwrap();
    let words = Array::<i64>::create(region, "words", 4).unwrap();
    let floats = Array::<f64>::create(region, "floats", 4).unwrap();
    floats.store(1, f64::INFINITY).unwrap();
    thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || {
                for n in 0..EACH {
                    // Neighbours in one word.
                    bytes.fetch_add(thread, 1).unwrap();
                    bytes.fetch_sub(3, 1).unwrap();
                    words.fetch_add(0, -1).unwrap();
                    let n = i64::from(n) * 3 + thread as i64;
                    words.fetch_max(1, n).unwrap();
                    words.fetch_min(2, -n).unwrap();
                    floats.fetch_add(0, 0.5).unwrap();
                    floats.fetch_min(1, n as f64).unwrap();
                    floats.fetch_max(2, n as f64).unwrap();
                }
            });
        }
    });
    let each = EACH as u8;
    assert!(bytes.iter().eq([each, each, each, 0_u8.wrapping_sub(each.wrapping_mul(3))]));
    let last = i64::from(EACH) * 3 - 1;
    assert!(words.iter().eq([-3 * i64::from(EACH), last, -last, 0]));
    assert!(floats.iter().eq([1.5 * f64::from(EACH), 0.0, last as f64, 0.0]));
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    let array = |len| Array::<u32>::create(region, "array", len).map(drop).unwrap_err();

    assert!(matches!(array(0), StructureError::BadCapacity { capacity: 0, min: 1, .. }));
    assert!(matches!(array(usize::MAX), StructureError::BadCapacity { .. }));
    assert!(matches!(array(isize::MAX as usize / 4), StructureError::NoSpace { .. }));
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
