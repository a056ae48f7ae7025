//! Service: against a sequential model, over all geometries; what clients and servers are told; deaths.
#![cfg(not(loom))]

mod memory;
mod mortals;
mod sleeper;

use memory::{geometries, Memory};
use mortals::Mortals;
use proptest::prelude::*;
use sleeper::Sleeper;
use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    CallError, Capability, Element, FailureText, FormatOptions, Kind, NextError, PartyId, Pending,
    Region, ReplyError, Request, Service, StructureError,
};

const SHORT: Duration = Duration::from_millis(30);

fn fill(region: Region<'_>) -> Option<u64> {
    let view = region.view();
    view.inspect(&view.find("service").unwrap()).unwrap().fill
}

/// What a test may do; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Act {
    Ask,
    Take,
    Reply(usize),
    Fail(usize, String),
    GiveUp(usize),
    Cancel(usize),
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => Just(Act::Ask),
        6 => Just(Act::Take),
        4 => any::<usize>().prop_map(Act::Reply),
        2 => (any::<usize>(), "\\PC{0,60}").prop_map(|(n, text)| Act::Fail(n, text)),
        1 => any::<usize>().prop_map(Act::GiveUp),
        3 => any::<usize>().prop_map(Act::Cancel),
        1 => (0..6_u8).prop_map(|n| if n == 0 { Act::Close } else { Act::Ask }),
    ]
}

/// How far a call of the model is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Progress {
    Requested,
    Taken,
    Answered(Result<u8, CallError>),
}

/// A call of the model, which has a place while either side has it in hand.
#[derive(Debug)]
struct Call {
    number: u8,
    progress: Progress,
    is_wanted: bool,
}

/// What both sides have in hand, and the model.
struct Run<'s, Req: Element, Resp: Element> {
    pending: Vec<(u8, Pending<'s, Req, Resp>)>,
    taken: Vec<(u8, Request<'s, Req, Resp>)>,
    calls: Vec<Call>,
    closed: bool,
}

impl<Req: Element, Resp: Element> Run<'_, Req, Resp> {
    fn call(&mut self, number: u8) -> &mut Call {
        self.calls.iter_mut().find(|call| call.number == number).unwrap()
    }

    fn in_use(&self) -> usize {
        let calls = self.calls.iter();
        calls.filter(|call| call.is_wanted || call.progress == Progress::Taken).count()
    }

    /// A request that was taken, and what its server is told when it answers.
    fn answered(
        &mut self,
        n: usize,
        answer: Result<u8, CallError>,
    ) -> Option<(Request<'_, Req, Resp>, Result<(), ReplyError>)> {
        let len = self.taken.len();
        if len == 0 {
            return None;
        }
        let (number, request) = self.taken.swap_remove(n % len);
        let call = self.calls.iter_mut().find(|call| call.number == number).unwrap();
        call.progress = Progress::Answered(answer);
        Some((request, if call.is_wanted { Ok(()) } else { Err(ReplyError::Cancelled) }))
    }
}

fn cut(text: &str) -> &str {
    let fits = |end: &usize| *end <= FailureText::MAX_BYTES && text.is_char_boundary(*end);
    &text[..(0..=text.len()).rev().find(fits).unwrap()]
}

fn follows_the_model<Req, Resp>(
    region: Region<'_>,
    acts: &[Act],
    ask: impl Fn(u8) -> Req,
    respond: impl Fn(u8) -> Resp,
) where
    Req: Element + PartialEq + std::fmt::Debug,
    Resp: Element + PartialEq + std::fmt::Debug,
{
    const CAPACITY: usize = 3;
    let service = Service::<Req, Resp>::create(region, "service", CAPACITY).unwrap();
    let (client, server) = (service.client(), service.server());
    let mut run = Run { pending: Vec::new(), taken: Vec::new(), calls: Vec::new(), closed: false };
    for act in acts {
        match act {
            Act::Ask => {
                let number = run.calls.len() as u8;
                match client.try_request(ask(number)) {
                    Ok(pending) => {
                        assert!(!run.closed && run.in_use() < CAPACITY);
                        run.pending.push((number, pending));
                        let progress = Progress::Requested;
                        run.calls.push(Call { number, progress, is_wanted: true });
                    }
                    Err(CallError::Closed) => assert!(run.closed),
                    Err(CallError::Full) => assert!(!run.closed && run.in_use() == CAPACITY),
                    Err(error) => panic!("{error}"),
                }
            }
            Act::Take => {
                let possible: Vec<_> = run
                    .calls
                    .iter()
                    .filter(|call| call.is_wanted && call.progress == Progress::Requested)
                    .map(|call| call.number)
                    .collect();
                match server.try_next() {
                    Ok(request) => {
                        let asked = request.get();
                        let number = *possible.iter().find(|n| ask(**n) == asked).unwrap();
                        run.call(number).progress = Progress::Taken;
                        assert_eq!((request.client(), request.is_cancelled()), (None, false));
                        run.taken.push((number, request));
                    }
                    Err(error) => {
                        assert_eq!(possible, [0; 0]);
                        let closed = run.closed;
                        let expected = if closed { NextError::Closed } else { NextError::Empty };
                        assert_eq!(error, expected);
                    }
                }
            }
            Act::Reply(n) => {
                let number = run.taken.get(n % run.taken.len().max(1)).map_or(0, |taken| taken.0);
                if let Some((request, expected)) = run.answered(*n, Ok(number)) {
                    assert_eq!(request.is_cancelled(), expected.is_err());
                    assert_eq!(request.reply(respond(number)), expected);
                }
            }
            Act::Fail(n, text) => {
                let error = CallError::Failed(FailureText::new(cut(text)));
                if let Some((request, expected)) = run.answered(*n, Err(error)) {
                    assert_eq!(request.fail(text), expected);
                }
            }
            Act::GiveUp(n) => drop(run.answered(*n, Err(CallError::Broken))),
            Act::Cancel(n) if !run.pending.is_empty() => {
                let at = n % run.pending.len();
                let (number, pending) = run.pending.swap_remove(at);
                drop(pending);
                run.call(number).is_wanted = false;
            }
            Act::Cancel(_) => {}
            Act::Close => {
                service.close();
                run.closed = true;
                // Whoever looks next withdraws what nobody has taken.
                for call in &mut run.calls {
                    if call.progress == Progress::Requested {
                        call.progress = Progress::Answered(Err(CallError::Closed));
                    }
                }
            }
        }
        for at in 0..run.pending.len() {
            let (number, found) = (run.pending[at].0, run.pending[at].1.try_get());
            let expected = match run.call(number).progress {
                Progress::Answered(answer) => answer,
                _ => Err(CallError::Pending),
            };
            assert_eq!(found, expected.map(&respond));
        }
        assert_eq!(service.in_use(), run.in_use());
        assert_eq!(fill(region), Some(run.in_use() as u64));
        assert_eq!(service.is_closed(), run.closed);
    }
    drop(run.taken);
    drop(run.pending);
    assert_eq!(service.in_use(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn as_the_model_says(acts in proptest::collection::vec(act(), 1..60)) {
        for geometry in geometries() {
            let options = FormatOptions::new().geometry(geometry);
            let mut memory = Memory::filled(4096, 0xA5).shifted(8);
            follows_the_model(memory.region(options), &acts, |n| n, |n| !n);
            let mut memory = Memory::filled(4096, 0xA5);
            let wide = |n: u8| [u64::from(n); 9];
            follows_the_model(memory.region(options), &acts, wide, |n| [n; 3]);
            let mut memory = Memory::filled(4096, 0xA5);
            let odd = |n: u8| [n; 13];
            follows_the_model(memory.region(options), &acts, odd, u128::from);
        }
    }
}

#[test]
fn it_takes_what_its_footprint_says() {
    for geometry in geometries() {
        for capacity in [1, 2, 5, 16] {
            let mut memory = Memory::filled(16384, 0xA5).shifted(8);
            let region = memory.region(FormatOptions::new().geometry(geometry));
            let before = region.view().next_offset();
            Service::<[u8; 6], [u32; 5]>::create(region, "service", capacity).unwrap();
            let taken = region.view().next_offset() - before;
            let footprint = Service::<[u8; 6], [u32; 5]>::footprint(geometry, capacity).unwrap();
            assert!(taken <= footprint && footprint < taken + 256, "{taken} of {footprint}");
        }
    }
}

/// Everybody sleeps whenever there is nothing to do, and a lost wake-up hangs this test.
#[test]
fn three_clients_and_two_servers() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    // Fewer places than clients.
    let service = Service::<[u64; 2], [u64; 3]>::create(region, "service", 2).unwrap();
    thread::scope(|scope| {
        let servers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut count = 0_u64;
                let server = service.server();
                let answer = |[who, what]: [u64; 2]| {
                    count += 1;
                    [who, what, what * what]
                };
                server.serve(answer).map(|()| count)
            })
        });
        let clients = [1, 2, 3].map(|who| {
            let client = service.client();
            scope.spawn(move || {
                for what in 0..2000 {
                    assert_eq!(client.call([who, what]), Ok([who, what, what * what]));
                }
            })
        });
        clients.into_iter().for_each(|client| client.join().unwrap());
        service.close();
        let counts = servers.map(|server| server.join().unwrap().unwrap());
        assert_eq!(counts.iter().sum::<u64>(), 6000);
    });
    assert_eq!(service.in_use(), 0);
}

#[test]
fn nobody_waits_for_more_than_the_others_once() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let service = Service::<u32, u32>::create(region, "service", 8).unwrap();
    let (client, server) = (service.client(), service.server());
    let mut pending: Vec<_> = (0..8).map(|n| (n, client.try_request(n).unwrap())).collect();
    for _ in 0..10 {
        // Each of eight is taken once, though whoever was answered asks again at once.
        let mut seen = HashSet::new();
        for _ in 0..8 {
            let request = server.try_next().unwrap();
            let number = request.get();
            assert!(seen.insert(number), "{number} comes again before others came");
            request.reply(number).unwrap();
            let at = pending.iter().position(|(n, _)| *n == number).unwrap();
            assert_eq!(pending.swap_remove(at).1.try_get(), Ok(number));
            pending.push((number, client.try_request(number).unwrap()));
        }
    }
}

#[test]
fn each_wakes_whom_it_concerns() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let service = Service::<u32, u32>::create(region, "service", 2).unwrap();
    let client = service.client();
    thread::scope(|scope| {
        // Two servers sleep; a request wakes one of them.
        let servers = [(); 2].map(|()| {
            scope.spawn(|| {
                let server = service.server();
                let request = server.next().unwrap();
                let number = request.get();
                request.reply(number + 1)
            })
        });
        sleeper.until_asleep(2);
        assert_eq!(client.call(1), Ok(2));
        assert_eq!(sleeper.wakes().first(), Some(&1), "one server");
        assert_eq!(client.call(2), Ok(3));
        servers.into_iter().for_each(|server| server.join().unwrap().unwrap());
    });
    let server = service.server();
    let round = || {
        let pending = [client.try_request(1).unwrap(), client.try_request(2).unwrap()];
        (0..2).for_each(|_| server.try_next().unwrap().reply(3).unwrap());
        pending.into_iter().for_each(|pending| assert_eq!(pending.try_get(), Ok(3)));
    };
    // Nobody sleeps any more: the first round finds that out, and the next makes no call.
    round();
    sleeper.wakes();
    round();
    assert_eq!(sleeper.wakes(), []);
    thread::scope(|scope| {
        // A client that waits for a place, and one that waits for its answer.
        let (first, second) = (client.request(1).unwrap(), client.request(2).unwrap());
        let third = scope.spawn(|| client.request(3).map(drop));
        sleeper.until_asleep(1);
        drop(first);
        third.join().unwrap().unwrap();
        assert_eq!(sleeper.wakes().first(), Some(&1), "one client");
        let waiter = scope.spawn(move || second.get());
        sleeper.until_asleep(1);
        server.next().unwrap().reply(7).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(7));
    });
}

#[test]
fn closing_ends_all_waiting() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let service = Service::<u32, u32>::create(region, "service", 2).unwrap();
    let (client, server) = (service.client(), service.server());
    let first = client.request(1).unwrap();
    let request = server.next().unwrap();
    thread::scope(|scope| {
        let untaken = scope.spawn(|| client.call(2));
        sleeper.until_asleep(1);
        let placeless = scope.spawn(|| client.call(3));
        sleeper.until_asleep(2);
        service.close();
        assert_eq!(untaken.join().unwrap(), Err(CallError::Closed));
        assert_eq!(placeless.join().unwrap(), Err(CallError::Closed));
    });
    // What was taken is still answered.
    request.reply(9).unwrap();
    assert_eq!(first.get(), Ok(9));
    assert_eq!(server.next().unwrap_err(), NextError::Closed);
    assert_eq!(server.serve(|n| n), Ok(()));
    assert_eq!(client.try_request(4).unwrap_err(), CallError::Closed);
    let other = Service::<u32, u32>::create(region, "other", 2).unwrap();
    thread::scope(|scope| {
        let servers = [(); 3].map(|()| scope.spawn(|| other.server().serve(|n| n)));
        sleeper.until_asleep(3);
        other.close();
        servers.into_iter().for_each(|server| assert_eq!(server.join().unwrap(), Ok(())));
    });
}

#[test]
fn timeouts_are_never_early_and_cancel_the_call() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let service = Service::<u32, u32>::create(region, "service", 1).unwrap();
    let (client, server) = (service.client(), service.server());
    let late = |start: Instant| assert!(start.elapsed() >= SHORT, "never early");
    let start = Instant::now();
    assert_eq!(client.call_timeout(1, SHORT), Err(CallError::Timeout));
    late(start);
    assert_eq!(service.in_use(), 0, "withdrawn");
    let start = Instant::now();
    assert_eq!(server.next_timeout(SHORT).unwrap_err(), NextError::Timeout);
    late(start);
    let pending = client.try_request(1).unwrap();
    let request = server.try_next().unwrap();
    let start = Instant::now();
    assert_eq!(pending.get_timeout(SHORT), Err(CallError::Timeout));
    late(start);
    let start = Instant::now();
    assert_eq!(client.call_timeout(2, SHORT), Err(CallError::Timeout), "no place");
    late(start);
    drop(pending);
    assert!(request.is_cancelled());
    // The place is the server's until it lets go.
    assert_eq!(client.try_request(2).unwrap_err(), CallError::Full);
    assert_eq!(request.reply(1), Err(ReplyError::Cancelled));
    let pending = client.try_request(2).unwrap();
    server.try_next().unwrap().reply(3).unwrap();
    assert_eq!(pending.try_get(), Ok(3));
}

#[test]
fn the_calls_of_a_dead_server_fail() {
    let (sleeper, mortals) = (Sleeper::new(), Mortals::new());
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    Service::<u32, u32>::create(region, "service", 4).unwrap();
    let opened =
        |party| Service::<u32, u32>::open(mortals.region(region, party), "service").unwrap();
    let (dead, alive, client) = (opened(3).server(), opened(4).server(), opened(5).client());
    let (taken, polled) = (client.request(1).unwrap(), client.request(2).unwrap());
    let requests = [dead.next().unwrap(), dead.next().unwrap()];
    assert_eq!(requests[0].client(), PartyId::new(5));
    let queued = client.request(3).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| taken.get());
        sleeper.until_asleep(1);
        mortals.kill(3);
        assert_eq!(waiter.join().unwrap(), Err(CallError::Broken));
    });
    // It asked for no time, and that is enough to learn of the death.
    assert_eq!(polled.try_get(), Err(CallError::Pending));
    assert_eq!(polled.get_timeout(Duration::ZERO), Err(CallError::Broken));
    assert_eq!(polled.try_get(), Err(CallError::Broken));
    // What was not taken is there for others.
    let request = alive.next().unwrap();
    assert_eq!(request.get(), 3);
    request.reply(30).unwrap();
    assert_eq!(queued.get(), Ok(30));
    // It was not dead after all, but it is too late.
    for request in requests {
        assert_eq!(request.reply(1), Err(ReplyError::Broken));
    }
    drop((taken, polled, queued));
    assert_eq!(opened(6).in_use(), 0);
}

#[test]
fn the_places_of_the_dead_come_back() {
    let (sleeper, mortals) = (Sleeper::new(), Mortals::new());
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let capacity = 6;
    Service::<u32, u32>::create(region, "service", capacity).unwrap();
    let opened =
        |party| Service::<u32, u32>::open(mortals.region(region, party), "service").unwrap();
    let (doomed, alive) = (opened(1).client(), opened(2).client());
    let (server, dead_server) = (opened(3).server(), opened(4).server());
    // Of the dead client: answered, taken by a living server, by a dead one, abandoned with a dead one, requested.
    let calls: Vec<_> = (0..4).map(|n| doomed.try_request(n).unwrap()).collect();
    server.try_next().unwrap().reply(0).unwrap();
    let slow = server.try_next().unwrap();
    let lost = [dead_server.try_next().unwrap(), dead_server.try_next().unwrap()];
    let abandoned = lost[1].get() as usize;
    let mut kept: Vec<_> = calls.into_iter().enumerate().collect();
    drop(kept.remove(abandoned));
    let untaken = doomed.try_request(4).unwrap();
    let theirs = alive.try_request(5).unwrap();
    assert_eq!(alive.try_request(6).unwrap_err(), CallError::Full);
    assert_eq!(opened(2).reclaim(), 0, "nobody is dead");
    std::mem::forget((kept, untaken, lost));
    mortals.kill(1);
    mortals.kill(4);
    // A client that waits for a place finds them by itself.
    let more = alive.request(6).unwrap();
    let service = opened(2);
    assert_eq!(service.in_use(), 3, "the living client's two, and what the slow server has");
    assert_eq!(service.reclaim(), 0);
    assert_eq!(slow.reply(7), Ok(()), "it cannot know");
    assert_eq!(service.reclaim(), 1);
    for _ in 0..2 {
        let request = server.try_next().unwrap();
        let number = request.get();
        request.reply(number).unwrap();
    }
    assert_eq!((theirs.try_get(), more.try_get()), (Ok(5), Ok(6)));
    drop((theirs, more));
    assert_eq!(service.in_use(), 0);
}

#[test]
fn a_panic_of_the_server_breaks_the_call() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let service = Service::<u32, u32>::create(region, "service", 1).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            service.server().serve(|_| std::panic::resume_unwind(Box::new("no answer to that")))
        });
        assert_eq!(service.client().call(1), Err(CallError::Broken));
        assert!(server.join().is_err());
    });
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(8192);
    let region = memory.region(FormatOptions::new());
    let service = Service::<u32, u64>::open_or_create(region, "service", 2).unwrap();
    assert_eq!(service.capacity(), 2);
    let (client, server) = (service.client(), service.server());
    assert_eq!(client.call(1), Err(CallError::NoWaiter));
    assert_eq!(client.request(1).unwrap_err(), CallError::NoWaiter);
    assert_eq!(server.next().unwrap_err(), NextError::NoWaiter);
    assert_eq!(client.try_request(1).unwrap().get(), Err(CallError::NoWaiter));
    assert_eq!(service.in_use(), 0);
    let wrong = |error| matches!(error, StructureError::WrongElementSize { .. });
    assert!(wrong(Service::<u64, u64>::open(region, "service").unwrap_err()));
    assert!(wrong(Service::<u32, u32>::open(region, "service").unwrap_err()));
    assert!(matches!(
        Service::<u32, u64>::open_or_create(region, "service", 3).unwrap_err(),
        StructureError::WrongCapacity { expected: 3, found: 2, .. }
    ));
    for bad in [0, 65537, usize::MAX] {
        assert!(matches!(
            Service::<u32, u64>::create(region, "other", bad).unwrap_err(),
            StructureError::BadCapacity { min: 1, max: 65536, .. }
        ));
    }
    for error in [
        Service::<(), u64>::create(region, "other", 1).unwrap_err(),
        Service::<u64, ()>::create(region, "other", 1).unwrap_err(),
    ] {
        assert_eq!(error, StructureError::ZeroSizedElement);
    }
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    assert_eq!(
        Service::<u32, u64>::create(region, "service", 1).unwrap_err(),
        StructureError::NeedsCas { kind: Kind::SERVICE }
    );
    assert_eq!(Kind::SERVICE.bytes(), *b"SRVC");
}
