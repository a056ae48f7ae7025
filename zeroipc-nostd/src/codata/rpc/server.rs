//! The server's side of a service.

use super::super::text::FailureText;
use super::calls::{Calls, Taken};
use super::state::Answer;
use crate::element::Element;
use crate::error::{NextError, ReplyError};
use crate::party::PartyId;
use crate::sync::hook;
use crate::wait::{Announce, Bell, Limit, Notifier, Wait};
use core::convert::Infallible;
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use portable_atomic::AtomicUsize;

/// Answers calls of a [`Service`](super::Service).
///
/// Can be used by several threads at once, and can have several requests in hand.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Region, Service, Span};
/// # use zeroipc_nostd::{Wait, WaitWord};
/// # #[derive(Debug)]
/// # struct Waiter;
/// # impl Wait for Waiter {
/// #     fn now(&self) -> u64 { 0 }
/// #     fn wait(&self, _: WaitWord<'_>, _: u32, _: u64) { std::thread::yield_now() }
/// #     fn wake(&self, _: WaitWord<'_>, count: u32) -> u32 { count }
/// # }
/// # let waiter = Waiter;
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?.with_notifier(&waiter);
/// let roots = Service::<f64, f64>::create(region, "roots", 4)?;
/// std::thread::scope(|scope| {
///     // Two servers, here or in other processes.
///     for _ in 0..2 {
///         scope.spawn(|| {
///             roots.server().try_serve(|number| match number {
///                 0.0.. => Ok(number.sqrt()),
///                 _ => Err("no root of that"),
///             })
///         });
///     }
///     let client = roots.client();
///     assert_eq!(client.call(9.0), Ok(3.0));
///     assert_eq!(client.call(-1.0).unwrap_err().to_string(), "the call failed: no root of that");
///     roots.close(); // both return
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server<'a, Req, Resp> {
    calls: Calls<'a, Req, Resp>,
    /// Where to look first. Any value is good.
    next: AtomicUsize,
}

impl<Req: Element, Resp: Element> Clone for Server<'_, Req, Resp> {
    fn clone(&self) -> Self {
        Server::new(self.calls)
    }
}

impl<Req, Resp> fmt::Debug for Server<'_, Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl<'a, Req: Element, Resp: Element> Server<'a, Req, Resp> {
    pub(super) fn new(calls: Calls<'a, Req, Resp>) -> Self {
        Server { calls, next: AtomicUsize::new(calls.first()) }
    }

    /// Takes a request, if there is one that no server has taken. Lock-free; linear in the capacity.
    ///
    /// Not in the order in which they were made: this server goes round over the places, so that none waits for more than
    /// `capacity` - 1 others. If this party dies inside, the request was taken, and fails when its client learns of the death; or
    /// it was not, and another takes it.
    ///
    /// # Errors
    /// [`NextError::Empty`], after a moment's rest, so that polling does not slow down the clients (one `pause` instruction);
    /// [`NextError::Closed`] if the service is closed and there is none.
    #[inline]
    pub fn try_next(&self) -> Result<Request<'_, Req, Resp>, NextError> {
        let next = self.next.load(Relaxed);
        let first = if next < self.calls.capacity() { next } else { 0 };
        let taken = self.calls.take(first)?;
        self.next.store(taken.place + 1, Relaxed);
        Ok(Request { server: self, taken })
    }

    /// Takes a request, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`NextError::Closed`]; [`NextError::NoWaiter`] if the region was opened without a notifier.
    pub fn next(&self) -> Result<Request<'_, Req, Resp>, NextError> {
        self.next_within(self.calls.notifier.forever()?)
    }

    /// Takes a request, waiting for one for at most `timeout`, asleep if it takes long.
    ///
    /// # Errors
    /// As [`Server::next`]; [`NextError::Timeout`], never early.
    pub fn next_timeout(&self, timeout: Duration) -> Result<Request<'_, Req, Resp>, NextError> {
        self.next_within(self.calls.notifier.at_most(timeout)?)
    }

    /// Takes a request, waiting for one by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Server::next`]; [`NextError::Timeout`], never before the deadline.
    pub fn next_with(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<Request<'_, Req, Resp>, NextError> {
        self.next_within(Limit { waiter, deadline })
    }

    #[inline]
    fn next_within(&self, limit: Limit<'_>) -> Result<Request<'_, Req, Resp>, NextError> {
        self.calls.work.wait_within(limit, || self.attempt())?
    }

    /// Takes a request, if there is one, or learns that none will come.
    #[inline]
    pub(crate) fn attempt(&self) -> Option<Result<Request<'_, Req, Resp>, NextError>> {
        match self.try_next() {
            Err(NextError::Empty) => None,
            found => Some(found),
        }
    }

    pub(crate) fn bell(&self) -> Bell<'a> {
        Bell::one(self.calls.work)
    }

    pub(crate) fn notifier(&self) -> Notifier<'a> {
        self.calls.notifier
    }

    /// Answers one request after another by `answer`, until somebody [closes](super::Service::close) the service.
    ///
    /// If `answer` panics, the call that it was for is broken. To stop this server alone, use [`Server::next_timeout`] in a loop.
    ///
    /// # Errors
    /// [`NextError::NoWaiter`] if the region was opened without a notifier.
    pub fn serve(&self, mut answer: impl FnMut(Req) -> Resp) -> Result<(), NextError> {
        self.try_serve(|request| Ok::<_, Infallible>(answer(request)))
    }

    /// As [`Server::serve`], where an answer may be a failure: the client gets as much of what the error shows as fits into
    /// [`FailureText::MAX_BYTES`].
    ///
    /// # Errors
    /// As [`Server::serve`].
    pub fn try_serve<E: fmt::Display>(
        &self,
        mut answer: impl FnMut(Req) -> Result<Resp, E>,
    ) -> Result<(), NextError> {
        loop {
            let request = match self.next() {
                Err(NextError::Closed) => return Ok(()),
                next => next?,
            };
            // A client that did not wait so long does not keep us from the others.
            let _ = match answer(request.get()) {
                Ok(response) => request.reply(response),
                Err(error) => request.settle_by(&FailureText::display(error)),
            };
        }
    }
}

/// A request that this server has taken. Dropped without an answer, it breaks the call at once.
#[must_use = "dropped at once, it breaks the call"]
pub struct Request<'s, Req: Element, Resp: Element> {
    server: &'s Server<'s, Req, Resp>,
    taken: Taken<'s>,
}

impl<Req: Element, Resp: Element> fmt::Debug for Request<'_, Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("client", &self.client()).finish_non_exhaustive()
    }
}

impl<Req: Element, Resp: Element> Request<'_, Req, Resp> {
    /// What is asked.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Req {
        self.server.calls.request(&self.taken)
    }

    /// Who asks, if that party has a number.
    #[must_use]
    pub fn client(&self) -> Option<PartyId> {
        self.server.calls.client(&self.taken)
    }

    /// Whether nobody waits for the answer any more: for those that have much to do for it. Wait-free.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.server.calls.is_abandoned(&self.taken)
    }

    /// Gives the response, and wakes the client. Wait-free.
    ///
    /// If this party is killed inside, the response was given or the call is broken.
    ///
    /// # Errors
    /// [`ReplyError`]: nobody gets it.
    #[inline]
    pub fn reply(self, response: Resp) -> Result<(), ReplyError> {
        let replied = self.server.calls.respond(&self.taken, &response);
        core::mem::forget(self);
        replied
    }

    /// Gives a failure, of which as much text is kept as fits into [`FailureText::MAX_BYTES`]. As [`Request::reply`].
    ///
    /// # Errors
    /// As [`Request::reply`].
    pub fn fail(self, text: &str) -> Result<(), ReplyError> {
        self.settle_by(&FailureText::new(text))
    }

    fn settle_by(self, text: &FailureText) -> Result<(), ReplyError> {
        let failed = self.server.calls.fail(&self.taken, text);
        core::mem::forget(self);
        failed
    }
}

impl<Req: Element, Resp: Element> Drop for Request<'_, Req, Resp> {
    fn drop(&mut self) {
        if hook::is_abandoned() {
            return;
        }
        // Whoever cancelled it does not mind.
        let _ = self.server.calls.answer(&self.taken, Answer::Broken);
    }
}
