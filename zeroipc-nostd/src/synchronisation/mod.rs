//! Structures by which parties wait for each other.

mod lock_word;
mod monitor;
mod mutex;
mod rwlock;

pub use monitor::{Monitor, MonitorGuard, WaitTimeoutResult};
pub use mutex::{Mutex, MutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) use monitor::fill as monitor_fill;
pub(crate) use mutex::fill as mutex_fill;
pub(crate) use rwlock::fill as rwlock_fill;
