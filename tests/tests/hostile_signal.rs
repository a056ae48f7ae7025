//! Hostile bytes in a Signal, before it is opened and while handles are open: nothing panics, hangs, or touches memory outside.

use std::cell::Cell;
use std::time::Duration;
use zeroipc_nostd::{
    Capability, Element, FormatOptions, Geometry, Region, Signal, SignalError, SignalWriter,
    WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

type Block = [u32; 3];

const NAMES: [&str; 4] = ["small", "block", "one", "text"];

fn victim(random: &mut Random) -> Guarded {
    let memory = Guarded::new(16384);
    let word = random.pick(&[WordSize::Four, WordSize::Eight]);
    let line = random.pick(&[8, 16, 32, 64, 128]);
    let cas = !random.one_in(4);
    let options = FormatOptions::new()
        .geometry(Geometry::new(word, line).unwrap())
        .capability(if cas { Capability::Cas } else { Capability::LoadStore })
        .max_entries(5);
    let region = Region::create(memory.span(), &options).unwrap();
    let slots = random.pick(&[3, 4, 7, 8]);
    Signal::create_with_slots(region, NAMES[0], 7_u8, slots).unwrap();
    Signal::create_with_slots(region, NAMES[1], [1_u32, 2, 3], slots).unwrap();
    Signal::create_single_writer(region, NAMES[2], [4_u32, 5, 6], slots).unwrap();
    Signal::create(region, NAMES[3], [9_u8; 77]).unwrap();
    for _ in 0..random.below(10) {
        use_all(region, random);
    }
    memory
}

/// Spoils one word of a structure, its prefix as often as all the rest.
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

fn places(region: Region<'_>) -> Vec<(usize, usize)> {
    let entries = region.view().entries().flatten().skip(1);
    entries.map(|entry| (entry.offset as usize, entry.size as usize)).collect()
}

fn use_all(region: Region<'_>, random: &mut Random) {
    for name in NAMES {
        use_one::<u8>(region, name, random);
        use_one::<Block>(region, name, random);
        use_one::<[u8; 77]>(region, name, random);
    }
    region.view().entries().flatten().for_each(|entry| {
        let _ = region.view().inspect(&entry);
    });
}

fn use_one<T: Element>(region: Region<'_>, name: &str, random: &mut Random) {
    let Ok(signal) = Signal::<T>::open(region, name) else { return };
    use_signal(&signal);
    match signal.writer() {
        Ok(mut writer) => use_writer(&mut writer),
        Err(SignalError::RoleTaken) if random.one_in(2) => {
            use_writer(&mut signal.take_over_writer().unwrap());
        }
        Err(_) => {}
    }
}

fn use_signal<T: Element>(signal: &Signal<'_, T>) {
    assert!((2..=256).contains(&signal.slots()));
    for _ in 0..3 {
        let _ = (signal.get(), signal.get_with_version().is_ok());
        // Looks around all slots many times before it says that it is blocked: once is enough.
        if matches!(signal.set(T::new_zeroed()), Err(SignalError::Blocked)) {
            break;
        }
        let _ = signal.update(|old| old);
        let _ = signal.compare_version_and_set(signal.version(), T::new_zeroed());
    }
}

fn use_writer<T: Element>(writer: &mut SignalWriter<'_, T>) {
    for _ in 0..10 {
        writer.set(T::new_zeroed());
        let _ = writer.update(|old| old);
        let _ = writer.signal().get();
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
fn spoilt_before_opening() {
    for_seeds(300, "spoilt before opening", |random| {
        let memory = victim(random);
        let region = Region::open(memory.span()).unwrap();
        let places = places(region);
        for _ in 0..=random.below(6) {
            spoil(&memory, &places, random);
        }
        use_all(region, random);
        memory
    });
}

#[test]
fn spoilt_while_open() {
    for_seeds(300, "spoilt while open", |random| {
        let memory = victim(random);
        let region = Region::open(memory.span()).unwrap();
        let places = places(region);
        let small = Signal::<u8>::open(region, NAMES[0]).unwrap();
        let block = Signal::<Block>::open(region, NAMES[1]).unwrap();
        let one = Signal::<Block>::open(region, NAMES[2]).unwrap();
        let mut writer = one.writer().unwrap();
        for _ in 0..6 {
            for _ in 0..=random.below(4) {
                spoil(&memory, &places, random);
            }
            use_signal(&small);
            use_signal(&block);
            use_signal(&one);
            use_writer(&mut writer);
        }
        drop(writer);
        memory
    });
}

#[test]
fn noise_behind_a_good_prefix() {
    for_seeds(150, "noise behind a good prefix", |random| {
        let memory = victim(random);
        let region = Region::open(memory.span()).unwrap();
        let mask = random.pick(&[u64::MAX, 0x0000_000F_0000_000F, 0x0000_0FF8_0000_0FF8]);
        for (offset, size) in places(region) {
            for at in (offset + 24..offset + size).step_by(8) {
                memory.write_u64(at, random.bits() & mask);
            }
        }
        use_all(region, random);
        memory
    });
}
