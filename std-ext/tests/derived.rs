//! Derived streams in one process: each operator against std's iterators, stopping, going on, and what can go wrong.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::Arc;
use std::time::Duration;
use zeroipc::{
    derive, unfold, Array, DeriveError, Derived, Element, Ended, Memory, NextError, Source, Stream,
    StreamExt, StructureError, Target,
};

const PATIENCE: Duration = Duration::from_secs(60);

fn memory() -> Memory {
    Memory::anonymous(1 << 20).unwrap()
}

/// Runs `operator` on the values 0 to 99, which end; gives what came of it.
fn result<U: Element>(
    operator: impl FnOnce(&Stream<'_, u64>, &Memory) -> Result<Derived<U>, DeriveError>,
) -> Vec<U> {
    let memory = memory();
    let source = Stream::<u64>::create(&memory, "source", 256).unwrap();
    let derived = operator(&source, &memory).unwrap();
    let stream = Stream::<U>::open(&memory, "r").unwrap();
    let mut subscriber = stream.subscribe_from_oldest().unwrap();
    for value in 0..100 {
        source.emit(value).unwrap();
    }
    source.close().unwrap();
    let values = subscriber.iter().collect::<Result<_, _>>().unwrap();
    assert!(stream.is_closed());
    assert_eq!(derived.missed(), 0);
    assert_eq!(derived.join(), Ok(Ended::Closed));
    values
}

#[test]
fn operators_are_those_of_iterators() {
    let all = || 0..100_u64;
    assert_eq!(result(|s, m| s.map(m, "r", |n| n * 3)), Vec::from_iter(all().map(|n| n * 3)));
    let odd = |n: &u64| n % 2 == 1;
    assert_eq!(result(|s, m| s.filter(m, "r", odd)), Vec::from_iter(all().filter(odd)));
    let half = |n: u64| n.is_multiple_of(2).then_some(n as f32 / 2.0);
    assert_eq!(result(|s, m| s.filter_map(m, "r", half)), Vec::from_iter(all().filter_map(half)));
    let sum = |sum: &mut u64, n: u64| {
        *sum += n;
        (*sum < 1000).then_some(*sum as u32)
    };
    assert_eq!(result(|s, m| s.scan(m, "r", 5, sum)), Vec::from_iter(all().scan(5, sum)));
    let folded = result(|s, m| s.fold(m, "r", 7, |sum, n| sum * 31 % 1009 + n));
    assert_eq!(folded.len(), 100);
    assert_eq!(folded[99], all().fold(7, |sum, n| sum * 31 % 1009 + n));
    assert_eq!(result(|s, m| s.take(m, "r", 10)), Vec::from_iter(0..10));
    assert_eq!(result(|s, m| s.skip(m, "r", 10)), Vec::from_iter(10..100));
    let windows: Vec<[u64; 3]> = (0..98).map(|n| [n, n + 1, n + 2]).collect();
    assert_eq!(result(|s, m| s.window::<3>(m, "r")), windows);
    let chunks: Vec<[u64; 7]> =
        (0..14).map(|n| std::array::from_fn(|k| n * 7 + k as u64)).collect();
    assert_eq!(result(|s, m| s.chunks::<7>(m, "r")), chunks);
    let pairs = result(|s, m| s.zip(m, "r", s, |a, b| [a, b]));
    assert_eq!(pairs, Vec::from_iter(all().map(|n| [n, n])));
    let both = result(|s, m| s.merge(m, "r", s));
    for side in 0..2 {
        // Each value came twice; each time in order.
        let mut seen = vec![0; 100];
        let order = both.iter().filter(|n| {
            seen[**n as usize] += 1;
            seen[**n as usize] == side + 1
        });
        assert!(order.copied().eq(all()));
    }
    let few = |s: &Stream<'_, u64>, m: &Memory| s.map(m, "few", |n| n / 10);
    let once = result(|s, m| {
        let few = few(s, m)?;
        let once = few.stream()?.dedup(m, "r");
        few.detach();
        once
    });
    assert_eq!(once, Vec::from_iter(0..10));
}

#[test]
fn windows_of_time_count_each_value_once() {
    let counts = result(|s, m| {
        s.window_time(m, "r", Duration::from_millis(3), 0_u32, |count, _| {
            std::thread::sleep(Duration::from_micros(100));
            count + 1
        })
    });
    assert_eq!(counts.iter().sum::<u32>(), 100);
}

/// Stopped again and again, by a new driver each time: as if it had never been.
#[test]
fn it_goes_on_where_it_was_stopped() {
    let memory = memory();
    let source = Stream::<u64>::create(&memory, "source", 2048).unwrap();
    let mut next = 0;
    let mut feed = |count: u64| {
        (0..count).for_each(|_| {
            source.emit(next).unwrap();
            next += 1;
        });
    };
    // Each begins before the first value, and some stop before the first result.
    let rounds = 20;
    for round in 0..rounds {
        let mapped = source.map(&memory, "mapped", |n| n + 1).unwrap();
        let even = source.filter(&memory, "even", |n| n % 2 == 0).unwrap();
        let running = source
            .scan(&memory, "running", [0; 3], |state, n| {
                *state = [state[0] + n, state[1] ^ n, state[2] + 1];
                Some(*state)
            })
            .unwrap();
        let total = source.fold(&memory, "total", 0, |total, n| total + n).unwrap();
        let windows = source.window::<4>(&memory, "windows").unwrap();
        let chunks = source.chunks::<4>(&memory, "chunks").unwrap();
        let skipped = source.skip(&memory, "skipped", 50).unwrap();
        let taken = source.take(&memory, "taken", 300).unwrap();
        let halves = source.map(&memory, "halves", |n| n / 2).unwrap();
        let once = halves.stream().unwrap().dedup(&memory, "once").unwrap();
        feed(31);
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        for ended in [mapped.stop(), even.stop(), running.stop(), total.stop(), windows.stop()] {
            assert_eq!(ended, Ok(Ended::Stopped));
        }
        for ended in [chunks.stop(), skipped.stop(), halves.stop(), once.stop()] {
            assert_eq!(ended, Ok(Ended::Stopped));
        }
        taken.stop().unwrap();
        // Meanwhile.
        feed(9);
    }
    source.close().unwrap();
    let all = || 0..40 * rounds;

    fn last_part<U: Element + PartialEq + std::fmt::Debug>(
        memory: &Memory,
        derived: Derived<U>,
        expected: impl Iterator<Item = U>,
    ) {
        let name = derived.stream().unwrap().name();
        assert_eq!(derived.missed(), 0);
        assert_eq!(derived.join(), Ok(Ended::Closed), "{name}");
        let stream = Stream::<U>::open(memory, name.as_str()).unwrap();
        let values: Vec<U> =
            stream.subscribe_from_oldest().unwrap().iter().collect::<Result<_, _>>().unwrap();
        assert_eq!(values, expected.collect::<Vec<_>>(), "{name}");
    }
    let m = &memory;
    last_part(m, source.map(m, "mapped", |n| n + 1).unwrap(), all().map(|n| n + 1));
    last_part(m, source.filter(m, "even", |n| n % 2 == 0).unwrap(), all().filter(|n| n % 2 == 0));
    let step = |state: &mut [u64; 3], n: u64| {
        *state = [state[0] + n, state[1] ^ n, state[2] + 1];
        Some(*state)
    };
    last_part(m, source.scan(m, "running", [9; 3], step).unwrap(), all().scan([0; 3], step));
    let sums = |sum: &mut u64, n| {
        *sum += n;
        Some(*sum)
    };
    last_part(m, source.fold(m, "total", 9, |t, n| t + n).unwrap(), all().scan(0, sums));
    let values: Vec<u64> = all().collect();
    let windows = values.windows(4).map(|w| w.try_into().unwrap());
    last_part(m, source.window::<4>(m, "windows").unwrap(), windows);
    let chunks = values.chunks_exact(4).map(|w| w.try_into().unwrap());
    last_part(m, source.chunks::<4>(m, "chunks").unwrap(), chunks);
    last_part(m, source.skip(m, "skipped", 50).unwrap(), all().skip(50));
    last_part(m, source.take(m, "taken", 300).unwrap(), all().take(300));
    let halves = source.map(m, "halves", |n| n / 2).unwrap();
    last_part(m, halves.stream().unwrap().dedup(m, "once").unwrap(), 0..20 * rounds);
}

#[test]
fn an_unfold_goes_on_where_it_was_stopped() {
    let memory = memory();
    let step = |(a, b): (u64, u64)| (a, (b, a.wrapping_add(b)));
    let mut expected = Vec::new();
    let mut state = (0, 1);
    for _ in 0..500 {
        let (value, next) = step(state);
        expected.push(value);
        state = next;
    }
    let target = Target::new("fibonacci").capacity(512);
    let start = |seed: [u64; 2]| {
        let made = AtomicU64::new(0);
        unfold(&memory, target, seed, move |[a, b]: [u64; 2]| {
            // Some at a time, and then slowly, until it is stopped.
            if made.fetch_add(1, SeqCst) > 50 {
                std::thread::sleep(Duration::from_millis(1));
            }
            Some((a, [b, a.wrapping_add(b)]))
        })
        .unwrap()
    };
    let mut count = 0;
    while count < 400 {
        let derived = start([0, 1]);
        let stream = Stream::<u64>::open(&memory, "fibonacci").unwrap();
        while stream.next_sequence() < count + 40 {
            std::thread::yield_now();
        }
        count = stream.next_sequence();
        assert_eq!(derived.stop(), Ok(Ended::Stopped));
    }
    let stream = Stream::<u64>::open(&memory, "fibonacci").unwrap();
    let values: Vec<u64> =
        stream.subscribe_from_oldest().unwrap().try_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(values, expected[..values.len()]);
}

#[test]
fn a_pace_is_kept() {
    let memory = memory();
    let start = std::time::Instant::now();
    let target = Target::new("ticks").every(Duration::from_millis(2));
    let ticks = unfold(&memory, target, 0_u64, |n| (n < 10).then_some((n, n + 1))).unwrap();
    assert_eq!(ticks.join(), Ok(Ended::Closed));
    assert!(start.elapsed() >= Duration::from_millis(18), "{:?}", start.elapsed());
    // And a long one does not hold up a stop.
    let target = Target::new("hours").every(Duration::from_secs(3600));
    let hours = unfold(&memory, target, 0_u64, |n| Some((n, n + 1))).unwrap();
    assert_eq!(hours.stop(), Ok(Ended::Stopped));
}

/// A driver that waits for a slow subscriber of its result is stopped all the same, and what it had is not lost.
#[test]
fn a_stop_wakes_a_driver_that_waits_for_room() {
    let memory = memory();
    let source = Stream::<u64>::create(&memory, "source", 64).unwrap();
    let target = Target::new("result").capacity(2).backpressure(1);
    let derived = source.map(&memory, target, |n| n).unwrap();
    let stream = Stream::<u64>::open(&memory, "result").unwrap();
    let mut slow = stream.subscribe().unwrap();
    (0..10).for_each(|n| {
        source.emit(n).unwrap();
    });
    while stream.next_sequence() < 2 {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(derived.stop(), Ok(Ended::Stopped));
    assert_eq!(stream.next_sequence(), 2);
    let _derived = source.map(&memory, target, |n| n).unwrap();
    for n in 0..10 {
        assert_eq!(slow.next_timeout(PATIENCE), Ok(n));
    }
}

#[test]
fn what_was_overwritten_meanwhile_is_counted() {
    let memory = memory();
    let source = Stream::<u64>::create(&memory, "source", 16).unwrap();
    let target = Target::new("result").capacity(256);
    source.map(&memory, target, |n| n).unwrap().stop().unwrap();
    (0..100).for_each(|n| {
        source.emit(n).unwrap();
    });
    let derived = source.map(&memory, target, |n| n).unwrap();
    let stream = Stream::<u64>::open(&memory, "result").unwrap();
    while stream.next_sequence() < 16 {
        std::thread::yield_now();
    }
    assert_eq!(derived.missed(), 84);
    derived.stop().unwrap();
    let mut subscriber = stream.subscribe_from_oldest().unwrap();
    assert!(subscriber.try_iter().eq((84..100).map(Ok)));
}

#[test]
fn the_oldest_may_come_too() {
    let memory = memory();
    let source = Stream::<u64>::create(&memory, "source", 16).unwrap();
    (0..10).for_each(|n| {
        source.emit(n).unwrap();
    });
    source.close().unwrap();
    let from_now = source.map(&memory, "from_now", |n| n).unwrap();
    assert_eq!(from_now.join(), Ok(Ended::Closed));
    assert!(Stream::<u64>::open(&memory, "from_now").unwrap().is_empty());
    let all = source.map(&memory, Target::new("all").from_oldest(), |n| n).unwrap();
    assert_eq!(all.join(), Ok(Ended::Closed));
    let all = Stream::<u64>::open(&memory, "all").unwrap();
    assert!(all.subscribe_from_oldest().unwrap().iter().eq((0..10).map(Ok)));
}

#[test]
fn chains_are_derived() {
    let memory = memory();
    let left = Stream::<u32>::create(&memory, "left", 64).unwrap();
    let right = Stream::<u32>::create(&memory, "right", 64).unwrap();
    let build = || {
        derive::<u32>(&memory, "sums", |mut pipeline| {
            let left = pipeline.subscribe::<u32>("left")?;
            let right = pipeline.subscribe::<u32>("right")?;
            pipeline.emit(left.zip(right).map(|(a, b)| a + b).filter(|n| n % 3 != 0))
        })
        .unwrap()
    };
    for round in 0..20 {
        let sums = build();
        left.emit(round).unwrap();
        assert_eq!(sums.stop(), Ok(Ended::Stopped));
        right.emit(100 * round).unwrap();
    }
    left.close().unwrap();
    assert_eq!(build().join(), Ok(Ended::Closed));
    let sums = Stream::<u32>::open(&memory, "sums").unwrap();
    let expected = (0..20).map(|n| n * 101).filter(|n| n % 3 != 0);
    assert!(sums.subscribe_from_oldest().unwrap().iter().eq(expected.map(Ok)));
}

#[test]
fn each_value_is_given_to_a_function() {
    let memory = memory();
    let source = Stream::<u64>::create(&memory, "source", 256).unwrap();
    let sum = Arc::new(AtomicU64::new(0));
    let theirs = sum.clone();
    let driver = source
        .for_each(&memory, move |n| {
            theirs.fetch_add(n, SeqCst);
        })
        .unwrap();
    (0..100).for_each(|n| {
        source.emit(n).unwrap();
    });
    source.close().unwrap();
    assert_eq!(driver.join(), Ok(Ended::Closed));
    assert_eq!(sum.load(SeqCst), 4950);
    let open = Stream::<u64>::create(&memory, "open", 256).unwrap();
    drop(open.for_each(&memory, drop).unwrap());
}

/// One of two goes on; no value comes twice.
#[test]
fn of_two_drivers_one_ends() {
    let memory = memory();
    let source = Stream::<u64>::create(&memory, "source", 4096).unwrap();
    let drivers = [(); 2].map(|()| source.map(&memory, "result", |n| n).unwrap());
    (0..1000).for_each(|n| {
        source.emit(n).unwrap();
    });
    source.close().unwrap();
    let mut ended = drivers.map(Derived::join);
    ended.sort_by_key(Result::is_err);
    assert_eq!(ended[0], Ok(Ended::Closed));
    // The other may have been so late that all was done.
    assert!(matches!(ended[1], Err(DeriveError::Overtaken) | Ok(Ended::Closed)), "{ended:?}");
    let result = Stream::<u64>::open(&memory, "result").unwrap();
    assert!(result.subscribe_from_oldest().unwrap().iter().eq((0..1000).map(Ok)));
}

#[test]
fn what_can_go_wrong_is_told() {
    let memory = memory();
    let source = Stream::<u64>::create(&memory, "source", 64).unwrap();
    let long = "a name of twenty-nine letters";
    assert!(matches!(
        source.map(&memory, long, |n| n).unwrap_err(),
        DeriveError::Structure(StructureError::Name(_))
    ));
    zeroipc::Queue::<u64>::create(&memory, "queue", 4).unwrap();
    assert!(matches!(
        source.map(&memory, "queue", |n| n).unwrap_err(),
        DeriveError::Structure(StructureError::WrongKind { .. })
    ));
    let elsewhere = Memory::anonymous(1 << 16).unwrap();
    assert!(matches!(
        source.map(&elsewhere, "result", |n| n).unwrap_err(),
        DeriveError::Structure(StructureError::NotFound { .. })
    ));
    let derived = derive::<u64>(&memory, "nothing", |_| Err(DeriveError::Corrupt));
    assert_eq!(derived.unwrap_err(), DeriveError::Corrupt);

    let panics = source.map(&memory, "panics", |_| -> u64 { panic!("as it should") }).unwrap();
    let closed = source.map(&memory, "closed", |n| n).unwrap();
    closed.stream().unwrap().close().unwrap();
    let disturbed = source.map(&memory, "disturbed", |n| n).unwrap();
    disturbed.stream().unwrap().emit(7).unwrap();
    source.emit(1).unwrap();
    assert_eq!(panics.join(), Err(DeriveError::Panicked));
    assert_eq!(closed.join(), Err(DeriveError::ResultClosed));
    assert_eq!(disturbed.join(), Err(DeriveError::Overtaken));
    let left = Stream::<u64>::open(&memory, "panics").unwrap();
    assert!(!left.is_closed());
    assert_eq!(left.subscribe().unwrap().try_next(), Err(NextError::Empty));
}

/// Stops come at once: a thousand of them, each of a driver that sleeps.
#[test]
fn dropping_ends_a_driver_that_sleeps() {
    let memory = memory();
    let source = Stream::<u64>::create(&memory, "source", 64).unwrap();
    for _ in 0..200 {
        let derived = source.map(&memory, "result", |n| n).unwrap();
        assert!(derived.is_running());
        drop(derived);
    }
    source.emit(5).unwrap();
    let derived = source.map(&memory, "result", |n| n).unwrap();
    let result = derived.stream().unwrap();
    assert_eq!(result.subscribe_from_oldest().unwrap().next_timeout(PATIENCE), Ok(5));
}

/// What a peer writes beside a result costs values at most.
#[test]
fn a_spoilt_place_does_no_harm() {
    let memory = memory();
    let source = Stream::<u64>::create(&memory, "source", 64).unwrap();
    source.map(&memory, "result", |n| n).unwrap().stop().unwrap();
    let place = Array::<u64>::open(&memory, "result.at").unwrap();
    for spoilt in [u64::MAX, 1 << 63, 17, 0] {
        place.fill(spoilt);
        let derived = source.map(&memory, "result", |n| n).unwrap();
        let mut result = Stream::<u64>::open(&memory, "result").unwrap().subscribe().unwrap();
        source.emit(spoilt).unwrap();
        // From a place that was never reached it goes on with what comes next.
        assert_eq!(result.next_timeout(PATIENCE), Ok(spoilt));
        assert_eq!(derived.stop(), Ok(Ended::Stopped));
    }
    // Beside another result lies something else of that name.
    zeroipc::Queue::<u64>::create(&memory, "other.at", 4).unwrap();
    assert!(matches!(
        source.map(&memory, "other", |n| n).unwrap_err(),
        DeriveError::Structure(StructureError::WrongKind { .. })
    ));
}
