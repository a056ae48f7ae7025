//! Models of waiting: no wake-up is lost. A sleeper that nobody wakes is a deadlock, which loom reports.
#![cfg(loom)]

use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{FormatOptions, Geometry, Queue, Region, Ring, Wait, WaitWord, WordSize};

/// A kernel's futex: comparing and going to sleep is one step. Its clock stands still, so nobody wakes by time.
#[derive(Debug)]
struct Kernel {
    /// How many ever went to sleep, and how many of them (the first) were woken.
    sleepers: Mutex<(u32, u32)>,
    woken: Condvar,
}

impl Kernel {
    fn new() -> Arc<Self> {
        Arc::new(Kernel { sleepers: Mutex::new((0, 0)), woken: Condvar::new() })
    }
}

impl Wait for Kernel {
    fn now(&self) -> u64 {
        0
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, _deadline: u64) {
        let mut sleepers = self.sleepers.lock().unwrap();
        if word.load() == expected {
            let place = sleepers.0;
            sleepers.0 += 1;
            while sleepers.1 <= place {
                sleepers = self.woken.wait(sleepers).unwrap();
            }
        }
    }

    fn wake(&self, _word: WaitWord<'_>, count: u32) -> u32 {
        let mut sleepers = self.sleepers.lock().unwrap();
        let woken = count.min(sleepers.0 - sleepers.1);
        sleepers.1 += woken;
        drop(sleepers);
        self.woken.notify_all();
        woken
    }

    fn spins(&self) -> u32 {
        0
    }
}

fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder
}

fn memory() -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    Queue::<u32>::create_with_spares(region, "queue", 2, 1).unwrap();
    Ring::<u32>::create(region, "ring", 1).unwrap();
    slab
}

/// Runs `body` in a thread of the model, on the region with the kernel to wait by.
fn party<R: 'static>(
    slab: &Arc<Slab>,
    kernel: &Arc<Kernel>,
    body: impl FnOnce(Region<'_>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let (slab, kernel) = (slab.clone(), kernel.clone());
    thread::spawn(move || {
        let region = unexplored(|| Region::open(slab.span()).unwrap());
        body(region.with_notifier(&*kernel))
    })
}

fn queue(region: Region<'_>) -> Queue<'_, u32> {
    unexplored(|| Queue::open(region, "queue").unwrap())
}

fn ring(region: Region<'_>) -> Ring<'_, u32> {
    Ring::open(region, "ring").unwrap()
}

#[test]
fn a_sleeping_consumer_of_a_queue_is_woken() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let consumer = party(&slab, &kernel, |region| queue(region).pop().unwrap());
        let producer = party(&slab, &kernel, |region| queue(region).try_push(7).unwrap());
        producer.join().unwrap();
        assert_eq!(consumer.join().unwrap(), 7);
    });
}

#[test]
fn two_sleeping_consumers_are_woken_by_two_pushes() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let consumers =
            [0, 1].map(|_| party(&slab, &kernel, |region| queue(region).pop().unwrap()));
        let producer = party(&slab, &kernel, |region| {
            let queue = queue(region);
            queue.try_push(1).unwrap();
            queue.try_push(2).unwrap();
        });
        producer.join().unwrap();
        let mut got = consumers.map(|consumer| consumer.join().unwrap());
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

/// Two wakers at once: the one whose epoch was not moved still wakes somebody.
#[test]
fn two_sleeping_consumers_are_woken_by_two_producers() {
    bounded(1).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let consumers =
            [0, 1].map(|_| party(&slab, &kernel, |region| queue(region).pop().unwrap()));
        let producers = [1, 2].map(|value| {
            party(&slab, &kernel, move |region| queue(region).try_push(value).unwrap())
        });
        for producer in producers {
            producer.join().unwrap();
        }
        let mut got = consumers.map(|consumer| consumer.join().unwrap());
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn a_sleeping_producer_of_a_queue_is_woken() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let full = queue(Region::open(slab.span()).unwrap());
        full.try_push(1).unwrap();
        full.try_push(2).unwrap();
        let producer = party(&slab, &kernel, |region| queue(region).push(3).unwrap());
        let consumer = party(&slab, &kernel, |region| queue(region).try_pop().unwrap());
        assert_eq!(consumer.join().unwrap(), 1);
        producer.join().unwrap();
        assert_eq!((full.try_pop(), full.try_pop()), (Ok(2), Ok(3)));
    });
}

/// Both ends of a Ring of one place: the producer sleeps for room, the consumer for elements.
#[test]
fn both_ends_of_a_ring_sleep_and_are_woken() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let producer = party(&slab, &kernel, |region| {
            let mut producer = unexplored(|| ring(region).producer().unwrap());
            producer.push(1).unwrap();
            producer.push(2).unwrap();
        });
        let consumer = party(&slab, &kernel, |region| {
            let mut consumer = unexplored(|| ring(region).consumer().unwrap());
            (consumer.pop().unwrap(), consumer.pop().unwrap())
        });
        producer.join().unwrap();
        assert_eq!(consumer.join().unwrap(), (1, 2));
    });
}
