//! Two Cortex-M33 cores share structures with each other and with a process on Linux.
//!
//! Core 0 samples, core 1 filters; what they exchange is in the crate `zeroipc-firmware-pipeline`. Here is only what a
//! board needs: memory, and who does which part.
#![no_std]
#![no_main]

mod board;

use board::{exit, Once};
use zeroipc_firmware_pipeline::{Filter, Sampler, Turn};
use zeroipc_raw::RawRegion;

static DEVICE: Once<RawRegion> = Once::new();
static HOST: Once<RawRegion> = Once::new();

/// Creates the region and starts the other core in it; then samples for ever.
fn core_0() -> ! {
    let (Ok(device), Ok(host)) = (board::device_memory(), board::host_memory()) else {
        say!("the linker script gives no memory");
        exit(1)
    };
    // SAFETY: once, on core 0, before core 1 is released.
    let (device, host) = unsafe { (DEVICE.fill(device), HOST.fill(host)) };
    let mut released = false;
    loop {
        let mut sampler = match Sampler::start(device, host) {
            Ok(sampler) => sampler,
            Err(failure) => {
                say!("core 0: {failure:?}");
                exit(1)
            }
        };
        say!("core 0: session {}", sampler.session());
        if !released {
            board::release_core_1();
            released = true;
        }
        let failure = loop {
            match sampler.turn() {
                Ok(Turn::Busy) => {}
                Ok(Turn::Idle) => core::hint::spin_loop(),
                Ok(Turn::Stop) => {
                    say!("core 0: {:?}", sampler.status());
                    exit(0)
                }
                Err(failure) => break failure,
            }
        };
        say!("core 0: {failure:?}; a new session");
    }
}

/// Filters in whatever session core 0 is.
fn core_1() -> ! {
    loop {
        match Filter::start(DEVICE.get(), HOST.get()) {
            Ok(filter) => filter_in(filter),
            // Core 0 is about to create the region anew.
            Err(_) => core::hint::spin_loop(),
        }
    }
}

fn filter_in(mut filter: Filter<'_>) {
    while filter.is_current() {
        match filter.turn() {
            Ok(Turn::Busy) => {}
            Ok(Turn::Idle) => core::hint::spin_loop(),
            Ok(Turn::Stop) => {
                say!("core 1: {:?}", filter.status());
                exit(0)
            }
            Err(_) => return,
        }
    }
}
