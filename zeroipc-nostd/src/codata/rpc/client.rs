//! The client's side of a service.

use super::calls::{time_to_ask, Asked, Calls, NoPlace};
use crate::element::Element;
use crate::error::CallError;
use crate::sync::hook;
use crate::wait::{Announce, Bell, Limit, Notifier, Wait};
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use portable_atomic::AtomicUsize;

/// Makes calls of a [`Service`](super::Service).
///
/// Can be used by several threads at once. Each client remembers the place that it had last, which is warm in its cache; a clone
/// for each thread keeps threads from looking at the same one. In tasks: [`Client::call_async`], [`Client::request_async`].
pub struct Client<'a, Req, Resp> {
    calls: Calls<'a, Req, Resp>,
    /// Where to look first. Any value below the capacity is good.
    hint: AtomicUsize,
}

impl<Req: Element, Resp: Element> Clone for Client<'_, Req, Resp> {
    fn clone(&self) -> Self {
        Client::new(self.calls)
    }
}

impl<Req, Resp> fmt::Debug for Client<'_, Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl<'a, Req: Element, Resp: Element> Client<'a, Req, Resp> {
    pub(super) fn new(calls: Calls<'a, Req, Resp>) -> Self {
        Client { calls, hint: AtomicUsize::new(calls.first()) }
    }

    /// Makes a call, and waits for its answer as long as it takes: for a place, if all are taken, for a server, and for what
    /// that server does.
    ///
    /// What this party did before is visible to the server, and what the server did before it answered is visible here. The death of
    /// the server that took it is noticed within 100 ms of when it is known.
    ///
    /// # Errors
    /// [`CallError::Failed`], [`CallError::Broken`], [`CallError::Closed`], [`CallError::Corrupt`]; [`CallError::NoWaiter`] if the
    /// region was opened without a notifier.
    pub fn call(&self, request: Req) -> Result<Resp, CallError> {
        self.call_within(request, self.calls.notifier.forever()?)
    }

    /// As [`Client::call`], waiting for at most `timeout` in all. A call that times out is cancelled.
    ///
    /// # Errors
    /// As [`Client::call`]; [`CallError::Timeout`], never early.
    pub fn call_timeout(&self, request: Req, timeout: Duration) -> Result<Resp, CallError> {
        self.call_within(request, self.calls.notifier.at_most(timeout)?)
    }

    /// As [`Client::call`], waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Client::call`]; [`CallError::Timeout`], never before the deadline.
    pub fn call_with(
        &self,
        request: Req,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<Resp, CallError> {
        self.call_within(request, Limit { waiter, deadline })
    }

    fn call_within(&self, request: Req, limit: Limit<'_>) -> Result<Resp, CallError> {
        self.request_within(request, limit)?.get_within(limit)
    }

    /// Makes a call, and returns without its answer: for several calls at once, or other work meanwhile. Lock-free; linear in the
    /// capacity if nearly all places are taken.
    ///
    /// If this party dies inside, the call was made or not; its place is this party's, for [`Service::reclaim`](super::Service::reclaim).
    ///
    /// # Errors
    /// [`CallError::Full`] if each place was taken when it was looked at; [`CallError::Closed`]; [`CallError::Corrupt`] if none was free
    /// and a peer wrote nonsense.
    #[inline]
    pub fn try_request(&self, request: Req) -> Result<Pending<'_, Req, Resp>, CallError> {
        let near = self.hint.load(Relaxed);
        match self.calls.ask(near, &request) {
            Ok(asked) => Ok(Pending { client: self, asked }),
            Err(NoPlace::Full) => Err(CallError::Full),
            Err(NoPlace::Closed) => Err(CallError::Closed),
            Err(NoPlace::Corrupt) => Err(CallError::Corrupt),
        }
    }

    /// As [`Client::try_request`], waiting for a place as long as it takes.
    ///
    /// When it has waited for a while it looks for places of dead parties by itself, at least every 100 ms.
    ///
    /// # Errors
    /// [`CallError::Closed`], [`CallError::Corrupt`]; [`CallError::NoWaiter`] if the region was opened without a notifier.
    pub fn request(&self, request: Req) -> Result<Pending<'_, Req, Resp>, CallError> {
        self.request_within(request, self.calls.notifier.forever()?)
    }

    /// As [`Client::try_request`], waiting for a place for at most `timeout`.
    ///
    /// # Errors
    /// As [`Client::request`]; [`CallError::Timeout`], never early.
    pub fn request_timeout(
        &self,
        request: Req,
        timeout: Duration,
    ) -> Result<Pending<'_, Req, Resp>, CallError> {
        self.request_within(request, self.calls.notifier.at_most(timeout)?)
    }

    /// As [`Client::try_request`], waiting for a place by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Client::request`]; [`CallError::Timeout`], never before the deadline.
    pub fn request_with(
        &self,
        request: Req,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<Pending<'_, Req, Resp>, CallError> {
        self.request_within(request, Limit { waiter, deadline })
    }

    #[inline]
    fn request_within(
        &self,
        request: Req,
        limit: Limit<'_>,
    ) -> Result<Pending<'_, Req, Resp>, CallError> {
        match self.try_request(request) {
            Err(CallError::Full) => self.wait_for_a_place(request, limit),
            asked => asked,
        }
    }

    #[cold]
    fn wait_for_a_place(
        &self,
        request: Req,
        limit: Limit<'_>,
    ) -> Result<Pending<'_, Req, Resp>, CallError> {
        let mut looks = limit.waiter.spins();
        let asked = self.calls.space.wait_within(limit, || {
            // Asking who is dead may be a system call for each party, so only those ask who would sleep otherwise.
            self.attempt(request, time_to_ask(&mut looks))
        });
        asked?
    }

    /// Makes a call if there is a place, if it may `ask` also one of a dead party.
    pub(crate) fn attempt(
        &self,
        request: Req,
        ask: bool,
    ) -> Option<Result<Pending<'_, Req, Resp>, CallError>> {
        let mut asked = self.try_request(request);
        if ask && matches!(asked, Err(CallError::Full)) && self.calls.reclaim() > 0 {
            asked = self.try_request(request);
        }
        match asked {
            Err(CallError::Full) => None,
            asked => Some(asked),
        }
    }

    pub(crate) fn bell(&self) -> Bell<'a> {
        Bell::one(self.calls.space)
    }

    pub(crate) fn notifier(&self) -> Notifier<'a> {
        self.calls.notifier
    }
}

/// A call whose answer may not be there yet. Dropped, it lets go of the call: a request that no server has taken is withdrawn, and
/// an answer that comes too late is dropped.
#[must_use = "dropped at once, it cancels the call"]
pub struct Pending<'c, Req: Element, Resp: Element> {
    client: &'c Client<'c, Req, Resp>,
    asked: Asked<'c>,
}

impl<Req: Element, Resp: Element> fmt::Debug for Pending<'_, Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl<'c, Req: Element, Resp: Element> Pending<'c, Req, Resp> {
    /// The answer, if it is there. Wait-free. Nobody who stops or dies holds up this call.
    ///
    /// The same answer again and again, until this is dropped. A call whose server died is pending for it: those that wait find that
    /// out, also those that wait for no time.
    ///
    /// # Errors
    /// [`CallError::Pending`], [`CallError::Failed`], [`CallError::Broken`], [`CallError::Closed`], [`CallError::Corrupt`].
    #[inline]
    pub fn try_get(&self) -> Result<Resp, CallError> {
        self.client.calls.answer_to(&self.asked)
    }

    /// The answer, waiting as long as it takes for a server and for what it does.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn get(&self) -> Result<Resp, CallError> {
        self.get_within(self.client.calls.notifier.forever()?)
    }

    /// The answer, waiting for at most `timeout`. When the time is up the call goes on, until this is dropped.
    ///
    /// # Errors
    /// As [`Client::call`]; [`CallError::Timeout`], never early.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Resp, CallError> {
        self.get_within(self.client.calls.notifier.at_most(timeout)?)
    }

    /// The answer, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Client::call`]; [`CallError::Timeout`], never before the deadline.
    pub fn get_with(&self, waiter: &dyn Wait, deadline: Option<u64>) -> Result<Resp, CallError> {
        self.get_within(Limit { waiter, deadline })
    }

    #[inline]
    fn get_within(&self, limit: Limit<'_>) -> Result<Resp, CallError> {
        let mut looks = limit.waiter.spins();
        let found = self.asked.answer.wait_until(limit.waiter, limit.deadline, || {
            // The dead are asked for when spinning did not help.
            self.look(time_to_ask(&mut looks))
        });
        // A short deadline may have passed before anybody asked.
        found.or_else(|| self.look(true)).unwrap_or(Err(CallError::Timeout))
    }

    /// The answer, if it is there, or if it may `ask` and whoever took the call is dead.
    #[inline(always)]
    pub(crate) fn look(&self, ask: bool) -> Option<Result<Resp, CallError>> {
        match self.try_get() {
            Err(CallError::Pending) if ask && self.client.calls.break_if_dead(&self.asked) => {
                Some(self.try_get())
            }
            Err(CallError::Pending) => None,
            found => Some(found),
        }
    }

    pub(crate) fn bell(&self) -> Bell<'c> {
        Bell::all(self.asked.answer)
    }

    pub(crate) fn notifier(&self) -> Notifier<'c> {
        self.client.calls.notifier
    }
}

impl<Req: Element, Resp: Element> Drop for Pending<'_, Req, Resp> {
    fn drop(&mut self) {
        if hook::is_abandoned() {
            return;
        }
        let place = self.client.calls.forget(&self.asked);
        // Its line is warm.
        self.client.hint.store(place, Relaxed);
    }
}
