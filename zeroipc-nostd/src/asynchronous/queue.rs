//! A Queue's asynchronous forms.

use super::waiting::{Operation, Repeatable, Waiting};
use crate::element::Element;
use crate::error::{PopError, PopTimeoutError, PushError, PushTimeoutError};
use crate::queue::Queue;
use crate::wait::{Bell, Wait};

impl<'a, T: Element> Queue<'a, T> {
    /// Pops the oldest element, when there is one: [`Queue::pop`] for a task.
    ///
    /// An element is popped in the poll that returns it, so dropping the future loses none; see [`Waiting`].
    ///
    /// # Errors
    /// Its outcome is [`PopTimeoutError::Corrupt`] or [`PopTimeoutError::NoWaiter`] as for [`Queue::pop`].
    pub fn pop_async(&self) -> Waiting<'a, QueuePop<'a, T>> {
        Waiting::new(QueuePop { queue: *self })
    }

    /// Pushes `value`, when there is room: [`Queue::push`] for a task.
    ///
    /// The value is pushed in the poll that says so; dropped before, the future has not pushed it. See [`Waiting`].
    ///
    /// # Errors
    /// Its outcome is [`PushTimeoutError::Corrupt`] or [`PushTimeoutError::NoWaiter`] as for [`Queue::push`].
    pub fn push_async(&self, value: T) -> Waiting<'a, QueuePush<'a, T>> {
        Waiting::new(QueuePush { queue: *self, value })
    }
}

/// See [`Queue::pop_async`].
#[derive(Debug, Clone, Copy)]
pub struct QueuePop<'a, T> {
    queue: Queue<'a, T>,
}

impl<'a, T: Element> Operation<'a> for QueuePop<'a, T> {
    type Output = Result<T, PopTimeoutError>;

    fn attempt(&mut self, _ask: bool) -> Option<Self::Output> {
        match self.queue.try_pop() {
            Ok(value) => Some(Ok(value)),
            Err(PopError::Empty | PopError::Blocked) => None,
            Err(PopError::Corrupt) => Some(Err(PopTimeoutError::Corrupt)),
        }
    }

    fn bell(&self) -> Option<Bell<'a>> {
        Some(Bell::one(*self.queue.items()))
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.queue.notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(PopTimeoutError::NoWaiter)
    }
}

impl<T> Repeatable for QueuePop<'_, T> {}

/// See [`Queue::push_async`].
#[derive(Debug, Clone, Copy)]
pub struct QueuePush<'a, T> {
    queue: Queue<'a, T>,
    value: T,
}

impl<'a, T: Element> Operation<'a> for QueuePush<'a, T> {
    type Output = Result<(), PushTimeoutError<T>>;

    fn attempt(&mut self, _ask: bool) -> Option<Self::Output> {
        match self.queue.try_push(self.value) {
            Ok(()) => Some(Ok(())),
            Err(PushError::Full(_) | PushError::Blocked(_)) => None,
            Err(PushError::Corrupt(value)) => Some(Err(PushTimeoutError::Corrupt(value))),
        }
    }

    fn bell(&self) -> Option<Bell<'a>> {
        Some(Bell::one(*self.queue.space()))
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.queue.notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(PushTimeoutError::NoWaiter(self.value))
    }
}
