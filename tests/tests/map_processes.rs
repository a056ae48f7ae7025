//! A Map and a Set between real processes: no update is lost, no key doubled, no value torn, and what is left is what the
//! processes say they left; also when one is killed again and again.

use std::time::Duration;
use zeroipc::{Geometry, Map, MapError, MapOptions, Memory, Set, WordSize};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::{mix, Random};
use zeroipc_tests::scratch::Scratch;

const WRITERS: u64 = 3;
const LIMIT: Duration = Duration::from_secs(60);
/// Counters that all processes count up.
const COUNTERS: u64 = 4;
/// Where the keys of a writer start.
const OWN: u64 = 1 << 32;
const KEYS: u64 = 24;

/// Number, checksum: a torn value shows.
type Value = [u64; 2];

fn value(n: u64) -> Value {
    [n, mix(n)]
}

fn number([n, sum]: Value) -> u64 {
    assert_eq!(sum, mix(n), "a torn value");
    n
}

fn map_of(memory: &Memory) -> Map<'_, u64, Value> {
    Map::open(memory, "map").unwrap()
}

fn set_of(memory: &Memory) -> Set<'_, u64> {
    Set::open(memory, "set").unwrap()
}

fn create(name: &str, geometry: Geometry, spares: u32) -> Memory {
    let memory = Memory::options().geometry(geometry).create(name, 1 << 20).unwrap();
    let options = MapOptions::new().spares(spares);
    let map = Map::<u64, Value>::create_with(&memory, "map", 128, &options).unwrap();
    (0..COUNTERS).for_each(|key| assert_eq!(map.insert(key, value(0)), Ok(None)));
    Set::<u64>::create_with(&memory, "set", 128, &options).unwrap();
    memory
}

#[test]
fn many_processes() {
    let wide = Geometry::new(WordSize::Eight, 64).unwrap();
    conserve("many_processes", wide, 60_000);
}

/// Also the geometry of microcontrollers.
#[test]
fn many_processes_with_small_words() {
    conserve("many_processes_with_small_words", Geometry::SMALLEST, 60_000);
}

fn conserve(test: &str, geometry: Geometry, rounds: u64) {
    if let Some(part) = part() {
        return write(&part, rounds);
    }
    let scratch = Scratch::new();
    let memory = create(scratch.name(), geometry, 4);
    let start = |number| Party::start(test, "writer", number, scratch.name());
    let mut writers: Vec<_> = (1..=WRITERS).map(start).collect();
    writers.iter_mut().for_each(|party| party.finish(LIMIT));
    let map = map_of(&memory);
    let mut counted = 0;
    let mut keys = Vec::new();
    for item in map.iter() {
        let (key, value) = item.unwrap();
        keys.push(key);
        if key < COUNTERS {
            counted += number(value);
        } else {
            assert_eq!(number(value), mix(key));
        }
    }
    assert_eq!(counted, WRITERS * rounds);
    keys.sort_unstable();
    let expected: Vec<u64> = (0..COUNTERS)
        .chain((1..=WRITERS).flat_map(|id| (0..KEYS).map(move |n| id * OWN + n)))
        .collect();
    assert_eq!(keys, expected);
    assert_eq!(map.len(), keys.len());
    let mut members: Vec<u64> = set_of(&memory).iter().map(|key| key.unwrap()).collect();
    members.sort_unstable();
    assert_eq!(members, &expected[COUNTERS as usize..]);
}

/// Counts, and lets keys of its own come and go; leaves all of them there.
fn write(part: &Part, rounds: u64) {
    let memory = Memory::open(&part.region).unwrap();
    let (map, set) = (map_of(&memory), set_of(&memory));
    let mut random = Random::new(part.number);
    let mut there = [false; KEYS as usize];
    for _ in 0..rounds {
        let counter = random.below(COUNTERS);
        let old = map.update(&counter, |old| value(number(old) + 1)).unwrap();
        assert!(old.is_some(), "absent while it is replaced");
        let n = random.below(KEYS);
        let key = part.number * OWN + n;
        let is_there = &mut there[n as usize];
        assert_eq!(map.get(&key).unwrap().map(number), is_there.then(|| mix(key)));
        assert_eq!(set.contains(&key), Ok(*is_there));
        if *is_there {
            assert_eq!(map.remove(&key).unwrap().map(number), Some(mix(key)));
            assert_eq!(set.remove(&key), Ok(true));
        } else {
            assert_eq!(map.insert(key, value(mix(key))), Ok(None));
            assert_eq!(set.insert(key), Ok(true));
        }
        *is_there = !*is_there;
    }
    for n in 0..KEYS {
        let key = part.number * OWN + n;
        map.insert(key, value(mix(key))).unwrap();
        set.insert(key).unwrap();
    }
}

/// One process is killed again and again in the midst of its operations, while another counts: the map stays as good as new, as
/// far as the spares reach.
#[test]
fn killed_again_and_again() {
    const KILLS: u64 = 20;
    const TEST: &str = "killed_again_and_again";
    if let Some(part) = part() {
        return write(&part, u64::MAX);
    }
    let scratch = Scratch::new();
    let memory = create(scratch.name(), Geometry::new(WordSize::Eight, 64).unwrap(), KILLS as u32);
    let (map, set) = (map_of(&memory), set_of(&memory));
    let mine = COUNTERS;
    map.insert(mine, value(0)).unwrap();
    let mut counted = 0;
    for kill in 0..KILLS {
        let mut victim = Party::start(TEST, "writer", 1 + kill, scratch.name());
        // Until it is at work, and then some more: never by time.
        let before = map.get(&0).unwrap().map(number);
        let mut more = 0;
        while more < 200 {
            more += u64::from(map.get(&0).unwrap().map(number) != before);
            let old = map.update(&mine, |old| value(number(old) + 1)).unwrap();
            assert_eq!(old.map(number), Some(counted));
            counted += 1;
            assert!(victim.ended().is_none(), "it failed");
        }
        victim.kill();
        // What it left: its own keys, whole.
        for item in map.iter() {
            let (key, value) = item.unwrap();
            assert!(key <= mine || number(value) == mix(key));
        }
        for key in (0..KEYS).map(|n| (1 + kill) * OWN + n) {
            map.remove(&key).unwrap();
            set.remove(&key).unwrap();
        }
        assert_eq!(map.iter().count() as u64, COUNTERS + 1);
        assert_eq!(set.iter().count(), 0);
    }
    // All that the capacity says still fits.
    for n in 0..128 - COUNTERS - 1 {
        assert_eq!(map.insert(1000 + n, value(n)), Ok(None));
    }
    for n in 0..128 {
        assert_eq!(set.insert(n), Ok(true));
        assert_eq!(map.insert(mine, value(n)).map(|old| old.is_some()), Ok(true));
    }
    // And beyond it at most as many as parties were killed.
    let beyond = (0..1000).find(|n| map.insert(5000 + n, value(*n)) == Err(MapError::Full));
    assert!(beyond.is_some_and(|beyond| beyond <= KILLS), "{beyond:?}");
}
