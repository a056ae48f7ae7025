//! Wake-ups of Channel, Event and Future between two processes, and what a select over sixteen channels costs.
//!
//! *Spinning*: the waiting form, while both sides still look, beside the same structure polled by its `try_` form: what waiting adds, in
//! hops. *Asleep*: from just before the call that wakes to the return of the call that waited, when the waiter has been idle for 6 ms,
//! beside a bare futex woken in that state, in turn with it in the same run.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Release};
use std::time::{Duration, Instant};

use rustix::thread::futex;
use rustix::time::{clock_gettime, ClockId};
use zeroipc_nostd::{
    try_select, Channel, Event, EventMode, Future, Promise, Region, Selectable, WaitError,
};
use zeroipc_posix::Futex;

use super::{failed, region, Row, Target, Unit};
use crate::duel::{duel, Contender, Outcome, Plan, Sample};
use crate::hop::Hop;
use crate::pinned::{run_pair, times_lost, Failure, Side};
use crate::shared::place;
use crate::windows::{of, Latency, Receiver, Sender};

const fn spinning(name: &'static str, run: fn(Plan) -> Result<Outcome, Failure>) -> Row {
    Row { name, peer: "polled", unit: Unit::Latency, target: Target::Over(1.5), run }
}

const fn asleep(name: &'static str, run: fn(Plan) -> Result<Outcome, Failure>) -> Row {
    Row { name, peer: "futex", unit: Unit::Asleep, target: Target::AtMost(1.1), run }
}

pub(super) const ROWS: [Row; 9] = [
    spinning("channel-spinning", |plan| spin(plan, channel::<true>, channel::<false>)),
    spinning("rendezvous-spinning", |plan| spin(plan, rendezvous::<true>, rendezvous::<false>)),
    spinning("event-spinning", |plan| spin(plan, event::<true>, event::<false>)),
    spinning("future-spinning", |plan| spin(plan, future::<true>, future::<false>)),
    asleep("channel-asleep", |plan| sleep(plan, channel::<true>(sleeping()?)?)),
    asleep("rendezvous-asleep", |plan| sleep(plan, rendezvous::<true>(sleeping()?)?)),
    asleep("event-asleep", |plan| sleep(plan, event::<true>(sleeping()?)?)),
    asleep("future-asleep", |plan| sleep(plan, promised(sleeping()?)?)),
    Row {
        name: "select-16-channels",
        peer: "crossbeam-channel",
        unit: Unit::Solo,
        target: Target::AtMost(1.0),
        run: select,
    },
];

/// Both ends of something that carries numbers; waits if `WAITS`, and otherwise only tries.
#[derive(Debug)]
struct End<S, const WAITS: bool>(S);

type Pair<S, R, const WAITS: bool> = (End<S, WAITS>, End<R, WAITS>);

/// Fresh regions for one way, made in shared memory.
type Make<S, R, const WAITS: bool> = fn(Region<'static>) -> Result<Pair<S, R, WAITS>, Failure>;

fn spin<S, R>(
    plan: Plan,
    ours: Make<S, R, true>,
    peer: Make<S, R, false>,
) -> Result<Outcome, Failure>
where
    End<S, true>: Sender<u64>,
    End<R, true>: Receiver<u64>,
    End<S, false>: Sender<u64>,
    End<R, false>: Receiver<u64>,
{
    let ours = of::<u64, _>(Latency { there: ours(region()?)?, back: ours(region()?)? });
    duel(plan, ours, of::<u64, _>(Latency { there: peer(region()?)?, back: peer(region()?)? }))
}

/// A region whose waiters sleep.
fn sleeping() -> Result<Region<'static>, Failure> {
    static FUTEX: Futex = Futex;
    Ok(region()?.with_notifier(&FUTEX))
}

type Numbers = Channel<'static, u64>;

fn channel<const WAITS: bool>(
    region: Region<'static>,
) -> Result<Pair<Numbers, Numbers, WAITS>, Failure> {
    let channel = Channel::create(region, "channel", 1024).map_err(failed)?;
    Ok((End(channel), End(channel)))
}

fn rendezvous<const WAITS: bool>(
    region: Region<'static>,
) -> Result<Pair<Meeting, Numbers, WAITS>, Failure> {
    let channel = Channel::create(region, "channel", 0).map_err(failed)?;
    Ok((End(Meeting(channel)), End(channel)))
}

/// A channel without a buffer, on which even the polled form must wait on one side: it sends, so that trying to receive succeeds.
#[derive(Debug)]
struct Meeting(Numbers);

impl<const WAITS: bool> Sender<u64> for End<Numbers, WAITS> {
    #[inline(always)]
    fn try_send(&mut self, value: u64) -> bool {
        if WAITS {
            self.0.send(value).is_ok()
        } else {
            self.0.try_send(value).is_ok()
        }
    }
}

impl<const WAITS: bool> Sender<u64> for End<Meeting, WAITS> {
    #[inline(always)]
    fn try_send(&mut self, value: u64) -> bool {
        self.0 .0.send(value).is_ok()
    }
}

impl<const WAITS: bool> Receiver<u64> for End<Numbers, WAITS> {
    #[inline(always)]
    fn try_receive(&mut self) -> Option<u64> {
        if WAITS {
            self.0.recv().ok()
        } else {
            self.0.try_recv().ok()
        }
    }
}

/// An event, and a word that it says something about.
#[derive(Debug, Clone, Copy)]
struct Told {
    event: Event<'static>,
    number: &'static AtomicU64,
}

fn event<const WAITS: bool>(region: Region<'static>) -> Result<Pair<Told, Told, WAITS>, Failure> {
    let event = Event::create(region, "event", EventMode::Automatic).map_err(failed)?;
    let told = Told { event, number: place(|| Box::leak(Box::default())) };
    Ok((End(told), End(told)))
}

impl<const WAITS: bool> Sender<u64> for End<Told, WAITS> {
    #[inline(always)]
    fn try_send(&mut self, value: u64) -> bool {
        self.0.number.store(value, Release);
        self.0.event.set();
        true
    }
}

impl<const WAITS: bool> Receiver<u64> for End<Told, WAITS> {
    #[inline(always)]
    fn try_receive(&mut self) -> Option<u64> {
        let told = if WAITS {
            self.0.event.wait() != Err(WaitError::Timeout)
        } else {
            self.0.event.try_wait()
        };
        told.then(|| self.0.number.load(Acquire))
    }
}

type Answer = Future<'static, u64>;

fn future<const WAITS: bool>(
    region: Region<'static>,
) -> Result<Pair<Answer, Answer, WAITS>, Failure> {
    let future = Future::create(region, "future").map_err(failed)?;
    Ok((End(future), End(future)))
}

/// Each generation carries one number; who got it begins the next.
impl<const WAITS: bool> Sender<u64> for End<Answer, WAITS> {
    #[inline(always)]
    fn try_send(&mut self, value: u64) -> bool {
        let sent = self.0.promise().is_ok_and(|promise| promise.set(value).is_ok());
        if sent {
            self.0 = self.0.at_generation(self.0.generation() + 1);
        }
        sent
    }
}

impl<const WAITS: bool> Receiver<u64> for End<Answer, WAITS> {
    #[inline(always)]
    fn try_receive(&mut self) -> Option<u64> {
        let value = if WAITS { self.0.get().ok()? } else { self.0.try_get().ok()? };
        self.0 = self.0.reset().ok()?;
        Some(value)
    }
}

/// A future of which the promise was taken, and is begun anew, while nobody waits.
#[derive(Debug)]
struct Promised {
    future: Answer,
    promise: Option<Promise<'static, u64>>,
}

fn promised(region: Region<'static>) -> Result<Pair<Promised, Promised, true>, Failure> {
    let future = Future::create(region, "future").map_err(failed)?;
    let end = || End(Promised { future, promise: None });
    Ok((end(), end()))
}

impl Sender<u64> for End<Promised, true> {
    fn get_ready(&mut self) {
        self.0.promise = self.0.future.promise().ok();
    }

    #[inline(always)]
    fn try_send(&mut self, value: u64) -> bool {
        let sent = self.0.promise.take().is_some_and(|promise| promise.set(value).is_ok());
        self.0.future = self.0.future.at_generation(self.0.future.generation() + 1);
        sent
    }
}

impl Receiver<u64> for End<Promised, true> {
    #[inline(always)]
    fn try_receive(&mut self) -> Option<u64> {
        self.0.future.get().ok()
    }

    fn tidy(&mut self) {
        if let Ok(next) = self.0.future.reset() {
            self.0.future = next;
        }
    }
}

/// So long is the waiter idle before it is woken: 5 ms, and some for being slow to fall asleep.
const IDLE: Duration = Duration::from_millis(6);

/// Room for so many wake-ups of each.
const MOST: usize = 1 << 12;

/// What the two processes share while one sleeps.
#[derive(Debug)]
struct Bed {
    word: AtomicU32,
    /// When the follower was awake, in nanoseconds; 0 until then.
    awake: AtomicU64,
    hop: Hop,
    lost: AtomicU64,
    stop: AtomicBool,
    wrong: AtomicBool,
    count: AtomicU64,
    /// Bits of hop, ours and the futex's, and whether it was disturbed.
    figures: Vec<[AtomicU64; 4]>,
}

fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The bare futex: sleeps until the word is `turn`.
fn wait_for(word: &AtomicU32, turn: u32) {
    loop {
        let seen = word.load(Acquire);
        if seen == turn {
            return;
        }
        let _ = futex::wait(word, futex::Flags::empty(), seen, None);
    }
}

/// The follower sleeps, the leader wakes it, by ours and by a futex in turn.
fn sleep<S, R>(plan: Plan, pair: Pair<S, R, true>) -> Result<Outcome, Failure>
where
    End<S, true>: Sender<u64>,
    End<R, true>: Receiver<u64>,
{
    let bed = place(|| {
        Box::new(Bed {
            word: AtomicU32::new(0),
            awake: AtomicU64::new(0),
            hop: Hop::default(),
            lost: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            wrong: AtomicBool::new(false),
            count: AtomicU64::new(0),
            figures: (0..MOST).map(|_| Default::default()).collect(),
        })
    });
    let (mut sender, mut receiver) = pair;
    let limit = plan.budget * 10 + Duration::from_secs(10);
    run_pair(plan.cores, limit, |side| match side {
        Side::Leader => wake(&bed, plan.budget, &mut sender),
        Side::Follower => lie(&bed, &mut receiver),
    })?;
    let count = bed.count.load(Acquire) as usize;
    let nanos = |figure: &AtomicU64| f64::from_bits(figure.load(Acquire));
    let samples = bed.figures.iter().take(count).map(|[hop, ours, peer, disturbed]| Sample {
        hop: nanos(hop),
        ours: nanos(ours),
        peer: nanos(peer),
        disturbed: disturbed.load(Acquire) != 0,
    });
    Ok(Outcome { samples: samples.collect(), wrong: bed.wrong.load(Acquire) })
}

fn lie(bed: &Bed, receiver: &mut impl Receiver<u64>) {
    for turn in 1.. {
        let value = receiver.try_receive();
        bed.awake.store(now(), Release);
        if value != Some(turn) {
            bed.wrong.store(true, Release);
        }
        receiver.tidy();
        bed.hop.follow();
        wait_for(&bed.word, turn as u32);
        bed.lost.store(times_lost(), Release);
        bed.awake.store(now(), Release);
        if bed.stop.load(Acquire) {
            return;
        }
    }
}

fn wake(bed: &Bed, budget: Duration, sender: &mut impl Sender<u64>) {
    let start = Instant::now();
    let mut lost = 0;
    for (turn, figures) in (1_u64..).zip(&bed.figures) {
        let last = turn as usize == MOST || start.elapsed() >= budget;
        sender.get_ready();
        let ours = until_awake(bed, || _ = sender.try_send(black_box(turn)));
        let hop = bed.hop.lead();
        let peer = until_awake(bed, || {
            bed.stop.store(last, Release);
            bed.word.store(turn as u32, Release);
            let _ = futex::wake(&bed.word, futex::Flags::empty(), 1);
        });
        let lost_now = bed.lost.load(Acquire) + times_lost();
        let disturbed = u64::from(std::mem::replace(&mut lost, lost_now) != lost_now);
        let bits = [hop.to_bits(), ours.to_bits(), peer.to_bits(), disturbed];
        figures.iter().zip(bits).for_each(|(figure, bits)| figure.store(bits, Release));
        bed.count.store(turn, Release);
        if last {
            return;
        }
    }
}

/// Nanoseconds from here until the other is awake by `wake`.
fn until_awake(bed: &Bed, wake: impl FnOnce()) -> f64 {
    bed.awake.store(0, Release);
    std::thread::sleep(IDLE);
    let start = now();
    wake();
    loop {
        match bed.awake.load(Acquire) {
            0 => std::hint::spin_loop(),
            awake => return awake.saturating_sub(start) as f64,
        }
    }
}

/// How many channels a select selects from.
const CHANNELS: usize = 16;

/// Sixteen channels in this process, one of which has something in turn.
#[derive(Debug)]
struct Ours(Vec<Numbers>);

#[derive(Debug)]
struct Theirs(Vec<(crossbeam_channel::Sender<u64>, crossbeam_channel::Receiver<u64>)>);

impl Contender for Ours {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        let cases: Vec<_> = self.0.iter().map(Channel::select_recv).collect();
        let all: Vec<&dyn Selectable> = cases.iter().map(|case| case as _).collect();
        (0..count).all(|number| {
            let at = (number * 7) as usize % CHANNELS;
            let sent = self.0[at].try_send(black_box(number)).is_ok();
            let selected = try_select(&all);
            sent && selected == Some(at) && cases[at].result() == Some(Ok(number))
        })
    }

    fn follow(&mut self, _count: u64) {}
}

impl Contender for Theirs {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        let mut select = crossbeam_channel::Select::new();
        for (_, receiver) in &self.0 {
            select.recv(receiver);
        }
        (0..count).all(|number| {
            let at = (number * 7) as usize % CHANNELS;
            let sent = self.0[at].0.try_send(black_box(number)).is_ok();
            let Ok(ready) = select.try_select() else { return false };
            let index = ready.index();
            sent && index == at && ready.recv(&self.0[index].1) == Ok(number)
        })
    }

    fn follow(&mut self, _count: u64) {}
}

fn select(plan: Plan) -> Result<Outcome, Failure> {
    let region = region()?;
    let ours = (0..CHANNELS)
        .map(|index| Channel::create(region, &format!("channel{index}"), 64).map_err(failed))
        .collect::<Result<Vec<_>, _>>()?;
    let theirs = place(|| (0..CHANNELS).map(|_| crossbeam_channel::bounded(64)).collect());
    duel(plan, Ours(ours), Theirs(theirs))
}
