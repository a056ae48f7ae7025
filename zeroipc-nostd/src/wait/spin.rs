//! Waiting by looking: for cores without anything better, and for tests.

use super::{Wait, WaitWord};
use crate::sync::relax;

/// A [`Wait`] that spins on the word. Costs a core while it waits; needs only a clock.
///
/// ```
/// use zeroipc_nostd::{Spin, Wait};
///
/// fn cycle_counter_in_nanoseconds() -> u64 {
///     # 0
///     // read a timer
/// }
/// let waiter = Spin::new(cycle_counter_in_nanoseconds);
/// assert_eq!(waiter.now(), 0);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Spin {
    clock: fn() -> u64,
}

impl Spin {
    /// A spinner by a clock in nanoseconds that never goes back.
    #[must_use]
    pub const fn new(clock: fn() -> u64) -> Self {
        Spin { clock }
    }
}

impl Wait for Spin {
    fn now(&self) -> u64 {
        (self.clock)()
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        while word.load() == expected && self.now() < deadline {
            relax();
        }
    }

    /// Nobody sleeps, so nobody needs waking; says `count`, since it can't know who looks.
    fn wake(&self, _word: WaitWord<'_>, count: u32) -> u32 {
        count
    }
}
