//! Models of select: it does one thing or none, also when two selects meet.
#![cfg(loom)]

mod kernel;

use kernel::{bounded, party, Kernel};
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{
    select_with, Channel, FormatOptions, Geometry, RecvError, Region, SelectError, Selectable,
    SendError, WordSize,
};

const ONE: u32 = 1;
const TWO: u32 = 2;

/// Two channels without a buffer.
fn memory(places: u32) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(2048));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(3).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    for name in ["a", "b"] {
        Channel::<u32>::create_with_places(region, name, places).unwrap();
    }
    slab
}

fn open<'a>(region: Region<'a>, name: &str) -> Channel<'a, u32> {
    unexplored(|| Channel::open(region, name).unwrap())
}

fn send_in_no_time(region: Region<'_>, name: &str, value: u32) -> bool {
    match open(region, name).send_with(value, &*Kernel::new(), Some(0)) {
        Ok(()) => true,
        Err(SendError::Timeout(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

fn recv_in_no_time(region: Region<'_>, name: &str) -> Option<u32> {
    match open(region, name).recv_with(&*Kernel::new(), Some(0)) {
        Ok(value) => Some(value),
        Err(RecvError::Timeout) => None,
        Err(error) => panic!("{error}"),
    }
}

/// What a select did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Sent,
    Received(u32),
    Nothing,
}

/// Sends `value` to one or receives from the other, waiting if it has the `patience`.
fn send_or_recv(region: Region<'_>, to: &str, value: u32, from: &str, patience: bool) -> Did {
    let (sending, receiving) =
        (open(region, to).select_send(value), open(region, from).select_recv());
    let cases: [&dyn Selectable; 2] = [&sending, &receiving];
    let selected = if patience {
        zeroipc_nostd::select(&cases)
    } else {
        select_with(&cases, &*Kernel::new(), Some(0))
    };
    match selected {
        Ok(0) => {
            assert_eq!((sending.result(), receiving.result()), (Some(Ok(())), None));
            Did::Sent
        }
        Ok(_) => {
            assert_eq!(sending.result(), None);
            Did::Received(receiving.result().unwrap().unwrap())
        }
        Err(error) => {
            assert_eq!(error, SelectError::Timeout);
            assert_eq!((sending.result(), receiving.result()), (None, None));
            Did::Nothing
        }
    }
}

/// Two selects meet crosswise, both asleep if they must: in one of the two ways, and not in both.
#[test]
fn two_selects_meet() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let one = party(&slab, &kernel, |region| send_or_recv(region, "a", ONE, "b", true));
        let two = party(&slab, &kernel, |region| send_or_recv(region, "b", TWO, "a", true));
        let both = (one.join().unwrap(), two.join().unwrap());
        assert!(
            both == (Did::Sent, Did::Received(ONE)) || both == (Did::Received(TWO), Did::Sent),
            "{both:?}"
        );
    });
}

/// The same, and both give up soon.
#[test]
fn two_selects_meet_or_miss() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let one = party(&slab, &kernel, |region| send_or_recv(region, "a", ONE, "b", false));
        let two = party(&slab, &kernel, |region| send_or_recv(region, "b", TWO, "a", false));
        let both = (one.join().unwrap(), two.join().unwrap());
        let missed = (Did::Nothing, Did::Nothing);
        assert!(
            both == (Did::Sent, Did::Received(ONE))
                || both == (Did::Received(TWO), Did::Sent)
                || both == missed,
            "{both:?}"
        );
    });
}

/// A select that could be taken at one place and take at another, between a plain receiver and a plain sender.
#[test]
fn a_select_between_a_receiver_and_a_sender() {
    bounded(1).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let select = party(&slab, &kernel, |region| send_or_recv(region, "a", ONE, "b", false));
        let receiver = party(&slab, &kernel, |region| recv_in_no_time(region, "a"));
        let sender = party(&slab, &kernel, |region| send_in_no_time(region, "b", TWO));
        let (received, sent) = (receiver.join().unwrap(), sender.join().unwrap());
        match select.join().unwrap() {
            Did::Sent => assert_eq!((received, sent), (Some(ONE), false)),
            Did::Received(value) => assert_eq!((value, received, sent), (TWO, None, true)),
            Did::Nothing => assert_eq!((received, sent), (None, false)),
        }
    });
}

/// A select waits for two senders; one of them gets through.
#[test]
fn a_select_receives_from_one_of_two() {
    bounded(1).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let senders = [("a", ONE), ("b", TWO)].map(|(name, value)| {
            party(&slab, &kernel, move |region| send_in_no_time(region, name, value))
        });
        let select = party(&slab, &kernel, |region| {
            let (a, b) = (open(region, "a").select_recv(), open(region, "b").select_recv());
            match select_with(&[&a, &b], &*Kernel::new(), Some(0)) {
                Ok(0) => Some(a.result().unwrap().unwrap()),
                Ok(_) => Some(b.result().unwrap().unwrap()),
                Err(_) => None,
            }
        });
        let received = select.join().unwrap();
        let sent = senders.map(|sender| sender.join().unwrap());
        assert_eq!(sent, [received == Some(ONE), received == Some(TWO)]);
    });
}

/// Given to one that selects and might be taking from another at that moment.
#[test]
fn a_value_is_given_to_a_select_or_not() {
    bounded(1).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let giver = party(&slab, &kernel, |region| open(region, "a").try_send(ONE).is_ok());
        let sender = party(&slab, &kernel, |region| send_in_no_time(region, "b", TWO));
        let select = party(&slab, &kernel, |region| {
            let (a, b) = (open(region, "a").select_recv(), open(region, "b").select_recv());
            let selected = select_with(&[&a, &b], &*Kernel::new(), Some(0));
            (selected, a.result(), b.result())
        });
        let (given, sent) = (giver.join().unwrap(), sender.join().unwrap());
        match select.join().unwrap() {
            (Ok(0), Some(Ok(ONE)), None) => assert_eq!((given, sent), (true, false)),
            (Ok(1), None, Some(Ok(TWO))) => assert_eq!((given, sent), (false, true)),
            selected => {
                assert_eq!(selected, (Err(SelectError::Timeout), None, None));
                assert_eq!((given, sent), (false, false));
            }
        }
    });
}
