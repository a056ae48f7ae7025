//! Stream: against a sequential model, over all geometries, element types and forms; what sleepers and slow ones are told.
#![cfg(not(loom))]

#[macro_use]
mod elements;
mod memory;
mod mortals;
mod sleeper;

use elements::{Sample, TYPES};
use memory::{geometries, Memory};
use mortals::Mortals;
use proptest::prelude::*;
use sleeper::Sleeper;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    Capability, EmitError, FormatOptions, Geometry, Kind, NextError, PublisherError, Region,
    Stream, StreamOptions, StructureError, SubscribeError, Subscriber, WordSize,
};

fn fill(region: Region<'_>) -> Option<u64> {
    let view = region.view();
    view.inspect(&view.find("stream").unwrap()).unwrap().fill
}

/// What a test may do. Subscribers by their place in a list.
#[derive(Debug, Clone)]
enum Act {
    Emit(u8),
    Next(u8, u8),
    Subscribe,
    FromOldest,
    At(u8),
    Leave(u8),
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        40 => (1_u8..12).prop_map(Act::Emit),
        40 => (any::<u8>(), 1_u8..12).prop_map(|(who, times)| Act::Next(who, times)),
        6 => Just(Act::Subscribe),
        6 => Just(Act::FromOldest),
        6 => any::<u8>().prop_map(Act::At),
        6 => any::<u8>().prop_map(Act::Leave),
        1 => Just(Act::Close),
    ]
}

/// A form of a stream, and what its creator asked for.
#[derive(Debug, Clone, Copy)]
struct Form {
    capacity: usize,
    places: u32,
    single: bool,
}

impl Form {
    fn options(self) -> StreamOptions {
        let options = match self.places {
            0 => StreamOptions::new(),
            places => StreamOptions::new().backpressure(places),
        };
        if self.single {
            options.single_publisher()
        } else {
            options.spares(2)
        }
    }
}

/// The model of a subscriber.
#[derive(Debug)]
struct Reader<'a, T> {
    subscriber: Subscriber<'a, T>,
    cursor: u64,
    /// What publishers see of it.
    seen: u64,
    outrun: bool,
    /// Whether it may miss something in spite of backpressure: it began with the past.
    may_miss: u64,
}

fn follows_the_model<T: Sample>(region: Region<'_>, acts: &[Act], form: Form) {
    let stream =
        Stream::<T>::create_with(region, "stream", form.capacity, &form.options()).unwrap();
    let mut publisher = form.single.then(|| stream.publisher().unwrap());
    let capacity = form.capacity.next_power_of_two() as u64;
    let (mut next, mut closed, mut slowest) = (0_u64, false, 0_u64);
    let mut readers: Vec<Reader<'_, T>> = Vec::new();
    for act in acts {
        let oldest = next.saturating_sub(capacity);
        match act {
            Act::Emit(times) => {
                for _ in 0..*times {
                    let value = T::nth(next);
                    let emitted = match &mut publisher {
                        Some(publisher) => publisher.try_emit(value),
                        None => stream.try_emit(value),
                    };
                    if closed {
                        assert_eq!(emitted, Err(EmitError::Closed(value)));
                        continue;
                    }
                    if form.places > 0 && next - slowest >= capacity {
                        slowest = readers.iter().map(|reader| reader.seen).fold(next, u64::min);
                        if next - slowest >= capacity {
                            assert_eq!(emitted, Err(EmitError::Full(value)));
                            continue;
                        }
                    }
                    assert_eq!(emitted, Ok(next));
                    next += 1;
                }
            }
            Act::Next(who, times) => {
                let count = readers.len().max(1);
                let Some(reader) = readers.get_mut(usize::from(*who) % count) else { continue };
                for _ in 0..*times {
                    let found = reader.subscriber.try_next();
                    if reader.cursor < oldest {
                        let mut to = oldest;
                        if reader.outrun {
                            let ahead = capacity / 8;
                            to = if ahead < next - oldest { oldest + ahead } else { next };
                        }
                        let missed = to - reader.cursor;
                        assert_eq!(found, Err(NextError::Lagged { missed }));
                        if form.places > 0 {
                            assert!(reader.cursor + missed <= reader.may_miss);
                        }
                        (reader.cursor, reader.outrun) = (to, true);
                    } else if reader.cursor < next {
                        assert_eq!(found, Ok(T::nth(reader.cursor)));
                        (reader.cursor, reader.outrun) = (reader.cursor + 1, false);
                    } else {
                        let end = if closed { NextError::Closed } else { NextError::Empty };
                        assert_eq!(found, Err(end));
                    }
                    reader.seen = reader.seen.max(reader.cursor);
                }
            }
            Act::Subscribe | Act::FromOldest | Act::At(_) => {
                let (subscribed, cursor) = match act {
                    Act::Subscribe => (stream.subscribe(), next),
                    Act::FromOldest => (stream.subscribe_from_oldest(), oldest),
                    Act::At(back) => {
                        let at = (next + 3).saturating_sub(u64::from(*back));
                        (stream.subscribe_at(at), at)
                    }
                    _ => unreachable!(),
                };
                if cursor > next {
                    assert_eq!(subscribed.unwrap_err(), SubscribeError::Ahead { next });
                } else if form.places > 0 && readers.len() == form.places as usize {
                    let places = readers.len();
                    assert_eq!(subscribed.unwrap_err(), SubscribeError::TooMany { places });
                } else {
                    let (subscriber, seen) = (subscribed.unwrap(), cursor.max(oldest));
                    let may_miss = next;
                    readers.push(Reader { subscriber, cursor, seen, outrun: false, may_miss });
                }
            }
            Act::Leave(who) => {
                if !readers.is_empty() {
                    let who = usize::from(*who) % readers.len();
                    readers.remove(who);
                }
            }
            Act::Close => {
                let first = match &mut publisher {
                    Some(publisher) => publisher.close(),
                    None => stream.close().unwrap(),
                };
                assert_eq!(first, !closed);
                closed = true;
            }
        }
        let oldest = next.saturating_sub(capacity);
        assert_eq!((stream.oldest_sequence(), stream.next_sequence()), (oldest, next));
        assert_eq!((stream.len() as u64, stream.is_empty()), (next - oldest, next == 0));
        assert_eq!((fill(region), stream.is_closed()), (Some(next - oldest), closed));
        let registered = if form.places > 0 { readers.len() } else { 0 };
        assert_eq!(stream.registered_subscribers(), registered);
        for Reader { subscriber, cursor, .. } in &readers {
            assert_eq!((subscriber.sequence(), subscriber.lag()), (*cursor, next - cursor));
            assert_eq!(subscriber.available() as u64, next - oldest.max(*cursor));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn as_the_model_says(
        acts in proptest::collection::vec(act(), 1..60),
        capacity in 1_usize..20,
        which in 0..TYPES,
    ) {
        for geometry in geometries() {
            for (places, single, capability) in [
                (0, false, Capability::Cas),
                (0, true, Capability::Cas),
                (0, true, Capability::LoadStore),
                (3, false, Capability::Cas),
                (2, true, Capability::Cas),
            ] {
                let form = Form { capacity, places, single };
                let options = FormatOptions::new().geometry(geometry).capability(capability);
                let mut memory = Memory::filled(16384, 0xA5).shifted(8);
                let region = memory.region(options);
                for_type!(which, follows_the_model(region, &acts, form));
            }
        }
    }
}

/// Sequence numbers wrap around in 4-byte words, and laps earlier. A stream that is nearly there is made by hand.
#[test]
fn sequence_numbers_wrap() {
    for (single, capacity) in [(true, 1_u32), (true, 4), (false, 1), (false, 4)] {
        let mut memory = Memory::zeroed(4096);
        let options = FormatOptions::new().geometry(Geometry::SMALLEST);
        let region = memory.region(options);
        let form = Form { capacity: capacity as usize, places: 0, single };
        Stream::<u32>::create_with(region, "stream", form.capacity, &form.options()).unwrap();
        let at = region.view().find("stream").unwrap().offset as usize;
        let mut set = |offset: usize, value: u32| {
            memory.bytes_mut()[at + offset..][..4].copy_from_slice(&value.to_le_bytes());
        };
        let spares = if single { 0 } else { 2 };
        let slots = capacity + spares;
        let low_bits = 2 + slots.next_power_of_two().trailing_zeros();
        let next = 0_u32.wrapping_sub(capacity + 3);
        set(48, next);
        for sequence in (1..=capacity).map(|back| next.wrapping_sub(back)) {
            let index = sequence % capacity;
            let lap = (sequence / capacity).wrapping_add(1) << low_bits;
            let cell = 64 + 4 * spares as usize + 8 * index as usize;
            set(cell, lap | index);
            set(cell + 4, sequence);
        }
        let region = Region::open(memory.span()).unwrap();
        let stream = Stream::<u32>::open(region, "stream").unwrap();
        assert_eq!(stream.next_sequence(), u64::from(next));
        assert_eq!(stream.len(), capacity as usize);
        let mut publisher = single.then(|| stream.publisher().unwrap());
        let mut old = stream.subscribe_from_oldest().unwrap();
        let mut new = stream.subscribe().unwrap();
        let mut idle = stream.subscribe().unwrap();
        for back in (1..=capacity).rev() {
            assert_eq!(old.try_next(), Ok(next.wrapping_sub(back)));
        }
        for sequence in (0..3 * capacity + 7).map(|ahead| next.wrapping_add(ahead)) {
            assert_eq!(new.try_next(), Err(NextError::Empty));
            let emitted = match &mut publisher {
                Some(publisher) => publisher.try_emit(sequence),
                None => stream.try_emit(sequence),
            };
            assert_eq!(emitted, Ok(u64::from(sequence)));
            assert_eq!((old.try_next(), new.try_next()), (Ok(sequence), Ok(sequence)));
            assert_eq!(stream.oldest_sequence(), u64::from(sequence.wrapping_sub(capacity - 1)));
        }
        let missed = u64::from(2 * capacity + 7);
        assert_eq!(idle.try_next(), Err(NextError::Lagged { missed }));
        assert_eq!(idle.available(), capacity as usize);
    }
}

/// Four publishers and four subscribers, in threads: with backpressure all take all.
#[test]
fn everybody_takes_everything() {
    const EACH: u32 = 3000;
    let sleeper = Sleeper::new();
    for geometry in [Geometry::SMALLEST, Geometry::default()] {
        let mut memory = Memory::zeroed(1 << 16);
        let region = memory.region(FormatOptions::new().geometry(geometry)).with_notifier(&sleeper);
        let options = StreamOptions::new().backpressure(4);
        let stream = Stream::<[u32; 2]>::create_with(region, "stream", 8, &options).unwrap();
        let subscribers = [(); 4].map(|()| stream.subscribe().unwrap());
        thread::scope(|scope| {
            let subscribers = subscribers.map(|mut subscriber| {
                scope.spawn(move || {
                    let mut all = Vec::new();
                    loop {
                        match subscriber.next() {
                            Ok(value) => all.push(value),
                            Err(error) => break assert_eq!(error, NextError::Closed),
                        }
                    }
                    all
                })
            });
            let publishers = [0, 1, 2, 3].map(|publisher| {
                scope.spawn(move || {
                    let mut last = None;
                    for n in 0..EACH {
                        let sequence = stream.emit([publisher, n]).unwrap();
                        assert!(last < Some(sequence));
                        last = Some(sequence);
                    }
                })
            });
            publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
            assert_eq!(stream.close(), Ok(true));
            let all = subscribers.map(|subscriber| subscriber.join().unwrap());
            assert_eq!(all[0].len(), 4 * EACH as usize);
            assert!(all.iter().all(|other| *other == all[0]), "one order for all");
            for publisher in 0..4 {
                let of = all[0].iter().filter(|value| value[0] == publisher);
                assert!(of.map(|value| value[1]).eq(0..EACH), "lost, doubled or disordered");
            }
        });
    }
}

/// A publisher that does not wait, and subscribers that cannot keep up: what they take and what they miss is all there was.
#[test]
fn taken_and_missed_are_all() {
    const ALL: u64 = 100_000;
    for single in [false, true] {
        let mut memory = Memory::zeroed(1 << 16);
        let region = memory.region(FormatOptions::new());
        let form = Form { capacity: 16, places: 0, single };
        let stream =
            Stream::<[u64; 3]>::create_with(region, "stream", form.capacity, &form.options())
                .unwrap();
        let take = || {
            let mut subscriber = stream.subscribe_at(0).unwrap();
            move || {
                let (mut sequence, mut taken) = (0, 0);
                loop {
                    match subscriber.try_next() {
                        Ok(value) => {
                            assert_eq!(value, [sequence, !sequence, sequence ^ 7]);
                            (sequence, taken) = (sequence + 1, taken + 1);
                        }
                        Err(NextError::Lagged { missed }) => sequence += missed,
                        Err(NextError::Empty) => thread::yield_now(),
                        Err(error) => break assert_eq!(error, NextError::Closed),
                    }
                    assert_eq!(subscriber.sequence(), sequence);
                }
                assert_eq!(sequence, ALL);
                taken
            }
        };
        thread::scope(|scope| {
            let subscribers = [take(), take()].map(|take| scope.spawn(take));
            let mut publisher = single.then(|| stream.publisher().unwrap());
            for n in 0..ALL {
                let value = [n, !n, n ^ 7];
                let emitted = match &mut publisher {
                    Some(publisher) => publisher.emit(value),
                    None => stream.emit(value),
                };
                assert_eq!(emitted, Ok(n));
            }
            drop(publisher);
            stream.close().unwrap();
            for subscriber in subscribers {
                assert!(subscriber.join().unwrap() >= 1);
            }
        });
    }
}

#[test]
fn one_call_wakes_all_subscribers() {
    for (single, capability) in
        [(false, Capability::Cas), (true, Capability::Cas), (true, Capability::LoadStore)]
    {
        let sleeper = Sleeper::deep();
        let mut memory = Memory::zeroed(4096);
        let options = FormatOptions::new().capability(capability);
        let region = memory.region(options).with_notifier(&sleeper);
        let form = Form { capacity: 4, places: 0, single };
        let stream =
            Stream::<u64>::create_with(region, "stream", form.capacity, &form.options()).unwrap();
        let emit = |value| match stream.publisher() {
            Ok(mut publisher) => publisher.try_emit(value),
            Err(_) => stream.try_emit(value),
        };
        let end = [Ok(7), Err(NextError::Closed)];
        for expected in end {
            let subscribers = [(); 3].map(|()| stream.subscribe().unwrap());
            thread::scope(|scope| {
                let waiters =
                    subscribers.map(|mut subscriber| scope.spawn(move || subscriber.next()));
                sleeper.until_asleep(3);
                match expected {
                    Ok(value) => assert!(emit(value).is_ok()),
                    Err(_) => assert_eq!(stream.close(), Ok(true)),
                }
                for waiter in waiters {
                    assert_eq!(waiter.join().unwrap(), expected);
                }
            });
            assert_eq!(sleeper.wakes(), [u32::MAX], "one call woke all");
        }
        let _ = emit(8);
        assert_eq!(sleeper.wakes(), [], "nobody to wake");
    }
}

#[test]
fn a_publisher_waits_for_the_slowest() {
    for single in [false, true] {
        let sleeper = Sleeper::deep();
        let mut memory = Memory::zeroed(4096);
        let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
        let form = Form { capacity: 2, places: 2, single };
        let stream =
            Stream::<u64>::create_with(region, "stream", form.capacity, &form.options()).unwrap();
        let (mut fast, mut slow) = (stream.subscribe().unwrap(), stream.subscribe().unwrap());
        let mut publisher = single.then(|| stream.publisher().unwrap());
        let mut emit = move |value| match &mut publisher {
            Some(publisher) => publisher.emit(value),
            None => stream.emit(value),
        };
        assert_eq!((emit(0), emit(1)), (Ok(0), Ok(1)));
        assert_eq!((fast.try_next(), fast.try_next()), (Ok(0), Ok(1)));
        thread::scope(|scope| {
            let waiter = scope.spawn(move || (emit(2), emit(3)));
            sleeper.until_asleep(1);
            assert_eq!(fast.try_next(), Err(NextError::Empty));
            sleeper.until_asleep(1);
            assert_eq!(slow.try_next(), Ok(0));
            sleeper.until_asleep(1);
            // Leaving makes room for all.
            drop(slow);
            assert_eq!(waiter.join().unwrap(), (Ok(2), Ok(3)));
        });
        assert_eq!((fast.try_next(), fast.try_next()), (Ok(2), Ok(3)));
    }
}

#[test]
fn a_dead_subscriber_holds_up_nobody() {
    for single in [false, true] {
        let (sleeper, mortals) = (Sleeper::new(), Mortals::new());
        let mut memory = Memory::zeroed(4096);
        let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
        let form = Form { capacity: 2, places: 2, single };
        Stream::<u64>::create_with(region, "stream", form.capacity, &form.options()).unwrap();
        let opened = |party| Stream::<u64>::open(mortals.region(region, party), "stream").unwrap();
        let (dead, stream) = (opened(3).subscribe().unwrap(), opened(4));
        let mut alive = opened(5).subscribe().unwrap();
        let mut publisher = single.then(|| stream.publisher().unwrap());
        let mut emit = move |value| match &mut publisher {
            Some(publisher) => publisher.emit_timeout(value, Duration::from_millis(30)),
            None => stream.emit_timeout(value, Duration::from_millis(30)),
        };
        assert_eq!((emit(0), emit(1)), (Ok(0), Ok(1)));
        assert_eq!((alive.try_next(), alive.try_next()), (Ok(0), Ok(1)));
        assert_eq!(emit(2), Err(EmitError::Timeout(2)));
        assert!(matches!(opened(6).subscribe(), Err(SubscribeError::TooMany { places: 2 })));
        assert_eq!((stream.remove_dead_subscribers(), stream.registered_subscribers()), (0, 2));
        mortals.kill(3);
        std::mem::forget(dead);
        assert_eq!((emit(2), stream.registered_subscribers()), (Ok(2), 1));
        // A newcomer takes a dead one's place.
        std::mem::forget(opened(7).subscribe().unwrap());
        assert!(opened(8).subscribe().is_err());
        mortals.kill(7);
        let mut new = opened(8).subscribe_from_oldest().unwrap();
        assert_eq!((new.try_next(), new.try_next()), (Ok(1), Ok(2)));
        assert_eq!(stream.registered_subscribers(), 2);
    }
}

#[test]
fn a_party_goes_on_after_a_restart() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let stream = Stream::<u32>::create(region, "stream", 4).unwrap();
    let mut subscriber = stream.subscribe().unwrap();
    (0..3).for_each(|n| assert!(stream.try_emit(n).is_ok()));
    assert_eq!(subscriber.try_next(), Ok(0));
    let sequence = subscriber.sequence();
    drop(subscriber);
    let mut subscriber = stream.subscribe_at(sequence).unwrap();
    assert_eq!(subscriber.try_next(), Ok(1));
    (3..10).for_each(|n| assert!(stream.try_emit(n).is_ok()));
    let mut subscriber = stream.subscribe_at(subscriber.sequence()).unwrap();
    assert_eq!(subscriber.try_next(), Err(NextError::Lagged { missed: 4 }));
    assert_eq!(subscriber.try_next(), Ok(6));
    assert_eq!(stream.subscribe_at(11).unwrap_err(), SubscribeError::Ahead { next: 10 });
}

/// A number that was never published is refused, however far ahead: it does not pass for one before number 0.
#[test]
fn a_number_that_never_was_is_refused() {
    for geometry in geometries() {
        let words = if geometry.word() == WordSize::Four { u64::from(u32::MAX) } else { u64::MAX };
        for (capacity, emits) in [(1, 0), (4, 0), (4, 3), (4, 4), (4, 9)] {
            let mut memory = Memory::zeroed(8192);
            let region = memory.region(FormatOptions::new().geometry(geometry));
            let stream = Stream::<u32>::create(region, "stream", capacity).unwrap();
            (0..emits).for_each(|n| assert!(stream.try_emit(n).is_ok()));
            let next = u64::from(emits);
            // In 4-byte words numbers wrap: once a lap is full, one short of 0 may be of the time before that.
            let wraps = words < u64::MAX && emits as usize >= capacity;
            let ahead = [next + 1, words / 2, words - 1, words];
            for (at, passes) in ahead.into_iter().zip([false, false, wraps, wraps]) {
                let subscribed = stream.subscribe_at(at).map(drop);
                let refused = Err(SubscribeError::Ahead { next });
                assert_eq!(subscribed, if passes { Ok(()) } else { refused }, "{at} at {next}");
            }
            assert!(words == u64::MAX || stream.subscribe_at(words + 1).is_err());
            (0..=next).for_each(|at| assert!(stream.subscribe_at(at).is_ok()));
        }
    }
}

#[test]
fn it_takes_what_its_footprint_says() {
    for geometry in geometries() {
        for (capacity, places, single) in [(1, 0, false), (5, 3, false), (16, 2, true)] {
            let options = Form { capacity, places, single }.options();
            let mut memory = Memory::filled(16384, 0xA5).shifted(8);
            let region = memory.region(FormatOptions::new().geometry(geometry));
            let before = region.view().next_offset();
            Stream::<[u32; 5]>::create_with(region, "stream", capacity, &options).unwrap();
            let taken = region.view().next_offset() - before;
            let said = Stream::<[u32; 5]>::footprint_with(geometry, capacity, &options).unwrap();
            assert!(taken <= said && said - taken < u64::from(geometry.line_bytes()));
        }
    }
}

#[test]
fn distinct_errors() {
    const SHORT: Duration = Duration::from_millis(30);
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new());
    let stream = Stream::<u32>::open_or_create(region, "stream", 3).unwrap();
    assert_eq!(stream.capacity(), 4);
    assert_eq!(stream.subscribe().unwrap().next(), Err(NextError::NoWaiter));
    assert!(matches!(
        Stream::<u32>::open_or_create(region, "stream", 8).unwrap_err(),
        StructureError::WrongCapacity { expected: 8, found: 4, .. }
    ));
    assert!(matches!(
        Stream::<u64>::open(region, "stream").unwrap_err(),
        StructureError::WrongElementSize { .. }
    ));
    assert_eq!(
        Stream::<()>::create(region, "other", 4).unwrap_err(),
        StructureError::ZeroSizedElement
    );
    let options = StreamOptions::new();
    for (capacity, options) in [
        (0, options),
        (usize::MAX, options),
        (4, options.backpressure(1025)),
        (4, options.spares(0)),
        (4, options.spares(1025)),
    ] {
        assert!(matches!(
            Stream::<u32>::create_with(region, "other", capacity, &options).unwrap_err(),
            StructureError::BadCapacity { .. }
        ));
        assert_eq!(Stream::<u32>::footprint_with(Geometry::default(), capacity, &options), None);
    }
    assert_eq!(stream.publisher().unwrap_err(), PublisherError::ManyPublishers);
    assert_eq!(stream.take_over_publisher().unwrap_err(), PublisherError::ManyPublishers);

    let stream = Stream::<u32>::open(region.with_notifier(&sleeper), "stream").unwrap();
    let start = Instant::now();
    assert_eq!(stream.subscribe().unwrap().next_timeout(SHORT), Err(NextError::Timeout));
    assert!(start.elapsed() >= SHORT, "never early");

    let single = options.single_publisher();
    let stream = Stream::<u32>::create_with(region, "single", 4, &single).unwrap();
    assert_eq!(stream.try_emit(1), Err(EmitError::SinglePublisher(1)));
    let publisher = stream.publisher().unwrap();
    assert_eq!(stream.publisher().unwrap_err(), PublisherError::RoleTaken);
    assert_eq!(stream.close(), Err(PublisherError::RoleTaken));
    drop(publisher);
    assert_eq!((stream.close(), stream.close()), (Ok(true), Ok(false)));
    assert_eq!(stream.publisher().unwrap().try_emit(1), Err(EmitError::Closed(1)));

    let slow = Stream::<u32>::create_with(region, "slow", 1, &options.backpressure(1)).unwrap();
    let mut subscriber = slow.subscribe().unwrap();
    assert_eq!((slow.emit(1), slow.emit(2)), (Ok(0), Err(EmitError::NoWaiter(2))));
    let slow = Stream::<u32>::open(region.with_notifier(&sleeper), "slow").unwrap();
    let start = Instant::now();
    assert_eq!(slow.emit_timeout(2, SHORT), Err(EmitError::Timeout(2)));
    assert!(start.elapsed() >= SHORT, "never early");
    assert_eq!((slow.close(), slow.emit(2)), (Ok(true), Err(EmitError::Closed(2))));
    assert_eq!(subscriber.try_next(), Ok(1));
    assert_eq!(subscriber.try_next(), Err(NextError::Closed));
    assert_eq!(Kind::STREAM.bytes(), *b"STRM");
}

#[test]
fn with_loads_and_stores_alone() {
    let mut memory = Memory::zeroed(4096);
    let options = FormatOptions::new().capability(Capability::LoadStore);
    let region = memory.region(options.geometry(Geometry::new(WordSize::Four, 8).unwrap()));
    let backpressure = StreamOptions::new().backpressure(1);
    assert_eq!(
        Stream::<u32>::create_with(region, "slow", 4, &backpressure).unwrap_err(),
        StructureError::NeedsCas { kind: Kind::STREAM }
    );
    let stream = Stream::<u32>::create(region, "stream", 4).unwrap();
    assert!(stream.has_single_publisher() && !stream.has_backpressure());
    let mut publisher = stream.publisher().unwrap();
    let mut subscriber = stream.subscribe().unwrap();
    assert_eq!(publisher.emit(7), Ok(0));
    assert_eq!(subscriber.try_next(), Ok(7));
    // A successor goes on where the dead one was.
    std::mem::forget(publisher);
    let mut publisher = stream.take_over_publisher().unwrap();
    assert_eq!((publisher.sequence(), publisher.emit(8)), (1, Ok(1)));
    assert_eq!(subscriber.try_next(), Ok(8));
    assert!(publisher.close());
    assert_eq!(subscriber.try_next(), Err(NextError::Closed));
}
