//! Map and Set: a party stopped, or killed, before every one of its accesses holds up nobody, loses nothing, doubles nothing.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;
mod stepper;

use memory::Memory;
use std::collections::HashMap;
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{Exchange, FormatOptions, Geometry, Map, MapError, MapOptions, Set, WordSize};

/// A value that shows when it is torn.
type Value = [u32; 3];

fn value(n: u32) -> Value {
    [n, !n, n.wrapping_mul(0x9E37_79B1)]
}

/// The key of the stopped party; the others' are below.
const KEY: u32 = 1000;
const OLD: u32 = 1;
const NEW: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Get,
    Iterate,
    Insert,
    Replace,
    Exchange,
    Remove,
}

const ACTS: [Act; 6] =
    [Act::Get, Act::Iterate, Act::Insert, Act::Replace, Act::Exchange, Act::Remove];

impl Act {
    /// What the key has before.
    fn before(self) -> Option<u32> {
        (self != Act::Insert).then_some(OLD)
    }

    /// What it has when the act is done.
    fn after(self) -> Option<u32> {
        match self {
            Act::Get | Act::Iterate => Some(OLD),
            Act::Insert | Act::Replace | Act::Exchange => Some(NEW),
            Act::Remove => None,
        }
    }

    /// Does it. With `undisturbed` nobody else touches the key, so it must find what was there before.
    fn run(self, map: Map<'_, u32, Value>) {
        let old = self.before().map(value);
        match self {
            Act::Get => assert_eq!(map.get(&KEY), Ok(old)),
            Act::Iterate => {
                let all = map.iter().collect::<Result<Vec<_>, _>>().unwrap();
                let mine: Vec<_> = all.iter().filter(|(key, _)| *key == KEY).collect();
                assert_eq!(mine, [&(KEY, value(OLD))]);
                let mut keys: Vec<_> = all.iter().map(|(key, _)| key).collect();
                keys.sort_unstable();
                keys.dedup();
                assert_eq!(keys.len(), all.len(), "a key came twice");
            }
            Act::Insert | Act::Replace => assert_eq!(map.insert(KEY, value(NEW)), Ok(old)),
            Act::Exchange => {
                let done = map.compare_exchange(&KEY, value(OLD), value(NEW));
                assert_eq!(done, Ok(Exchange::Done));
            }
            Act::Remove => assert_eq!(map.remove(&KEY), Ok(old)),
        }
    }
}

fn with_map(word: WordSize, capacity: usize, spares: u32, test: impl FnOnce(Map<'_, u32, Value>)) {
    let geometry = Geometry::new(word, 16).unwrap();
    let mut memory = Memory::filled(4096, 0xA5);
    let region = memory.region(FormatOptions::new().max_entries(4).geometry(geometry));
    let options = MapOptions::new().spares(spares).seed(7);
    test(Map::create_with(region, "map", capacity, &options).unwrap());
}

/// The others: one thread that keeps books on its own keys.
struct Others<'a> {
    map: Map<'a, u32, Value>,
    model: HashMap<u32, u32>,
    seed: u32,
    /// Keys besides its own that may be there.
    foreign: usize,
}

impl<'a> Others<'a> {
    fn new(map: Map<'a, u32, Value>) -> Self {
        Others { map, model: HashMap::new(), seed: 1, foreign: 1 }
    }

    fn random(&mut self, below: u32) -> u32 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.seed >> 16) % below
    }

    /// Operations that nobody may hold up, on more keys than fit.
    fn churn(&mut self, operations: u32) {
        let capacity = self.map.capacity();
        for n in 0..operations {
            let key = self.random(2 * capacity as u32);
            let there = self.model.get(&key).copied();
            match self.random(4) {
                0 => assert_eq!(self.map.remove(&key), Ok(self.model.remove(&key).map(value))),
                1 => assert_eq!(self.map.get(&key), Ok(there.map(value))),
                _ => match self.map.insert(key, value(n)) {
                    Ok(old) => {
                        assert_eq!(old, there.map(value));
                        self.model.insert(key, n);
                    }
                    Err(error) => {
                        assert_eq!((error, there), (MapError::Full, None));
                        let keys = self.model.len() + self.foreign;
                        assert!(keys >= capacity, "full with {keys} of {capacity}");
                    }
                },
            }
        }
    }

    /// As many keys as it says fit, whatever others hold.
    fn fill(&mut self) {
        for key in 0..self.map.capacity() as u32 {
            if self.model.len() + self.foreign < self.map.capacity() {
                let old = self.model.insert(key, 9).map(value);
                assert_eq!(self.map.insert(key, value(9)), Ok(old));
            }
        }
        // And each can be replaced.
        for (key, old) in &mut self.model {
            assert_eq!(self.map.insert(*key, value(10)), Ok(Some(value(*old))));
            *old = 10;
        }
    }

    /// Its keys and the given one, and nothing else.
    fn audit(&self, foreign: &[Option<u32>]) {
        let mut all: HashMap<u32, u32> = HashMap::new();
        for item in self.map.iter() {
            let (key, found) = item.unwrap();
            assert_eq!(found, value(found[0]), "torn");
            assert!(all.insert(key, found[0]).is_none(), "{key} came twice");
        }
        let mine = all.remove(&KEY);
        assert!(foreign.contains(&mine), "{mine:?} is none of {foreign:?}");
        assert_eq!(self.map.get(&KEY), Ok(mine.map(value)));
        assert_eq!(all, self.model);
    }

    /// Everything away, and the key as the act needs it.
    fn prepare(&mut self, act: Act, held: usize) {
        self.map.clear().unwrap();
        self.model.clear();
        if let Some(old) = act.before() {
            assert_eq!(self.map.insert(KEY, value(old)), Ok(None));
        }
        for key in 0..held as u32 {
            assert_eq!(self.map.insert(key, value(key)), Ok(None));
            self.model.insert(key, key);
        }
    }
}

fn shapes() -> impl Iterator<Item = (WordSize, usize, usize)> {
    [WordSize::Four, WordSize::Eight].into_iter().flat_map(|word| {
        [(2, 0), (2, 1), (4, 2), (8, 4)]
            .into_iter()
            .map(move |(capacity, held)| (word, capacity, held))
    })
}

#[test]
fn one_stopped_party_holds_up_nobody() {
    for (word, capacity, held) in shapes() {
        for act in ACTS {
            // The same map for all steps: a slot that a resumed party does not give back would be missed.
            with_map(word, capacity, 1, |map| {
                let mut others = Others::new(map);
                for step in 0.. {
                    others.prepare(act, held);
                    let stopped = thread::scope(|scope| {
                        let party = Party::start(scope, step, move || act.run(map));
                        let stopped = party.is_stopped();
                        if stopped {
                            others.audit(&[act.before(), act.after()]);
                            others.churn(1000);
                            others.fill();
                            others.audit(&[act.before(), act.after()]);
                            // The party may find no room for its own key otherwise.
                            let key = *others.model.keys().next().unwrap_or(&0);
                            map.remove(&key).unwrap();
                            others.model.remove(&key);
                        }
                        party.finish();
                        stopped
                    });
                    others.audit(&[act.after()]);
                    assert_eq!(map.len(), map.iter().count(), "the count is right at rest");
                    if !stopped {
                        assert!(step >= 3, "an operation of {step} steps");
                        break;
                    }
                }
            });
        }
    }
}

/// Stopped again and again: each time others change the bucket.
#[test]
fn one_party_stopped_again_and_again() {
    for (word, capacity, held) in shapes() {
        for act in ACTS {
            for (first, gap) in (0..6).flat_map(|first| (1..6).map(move |gap| (first, gap))) {
                with_map(word, capacity, 1, |map| {
                    let mut others = Others::new(map);
                    others.prepare(act, held);
                    thread::scope(|scope| {
                        let mut party = Party::start(scope, first, move || act.run(map));
                        let mut step = first;
                        while party.is_stopped() && step < 100 {
                            others.churn(16);
                            // So that there is room for the party's own.
                            while others.model.len() + 1 >= map.capacity() {
                                let key = *others.model.keys().next().unwrap();
                                map.remove(&key).unwrap();
                                others.model.remove(&key);
                            }
                            step += gap;
                            party.go_to(step);
                        }
                        party.finish();
                    });
                    others.audit(&[act.after()]);
                });
            }
        }
    }
}

/// Killed at each step, as often as there are spares: the change was made or not, and the capacity is still good.
#[test]
fn killed_parties_take_nothing_but_spares() {
    const SPARES: u32 = 3;
    for (word, capacity, held) in shapes() {
        for act in ACTS {
            for step in 0.. {
                let mut finished = false;
                with_map(word, capacity, SPARES, |map| {
                    let mut others = Others::new(map);
                    for _ in 0..SPARES {
                        others.prepare(act, held);
                        finished |= abandon_at(step, || act.run(map)).is_ok();
                        others.audit(&[act.before(), act.after()]);
                        others.churn(200);
                        others.fill();
                        others.audit(&[act.before(), act.after()]);
                        let len = map.len();
                        let count = map.iter().count();
                        assert!(len <= count && len + SPARES as usize >= count, "{len} of {count}");
                    }
                });
                if finished {
                    break;
                }
            }
        }
    }
}

/// The same key: a party is stopped at each step of replacing it while another replaces or removes it.
#[test]
fn stopped_on_a_key_that_others_change() {
    for (word, capacity, held) in shapes() {
        for step in 0.. {
            let mut was_stopped = false;
            with_map(word, capacity, 2, |map| {
                let mut others = Others::new(map);
                others.prepare(Act::Replace, held.min(capacity - 1));
                thread::scope(|scope| {
                    let party =
                        Party::start(scope, step, move || map.update(&KEY, |[n, ..]| value(n + 1)));
                    was_stopped = party.is_stopped();
                    let mut old = map.update(&KEY, |[n, ..]| value(n + 1)).unwrap().unwrap()[0];
                    assert!(old == 1 || old == 2, "{old}");
                    old += map.update(&KEY, |[n, ..]| value(n + 1)).unwrap().unwrap()[0];
                    let other = party.finish().unwrap().unwrap()[0];
                    assert_eq!(old + other, 1 + 2 + 3, "an update was lost");
                });
                others.audit(&[Some(4)]);
                thread::scope(|scope| {
                    let party = Party::start(scope, step, move || map.remove(&KEY));
                    let removed = map.remove(&KEY).unwrap();
                    let other = party.finish().unwrap();
                    assert!(removed.is_some() != other.is_some(), "removed once");
                });
                others.audit(&[None]);
                assert_eq!(map.len(), others.model.len());
            });
            if !was_stopped {
                break;
            }
        }
    }
}

/// A Set by the same code: one key, stopped and killed.
#[test]
fn a_set() {
    for word in [WordSize::Four, WordSize::Eight] {
        for step in 0.. {
            let geometry = Geometry::new(word, 8).unwrap();
            let mut memory = Memory::filled(2048, 0xA5);
            let region = memory.region(FormatOptions::new().max_entries(4).geometry(geometry));
            let options = MapOptions::new().spares(2);
            let set = Set::<u32>::create_with(region, "set", 4, &options).unwrap();
            let insert = abandon_at(step, || set.insert(KEY));
            let is_there = set.contains(&KEY).unwrap();
            assert!(insert.is_err() || is_there);
            assert_eq!(set.insert(KEY), Ok(!is_there));
            let remove = abandon_at(step, || set.remove(&KEY));
            let is_there = set.contains(&KEY).unwrap();
            assert!(remove.is_err() || !is_there);
            for key in 0..3 {
                assert_eq!(set.insert(key), Ok(true));
            }
            assert_eq!(set.iter().count(), 3 + usize::from(is_there));
            if insert.is_ok() && remove.is_ok() {
                break;
            }
        }
    }
}
