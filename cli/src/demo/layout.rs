//! What lies in the demo's region: the structures, their records, and who writes what.
//!
//! | structure | element | written by | content |
//! |---|---|---|---|
//! | `control` | Array of `u32` | see [`Control`] | how the processes are told to stop |
//! | `counters` | Array of `u64` | see [`Counter`] | what was produced and consumed |
//! | `cpu_load` | Array of `f32` | sampler | load of each core in percent |
//! | `samples` | Ring of [`Sample`] | sampler to consumer | ten a second |
//! | `events` | Queue of [`Event`] | sampler to consumer | what happened |
//! | `summary` | Array of `f64` | consumer | see [`Summary`] |
//! | `recent_events` | Array of [`Event`] | consumer | the last ones, event i at i modulo the length |

use rustix::time::{clock_gettime, ClockId};
use zerocopy::{FromBytes, Immutable, IntoBytes};
use zeroipc::{Array, Element, Queue, Region, Ring, StructureError};

/// Bytes of the region: enough for some hundred cores, and little enough to be there at once.
pub(crate) const REGION_BYTES: usize = 256 << 10;
/// The name of the structure that is created first; by it a demo's region is known.
pub(crate) const CONTROL: &str = "control";

const SAMPLES: usize = 64;
const EVENTS: usize = 64;
const RECENT: usize = 8;

/// What the sampler measured at one moment.
#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Sample {
    /// Counts up from 0, also over samples for which the ring had no room.
    pub(crate) sequence: u64,
    /// Nanoseconds on [`now`]'s clock.
    pub(crate) time: u64,
    /// Bytes.
    pub(crate) memory_used: u64,
    /// Bytes.
    pub(crate) memory_total: u64,
    /// Averages over 1, 5 and 15 minutes.
    pub(crate) load: [f32; 3],
    /// Mean load of all cores, in percent.
    pub(crate) cpu: f32,
    /// The hottest sensor in degrees Celsius; not a number if there is none.
    pub(crate) temperature: f32,
    pub(crate) cores: u32,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Event {
    /// Nanoseconds on [`now`]'s clock.
    pub(crate) time: u64,
    /// One of [`EventKind`].
    pub(crate) kind: u32,
    /// The core, where there is one.
    pub(crate) core: u32,
    /// Percent, load or count.
    pub(crate) value: f32,
    /// What it was before.
    pub(crate) before: f32,
}

/// Kinds of events, as they stand in [`Event::kind`]. 0, what fresh memory holds, is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum EventKind {
    /// Once a second; the value is the number of samples.
    Heartbeat = 1,
    /// A core's load rose above 50 %.
    Busy = 2,
    /// A busy core's load fell below 40 %.
    Calm = 3,
    /// The load average over one minute changed.
    Load = 4,
}

impl EventKind {
    /// By number; a peer may have written any.
    pub(crate) fn of(number: u32) -> Option<Self> {
        [Self::Heartbeat, Self::Busy, Self::Calm, Self::Load]
            .into_iter()
            .find(|kind| *kind as u32 == number)
    }
}

/// Elements of `control`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Control {
    /// One of [`Request`], from the command to both processes.
    Request,
    /// 1 once the sampler has pushed its last sample and event.
    SamplerDone,
}

/// What the command asks of its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Request {
    Run = 0,
    /// The sampler stops; the consumer takes what is left and stops.
    Finish = 1,
    /// Both stop at once.
    Abandon = 2,
}

/// Elements of `counters`; the first four are the sampler's, the others the consumer's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counter {
    SamplesPushed,
    /// The ring had no room.
    SamplesRefused,
    EventsPushed,
    /// The queue had no room.
    EventsRefused,
    SamplesPopped,
    /// Gaps in the samples' sequence.
    SamplesLost,
    EventsPopped,
}

/// Elements of `summary`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Summary {
    /// Percent: of the last sample, mean, highest.
    CpuLast,
    CpuMean,
    CpuMax,
    /// Bytes, of the last sample.
    MemoryUsed,
    MemoryTotal,
    /// Averages over 1, 5 and 15 minutes, of the last sample.
    Load1,
    Load5,
    Load15,
    /// Degrees Celsius of the last sample, or not a number.
    Temperature,
    /// Seconds from before the push in one process to after the pop in the other.
    LatencyMean,
    LatencyMax,
}

/// The structures, open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'a> {
    pub(crate) cpu_load: Array<'a, f32>,
    pub(crate) samples: Ring<'a, Sample>,
    pub(crate) events: Queue<'a, Event>,
    pub(crate) recent_events: Array<'a, Event>,
    control: Array<'a, u32>,
    counters: Array<'a, u64>,
    summary: Array<'a, f64>,
}

impl<'a> Layout<'a> {
    /// Creates them in a fresh region.
    pub(crate) fn create(region: Region<'a>, cores: usize) -> Result<Self, StructureError> {
        Ok(Layout {
            control: Array::create(region, CONTROL, Control::SamplerDone as usize + 1)?,
            counters: Array::create(region, "counters", Counter::EventsPopped as usize + 1)?,
            cpu_load: Array::create(region, "cpu_load", cores.max(1))?,
            samples: Ring::create(region, "samples", SAMPLES)?,
            events: Queue::create(region, "events", EVENTS)?,
            summary: Array::create(region, "summary", Summary::LatencyMax as usize + 1)?,
            recent_events: Array::create(region, "recent_events", RECENT)?,
        })
    }

    /// Opens them.
    pub(crate) fn open(region: Region<'a>) -> Result<Self, StructureError> {
        Ok(Layout {
            control: Array::open(region, CONTROL)?,
            counters: Array::open(region, "counters")?,
            cpu_load: Array::open(region, "cpu_load")?,
            samples: Ring::open(region, "samples")?,
            events: Queue::open(region, "events")?,
            summary: Array::open(region, "summary")?,
            recent_events: Array::open(region, "recent_events")?,
        })
    }

    pub(crate) fn request(&self, request: Request) {
        put(&self.control, Control::Request as usize, request as u32);
    }

    pub(crate) fn requested(&self) -> Request {
        match get(&self.control, Control::Request as usize) {
            0 => Request::Run,
            1 => Request::Finish,
            _ => Request::Abandon,
        }
    }

    pub(crate) fn set_sampler_done(&self) {
        put(&self.control, Control::SamplerDone as usize, 1);
    }

    pub(crate) fn sampler_done(&self) -> bool {
        get(&self.control, Control::SamplerDone as usize) != 0
    }

    pub(crate) fn count(&self, counter: Counter) -> u64 {
        get(&self.counters, counter as usize)
    }

    /// Only by the counter's one writer.
    pub(crate) fn add(&self, counter: Counter, count: u64) {
        put(&self.counters, counter as usize, self.count(counter).wrapping_add(count));
    }

    pub(crate) fn summary(&self, field: Summary) -> f64 {
        get(&self.summary, field as usize)
    }

    pub(crate) fn set_summary(&self, field: Summary, value: f64) {
        put(&self.summary, field as usize, value);
    }
}

/// Loads an element; one that a spoilt region does not have reads as zero.
fn get<T: Element>(array: &Array<'_, T>, index: usize) -> T {
    array.load(index).unwrap_or_else(|_| T::new_zeroed())
}

/// Stores an element; one that a spoilt region does not have is left out.
pub(crate) fn put<T: Element>(array: &Array<'_, T>, index: usize, value: T) {
    let _ = array.store(index, value);
}

/// Nanoseconds on a clock that all processes of this machine share and that never goes back.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds
        .wrapping_mul(1_000_000_000)
        .wrapping_add(u64::try_from(time.tv_nsec).unwrap_or_default())
}
