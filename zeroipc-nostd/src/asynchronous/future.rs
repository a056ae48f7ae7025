//! A Future's asynchronous form.

use super::waiting::{Operation, Waiting};
use crate::codata::Future;
use crate::element::Element;
use crate::error::FutureError;
use crate::wait::{Bell, Wait};

impl<'a, T: Element> Future<'a, T> {
    /// The value, when it is there: [`Future::get`] for a task. `future.await` does the same.
    ///
    /// Takes nothing, so it may be dropped at any time; see [`Waiting`]. The death of the party that promised is noticed as by
    /// [`Future::get`].
    ///
    /// # Errors
    /// Its outcome is an error as for [`Future::get`].
    pub fn get_async(&self) -> Waiting<'a, FutureGet<'a, T>> {
        Waiting::new(FutureGet { future: *self })
    }
}

impl<'a, T: Element> core::future::IntoFuture for Future<'a, T> {
    type Output = Result<T, FutureError>;
    type IntoFuture = Waiting<'a, FutureGet<'a, T>>;

    fn into_future(self) -> Self::IntoFuture {
        self.get_async()
    }
}

/// See [`Future::get_async`].
#[derive(Debug, Clone, Copy)]
pub struct FutureGet<'a, T> {
    future: Future<'a, T>,
}

impl<'a, T: Element> Operation<'a> for FutureGet<'a, T> {
    type Output = Result<T, FutureError>;

    fn attempt(&mut self, ask: bool) -> Option<Self::Output> {
        self.future.look(ask)
    }

    fn bell(&self) -> Option<Bell<'a>> {
        Some(self.future.bell())
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.future.notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(FutureError::NoWaiter)
    }
}
