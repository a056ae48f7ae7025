//! Channel against a model, with a buffer and without, what it refuses, and threads that meet.
#![cfg(not(loom))]

#[macro_use]
mod elements;
mod memory;
mod mortals;
mod sleeper;

use elements::Sample;
use memory::{geometries, Memory};
use mortals::Mortals;
use proptest::prelude::*;
use sleeper::Sleeper;
use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    Capability, Channel, FormatOptions, Geometry, Kind, Queue, RecvError, Region, SendError,
    StructureError, TryRecvError, TrySendError, WordSize,
};

/// Long enough that only a wake-up that never came explains it.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
enum Step {
    Send(u64),
    SendInTime(u64),
    Recv,
    RecvInTime,
    Drain,
    Close,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => any::<u64>().prop_map(Step::Send),
        4 => any::<u64>().prop_map(Step::SendInTime),
        6 => Just(Step::Recv),
        3 => Just(Step::RecvInTime),
        1 => Just(Step::Drain),
        1 => Just(Step::Close),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 0..120)
}

/// One party alone: without a buffer nothing ever goes through.
fn agrees<T: Sample>(geometry: Geometry, capacity: usize, steps: &[Step]) {
    let sleeper = Sleeper::new();
    let mut memory = Memory::filled(1 << 15, 0xA5).shifted(8);
    let span = memory.span();
    let region = Region::create(span, &FormatOptions::new().geometry(geometry)).unwrap();
    let before = region.view().next_offset();
    let mut channel = Channel::<T>::create(region, "channel", capacity).unwrap();
    let taken = region.view().next_offset() - before;
    assert!(taken <= Channel::<T>::footprint(geometry, capacity).unwrap());
    assert!(channel.capacity() >= capacity && (capacity > 0 || channel.capacity() == 0));
    let (mut model, mut closed) = (VecDeque::new(), false);
    for step in steps {
        match *step {
            Step::Send(n) | Step::SendInTime(n) => {
                let value = T::nth(n);
                let sent = match step {
                    Step::Send(_) => channel.try_send(value),
                    _ => channel.send_with(value, &sleeper, Some(0)).map_err(|error| match error {
                        SendError::Timeout(value) => TrySendError::Full(value),
                        SendError::Closed(value) => TrySendError::Closed(value),
                        error => panic!("{error}"),
                    }),
                };
                if closed {
                    assert_eq!(sent, Err(TrySendError::Closed(value)));
                } else if model.len() == channel.capacity() {
                    assert_eq!(sent, Err(TrySendError::Full(value)));
                } else {
                    assert_eq!(sent, Ok(()));
                    model.push_back(value);
                }
            }
            Step::Recv | Step::RecvInTime => {
                let received = match step {
                    Step::Recv => channel.try_recv(),
                    _ => channel.recv_with(&sleeper, Some(0)).map_err(|error| match error {
                        RecvError::Timeout => TryRecvError::Empty,
                        RecvError::Closed => TryRecvError::Closed,
                        error => panic!("{error}"),
                    }),
                };
                let nothing = if closed { TryRecvError::Closed } else { TryRecvError::Empty };
                assert_eq!(received, model.pop_front().ok_or(nothing));
            }
            Step::Drain => assert!(channel.try_iter().eq(model.drain(..))),
            Step::Close => {
                assert_eq!(channel.close(), !closed);
                closed = true;
            }
            Step::Reopen => {
                channel = Channel::open(Region::open(span).unwrap(), "channel").unwrap();
            }
        }
        assert_eq!((channel.len(), channel.is_closed()), (model.len(), closed));
        assert_eq!(channel.is_empty(), model.is_empty());
        let view = region.view();
        let info = view.inspect(&view.find("channel").unwrap()).unwrap();
        assert_eq!(
            (info.fill, info.capacity),
            (Some(model.len() as u64), channel.capacity() as u64)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_channel_is_a_queue_that_can_be_closed(
        geometry in prop::sample::select(geometries()),
        which in 0..elements::TYPES,
        capacity in 0_usize..12,
        steps in steps(),
    ) {
        for_type!(which, agrees(geometry, capacity, &steps));
    }
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new());
    let channel = Channel::<u32>::create(region, "channel", 4).unwrap();
    assert_eq!(channel.send(1), Err(SendError::NoWaiter(1)));
    assert_eq!(channel.send_timeout(1, PATIENCE), Err(SendError::NoWaiter(1)));
    assert_eq!(channel.recv(), Err(RecvError::NoWaiter));
    assert_eq!(channel.recv_timeout(PATIENCE), Err(RecvError::NoWaiter));
    assert!(matches!(
        Channel::<u32>::open_or_create(region, "channel", 0),
        Err(StructureError::WrongCapacity { expected: 0, found: 4, .. })
    ));
    assert!(Channel::<u32>::open_or_create(region, "channel", 3).is_ok());
    assert!(matches!(
        Channel::<u64>::open(region, "channel"),
        Err(StructureError::WrongElementSize { .. })
    ));
    assert!(matches!(
        Queue::<u32>::open(region, "channel"),
        Err(StructureError::WrongKind { expected: Kind::QUEUE, found: Kind::CHANNEL, .. })
    ));
    for places in [0, 33] {
        assert!(matches!(
            Channel::<u32>::create_with_places(region, "bad", places),
            Err(StructureError::BadCapacity { min: 1, max: 32, .. })
        ));
    }
    let met = Channel::<u32>::open_or_create(region, "met", 0).unwrap();
    assert_eq!(met.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(met.try_recv(), Err(TryRecvError::Empty));
    assert!(met.close() && !met.close());
    assert_eq!(met.try_send(1), Err(TrySendError::Closed(1)));
    assert_eq!(met.try_recv(), Err(TryRecvError::Closed));

    let small = Geometry::new(WordSize::Four, 8).unwrap();
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new().geometry(small));
    assert!(matches!(
        Channel::<u32>::create(region, "channel", 1 << 20),
        Err(StructureError::BadCapacity { max: 32768, .. })
    ));
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    for capacity in [0, 4] {
        assert_eq!(
            Channel::<u32>::create(region, "channel", capacity).unwrap_err(),
            StructureError::NeedsCas { kind: Kind::CHANNEL }
        );
    }
}

#[test]
fn a_timeout_is_never_early() {
    const SHORT: Duration = Duration::from_millis(30);
    let sleeper = Sleeper::new();
    for capacity in [0, 2] {
        let mut memory = Memory::zeroed(1 << 14);
        let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
        let channel = Channel::<u32>::create(region, "channel", capacity).unwrap();
        let start = Instant::now();
        assert_eq!(channel.recv_timeout(SHORT), Err(RecvError::Timeout));
        assert!(start.elapsed() >= SHORT);
        while channel.try_send(1).is_ok() {}
        let start = Instant::now();
        assert_eq!(channel.send_timeout(7, SHORT), Err(SendError::Timeout(7)));
        assert!(start.elapsed() >= SHORT);
    }
}

#[test]
fn a_send_returns_when_its_value_was_taken() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let channel = Channel::<u32>::create(region, "channel", 0).unwrap();
    thread::scope(|scope| {
        let sender = scope.spawn(|| channel.send(7));
        thread::sleep(Duration::from_millis(30));
        assert!(!sender.is_finished());
        assert_eq!(channel.try_recv(), Ok(7));
        assert_eq!(sender.join().unwrap(), Ok(()));
        assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    });
}

/// As soon as it waits, and only then.
#[test]
fn a_try_send_needs_a_receiver_that_waits() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let channel = Channel::<u32>::create(region, "channel", 0).unwrap();
    thread::scope(|scope| {
        let receiver = scope.spawn(|| channel.recv());
        let start = Instant::now();
        while channel.try_send(7).is_err() {
            assert!(start.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(channel.try_send(8), Err(TrySendError::Full(8)));
        assert_eq!(receiver.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_close_releases_all() {
    let sleeper = Sleeper::deep();
    for capacity in [0, 2] {
        let mut memory = Memory::zeroed(1 << 14);
        let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
        let empty = Channel::<u32>::create(region, "empty", capacity).unwrap();
        let full = Channel::<u32>::create(region, "full", capacity).unwrap();
        while full.try_send(0).is_ok() {}
        thread::scope(|scope| {
            let receivers = [0; 3].map(|_| scope.spawn(|| empty.recv()));
            let senders = [1, 2, 3].map(|value| scope.spawn(move || full.send(value)));
            thread::sleep(Duration::from_millis(30));
            let start = Instant::now();
            empty.close();
            full.close();
            for receiver in receivers {
                assert_eq!(receiver.join().unwrap(), Err(RecvError::Closed));
            }
            for (value, sender) in (1..).zip(senders) {
                assert_eq!(sender.join().unwrap(), Err(SendError::Closed(value)));
            }
            assert!(start.elapsed() < PATIENCE);
        });
        // What was sent before is received.
        assert_eq!(full.iter().count(), full.capacity());
    }
}

/// Whatever was confirmed is received, though the close comes in the middle.
#[test]
fn a_close_loses_nothing() {
    let sleeper = Sleeper::deep();
    for round in 0..200 {
        for capacity in [0, 2] {
            let mut memory = Memory::zeroed(1 << 14);
            let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
            let channel = Channel::<u64>::create(region, "channel", capacity).unwrap();
            let (sent, received) = thread::scope(|scope| {
                let send = |sender: u64| {
                    (0..).take_while(|n| channel.send(sender << 32 | n).is_ok()).collect::<Vec<_>>()
                };
                let sender = scope.spawn(move || send(2));
                let receiver = scope.spawn(|| channel.iter().collect::<Vec<_>>());
                thread::sleep(Duration::from_micros(round * 3));
                channel.close();
                (sender.join().unwrap(), receiver.join().unwrap())
            });
            let numbers: Vec<_> = sent.into_iter().map(|n| 2 << 32 | n).collect();
            assert_eq!(numbers, received);
        }
    }
}

/// Fewer places than parties: the rest waits for a place.
#[test]
fn many_meet_at_few_places() {
    const EACH: u64 = 300;
    let sleeper = Sleeper::deep();
    for places in [1, 2] {
        let mut memory = Memory::zeroed(1 << 14);
        let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
        let channel = Channel::<u64>::create_with_places(region, "channel", places).unwrap();
        let mut all: Vec<u64> = thread::scope(|scope| {
            let senders = [0, 1, 2].map(|sender: u64| {
                scope.spawn(move || (0..EACH).for_each(|n| channel.send(sender << 32 | n).unwrap()))
            });
            let receivers = [0; 3].map(|_| scope.spawn(|| channel.iter().collect::<Vec<_>>()));
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            channel.close();
            receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect()
        });
        all.sort_unstable();
        let expected: Vec<_> =
            (0..3).flat_map(|sender| (0..EACH).map(move |n| sender << 32 | n)).collect();
        assert_eq!(all, expected);
    }
}

/// A receiver that died while it waited gets nothing, and its place comes back.
#[test]
fn the_dead_get_nothing() {
    let (sleeper, mortals) = (Sleeper::new(), Mortals::new());
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    Channel::<u32>::create_with_places(region, "channel", 1).unwrap();
    let open = |party| Channel::<u32>::open(mortals.region(region, party), "channel").unwrap();
    // It stays at its place for ever, as if it had been killed there.
    let dies = std::panic::AssertUnwindSafe(|| open(1).recv_with(&Dying, None));
    let waiter = std::panic::catch_unwind(dies);
    assert!(waiter.is_err());
    let view = region.view();
    let waiting = || view.inspect(&view.find("channel").unwrap()).unwrap().fill;
    assert_eq!(waiting(), Some(1));
    mortals.kill(1);
    let (sender, receiver) = (open(2), open(3));
    assert_eq!(sender.try_send(7), Err(TrySendError::Full(7)));
    // Needs the place.
    assert_eq!(receiver.recv_timeout(Duration::from_millis(20)), Err(RecvError::Timeout));
    thread::scope(|scope| {
        let received = scope.spawn(|| receiver.recv());
        sender.send(8).unwrap();
        assert_eq!(received.join().unwrap(), Ok(8));
    });
    assert_eq!(waiting(), Some(0));
}

/// A waiter in which its party dies as soon as it is to sleep.
#[derive(Debug)]
struct Dying;

impl zeroipc_nostd::Wait for Dying {
    fn now(&self) -> u64 {
        0
    }

    fn wait(&self, _: zeroipc_nostd::WaitWord<'_>, _: u32, _: u64) {
        std::panic::resume_unwind(Box::new("dies"));
    }

    fn wake(&self, _: zeroipc_nostd::WaitWord<'_>, _: u32) -> u32 {
        0
    }
}
