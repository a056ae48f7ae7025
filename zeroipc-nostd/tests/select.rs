//! Select: one of several things in every direction, with a deadline and without, fair, and with wake-ups passed on.
#![cfg(not(loom))]

mod memory;
mod sleeper;

use memory::{geometries, Memory};
use sleeper::Sleeper;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    select, select_timeout, select_with, try_select, Channel, Event, EventMode, FormatOptions,
    Future, FutureError, Geometry, Queue, RecvError, Region, SelectError, Selectable, SendError,
    WordSize,
};

/// Long enough that only a wake-up that never came explains it.
const PATIENCE: Duration = Duration::from_secs(30);

fn channels<'a>(region: Region<'a>, names: &[&str], capacity: usize) -> Vec<Channel<'a, u64>> {
    names.iter().map(|name| Channel::create(region, name, capacity).unwrap()).collect()
}

#[test]
fn the_default_does_what_can_be_done_at_once() {
    for geometry in geometries() {
        let mut memory = Memory::zeroed(1 << 15);
        let region = memory.region(FormatOptions::new().geometry(geometry));
        let (a, b) = (
            Channel::<u32>::create(region, "a", 2).unwrap(),
            Channel::<u64>::create(region, "b", 0).unwrap(),
        );
        let queue = Queue::<u16>::create(region, "queue", 2).unwrap();
        let event = Event::create(region, "event", EventMode::Automatic).unwrap();
        let future = Future::<u32>::create(region, "future").unwrap();
        let (recv, send) = (a.select_recv(), b.select_send(7));
        let (pop, wait, get) = (queue.select_pop(), event.select_wait(), future.select_get());
        let cases: [&dyn Selectable; 5] = [&recv, &send, &pop, &wait, &get];
        assert_eq!(try_select(&cases), None);
        a.try_send(1).unwrap();
        assert_eq!((try_select(&cases), recv.result()), (Some(0), Some(Ok(1))));
        queue.try_push(2).unwrap();
        assert_eq!((try_select(&cases), pop.result()), (Some(2), Some(Ok(2))));
        event.set();
        assert_eq!((try_select(&cases), event.is_set()), (Some(3), false));
        future.promise().unwrap().set(5).unwrap();
        assert_eq!((try_select(&cases), get.result()), (Some(4), Some(Ok(5))));
        b.close();
        assert_eq!(try_select(&[&send]), Some(1 - 1));
        assert_eq!(send.result(), Some(Err(SendError::Closed(7))));
        a.close();
        assert_eq!(try_select(&[&recv, &wait]), Some(0));
        assert_eq!(recv.result(), Some(Err(RecvError::Closed)));
        let push = queue.select_push(3);
        assert_eq!((try_select(&[&push]), push.result()), (Some(0), Some(Ok(()))));
        assert_eq!(try_select(&[&push]), None, "it was pushed");
        assert_eq!(try_select(&[]), None);
    }
}

#[test]
fn distinct_errors() {
    let sleeper = Sleeper::new();
    let (mut memory, mut other) = (Memory::zeroed(1 << 16), Memory::zeroed(1 << 16));
    let plain = memory.region(FormatOptions::new());
    let region = plain.with_notifier(&sleeper);
    let elsewhere = other.region(FormatOptions::new()).with_notifier(&sleeper);
    let here = Channel::<u32>::create(region, "channel", 0).unwrap();
    let there = Channel::<u32>::create(elsewhere, "channel", 0).unwrap();
    let mute = Channel::<u32>::open(plain, "channel").unwrap();
    assert_eq!(select(&[]), Err(SelectError::NoCases));
    assert_eq!(select_with(&[], &sleeper, None), Err(SelectError::NoCases));
    assert_eq!(select(&[&mute.select_recv()]), Err(SelectError::NoWaiter));
    let (a, b) = (here.select_recv(), there.select_recv());
    assert_eq!(select(&[&a, &b]), Err(SelectError::DifferentRegions));
    let case: &dyn Selectable = &a;
    assert_eq!(select(&[case; 65]), Err(SelectError::TooManyCases));
    assert_eq!(select_timeout(&[&a], Duration::ZERO), Err(SelectError::Timeout));

    // Buffered ones may be anywhere.
    let far = Channel::<u32>::create(elsewhere, "buffered", 2).unwrap();
    far.try_send(4).unwrap();
    let c = far.select_recv();
    assert_eq!((select(&[&a, &c]), c.result()), (Ok(1), Some(Ok(4))));

    let small = Geometry::new(WordSize::Four, 8).unwrap();
    let mut memory = Memory::zeroed(1 << 16);
    let region = memory.region(FormatOptions::new().geometry(small)).with_notifier(&sleeper);
    let channel = Channel::<u32>::create_with_places(region, "channel", 32).unwrap();
    let cases: Vec<_> = (0..17).map(|_| channel.select_recv()).collect();
    let cases: Vec<&dyn Selectable> = cases.iter().map(|case| case as &dyn Selectable).collect();
    assert_eq!(select(&cases), Err(SelectError::TooManyCases));
    assert_eq!(select_timeout(&cases[..16], Duration::ZERO), Err(SelectError::Timeout));
}

#[test]
fn a_timeout_is_never_early_and_leaves_nothing() {
    const SHORT: Duration = Duration::from_millis(30);
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(1 << 16);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let (met, buffered) = (
        Channel::<u32>::create(region, "met", 0).unwrap(),
        Channel::<u32>::create(region, "buffered", 2).unwrap(),
    );
    let (send, recv) = (met.select_send(7), buffered.select_recv());
    let start = Instant::now();
    assert_eq!(select_timeout(&[&send, &recv], SHORT), Err(SelectError::Timeout));
    assert!(start.elapsed() >= SHORT);
    assert!(met.try_recv().is_err());
    assert_eq!((send.result(), recv.result()), (None, None));
}

/// Whatever ends the sleep: each of the cases in turn. A lost wake-up hangs.
#[test]
fn each_case_wakes_a_sleeper() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(1 << 16);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let met = channels(region, &["a", "b"], 0);
    let buffered = channels(region, &["c", "d"], 2);
    while buffered[1].try_send(0).is_ok() {}
    let event = Event::create(region, "event", EventMode::Manual).unwrap();
    let future = Future::<u32>::create(region, "future").unwrap();
    for expected in 0..7 {
        let (recv, send) = (met[0].select_recv(), met[1].select_send(8));
        let (full, empty) = (buffered[1].select_send(9), buffered[0].select_recv());
        let (wait, get) = (event.select_wait(), future.select_get());
        let again = met[0].select_recv();
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                match expected {
                    0 | 6 => met[0].send_timeout(1, PATIENCE).unwrap(),
                    1 => assert_eq!(met[1].recv_timeout(PATIENCE), Ok(8)),
                    2 => drop(buffered[1].try_recv().unwrap()),
                    3 => buffered[0].try_send(3).unwrap(),
                    4 => event.set(),
                    _ => future.promise().unwrap().fail("no").unwrap(),
                }
            });
            let cases: [&dyn Selectable; 7] = [&recv, &send, &full, &empty, &wait, &get, &again];
            let selected = select_timeout(&cases, PATIENCE).unwrap();
            other.join().unwrap();
            let same = selected == expected || (expected % 6 == 0 && selected % 6 == 0);
            assert!(same, "{selected} instead of {expected}");
            match selected {
                0 => assert_eq!(recv.result(), Some(Ok(1))),
                1 => assert_eq!(send.result(), Some(Ok(()))),
                2 => assert_eq!(full.result(), Some(Ok(()))),
                3 => assert_eq!(empty.result(), Some(Ok(3))),
                4 => assert!(event.reset()),
                5 => {
                    assert!(matches!(get.result(), Some(Err(FutureError::Failed(_)))));
                    future.reset().unwrap();
                }
                _ => assert_eq!(again.result(), Some(Ok(1))),
            }
        });
        if expected == 5 {
            break;
        }
    }
}

/// Selects in both directions on the same channels, many at once: each value arrives once, and what was sent was received.
#[test]
fn many_selects_meet() {
    const EACH: u64 = 400;
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(1 << 16);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let channels = channels(region, &["a", "b", "c"], 0);
    let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
    let (sums, channels) = (AtomicU64::new(0), &channels);
    // Each in turn offers at one channel and asks at another, until each has sent its share; then all only receive.
    thread::scope(|scope| {
        for party in 0..4_usize {
            let (sent, received, sums) = (&sent, &received, &sums);
            scope.spawn(move || {
                let (mut left, mut turn) = (EACH, party);
                while left > 0 || received.load(SeqCst) < 4 * EACH {
                    let value = (party as u64) << 32 | left;
                    let send = channels[turn % 3].select_send(value);
                    let recv = channels[(turn + 1) % 3].select_recv();
                    let third = channels[(turn + 2) % 3].select_recv();
                    turn += 1;
                    let mut cases: Vec<&dyn Selectable> = vec![&recv, &third];
                    if left > 0 {
                        cases.push(&send);
                    }
                    match select_timeout(&cases, Duration::from_millis(2)) {
                        Ok(2) => {
                            assert_eq!(send.result(), Some(Ok(())));
                            left -= 1;
                            sent.fetch_add(1, SeqCst);
                            sums.fetch_add(value, SeqCst);
                        }
                        Ok(case) => {
                            let got = if case == 0 { recv.result() } else { third.result() };
                            received.fetch_add(1, SeqCst);
                            sums.fetch_sub(got.unwrap().unwrap(), SeqCst);
                        }
                        Err(error) => assert_eq!(error, SelectError::Timeout),
                    }
                }
            });
        }
    });
    assert_eq!((sent.into_inner(), received.into_inner()), (4 * EACH, 4 * EACH));
    assert_eq!(sums.into_inner(), 0);
}

/// A select that was woken for one channel and took from another wakes the next.
#[test]
fn a_wake_up_is_passed_on() {
    for capacity in [0, 2] {
        let sleeper = Sleeper::deep();
        let mut memory = Memory::zeroed(1 << 16);
        let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
        let channels = channels(region, &["a", "b"], capacity);
        for _ in 0..100 {
            thread::scope(|scope| {
                // Whichever the select takes, the plain receivers get the others.
                let selects = scope.spawn(|| {
                    let (a, b) = (channels[0].select_recv(), channels[1].select_recv());
                    match select(&[&a, &b]) {
                        Ok(0) => a.result().unwrap().unwrap(),
                        _ => b.result().unwrap().unwrap(),
                    }
                });
                let plain = [0, 1].map(|index: usize| {
                    let channel = channels[index];
                    scope.spawn(move || channel.iter().take(2 - index).collect::<Vec<_>>())
                });
                let senders = [0, 1].map(|index: usize| {
                    let channel = channels[index];
                    scope.spawn(move || {
                        for n in 0..4 - index as u64 {
                            channel.send_timeout(n, PATIENCE).unwrap();
                        }
                    })
                });
                selects.join().unwrap();
                plain.into_iter().for_each(|party| drop(party.join().unwrap()));
                // What is left.
                while !senders.iter().all(|sender| sender.is_finished()) {
                    channels.iter().for_each(|channel| {
                        let _ = channel.try_recv();
                    });
                }
            });
            channels.iter().for_each(|channel| channel.try_iter().for_each(drop));
        }
    }
}

#[test]
fn all_that_are_ready_get_their_share() {
    const CALLS: usize = 16_000;
    let names: Vec<_> = (0..16).map(|index| format!("c{index}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for some in [2, 5, 16] {
        let mut memory = Memory::zeroed(1 << 18);
        let region = memory.region(FormatOptions::new().max_entries(20));
        let channels = channels(region, &names, 2);
        let cases: Vec<_> = channels.iter().map(Channel::select_recv).collect();
        let cases: Vec<&dyn Selectable> =
            cases.iter().map(|case| case as &dyn Selectable).collect();
        let mut counts = [0_usize; 16];
        channels.iter().take(some).for_each(|channel| channel.try_send(1).unwrap());
        for _ in 0..CALLS {
            let selected = try_select(&cases).unwrap();
            counts[selected] += 1;
            channels[selected].try_send(1).unwrap();
        }
        let share = CALLS / some;
        for count in &counts[..some] {
            assert!((share * 8 / 10..share * 12 / 10).contains(count), "{counts:?}");
        }
    }
}
