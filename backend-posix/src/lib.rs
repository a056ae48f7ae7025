//! # ZeroIPC on POSIX
//!
//! Where regions lie on a hosted system, and how its processes sleep until a peer wakes them. Most programs use the crate
//! `zeroipc`, which brings this one and the structures.
//!
//! | a region in | created by | opened by | good for |
//! |---|---|---|---|
//! | shared memory, by name | [`Memory::create`] | [`Memory::open`] | processes of one user or group |
//! | an ordinary file | [`Memory::create_file`] | [`Memory::open_file`] | what outlives a restart |
//! | part of a file that is there | [`Memory::create_within`] | [`Memory::open_within`] | memory of an emulator or a virtual machine |
//! | a sealed memfd, without a name | [`Memory::anonymous`] | [`Memory::receive_from`] | peers that are not trusted |
//!
//! [`ReadOnlyMemory`] looks without being able to change anything, [`list`] finds regions, and [`Futex`] is what waiting
//! forms of structures sleep on.
//!
//! ```
//! use std::time::Duration;
//! use zeroipc_nostd::{PopTimeoutError, Queue};
//! use zeroipc_posix::Memory;
//!
//! # struct Cleanup(String);
//! # impl Drop for Cleanup { fn drop(&mut self) { let _ = Memory::unlink(&self.0); } }
//! # let cleanup = Cleanup(format!("/zeroipc-posix-{}", std::process::id()));
//! # let name = cleanup.0.as_str();
//! let memory = Memory::open_or_create(name, 1 << 20)?;
//! let events = Queue::<u64>::open_or_create(&memory, "events", 256)?;
//! events.push(42)?;
//! assert_eq!(events.pop()?, 42);
//! assert_eq!(events.pop_timeout(Duration::from_millis(1)), Err(PopTimeoutError::Timeout));
//!
//! Memory::unlink(name)?; // the name goes, the memory with the last process that has it open
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## What holds, and what does not
//! - A region appears under its name complete, or not at all, whenever its creator stops.
//! - Its storage is reserved when it is created: a full /dev/shm is an error then, and never a SIGBUS later. (Unless
//!   [`Options::sparse`] says otherwise.)
//! - Whoever may write to a file may shrink it, and a process that touches what is missing ends by SIGBUS. Only a sealed
//!   memfd excludes that. It is never undefined behaviour.
//! - Whoever comes first owns a name. In /dev/shm that may be any user of the machine: where that matters, create before
//!   others can, or look at [`Listing::uid`].
//! - Linux only so far.

#[cfg(not(target_os = "linux"))]
compile_error!("zeroipc-posix knows Linux only so far; the core, zeroipc-nostd, works anywhere");

mod draft;
mod error;
mod futex;
mod handover;
mod list;
mod mapping;
mod memory;
mod name;
mod options;
mod reactor;
mod read_only;
mod watch;

pub use error::Error;
pub use futex::Futex;
pub use list::{list, Listing};
pub use memory::Memory;
pub use options::Options;
pub use read_only::ReadOnlyMemory;
pub use watch::Watch;
