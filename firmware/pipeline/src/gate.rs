//! How the second core learns that a session begins, when memory remembers the last boot.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const HERE: u32 = 0x4845_5245;
const GO: u32 = 0x474f_474f;

/// Where core 1 waits until core 0 has prepared a session.
///
/// It lies in memory that start-up code does not touch: either core may be the first to come there after a reset, or core 1
/// may not have been reset at all (QEMU's mps2-an521 resets core 0 only), and what stands there is from the last boot, or random.
///
/// 1. Core 0 closes the gate (stores 0), and formats the region, which ends the last session.
/// 2. Core 1, when it starts or finds its session at an end, stores `HERE`, and again whenever it finds 0.
/// 3. Core 0 waits for `HERE`: core 1 holds nothing of the last session any more. It creates all structures and stores `GO`.
/// 4. Core 1 waits for `GO`, which can only come after its own `HERE`.
#[derive(Debug)]
pub struct Gate(AtomicU32);

impl Gate {
    /// For a static that is not initialised.
    #[must_use]
    pub const fn new() -> Self {
        Gate(AtomicU32::new(0))
    }

    /// Core 0's first act of a session.
    pub fn close(&self) {
        self.0.store(0, Relaxed);
    }

    /// Whether core 1 waits at the gate.
    #[must_use]
    pub fn is_waited_at(&self) -> bool {
        // Acquire: all that core 1 did in the last session is done.
        self.0.load(Acquire) == HERE
    }

    /// Core 0 lets core 1 in, which [`Gate::is_waited_at`] has found waiting.
    pub fn open(&self) {
        // Release: core 1 sees what core 0 has prepared.
        self.0.store(GO, Release);
    }

    /// Core 1 waits until it is let in.
    pub fn pass(&self) {
        // Release: see `is_waited_at`.
        self.0.store(HERE, Release);
        loop {
            match self.0.load(Acquire) {
                GO => return,
                HERE => core::hint::spin_loop(),
                _ => self.0.store(HERE, Release),
            }
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
