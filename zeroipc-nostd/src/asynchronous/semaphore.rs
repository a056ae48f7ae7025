//! A Semaphore's asynchronous forms.

use super::waiting::{Operation, Repeatable, Waiting};
use crate::error::AcquireError;
use crate::synchronisation::{Permit, Semaphore};
use crate::wait::{Bell, Wait};

impl<'a> Semaphore<'a> {
    /// Takes a permit, when one is free: [`Semaphore::acquire`] for a task.
    ///
    /// The permit is taken in the poll that returns it, so dropping the future loses none; see [`Waiting`].
    ///
    /// # Errors
    /// Its outcome is [`AcquireError::Corrupt`] or [`AcquireError::NoWaiter`] as for [`Semaphore::acquire`].
    pub fn acquire_async(&self) -> Waiting<'a, SemaphoreAcquire<'a>> {
        self.acquire_many_async(1)
    }

    /// Takes `count` permits at once, when so many are free: [`Semaphore::acquire_many`] for a task.
    ///
    /// # Errors
    /// As [`Semaphore::acquire_async`]; [`AcquireError::AboveMax`] if there are never so many.
    pub fn acquire_many_async(&self, count: u32) -> Waiting<'a, SemaphoreAcquire<'a>> {
        Waiting::new(SemaphoreAcquire { semaphore: *self, count })
    }
}

/// See [`Semaphore::acquire_async`].
#[derive(Debug, Clone, Copy)]
pub struct SemaphoreAcquire<'a> {
    semaphore: Semaphore<'a>,
    count: u32,
}

impl<'a> Operation<'a> for SemaphoreAcquire<'a> {
    type Output = Result<Permit<'a>, AcquireError>;

    fn attempt(&mut self, _ask: bool) -> Option<Self::Output> {
        self.semaphore.attempt(self.count)
    }

    fn bell(&self) -> Option<Bell<'a>> {
        Some({
            if self.count > 1 {
                Bell::all(self.semaphore.several)
            } else {
                Bell::one(self.semaphore.one)
            }
        })
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.semaphore.notifier.waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(AcquireError::NoWaiter)
    }
}

impl Repeatable for SemaphoreAcquire<'_> {}
