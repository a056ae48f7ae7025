//! Locks in hostile memory: whatever stands in their words, nothing panics, hangs, or touches memory outside. Seeded.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use zeroipc_nostd::{
    Element, FormatOptions, Geometry, Liveness, LockError, Monitor, Mutex, PartyId, Region, RwLock,
    TryLockError, View, Wait, WaitWord, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::{mix, Random};

type Block = [u32; 3];

/// Says now this and now that; its clock goes on with each look at it.
#[derive(Debug, Default)]
struct Whims(AtomicU64);

impl Liveness for Whims {
    fn is_dead(&self, party: PartyId) -> bool {
        mix(self.0.fetch_add(1, Relaxed) ^ u64::from(party.number())).is_multiple_of(3)
    }
}

impl Wait for Whims {
    fn now(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }

    fn wait(&self, _word: WaitWord<'_>, _expected: u32, _deadline: u64) {}

    fn wake(&self, _word: WaitWord<'_>, count: u32) -> u32 {
        mix(self.0.load(Relaxed)) as u32 % 2 * count.min(3)
    }

    fn spins(&self) -> u32 {
        3
    }
}

const NAMES: [&str; 5] = ["mutex", "monitor", "lock", "wide", "nothing"];

fn new_region(random: &mut Random) -> Guarded {
    let memory = Guarded::new(4096);
    let word = random.pick(&[WordSize::Four, WordSize::Eight]);
    let line = random.pick(&[8, 16, 32, 64, 128]);
    let options = FormatOptions::new()
        .geometry(Geometry::new(word, line).unwrap())
        .max_entries(8)
        .zeroed(random.one_in(2));
    let region = Region::create(memory.span(), &options).unwrap();
    Mutex::<u32>::create(region, "mutex", 1).unwrap();
    Monitor::<u32>::create(region, "monitor", 2).unwrap();
    RwLock::<u32>::create_with_readers(region, "lock", 3, random.pick(&[1, 2, 5])).unwrap();
    RwLock::<Block>::create_with_readers(region, "wide", [4; 3], 2).unwrap();
    memory
}

/// Offsets of the words of all structures.
fn targets(memory: &Guarded) -> Vec<usize> {
    let region = Region::open(memory.span()).unwrap();
    let entries: Vec<_> = region.view().entries().flatten().collect();
    entries
        .iter()
        .flat_map(|entry| (entry.offset as usize..(entry.offset + entry.size) as usize).step_by(4))
        .collect()
}

fn spoil(memory: &Guarded, targets: &[usize], random: &mut Random) {
    let at = random.pick(targets);
    let number = random.below(5) as u32;
    let flags = (random.below(4) as u32) << 30;
    let bits = random.bits() as u32;
    let value =
        random.pick(&[0, number, number | flags, flags, 0x3FFF_FFFF | flags, bits, u32::MAX]);
    if random.one_in(4) {
        memory.flip(at, random.below(8) as u32);
    } else {
        memory.write_u32(at, value);
    }
}

fn use_mutex<T: Element>(mutex: &Mutex<'_, T>, whims: &Whims) {
    for _ in 0..3 {
        match mutex.try_lock() {
            Ok(mut guard) | Err(TryLockError::OwnerDied(mut guard)) => guard.update(|value| value),
            Err(_) => {}
        }
        let deadline = whims.0.load(Relaxed) + 20;
        match mutex.lock_with(whims, Some(deadline)) {
            Ok(mut guard) | Err(LockError::OwnerDied(mut guard)) => guard.mark_consistent(),
            Err(_) => {}
        }
    }
}

fn use_monitor<T: Element>(monitor: &Monitor<'_, T>, whims: &Whims) {
    let soon = || Some(whims.0.load(Relaxed) + 20);
    if let Ok(guard) = monitor.lock_with(whims, soon()) {
        let _ = guard.load();
        drop(guard);
    }
    monitor.notify_one();
    monitor.notify_all();
}

fn use_lock<T: Element>(lock: &RwLock<'_, T>, whims: &Whims) {
    let soon = || Some(whims.0.load(Relaxed) + 20);
    for _ in 0..2 {
        let one = lock.try_read().ok();
        let two = lock.read_with(whims, soon()).ok();
        drop(lock.try_write());
        drop(lock.write_with(whims, soon()));
        drop((one, two));
        match lock.write_with(whims, soon()) {
            Ok(mut guard) | Err(LockError::OwnerDied(mut guard)) => {
                guard.update(|value| value);
                drop(guard.downgrade());
            }
            Err(_) => {}
        }
        if let Ok(mut guard) = lock.try_write() {
            guard.mark_consistent();
        }
    }
}

fn use_everything(region: Region<'_>, whims: &Whims) {
    for name in NAMES {
        let _ = Mutex::<u32>::open(region, name).map(|mutex| use_mutex(&mutex, whims));
        let _ = Mutex::<Block>::open(region, name).map(|mutex| use_mutex(&mutex, whims));
        let _ = Monitor::<u32>::open(region, name).map(|monitor| use_monitor(&monitor, whims));
        let _ = RwLock::<u32>::open(region, name).map(|lock| use_lock(&lock, whims));
        let _ = RwLock::<Block>::open(region, name).map(|lock| use_lock(&lock, whims));
        if let Ok(entry) = region.view().find(name) {
            let _ = region.view().inspect(&entry);
        }
    }
}

/// The region as a party with a neighbour's number, or none.
fn as_somebody<'a>(region: Region<'a>, whims: &'a Whims, random: &mut Random) -> Region<'a> {
    let region = if random.one_in(4) { region } else { region.with_notifier(whims) };
    match PartyId::new(random.below(4) as u32) {
        Some(me) => region.with_party(me, whims),
        None => region,
    }
}

/// Runs `case` for many seeds, with a watchdog, and checks the guards after each.
fn for_seeds(count: u64, case: impl Fn(&mut Random) -> Guarded) {
    let _watchdog = watchdog(Duration::from_secs(300), "hostile locks");
    let current = Cell::new(0);
    /// Says which seed it was, also when the case panics.
    struct Report<'a>(&'a Cell<u64>);
    impl Drop for Report<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the failing seed is {}", self.0.get());
            }
        }
    }
    let _report = Report(&current);
    for seed in 0..count {
        current.set(seed);
        let memory = case(&mut Random::new(seed));
        assert!(memory.is_intact(), "memory outside was written");
    }
}

#[test]
fn spoilt_before_opening() {
    for_seeds(1500, |random| {
        let (memory, whims) = (new_region(random), Whims::default());
        let targets = targets(&memory);
        for _ in 0..=random.below(12) {
            spoil(&memory, &targets, random);
        }
        if let Ok(region) = Region::open(memory.span()) {
            use_everything(as_somebody(region, &whims, random), &whims);
        }
        let _ = View::open(memory.span());
        memory
    });
}

#[test]
fn spoilt_while_open_and_while_held() {
    for_seeds(800, |random| {
        let (memory, whims) = (new_region(random), Whims::default());
        let targets = targets(&memory);
        {
            let region = Region::open(memory.span()).unwrap();
            let region = as_somebody(region, &whims, random);
            let mutex = Mutex::<u32>::open(region, "mutex").unwrap();
            let monitor = Monitor::<u32>::open(region, "monitor").unwrap();
            let lock = RwLock::<u32>::open(region, "lock").unwrap();
            let wide = RwLock::<Block>::open(region, "wide").unwrap();
            for _ in 0..4 {
                let held =
                    (mutex.try_lock(), monitor.try_lock(), lock.try_read(), wide.try_write());
                for _ in 0..=random.below(8) {
                    spoil(&memory, &targets, random);
                }
                use_lock(&lock, &whims);
                use_lock(&wide, &whims);
                drop(held);
                use_mutex(&mutex, &whims);
                use_monitor(&monitor, &whims);
                use_lock(&lock, &whims);
            }
        }
        memory
    });
}
