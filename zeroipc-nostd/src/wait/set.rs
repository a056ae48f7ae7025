//! Words to sleep on all at once, for whoever waits for one of several things.

use super::WaitWord;

/// Words to sleep on at once, each with the value that it had when the wait was announced there.
///
/// Holds [`WaitSet::CAPACITY`]. A set that was given more says so ([`WaitSet::is_partial`]), and whoever sleeps on it must look again soon,
/// since nobody wakes it for the words that it lacks.
///
/// No allocation; about a kilobyte on the stack.
#[derive(Debug, Clone)]
pub struct WaitSet<'a> {
    words: [Option<(WaitWord<'a>, u32)>; WaitSet::CAPACITY],
    len: usize,
    partial: bool,
}

impl Default for WaitSet<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl WaitSet<'_> {
    /// How many words a set holds.
    pub const CAPACITY: usize = 64;
}

impl<'a> WaitSet<'a> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        WaitSet { words: [None; WaitSet::CAPACITY], len: 0, partial: false }
    }

    /// Adds a word and the value that it had.
    pub fn add(&mut self, word: WaitWord<'a>, expected: u32) {
        match self.words.get_mut(self.len) {
            Some(place) => {
                *place = Some((word, expected));
                self.len += 1;
            }
            None => self.partial = true,
        }
    }

    /// Takes all words out.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// The words, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (WaitWord<'a>, u32)> + '_ {
        self.words.iter().map_while(|word| *word)
    }

    /// How many words are in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no word in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it was given more words than it holds.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether one of the words has another value by now (acquire).
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.iter().any(|(word, expected)| word.load() != expected)
    }
}
