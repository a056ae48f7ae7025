//! What ZeroIPC's tests across processes and against hostile memory have in common. Not part of the product.

pub mod deaths;
pub mod guarded;
pub mod history;
pub mod item;
pub mod machine;
pub mod processes;
pub mod random;
pub mod scratch;
pub mod slots;
