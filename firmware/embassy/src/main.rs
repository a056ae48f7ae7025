//! Tasks of an embassy executor wait for another core, and sleep until it rings.
//!
//! Core 1 runs an `embassy-executor` with three tasks; core 0 is an ordinary loop. Between them lie named structures in one
//! region. Whoever publishes something that the other sleeps for rings a doorbell, which is an interrupt there.
#![no_std]
#![no_main]

mod control;
mod log;
mod shared;
mod tasks;

use zeroipc_mps2_an521::{enable_doorbell, enable_ticks, exit, say, Core};

#[no_mangle]
extern "C" fn core_0() -> ! {
    enable_doorbell();
    enable_ticks();
    match control::run() {
        Ok(()) => exit(0),
        Err(failure) => {
            say!("core 0: {failure:?}");
            exit(1)
        }
    }
}

/// The doorbell's interrupt. On core 0 it has ended a sleep, which is all.
#[no_mangle]
extern "C" fn on_ring(core: Core) {
    if core == Core::One {
        tasks::on_ring();
    }
}

/// The timer's interrupt.
#[no_mangle]
extern "C" fn on_tick(core: Core) {
    if core == Core::One {
        tasks::on_tick();
    }
}

#[no_mangle]
extern "C" fn core_1() -> ! {
    enable_doorbell();
    enable_ticks();
    tasks::run()
}
