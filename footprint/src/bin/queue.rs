//! A queue of words: the region and the queue are opened, and elements pushed and popped.
#![no_std]
#![no_main]

use footprint::{memory, opaque};
use zeroipc_nostd::Queue;

fn run() -> Option<()> {
    let memory = memory()?;
    let region = memory.open().ok()?;
    let queue = Queue::<u32>::open(region, "queue").ok()?;
    loop {
        if queue.try_push(opaque(1)).is_err() {
            opaque(2);
        }
        if let Ok(value) = queue.try_pop() {
            opaque(value);
        }
    }
}

#[no_mangle]
extern "C" fn _start() -> ! {
    let _ = run();
    loop {}
}
