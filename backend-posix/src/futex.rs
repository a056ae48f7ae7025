//! Waiting in the kernel, on words that several processes share.

use rustix::thread::futex::{Flags, Timespec};
use rustix::thread::{membarrier, MembarrierCommand};
use rustix::time::{clock_gettime, ClockId};
use std::num::NonZeroU32;
use std::sync::atomic::{fence, Ordering::SeqCst};
use std::sync::OnceLock;
use zeroipc_nostd::{Wait, WaitWord};

/// [`Wait`] by Linux futexes: sleeping costs no processor time, and waking a sleeper one system call.
///
/// The clock is `CLOCK_MONOTONIC`: it goes on while the machine's date is set, and stands while the machine sleeps.
///
/// Where the kernel has `membarrier` (`MEMBARRIER_CMD_GLOBAL_EXPEDITED`, Linux 4.16), the process is registered with it,
/// and whoever goes to sleep orders the memory of all registered parties; then a push or pop of a Ring needs no fence for
/// sleepers. A party that cannot do that (an old kernel, a filter on system calls) looks every millisecond instead.
///
/// A woken party that is killed before it takes what it was woken for takes the wake-up with it; the others look again
/// within 100 ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Futex;

/// The one that every region of this crate gets.
pub(crate) static FUTEX: Futex = Futex;

/// How long a party sleeps whose fences peers may not know of, in nanoseconds (1 ms).
const UNFENCED_SLICE: u64 = 1_000_000;

const NANOSECONDS: u64 = 1_000_000_000;

/// Whether sleepers' fences reach this process, and its own reach others. Registers it on the first call.
pub(crate) fn fences_reach() -> bool {
    // The registration is the process's, is inherited by a fork like this word, and ends with it.
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
            && membarrier(MembarrierCommand::GlobalExpedited).is_ok()
    })
}

impl Wait for Futex {
    fn now(&self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        // Never negative, and in 64 bits for 584 years after boot.
        (now.tv_sec as u64).saturating_mul(NANOSECONDS).saturating_add(now.tv_nsec as u64)
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        let deadline = if fences_reach() {
            deadline
        } else {
            deadline.min(self.now().saturating_add(UNFENCED_SLICE))
        };
        let until = Timespec {
            tv_sec: i64::try_from(deadline / NANOSECONDS).unwrap_or(i64::MAX),
            tv_nsec: (deadline % NANOSECONDS) as _,
        };
        // Not `PRIVATE`: peers are other processes. The form with a bit set takes an absolute time on the monotonic
        // clock, so being held up between reading the clock and the call does not make the sleep longer.
        // Whatever it returns (woken, changed, timed out, a signal), callers look again.
        let _ = rustix::thread::futex::wait_bitset(
            word.address(),
            Flags::empty(),
            expected,
            Some(&until),
            NonZeroU32::MAX,
        );
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        // The kernel counts in `int`.
        let most = count.min(i32::MAX as u32);
        match rustix::thread::futex::wake(word.address(), Flags::empty(), most) {
            Ok(woken) => u32::try_from(woken).unwrap_or(count),
            Err(_) => count,
        }
    }

    fn sleeper_fences_for_us(&self) -> bool {
        fences_reach()
    }

    fn sleep_fence(&self) {
        fence(SeqCst);
        if fences_reach() {
            // Orders every running thread of every registered process against us; those that do not run were ordered
            // when they stopped. <https://man7.org/linux/man-pages/man2/membarrier.2.html>
            let _ = membarrier(MembarrierCommand::GlobalExpedited);
        }
    }
}
