//! The board: start-up of both cores, a console, and the end.

use core::arch::asm;
use core::fmt;
use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};
use zeroipc_raw::{RawError, RawRegion};

extern "C" {
    static mut __data_start: u32;
    static mut __data_end: u32;
    static __data_load: u32;
    static mut __bss_start: u32;
    static mut __bss_end: u32;
    static mut __device_start: u8;
    static mut __device_end: u8;
    static mut __host_start: u8;
    static mut __host_end: u8;
    static __stack_0: u32;
    static __stack_1: u32;
}

/// What the hardware reads when a core starts: its first stack pointer, where it begins, and 14 exceptions.
#[repr(C, align(512))]
struct Vectors {
    stack: *const u32,
    reset: extern "C" fn() -> !,
    exceptions: [extern "C" fn() -> !; 14],
}

// SAFETY: never written.
unsafe impl Sync for Vectors {}

#[used]
#[link_section = ".vectors.core_0"]
static VECTORS_0: Vectors =
    Vectors { stack: addr_of!(__stack_0), reset: start_core_0, exceptions: [unexpected; 14] };

#[used]
#[link_section = ".vectors.core_1"]
static VECTORS_1: Vectors =
    Vectors { stack: addr_of!(__stack_1), reset: start_core_1, exceptions: [unexpected; 14] };

/// Core 0 after a reset. Core 1 is held until [`release_core_1`].
#[no_mangle]
extern "C" fn start_core_0() -> ! {
    // SAFETY: nothing on this core has used a static yet. What core 1 uses, if it still runs from the last boot, is not in
    // these sections (`GATE`), or a hint whose value does not matter (the core's search for free slots); the linker script gives the bounds.
    unsafe { initialise_statics() };
    console_on();
    crate::core_0()
}

extern "C" fn start_core_1() -> ! {
    crate::core_1()
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
    unsafe { write_volatile(INITSVTOR1, addr_of!(VECTORS_1) as u32) };
    // SAFETY: ... and that it need not wait.
    unsafe { write_volatile(CPUWAIT, 0) };
}

/// The region that this firmware creates.
pub fn device_memory() -> Result<RawRegion, RawError> {
    // SAFETY: the linker script keeps these bytes for the region alone. They are ordinary memory without caches, and QEMU
    // runs this machine, which has two cores, with atomics that hold against the host as well.
    unsafe { RawRegion::between(addr_of_mut!(__device_start), addr_of_mut!(__device_end)) }
}

/// The region that Linux creates.
pub fn host_memory() -> Result<RawRegion, RawError> {
    // SAFETY: as above.
    unsafe { RawRegion::between(addr_of_mut!(__host_start), addr_of_mut!(__host_end)) }
}

const UART: *mut u32 = 0x5020_0000 as *mut u32;

fn console_on() {
    // SAFETY: the UART's divisor (any will do in QEMU) ...
    unsafe { write_volatile(UART.wrapping_add(4), 16) };
    // SAFETY: ... and its control register: transmit.
    unsafe { write_volatile(UART.wrapping_add(2), 1) };
}

/// The first UART: `write!` to it. Never fails, and waits only for the UART.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the UART's state register; bit 0 means full.
            while unsafe { read_volatile(UART.wrapping_add(1)) } & 1 != 0 {}
            // SAFETY: its data register.
            unsafe { write_volatile(UART, u32::from(byte)) };
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

/// Any exception: none is expected.
extern "C" fn unexpected() -> ! {
    say!("an exception that is not expected");
    exit(71)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("{info}");
    exit(101)
}
