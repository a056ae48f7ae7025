//! Waiting for several sources at once: whichever has a value wakes, and no wake-up is lost to one that did not need it.
#![cfg(not(loom))]

mod many_words;
mod memory;

use many_words::Deep;
use memory::Memory;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use zeroipc_nostd::{
    FormatOptions, NextError, Queue, Region, Ring, Source, Wait, WaitSet, WaitWord,
};

fn region<'a>(memory: &'a mut Memory, notifier: &'a dyn Wait) -> Region<'a> {
    memory.region(FormatOptions::new()).with_notifier(notifier)
}

#[test]
fn either_side_of_a_merge_wakes() {
    let deep = Deep::new();
    let mut memory = Memory::zeroed(4096);
    let region = region(&mut memory, &deep);
    let queue = Queue::<u32>::create(region, "queue", 2).unwrap();
    let ring = Ring::<u32>::create(region, "ring", 2).unwrap();
    let mut producer = ring.producer().unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut both = queue.merge(ring.consumer().unwrap()).filter(|n| n % 2 == 0);
            [both.next(), both.next(), both.next()]
        });
        for n in [1, 2, 4, 5] {
            deep.until_asleep(1);
            queue.try_push(n).unwrap();
        }
        deep.until_asleep(1);
        producer.try_push(6).unwrap();
        assert_eq!(reader.join().unwrap(), [Ok(2), Ok(4), Ok(6)]);
    });
}

#[test]
fn a_pair_waits_for_what_it_lacks() {
    let deep = Deep::new();
    let mut memory = Memory::zeroed(4096);
    let region = region(&mut memory, &deep);
    let left = Queue::<u32>::create(region, "left", 2).unwrap();
    let right = Queue::<u32>::create(region, "right", 2).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| left.zip(right).next());
        deep.until_asleep(1);
        left.try_push(1).unwrap();
        // It holds the left value now, and leaves the next one and its wake-up to others.
        while !left.is_empty() {
            thread::yield_now();
        }
        let other = scope.spawn(|| left.pop());
        deep.until_asleep(2);
        left.try_push(2).unwrap();
        assert_eq!(other.join().unwrap(), Ok(2));
        right.try_push(3).unwrap();
        assert_eq!(reader.join().unwrap(), Ok((1, 3)));
    });
}

/// While it is asleep, both of its queues get a value. It takes one, and must wake somebody for the other.
#[derive(Debug)]
struct Meanwhile<'a> {
    push: Mutex<Vec<Queue<'a, u32>>>,
    woken: Mutex<Vec<u32>>,
    sleeps: AtomicU32,
}

impl Wait for Meanwhile<'_> {
    fn now(&self) -> u64 {
        u64::from(self.sleeps.load(Relaxed))
    }

    fn wait(&self, _word: WaitWord<'_>, _expected: u32, _deadline: u64) {
        unreachable!("there are two words");
    }

    fn wait_any(&self, set: &WaitSet<'_>, _deadline: u64) {
        self.sleeps.fetch_add(1, Relaxed);
        assert_eq!(set.len(), 2);
        for queue in self.push.lock().unwrap().drain(..) {
            queue.try_push(7).unwrap();
        }
        assert!(set.has_changed());
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        assert_eq!(count, 1);
        self.woken.lock().unwrap().push(word.load());
        1
    }

    fn spins(&self) -> u32 {
        0
    }
}

#[test]
fn a_wake_up_for_what_is_not_taken_is_passed_on() {
    let deep = Deep::new();
    let mut memory = Memory::zeroed(4096);
    let region = region(&mut memory, &deep);
    let one = Queue::<u32>::create(region, "one", 2).unwrap();
    let other = Queue::<u32>::create(region, "other", 2).unwrap();
    let waiter = Meanwhile {
        push: Mutex::new(vec![one, other]),
        woken: Mutex::default(),
        sleeps: AtomicU32::new(0),
    };
    assert_eq!(one.merge(other).next_with(&waiter, None), Ok(7));
    assert_eq!((one.len(), other.len()), (0, 1));
    // The word of each that changed.
    assert_eq!(waiter.woken.lock().unwrap().len(), 2);
}

/// Two that merge the same two queues in opposite order, and one that pops from one of them: all values arrive.
#[test]
fn no_wake_up_is_lost() {
    const COUNT: u32 = 1500;
    let deep = Deep::new();
    let mut memory = Memory::zeroed(4096);
    let region = region(&mut memory, &deep);
    let left = Queue::<u32>::create(region, "left", 2).unwrap();
    let right = Queue::<u32>::create(region, "right", 2).unwrap();
    let taken = AtomicU64::new(0);
    let add = |n: u32| taken.fetch_add(u64::from(n), Relaxed);
    thread::scope(|scope| {
        // 0 ends a reader.
        let until_ended = |mut source: Box<dyn Source<'_, Item = u32> + '_>| {
            (&mut *source).take_while(|n| *n != 0).for_each(|n| {
                add(n);
            })
        };
        let readers = [
            scope.spawn(move || until_ended(Box::new(left.merge(right)))),
            scope.spawn(move || until_ended(Box::new(right.merge(left)))),
            scope.spawn(move || until_ended(Box::new(left))),
        ];
        let writers = [left, right]
            .map(|queue| scope.spawn(move || (1..=COUNT).for_each(|n| queue.push(n).unwrap())));
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        // Readers are there, so all is taken: a lost wake-up hangs the test here.
        while !(left.is_empty() && right.is_empty()) {
            thread::yield_now();
        }
        (0..3).for_each(|_| left.push(0).unwrap());
        for reader in readers {
            assert_eq!(reader.join().unwrap(), Ok(()));
        }
    });
    assert_eq!(taken.load(Relaxed), u64::from(COUNT) * u64::from(COUNT + 1));
}

#[test]
fn a_timeout_is_never_early() {
    let deep = Clocked::default();
    let mut memory = Memory::zeroed(4096);
    let region = region(&mut memory, &deep);
    let left = Queue::<u32>::create(region, "left", 2).unwrap();
    let right = Queue::<u32>::create(region, "right", 2).unwrap();
    let mut both = left.merge(right);
    assert_eq!(both.next_timeout(Duration::from_nanos(300)), Err(NextError::Timeout));
    assert_eq!(deep.now(), 300);
    assert_eq!(both.next_with(&deep, Some(500)), Err(NextError::Timeout));
    assert_eq!(deep.now(), 500);
}

/// A clock that only sleeping moves, a little each time: as if woken for nothing again and again.
#[derive(Debug, Default)]
struct Clocked(AtomicU64);

impl Wait for Clocked {
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
