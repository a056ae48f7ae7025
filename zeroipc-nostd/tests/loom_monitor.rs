//! Models of the Monitor: no notification is lost, and the death of an owner comes out of waiting.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release -p zeroipc-nostd --test loom_monitor`. Preemptions are bounded as each
//! model says; the bound can be raised by `LOOM_MAX_PREEMPTIONS`.
#![cfg(loom)]

mod mortal_kernel;

use mortal_kernel::{bounded, party, Kernel};
use std::mem::forget;
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{FormatOptions, Geometry, LockError, Monitor, Region, WordSize};

fn memory() -> Arc<Slab> {
    let slab = Arc::new(Slab::new(512));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(1).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    Monitor::<u32>::create(region, "monitor", 0).unwrap();
    slab
}

fn monitor(region: Region<'_>) -> Monitor<'_, u32> {
    unexplored(|| Monitor::open(region, "monitor").unwrap())
}

/// Waits for one, and takes it.
fn consume(region: Region<'_>) {
    let monitor = monitor(region);
    let mut guard = monitor.wait_while(monitor.lock().unwrap(), |left| *left == 0).unwrap();
    guard.update(|left| left - 1);
}

fn produce(region: Region<'_>, count: u32) {
    monitor(region).lock().unwrap().update(|left| left + count);
}

fn value(slab: &Slab) -> u32 {
    monitor(Region::open(slab.span()).unwrap()).try_lock().unwrap().load()
}

#[test]
fn a_waiter_is_notified_after_the_release() {
    bounded(4).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let consumer = party(&slab, &kernel, 1, |region, _| consume(region));
        let producer = party(&slab, &kernel, 2, |region, _| {
            produce(region, 1);
            monitor(region).notify_one();
        });
        producer.join().unwrap();
        consumer.join().unwrap();
        assert_eq!(value(&slab), 0);
    });
}

#[test]
fn a_waiter_is_notified_before_the_release() {
    bounded(4).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let consumer = party(&slab, &kernel, 1, |region, _| consume(region));
        let producer = party(&slab, &kernel, 2, |region, _| {
            let monitor = monitor(region);
            let mut guard = monitor.lock().unwrap();
            guard.store(1);
            monitor.notify_all();
        });
        producer.join().unwrap();
        consumer.join().unwrap();
        assert_eq!(value(&slab), 0);
    });
}

#[test]
fn two_waiters_are_notified_one_by_one() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let consumers =
            [1, 2].map(|number| party(&slab, &kernel, number, |region, _| consume(region)));
        let producer = party(&slab, &kernel, 3, |region, _| {
            for _ in 0..2 {
                produce(region, 1);
                monitor(region).notify_one();
            }
        });
        producer.join().unwrap();
        consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
        assert_eq!(value(&slab), 0);
    });
}

#[test]
fn two_waiters_are_notified_at_once() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let consumers =
            [1, 2].map(|number| party(&slab, &kernel, number, |region, _| consume(region)));
        let producer = party(&slab, &kernel, 3, |region, _| {
            produce(region, 2);
            monitor(region).notify_all();
        });
        producer.join().unwrap();
        consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
        assert_eq!(value(&slab), 0);
    });
}

/// One waits again while another is still on the way to sleep: what was notified in between must not look undone.
#[test]
fn a_waiter_that_comes_again_hides_no_notification() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let again = party(&slab, &kernel, 1, |region, _| {
            consume(region);
            consume(region);
        });
        let once = party(&slab, &kernel, 2, |region, _| consume(region));
        let producer = party(&slab, &kernel, 3, |region, _| {
            produce(region, 2);
            monitor(region).notify_all();
            produce(region, 1);
            monitor(region).notify_one();
        });
        producer.join().unwrap();
        again.join().unwrap();
        once.join().unwrap();
        assert_eq!(value(&slab), 0);
    });
}

/// What the one does not count, the other must not undo.
#[test]
fn two_notify_at_once() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let consumer = party(&slab, &kernel, 1, |region, _| {
            consume(region);
            consume(region);
        });
        let producers = [2, 3].map(|number| {
            party(&slab, &kernel, number, |region, _| {
                produce(region, 1);
                monitor(region).notify_one();
            })
        });
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        consumer.join().unwrap();
        assert_eq!(value(&slab), 0);
    });
}

/// The owner dies between changing the value and notifying, while another waits, or is about to.
#[test]
fn a_death_comes_out_of_waiting() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let waiter = party(&slab, &kernel, 1, |region, _| {
            let monitor = monitor(region);
            let guard = match monitor.lock() {
                Ok(guard) => monitor.wait_while(guard, |left| *left == 0),
                died => died,
            };
            match guard {
                Err(LockError::OwnerDied(mut guard)) => {
                    assert_eq!(guard.load(), 5);
                    guard.mark_consistent();
                }
                other => panic!("{other:?}"),
            }
        });
        let victim = party(&slab, &kernel, 2, |region, kernel| {
            let monitor = monitor(region);
            let mut guard = monitor.lock().unwrap();
            guard.store(5);
            forget(guard);
            kernel.dies(2);
        });
        victim.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(value(&slab), 5);
    });
}
