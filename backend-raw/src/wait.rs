//! Waiting without an operating system: by the processor's event, and by a doorbell between cores.

use core::fmt;
use core::hint::spin_loop;
use zeroipc_nostd::{Wait, WaitWord};

/// Waits by WFE and wakes by SEV: the event by which Arm cores wake each other, where the chip connects them.
///
/// It does between the cores of an RP2040 or RP2350, or of one Cortex-A cluster; not between clusters, nor between the cores of an STM32H745
/// (`docs/porting`). What is not connected is woken by interrupts only: use a [`Bell`] there.
///
/// The event is remembered by each core, so that a wake-up between the last look and WFE is not lost. SEV wakes all cores;
/// those that it does not concern look and sleep again.
///
/// **Deadlines** are noticed when something wakes the core: WFE itself never times out. So let a timer interrupt, or the event
/// stream of a Cortex-A's generic timer, come as often as deadlines shall be exact. With none at all a wait whose deadline passes
/// lasts until the next event.
///
/// Where the processor has no such event (RISC-V and others) this is [`Spin`](zeroipc_nostd::Spin): use a [`Bell`] there.
///
/// ```no_run
/// use zeroipc_nostd::FormatOptions;
/// use zeroipc_raw::{RawRegion, Wfe};
///
/// fn nanoseconds() -> u64 {
///     # 0
///     // read a timer that all that wait here may read
/// }
/// static WFE: Wfe = Wfe::new(nanoseconds);
/// # fn example(memory: &'static RawRegion) -> Result<(), Box<dyn std::error::Error>> {
/// let region = memory.open()?.with_notifier(&WFE);
/// # let _ = region;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Wfe {
    clock: fn() -> u64,
}

impl Wfe {
    /// Waits by a clock in nanoseconds that never goes back.
    #[must_use]
    pub const fn new(clock: fn() -> u64) -> Self {
        Wfe { clock }
    }
}

impl Wait for Wfe {
    fn now(&self) -> u64 {
        (self.clock)()
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        // Once: the caller looks again. In an incoherent region the word never changes, and the event alone is the news.
        if word.load() == expected && self.now() < deadline {
            wait_for_event();
        }
    }

    fn wake(&self, _word: WaitWord<'_>, count: u32) -> u32 {
        send_event();
        count
    }

    /// A few: an event is cheap to wait for.
    fn spins(&self) -> u32 {
        32
    }
}

/// Sleeps until the core's event register is set, and clears it. Elsewhere than on Arm a pause.
pub fn wait_for_event() {
    #[cfg(any(target_arch = "arm", target_arch = "aarch64"))]
    // SAFETY: a hint that touches neither registers nor memory. Not `nomem`: what comes after must be read again.
    unsafe {
        core::arch::asm!("wfe", options(nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "arm", target_arch = "aarch64")))]
    spin_loop();
}

/// Sets the event register of all cores that are connected, after what this core has written is there to see. Nothing elsewhere than on Arm.
pub fn send_event() {
    #[cfg(target_arch = "arm")]
    // SAFETY: a barrier and a hint, which touch no register.
    unsafe {
        core::arch::asm!("dsb", "sev", options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier and a hint, which touch no register.
    unsafe {
        core::arch::asm!("dsb sy", "sev", options(nostack, preserves_flags));
    }
}

/// Waits and wakes by what the chip has for it: a mailbox, a hardware semaphore, an inter-processor interrupt.
///
/// It is made of three functions:
///
/// - `clock`: nanoseconds that never go back;
/// - `ring`: rings at the other parties, so that their `rest` returns. Called by whoever published something, at most once for
///   each sleep; possibly from several contexts at once.
/// - `rest`: gives the core a rest until somebody rings or a timer interrupts. It is given a function that says whether there is
///   still nothing to do, and must not lose a ring between asking and sleeping: ask with interrupts masked, and sleep by an
///   instruction that an interrupt ends though it is masked (`wfi` on RISC-V and Arm):
///
/// ```no_run
/// use zeroipc_raw::Bell;
///
/// # fn nanoseconds() -> u64 { 0 }
/// # fn write_mailbox() {}
/// # fn without_interrupts(body: impl FnOnce()) { body() }
/// # fn wfi() {}
/// static BELL: Bell = Bell::new(
///     nanoseconds,
///     || write_mailbox(),
///     |nothing_yet| without_interrupts(|| if nothing_yet() { wfi() }),
/// );
/// ```
pub struct Bell<Clock = fn() -> u64, Ring = fn(), Rest = fn(&dyn Fn() -> bool)> {
    clock: Clock,
    ring: Ring,
    rest: Rest,
}

impl Bell {
    /// A bell of plain functions, or closures that hold nothing, for a `static`. See [`Bell::with`].
    #[must_use]
    pub const fn new(clock: fn() -> u64, ring: fn(), rest: fn(&dyn Fn() -> bool)) -> Self {
        Bell { clock, ring, rest }
    }
}

impl<Clock, Ring, Rest> Bell<Clock, Ring, Rest>
where
    Clock: Fn() -> u64 + Send + Sync,
    Ring: Fn() + Send + Sync,
    Rest: Fn(&dyn Fn() -> bool) + Send + Sync,
{
    /// A bell of closures that hold what they need: registers of a mailbox, a handle of a driver.
    #[must_use]
    pub const fn with(clock: Clock, ring: Ring, rest: Rest) -> Self {
        Bell { clock, ring, rest }
    }
}

impl<Clock, Ring, Rest> fmt::Debug for Bell<Clock, Ring, Rest> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

impl<Clock, Ring, Rest> Wait for Bell<Clock, Ring, Rest>
where
    Clock: Fn() -> u64 + Send + Sync,
    Ring: Fn() + Send + Sync,
    Rest: Fn(&dyn Fn() -> bool) + Send + Sync,
{
    fn now(&self) -> u64 {
        (self.clock)()
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        let nothing_yet = || word.load() == expected && self.now() < deadline;
        // Once: the caller looks again. In an incoherent region the word never changes, and the ring alone is the news.
        if nothing_yet() {
            (self.rest)(&nothing_yet);
            spin_loop();
        }
    }

    fn wake(&self, _word: WaitWord<'_>, count: u32) -> u32 {
        (self.ring)();
        count
    }

    /// A few: whoever has a doorbell wants the core's time for other things.
    fn spins(&self) -> u32 {
        32
    }
}
