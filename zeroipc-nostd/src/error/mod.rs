//! What can go wrong, one enum per concern. Each message says what to do next where that is known.

mod channel;
mod codata;
mod counting;
mod locking;
mod map;
mod operation;
mod region;
mod rpc;
mod signal;
mod stream;
mod structure;
mod waiting;

pub use channel::{RecvError, SelectError, SendError, TryRecvError, TrySendError};
pub use codata::{FutureError, LazyError, NextError, PromiseError};
pub use counting::{
    AcquireError, ArriveError, BarrierError, CountDownError, NoPlace, OnceError, PartyError,
    ReleaseError, TryAcquireError,
};
pub use locking::{LockError, TryLockError};
pub use map::MapError;
pub use operation::{
    IndexOutOfBounds, PoolError, PopError, PopTimeoutError, PushError, PushTimeoutError, RoleTaken,
    UpdateError,
};
pub use region::{NameError, RegionError};
pub use rpc::{CallError, ReplyError};
pub use signal::SignalError;
pub use stream::{EmitError, PublisherError, SubscribeError};
pub use structure::StructureError;
pub use waiting::WaitError;

const NO_WAITER: &str =
    "nothing to wait with: give the region a notifier, or wait by the form that takes a waiter";
