//! The machine: start-up, the shared memory, a console, and the end.

use core::arch::{asm, global_asm};
use core::fmt;
use zeroipc_firmware_pipeline::IVSHMEM;
use zeroipc_raw::{RawError, RawRegion};

global_asm!(include_str!("start.s"));

/// Writes to a port.
///
/// # Safety
/// As the device behind it demands.
unsafe fn write_byte(port: u16, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) };
}

/// # Safety
/// As [`write_byte`].
unsafe fn read_byte(port: u16) -> u8 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) };
    value
}

/// # Safety
/// As [`write_byte`].
unsafe fn write_long(port: u16, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack)) };
}

/// # Safety
/// As [`write_byte`].
unsafe fn read_long(port: u16) -> u32 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack)) };
    value
}

/// A function on PCI bus 0.
#[derive(Clone, Copy)]
struct Pci(u32);

impl Pci {
    const ADDRESS: u16 = 0xcf8;
    const DATA: u16 = 0xcfc;

    fn select(self, register: u32) {
        // SAFETY: selects a register of the configuration space; this guest has one core.
        unsafe { write_long(Self::ADDRESS, 1 << 31 | self.0 << 11 | register) };
    }

    fn read(self, register: u32) -> u32 {
        self.select(register);
        // SAFETY: reading the configuration space changes nothing.
        unsafe { read_long(Self::DATA) }
    }

    /// Lets the device answer to its memory addresses.
    fn enable(self) {
        const COMMAND: u32 = 4;
        let command = self.read(COMMAND) | 2;
        self.select(COMMAND);
        // SAFETY: the firmware has given it addresses that nobody else has.
        unsafe { write_long(Self::DATA, command) };
    }
}

/// Where the memory of the ivshmem device is: its BAR 2. `None` if there is none below 4 GiB.
fn shared_memory() -> Option<usize> {
    const IVSHMEM: u32 = 0x1110_1af4;
    let device = (0..32).map(Pci).find(|device| device.read(0) == IVSHMEM)?;
    device.enable();
    let (low, high) = (device.read(0x18) & !0xf, device.read(0x1c));
    (low != 0 && high == 0).then_some(low as usize)
}

/// The region that this guest creates, and that of Linux.
pub fn memory() -> Option<[Result<RawRegion, RawError>; 2]> {
    let base = shared_memory()?;
    Some([IVSHMEM.device, IVSHMEM.host].map(|offset| {
        // SAFETY: the device's memory, mapped one to one by `start.s`, which nothing else in this guest uses. It is ordinary
        // memory of the host, and QEMU's atomics hold against the host if the machine may have two cores.
        unsafe { RawRegion::new(base + offset as usize, IVSHMEM.size) }
    }))
}

/// The first serial port: `write!` to it. Never fails, and waits only for the port.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const COM1: u16 = 0x3f8;
        for byte in text.bytes() {
            // SAFETY: its line status; bit 5 means that there is room.
            while unsafe { read_byte(COM1 + 5) } & 0x20 == 0 {}
            // SAFETY: its data register.
            unsafe { write_byte(COM1, byte) };
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

/// Ends the machine; QEMU's exit code is 2 `code` + 1.
pub fn exit(code: u32) -> ! {
    loop {
        // SAFETY: the device that ends the machine.
        unsafe { write_long(0xf4, code) };
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("{info}");
    exit(101)
}
