//! Models of the Channel: what is confirmed is received, once; what is not is not; and nobody sleeps on.
#![cfg(loom)]

mod kernel;

use kernel::{bounded, party, Kernel};
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{
    Channel, FormatOptions, Geometry, RecvError, Region, SendError, TryRecvError, TrySendError,
    WordSize,
};

type Pair = [u32; 2];

const ONE: Pair = [1, 1];
const TWO: Pair = [2, 2];

/// Without a buffer and with so many places of each kind, or with a buffer if that is none.
fn memory(word: WordSize, places: u32) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(word, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    if places == 0 {
        Channel::<Pair>::create(region, "channel", 2).unwrap();
    } else {
        Channel::<Pair>::create_with_places(region, "channel", places).unwrap();
    }
    slab
}

fn open(region: Region<'_>) -> Channel<'_, Pair> {
    unexplored(|| Channel::open(region, "channel").unwrap())
}

/// Sent by somebody who gives up at once if nobody is there.
fn send_in_no_time(region: Region<'_>, value: Pair) -> bool {
    let waiter = Kernel::new();
    match open(region).send_with(value, &*waiter, Some(0)) {
        Ok(()) => true,
        Err(SendError::Timeout(back) | SendError::Closed(back)) => {
            assert_eq!(back, value);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn recv_in_no_time(region: Region<'_>) -> Option<Pair> {
    let waiter = Kernel::new();
    match open(region).recv_with(&*waiter, Some(0)) {
        Ok(value) => Some(value),
        Err(RecvError::Timeout | RecvError::Closed) => None,
        Err(error) => panic!("{error}"),
    }
}

/// A close in the middle of a send, while another drains.
#[test]
fn a_closed_buffer_loses_nothing() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(WordSize::Four, 0), Kernel::new());
        let sender = party(&slab, &kernel, |region| open(region).try_send(ONE));
        let receiver = party(&slab, &kernel, |region| {
            let channel = open(region);
            channel.close();
            let first = channel.try_recv();
            (first, channel.try_recv())
        });
        let sent = sender.join().unwrap();
        let closed = Err(TryRecvError::Closed);
        match receiver.join().unwrap() {
            (Ok(ONE), last) => assert_eq!((sent, last), (Ok(()), closed)),
            received => {
                assert_eq!(received, (closed, closed));
                assert_eq!(sent, Err(TrySendError::Closed(ONE)));
            }
        }
    });
}

/// One has seen that it is closed and drained; then nothing comes to the other either.
#[test]
fn closed_is_for_ever() {
    bounded(1).check(|| {
        let (slab, kernel) = (memory(WordSize::Four, 0), Kernel::new());
        let sender = party(&slab, &kernel, |region| open(region).try_send(ONE));
        let receivers = [0, 1].map(|_| {
            party(&slab, &kernel, |region| {
                let channel = open(region);
                channel.close();
                channel.try_recv()
            })
        });
        let sent = sender.join().unwrap();
        let received = receivers.map(|receiver| receiver.join().unwrap());
        let count = received.iter().filter(|received| received.is_ok()).count();
        assert_eq!(count, usize::from(sent.is_ok()));
    });
}

#[test]
fn a_close_wakes_sleeping_receivers() {
    bounded(1).check(|| {
        let (slab, kernel) = (memory(WordSize::Four, 0), Kernel::new());
        let receivers = [0, 1].map(|_| party(&slab, &kernel, |region| open(region).recv()));
        let closer = party(&slab, &kernel, |region| open(region).close());
        assert!(closer.join().unwrap());
        for receiver in receivers {
            assert_eq!(receiver.join().unwrap(), Err(RecvError::Closed));
        }
    });
}

fn meet(word: WordSize, preemptions: usize) {
    bounded(preemptions).check(move || {
        let (slab, kernel) = (memory(word, 1), Kernel::new());
        let sender = party(&slab, &kernel, |region| open(region).send(ONE));
        let receiver = party(&slab, &kernel, |region| open(region).recv());
        assert_eq!(sender.join().unwrap(), Ok(()));
        assert_eq!(receiver.join().unwrap(), Ok(ONE));
    });
}

#[test]
fn a_sender_and_a_receiver_meet() {
    meet(WordSize::Four, 3);
}

#[test]
fn a_sender_and_a_receiver_meet_with_wide_words() {
    meet(WordSize::Eight, 2);
}

/// The second uses the place of the first, whose value may still be looked at.
#[test]
fn one_after_another_at_one_place() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(WordSize::Four, 1), Kernel::new());
        let sender = party(&slab, &kernel, |region| {
            (send_in_no_time(region, ONE), send_in_no_time(region, TWO))
        });
        let receiver = party(&slab, &kernel, recv_in_no_time);
        match receiver.join().unwrap() {
            Some(ONE) => assert_eq!(sender.join().unwrap(), (true, false)),
            Some(TWO) => assert_eq!(sender.join().unwrap(), (false, true)),
            received => {
                assert_eq!((received, sender.join().unwrap()), (None, (false, false)));
            }
        }
    });
}

#[test]
fn two_senders_meet_a_receiver() {
    bounded(1).check(|| {
        let (slab, kernel) = (memory(WordSize::Four, 2), Kernel::new());
        let senders = [ONE, TWO]
            .map(|value| party(&slab, &kernel, move |region| send_in_no_time(region, value)));
        let receiver = party(&slab, &kernel, recv_in_no_time);
        let sent = senders.map(|sender| sender.join().unwrap());
        match receiver.join().unwrap() {
            Some(ONE) => assert_eq!(sent, [true, false]),
            Some(TWO) => assert_eq!(sent, [false, true]),
            received => assert_eq!((received, sent), (None, [false, false])),
        }
    });
}

#[test]
fn a_sender_meets_one_of_two_receivers() {
    bounded(1).check(|| {
        let (slab, kernel) = (memory(WordSize::Four, 2), Kernel::new());
        let receivers = [0, 1].map(|_| party(&slab, &kernel, recv_in_no_time));
        let sender = party(&slab, &kernel, |region| send_in_no_time(region, ONE));
        let received = receivers.map(|receiver| receiver.join().unwrap());
        let sent = sender.join().unwrap();
        let count = received.iter().flatten().count();
        assert_eq!(count, usize::from(sent));
    });
}

/// Given, or met, but not both; the receiver may give up in the middle.
#[test]
fn a_value_is_given_or_not() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(WordSize::Four, 1), Kernel::new());
        let sender = party(&slab, &kernel, |region| open(region).try_send(ONE).is_ok());
        let receiver = party(&slab, &kernel, recv_in_no_time);
        assert_eq!(sender.join().unwrap(), receiver.join().unwrap() == Some(ONE));
    });
}

/// One gives, one offers; the receiver, which sleeps if it must, gets one of them.
#[test]
fn given_and_offered_at_once() {
    bounded(1).check(|| {
        let (slab, kernel) = (memory(WordSize::Four, 2), Kernel::new());
        let giver = party(&slab, &kernel, |region| open(region).try_send(ONE).is_ok());
        let sender = party(&slab, &kernel, |region| open(region).send(TWO));
        let receiver = party(&slab, &kernel, |region| open(region).recv().unwrap());
        let given = giver.join().unwrap();
        let received = receiver.join().unwrap();
        assert_eq!(given, received == ONE);
        if given {
            let region = Region::open(slab.span()).unwrap().with_notifier(&*kernel);
            assert_eq!(open(region).recv(), Ok(TWO));
        }
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_close_wakes_those_that_wait_to_meet() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(WordSize::Four, 1), Kernel::new());
        let sender = party(&slab, &kernel, |region| open(region).send(ONE));
        let closer = party(&slab, &kernel, |region| open(region).close());
        assert!(closer.join().unwrap());
        assert_eq!(sender.join().unwrap(), Err(SendError::Closed(ONE)));
    });
    bounded(2).check(|| {
        let (slab, kernel) = (memory(WordSize::Four, 1), Kernel::new());
        let receiver = party(&slab, &kernel, |region| open(region).recv());
        let closer = party(&slab, &kernel, |region| open(region).close());
        assert!(closer.join().unwrap());
        assert_eq!(receiver.join().unwrap(), Err(RecvError::Closed));
    });
}
