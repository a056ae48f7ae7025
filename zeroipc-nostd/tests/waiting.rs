//! Waiting: deadlines are never early, nobody is woken for nothing, and everybody who sleeps is woken.
#![cfg(not(loom))]

mod memory;
mod sleeper;

use memory::Memory;
use sleeper::Sleeper;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    FormatOptions, PopTimeoutError, PushTimeoutError, Queue, Region, Ring, Spin, Wait, WaitWord,
};

/// Nanoseconds since the first call.
fn clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

static SPIN: Spin = Spin::new(clock);
const SHORT: Duration = Duration::from_millis(20);

fn region<'a>(memory: &'a mut Memory, notifier: &'a dyn Wait) -> Region<'a> {
    memory.region(FormatOptions::new()).with_notifier(notifier)
}

/// Runs `wait`, and checks that it did not end before `SHORT` had passed.
fn not_early<R>(wait: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = wait();
    let passed = start.elapsed();
    assert!(passed >= SHORT, "ended after {passed:?}");
    result
}

#[test]
fn a_deadline_is_never_early() {
    let sleeper = Sleeper::new();
    let waiters: [&dyn Wait; 2] = [&SPIN, &sleeper];
    for waiter in waiters {
        let mut memory = Memory::zeroed(4096);
        let region = region(&mut memory, waiter);
        let queue = Queue::<u32>::create(region, "queue", 2).unwrap();
        let ring = Ring::<u32>::create(region, "ring", 2).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());

        assert_eq!(not_early(|| queue.pop_timeout(SHORT)), Err(PopTimeoutError::Timeout));
        assert_eq!(not_early(|| consumer.pop_timeout(SHORT)), Err(PopTimeoutError::Timeout));
        let deadline = || Some(waiter.now() + SHORT.as_nanos() as u64);
        let pop = not_early(|| queue.pop_with(waiter, deadline()));
        assert_eq!(pop, Err(PopTimeoutError::Timeout));
        let pop = not_early(|| consumer.pop_with(waiter, deadline()));
        assert_eq!(pop, Err(PopTimeoutError::Timeout));

        for n in 0..2 {
            queue.push_timeout(n, SHORT).unwrap();
            producer.push_timeout(n, SHORT).unwrap();
        }
        let push = not_early(|| queue.push_timeout(9, SHORT));
        assert_eq!(push, Err(PushTimeoutError::Timeout(9)));
        let push = not_early(|| producer.push_timeout(9, SHORT));
        assert_eq!(push, Err(PushTimeoutError::Timeout(9)));
        let push = not_early(|| queue.push_with(9, waiter, deadline()));
        assert_eq!(push, Err(PushTimeoutError::Timeout(9)));
        let push = not_early(|| producer.push_with(9, waiter, deadline()));
        assert_eq!(push, Err(PushTimeoutError::Timeout(9)));

        // What is there comes at once, whatever the deadline.
        assert_eq!(queue.pop_timeout(Duration::ZERO), Ok(0));
        assert_eq!(consumer.pop_with(waiter, Some(0)), Ok(0));
        assert_eq!((queue.pop(), consumer.pop()), (Ok(1), Ok(1)));
        assert_eq!(queue.pop_timeout(Duration::ZERO), Err(PopTimeoutError::Timeout));
        assert_eq!(consumer.pop_timeout(Duration::ZERO), Err(PopTimeoutError::Timeout));
        // A timeout beyond the clock is none.
        queue.push_timeout(3, Duration::MAX).unwrap();
        assert_eq!(queue.pop_timeout(Duration::MAX), Ok(3));
    }
}

#[test]
fn without_a_notifier_there_is_nothing_to_wait_with() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let queue = Queue::<u32>::create(region, "queue", 2).unwrap();
    let ring = Ring::<u32>::create(region, "ring", 2).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!(queue.push(1), Err(PushTimeoutError::NoWaiter(1)));
    assert_eq!(queue.push_timeout(1, SHORT), Err(PushTimeoutError::NoWaiter(1)));
    assert_eq!(queue.pop(), Err(PopTimeoutError::NoWaiter));
    assert_eq!(queue.pop_timeout(SHORT), Err(PopTimeoutError::NoWaiter));
    assert_eq!(producer.push(1), Err(PushTimeoutError::NoWaiter(1)));
    assert_eq!(producer.push_timeout(1, SHORT), Err(PushTimeoutError::NoWaiter(1)));
    assert_eq!(consumer.pop(), Err(PopTimeoutError::NoWaiter));
    assert_eq!(consumer.pop_timeout(SHORT), Err(PopTimeoutError::NoWaiter));
    // By a waiter of one's own it works.
    queue.push_with(1, &SPIN, None).unwrap();
    assert_eq!(queue.pop_with(&SPIN, None), Ok(1));
    producer.push_with(1, &SPIN, None).unwrap();
    assert_eq!(consumer.pop_with(&SPIN, None), Ok(1));
}

#[test]
fn nobody_is_woken_while_nobody_waits() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = region(&mut memory, &sleeper);
    let queue = Queue::<u32>::create(region, "queue", 2).unwrap();
    let ring = Ring::<u32>::create(region, "ring", 2).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for n in 0..100 {
        queue.push(n).unwrap();
        producer.push(n).unwrap();
        assert_eq!((queue.pop(), consumer.pop()), (Ok(n), Ok(n)));
    }
    assert_eq!((sleeper.wakes(), sleeper.sleeps()), (vec![], 0));
}

/// A sleeper that is gone costs its waker one vain call, and then all is quiet again.
#[test]
fn wakes_end_soon_after_the_last_sleeper() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = region(&mut memory, &sleeper);
    let queue = Queue::<u32>::create(region, "queue", 2).unwrap();
    queue.pop_timeout(SHORT).unwrap_err();
    for n in 0..100 {
        queue.push(n).unwrap();
        assert_eq!(queue.pop(), Ok(n));
    }
    // Nobody was there; the mark is cleared, and whoever slept on its old value in between is woken.
    assert_eq!(sleeper.wakes(), [1, u32::MAX]);

    let ring = Ring::<u32>::create(region, "ring", 2).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    consumer.pop_timeout(SHORT).unwrap_err();
    for n in 0..100 {
        producer.push(n).unwrap();
        assert_eq!(consumer.pop(), Ok(n));
    }
    assert_eq!(sleeper.wakes(), [1]);
}

/// A clock that only sleeping moves, a little each time: as if woken for nothing again and again.
#[derive(Debug)]
struct Restless(AtomicU64);

impl Wait for Restless {
    fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn wait(&self, _word: WaitWord<'_>, _expected: u32, deadline: u64) {
        assert!(deadline > self.now(), "asked to sleep until the past");
        self.0.fetch_add(1, Relaxed);
    }

    fn wake(&self, _word: WaitWord<'_>, _count: u32) -> u32 {
        0
    }
}

#[test]
fn waking_for_nothing_does_not_shorten_a_wait() {
    let restless = Restless(AtomicU64::new(5));
    let mut memory = Memory::zeroed(4096);
    let region = region(&mut memory, &restless);
    let queue = Queue::<u32>::create(region, "queue", 2).unwrap();
    let ring = Ring::<u32>::create(region, "ring", 2).unwrap();
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(queue.pop_timeout(Duration::from_nanos(300)), Err(PopTimeoutError::Timeout));
    assert_eq!(restless.now(), 305);
    assert_eq!(consumer.pop_with(&restless, Some(500)), Err(PopTimeoutError::Timeout));
    assert_eq!(restless.now(), 500);
}

#[test]
fn a_sleeper_is_woken() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = region(&mut memory, &sleeper);
    let queue = Queue::<u32>::create(region, "queue", 2).unwrap();
    let ring = Ring::<u32>::create(region, "ring", 2).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    thread::scope(|scope| {
        // Consumers sleep until there is an element.
        let popping = scope.spawn(move || queue.pop());
        sleeper.until_asleep(1);
        queue.try_push(1).unwrap();
        assert_eq!(popping.join().unwrap(), Ok(1));
        let popping = scope.spawn(move || (consumer.pop(), consumer));
        sleeper.until_asleep(1);
        producer.try_push(1).unwrap();
        let (popped, mut consumer) = popping.join().unwrap();
        assert_eq!(popped, Ok(1));

        // Producers sleep until there is room.
        for n in 0..2 {
            queue.try_push(n).unwrap();
            producer.try_push(n).unwrap();
        }
        let pushing = scope.spawn(move || queue.push(2));
        sleeper.until_asleep(1);
        assert_eq!(queue.try_pop(), Ok(0));
        pushing.join().unwrap().unwrap();
        let pushing = scope.spawn(move || producer.push(2));
        sleeper.until_asleep(1);
        assert_eq!(consumer.try_pop(), Ok(0));
        pushing.join().unwrap().unwrap();
        assert_eq!((queue.try_pop(), queue.try_pop()), (Ok(1), Ok(2)));
        assert_eq!((consumer.try_pop(), consumer.try_pop()), (Ok(1), Ok(2)));
    });
    assert!(sleeper.woken() >= 4, "somebody overslept: {} were woken", sleeper.woken());
}

#[test]
fn two_sleepers_and_two_pushes() {
    for _ in 0..50 {
        let sleeper = Sleeper::new();
        let mut memory = Memory::zeroed(4096);
        let queue = Queue::<u32>::create(region(&mut memory, &sleeper), "queue", 4).unwrap();
        thread::scope(|scope| {
            let consumers = [(); 2].map(|()| scope.spawn(move || queue.pop().unwrap()));
            sleeper.until_asleep(2);
            queue.try_push(1).unwrap();
            queue.try_push(2).unwrap();
            let mut popped = consumers.map(|consumer| consumer.join().unwrap());
            popped.sort_unstable();
            assert_eq!(popped, [1, 2]);
        });
        assert!(queue.is_empty());
    }
}

#[test]
fn two_sleeping_producers_and_two_pops() {
    for _ in 0..50 {
        let sleeper = Sleeper::new();
        let mut memory = Memory::zeroed(4096);
        let queue = Queue::<u32>::create(region(&mut memory, &sleeper), "queue", 2).unwrap();
        queue.try_push(1).unwrap();
        queue.try_push(2).unwrap();
        thread::scope(|scope| {
            let producers = [3, 4].map(|n| scope.spawn(move || queue.push(n).unwrap()));
            sleeper.until_asleep(2);
            assert_eq!((queue.try_pop(), queue.try_pop()), (Ok(1), Ok(2)));
            producers.into_iter().for_each(|producer| producer.join().unwrap());
        });
        let mut popped = [queue.try_pop().unwrap(), queue.try_pop().unwrap()];
        popped.sort_unstable();
        assert_eq!(popped, [3, 4]);
    }
}

/// Many sleeps and wake-ups through small structures, by a waiter that sleeps at once and never wakes by itself.
#[test]
fn no_wake_up_is_lost() {
    const COUNT: u32 = 3000;
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = region(&mut memory, &sleeper);
    let queue = Queue::<u32>::create(region, "queue", 2).unwrap();
    let ring = Ring::<u32>::create(region, "ring", 1).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || (0..COUNT).for_each(|n| queue.push(n).unwrap()));
        }
        let consumers = [(); 2].map(|()| {
            scope.spawn(move || (0..COUNT).map(|_| u64::from(queue.pop().unwrap())).sum::<u64>())
        });
        let sum: u64 = consumers.into_iter().map(|consumer| consumer.join().unwrap()).sum();
        assert_eq!(sum, u64::from(COUNT) * u64::from(COUNT - 1));
    });
    thread::scope(|scope| {
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        scope.spawn(move || (0..COUNT).for_each(|n| producer.push(n).unwrap()));
        (0..COUNT).for_each(|n| assert_eq!(consumer.pop(), Ok(n)));
    });
}

#[test]
fn a_spinner_sees_what_comes() {
    let mut memory = Memory::zeroed(4096);
    let queue = Queue::<u32>::create(region(&mut memory, &SPIN), "queue", 2).unwrap();
    thread::scope(|scope| {
        let popping = scope.spawn(move || queue.pop_timeout(Duration::from_secs(60)));
        thread::sleep(Duration::from_millis(5));
        queue.try_push(1).unwrap();
        assert_eq!(popping.join().unwrap(), Ok(1));
    });
}
