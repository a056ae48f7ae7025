//! RwLock against a sequential model, its errors, its policy, and how it wakes.
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
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, Kind, LockError, Mutex, Region, RwLock,
    RwLockReadGuard, RwLockWriteGuard, Spin, StructureError, TryLockError,
};

const PARTIES: u32 = 6;
const SHORT: Duration = Duration::from_millis(20);

#[derive(Debug, Clone)]
enum Step {
    Read(u32),
    Write(u32),
    Store,
    Repair,
    Downgrade,
    Release(u32),
    Die(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let party = || 0..PARTIES;
    prop_oneof![
        6 => party().prop_map(Step::Read),
        4 => party().prop_map(Step::Write),
        2 => Just(Step::Store),
        1 => Just(Step::Repair),
        1 => Just(Step::Downgrade),
        8 => party().prop_map(Step::Release),
        1 => party().prop_map(Step::Die),
    ]
}

enum Has<'a, T: zeroipc_nostd::Element> {
    Nothing,
    Read(RwLockReadGuard<'a, T>),
    Write(RwLockWriteGuard<'a, T>),
}

/// What must be so.
struct Model<T> {
    value: T,
    /// A writer died and nobody has repaired the value; and: the one that writes has just done so.
    told: bool,
    repaired: bool,
    /// A dead writer that nobody has found yet, and how many such readers there are at most.
    dead_writer: bool,
    dead_readers: u32,
    readers: u32,
    writer: bool,
}

fn agrees<T: Sample>(geometry: Geometry, shift: usize, places: u32, steps: &[Step]) {
    let mortals = Mortals::new();
    let mut memory = Memory::filled(4096, 0xA5).shifted(shift);
    let region = memory.region(FormatOptions::new().max_entries(4).geometry(geometry));
    RwLock::<T>::create_with_readers(region, "lock", T::nth(0), places).unwrap();
    let guard_bytes = Array::<u8>::create(region, "guard", 8).unwrap();
    let handles: Vec<_> = (1..=PARTIES)
        .map(|party| RwLock::<T>::open(mortals.region(region, party), "lock").unwrap())
        .collect();
    assert_eq!(handles[0].readers(), places as usize);
    let mut has: Vec<Has<'_, T>> = (0..PARTIES).map(|_| Has::Nothing).collect();
    let mut dead = [false; PARTIES as usize];
    let mut model = Model {
        value: T::nth(0),
        told: false,
        repaired: false,
        dead_writer: false,
        dead_readers: 0,
        readers: 0,
        writer: false,
    };
    for (n, step) in steps.iter().enumerate() {
        match *step {
            Step::Read(party) | Step::Write(party)
                if dead[party as usize] || !matches!(has[party as usize], Has::Nothing) => {}
            Step::Read(party) => {
                let (guard, told) = match handles[party as usize].try_read() {
                    Ok(guard) => (Some(guard), false),
                    Err(TryLockError::OwnerDied(guard)) => (Some(guard), true),
                    Err(_) => (None, false),
                };
                let free = !model.writer && model.readers < places;
                assert_eq!(guard.is_some(), free);
                if !model.writer {
                    // Whoever looks clears the gate; the places only if none is free.
                    model.told |= std::mem::take(&mut model.dead_writer);
                }
                if let Some(guard) = guard {
                    assert_eq!((told, guard.is_inconsistent()), (model.told, model.told));
                    assert_eq!(guard.load(), model.value);
                    model.readers += 1;
                    has[party as usize] = Has::Read(guard);
                }
            }
            Step::Write(party) => {
                let (guard, told) = match handles[party as usize].try_write() {
                    Ok(guard) => (Some(guard), false),
                    Err(TryLockError::OwnerDied(guard)) => (Some(guard), true),
                    Err(_) => (None, false),
                };
                assert_eq!(guard.is_some(), !model.writer && model.readers == 0);
                if let Some(guard) = guard {
                    model.dead_readers = 0;
                    model.told |= std::mem::take(&mut model.dead_writer);
                    assert_eq!((told, guard.is_inconsistent()), (model.told, model.told));
                    assert_eq!(guard.load(), model.value);
                    model.writer = true;
                    has[party as usize] = Has::Write(guard);
                }
            }
            Step::Store | Step::Repair => {
                for has in &mut has {
                    if let Has::Write(guard) = has {
                        if matches!(step, Step::Store) {
                            model.value = T::nth(n as u64);
                            guard.store(model.value);
                        } else {
                            guard.mark_consistent();
                            model.repaired = true;
                        }
                    }
                }
            }
            Step::Downgrade => {
                for has in &mut has {
                    match std::mem::replace(has, Has::Nothing) {
                        Has::Write(guard) => {
                            let guard = guard.downgrade().unwrap();
                            model.told &= !std::mem::take(&mut model.repaired);
                            assert_eq!(guard.load(), model.value);
                            assert_eq!(guard.is_inconsistent(), model.told);
                            (model.writer, model.readers) = (false, 1);
                            *has = Has::Read(guard);
                        }
                        other => *has = other,
                    }
                }
            }
            Step::Release(party) => {
                match std::mem::replace(&mut has[party as usize], Has::Nothing) {
                    Has::Nothing => {}
                    Has::Read(_) => model.readers -= 1,
                    Has::Write(_) => {
                        model.writer = false;
                        model.told &= !std::mem::take(&mut model.repaired);
                    }
                }
            }
            Step::Die(party) => match std::mem::replace(&mut has[party as usize], Has::Nothing) {
                Has::Nothing => {}
                Has::Read(guard) => {
                    forget(guard);
                    mortals.kill(party + 1);
                    dead[party as usize] = true;
                    model.readers -= 1;
                    model.dead_readers += 1;
                }
                Has::Write(guard) => {
                    forget(guard);
                    mortals.kill(party + 1);
                    dead[party as usize] = true;
                    (model.writer, model.dead_writer, model.repaired) = (false, true, false);
                }
            },
        }
        let entry = region.view().find("lock").unwrap();
        let holders = model.readers + u32::from(model.writer || model.dead_writer);
        let fill = region.view().inspect(&entry).unwrap().fill.unwrap();
        // The dead whom nobody has found count, too.
        let most = u64::from(holders + model.dead_readers);
        assert!((u64::from(holders)..=most).contains(&fill), "{fill} not {holders} to {most}");
    }
    assert!(guard_bytes.iter().eq([0; 8]), "wrote beyond the lock");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn many_read_or_one_writes(
        which in 0..TYPES,
        geometry in prop::sample::select(geometries()),
        shift in prop::sample::select(vec![0_usize, 8, 24, 64]),
        places in 1_u32..=5,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        for_type!(which, agrees(geometry, shift, places, &steps));
    }
}

fn small(memory: &mut Memory) -> Region<'_> {
    memory.region(FormatOptions::new().max_entries(8))
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(8192);
    let region = small(&mut memory);
    RwLock::<u32>::create(region, "lock", 7).unwrap();
    Mutex::<u32>::create(region, "mutex", 7).unwrap();
    let error = |name| RwLock::<u32>::open(region, name).map(drop).unwrap_err();
    assert!(matches!(error("nothing"), StructureError::NotFound { .. }));
    assert!(matches!(
        error("mutex"),
        StructureError::WrongKind { expected: Kind::RWLOCK, found: Kind::MUTEX, .. }
    ));
    for readers in [0, 1025, u32::MAX] {
        let refused = RwLock::<u32>::create_with_readers(region, "none", 0, readers).map(drop);
        let capacity = u64::from(readers);
        assert_eq!(refused, Err(StructureError::BadCapacity { capacity, min: 1, max: 1024 }));
        assert_eq!(RwLock::<u32>::footprint(Geometry::default(), readers), None);
    }
    let existing = RwLock::<u32>::open_or_create(region, "lock", 9).unwrap();
    assert_eq!((existing.try_read().unwrap().load(), existing.readers()), (7, 16));
    assert!(matches!(existing.read(), Err(LockError::NoWaiter)));
    assert!(matches!(existing.write(), Err(LockError::NoWaiter)));
    static SPIN: Spin = Spin::new(|| 0);
    assert_eq!(existing.read_with(&SPIN, None).unwrap().load(), 7);
    assert_eq!(existing.write_with(&SPIN, None).unwrap().load(), 7);

    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    let refused = RwLock::<u32>::create(region, "lock", 7).map(drop);
    assert_eq!(refused, Err(StructureError::NeedsCas { kind: Kind::RWLOCK }));
}

#[test]
fn a_footprint_is_enough() {
    for geometry in geometries() {
        let bytes = RwLock::<[u32; 5]>::footprint(geometry, 3).unwrap();
        for shift in [0, 8, 40] {
            let mut memory = Memory::zeroed(4096).shifted(shift);
            let region = memory.region(FormatOptions::new().geometry(geometry));
            let before = region.view().next_offset();
            RwLock::<[u32; 5]>::create_with_readers(region, "lock", [0; 5], 3).unwrap();
            assert!(region.view().next_offset() - before <= bytes);
        }
    }
}

#[test]
fn the_value_can_be_seen_where_it_lies() {
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory);
    let lock = RwLock::<[u64; 3]>::create(region, "lock", [1, 2, 3]).unwrap();
    let mut guard = lock.try_write().unwrap();
    // SAFETY: no other party has this memory.
    unsafe { guard.as_mut() }.unwrap()[1] = 5;
    // SAFETY: as above.
    assert_eq!(unsafe { guard.as_ref() }, Some(&[1, 5, 3]));
    let guard = guard.downgrade().unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { guard.as_ref() }, Some(&[1, 5, 3]));
}

/// Runs `wait`, and checks that it did not end before `SHORT` had passed.
fn not_early<R>(wait: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = wait();
    assert!(start.elapsed() >= SHORT);
    result
}

#[test]
fn a_deadline_is_never_early() {
    let clock = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&clock);
    let lock = RwLock::<u32>::create_with_readers(region, "lock", 7, 1).unwrap();
    {
        let _writer = lock.write().unwrap();
        assert!(matches!(not_early(|| lock.read_timeout(SHORT)), Err(LockError::Timeout)));
        assert!(matches!(not_early(|| lock.write_timeout(SHORT)), Err(LockError::Timeout)));
    }
    {
        let _reader = lock.read().unwrap();
        // No place.
        assert!(matches!(not_early(|| lock.read_timeout(SHORT)), Err(LockError::Timeout)));
        assert!(matches!(not_early(|| lock.write_timeout(SHORT)), Err(LockError::Timeout)));
    }
    // Nobody left anything behind.
    assert_eq!(lock.read_timeout(Duration::ZERO).unwrap().load(), 7);
    assert_eq!(lock.write_timeout(Duration::ZERO).unwrap().load(), 7);
}

#[test]
fn nobody_is_woken_while_nobody_waits() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&sleeper);
    let lock = RwLock::<u32>::create(region, "lock", 0).unwrap();
    for n in 0..100 {
        assert_eq!(lock.read().unwrap().load(), n);
        lock.write().unwrap().store(n + 1);
    }
    assert_eq!((sleeper.wakes(), sleeper.sleeps()), (vec![], 0));
}

/// A writer that waits keeps new readers out, and lets those that wait in before the next writer. Nobody wakes by time.
#[test]
fn readers_and_writers_alternate() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&sleeper);
    let lock = RwLock::<u32>::create(region, "lock", 0).unwrap();
    let first = lock.read().unwrap();
    let reading = AtomicU32::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut guard = lock.write().unwrap();
            guard.store(1);
            // The readers and the other writer are asleep by now.
            sleeper.until_asleep(3);
        });
        sleeper.until_asleep(1);
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        for _ in 0..2 {
            scope.spawn(|| {
                let guard = lock.read().unwrap();
                assert_eq!(guard.load(), 1, "before the second writer");
                reading.fetch_add(1, SeqCst);
            });
        }
        sleeper.until_asleep(3);
        let second = scope.spawn(|| {
            let mut guard = lock.write().unwrap();
            assert_eq!(reading.load(SeqCst), 2);
            guard.store(2);
        });
        sleeper.until_asleep(4);
        drop(first);
        writer.join().unwrap();
        second.join().unwrap();
    });
    assert_eq!(lock.try_read().unwrap().load(), 2);
}

/// More readers than places, asleep for one.
#[test]
fn readers_wait_for_a_place() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&sleeper);
    let lock = RwLock::<u32>::create_with_readers(region, "lock", 7, 1).unwrap();
    let first = lock.read().unwrap();
    assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(lock.read().unwrap().load(), 7));
        }
        sleeper.until_asleep(3);
        drop(first);
    });
    // All may be reading places of those that wait: then a writer cannot go on reading.
    let writer = lock.write().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(lock.read().unwrap().load(), 7));
        sleeper.until_asleep(1);
        drop(writer.downgrade().unwrap_err());
    });
}

/// Deaths while others sleep: of a writer, found by a reader, and of a reader, found by a writer.
#[test]
fn sleepers_find_the_dead() {
    let (mortals, sleeper) = (Mortals::new(), Sleeper::new());
    let mut memory = Memory::zeroed(8192);
    let region = small(&mut memory).with_notifier(&sleeper);
    let [one, two, three] = [1, 2, 3].map(|party| {
        RwLock::<u32>::open_or_create(mortals.region(region, party), "lock", 0).unwrap()
    });
    forget(one.write().unwrap());
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let guard = two.read().unwrap_err().into_guard().unwrap();
            assert!(guard.is_inconsistent());
            forget(guard);
        });
        sleeper.until_asleep(1);
        mortals.kill(1);
        reader.join().unwrap();
        let writer = scope.spawn(|| {
            let mut guard = three.write().unwrap_err().into_guard().unwrap();
            guard.mark_consistent();
        });
        sleeper.until_asleep(1);
        mortals.kill(2);
        writer.join().unwrap();
    });
    assert_eq!(three.try_read().unwrap().load(), 0);
}

#[test]
fn threads_see_whole_values() {
    const EACH: u64 = 3000;
    for places in [1, 2, 16] {
        let sleeper = Sleeper::deep();
        let mut memory = Memory::zeroed(4096);
        let region = small(&mut memory).with_notifier(&sleeper);
        let lock = RwLock::<[u64; 4]>::create_with_readers(region, "lock", [0; 4], places).unwrap();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        lock.write().unwrap().update(|value| value.map(|n| n + 1));
                    }
                });
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 2 * EACH {
                        let value = lock.read().unwrap().load();
                        assert!(value == [value[0]; 4] && value[0] >= last);
                        last = value[0];
                    }
                });
            }
        });
        assert_eq!(lock.try_write().unwrap().load(), [2 * EACH; 4]);
    }
}
