//! The rows: what is measured, against whom, and what is expected. One file for each structure.

mod alone;
mod map;
mod queue;
mod ring;
mod rpc;
mod signal;
mod stream;
mod wake;

use zeroipc_nostd::{FormatOptions, Region, Span, Wait, WaitWord};

use crate::duel::{Outcome, Plan};
use crate::pinned::Failure;
use crate::shared::memory;

/// Places in every ring and queue, ours and the peers'.
const CAPACITY: usize = 1024;

/// What a row's figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Millions of items a second; more is better.
    Throughput,
    /// One way, in hops; less is better.
    Latency,
    /// Nanoseconds from the wake-up of a sleeper until it is awake; less is better.
    Asleep,
    /// Nanoseconds for a push and a pop, for a lookup, a read, or a select, in one process; less is better.
    Solo,
}

/// What ours divided by the peer's shall be, or how much more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Ours less the peer's, at most.
    Over(f64),
}

/// One line of the report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) unit: Unit,
    pub(crate) target: Target,
    pub(crate) run: fn(Plan) -> Result<Outcome, Failure>,
}

/// All rows, in the order in which they run.
pub(crate) fn all() -> impl Iterator<Item = Row> {
    let structures = ring::ROWS.into_iter().chain(queue::ROWS).chain(map::ROWS);
    let structures = structures.chain(alone::ROWS).chain(signal::ROWS);
    structures.chain(stream::ROWS).chain(rpc::ROWS).chain(wake::ROWS)
}

/// A fresh region of ours in shared memory, in the default geometry, with a notifier: what a user of `zeroipc` has.
fn region() -> Result<Region<'static>, Failure> {
    let span = Span::from_slice(memory(1 << 20)).map_err(failed)?;
    Ok(Region::create(span, &FormatOptions::new()).map_err(failed)?.with_notifier(&AWAKE))
}

static AWAKE: Awake = Awake;

/// A notifier for parties of which none sleeps: operations look for sleepers, as they do with a futex, and find none.
#[derive(Debug)]
struct Awake;

impl Wait for Awake {
    fn now(&self) -> u64 {
        0
    }

    fn wait(&self, _word: WaitWord<'_>, _expected: u32, _deadline: u64) {}

    fn wake(&self, _word: WaitWord<'_>, _count: u32) -> u32 {
        0
    }

    /// As the futex on Linux, where `membarrier` is there.
    fn sleeper_fences_for_us(&self) -> bool {
        true
    }
}

fn failed(error: impl std::error::Error) -> Failure {
    Failure::Build(error.to_string())
}
