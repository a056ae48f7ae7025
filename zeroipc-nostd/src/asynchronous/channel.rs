//! A Channel's asynchronous forms.

use super::waiting::{Operation, Waiting};
use crate::codata::{Channel, Stay};
use crate::element::Element;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::wait::{Bell, Wait};

impl<'a, T: Element> Channel<'a, T> {
    /// Receives a value, when there is one: [`Channel::recv`] for a task.
    ///
    /// A value is received in the poll that returns it, so dropping the future loses none; see [`Waiting`].
    ///
    /// **Without a buffer** the task shows that it waits, and a sender that waits too tells it: [`Channel::send`], [`Channel::send_timeout`],
    /// [`Channel::send_async`], a [`select`](crate::select()). But nothing can be *given* to it while it waits, since it may be dropped
    /// before it looks, and the value would be lost. So a [`Channel::try_send`], and what a [`try_select`](crate::try_select) sends, does
    /// not meet it. While it is pending it takes one of the channel's places of receivers; a future that is leaked keeps it.
    ///
    /// # Errors
    /// Its outcome is an error as for [`Channel::recv`].
    ///
    /// ```
    /// use core::future::Future;
    /// use core::pin::pin;
    /// use core::task::{Context, Poll, Waker};
    /// use zeroipc_nostd::{Channel, FormatOptions, Region, Span, Spin, WakerTable, WithReactor};
    ///
    /// # fn timer() -> u64 { 0 }
    /// # let mut memory = vec![0_u64; 2048];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// static WAKERS: WakerTable<8> = WakerTable::new();
    /// let waiter = WithReactor::new(Spin::new(timer), &WAKERS);
    /// let region =
    ///     Region::create(Span::from_slice(memory)?, &FormatOptions::new())?.with_notifier(&waiter);
    /// let hand = Channel::<u32>::create(region, "hand", 0)?; // no buffer: from hand to hand
    ///
    /// // What an executor does with two tasks that meet.
    /// let mut context = Context::from_waker(Waker::noop());
    /// let (mut recv, mut send) = (pin!(hand.recv_async()), pin!(hand.send_async(7)));
    /// assert_eq!(recv.as_mut().poll(&mut context), Poll::Pending);
    /// assert!(send.as_mut().poll(&mut context).is_pending()); // offered: not done before somebody has taken it
    /// WAKERS.ring();
    /// assert_eq!(recv.as_mut().poll(&mut context), Poll::Ready(Ok(7)));
    /// assert!(send.as_mut().poll(&mut context).is_ready());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_async(&self) -> Waiting<'a, ChannelRecv<'a, T>> {
        Waiting::new(ChannelRecv { stay: Stay::of_receiver(*self) })
    }

    /// All values that come, as a stream for a task: it ends when the channel is closed and drained, and after an error.
    #[cfg(feature = "futures-core")]
    pub fn stream_async(&self) -> ChannelStream<'a, T> {
        ChannelStream { next: Some(self.recv_async()) }
    }

    /// Sends `value`, when there is room, or without a buffer to a receiver that takes it: [`Channel::send`] for a task.
    ///
    /// **With a buffer** the value is sent in the poll that says so; dropped before, the future has not sent it. See [`Waiting`].
    ///
    /// **Without** one the value is offered from the first poll on, and a receiver may take it at any moment. A future that says that it was
    /// sent, or that it was not, is right: it was taken once, or certainly not. One that is *dropped* while it is pending takes
    /// the offer back, unless somebody has just taken it: then the value has been sent, once, and nobody told the sender. Who wants
    /// to know ends it with [`Waiting::withdraw`] instead, also after a timeout. While it is pending it takes one of the channel's
    /// places of senders; one that is leaked keeps it, and its value can be taken, once.
    ///
    /// # Errors
    /// Its outcome is an error as for [`Channel::send`], with the value, which was not sent.
    ///
    /// ```
    /// # use core::future::Future;
    /// # use core::pin::Pin;
    /// # use core::task::{Context, Poll, Waker};
    /// use zeroipc_nostd::{Channel, FormatOptions, Region, SendError, Span, Spin, TryRecvError, WakerTable, WithReactor};
    ///
    /// # let mut memory = vec![0_u64; 2048];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// # static WAKERS: WakerTable<8> = WakerTable::new();
    /// # let waiter = WithReactor::new(Spin::new(|| 0), &WAKERS);
    /// # let region =
    /// #     Region::create(Span::from_slice(memory)?, &FormatOptions::new())?.with_notifier(&waiter);
    /// # let mut context = Context::from_waker(Waker::noop());
    /// let hand = Channel::<u32>::create(region, "hand", 0)?;
    /// let mut send = hand.send_async(1);
    /// assert!(Pin::new(&mut send).poll(&mut context).is_pending());
    /// drop(send); // takes the offer back
    /// assert_eq!(hand.try_recv(), Err(TryRecvError::Empty));
    ///
    /// let mut send = hand.send_async(2);
    /// assert!(Pin::new(&mut send).poll(&mut context).is_pending());
    /// hand.close();
    /// assert_eq!(Pin::new(&mut send).poll(&mut context), Poll::Ready(Err(SendError::Closed(2))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_async(&self, value: T) -> Waiting<'a, ChannelSend<'a, T>> {
        Waiting::new(ChannelSend { stay: Stay::of_sender(*self), value })
    }
}

/// See [`Channel::recv_async`].
#[derive(Debug)]
pub struct ChannelRecv<'a, T> {
    stay: Stay<'a, T>,
}

impl<'a, T: Element> Operation<'a> for ChannelRecv<'a, T> {
    type Output = Result<T, RecvError>;

    fn attempt(&mut self, ask: bool) -> Option<Self::Output> {
        let channel = self.stay.channel();
        if channel.buffer().is_none() {
            return self.stay.receive(ask);
        }
        match channel.try_recv() {
            Ok(value) => Some(Ok(value)),
            Err(TryRecvError::Closed) => Some(Err(RecvError::Closed)),
            Err(TryRecvError::Corrupt) => Some(Err(RecvError::Corrupt)),
            Err(TryRecvError::Empty | TryRecvError::Blocked) => None,
        }
    }

    fn bell(&self) -> Option<Bell<'a>> {
        let queue = self.stay.channel().buffer();
        queue.map(|queue| Bell::one(*queue.items())).or_else(|| self.stay.bell())
    }

    fn has_moved(&mut self) -> bool {
        self.stay.has_moved()
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.stay.channel().notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        self.stay.give_up_receiving();
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
#[derive(Debug)]
pub struct ChannelSend<'a, T> {
    stay: Stay<'a, T>,
    value: T,
}

impl<'a, T: Element> Operation<'a> for ChannelSend<'a, T> {
    type Output = Result<(), SendError<T>>;

    fn attempt(&mut self, ask: bool) -> Option<Self::Output> {
        let channel = self.stay.channel();
        if channel.buffer().is_none() {
            return self.stay.send(self.value, ask);
        }
        match channel.try_send(self.value) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Closed(value)) => Some(Err(SendError::Closed(value))),
            Err(TrySendError::Corrupt(value)) => Some(Err(SendError::Corrupt(value))),
            Err(TrySendError::Full(_) | TrySendError::Blocked(_)) => None,
        }
    }

    fn bell(&self) -> Option<Bell<'a>> {
        let queue = self.stay.channel().buffer();
        queue.map(|queue| Bell::one(*queue.space())).or_else(|| self.stay.bell())
    }

    fn has_moved(&mut self) -> bool {
        self.stay.has_moved()
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.stay.channel().notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        self.stay.give_up_sending(self.value)
    }
}

impl<T: Element> Waiting<'_, ChannelSend<'_, T>> {
    /// Gives up a send that is pending, as dropping it does, and says what came of it: `Ok` if the value was received.
    ///
    /// Does not wait.
    ///
    /// # Errors
    /// The value, which was certainly not sent, and is not any more.
    ///
    /// ```
    /// # use core::future::Future;
    /// # use core::pin::Pin;
    /// # use core::task::{Context, Waker};
    /// # use zeroipc_nostd::{Channel, FormatOptions, Region, Span, Spin, WakerTable, WithReactor};
    /// # let mut memory = vec![0_u64; 2048];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// # static WAKERS: WakerTable<8> = WakerTable::new();
    /// # let waiter = WithReactor::new(Spin::new(|| 0), &WAKERS);
    /// # let region =
    /// #     Region::create(Span::from_slice(memory)?, &FormatOptions::new())?.with_notifier(&waiter);
    /// # let mut context = Context::from_waker(Waker::noop());
    /// let hand = Channel::<u32>::create(region, "hand", 0)?;
    /// let (mut first, mut second) = (hand.send_async(1), hand.send_async(1));
    /// assert!(Pin::new(&mut first).poll(&mut context).is_pending());
    /// assert!(Pin::new(&mut second).poll(&mut context).is_pending());
    /// assert_eq!(hand.try_recv(), Ok(1)); // of one of the two
    /// let (first, second) = (first.withdraw(), second.withdraw()); // or after a timeout
    /// assert!((first, second) == (Ok(()), Err(1)) || (first, second) == (Err(1), Ok(())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn withdraw(self) -> Result<(), T> {
        let mut send = self.into_operation();
        send.stay.give_up_sending(send.value).map_err(|_| send.value)
    }
}
