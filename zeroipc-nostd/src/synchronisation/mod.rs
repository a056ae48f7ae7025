//! Structures that parties wait at for each other: the data is theirs, the order is here.

mod barrier;
mod event;
mod latch;
mod once;
mod semaphore;

pub(crate) use barrier::fill as barrier_fill;
pub use barrier::{Barrier, BarrierWaitResult, Participant};
pub(crate) use event::fill as event_fill;
pub use event::{Event, EventMode};
pub(crate) use latch::fill as latch_fill;
pub use latch::{Latch, LatchParty};
pub(crate) use once::fill as once_fill;
pub use once::{Once, OnceRun, OnceState};
pub(crate) use semaphore::fill as semaphore_fill;
pub use semaphore::{Permit, Semaphore};
