//! Channel: a party stopped, or killed, before every one of its accesses holds up nobody, and what the others confirm is received once.
#![cfg(all(zeroipc_fault, not(loom)))]

mod buried;
mod memory;
mod mortals;
mod sleeper;
mod stepper;

use buried::{bury_at, region};
use mortals::Mortals;
use sleeper::Sleeper;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;
use stepper::Party;
use zeroipc_nostd::{
    select_with, Channel, RecvError, Region, Selectable, SendError, TryRecvError, TrySendError,
    WakerTable, WithReactor,
};

type Block = [u64; 4];

fn block(n: u64) -> Block {
    [n, n, n, n]
}

fn sleeping(region: Region<'static>) -> Region<'static> {
    let table: &WakerTable<4> = Box::leak(Box::default());
    region.with_notifier(Box::leak(Box::new(WithReactor::new(Sleeper::new(), table))))
}

fn buffered() -> Channel<'static, Block> {
    Channel::create(sleeping(region()), "channel", 2).unwrap()
}

/// Gives up at once if nobody is there.
fn send_soon(channel: Channel<'static, Block>, n: u64) -> bool {
    match channel.send_with(block(n), &Sleeper::new(), Some(0)) {
        Ok(()) => true,
        Err(SendError::Timeout(_) | SendError::Closed(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

fn recv_soon(channel: Channel<'static, Block>) -> Option<u64> {
    match channel.recv_with(&Sleeper::new(), Some(0)) {
        Ok(value) => Some(whole(value)),
        Err(RecvError::Timeout | RecvError::Closed) => None,
        Err(error) => panic!("{error}"),
    }
}

fn whole(value: Block) -> u64 {
    assert_eq!(value, block(value[0]), "torn");
    value[0]
}

/// A send stopped while the channel is closed and drained: it has succeeded and its value comes, or it fails.
#[test]
fn a_send_stopped_at_a_close_is_received_or_fails() {
    for step in 0.. {
        let channel = buffered();
        channel.try_send(block(1)).unwrap();
        let done = thread::scope(|scope| {
            let party = Party::start(scope, step, move || channel.try_send(block(7)));
            let stopped = party.is_stopped();
            assert!(channel.close());
            let drained: Vec<_> = channel.try_iter().map(whole).collect();
            assert_eq!(channel.try_recv(), Err(TryRecvError::Closed), "and does not wait for it");
            let sent = party.finish();
            match sent {
                Ok(()) => assert_eq!(drained, [1, 7]),
                Err(error) => {
                    assert_eq!((error, drained), (TrySendError::Closed(block(7)), vec![1]));
                }
            }
            assert_eq!(channel.try_recv(), Err(TryRecvError::Closed), "for ever");
            !stopped
        });
        if done {
            break;
        }
    }
}

/// A receiver stopped while it seals, or a closer: the others drain and are told.
#[test]
fn whoever_stops_at_a_close_holds_up_nobody() {
    for killed in [false, true] {
        for step in 0.. {
            let channel = buffered();
            channel.try_send(block(1)).unwrap();
            let act = move || {
                channel.close();
                channel.try_iter().map(whole).collect::<Vec<_>>()
            };
            let others = || {
                channel.close();
                let drained: Vec<_> = channel.try_iter().map(whole).collect();
                assert_eq!(channel.try_recv(), Err(TryRecvError::Closed));
                assert_eq!(channel.try_send(block(2)), Err(TrySendError::Closed(block(2))));
                drained
            };
            let done = if killed {
                let finished = bury_at(step, act);
                let drained = others();
                assert!(drained.len() <= 1);
                finished.is_some()
            } else {
                thread::scope(|scope| {
                    let party = Party::start(scope, step, act);
                    let stopped = party.is_stopped();
                    let mut drained = others();
                    drained.extend(party.finish());
                    assert_eq!(drained, [1]);
                    !stopped
                })
            };
            if done {
                break;
            }
        }
    }
}

/// Polls a task some times, between which others may act; then it is dropped.
#[allow(clippy::incompatible_msrv)] // a test: `Waker::noop` is of 1.85
fn glance<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    (0..3).find_map(|_| match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => {
            thread::sleep(Duration::from_micros(300));
            None
        }
    })
}

/// Whether a party sent its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Yes,
    No,
    /// A task that was dropped does not know.
    Maybe,
}

fn sent(yes: bool) -> Sent {
    if yes {
        Sent::Yes
    } else {
        Sent::No
    }
}

/// What a party does at a rendezvous; what it sent, or received, if anything.
type Act = fn(Channel<'static, Block>) -> (Sent, Option<u64>);

/// How many of the acts only send.
const SENDING: usize = 3;

const ACTS: [Act; 7] = [
    |channel| (sent(send_soon(channel, 7)), None),
    |channel| (sent(channel.try_send(block(7)).is_ok()), None),
    |channel| match glance(channel.send_async(block(7))) {
        Some(Ok(())) => (Sent::Yes, None),
        Some(Err(error)) => panic!("{error}"),
        None => (Sent::Maybe, None),
    },
    |channel| (Sent::No, recv_soon(channel)),
    |channel| (Sent::No, channel.try_recv().ok().map(whole)),
    |channel| (Sent::No, glance(channel.recv_async()).map(|received| whole(received.unwrap()))),
    |channel| {
        let (send, recv) = (channel.select_send(block(7)), channel.select_recv());
        let cases: [&dyn Selectable; 2] = [&send, &recv];
        match select_with(&cases, &Sleeper::new(), Some(0)) {
            Ok(0) => (Sent::Yes, None),
            Ok(_) => (Sent::No, Some(whole(recv.result().unwrap().unwrap()))),
            Err(_) => (Sent::No, None),
        }
    },
];

/// Transfers between others, each of which the stopped party may have a part in: what it sends they receive, and so on. Returns what
/// was sent and not received by them, and what they received.
fn transfer(channel: Channel<'static, Block>, count: u64) -> (Vec<u64>, Vec<u64>) {
    thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            let mut received = Vec::new();
            loop {
                match channel.recv().map(whole) {
                    Ok(9) => return received,
                    Ok(n) => received.push(n),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let mut sent = Vec::new();
        for n in 100..100 + count {
            channel.send(block(n)).unwrap();
            sent.push(n);
        }
        // The last word, until our receiver has it and not the stopped party.
        while !receiver.is_finished() {
            let _ = channel.send_timeout(block(9), Duration::from_millis(1));
        }
        (sent, receiver.join().unwrap())
    })
}

#[test]
fn a_party_stopped_at_a_rendezvous_holds_up_nobody() {
    for (index, act) in ACTS.into_iter().enumerate() {
        for step in 0.. {
            let channel = Channel::create_with_places(sleeping(region()), "channel", 3).unwrap();
            // Somebody to meet, so that it comes as far as it can.
            let done = thread::scope(|scope| {
                let helper = scope.spawn(move || {
                    if index < SENDING {
                        channel.recv_timeout(Duration::from_millis(3)).ok().map(whole)
                    } else {
                        let _ = channel.send_timeout(block(8), Duration::from_millis(3));
                        None
                    }
                });
                if step % 2 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
                let party = Party::start(scope, step, move || act(channel));
                let stopped = party.is_stopped();
                let first = helper.join().unwrap();
                let (sent, mut received) = transfer(channel, 30);
                let (its, got) = party.finish();
                received.extend(first);
                received.extend(got);
                // What it sent, or nobody took, aside: each came once.
                let ours: Vec<_> = received.iter().copied().filter(|n| *n >= 100).collect();
                let mut sorted = ours.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, sent);
                let sevens = received.iter().filter(|n| **n == 7).count();
                match its {
                    Sent::Yes => assert_eq!(sevens, 1, "act {index}, step {step}"),
                    Sent::No => assert_eq!(sevens, 0, "act {index}, step {step}"),
                    Sent::Maybe => assert!(sevens <= 1, "act {index}, step {step}"),
                }
                assert!(received.iter().filter(|n| **n == 8).count() <= 1);
                !stopped
            });
            if done {
                break;
            }
        }
    }
}

/// The places of the dead come back, and what they held is received at most once.
#[test]
fn a_party_killed_at_a_rendezvous_leaves_its_places() {
    for (index, act) in ACTS.into_iter().enumerate() {
        for step in 0.. {
            let mortals: &'static Mortals = Box::leak(Box::new(Mortals::new()));
            let plain = sleeping(region());
            Channel::<Block>::create_with_places(plain, "channel", 2).unwrap();
            let open = |party| Channel::open(mortals.region(plain, party), "channel").unwrap();
            let (victim, other): (Channel<'static, Block>, Channel<'static, Block>) =
                (open(1), open(2));
            let helper = thread::spawn(move || {
                if index < SENDING {
                    other.recv_timeout(Duration::from_millis(2)).ok().map(whole)
                } else {
                    let _ = other.send_timeout(block(8), Duration::from_millis(2));
                    None
                }
            });
            if step % 2 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            let finished = bury_at(step, move || act(victim));
            mortals.kill(1);
            let first = helper.join().unwrap();
            let third = open(3);
            let (sent, mut received) = transfer(third, 10);
            received.extend(first);
            let mut ours: Vec<_> = received.iter().copied().filter(|n| *n >= 100).collect();
            ours.sort_unstable();
            // A receiver that is known to be dead gets nothing.
            assert_eq!(ours, sent, "act {index}, step {step}");
            assert!(received.iter().filter(|n| **n == 7).count() <= 1);
            // All places of either kind can be used.
            thread::scope(|scope| {
                let receivers = [0; 2].map(|_| scope.spawn(move || third.recv().map(whole)));
                let senders = [20, 21].map(|n| scope.spawn(move || third.send(block(n))));
                senders.into_iter().for_each(|sender| sender.join().unwrap().unwrap());
                let mut got = receivers.map(|receiver| receiver.join().unwrap().unwrap());
                got.sort_unstable();
                assert_eq!(got, [20, 21]);
            });
            if finished.is_some() {
                break;
            }
        }
    }
}
