//! Waiting in the kernel, on words that several processes share.

use crate::reactor::TASKS;
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec, WaitFlags, WaitPtr, WaitvFlags};
use rustix::thread::{membarrier, MembarrierCommand};
use rustix::time::{clock_gettime, ClockId};
use std::num::NonZeroU32;
use std::sync::atomic::{fence, Ordering::SeqCst};
use std::sync::OnceLock;
use zeroipc_nostd::{Wait, WaitSet, WaitWord, WithReactor};

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

/// [`Futex`] with the process's [`Tasks`](crate::reactor::Tasks): what regions in mappings get, and no others, since the words of others may be gone while
/// a leaked task is still in the list.
pub(crate) static FUTEX: WithReactor<'static, Futex> = WithReactor::new(Futex, &TASKS);

/// How long a party sleeps that peers may not wake for all that it waits for, in nanoseconds (1 ms): because they may not
/// know of its fences, or because it waits for more words than it can sleep on.
const SHORT_SLICE: u64 = 1_000_000;

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

impl Futex {
    /// `deadline` for the kernel; sooner where peers may not know of our fences.
    fn until(&self, deadline: u64) -> Timespec {
        timespec(if fences_reach() {
            deadline
        } else {
            deadline.min(self.now().saturating_add(SHORT_SLICE))
        })
    }
}

/// A time on [`Futex`]'s clock for the kernel.
pub(crate) fn timespec(time: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time / NANOSECONDS).unwrap_or(i64::MAX),
        tv_nsec: (time % NANOSECONDS) as _,
    }
}

impl Wait for Futex {
    fn now(&self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        // Never negative, and in 64 bits for 584 years after boot.
        (now.tv_sec as u64).saturating_mul(NANOSECONDS).saturating_add(now.tv_nsec as u64)
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        let until = self.until(deadline);
        // Not `PRIVATE`: peers are other processes. The form with a bit set takes an absolute time on the monotonic
        // clock, so being held up between reading the clock and the call does not make the sleep longer.
        // Whatever it returns (woken, changed, timed out, a signal), callers look again.
        let _ = futex::wait_bitset(
            word.address(),
            Flags::empty(),
            expected,
            Some(&until),
            NonZeroU32::MAX,
        );
    }

    /// One `futex_waitv` for all words (Linux 5.16). Older kernels, and filters that do not know the call, get a sleep on the
    /// first word for 1 ms at most.
    fn wait_any(&self, set: &WaitSet<'_>, deadline: u64) {
        let mut all = [futex::Wait::new(); WaitSet::CAPACITY];
        let mut len = 0;
        for (place, (word, expected)) in all.iter_mut().zip(set.iter()) {
            place.val = u64::from(expected);
            place.uaddr = WaitPtr::new(word.address().as_ptr().cast());
            // Shared between processes, as without `PRIVATE` below.
            place.flags = WaitFlags::SIZE_U32;
            len += 1;
        }
        let short = || deadline.min(self.now().saturating_add(SHORT_SLICE));
        let until = self.until(if set.is_partial() { short() } else { deadline });
        let words = all.get(..len).unwrap_or_default();
        // Woken, changed, timed out, a signal: callers look again.
        let slept = futex::waitv(words, WaitvFlags::empty(), Some(&until), ClockId::Monotonic);
        if matches!(slept, Err(Errno::NOSYS | Errno::PERM | Errno::INVAL)) && !set.has_changed() {
            if let Some((word, expected)) = set.iter().next() {
                self.wait(word, expected, short());
            }
        }
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        // The kernel counts in `int`.
        let most = count.min(i32::MAX as u32);
        match futex::wake(word.address(), Flags::empty(), most) {
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
