//! Models of the Latch, in both forms: whoever sees it done sees what was done before, and no sleeper is forgotten.
#![cfg(loom)]

mod kernel;

use kernel::{bounded, memory, party, Kernel, Plain};
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{Capability, CountDownError, Latch, Region};

fn open(region: Region<'_>) -> Latch<'_> {
    unexplored(|| Latch::open(region, "latch").unwrap())
}

fn one_counter(count: u32) -> Arc<Slab> {
    memory(Capability::Cas, |region| {
        Latch::create(region, "latch", count).unwrap();
    })
}

fn for_parties(parties: u32) -> Arc<Slab> {
    memory(Capability::LoadStore, |region| {
        Latch::create_for_parties(region, "latch", parties, 1).unwrap();
    })
}

#[test]
fn two_count_and_one_sleeps() {
    bounded(2).check(|| {
        let (slab, kernel) = (one_counter(2), Kernel::new());
        let values = [Plain::new(0), Plain::new(0)];
        let counters = values.clone().map(|value| {
            party(&slab, &kernel, move |region| {
                value.set(7);
                open(region).count_down().unwrap();
            })
        });
        let sleeper = party(&slab, &kernel, move |region| {
            open(region).wait().unwrap();
            values.iter().for_each(|value| assert_eq!(value.get(), 7));
        });
        counters.into_iter().for_each(|counter| counter.join().unwrap());
        sleeper.join().unwrap();
    });
}

#[test]
fn one_counts_and_two_sleep() {
    bounded(2).check(|| {
        let (slab, kernel) = (one_counter(1), Kernel::new());
        let sleepers =
            [(); 2].map(|()| party(&slab, &kernel, |region| open(region).wait().unwrap()));
        let counter = party(&slab, &kernel, |region| open(region).count_down().unwrap());
        counter.join().unwrap();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    });
}

#[test]
fn never_below_zero() {
    bounded(3).check(|| {
        let (slab, kernel) = (one_counter(2), Kernel::new());
        let counted = [1, 2, 1]
            .map(|count| party(&slab, &kernel, move |region| open(region).count_down_by(count)));
        let [one, two, other] = counted.map(|counter| counter.join().unwrap());
        let left = open(Region::open(slab.span()).unwrap()).remaining();
        assert_eq!(left, 0);
        if two.is_ok() {
            assert_eq!((one, other), (below(0), below(0)));
        } else {
            assert!(two == below(0) || two == below(1), "{two:?}");
            assert_eq!((one, other), (Ok(()), Ok(())));
        }
    });
}

fn below(left: u32) -> Result<(), CountDownError> {
    Err(CountDownError::BelowZero { left })
}

/// By loads and stores alone: a party wakes those that sleep on its own counter.
#[test]
fn two_parties_count_and_one_sleeps() {
    bounded(2).check(|| {
        let (slab, kernel) = (for_parties(2), Kernel::new());
        let values = [Plain::new(0), Plain::new(0)];
        let parties = [0, 1].map(|index: usize| {
            let value = values[index].clone();
            party(&slab, &kernel, move |region| {
                let mut party = unexplored(|| open(region).party(index as u32).unwrap());
                value.set(7);
                party.count_down().unwrap();
                unexplored(|| drop(party));
            })
        });
        let sleeper = party(&slab, &kernel, move |region| {
            open(region).wait().unwrap();
            values.iter().for_each(|value| assert_eq!(value.get(), 7));
        });
        parties.into_iter().for_each(|party| party.join().unwrap());
        sleeper.join().unwrap();
    });
}

#[test]
fn two_parties_wait_for_each_other() {
    bounded(3).check(|| {
        let (slab, kernel) = (for_parties(2), Kernel::new());
        let parties = [0, 1].map(|index| {
            party(&slab, &kernel, move |region| {
                let mut party = unexplored(|| open(region).party(index).unwrap());
                party.arrive_and_wait().unwrap();
                unexplored(|| drop(party));
            })
        });
        parties.into_iter().for_each(|party| party.join().unwrap());
    });
}
