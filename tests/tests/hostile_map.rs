//! Hostile maps and sets: whatever stands in them, nothing panics, hangs, or touches memory outside.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use zeroipc_nostd::{
    Element, FormatOptions, Geometry, Map, MapOptions, Region, Set, View, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

/// A region with a map and a set, used for a while.
fn victim(random: &mut Random) -> (Guarded, usize) {
    let memory = Guarded::new(random.pick(&[2048, 4096]));
    let word = random.pick(&[WordSize::Four, WordSize::Eight]);
    let geometry = Geometry::new(word, random.pick(&[8, 16, 64])).unwrap();
    let options = FormatOptions::new().geometry(geometry).max_entries(4);
    let region = Region::create(memory.span(), &options).unwrap();
    let options = MapOptions::new().spares(random.pick(&[1, 3])).seed(3);
    let capacity = random.pick(&[1, 2, 8]);
    let map = Map::<u32, [u32; 3]>::create_with(region, "map", capacity, &options).unwrap();
    let set = Set::<u16>::create_with(region, "set", capacity, &options).unwrap();
    use_map(&map, random);
    use_set(&set, random);
    let heap = region.view().heap_offset() as usize;
    (memory, heap)
}

fn use_map<V: Element>(map: &Map<'_, u32, V>, random: &mut Random) {
    let value = V::new_zeroed();
    for _ in 0..12 {
        let key = random.below(12) as u32;
        match random.below(8) {
            0 => drop(map.get(&key)),
            1 => drop(map.contains_key(&key)),
            2 | 3 => drop(map.insert(key, value)),
            4 => drop(map.remove(&key)),
            5 => drop(map.compare_exchange(&key, value, value)),
            6 => drop(map.update(&key, |value| value)),
            _ => drop(map.get_or_insert(key, value)),
        }
    }
    assert!(map.iter().take(1000).filter(|item| item.is_err()).count() <= 1);
    let _ = (map.len(), map.clear());
}

fn use_set(set: &Set<'_, u16>, random: &mut Random) {
    for _ in 0..12 {
        let key = random.below(12) as u16;
        match random.below(4) {
            0 => drop(set.contains(&key)),
            1 | 2 => drop(set.insert(key)),
            _ => drop(set.remove(&key)),
        }
    }
    assert!(set.iter().take(1000).filter(|item| item.is_err()).count() <= 1);
    let _ = (set.len(), set.clear());
}

/// Opens and uses what is there, also as what it is not. Nothing is expected but that it returns.
fn use_everything(memory: &Guarded, random: &mut Random) {
    if let Ok(view) = View::open(memory.span()) {
        for entry in view.entries().flatten() {
            let _ = view.inspect(&entry);
        }
    }
    let Ok(region) = Region::open(memory.span()) else { return };
    for name in ["map", "set"] {
        if let Ok(map) = Map::<u32, [u32; 3]>::open(region, name) {
            use_map(&map, random);
        }
        if let Ok(map) = Map::<u32, u64>::open(region, name) {
            use_map(&map, random);
        }
        if let Ok(set) = Set::<u16>::open(region, name) {
            use_set(&set, random);
        }
    }
}

/// A word as it could stand there, or anything.
fn nonsense(random: &mut Random) -> u64 {
    let slot = 1 + random.below(16);
    let (bits, tag) = (random.bits(), random.bits() << 20);
    random.pick(&[
        0,
        1,
        u64::MAX,
        bits,
        slot << 1,
        slot << 1 | 1,
        slot << 9,
        slot << 9 | 1 << 8,
        tag | slot << 9,
        tag | slot << 9 | 1 << 8,
        slot << 33 | slot << 1,
    ])
}

fn spoil(memory: &Guarded, heap: usize, random: &mut Random) {
    let at = heap + random.below((memory.len() - heap) as u64) as usize;
    let value = nonsense(random);
    match random.below(3) {
        0 => memory.flip(at, random.below(8) as u32),
        1 => memory.write_u64(at, value),
        _ => memory.write_u32(at, value as u32),
    }
}

fn for_seeds(count: u64, what: &'static str, case: impl Fn(&mut Random) -> Guarded) {
    let _watchdog = watchdog(Duration::from_secs(200), what);
    for seed in 0..count {
        let memory = case(&mut Random::new(seed));
        assert!(memory.is_intact(), "{what}: memory outside was written, seed {seed}");
    }
}

#[test]
fn spoilt_before_opening() {
    for_seeds(1200, "spoilt before opening", |random| {
        let (memory, heap) = victim(random);
        for _ in 0..=random.below(12) {
            spoil(&memory, heap, random);
        }
        use_everything(&memory, random);
        memory
    });
}

#[test]
fn spoilt_while_open() {
    for_seeds(400, "spoilt while open", |random| {
        let (memory, heap) = victim(random);
        {
            let region = Region::open(memory.span()).unwrap();
            let map = Map::<u32, [u32; 3]>::open(region, "map").unwrap();
            let set = Set::<u16>::open(region, "set").unwrap();
            for _ in 0..6 {
                for _ in 0..=random.below(12) {
                    spoil(&memory, heap, random);
                }
                use_map(&map, random);
                use_set(&set, random);
            }
        }
        use_everything(&memory, random);
        memory
    });
}

/// All words of all cells are noise: cycles, slots in two lists, slots that do not exist, everything marked.
#[test]
fn noise_behind_the_prefix() {
    for_seeds(600, "noise behind the prefix", |random| {
        let (memory, _) = victim(random);
        let view = View::open(memory.span()).unwrap();
        for entry in view.entries().flatten().skip(1) {
            let start = (entry.offset + 32) as usize;
            for at in (start..(entry.offset + entry.size) as usize).step_by(4) {
                if !random.one_in(4) {
                    memory.write_u32(at, nonsense(random) as u32);
                }
            }
        }
        use_everything(&memory, random);
        memory
    });
}

/// A peer writes without end while others use the structures: each operation ends.
#[test]
fn while_a_peer_writes_without_end() {
    let _watchdog = watchdog(Duration::from_secs(100), "a peer that writes without end");
    for seed in 0..3 {
        let mut random = Random::new(seed);
        let (memory, heap) = victim(&mut random);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = Random::new(!seed);
                // Behind the table and the prefixes, so that the handles stay what they are.
                while !stop.load(Relaxed) {
                    spoil(&memory, heap + 160, &mut random);
                }
            });
            let region = Region::open(memory.span()).unwrap();
            if let Ok(map) = Map::<u32, [u32; 3]>::open(region, "map") {
                (0..200).for_each(|_| use_map(&map, &mut random));
            }
            stop.store(true, Relaxed);
        });
        assert!(memory.is_intact());
    }
}
