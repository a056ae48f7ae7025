//! Signal: reads of 64 bytes beside a seqlock, alone and with a writer at full rate.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

use seqlock::SeqLock;
use zeroipc_nostd::{Signal, SignalWriter};

use super::{failed, region, Row, Target, Unit};
use crate::duel::{duel, Contender, Outcome, Plan};
use crate::pinned::Failure;
use crate::shared::place;
use crate::windows::Payload;

pub(super) const ROWS: [Row; 2] = [
    Row {
        name: "signal-64B-read",
        peer: "seqlock",
        unit: Unit::Solo,
        target: Target::AtMost(1.2),
        run: quiet,
    },
    Row {
        name: "signal-64B-read-written",
        peer: "seqlock",
        unit: Unit::Solo,
        target: Target::AtMost(1.0),
        run: written,
    },
];

type Value = [u64; 8];

/// A value that one party writes and another reads.
trait Latest {
    fn read(&self) -> Option<Value>;
    fn write(&mut self, value: Value);
}

impl Latest for (Signal<'static, Value>, SignalWriter<'static, Value>) {
    #[inline(always)]
    fn read(&self) -> Option<Value> {
        self.0.get().ok()
    }

    #[inline(always)]
    fn write(&mut self, value: Value) {
        self.1.set(value);
    }
}

impl Latest for &'static SeqLock<Value> {
    #[inline(always)]
    fn read(&self) -> Option<Value> {
        Some(SeqLock::read(self))
    }

    #[inline(always)]
    fn write(&mut self, value: Value) {
        *self.lock_write() = value;
    }
}

/// The leader reads; the follower writes meanwhile, or not. An operation is a read.
struct Reads<L> {
    latest: L,
    is_written: bool,
    /// How many windows the leader has finished, and the follower has begun.
    finished: &'static AtomicU64,
    begun: u64,
}

impl<L: Latest> Contender for Reads<L> {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        let whole = |value: Value| value.differs(value[0]) == 0;
        let right = (0..count).all(|_| self.latest.read().is_some_and(whole));
        self.finished.fetch_add(1, Release);
        right
    }

    #[inline(never)]
    fn follow(&mut self, _count: u64) {
        self.begun += 1;
        let mut number = 0;
        while self.is_written && self.finished.load(Acquire) < self.begun {
            // Many for each look, so that the look does not slow the writer.
            for _ in 0..64 {
                number += 1;
                self.latest.write(Value::numbered(number));
            }
        }
    }
}

fn reads(plan: Plan, is_written: bool) -> Result<Outcome, Failure> {
    let signal = Signal::create_single_writer(region()?, "signal", Value::numbered(0), 8);
    let signal = signal.map_err(failed)?;
    let ours = (signal, signal.writer().map_err(failed)?);
    let peer: &'static _ = place(|| Box::leak(Box::new(SeqLock::new(Value::numbered(0)))));
    let finished = || -> &'static AtomicU64 { place(|| Box::leak(Box::default())) };
    let ours = Reads { latest: ours, is_written, finished: finished(), begun: 0 };
    duel(plan, ours, Reads { latest: peer, is_written, finished: finished(), begun: 0 })
}

fn quiet(plan: Plan) -> Result<Outcome, Failure> {
    reads(plan, false)
}

fn written(plan: Plan) -> Result<Outcome, Failure> {
    reads(plan, true)
}
