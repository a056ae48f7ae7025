//! Mutex against a sequential model, its errors, and how it wakes.
#![cfg(not(loom))]

#[macro_use]
mod elements;
mod memory;
mod mortals;
mod sleeper;

use elements::{Sample, TYPES};
use memory::{geometries, Memory};
use mortals::Mortals;
use proptest::prelude::*;
use sleeper::Sleeper;
use std::mem::forget;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, Kind, LockError, Monitor, Mutex, MutexGuard,
    Region, Spin, StructureError, TryLockError, WordSize,
};

const PARTIES: u32 = 6;
const SHORT: Duration = Duration::from_millis(20);

#[derive(Debug, Clone)]
enum Step {
    Take(u32),
    Store,
    Repair,
    Release,
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..PARTIES).prop_map(Step::Take),
        3 => Just(Step::Store),
        1 => Just(Step::Repair),
        4 => Just(Step::Release),
        1 => Just(Step::Die),
    ]
}

fn agrees<T: Sample>(geometry: Geometry, shift: usize, steps: &[Step]) {
    let mortals = Mortals::new();
    let mut memory = Memory::filled(2048, 0xA5).shifted(shift);
    let region = memory.region(FormatOptions::new().max_entries(4).geometry(geometry));
    Mutex::<T>::create(region, "mutex", T::nth(0)).unwrap();
    let guard_bytes = Array::<u8>::create(region, "guard", 8).unwrap();
    let handles: Vec<_> = (1..=PARTIES)
        .map(|party| Mutex::<T>::open(mortals.region(region, party), "mutex").unwrap())
        .collect();

    let mut dead = [false; PARTIES as usize];
    let mut held: Option<(u32, MutexGuard<'_, T>)> = None;
    let (mut value, mut told, mut repaired, mut orphan) = (T::nth(0), false, false, false);
    for (n, step) in steps.iter().enumerate() {
        match *step {
            Step::Take(party) if !dead[party as usize] => {
                match handles[party as usize].try_lock() {
                    Ok(guard) => {
                        assert!(held.is_none() && !orphan && !told);
                        held = Some((party, guard));
                    }
                    Err(TryLockError::OwnerDied(guard)) => {
                        assert!(held.is_none() && (orphan || told));
                        (orphan, told) = (false, true);
                        held = Some((party, guard));
                    }
                    Err(_) => assert!(held.is_some()),
                }
                let guard = &held.as_ref().unwrap().1;
                assert_eq!(guard.load(), value);
                assert_eq!(guard.is_inconsistent(), told && !repaired);
            }
            Step::Take(_) => {}
            Step::Store => {
                if let Some((_, guard)) = &mut held {
                    value = T::nth(n as u64);
                    guard.store(value);
                }
            }
            Step::Repair => {
                if let Some((_, guard)) = &mut held {
                    guard.mark_consistent();
                    repaired = true;
                }
            }
            Step::Release => {
                if held.take().is_some() {
                    told &= !repaired;
                    repaired = false;
                }
            }
            Step::Die => {
                if let Some((party, guard)) = held.take() {
                    forget(guard);
                    mortals.kill(party + 1);
                    dead[party as usize] = true;
                    (orphan, repaired) = (true, false);
                }
            }
        }
        let entry = region.view().find("mutex").unwrap();
        let owners = u64::from(held.is_some() || orphan);
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(owners));
    }
    assert!(guard_bytes.iter().eq([0; 8]), "wrote beyond the mutex");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_at_a_time_has_the_value(
        which in 0..TYPES,
        geometry in prop::sample::select(geometries()),
        shift in prop::sample::select(vec![0_usize, 8, 24, 64]),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        for_type!(which, agrees(geometry, shift, &steps));
    }
}

fn small(memory: &mut Memory) -> Region<'_> {
    memory.region(FormatOptions::new().max_entries(8))
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory);
    let error = |name| Mutex::<u32>::open(region, name).map(drop).unwrap_err();
    Mutex::<u32>::create(region, "mutex", 7).unwrap();
    Monitor::<u32>::create(region, "monitor", 7).unwrap();
    assert!(matches!(error("nothing"), StructureError::NotFound { .. }));
    assert!(matches!(
        error("monitor"),
        StructureError::WrongKind { expected: Kind::MUTEX, found: Kind::MONITOR, .. }
    ));
    let again = Mutex::<u32>::create(region, "mutex", 8).map(drop);
    assert!(matches!(again, Err(StructureError::Exists { .. })));
    let wide = Mutex::<u64>::open(region, "mutex").map(drop);
    assert!(matches!(wide, Err(StructureError::WrongElementSize { expected: 8, found: 4, .. })));
    let nothing = Mutex::<[u8; 0]>::create(region, "empty", []).map(drop);
    assert_eq!(nothing, Err(StructureError::ZeroSizedElement));
    let existing = Mutex::<u32>::open_or_create(region, "mutex", 9).unwrap();
    assert_eq!(existing.try_lock().unwrap().load(), 7);
    let fresh = Mutex::<u32>::open_or_create(region, "fresh", 9).unwrap();
    assert_eq!(fresh.try_lock().unwrap().load(), 9);

    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    let refused = Mutex::<u32>::create(region, "mutex", 7).map(drop);
    assert_eq!(refused, Err(StructureError::NeedsCas { kind: Kind::MUTEX }));
}

#[test]
fn a_footprint_is_enough() {
    for geometry in geometries() {
        let bytes = Mutex::<[u32; 5]>::footprint(geometry).unwrap();
        for shift in [0, 8, 40] {
            let mut memory = Memory::zeroed(4096).shifted(shift);
            let region = memory.region(FormatOptions::new().geometry(geometry));
            let before = region.view().next_offset();
            Mutex::<[u32; 5]>::create(region, "mutex", [0; 5]).unwrap();
            assert!(region.view().next_offset() - before <= bytes);
        }
    }
    assert_eq!(Mutex::<[u8; 0]>::footprint(Geometry::default()), None);
}

#[test]
fn the_value_can_be_changed_where_it_lies() {
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory);
    let mutex = Mutex::<[u64; 3]>::create(region, "mutex", [1, 2, 3]).unwrap();
    let mut guard = mutex.try_lock().unwrap();
    // SAFETY: no other party has this memory.
    let value = unsafe { guard.as_mut() }.unwrap();
    value[1] = 5;
    assert_eq!(guard.load(), [1, 5, 3]);
    // SAFETY: as above.
    assert_eq!(unsafe { guard.as_ref() }, Some(&[1, 5, 3]));
}

/// The number that stands for all parties without one is never asked about.
#[test]
fn a_party_without_a_number_is_never_dead() {
    let mortals = Mortals::new();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory);
    let mutex = Mutex::<u32>::create(region, "mutex", 0).unwrap();
    forget(mutex.try_lock().unwrap());
    let other = Mutex::<u32>::open(mortals.region(region, 1), "mutex").unwrap();
    assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    assert_eq!(mortals.asked(), 0);
}

/// Somebody was wrong about a death: the one taken for dead leaves the lock to its successor.
#[test]
fn who_was_taken_over_does_not_unlock_the_successor() {
    let mortals = Mortals::new();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory);
    let [one, two, three] = [1, 2, 3].map(|party| {
        Mutex::<u32>::open_or_create(mortals.region(region, party), "mutex", 0).unwrap()
    });
    let first = one.try_lock().unwrap();
    mortals.kill(1);
    let second = two.try_lock().unwrap_err().into_guard().unwrap();
    drop(first);
    assert!(matches!(three.try_lock(), Err(TryLockError::WouldBlock)));
    drop(second);
    assert!(matches!(three.try_lock(), Err(TryLockError::OwnerDied(_))));
}

#[test]
fn a_deadline_is_never_early() {
    let clock = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory);
    let mutex = Mutex::<u32>::create(region.with_notifier(&clock), "mutex", 0).unwrap();
    let held = mutex.try_lock().unwrap();
    let start = Instant::now();
    assert!(matches!(mutex.lock_timeout(SHORT), Err(LockError::Timeout)));
    assert!(start.elapsed() >= SHORT);
    drop(held);
    assert_eq!(mutex.lock_timeout(Duration::ZERO).unwrap().load(), 0);
    assert_eq!(mutex.lock_timeout(Duration::MAX).unwrap().load(), 0);

    let silent = Mutex::<u32>::open(region, "mutex").unwrap();
    assert!(matches!(silent.lock(), Err(LockError::NoWaiter)));
    assert!(matches!(silent.lock_timeout(SHORT), Err(LockError::NoWaiter)));
    static SPIN: Spin = Spin::new(|| 0);
    assert_eq!(silent.lock_with(&SPIN, None).unwrap().load(), 0);
}

/// A timeout too short for sleeping still asks.
#[test]
fn a_dead_owner_is_found_before_a_timeout() {
    let (mortals, sleeper) = (Mortals::new(), Sleeper::new());
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&sleeper);
    let one = Mutex::<u32>::create(mortals.region(region, 1), "mutex", 0).unwrap();
    let two = Mutex::<u32>::open(mortals.region(region, 2), "mutex").unwrap();
    forget(one.try_lock().unwrap());
    assert!(matches!(two.lock_timeout(Duration::ZERO), Err(LockError::Timeout)));
    mortals.kill(1);
    let guard = two.lock_timeout(Duration::ZERO).unwrap_err().into_guard().unwrap();
    drop(guard);
    assert!(matches!(two.lock(), Err(LockError::OwnerDied(_))));
}

/// The owner dies while another sleeps: it finds out by itself.
#[test]
fn a_sleeper_finds_the_owner_dead() {
    let (mortals, sleeper) = (Mortals::new(), Sleeper::new());
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&sleeper);
    let one = Mutex::<u32>::create(mortals.region(region, 1), "mutex", 0).unwrap();
    let two = Mutex::<u32>::open(mortals.region(region, 2), "mutex").unwrap();
    forget(one.try_lock().unwrap());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| matches!(two.lock(), Err(LockError::OwnerDied(_))));
        sleeper.until_asleep(1);
        mortals.kill(1);
        assert!(waiting.join().unwrap());
    });
}

#[test]
fn nobody_is_woken_while_nobody_waits() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&sleeper);
    let mutex = Mutex::<u32>::create(region, "mutex", 0).unwrap();
    for n in 0..100 {
        let mut guard = mutex.lock().unwrap();
        assert_eq!(guard.load(), n);
        guard.store(n + 1);
    }
    assert_eq!((sleeper.wakes(), sleeper.sleeps()), (vec![], 0));
}

/// Nobody wakes by time here: a lost wake-up would hang the test. Each release wakes one.
#[test]
fn sleepers_are_woken_one_by_one() {
    const SLEEPERS: u32 = 4;
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&sleeper);
    let mutex = Mutex::<u32>::create(region, "mutex", 0).unwrap();
    let held = mutex.lock().unwrap();
    thread::scope(|scope| {
        for _ in 0..SLEEPERS {
            scope.spawn(|| mutex.lock().unwrap().update(|n| n + 1));
        }
        sleeper.until_asleep(SLEEPERS);
        drop(held);
    });
    assert_eq!(mutex.try_lock().unwrap().load(), SLEEPERS);
    assert!(sleeper.wakes().iter().all(|count| *count == 1));
    assert_eq!(sleeper.woken(), SLEEPERS);
}

#[test]
fn threads_take_turns() {
    const EACH: u64 = 5000;
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let region = memory.region(FormatOptions::new().geometry(geometry)).with_notifier(&sleeper);
    Mutex::<[u64; 4]>::create(region, "mutex", [0; 4]).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mutex = Mutex::<[u64; 4]>::open(region, "mutex").unwrap();
                for _ in 0..EACH {
                    let mut guard = mutex.lock().unwrap();
                    let value = guard.load();
                    assert_eq!(value, [value[0]; 4]);
                    guard.store(value.map(|n| n + 1));
                }
            });
        }
    });
    let mutex = Mutex::<[u64; 4]>::open(region, "mutex").unwrap();
    assert_eq!(mutex.try_lock().unwrap().load(), [4 * EACH; 4]);
}
