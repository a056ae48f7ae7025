//! Ring beside `rtrb`: one producer, one consumer.

use zeroipc_nostd::{Consumer, Producer, Ring};

use super::{failed, region, Row, Target, Unit, CAPACITY};
use crate::duel::{duel, Outcome, Plan};
use crate::pinned::Failure;
use crate::shared::place;
use crate::windows::{of, Latency, Payload, Receiver, Sender, Throughput};

pub(super) const ROWS: [Row; 3] = [
    Row {
        name: "ring-8B-throughput",
        peer: "rtrb",
        unit: Unit::Throughput,
        target: Target::AtLeast(0.9),
        run: throughput::<u64>,
    },
    Row {
        name: "ring-64B-throughput",
        peer: "rtrb",
        unit: Unit::Throughput,
        target: Target::AtLeast(0.9),
        run: throughput::<[u64; 8]>,
    },
    Row {
        name: "ring-8B-latency",
        peer: "rtrb",
        unit: Unit::Latency,
        target: Target::AtMost(1.1),
        run: latency::<u64>,
    },
];

impl<T: Payload> Sender<T> for Producer<'_, T> {
    #[inline(always)]
    fn try_send(&mut self, value: T) -> bool {
        self.try_push(value).is_ok()
    }
}

impl<T: Payload> Receiver<T> for Consumer<'_, T> {
    #[inline(always)]
    fn try_receive(&mut self) -> Option<T> {
        self.try_pop().ok()
    }
}

impl<T: Payload> Sender<T> for rtrb::Producer<T> {
    #[inline(always)]
    fn try_send(&mut self, value: T) -> bool {
        self.push(value).is_ok()
    }
}

impl<T: Payload> Receiver<T> for rtrb::Consumer<T> {
    #[inline(always)]
    fn try_receive(&mut self) -> Option<T> {
        self.pop().ok()
    }
}

type Ours<T> = (Producer<'static, T>, Consumer<'static, T>);

fn ours<T: Payload>() -> Result<Ours<T>, Failure> {
    let ring = Ring::<T>::create(region()?, "ring", CAPACITY).map_err(failed)?;
    Ok((ring.producer().map_err(failed)?, ring.consumer().map_err(failed)?))
}

fn peer<T: Payload>() -> (rtrb::Producer<T>, rtrb::Consumer<T>) {
    place(|| rtrb::RingBuffer::new(CAPACITY))
}

fn throughput<T: Payload>(plan: Plan) -> Result<Outcome, Failure> {
    let (producer, consumer) = ours::<T>()?;
    let ours = of::<T, _>(Throughput { sender: producer, receiver: consumer });
    let (producer, consumer) = peer::<T>();
    duel(plan, ours, of::<T, _>(Throughput { sender: producer, receiver: consumer }))
}

fn latency<T: Payload>(plan: Plan) -> Result<Outcome, Failure> {
    let ours = of::<T, _>(Latency { there: ours::<T>()?, back: ours::<T>()? });
    duel(plan, ours, of::<T, _>(Latency { there: peer::<T>(), back: peer::<T>() }))
}
