//! Models of the Once: it runs once, all see what it did, and whoever waits for one that gives up runs it.
#![cfg(loom)]

mod kernel;

use kernel::{bounded, memory, party, Kernel, Plain};
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{Capability, Once, Region};

fn once() -> Arc<Slab> {
    memory(Capability::Cas, |region| {
        Once::create(region, "once").unwrap();
    })
}

fn open(region: Region<'_>) -> Once<'_> {
    unexplored(|| Once::open(region, "once").unwrap())
}

fn callers<const N: usize>(preemptions: usize) {
    bounded(preemptions).check(|| {
        let (slab, kernel, value) = (once(), Kernel::new(), Plain::new(0));
        let parties = [(); N].map(|()| {
            let value = value.clone();
            party(&slab, &kernel, move |region| {
                let ran = open(region).call_once(|_| value.set(value.get() + 1)).unwrap();
                assert_eq!(value.get(), 1);
                u32::from(ran)
            })
        });
        let ran: u32 = parties.into_iter().map(|party| party.join().unwrap()).sum();
        assert_eq!(ran, 1);
    });
}

#[test]
fn two_call() {
    callers::<2>(3);
}

#[test]
fn three_call() {
    callers::<3>(1);
}

#[test]
fn completed_means_that_it_can_be_seen() {
    bounded(3).check(|| {
        let (slab, kernel, value) = (once(), Kernel::new(), Plain::new(0));
        let seen = value.clone();
        let caller =
            party(&slab, &kernel, move |region| open(region).call_once(|_| value.set(1)).unwrap());
        let looker = party(&slab, &kernel, move |region| {
            if open(region).is_completed() {
                assert_eq!(seen.get(), 1);
            }
        });
        assert!(caller.join().unwrap());
        looker.join().unwrap();
    });
}

/// Whoever comes first gives up once: another runs it, and sees what the first did until then.
#[test]
fn who_waits_for_one_that_gives_up_runs_it() {
    bounded(2).check(|| {
        let (slab, kernel, value) = (once(), Kernel::new(), Plain::new(0));
        let mine = value.clone();
        let quitter = party(&slab, &kernel, move |region| {
            let Ok(Some(run)) = open(region).try_begin() else { return 0 };
            mine.set(mine.get() + 1);
            drop(run);
            1
        });
        let callers = [(); 2].map(|()| {
            let value = value.clone();
            party(&slab, &kernel, move |region| {
                let once = open(region);
                once.call_once(|_| value.set(value.get() + 10)).unwrap();
                value.get()
            })
        });
        let began = quitter.join().unwrap();
        for caller in callers {
            assert_eq!(caller.join().unwrap(), 10 + began);
        }
    });
}
