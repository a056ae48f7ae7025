//! # ZeroIPC on raw memory
//!
//! A [`RawRegion`] is a range of addresses that several parties share: SRAM that the linker set aside, physical memory that
//! is mapped one to one, a coherent DMA buffer, a mapping of `/dev/mem` or of a PCI BAR. Its user promises once that the
//! range is fit to be shared; then regions are created and opened in it without further `unsafe`.
//!
//! ```
//! use core::cell::UnsafeCell;
//! use zeroipc_nostd::{FormatOptions, Queue};
//! use zeroipc_raw::RawRegion;
//!
//! /// On a chip this lies in a section that all cores' linker scripts put at the same place.
//! #[repr(C, align(64))]
//! struct Shared(UnsafeCell<[u8; 4096]>);
//! // SAFETY: only the region reaches the bytes, and by atomic accesses.
//! unsafe impl Sync for Shared {}
//! static SHARED: Shared = Shared(UnsafeCell::new([0; 4096]));
//!
//! // SAFETY: the static is mapped for ever, and nothing but this region reaches it.
//! let memory = unsafe { RawRegion::from_pointer(SHARED.0.get().cast(), 4096) }?;
//! memory.check_line(64)?;
//!
//! // One core creates, the other opens once it finds the magic number.
//! let region = memory.create(&FormatOptions::new())?;
//! Queue::<u32>::create(region, "commands", 16)?.try_push(7)?;
//! assert_eq!(Queue::<u32>::open(memory.open()?, "commands")?.try_pop(), Ok(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the memory must be
//!
//! Everybody who makes a [`RawRegion`] vouches for the following. Nothing of it can be checked from here.
//!
//! - **There, and staying there.** Every byte of the range is mapped, readable and writable (for a region that is only opened
//!   and viewed: readable), until the [`RawRegion`] and all that was made from it is gone.
//! - **Nobody else's.** No Rust reference, stack, heap or static of this program overlaps the range, unless its bytes are
//!   only accessed atomically (an `UnsafeCell` that nothing else uses, as above). Other cores, processes and devices may write
//!   anything at any time: that spoils data, not memory safety.
//! - **Ordinary, coherent memory.** All parties see each other's writes without cache maintenance: no caches, or
//!   coherent ones, or memory that is mapped uncached by all. Not device memory, on which wider or unaligned accesses fault.
//!   Where caches are not coherent (STM32H7 between its cores, most DMA on Cortex-M7) map it uncached, or, for Rings and Signals
//!   only, maintain the cache: `RawRegion::create_incoherent` (feature `incoherent`).
//! - **Atomic across the parties.** In a region of capability [`Cas`](zeroipc_nostd::Capability::Cas) compare-and-exchange
//!   must exclude the other parties, not only this core's interrupts. Some buses and memories support no exclusive accesses
//!   (PSRAM on RP2350), and some cores must be told to share them (`ACTLR.EXTEXCLALL` there). In doubt create the region as
//!   [`LoadStore`](zeroipc_nostd::Capability::LoadStore).
//! - **Not initialised by start-up code.** A section that is zeroed or filled at boot (`.bss`, `.data`) wipes the region
//!   under the party that booted first: use `NOLOAD`. What an earlier boot left is told apart by the session number.
//!
//! # Addresses
//!
//! | source | constructor |
//! |---|---|
//! | a number: physical memory mapped one to one, a reserved bank | [`RawRegion::new`], also in a `static` |
//! | a pointer: a mapping, a DMA buffer, a static | [`RawRegion::from_pointer`] |
//! | two symbols of a linker script | [`RawRegion::between`], [`linker_region!`] |
//! | Linux: `/dev/mem`, UIO, a PCI BAR | `linux::DeviceMemory` |
//!
//! # Bringing it up
//!
//! Once the memory is mapped, two cores prove by [`RawRegion::self_test`] what it can do, and the region gets that capability.
//! [`Wfe`], [`Bell`] and [`Spin`] are ways to wait; [`Heartbeats`] tell who is dead.
//!
//! `docs/porting.md` goes through it step by step, says which operations may run in an interrupt handler, and has worked pages for five chips.
#![no_std]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable
)]

#[cfg(target_os = "linux")]
extern crate std;

#[cfg(any(feature = "cortex-m7", feature = "cortex-a"))]
mod caches;
mod error;
mod heartbeat;
#[cfg(target_os = "linux")]
pub mod linux;
mod range;
mod self_test;
mod wait;

#[cfg(all(feature = "cortex-a", target_arch = "aarch64"))]
pub use caches::CortexA;
#[cfg(feature = "cortex-m7")]
pub use caches::CortexM7;
pub use error::RawError;
pub use heartbeat::{Heartbeats, Pulse, Resets, Silence};
pub use range::RawRegion;
pub use self_test::{Proven, SelfTest, SelfTestError, Side};
pub use wait::{send_event, wait_for_event, Bell, Wfe};
pub use zeroipc_nostd::{CacheMaintenance, NoCache, Spin};

/// The programs of the worked pages, compiled.
#[cfg(doctest)]
mod worked_pages {
    #[doc = include_str!("../../docs/porting/rp2040.md")]
    struct Rp2040;
    #[doc = include_str!("../../docs/porting/rp2350.md")]
    struct Rp2350;
    #[cfg(feature = "cortex-m7")]
    #[doc = include_str!("../../docs/porting/stm32h745.md")]
    struct Stm32h745;
    #[cfg(target_os = "linux")]
    #[doc = include_str!("../../docs/porting/imx8m.md")]
    struct Imx8m;
    #[doc = include_str!("../../docs/porting/zynq-ultrascale.md")]
    struct ZynqUltraScale;
}
