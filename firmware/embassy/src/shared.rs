//! What the cores share, by name, and how each waits for the other.

use crate::tasks::WAKERS;
use zeroipc_mps2_an521::{nanoseconds, ring, sleep_if, Core};
use zeroipc_nostd::{
    Event, EventMode, FormatOptions, Geometry, Queue, Region, Stream, StructureError, WithReactor,
    WordSize,
};
use zeroipc_raw::{Bell, RawError, RawRegion};

/// How many jobs core 0 gives, in bursts, with pauses in between in which core 1 must sleep.
pub const BURSTS: u32 = 100;
pub const BURST: u32 = 100;
/// So few that both sides wait for space as well.
const JOBS: usize = 16;
const RESULTS: usize = 4;
const READINGS: usize = 8;

/// Core 0's way to wait: it sleeps until core 1 rings, or the timer.
pub static OF_CORE_0: Bell = Bell::new(nanoseconds, || ring(Core::One), rest);

/// Core 1's: its tasks by the table of wakers, which the doorbell's interrupt rings.
pub static OF_CORE_1: WithReactor<'static, Bell> =
    WithReactor::new(Bell::new(nanoseconds, || ring(Core::Zero), rest), &WAKERS);

fn rest(nothing_yet: &dyn Fn() -> bool) {
    sleep_if(nothing_yet);
}

#[derive(Debug)]
#[allow(dead_code)] // what is in it is printed
pub enum Failure {
    Memory(RawError),
    Structure(StructureError),
    /// An operation that was to wait failed.
    Waiting,
    /// There are too many tasks.
    Tasks,
    /// Something was lost.
    Lost,
    /// A result that is not that of its job.
    Wrong {
        job: u32,
        result: u32,
    },
    /// Core 1 did not sleep when it had nothing to do.
    Polled,
}

impl From<RawError> for Failure {
    fn from(error: RawError) -> Self {
        Failure::Memory(error)
    }
}

impl From<StructureError> for Failure {
    fn from(error: StructureError) -> Self {
        Failure::Structure(error)
    }
}

/// The structures.
#[derive(Debug, Clone, Copy)]
pub struct Shared {
    pub region: Region<'static>,
    pub jobs: Queue<'static, u32>,
    pub results: Queue<'static, u32>,
    pub readings: Stream<'static, u32>,
    pub ready: Event<'static>,
    pub stop: Event<'static>,
    /// Core 1 tells here how often it did something, at the end.
    pub told: Queue<'static, [u32; 3]>,
}

impl Shared {
    pub fn create(memory: &'static RawRegion) -> Result<Self, Failure> {
        let geometry = Geometry::new(WordSize::Four, 8).map_err(RawError::from)?;
        let options = FormatOptions::new().max_entries(8).geometry(geometry);
        let region = memory.create(&options)?.with_notifier(&OF_CORE_0);
        Ok(Shared {
            region,
            jobs: Queue::create(region, "jobs", JOBS)?,
            results: Queue::create(region, "results", RESULTS)?,
            readings: Stream::create(region, "readings", READINGS)?,
            ready: Event::create(region, "ready", EventMode::Manual)?,
            stop: Event::create(region, "stop", EventMode::Manual)?,
            told: Queue::create(region, "told", 2)?,
        })
    }

    pub fn open(region: Region<'static>) -> Result<Self, StructureError> {
        Ok(Shared {
            region,
            jobs: Queue::open(region, "jobs")?,
            results: Queue::open(region, "results")?,
            readings: Stream::open(region, "readings")?,
            ready: Event::open(region, "ready")?,
            stop: Event::open(region, "stop")?,
            told: Queue::open(region, "told")?,
        })
    }
}
