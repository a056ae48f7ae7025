//! The board: start-up, the tick, and, by semihosting, a console, a file and the end.

use crate::say;
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
    static mut __region_start: u8;
    static mut __region_end: u8;
    static __stack: u32;
}

/// What the hardware reads when it starts, and at each exception: number 15 is the tick.
#[repr(C)]
struct Vectors {
    stack: *const u32,
    reset: extern "C" fn() -> !,
    exceptions: [extern "C" fn() -> !; 13],
    tick: extern "C" fn(),
}

// SAFETY: never written.
unsafe impl Sync for Vectors {}

#[used]
#[link_section = ".vectors"]
static VECTORS: Vectors =
    Vectors { stack: addr_of!(__stack), reset: start, exceptions: [unexpected; 13], tick };

#[no_mangle]
extern "C" fn start() -> ! {
    let (mut to, mut from) = (addr_of_mut!(__data_start), addr_of!(__data_load));
    while to < addr_of_mut!(__data_end) {
        // SAFETY: inside `.data` and its copy, which are equally long; no static has been used yet.
        unsafe { write_volatile(to, read_volatile(from)) };
        (to, from) = (to.wrapping_add(1), from.wrapping_add(1));
    }
    let mut to = addr_of_mut!(__bss_start);
    while to < addr_of_mut!(__bss_end) {
        // SAFETY: inside `.bss`.
        unsafe { write_volatile(to, 0) };
        to = to.wrapping_add(1);
    }
    crate::main()
}

extern "C" fn tick() {
    crate::tick();
}

/// Any exception but the tick: none is expected.
extern "C" fn unexpected() -> ! {
    say!("an exception that is not expected");
    exit(71)
}

/// Where the region lies.
pub fn region() -> Result<RawRegion, RawError> {
    // SAFETY: the linker script keeps these bytes for the region alone; the only other party is an interrupt.
    unsafe { RawRegion::between(addr_of_mut!(__region_start), addr_of_mut!(__region_end)) }
}

/// Lets the tick come every `cycles` cycles.
pub fn start_ticking(cycles: u32) {
    const SYST: *mut u32 = 0xe000_e010 as *mut u32;
    // What the interrupt finds was written before.
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
    // SAFETY: the system timer's registers, which nobody else uses: how long ...
    unsafe { write_volatile(SYST.wrapping_add(1), cycles) };
    // SAFETY: ... from now ...
    unsafe { write_volatile(SYST.wrapping_add(2), 0) };
    // SAFETY: ... on, by the processor's clock, with an interrupt.
    unsafe { write_volatile(SYST, 7) };
}

/// Sleeps until an interrupt.
pub fn sleep() {
    // SAFETY: an instruction without operands.
    unsafe { asm!("wfi", options(nomem, nostack)) };
}

/// Asks the debugger (QEMU) for something.
///
/// # Safety
/// `argument` is what `operation` demands.
unsafe fn semihosting(operation: u32, argument: *const u32) -> u32 {
    let result;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("bkpt 0xab", inout("r0") operation => result, in("r1") argument, options(nostack))
    };
    result
}

/// What is printed by the debugger: `write!` to it. Never fails.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let word = u32::from(byte);
            // SAFETY: SYS_WRITEC takes the address of a character.
            unsafe { semihosting(3, &word) };
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

/// Writes the region's memory to a file of the host, named by `name`, which ends with a NUL; returns whether it could.
pub fn save(region: &RawRegion, name: &str) -> bool {
    const WRITE_BINARY: u32 = 5;
    let open = [name.as_ptr() as u32, WRITE_BINARY, name.len() as u32 - 1];
    // SAFETY: SYS_OPEN takes a name, how to open, and the name's length.
    let file = unsafe { semihosting(1, open.as_ptr()) };
    if file == u32::MAX {
        return false;
    }
    let write = [file, region.address() as u32, region.len() as u32];
    // SAFETY: SYS_WRITE takes a file, an address and a length.
    let left = unsafe { semihosting(5, write.as_ptr()) };
    // SAFETY: SYS_CLOSE takes a file.
    let closed = unsafe { semihosting(2, [file].as_ptr()) };
    left == 0 && closed == 0
}

/// Ends the machine with an exit code.
pub fn exit(code: u32) -> ! {
    let block = [0x2_0026, code];
    loop {
        // SAFETY: SYS_EXIT_EXTENDED takes a reason and a code.
        unsafe { semihosting(0x20, block.as_ptr()) };
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("{info}");
    exit(101)
}
