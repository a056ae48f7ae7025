//! A Service across processes: each call is answered exactly to its caller, and the calls of a killed server fail fast.

use std::time::{Duration, Instant};
use zeroipc::{Array, CallError, Memory, NextError, Service};
use zeroipc_tests::deaths::Deaths;
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(60);

/// Who asks, and what.
type Question = [u64; 2];
/// The question, and a function of it.
type Answer = [u64; 4];
type Shared<'a> = Service<'a, Question, Answer>;

fn answer([who, what]: Question) -> Answer {
    [who, what, who ^ what, what.wrapping_mul(0x9E37_79B9_7F4A_7C15)]
}

/// In a child: the service as this party sees it, and a counter for each party.
fn with_service(part: &Part, body: impl FnOnce(Shared<'_>, Array<'_, u64>)) {
    let memory = Memory::open(&part.region).unwrap();
    let deaths = Deaths::open(&memory);
    let region = deaths.region(&memory, part.number as u32);
    body(Service::open(region, "service").unwrap(), Array::open(&memory, "counts").unwrap());
}

fn prepared(scratch: &Scratch, capacity: usize) -> Memory {
    let memory = Memory::create(scratch.name(), 1 << 18).unwrap();
    let _ = Deaths::create(&memory, 16);
    Shared::create(&memory, "service", capacity).unwrap();
    Array::<u64>::create(&memory, "counts", 16).unwrap();
    memory
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} takes too long");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Answers until the service is closed, and counts.
fn serve(part: &Part) {
    with_service(part, |service, counts| {
        let count = |question| {
            counts.fetch_add(part.number as usize, 1).unwrap();
            answer(question)
        };
        service.server().serve(count).unwrap();
    });
}

#[test]
fn three_clients_and_two_servers() {
    const CALLS: u64 = 33_400;
    let test = "three_clients_and_two_servers";
    if let Some(part) = part() {
        if part.role == "server" {
            return serve(&part);
        }
        return with_service(&part, |service, _| {
            let client = service.client();
            for what in 0..CALLS {
                let question = [part.number, what];
                assert_eq!(client.call_timeout(question, PATIENCE), Ok(answer(question)));
            }
        });
    }
    let scratch = Scratch::new();
    let memory = prepared(&scratch, 4);
    let mut servers = [4, 5].map(|number| Party::start(test, "server", number, scratch.name()));
    let mut clients = [1, 2, 3].map(|number| Party::start(test, "client", number, scratch.name()));
    clients.iter_mut().for_each(|client| client.finish(LIMIT));
    let service = Shared::open(&memory, "service").unwrap();
    service.close();
    servers.iter_mut().for_each(|server| server.finish(LIMIT));
    let counts = Array::<u64>::open(&memory, "counts").unwrap();
    let served = counts.load(4).unwrap() + counts.load(5).unwrap();
    assert_eq!(served, 3 * CALLS, "each call was answered once");
    assert_eq!(service.in_use(), 0);
}

/// One of two servers is killed again and again while clients call. A call either has its answer, or fails for the death.
#[test]
fn killed_servers_break_only_their_own_calls() {
    const ROUNDS: u64 = 5;
    let test = "killed_servers_break_only_their_own_calls";
    if let Some(part) = part() {
        if part.role == "server" {
            return serve(&part);
        }
        return with_service(&part, |service, counts| {
            let client = service.client();
            let mut broken = 0;
            for what in 0.. {
                let question = [part.number, what];
                // Several at once, so that a dying server is likely to have one.
                let calls = [(); 3].map(|()| client.request_timeout(question, PATIENCE).unwrap());
                for call in calls {
                    match call.get_timeout(PATIENCE) {
                        Ok(found) => assert_eq!(found, answer(question)),
                        Err(error) => {
                            assert_eq!(error, CallError::Broken);
                            broken += 1;
                        }
                    }
                }
                if counts.load(0) == Ok(1) {
                    break;
                }
            }
            // A server answers one at a time.
            assert!(broken <= ROUNDS, "{broken} calls failed");
        });
    }
    let scratch = Scratch::new();
    let memory = prepared(&scratch, 8);
    let deaths = Deaths::open(&memory);
    let counts = Array::<u64>::open(&memory, "counts").unwrap();
    let mut steady = Party::start(test, "server", 1, scratch.name());
    let mut clients = [2, 3].map(|number| Party::start(test, "client", number, scratch.name()));
    for doomed in 4..4 + ROUNDS {
        let mut server = Party::start(test, "server", doomed, scratch.name());
        until("serving", || counts.load(doomed as usize).unwrap() > 100);
        server.kill();
        deaths.mark(doomed as u32);
    }
    counts.store(0, 1).unwrap();
    clients.iter_mut().for_each(|client| client.finish(LIMIT));
    let service = Shared::open(deaths.region(&memory, 15), "service").unwrap();
    service.close();
    steady.finish(LIMIT);
    service.reclaim();
    assert_eq!(service.in_use(), 0);
}

/// A server is killed with three requests in hand; a fourth was not taken.
#[test]
fn a_killed_server_fails_fast() {
    let test = "a_killed_server_fails_fast";
    if let Some(part) = part() {
        if part.role == "server" {
            return serve(&part);
        }
        return with_service(&part, |service, counts| {
            let server = service.server();
            let _requests = [(); 3].map(|()| server.next_timeout(PATIENCE).unwrap());
            counts.store(1, 3).unwrap();
            loop {
                std::thread::sleep(PATIENCE);
            }
        });
    }
    let scratch = Scratch::new();
    let memory = prepared(&scratch, 4);
    let deaths = Deaths::open(&memory);
    let counts = Array::<u64>::open(&memory, "counts").unwrap();
    let service = Shared::open(deaths.region(&memory, 2), "service").unwrap();
    let client = service.client();
    let lost = [1, 2, 3].map(|what| client.request([2, what]).unwrap());
    let mut doomed = Party::start(test, "doomed", 1, scratch.name());
    until("taking", || counts.load(1) == Ok(3));
    let queued = client.request([2, 4]).unwrap();
    assert_eq!(queued.get_timeout(Duration::from_millis(20)), Err(CallError::Timeout));
    doomed.kill();
    deaths.mark(1);
    let start = Instant::now();
    for call in &lost {
        assert_eq!(call.get_timeout(PATIENCE), Err(CallError::Broken));
    }
    assert!(start.elapsed() < PATIENCE, "not by the time-out");
    let mut next = Party::start(test, "server", 3, scratch.name());
    assert_eq!(queued.get_timeout(PATIENCE), Ok(answer([2, 4])));
    service.close();
    next.finish(LIMIT);
}

/// Clients are killed in the middle of calls until more died than there are places: the next ones find places all the same.
#[test]
fn the_places_of_killed_clients_come_back() {
    let test = "the_places_of_killed_clients_come_back";
    const PLACES: usize = 2;
    if let Some(part) = part() {
        return with_service(&part, |service, counts| {
            let client = service.client();
            let _call = client.request_timeout([part.number, 1], PATIENCE).unwrap();
            counts.store(part.number as usize, 1).unwrap();
            loop {
                std::thread::sleep(PATIENCE);
            }
        });
    }
    let scratch = Scratch::new();
    let memory = prepared(&scratch, PLACES);
    let deaths = Deaths::open(&memory);
    let counts = Array::<u64>::open(&memory, "counts").unwrap();
    let server = Shared::open(deaths.region(&memory, 15), "service").unwrap().server();
    for number in 1..=3 * PLACES as u64 {
        let mut doomed = Party::start(test, "doomed", number, scratch.name());
        until("asking", || counts.load(number as usize) == Ok(1));
        // Of every second a server has the request in hand, and answers it after the death.
        let request = if number % 2 == 0 { server.try_next().ok() } else { None };
        doomed.kill();
        deaths.mark(number as u32);
        if let Some(request) = request {
            let question = request.get();
            assert_eq!(request.reply(answer(question)), Ok(()), "it cannot know");
        }
    }
    let service = Shared::open(deaths.region(&memory, 15), "service").unwrap();
    service.reclaim();
    assert_eq!(service.in_use(), 0);
    assert_eq!(server.try_next().unwrap_err(), NextError::Empty);
}
