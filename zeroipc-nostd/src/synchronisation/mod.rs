//! Structures by which parties wait for each other: the data is theirs, the order is here.

mod barrier;
mod event;
mod latch;
mod lock_word;
mod monitor;
mod mutex;
mod once;
mod rwlock;
mod semaphore;
mod signal;

pub use barrier::{Barrier, BarrierWaitResult, Participant};
pub use event::{Event, EventMode};
pub use latch::{Latch, LatchParty};
pub use monitor::{Monitor, MonitorGuard, WaitTimeoutResult};
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceRun, OnceState};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Permit, Semaphore};
pub use signal::{Signal, SignalWriter};

// What a view says of each.
pub(crate) use barrier::fill as barrier_fill;
pub(crate) use event::fill as event_fill;
pub(crate) use latch::fill as latch_fill;
pub(crate) use monitor::fill as monitor_fill;
pub(crate) use mutex::fill as mutex_fill;
pub(crate) use once::fill as once_fill;
pub(crate) use rwlock::fill as rwlock_fill;
pub(crate) use semaphore::fill as semaphore_fill;
pub(crate) use signal::fill as signal_fill;

// And follows.
pub(crate) use signal::SignalObserver;
