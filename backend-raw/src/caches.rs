//! Cache maintenance by the processor's own means, for regions in memory that caches do not keep coherent.

#[cfg(feature = "cortex-m7")]
pub use cortex_m7::CortexM7;

#[cfg(feature = "cortex-m7")]
mod cortex_m7 {
    use zeroipc_nostd::CacheMaintenance;

    /// Clean by address to the point of coherency: `DCCMVAC` (CMSIS `core_cm7.h`: System Control Block + 0x268).
    const DCCMVAC: usize = 0xE000_EF68;
    /// Invalidate by address to the point of coherency: `DCIMVAC` (+ 0x25C).
    const DCIMVAC: usize = 0xE000_EF5C;
    /// Bytes of a line of the Cortex-M7's data cache: fixed (CMSIS `cachel1_armv7.h`).
    const LINE: usize = 32;

    /// The data cache of a Cortex-M7, by its registers. The other parties may have no cache, or one with lines of at most 32 bytes.
    ///
    /// Each call is two barriers and one register write a line. Only privileged code may use it.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct CortexM7 {
        _made: (),
    }

    impl CortexM7 {
        /// The cache of the core that this runs on.
        ///
        /// # Safety
        /// This must run, and be used, on a Cortex-M7 only, in privileged mode: elsewhere the registers are something else.
        #[must_use]
        pub const unsafe fn new() -> Self {
            CortexM7 { _made: () }
        }
    }

    /// Writes the address of each line to `register`.
    fn each_line(register: usize, first: *const u8, len: usize) {
        barrier();
        let (start, end) = (first as usize & !(LINE - 1), first as usize + len);
        for line in (start..end).step_by(LINE) {
            // SAFETY: a register that each Cortex-M7 has, on which this runs (`CortexM7::new`). It takes an address and does not
            // change what a program sees of its own memory: the caller's range has no dirty line that is invalidated (the trait).
            unsafe { (register as *mut u32).write_volatile(line as u32) };
        }
        barrier();
    }

    /// All before is complete; what comes after starts afterwards.
    fn barrier() {
        #[cfg(target_arch = "arm")]
        // SAFETY: barriers, which touch no register.
        unsafe {
            core::arch::asm!("dsb", "isb", options(nostack, preserves_flags));
        }
    }

    impl CacheMaintenance for CortexM7 {
        fn line(&self) -> u32 {
            LINE as u32
        }
        fn clean(&self, first: *const u8, len: usize) {
            each_line(DCCMVAC, first, len);
        }
        fn invalidate(&self, first: *const u8, len: usize) {
            each_line(DCIMVAC, first, len);
        }
    }
}

#[cfg(all(feature = "cortex-a", target_arch = "aarch64"))]
pub use cortex_a::CortexA;

#[cfg(all(feature = "cortex-a", target_arch = "aarch64"))]
mod cortex_a {
    use core::arch::asm;
    use zeroipc_nostd::CacheMaintenance;

    /// The data cache of an Armv8-A core, by its instructions `DC CVAC` and `DC IVAC`: to the point of coherency, where other
    /// masters of the bus look.
    ///
    /// The line is read from `CTR_EL0`. `DC IVAC` is allowed at EL1 and above only.
    #[derive(Debug, Clone, Copy)]
    pub struct CortexA {
        line: u32,
    }

    impl CortexA {
        /// The cache of the core that this runs on; all cores that use it must have the same line.
        ///
        /// # Safety
        /// This must run, and be used, at EL1 or above.
        #[must_use]
        pub unsafe fn new() -> Self {
            let register: u64;
            // SAFETY: reads a register that every Armv8-A core has.
            unsafe {
                asm!("mrs {}, ctr_el0", out(reg) register, options(nomem, nostack, preserves_flags))
            };
            // DminLine: log2 of the words in the smallest line.
            CortexA { line: 4 << (register >> 16 & 0xF) }
        }

        fn lines(&self, first: *const u8, len: usize) -> impl Iterator<Item = usize> {
            let line = self.line as usize;
            (first as usize & !(line - 1)..first as usize + len).step_by(line)
        }
    }

    /// All before is complete, for the whole system; what comes after starts afterwards.
    fn barrier() {
        // SAFETY: a barrier, which touches no register.
        unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
    }

    impl CacheMaintenance for CortexA {
        fn line(&self) -> u32 {
            self.line
        }
        fn clean(&self, first: *const u8, len: usize) {
            barrier();
            for line in self.lines(first, len) {
                // SAFETY: writes a line back, which changes nothing that a program sees of its own memory.
                unsafe { asm!("dc cvac, {}", in(reg) line, options(nostack, preserves_flags)) };
            }
            barrier();
        }
        fn invalidate(&self, first: *const u8, len: usize) {
            barrier();
            for line in self.lines(first, len) {
                // SAFETY: drops a line that is not dirty (the trait), at EL1 or above (`CortexA::new`).
                unsafe { asm!("dc ivac, {}", in(reg) line, options(nostack, preserves_flags)) };
            }
            barrier();
        }
    }
}
