//! Models of the Array: updates in place by parties that meet on one element. All interleavings, without a bound.
#![cfg(loom)]

use loom::thread;
use std::sync::Arc;
use zeroipc_nostd::testing::{abandon_at, Slab};
use zeroipc_nostd::{Array, FormatOptions, Geometry, Number, Region, WordSize};

/// An array `a` of four zeros.
fn array_memory<T: Number>() -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    Array::<T>::create(region, "a", 4).unwrap();
    slab
}

fn open<T: Number>(slab: &Slab) -> Array<'_, T> {
    Array::open(Region::open(slab.span()).unwrap(), "a").unwrap()
}

/// Runs `parties` at the same time, and returns what they returned.
fn together<T: Number, R: Send + 'static>(
    slab: &Arc<Slab>,
    parties: Vec<fn(Array<'_, T>) -> R>,
) -> Vec<R> {
    let threads: Vec<_> = parties
        .into_iter()
        .map(|party| {
            let slab = slab.clone();
            thread::spawn(move || party(open(&slab)))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Each update of an integer is one step: all are there, and each saw what another left.
#[test]
fn integers() {
    loom::model(|| {
        let slab = array_memory::<u32>();
        let mut seen = together::<u32, _>(
            &slab,
            vec![|a| a.fetch_add(0, 1), |a| a.fetch_add(0, 1), |a| a.fetch_add(0, 1)],
        );
        seen.sort_unstable_by_key(|seen| seen.unwrap());
        assert_eq!(seen, [Ok(0), Ok(1), Ok(2)]);
        assert_eq!(open::<u32>(&slab).load(0), Ok(3));
    });
}

#[test]
fn least_greatest_and_bits() {
    loom::model(|| {
        let slab = array_memory::<i64>();
        together::<i64, _>(
            &slab,
            vec![
                |a| {
                    a.fetch_min(0, -5).unwrap();
                    a.fetch_max(1, 3).unwrap();
                    a.fetch_or(2, 1).unwrap();
                },
                |a| {
                    a.fetch_max(1, 2).unwrap();
                    a.fetch_or(2, 2).unwrap();
                    a.fetch_min(0, -6).unwrap();
                },
            ],
        );
        assert!(open::<i64>(&slab).iter().eq([-6, 3, 3, 0]));
    });
}

/// Of several that want an element, exactly one gets it, and the others are told who.
#[test]
fn compare_exchange() {
    loom::model(|| {
        let slab = array_memory::<u32>();
        let found = together::<u32, _>(
            &slab,
            vec![
                |a| a.compare_exchange(0, 0, 1).unwrap(),
                |a| a.compare_exchange(0, 0, 2).unwrap(),
                |a| a.compare_exchange(0, 0, 3).unwrap(),
            ],
        );
        let owner = open::<u32>(&slab).load(0).unwrap();
        for (found, party) in found.into_iter().zip(1..) {
            assert_eq!(found, if party == owner { Ok(0) } else { Err(owner) });
        }
    });
}

/// No addition of floats is lost, by any number of turns.
#[test]
fn floats() {
    loom::model(|| {
        let slab = array_memory::<f32>();
        let seen = together::<f32, _>(
            &slab,
            vec![|a| a.fetch_add(0, 1.0), |a| a.fetch_add(0, 2.0), |a| a.fetch_sub(0, 4.0)],
        );
        assert_eq!(open::<f32>(&slab).load(0), Ok(-1.0));
        // Somebody was first.
        assert!(seen.contains(&Ok(0.0)));
    });
}

#[test]
fn least_and_greatest_of_floats() {
    loom::model(|| {
        let slab = array_memory::<f64>();
        together::<f64, _>(
            &slab,
            vec![
                |a| {
                    a.fetch_min(0, -1.5).unwrap();
                    a.fetch_max(1, 1.5).unwrap();
                },
                |a| {
                    a.fetch_max(1, 2.5).unwrap();
                    a.fetch_min(0, f64::NAN).unwrap();
                    a.fetch_min(0, -2.5).unwrap();
                },
            ],
        );
        assert!(open::<f64>(&slab).iter().eq([-2.5, 2.5, 0.0, 0.0]));
    });
}

/// What was stored before an update is visible after one that saw it: release on one side, acquire on the other. With a
/// party in between whose update was ordered as well, so also over two steps.
#[test]
fn updates_publish() {
    loom::model(|| {
        let slab = array_memory::<u32>();
        together::<u32, _>(
            &slab,
            vec![
                |a| {
                    a.store(0, 7).unwrap();
                    a.fetch_add(1, 1).unwrap();
                },
                |a| {
                    if a.compare_exchange(1, 1, 2).unwrap() == Ok(1) {
                        assert_eq!(a.load(0), Ok(7));
                    }
                },
                |a| {
                    if a.swap(1, 9).unwrap() != 0 {
                        assert_eq!(a.load(0), Ok(7));
                    }
                },
            ],
        );
    });
}

/// The same by floats, also where an update changes nothing and only looks.
#[test]
fn updates_of_floats_publish() {
    loom::model(|| {
        let slab = array_memory::<f32>();
        together::<f32, _>(
            &slab,
            vec![
                |a| {
                    a.store(0, 7.0).unwrap();
                    a.fetch_add(1, 1.0).unwrap();
                },
                |a| {
                    if a.fetch_min(1, 5.0).unwrap() == 1.0 {
                        assert_eq!(a.load(0), Ok(7.0));
                    }
                },
                |a| {
                    if a.fetch_add(2, 1.0).unwrap() == 0.0 && a.fetch_add(1, 8.0).unwrap() == 1.0 {
                        assert_eq!(a.load(0), Ok(7.0));
                    }
                },
            ],
        );
    });
}

/// Many elements published by one flag after them.
#[test]
fn bulk_before_a_flag() {
    loom::model(|| {
        let slab = array_memory::<u32>();
        together::<u32, _>(
            &slab,
            vec![
                |a| {
                    a.write_from(0, &[1, 2, 3]).unwrap();
                    a.store(3, 1).unwrap();
                },
                |a| {
                    let mut seen = [0; 3];
                    if a.load(3).unwrap() == 1 {
                        a.read_into(0, &mut seen).unwrap();
                        assert_eq!(seen, [1, 2, 3]);
                    }
                },
            ],
        );
    });
}

/// A float's update that stops for ever before any of its accesses holds up nobody, and is there or not.
#[test]
fn an_update_that_stops_anywhere() {
    for step in 0..3 {
        loom::model(move || {
            let slab = array_memory::<f64>();
            let stopping = slab.clone();
            let stopping = thread::spawn(move || {
                let array = open::<f64>(&stopping);
                abandon_at(step, || array.fetch_add(0, 1.0)).is_ok()
            });
            let going = slab.clone();
            let going = thread::spawn(move || {
                let array = open::<f64>(&going);
                array.fetch_add(0, 2.0).unwrap();
                array.fetch_add(0, 2.0).unwrap();
            });
            let finished = stopping.join().unwrap();
            going.join().unwrap();
            let left = open::<f64>(&slab).load(0).unwrap();
            assert_eq!(left, if finished { 5.0 } else { 4.0 });
        });
    }
}
