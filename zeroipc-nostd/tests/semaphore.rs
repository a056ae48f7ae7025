//! Semaphore against a number, its waits, and what it refuses.
#![cfg(not(loom))]

mod memory;
mod sleeper;

use memory::{geometries, Memory};
use proptest::prelude::*;
use sleeper::Sleeper;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    AcquireError, Capability, FormatOptions, Geometry, Kind, Permit, Region, ReleaseError,
    Semaphore, StructureError, TryAcquireError,
};

#[derive(Debug, Clone)]
enum Step {
    Acquire(u32),
    Drop(usize),
    Forget(usize),
    Release(u32),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6_u32).prop_map(Step::Acquire),
        3 => any::<usize>().prop_map(Step::Drop),
        2 => any::<usize>().prop_map(Step::Forget),
        3 => (0..5_u32).prop_map(Step::Release),
        1 => Just(Step::Reopen),
    ]
}

fn agrees(geometry: Geometry, permits: u32, max: u32, steps: &[Step]) {
    let mut memory = Memory::filled(2048, 0xA5).shifted(8);
    let span = memory.span();
    let region = Region::create(span, &FormatOptions::new().geometry(geometry)).unwrap();
    let before = region.view().next_offset();
    let mut semaphore = Semaphore::create(region, "permits", permits, max).unwrap();
    let taken = region.view().next_offset() - before;
    assert!(taken <= Semaphore::footprint(geometry).unwrap());
    let mut model = permits;
    let mut held: Vec<Permit<'_>> = Vec::new();
    for step in steps {
        match *step {
            Step::Acquire(count) => match semaphore.try_acquire_many(count) {
                Ok(permit) => {
                    assert!(count <= model);
                    model -= count;
                    assert_eq!(permit.count(), count);
                    held.push(permit);
                }
                Err(TryAcquireError::AboveMax { max: most }) => {
                    assert!(count > max && most == max);
                }
                Err(error) => {
                    assert_eq!(error, TryAcquireError::NoPermits);
                    assert!(count > model);
                }
            },
            Step::Drop(which) if !held.is_empty() => {
                let permit = held.swap_remove(which % held.len());
                // Above the maximum nothing is given back: somebody released too much before.
                model = model.checked_add(permit.count()).filter(|n| *n <= max).unwrap_or(model);
            }
            Step::Forget(which) if !held.is_empty() => {
                held.swap_remove(which % held.len()).forget();
            }
            Step::Drop(_) | Step::Forget(_) => {}
            Step::Release(count) => match semaphore.release_many(count) {
                Ok(()) => {
                    model += count;
                    assert!(model <= max);
                }
                Err(error) => {
                    assert_eq!(error, ReleaseError::AboveMax { max });
                    assert!(model + count > max);
                }
            },
            Step::Reopen => {
                semaphore = Semaphore::open(Region::open(span).unwrap(), "permits").unwrap();
            }
        }
        assert_eq!((semaphore.available(), semaphore.max()), (model, max));
        let view = region.view();
        let info = view.inspect(&view.find("permits").unwrap()).unwrap();
        assert_eq!((info.fill, info.capacity), (Some(u64::from(model)), u64::from(max)));
    }
    held.into_iter().for_each(Permit::forget);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_semaphore_is_a_number(
        geometry in prop::sample::select(geometries()),
        (max, permits) in (1..6_u32).prop_flat_map(|max| (Just(max), 0..=max)),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        agrees(geometry, permits, max, &steps);
    }
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    for (permits, max) in [(0, 0), (2, 1), (u32::MAX, 7)] {
        let refused = Semaphore::create(region, "permits", permits, max).unwrap_err();
        assert!(matches!(refused, StructureError::BadCapacity { .. }), "{refused}");
    }
    let all = Semaphore::create(region, "permits", u32::MAX, u32::MAX).unwrap();
    assert_eq!(all.release(), Err(ReleaseError::AboveMax { max: u32::MAX }));
    assert_eq!(all.acquire().unwrap_err(), AcquireError::NoWaiter);
    assert!(matches!(
        Semaphore::open_or_create(region, "permits", 1, 2),
        Err(StructureError::WrongCapacity { expected: 2, .. })
    ));
    assert_eq!(Semaphore::open_or_create(region, "new", 1, 2).unwrap().available(), 1);
    assert!(matches!(
        zeroipc_nostd::Once::open(region, "permits"),
        Err(StructureError::WrongKind { found: Kind::SEMAPHORE, .. })
    ));
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    assert_eq!(
        Semaphore::create(region, "permits", 1, 1).unwrap_err(),
        StructureError::NeedsCas { kind: Kind::SEMAPHORE }
    );
}

#[test]
fn a_timeout_is_never_early() {
    const SHORT: Duration = Duration::from_millis(50);
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let semaphore = Semaphore::create(region, "permits", 1, 2).unwrap();
    let start = Instant::now();
    assert_eq!(
        semaphore.acquire_many_timeout(2, SHORT).unwrap_err(),
        AcquireError::Timeout,
        "there is one"
    );
    assert!(start.elapsed() >= SHORT);
    let permit = semaphore.acquire_timeout(Duration::ZERO).unwrap();
    let start = Instant::now();
    assert_eq!(semaphore.acquire_timeout(SHORT).unwrap_err(), AcquireError::Timeout);
    assert!(start.elapsed() >= SHORT);
    assert_eq!(
        semaphore.acquire_many_timeout(3, SHORT).unwrap_err(),
        AcquireError::AboveMax { max: 2 }
    );
    drop(permit);
    assert_eq!(semaphore.available(), 1);
}

/// A release wakes no more than it released, and nobody while nobody sleeps.
#[test]
fn no_herd() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let semaphore = Semaphore::create(region, "permits", 0, 8).unwrap();
    semaphore.release_many(8).unwrap();
    drop(semaphore.try_acquire_many(8).unwrap());
    semaphore.try_acquire_many(8).unwrap().forget();
    assert_eq!(sleeper.wakes(), []);
    thread::scope(|scope| {
        let waiting = [(); 5].map(|()| scope.spawn(move || semaphore.acquire().unwrap().forget()));
        sleeper.until_asleep(5);
        semaphore.release_many(2).unwrap();
        assert_eq!((sleeper.wakes(), sleeper.woken()), (vec![2], 2));
        semaphore.release_many(3).unwrap();
        assert_eq!(sleeper.wakes(), [3]);
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(semaphore.available(), 0);
}

#[test]
fn one_that_needs_two_does_not_eat_the_wake_up_of_another() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let semaphore = Semaphore::create(region, "permits", 0, 8).unwrap();
    thread::scope(|scope| {
        let many = scope.spawn(move || semaphore.acquire_many(4).unwrap().forget());
        sleeper.until_asleep(1);
        let one = scope.spawn(move || semaphore.acquire().unwrap().forget());
        sleeper.until_asleep(2);
        semaphore.release().unwrap();
        one.join().unwrap();
        semaphore.release_many(3).unwrap();
        semaphore.release().unwrap();
        many.join().unwrap();
    });
    assert_eq!(semaphore.available(), 0);
}

#[test]
fn threads_never_hold_more_than_there_are() {
    const MAX: u32 = 3;
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let semaphore = Semaphore::create(region, "permits", MAX, MAX).unwrap();
    let held = AtomicU32::new(0);
    thread::scope(|scope| {
        for count in [1, 1, 2, 3] {
            let held = &held;
            scope.spawn(move || {
                for _ in 0..2000 {
                    let permit = semaphore.acquire_many(count).unwrap();
                    assert!(held.fetch_add(count, SeqCst) + count <= MAX);
                    held.fetch_sub(count, SeqCst);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(semaphore.available(), MAX);
}
