//! # ZeroIPC: shared memory as an active computational substrate
//!
//! Named, typed, concurrent structures that live *inside* a region of memory that several parties see at once: two
//! processes, two bare-metal cores, a host and a guest. No broker, no serialisation, no heap.
//!
//! This crate is the core: `no_std`, no allocation, on any memory and with portable atomics. On a hosted system start
//! with the crate `zeroipc`, which adds shared memory by name and waiting in the kernel.
//!
//! | structure | progress of its operations | needs compare-and-exchange |
//! |---|---|---|
//! | [`Array`] | load and store wait-free | no |
//! | [`Ring`] | push and pop wait-free; one producer, one consumer | no |
//! | [`Map`] | lookup, insertion, replacement, removal lock-free, with any party stopped anywhere inside; lookups write nothing | yes |
//! | [`Set`] | as `Map` | yes |
//! | [`Queue`] | push and pop lock-free, with any one party stopped anywhere inside; many producers, many consumers | yes |
//!
//! A [`Region`] is made from a [`Span`] of memory and holds the table of names; a [`View`] looks at one without writing.
//!
//! **Everything in a region is untrusted.** Sizes and offsets are validated once, when a structure is opened, and kept
//! in the handle; what is read later is checked against the handle's own copy. A peer can spoil data, but it cannot make
//! this crate panic, read or write outside the region, or loop for ever in a `try_` operation.
//!
//! The bytes are specified in `SPECIFICATION.md`. Little-endian targets only.
#![cfg_attr(not(any(loom, zeroipc_fault, test)), no_std)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_core
)]
// The models and the fault form are test harnesses: there a misuse should stop the test.
#![cfg_attr(
    any(loom, zeroipc_fault),
    allow(clippy::panic, clippy::expect_used, clippy::std_instead_of_core)
)]

#[cfg(target_endian = "big")]
compile_error!("ZeroIPC regions are little-endian: big-endian targets are not supported");

mod array;
mod element;
mod error;
mod geometry;
mod map;
mod name;
mod party;
mod prefix;
mod queue;
mod region;
mod ring;
mod set;
mod slots;
mod sync;
mod table;
mod view;
mod wait;

pub use array::Array;
pub use element::Element;
pub use error::{
    IndexOutOfBounds, MapError, NameError, PopError, PopTimeoutError, PushError, PushTimeoutError,
    RegionError, RoleTaken, StructureError, WaitError,
};
pub use geometry::{Geometry, WordSize};
pub use map::{Exchange, Map, MapIter, MapOptions};
pub use name::Name;
pub use party::{Liveness, PartyId};
pub use prefix::Kind;
pub use queue::Queue;
pub use region::Region;
pub use ring::{Consumer, Producer, Ring};
pub use set::{Set, SetIter};
pub use sync::Span;
pub use table::record::Capability;
pub use table::{BadEntry, Entry, FormatOptions, TableVersion, MAGIC};
pub use view::{StructureInfo, View};
pub use wait::{Spin, Wait, WaitWord};

/// Stop points and the model's memory, for this project's own tests.
#[cfg(any(loom, zeroipc_fault))]
#[doc(hidden)]
pub mod testing {
    pub use crate::sync::hook::{abandon_at, run, Abandoned};
    #[cfg(loom)]
    pub use crate::sync::{unexplored, Slab};
}
