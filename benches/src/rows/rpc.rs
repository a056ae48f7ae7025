//! Service: half of a round trip, beside a ping-pong written by hand, and beside a Queue of requests with a Future for the answer.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use zeroipc_nostd::{Client, Future, Queue, Server, Service};

use super::{failed, region, Row, Target, Unit};
use crate::duel::{duel, Contender, Outcome, Plan};
use crate::pinned::Failure;
use crate::shared::place;

pub(super) const ROWS: [Row; 2] = [
    Row {
        name: "rpc-8B-latency",
        peer: "ping-pong by hand",
        unit: Unit::Latency,
        target: Target::AtMost(3.0),
        run: beside_ping_pong,
    },
    Row {
        name: "rpc-8B-latency-composed",
        peer: "Queue and Future",
        unit: Unit::Latency,
        target: Target::AtMost(0.9),
        run: beside_queue_and_future,
    },
];

/// Places for calls.
const CALLS: usize = 16;

struct Ours {
    client: Client<'static, u64, u64>,
    server: Server<'static, u64, u64>,
}

impl Contender for Ours {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        (0..count / 2).all(|number| self.client.call(number) == Ok(!number))
    }

    #[inline(never)]
    fn follow(&mut self, count: u64) {
        for _ in 0..count / 2 {
            if let Ok(request) = self.server.next() {
                let number = request.get();
                let _ = request.reply(!number);
            }
        }
    }
}

/// A message in a line of its own: the least that two parties need.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Message {
    turn: AtomicU64,
    number: AtomicU64,
}

#[derive(Debug, Default)]
struct PingPong {
    ping: Message,
    pong: Message,
}

impl Message {
    #[inline(always)]
    fn send(&self, number: u64) {
        self.number.store(number, Relaxed);
        self.turn.store(self.turn.load(Relaxed) + 1, Release);
    }

    #[inline(always)]
    fn receive(&self, turn: u64) -> u64 {
        while self.turn.load(Acquire) != turn {
            spin_loop();
        }
        self.number.load(Relaxed)
    }
}

impl Contender for &'static PingPong {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        let first = self.ping.turn.load(Relaxed) + 1;
        (0..count / 2).all(|number| {
            self.ping.send(number);
            self.pong.receive(first + number) == !number
        })
    }

    #[inline(never)]
    fn follow(&mut self, count: u64) {
        let first = self.pong.turn.load(Relaxed) + 1;
        for turn in first..first + count / 2 {
            let number = self.ping.receive(turn);
            self.pong.send(!number);
        }
    }
}

/// The same from the structures that there are: what a call costs if its place comes through a queue.
struct Composed {
    requests: Queue<'static, [u64; 2]>,
    slot: Future<'static, u64>,
}

impl Contender for Composed {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        (0..count / 2).all(|number| {
            let Ok(slot) = self.slot.latest().reset() else { return false };
            self.requests.push([slot.generation(), number]).is_ok() && slot.get() == Ok(!number)
        })
    }

    #[inline(never)]
    fn follow(&mut self, count: u64) {
        for _ in 0..count / 2 {
            if let Ok([generation, number]) = self.requests.pop() {
                if let Ok(promise) = self.slot.at_generation(generation).promise() {
                    let _ = promise.set(!number);
                }
            }
        }
    }
}

fn ours() -> Result<Ours, Failure> {
    let service = Service::create(region()?, "service", CALLS).map_err(failed)?;
    Ok(Ours { client: service.client(), server: service.server() })
}

fn beside_ping_pong(plan: Plan) -> Result<Outcome, Failure> {
    let peer: &'static PingPong = place(|| Box::leak(Box::default()));
    duel(plan, ours()?, peer)
}

fn beside_queue_and_future(plan: Plan) -> Result<Outcome, Failure> {
    let region = region()?;
    let requests = Queue::create(region, "requests", CALLS).map_err(failed)?;
    let slot = Future::create(region, "slot").map_err(failed)?;
    duel(plan, ours()?, Composed { requests, slot })
}
