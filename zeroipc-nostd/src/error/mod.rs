//! What can go wrong, one enum per concern. Each message says what to do next where that is known.

mod operation;
mod region;
mod structure;

pub use operation::{
    IndexOutOfBounds, PopError, PopTimeoutError, PushError, PushTimeoutError, RoleTaken,
};
pub use region::{NameError, RegionError};
pub use structure::StructureError;
