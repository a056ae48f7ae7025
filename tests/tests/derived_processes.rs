//! Derived streams across processes: a publisher, a pipeline that is killed again and again, and two subscribers of its results,
//! who see every value, in order, once.

use std::time::{Duration, Instant};
use std::{iter, thread};
use zeroipc::{
    derive, unfold, Array, DeriveError, Derived, Element, Ended, Memory, Source, Stream, StreamExt,
    StreamOptions, Target,
};
use zeroipc_tests::processes::{part, watchdog, Part, Party};
use zeroipc_tests::random::{mix, Random};
use zeroipc_tests::scratch::Scratch;

const COUNT: u64 = 12_000;
const KILLS: u32 = 25;
const LIMIT: Duration = Duration::from_secs(100);
const TEST: &str = "every_subscriber_sees_every_value_though_the_pipeline_is_killed";

/// The n-th value of the publisher.
fn temperature(n: u64) -> u64 {
    mix(n)
}

fn to_fahrenheit(n: u64) -> u64 {
    n.wrapping_mul(9).wrapping_add(32)
}

fn is_warm(n: &u64) -> bool {
    n.is_multiple_of(3)
}

fn statistics(state: &mut [u64; 3], n: u64) -> Option<[u64; 2]> {
    *state = [state[0].wrapping_add(n), state[1].max(n), state[2] + 1];
    Some([state[0] ^ state[1], state[2]])
}

fn temperatures() -> impl Iterator<Item = u64> {
    (0..COUNT).map(temperature)
}

fn windows() -> impl Iterator<Item = [u64; 3]> {
    let all: Vec<u64> = temperatures().collect();
    (0..all.len() - 2).map(move |at| [all[at], all[at + 1], all[at + 2]])
}

fn with_humidity() -> impl Iterator<Item = u64> {
    temperatures().zip(0..).map(|(t, h)| t.wrapping_add(h)).filter(|n| n % 2 == 0)
}

/// The pipeline: until the publisher closes its streams.
fn pipeline(memory: &Memory) -> Result<(), DeriveError> {
    let temperature = Stream::<u64>::open(memory, "temperature")?;
    let temp_f = temperature.map(memory, oldest("temp_f"), to_fahrenheit)?;
    let warm = temperature.filter(memory, oldest("warm"), is_warm)?;
    let statistics = temperature.scan(memory, oldest("statistics"), [0; 3], statistics)?;
    let windows = temperature.window::<3>(memory, oldest("windows"))?;
    let sums = derive::<u64>(memory, oldest("sums"), |mut pipeline| {
        let temperature = pipeline.subscribe::<u64>("temperature")?;
        let humidity = pipeline.subscribe::<u64>("humidity")?;
        let sums = temperature.zip(humidity).map(|(t, h)| t.wrapping_add(h));
        pipeline.emit(sums.filter(|n| n % 2 == 0))
    })?;
    fn done<U: Element>(derived: Derived<U>) -> Result<(), DeriveError> {
        assert_eq!(derived.join()?, Ended::Closed);
        Ok(())
    }
    done(temp_f)?;
    done(warm)?;
    done(statistics)?;
    done(windows)?;
    done(sums)
}

fn oldest(name: &str) -> Target<'_> {
    Target::new(name).from_oldest()
}

/// In the parent, before anybody else is there: a small stream that makes the driver wait for both subscribers.
fn create<U: Element>(memory: &Memory, name: &str, _expected: impl Iterator<Item = U>) {
    let options = StreamOptions::new().backpressure(2).spares(64);
    Stream::<U>::create_with(memory, name, 32, &options).unwrap();
}

fn publish(memory: &Memory, part: &Part) {
    let temperatures = Stream::<u64>::open(memory, "temperature").unwrap();
    let humidities = Stream::<u64>::open(memory, "humidity").unwrap();
    let allowed = Array::<u64>::open(memory, "allowed").unwrap();
    let mut random = Random::new(part.number);
    for n in 0..COUNT {
        while allowed.load(0).unwrap() <= n {
            thread::sleep(Duration::from_micros(100));
        }
        temperatures.emit(temperature(n)).unwrap();
        humidities.emit(n).unwrap();
        if random.one_in(20) {
            thread::sleep(Duration::from_micros(random.below(2000)));
        }
    }
    temperatures.close().unwrap();
    humidities.close().unwrap();
}

/// A subscriber takes all results at the same time, and checks each value.
fn subscribe(memory: &Memory) {
    fn check<U: Element + PartialEq + std::fmt::Debug>(
        memory: &Memory,
        name: &str,
        expected: impl Iterator<Item = U>,
    ) {
        let mut values = Stream::<U>::open(memory, name).unwrap().subscribe().unwrap();
        let mut count = 0_u64;
        let mut expected = expected.fuse();
        for value in values.iter() {
            assert_eq!(value.ok(), expected.next(), "{name}: value {count}");
            count += 1;
        }
        assert_eq!(expected.next(), None, "{name} ended early, after {count}");
    }
    thread::scope(|scope| {
        macro_rules! in_a_thread {
            ($name:expr, $expected:expr) => {
                scope.spawn(move || check(memory, $name, $expected))
            };
        }
        in_a_thread!("temp_f", temperatures().map(to_fahrenheit));
        in_a_thread!("warm", temperatures().filter(is_warm));
        in_a_thread!("statistics", temperatures().scan([0; 3], statistics));
        in_a_thread!("windows", windows());
        in_a_thread!("sums", with_humidity());
    });
}

#[test]
fn every_subscriber_sees_every_value_though_the_pipeline_is_killed() {
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        return match part.role.as_str() {
            "publisher" => publish(&memory, &part),
            "pipeline" => pipeline(&memory).unwrap(),
            _ => subscribe(&memory),
        };
    }
    let _watchdog = watchdog(LIMIT, TEST);
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 4 << 20).unwrap();
    // Large enough for all that comes while nobody derives.
    Stream::<u64>::create(&memory, "temperature", COUNT as usize).unwrap();
    Stream::<u64>::create(&memory, "humidity", COUNT as usize).unwrap();
    create(&memory, "temp_f", temperatures().map(to_fahrenheit));
    create(&memory, "warm", temperatures().filter(is_warm));
    create(&memory, "statistics", temperatures().scan([0; 3], statistics));
    create(&memory, "windows", windows());
    create(&memory, "sums", with_humidity());

    let start = |role: &str, number| Party::start(TEST, role, number, scratch.name());
    let mut subscribers = [0, 1].map(|number| start("subscriber", number));
    let names = ["temp_f", "warm", "sums"];
    let results = names.map(|name| Stream::<u64>::open(&memory, name).unwrap());
    until("subscribing", || results.iter().all(|result| result.registered_subscribers() == 2));
    let statistics = Stream::<[u64; 2]>::open(&memory, "statistics").unwrap();
    until("subscribing", || statistics.registered_subscribers() == 2);
    let windows = Stream::<[u64; 3]>::open(&memory, "windows").unwrap();
    until("subscribing", || windows.registered_subscribers() == 2);

    // How far the publisher may go: each pipeline finds something to do.
    let allowed = Array::<u64>::create(&memory, "allowed", 1).unwrap();
    let mut publisher = start("publisher", 1);
    let mut random = Random::new(2);
    for number in 0..KILLS {
        allowed.store(0, COUNT / u64::from(KILLS + 1) * u64::from(number + 1)).unwrap();
        let mut pipeline = start("pipeline", u64::from(number));
        // At some moment: some before they have begun, most in the middle of it.
        let result = &results[number as usize % 3];
        let progress = result.next_sequence() + random.below(120);
        until("deriving", || result.next_sequence() >= progress || number % 5 == 0);
        thread::sleep(Duration::from_micros(random.below(3000)));
        assert_eq!(pipeline.ended(), None);
        pipeline.kill();
    }
    allowed.store(0, COUNT).unwrap();
    let mut pipeline = start("pipeline", u64::from(KILLS));
    publisher.finish(LIMIT);
    pipeline.finish(LIMIT);
    subscribers.iter_mut().for_each(|subscriber| subscriber.finish(LIMIT));
    // Nothing was made twice where nobody saw it.
    assert_eq!(results[0].next_sequence(), COUNT);
    assert_eq!(statistics.next_sequence(), COUNT);
    assert_eq!(windows.next_sequence(), COUNT - 2);
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "{what} takes too long");
        thread::sleep(Duration::from_micros(100));
    }
}

/// A generated stream whose process is killed goes on with its state.
#[test]
fn a_killed_unfold_goes_on() {
    const TEST: &str = "a_killed_unfold_goes_on";
    const TERMS: usize = 4000;
    let step = |[a, b]: [u64; 2]| (a, [b, a.wrapping_add(b).rotate_left(1)]);
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        // Whatever it is given to begin with: only the first one's counts.
        let seed = if part.number == 0 { [0, 1] } else { [7, 7] };
        let target = Target::new("terms").capacity(TERMS);
        let terms = unfold(&memory, target, seed, move |state| Some(step(state))).unwrap();
        terms.detach();
        loop {
            thread::sleep(LIMIT);
        }
    }
    let _watchdog = watchdog(LIMIT, TEST);
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    // It waits for us, so that it is killed within what we check.
    let options = StreamOptions::new().backpressure(1).spares(64);
    let stream = Stream::<u64>::create_with(&memory, "terms", 64, &options).unwrap();
    let mut terms = stream.subscribe().unwrap();
    let mut expected =
        iter::successors(Some([0, 1]), |state| Some(step(*state).1)).map(|state| step(state).0);
    let mut random = Random::new(3);
    for number in 0..12 {
        let mut generator = Party::start(TEST, "generator", number, scratch.name());
        for _ in 0..random.below(400) + 1 {
            assert_eq!(terms.next_timeout(LIMIT).ok(), expected.next());
        }
        thread::sleep(Duration::from_micros(random.below(500)));
        generator.kill();
    }
    // What it had made before it was killed for the last time.
    for term in terms.try_iter() {
        assert_eq!(term.ok(), expected.next());
    }
}
