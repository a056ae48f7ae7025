//! QEMU's `mps2-an521`, a board with two Cortex-M33 cores: start-up of both, memory, a console, a clock, a doorbell from core to
//! core, and the end.
//!
//! A program says what the cores do: `#[no_mangle] extern "C" fn core_0() -> !`, and `core_1`; and if it likes
//! `#[no_mangle] extern "C" fn on_ring(Core)` and `on_tick(Core)`, which are called in interrupts. Its linker arguments are
//! `-Tmps2-an521.x`.
#![no_std]

mod console;
mod doorbell;
mod vectors;

pub use console::Console;
pub use doorbell::{enable_doorbell, enable_ticks, nanoseconds, ring, sleep_if, Core};

use core::arch::asm;
use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};
use zeroipc_raw::{RawError, RawRegion};

unsafe extern "C" {
    static mut __data_start: u32;
    static mut __data_end: u32;
    static __data_load: u32;
    static mut __bss_start: u32;
    static mut __bss_end: u32;
    static mut __device_start: u8;
    static mut __device_end: u8;
    static mut __host_start: u8;
    static mut __host_end: u8;

    /// What the program does on core 0, and on core 1.
    safe fn core_0() -> !;
    safe fn core_1() -> !;
}

/// Core 0 after a reset. Core 1 is held until [`release_core_1`].
#[no_mangle]
extern "C" fn start_core_0() -> ! {
    // SAFETY: nothing on this core has used a static yet. What core 1 uses, if it still runs from the last boot, is not in
    // these sections (`.noinit`), or a hint whose value does not matter (the core's search for free slots); the linker script gives the bounds.
    unsafe { initialise_statics() };
    console::on();
    core_0()
}

extern "C" fn start_core_1() -> ! {
    core_1()
}

/// # Safety
/// Before any static is used, on one core.
unsafe fn initialise_statics() {
    let (mut to, mut from) = (addr_of_mut!(__data_start), addr_of!(__data_load));
    while to < addr_of_mut!(__data_end) {
        // SAFETY: inside `.data` and its copy, which are equally long.
        unsafe { write_volatile(to, read_volatile(from)) };
        (to, from) = (to.wrapping_add(1), from.wrapping_add(1));
    }
    let mut to = addr_of_mut!(__bss_start);
    while to < addr_of_mut!(__bss_end) {
        // SAFETY: inside `.bss`.
        unsafe { write_volatile(to, 0) };
        to = to.wrapping_add(1);
    }
}

/// Lets core 1 begin, with what this core has written before visible to it.
pub fn release_core_1() {
    const INITSVTOR1: *mut u32 = 0x5002_1114 as *mut u32;
    const CPUWAIT: *mut u32 = 0x5002_1118 as *mut u32;
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    // SAFETY: registers of the board's system controller: where core 1 finds its vectors ...
    unsafe { write_volatile(INITSVTOR1, vectors::of_core_1()) };
    // SAFETY: ... and that it need not wait.
    unsafe { write_volatile(CPUWAIT, 0) };
}

/// The region that this firmware creates.
///
/// # Errors
/// [`RawError`], if the linker script is wrong.
pub fn device_memory() -> Result<RawRegion, RawError> {
    // SAFETY: the linker script keeps these bytes for the region alone. They are ordinary memory without caches, and QEMU
    // runs this machine, which has two cores, with atomics that hold against the host as well.
    unsafe { RawRegion::between(addr_of_mut!(__device_start), addr_of_mut!(__device_end)) }
}

/// The region that Linux creates.
///
/// # Errors
/// As [`device_memory`].
pub fn host_memory() -> Result<RawRegion, RawError> {
    // SAFETY: as above.
    unsafe { RawRegion::between(addr_of_mut!(__host_start), addr_of_mut!(__host_end)) }
}

/// Ends the machine with an exit code, by semihosting (`SYS_EXIT_EXTENDED`).
pub fn exit(code: u32) -> ! {
    let block = [0x2_0026, code];
    loop {
        // SAFETY: the debugger (QEMU) reads the block and ends the machine.
        unsafe {
            asm!("bkpt 0xab", inout("r0") 0x20 => _, in("r1") &block, options(nostack));
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("{info}");
    exit(101)
}
