//! Models of Map and Set: one bucket, or two, and few slots.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release -p zeroipc-nostd --test loom_map`. Preemptions are bounded as each
//! model says; the bound can be raised by `LOOM_MAX_PREEMPTIONS`.
#![cfg(loom)]

use loom::thread;
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{
    FormatOptions, Geometry, Map, MapError, MapOptions, Region, Set, Span, WordSize,
};

const BYTES: usize = 1024;
type Small<'a> = Map<'a, u32, u32>;

fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder
}

/// A map of one bucket, with these keys in it: so all keys share one list.
fn map_memory(word: WordSize, capacity: usize, keys: &[(u32, u32)]) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(BYTES));
    let geometry = Geometry::new(word, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    let map_options = MapOptions::new().spares(2).seed(1);
    let map = Small::create_with(region, "m", capacity, &map_options).unwrap();
    keys.iter().for_each(|(key, value)| assert_eq!(map.insert(*key, *value), Ok(None)));
    slab
}

fn open(span: Span<'_>) -> Small<'_> {
    Map::open(Region::open(span).unwrap(), "m").unwrap()
}

fn in_thread<R: 'static>(
    slab: &Arc<Slab>,
    body: impl FnOnce(Small<'_>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let slab = slab.clone();
    thread::spawn(move || {
        // The model is about the operations.
        let map = unexplored(|| open(slab.span()));
        body(map)
    })
}

/// What is left, in order; with nobody inside the count is right, and no slot is lost: the map can be filled once more.
fn left(slab: &Arc<Slab>) -> Vec<(u32, u32)> {
    let map = open(slab.span());
    unexplored(|| {
        let mut left: Vec<_> = map.iter().map(Result::unwrap).collect();
        left.sort_unstable();
        assert_eq!(map.len(), left.len());
        for key in left.len()..map.capacity() {
            assert_eq!(map.insert(1000 + key as u32, 0), Ok(None));
        }
        if map.len() >= map.capacity() {
            assert_eq!(map.insert(2000, 0), Err(MapError::Full));
        }
        assert!(left.iter().all(|(key, value)| map.insert(*key, 5) == Ok(Some(*value))));
        left
    })
}

/// Of two that insert one key, one finds the other's value.
fn two_insert_one_key(word: WordSize) {
    bounded(3).check(move || {
        let slab = map_memory(word, 1, &[]);
        let parties = [1, 2].map(|value| in_thread(&slab, move |map| map.insert(7, value)));
        let [one, two] = parties.map(|party| party.join().unwrap().unwrap());
        let expected = match (one, two) {
            (None, Some(1)) => 2,
            (Some(2), None) => 1,
            other => panic!("{other:?}"),
        };
        assert_eq!(left(&slab), [(7, expected)]);
    });
}

#[test]
fn two_insert_one_key_with_8_byte_words() {
    two_insert_one_key(WordSize::Eight);
}

#[test]
fn two_insert_one_key_with_4_byte_words() {
    two_insert_one_key(WordSize::Four);
}

/// Two different keys for one place: both are there, or the second finds it full. More than the capacity is there only if both
/// looked at the count before.
#[test]
fn two_insert_two_keys() {
    bounded(3).check(|| {
        let slab = map_memory(WordSize::Eight, 2, &[]);
        let parties = [1, 2].map(|key| in_thread(&slab, move |map| map.insert(key, 10 * key)));
        for party in parties {
            assert_eq!(party.join().unwrap(), Ok(None));
        }
        assert_eq!(left(&slab), [(1, 10), (2, 20)]);
    });
}

/// A key that comes and goes, in front of or behind another that stays: each reader finds what may be there.
#[test]
fn insert_remove_and_get_of_one_key() {
    bounded(2).check(|| {
        let slab = map_memory(WordSize::Eight, 1, &[]);
        let writer = in_thread(&slab, |map| map.insert(7, 1));
        let remover = in_thread(&slab, |map| map.remove(&7));
        let reader = in_thread(&slab, |map| map.get(&7));
        assert_eq!(writer.join().unwrap(), Ok(None));
        let removed = remover.join().unwrap().unwrap();
        let got = reader.join().unwrap().unwrap();
        assert!(got.is_none() || got == Some(1), "{got:?}");
        match removed {
            Some(value) => assert_eq!((value, left(&slab)), (1, vec![])),
            None => assert_eq!(left(&slab), [(7, 1)]),
        }
    });
}

/// While a value is replaced its key is never absent, to a reader and to whoever would insert it.
fn replace_against_get(word: WordSize) {
    bounded(3).check(move || {
        let slab = map_memory(word, 1, &[(7, 1)]);
        let writer = in_thread(&slab, |map| (map.insert(7, 2), map.insert(7, 3)));
        let reader = in_thread(&slab, |map| (map.get(&7), map.get(&7)));
        assert_eq!(writer.join().unwrap(), (Ok(Some(1)), Ok(Some(2))));
        let (first, second) = reader.join().unwrap();
        let (first, second) = (first.unwrap().unwrap(), second.unwrap().unwrap());
        assert!((1..=3).contains(&first) && first <= second && second <= 3, "{first} {second}");
        assert_eq!(left(&slab), [(7, 3)]);
    });
}

#[test]
fn replace_against_get_with_8_byte_words() {
    replace_against_get(WordSize::Eight);
}

#[test]
fn replace_against_get_with_4_byte_words() {
    replace_against_get(WordSize::Four);
}

/// Of two that replace at the same time neither loses its change.
#[test]
fn two_update_one_key() {
    bounded(3).check(|| {
        let slab = map_memory(WordSize::Eight, 1, &[(7, 1)]);
        let update = |map: Small<'_>| map.update(&7, |value| 2 * value).unwrap().unwrap();
        let mut old = [(); 2].map(|()| in_thread(&slab, update)).map(|one| one.join().unwrap());
        old.sort_unstable();
        assert_eq!(old, [1, 2]);
        assert_eq!(left(&slab), [(7, 4)]);
    });
}

/// An iteration meets a key exactly once while its value is replaced.
#[test]
fn replace_against_iterate() {
    bounded(3).check(|| {
        let slab = map_memory(WordSize::Eight, 1, &[(7, 1)]);
        let writer = in_thread(&slab, |map| map.insert(7, 2).unwrap());
        let reader = in_thread(&slab, |map| map.iter().collect::<Result<Vec<_>, _>>().unwrap());
        assert_eq!(writer.join().unwrap(), Some(1));
        let seen = reader.join().unwrap();
        assert!(seen == [(7, 1)] || seen == [(7, 2)], "{seen:?}");
        assert_eq!(left(&slab), [(7, 2)]);
    });
}

/// Of two that remove one key, or one that removes and one that replaces, one succeeds.
#[test]
fn remove_against_remove_and_replace() {
    bounded(2).check(|| {
        let slab = map_memory(WordSize::Eight, 1, &[(7, 1)]);
        let removers = [(); 2].map(|()| in_thread(&slab, |map| map.remove(&7).unwrap()));
        let replacer = in_thread(&slab, |map| map.update(&7, |_| 2).unwrap());
        let removed: Vec<u32> =
            removers.into_iter().filter_map(|remover| remover.join().unwrap()).collect();
        match replacer.join().unwrap() {
            Some(old) => assert_eq!((old, removed), (1, vec![2])),
            None => assert_eq!(removed, [1]),
        }
        assert_eq!(left(&slab), []);
    });
}

/// A slot is reused at once, for another key of the same list, while a slow reader is at it: it gets no value of another key.
fn reuse_against_a_slow_reader(word: WordSize) {
    bounded(3).check(move || {
        let slab = map_memory(word, 1, &[(7, 70)]);
        let writer = in_thread(&slab, |map| {
            assert_eq!(map.remove(&7), Ok(Some(70)));
            assert_eq!(map.insert(8, 80), Ok(None));
            assert_eq!(map.remove(&8), Ok(Some(80)));
            assert_eq!(map.insert(7, 71), Ok(None));
        });
        let reader = in_thread(&slab, |map| map.get(&7).unwrap());
        let got = reader.join().unwrap();
        assert!([None, Some(70), Some(71)].contains(&got), "{got:?}");
        writer.join().unwrap();
        assert_eq!(left(&slab), [(7, 71)]);
    });
}

#[test]
fn reuse_against_a_slow_reader_with_8_byte_words() {
    reuse_against_a_slow_reader(WordSize::Eight);
}

#[test]
fn reuse_against_a_slow_reader_with_4_byte_words() {
    reuse_against_a_slow_reader(WordSize::Four);
}

/// Slots move between two lists while a reader walks one of them: a key that stays is always found.
#[test]
fn slots_move_between_lists() {
    bounded(2).check(|| {
        // Which keys share a bucket of the two is found out, not assumed.
        let keys: Vec<u32> = (0..40).collect();
        let slab = map_memory(WordSize::Eight, 2, &[(keys[0], 1), (keys[1], 2)]);
        let writer = in_thread(&slab, |map| {
            assert_eq!(map.remove(&0), Ok(Some(1)));
            assert_eq!(map.insert(2, 3), Ok(None));
            assert_eq!(map.remove(&2), Ok(Some(3)));
            assert_eq!(map.insert(3, 4), Ok(None));
        });
        let reader = in_thread(&slab, |map| map.get(&1).unwrap());
        assert_eq!(reader.join().unwrap(), Some(2));
        writer.join().unwrap();
        assert_eq!(left(&slab), [(1, 2), (3, 4)]);
    });
}

/// `Full` is the truth: a key that another party puts into the last place is never "full" to who inserts the same key.
#[test]
fn the_last_place() {
    bounded(3).check(|| {
        let slab = map_memory(WordSize::Eight, 1, &[]);
        let writer = in_thread(&slab, |map| map.insert(7, 1));
        let other = in_thread(&slab, |map| (map.insert(7, 2), map.remove(&7), map.insert(8, 3)));
        let first = writer.join().unwrap();
        let (second, removed, third) = other.join().unwrap();
        assert_ne!(second, Err(MapError::Full));
        match (first, second) {
            (Ok(None), Ok(_)) => {}
            (Ok(Some(2)), Ok(None)) => {}
            (Err(MapError::Full), Ok(None)) => assert_eq!(third, Ok(None)),
            other => panic!("{other:?}"),
        }
        assert!(removed.unwrap().is_some());
    });
}

/// A Set is a Map to nothing: of two that insert one key one did it, and of two that remove it.
#[test]
fn a_set() {
    bounded(2).check(|| {
        let slab = Arc::new(Slab::new(BYTES));
        let geometry = Geometry::new(WordSize::Eight, 8).unwrap();
        let options = FormatOptions::new().max_entries(2).geometry(geometry);
        let region = Region::create(slab.span(), &options).unwrap();
        let options = MapOptions::new().spares(2);
        let set = Set::<u32>::create_with(region, "s", 1, &options).unwrap();
        let parties = [(); 2].map(|()| {
            let slab = slab.clone();
            thread::spawn(move || {
                let open = || Set::<u32>::open(Region::open(slab.span()).unwrap(), "s").unwrap();
                let set = unexplored(open);
                (set.insert(7).unwrap(), set.remove(&7).unwrap())
            })
        });
        let done = parties.map(|party| party.join().unwrap());
        let inserted = done.iter().filter(|(inserted, _)| *inserted).count();
        let removed = done.iter().filter(|(_, removed)| *removed).count();
        assert_eq!(inserted, removed);
        assert!(inserted > 0);
        assert_eq!((set.contains(&7), set.len()), (Ok(false), 0));
    });
}
