//! Two Cortex-M33 cores share structures with each other and with a process on Linux.
//!
//! Core 0 samples, core 1 filters; what they exchange is in the crate `zeroipc-firmware-pipeline`. Here is only what a
//! board needs: memory, and who does which part.
#![no_std]
#![no_main]

use zeroipc_firmware_pipeline::{Failure, Filter, Gate, HostLink, Sampler, Turn};
use zeroipc_mps2_an521::{device_memory, exit, host_memory, release_core_1, say};
use zeroipc_raw::RawRegion;

/// Not zeroed at start-up: see there.
#[link_section = ".noinit"]
static GATE: Gate = Gate::new();

/// The device's region and that of Linux.
fn memory() -> (RawRegion, RawRegion) {
    match (device_memory(), host_memory()) {
        (Ok(device), Ok(host)) => (device, host),
        _ => {
            say!("the linker script gives no memory");
            exit(1)
        }
    }
}

/// Creates the region, and samples, in one session after another.
#[no_mangle]
extern "C" fn core_0() -> ! {
    let (device, host) = memory();
    let mut link = HostLink::new(&host, 0);
    release_core_1();
    loop {
        let failure = match Sampler::start(&device, &mut link, Some(&GATE)) {
            Ok(sampler) => sample(sampler),
            Err(failure) => {
                say!("core 0: {failure:?}");
                exit(1)
            }
        };
        say!("core 0: {failure:?}; another session");
    }
}

fn sample(mut sampler: Sampler<'_, '_>) -> Failure {
    say!("core 0: session {}", sampler.session());
    loop {
        match sampler.turn() {
            Ok(Turn::Busy) => {}
            Ok(Turn::Idle) => core::hint::spin_loop(),
            Ok(Turn::Stop) => {
                say!("core 0: {:?}", sampler.status());
                exit(0)
            }
            Err(failure) => return failure,
        }
    }
}

/// Filters in whatever session core 0 is.
#[no_mangle]
extern "C" fn core_1() -> ! {
    let (device, host) = memory();
    let mut link = HostLink::new(&host, 1);
    loop {
        GATE.pass();
        match Filter::start(&device, &mut link) {
            Ok(filter) => filter_in(filter),
            Err(failure) => say!("core 1: {failure:?}"),
        }
    }
}

fn filter_in(mut filter: Filter<'_, '_>) {
    while filter.is_current() {
        match filter.turn() {
            Ok(Turn::Busy) => {}
            Ok(Turn::Idle) => core::hint::spin_loop(),
            Ok(Turn::Stop) => {
                say!("core 1: {:?}", filter.status());
                exit(0)
            }
            Err(failure) => return say!("core 1: {failure:?}"),
        }
    }
}
