//! A Ring's asynchronous forms.

use super::waiting::{Operation, Repeatable, Waiting};
use crate::element::Element;
use crate::error::{PopError, PopTimeoutError, PushError, PushTimeoutError};
use crate::ring::{Consumer, Producer};
use crate::wait::{Bell, Wait};

impl<'a, T: Element> Consumer<'a, T> {
    /// Pops the oldest element, when there is one: [`Consumer::pop`] for a task.
    ///
    /// An element is popped in the poll that returns it, so dropping the future loses none; see [`Waiting`].
    ///
    /// # Errors
    /// Its outcome is [`PopTimeoutError::Corrupt`] or [`PopTimeoutError::NoWaiter`] as for [`Consumer::pop`].
    pub fn pop_async(&mut self) -> Waiting<'a, RingPop<'_, 'a, T>> {
        Waiting::new(RingPop { consumer: self })
    }
}

impl<'a, T: Element> Producer<'a, T> {
    /// Pushes `value`, when there is room: [`Producer::push`] for a task.
    ///
    /// The value is pushed in the poll that says so; dropped before, the future has not pushed it. See [`Waiting`].
    ///
    /// # Errors
    /// Its outcome is [`PushTimeoutError::Corrupt`] or [`PushTimeoutError::NoWaiter`] as for [`Producer::push`].
    pub fn push_async(&mut self, value: T) -> Waiting<'a, RingPush<'_, 'a, T>> {
        Waiting::new(RingPush { producer: self, value })
    }
}

/// See [`Consumer::pop_async`].
#[derive(Debug)]
pub struct RingPop<'c, 'a, T> {
    consumer: &'c mut Consumer<'a, T>,
}

impl<'a, T: Element> Operation<'a> for RingPop<'_, 'a, T> {
    type Output = Result<T, PopTimeoutError>;

    fn attempt(&mut self, _ask: bool) -> Option<Self::Output> {
        match self.consumer.try_pop() {
            Ok(value) => Some(Ok(value)),
            Err(PopError::Empty | PopError::Blocked) => None,
            Err(PopError::Corrupt) => Some(Err(PopTimeoutError::Corrupt)),
        }
    }

    fn bell(&self) -> Option<Bell<'a>> {
        Some(self.consumer.ring().items.into())
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.consumer.ring().notifier.waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(PopTimeoutError::NoWaiter)
    }
}

impl<T> Repeatable for RingPop<'_, '_, T> {}

/// See [`Producer::push_async`].
#[derive(Debug)]
pub struct RingPush<'p, 'a, T> {
    producer: &'p mut Producer<'a, T>,
    value: T,
}

impl<'a, T: Element> Operation<'a> for RingPush<'_, 'a, T> {
    type Output = Result<(), PushTimeoutError<T>>;

    fn attempt(&mut self, _ask: bool) -> Option<Self::Output> {
        match self.producer.try_push(self.value) {
            Ok(()) => Some(Ok(())),
            Err(PushError::Full(_) | PushError::Blocked(_)) => None,
            Err(PushError::Corrupt(value)) => Some(Err(PushTimeoutError::Corrupt(value))),
        }
    }

    fn bell(&self) -> Option<Bell<'a>> {
        Some(self.producer.ring().space.into())
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.producer.ring().notifier.waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(PushTimeoutError::NoWaiter(self.value))
    }
}
