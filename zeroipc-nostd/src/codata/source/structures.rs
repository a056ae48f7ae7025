//! Structures as sources.

use super::Source;
use crate::codata::Subscriber;
use crate::element::Element;
use crate::error::{NextError, PopError};
use crate::queue::Queue;
use crate::ring::Consumer;
use crate::wait::{Wait, WaitSet};

impl From<PopError> for NextError {
    /// What is blocked is not there yet.
    fn from(error: PopError) -> Self {
        match error {
            PopError::Empty | PopError::Blocked => Self::Empty,
            PopError::Corrupt => Self::Corrupt,
        }
    }
}

/// As [`Subscriber::try_next`].
impl<'a, 'r: 'a, T: Element> Source<'a> for Subscriber<'r, T> {
    type Item = T;

    fn try_next(&mut self) -> Result<T, NextError> {
        Subscriber::try_next(self)
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        let (word, expected) = self.announced(waiter);
        set.add(word, expected);
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        Subscriber::waiter(self)
    }
}

/// Pops. A ring has no end, so it never says [`NextError::Closed`].
impl<'a, 'r: 'a, T: Element> Source<'a> for Consumer<'r, T> {
    type Item = T;

    fn try_next(&mut self) -> Result<T, NextError> {
        Ok(self.try_pop()?)
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        let (word, expected) = self.announced(waiter);
        set.add(word, expected);
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.ring().notifier().waiter()
    }
}

/// Pops; other consumers take the rest. A queue has no end, so it never says [`NextError::Closed`].
impl<'a, 'r: 'a, T: Element> Source<'a> for Queue<'r, T> {
    type Item = T;

    fn try_next(&mut self) -> Result<T, NextError> {
        Ok(self.try_pop()?)
    }

    fn announce(&self, _waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        let (word, expected) = self.items().announced();
        set.add(word, expected);
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.notifier().waiter()
    }
}
