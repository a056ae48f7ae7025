//! Models of the Queue: capacity 2, one spare, every look displaces at once.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release -p zeroipc-nostd --test loom_queue`. Preemptions are bounded as each
//! model says; the bound can be raised by `LOOM_MAX_PREEMPTIONS`.
#![cfg(loom)]

use loom::thread;
use std::sync::Arc;
use zeroipc_nostd::testing::{abandon_at, Slab};
use zeroipc_nostd::{FormatOptions, Geometry, PopError, PushError, Queue, Region, Span, WordSize};

const BYTES: usize = 1024;

fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    // Counted over all threads of an execution; the draining at the end takes its share.
    builder.max_branches = 10_000;
    builder
}

/// A queue of two places and one spare, with `before` pushed and popped so that tickets have wrapped around the entries.
fn queue_memory(word: WordSize, before: u32) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(BYTES));
    let geometry = Geometry::new(word, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    let queue = Queue::<u32>::create_with_spares(region, "q", 2, 1).unwrap();
    for value in 0..before {
        queue.try_push(1000 + value).unwrap();
        queue.try_pop().unwrap();
    }
    slab
}

fn open(span: Span<'_>) -> Queue<'_, u32> {
    Queue::open(Region::open(span).unwrap(), "q").unwrap()
}

fn in_thread<R: 'static>(
    slab: &Arc<Slab>,
    body: impl FnOnce(Queue<'_, u32>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let slab = slab.clone();
    thread::spawn(move || {
        // Opened without stop points or interleavings of its own: the model is about the operations.
        body(open(slab.span()))
    })
}

fn drain(queue: &Queue<'_, u32>) -> Vec<u32> {
    let mut left = Vec::new();
    loop {
        match queue.try_pop() {
            Ok(value) => left.push(value),
            Err(PopError::Empty) => return left,
            Err(error) => panic!("{error}"),
        }
    }
}

/// What two pushes and some pops must add up to: every pushed value once, no other.
fn check(mut got: Vec<u32>, pushed: &[u32]) {
    got.sort_unstable();
    assert_eq!(got, pushed);
}

/// When nobody is inside, the spare is back: a party that stops now is displaced like the first one was.
fn check_spare(queue: &Queue<'_, u32>) {
    assert!(abandon_at(3, || queue.try_push(98)).is_err());
    queue.try_push(99).unwrap();
    assert_eq!(drain(queue), [99]);
}

fn two_producers_one_consumer(word: WordSize) {
    bounded(2).check(move || {
        let slab = queue_memory(word, 0);
        let producers = [1, 2].map(|value| in_thread(&slab, move |queue| queue.try_push(value)));
        let consumer = in_thread(&slab, |queue| [queue.try_pop(), queue.try_pop()]);
        let pushed: Vec<u32> = (1..)
            .zip(producers)
            // With two places and one spare neither may see it full; a third party in the way may block it.
            .filter_map(|(value, producer)| match producer.join().unwrap() {
                Ok(()) => Some(value),
                Err(PushError::Blocked(_)) => None,
                Err(error) => panic!("{error}"),
            })
            .collect();
        let mut got: Vec<u32> = consumer.join().unwrap().into_iter().flatten().collect();
        got.extend(drain(&open(slab.span())));
        check(got, &pushed);
        check_spare(&open(slab.span()));
    });
}

#[test]
fn two_producers_one_consumer_with_8_byte_words() {
    two_producers_one_consumer(WordSize::Eight);
}

#[test]
fn two_producers_one_consumer_with_4_byte_words() {
    two_producers_one_consumer(WordSize::Four);
}

/// A producer comes round to the entry that a consumer is still leaving, and displaces it.
#[test]
fn one_producer_two_consumers_across_a_wrap() {
    bounded(2).check(|| {
        let slab = queue_memory(WordSize::Eight, 1);
        let queue = open(slab.span());
        queue.try_push(1).unwrap();
        queue.try_push(2).unwrap();
        let consumers = [0, 1].map(|_| in_thread(&slab, |queue| queue.try_pop()));
        let producer = in_thread(&slab, |queue| {
            (3..5).filter(|value| queue.try_push(*value).is_ok()).collect::<Vec<u32>>()
        });
        let pushed = producer.join().unwrap();
        let mut got = Vec::new();
        for consumer in consumers {
            match consumer.join().unwrap() {
                Ok(value) => got.push(value),
                Err(error) => assert_eq!(error, PopError::Blocked),
            }
        }
        got.extend(drain(&open(slab.span())));
        let all: Vec<u32> = [1, 2].into_iter().chain(pushed).collect();
        check(got, &all);
        check_spare(&open(slab.span()));
    });
}

/// One consumer, one producer, twice around: what comes out is in order, and `Full` and `Empty` are the truth.
#[test]
fn one_producer_one_consumer_in_order() {
    bounded(3).check(|| {
        let slab = queue_memory(WordSize::Eight, 0);
        let producer = in_thread(&slab, |queue| {
            (1..4).filter(|value| queue.try_push(*value).is_ok()).collect::<Vec<u32>>()
        });
        let consumer = in_thread(&slab, |queue| {
            (0..3).filter_map(|_| queue.try_pop().ok()).collect::<Vec<u32>>()
        });
        let pushed = producer.join().unwrap();
        assert!(pushed.starts_with(&[1, 2]), "there was room for the first two: {pushed:?}");
        let mut got = consumer.join().unwrap();
        got.extend(drain(&open(slab.span())));
        assert_eq!(got, pushed);
        check_spare(&open(slab.span()));
    });
}

/// A producer is stopped for ever before each of its accesses; a consumer and another producer go on.
#[test]
fn a_producer_that_stops_anywhere() {
    for step in 0.. {
        let reached = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = reached.clone();
        bounded(2).check(move || {
            let slab = queue_memory(WordSize::Eight, 0);
            let stopped = in_thread(&slab, move |queue| abandon_at(step, || queue.try_push(1)));
            let other = in_thread(&slab, |queue| (queue.try_push(2), queue.try_pop()));
            let finished = stopped.join().unwrap().is_ok();
            if !finished {
                seen.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            let (pushed, popped) = other.join().unwrap();
            pushed.expect("one spare stands for one stopped party");
            let mut got: Vec<u32> = popped.into_iter().collect();
            got.extend(drain(&open(slab.span())));
            got.sort_unstable();
            assert!(got == [1, 2] || (!finished && got == [2]), "{got:?}");
        });
        if !reached.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(step > 4, "a push has at least five accesses");
            break;
        }
    }
}

/// A consumer is stopped for ever before each of its accesses; a producer comes round and another consumer goes on.
#[test]
fn a_consumer_that_stops_anywhere() {
    for step in 0.. {
        let reached = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = reached.clone();
        bounded(2).check(move || {
            let slab = queue_memory(WordSize::Eight, 0);
            let queue = open(slab.span());
            queue.try_push(1).unwrap();
            queue.try_push(2).unwrap();
            let stopped = in_thread(&slab, move |queue| abandon_at(step, || queue.try_pop()));
            let other = in_thread(&slab, |queue| (queue.try_pop(), queue.try_push(3)));
            let mut got: Vec<u32> = Vec::new();
            let stopped = stopped.join().unwrap();
            let finished = stopped.is_ok();
            if !finished {
                seen.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            got.extend(stopped.into_iter().flatten());
            let (popped, pushed) = other.join().unwrap();
            got.push(popped.expect("two values, one stopped consumer"));
            pushed.expect("there is room after a pop");
            got.extend(drain(&open(slab.span())));
            got.sort_unstable();
            let lost = !finished && (got == [2, 3] || got == [1, 3]);
            assert!(got == [1, 2, 3] || lost, "{got:?}");
        });
        if !reached.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(step > 4, "a pop has at least five accesses");
            break;
        }
    }
}

/// A grant moves its slot into the queue by one CAS, and another takes it out, while a consumer passes.
#[test]
fn grants_on_both_sides() {
    bounded(2).check(|| {
        let slab = queue_memory(WordSize::Eight, 0);
        let producer = in_thread(&slab, |queue| {
            let Ok(grant) = queue.try_grant() else { return false };
            grant.write(1);
            grant.commit().is_ok()
        });
        let taker = in_thread(&slab, |queue| queue.try_pop_grant().map(|grant| grant.read()));
        let consumer = in_thread(&slab, |queue| (queue.try_push(2).is_ok(), queue.try_pop()));
        let mut pushed = Vec::new();
        if producer.join().unwrap() {
            pushed.push(1);
        }
        let (ok, popped) = consumer.join().unwrap();
        if ok {
            pushed.push(2);
        }
        let mut got: Vec<u32> = popped.into_iter().chain(taker.join().unwrap()).collect();
        got.extend(drain(&open(slab.span())));
        check(got, &pushed);
        check_spare(&open(slab.span()));
    });
}

/// A look at the front is never a value that was not there, while it is popped and its slot is filled again.
#[test]
fn peeking() {
    bounded(2).check(|| {
        let slab = queue_memory(WordSize::Eight, 0);
        open(slab.span()).try_push(1).unwrap();
        let peeker = in_thread(&slab, |queue| queue.peek());
        let other = in_thread(&slab, |queue| {
            let popped = queue.try_pop();
            for value in 2..4 {
                queue.try_push(value).unwrap();
                queue.try_pop().unwrap();
            }
            popped
        });
        assert_eq!(other.join().unwrap(), Ok(1));
        match peeker.join().unwrap() {
            Ok(value) => assert!((1..4).contains(&value)),
            Err(error) => assert_eq!(error, PopError::Empty),
        }
    });
}
