//! A duel: ours and a peer's in turn, in the same two processes, many short windows, a hop calibrated in each repetition.

use std::hint::spin_loop;
use std::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::time::{Duration, Instant};

use crate::hop::{Hop, Lone};
use crate::pinned::{run_pair, times_lost, Failure, Side};
use crate::shared::place;

/// How long a window shall be: short beside a time slice, long beside its start.
const WINDOW: Duration = Duration::from_micros(1500);

/// So many undisturbed repetitions are waited for, for up to three budgets: a busy machine disturbs most.
const ENOUGH: usize = 100;

/// Room for so many repetitions; a duel ends when it is used up.
const MOST: usize = 1 << 15;

/// What competes: both ends of it, of which each process uses its own.
pub(crate) trait Contender {
    /// The leader's part of a window of `count` operations; whether all that arrived was right.
    fn lead(&mut self, count: u64) -> bool;
    /// The follower's part.
    fn follow(&mut self, count: u64);
}

/// How long, where, and for how many repetitions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) cores: [usize; 2],
    /// Time for repetitions, after the warm-up.
    pub(crate) budget: Duration,
}

/// One repetition, in nanoseconds: one way of a cache line, and one operation of either contender.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) hop: f64,
    pub(crate) ours: f64,
    pub(crate) peer: f64,
    /// Whether either process lost its core to another meanwhile: then the figures say nothing.
    pub(crate) disturbed: bool,
}

/// What a duel brought.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) samples: Vec<Sample>,
    /// Whether anything arrived that was not sent so.
    pub(crate) wrong: bool,
}

/// What the follower shall do next.
const STOP: u64 = 0;
const LOOK: u64 = 1;
const HOP: u64 = 2;
const OURS: u64 = 3;
const PEER: u64 = 4;

/// What the two processes and their parent share.
#[derive(Debug)]
struct Board {
    /// Orders given; the leader's.
    posted: Lone,
    /// Orders taken up; the follower's.
    accepted: Lone,
    /// How often the follower had lost its core when it took up the last order.
    lost: AtomicU64,
    /// The last order.
    task: AtomicU64,
    count: AtomicU64,
    hop: Hop,
    wrong: AtomicBool,
    samples: AtomicU64,
    /// Bits of hop, ours and peer for each sample, and whether it was disturbed. Atomic, since the parent holds it while a child writes.
    figures: Vec<[AtomicU64; 4]>,
}

impl Board {
    fn new() -> Self {
        Board {
            posted: Lone::default(),
            accepted: Lone::default(),
            lost: AtomicU64::new(0),
            task: AtomicU64::new(STOP),
            count: AtomicU64::new(0),
            hop: Hop::default(),
            wrong: AtomicBool::new(false),
            samples: AtomicU64::new(0),
            figures: (0..MOST).map(|_| Default::default()).collect(),
        }
    }

    /// Gives the follower an order; returns when it begins.
    fn order(&self, task: u64, count: u64) {
        self.task.store(task, Relaxed);
        self.count.store(count, Relaxed);
        let posted = self.posted.0.load(Relaxed) + 1;
        self.posted.0.store(posted, Release);
        while self.accepted.0.load(Acquire) != posted {
            spin_loop();
        }
    }

    /// Waits for the next order and begins.
    fn obey(&self) -> (u64, u64) {
        let next = self.accepted.0.load(Relaxed) + 1;
        while self.posted.0.load(Acquire) != next {
            spin_loop();
        }
        let order = (self.task.load(Relaxed), self.count.load(Relaxed));
        self.lost.store(times_lost(), Relaxed);
        self.accepted.0.store(next, Release);
        order
    }

    fn record(&self, sample: Sample) -> bool {
        let at = self.samples.load(Relaxed);
        let Some([hop, ours, peer, disturbed]) = self.figures.get(at as usize) else {
            return false;
        };
        hop.store(sample.hop.to_bits(), Relaxed);
        ours.store(sample.ours.to_bits(), Relaxed);
        peer.store(sample.peer.to_bits(), Relaxed);
        disturbed.store(sample.disturbed.into(), Relaxed);
        self.samples.store(at + 1, Release);
        true
    }

    fn outcome(&self) -> Outcome {
        let count = self.samples.load(Acquire) as usize;
        let nanos = |figure: &AtomicU64| f64::from_bits(figure.load(Relaxed));
        let samples = self.figures.iter().take(count).map(|[hop, ours, peer, disturbed]| Sample {
            hop: nanos(hop),
            ours: nanos(ours),
            peer: nanos(peer),
            disturbed: disturbed.load(Relaxed) != 0,
        });
        Outcome { samples: samples.collect(), wrong: self.wrong.load(Relaxed) }
    }
}

/// Lets the two compete. The contenders must have been built in shared memory.
pub(crate) fn duel(
    plan: Plan,
    mut ours: impl Contender,
    mut peer: impl Contender,
) -> Result<Outcome, Failure> {
    let board = place(|| Box::new(Board::new()));
    // Ten times the budget and ten seconds: a busy machine is slow, a stuck contender is for ever.
    let limit = plan.budget * 10 + Duration::from_secs(10);
    run_pair(plan.cores, limit, |side| match side {
        Side::Leader => lead(&board, plan.budget, &mut ours, &mut peer),
        Side::Follower => follow(&board, &mut ours, &mut peer),
    })?;
    Ok(board.outcome())
}

fn follow(board: &Board, ours: &mut impl Contender, peer: &mut impl Contender) {
    loop {
        match board.obey() {
            (HOP, _) => board.hop.follow(),
            (OURS, count) => ours.follow(count),
            (PEER, count) => peer.follow(count),
            (LOOK, _) => {}
            _ => return,
        }
    }
}

fn lead(board: &Board, budget: Duration, ours: &mut impl Contender, peer: &mut impl Contender) {
    let our_count = warm_up(board, OURS, ours);
    let peer_count = warm_up(board, PEER, peer);
    let start = Instant::now();
    let mut lost = losses(board);
    let mut undisturbed = 0;
    for repetition in 0_u64.. {
        // The hop between the two windows, and each of them first in turn.
        let (hop, our_time, peer_time) = if repetition % 2 == 0 {
            let our_time = window(board, OURS, ours, our_count);
            let hop = calibrate(board);
            (hop, our_time, window(board, PEER, peer, peer_count))
        } else {
            let peer_time = window(board, PEER, peer, peer_count);
            let hop = calibrate(board);
            (hop, window(board, OURS, ours, our_count), peer_time)
        };
        let lost_before = std::mem::replace(&mut lost, losses(board));
        let disturbed = lost != lost_before;
        let room = board.record(Sample { hop, ours: our_time, peer: peer_time, disturbed });
        undisturbed += usize::from(!disturbed);
        let time = if undisturbed < ENOUGH { budget * 3 } else { budget };
        if !room || start.elapsed() >= time {
            break;
        }
    }
    board.order(STOP, 0);
}

/// How often the two processes have lost their cores.
fn losses(board: &Board) -> u64 {
    board.order(LOOK, 0);
    board.lost.load(Relaxed) + times_lost()
}

fn calibrate(board: &Board) -> f64 {
    board.order(HOP, 0);
    board.hop.lead()
}

/// Nanoseconds for one operation.
fn window(board: &Board, task: u64, contender: &mut impl Contender, count: u64) -> f64 {
    board.order(task, count);
    let start = Instant::now();
    let right = contender.lead(count);
    let elapsed = start.elapsed();
    if !right {
        board.wrong.store(true, Relaxed);
    }
    elapsed.as_secs_f64() * 1e9 / count as f64
}

/// Warms caches and predictors; returns how many operations make a window.
fn warm_up(board: &Board, task: u64, contender: &mut impl Contender) -> u64 {
    let aim = WINDOW.as_secs_f64() * 1e9;
    let mut count = 1000;
    // Three windows of full length after the first: enough to settle, and one interruption does not decide.
    let mut fastest = f64::MAX;
    for _ in 0..4 {
        let mut nanos = window(board, task, contender, count);
        while nanos * count as f64 * 2.0 < aim {
            count *= 2;
            nanos = window(board, task, contender, count);
        }
        fastest = fastest.min(nanos);
    }
    ((aim / fastest) as u64).max(1)
}
