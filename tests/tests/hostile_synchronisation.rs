//! Hostile peers of Semaphore, Event, Latch, Barrier and Once: whatever stands there, nothing panics, hangs, or touches
//! memory outside. A failing case names its seed.

use std::time::Duration;
use zeroipc_nostd::{
    Barrier, Capability, Event, EventMode, FormatOptions, Geometry, Latch, Liveness, Once, PartyId,
    Region, Semaphore, Spin, View, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

const NAMES: [&str; 7] = ["permits", "manual", "automatic", "latch", "parties", "barrier", "once"];
static SPIN: Spin = Spin::new(|| 0);

/// Odd numbers are dead.
#[derive(Debug)]
struct Odd;

impl Liveness for Odd {
    fn is_dead(&self, party: PartyId) -> bool {
        party.number() & 1 != 0
    }
}

fn create(memory: &Guarded, random: &mut Random) {
    let word = random.pick(&[WordSize::Four, WordSize::Eight]);
    let line = random.pick(&[8, 16, 32, 64, 128]);
    let cas = !random.one_in(6);
    let options = FormatOptions::new()
        .geometry(Geometry::new(word, line).unwrap())
        .capability(if cas { Capability::Cas } else { Capability::LoadStore })
        .max_entries(8);
    let region = Region::create(memory.span(), &options).unwrap();
    Latch::create_for_parties(region, "parties", 3, 2).unwrap();
    if cas {
        Semaphore::create(region, "permits", 1, 3).unwrap();
        Event::create(region, "manual", EventMode::Manual).unwrap();
        Event::create(region, "automatic", EventMode::Automatic).unwrap();
        Latch::create(region, "latch", 3).unwrap();
        Barrier::create(region, "barrier", 3).unwrap();
        Once::create(region, "once").unwrap();
    }
}

fn spoil(memory: &Guarded, random: &mut Random) {
    let from = Region::open(memory.span()).map_or(0, |region| region.view().heap_offset() as usize);
    let at = from + random.below((memory.len() - from) as u64) as usize;
    let bits = random.bits();
    let value = random.pick(&[0, 1, 2, 3, 5, 255, 256, 257, u32::MAX, u32::MAX / 2, bits as u32]);
    match random.below(3) {
        0 => memory.flip(at, random.below(8) as u32),
        1 => memory.write_u32(at, value),
        _ => memory.write_u64(at, bits),
    }
}

/// Opens each under each name, with a notifier and a number.
fn with_all(memory: &Guarded, mut each: impl FnMut(Region<'_>, &str)) {
    if let Ok(view) = View::open(memory.span()) {
        for entry in view.entries().flatten() {
            let _ = view.inspect(&entry);
        }
    }
    let Ok(region) = Region::open(memory.span()) else { return };
    let region = region.with_notifier(&SPIN).with_party(PartyId::new(2).unwrap(), &Odd);
    NAMES.iter().for_each(|name| each(region, name));
}

fn use_all(memory: &Guarded) {
    with_all(memory, |region, name| {
        if let Ok(semaphore) = Semaphore::open(region, name) {
            use_semaphore(semaphore);
        }
        if let Ok(event) = Event::open(region, name) {
            use_event(event);
        }
        if let Ok(latch) = Latch::open(region, name) {
            use_latch(latch);
        }
        if let Ok(barrier) = Barrier::open(region, name) {
            use_barrier(barrier);
        }
        if let Ok(once) = Once::open(region, name) {
            use_once(once);
        }
    });
}

fn use_semaphore(semaphore: Semaphore<'_>) {
    assert!(semaphore.available() <= semaphore.max());
    let _ = semaphore.release();
    let _ = semaphore.release_many(u32::MAX);
    let first = semaphore.try_acquire();
    let _ = semaphore.try_acquire_many(semaphore.max());
    let _ = semaphore.acquire_with(&SPIN, Some(0));
    drop(first);
}

fn use_event(event: Event<'_>) {
    let _ = (event.try_wait(), event.reset(), event.wait_with(&SPIN, Some(0)));
    event.set();
    let _ = (event.is_set(), event.try_wait());
}

fn use_latch(latch: Latch<'_>) {
    let _ = (latch.count_down(), latch.remaining(), latch.is_done());
    let _ = latch.wait_with(&SPIN, Some(0));
    for index in 0..latch.parties().min(4) {
        let Ok(mut party) = latch.party(index).or_else(|_| latch.take_over_party(index)) else {
            continue;
        };
        let _ = (party.count_down(), party.count_down_by(7));
    }
    let _ = latch.count_down_by(2);
}

fn use_barrier(barrier: Barrier<'_>) {
    let _ = barrier.wait_with(&SPIN, Some(0));
    if let Ok(mut participant) = barrier.join() {
        let _ = participant.wait_with(&SPIN, Some(0));
    }
}

fn use_once(once: Once<'_>) {
    drop(once.try_begin());
    let _ = once.call_once_with(&SPIN, Some(0), |_| ());
    let _ = (once.try_call_once(|_| ()), once.is_completed());
}

#[test]
fn spoilt_before_opening_and_while_open() {
    let _watchdog = watchdog(Duration::from_secs(300), "hostile synchronisation");
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let memory = Guarded::new(4096);
        create(&memory, &mut random);
        for _ in 0..random.below(8) {
            spoil(&memory, &mut random);
        }
        use_all(&memory);
        // Spoilt between opening and use: handles keep what they checked.
        with_all(&memory, |region, name| {
            let (semaphore, latch) = (Semaphore::open(region, name), Latch::open(region, name));
            let (barrier, once) = (Barrier::open(region, name), Once::open(region, name));
            let event = Event::open(region, name);
            (0..20).for_each(|_| spoil(&memory, &mut random));
            semaphore.into_iter().for_each(use_semaphore);
            latch.into_iter().for_each(use_latch);
            barrier.into_iter().for_each(use_barrier);
            once.into_iter().for_each(use_once);
            event.into_iter().for_each(use_event);
        });
        use_all(&memory);
        assert!(memory.is_intact(), "memory outside was written with seed {seed}");
    }
}
