//! An Event's asynchronous form.

use super::waiting::{Operation, Repeatable, Waiting};
use crate::error::WaitError;
use crate::synchronisation::{Event, EventMode};
use crate::wait::{Bell, Wait};

impl<'a> Event<'a> {
    /// Waits for the event: [`Event::wait`] for a task.
    ///
    /// A manual event that is set after this call releases the task, also if it is reset before the task runs. An automatic event is
    /// taken in the poll that says so, so dropping the future loses no set; see [`Waiting`].
    ///
    /// # Errors
    /// Its outcome is [`WaitError::NoWaiter`] as for [`Event::wait`].
    pub fn wait_async(&self) -> Waiting<'a, EventWait<'a>> {
        Waiting::new(EventWait { event: *self, began: self.state() })
    }
}

/// See [`Event::wait_async`].
#[derive(Debug, Clone, Copy)]
pub struct EventWait<'a> {
    event: Event<'a>,
    /// What the state was when the wait began.
    began: u32,
}

impl<'a> Operation<'a> for EventWait<'a> {
    type Output = Result<(), WaitError>;

    fn attempt(&mut self, _ask: bool) -> Option<Self::Output> {
        let was_set = match self.event.mode() {
            EventMode::Automatic => self.event.try_wait(),
            EventMode::Manual => self.event.was_set_since(self.began),
        };
        was_set.then(|| {
            self.began = self.event.state();
            Ok(())
        })
    }

    fn bell(&self) -> Option<Bell<'a>> {
        Some({
            match self.event.mode() {
                EventMode::Manual => Bell::all(*self.event.sleepers()),
                EventMode::Automatic => Bell::one(*self.event.sleepers()),
            }
        })
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.event.notifier().waiter()
    }

    fn no_waiter(&mut self) -> Self::Output {
        Err(WaitError::NoWaiter)
    }
}

impl Repeatable for EventWait<'_> {}
