//! Models of the Semaphore: a permit is held by one party, carries data, and no wake-up is lost.
#![cfg(loom)]

mod kernel;

use kernel::{bounded, memory, party, Kernel, Plain};
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{Capability, Region, Semaphore};

fn semaphore(permits: u32, max: u32) -> Arc<Slab> {
    memory(Capability::Cas, |region| {
        Semaphore::create(region, "permits", permits, max).unwrap();
    })
}

fn open(region: Region<'_>) -> Semaphore<'_> {
    unexplored(|| Semaphore::open(region, "permits").unwrap())
}

/// The one permit is a lock, whoever sleeps for it is woken, and what is done under it is seen by the next.
#[test]
fn one_permit_guards_data() {
    bounded(3).check(|| {
        let (slab, kernel, value) = (semaphore(1, 1), Kernel::new(), Plain::new(0));
        let parties = [(); 2].map(|()| {
            let value = value.clone();
            party(&slab, &kernel, move |region| {
                let permit = open(region).acquire().unwrap();
                value.set(value.get() + 1);
                drop(permit);
            })
        });
        parties.into_iter().for_each(|party| party.join().unwrap());
        assert_eq!(value.get(), 2);
    });
}

/// Three for one permit: a release that wakes one is enough, since that one releases, too.
#[test]
fn three_take_turns() {
    bounded(1).check(|| {
        let (slab, kernel) = (semaphore(1, 1), Kernel::new());
        let parties =
            [(); 3].map(|()| party(&slab, &kernel, |region| drop(open(region).acquire().unwrap())));
        parties.into_iter().for_each(|party| party.join().unwrap());
    });
}

#[test]
fn two_permits_wake_two_sleepers() {
    bounded(2).check(|| {
        let (slab, kernel) = (semaphore(0, 2), Kernel::new());
        let sleepers = [(); 2]
            .map(|()| party(&slab, &kernel, |region| open(region).acquire().unwrap().forget()));
        let releaser = party(&slab, &kernel, |region| open(region).release_many(2).unwrap());
        releaser.join().unwrap();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    });
}

/// One sleeper needs both permits: the second release wakes it, whichever of the two that is.
#[test]
fn two_releases_wake_one_that_needs_two() {
    bounded(2).check(|| {
        let (slab, kernel) = (semaphore(0, 2), Kernel::new());
        let sleeper =
            party(&slab, &kernel, |region| open(region).acquire_many(2).unwrap().forget());
        let releasers =
            [(); 2].map(|()| party(&slab, &kernel, |region| open(region).release().unwrap()));
        releasers.into_iter().for_each(|releaser| releaser.join().unwrap());
        sleeper.join().unwrap();
    });
}

/// A wake-up for one permit does not end at somebody who needs two.
#[test]
fn one_permit_wakes_the_one_that_needs_one() {
    bounded(2).check(|| {
        let (slab, kernel) = (semaphore(0, 2), Kernel::new());
        let two = party(&slab, &kernel, |region| drop(open(region).acquire_many(2).unwrap()));
        let one = party(&slab, &kernel, |region| open(region).acquire().unwrap().forget());
        let releaser = party(&slab, &kernel, |region| open(region).release().unwrap());
        releaser.join().unwrap();
        one.join().unwrap();
        let more = open(Region::open(slab.span()).unwrap().with_notifier(&*kernel));
        more.release_many(2).unwrap();
        two.join().unwrap();
    });
}
