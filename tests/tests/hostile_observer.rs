//! Hostile bytes under a watcher, before it begins and while it watches: nothing panics, hangs, or touches memory outside, and nothing
//! is written at all.

use std::cell::Cell;
use std::time::Duration;
use zeroipc_nostd::{
    Array, FormatOptions, Geometry, NextError, Observer, Queue, Region, Ring, Signal, Stream,
    StreamOptions, View, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

const NAMES: [&str; 7] = ["ring", "queue", "signal", "one", "array", "many", "single"];

fn victim(random: &mut Random) -> Guarded {
    let memory = Guarded::new(16384);
    fill(&memory, random);
    memory
}

fn fill(memory: &Guarded, random: &mut Random) {
    let word = random.pick(&[WordSize::Four, WordSize::Eight]);
    let line = random.pick(&[8, 16, 32, 64, 128]);
    let options = FormatOptions::new().geometry(Geometry::new(word, line).unwrap()).max_entries(8);
    let region = Region::create(memory.span(), &options).unwrap();
    let capacity = random.pick(&[1, 4, 7, 16]);
    let ring = Ring::<[u32; 3]>::create(region, NAMES[0], capacity).unwrap();
    let queue = Queue::<[u8; 5]>::create(region, NAMES[1], capacity).unwrap();
    let signal = Signal::create_with_slots(region, NAMES[2], [0_u64; 3], 3).unwrap();
    Signal::create_single_writer(region, NAMES[3], [7_u8; 77], 2).unwrap();
    Array::<u16>::create(region, NAMES[4], 9).unwrap();
    let many = Stream::<[u16; 3]>::create(region, NAMES[5], capacity).unwrap();
    let options = StreamOptions::new().single_publisher();
    let single = Stream::<u64>::create_with(region, NAMES[6], capacity, &options).unwrap();
    let mut publisher = single.publisher().unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for n in 0..random.below(40) {
        let _ = (producer.try_push([n as u32; 3]), queue.try_push([n as u8; 5]));
        let _ = signal.set([n; 3]);
        if random.one_in(2) {
            let _ = (consumer.try_pop(), queue.try_pop());
        }
        let _ = (many.try_emit([n as u16; 3]), publisher.try_emit(n));
    }
    if random.one_in(2) {
        many.close().unwrap();
    }
}

fn places(view: View<'_>) -> Vec<(usize, usize)> {
    let entries = view.entries().flatten().skip(1);
    entries.map(|entry| (entry.offset as usize, entry.size as usize)).collect()
}

/// Spoils one word of a structure, its prefix and counters as often as all the rest.
fn spoil(memory: &Guarded, places: &[(usize, usize)], random: &mut Random) {
    let (offset, size) = random.pick(places);
    let reach = if random.one_in(2) { 64 } else { size as u64 };
    let at = offset + random.below(reach) as usize;
    let near = u64::from(memory.read_u32(at)).wrapping_add(random.below(9)).wrapping_sub(4);
    let (bits, power) = (random.bits(), 1 << random.below(64));
    let value = random.pick(&[0, 1, 2, 3, 7, 255, u64::MAX, bits, bits % 300, near, power]);
    match random.below(3) {
        0 => memory.flip(at, random.below(8) as u32),
        1 => memory.write_u64(at, value),
        _ => memory.write_u32(at, value as u32),
    }
}

fn watches<'a>(view: View<'a>, random: &mut Random) -> Vec<Observer<'a>> {
    let watch = |name| view.observe(name).ok();
    let taken =
        |watch: Observer<'a>| if random.one_in(2) { watch.including_taken() } else { watch };
    NAMES.into_iter().filter_map(watch).map(taken).collect()
}

fn use_all(view: View<'_>, watches: &mut [Observer<'_>], random: &mut Random) {
    let mut value = [0; 100];
    for watch in watches {
        for _ in 0..20 {
            match watch.try_next(&mut value[..random.below(101) as usize]) {
                Ok(_) | Err(NextError::Empty | NextError::Corrupt | NextError::Closed) => {}
                Err(error) => panic!("{error}"),
            }
            if random.one_in(8) {
                watch.rewind(random.pick(&[0, 1, 5, 1 << 31, u64::MAX]));
            }
            let _ = (watch.missed(), watch.kind(), watch.elem_size());
        }
    }
    if let Ok(elements) = view.elements("array") {
        for index in (0..elements.len().min(20)).chain([elements.len() - 1]) {
            assert!(elements.read(index, &mut value).is_ok());
        }
        assert!(elements.read(elements.len(), &mut value).is_err());
    }
}

/// Runs `case` for many seeds, with a watchdog, and checks the guards after each.
fn for_seeds(count: u64, what: &'static str, case: impl Fn(&mut Random) -> Guarded) {
    /// Says which seed it was, also when the case panics.
    struct Report<'a>(&'a Cell<u64>);
    impl Drop for Report<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the failing seed is {}", self.0.get());
            }
        }
    }
    let _watchdog = watchdog(Duration::from_secs(120), what);
    let current = Cell::new(0);
    let _report = Report(&current);
    for seed in 0..count {
        current.set(seed);
        assert!(case(&mut Random::new(seed)).is_intact(), "{what}: memory outside was written");
    }
}

#[test]
fn spoilt_before_watching() {
    for_seeds(60, "spoilt before watching", |random| {
        let memory = victim(random);
        let view = View::open(memory.span()).unwrap();
        let places = places(view);
        for _ in 0..=random.below(6) {
            spoil(&memory, &places, random);
        }
        let before = memory.bytes();
        let mut watches = watches(view, random);
        use_all(view, &mut watches, random);
        assert!(before == memory.bytes(), "watching wrote");
        memory
    });
}

#[test]
fn spoilt_while_watching() {
    for_seeds(60, "spoilt while watching", |random| {
        let memory = victim(random);
        let view = View::open(memory.span()).unwrap();
        let places = places(view);
        let mut watches = watches(view, random);
        for _ in 0..8 {
            for _ in 0..=random.below(4) {
                spoil(&memory, &places, random);
            }
            use_all(view, &mut watches, random);
        }
        memory
    });
}

#[test]
fn noise_behind_a_good_prefix() {
    for_seeds(50, "noise behind a good prefix", |random| {
        let memory = victim(random);
        let view = View::open(memory.span()).unwrap();
        let mask = random.pick(&[u64::MAX, 0x0000_000F_0000_000F, 0x0000_0FF8_0000_0FF8]);
        for (offset, size) in places(view) {
            for at in (offset + 24..offset + size).step_by(8) {
                memory.write_u64(at, random.bits() & mask);
            }
        }
        let mut watches = watches(view, random);
        use_all(view, &mut watches, random);
        memory
    });
}
