//! A channel of words: the region and the channel are opened, and values sent and received.
#![no_std]
#![no_main]

use footprint::{memory, opaque};
use zeroipc_nostd::Channel;

fn run() -> Option<()> {
    let memory = memory()?;
    let region = memory.open().ok()?;
    let channel = Channel::<u32>::open(region, "channel").ok()?;
    loop {
        if channel.try_send(opaque(1)).is_err() {
            opaque(2);
        }
        if let Ok(value) = channel.try_recv() {
            opaque(value);
        }
    }
}

#[no_mangle]
extern "C" fn _start() -> ! {
    let _ = run();
    loop {}
}
