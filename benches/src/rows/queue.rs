//! Queue beside crossbeam's `ArrayQueue`: made for many producers and consumers, here with one of each.

use crossbeam_queue::ArrayQueue;
use zeroipc_nostd::Queue;

use super::{failed, region, Row, Target, Unit, CAPACITY};
use crate::duel::{duel, Outcome, Plan};
use crate::pinned::Failure;
use crate::shared::place;
use crate::windows::{of, Latency, Payload, Receiver, Sender, Solo, Throughput};

pub(super) const ROWS: [Row; 4] = [
    Row {
        name: "queue-8B-throughput",
        peer: "ArrayQueue",
        unit: Unit::Throughput,
        target: Target::AtLeast(1.0),
        run: throughput::<u64>,
    },
    Row {
        name: "queue-64B-throughput",
        peer: "ArrayQueue",
        unit: Unit::Throughput,
        target: Target::AtLeast(1.0),
        run: throughput::<[u64; 8]>,
    },
    Row {
        name: "queue-8B-latency",
        peer: "ArrayQueue",
        unit: Unit::Latency,
        target: Target::AtMost(0.7),
        run: latency::<u64>,
    },
    Row {
        name: "queue-8B-solo",
        peer: "ArrayQueue",
        unit: Unit::Solo,
        target: Target::AtMost(1.1),
        run: solo::<u64>,
    },
];

impl<T: Payload> Sender<T> for Queue<'_, T> {
    #[inline(always)]
    fn try_send(&mut self, value: T) -> bool {
        self.try_push(value).is_ok()
    }
}

impl<T: Payload> Receiver<T> for Queue<'_, T> {
    #[inline(always)]
    fn try_receive(&mut self) -> Option<T> {
        self.try_pop().ok()
    }
}

impl<T: Payload> Sender<T> for &'static ArrayQueue<T> {
    #[inline(always)]
    fn try_send(&mut self, value: T) -> bool {
        self.push(value).is_ok()
    }
}

impl<T: Payload> Receiver<T> for &'static ArrayQueue<T> {
    #[inline(always)]
    fn try_receive(&mut self) -> Option<T> {
        self.pop()
    }
}

fn ours<T: Payload>() -> Result<Queue<'static, T>, Failure> {
    Queue::create(region()?, "queue", CAPACITY).map_err(failed)
}

fn peer<T: Payload>() -> &'static ArrayQueue<T> {
    place(|| Box::leak(Box::new(ArrayQueue::new(CAPACITY))))
}

fn throughput<T: Payload>(plan: Plan) -> Result<Outcome, Failure> {
    let (ours, peer) = (ours::<T>()?, peer::<T>());
    let ours = of::<T, _>(Throughput { sender: ours, receiver: ours });
    duel(plan, ours, of::<T, _>(Throughput { sender: peer, receiver: peer }))
}

fn latency<T: Payload>(plan: Plan) -> Result<Outcome, Failure> {
    let twice = |link| (link, link);
    let ours = of::<T, _>(Latency { there: twice(ours::<T>()?), back: twice(ours::<T>()?) });
    let twice = |link| (link, link);
    duel(plan, ours, of::<T, _>(Latency { there: twice(peer::<T>()), back: twice(peer::<T>()) }))
}

fn solo<T: Payload>(plan: Plan) -> Result<Outcome, Failure> {
    let (ours, peer) = (ours::<T>()?, peer::<T>());
    let ours = of::<T, _>(Solo { sender: ours, receiver: ours });
    duel(plan, ours, of::<T, _>(Solo { sender: peer, receiver: peer }))
}
