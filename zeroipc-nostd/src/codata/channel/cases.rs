//! Sending and receiving as cases of a select.

use super::places::Side;
use super::rendezvous::{Rendezvous, Taken};
use super::{Channel, Form};
use crate::codata::channel::claim::Home;
use crate::codata::select::{shown_by_name, Case, Meet, Mode, Tried};
use crate::element::Element;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::sync::Span;
use crate::wait::{Announce, Wait, WaitSet};
use core::cell::Cell;
use core::fmt;

/// Receiving from a [`Channel`] as a case of a [`select`](crate::select()). From [`Channel::select_recv`].
#[must_use = "a case does nothing unless it is selected"]
pub struct RecvCase<'a, T> {
    channel: Channel<'a, T>,
    result: Cell<Option<Result<T, RecvError>>>,
    spot: Spot<'a, T>,
}

/// Sending to a [`Channel`] as a case of a [`select`](crate::select()). From [`Channel::select_send`].
#[must_use = "a case does nothing unless it is selected"]
pub struct SendCase<'a, T> {
    channel: Channel<'a, T>,
    value: T,
    result: Cell<Option<Result<(), SendError<T>>>>,
    done: Cell<bool>,
    spot: Spot<'a, T>,
}
shown_by_name!(RecvCase, SendCase);

impl<'a, T: Element> Channel<'a, T> {
    /// To receive, as a case of a [`select`](crate::select()). May be selected again and again.
    pub fn select_recv(&self) -> RecvCase<'a, T> {
        let spot = Spot::new(*self, Side::Receivers, None);
        RecvCase { channel: *self, result: Cell::new(None), spot }
    }

    /// To send `value`, as a case of a [`select`](crate::select()). Once sent it is never ready again.
    pub fn select_send(&self, value: T) -> SendCase<'a, T> {
        SendCase {
            channel: *self,
            value,
            result: Cell::new(None),
            done: Cell::new(false),
            spot: Spot::new(*self, Side::Senders, Some(value)),
        }
    }
}

impl<T: Copy> RecvCase<'_, T> {
    /// What was received, once it was selected: [`RecvError::Closed`] if the channel is closed and drained. Takes it.
    pub fn result(&self) -> Option<Result<T, RecvError>> {
        self.result.take().or_else(|| self.spot.met.take().flatten().map(Ok))
    }

    fn done(&self, result: Result<T, RecvError>) -> bool {
        self.result.set(Some(result));
        true
    }
}

impl<T: Copy> SendCase<'_, T> {
    /// Whether it was sent, once it was selected: [`SendError::Closed`], with the value, if the channel is closed. Takes it.
    pub fn result(&self) -> Option<Result<(), SendError<T>>> {
        match self.spot.met.take() {
            Some(_) => {
                self.done.set(true);
                Some(Ok(()))
            }
            None => self.result.take(),
        }
    }

    fn is_done(&self) -> bool {
        let met = self.spot.met.take();
        let done = self.done.get() || met.is_some();
        self.spot.met.set(met);
        done
    }

    fn done(&self, result: Result<(), SendError<T>>) -> bool {
        self.done.set(true);
        self.result.set(Some(result));
        true
    }
}

impl<T: Element> RecvCase<'_, T> {
    fn receive(&self) -> bool {
        match self.channel.try_recv() {
            Ok(value) => self.done(Ok(value)),
            Err(TryRecvError::Closed) => self.done(Err(RecvError::Closed)),
            Err(TryRecvError::Corrupt) => self.done(Err(RecvError::Corrupt)),
            Err(TryRecvError::Empty | TryRecvError::Blocked) => false,
        }
    }
}

impl<T: Element> Case for RecvCase<'_, T> {
    fn attempt(&self, mode: Mode<'_, '_>) -> Tried {
        if self.channel.is_closed() {
            return mode.commit(|| self.receive());
        }
        match &self.channel.form {
            Form::Buffered(queue) if queue.is_empty() => Tried::Nothing,
            Form::Buffered(_) => mode.commit(|| self.receive()),
            Form::Rendezvous(rendezvous) => match rendezvous.take(mode.home()) {
                Taken::Value(value) => {
                    self.done(Ok(value));
                    Tried::Done
                }
                Taken::Nothing => Tried::Nothing,
                Taken::Left => Tried::Left,
                Taken::Matched => Tried::Matched,
            },
        }
    }

    fn announce<'s>(&'s self, waiter: &dyn Wait, set: &mut WaitSet<'s>) {
        if let Form::Buffered(queue) = &self.channel.form {
            let (word, value) = queue.items().announce(waiter);
            set.add(word, value);
        }
    }

    fn pass_on(&self) {
        match &self.channel.form {
            Form::Buffered(queue) if queue.is_empty() => {}
            Form::Buffered(queue) => queue.items().notify(self.channel.notifier),
            Form::Rendezvous(rendezvous) if rendezvous.is_anybody(Side::Senders) => {
                rendezvous.ring_one();
            }
            Form::Rendezvous(_) => {}
        }
    }

    fn waiter(&self) -> Option<&dyn Wait> {
        self.channel.notifier.waiter()
    }

    fn meet(&self) -> Option<&dyn Meet> {
        self.spot.meet()
    }
}

impl<T: Element> Case for SendCase<'_, T> {
    fn attempt(&self, mode: Mode<'_, '_>) -> Tried {
        if self.is_done() {
            return Tried::Nothing;
        }
        let waits = match (&self.channel.form, mode) {
            _ if self.channel.is_closed() => false,
            (Form::Buffered(queue), _) => queue.is_full(),
            // A select that waits is met, and so knows that its value was taken.
            (Form::Rendezvous(_), Mode::First | Mode::At(_)) => true,
            (Form::Rendezvous(_), Mode::Once) => false,
        };
        if waits {
            return Tried::Nothing;
        }
        mode.commit(|| match self.channel.try_send(self.value) {
            Ok(()) => self.done(Ok(())),
            Err(TrySendError::Closed(value)) => self.done(Err(SendError::Closed(value))),
            Err(TrySendError::Corrupt(value)) => self.done(Err(SendError::Corrupt(value))),
            Err(TrySendError::Full(_) | TrySendError::Blocked(_)) => false,
        })
    }

    fn announce<'s>(&'s self, waiter: &dyn Wait, set: &mut WaitSet<'s>) {
        if let Form::Buffered(queue) = &self.channel.form {
            let (word, value) = queue.space().announce(waiter);
            set.add(word, value);
        }
    }

    fn pass_on(&self) {
        match &self.channel.form {
            Form::Buffered(queue) if !queue.is_full() => {
                queue.space().notify(self.channel.notifier)
            }
            Form::Buffered(_) | Form::Rendezvous(_) => {}
        }
    }

    fn waiter(&self) -> Option<&dyn Wait> {
        self.channel.notifier.waiter()
    }

    fn meet(&self) -> Option<&dyn Meet> {
        // While it has a place, it is part of a select, also once it has been met there.
        let is_over = self.is_done() && self.spot.place.get().is_none();
        self.spot.meet().filter(|_| !is_over)
    }
}

/// One side of a channel without a buffer, as a part of a select.
struct Spot<'a, T> {
    channel: Channel<'a, T>,
    side: Side,
    /// What is offered; nothing for receivers.
    value: Option<T>,
    place: Cell<Option<usize>>,
    /// Whether another party has matched it, with the value that it left.
    met: Cell<Option<Option<T>>>,
}

impl<'a, T: Element> Spot<'a, T> {
    fn new(channel: Channel<'a, T>, side: Side, value: Option<T>) -> Self {
        Spot { channel, side, value, place: Cell::new(None), met: Cell::new(None) }
    }

    fn rendezvous(&self) -> Option<&Rendezvous<'a, T>> {
        self.channel.rendezvous()
    }

    fn meet(&self) -> Option<&dyn Meet> {
        self.rendezvous()?;
        Some(self)
    }
}

impl<T: Element> Meet for Spot<'_, T> {
    fn reach(&self) -> Option<(Span<'_>, usize)> {
        let rendezvous = self.rendezvous()?;
        Some((rendezvous.region(), rendezvous.most_cases()))
    }

    fn take_place(&self, ask: bool) -> bool {
        let Some(rendezvous) = self.rendezvous() else { return false };
        let place = rendezvous.take_place(self.side, ask);
        if let (Some(place), Some(value)) = (place, &self.value) {
            rendezvous.write(place, value);
        }
        self.place.set(place);
        place.is_some()
    }

    fn announce_room<'s>(&'s self, waiter: &dyn Wait, set: &mut WaitSet<'s>) {
        if let Some(rendezvous) = self.rendezvous() {
            let (word, value) = rendezvous.room(self.side).announce(waiter);
            set.add(word, value);
        }
    }

    fn home(&self) -> Option<Home<'_>> {
        self.rendezvous()?.home(self.side, self.place.get()?)
    }

    fn show(&self, case: u32, home: &Home<'_>) -> Option<()> {
        self.rendezvous()?.show(self.side, self.place.get()?, case, home)
    }

    fn ring(&self) {
        if let (Side::Senders, Some(rendezvous)) = (self.side, self.rendezvous()) {
            rendezvous.ring_one();
        }
    }

    fn matched(&self, place: usize) -> bool {
        let value = match self.side {
            Side::Senders => Some(None),
            Side::Receivers => {
                self.rendezvous().and_then(|rendezvous| rendezvous.accept(place)).map(Some)
            }
        };
        self.met.set(value);
        value.is_some()
    }

    fn free(&self) {
        if let (Some(rendezvous), Some(place)) = (self.rendezvous(), self.place.take()) {
            rendezvous.free(self.side, place);
        }
    }
}
