//! Operators: the laws of each, against std's iterators, with values that come late and values that were missed in between.
#![cfg(not(loom))]

mod memory;

use memory::Memory;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use zeroipc_nostd::{
    source, FormatOptions, NextError, Queue, Ring, Source, Wait, WaitSet, WaitWord,
};

/// What a source gives next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Value(i32),
    /// Nothing yet.
    Empty,
    Lag(u64),
}

/// A source that gives what it is told, and then is closed.
#[derive(Debug, Clone)]
struct Script(VecDeque<Event>);

impl Source<'_> for Script {
    type Item = i32;

    fn try_next(&mut self) -> Result<i32, NextError> {
        match self.0.pop_front() {
            Some(Event::Value(value)) => Ok(value),
            Some(Event::Empty) => Err(NextError::Empty),
            Some(Event::Lag(missed)) => Err(NextError::Lagged { missed }),
            None => Err(NextError::Closed),
        }
    }
}

fn script(events: &[Event]) -> Script {
    Script(events.iter().copied().collect())
}

fn values(events: &[Event]) -> Vec<i32> {
    let value = |event: &Event| match event {
        Event::Value(value) => Some(*value),
        _ => None,
    };
    events.iter().filter_map(value).collect()
}

/// The values between gaps.
fn runs(events: &[Event]) -> Vec<Vec<i32>> {
    events.split(|event| matches!(event, Event::Lag(_))).map(values).collect()
}

fn lags(events: &[Event]) -> Vec<u64> {
    let lag = |event: &Event| match event {
        Event::Lag(missed) => Some(*missed),
        _ => None,
    };
    events.iter().filter_map(lag).collect()
}

/// All that comes until the end, without the times when there was nothing; and after the end there is nothing else.
fn all<'a, S: Source<'a>>(mut source: S) -> Vec<Result<S::Item, u64>> {
    let mut all = Vec::new();
    for _ in 0..100_000 {
        match source.try_next() {
            Ok(value) => all.push(Ok(value)),
            Err(NextError::Empty) => {}
            Err(NextError::Lagged { missed }) => all.push(Err(missed)),
            Err(NextError::Closed) => {
                for _ in 0..3 {
                    assert!(matches!(source.try_next(), Err(NextError::Closed)), "open again");
                }
                return all;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it does not end");
}

/// The values of [`all`], and the gaps.
fn split<T>(all: Vec<Result<T, u64>>) -> (Vec<T>, Vec<u64>) {
    let (mut values, mut lags) = (Vec::new(), Vec::new());
    for one in all {
        match one {
            Ok(value) => values.push(value),
            Err(missed) => lags.push(missed),
        }
    }
    (values, lags)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (-20..20).prop_map(Event::Value),
        2 => Just(Event::Empty),
        1 => (1..5_u64).prop_map(Event::Lag),
    ];
    prop::collection::vec(event, 0..60)
}

/// Without gaps.
fn gapless() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![3 => (-20..20).prop_map(Event::Value), 1 => Just(Event::Empty)];
    prop::collection::vec(event, 0..60)
}

fn f(n: i32) -> i32 {
    n * 3 + 1
}

fn g(n: i32) -> i64 {
    i64::from(n) * i64::from(n) - 7
}

fn p(n: &i32) -> bool {
    n.rem_euclid(3) != 1
}

fn q(n: &i32) -> bool {
    n % 2 == 0
}

proptest! {
    #[test]
    fn map_fuses(events in events()) {
        let two = all(script(&events).map(f).map(g));
        prop_assert_eq!(&two, &all(script(&events).map(|n| g(f(n)))));
        let std: Vec<_> = values(&events).into_iter().map(f).map(g).collect();
        prop_assert_eq!(split(two), (std, lags(&events)));
        // The identity changes nothing.
        prop_assert_eq!(all(script(&events).map(|n| n)), all(script(&events)));
    }

    #[test]
    fn filters_fuse_and_pass_maps(events in events()) {
        let two = all(script(&events).filter(p).filter(q));
        prop_assert_eq!(&two, &all(script(&events).filter(|n| p(n) && q(n))));
        prop_assert_eq!(&two, &all(script(&events).filter(q).filter(p)));
        let std: Vec<_> = values(&events).into_iter().filter(p).filter(q).collect();
        prop_assert_eq!(split(two), (std, lags(&events)));

        let mapped = all(script(&events).map(f).filter(q));
        prop_assert_eq!(&mapped, &all(script(&events).filter(|n| q(&f(*n))).map(f)));
        prop_assert_eq!(mapped, all(script(&events).filter_map(|n| Some(f(n)).filter(q))));
        prop_assert_eq!(all(script(&events).filter(|_| true)), all(script(&events)));
        prop_assert_eq!(split(all(script(&events).filter(|_| false))), (vec![], lags(&events)));
    }

    #[test]
    fn inspect_sees_each_once_in_order(events in events()) {
        let mut seen = Vec::new();
        let passed = all(script(&events).inspect(|n| seen.push(*n)));
        prop_assert_eq!(passed, all(script(&events)));
        prop_assert_eq!(seen, values(&events));
    }

    #[test]
    fn take_and_skip_split(events in events(), n in 0..70_u64, m in 0..70_u64) {
        let all_values = values(&events);
        let count = n as usize;
        let (taken, _) = split(all(script(&events).take(n)));
        prop_assert_eq!(&taken, &all_values.iter().copied().take(count).collect::<Vec<_>>());
        // What take leaves is there for the next.
        let mut source = script(&events);
        let first = split(all(source.by_ref().take(n))).0;
        let rest = split(all(source)).0;
        prop_assert_eq!([first, rest].concat(), all_values);
        prop_assert_eq!(all(script(&events).take(n).take(m)), all(script(&events).take(n.min(m))));
        prop_assert_eq!(all(script(&events).skip(n).skip(m)), all(script(&events).skip(n + m)));
    }

    #[test]
    fn skip_leaves_the_rest(events in gapless(), n in 0..70_u64, m in 0..70_u64) {
        let std: Vec<_> = values(&events).into_iter().skip(n as usize).collect();
        prop_assert_eq!(split(all(script(&events).skip(n))).0, std);
        prop_assert_eq!(
            all(script(&events).skip(n).take(m)),
            all(script(&events).take(n + m).skip(n))
        );
    }

    /// A position that was missed is skipped like any other.
    #[test]
    fn skip_counts_what_was_missed(events in events(), n in 0..70_u64) {
        let mut position = 0;
        let (mut expected, mut expected_lags) = (Vec::new(), Vec::new());
        for event in &events {
            match event {
                Event::Value(value) => {
                    if position >= n {
                        expected.push(*value);
                    }
                    position += 1;
                }
                Event::Lag(missed) => {
                    position += missed;
                    expected_lags.extend(Some(position.saturating_sub(n).min(*missed)).filter(|k| *k > 0));
                }
                Event::Empty => {}
            }
        }
        prop_assert_eq!(split(all(script(&events).skip(n))), (expected, expected_lags));
    }

    #[test]
    fn take_while_and_skip_while_split(events in events(), bound in -20..20) {
        let small = |n: &i32| *n < bound;
        let (taken, _) = split(all(script(&events).take_while(small)));
        let std: Vec<_> = values(&events).into_iter().take_while(small).collect();
        prop_assert_eq!(&taken, &std);
        let (skipped, missed) = split(all(script(&events).skip_while(small)));
        prop_assert_eq!([taken, skipped].concat(), values(&events));
        prop_assert_eq!(missed, lags(&events));
    }

    #[test]
    fn scan_and_fold_are_those_of_iterators(events in gapless(), stop in -100..100) {
        let sums = |sum: &mut i32, n: i32| {
            *sum += n;
            (*sum != stop).then_some(*sum)
        };
        let std: Vec<_> = values(&events).into_iter().scan(0, sums).collect();
        prop_assert_eq!(split(all(script(&events).scan(0, sums))).0, std);

        let step = |state: i64, n: i32| state.wrapping_mul(31).wrapping_add(g(n));
        let ready: Vec<_> = values(&events);
        let folded = source::from_iter(ready.clone()).fold(17, step);
        prop_assert_eq!(folded, Ok(ready.iter().copied().fold(17, step)));
        let mut each = Vec::new();
        prop_assert_eq!(source::from_iter(ready.clone()).for_each(|n| each.push(n)), Ok(()));
        prop_assert_eq!(each, ready);
    }

    #[test]
    fn windows_are_those_of_slices_between_gaps(events in events()) {
        let runs = runs(&events);
        let windows: Vec<_> = runs.iter().flat_map(|run| run.windows(3)).map(<[i32]>::to_vec).collect();
        let (ours, missed) = split(all(script(&events).window::<3>().map(|w| w.to_vec())));
        prop_assert_eq!(&ours, &windows);
        prop_assert_eq!(missed, lags(&events));
        let ones = split(all(script(&events).window::<1>().map(|[n]| n))).0;
        prop_assert_eq!(ones, values(&events));

        let chunks: Vec<_> = runs.iter().flat_map(|run| run.chunks_exact(4)).map(<[i32]>::to_vec).collect();
        let mut chunked = script(&events).chunks::<4>();
        let (ours, missed) = split(all(chunked.by_ref().map(|w| w.to_vec())));
        prop_assert_eq!(ours, chunks);
        prop_assert_eq!(missed, lags(&events));
        let last = runs.last().unwrap().chunks_exact(4);
        prop_assert_eq!(chunked.remainder(), last.remainder());
        // Every fourth window is a chunk, where there is no gap.
        if missed_nothing(&events) {
            let every_fourth: Vec<_> = values(&events).windows(4).step_by(4).map(<[i32]>::to_vec).collect();
            prop_assert_eq!(split(all(script(&events).chunks::<4>().map(|w| w.to_vec()))).0, every_fourth);
        }
    }

    #[test]
    fn zip_pairs_the_nth_with_the_nth(left in gapless(), right in gapless()) {
        let std: Vec<_> = values(&left).into_iter().zip(values(&right)).collect();
        prop_assert_eq!(split(all(script(&left).zip(script(&right)))).0, std);
    }

    /// Also after gaps: the values carry their positions, which must agree.
    #[test]
    fn zip_keeps_partners_together(left in events(), right in events()) {
        let numbered = |events: &[Event]| {
            let mut position = 0;
            let number = |event: &Event| match event {
                Event::Value(_) => {
                    position += 1;
                    Event::Value(position - 1)
                }
                Event::Lag(missed) => {
                    position += *missed as i32;
                    Event::Lag(*missed)
                }
                Event::Empty => Event::Empty,
            };
            events.iter().map(number).collect::<Vec<_>>()
        };
        let (left, right) = (numbered(&left), numbered(&right));
        let partners: Vec<_> = values(&left).into_iter().filter(|n| values(&right).contains(n)).collect();
        let (pairs, missed) = split(all(script(&left).zip(script(&right))));
        for (one, other) in &pairs {
            prop_assert_eq!(one, other);
        }
        prop_assert_eq!(pairs.iter().map(|pair| pair.0).collect::<Vec<_>>(), partners);
        prop_assert!(missed.len() <= lags(&left).len() + lags(&right).len());
    }

    /// What is there comes in turn, and what is left of the longer one after it.
    #[test]
    fn merge_takes_turns(left in prop::collection::vec(any::<i32>(), 0..40), right in prop::collection::vec(any::<i32>(), 0..40)) {
        let mut expected = Vec::new();
        for at in 0..left.len().max(right.len()) {
            expected.extend(left.get(at));
            expected.extend(right.get(at));
        }
        let merged = source::from_iter(left).merge(source::from_iter(right));
        prop_assert_eq!(split(all(merged)).0, expected);
    }

    /// However late values come: none is lost or doubled, and each side keeps its order and its gaps.
    #[test]
    fn merge_keeps_the_order_of_each(left in events(), right in events()) {
        let side = |events: &[Event], side: i32| all(script(events).map(move |n| (side, n)));
        let merged = all(script(&left).map(|n| (0, n)).merge(script(&right).map(|n| (1, n))));
        for (number, events) in [(0, &left), (1, &right)] {
            let of_side: Vec<_> = merged.iter().filter(|one| one.is_ok_and(|(n, _)| n == number)).collect();
            let expected = side(events, number);
            prop_assert_eq!(of_side, expected.iter().filter(|one| one.is_ok()).collect::<Vec<_>>());
        }
        let missed: u64 = split(merged).1.iter().sum();
        prop_assert_eq!(missed, lags(&left).iter().chain(&lags(&right)).sum::<u64>());
    }

    #[test]
    fn dedup_is_that_of_vec(events in events()) {
        let few: Vec<_> = events.iter().map(|event| match event {
            Event::Value(n) => Event::Value(n.rem_euclid(2)),
            other => *other,
        }).collect();
        let mut std = values(&few);
        std.dedup();
        prop_assert_eq!(split(all(script(&few).dedup())), (std, lags(&few)));
    }

    #[test]
    fn lossy_counts_what_it_passes_over(events in events()) {
        let mut lossy = script(&events).lossy();
        let (ours, missed) = split(all(lossy.by_ref()));
        prop_assert_eq!((ours, missed), (values(&events), vec![]));
        prop_assert_eq!(lossy.missed(), lags(&events).iter().sum::<u64>());
    }

    /// The last of each run of values that are there together, and each gap.
    #[test]
    fn latest_is_the_last_before_a_pause(events in events()) {
        let mut expected = Vec::new();
        let mut newest = None;
        for event in &events {
            match event {
                Event::Value(value) => newest = Some(*value),
                Event::Empty => expected.extend(newest.take().map(Ok)),
                Event::Lag(missed) => {
                    expected.extend(newest.take().map(Ok));
                    expected.push(Err(*missed));
                }
            }
        }
        expected.extend(newest.map(Ok));
        prop_assert_eq!(all(script(&events).latest()), expected);
    }

    #[test]
    fn unfold_is_the_iterator_of_successors(seed in any::<u32>(), n in 0..300_u64) {
        let step = |n: u32| n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let std = std::iter::successors(Some(seed), |n| Some(step(*n))).take(n as usize);
        let ours = source::unfold(seed, |n| Some((n, step(n)))).take(n);
        prop_assert_eq!(split(all(ours)).0, std.collect::<Vec<_>>());
        let down = source::unfold(n, |n| n.checked_sub(1).map(|next| (n, next)));
        prop_assert_eq!(split(all(down)).0, (1..=n).rev().collect::<Vec<_>>());
    }

    /// As iterators: waiting where there is something to wait for, and over what is there.
    #[test]
    fn iterators_end_with_the_source(events in events()) {
        let ready: Vec<_> = events.iter().copied().filter(|event| *event != Event::Empty).collect();
        let mut source = script(&ready);
        let ours: Vec<_> = source.iter().map(|next| next.map_err(missed_of)).collect();
        prop_assert_eq!(ours, all(script(&ready)));

        let mut source = script(&events);
        let pauses = events.iter().filter(|event| **event == Event::Empty).count();
        let parts: Vec<Vec<_>> = (0..=pauses).map(|_| source.try_iter().map(|next| next.map_err(missed_of)).collect()).collect();
        prop_assert_eq!(parts.concat(), all(script(&events)));
    }
}

fn missed_nothing(events: &[Event]) -> bool {
    lags(events).is_empty()
}

fn missed_of(error: NextError) -> u64 {
    match error {
        NextError::Lagged { missed } => missed,
        error => panic!("{error}"),
    }
}

/// A peer that feeds faster than a filter rejects does not keep `try_next` for ever; and waiting does not sleep on it.
#[test]
fn one_call_takes_sixty_four() {
    let pulled = Cell::new(0);
    let feed = || source::from_iter(0..).inspect(|_: &i32| pulled.set(pulled.get() + 1));
    let mut filtered = feed().filter(|n| *n == 1000);
    for call in 1..=15 {
        assert_eq!(filtered.try_next(), Err(NextError::Empty));
        assert_eq!(pulled.get(), call * 64);
    }
    assert_eq!(filtered.next(), Ok(1000));
    assert_eq!(pulled.get(), 1001);

    for mut source in [
        Box::new(feed().skip(1000)) as Box<dyn Source<'_, Item = i32> + '_>,
        Box::new(feed().skip_while(|n| *n < 1000)),
        Box::new(feed().filter_map(|n| (n >= 1000).then_some(n))),
        Box::new(feed().map(|n| n / 1000).dedup().filter(|n| *n > 0).map(|n| n * 1000)),
        Box::new(feed().chunks::<500>().map(|w| w[0]).filter(|n| *n == 1000)),
        Box::new(feed().window::<500>().map(|w| w[0]).skip(1000)),
        Box::new(feed().zip(feed().filter(|n| *n >= 1000)).map(|(_, n)| n)),
    ] {
        pulled.set(0);
        assert_eq!(source.try_next(), Err(NextError::Empty));
        assert!(pulled.get() <= 64 * 64, "{}", pulled.get());
        assert_eq!(source.next(), Ok(1000));
    }
    // The newest of so many.
    assert_eq!(source::from_iter(0..).latest().try_next(), Ok(63));
}

#[test]
fn errors_of_one_side_come_in_turn_and_the_other_goes_on() {
    let broken = || Corrupt;
    let mut merged = Corrupt.merge(source::from_iter([1, 2]));
    let corrupt = Err(NextError::Corrupt);
    assert_eq!([(); 5].map(|()| merged.try_next()), [corrupt, Ok(1), corrupt, Ok(2), corrupt]);
    assert_eq!(broken().zip(source::from_iter([1])).try_next(), Err(NextError::Corrupt));
    assert_eq!(source::from_iter([1]).zip(Corrupt).try_next(), Err(NextError::Corrupt));
    assert_eq!(broken().lossy().fold(0, |sum, n| sum + n), Err(NextError::Corrupt));
    assert_eq!(broken().iter().collect::<Vec<_>>(), [corrupt]);
}

/// What a spoilt structure gives.
#[derive(Debug)]
struct Corrupt;

impl Source<'_> for Corrupt {
    type Item = i32;

    fn try_next(&mut self) -> Result<i32, NextError> {
        Err(NextError::Corrupt)
    }
}

#[test]
fn a_pair_ends_when_one_of_them_does() {
    let late = || script(&[Event::Empty; 3]);
    assert_eq!(late().zip(source::from_iter([0; 0])).try_next().unwrap_err(), NextError::Closed);
    assert_eq!(source::from_iter([1]).zip(late()).try_next(), Err(NextError::Empty));
    let mut merged = late().merge(source::from_iter([1]));
    assert_eq!(merged.try_next(), Ok(1));
    assert_eq!(merged.try_next(), Err(NextError::Empty));
}

#[test]
fn a_fold_stops_at_a_gap_and_goes_on() {
    let mut source = script(&[Event::Value(1), Event::Lag(5), Event::Value(2)]);
    let mut sum = 0;
    assert_eq!(source.for_each(|n| sum += n), Err(NextError::Lagged { missed: 5 }));
    assert_eq!(source.for_each(|n| sum += n), Ok(()));
    assert_eq!(sum, 3);
}

#[test]
fn nothing_to_wait_with() {
    let mut source = script(&[Event::Value(1), Event::Empty, Event::Value(2)]);
    assert_eq!(source.next(), Ok(1));
    assert_eq!(source.next(), Err(NextError::NoWaiter));
    assert_eq!(source.next_timeout(Duration::from_secs(1)), Ok(2));
    let mut windows = source::from_iter([1]).window_time(Duration::from_secs(1), 0, |n, _| n + 1);
    assert_eq!(windows.try_next(), Err(NextError::NoWaiter));
}

/// A clock that a test sets; whoever sleeps lets time pass until the deadline.
#[derive(Debug, Default)]
struct Clock(AtomicU64);

impl Clock {
    fn set(&self, now: u64) {
        self.0.store(now, Relaxed);
    }
}

impl Wait for Clock {
    fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn wait(&self, _word: WaitWord<'_>, _expected: u32, deadline: u64) {
        assert!(deadline > self.now(), "asked to sleep until the past");
        self.set(deadline);
    }

    fn wait_any(&self, _set: &WaitSet<'_>, deadline: u64) {
        assert!(deadline > self.now(), "asked to sleep until the past");
        self.set(deadline);
    }

    fn wake(&self, _word: WaitWord<'_>, _count: u32) -> u32 {
        0
    }
}

#[test]
fn windows_of_time() {
    let clock = Clock::default();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&clock);
    let queue = Queue::<u32>::create(region, "queue", 16).unwrap();
    clock.set(1000);
    let mut sums = queue.window_time(Duration::from_nanos(100), 0, |sum, n| sum + n);
    assert_eq!(sums.try_next(), Err(NextError::Empty)); // from 1000 to 1100
    queue.try_push(1).unwrap();
    assert_eq!(sums.try_next(), Err(NextError::Empty));
    queue.try_push(2).unwrap();
    clock.set(1099);
    assert_eq!(sums.try_next(), Err(NextError::Empty));
    queue.try_push(4).unwrap();
    clock.set(1100);
    assert_eq!(sums.try_next(), Ok(3));
    // The next one began at 1100, and what is pulled in it belongs to it.
    clock.set(1150);
    assert_eq!(sums.try_next(), Err(NextError::Empty));
    // Waiting sleeps until its end and no longer, also when nothing came.
    assert_eq!(sums.next(), Ok(4));
    assert_eq!(clock.now(), 1200);
    assert_eq!(sums.next(), Ok(0));
    assert_eq!(clock.now(), 1300);
    assert_eq!(sums.next_with(&clock, Some(1350)), Err(NextError::Timeout));
    assert_eq!(clock.now(), 1350);
    // Whoever comes much later does not get all the windows in which nobody pulled.
    clock.set(10_000);
    assert_eq!(sums.try_next(), Ok(0));
    assert_eq!(sums.try_next(), Err(NextError::Empty));
    assert_eq!(sums.next(), Ok(0));
    assert_eq!(clock.now(), 10_100);
}

#[test]
fn the_last_window_of_time_is_given_at_the_end() {
    let clock = Clock::default();
    let window = Duration::from_nanos(100);
    let mut counts = source::from_iter([7, 8]).window_time_with(&clock, window, 0, |n, _| n + 1);
    assert_eq!(counts.try_next(), Ok(2));
    assert_eq!(counts.try_next(), Err(NextError::Closed));
    clock.set(1000);
    assert_eq!(counts.try_next(), Err(NextError::Closed));
    let mut none = source::from_iter([0; 0]).window_time_with(&clock, window, 0, |n, _| n + 1);
    assert_eq!(none.next(), Err(NextError::Closed));
}

#[test]
fn structures_are_sources() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let queue = Queue::<u32>::create(region, "queue", 4).unwrap();
    let ring = Ring::<u32>::create(region, "ring", 4).unwrap();
    let (mut producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut both = queue.merge(consumer.map(|n| n + 100));
    assert_eq!(both.try_next(), Err(NextError::Empty));
    for n in 0..3 {
        queue.try_push(n).unwrap();
        producer.try_push(n).unwrap();
    }
    assert!(both.try_iter().eq([0, 100, 1, 101, 2, 102].map(Ok)));
    assert_eq!(both.next(), Err(NextError::NoWaiter));
}
