//! # What the firmware examples exchange
//!
//! Two cores and a Linux process share two regions. Each region has one party that creates it, anew each time it starts;
//! the others find by its session number that it is another one, and open it again.
//!
//! | in the region of the device | structure | from | to |
//! |---|---|---|---|
//! | `samples` | Ring | core 0, the [`Sampler`] | core 1, the [`Filter`] |
//! | `filtered` | Ring | core 1 | core 0, which checks it |
//! | `requests`, `replies` | Channel | core 0, and core 1 | core 1, and core 0, which checks the replies |
//! | `levels` | Stream | core 1 | every subscriber: core 0 and Linux; who is too slow is told what it missed |
//! | `readings` | Ring | core 0 | Linux |
//! | `answers` | Queue | both cores | Linux |
//! | `calibration` | Future | core 1, once a boot | core 0, which waits for it, and Linux |
//! | `core 0`, `core 1` | Signal of [`Status`] | that core | whoever looks |
//!
//! | in the region of Linux | structure | from | to |
//! |---|---|---|---|
//! | `setpoints` | Ring | Linux | core 1 |
//! | `commands` | Queue | Linux | whichever core comes first |
//! | `linux` | Signal of [`HostStatus`] | Linux | whoever looks |
//!
//! A new session begins in two steps, so that nobody writes into it who still believes to be in the last one: whoever creates
//! the region formats it, waits until the others have left (or may be taken for dead), and only then creates what is in it.
//! Core 1 says so at the [`Gate`], Linux and the cores say so to each other by the session number in their status.
//!
//! The items flow for ever, each with its place in the sequence and a check word, so that a receiver finds any that is lost,
//! doubled, torn, or from another session. Both cores are made of turns that never wait: a chip without a second core takes
//! turns for both.
#![no_std]

mod data;
mod device;
mod filter;
mod gate;
mod host_link;
mod places;
mod sampler;

pub use data::{
    Answer, Calibration, Command, HostStatus, Sample, Sequence, Smooth, Source, Status,
};
pub use device::{Failure, Turn};
pub use filter::Filter;
pub use gate::Gate;
pub use host_link::HostLink;
pub use places::{names, Places, IVSHMEM, MPS2_AN521, RISCV_VIRT};
pub use sampler::Sampler;

/// How many items a party moves at once at most.
pub const BATCH: usize = 64;
/// How many items fit into each ring.
pub const RING: usize = 4096;
/// How many items fit into each channel.
pub const CHANNEL: usize = 16;
/// How many values a stream keeps.
pub const STREAM: usize = 64;
/// How many items fit into each queue.
pub const QUEUE: usize = 32;
