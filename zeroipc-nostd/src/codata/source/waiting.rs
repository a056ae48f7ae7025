//! How whoever pulls sleeps until there is a value.

use super::Source;
use crate::error::NextError;
use crate::wait::{deadline_after, look, slice, Looked, Spin, Wait, WaitSet};
use core::time::Duration;

/// A waiter that nobody sleeps by: to ask what is due at once.
static NEVER: Spin = Spin::new(|| 0);

/// The next value, by the source's own waiter.
pub(super) fn next<'a, S: Source<'a> + ?Sized>(
    source: &mut S,
    timeout: Option<Duration>,
) -> Result<S::Item, NextError> {
    loop {
        match source.try_next() {
            Err(NextError::Empty) => {}
            other => return other,
        }
        if let Some(waiter) = source.waiter() {
            let deadline = timeout.and_then(|timeout| deadline_after(waiter, timeout));
            return next_with(source, waiter, deadline);
        }
        if source.due(&NEVER) != Some(0) {
            return Err(NextError::NoWaiter);
        }
    }
}

pub(super) fn next_with<'a, S: Source<'a> + ?Sized>(
    source: &mut S,
    waiter: &dyn Wait,
    deadline: Option<u64>,
) -> Result<S::Item, NextError> {
    if let Looked::Over(result) = look(waiter, deadline, waiter.spins(), &mut || attempt(source)) {
        return result.unwrap_or(Err(NextError::Timeout));
    }
    loop {
        let mut set = WaitSet::new();
        source.announce(waiter, &mut set);
        if let Some(result) = attempt(source) {
            return result;
        }
        let Some(slice) = slice(waiter, deadline) else { return Err(NextError::Timeout) };
        let until = source.due(waiter).map_or(slice, |due| due.min(slice));
        if waiter.now() < until {
            sleep(waiter, &set, until);
        }
        if let Some(result) = attempt(source) {
            pass_on(waiter, &set);
            return result;
        }
    }
}

fn attempt<'a, S: Source<'a> + ?Sized>(source: &mut S) -> Option<Result<S::Item, NextError>> {
    match source.try_next() {
        Err(NextError::Empty) => None,
        other => Some(other),
    }
}

fn sleep(waiter: &dyn Wait, set: &WaitSet<'_>, until: u64) {
    match set.iter().next() {
        Some((word, expected)) if set.len() == 1 && !set.is_partial() => {
            waiter.wait(word, expected, until);
        }
        _ => waiter.wait_any(set, until),
    }
}

/// Whoever slept on several words may have been woken for a value that it did not take, where only one is woken: then
/// another must be. A wake-up too many is harmless.
///
/// The words themselves are woken, not their structures told: who announced itself after the value came has seen it, and who
/// did before either sleeps on the word, or does not go to sleep because the word has changed.
fn pass_on(waiter: &dyn Wait, set: &WaitSet<'_>) {
    if set.len() > 1 {
        for (word, expected) in set.iter() {
            if word.load() != expected {
                waiter.wake(word, 1);
            }
        }
    }
}
