//! Models of the Barrier: nobody goes on before all have arrived, one leads each generation, a withdrawal is whole.
#![cfg(loom)]

mod kernel;

use kernel::{bounded, memory, party, Kernel, Plain};
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{Barrier, BarrierError, Capability, Region};

fn barrier(participants: u32) -> Arc<Slab> {
    memory(Capability::Cas, |region| {
        Barrier::create(region, "barrier", participants).unwrap();
    })
}

fn open(region: Region<'_>) -> Barrier<'_> {
    unexplored(|| Barrier::open(region, "barrier").unwrap())
}

/// Each writes, meets the other, reads what the other wrote, and so again: the fast one is in the next generation while the
/// slow one is still leaving this one.
#[test]
fn two_meet_twice() {
    meet_twice(Kernel::new, 2);
}

/// The same by the look that comes before the announcement.
#[test]
fn two_meet_twice_by_looking() {
    meet_twice(|| Kernel::after(1), 2);
}

fn meet_twice(kernel: fn() -> Arc<Kernel>, preemptions: usize) {
    bounded(preemptions).check(move || {
        let (slab, kernel) = (barrier(2), kernel());
        let values = [Plain::new(0), Plain::new(0)];
        let parties = [0, 1].map(|index: usize| {
            let values = values.clone();
            party(&slab, &kernel, move |region| {
                let barrier = open(region);
                let mut participant = unexplored(|| barrier.join().unwrap());
                values[index].set(7);
                let first = participant.wait().unwrap();
                assert_eq!(values[1 - index].get(), 7);
                let second = participant.wait().unwrap();
                values[1 - index].set(8);
                unexplored(|| drop(participant));
                [first, second].map(|result| u32::from(result.is_leader()))
            })
        });
        let [one, other] = parties.map(|party| party.join().unwrap());
        assert_eq!((one[0] + other[0], one[1] + other[1]), (1, 1));
    });
}

#[test]
fn three_meet() {
    bounded(1).check(|| {
        let (slab, kernel) = (barrier(3), Kernel::new());
        let parties = [(); 3].map(|()| {
            party(&slab, &kernel, |region| {
                let barrier = open(region);
                let mut participant = unexplored(|| barrier.join().unwrap());
                let result = participant.wait().unwrap();
                unexplored(|| drop(participant));
                u32::from(result.is_leader())
            })
        });
        let leaders: u32 = parties.into_iter().map(|party| party.join().unwrap()).sum();
        assert_eq!(leaders, 1);
    });
}

/// Places for one generation each: two generations by whoever comes.
#[test]
fn places_are_taken_and_left() {
    bounded(2).check(|| {
        let (slab, kernel) = (barrier(2), Kernel::new());
        let parties = [(); 2].map(|()| {
            party(&slab, &kernel, |region| {
                let barrier = open(region);
                u32::from(barrier.wait().unwrap().is_leader())
            })
        });
        let leaders: u32 = parties.into_iter().map(|party| party.join().unwrap()).sum();
        assert_eq!(leaders, 1);
        assert_eq!(
            open(Region::open(slab.span()).unwrap()).join().map(drop),
            Ok(()),
            "a place was not left"
        );
    });
}

/// Two that do not wait at all: both were counted, or neither.
#[test]
fn a_timeout_is_whole() {
    bounded(3).check(|| {
        let (slab, kernel) = (barrier(2), Kernel::new());
        let parties = [(); 2].map(|()| {
            let kernel_of = kernel.clone();
            party(&slab, &kernel, move |region| {
                let barrier = open(region);
                let mut participant = unexplored(|| barrier.join().unwrap());
                let result = participant.wait_with(&*kernel_of, Some(0));
                unexplored(|| drop(participant));
                result.map(|result| u32::from(result.is_leader()))
            })
        });
        match parties.map(|party| party.join().unwrap()) {
            [Ok(one), Ok(other)] => assert_eq!(one + other, 1, "one leader"),
            results => assert_eq!(results, [Err(BarrierError::Timeout); 2]),
        }
    });
}

/// One comes and goes until it meets the other, who waits: what was withdrawn completes nothing.
#[test]
fn a_withdrawal_is_not_counted() {
    bounded(1).check(|| {
        let (slab, kernel) = (barrier(2), Kernel::new());
        let kernel_of = kernel.clone();
        let hasty = party(&slab, &kernel, move |region| {
            let barrier = open(region);
            let mut participant = unexplored(|| barrier.join().unwrap());
            while participant.wait_with(&*kernel_of, Some(0)).is_err() {
                loom::thread::yield_now();
            }
            unexplored(|| drop(participant));
        });
        let patient = party(&slab, &kernel, |region| {
            let barrier = open(region);
            let mut participant = unexplored(|| barrier.join().unwrap());
            participant.wait().unwrap();
            unexplored(|| drop(participant));
        });
        hasty.join().unwrap();
        patient.join().unwrap();
    });
}
