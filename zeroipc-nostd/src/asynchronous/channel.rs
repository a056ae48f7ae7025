//! A Channel's asynchronous forms.

use super::waiting::{Operation, Waiting};
use crate::codata::Channel;
use crate::element::Element;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::wait::{Bell, Wait};

impl<'a, T: Element> Channel<'a, T> {
    /// Receives a value, when there is one: [`Channel::recv`] for a task.
    ///
    /// A value is received in the poll that returns it, so dropping the future loses none; see [`Waiting`].
    ///
    /// Only of a channel with a buffer. Without one, a receiver that waits can be given a value at any moment, also in the one in which
    /// its task is dropped; then the value would be lost. Threads can wait there, and a task can [`Channel::try_recv`].
    ///
    /// # Errors
    /// Its outcome is an error as for [`Channel::recv`]; [`RecvError::NoBuffer`] if there is no buffer.
    pub fn recv_async(&self) -> Waiting<'a, ChannelRecv<'a, T>> {
        Waiting::new(ChannelRecv { channel: *self })
    }

    /// All values that come, as a stream for a task: it ends when the channel is closed and drained, and after an error.
    #[cfg(feature = "futures-core")]
    pub fn stream_async(&self) -> ChannelStream<'a, T> {
        ChannelStream { next: Some(self.recv_async()) }
    }

    /// Sends `value`, when there is room: [`Channel::send`] for a task.
    ///
    /// The value is sent in the poll that says so; dropped before, the future has not sent it. See [`Waiting`]. Only to a channel with a
    /// buffer, as [`Channel::recv_async`].
    ///
    /// # Errors
    /// Its outcome is an error as for [`Channel::send`]; [`SendError::NoBuffer`] if there is no buffer.
    pub fn send_async(&self, value: T) -> Waiting<'a, ChannelSend<'a, T>> {
        Waiting::new(ChannelSend { channel: *self, value })
    }
}

/// See [`Channel::recv_async`].
#[derive(Debug, Clone, Copy)]
pub struct ChannelRecv<'a, T> {
    channel: Channel<'a, T>,
}

impl<'a, T: Element> Operation<'a> for ChannelRecv<'a, T> {
    type Output = Result<T, RecvError>;

    fn attempt(&mut self, _ask: bool) -> Option<Self::Output> {
        match self.channel.try_recv() {
            Ok(value) => Some(Ok(value)),
            Err(TryRecvError::Closed) => Some(Err(RecvError::Closed)),
            Err(TryRecvError::Corrupt) => Some(Err(RecvError::Corrupt)),
            Err(_) if self.channel.buffer().is_none() => Some(Err(RecvError::NoBuffer)),
            Err(TryRecvError::Empty | TryRecvError::Blocked) => None,
        }
    }

    fn bell(&self) -> Option<Bell<'a>> {
        self.channel.buffer().map(|queue| Bell::one(*queue.items()))
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.channel.notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(RecvError::NoWaiter)
    }
}

/// See [`Channel::stream_async`].
#[cfg(feature = "futures-core")]
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct ChannelStream<'a, T> {
    next: Option<Waiting<'a, ChannelRecv<'a, T>>>,
}

#[cfg(feature = "futures-core")]
impl<T: Element> futures_core::Stream for ChannelStream<'_, T> {
    type Item = Result<T, RecvError>;

    fn poll_next(
        self: core::pin::Pin<&mut Self>,
        context: &mut core::task::Context<'_>,
    ) -> core::task::Poll<Option<Self::Item>> {
        use core::future::Future;
        use core::task::Poll;

        let next = &mut self.get_mut().next;
        let Some(waiting) = next else { return Poll::Ready(None) };
        let item = core::task::ready!(core::pin::Pin::new(waiting).poll(context));
        if item.is_err() {
            *next = None;
        }
        Poll::Ready(Some(item).filter(|item| !matches!(item, Err(RecvError::Closed))))
    }
}

/// See [`Channel::send_async`].
#[derive(Debug, Clone, Copy)]
pub struct ChannelSend<'a, T> {
    channel: Channel<'a, T>,
    value: T,
}

impl<'a, T: Element> Operation<'a> for ChannelSend<'a, T> {
    type Output = Result<(), SendError<T>>;

    fn attempt(&mut self, _ask: bool) -> Option<Self::Output> {
        match self.channel.try_send(self.value) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Closed(value)) => Some(Err(SendError::Closed(value))),
            Err(TrySendError::Corrupt(value)) => Some(Err(SendError::Corrupt(value))),
            Err(_) if self.channel.buffer().is_none() => Some(Err(SendError::NoBuffer(self.value))),
            Err(TrySendError::Full(_) | TrySendError::Blocked(_)) => None,
        }
    }

    fn bell(&self) -> Option<Bell<'a>> {
        self.channel.buffer().map(|queue| Bell::one(*queue.space()))
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.channel.notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(SendError::NoWaiter(self.value))
    }
}
