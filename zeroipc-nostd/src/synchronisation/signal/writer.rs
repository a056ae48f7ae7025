//! The only writer of a signal.

use super::core::Core;
use super::Signal;
use crate::element::Element;
use crate::error::SignalError;
use crate::role::Token;
use crate::sync::{by_word, ByWord, Wide, Word};

/// The only writer of a [`Signal`] that has one: at most one handle in all parties. Loads and stores only.
///
/// From [`Signal::writer`]; gives the role back when dropped.
#[derive(Debug)]
pub struct SignalWriter<'a, T> {
    signal: Signal<'a, T>,
    half: ByWord<Half<'a, T, u32>, Half<'a, T, Wide>>,
    token: Token,
}

#[derive(Debug)]
struct Half<'a, T, W: Word> {
    core: Core<'a, T, W>,
    /// What `current` holds: nobody else writes it.
    word: W,
}

impl<'a, T: Element, W: Word> Half<'a, T, W> {
    fn new(core: Core<'a, T, W>) -> Self {
        Half { core, word: core.word() }
    }

    #[inline(always)]
    fn set(&mut self, value: &T) -> u64 {
        self.word = self.core.set_alone(self.word, value);
        self.core.version(self.word)
    }

    fn get(&self) -> Result<T, SignalError> {
        self.core.read_alone(self.word).ok_or(SignalError::Corrupt)
    }
}

impl<'a, T: Element> SignalWriter<'a, T> {
    pub(super) fn new(signal: Signal<'a, T>, token: Token) -> Self {
        let half = match signal.core {
            ByWord::W4(core) => ByWord::W4(Half::new(core)),
            ByWord::W8(core, having) => ByWord::W8(Half::new(core), having),
        };
        SignalWriter { signal, half, token }
    }

    /// Sets the value; returns its version. Wait-free, and no read-modify-write.
    ///
    /// What this party did before is visible to whoever reads the value. Wakes all that wait for a change, and makes no system
    /// call if nobody does. A writer killed inside has set the value or not; readers go on.
    #[inline]
    pub fn set(&mut self, value: T) -> u64 {
        let version = by_word!(&mut self.half, half => half.set(&value));
        self.signal.changes.ring(&self.signal.notifier);
        version
    }

    /// Replaces the value by what `change` makes of it; returns the old and the new one. Wait-free.
    ///
    /// # Errors
    /// [`SignalError::Corrupt`] if a peer had spoilt the signal before the role was taken.
    pub fn update(&mut self, change: impl FnOnce(T) -> T) -> Result<(T, T), SignalError> {
        let old = by_word!(&self.half, half => half.get())?;
        let new = change(old);
        self.set(new);
        Ok((old, new))
    }

    /// The signal, for reading.
    #[must_use]
    pub fn signal(&self) -> &Signal<'a, T> {
        &self.signal
    }
}

impl<T> Drop for SignalWriter<'_, T> {
    fn drop(&mut self) {
        self.signal.role.release(&self.token);
    }
}
