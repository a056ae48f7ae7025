//! Two rings of words, one each way: the region is opened, a ring is opened as producer and another as consumer.
#![no_std]
#![no_main]

use footprint::{memory, opaque};
use zeroipc_nostd::Ring;

fn run() -> Option<()> {
    let memory = memory()?;
    let region = memory.open().ok()?;
    let mut producer = Ring::<u32>::open(region, "out").ok()?.producer().ok()?;
    let mut consumer = Ring::<u32>::open(region, "in").ok()?.consumer().ok()?;
    loop {
        if producer.try_push(opaque(1)).is_err() {
            opaque(2);
        }
        if let Ok(value) = consumer.try_pop() {
            opaque(value);
        }
    }
}

#[no_mangle]
extern "C" fn _start() -> ! {
    let _ = run();
    loop {}
}
