//! Service: a client or a server stopped or dead at every step of every operation, and what the others get.
#![cfg(all(zeroipc_fault, not(loom)))]

mod buried;
mod memory;
mod sleeper;
mod stepper;

use buried::{bury_at, id, Graveyard};
use memory::Memory;
use sleeper::Sleeper;
use std::thread;
use stepper::Party;
use zeroipc_nostd::{CallError, FormatOptions, Geometry, NextError, ReplyError, Service, WordSize};

type Shared = Service<'static, [u32; 2], [u32; 4]>;

/// The same service as seen by parties 1 to 4.
fn services(graveyard: &'static Graveyard, capacity: usize) -> [Shared; 4] {
    let sleeper: &'static Sleeper = Box::leak(Box::new(Sleeper::new()));
    let memory = Box::leak(Box::new(Memory::filled(2048, 0xA5)));
    let geometry = Geometry::new(WordSize::Four, 16).unwrap();
    let options = FormatOptions::new().max_entries(4).geometry(geometry);
    let region = memory.region(options).with_notifier(sleeper);
    [1, 2, 3, 4].map(|number| {
        let region = region.with_party(id(number), graveyard);
        Service::open_or_create(region, "service", capacity).unwrap()
    })
}

fn response([a, b]: [u32; 2]) -> [u32; 4] {
    [a, b, a + b, a ^ b]
}

/// One call by one party and its answer by another.
fn round(client: &Shared, server: &Shared, n: u32) {
    let (client, server) = (client.client(), server.server());
    let pending = client.try_request([n, 7]).unwrap();
    let request = server.try_next().unwrap();
    let asked = request.get();
    request.reply(response(asked)).unwrap();
    assert_eq!(pending.try_get(), Ok(response([n, 7])));
}

/// As [`round`], where another request may be there that another party made.
fn round_beside_another(client: &Shared, server: &Shared, n: u32) {
    let (client, server) = (client.client(), server.server());
    let pending = client.try_request([n, 7]).unwrap();
    while pending.try_get() == Err(CallError::Pending) {
        let request = server.try_next().unwrap();
        let asked = request.get();
        let _ = request.reply(response(asked));
    }
    assert_eq!(pending.try_get(), Ok(response([n, 7])));
}

/// Killed anywhere between taking the request and the end of the answer: the client gets the response or learns of the death, or
/// another server takes the request.
#[test]
fn a_server_that_dies_at_every_step() {
    let (mut untaken, mut broken, mut answered) = (0, 0, 0);
    for step in 0.. {
        let graveyard = Graveyard::new();
        let [dead, one, two, _] = services(graveyard, 2);
        let client = one.client();
        let pending = client.try_request([3, 4]).unwrap();
        let finished = bury_at(step, move || {
            let server = dead.server();
            let request = server.try_next().unwrap();
            let asked = request.get();
            request.reply(response(asked)).unwrap();
        });
        let other = two.server();
        let next = other.try_next();
        graveyard.bury(id(1));
        match next {
            Ok(request) => {
                untaken += 1;
                assert_eq!(request.get(), [3, 4]);
                request.reply(response([3, 4])).unwrap();
                assert_eq!(pending.get(), Ok(response([3, 4])));
            }
            Err(error) => {
                assert_eq!(error, NextError::Empty);
                match pending.get() {
                    Ok(found) => {
                        assert_eq!(found, response([3, 4]));
                        answered += 1;
                    }
                    Err(error) => {
                        assert_eq!((error, finished), (CallError::Broken, None));
                        broken += 1;
                    }
                }
            }
        }
        drop(pending);
        assert_eq!(one.in_use(), 0);
        round(&one, &two, 5);
        if finished.is_some() {
            break;
        }
    }
    assert!(untaken >= 2 && broken >= 4 && answered >= 1, "{untaken} {broken} {answered}");
}

/// Killed anywhere in a call: its place comes back, and servers are told nothing wrong.
#[test]
fn a_client_that_dies_at_every_step() {
    let mut reclaimed = 0;
    for cancels in [false, true] {
        for step in 0.. {
            let graveyard = Graveyard::new();
            // A server of the living answers from within the doomed client's call, so that every phase of it is met.
            let [dead, one, two, three] = services(graveyard, 1);
            let finished = bury_at(step, move || {
                let client = dead.client();
                let pending = client.try_request([3, 4]).unwrap();
                if !cancels {
                    let server = one.server();
                    let request = server.try_next().unwrap();
                    request.reply(response([3, 4])).unwrap();
                    assert_eq!(pending.try_get(), Ok(response([3, 4])));
                }
            });
            graveyard.bury(id(1));
            graveyard.bury(id(2));
            reclaimed += two.reclaim();
            assert_eq!(two.in_use(), 0, "killed at step {step}");
            (0..3).for_each(|n| round(&two, &three, n));
            if finished.is_some() {
                break;
            }
        }
    }
    assert!(reclaimed >= 20, "{reclaimed}");
}

/// A client that dies while it cancels a call that a server has in hand.
#[test]
fn a_client_that_dies_while_it_cancels() {
    for step in 0.. {
        let graveyard = Graveyard::new();
        let [dead, one, two, three] = services(graveyard, 1);
        let dead: &'static _ = Box::leak(Box::new(dead.client()));
        let pending = dead.try_request([3, 4]).unwrap();
        let server = one.server();
        let request = server.try_next().unwrap();
        let finished = bury_at(step, move || drop(pending));
        graveyard.bury(id(1));
        assert_eq!(two.reclaim(), 0, "the server has it");
        let replied = request.reply(response([3, 4]));
        assert!(matches!(replied, Ok(()) | Err(ReplyError::Cancelled)), "{replied:?}");
        assert_eq!(two.reclaim(), usize::from(replied.is_ok()));
        round(&two, &three, 1);
        if finished.is_some() {
            break;
        }
    }
}

/// Killed anywhere in reclaiming what two dead parties left: another completes it.
#[test]
fn a_reclaimer_that_dies_at_every_step() {
    for step in 0.. {
        let graveyard = Graveyard::new();
        let [dead, reclaimer, one, two] = services(graveyard, 3);
        let (client, server) = (dead.client(), dead.server());
        let calls = [0, 1, 2].map(|n| client.try_request([n, n]).unwrap());
        let [first, second] = [(); 2].map(|()| server.try_next().unwrap());
        let abandoned = second.get()[0] as usize;
        std::mem::forget((first, second));
        let mut calls = Vec::from(calls);
        drop(calls.remove(abandoned));
        std::mem::forget(calls);
        graveyard.bury(id(1));
        let finished = bury_at(step, move || reclaimer.reclaim());
        graveyard.bury(id(2));
        one.reclaim();
        assert_eq!(one.in_use(), 0);
        round(&one, &two, 1);
        if let Some(count) = finished {
            assert_eq!(count, 3);
            break;
        }
    }
}

/// A server stopped anywhere: the others complete 1000 calls in the other places, and then it goes on.
#[test]
fn a_stopped_server_holds_up_nobody() {
    for step in 0.. {
        let [slow, one, two, _] = services(Graveyard::new(), 2);
        let client = one.client();
        let pending = client.try_request([3, 4]).unwrap();
        let done = thread::scope(|scope| {
            let party = Party::start(scope, step, move || {
                let server = slow.server();
                let request = server.try_next().ok()?;
                let asked = request.get();
                Some(request.reply(response(asked)))
            });
            let stopped = party.is_stopped();
            (0..1000).for_each(|n| round_beside_another(&one, &two, n));
            match party.finish() {
                Some(replied) => assert_eq!(replied, Ok(())),
                None => assert!(stopped, "another took it meanwhile"),
            }
            assert_eq!(pending.try_get(), Ok(response([3, 4])));
            !stopped
        });
        drop(pending);
        assert_eq!(one.in_use(), 0);
        if done {
            break;
        }
    }
}

/// A client stopped anywhere in a call: the others complete 1000 calls in the other place, and then it gets its answer.
#[test]
fn a_stopped_client_holds_up_nobody() {
    for cancels in [false, true] {
        for step in 0.. {
            let [slow, one, two, _] = services(Graveyard::new(), 2);
            let done = thread::scope(|scope| {
                let party = Party::start(scope, step, move || {
                    let client = slow.client();
                    let pending = client.try_request([3, 4]).unwrap();
                    if cancels {
                        return;
                    }
                    let server = slow.server();
                    while pending.try_get() == Err(CallError::Pending) {
                        let Ok(request) = server.try_next() else { continue };
                        let asked = request.get();
                        let _ = request.reply(response(asked));
                    }
                    assert_eq!(pending.try_get(), Ok(response([3, 4])));
                });
                let stopped = party.is_stopped();
                (0..1000).for_each(|n| round_beside_another(&one, &two, n));
                party.finish();
                !stopped
            });
            assert_eq!(one.in_use(), 0);
            if done {
                break;
            }
        }
    }
}
