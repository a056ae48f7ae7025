//! Models of creation: two parties at once with a third that looks, and a creator that stops anywhere.
#![cfg(loom)]

use loom::thread;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use zeroipc_nostd::testing::{abandon_at, unexplored, Slab};
use zeroipc_nostd::{Array, FormatOptions, Geometry, Region, StructureError};

fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder
}

fn empty_region() -> Arc<Slab> {
    let slab = Arc::new(Slab::new(512));
    let options = FormatOptions::new().max_entries(3).geometry(Geometry::SMALLEST);
    Region::create(slab.span(), &options).unwrap();
    slab.prepare();
    slab
}

/// What an open region reads never changes, so its interleavings are not explored.
fn open_region(slab: &Slab) -> Region<'_> {
    unexplored(|| Region::open(slab.span()).unwrap())
}

/// Creates an array of one element that tells who made it.
fn create(slab: &Slab, name: &str, mark: u32) -> Result<(), StructureError> {
    let region = open_region(slab);
    Array::<u32>::create(region, name, 1)?.store(0, mark).unwrap();
    Ok(())
}

fn open(slab: &Slab, name: &str) -> Result<u32, StructureError> {
    let region = open_region(slab);
    Ok(Array::<u32>::open(region, name)?.load(0).unwrap())
}

/// Structures lie apart, in the region, and each name stands once.
fn check_table(slab: &Slab, names: &[&str]) {
    let view = Region::open(slab.span()).unwrap().view();
    let mut entries: Vec<_> = view.entries().map(|entry| entry.unwrap()).collect();
    let mut found: Vec<_> = entries.iter().skip(1).map(|e| e.name.as_str().to_owned()).collect();
    found.sort();
    assert_eq!(found, names);
    entries.sort_by_key(|entry| entry.offset);
    for pair in entries.windows(2) {
        assert!(pair[0].offset + pair[0].size <= pair[1].offset);
    }
}

#[test]
fn one_name_by_two_parties_with_a_third_finding() {
    bounded(2).check(|| {
        let slab = empty_region();
        let creators = [1, 2].map(|mark| {
            let slab = slab.clone();
            thread::spawn(move || create(&slab, "x", mark))
        });
        let looking = slab.clone();
        let finder = thread::spawn(move || open(&looking, "x"));
        let created = creators.map(|creator| creator.join().unwrap());
        let found = finder.join().unwrap();
        assert!(matches!(found, Ok(..=2) | Err(StructureError::NotFound { .. })), "{found:?}");
        let winner = match created {
            [Ok(()), Err(StructureError::Exists { .. })] => 1,
            [Err(StructureError::Exists { .. }), Ok(())] => 2,
            other => panic!("{other:?}"),
        };
        assert_eq!(open(&slab, "x"), Ok(winner));
        check_table(&slab, &["x"]);
    });
}

#[test]
fn two_names_by_two_parties_with_a_third_finding() {
    bounded(2).check(|| {
        let slab = empty_region();
        let creators = [("x", 1), ("y", 2)].map(|(name, mark)| {
            let slab = slab.clone();
            thread::spawn(move || create(&slab, name, mark))
        });
        let looking = slab.clone();
        let finder = thread::spawn(move || open(&looking, "y"));
        for creator in creators {
            creator.join().unwrap().unwrap();
        }
        let found = finder.join().unwrap();
        assert!(matches!(found, Ok(_) | Err(StructureError::NotFound { .. })), "{found:?}");
        assert_eq!((open(&slab, "x"), open(&slab, "y")), (Ok(1), Ok(2)));
        check_table(&slab, &["x", "y"]);
    });
}

/// One creator stops for ever before each of its accesses, while another creates the same name, then others.
#[test]
fn a_creator_that_stops_anywhere() {
    for step in 0.. {
        let stopped_there = Arc::new(AtomicBool::new(false));
        let stopped = stopped_there.clone();
        bounded(1).check(move || {
            let slab = empty_region();
            let stopping = slab.clone();
            let first = thread::spawn(move || {
                let region = open_region(&stopping);
                abandon_at(step, || Array::<u32>::create(region, "x", 1).map(|_| ()))
            });
            let going = slab.clone();
            let second = thread::spawn(move || create(&going, "x", 2));
            let first = first.join().unwrap();
            if first.is_err() {
                stopped.store(true, Ordering::Relaxed);
            }
            match second.join().unwrap() {
                Ok(()) => assert!(!matches!(first, Ok(Ok(())))),
                Err(error) => assert!(matches!(error, StructureError::Exists { .. }), "{error}"),
            }
            // Whatever happened, the name is there or can be made, and the table goes on.
            create(&slab, "y", 3).unwrap();
            assert!(open(&slab, "x").is_ok());
            check_table(&slab, &["x", "y"]);
        });
        if !stopped_there.load(Ordering::Relaxed) {
            assert!(step > 50, "a creation has more accesses than {step}");
            break;
        }
    }
}
