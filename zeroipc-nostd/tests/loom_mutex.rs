//! Models of the Mutex: one at a time, nobody sleeps for ever, and the death of an owner is told to exactly one.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release -p zeroipc-nostd --test loom_mutex`. Preemptions are bounded as each
//! model says; the bound can be raised by `LOOM_MAX_PREEMPTIONS`. The value lies in a loom cell: two parties in it at once
//! are found even if they do no harm.
#![cfg(loom)]

mod mortal_kernel;

use mortal_kernel::{bounded, party, Kernel};
use std::mem::forget;
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{
    FormatOptions, Geometry, LockError, Mutex, MutexGuard, Region, TryLockError, WordSize,
};

fn memory() -> Arc<Slab> {
    let slab = Arc::new(Slab::new(512));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(1).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    Mutex::<u32>::create(region, "mutex", 0).unwrap();
    slab
}

fn mutex(region: Region<'_>) -> Mutex<'_, u32> {
    unexplored(|| Mutex::open(region, "mutex").unwrap())
}

/// The value at the end, when all parties are done.
fn value(slab: &Slab) -> u32 {
    mutex(Region::open(slab.span()).unwrap()).try_lock().unwrap().load()
}

fn add(guard: &mut MutexGuard<'_, u32>, amount: u32) {
    guard.update(|value| value + amount);
}

#[test]
fn two_parties_take_turns() {
    bounded(4).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let parties = [1, 2].map(|number| {
            party(&slab, &kernel, number, |region, _| {
                for _ in 0..2 {
                    add(&mut mutex(region).lock().unwrap(), 1);
                }
            })
        });
        parties.into_iter().for_each(|party| party.join().unwrap());
        assert_eq!(value(&slab), 4);
    });
}

#[test]
fn three_parties_take_turns() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let parties = [1, 2, 3].map(|number| {
            party(&slab, &kernel, number, |region, _| add(&mut mutex(region).lock().unwrap(), 1))
        });
        parties.into_iter().for_each(|party| party.join().unwrap());
        assert_eq!(value(&slab), 3);
    });
}

#[test]
fn who_does_not_wait_gets_it_or_not() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let parties = [1, 2, 3].map(|number| {
            party(&slab, &kernel, number, |region, _| match mutex(region).try_lock() {
                Ok(mut guard) => {
                    add(&mut guard, 1);
                    1
                }
                Err(TryLockError::WouldBlock) => 0,
                Err(error) => panic!("{error}"),
            })
        });
        let taken = parties.map(|party| party.join().unwrap()).into_iter().sum::<u32>();
        assert!(taken >= 1);
        assert_eq!(value(&slab), taken);
    });
}

/// One that gives up may have been woken: what it leaves behind wakes the other.
#[test]
fn a_sleeper_that_gives_up_costs_nobody_the_wake_up() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let owner =
            party(&slab, &kernel, 1, |region, _| add(&mut mutex(region).lock().unwrap(), 1));
        let hasty = party(&slab, &kernel, 2, |region, kernel| {
            match mutex(region).lock_with(kernel, Some(0)) {
                Ok(mut guard) => {
                    add(&mut guard, 1);
                    1
                }
                Err(LockError::Timeout) => 0,
                Err(error) => panic!("{error}"),
            }
        });
        let patient =
            party(&slab, &kernel, 3, |region, _| add(&mut mutex(region).lock().unwrap(), 1));
        owner.join().unwrap();
        patient.join().unwrap();
        let taken = hasty.join().unwrap();
        assert_eq!(value(&slab), 2 + taken);
    });
}

/// The same after a sleep, while the owner comes again.
#[test]
fn a_woken_sleeper_that_gives_up_costs_nobody_the_wake_up() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let owner = party(&slab, &kernel, 1, |region, _| {
            let mutex = mutex(region);
            drop(mutex.lock().unwrap());
            drop(mutex.lock().unwrap());
        });
        let hasty = party(&slab, &kernel, 2, |region, kernel| {
            let mutex = mutex(region);
            drop(mutex.lock_with(kernel, Some(1)));
        });
        let patient = party(&slab, &kernel, 3, |region, _| drop(mutex(region).lock().unwrap()));
        owner.join().unwrap();
        hasty.join().unwrap();
        patient.join().unwrap();
    });
}

/// Takes the lock, begins to write, and dies.
fn dies_with_it(region: Region<'_>, kernel: &Kernel, number: u32) -> u32 {
    let mutex = mutex(region);
    let (mut guard, told) = match mutex.lock() {
        Ok(guard) => (guard, 0),
        Err(error) => (error.into_guard().unwrap(), 1),
    };
    add(&mut guard, 10);
    forget(guard);
    kernel.dies(number);
    told
}

/// Takes the lock; what was told to it, it repairs.
fn repairs(region: Region<'_>) -> u32 {
    match mutex(region).lock() {
        Ok(mut guard) => {
            add(&mut guard, 1);
            0
        }
        Err(LockError::OwnerDied(mut guard)) => {
            assert!(guard.is_inconsistent());
            add(&mut guard, 1);
            guard.mark_consistent();
            1
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn one_of_two_waiters_is_told_of_a_death() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let victim = party(&slab, &kernel, 1, |region, kernel| dies_with_it(region, kernel, 1));
        let waiters =
            [2, 3].map(|number| party(&slab, &kernel, number, |region, _| repairs(region)));
        assert_eq!(victim.join().unwrap(), 0);
        let told = waiters.map(|party| party.join().unwrap()).into_iter().sum::<u32>();
        let left = u32::from(mutex(Region::open(slab.span()).unwrap()).try_lock().is_err());
        // If it came last, it is still the owner in the end.
        assert_eq!(told + left, 1);
    });
}

#[test]
fn each_of_two_deaths_is_told_once() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let victims = [1, 2].map(|number| {
            party(&slab, &kernel, number, move |region, kernel| {
                dies_with_it(region, kernel, number)
            })
        });
        let told = victims.map(|party| party.join().unwrap()).into_iter().sum::<u32>();
        let survivor = party(&slab, &kernel, 3, |region, _| repairs(region));
        assert_eq!((told, survivor.join().unwrap()), (1, 1));
        assert_eq!(value(&slab), 21);
    });
}

/// One after the other finds it inconsistent; the third is told because the second did not repair it.
#[test]
fn who_does_not_wait_takes_over_once() {
    bounded(4).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        party(&slab, &kernel, 1, |region, kernel| dies_with_it(region, kernel, 1)).join().unwrap();
        let heirs = [2, 3].map(|number| {
            party(&slab, &kernel, number, |region, _| match mutex(region).try_lock() {
                Ok(_) => panic!("nobody has repaired it"),
                Err(TryLockError::OwnerDied(mut guard)) => {
                    add(&mut guard, 1);
                    1
                }
                Err(_) => 0,
            })
        });
        let told = heirs.map(|party| party.join().unwrap()).into_iter().sum::<u32>();
        assert!(told >= 1);
        let last = Region::open(slab.span()).unwrap();
        assert_eq!(mutex(last).try_lock().unwrap_err().into_guard().unwrap().load(), 10 + told);
    });
}
