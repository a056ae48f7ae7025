//! Monitor: waiting and notifying, its errors, and a bounded buffer between threads.
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
    Array, Capability, FormatOptions, Geometry, Kind, LockError, Monitor, Mutex, Region,
    StructureError, TryLockError,
};

const SHORT: Duration = Duration::from_millis(20);

/// What is stored is there, whoever looks; the conditions agree with it.
fn agrees<T: Sample>(geometry: Geometry, shift: usize, numbers: &[u64]) {
    let clock = Sleeper::new();
    let mut memory = Memory::filled(2048, 0xA5).shifted(shift);
    let options = FormatOptions::new().max_entries(4).geometry(geometry);
    let region = memory.region(options).with_notifier(&clock);
    let monitor = Monitor::<T>::create(region, "monitor", T::nth(0)).unwrap();
    let other = Monitor::<T>::open(region, "monitor").unwrap();
    let guard_bytes = Array::<u8>::create(region, "guard", 8).unwrap();
    let mut value = T::nth(0);
    for (turn, number) in numbers.iter().enumerate() {
        let (here, there) = if turn % 2 == 0 { (&monitor, &other) } else { (&other, &monitor) };
        let mut guard = here.lock().unwrap();
        assert_eq!(guard.load(), value);
        assert!(matches!(there.try_lock(), Err(TryLockError::WouldBlock)));
        guard = here.wait_while(guard, |now| *now != value).unwrap();
        let (mut guard, waited) =
            here.wait_while_timeout(guard, |now| *now == value, Duration::ZERO).unwrap();
        assert!(waited.timed_out());
        value = T::nth(*number);
        guard.store(value);
        there.notify_all();
        let entry = region.view().find("monitor").unwrap();
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(1));
        drop(guard);
        there.notify_one();
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(0));
    }
    assert!(guard_bytes.iter().eq([0; 8]), "wrote beyond the monitor");
    let most = 2 * numbers.len();
    assert!(clock.wakes().len() <= most, "only where somebody had announced a wait");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_at_a_time_has_the_value(
        which in 0..TYPES,
        geometry in prop::sample::select(geometries()),
        shift in prop::sample::select(vec![0_usize, 8, 24, 64]),
        numbers in prop::collection::vec(0_u64..1000, 0..20),
    ) {
        for_type!(which, agrees(geometry, shift, &numbers));
    }
}

fn small(memory: &mut Memory) -> Region<'_> {
    memory.region(FormatOptions::new().max_entries(8))
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory);
    Monitor::<u32>::create(region, "monitor", 7).unwrap();
    Mutex::<u32>::create(region, "mutex", 7).unwrap();
    let error = |name| Monitor::<u32>::open(region, name).map(drop).unwrap_err();
    assert!(matches!(error("nothing"), StructureError::NotFound { .. }));
    assert!(matches!(
        error("mutex"),
        StructureError::WrongKind { expected: Kind::MONITOR, found: Kind::MUTEX, .. }
    ));
    let existing = Monitor::<u32>::open_or_create(region, "monitor", 9).unwrap();
    let guard = existing.try_lock().unwrap();
    assert_eq!(guard.load(), 7);
    assert!(matches!(existing.wait(guard), Err(LockError::NoWaiter)));
    // It was released, though.
    let guard = existing.try_lock().unwrap();
    assert!(matches!(existing.wait_timeout(guard, SHORT), Err(LockError::NoWaiter)));
    assert!(Monitor::<u32>::footprint(Geometry::default()).unwrap() >= 36);

    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    let refused = Monitor::<u32>::create(region, "monitor", 7).map(drop);
    assert_eq!(refused, Err(StructureError::NeedsCas { kind: Kind::MONITOR }));
}

#[test]
fn a_deadline_is_never_early() {
    let clock = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&clock);
    let monitor = Monitor::<u32>::create(region, "monitor", 0).unwrap();

    let start = Instant::now();
    let guard = monitor.lock().unwrap();
    let (guard, waited) = monitor.wait_while_timeout(guard, |n| *n == 0, SHORT).unwrap();
    assert!(waited.timed_out() && start.elapsed() >= SHORT);

    let start = Instant::now();
    let (mut guard, waited) = monitor.wait_timeout(guard, SHORT).unwrap();
    assert!(waited.timed_out() && start.elapsed() >= SHORT);

    guard.store(1);
    let (guard, waited) = monitor.wait_while_timeout(guard, |n| *n == 0, Duration::ZERO).unwrap();
    assert!(!waited.timed_out());
    // Nobody notifies; the value is looked at in between.
    assert_eq!(monitor.wait(guard).unwrap().load(), 1);
}

#[test]
fn nobody_is_woken_while_nobody_waits() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&sleeper);
    let monitor = Monitor::<u32>::create(region, "monitor", 0).unwrap();
    for _ in 0..100 {
        monitor.lock().unwrap().update(|n| n + 1);
        monitor.notify_one();
        monitor.notify_all();
    }
    assert_eq!((sleeper.wakes(), sleeper.sleeps()), (vec![], 0));
}

/// Nobody wakes by time here: a lost notification would hang the test.
#[test]
fn one_is_woken_by_one_notification_and_the_rest_by_another() {
    const WAITERS: u32 = 4;
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&sleeper);
    // How many may go, and how many have gone.
    let monitor = Monitor::<[u32; 2]>::create(region, "monitor", [0; 2]).unwrap();
    let gone = || monitor.lock().unwrap().load()[1];
    thread::scope(|scope| {
        for _ in 0..WAITERS {
            scope.spawn(|| {
                let guard = monitor.lock().unwrap();
                let mut guard = monitor.wait_while(guard, |[may, _]| *may == 0).unwrap();
                guard.update(|[may, gone]| [may - 1, gone + 1]);
            });
        }
        sleeper.until_asleep(WAITERS);
        monitor.lock().unwrap().store([1, 0]);
        monitor.notify_one();
        while gone() < 1 {
            thread::yield_now();
        }
        sleeper.until_asleep(WAITERS - 1);
        monitor.lock().unwrap().store([WAITERS - 1, 1]);
        monitor.notify_all();
    });
    assert_eq!(gone(), WAITERS);
}

#[test]
fn a_death_comes_out_of_waiting() {
    let (mortals, sleeper) = (Mortals::new(), Sleeper::new());
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory).with_notifier(&sleeper);
    let one = Monitor::<u32>::create(mortals.region(region, 1), "monitor", 0).unwrap();
    let two = Monitor::<u32>::open(mortals.region(region, 2), "monitor").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let guard = two.lock().unwrap();
            match two.wait_while(guard, |n| *n == 0) {
                Err(LockError::OwnerDied(mut guard)) => {
                    guard.mark_consistent();
                    guard.load()
                }
                other => panic!("{other:?}"),
            }
        });
        sleeper.until_asleep(1);
        let mut guard = one.lock().unwrap();
        guard.store(5);
        forget(guard);
        mortals.kill(1);
        assert_eq!(waiting.join().unwrap(), 5);
    });
    assert_eq!(two.try_lock().unwrap().load(), 5);
}

#[test]
fn the_value_can_be_changed_where_it_lies() {
    let mut memory = Memory::zeroed(4096);
    let region = small(&mut memory);
    let monitor = Monitor::<[u64; 3]>::create(region, "monitor", [1, 2, 3]).unwrap();
    let mut guard = monitor.try_lock().unwrap();
    // SAFETY: no other party has this memory.
    unsafe { guard.as_mut() }.unwrap()[1] = 5;
    // SAFETY: as above.
    assert_eq!(unsafe { guard.as_ref() }, Some(&[1, 5, 3]));
}
