//! A Service's asynchronous forms.

use super::waiting::{Operation, Waiting};
use crate::codata::{Client, Pending, Request, Server};
use crate::element::Element;
use crate::error::{CallError, NextError};
use crate::wait::{Bell, Wait};

impl<'a, Req: Element, Resp: Element> Client<'a, Req, Resp> {
    /// Makes a call, and gives its answer when it is there: [`Client::call`] for a task. Dropped before, it cancels the call.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_async(&self, request: Req) -> Result<Resp, CallError> {
        let pending = self.request_async(request).await?;
        pending.get_async().await
    }

    /// Makes a call, when there is a place: [`Client::request`] for a task.
    ///
    /// The call is made in the poll that returns it; dropped before, the future has not made it. See [`Waiting`].
    ///
    /// # Errors
    /// Its outcome is an error as for [`Client::request`].
    pub fn request_async(&self, request: Req) -> Waiting<'_, ServiceRequest<'_, Req, Resp>> {
        Waiting::new(ServiceRequest { client: self, request })
    }
}

impl<Req: Element, Resp: Element> Pending<'_, Req, Resp> {
    /// The answer, when it is there: [`Pending::get`] for a task.
    ///
    /// Takes nothing, so it may be dropped at any time; see [`Waiting`]. The death of the server is noticed as by [`Pending::get`].
    ///
    /// # Errors
    /// Its outcome is an error as for [`Pending::get`].
    pub fn get_async(&self) -> Waiting<'_, ServiceGet<'_, Req, Resp>> {
        Waiting::new(ServiceGet { pending: self })
    }
}

impl<Req: Element, Resp: Element> Server<'_, Req, Resp> {
    /// Takes a request, when there is one: [`Server::next`] for a task.
    ///
    /// A request is taken in the poll that returns it, so dropping the future loses none; see [`Waiting`].
    ///
    /// # Errors
    /// Its outcome is an error as for [`Server::next`].
    pub fn next_async(&self) -> Waiting<'_, ServiceNext<'_, Req, Resp>> {
        Waiting::new(ServiceNext { server: self })
    }
}

/// See [`Client::request_async`].
#[derive(Debug)]
pub struct ServiceRequest<'c, Req: Element, Resp: Element> {
    client: &'c Client<'c, Req, Resp>,
    request: Req,
}

impl<'c, Req: Element, Resp: Element> Operation<'c> for ServiceRequest<'c, Req, Resp> {
    type Output = Result<Pending<'c, Req, Resp>, CallError>;

    fn attempt(&mut self, ask: bool) -> Option<Self::Output> {
        self.client.attempt(self.request, ask)
    }

    fn bell(&self) -> Option<Bell<'c>> {
        Some(self.client.bell())
    }

    fn waiter(&self) -> Option<&'c dyn Wait> {
        self.client.notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(CallError::NoWaiter)
    }
}

/// See [`Pending::get_async`].
#[derive(Debug)]
pub struct ServiceGet<'p, Req: Element, Resp: Element> {
    pending: &'p Pending<'p, Req, Resp>,
}

impl<'p, Req: Element, Resp: Element> Operation<'p> for ServiceGet<'p, Req, Resp> {
    type Output = Result<Resp, CallError>;

    fn attempt(&mut self, ask: bool) -> Option<Self::Output> {
        self.pending.look(ask)
    }

    fn bell(&self) -> Option<Bell<'p>> {
        Some(self.pending.bell())
    }

    fn waiter(&self) -> Option<&'p dyn Wait> {
        self.pending.notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(CallError::NoWaiter)
    }
}

/// See [`Server::next_async`].
#[derive(Debug)]
pub struct ServiceNext<'s, Req: Element, Resp: Element> {
    server: &'s Server<'s, Req, Resp>,
}

impl<'s, Req: Element, Resp: Element> Operation<'s> for ServiceNext<'s, Req, Resp> {
    type Output = Result<Request<'s, Req, Resp>, NextError>;

    fn attempt(&mut self, _ask: bool) -> Option<Self::Output> {
        self.server.attempt()
    }

    fn bell(&self) -> Option<Bell<'s>> {
        Some(self.server.bell())
    }

    fn waiter(&self) -> Option<&'s dyn Wait> {
        self.server.notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(NextError::NoWaiter)
    }
}
