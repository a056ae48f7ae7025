//! Models of the Lazy: one evaluates, all get its value, and nobody sleeps on when it gives up, dies, or evaluates in vain.
#![cfg(loom)]

mod mortal_kernel;

use loom::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use mortal_kernel::{bounded, party, Kernel};
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{FormatOptions, Geometry, Lazy, Region, WordSize};

type Pair = [u32; 2];

fn lazy() -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    Lazy::<Pair>::create(region, "lazy").unwrap();
    slab
}

fn open(region: Region<'_>) -> Lazy<'_, Pair> {
    unexplored(|| Lazy::open(region, "lazy").unwrap())
}

fn callers<const N: usize>(preemptions: usize) {
    bounded(preemptions).check(|| {
        let (slab, kernel, evaluated) = (lazy(), Kernel::new(), Arc::new(AtomicU32::new(0)));
        let mut number = 0;
        let parties = [(); N].map(|()| {
            number += 1;
            let (me, evaluated) = (number, evaluated.clone());
            party(&slab, &kernel, me, move |region, _| {
                let evaluate = || {
                    evaluated.fetch_add(1, Relaxed);
                    [me; 2]
                };
                open(region).get_or_init(evaluate).unwrap()
            })
        });
        let values = parties.map(|party| party.join().unwrap());
        assert!(values.iter().all(|value| *value == values[0] && value[0] == value[1]));
        assert_eq!(evaluated.load(Relaxed), 1);
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

/// Whoever comes first gives up: of those that wait one evaluates.
#[test]
fn who_waits_for_one_that_gives_up_evaluates() {
    bounded(2).check(|| {
        let (slab, kernel) = (lazy(), Kernel::new());
        let quitter = party(&slab, &kernel, 1, |region, _| {
            if let Ok(Ok(evaluation)) = open(region).try_begin() {
                drop(evaluation);
            }
        });
        let callers = [2, 3].map(|number| {
            party(&slab, &kernel, number, move |region, _| {
                open(region).get_or_init(|| [number; 2]).unwrap()
            })
        });
        quitter.join().unwrap();
        let values = callers.map(|caller| caller.join().unwrap());
        assert_eq!(values[0], values[1]);
    });
}

/// The evaluator dies: one of those that wait takes its place.
#[test]
fn a_dead_evaluator_is_replaced() {
    bounded(2).check(|| {
        let (slab, kernel) = (lazy(), Kernel::new());
        let dead = party(&slab, &kernel, 1, |region, kernel| {
            std::mem::forget(open(region).try_begin());
            kernel.dies(1);
        });
        let callers = [2, 3].map(|number| {
            party(&slab, &kernel, number, move |region, _| {
                open(region).get_or_init(|| [number; 2]).unwrap()
            })
        });
        dead.join().unwrap();
        let values = callers.map(|caller| caller.join().unwrap());
        assert_eq!(values[0], values[1]);
    });
}

/// What is invalidated is not seen any more by who did it, nor half of it by anybody; a new value is whole.
#[test]
fn invalidated_while_others_look() {
    bounded(2).check(|| {
        let (slab, kernel) = (lazy(), Kernel::new());
        unexplored(|| {
            let region = Region::open(slab.span()).unwrap();
            open(region).get_or_init(|| [1; 2]).unwrap();
        });
        let changer = party(&slab, &kernel, 1, |region, _| {
            let lazy = open(region);
            lazy.invalidate();
            assert_ne!(lazy.peek(), Some([1; 2]));
            lazy.get_or_init(|| [2; 2]).unwrap()
        });
        let looker = party(&slab, &kernel, 2, |region, _| {
            let seen = open(region).peek();
            assert!(matches!(seen, None | Some([1, 1] | [2, 2])), "{seen:?}");
        });
        assert_eq!(changer.join().unwrap(), [2; 2]);
        looker.join().unwrap();
    });
}

/// It is invalidated while one evaluates: who asks afterwards gets another value, and does not sleep on.
#[test]
fn evaluated_in_vain() {
    bounded(3).check(|| {
        let (slab, kernel, begun) = (lazy(), Kernel::new(), Arc::new(AtomicU32::new(0)));
        let tell = begun.clone();
        let slow = party(&slab, &kernel, 1, move |region, _| {
            if let Ok(Ok(evaluation)) = unexplored(|| open(region).try_begin()) {
                tell.store(1, Release);
                // Here the other may do all that it does.
                loom::thread::yield_now();
                let _ = evaluation.set([1; 2]);
            }
        });
        let changer = party(&slab, &kernel, 2, move |region, _| {
            let before = begun.load(Acquire) == 1;
            let lazy = open(region);
            lazy.invalidate();
            let value = lazy.get_or_init(|| [2; 2]).unwrap();
            assert!(value == [2; 2] || (!before && value == [1; 2]), "{value:?}");
        });
        slow.join().unwrap();
        changer.join().unwrap();
    });
}
