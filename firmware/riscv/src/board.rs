//! The machine: start-up of both harts, a console, and the end.

use crate::say;
use core::arch::global_asm;
use core::fmt;
use core::ptr::{addr_of_mut, read_volatile, write_volatile};
use zeroipc_raw::{RawError, RawRegion};

extern "C" {
    static mut __bss_start: u32;
    static mut __bss_end: u32;
    static mut __device_start: u8;
    static mut __device_end: u8;
    static mut __host_start: u8;
    static mut __host_end: u8;
}

// Both harts begin here after a reset, with nothing but their number. Any exception ends the machine.
global_asm!(
    "
    .section .text.start, \"ax\"
    .global start
start:
    la t0, exception
    csrw mtvec, t0
    csrr t0, mhartid
    li t1, 1
    beq t0, t1, 1f
    bgtu t0, t1, 2f
    la sp, __stack_0
    call start_hart_0
1:  la sp, __stack_1
    call start_hart_1
2:  wfi
    j 2b
    .balign 4
exception:
    call unexpected
"
);

#[no_mangle]
extern "C" fn start_hart_0() -> ! {
    let mut to = addr_of_mut!(__bss_start);
    while to < addr_of_mut!(__bss_end) {
        // SAFETY: inside `.bss`, of which nothing on this hart has been used yet. What hart 1 uses is not in it (`GATE`), or
        // a hint whose value does not matter (the core's search for free slots).
        unsafe { write_volatile(to, 0) };
        to = to.wrapping_add(1);
    }
    crate::hart_0()
}

#[no_mangle]
extern "C" fn start_hart_1() -> ! {
    crate::hart_1()
}

#[no_mangle]
extern "C" fn unexpected() -> ! {
    say!("an exception that is not expected");
    exit(71)
}

/// The region that this firmware creates.
pub fn device_memory() -> Result<RawRegion, RawError> {
    // SAFETY: the linker script keeps these bytes for the region alone. They are ordinary memory without caches, and QEMU
    // runs this machine, which has two harts, with atomics that hold against the host as well.
    unsafe { RawRegion::between(addr_of_mut!(__device_start), addr_of_mut!(__device_end)) }
}

/// The region that Linux creates.
pub fn host_memory() -> Result<RawRegion, RawError> {
    // SAFETY: as above.
    unsafe { RawRegion::between(addr_of_mut!(__host_start), addr_of_mut!(__host_end)) }
}

/// The UART: `write!` to it. Never fails, and waits only for the UART.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const UART: *mut u8 = 0x1000_0000 as *mut u8;
        for byte in text.bytes() {
            // SAFETY: its line status; bit 5 means that there is room.
            while unsafe { read_volatile(UART.wrapping_add(5)) } & 0x20 == 0 {}
            // SAFETY: its data register.
            unsafe { write_volatile(UART, byte) };
        }
        Ok(())
    }
}

/// Prints a line.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => {{
        use core::fmt::Write;
        // The console never fails; a failure of what is printed is not worth a panic.
        let _ = writeln!($crate::board::Console, $($what)*);
    }};
}

/// Ends the machine with an exit code.
pub fn exit(code: u32) -> ! {
    const TEST: *mut u32 = 0x10_0000 as *mut u32;
    let word = if code == 0 { 0x5555 } else { code << 16 | 0x3333 };
    loop {
        // SAFETY: the device that ends the machine.
        unsafe { write_volatile(TEST, word) };
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("{info}");
    exit(101)
}
