//! Models of the Ring: one producer, one consumer, twice around a capacity of 2.
#![cfg(loom)]

use loom::thread;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use zeroipc_nostd::testing::{abandon_at, Slab};
use zeroipc_nostd::{
    Consumer, FormatOptions, Geometry, Producer, PushError, Region, Ring, Span, WordSize,
};

fn ring_memory(word: WordSize) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(word, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    Ring::<u32>::create(region, "r", 2).unwrap();
    slab
}

fn open(span: Span<'_>) -> Ring<'_, u32> {
    Ring::open(Region::open(span).unwrap(), "r").unwrap()
}

fn in_order(word: WordSize) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(4));
    builder.check(move || {
        let slab = ring_memory(word);
        let producing = slab.clone();
        let producer = thread::spawn(move || {
            let ring = open(producing.span());
            let mut producer = ring.producer().unwrap();
            let mut pushed = Vec::new();
            for value in 1..=4 {
                match producer.try_push(value) {
                    Ok(()) => pushed.push(value),
                    Err(error) => assert_eq!(error, PushError::Full(value)),
                }
            }
            pushed
        });
        let consuming = slab.clone();
        let consumer = thread::spawn(move || {
            let mut consumer = open(consuming.span()).consumer().unwrap();
            (0..4).filter_map(|_| consumer.try_pop().ok()).collect::<Vec<u32>>()
        });
        let pushed = producer.join().unwrap();
        let mut got = consumer.join().unwrap();
        let mut rest = open(slab.span()).consumer().unwrap();
        got.extend(std::iter::from_fn(|| rest.try_pop().ok()));
        assert!(pushed.starts_with(&[1, 2]), "{pushed:?}");
        assert_eq!(got, pushed);
    });
}

#[test]
fn in_order_with_8_byte_words() {
    in_order(WordSize::Eight);
}

#[test]
fn in_order_with_4_byte_words() {
    in_order(WordSize::Four);
}

/// The producer's role goes from one thread to another: the second goes on where the first stopped.
#[test]
fn the_role_hands_the_counters_over() {
    loom::model(|| {
        let slab = ring_memory(WordSize::Four);
        let threads = [1, 2].map(|value| {
            let slab = slab.clone();
            thread::spawn(move || {
                let ring = open(slab.span());
                let pushed = ring.producer().map(|mut producer| producer.try_push(value));
                pushed.is_ok_and(|pushed| pushed.is_ok()).then_some(value)
            })
        });
        let pushed: Vec<u32> = threads.into_iter().filter_map(|t| t.join().unwrap()).collect();
        let mut consumer = open(slab.span()).consumer().unwrap();
        let mut got: Vec<u32> = std::iter::from_fn(|| consumer.try_pop().ok()).collect();
        got.sort_unstable();
        assert!(!pushed.is_empty());
        assert_eq!(got, pushed);
    });
}

/// The producer is stopped for ever before each of its accesses: the consumer sees the value whole or not at all.
#[test]
fn a_producer_that_stops_anywhere() {
    for step in 0..8 {
        loom::model(move || {
            let slab = ring_memory(WordSize::Eight);
            let producing = slab.clone();
            let producer = thread::spawn(move || {
                let ring = open(producing.span());
                // A killed party does not give its role back.
                let mut producer = ManuallyDrop::new(ring.producer().unwrap());
                abandon_at(step, || producer.try_push(7)).is_ok()
            });
            let consuming = slab.clone();
            let consumer = thread::spawn(move || {
                let mut consumer = open(consuming.span()).consumer().unwrap();
                consumer.try_pop().ok()
            });
            let finished = producer.join().unwrap();
            let first = consumer.join().unwrap();
            let ring = open(slab.span());
            let second = ring.consumer().unwrap().try_pop().ok();
            assert!(first.or(second).is_none_or(|value| value == 7));
            assert!(!finished || first.or(second) == Some(7));
            let mut next = ring.take_over_producer();
            next.try_push(8).unwrap();
            assert_eq!(ring.consumer().unwrap().try_pop(), Ok(8));
        });
    }
}

/// How a party moves several elements at once.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Slice,
    Grant,
}

fn push_many(producer: &mut Producer<'_, u32>, way: Way, values: &[u32]) -> usize {
    match way {
        Way::Slice => producer.try_push_slice(values).unwrap_or(0),
        Way::Grant => {
            let Ok(grant) = producer.try_grant(values.len()) else { return 0 };
            (0..grant.len()).for_each(|index| grant.write(index, values[index]).unwrap());
            let len = grant.len();
            grant.commit(len);
            len
        }
    }
}

fn pop_many(consumer: &mut Consumer<'_, u32>, way: Way, count: usize) -> Vec<u32> {
    match way {
        Way::Slice => {
            let mut values = vec![0; count];
            let popped = consumer.try_pop_slice(&mut values).unwrap_or(0);
            values.truncate(popped);
            values
        }
        Way::Grant => {
            let Ok(grant) = consumer.try_read_grant(count) else { return Vec::new() };
            let values = grant.iter().collect();
            let len = grant.len();
            grant.release(len);
            values
        }
    }
}

/// Several at once on both sides, around the end, beside single ones: each once and in order, and no slot is written while
/// it is read.
fn many_in_order(word: WordSize, pushing: Way, popping: Way) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(4));
    builder.check(move || {
        let slab = ring_memory(word);
        let producing = slab.clone();
        let producer = thread::spawn(move || {
            let ring = open(producing.span());
            let mut producer = ring.producer().unwrap();
            producer.try_push(1).unwrap();
            let first = 1 + push_many(&mut producer, pushing, &[2, 3]) as u32;
            let rest: Vec<u32> = (first + 1..=first + 2).collect();
            first + push_many(&mut producer, pushing, &rest) as u32
        });
        let consuming = slab.clone();
        let consumer = thread::spawn(move || {
            let mut consumer = open(consuming.span()).consumer().unwrap();
            let mut got: Vec<u32> = consumer.try_pop().into_iter().collect();
            got.extend(pop_many(&mut consumer, popping, 2));
            if let Ok(next) = consumer.peek() {
                assert_eq!(consumer.skip(1), Ok(1));
                got.push(next);
            }
            got
        });
        let pushed = producer.join().unwrap();
        let mut got = consumer.join().unwrap();
        let mut rest = open(slab.span()).consumer().unwrap();
        got.extend(std::iter::from_fn(|| rest.try_pop().ok()));
        // The second always fits, since at most one is there.
        assert!(pushed >= 2);
        assert!(got.iter().copied().eq(1..=pushed), "{got:?} of {pushed}");
    });
}

#[test]
fn slices_in_order() {
    many_in_order(WordSize::Eight, Way::Slice, Way::Slice);
}

#[test]
fn grants_in_order() {
    many_in_order(WordSize::Four, Way::Grant, Way::Grant);
}

#[test]
fn slices_to_grants() {
    many_in_order(WordSize::Four, Way::Slice, Way::Grant);
}

/// The producer is stopped for ever before each access of a push of two: the consumer sees both or none.
#[test]
fn a_producer_of_many_that_stops_anywhere() {
    for way in [Way::Slice, Way::Grant] {
        for step in 0..6 {
            loom::model(move || {
                let slab = ring_memory(WordSize::Eight);
                let producing = slab.clone();
                let producer = thread::spawn(move || {
                    let ring = open(producing.span());
                    let mut producer = ManuallyDrop::new(ring.producer().unwrap());
                    abandon_at(step, || push_many(&mut producer, way, &[7, 8])).is_ok()
                });
                let consuming = slab.clone();
                let consumer = thread::spawn(move || {
                    let mut consumer = open(consuming.span()).consumer().unwrap();
                    pop_many(&mut consumer, way, 2)
                });
                let finished = producer.join().unwrap();
                let mut got = consumer.join().unwrap();
                let ring = open(slab.span());
                got.extend(pop_many(&mut ring.consumer().unwrap(), way, 2));
                assert!(got == [7, 8] || (got.is_empty() && !finished), "{got:?}");
                ring.take_over_producer().try_push(9).unwrap();
                assert_eq!(ring.consumer().unwrap().try_pop(), Ok(9));
            });
        }
    }
}
