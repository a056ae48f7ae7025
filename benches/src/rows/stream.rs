//! Stream: with one subscriber beside `rtrb`, and with more subscribers beside itself with one.

use zeroipc_nostd::{NextError, Publisher, Stream, StreamOptions, Subscriber};

use super::{failed, region, Row, Target, Unit, CAPACITY};
use crate::duel::{duel, Contender, Outcome, Plan};
use crate::pinned::Failure;
use crate::shared::place;
use crate::windows::{of, Latency, Payload, Receiver, Sender, Throughput};

pub(super) const ROWS: [Row; 6] = [
    Row {
        name: "stream-8B-throughput",
        peer: "rtrb",
        unit: Unit::Throughput,
        target: Target::AtLeast(0.5),
        run: throughput,
    },
    Row {
        name: "stream-8B-latency",
        peer: "rtrb",
        unit: Unit::Latency,
        target: Target::AtMost(1.1),
        run: single_latency,
    },
    Row {
        name: "stream-many-8B-latency",
        peer: "rtrb",
        unit: Unit::Latency,
        target: Target::AtMost(1.25),
        run: many_latency,
    },
    Row {
        name: "stream-emit-2-subscribers",
        peer: "1 subscriber",
        unit: Unit::Solo,
        target: Target::AtMost(1.15),
        run: crowd::<2>,
    },
    Row {
        name: "stream-emit-4-subscribers",
        peer: "1 subscriber",
        unit: Unit::Solo,
        target: Target::AtMost(1.15),
        run: crowd::<4>,
    },
    Row {
        name: "stream-emit-8-subscribers",
        peer: "1 subscriber",
        unit: Unit::Solo,
        target: Target::AtMost(1.15),
        run: crowd::<8>,
    },
];

impl<T: Payload> Sender<T> for Publisher<'_, T> {
    #[inline(always)]
    fn try_send(&mut self, value: T) -> bool {
        self.try_emit(value).is_ok()
    }
}

impl<T: Payload> Sender<T> for Stream<'_, T> {
    #[inline(always)]
    fn try_send(&mut self, value: T) -> bool {
        self.try_emit(value).is_ok()
    }
}

impl<T: Payload> Receiver<T> for Subscriber<'_, T> {
    #[inline(always)]
    fn try_receive(&mut self) -> Option<T> {
        self.try_next().ok()
    }
}

type Rtrb = (rtrb::Producer<u64>, rtrb::Consumer<u64>);

fn peer() -> Rtrb {
    place(|| rtrb::RingBuffer::new(CAPACITY))
}

fn stream(options: StreamOptions) -> Result<Stream<'static, u64>, Failure> {
    Stream::create_with(region()?, "stream", CAPACITY, &options).map_err(failed)
}

type Ours = (Publisher<'static, u64>, Subscriber<'static, u64>);

fn single(options: StreamOptions) -> Result<Ours, Failure> {
    let stream = stream(options.single_publisher())?;
    let subscriber = stream.subscribe().map_err(failed)?;
    Ok((stream.publisher().map_err(failed)?, subscriber))
}

fn many() -> Result<(Stream<'static, u64>, Subscriber<'static, u64>), Failure> {
    let stream = stream(StreamOptions::new())?;
    Ok((stream, stream.subscribe().map_err(failed)?))
}

/// With backpressure, since the window counts what arrives.
fn throughput(plan: Plan) -> Result<Outcome, Failure> {
    let (sender, receiver) = single(StreamOptions::new().backpressure(1))?;
    let ours = of::<u64, _>(Throughput { sender, receiver });
    let (sender, receiver) = peer();
    duel(plan, ours, of::<u64, _>(Throughput { sender, receiver }))
}

fn single_latency(plan: Plan) -> Result<Outcome, Failure> {
    let end = || single(StreamOptions::new());
    let ours = of::<u64, _>(Latency { there: end()?, back: end()? });
    duel(plan, ours, of::<u64, _>(Latency { there: peer(), back: peer() }))
}

fn many_latency(plan: Plan) -> Result<Outcome, Failure> {
    let ours = of::<u64, _>(Latency { there: many()?, back: many()? });
    duel(plan, ours, of::<u64, _>(Latency { there: peer(), back: peer() }))
}

/// The leader publishes without waiting; N subscribers in the follower's process take in turn, and miss what they cannot keep up
/// with. An operation is an emit.
#[derive(Debug)]
struct Crowd<const N: usize> {
    publisher: Publisher<'static, u64>,
    subscribers: [Subscriber<'static, u64>; N],
}

impl<const N: usize> Crowd<N> {
    fn new() -> Result<Self, Failure> {
        let (publisher, first) = single(StreamOptions::new())?;
        let mut subscribers = vec![first];
        while subscribers.len() < N {
            subscribers.push(publisher.stream().subscribe().map_err(failed)?);
        }
        match subscribers.try_into() {
            Ok(subscribers) => Ok(Crowd { publisher, subscribers }),
            Err(_) => Err(Failure::Build("a wrong number of subscribers".to_owned())),
        }
    }
}

impl<const N: usize> Contender for Crowd<N> {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        (0..count).all(|number| self.publisher.try_emit(number).is_ok())
    }

    #[inline(never)]
    fn follow(&mut self, count: u64) {
        let ends = self.subscribers.each_ref().map(|subscriber| subscriber.sequence());
        let end = ends.into_iter().fold(0, u64::max) + count;
        let mut all_there = false;
        while !all_there {
            all_there = true;
            for subscriber in &mut self.subscribers {
                if let Err(NextError::Corrupt) = subscriber.try_next() {
                    return;
                }
                all_there &= subscriber.sequence() >= end;
            }
        }
    }
}

fn crowd<const N: usize>(plan: Plan) -> Result<Outcome, Failure> {
    duel(plan, Crowd::<N>::new()?, Crowd::<1>::new()?)
}
