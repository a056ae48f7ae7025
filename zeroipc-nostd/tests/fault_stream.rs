//! Stream: a party stopped, or killed, before every one of its accesses holds up nobody, loses nothing and tears nothing.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;
mod mortals;
mod stepper;

use memory::Memory;
use mortals::Mortals;
use std::mem::forget;
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{
    Capability, EmitError, FormatOptions, Geometry, NextError, Publisher, PublisherError, Region,
    Spin, Stream, StreamOptions, Subscriber, WordSize,
};

/// Several words: a value that is half-written would show.
type Item = [u64; 3];

fn item(n: u64) -> Item {
    [n, !n, n ^ 0x5555]
}

fn number(found: Item) -> u64 {
    assert_eq!(found, item(found[0]), "a torn value");
    found[0]
}

static SPIN: Spin = Spin::new(|| 0);
const WORDS: [WordSize; 2] = [WordSize::Four, WordSize::Eight];

/// The value of a party that is stopped.
const PARTY: u64 = 1 << 40;

fn with_region(word: WordSize, test: impl FnOnce(Region<'_>)) {
    let mut memory = Memory::filled(8192, 0xA5);
    let options = FormatOptions::new().max_entries(2).geometry(Geometry::new(word, 16).unwrap());
    test(memory.region(options).with_notifier(&SPIN));
}

/// A stream with as many spare slots, to which `before` values were emitted: 0, 1, 2 ...
fn with_stream(
    word: WordSize,
    capacity: usize,
    options: StreamOptions,
    before: u64,
    test: impl FnOnce(Stream<'_, Item>),
) {
    with_region(word, |region| {
        let stream = Stream::create_with(region, "stream", capacity, &options).unwrap();
        (0..before).for_each(|n| assert_eq!(stream.try_emit(item(n)), Ok(n)));
        test(stream);
    });
}

/// A thousand values by another party, all taken by a subscriber that joins now: what it takes has no gaps. Returns what it took
/// that was the stopped party's.
fn churn(stream: Stream<'_, Item>, subscriber: &mut Subscriber<'_, Item>) -> Vec<u64> {
    let mut others = Vec::new();
    for n in 0..1000 {
        let sequence = stream.try_emit(item(n)).unwrap();
        assert!(stream.next_sequence() > sequence);
        loop {
            let at = subscriber.sequence();
            let found = number(subscriber.try_next().unwrap());
            if at == sequence {
                assert_eq!(found, n);
                break;
            }
            others.push(found);
        }
        assert_eq!(subscriber.try_next(), Err(NextError::Empty));
    }
    others
}

#[test]
fn a_stopped_emit_holds_up_nobody() {
    for word in WORDS {
        for (capacity, spares, before) in [(2, 1, 0), (4, 2, 3), (4, 8, 30)] {
            for step in 0.. {
                let mut finished = false;
                let options = StreamOptions::new().spares(spares);
                with_stream(word, capacity, options, before, |stream| {
                    thread::scope(|scope| {
                        let mut subscriber = stream.subscribe().unwrap();
                        let party = Party::start(scope, step, move || stream.try_emit(item(PARTY)));
                        finished = !party.is_stopped();
                        let mut others = churn(stream, &mut subscriber);
                        let sequence = party.finish().unwrap();
                        others.extend(churn(stream, &mut subscriber));
                        assert_eq!(others, [PARTY], "once, wherever it was stopped");
                        assert!(sequence < stream.next_sequence());
                        assert_eq!(stream.next_sequence(), before + 2001);
                        all_slots_are_there(stream, spares);
                    });
                });
                if finished {
                    assert!(step >= 7, "an emit of {step} steps");
                    break;
                }
            }
        }
    }
}

/// Before this step an emit is writing, and has published nothing.
const INSIDE: u64 = 4;

/// No slot is missing: as many publishers as there are spares may stop inside, one after another, and others go on.
fn all_slots_are_there(stream: Stream<'_, Item>, spares: u32) {
    thread::scope(|scope| {
        let parties: Vec<_> = (0..spares)
            .map(|_| {
                let party = Party::start(scope, INSIDE, move || stream.try_emit(item(1)));
                assert!(party.is_stopped());
                stream.try_emit(item(2)).unwrap();
                party
            })
            .collect();
        for party in parties {
            party.finish().unwrap();
        }
    });
}

#[test]
fn one_more_blocks_publishers_but_no_subscriber() {
    with_stream(WordSize::Eight, 4, StreamOptions::new().spares(2), 9, |stream| {
        thread::scope(|scope| {
            let start = |n| Party::start(scope, INSIDE, move || stream.try_emit(item(n)));
            let mut parties = Vec::new();
            for n in 9..11 {
                parties.push(start(n + 100));
                assert_eq!(stream.try_emit(item(n)), Ok(n));
            }
            parties.push(start(111));
            assert!(parties.iter().all(Party::is_stopped));
            for _ in 0..1000 {
                assert_eq!(stream.try_emit(item(1)), Err(EmitError::Blocked(item(1))));
                let mut subscriber = stream.subscribe_from_oldest().unwrap();
                assert_eq!(
                    subscriber.sequence(),
                    8,
                    "the oldest gave way to what is being written"
                );
                (8..11).for_each(|n| assert_eq!(subscriber.try_next(), Ok(item(n))));
                assert_eq!(subscriber.try_next(), Err(NextError::Empty));
            }
            // As soon as one goes on, all go on.
            assert_eq!(parties.remove(1).finish(), Ok(11));
            churn(stream, &mut stream.subscribe().unwrap());
            for party in parties {
                party.finish().unwrap();
            }
            all_slots_are_there(stream, 2);
        });
    });
}

/// Who is blocked by stopped publishers waits for them, as long as it says, and is woken by the first that goes on: the clock stands,
/// so nothing else ends its sleep. One that goes on may publish, or find no room or that its number is taken, and give its slot back.
#[test]
fn emit_waits_for_stopped_publishers() {
    static NEVER: Spin = Spin::new(|| u64::MAX - 1);
    for (places, numbered) in [(0, false), (0, true), (1, false), (1, true)] {
        // The look for room is one access more, as long as nobody need look at the cursors.
        let inside = INSIDE + u64::from(places);
        let mut options = StreamOptions::new().spares(1);
        if places > 0 {
            options = options.backpressure(places);
        }
        with_stream(WordSize::Eight, 8, options, 0, |stream| {
            let mut subscriber = stream.subscribe().unwrap();
            thread::scope(|scope| {
                let start = |n| {
                    let party = Party::start(scope, inside, move || stream.try_emit(item(n)));
                    assert!(party.is_stopped());
                    party
                };
                assert_eq!(stream.try_emit(item(0)), Ok(0));
                assert_eq!(subscriber.try_next(), Ok(item(0)));
                let displaced = if numbered {
                    Party::start(scope, inside, move || stream.try_emit_at(1, item(7)))
                } else {
                    start(7)
                };
                assert!(displaced.is_stopped());
                assert_eq!(stream.try_emit(item(1)), Ok(1));
                assert_eq!(subscriber.try_next(), Ok(item(1)));
                let in_the_way = start(8);
                assert_eq!(stream.try_emit(item(2)), Err(EmitError::Blocked(item(2))));
                let late = stream.emit_with(item(2), &NEVER, Some(5));
                assert_eq!(late, Err(EmitError::Timeout(item(2))));
                let at = stream.emit_at_with(2, item(2), &NEVER, Some(5));
                assert_eq!(at, Err(EmitError::Timeout(item(2))));
                let waiter = scope.spawn(move || stream.emit(item(2)));
                // Long enough for it to look often and go to sleep, mostly.
                thread::sleep(std::time::Duration::from_millis(20));
                assert!(!waiter.is_finished());
                assert_eq!(displaced.finish().is_ok(), !numbered);
                let waited = waiter.join().unwrap().unwrap();
                let finished = in_the_way.finish();
                let mut found = Vec::new();
                loop {
                    match subscriber.try_next() {
                        Ok(value) => found.push(number(value)),
                        Err(NextError::Lagged { .. }) => {}
                        Err(_) => break,
                    }
                }
                if places == 0 {
                    assert!(finished.is_ok());
                } else if finished.is_err() {
                    assert_eq!(finished, Err(EmitError::Full(item(8))));
                }
                assert!(found.contains(&2) || waited < stream.oldest_sequence());
                all_slots_are_there_with(stream, &mut subscriber, inside);
            });
        });
    }
}

/// As [`all_slots_are_there`], of one spare, with a subscriber that makes room.
fn all_slots_are_there_with(
    stream: Stream<'_, Item>,
    subscriber: &mut Subscriber<'_, Item>,
    inside: u64,
) {
    let mut take = || while !matches!(subscriber.try_next(), Err(NextError::Empty)) {};
    thread::scope(|scope| {
        take();
        let party = Party::start(scope, inside, move || stream.try_emit(item(1)));
        assert!(party.is_stopped());
        stream.try_emit(item(2)).unwrap();
        take();
        party.finish().unwrap();
        take();
    });
}

#[test]
fn a_killed_publisher_takes_one_slot_at_most() {
    for (word, spares) in WORDS.into_iter().flat_map(|word| [(word, 1), (word, 5)]) {
        for step in 0.. {
            let mut finished = false;
            with_stream(word, 4, StreamOptions::new().spares(spares), 4, |stream| {
                let mut subscriber = stream.subscribe().unwrap();
                for victim in 0..u64::from(spares) {
                    let before = stream.next_sequence();
                    let killed = abandon_at(step, || stream.try_emit(item(PARTY + victim)));
                    finished = killed.is_ok();
                    let emitted = stream.next_sequence() - before;
                    assert!(emitted <= 1 && !(finished && emitted == 0));
                    let others = churn(stream, &mut subscriber);
                    assert!(others.iter().eq([PARTY + victim].iter().take(emitted as usize)));
                }
            });
            if finished {
                break;
            }
        }
    }
}

#[test]
fn a_stopped_subscriber_gets_its_value_or_is_told() {
    for word in WORDS {
        for capacity in [1, 4] {
            for (emits, step) in
                [0, 1, 3, 4, 1000].into_iter().flat_map(|e| (0..7).map(move |s| (e, s)))
            {
                with_stream(word, capacity, StreamOptions::new(), 7, |stream| {
                    thread::scope(|scope| {
                        let mut subscriber = stream.subscribe_from_oldest().unwrap();
                        let first = subscriber.sequence();
                        let party = Party::start(scope, step, move || {
                            let found = subscriber.try_next();
                            (found, subscriber)
                        });
                        let stopped = party.is_stopped();
                        (7..7 + emits).for_each(|n| assert_eq!(stream.try_emit(item(n)), Ok(n)));
                        let (found, mut subscriber) = party.finish();
                        let gone = 7 + emits > first + capacity as u64;
                        match found {
                            Ok(found) => assert_eq!(number(found), first),
                            Err(NextError::Lagged { missed }) => {
                                assert!(stopped && gone);
                                assert_eq!(missed, 7 + emits - capacity as u64 - first);
                            }
                            Err(error) => panic!("{error}"),
                        }
                        assert!(found.is_ok() || gone);
                        while let Ok(found) = subscriber.try_next() {
                            assert_eq!(number(found) + 1, subscriber.sequence());
                        }
                    });
                });
            }
        }
    }
}

#[test]
fn a_stopped_or_killed_close_is_whole() {
    for word in WORDS {
        for step in 0.. {
            let mut finished = false;
            let options = StreamOptions::new().spares(2);
            with_stream(word, 2, options, 3, |stream| {
                thread::scope(|scope| {
                    let party = Party::start(scope, step, move || stream.close());
                    finished = !party.is_stopped();
                    let mut emitted = 0;
                    for n in 3..1003 {
                        match stream.try_emit(item(n)) {
                            Ok(sequence) => assert_eq!(sequence, n),
                            Err(error) => assert_eq!(error, EmitError::Closed(item(n))),
                        }
                        emitted = stream.next_sequence();
                        if stream.is_closed() {
                            break;
                        }
                    }
                    assert_eq!(party.finish(), Ok(true));
                    assert!(stream.is_closed() && stream.next_sequence() == emitted);
                    let mut subscriber = stream.subscribe_from_oldest().unwrap();
                    for n in emitted - 2..emitted {
                        assert_eq!(subscriber.try_next(), Ok(item(n)));
                    }
                    assert_eq!(subscriber.try_next(), Err(NextError::Closed));
                });
            });
            with_stream(word, 2, options, 3, |stream| {
                let _ = abandon_at(step, || stream.close());
                let closed = stream.is_closed();
                assert_eq!(stream.try_emit(item(3)).is_err(), closed);
                assert_eq!(stream.close(), Ok(!closed));
            });
            if finished {
                break;
            }
        }
    }
}

/// A stream of one publisher, by loads and stores where there is nothing else, with five values.
fn with_publisher(
    capability: Capability,
    capacity: usize,
    test: impl FnOnce(Stream<'_, Item>, Publisher<'_, Item>),
) {
    let mut memory = Memory::filled(4096, 0xA5);
    let options = FormatOptions::new().max_entries(2).geometry(Geometry::SMALLEST);
    let region = memory.region(options.capability(capability)).with_notifier(&SPIN);
    let options = StreamOptions::new().single_publisher();
    let stream = Stream::create_with(region, "stream", capacity, &options).unwrap();
    let mut publisher = stream.publisher().unwrap();
    (0..5).for_each(|n| assert_eq!(publisher.try_emit(item(n)), Ok(n)));
    test(stream, publisher);
}

/// A thousand values by the only publisher.
fn publish(stream: Stream<'_, Item>, publisher: &mut Publisher<'_, Item>) {
    let mut subscriber = stream.subscribe().unwrap();
    let first = publisher.sequence();
    for n in first..first + 1000 {
        assert_eq!(publisher.try_emit(item(n)), Ok(n));
        assert_eq!(subscriber.try_next(), Ok(item(n)));
        assert_eq!(subscriber.try_next(), Err(NextError::Empty));
    }
}

#[test]
fn the_only_publisher_is_stopped_or_killed_anywhere() {
    for capability in [Capability::Cas, Capability::LoadStore] {
        for (capacity, step) in [1, 4].into_iter().flat_map(|c| (0..12).map(move |s| (c, s))) {
            // What all see while it stands there: what was there, less the oldest at most, and the new one or not.
            let look = |stream: Stream<'_, Item>| {
                let next = stream.next_sequence();
                assert!(next == 5 || next == 6);
                let mut subscriber = stream.subscribe_from_oldest().unwrap();
                let oldest = subscriber.sequence();
                assert!(next - oldest >= capacity as u64 - 1);
                (oldest..next).for_each(|n| assert_eq!(subscriber.try_next(), Ok(item(n))));
                for _ in 0..1000 {
                    assert_eq!(subscriber.try_next(), Err(NextError::Empty));
                }
                let mut old = stream.subscribe_at(0).unwrap();
                assert_eq!(old.try_next(), Err(NextError::Lagged { missed: oldest }));
                next
            };
            with_publisher(capability, capacity, |stream, mut publisher| {
                thread::scope(|scope| {
                    let party = Party::start(scope, step, move || {
                        assert_eq!(publisher.try_emit(item(5)), Ok(5));
                        publisher
                    });
                    look(stream);
                    publish(stream, &mut party.finish());
                });
            });
            with_publisher(capability, capacity, |stream, mut publisher| {
                let killed = abandon_at(step, || publisher.try_emit(item(5)));
                forget(publisher);
                let next = look(stream);
                assert!(next == 6 || killed.is_err());
                assert_eq!(stream.publisher().unwrap_err(), PublisherError::RoleTaken);
                publish(stream, &mut stream.take_over_publisher().unwrap());
                // The same, with nothing but the end to come.
                assert_eq!(stream.close(), Ok(true));
            });
            with_publisher(capability, capacity, |stream, mut publisher| {
                let _ = abandon_at(step, || publisher.try_emit(item(5)));
                forget(publisher);
                let next = look(stream);
                assert!(stream.take_over_publisher().unwrap().close());
                assert!(stream.is_closed() && stream.next_sequence() == next);
                let mut subscriber = stream.subscribe_from_oldest().unwrap();
                (subscriber.sequence()..next)
                    .for_each(|n| assert_eq!(subscriber.try_next(), Ok(item(n))));
                assert_eq!(subscriber.try_next(), Err(NextError::Closed));
            });
        }
    }
}

/// With backpressure: whoever stops inside a next, a subscription or a departure is a slow subscriber at most: publishers
/// are told so, and when it dies they go on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Subscribe,
    FromOldest,
    Next,
    Leave,
}

impl Act {
    fn run<'a>(
        self,
        stream: Stream<'a, Item>,
        subscriber: Option<Subscriber<'a, Item>>,
    ) -> Option<Subscriber<'a, Item>> {
        match self {
            Act::Subscribe => Some(stream.subscribe().unwrap()),
            Act::FromOldest => Some(stream.subscribe_from_oldest().unwrap()),
            Act::Next => {
                let mut subscriber = subscriber?;
                number(subscriber.try_next().unwrap());
                Some(subscriber)
            }
            Act::Leave => None,
        }
    }
}

#[test]
fn a_stopped_subscriber_with_backpressure() {
    for (word, single) in WORDS.into_iter().flat_map(|word| [(word, false), (word, true)]) {
        for act in [Act::Subscribe, Act::FromOldest, Act::Next, Act::Leave] {
            for (step, kill) in (0..30).flat_map(|step| [(step, false), (step, true)]) {
                let mortals = Mortals::new();
                let mut options = StreamOptions::new().backpressure(2).spares(2);
                if single {
                    options = options.single_publisher();
                }
                with_region(word, |region| {
                    Stream::<Item>::create_with(region, "stream", 4, &options).unwrap();
                    let opened =
                        |party| Stream::open(mortals.region(region, party), "stream").unwrap();
                    let (stream, theirs) = (opened(1), opened(2));
                    let mut publisher = single.then(|| stream.publisher().unwrap());
                    let mut emit = |n| match &mut publisher {
                        Some(publisher) => publisher.try_emit(item(n)),
                        None => stream.try_emit(item(n)),
                    };
                    let joined =
                        matches!(act, Act::Next | Act::Leave).then(|| theirs.subscribe().unwrap());
                    let mut other = stream.subscribe().unwrap();
                    let mut next = 0;
                    let mut go_on = |count: u64| {
                        for _ in 0..count {
                            match emit(next) {
                                Ok(sequence) => assert_eq!(sequence, next),
                                Err(error) => {
                                    assert_eq!(error, EmitError::Full(item(next)));
                                    return false;
                                }
                            }
                            assert_eq!(other.try_next(), Ok(item(next)));
                            next += 1;
                        }
                        true
                    };
                    assert!(go_on(2));
                    thread::scope(|scope| {
                        let party = Party::start(scope, step, move || act.run(theirs, joined));
                        let was_stopped = party.is_stopped();
                        let free = go_on(1000);
                        let registered = stream.registered_subscribers();
                        // Only a registered one is waited for, or one that is just leaving.
                        assert!(free || registered == 2 || act == Act::Leave);
                        if kill {
                            let dead = party.abandon();
                            forget(dead);
                            mortals.kill(2);
                            stream.remove_dead_subscribers();
                            assert_eq!(stream.registered_subscribers(), 1);
                        } else {
                            let mut subscriber = party.finish();
                            // It misses nothing from where it joined.
                            while let Some(subscriber) = &mut subscriber {
                                let at = subscriber.sequence();
                                match subscriber.try_next() {
                                    Ok(found) => assert_eq!(number(found), at),
                                    Err(NextError::Lagged { .. }) => {
                                        assert!(act == Act::FromOldest && was_stopped);
                                    }
                                    Err(NextError::Empty) => break,
                                    Err(error) => panic!("{error}"),
                                }
                            }
                        }
                        assert!(go_on(1000));
                        assert_eq!(opened(3).subscribe().unwrap().lag(), 0);
                    });
                });
            }
        }
    }
}
