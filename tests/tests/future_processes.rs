//! A Future across processes: one set wakes all that wait, a killed party breaks its promise, and slots serve one request after
//! another.

use std::time::{Duration, Instant};
use zeroipc::{Array, Future, FutureError, FutureState, Liveness, Memory, PartyId};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::scratch::Scratch;

const READERS: u64 = 4;
const LIMIT: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(60);

type Block = [u64; 16];

/// What the supervisor has learnt from `waitpid`: element i is 1 once party i is dead.
#[derive(Debug)]
struct Told<'a>(Array<'a, u32>);

impl Liveness for Told<'_> {
    fn is_dead(&self, party: PartyId) -> bool {
        self.0.load(party.number() as usize) == Ok(1)
    }
}

/// In a child: the future of this test, as this party sees it.
fn with_future(part: &Part, body: impl FnOnce(Future<'_, Block>, Array<'_, u32>)) {
    let memory = Memory::open(&part.region).unwrap();
    let told = Told(Array::open(&memory, "dead").unwrap());
    let me = PartyId::new(part.number as u32).unwrap();
    let region = memory.region().with_party(me, &told);
    body(Future::open(region, "future").unwrap(), Array::open(&memory, "ready").unwrap());
}

/// In the parent: the region, and what all share.
fn prepared(scratch: &Scratch) -> Memory {
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    Future::<Block>::create(&memory, "future").unwrap();
    Array::<u32>::create(&memory, "dead", 16).unwrap();
    Array::<u32>::create(&memory, "ready", 16).unwrap();
    memory
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} takes too long");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Readers that wait for `expected` in processes of their own, and say when they begin.
fn readers(test: &str, scratch: &Scratch, memory: &Memory) -> Vec<Party> {
    let readers =
        (1..=READERS).map(|number| Party::start(test, "reader", number, scratch.name())).collect();
    let ready = Array::<u32>::open(memory, "ready").unwrap();
    until("starting", || (1..=READERS as usize).all(|reader| ready.load(reader) == Ok(1)));
    // Most sleep by then; if not they are told all the same.
    std::thread::sleep(Duration::from_millis(20));
    readers
}

fn read(part: &Part, expected: Result<Block, FutureError>) {
    with_future(part, |future, ready| {
        ready.store(part.number as usize, 1).unwrap();
        assert_eq!(future.get_timeout(PATIENCE), expected);
    });
}

#[test]
fn one_set_wakes_four_readers() {
    const VALUE: Block = [0x0123_4567_89AB_CDEF; 16];
    if let Some(part) = part() {
        return read(&part, Ok(VALUE));
    }
    let scratch = Scratch::new();
    let memory = prepared(&scratch);
    let promise = Future::<Block>::open(&memory, "future").unwrap().promise().unwrap();
    let mut readers = readers("one_set_wakes_four_readers", &scratch, &memory);
    promise.set(VALUE).unwrap();
    readers.iter_mut().for_each(|reader| reader.finish(LIMIT));
}

#[test]
fn a_killed_party_breaks_its_promise() {
    const DOOMED: u64 = 9;
    let test = "a_killed_party_breaks_its_promise";
    if let Some(part) = part() {
        if part.role == "reader" {
            return read(&part, Err(FutureError::Broken));
        }
        return with_future(&part, |future, _| {
            let _promise = future.promise().unwrap();
            loop {
                std::thread::sleep(PATIENCE);
            }
        });
    }
    let scratch = Scratch::new();
    let memory = prepared(&scratch);
    let future = Future::<Block>::open(&memory, "future").unwrap();
    let mut doomed = Party::start(test, "doomed", DOOMED, scratch.name());
    let owner = PartyId::new(DOOMED as u32);
    until("promising", || future.state() == Ok(FutureState::Promised { owner }));
    let mut readers = readers(test, &scratch, &memory);
    doomed.kill();
    let dead = Array::<u32>::open(&memory, "dead").unwrap();
    dead.store(DOOMED as usize, 1).unwrap();
    readers.iter_mut().for_each(|reader| reader.finish(LIMIT));
    assert_eq!(future.state(), Ok(FutureState::Broken));
    // The slot is good for another use.
    let told = Told(dead);
    let region = memory.region().with_party(PartyId::new(10).unwrap(), &told);
    let next = Future::<Block>::open(region, "future").unwrap().reset().unwrap();
    next.promise().unwrap().set([5; 16]).unwrap();
    assert_eq!(next.try_get(), Ok([5; 16]));
}

/// A server in another process answers by generation; every third request is given up before the answer comes.
#[test]
fn requests_and_responses() {
    const REQUESTS: u64 = 3000;
    if let Some(part) = part() {
        return with_future(&part, |future, _| {
            let memory = Memory::open(&part.region).unwrap();
            let requests = zeroipc::Queue::<[u64; 2]>::open(&memory, "requests").unwrap();
            loop {
                let [generation, question] = requests.pop_timeout(PATIENCE).unwrap();
                if question == u64::MAX {
                    return;
                }
                if let Ok(promise) = future.at_generation(generation).promise() {
                    let _ = promise.set([question; 16]);
                }
            }
        });
    }
    let scratch = Scratch::new();
    let memory = prepared(&scratch);
    let requests = zeroipc::Queue::<[u64; 2]>::create(&memory, "requests", 16).unwrap();
    let mut slot = Future::<Block>::open(&memory, "future").unwrap();
    let mut server = Party::start("requests_and_responses", "server", 1, scratch.name());
    for question in 0..REQUESTS {
        slot = slot.reset().unwrap();
        requests.push([slot.generation(), question]).unwrap();
        if question % 3 != 0 {
            assert_eq!(slot.get_timeout(PATIENCE), Ok([question; 16]));
        }
    }
    requests.push([0, u64::MAX]).unwrap();
    server.finish(LIMIT);
}
