//! A Stream's asynchronous forms.

use super::waiting::{Operation, Repeatable, Waiting};
use crate::codata::{Publisher, Stream, Subscriber};
use crate::element::Element;
use crate::error::{EmitError, NextError, WaitError};
use crate::wait::{Bell, Wait};

impl<'a, T: Element> Subscriber<'a, T> {
    /// The next value, when it is there: [`Subscriber::next`] for a task.
    ///
    /// The cursor moves in the poll that returns the value, so dropping the future loses none; see [`Waiting`].
    ///
    /// # Errors
    /// Its outcome is an error as for [`Subscriber::next`].
    pub fn next_async(&mut self) -> Waiting<'a, SubscriberNext<'_, 'a, T>> {
        Waiting::new(SubscriberNext { subscriber: self })
    }

    /// All values that come, as a stream for a task: it ends when the stream is closed, and after an error. That values were missed is
    /// an item ([`NextError::Lagged`]), and it goes on.
    ///
    /// What was not taken from it is there for the next one, since the subscriber is only borrowed.
    #[cfg(feature = "futures-core")]
    pub fn stream_async(&mut self) -> SubscriberStream<'_, 'a, T> {
        SubscriberStream { next: Some(self.next_async()) }
    }
}

impl<'a, T: Element> Stream<'a, T> {
    /// Publishes `value`; with backpressure when the slowest subscriber has made room: [`Stream::emit`] for a task.
    ///
    /// The value is published in the poll that says so; dropped before, the future has not published it. See [`Waiting`].
    ///
    /// # Errors
    /// Its outcome is an error as for [`Stream::emit`].
    pub fn emit_async(&self, value: T) -> Waiting<'a, StreamEmit<'a, T>> {
        Waiting::new(StreamEmit { stream: *self, value, blocked: false })
    }
}

impl<'a, T: Element> Publisher<'a, T> {
    /// Publishes `value`; with backpressure when the slowest subscriber has made room: [`Publisher::emit`] for a task.
    ///
    /// As [`Stream::emit_async`] otherwise.
    pub fn emit_async(&mut self, value: T) -> Waiting<'a, PublisherEmit<'_, 'a, T>> {
        Waiting::new(PublisherEmit { publisher: self, value })
    }
}

/// See [`Subscriber::next_async`].
#[derive(Debug)]
pub struct SubscriberNext<'s, 'a, T> {
    subscriber: &'s mut Subscriber<'a, T>,
}

impl<'a, T: Element> Operation<'a> for SubscriberNext<'_, 'a, T> {
    type Output = Result<T, NextError>;

    fn attempt(&mut self, _ask: bool) -> Option<Self::Output> {
        match self.subscriber.try_next() {
            Err(NextError::Empty) => None,
            next => Some(next),
        }
    }

    fn bell(&self) -> Option<Bell<'a>> {
        Some(self.subscriber.stream().values_bell())
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.subscriber.stream().notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(NextError::NoWaiter)
    }
}

impl<T> Repeatable for SubscriberNext<'_, '_, T> {}

/// See [`Subscriber::stream_async`].
#[cfg(feature = "futures-core")]
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct SubscriberStream<'s, 'a, T> {
    next: Option<Waiting<'a, SubscriberNext<'s, 'a, T>>>,
}

#[cfg(feature = "futures-core")]
impl<T: Element> futures_core::Stream for SubscriberStream<'_, '_, T> {
    type Item = Result<T, NextError>;

    fn poll_next(
        self: core::pin::Pin<&mut Self>,
        context: &mut core::task::Context<'_>,
    ) -> core::task::Poll<Option<Self::Item>> {
        use core::future::Future;
        use core::task::Poll;

        let next = &mut self.get_mut().next;
        let Some(waiting) = next else { return Poll::Ready(None) };
        let item = core::task::ready!(core::pin::Pin::new(waiting).poll(context));
        if !matches!(item, Ok(_) | Err(NextError::Lagged { .. })) {
            *next = None;
        }
        Poll::Ready(Some(item).filter(|item| !matches!(item, Err(NextError::Closed))))
    }
}

/// See [`Stream::emit_async`].
#[derive(Debug, Clone, Copy)]
pub struct StreamEmit<'a, T> {
    stream: Stream<'a, T>,
    value: T,
    /// Whether stopped publishers are in the way, and not a subscriber. Where that changes under a task that is not woken, it finds
    /// out when it looks by itself.
    blocked: bool,
}

impl<'a, T: Element> Operation<'a> for StreamEmit<'a, T> {
    type Output = Result<u64, EmitError<T>>;

    fn attempt(&mut self, ask: bool) -> Option<Self::Output> {
        let emitted = match self.stream.try_emit(self.value) {
            Err(EmitError::Full(_)) if ask && self.stream.remove_dead_subscribers() > 0 => {
                self.stream.try_emit(self.value)
            }
            emitted => emitted,
        };
        self.blocked = matches!(emitted, Err(EmitError::Blocked(_)));
        if self.blocked {
            return None;
        }
        unless_full(emitted)
    }

    fn bell(&self) -> Option<Bell<'a>> {
        let stream = &self.stream;
        Some(if self.blocked { stream.values_bell() } else { stream.space_bell() })
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.stream.notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(EmitError::of_waiting(WaitError::NoWaiter, self.value))
    }
}

/// See [`Publisher::emit_async`].
#[derive(Debug)]
pub struct PublisherEmit<'p, 'a, T> {
    publisher: &'p mut Publisher<'a, T>,
    value: T,
}

impl<'a, T: Element> Operation<'a> for PublisherEmit<'_, 'a, T> {
    type Output = Result<u64, EmitError<T>>;

    fn attempt(&mut self, ask: bool) -> Option<Self::Output> {
        unless_full(self.publisher.try_emit(self.value)).or_else(|| {
            let room = ask && self.publisher.stream().remove_dead_subscribers() > 0;
            room.then(|| self.publisher.try_emit(self.value)).and_then(unless_full)
        })
    }

    fn bell(&self) -> Option<Bell<'a>> {
        Some(self.publisher.stream().space_bell())
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.publisher.stream().notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(EmitError::of_waiting(WaitError::NoWaiter, self.value))
    }
}

fn unless_full<T>(emitted: Result<u64, EmitError<T>>) -> Option<Result<u64, EmitError<T>>> {
    match emitted {
        Err(EmitError::Full(_)) => None,
        emitted => Some(emitted),
    }
}
