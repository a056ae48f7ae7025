//! The one future behind all asynchronous forms.

use super::{Reactor, Ticket, WatchError};
use crate::sync::{hook, relax};
use crate::wait::{Bell, Wait, WaitWord};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// How often a poll looks again at once because something changed, before it lets other tasks run.
const TURNS: u32 = 8;

/// What a [`Waiting`] does: an operation of this crate that is tried again whenever it is woken.
pub trait Operation<'a> {
    /// What it gives in the end.
    type Output;

    #[doc(hidden)]
    /// Tries. `ask`: it is worth to ask whether a party that is waited for is dead.
    fn attempt(&mut self, ask: bool) -> Option<Self::Output>;

    #[doc(hidden)]
    /// What it is woken by.
    fn bell(&self) -> Option<Bell<'a>>;

    #[doc(hidden)]
    /// Whether the last attempts have led to another bell than the one that it waited by, which is used up. Says so once.
    #[inline(always)]
    fn has_moved(&mut self) -> bool {
        false
    }

    #[doc(hidden)]
    /// How this party waits.
    fn waiter(&self) -> Option<&'a dyn Wait>;

    #[doc(hidden)]
    /// What it gives if there is nothing to wait by.
    fn no_waiter(&mut self) -> Self::Output;
}

/// A future that does `O` as soon as that is possible.
///
/// **Dropping it** while it is pending leaves everything as if it had not been there: an operation is done in the poll that
/// returns its outcome, or not at all. If it had been woken, the wake-up is passed on to another that waits. So it can stand in
/// `select!` or in a timeout. (One operation is not in our hands alone: what [`Channel::send_async`](crate::Channel::send_async) offers
/// without a buffer may be taken just before the future is dropped.)
///
/// **Polled again** after it was ready, it begins the same operation anew: that makes it the poll form, and
/// [`Waiting::into_stream`] of it the stream form.
///
/// It never polls without being woken. It needs a region whose notifier has a [reactor](crate::Wait::reactor), which
/// `zeroipc::Memory` has; with any other, or if the reactor has no place left, its outcome is the error `NoWaiter` where a blocking
/// form would say so. A task that is not polled again after it was woken keeps its share of the wake-up for 100 ms.
#[must_use = "futures do nothing unless polled"]
pub struct Waiting<'a, O> {
    // Dropped first: only then what it watched may become another's.
    watched: Watched<'a>,
    operation: O,
}

impl<'a, O> Waiting<'a, O> {
    pub(crate) fn new(operation: O) -> Self {
        Waiting { watched: Watched(None), operation }
    }
}

impl<O> Waiting<'_, O> {
    /// Ends the waiting; what there was to wake it for is passed on.
    pub(crate) fn into_operation(self) -> O {
        let Waiting { watched, operation } = self;
        drop(watched);
        operation
    }
}

impl<O> fmt::Debug for Waiting<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("watched", &self.watched.0.is_some())
            .finish_non_exhaustive()
    }
}

// Nothing in it is ever pinned.
impl<O> Unpin for Waiting<'_, O> {}

impl<'a, O: Operation<'a>> Future for Waiting<'a, O> {
    type Output = O::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<O::Output> {
        let Waiting { watched, operation } = self.get_mut();
        let waker = context.waker();
        // Who was asleep asks for the dead, as sleeping threads do.
        let ask = watched.0.is_some();
        for _ in 0..TURNS {
            if let Some(output) = operation.attempt(ask) {
                watched.done();
                return Poll::Ready(output);
            }
            if operation.has_moved() {
                watched.done();
            } else if watched.renew(waker) {
                return Poll::Pending;
            }
            let Some((waiter, bell)) = operation.waiter().zip(operation.bell()) else {
                return Poll::Ready(operation.no_waiter());
            };
            let Some(reactor) = waiter.reactor() else {
                return Poll::Ready(operation.no_waiter());
            };
            let (word, expected) = bell.announced(waiter);
            match reactor.watch(word, expected, bell.wakes(), waker) {
                Ok(ticket) => watched.change(Watch { reactor, ticket, word, bell, waiter }),
                Err(WatchError::Changed) => {
                    relax();
                    continue;
                }
                Err(WatchError::Full) => return Poll::Ready(operation.no_waiter()),
            }
            // Announced and watched: from here on nothing is missed.
            if let Some(output) = operation.attempt(false) {
                watched.done();
                return Poll::Ready(output);
            }
            if !operation.has_moved() {
                return Poll::Pending;
            }
            watched.done();
        }
        waker.wake_by_ref();
        Poll::Pending
    }
}

/// A watch that a future has begun.
struct Watch<'a> {
    reactor: &'a dyn Reactor,
    ticket: Ticket,
    word: WaitWord<'a>,
    bell: Bell<'a>,
    waiter: &'a dyn Wait,
}

/// The watch of a future, if it has one: ended when dropped.
struct Watched<'a>(Option<Watch<'a>>);

impl<'a> Watched<'a> {
    /// Whether it has one that did not end by waking.
    fn renew(&self, waker: &core::task::Waker) -> bool {
        self.0.as_ref().is_some_and(|watch| watch.reactor.renew(watch.ticket, waker))
    }

    /// Begins another, after there was nothing for the last.
    fn change(&mut self, watch: Watch<'a>) {
        if let Some(old) = self.0.replace(watch) {
            old.reactor.unwatch(old.ticket, old.word, false);
        }
    }

    /// Ends it, after there was something.
    fn done(&mut self) {
        if let Some(watch) = self.0.take() {
            watch.reactor.unwatch(watch.ticket, watch.word, true);
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if hook::is_abandoned() {
            return;
        }
        if let Some(watch) = self.0.take() {
            if watch.reactor.unwatch(watch.ticket, watch.word, true) {
                // We were woken, and did not look: maybe nobody else was, in any party.
                watch.bell.pass_on(watch.waiter);
            }
        }
    }
}

/// An [`Operation`] that makes sense time after time.
pub trait Repeatable {}

#[cfg(feature = "futures-core")]
impl<'a, T, E, O: Operation<'a, Output = Result<T, E>> + Repeatable> Waiting<'a, O> {
    /// The stream of what it gives, time after time: it ends after the first error.
    ///
    /// Dropped between two items, or while it is pending, it loses nothing.
    pub fn into_stream(self) -> Waits<'a, O> {
        Waits { next: Some(self) }
    }
}

/// A stream of outcomes of an operation that is done time after time; see [`Waiting::into_stream`].
#[cfg(feature = "futures-core")]
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct Waits<'a, O> {
    next: Option<Waiting<'a, O>>,
}

#[cfg(feature = "futures-core")]
impl<'a, T, E, O> futures_core::Stream for Waits<'a, O>
where
    O: Operation<'a, Output = Result<T, E>> + Repeatable,
{
    type Item = Result<T, E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = &mut self.get_mut().next;
        let Some(waiting) = next else { return Poll::Ready(None) };
        let item = core::task::ready!(Pin::new(waiting).poll(context));
        if item.is_err() {
            *next = None;
        }
        Poll::Ready(Some(item))
    }
}
