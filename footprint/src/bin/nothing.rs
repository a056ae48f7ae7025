//! The harness alone: subtracted from all others.
#![no_std]
#![no_main]

use footprint::{memory, opaque};

fn run() -> Option<()> {
    let memory = memory()?;
    loop {
        opaque(memory.len() as u32);
    }
}

#[no_mangle]
extern "C" fn _start() -> ! {
    let _ = run();
    loop {}
}
