//! Models of WakerTable: whatever a task and its rings do in the same moment, it is woken. A task that nobody wakes is a deadlock,
//! which loom reports.
#![cfg(loom)]

mod kernel;

use kernel::{bounded, memory};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{Capability, Event, EventMode, Queue, Region, Spin, WakerTable, WithReactor};

/// Runs one task: sleeps until the task is woken.
struct Executor {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Executor {
    fn new() -> Arc<Self> {
        Arc::new(Executor { woken: Mutex::new(false), changed: Condvar::new() })
    }

    fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.changed.wait(woken).unwrap();
        }
        *woken = false;
    }
}

impl Wake for Executor {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// Polls with each of the executors before it sleeps by the last of them.
fn run<F: Future>(executors: &[Arc<Executor>], future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        for executor in executors {
            let waker = Waker::from(executor.clone());
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
        }
        executors.last().unwrap().sleep();
    }
}

type Table = Arc<WakerTable<1>>;

/// Publishes by `body`, in a thread of the model, like a peer that can wake nobody; then rings.
fn ring(
    slab: &Arc<Slab>,
    table: &Table,
    body: impl FnOnce(Region<'_>) + 'static,
) -> thread::JoinHandle<()> {
    let (slab, table) = (slab.clone(), table.clone());
    thread::spawn(move || {
        body(unexplored(|| Region::open(slab.span()).unwrap()));
        table.ring();
    })
}

/// Runs `body` in a thread of the model, on the region with the table.
fn core<R: 'static>(
    slab: &Arc<Slab>,
    table: &Table,
    body: impl FnOnce(Region<'_>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let (slab, table) = (slab.clone(), table.clone());
    thread::spawn(move || {
        let region = unexplored(|| Region::open(slab.span()).unwrap());
        let waiter = WithReactor::new(Spin::new(|| 0), &*table);
        body(region.with_notifier(&waiter))
    })
}

fn event<'a>(region: Region<'a>, name: &str) -> Event<'a> {
    unexplored(|| Event::open(region, name).unwrap())
}

fn events() -> Arc<Slab> {
    memory(Capability::Cas, |region| {
        Event::create(region, "first", EventMode::Manual).unwrap();
        Event::create(region, "second", EventMode::Manual).unwrap();
    })
}

/// Two cores publish, and ring in the same moment: the task learns of both.
#[test]
fn a_task_is_woken_by_two_that_ring() {
    bounded(2).check(|| {
        let (slab, table) = (events(), Table::default());
        let rings = ["first", "second"]
            .map(|name| ring(&slab, &table, move |region| event(region, name).set()));
        let task = core(&slab, &table, |region| {
            let executors = [Executor::new()];
            run(&executors, event(region, "first").wait_async()).unwrap();
            run(&executors, event(region, "second").wait_async()).unwrap();
        });
        for ring in rings {
            ring.join().unwrap();
        }
        task.join().unwrap();
    });
}

/// A task that is polled again without being woken, by another executor, is woken at the last one.
#[test]
fn a_task_that_changes_its_waker_is_woken() {
    bounded(3).check(|| {
        let (slab, table) = (events(), Table::default());
        let ring = ring(&slab, &table, |region| event(region, "first").set());
        let task = core(&slab, &table, |region| {
            let executors = [Executor::new(), Executor::new()];
            run(&executors, event(region, "first").wait_async()).unwrap();
        });
        ring.join().unwrap();
        task.join().unwrap();
    });
}

/// A wait that is given up while it is rung gives its place back, and the next one there is woken.
#[test]
fn a_place_that_is_given_up_is_good_for_another() {
    bounded(3).check(|| {
        let (slab, table) = (events(), Table::default());
        let rung = table.clone();
        let ring = ring(&slab, &table, move |region| {
            rung.ring();
            event(region, "second").set();
        });
        let task = core(&slab, &table, |region| {
            let executors = [Executor::new()];
            {
                let mut given_up = pin!(event(region, "first").wait_async());
                let waker = Waker::from(executors[0].clone());
                let _ = given_up.as_mut().poll(&mut Context::from_waker(&waker));
            }
            // A full table would be `Err(NoWaiter)`.
            run(&executors, event(region, "second").wait_async()).unwrap();
        });
        ring.join().unwrap();
        task.join().unwrap();
    });
}

/// The whole way: a push on one core, a task on the other.
#[test]
fn a_task_gets_what_another_core_pushes() {
    bounded(2).check(|| {
        let slab = memory(Capability::Cas, |region| {
            Queue::<u32>::create_with_spares(region, "queue", 2, 1).unwrap();
        });
        let table = Table::default();
        fn open(region: Region<'_>) -> Queue<'_, u32> {
            unexplored(|| Queue::open(region, "queue").unwrap())
        }
        let producer = ring(&slab, &table, |region| open(region).try_push(7).unwrap());
        let task =
            core(&slab, &table, move |region| run(&[Executor::new()], open(region).pop_async()));
        producer.join().unwrap();
        assert_eq!(task.join().unwrap(), Ok(7));
    });
}
