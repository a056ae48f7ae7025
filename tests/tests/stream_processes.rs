//! A Stream between real processes: one order for all, nothing lost with backpressure, misses counted exactly without, and parties
//! that are stopped or killed.

use std::time::{Duration, Instant};
use zeroipc::{
    Array, EmitError, Geometry, Memory, NextError, Stream, StreamOptions, Subscriber, WordSize,
};
use zeroipc_tests::deaths::Deaths;
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::mix;
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);

/// A publisher, a number of its own, and a checksum.
type Item = [u64; 3];

fn item(publisher: u64, n: u64) -> Item {
    [publisher, n, mix(publisher << 32 ^ n)]
}

fn parts(found: Item) -> (u64, u64) {
    assert_eq!(found, item(found[0], found[1]), "a torn value");
    (found[0], found[1])
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "{what} takes too long");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn geometries() -> [Geometry; 2] {
    [Geometry::SMALLEST, Geometry::new(WordSize::Eight, 64).unwrap()]
}

const PUBLISHERS: u64 = 3;
const SUBSCRIBERS: u64 = 3;
const EACH: u64 = 5_000;

/// Takes all until the end: each publisher's numbers without a gap. Returns a digest of the order.
fn take_all(mut subscriber: Subscriber<'_, Item>) -> u64 {
    let (mut next, mut digest) = ([0; PUBLISHERS as usize], 0);
    loop {
        match subscriber.next_timeout(LIMIT) {
            Ok(found) => {
                let (publisher, n) = parts(found);
                assert_eq!(n, next[publisher as usize], "lost, doubled or out of order");
                next[publisher as usize] += 1;
                digest = mix(digest ^ found[2]);
            }
            Err(error) => break assert_eq!(error, NextError::Closed),
        }
    }
    assert_eq!(next, [EACH; PUBLISHERS as usize]);
    digest
}

#[test]
fn with_backpressure_all_take_all() {
    let test = "with_backpressure_all_take_all";
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let stream = Stream::<Item>::open(&memory, "stream").unwrap();
        if part.role == "publisher" {
            for n in 0..EACH {
                stream.emit_timeout(item(part.number, n), LIMIT).unwrap();
            }
        } else {
            let digest = take_all(stream.subscribe().unwrap());
            let digests = Array::<u64>::open(&memory, "digests").unwrap();
            digests.store(part.number as usize, digest).unwrap();
        }
        return;
    }
    for (geometry, capacity) in geometries().into_iter().zip([4, 64]) {
        let scratch = Scratch::new();
        let memory = Memory::options().geometry(geometry).create(scratch.name(), 1 << 20).unwrap();
        let digests = Array::<u64>::create(&memory, "digests", SUBSCRIBERS as usize).unwrap();
        let options = StreamOptions::new().backpressure(SUBSCRIBERS as u32);
        let stream = Stream::<Item>::create_with(&memory, "stream", capacity, &options).unwrap();
        let start = |role, number| Party::start(test, role, number, scratch.name());
        let mut subscribers: Vec<_> = (0..SUBSCRIBERS).map(|n| start("subscriber", n)).collect();
        until("subscribing", || stream.registered_subscribers() == SUBSCRIBERS as usize);
        let mut publishers: Vec<_> = (0..PUBLISHERS).map(|n| start("publisher", n)).collect();
        publishers.iter_mut().for_each(|publisher| publisher.finish(LIMIT));
        assert_eq!(stream.next_sequence() % (1 << 32), PUBLISHERS * EACH);
        assert_eq!(stream.close(), Ok(true));
        subscribers.iter_mut().for_each(|subscriber| subscriber.finish(LIMIT));
        assert!(digests.iter().all(|digest| Ok(digest) == digests.load(0)), "one order for all");
    }
}

/// Takes what it can until the end: what it took and what it missed is all there was, and what it took is of its number.
fn take_or_miss(part: &Part, all: u64) {
    let memory = Memory::open(&part.region).unwrap();
    let stream = Stream::<Item>::open(&memory, "stream").unwrap();
    let mut subscriber = stream.subscribe_at(0).unwrap();
    Array::<u32>::open(&memory, "ready").unwrap().store(part.number as usize, 1).unwrap();
    let (mut sequence, mut taken) = (0, 0);
    loop {
        match subscriber.next_timeout(LIMIT) {
            Ok(found) => {
                assert_eq!(parts(found), (0, sequence));
                (sequence, taken) = (sequence + 1, taken + 1);
            }
            Err(NextError::Lagged { missed }) => sequence += missed,
            Err(error) => break assert_eq!(error, NextError::Closed),
        }
    }
    assert_eq!(sequence, all);
    assert!(taken > 0);
}

#[test]
fn taken_and_missed_are_all() {
    const ALL: u64 = 100_000;
    if let Some(part) = part() {
        return take_or_miss(&part, ALL);
    }
    for (geometry, single) in geometries().into_iter().zip([true, false]) {
        let scratch = Scratch::new();
        let memory = Memory::options().geometry(geometry).create(scratch.name(), 1 << 20).unwrap();
        let ready = Array::<u32>::create(&memory, "ready", 2).unwrap();
        let options = StreamOptions::new();
        let options = if single { options.single_publisher() } else { options };
        let stream = Stream::<Item>::create_with(&memory, "stream", 16, &options).unwrap();
        let start = |n| Party::start("taken_and_missed_are_all", "subscriber", n, scratch.name());
        let mut subscribers = [0, 1].map(start);
        until("subscribing", || ready.iter().all(|ready| ready == 1));
        let mut publisher = single.then(|| stream.publisher().unwrap());
        for n in 0..ALL {
            let emitted = match &mut publisher {
                Some(publisher) => publisher.emit(item(0, n)),
                None => stream.emit(item(0, n)),
            };
            assert_eq!(emitted, Ok(n));
        }
        drop(publisher);
        stream.close().unwrap();
        subscribers.iter_mut().for_each(|subscriber| subscriber.finish(LIMIT));
    }
}

fn signal(party: &Party, signal: i32) {
    // SAFETY: a system call on a child that we have not waited for, so the number is its own.
    assert_eq!(unsafe { libc::kill(party.id() as i32, signal) }, 0);
}

/// Stops it, and returns when it stands still.
fn stop(party: &Party) {
    signal(party, libc::SIGSTOP);
    until("stopping", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", party.id())).unwrap();
        tasks.flatten().all(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap();
            // After the name, which stands in parentheses.
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    });
}

#[test]
fn a_stopped_subscriber_learns_what_it_missed() {
    const CAPACITY: u64 = 64;
    const MEANWHILE: [u64; 4] = [1, CAPACITY, CAPACITY + 1, 10_000];
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let stream = Stream::<Item>::open(&memory, "stream").unwrap();
        let seen = Array::<u64>::open(&memory, "seen").unwrap();
        let missed_in = Array::<u64>::open(&memory, "missed").unwrap();
        let mut subscriber = stream.subscribe().unwrap();
        let mut missed_in_all = 0;
        seen.store(0, 1).unwrap();
        loop {
            let sequence = subscriber.sequence();
            match subscriber.next_timeout(LIMIT) {
                Ok(found) => assert_eq!(parts(found), (0, sequence)),
                Err(NextError::Lagged { missed }) => missed_in_all += missed,
                Err(error) => break assert_eq!(error, NextError::Closed),
            }
            missed_in.store(0, missed_in_all).unwrap();
            seen.store(0, subscriber.sequence() + 1).unwrap();
        }
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let stream = Stream::<Item>::create(&memory, "stream", CAPACITY as usize).unwrap();
    let seen = Array::<u64>::create(&memory, "seen", 1).unwrap();
    let missed = Array::<u64>::create(&memory, "missed", 1).unwrap();
    let test = "a_stopped_subscriber_learns_what_it_missed";
    let mut subscriber = Party::start(test, "subscriber", 0, scratch.name());
    let (mut next, mut missed_in_all) = (0, 0);
    for meanwhile in MEANWHILE {
        until("taking all", || seen.load(0) == Ok(next + 1));
        stop(&subscriber);
        for n in next..next + meanwhile {
            // Nobody waits for it.
            assert_eq!(stream.emit(item(0, n)), Ok(n));
        }
        next += meanwhile;
        missed_in_all += meanwhile.saturating_sub(CAPACITY);
        assert_eq!(seen.load(0), Ok(next - meanwhile + 1), "it was not stopped");
        signal(&subscriber, libc::SIGCONT);
        until("catching up", || seen.load(0) == Ok(next + 1));
        assert_eq!(missed.load(0), Ok(missed_in_all), "not exactly what it missed");
    }
    stream.close().unwrap();
    subscriber.finish(LIMIT);
}

/// Publishers that are killed again and again: at most one slot goes with each, and what was published stands.
#[test]
fn killed_publishers() {
    const VICTIMS: u64 = 8;
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let stream = Stream::<Item>::open(&memory, "stream").unwrap();
        for n in 0.. {
            stream.emit(item(part.number, n)).unwrap();
        }
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let options = StreamOptions::new().spares(VICTIMS as u32).backpressure(1);
    let stream = Stream::<Item>::create_with(&memory, "stream", 32, &options).unwrap();
    let mut subscriber = stream.subscribe().unwrap();
    for victim in 0..VICTIMS {
        let mut publisher = Party::start("killed_publishers", "publisher", victim, scratch.name());
        for n in 0..2000 {
            assert_eq!(subscriber.next_timeout(LIMIT).map(parts), Ok((victim, n)));
        }
        publisher.kill();
        let mut n = 2000;
        while let Ok(found) = subscriber.try_next() {
            assert_eq!(parts(found), (victim, n));
            n += 1;
        }
        assert_eq!(stream.emit(item(99, victim)).map(|_| ()), Ok(()));
        assert_eq!(subscriber.try_next().map(parts), Ok((99, victim)));
    }
}

const MADE: u64 = 6_000;

/// Makes one value of `derived` of each of `raw`, from where the last one stopped: their numbers are the same. It takes a value only
/// when it has published what it made of it, so its place keeps that value for its successor.
fn pipeline(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let deaths = Deaths::open(&memory);
    let region = deaths.region(&memory, part.number as u32);
    let raw = Stream::<Item>::open(region, "raw").unwrap();
    let derived = Stream::<Item>::open(region, "derived").unwrap();
    let mut source = raw.subscribe_at(derived.next_sequence()).unwrap();
    Array::<u32>::open(&memory, "ready").unwrap().store(part.number as usize, 1).unwrap();
    loop {
        match source.peek() {
            Ok(found) => {
                let (_, n) = parts(found);
                derived.emit_timeout(item(part.number, 2 * n), LIMIT).unwrap();
                source.try_next().unwrap();
            }
            Err(NextError::Empty) => std::thread::yield_now(),
            Err(error) => break assert_eq!(error, NextError::Closed),
        }
    }
    derived.close().unwrap();
}

/// A publisher, a pipeline that derives one stream from another, and two subscribers: the pipeline is killed and restarted,
/// and nobody misses anything.
#[test]
fn a_pipeline_is_killed_and_restarted() {
    const LIVES: u64 = 5;
    let test = "a_pipeline_is_killed_and_restarted";
    if let Some(part) = part() {
        if part.role == "pipeline" {
            return pipeline(&part);
        }
        let memory = Memory::open(&part.region).unwrap();
        let derived = Stream::<Item>::open(&memory, "derived").unwrap();
        let mut subscriber = derived.subscribe().unwrap();
        for n in 0..MADE {
            assert_eq!(subscriber.next_timeout(LIMIT).map(|found| parts(found).1), Ok(2 * n));
        }
        assert_eq!(subscriber.next_timeout(LIMIT), Err(NextError::Closed));
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let deaths = Deaths::create(&memory, LIVES as u32 + 1);
    let ready = Array::<u32>::create(&memory, "ready", LIVES as usize + 1).unwrap();
    let region = deaths.region(&memory, LIVES as u32 + 1);
    let options = StreamOptions::new().backpressure(2);
    let raw = Stream::<Item>::create_with(region, "raw", 16, &options).unwrap();
    let derived = Stream::<Item>::create_with(&memory, "derived", 16, &options).unwrap();
    let start = |role, number| Party::start(test, role, number, scratch.name());
    let mut subscribers = [0, 1].map(|n| start("subscriber", n));
    until("subscribing", || derived.registered_subscribers() == 2);
    let mut running = start("pipeline", 1);
    until("starting", || ready.load(1) == Ok(1));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..MADE {
                raw.emit_timeout(item(0, n), LIMIT).unwrap();
            }
            raw.close().unwrap();
        });
        for life in 2..=LIVES {
            until("deriving", || derived.next_sequence() > (life - 1) * MADE / (LIVES + 1));
            running.kill();
            // The dead one's place keeps its values until the successor has its own.
            running = start("pipeline", life);
            until("restarting", || ready.load(life as usize) == Ok(1));
            deaths.mark(life as u32 - 1);
        }
        running.finish(LIMIT);
    });
    subscribers.iter_mut().for_each(|subscriber| subscriber.finish(LIMIT));
    assert_eq!((derived.next_sequence(), derived.is_closed()), (MADE, true));
    assert_eq!(raw.emit(item(0, 0)), Err(EmitError::Closed(item(0, 0))));
}

/// Several processes sleep on each form; one emit wakes all of them, long before they would look by themselves.
#[test]
fn all_sleepers_are_woken() {
    const SLEEPERS: u64 = 3;
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let ready = Array::<u32>::open(&memory, "ready").unwrap();
        let me = part.number as usize;
        for name in ["many", "one"] {
            let mut subscriber =
                Stream::<u64>::open(&memory, name).unwrap().subscribe_at(0).unwrap();
            ready.store(me, ready.load(me).unwrap() + 1).unwrap();
            assert_eq!(subscriber.next(), Ok(7));
        }
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    let ready = Array::<u32>::create(&memory, "ready", SLEEPERS as usize).unwrap();
    let many = Stream::<u64>::create(&memory, "many", 4).unwrap();
    let single = StreamOptions::new().single_publisher();
    let one = Stream::<u64>::create_with(&memory, "one", 4, &single).unwrap();
    let start = |number| Party::start("all_sleepers_are_woken", "sleeper", number, scratch.name());
    let mut sleepers: Vec<_> = (0..SLEEPERS).map(start).collect();
    let until_asleep = |count| {
        until("falling asleep", || ready.iter().all(|at| at == count));
        // Most likely they are asleep by then.
        std::thread::sleep(Duration::from_millis(20));
    };
    until_asleep(1);
    assert_eq!(many.emit(7), Ok(0));
    until_asleep(2);
    assert_eq!(one.publisher().unwrap().emit(7), Ok(0));
    sleepers.iter_mut().for_each(|sleeper| sleeper.finish(LIMIT));
}
