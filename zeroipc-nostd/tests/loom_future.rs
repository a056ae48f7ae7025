//! Models of the Future: a set wakes all, a broken promise is told, and no generation answers for another.
#![cfg(loom)]

mod mortal_kernel;

use mortal_kernel::{bounded, party, Kernel};
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{
    Capability, FormatOptions, Future, FutureError, Geometry, Promise, PromiseError, Region,
    WordSize,
};

type Pair = [u32; 2];

const OLD: Pair = [1, 1];
const NEW: Pair = [2, 2];

fn future(word: WordSize, capability: Capability) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(word, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry).capability(capability);
    let region = Region::create(slab.span(), &options).unwrap();
    Future::<Pair>::create(region, "future").unwrap();
    slab
}

fn open(region: Region<'_>) -> Future<'_, Pair> {
    unexplored(|| Future::open(region, "future").unwrap().at_generation(0))
}

/// The promise, as if it had been taken before the model began.
fn promised(region: Region<'_>) -> Promise<'_, Pair> {
    unexplored(|| open(region).promise().unwrap())
}

/// Readers sleep if they must; one that is not woken is a deadlock, which loom reports.
fn two_readers(
    capability: Capability,
    settle: fn(Promise<'_, Pair>),
    expected: Result<Pair, FutureError>,
) {
    bounded(2).check(move || {
        let (slab, kernel) = (future(WordSize::Four, capability), Kernel::new());
        let setter = party(&slab, &kernel, 1, move |region, _| settle(promised(region)));
        let readers =
            [2, 3].map(|number| party(&slab, &kernel, number, move |region, _| open(region).get()));
        setter.join().unwrap();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), expected);
        }
    });
}

#[test]
fn a_set_wakes_two_readers() {
    two_readers(Capability::Cas, |promise| promise.set(NEW).unwrap(), Ok(NEW));
}

#[test]
fn a_set_by_loads_and_stores_wakes_two_readers() {
    two_readers(Capability::LoadStore, |promise| promise.set(NEW).unwrap(), Ok(NEW));
}

#[test]
fn a_broken_promise_wakes_two_readers() {
    two_readers(Capability::Cas, |promise| drop(promise), Err(FutureError::Broken));
}

/// The promise's party dies after it promised, or not at all.
#[test]
fn a_reader_learns_of_a_death() {
    bounded(3).check(|| {
        let (slab, kernel) = (future(WordSize::Four, Capability::Cas), Kernel::new());
        let dead = party(&slab, &kernel, 1, |region, kernel| {
            let promise = open(region).promise().unwrap();
            std::mem::forget(promise);
            kernel.dies(1);
        });
        let reader = party(&slab, &kernel, 2, |region, _| open(region).get());
        dead.join().unwrap();
        assert_eq!(reader.join().unwrap(), Err(FutureError::Broken));
    });
}

/// One finds the promise's party dead and breaks it, another takes the role over and begins the next use.
#[test]
fn a_death_breaks_only_its_own_promise() {
    bounded(3).check(|| {
        let (slab, kernel) = (future(WordSize::Four, Capability::Cas), Kernel::new());
        unexplored(|| {
            let region = Region::open(slab.span()).unwrap();
            let me = zeroipc_nostd::PartyId::new(1).unwrap();
            std::mem::forget(open(region.with_party(me, &*kernel)).promise().unwrap());
            kernel.dies(1);
        });
        let heir = party(&slab, &kernel, 2, |region, _| {
            let first = open(region);
            let next = first.reset().unwrap();
            let promise = next.promise().unwrap();
            let broken = next.try_get();
            promise.set(NEW).unwrap();
            broken
        });
        let reader = party(&slab, &kernel, 3, |region, _| {
            let first = open(region);
            let broken = first.break_if_dead();
            (broken, first.latest().break_if_dead())
        });
        assert_eq!(heir.join().unwrap(), Err(FutureError::Pending));
        let (first, latest) = reader.join().unwrap();
        assert!(!first || !latest);
    });
}

/// A reader of generation 0 while the slot is reset and set again, by two parties one after another.
fn generations(word: WordSize) {
    bounded(3).check(move || {
        let (slab, kernel) = (future(word, Capability::Cas), Kernel::new());
        unexplored(|| {
            promised(Region::open(slab.span()).unwrap()).set(OLD).unwrap();
        });
        let setter = party(&slab, &kernel, 1, |region, _| {
            let next = open(region).reset().unwrap();
            next.promise().unwrap().set(NEW).unwrap();
        });
        let reader = party(&slab, &kernel, 2, |region, _| {
            let first = open(region);
            let found = first.try_get();
            assert!(matches!(found, Ok(OLD) | Err(FutureError::Superseded)), "{found:?}");
            let next = first.at_generation(1).try_get();
            let expected = [Ok(NEW), Err(FutureError::Pending), Err(FutureError::Superseded)];
            assert!(expected.contains(&next), "{next:?}");
        });
        setter.join().unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn no_generation_answers_for_another() {
    generations(WordSize::Four);
}

#[test]
fn no_generation_answers_for_another_in_wide_words() {
    generations(WordSize::Eight);
}

/// A slow setter of generation 0, a reset, and a setter of generation 1: a reader of each gets its own.
#[test]
fn a_late_answer_is_dropped() {
    bounded(2).check(|| {
        let (slab, kernel) = (future(WordSize::Four, Capability::Cas), Kernel::new());
        let slow = party(&slab, &kernel, 1, |region, _| {
            let promise = unexplored(|| open(region).promise());
            promise.and_then(|promise| promise.set(OLD))
        });
        let quick = party(&slab, &kernel, 2, |region, _| {
            let next = open(region).reset().unwrap();
            match next.promise() {
                Ok(promise) => promise.set(NEW).unwrap(),
                Err(error) => assert!(matches!(error, PromiseError::RoleTaken { .. })),
            }
        });
        let reader = party(&slab, &kernel, 3, |region, _| {
            let next = open(region).at_generation(1).try_get();
            assert!(next.is_err() || next == Ok(NEW), "{next:?}");
        });
        assert!(matches!(slow.join().unwrap(), Ok(()) | Err(PromiseError::Superseded)));
        quick.join().unwrap();
        reader.join().unwrap();
    });
}

/// Two want to be the one that sets it: one is.
#[test]
fn one_promises() {
    bounded(3).check(|| {
        let (slab, kernel) = (future(WordSize::Four, Capability::Cas), Kernel::new());
        let parties = [1, 2].map(|number| {
            party(&slab, &kernel, number, move |region, _| {
                open(region).promise().map(|promise| promise.set([number; 2]).unwrap()).is_ok()
            })
        });
        let promised = parties.map(|party| party.join().unwrap());
        assert_eq!(promised.iter().filter(|promised| **promised).count(), 1);
    });
}
