//! Interrupts from core to core, a timer's ticks, sleep, and the time.
//!
//! The doorbell is the first Message Handling Unit of the SSE-200: a word for each core, whose interrupt is asserted while any
//! bit is set (Arm, "CoreLink SSE-200 Subsystem Technical Reference Manual"; QEMU, `hw/misc/armsse-mhu.c`).

use core::arch::asm;
use core::ptr::{read_volatile, write_volatile};

const MHU_0: usize = 0x5000_3000;
/// Of both cores.
const MHU_INTERRUPT: u32 = 6;

const NVIC_ISER: *mut u32 = 0xE000_E100 as *mut u32;
const SYSTICK_CONTROL: *mut u32 = 0xE000_E010 as *mut u32;
const SYSTICK_RELOAD: *mut u32 = 0xE000_E014 as *mut u32;
const SYSTICK_VALUE: *mut u32 = 0xE000_E018 as *mut u32;
/// Of 20 MHz, a tenth of a second.
const SYSTICK_PERIOD: u32 = 2_000_000;

/// Counts hundredths of a second since the reset; the same for both cores.
const FPGAIO_CLK100HZ: *const u32 = 0x5030_2014 as *const u32;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Core {
    /// The one that starts by itself.
    Zero,
    /// The other.
    One,
}

impl Core {
    /// Its registers: state, set, clear.
    fn registers(self) -> *mut u32 {
        let at = match self {
            Core::Zero => 0,
            Core::One => 0x10,
        };
        (MHU_0 + at) as *mut u32
    }
}

/// Interrupts `core`, after what this core has written is there to see.
pub fn ring(core: Core) {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    // SAFETY: the register that sets bits.
    unsafe { write_volatile(core.registers().wrapping_add(1), 1) };
}

/// Ends the interrupt of `core`, which is this one.
pub(crate) fn clear(core: Core) {
    // SAFETY: the register that clears bits.
    unsafe { write_volatile(core.registers().wrapping_add(2), u32::MAX) };
}

/// Lets the other core's rings interrupt this one.
pub fn enable_doorbell() {
    // SAFETY: this core's interrupt controller; its vector table has a handler for it.
    unsafe { write_volatile(NVIC_ISER, 1 << MHU_INTERRUPT) };
}

/// Lets a timer interrupt this core ten times a second.
pub fn enable_ticks() {
    // SAFETY: this core's timer: how long a tick is ...
    unsafe { write_volatile(SYSTICK_RELOAD, SYSTICK_PERIOD - 1) };
    // SAFETY: ... begin now ...
    unsafe { write_volatile(SYSTICK_VALUE, 0) };
    // SAFETY: ... from the processor's clock, with interrupts, on.
    unsafe { write_volatile(SYSTICK_CONTROL, 0b111) };
}

/// Since the reset, in steps of 10 ms.
#[must_use]
pub fn nanoseconds() -> u64 {
    // SAFETY: a counter that can be read at any time.
    u64::from(unsafe { read_volatile(FPGAIO_CLK100HZ) }) * 10_000_000
}

/// Sleeps until an interrupt, if `idle` says that there is nothing to do; no interrupt between asking and sleeping is lost.
pub fn sleep_if(idle: impl FnOnce() -> bool) {
    // SAFETY: masks this core's interrupts. Not `nomem`: the compiler must not move reads out of here.
    unsafe { asm!("cpsid i", options(nostack, preserves_flags)) };
    if idle() {
        // SAFETY: sleeps until an interrupt, which ends it though it is masked.
        unsafe { asm!("dsb", "wfi", options(nostack, preserves_flags)) };
    }
    // SAFETY: interrupts again, which are taken now.
    unsafe { asm!("cpsie i", "isb", options(nostack, preserves_flags)) };
}
