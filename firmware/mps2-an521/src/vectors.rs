//! What the hardware reads when a core starts, and when it is interrupted.

use crate::doorbell::{clear, Core};
use crate::{exit, say, start_core_0, start_core_1};
use core::ptr::addr_of;

unsafe extern "C" {
    static __stack_0: u32;
    static __stack_1: u32;

    /// The program's, or [`nothing_to_do`].
    safe fn on_ring(core: Core);
    safe fn on_tick(core: Core);
}

type Handler = extern "C" fn();

/// First stack pointer, where to begin, 14 exceptions (the last is the timer's), and the interrupts up to the doorbell's.
#[repr(C, align(512))]
struct Vectors {
    stack: *const u32,
    reset: extern "C" fn() -> !,
    faults: [Handler; 13],
    tick: Handler,
    others: [Handler; 6],
    doorbell: Handler,
}

// SAFETY: never written.
unsafe impl Sync for Vectors {}

impl Vectors {
    const fn new(
        stack: *const u32,
        reset: extern "C" fn() -> !,
        tick: Handler,
        doorbell: Handler,
    ) -> Self {
        Vectors { stack, reset, faults: [unexpected; 13], tick, others: [unexpected; 6], doorbell }
    }
}

#[used]
#[link_section = ".vectors.core_0"]
static VECTORS_0: Vectors = Vectors::new(addr_of!(__stack_0), start_core_0, tick_0, doorbell_0);

#[used]
#[link_section = ".vectors.core_1"]
static VECTORS_1: Vectors = Vectors::new(addr_of!(__stack_1), start_core_1, tick_1, doorbell_1);

pub(crate) fn of_core_1() -> u32 {
    addr_of!(VECTORS_1) as u32
}

extern "C" fn doorbell_0() {
    rung(Core::Zero);
}

extern "C" fn doorbell_1() {
    rung(Core::One);
}

fn rung(core: Core) {
    // First: who rings after this interrupts again.
    clear(core);
    on_ring(core);
}

extern "C" fn tick_0() {
    on_tick(Core::Zero);
}

extern "C" fn tick_1() {
    on_tick(Core::One);
}

/// What an interrupt does that the program has nothing for: it has ended a sleep.
#[no_mangle]
extern "C" fn nothing_to_do(_: Core) {}

/// Any other exception or interrupt.
extern "C" fn unexpected() {
    say!("an exception that is not expected");
    exit(71)
}
