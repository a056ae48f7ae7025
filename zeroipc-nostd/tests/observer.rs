//! Watching against sequential models, and beside writers that run: values equal, in order, whole, and misses counted.
#![cfg(not(loom))]

#[macro_use]
mod elements;
mod memory;

use elements::{Sample, TYPES};
use memory::{geometries, Memory};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use zerocopy::IntoBytes;
use zeroipc_nostd::{
    Array, Channel, FormatOptions, Geometry, IndexOutOfBounds, Kind, NextError, Observer, Queue,
    Region, Ring, Seen, Signal, Stack, Stream, StreamOptions, StructureError, View, WordSize,
};

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Pop(usize),
    Look(usize),
    Rewind(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..12).prop_map(Step::Push),
        4 => (1_usize..12).prop_map(Step::Pop),
        6 => (1_usize..12).prop_map(Step::Look),
        1 => (0_u64..20).prop_map(Step::Rewind),
    ]
}

/// What a watch should see: values are known by their number.
#[derive(Debug)]
struct Model {
    capacity: u64,
    /// How many slots may be used again unseen.
    margin: u64,
    /// Values stay until they are overwritten, whoever has taken them.
    stays: bool,
    taken: bool,
    pushed: u64,
    popped: u64,
    next: u64,
    missed: u64,
}

impl Model {
    fn rewind(&mut self, count: u64) {
        let kept = if self.taken || self.stays {
            (self.capacity - self.margin).min(self.pushed)
        } else {
            0
        };
        let inside = if self.stays { 0 } else { self.pushed - self.popped };
        self.next = self.pushed - count.min(kept.max(inside));
    }

    fn look(&mut self) -> Result<Seen, NextError> {
        let mut gone = self.popped.saturating_sub(self.next);
        if self.taken || self.stays {
            let used = (self.pushed - self.next + self.margin).saturating_sub(self.capacity);
            gone = if self.stays { used } else { gone.min(used) };
        }
        self.next += gone;
        self.missed += gone;
        if self.next == self.pushed {
            return Err(NextError::Empty);
        }
        let seen = Seen { sequence: self.next, taken: self.next < self.popped };
        self.next += 1;
        Ok(seen)
    }
}

#[derive(Debug, Clone, Copy)]
enum Kept {
    Ring,
    Queue,
    Channel,
    Stream,
    StreamOfOne,
}

const KEPT: &[Kept] = &[Kept::Ring, Kept::Queue, Kept::Channel, Kept::Stream, Kept::StreamOfOne];

fn agrees<T: Sample>(geometry: Geometry, kept: Kept, capacity: usize, taken: bool, steps: &[Step]) {
    let mut memory = Memory::filled(16384, 0xA5);
    let options = FormatOptions::new().max_entries(4).geometry(geometry);
    let region = Region::create(memory.span(), &options).unwrap();
    let mut push: Box<dyn FnMut(T) -> bool>;
    let mut pop: Box<dyn FnMut() -> bool>;
    let (capacity, margin) = match kept {
        Kept::Ring => {
            let ring = Ring::<T>::create(region, "it", capacity).unwrap();
            let mut producer = ring.producer().unwrap();
            let mut consumer = ring.consumer().unwrap();
            push = Box::new(move |value| producer.try_push(value).is_ok());
            pop = Box::new(move || consumer.try_pop().is_ok());
            (ring.capacity(), 1)
        }
        Kept::Queue => {
            let queue = Queue::<T>::create(region, "it", capacity).unwrap();
            push = Box::new(move |value| queue.try_push(value).is_ok());
            pop = Box::new(move || queue.try_pop().is_ok());
            (queue.capacity(), 0)
        }
        Kept::Channel => {
            let channel = Channel::<T>::create(region, "it", capacity).unwrap();
            push = Box::new(move |value| channel.try_send(value).is_ok());
            pop = Box::new(move || channel.try_recv().is_ok());
            (channel.capacity(), 0)
        }
        Kept::Stream => {
            let stream = Stream::<T>::create(region, "it", capacity).unwrap();
            push = Box::new(move |value| stream.try_emit(value).is_ok());
            pop = Box::new(|| false);
            (stream.capacity(), 0)
        }
        Kept::StreamOfOne => {
            let options = StreamOptions::new().single_publisher();
            let stream = Stream::<T>::create_with(region, "it", capacity, &options).unwrap();
            let mut publisher = stream.publisher().unwrap();
            push = Box::new(move |value| publisher.try_emit(value).is_ok());
            pop = Box::new(|| false);
            (stream.capacity(), 0)
        }
    };
    let stays = matches!(kept, Kept::Stream | Kept::StreamOfOne);
    let mut watch = region.view().observe("it").unwrap();
    assert_eq!(watch.elem_size(), size_of::<T>());
    if taken {
        watch = watch.including_taken();
    }
    let capacity = capacity as u64;
    let mut model =
        Model { capacity, margin, stays, taken, pushed: 0, popped: 0, next: 0, missed: 0 };
    let mut value = vec![0; size_of::<T>()];
    for step in steps {
        match *step {
            Step::Push(count) => {
                for _ in 0..count {
                    model.pushed += u64::from(push(T::nth(model.pushed)));
                }
            }
            Step::Pop(count) => {
                for _ in 0..count {
                    model.popped += u64::from(pop());
                }
            }
            Step::Look(count) => {
                for _ in 0..count {
                    let expected = model.look();
                    assert_eq!(watch.try_next(&mut value), expected, "{model:?}");
                    if let Ok(Seen { sequence, .. }) = expected {
                        assert_eq!(value, T::nth(sequence).as_bytes());
                    }
                    assert_eq!(watch.missed(), model.missed);
                }
            }
            Step::Rewind(count) => {
                model.rewind(count);
                watch.rewind(count);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_a_model(
        geometry in prop::sample::select(geometries()),
        kept in prop::sample::select(KEPT),
        which in 0..TYPES,
        capacity in 1_usize..20,
        taken: bool,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        for_type!(which, agrees(geometry, kept, capacity, taken, &steps));
    }

    #[test]
    fn signals_show_each_version_once_and_count_the_others(
        geometry in prop::sample::select(geometries()),
        slots in 3_u32..20,
        single: bool,
        sets in prop::collection::vec(0_u64..6, 1..30),
    ) {
        let mut memory = Memory::zeroed(8192);
        let region = memory.region(FormatOptions::new().geometry(geometry));
        let signal = if single {
            Signal::create_single_writer(region, "s", <[u8; 10]>::nth(0), slots).unwrap()
        } else {
            Signal::create_with_slots(region, "s", <[u8; 10]>::nth(0), slots).unwrap()
        };
        let mut writer = signal.writer().ok();
        let mut watch = region.view().observe("s").unwrap();
        let mut value = [0; 10];
        assert_eq!(watch.try_next(&mut value), Err(NextError::Empty));
        watch.rewind(1);
        assert_eq!(watch.try_next(&mut value), Ok(Seen { sequence: 0, taken: false }));
        assert_eq!(value, <[u8; 10]>::nth(0).as_bytes());
        let (mut version, mut missed) = (0, 0);
        for count in sets {
            for _ in 0..count {
                version += 1;
                match &mut writer {
                    Some(writer) => assert_eq!(writer.set(Sample::nth(version)), version),
                    None => assert_eq!(signal.set(Sample::nth(version)), Ok(version)),
                }
            }
            if count > 0 {
                missed += count - 1;
                assert_eq!(watch.try_next(&mut value), Ok(Seen { sequence: version, taken: false }));
                assert_eq!(value, <[u8; 10]>::nth(version).as_bytes());
            }
            assert_eq!(watch.try_next(&mut value), Err(NextError::Empty));
            assert_eq!(watch.missed(), missed);
        }
        watch.rewind(9);
        assert_eq!(watch.try_next(&mut value).unwrap().sequence, version);
        watch.rewind(0);
        assert_eq!(watch.try_next(&mut value), Err(NextError::Empty));
    }
}

/// Words of 4 bytes wrap around; the sequence counts on.
#[test]
fn counts_on_where_words_wrap_around() {
    for line in [8, 64] {
        let geometry = Geometry::new(WordSize::Four, line).unwrap();
        let mut memory = Memory::zeroed(4096);
        let offset = {
            let region = memory.region(FormatOptions::new().geometry(geometry));
            Ring::<u32>::create(region, "ring", 4).unwrap();
            region.view().find("ring").unwrap().offset as usize
        };
        // As after nearly 2^32 elements.
        let (line, start) = (line as usize, u32::MAX - 2);
        let tail = offset + 48_usize.next_multiple_of(line);
        let head = offset + (48_usize.next_multiple_of(line) + 4).next_multiple_of(line);
        for at in [tail, head] {
            memory.bytes_mut()[at..at + 4].copy_from_slice(&start.to_le_bytes());
        }
        let region = Region::open(memory.span()).unwrap();
        let ring = Ring::<u32>::open(region, "ring").unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let mut watch = region.view().observe("ring").unwrap();
        let mut value = [0; 4];
        for n in 0..10_u32 {
            producer.try_push(n).unwrap();
            if n % 3 != 2 {
                let sequence = u64::from(start) + u64::from(n);
                assert_eq!(watch.try_next(&mut value), Ok(Seen { sequence, taken: false }));
                assert_eq!(u32::from_le_bytes(value), n);
            }
            assert_eq!(consumer.try_pop(), Ok(n));
        }
        assert_eq!(watch.try_next(&mut value), Err(NextError::Empty));
        assert_eq!(watch.missed(), 3);
    }
}

#[test]
fn elements_of_arrays_as_bytes() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let array = Array::<[u8; 12]>::create(region, "array", 3).unwrap();
    array.store(2, Sample::nth(7)).unwrap();
    let elements = region.view().elements("array").unwrap();
    assert_eq!((elements.len(), elements.elem_size(), elements.is_empty()), (3, 12, false));
    let mut value = [1; 14];
    assert_eq!(elements.read(2, &mut value), Ok(true));
    assert_eq!(value[..12], <[u8; 12]>::nth(7));
    assert_eq!(value[12..], [1, 1]);
    // Shorter than an element: its first bytes.
    let mut value = [1; 5];
    assert_eq!(elements.read(2, &mut value), Ok(true));
    assert_eq!(value, <[u8; 12]>::nth(7)[..5]);
    assert_eq!(elements.read(3, &mut value), Err(IndexOutOfBounds { index: 3, len: 3 }));
}

#[test]
fn other_structures_are_refused() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let view = region.view();
    Stack::<u32>::create(region, "stack", 4).unwrap();
    Array::<u32>::create(region, "array", 4).unwrap();
    let refused = |found: Result<Observer<'_>, StructureError>| found.map(|_| ()).unwrap_err();
    for (text, kind) in [("stack", Kind::STACK), ("array", Kind::ARRAY), (".region", Kind::REGION)]
    {
        let found = refused(view.observe(text));
        assert!(matches!(found, StructureError::NotAFlow { kind: k, .. } if k == kind), "{found}");
    }
    assert!(matches!(refused(view.observe("nothing")), StructureError::NotFound { .. }));
    assert!(matches!(refused(view.observe("")), StructureError::Name(_)));
    let found = view.elements("stack").map(|_| ()).unwrap_err();
    assert!(matches!(found, StructureError::WrongKind { .. }), "{found}");
    assert!(view.elements("nothing").is_err());
}

/// Three words that belong together.
type Triple = [u64; 3];

fn triple(n: u64) -> Triple {
    [n, !n, n.wrapping_mul(0x9E37_79B9_7F4A_7C15)]
}

/// Follows until `done` was set before a look found nothing; checks that each value is that of its sequence. How many were seen, and
/// how many missed.
fn follow(mut watch: Observer<'_>, done: &AtomicBool) -> (u64, u64) {
    let mut value: Triple = [0; 3];
    let (mut seen, mut expected, mut missed) = (0, 0, 0);
    loop {
        let last = done.load(Ordering::Acquire);
        match watch.try_next(value.as_mut_bytes()) {
            Ok(Seen { sequence, .. }) => {
                assert_eq!(value, triple(sequence), "torn, or not in its place");
                expected += watch.missed() - missed;
                assert_eq!(sequence, expected);
                expected += 1;
                missed = watch.missed();
                seen += 1;
            }
            Err(NextError::Empty) if last => return (seen, watch.missed()),
            Err(NextError::Empty) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn watch(view: View<'_>, taken: bool) -> Observer<'_> {
    let watch = view.observe("it").unwrap();
    if taken {
        watch.including_taken()
    } else {
        watch
    }
}

const MANY: u64 = 10_000;

#[test]
fn a_ring_in_use_is_followed() {
    for taken in [false, true] {
        let mut memory = Memory::zeroed(16384);
        let region = memory.region(FormatOptions::new());
        let ring = Ring::<Triple>::create(region, "it", 64).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = watch(region.view(), taken);
            let watcher = scope.spawn(|| follow(watch, &done));
            let consumer = scope.spawn(move || {
                let mut n = 0;
                while n < MANY {
                    match consumer.try_pop() {
                        Ok(value) => {
                            assert_eq!(value, triple(n));
                            n += 1;
                        }
                        Err(_) => thread::yield_now(),
                    }
                }
            });
            let mut n = 0;
            while n < MANY {
                match producer.try_push(triple(n)) {
                    Ok(()) => n += 1,
                    Err(_) => thread::yield_now(),
                }
            }
            consumer.join().unwrap();
            done.store(true, Ordering::Release);
            let (seen, missed) = watcher.join().unwrap();
            assert_eq!(seen + missed, MANY);
        });
    }
}

#[test]
fn a_queue_in_use_is_followed() {
    for taken in [false, true] {
        let mut memory = Memory::zeroed(16384);
        let region = memory.region(FormatOptions::new());
        let queue = Queue::<Triple>::create(region, "it", 64).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = watch(region.view(), taken);
            let watcher = scope.spawn(|| follow_any(watch, &done));
            let consumer = scope.spawn(move || {
                let mut sum = 0_u64;
                for _ in 0..MANY {
                    let value = loop {
                        match queue.try_pop() {
                            Ok(value) => break value,
                            Err(_) => thread::yield_now(),
                        }
                    };
                    sum = sum.wrapping_add(value[0]);
                }
                sum
            });
            let producers: Vec<_> = (0..2)
                .map(|start| {
                    scope.spawn(move || {
                        for n in (start..MANY).step_by(2) {
                            while queue.try_push(triple(n)).is_err() {
                                thread::yield_now();
                            }
                        }
                    })
                })
                .collect();
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            assert_eq!(consumer.join().unwrap(), MANY * (MANY - 1) / 2);
            done.store(true, Ordering::Release);
            // At least: a push that was displaced took another ticket.
            assert!(watcher.join().unwrap() >= MANY);
        });
    }
}

/// As [`follow`], of several producers: each value whole and at most once, each producer's in order.
fn follow_any(mut watch: Observer<'_>, done: &AtomicBool) -> u64 {
    let mut value: Triple = [0; 3];
    let mut last = [None; 2];
    let mut sequences = None;
    let mut count = 0;
    loop {
        let end = done.load(Ordering::Acquire);
        match watch.try_next(value.as_mut_bytes()) {
            Ok(seen) => {
                if !seen.taken {
                    assert_eq!(value, triple(value[0]), "torn");
                    let of = &mut last[(value[0] % 2) as usize];
                    assert!(!of.is_some_and(|of| of >= value[0]), "{value:?} after {of:?}");
                    *of = Some(value[0]);
                }
                assert!(sequences < Some(seen.sequence));
                sequences = Some(seen.sequence);
                count += 1;
            }
            Err(NextError::Empty) if end => return count + watch.missed(),
            Err(NextError::Empty) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_signal_in_use_is_followed() {
    for single in [false, true] {
        let mut memory = Memory::zeroed(16384);
        let region = memory.region(FormatOptions::new());
        let signal = if single {
            Signal::create_single_writer(region, "it", triple(0), 3).unwrap()
        } else {
            Signal::create_with_slots(region, "it", triple(0), 3).unwrap()
        };
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut watch = region.view().observe("it").unwrap();
                watch.rewind(1);
                let mut value: Triple = [0; 3];
                let (mut last, mut seen) = (None, 0);
                loop {
                    let end = done.load(Ordering::Acquire);
                    match watch.try_next(value.as_mut_bytes()) {
                        Ok(found) => {
                            assert_eq!(value, triple(found.sequence), "torn");
                            assert!(last < Some(found.sequence));
                            last = Some(found.sequence);
                            seen += 1;
                        }
                        Err(NextError::Empty) if end => return (seen, watch.missed(), last),
                        Err(NextError::Empty) => thread::yield_now(),
                        // With three slots, and a watcher that is stopped in each of its copies.
                        Err(NextError::Corrupt) => thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            let mut writer = signal.writer().ok();
            for n in 1..MANY {
                match &mut writer {
                    Some(writer) => assert_eq!(writer.set(triple(n)), n),
                    None => assert_eq!(signal.set(triple(n)), Ok(n)),
                }
            }
            done.store(true, Ordering::Release);
            let (seen, missed, last) = watcher.join().unwrap();
            assert_eq!(last, Some(MANY - 1));
            assert!(seen + missed <= MANY);
        });
    }
}

#[test]
fn watching_changes_nothing() {
    let mut memory = Memory::zeroed(16384);
    let region = memory.region(FormatOptions::new());
    let ring = Ring::<u32>::create(region, "ring", 8).unwrap();
    let queue = Queue::<u32>::create(region, "queue", 8).unwrap();
    Signal::create(region, "signal", 7_u32).unwrap();
    Array::<u32>::create(region, "array", 7).unwrap();
    let mut producer = ring.producer().unwrap();
    for n in 0..5 {
        producer.try_push(n).unwrap();
        queue.try_push(n).unwrap();
    }
    std::mem::forget(producer);
    let before = memory.bytes().to_vec();
    // Memory that may not be written.
    let view = View::from_bytes(&before).unwrap();
    let mut value = [0; 4];
    for (name, count) in [("ring", 5), ("queue", 5), ("signal", 1)] {
        let mut watch = view.observe(name).unwrap().including_taken();
        watch.rewind(u64::MAX);
        assert_eq!(std::iter::from_fn(|| watch.try_next(&mut value).ok()).count(), count);
    }
    assert_eq!(view.elements("array").unwrap().read(6, &mut value), Ok(true));
    assert_eq!(memory.bytes(), before);
}

#[test]
fn a_stream_in_use_is_followed_until_it_is_closed() {
    for single in [false, true] {
        let mut memory = Memory::zeroed(16384);
        let region = memory.region(FormatOptions::new());
        let options = StreamOptions::new();
        let options = if single { options.single_publisher() } else { options };
        let stream = Stream::<Triple>::create_with(region, "it", 64, &options).unwrap();
        let mut watch = watch(region.view(), false);
        thread::scope(|scope| {
            let watcher = scope.spawn(move || {
                let mut value: Triple = [0; 3];
                let (mut seen, mut expected, mut missed) = (0, 0, 0);
                loop {
                    match watch.try_next(value.as_mut_bytes()) {
                        Ok(Seen { sequence, .. }) => {
                            assert_eq!(value, triple(sequence), "torn, or not in its place");
                            expected += watch.missed() - missed;
                            assert_eq!(sequence, expected);
                            (expected, missed, seen) = (expected + 1, watch.missed(), seen + 1);
                        }
                        Err(NextError::Empty) => thread::yield_now(),
                        Err(NextError::Closed) => return seen + watch.missed(),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            let mut publisher = stream.publisher().ok();
            for n in 0..MANY {
                match &mut publisher {
                    Some(publisher) => assert_eq!(publisher.try_emit(triple(n)), Ok(n)),
                    None => assert_eq!(stream.try_emit(triple(n)), Ok(n)),
                }
            }
            match publisher {
                Some(mut publisher) => assert!(publisher.close()),
                None => assert_eq!(stream.close(), Ok(true)),
            }
            assert_eq!(watcher.join().unwrap(), MANY);
        });
    }
}

#[test]
fn a_channel_that_is_closed_and_drained_has_ended() {
    let mut memory = Memory::zeroed(8192);
    let region = memory.region(FormatOptions::new());
    let channel = Channel::<u32>::create(region, "it", 4).unwrap();
    Channel::<u32>::create(region, "met", 0).unwrap();
    let mut watch = watch(region.view(), false);
    channel.try_send(7).unwrap();
    channel.close();
    let mut value = [0; 4];
    assert_eq!(watch.try_next(&mut value), Ok(Seen { sequence: 0, taken: false }));
    assert_eq!(watch.try_next(&mut value), Err(NextError::Empty));
    assert_eq!(channel.try_recv(), Ok(7));
    assert!(channel.try_recv().is_err());
    assert_eq!(watch.try_next(&mut value), Err(NextError::Closed));
    // From hand to hand there is nothing to look at.
    let met = region.view().observe("met").map(|_| ()).unwrap_err();
    assert!(matches!(met, StructureError::NotAFlow { kind: Kind::CHANNEL, .. }), "{met}");
}
