//! What all the measured firmwares share: the region between two symbols of the linker script, and a panic handler that must
//! never be linked.
#![no_std]

use core::panic::PanicInfo;
use zeroipc_raw::{linker_region, RawRegion};

/// The shared memory. Anything wrong with it ends in `None`: the firmware would blink a lamp.
pub fn memory() -> Option<RawRegion> {
    // SAFETY: the linker script keeps the range for this alone.
    unsafe { linker_region!(__shared_start, __shared_end) }.ok()
}

/// An input that the compiler knows nothing about, or an output that it must not drop.
#[inline(never)]
pub fn opaque(value: u32) -> u32 {
    core::hint::black_box(value)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
