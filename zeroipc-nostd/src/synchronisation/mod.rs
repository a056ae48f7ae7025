//! Structures by which parties agree on when, rather than pass data on.

pub(crate) mod signal;

pub use signal::{Signal, SignalWriter};
