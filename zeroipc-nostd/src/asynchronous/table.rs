//! A reactor for cores without an operating system: wakers in a fixed table, rung by an interrupt.

use super::{Reactor, Ticket, Wakes, WatchError};
use crate::sync::{full_fence, private_cas, Refused, WakerSlot};
use crate::wait::{Wait, WaitSet, WaitWord};
use core::task::Waker;

/// Wakers of at most `N` tasks that wait at once, all woken by [`WakerTable::ring`]: a [`Reactor`] without allocation.
///
/// Make it a `static`, give the region a notifier [with it](WithReactor), and ring it from the handler of whatever interrupt peers
/// raise to wake this core (a mailbox, a doorbell, an event), and from a timer each 100 ms or so, for peers that were reset
/// before they raised it. Each ring wakes all that wait; a task for which nothing has changed looks at its structure and waits on.
///
/// No locks, and nobody waits in it for anybody: it may be rung and used in interrupts of any priority, nested, and on several
/// cores. It needs compare-and-exchange in this party's own memory; where there is none (Cortex-M0+), `portable-atomic` provides
/// it if the program says how (its features `unsafe-assume-single-core` or `critical-section`); otherwise the table has no places.
///
/// ```
/// use core::future::Future;
/// use core::pin::pin;
/// use core::task::{Context, Poll, Waker};
/// use zeroipc_nostd::{FormatOptions, Queue, Region, Span, Spin, WakerTable, WithReactor};
///
/// static WAKERS: WakerTable<8> = WakerTable::new();
///
/// // The handler of the doorbell's interrupt.
/// fn on_doorbell() {
///     WAKERS.ring();
/// }
///
/// # fn timer() -> u64 { 0 }
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let waiter = WithReactor::new(Spin::new(timer), &WAKERS);
/// let region =
///     Region::create(Span::from_slice(memory)?, &FormatOptions::new())?.with_notifier(&waiter);
/// let jobs = Queue::<u32>::create(region, "jobs", 4)?;
///
/// // What an executor does with `jobs.pop_async().await`:
/// let mut job = pin!(jobs.pop_async());
/// let mut context = Context::from_waker(Waker::noop());
/// assert_eq!(job.as_mut().poll(&mut context), Poll::Pending);
/// jobs.try_push(7)?; // the other core, which then rings
/// on_doorbell(); // wakes the task
/// assert_eq!(job.as_mut().poll(&mut context), Poll::Ready(Ok(7)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WakerTable<const N: usize> {
    slots: [WakerSlot; N],
}

impl<const N: usize> WakerTable<N> {
    /// An empty one.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        WakerTable { slots: [const { WakerSlot::new() }; N] }
    }

    /// An empty one.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        WakerTable { slots: core::array::from_fn(|_| WakerSlot::new()) }
    }

    /// Wakes all that wait: something may have changed. Wait-free, but for what the wakers do.
    pub fn ring(&self) {
        // What the caller learnt of, before our look at who waits: either we find the task, or the task what was published.
        full_fence();
        self.slots.iter().for_each(WakerSlot::ring);
    }
}

impl<const N: usize> Default for WakerTable<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Reactor for WakerTable<N> {
    /// [`WatchError::Full`] if `N` tasks wait already.
    fn watch(
        &self,
        _word: WaitWord<'_>,
        _expected: u32,
        _wakes: Wakes,
        waker: &Waker,
    ) -> Result<Ticket, WatchError> {
        if !private_cas() {
            return Err(WatchError::Full);
        }
        let mut waker = Some(waker.clone());
        let mut error = WatchError::Full;
        for (index, slot) in self.slots.iter().enumerate() {
            match slot.claim(&mut waker) {
                Ok(generation) => {
                    // Pairs with the one in `ring`.
                    full_fence();
                    return Ok(Ticket((index as u64) << 32 | u64::from(generation)));
                }
                Err(Refused::Rung) => return Err(WatchError::Changed),
                Err(Refused::Taken) => {}
                // Worth another try. It may be this task's own last place, which another core is just ringing.
                Err(Refused::Busy) => error = WatchError::Changed,
            }
        }
        Err(error)
    }

    fn renew(&self, ticket: Ticket, waker: &Waker) -> bool {
        self.slot(ticket).is_some_and(|slot| slot.renew(ticket.0 as u32, waker))
    }

    fn unwatch(&self, ticket: Ticket, _word: WaitWord<'_>, _pass_on: bool) -> bool {
        self.slot(ticket).is_some_and(|slot| slot.release(ticket.0 as u32))
    }
}

impl<const N: usize> WakerTable<N> {
    fn slot(&self, ticket: Ticket) -> Option<&WakerSlot> {
        self.slots.get(usize::try_from(ticket.0 >> 32).ok()?)
    }
}

/// A way to wait, with a [`Reactor`] for tasks: `W` for threads, and for waking peers.
#[derive(Debug, Clone, Copy)]
pub struct WithReactor<'r, W> {
    wait: W,
    reactor: &'r dyn Reactor,
}

impl<'r, W: Wait> WithReactor<'r, W> {
    /// Threads and peers by `wait`, tasks by `reactor`.
    #[must_use]
    pub const fn new(wait: W, reactor: &'r dyn Reactor) -> Self {
        WithReactor { wait, reactor }
    }
}

impl<W: Wait> Wait for WithReactor<'_, W> {
    fn now(&self) -> u64 {
        self.wait.now()
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        self.wait.wait(word, expected, deadline);
    }

    fn wait_any(&self, set: &WaitSet<'_>, deadline: u64) {
        self.wait.wait_any(set, deadline);
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        self.wait.wake(word, count)
    }

    fn sleeper_fences_for_us(&self) -> bool {
        self.wait.sleeper_fences_for_us()
    }

    fn sleep_fence(&self) {
        self.wait.sleep_fence();
    }

    fn spins(&self) -> u32 {
        self.wait.spins()
    }

    fn reactor(&self) -> Option<&dyn Reactor> {
        Some(self.reactor)
    }
}
