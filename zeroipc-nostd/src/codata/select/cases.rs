//! What can be selected besides channels.

use super::{Case, Mode, Tried};
use crate::element::Element;
use crate::error::{FutureError, PopError, PushError};
use crate::wait::{Announce, Wait, WaitSet};
use crate::{Event, Future, Queue};
use core::cell::Cell;
use core::fmt;

/// Popping from a [`Queue`] as a case of a [`select`](crate::select()). From [`Queue::select_pop`].
#[must_use = "a case does nothing unless it is selected"]
pub struct PopCase<'a, T> {
    queue: Queue<'a, T>,
    result: Cell<Option<Result<T, PopError>>>,
}

/// Pushing to a [`Queue`] as a case of a [`select`](crate::select()). From [`Queue::select_push`].
#[must_use = "a case does nothing unless it is selected"]
pub struct PushCase<'a, T> {
    queue: Queue<'a, T>,
    value: T,
    result: Cell<Option<Result<(), PushError<T>>>>,
    done: Cell<bool>,
}

/// Waiting for an [`Event`] as a case of a [`select`](crate::select()). From [`Event::select_wait`].
#[derive(Debug)]
#[must_use = "a case does nothing unless it is selected"]
pub struct WaitCase<'a> {
    event: Event<'a>,
}

/// Getting the value of a [`Future`] as a case of a [`select`](crate::select()). From [`Future::select_get`].
#[must_use = "a case does nothing unless it is selected"]
pub struct FutureCase<'a, T> {
    future: Future<'a, T>,
    result: Cell<Option<Result<T, FutureError>>>,
}

macro_rules! shown_by_name {
    ($($name:ident),+) => {$(
        impl<T> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+};
}
pub(crate) use shown_by_name;
shown_by_name!(PopCase, PushCase, FutureCase);

impl<'a, T: Element> Queue<'a, T> {
    /// To pop, as a case of a [`select`](crate::select()). May be selected again and again.
    pub fn select_pop(&self) -> PopCase<'a, T> {
        PopCase { queue: *self, result: Cell::new(None) }
    }

    /// To push `value`, as a case of a [`select`](crate::select()). Once pushed it is never ready again.
    pub fn select_push(&self, value: T) -> PushCase<'a, T> {
        PushCase { queue: *self, value, result: Cell::new(None), done: Cell::new(false) }
    }
}

impl<'a> Event<'a> {
    /// To wait for it, as a case of a [`select`](crate::select()): while it is set. A manual event that is set and reset again
    /// between two looks is not noticed. Selecting an automatic event resets it.
    pub fn select_wait(&self) -> WaitCase<'a> {
        WaitCase { event: *self }
    }
}

impl<'a, T: Element> Future<'a, T> {
    /// To get its value, as a case of a [`select`](crate::select()): as soon as it is settled, however.
    pub fn select_get(&self) -> FutureCase<'a, T> {
        FutureCase { future: *self, result: Cell::new(None) }
    }
}

impl<T> PopCase<'_, T> {
    /// What was popped, once it was selected: [`PopError::Corrupt`] at worst. Takes it.
    pub fn result(&self) -> Option<Result<T, PopError>> {
        self.result.take()
    }
}

impl<T> PushCase<'_, T> {
    /// Whether it was pushed, once it was selected: [`PushError::Corrupt`] at worst. Takes it.
    pub fn result(&self) -> Option<Result<(), PushError<T>>> {
        self.result.take()
    }
}

impl<T> FutureCase<'_, T> {
    /// What it was settled by, once it was selected. Takes it.
    pub fn result(&self) -> Option<Result<T, FutureError>> {
        self.result.take()
    }
}

impl<T: Element> Case for PopCase<'_, T> {
    fn attempt(&self, mode: Mode<'_, '_>) -> Tried {
        if self.queue.is_empty() {
            return Tried::Nothing;
        }
        mode.commit(|| match self.queue.try_pop() {
            Err(PopError::Empty | PopError::Blocked) => false,
            result => {
                self.result.set(Some(result));
                true
            }
        })
    }

    fn announce<'s>(&'s self, waiter: &dyn Wait, set: &mut WaitSet<'s>) {
        let (word, value) = self.queue.items().announce(waiter);
        set.add(word, value);
    }

    fn pass_on(&self) {
        if !self.queue.is_empty() {
            self.queue.items().notify(self.queue.notifier());
        }
    }

    fn waiter(&self) -> Option<&dyn Wait> {
        self.queue.notifier().waiter()
    }
}

impl<T: Element> Case for PushCase<'_, T> {
    fn attempt(&self, mode: Mode<'_, '_>) -> Tried {
        if self.done.get() || self.queue.is_full() {
            return Tried::Nothing;
        }
        mode.commit(|| match self.queue.try_push(self.value) {
            Err(PushError::Full(_) | PushError::Blocked(_)) => false,
            result => {
                self.done.set(true);
                self.result.set(Some(result));
                true
            }
        })
    }

    fn announce<'s>(&'s self, waiter: &dyn Wait, set: &mut WaitSet<'s>) {
        let (word, value) = self.queue.space().announce(waiter);
        set.add(word, value);
    }

    fn pass_on(&self) {
        if !self.queue.is_full() {
            self.queue.space().notify(self.queue.notifier());
        }
    }

    fn waiter(&self) -> Option<&dyn Wait> {
        self.queue.notifier().waiter()
    }
}

impl Case for WaitCase<'_> {
    fn attempt(&self, mode: Mode<'_, '_>) -> Tried {
        if !self.event.is_set() {
            return Tried::Nothing;
        }
        mode.commit(|| self.event.try_wait())
    }

    fn announce<'s>(&'s self, waiter: &dyn Wait, set: &mut WaitSet<'s>) {
        let (word, value) = self.event.sleepers().announce(waiter);
        set.add(word, value);
    }

    fn pass_on(&self) {
        if self.event.is_set() {
            self.event.sleepers().notify(self.event.notifier());
        }
    }

    fn waiter(&self) -> Option<&dyn Wait> {
        self.event.notifier().waiter()
    }
}

impl<T: Element> Case for FutureCase<'_, T> {
    fn attempt(&self, mode: Mode<'_, '_>) -> Tried {
        match self.future.try_get() {
            Err(FutureError::Pending) => Tried::Nothing,
            result => mode.commit(|| {
                self.result.set(Some(result));
                true
            }),
        }
    }

    fn announce<'s>(&'s self, waiter: &dyn Wait, set: &mut WaitSet<'s>) {
        // Whoever promised it may be dead: asked once a sleep.
        self.future.break_if_dead();
        let (word, value) = self.future.sleepers().announce(waiter);
        set.add(word, value);
    }

    /// One that is settled wakes all, so nobody was woken in another's place.
    fn pass_on(&self) {}

    fn waiter(&self) -> Option<&dyn Wait> {
        self.future.sleepers().notifier.waiter()
    }
}
