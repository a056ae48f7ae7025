//! The board's UARTs: the first is the console, the second is for whatever a program likes.

use core::fmt;
use core::ptr::{read_volatile, write_volatile};

const FIRST: *mut u32 = 0x5020_0000 as *mut u32;
const SECOND: *mut u32 = 0x5020_1000 as *mut u32;

/// `write!` to the first UART. Never fails, and waits only for the UART.
#[derive(Debug)]
pub struct Console;

pub(crate) fn on() {
    for uart in [FIRST, SECOND] {
        // SAFETY: the UART's divisor (any will do in QEMU) ...
        unsafe { write_volatile(uart.wrapping_add(4), 16) };
        // SAFETY: ... and its control register: transmit.
        unsafe { write_volatile(uart.wrapping_add(2), 1) };
    }
}

fn send(uart: *mut u32, bytes: &[u8]) {
    for byte in bytes {
        // SAFETY: the UART's state register; bit 0 means full.
        while unsafe { read_volatile(uart.wrapping_add(1)) } & 1 != 0 {}
        // SAFETY: its data register.
        unsafe { write_volatile(uart, u32::from(*byte)) };
    }
}

impl Console {
    /// Bytes to the second UART.
    pub fn send_to_second(bytes: &[u8]) {
        send(SECOND, bytes);
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        send(FIRST, text.as_bytes());
        Ok(())
    }
}

/// Prints a line.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => {{
        use core::fmt::Write;
        // The console never fails; a failure of what is printed is not worth a panic.
        let _ = writeln!($crate::Console, $($what)*);
    }};
}
