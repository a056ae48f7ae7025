//! Models of watching: what a watcher sees is whole and of its sequence, and what it does not see it counts.
//!
//! Of a Queue, a Signal and a Stream. Of a Ring there is none: there the watcher relies on stores that become visible to all others at once,
//! which all memory does that ZeroIPC runs on, but not the model's (see `ring/watch.rs`).
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release -p zeroipc-nostd --test loom_observer`. Preemptions are bounded as each
//! model says; the bound can be raised by `LOOM_MAX_PREEMPTIONS`.
#![cfg(loom)]

use loom::thread;
use std::sync::Arc;
use zerocopy::IntoBytes;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{
    FormatOptions, Geometry, NextError, Observer, Queue, Region, Signal, Stream, StreamOptions,
    WordSize,
};

/// Two words: half of one value and half of another would show.
type Pair = [u32; 2];

fn pair(n: u32) -> Pair {
    [n, !n]
}

fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder
}

fn slab(word: WordSize, create: impl Fn(Region<'_>)) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(word, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    create(Region::create(slab.span(), &options).unwrap());
    slab
}

fn region(slab: &Slab) -> Region<'_> {
    Region::open(slab.span()).unwrap()
}

/// The next so many looks: what was seen, as (sequence, number), and how many were missed.
fn look(watch: &mut Observer<'_>, looks: u32) -> (Vec<(u64, u32)>, u64) {
    let mut seen = Vec::new();
    for _ in 0..looks {
        let mut value: Pair = [0; 2];
        match watch.try_next(value.as_mut_bytes()) {
            Ok(found) => {
                assert_eq!(value[1], !value[0], "a torn value");
                assert!(!found.taken);
                seen.push((found.sequence, value[0]));
            }
            Err(NextError::Empty) => {}
            Err(error) => panic!("{error}"),
        }
    }
    (seen, watch.missed())
}

/// A watcher beside one party, `used`, which goes through values from 1 up to `last`, value n being of sequence n. Value 0 is there.
fn beside(
    word: WordSize,
    preemptions: usize,
    create: fn(Region<'_>),
    (looks, last): (u32, u64),
    used: fn(Region<'_>, u32),
) {
    bounded(preemptions).check(move || {
        let slab = slab(word, create);
        let watcher = {
            let slab = slab.clone();
            thread::spawn(move || {
                let mut watch = unexplored(|| region(&slab).view().observe("it").unwrap());
                unexplored(|| watch.rewind(1));
                look(&mut watch, looks)
            })
        };
        let user = {
            let slab = slab.clone();
            thread::spawn(move || used(unexplored(|| region(&slab)), last as u32))
        };
        user.join().unwrap();
        let (seen, missed) = watcher.join().unwrap();
        assert!(seen.iter().all(|(sequence, n)| *sequence == u64::from(*n)), "{seen:?}");
        assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "{seen:?}");
        assert!(seen.len() as u64 + missed <= last + 1, "{seen:?}, {missed} missed");
    });
}

/// A producer and a consumer in one thread, so that slots are used again under the watcher.
fn a_queue_in_use(word: WordSize) {
    beside(
        word,
        2,
        |region| {
            let queue = Queue::<Pair>::create_with_spares(region, "it", 2, 1).unwrap();
            queue.try_push(pair(0)).unwrap();
        },
        (1, 2),
        |region, last| {
            let queue = unexplored(|| Queue::<Pair>::open(region, "it").unwrap());
            for n in 1..=last {
                assert_eq!(queue.try_pop(), Ok(pair(n - 1)));
                queue.try_push(pair(n)).unwrap();
            }
        },
    );
}

#[test]
fn a_queue_in_use_with_4_byte_words() {
    a_queue_in_use(WordSize::Four);
}

#[test]
fn a_queue_in_use_with_8_byte_words() {
    a_queue_in_use(WordSize::Eight);
}

/// With few slots each set uses one that a slow watcher may still copy.
#[test]
fn a_signal_of_many_writers() {
    beside(
        WordSize::Four,
        2,
        |region| {
            Signal::create_with_slots(region, "it", pair(0), 3).unwrap();
        },
        (2, 3),
        |region, last| {
            let signal = unexplored(|| Signal::<Pair>::open(region, "it").unwrap());
            for n in 1..=last {
                signal.set(pair(n)).unwrap();
            }
        },
    );
}

#[test]
fn a_signal_of_one_writer() {
    beside(
        WordSize::Eight,
        2,
        |region| {
            Signal::create_single_writer(region, "it", pair(0), 2).unwrap();
        },
        (2, 3),
        |region, last| {
            let signal = unexplored(|| Signal::<Pair>::open(region, "it").unwrap());
            let mut writer = unexplored(|| signal.writer().unwrap());
            for n in 1..=last {
                writer.set(pair(n));
            }
        },
    );
}

/// With two values kept, each emit writes what a slow watcher may still copy.
#[test]
fn a_stream_of_many_publishers() {
    beside(
        WordSize::Four,
        1,
        |region| {
            let options = StreamOptions::new().spares(1);
            let stream = Stream::<Pair>::create_with(region, "it", 2, &options).unwrap();
            stream.try_emit(pair(0)).unwrap();
        },
        (1, 3), // the third takes the slot of value 0
        |region, last| {
            let stream = unexplored(|| Stream::<Pair>::open(region, "it").unwrap());
            for n in 1..=last {
                assert_eq!(stream.try_emit(pair(n)), Ok(u64::from(n)));
            }
        },
    );
}

#[test]
fn a_stream_of_one_publisher() {
    beside(
        WordSize::Eight,
        1,
        |region| {
            let options = StreamOptions::new().single_publisher();
            let stream = Stream::<Pair>::create_with(region, "it", 2, &options).unwrap();
            stream.publisher().unwrap().try_emit(pair(0)).unwrap();
        },
        (1, 2),
        |region, last| {
            let stream = unexplored(|| Stream::<Pair>::open(region, "it").unwrap());
            let mut publisher = unexplored(|| stream.publisher().unwrap());
            for n in 1..=last {
                assert_eq!(publisher.try_emit(pair(n)), Ok(u64::from(n)));
            }
        },
    );
}
