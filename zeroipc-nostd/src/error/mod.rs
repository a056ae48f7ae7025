//! What can go wrong, one enum per concern. Each message says what to do next where that is known.

mod map;
mod operation;
mod region;
mod structure;
mod waiting;

pub use map::MapError;
pub use operation::{
    IndexOutOfBounds, PopError, PopTimeoutError, PushError, PushTimeoutError, RoleTaken,
};
pub use region::{NameError, RegionError};
pub use structure::StructureError;
pub use waiting::WaitError;

const NO_WAITER: &str =
    "nothing to wait with: give the region a notifier, or wait by the form that takes a waiter";
