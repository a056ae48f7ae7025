//! What structures that keep their data in slots have in common: who owns which slot.

mod bitmap;
mod spares;

pub(crate) use bitmap::{bitmap_bytes, Bitmap};
pub(crate) use spares::Spares;
