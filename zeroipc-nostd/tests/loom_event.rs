//! Models of the Event: one automatic set releases one, a manual set all, none is lost, and data comes along.
#![cfg(loom)]

mod kernel;

use kernel::{bounded, memory, party, Kernel, Plain};
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{Capability, Event, EventMode, Region};

fn event(mode: EventMode) -> Arc<Slab> {
    memory(Capability::Cas, |region| {
        Event::create(region, "event", mode).unwrap();
    })
}

fn open(region: Region<'_>) -> Event<'_> {
    unexplored(|| Event::open(region, "event").unwrap())
}

#[test]
fn one_automatic_set_releases_one() {
    bounded(3).check(|| {
        let (slab, kernel, value) = (event(EventMode::Automatic), Kernel::new(), Plain::new(0));
        let takers = [(); 2].map(|()| {
            let value = value.clone();
            party(&slab, &kernel, move |region| {
                let took = open(region).try_wait();
                if took {
                    value.set(value.get() + 1);
                }
                took
            })
        });
        let mine = value.clone();
        let setter = party(&slab, &kernel, move |region| {
            mine.set(7);
            open(region).set();
        });
        setter.join().unwrap();
        let took = takers.map(|taker| taker.join().unwrap());
        let left = open(Region::open(slab.span()).unwrap()).try_wait();
        let times = took.into_iter().chain([left]).filter(|took| *took).count();
        assert_eq!(times, 1, "{took:?} {left}");
    });
}

/// Whoever is released sets it again for the other.
#[test]
fn two_automatic_sleepers_are_released_one_by_the_other() {
    bounded(2).check(|| {
        let (slab, kernel) = (event(EventMode::Automatic), Kernel::new());
        let sleepers = [(); 2].map(|()| {
            party(&slab, &kernel, |region| {
                let event = open(region);
                event.wait().unwrap();
                event.set();
            })
        });
        let setter = party(&slab, &kernel, |region| open(region).set());
        setter.join().unwrap();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        assert!(open(Region::open(slab.span()).unwrap()).try_wait());
    });
}

#[test]
fn a_manual_set_releases_all() {
    bounded(2).check(|| {
        let (slab, kernel, value) = (event(EventMode::Manual), Kernel::new(), Plain::new(0));
        let sleepers = [(); 2].map(|()| {
            let value = value.clone();
            party(&slab, &kernel, move |region| {
                open(region).wait().unwrap();
                assert_eq!(value.get(), 7);
            })
        });
        let setter = party(&slab, &kernel, move |region| {
            value.set(7);
            open(region).set();
        });
        setter.join().unwrap();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    });
}

/// A set of what is set already still passes on what its setter did: the waiter resets, looks, and waits for more only if it
/// has not seen both.
#[test]
fn a_merged_set_carries_its_data() {
    use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
    for mode in [EventMode::Manual, EventMode::Automatic] {
        bounded(2).check(move || {
            let (slab, kernel) = (event(mode), Kernel::new());
            let done = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
            let setters = [0, 1].map(|index: usize| {
                let done = done.clone();
                party(&slab, &kernel, move |region| {
                    done[index].store(1, Relaxed);
                    open(region).set();
                })
            });
            let waiter = party(&slab, &kernel, move |region| {
                let event = open(region);
                while done.iter().any(|flag| flag.load(Relaxed) == 0) {
                    event.wait().unwrap();
                    event.reset();
                }
            });
            setters.into_iter().for_each(|setter| setter.join().unwrap());
            waiter.join().unwrap();
        });
    }
}
