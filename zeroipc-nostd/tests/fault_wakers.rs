//! A task's party is killed at every step of a poll: the others go on, and nothing is lost but what it had taken.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;

use memory::Memory;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{
    Event, EventMode, FormatOptions, Queue, Region, Semaphore, Spin, WakerTable, WithReactor,
};

#[allow(clippy::incompatible_msrv)] // a test: `Waker::noop` is of 1.85
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// For each step: a region as `prepare` leaves it, as a party sees it whose tasks can wait, to `party`, which says whether its poll had fewer
/// steps; and then to `others`.
fn killed_at_every_step(
    prepare: impl Fn(Region<'_>),
    party: impl Fn(Region<'_>, u64) -> bool,
    others: impl Fn(Region<'_>),
) {
    for step in 0.. {
        let tables = [WakerTable::<2>::new(), WakerTable::<2>::new()];
        let [dying, living] =
            tables.each_ref().map(|table| WithReactor::new(Spin::new(|| 0), table));
        let mut memory = Memory::zeroed(1 << 12);
        let region = memory.region(FormatOptions::new());
        prepare(region);
        let finished = party(region.with_notifier(&dying), step);
        others(region.with_notifier(&living));
        if finished {
            assert!(step > 2, "a poll of {step} accesses");
            return;
        }
    }
}

fn queue(region: Region<'_>) -> Queue<'_, u32> {
    Queue::open(region, "queue").unwrap()
}

/// A queue of four that holds `values`, and others that go on to use it: at most one value is missing, and one slot.
fn at_a_queue(values: u32, party: impl Fn(Queue<'_, u32>, u64) -> bool) {
    let prepare = |region: Region<'_>| {
        let queue = Queue::create(region, "queue", 4).unwrap();
        (0..values).for_each(|value| queue.try_push(value).unwrap());
    };
    let others = |region: Region<'_>| {
        let queue = queue(region);
        let mut left = 0;
        while let Poll::Ready(popped) = poll(&mut queue.pop_async()) {
            popped.unwrap();
            left += 1;
        }
        assert!((values.saturating_sub(1)..=values + 1).contains(&left), "{left} of {values}");
        for value in 0..1000 {
            let mut pop = queue.pop_async();
            assert!(poll(&mut pop).is_pending());
            assert_eq!(poll(&mut queue.push_async(value)), Poll::Ready(Ok(())));
            assert_eq!(poll(&mut pop), Poll::Ready(Ok(value)));
        }
    };
    killed_at_every_step(prepare, |region, step| party(queue(region), step), others);
}

#[test]
fn while_it_begins_to_wait_for_an_element() {
    at_a_queue(0, |queue, step| {
        abandon_at(step, || poll(&mut queue.pop_async()).is_ready()).is_ok()
    });
}

#[test]
fn while_it_pops() {
    at_a_queue(2, |queue, step| {
        abandon_at(step, || poll(&mut queue.pop_async()).is_ready()).is_ok()
    });
}

#[test]
fn while_it_begins_to_wait_for_room() {
    at_a_queue(4, |queue, step| {
        abandon_at(step, || poll(&mut queue.push_async(9)).is_ready()).is_ok()
    });
}

#[test]
fn while_it_waits_for_an_event_and_a_permit() {
    let prepare = |region: Region<'_>| {
        Event::create(region, "event", EventMode::Automatic).unwrap();
        Semaphore::create(region, "semaphore", 0, 2).unwrap();
    };
    let party = |region: Region<'_>, step| {
        let event = Event::open(region, "event").unwrap();
        let semaphore = Semaphore::open(region, "semaphore").unwrap();
        abandon_at(step, || {
            let _ = poll(&mut event.wait_async());
            let _ = poll(&mut semaphore.acquire_async());
        })
        .is_ok()
    };
    let others = |region: Region<'_>| {
        let event = Event::open(region, "event").unwrap();
        let semaphore = Semaphore::open(region, "semaphore").unwrap();
        for _ in 0..1000 {
            let (mut wait, mut acquire) = (event.wait_async(), semaphore.acquire_async());
            assert!(poll(&mut wait).is_pending() && poll(&mut acquire).is_pending());
            event.set();
            semaphore.release().unwrap();
            assert_eq!(poll(&mut wait), Poll::Ready(Ok(())));
            let Poll::Ready(Ok(permit)) = poll(&mut acquire) else { panic!("no permit") };
            permit.forget();
        }
    };
    killed_at_every_step(prepare, party, others);
}
