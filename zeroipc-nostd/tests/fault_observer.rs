//! Observers, and those they observe, stopped before every one of their accesses: what is seen is whole and in its place.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;
mod stepper;

use memory::Memory;
use std::thread;
use stepper::Party;
use zerocopy::IntoBytes;
use zeroipc_nostd::{
    Channel, FormatOptions, Geometry, NextError, Observer, Queue, Region, Ring, Signal, Stream,
    StreamOptions, WordSize,
};

/// Several words: a value that is half-written would show.
type Item = [u64; 3];

fn item(n: u64) -> Item {
    [n, !n, n ^ 0x5555]
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Ring,
    Queue,
    Channel,
    Stream,
    StreamOfOne,
    Signal,
    SignalOfOne,
}

const KINDS: [Kind; 7] = [
    Kind::Ring,
    Kind::Queue,
    Kind::Channel,
    Kind::Stream,
    Kind::StreamOfOne,
    Kind::Signal,
    Kind::SignalOfOne,
];

type Put<'a> = Box<dyn FnMut(u64) + Send + 'a>;
type Take<'a> = Box<dyn FnMut() + Send + 'a>;

/// A structure named `it` with room for few values; how value n is put into it, as number n, and how the oldest is taken out.
fn create(region: Region<'_>, kind: Kind) -> (Put<'_>, Take<'_>) {
    match kind {
        Kind::Ring => {
            let ring = Ring::<Item>::create(region, "it", 4).unwrap();
            let mut producer = ring.producer().unwrap();
            let mut consumer = ring.consumer().unwrap();
            (
                Box::new(move |n| producer.try_push(item(n)).unwrap()),
                Box::new(move || assert!(consumer.try_pop().is_ok())),
            )
        }
        Kind::Queue => {
            let queue = Queue::<Item>::create(region, "it", 4).unwrap();
            (
                Box::new(move |n| queue.try_push(item(n)).unwrap()),
                Box::new(move || assert!(queue.try_pop().is_ok())),
            )
        }
        Kind::Channel => {
            let channel = Channel::<Item>::create(region, "it", 4).unwrap();
            (
                Box::new(move |n| channel.try_send(item(n)).unwrap()),
                Box::new(move || assert!(channel.try_recv().is_ok())),
            )
        }
        Kind::Stream => {
            let options = StreamOptions::new().spares(1);
            let stream = Stream::<Item>::create_with(region, "it", 2, &options).unwrap();
            (Box::new(move |n| assert_eq!(stream.try_emit(item(n)), Ok(n))), Box::new(|| ()))
        }
        Kind::StreamOfOne => {
            let options = StreamOptions::new().single_publisher();
            let stream = Stream::<Item>::create_with(region, "it", 2, &options).unwrap();
            let mut publisher = stream.publisher().unwrap();
            (Box::new(move |n| assert_eq!(publisher.try_emit(item(n)), Ok(n))), Box::new(|| ()))
        }
        // Version 0 is there already.
        Kind::Signal => {
            let signal = Signal::create_with_slots(region, "it", item(0), 3).unwrap();
            let put = move |n| {
                if n > 0 {
                    assert_eq!(signal.set(item(n)), Ok(n));
                }
            };
            (Box::new(put), Box::new(|| ()))
        }
        Kind::SignalOfOne => {
            let signal = Signal::create_single_writer(region, "it", item(0), 2).unwrap();
            let mut writer = signal.writer().unwrap();
            let put = move |n| {
                if n > 0 {
                    assert_eq!(writer.set(item(n)), n);
                }
            };
            (Box::new(put), Box::new(|| ()))
        }
    }
}

/// Looks once: which one was seen, if any. All before it are missed.
fn look(observer: &mut Observer<'_>) -> Option<u64> {
    let mut value: Item = [0; 3];
    match observer.try_next(value.as_mut_bytes()) {
        Ok(seen) => {
            assert_eq!(value, item(seen.sequence), "torn, or not in its place");
            assert!(!seen.taken);
            Some(seen.sequence)
        }
        Err(NextError::Empty) => None,
        Err(error) => panic!("{error}"),
    }
}

fn with_region(word: WordSize, test: impl FnOnce(Region<'_>)) {
    let mut memory = Memory::filled(8192, 0xA5);
    let geometry = Geometry::new(word, 16).unwrap();
    test(memory.region(FormatOptions::new().max_entries(2).geometry(geometry)));
}

/// While it stands anywhere, values pass, so many that the slot that it copies is used again.
#[test]
fn an_observer_that_is_stopped_anywhere() {
    for kind in KINDS {
        for word in [WordSize::Four, WordSize::Eight] {
            for passing in [1, 2, 5, 9] {
                let mut steps = 0;
                loop {
                    let mut stopped = false;
                    with_region(word, |region| {
                        let (mut put, mut take) = create(region, kind);
                        put(0);
                        let mut observer = region.view().observe("it").unwrap();
                        observer.rewind(1);
                        thread::scope(|scope| {
                            let party = Party::start(scope, steps, || {
                                (look(&mut observer), observer.missed())
                            });
                            stopped = party.is_stopped();
                            for n in 1..=passing {
                                take();
                                put(n);
                            }
                            let (seen, missed) = party.finish();
                            assert_eq!(seen.unwrap_or(missed), missed);
                        });
                        // What is left is seen then, and all are accounted for.
                        let mut seen = 0;
                        while look(&mut observer).is_some() {
                            seen += 1;
                        }
                        assert!(seen <= 1 || matches!(kind, Kind::Stream | Kind::StreamOfOne));
                    });
                    steps += 1;
                    if !stopped {
                        break;
                    }
                }
                assert!(steps > 4, "{kind:?}: {steps}");
            }
        }
    }
}

/// While one puts a value in and stands anywhere, nothing half of it is seen, and no look takes long.
#[test]
fn who_is_observed_may_be_stopped_anywhere() {
    for kind in KINDS {
        for word in [WordSize::Four, WordSize::Eight] {
            let mut steps = 0;
            loop {
                let mut stopped = false;
                with_region(word, |region| {
                    let (mut put, mut take) = create(region, kind);
                    // Slots have been used.
                    for n in 0..6 {
                        put(n);
                        if n < 5 {
                            take();
                        }
                    }
                    let mut observer = region.view().observe("it").unwrap();
                    observer.rewind(1);
                    assert_eq!(look(&mut observer), Some(5));
                    thread::scope(|scope| {
                        let party = Party::start(scope, steps, || put(6));
                        stopped = party.is_stopped();
                        let early: Vec<_> = (0..3).filter_map(|_| look(&mut observer)).collect();
                        party.finish();
                        let late: Vec<_> = (0..3).filter_map(|_| look(&mut observer)).collect();
                        assert_eq!([early, late].concat(), [6]);
                        assert_eq!(observer.missed(), 0);
                    });
                });
                steps += 1;
                if !stopped {
                    break;
                }
            }
            assert!(steps > 4, "{kind:?}: {steps}");
        }
    }
}
