//! A stream's values by their numbers: emitted as a certain one or not at all, looked at without subscribing; and a subscriber as
//! a source of operators.
#![cfg(not(loom))]

mod memory;

use memory::{geometries, Memory};
use proptest::prelude::*;
use std::thread;
use std::time::Duration;
use zeroipc_nostd::{
    EmitError, FormatOptions, NextError, Source, Spin, Stream, StreamOptions, Wait,
};

fn clock() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

static SPIN: Spin = Spin::new(clock);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Only the next number is taken; `get` gives the last that are kept, and says of each other why not.
    #[test]
    fn only_the_next_number_is_emitted(numbers in prop::collection::vec(0..30_u64, 0..80)) {
        for geometry in geometries() {
            let mut memory = Memory::zeroed(1 << 14);
            let region = memory.region(FormatOptions::new().geometry(geometry));
            let stream = Stream::<u64>::create(region, "stream", 4).unwrap();
            prop_assert_eq!(stream.name().to_string(), "stream");
            let mut emitted = Vec::new();
            for number in &numbers {
                let next = emitted.len() as u64;
                // Half of them are right.
                let number = if number % 2 == 0 { next } else { *number };
                let value = number * 1000 + 7;
                if number == next {
                    prop_assert_eq!(stream.try_emit_at(number, value), Ok(number));
                    emitted.push(value);
                } else {
                    prop_assert_eq!(stream.try_emit_at(number, value), Err(EmitError::NotNext(value)));
                }
                let next = emitted.len() as u64;
                prop_assert_eq!(stream.next_sequence(), next);
                let oldest = next.saturating_sub(4);
                for number in 0..next + 2 {
                    let expected = if number < oldest {
                        Err(NextError::Lagged { missed: oldest - number })
                    } else {
                        emitted.get(number as usize).copied().ok_or(NextError::Empty)
                    };
                    prop_assert_eq!(stream.get(number), expected);
                }
            }
            let next = stream.next_sequence();
            stream.close().unwrap();
            prop_assert_eq!(stream.try_emit_at(next, 0), Err(EmitError::Closed(0)));
            prop_assert_eq!(stream.get(next), Err(NextError::Closed));
        }
    }
}

/// Threads that emit the same values as the same numbers: each comes once, by one of them.
#[test]
fn each_number_comes_once() {
    const COUNT: u64 = 20_000;
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new());
    let stream = Stream::<u64>::create(region, "stream", 64).unwrap();
    let emitted = thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut subscriber = stream.subscribe_at(0).unwrap();
            let mut next = 0;
            loop {
                match subscriber.try_next() {
                    Ok(value) => {
                        assert_eq!(value, next * 3);
                        next += 1;
                    }
                    Err(NextError::Lagged { missed }) => next += missed,
                    Err(NextError::Closed) => return next,
                    Err(error) => assert_eq!(error, NextError::Empty),
                }
            }
        });
        let emitters = [(); 3].map(|()| {
            scope.spawn(move || {
                let mut mine = 0;
                for number in 0..COUNT {
                    // Nobody is ahead of a number that is not there yet.
                    match stream.try_emit_at(number, number * 3) {
                        Ok(at) => {
                            assert_eq!(at, number);
                            mine += 1;
                        }
                        Err(error) => assert_eq!(error, EmitError::NotNext(number * 3)),
                    }
                }
                mine
            })
        });
        let emitted: u64 = emitters.map(|emitter| emitter.join().unwrap()).into_iter().sum();
        stream.close().unwrap();
        assert_eq!(reader.join().unwrap(), COUNT);
        emitted
    });
    assert_eq!(emitted, COUNT);
}

#[test]
fn a_number_waits_for_room() {
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new()).with_notifier(&SPIN);
    let options = StreamOptions::new().backpressure(1);
    let stream = Stream::<u32>::create_with(region, "stream", 2, &options).unwrap();
    let mut slow = stream.subscribe().unwrap();
    assert_eq!((stream.try_emit_at(0, 5), stream.try_emit_at(1, 6)), (Ok(0), Ok(1)));
    assert_eq!(stream.try_emit_at(2, 7), Err(EmitError::Full(7)));
    // What is not its turn is told at once, room or not.
    assert_eq!(stream.emit_at_with(1, 7, &SPIN, None), Err(EmitError::NotNext(7)));
    let deadline = SPIN.now() + 5_000_000;
    assert_eq!(stream.emit_at_with(2, 7, &SPIN, Some(deadline)), Err(EmitError::Timeout(7)));
    assert!(SPIN.now() >= deadline);
    thread::scope(|scope| {
        let emitter = scope.spawn(move || stream.emit_at_with(2, 7, &SPIN, None));
        thread::sleep(Duration::from_millis(5));
        assert_eq!(slow.try_next(), Ok(5));
        assert_eq!(emitter.join().unwrap(), Ok(2));
    });
    assert!(slow.try_iter().eq([Ok(6), Ok(7)]));

    let options = StreamOptions::new().single_publisher();
    let one = Stream::<u32>::create_with(region, "one", 2, &options).unwrap();
    assert_eq!(one.try_emit_at(0, 5), Err(EmitError::SinglePublisher(5)));
    one.publisher().unwrap().try_emit(5).unwrap();
    assert_eq!(one.get(0), Ok(5));
}

#[test]
fn subscribers_are_sources() {
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new()).with_notifier(&SPIN);
    let left = Stream::<u32>::create(region, "left", 4).unwrap();
    let right = Stream::<u32>::create(region, "right", 16).unwrap();
    let subscribe = || (left.subscribe().unwrap(), right.subscribe().unwrap());
    let ((l1, r1), (l2, r2), (l3, _)) = (subscribe(), subscribe(), subscribe());
    for n in 0..10 {
        left.emit(n).unwrap();
        right.emit(n + 100).unwrap();
    }
    left.close().unwrap();
    right.close().unwrap();
    // What the one has missed, the other one leaves out.
    let mut pairs = l1.zip(r1);
    assert_eq!(pairs.try_next(), Err(NextError::Lagged { missed: 6 }));
    assert!(pairs.iter().eq((6..10).map(|n| Ok((n, n + 100)))));
    assert_eq!(pairs.try_next(), Err(NextError::Closed));

    let mut both = l2.merge(r2).lossy();
    let all: Vec<u32> = both.iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(both.missed(), 6);
    assert!(all.iter().copied().filter(|n| *n >= 100).eq(100..110));
    assert!(all.iter().copied().filter(|n| *n < 100).eq(6..10));

    let mut windows = l3.map(|n| n * 2).window::<2>();
    assert_eq!(windows.next(), Err(NextError::Lagged { missed: 6 }));
    assert!(windows.iter().eq([Ok([12, 14]), Ok([14, 16]), Ok([16, 18])]));
}

/// Two streams, slow and by turns: whoever merges them sleeps and is woken by either.
#[test]
fn a_merge_of_streams_waits_for_both() {
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new()).with_notifier(&SPIN);
    let options = StreamOptions::new().single_publisher();
    let left = Stream::<u32>::create(region, "left", 16).unwrap();
    let right = Stream::<u32>::create_with(region, "right", 16, &options).unwrap();
    let mut both = left.subscribe().unwrap().merge(right.subscribe().unwrap());
    thread::scope(|scope| {
        let reader = scope.spawn(move || both.iter().collect::<Result<Vec<_>, _>>().unwrap());
        let mut publisher = right.publisher().unwrap();
        for n in 0..10 {
            thread::sleep(Duration::from_millis(1));
            if n % 2 == 0 {
                left.emit(n).unwrap();
            } else {
                publisher.emit(n).unwrap();
            }
        }
        publisher.close();
        left.close().unwrap();
        let mut all = reader.join().unwrap();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..10));
    });
}
