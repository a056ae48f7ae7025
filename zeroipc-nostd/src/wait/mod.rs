//! Waiting: how a party sleeps until a peer changes something, and how that peer wakes it.
//!
//! Structures wait on 32-bit words of the region through the small trait [`Wait`]; who implements it decides what
//! sleeping means: a futex (`zeroipc-posix`), an instruction or a doorbell (`zeroipc-raw`), or spinning ([`Spin`]).

mod bell;
mod broadcast;
mod doorbell;
mod event_count;
mod set;
mod spin;

pub(crate) use bell::Bell;
pub(crate) use broadcast::Broadcast;
pub(crate) use doorbell::{Doorbell, Ringer};
pub(crate) use event_count::EventCount;
pub use set::WaitSet;
pub use spin::Spin;

use crate::asynchronous::Reactor;
use crate::error::{PopError, PopTimeoutError, PushError, PushTimeoutError, WaitError};
use crate::sync::{full_fence, relax, Atomic};
use core::fmt::Debug;
use core::sync::atomic::Ordering::Acquire;
use core::time::Duration;

/// The longest that anybody sleeps without looking, in nanoseconds (100 ms).
///
/// Wake-ups are not lost; but a party that was woken and killed before it took what it was woken for takes the wake-up
/// with it, and a peer without a notifier wakes nobody. Then the others find out this much later.
pub(crate) const SLICE: u64 = 100_000_000;

/// The longest that anybody sleeps who may not be woken for all that it waits for, in nanoseconds (1 ms).
const SHORT_SLICE: u64 = 1_000_000;

/// A word of the region that somebody may wait on.
#[derive(Debug, Clone, Copy)]
pub struct WaitWord<'a>(pub(crate) Atomic<'a, u32>);

impl<'a> WaitWord<'a> {
    /// A word of this party's own, to sleep on beside those of a region; whoever changes it wakes those that sleep on it by the
    /// same [`Wait`].
    #[cfg(not(loom))]
    #[must_use]
    pub fn of(word: &'a core::sync::atomic::AtomicU32) -> Self {
        WaitWord(Atomic::of(word))
    }

    /// Its value now (acquire).
    #[must_use]
    pub fn load(self) -> u32 {
        self.0.load(Acquire)
    }

    /// The word itself, for a system call.
    #[cfg(not(loom))]
    #[must_use]
    pub fn address(self) -> &'a core::sync::atomic::AtomicU32 {
        self.0.address()
    }

    /// In the model: which word it is.
    #[cfg(loom)]
    #[doc(hidden)]
    #[must_use]
    pub fn id(self) -> usize {
        self.0.id()
    }
}

/// How a party waits and wakes. Implementations are shared between threads.
pub trait Wait: Debug + Send + Sync {
    /// Nanoseconds of a clock that never goes back; deadlines are on the same clock.
    fn now(&self) -> u64;

    /// Waits until `word` differs from `expected`, somebody wakes it, or `deadline` (on [`Wait::now`]'s clock) has
    /// passed. May return early for no reason: callers look again. Must not sleep if `word` differs already.
    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64);

    /// Waits until a word of `set` differs from what was expected of it, somebody wakes one, or `deadline` has passed. May
    /// return early for no reason. Must not sleep if one differs already.
    ///
    /// Unless a platform can do better (Linux has `futex_waitv`), it sleeps on the first word for 1 ms at most, so
    /// the others are noticed that late.
    fn wait_any(&self, set: &WaitSet<'_>, deadline: u64) {
        if set.has_changed() {
            return;
        }
        let short = || deadline.min(self.now().saturating_add(SHORT_SLICE));
        let deadline = if set.len() > 1 || set.is_partial() { short() } else { deadline };
        if let Some((word, expected)) = set.iter().next() {
            self.wait(word, expected, deadline);
        }
    }

    /// Wakes up to `count` parties that wait on `word`, in any process; returns how many, or `count` if it can't know.
    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32;

    /// Whether [`Wait::sleep_fence`] of any party orders the accesses of this party too, while it runs.
    ///
    /// If so, a push or pop of a Ring pays no fence for its possible sleepers. Linux `membarrier` does that for
    /// processes that registered. Asked once, when a structure is opened.
    fn sleeper_fences_for_us(&self) -> bool {
        false
    }

    /// Orders this party's announcement to sleep before its last look, against all parties that publish.
    fn sleep_fence(&self) {
        full_fence();
    }

    /// How many times to look, with a pause after each look, before going to sleep.
    fn spins(&self) -> u32 {
        1000
    }

    /// What wakes tasks that wait: without one, asynchronous forms end with an error.
    fn reactor(&self) -> Option<&dyn Reactor> {
        None
    }
}

/// How an open structure wakes sleepers, if at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notifier<'a> {
    wait: Option<&'a dyn Wait>,
    sleeper_fences: bool,
}

impl<'a> Notifier<'a> {
    pub(crate) fn new(wait: Option<&'a dyn Wait>) -> Self {
        Notifier { wait, sleeper_fences: wait.is_some_and(Wait::sleeper_fences_for_us) }
    }

    /// The same thing as a way to wait.
    pub(crate) fn waiter(&self) -> Option<&'a dyn Wait> {
        self.wait
    }

    /// Whether who publishes may do so by a store alone, and then look for sleepers that announce themselves on an eventcount by
    /// [`EventCount::announced_to_stores`]: their fence runs on our core too, or nobody looks.
    pub(crate) fn may_store(&self) -> bool {
        self.sleeper_fences || self.wait.is_none()
    }

    /// Waiting as long as it takes, by the region's own waiter.
    pub(crate) fn forever(&self) -> Result<Limit<'a>, WaitError> {
        Ok(Limit { waiter: self.wait.ok_or(WaitError::NoWaiter)?, deadline: None })
    }

    /// Waiting for at most `timeout`, by the region's own waiter.
    pub(crate) fn at_most(&self, timeout: Duration) -> Result<Limit<'a>, WaitError> {
        let waiter = self.wait.ok_or(WaitError::NoWaiter)?;
        Ok(Limit { waiter, deadline: deadline_after(waiter, timeout) })
    }
}

/// How an operation waits, and until when on the waiter's clock; for ever if there is no deadline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit<'a> {
    pub(crate) waiter: &'a dyn Wait,
    pub(crate) deadline: Option<u64>,
}

impl Limit<'_> {
    /// Whether the deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| self.waiter.now() >= deadline)
    }
}

/// `timeout` from now on the waiter's clock; `None`, for ever, if that is beyond the clock.
pub(crate) fn deadline_after(waiter: &dyn Wait, timeout: Duration) -> Option<u64> {
    waiter.now().checked_add(u64::try_from(timeout.as_nanos()).ok()?)
}

/// What both waiting protocols have in common: the wait is announced, looked through once more, and slept on.
pub(crate) trait Announce {
    /// Announces a sleeper; returns the word to sleep on and the value that it has now.
    fn announce(&self, waiter: &dyn Wait) -> (WaitWord<'_>, u32);

    /// [`Announce::wait_until`] as `limit` says.
    fn wait_within<R>(
        &self,
        limit: Limit<'_>,
        attempt: impl FnMut() -> Option<R>,
    ) -> Result<R, WaitError> {
        self.wait_until(limit.waiter, limit.deadline, attempt).ok_or(WaitError::Timeout)
    }

    /// Repeats a push of `value` while there is no room for it; [`Announce::wait_until`] says until when.
    fn wait_to_push<V: Copy, R>(
        &self,
        value: V,
        waiter: &dyn Wait,
        deadline: Option<u64>,
        mut push: impl FnMut() -> Result<R, PushError<V>>,
    ) -> Result<R, PushTimeoutError<V>> {
        let pushed = self.wait_until(waiter, deadline, || match push() {
            Ok(pushed) => Some(Ok(pushed)),
            Err(PushError::Full(_) | PushError::Blocked(_)) => None,
            Err(PushError::Corrupt(value)) => Some(Err(PushTimeoutError::Corrupt(value))),
        });
        pushed.unwrap_or(Err(PushTimeoutError::Timeout(value)))
    }

    /// Repeats a pop while there is nothing; [`Announce::wait_until`] says until when.
    fn wait_to_pop<R>(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
        mut pop: impl FnMut() -> Result<R, PopError>,
    ) -> Result<R, PopTimeoutError> {
        let popped = self.wait_until(waiter, deadline, || match pop() {
            Ok(popped) => Some(Ok(popped)),
            Err(PopError::Empty | PopError::Blocked) => None,
            Err(PopError::Corrupt) => Some(Err(PopTimeoutError::Corrupt)),
        });
        popped.unwrap_or(Err(PopTimeoutError::Timeout))
    }

    /// Repeats `attempt` until it gives something or `deadline` has passed; sleeps in between.
    ///
    /// `None` means that `deadline` has passed on the waiter's clock, and that one more attempt after that failed.
    fn wait_until<R>(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        if let Looked::Over(result) = look(waiter, deadline, waiter.spins(), &mut attempt) {
            return result;
        }
        loop {
            let (word, value) = self.announce(waiter);
            if let Some(result) = attempt() {
                return Some(result);
            }
            waiter.wait(word, value, slice(waiter, deadline)?);
            if let Some(result) = attempt() {
                return Some(result);
            }
        }
    }
}

/// [`Announce::wait_until`] for one of several things: `announce` adds the word of each to a set, as
/// [`Announce::announce`] returns it, and one sleep waits for all.
pub(crate) fn wait_for_any<'a, R>(
    waiter: &dyn Wait,
    deadline: Option<u64>,
    mut announce: impl FnMut(&dyn Wait, &mut WaitSet<'a>),
    mut attempt: impl FnMut() -> Option<R>,
) -> Option<R> {
    if let Looked::Over(result) = look(waiter, deadline, waiter.spins(), &mut attempt) {
        return result;
    }
    let mut set = WaitSet::new();
    loop {
        set.clear();
        announce(waiter, &mut set);
        if let Some(result) = attempt() {
            return Some(result);
        }
        waiter.wait_any(&set, slice(waiter, deadline)?);
        if let Some(result) = attempt() {
            return Some(result);
        }
    }
}

/// What looking came to, before any sleep.
pub(crate) enum Looked<R> {
    /// It is there, or the time is up.
    Over(Option<R>),
    /// Time to sleep.
    Nothing,
}

/// Looks `spins` times, with a pause after each look.
pub(crate) fn look<R>(
    waiter: &dyn Wait,
    deadline: Option<u64>,
    spins: u32,
    attempt: &mut impl FnMut() -> Option<R>,
) -> Looked<R> {
    // One in sixteen spins looks at the clock: short deadlines hold, and the clock does not slow the rest.
    for spin in 0..spins {
        if let Some(result) = attempt() {
            return Looked::Over(Some(result));
        }
        if spin % 16 == 15 && deadline.is_some_and(|deadline| waiter.now() >= deadline) {
            return Looked::Over(attempt());
        }
        relax();
    }
    Looked::Nothing
}

/// Until when to sleep at most before looking again; `None` if the deadline has passed.
pub(crate) fn slice(waiter: &dyn Wait, deadline: Option<u64>) -> Option<u64> {
    let now = waiter.now();
    let slice = now.saturating_add(SLICE);
    match deadline {
        Some(deadline) if now >= deadline => None,
        Some(deadline) => Some(deadline.min(slice)),
        None => Some(slice),
    }
}
