//! A role in the region: held by at most one handle.
//!
//! The word is even while the role is free and odd while it is taken, and each holder has a value of its own: a holder
//! whose role was taken over finds another value and leaves it alone.

use crate::error::RoleTaken;
use crate::sync::Atomic;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Role<'a> {
    pub(crate) word: Atomic<'a, u32>,
    pub(crate) cas: bool,
    /// Not recorded where the caches are incoherent: the word would be written by two parties.
    pub(crate) recorded: bool,
}

/// Proof of having taken a role: the word's value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Token(u32);

impl Role<'_> {
    pub(crate) fn take(&self) -> Result<Token, RoleTaken> {
        if !self.recorded {
            return Ok(Token(0));
        }
        // Acquire: the last holder's counters are visible to the next.
        let free = self.word.load(Acquire);
        let taken = free | 1;
        if free & 1 != 0 || !self.exchange(free, taken) {
            return Err(RoleTaken);
        }
        Ok(Token(taken))
    }

    pub(crate) fn take_over(&self) -> Token {
        if !self.recorded {
            return Token(0);
        }
        // A failed exchange means that another took or released the role in between; only a hostile peer does so on and on.
        for _ in 0..1000 {
            // Acquire: as in `take`.
            let held = self.word.load(Acquire);
            let token = taken_over(held);
            if self.exchange(held, token) {
                return Token(token);
            }
        }
        let token = taken_over(self.word.load(Acquire));
        self.word.store(token, Release);
        Token(token)
    }

    pub(crate) fn release(&self, token: &Token) {
        if self.recorded && self.word.load(Acquire) == token.0 {
            self.exchange(token.0, token.0.wrapping_add(1));
        }
    }

    fn exchange(&self, from: u32, to: u32) -> bool {
        if self.cas {
            return self.word.compare_exchange(from, to, AcqRel, Acquire).is_ok();
        }
        self.word.store(to, Release);
        true
    }
}

/// The next holder's value: odd, and not the present holder's.
fn taken_over(held: u32) -> u32 {
    (held | 1).wrapping_add(2)
}
