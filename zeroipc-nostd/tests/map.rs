//! Map and Set against the standard library's, what their creation and opening refuse, and that churn leaves nothing behind.
#![cfg(not(loom))]

#[macro_use]
mod elements;
mod memory;

use elements::{Sample, TYPES};
use memory::{geometries, Memory};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::thread;
use zeroipc_nostd::{
    Array, Capability, Exchange, FormatOptions, Geometry, Kind, Map, MapError, MapOptions, Queue,
    Region, Set, StructureError, WordSize,
};

#[derive(Debug, Clone)]
enum Step {
    Insert(u64, u64),
    GetOrInsert(u64, u64),
    Exchange(u64, u64, u64),
    Update(u64, u64),
    Remove(u64),
    Look(u64),
    Clear,
    /// Goes on with the handle of another party.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0_u64..24;
    let value = || 0_u64..4;
    prop_oneof![
        8 => (key(), value()).prop_map(|(k, v)| Step::Insert(k, v)),
        2 => (key(), value()).prop_map(|(k, v)| Step::GetOrInsert(k, v)),
        4 => (key(), value(), value()).prop_map(|(k, v, w)| Step::Exchange(k, v, w)),
        2 => (key(), value()).prop_map(|(k, v)| Step::Update(k, v)),
        6 => key().prop_map(Step::Remove),
        4 => key().prop_map(Step::Look),
        1 => Just(Step::Clear),
        1 => Just(Step::Reopen),
    ]
}

/// A model with keys by their bytes.
type Model<K, V> = HashMap<Vec<u8>, (K, V)>;

fn map_agrees<K: Sample, V: Sample>(
    geometry: Geometry,
    fill: u8,
    capacity: usize,
    options: MapOptions,
    steps: &[Step],
) {
    let mut memory = Memory::filled(32768, fill);
    let span = memory.span();
    let format = FormatOptions::new().max_entries(4).geometry(geometry).zeroed(fill == 0);
    let region = Region::create(span, &format).unwrap();
    let mut map = Map::<K, V>::create_with(region, "map", capacity, &options).unwrap();
    let guard = Array::<u8>::create(region, "guard", 8).unwrap();
    let size = Map::<K, V>::footprint(geometry, capacity, &options);
    let entry = region.view().find("map").unwrap();
    assert_eq!(size, Some(entry.size));
    let capacity = capacity.next_power_of_two();
    assert_eq!(map.capacity(), capacity);
    let mut model: Model<K, V> = HashMap::new();
    for step in steps {
        let full = model.len() >= capacity;
        match *step {
            Step::Insert(k, v) => {
                let (key, value) = (K::nth(k), V::nth(v));
                let there = model.get(key.as_bytes()).map(|(_, value)| *value);
                if there.is_none() && full {
                    assert_eq!(map.insert(key, value), Err(MapError::Full));
                } else {
                    assert_eq!(map.insert(key, value), Ok(there));
                    model.insert(key.as_bytes().to_vec(), (key, value));
                }
            }
            Step::GetOrInsert(k, v) => {
                let (key, value) = (K::nth(k), V::nth(v));
                let there = model.get(key.as_bytes()).map(|(_, value)| *value);
                let mut called = false;
                let got = map.get_or_insert_with(key, || {
                    called = true;
                    value
                });
                assert_eq!(called, there.is_none());
                match there {
                    Some(value) => assert_eq!(got, Ok(value)),
                    None if full => assert_eq!(got, Err(MapError::Full)),
                    None => {
                        assert_eq!(got, Ok(value));
                        model.insert(key.as_bytes().to_vec(), (key, value));
                    }
                }
            }
            Step::Exchange(k, v, w) => {
                let (key, expected, new) = (K::nth(k), V::nth(v), V::nth(w));
                let outcome = match model.get_mut(key.as_bytes()) {
                    None => Exchange::Absent,
                    Some((_, value)) if value.as_bytes() == expected.as_bytes() => {
                        *value = new;
                        Exchange::Done
                    }
                    Some((_, value)) => Exchange::Differs(*value),
                };
                assert_eq!(map.compare_exchange(&key, expected, new), Ok(outcome));
            }
            Step::Update(k, v) => {
                let (key, new) = (K::nth(k), V::nth(v));
                let there = model.get_mut(key.as_bytes()).map(|(_, value)| {
                    let old = *value;
                    *value = new;
                    old
                });
                assert_eq!(
                    map.update(&key, |old| {
                        assert_eq!(Some(old), there);
                        new
                    }),
                    Ok(there)
                );
            }
            Step::Remove(k) => {
                let key = K::nth(k);
                let there = model.remove(key.as_bytes()).map(|(_, value)| value);
                assert_eq!(map.remove(&key), Ok(there));
            }
            Step::Look(k) => {
                let key = K::nth(k);
                let there = model.get(key.as_bytes()).map(|(_, value)| *value);
                assert_eq!(map.get(&key), Ok(there));
                assert_eq!(map.contains_key(&key), Ok(there.is_some()));
            }
            Step::Clear => {
                map.clear().unwrap();
                model.clear();
            }
            Step::Reopen => map = Map::open(Region::open(span).unwrap(), "map").unwrap(),
        }
        let len = model.len();
        assert_eq!((map.len(), map.is_empty()), (len, len == 0));
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(len as u64));
        assert_eq!(map.iter().count(), len);
        for item in map.iter() {
            let (key, value) = item.unwrap();
            assert_eq!(model.get(key.as_bytes()).map(|(_, value)| *value), Some(value));
        }
        assert_eq!((map.keys().count(), map.values().count()), (len, len));
    }
    assert!(guard.iter().eq([0; 8]), "wrote beyond the map");
}

fn set_agrees<K: Sample>(
    geometry: Geometry,
    fill: u8,
    capacity: usize,
    options: MapOptions,
    steps: &[Step],
) {
    let mut memory = Memory::filled(32768, fill);
    let span = memory.span();
    let format = FormatOptions::new().max_entries(4).geometry(geometry).zeroed(fill == 0);
    let region = Region::create(span, &format).unwrap();
    let mut set = Set::<K>::create_with(region, "set", capacity, &options).unwrap();
    let guard = Array::<u8>::create(region, "guard", 8).unwrap();
    let entry = region.view().find("set").unwrap();
    assert_eq!(Set::<K>::footprint(geometry, capacity, &options), Some(entry.size));
    let mut model = HashSet::new();
    for step in steps {
        match *step {
            Step::Insert(k, _) | Step::GetOrInsert(k, _) | Step::Update(k, _) => {
                let key = K::nth(k);
                let is_there = model.contains(key.as_bytes());
                if !is_there && model.len() >= set.capacity() {
                    assert_eq!(set.insert(key), Err(MapError::Full));
                } else {
                    assert_eq!(set.insert(key), Ok(!is_there));
                    model.insert(key.as_bytes().to_vec());
                }
            }
            Step::Remove(k) => {
                let key = K::nth(k);
                assert_eq!(set.remove(&key), Ok(model.remove(key.as_bytes())));
            }
            Step::Look(k) | Step::Exchange(k, ..) => {
                let key = K::nth(k);
                assert_eq!(set.contains(&key), Ok(model.contains(key.as_bytes())));
            }
            Step::Clear => {
                set.clear().unwrap();
                model.clear();
            }
            Step::Reopen => set = Set::open(Region::open(span).unwrap(), "set").unwrap(),
        }
        assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
        let keys: Vec<_> = set.iter().map(|key| key.unwrap().as_bytes().to_vec()).collect();
        assert_eq!(keys.len(), model.len());
        assert!(keys.iter().all(|key| model.contains(key)));
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(model.len() as u64));
    }
    assert!(guard.iter().eq([0; 8]), "wrote beyond the set");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(160) })]

    #[test]
    fn a_map_is_a_hash_map(
        which in 0..TYPES,
        geometry in prop::sample::select(geometries()),
        fill in prop::sample::select(vec![0_u8, 0xA5]),
        capacity in 1_usize..=40,
        spares in 1_u32..=9,
        seed in any::<u32>(),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let options = MapOptions::new().spares(spares).seed(seed);
        macro_rules! with_value {
            ($($key:ty => $value:ty),+) => {{
                let mut index = 0;
                $(
                    if which % 6 == index {
                        map_agrees::<$key, $value>(geometry, fill, capacity, options, &steps);
                    }
                    index += 1;
                )+
                let _ = index;
            }};
        }
        with_value!(u64 => u64, u32 => [u8; 3], [u8; 3] => u64, u8 => u128,
            elements::Frame => u16, u16 => elements::Pose);
    }

    #[test]
    fn a_set_is_a_hash_set(
        which in 0..TYPES,
        geometry in prop::sample::select(geometries()),
        fill in prop::sample::select(vec![0_u8, 0xA5]),
        capacity in 1_usize..=40,
        spares in 1_u32..=9,
        seed in any::<u32>(),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let options = MapOptions::new().spares(spares).seed(seed);
        for_type!(which, set_agrees(geometry, fill, capacity, options, &steps));
    }
}

fn region_in(memory: &mut Memory, word: WordSize) -> Region<'_> {
    let geometry = Geometry::new(word, 8).unwrap();
    memory.region(FormatOptions::new().max_entries(8).geometry(geometry))
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory, WordSize::Four);
    let map = |capacity, spares| {
        let options = MapOptions::new().spares(spares);
        Map::<u32, u16>::create_with(region, "map", capacity, &options).map(drop).unwrap_err()
    };
    assert!(matches!(map(0, 1), StructureError::BadCapacity { capacity: 0, min: 1, .. }));
    assert!(matches!(map(1 << 20, 1), StructureError::BadCapacity { .. }));
    assert!(matches!(map(usize::MAX, 1), StructureError::BadCapacity { .. }));
    assert!(matches!(map(4, 0), StructureError::BadCapacity { .. }));
    assert!(matches!(map(4, 1025), StructureError::BadCapacity { .. }));
    assert!(matches!(map(1024, 1), StructureError::NoSpace { .. }));
    assert!(matches!(
        Map::<[u8; 0], u32>::create(region, "map", 4),
        Err(StructureError::ZeroSizedElement)
    ));
    assert!(matches!(
        Map::<u32, [u8; 0]>::create(region, "map", 4),
        Err(StructureError::ZeroSizedElement)
    ));
    assert!(matches!(Map::<u32, u16>::open(region, "map"), Err(StructureError::NotFound { .. })));

    assert_eq!(Map::<u32, u16>::create(region, "map", 3).unwrap().capacity(), 4);
    assert!(matches!(map(1, 1), StructureError::Exists { .. }));
    assert!(matches!(
        Map::<u32, u32>::open(region, "map"),
        Err(StructureError::WrongElementSize { expected: 8, found: 6, .. })
    ));
    assert!(matches!(
        Map::<u16, u32>::open(region, "map"),
        Err(StructureError::WrongKeySize { expected: 2, found: 4, .. })
    ));
    assert!(matches!(
        Queue::<[u16; 3]>::open(region, "map"),
        Err(StructureError::WrongKind { expected: Kind::QUEUE, found: Kind::MAP, .. })
    ));
    assert!(matches!(
        Set::<[u16; 3]>::open(region, "map"),
        Err(StructureError::WrongKind { expected: Kind::SET, found: Kind::MAP, .. })
    ));
    assert!(matches!(
        Map::<u32, u16>::open_or_create(region, "map", 5),
        Err(StructureError::WrongCapacity { expected: 5, found: 4, .. })
    ));
    assert!(Map::<u32, u16>::open_or_create(region, "map", 0).is_err());
    Map::<u32, u16>::open_or_create(region, "map", 4).unwrap().insert(1, 2).unwrap();
    assert_eq!(Map::<u32, u16>::open(region, "map").unwrap().get(&1), Ok(Some(2)));
    Set::<u32>::open_or_create(region, "set", 4).unwrap();
    Set::<u32>::open_or_create(region, "set", 3).unwrap();
}

#[test]
fn needs_compare_and_exchange() {
    let mut memory = Memory::zeroed(4096);
    let options = FormatOptions::new().capability(Capability::LoadStore);
    let region = memory.region(options);
    assert!(matches!(
        Map::<u32, u32>::create(region, "map", 4),
        Err(StructureError::NeedsCas { kind: Kind::MAP })
    ));
    assert!(matches!(
        Set::<u32>::create(region, "set", 4),
        Err(StructureError::NeedsCas { kind: Kind::SET })
    ));
}

/// Keys are bytes.
#[test]
fn zero_and_minus_zero_are_two_keys() {
    let mut memory = Memory::zeroed(4096);
    let map = Map::<f32, u32>::create(region_in(&mut memory, WordSize::Four), "map", 4).unwrap();
    map.insert(0.0, 1).unwrap();
    map.insert(-0.0, 2).unwrap();
    map.insert(f32::NAN, 3).unwrap();
    assert_eq!((map.get(&0.0), map.get(&-0.0)), (Ok(Some(1)), Ok(Some(2))));
    assert_eq!(map.get(&f32::NAN), Ok(Some(3)));
}

/// The seed is the session number unless it was given.
#[test]
fn the_seed_is_stored() {
    let mut memory = Memory::zeroed(8192);
    let region = region_in(&mut memory, WordSize::Four);
    assert_eq!(Map::<u32, u32>::create(region, "map", 4).unwrap().seed(), region.session());
    let options = MapOptions::new().seed(0xABCD);
    Set::<u32>::create_with(region, "set", 4, &options).unwrap();
    assert_eq!(Set::<u32>::open(region, "set").unwrap().seed(), 0xABCD);
}

/// The lengths of the lists, by the layout in SPECIFICATION.md and not by the library's code.
fn chain_lengths(region: Region<'_>, name: &str, cell: u64, slots: u64, cells: u64) -> Vec<usize> {
    let view = region.view();
    let entry = view.find(name).unwrap();
    let capacity = view.inspect(&entry).unwrap().capacity;
    let read = |offset: u64| {
        let mut bytes = [0; 8];
        assert_eq!(view.read_bytes(entry.offset + offset, &mut bytes), 8);
        u64::from_le_bytes(bytes)
    };
    let bits = u64::BITS - slots.leading_zeros();
    let number = |word: u64| word >> 9 & ((1 << bits) - 1);
    let lengths = (0..capacity).map(|bucket| {
        let mut word = read(cells + cell * bucket);
        let mut length = 0;
        while number(word) != 0 {
            word = read(cells + cell * (number(word) - 1) + 8);
            assert_eq!(word >> 8 & 1, 0, "a removed key is still linked");
            length += 1;
            assert!(length <= slots, "a cycle");
        }
        length as usize
    });
    lengths.collect()
}

/// Hundreds of thousands of distinct keys come and go at half load: no list grows, and nothing is left behind.
#[test]
fn churn_leaves_nothing_behind() {
    const CAPACITY: u64 = 256;
    let mut memory = Memory::zeroed(32768);
    let region = region_in(&mut memory, WordSize::Eight);
    let options = MapOptions::new().spares(2).seed(1);
    let map = Map::<u64, u64>::create_with(region, "map", CAPACITY as usize, &options).unwrap();
    let slots = CAPACITY + CAPACITY / 8 + 6;
    let cells = 40 + 4 * slots.div_ceil(32).next_multiple_of(2);
    assert_eq!(region.view().find("map").unwrap().size, cells + 32 * slots);
    let half = CAPACITY / 2;
    for n in 0..300_000 {
        assert_eq!(map.insert(n, !n), Ok(None));
        if n >= half {
            assert_eq!(map.remove(&(n - half)), Ok(Some(!(n - half))));
        }
        if n % 20_000 == 0 {
            let lengths = chain_lengths(region, "map", 32, slots, cells);
            assert_eq!(lengths.iter().sum::<usize>(), map.len());
            // Half a key a bucket: eight in one of 256 would be once in a million looks.
            assert!(lengths.iter().all(|length| *length < 9), "{lengths:?}");
        }
    }
    map.clear().unwrap();
    assert!(chain_lengths(region, "map", 32, slots, cells).iter().all(|length| *length == 0));
    assert!(map.is_empty());
}

/// Tags of the largest map with small words have 12 bits: they wrap a hundred times.
#[test]
fn tags_wrap() {
    const CAPACITY: usize = 1 << 18;
    let mut memory = Memory::zeroed(5 << 20);
    let region = memory.region(FormatOptions::new().geometry(Geometry::SMALLEST).zeroed(true));
    let map = Map::<u16, u32>::create(region, "map", CAPACITY).unwrap();
    map.insert(0, 0).unwrap();
    for n in 1..400_000 {
        assert_eq!(map.insert(0, n), Ok(Some(n - 1)));
    }
    assert_eq!((map.remove(&0), map.len()), (Ok(Some(399_999)), 0));
    let footprint =
        |capacity| Map::<u32, u32>::footprint(Geometry::SMALLEST, capacity, &MapOptions::new());
    assert!(footprint(CAPACITY).is_some() && footprint(CAPACITY + 1).is_none());
}

/// A full map goes on replacing, and each removal makes room for one key.
#[test]
fn full_is_exact() {
    for word in [WordSize::Four, WordSize::Eight] {
        let mut memory = Memory::zeroed(16384);
        let map = Map::<u32, u32>::create(region_in(&mut memory, word), "map", 64).unwrap();
        (0..64).for_each(|key| assert_eq!(map.insert(key, key), Ok(None)));
        for key in 64..1000 {
            assert_eq!(map.insert(key, key), Err(MapError::Full));
            assert_eq!(map.get_or_insert(key, key), Err(MapError::Full));
            assert_eq!(map.insert(key - 1, 7), Ok(Some(key - 1)));
            assert!(map.remove(&(key - 64)).unwrap().is_some());
            assert_eq!(map.insert(key, key), Ok(None));
        }
        assert_eq!((map.len(), map.iter().count()), (64, 64));
    }
}

/// Writers of few keys, and readers: a value that is replaced is never absent, never torn; updates are not lost; keys of
/// which one thread alone inserts and removes are there when it says so.
#[test]
fn threads() {
    const EACH: u32 = 8_000;
    for word in [WordSize::Four, WordSize::Eight] {
        for capacity in [1, 4, 64] {
            let mut memory = Memory::zeroed(16384);
            let region = region_in(&mut memory, word);
            let map = Map::<u32, [u64; 2]>::create(region, "map", capacity.max(2)).unwrap();
            map.insert(0, [0, !0]).unwrap();
            thread::scope(|scope| {
                for id in 1..3 {
                    scope.spawn(move || {
                        let own = id * 1000;
                        let mut full = 0;
                        for n in 0..EACH {
                            let updated = map.update(&0, |[n, not]| {
                                assert_eq!(not, !n, "torn");
                                [n + 1, !(n + 1)]
                            });
                            assert!(updated.unwrap().is_some(), "absent while it is replaced");
                            let value = [u64::from(n), !u64::from(n)];
                            match map.insert(own + n % 8, value) {
                                Ok(old) => {
                                    assert_eq!(old, None);
                                    assert_eq!(map.get(&(own + n % 8)), Ok(Some(value)));
                                    assert_eq!(map.remove(&(own + n % 8)), Ok(Some(value)));
                                }
                                Err(error) => {
                                    assert_eq!(error, MapError::Full);
                                    full += 1;
                                }
                            }
                            assert_eq!(map.contains_key(&(own + n % 8)), Ok(false));
                        }
                        assert!(full == 0 || capacity <= 2, "three keys never fill {capacity}");
                    });
                }
                scope.spawn(move || {
                    let mut last = 0;
                    for _ in 0..EACH {
                        let [n, not] = map.get(&0).unwrap().expect("absent while it is replaced");
                        assert_eq!(not, !n, "torn");
                        assert!(n >= last, "an old value came back");
                        last = n;
                        let zeros = map.keys().filter(|key| *key == Ok(0)).count();
                        assert_eq!(zeros, 1, "a key that is there comes once");
                    }
                });
            });
            let sum = u64::from(2 * EACH);
            assert_eq!(map.get(&0), Ok(Some([sum, !sum])));
            assert_eq!((map.len(), map.iter().count()), (1, 1));
        }
    }
}
