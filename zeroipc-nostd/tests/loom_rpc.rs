//! Models of the Service: each answer reaches its caller, no wake-up is lost, deaths are told, places come back once.
#![cfg(loom)]

mod mortal_kernel;

use mortal_kernel::{bounded, party, Kernel};
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{
    CallError, FormatOptions, Geometry, NextError, PartyId, Region, ReplyError, Service, WordSize,
};

type Shared<'a> = Service<'a, u64, [u32; 2]>;

/// The response to request `n`: in two parts, so that half of one is seen.
fn response(n: u64) -> [u32; 2] {
    [n as u32 + 1, n as u32 + 2]
}

fn service(capacity: usize) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    Shared::create(region, "service", capacity).unwrap();
    slab
}

fn open(region: Region<'_>) -> Shared<'_> {
    unexplored(|| Service::open(region, "service").unwrap())
}

/// The region as party `number` sees it, outside of the model's threads.
fn outside<'a>(slab: &'a Slab, kernel: &'a Kernel, number: u32) -> Region<'a> {
    Region::open(slab.span()).unwrap().with_party(PartyId::new(number).unwrap(), kernel)
}

/// A server that answers `count` requests, asleep in between.
fn serve(region: Region<'_>, count: usize) {
    let server = open(region).server();
    for _ in 0..count {
        let request = server.next().unwrap();
        let number = request.get();
        request.reply(response(number)).unwrap();
    }
}

/// Either sleeps if it must; one that is not woken is a deadlock, which loom reports.
#[test]
fn a_call_and_its_answer() {
    bounded(3).check(|| {
        let (slab, kernel) = (service(1), Kernel::new());
        let server = party(&slab, &kernel, 1, |region, _| serve(region, 1));
        let client = party(&slab, &kernel, 2, |region, _| open(region).client().call(5));
        server.join().unwrap();
        assert_eq!(client.join().unwrap(), Ok(response(5)));
    });
}

/// Two clients and one server in one place: whoever comes second waits for it, and gets its own answer.
#[test]
fn two_clients_in_one_place() {
    bounded(2).check(|| {
        let (slab, kernel) = (service(1), Kernel::new());
        let server = party(&slab, &kernel, 1, |region, _| serve(region, 2));
        let clients = [2_u32, 3].map(|number| {
            party(&slab, &kernel, number, move |region, _| {
                open(region).client().call(number.into())
            })
        });
        server.join().unwrap();
        for (number, client) in [2, 3].into_iter().zip(clients) {
            assert_eq!(client.join().unwrap(), Ok(response(number)));
        }
    });
}

/// Two servers for one request: one takes it, and the other finds nothing.
#[test]
fn one_server_takes_it() {
    bounded(3).check(|| {
        let (slab, kernel) = (service(1), Kernel::new());
        let servers = [1, 2].map(|number| {
            party(&slab, &kernel, number, |region, _| match open(region).server().try_next() {
                Ok(request) => {
                    let number = request.get();
                    let replied = request.reply(response(number));
                    assert!(matches!(replied, Ok(()) | Err(ReplyError::Cancelled)), "{replied:?}");
                    true
                }
                Err(error) => {
                    assert_eq!(error, NextError::Empty);
                    false
                }
            })
        });
        let client = party(&slab, &kernel, 3, |region, _| {
            let client = open(region).client();
            let pending = client.try_request(5).unwrap();
            let found = pending.try_get();
            assert!(matches!(found, Ok([6, 7]) | Err(CallError::Pending)), "{found:?}");
        });
        client.join().unwrap();
        let taken = servers.map(|server| server.join().unwrap());
        assert!(taken.iter().filter(|taken| **taken).count() <= 1);
    });
}

/// A call that is cancelled while a server takes and answers it, and the place's next use: no answer meets another's request.
#[test]
fn a_late_answer_is_dropped() {
    bounded(3).check(|| {
        let (slab, kernel) = (service(1), Kernel::new());
        let server = party(&slab, &kernel, 1, |region, _| {
            let server = open(region).server();
            let Ok(request) = server.try_next() else { return };
            let number = request.get();
            let replied = request.reply(response(number));
            assert!(matches!(replied, Ok(()) | Err(ReplyError::Cancelled)), "{replied:?}");
        });
        let client = party(&slab, &kernel, 2, |region, _| {
            let client = open(region).client();
            drop(client.try_request(1).unwrap());
            // The place is the server's as long as it has the first in hand.
            match client.try_request(5) {
                Ok(pending) => {
                    let found = pending.try_get();
                    assert!(matches!(found, Ok([6, 7]) | Err(CallError::Pending)), "{found:?}");
                }
                Err(error) => assert_eq!(error, CallError::Full),
            };
        });
        server.join().unwrap();
        client.join().unwrap();
        assert_eq!(open(outside(&slab, &kernel, 3)).in_use(), 0);
    });
}

/// The server dies with the call in hand, or answers and dies.
#[test]
fn a_client_learns_of_a_death() {
    for answers in [false, true] {
        bounded(2).check(move || {
            let (slab, kernel) = (service(1), Kernel::new());
            let server = party(&slab, &kernel, 1, move |region, kernel| {
                let server = open(region).server();
                let request = server.next().unwrap();
                if answers {
                    request.reply(response(5)).unwrap();
                } else {
                    std::mem::forget(request);
                }
                kernel.dies(1);
            });
            let client = party(&slab, &kernel, 2, |region, _| open(region).client().call(5));
            server.join().unwrap();
            let expected = if answers { Ok(response(5)) } else { Err(CallError::Broken) };
            assert_eq!(client.join().unwrap(), expected);
        });
    }
}

/// The places of a dead client, answered, are reclaimed by two at once while a third party makes a call of its own: its call is
/// not reclaimed.
#[test]
fn reclaiming_takes_nothing_from_the_living() {
    bounded(4).check(|| {
        let (slab, kernel) = (service(1), Kernel::new());
        unexplored(|| {
            let client = open(outside(&slab, &kernel, 1)).client();
            let pending = client.try_request(1).unwrap();
            let server = open(outside(&slab, &kernel, 1)).server();
            server.try_next().unwrap().reply(response(1)).unwrap();
            std::mem::forget(pending);
            kernel.dies(1);
        });
        let slow = party(&slab, &kernel, 2, |region, _| open(region).reclaim());
        let other = party(&slab, &kernel, 3, |region, _| {
            let service = open(region);
            let freed = service.reclaim();
            let (client, server) = (service.client(), service.server());
            let Ok(pending) = client.try_request(5) else { return freed };
            server.try_next().unwrap().reply(response(5)).unwrap();
            assert_eq!(pending.try_get(), Ok(response(5)));
            freed
        });
        assert_eq!(slow.join().unwrap() + other.join().unwrap(), 1);
    });
}

/// A server that sleeps, or a client whose request nobody takes.
#[test]
fn closing_wakes_either_side() {
    bounded(3).check(|| {
        let (slab, kernel) = (service(1), Kernel::new());
        let closer = party(&slab, &kernel, 1, |region, _| open(region).close());
        let server = party(&slab, &kernel, 2, |region, _| open(region).server().serve(response));
        closer.join().unwrap();
        assert_eq!(server.join().unwrap(), Ok(()));
    });
    bounded(3).check(|| {
        let (slab, kernel) = (service(1), Kernel::new());
        let closer = party(&slab, &kernel, 1, |region, _| open(region).close());
        let client = party(&slab, &kernel, 2, |region, _| open(region).client().call(5));
        closer.join().unwrap();
        assert_eq!(client.join().unwrap(), Err(CallError::Closed));
    });
}

/// A call is answered, or told that the service is closed; nobody waits for ever.
#[test]
fn closing_while_a_call_is_made() {
    bounded(1).check(|| {
        let (slab, kernel) = (service(1), Kernel::new());
        let closer = party(&slab, &kernel, 1, |region, _| open(region).close());
        let server = party(&slab, &kernel, 2, |region, _| open(region).server().serve(response));
        let client = party(&slab, &kernel, 3, |region, _| open(region).client().call(5));
        closer.join().unwrap();
        assert_eq!(server.join().unwrap(), Ok(()));
        let found = client.join().unwrap();
        assert!(matches!(found, Ok([6, 7]) | Err(CallError::Closed)), "{found:?}");
    });
}
