//! Models of the Stream: one order for all, whole values of the sequence number that they have, an exact end, nobody left asleep,
//! and with backpressure nothing missed.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release -p zeroipc-nostd --test loom_stream`. Preemptions are bounded as each
//! model says; the bound can be raised by `LOOM_MAX_PREEMPTIONS`.
#![cfg(loom)]

mod kernel;

use kernel::{bounded, Kernel};
use loom::thread::{self, JoinHandle};
use std::sync::Arc;
use zeroipc_nostd::testing::{abandon_at, unexplored, Slab};
use zeroipc_nostd::{
    Capability, EmitError, FormatOptions, Geometry, NextError, Region, Stream, StreamOptions,
    Subscriber, WordSize,
};

/// Two words: half of one value and half of another would show.
type Pair = [u32; 2];

fn pair(n: u32) -> Pair {
    [n, !n]
}

fn number(found: Pair) -> u32 {
    assert_eq!(found[1], !found[0], "a torn value");
    found[0]
}

/// What a stream is made of.
#[derive(Debug, Clone, Copy)]
struct Form {
    word: WordSize,
    capacity: usize,
    places: u32,
    single: bool,
    capability: Capability,
}

const MANY: Form = Form {
    word: WordSize::Four,
    capacity: 1,
    places: 0,
    single: false,
    capability: Capability::Cas,
};
const SINGLE: Form = Form { single: true, ..MANY };
const LOAD_STORE: Form = Form { capability: Capability::LoadStore, ..SINGLE };

/// A stream with `before` values, numbered from 0 on, of which the last are left.
fn memory(form: Form, before: u32) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(form.word, 8).unwrap();
    let options =
        FormatOptions::new().max_entries(2).geometry(geometry).capability(form.capability);
    let region = Region::create(slab.span(), &options).unwrap();
    let mut options = StreamOptions::new().spares(2);
    if form.places > 0 {
        options = options.backpressure(form.places);
    }
    if form.single {
        options = options.single_publisher();
    }
    let stream = Stream::create_with(region, "s", form.capacity, &options).unwrap();
    (0..before).for_each(|n| emit(stream, n).unwrap());
    slab
}

/// Emits `n`, by the role if there is one.
fn emit(stream: Stream<'_, Pair>, n: u32) -> Result<(), EmitError<Pair>> {
    if !stream.has_single_publisher() {
        return stream.try_emit(pair(n)).map(|_| ());
    }
    let mut publisher = unexplored(|| stream.publisher().unwrap());
    let emitted = publisher.try_emit(pair(n)).map(|_| ());
    unexplored(|| drop(publisher));
    emitted
}

fn open(slab: &Slab) -> Stream<'_, Pair> {
    unexplored(|| Stream::open(Region::open(slab.span()).unwrap(), "s").unwrap())
}

fn party<R: 'static>(
    slab: &Arc<Slab>,
    body: impl FnOnce(Stream<'_, Pair>) -> R + 'static,
) -> JoinHandle<R> {
    let slab = slab.clone();
    thread::spawn(move || body(open(&slab)))
}

/// As [`party`], with the kernel to wait by.
fn waiting<R: 'static>(
    slab: &Arc<Slab>,
    kernel: &Arc<Kernel>,
    body: impl FnOnce(Stream<'_, Pair>) -> R + 'static,
) -> JoinHandle<R> {
    kernel::party(slab, kernel, |region| body(unexplored(|| Stream::open(region, "s").unwrap())))
}

/// Tries `times` times: what was taken, with its sequence number, and whether the end was seen. Misses are in the numbers.
fn take(subscriber: &mut Subscriber<'_, Pair>, times: u32) -> (Vec<(u64, u32)>, bool) {
    let mut taken = Vec::new();
    for _ in 0..times {
        let sequence = subscriber.sequence();
        match subscriber.try_next() {
            Ok(value) => taken.push((sequence, number(value))),
            Err(NextError::Lagged { missed }) => {
                assert_eq!(subscriber.sequence(), sequence + missed);
            }
            Err(NextError::Empty) => {}
            Err(NextError::Closed) => return (taken, true),
            Err(error) => panic!("{error}"),
        }
    }
    (taken, false)
}

/// The publisher comes around under a slow subscriber, again and again.
fn overwritten_under_a_subscriber(form: Form, emits: u32, looks: u32, preemptions: usize) {
    bounded(preemptions).check(move || {
        let slab = memory(form, 1);
        let subscriber = party(&slab, move |stream| {
            let mut subscriber = unexplored(|| stream.subscribe_at(0).unwrap());
            let (taken, _) = take(&mut subscriber, looks);
            taken.iter().for_each(|(sequence, n)| assert_eq!(u64::from(*n), *sequence));
        });
        let publisher = party(&slab, move |stream| {
            (1..=emits).for_each(|n| emit(stream, n).unwrap());
        });
        publisher.join().unwrap();
        subscriber.join().unwrap();
        let stream = open(&slab);
        assert_eq!(stream.next_sequence(), u64::from(emits) + 1);
        assert!(stream.subscribe_from_oldest().unwrap().try_next().is_ok());
    });
}

#[test]
fn overwritten_by_one_of_many_publishers() {
    overwritten_under_a_subscriber(MANY, 2, 1, 2);
    overwritten_under_a_subscriber(Form { word: WordSize::Eight, ..MANY }, 1, 2, 2);
}

#[test]
fn overwritten_by_the_only_publisher() {
    overwritten_under_a_subscriber(LOAD_STORE, 1, 2, 2);
    overwritten_under_a_subscriber(LOAD_STORE, 2, 1, 2);
    overwritten_under_a_subscriber(Form { capacity: 2, ..LOAD_STORE }, 2, 1, 2);
    overwritten_under_a_subscriber(Form { word: WordSize::Eight, ..SINGLE }, 1, 1, 3);
}

/// Two publishers, one lap or several: each value once, in one order, and its number is what its publisher was told.
fn two_publishers(form: Form, each: u32, preemptions: usize) {
    bounded(preemptions).check(move || {
        let slab = memory(form, 0);
        let publishers = [10, 20].map(|first| {
            party(&slab, move |stream| {
                let emit = |n| (stream.try_emit(pair(n)).unwrap(), n);
                (first..first + each).map(emit).collect::<Vec<_>>()
            })
        });
        let emitted = publishers.map(|publisher| publisher.join().unwrap());
        for of_one in &emitted {
            assert!(of_one.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
        let mut all = emitted.concat();
        all.sort_unstable();
        assert!(all.iter().map(|(sequence, _)| *sequence).eq(0..u64::from(2 * each)));
        unexplored(|| {
            let stream = open(&slab);
            let mut subscriber = stream.subscribe_from_oldest().unwrap();
            let (taken, _) = take(&mut subscriber, form.capacity as u32);
            assert_eq!(taken, all[all.len() - form.capacity..]);
            both_slots_are_there(stream);
        });
    });
}

/// Nobody is inside: two publishers may stop there, and another goes on.
fn both_slots_are_there(stream: Stream<'_, Pair>) {
    for n in [90, 91] {
        assert!(abandon_at(5, || stream.try_emit(pair(n))).is_err());
        assert!(stream.try_emit(pair(n + 2)).is_ok());
    }
}

#[test]
fn two_publishers_keep_one_order() {
    two_publishers(Form { capacity: 2, ..MANY }, 1, 3);
}

#[test]
fn two_publishers_at_one_entry() {
    two_publishers(MANY, 2, 1);
    two_publishers(Form { word: WordSize::Eight, ..MANY }, 1, 3);
}

/// What one party did before it emitted is seen by who takes a later value of another.
#[test]
fn two_publishers_and_a_subscriber() {
    bounded(1).check(|| {
        let slab = memory(Form { capacity: 2, ..MANY }, 0);
        let publishers =
            [10, 20].map(|n| party(&slab, move |stream| (stream.try_emit(pair(n)).unwrap(), n)));
        let subscriber = party(&slab, |stream| {
            let mut subscriber = unexplored(|| stream.subscribe_at(0).unwrap());
            let taken = take(&mut subscriber, 2).0;
            // Seen in order, so by any count of what is there.
            assert!(stream.next_sequence() >= taken.len() as u64);
            taken
        });
        let mut all = publishers.map(|publisher| publisher.join().unwrap());
        all.sort_unstable();
        assert_eq!(all.map(|(sequence, _)| sequence), [0, 1]);
        let taken = subscriber.join().unwrap();
        assert_eq!(taken, all[..taken.len()]);
    });
}

/// An emit comes before the end and is taken, or it is refused.
#[test]
fn the_end_is_exact() {
    for (capacity, before) in [(1, 0), (1, 1), (2, 2)] {
        bounded(2).check(move || {
            let slab = memory(Form { capacity, ..MANY }, before);
            let publisher = party(&slab, move |stream| stream.try_emit(pair(before)));
            let closer = party(&slab, |stream| stream.close().unwrap());
            let subscriber = party(&slab, move |stream| {
                let at = u64::from(before);
                let mut subscriber = unexplored(|| stream.subscribe_at(at).unwrap());
                take(&mut subscriber, 2)
            });
            let emitted = publisher.join().unwrap();
            assert!(closer.join().unwrap());
            let (taken, ended) = subscriber.join().unwrap();
            let stream = open(&slab);
            let expected = match emitted {
                Ok(sequence) => Some((sequence, before)),
                Err(error) => {
                    assert_eq!(error, EmitError::Closed(pair(before)));
                    None
                }
            };
            if ended {
                assert_eq!(taken.first().copied(), expected);
            }
            unexplored(|| {
                assert!(stream.is_closed());
                let all = u64::from(before) + expected.map_or(0, |_| 1);
                assert_eq!(stream.next_sequence(), all);
                // The end takes no value's place; a value that was being written may have.
                let kept = all.min(capacity as u64);
                let gave_way = expected.is_none() && kept == capacity as u64;
                let len = stream.len() as u64;
                assert!(len == kept || gave_way && len == kept - 1);
                assert!(stream.try_emit(pair(9)).is_err());
            });
        });
    }
}

/// A sleeper that nobody wakes is a deadlock, which loom reports.
#[test]
fn all_that_sleep_are_woken() {
    for form in [MANY, SINGLE, LOAD_STORE] {
        bounded(2).check(move || {
            let (slab, kernel) = (memory(form, 0), Kernel::new());
            let sleepers = [0, 1].map(|_| {
                waiting(&slab, &kernel, |stream| {
                    let mut subscriber = unexplored(|| stream.subscribe_at(0).unwrap());
                    number(subscriber.next().unwrap())
                })
            });
            let publisher = waiting(&slab, &kernel, |stream| emit(stream, 5).unwrap());
            publisher.join().unwrap();
            for sleeper in sleepers {
                assert_eq!(sleeper.join().unwrap(), 5);
            }
        });
    }
}

#[test]
fn the_end_wakes_all() {
    for form in [MANY, SINGLE, LOAD_STORE] {
        bounded(2).check(move || {
            let (slab, kernel) = (memory(form, 0), Kernel::new());
            let sleepers = [0, 1].map(|_| {
                waiting(&slab, &kernel, |stream| {
                    let mut subscriber = unexplored(|| stream.subscribe_at(0).unwrap());
                    subscriber.next()
                })
            });
            let closer = waiting(&slab, &kernel, |stream| {
                if !stream.has_single_publisher() {
                    return assert!(stream.close().unwrap());
                }
                let mut publisher = unexplored(|| stream.publisher().unwrap());
                assert!(publisher.close());
                unexplored(|| drop(publisher));
            });
            closer.join().unwrap();
            for sleeper in sleepers {
                assert_eq!(sleeper.join().unwrap(), Err(NextError::Closed));
            }
        });
    }
}

/// One publisher and one subscriber at an entry, both asleep in turn: nothing is missed.
#[test]
fn with_backpressure_nothing_is_missed() {
    for single in [false, true] {
        bounded(3).check(move || {
            let form = Form { places: 1, single, ..MANY };
            let (slab, kernel) = (memory(form, 0), Kernel::new());
            let (joined, join) = (slab.clone(), kernel.clone());
            let subscriber = thread::spawn(move || {
                let region = unexplored(|| Region::open(joined.span()).unwrap());
                let region = region.with_notifier(&*join);
                let stream = unexplored(|| Stream::<Pair>::open(region, "s").unwrap());
                let mut subscriber = unexplored(|| stream.subscribe().unwrap());
                let publishing = waiting(&joined, &join, move |stream| {
                    let mut publisher = unexplored(|| single.then(|| stream.publisher().unwrap()));
                    for n in 0..3 {
                        let emitted = match &mut publisher {
                            Some(publisher) => publisher.emit(pair(n)),
                            None => stream.emit(pair(n)),
                        };
                        assert_eq!(emitted, Ok(u64::from(n)));
                    }
                    unexplored(|| drop(publisher));
                });
                for n in 0..3 {
                    assert_eq!(subscriber.next(), Ok(pair(n)));
                }
                unexplored(|| drop(subscriber));
                publishing.join().unwrap();
            });
            subscriber.join().unwrap();
        });
    }
}

/// A newcomer registers while a publisher looks for the slowest and the only other subscriber moves: from its first value on the
/// newcomer misses nothing.
#[test]
fn a_newcomer_misses_nothing() {
    bounded(2).check(|| {
        let slab = memory(Form { places: 2, ..MANY }, 0);
        let sharing = slab.clone();
        let other = thread::spawn(move || {
            let mut other = unexplored(|| open(&sharing).subscribe().unwrap());
            let publisher = party(&sharing, |stream| {
                (0..4).for_each(|n| {
                    let _ = stream.try_emit(pair(n));
                });
            });
            let newcomer = party(&sharing, |stream| {
                let mut newcomer = stream.subscribe().unwrap();
                for _ in 0..2 {
                    match newcomer.try_next() {
                        Ok(value) => drop(number(value)),
                        Err(error) => assert_eq!(error, NextError::Empty),
                    }
                }
                unexplored(|| drop(newcomer));
            });
            for _ in 0..2 {
                match other.try_next() {
                    Ok(value) => drop(number(value)),
                    Err(error) => assert_eq!(error, NextError::Empty),
                }
            }
            publisher.join().unwrap();
            newcomer.join().unwrap();
            unexplored(|| drop(other));
        });
        other.join().unwrap();
    });
}

/// A publisher is stopped for ever before each of its accesses; another and a subscriber go on.
#[test]
fn a_publisher_that_stops_anywhere() {
    for step in 0.. {
        let reached = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = reached.clone();
        bounded(1).check(move || {
            let slab = memory(MANY, 1);
            let stopped = party(&slab, move |stream| abandon_at(step, || stream.try_emit(pair(7))));
            let other = party(&slab, |stream| {
                let mut subscriber = unexplored(|| stream.subscribe_at(1).unwrap());
                let emitted = [1, 2].map(|n| (stream.try_emit(pair(n)).unwrap(), n));
                (emitted, take(&mut subscriber, 3).0)
            });
            if stopped.join().unwrap().is_err() {
                seen.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            let (emitted, taken) = other.join().unwrap();
            for found in taken {
                assert!(found.1 == 7 || emitted.contains(&found));
            }
            assert!(open(&slab).try_emit(pair(9)).is_ok());
        });
        if !reached.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(step > 6, "an emit has at least seven accesses");
            break;
        }
    }
}
