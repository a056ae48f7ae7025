//! A robust lock in one 32-bit word.
//!
//! | bits | field |
//! |---|---|
//! | 0 to 29 | the owner's number; 0 while the lock is free |
//! | 30 | *sleepers*: somebody may be asleep on the word |
//! | 31 | *inconsistent*: an owner died, and no later one has declared what the lock protects consistent |
//!
//! 1. Take: if the owner is 0, CAS (acquire) the own number into the word, and leave the flags.
//! 2. Wait: look for a while; then set *sleepers*, try once more, and sleep while the word keeps that value. Who takes the
//!    lock after having slept takes it with *sleepers* set, since others may be asleep, too.
//! 3. Release: CAS (release) from the own number to 0, without *sleepers*; if that was set, wake one.
//! 4. Take over: a waiter that finds the owner dead moves the word by CAS from exactly what it saw to its own number with
//!    both flags set. One of several succeeds; the others find a living owner.
//!
//! This is the three-state mutex of U. Drepper, "Futexes Are Tricky" (2011), <https://www.akkadia.org/drepper/futex.pdf>,
//! with the owner's number in place of 1, and the sleepers' flag kept by whoever takes the lock, so that a sleeper which gives
//! up leaves the flag to the others. Robustness is that of POSIX robust mutexes, but a value that nobody repairs makes every
//! later owner an informed one, not the lock unusable.
//!
//! **No wake-up is lost.** The flag is set in the same word that is released and slept on. Either the release clears it and
//! wakes one, or it was set after the release; then its setter's next look finds the lock free, or taken by somebody who took
//! the flag with it and will wake. A sleeper that is killed after it was woken takes the wake-up with it: the others look
//! within 100 ms.
//!
//! **Assumption.** A number names one party, and does not come again while somebody may still be between learning that its
//! holder is dead and the CAS of step 4: the word would be the same, and a living owner would lose the lock. So numbers should
//! be given in rotation. A number that comes again later does no harm but that a lock which its dead holder still owns looks
//! owned by a living party.

use crate::party::{Membership, PARTY_BITS};
use crate::sync::Atomic;
use crate::wait::{Announce, Limit, Notifier, Wait, WaitWord};
use core::cell::Cell;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

pub(super) const NUMBER: u32 = (1 << PARTY_BITS) - 1;
pub(super) const SLEEPERS: u32 = 1 << 30;
pub(super) const INCONSISTENT: u32 = 1 << 31;

/// How often an operation tries again when the word changed under it. With correct peers each change is a step of somebody
/// else's; what is left open after so many is settled by the next one who looks.
pub(super) const ATTEMPTS: u32 = 64;

/// How this party is recorded in locks, and whom it asks about others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    membership: Membership<'a>,
}

impl<'a> Identity<'a> {
    pub(super) fn new(membership: Membership<'a>) -> Self {
        Identity { membership }
    }

    pub(super) fn number(&self) -> u32 {
        self.membership.number()
    }

    /// Whether the party recorded in `word` is known to be dead. May be a system call.
    pub(super) fn is_dead(&self, word: u32) -> bool {
        self.membership.is_dead(word & NUMBER)
    }
}

/// See the [module](self).
#[derive(Debug, Clone, Copy)]
pub(super) struct LockWord<'a> {
    pub(super) word: Atomic<'a, u32>,
    pub(super) notifier: Notifier<'a>,
    pub(super) identity: Identity<'a>,
}

/// What a party knows that has the lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// The word as it was made; only flags can have come since.
    pub(super) word: u32,
    /// *Inconsistent* or 0: what the word will be when the lock is released.
    pub(super) leave: u32,
}

impl Held {
    pub(super) fn is_inconsistent(self) -> bool {
        self.leave != 0
    }

    pub(super) fn mark_consistent(&mut self) {
        self.leave = 0;
    }
}

/// Whether the lock is free, by its word.
pub(super) fn is_free(word: u32) -> bool {
    word & NUMBER == 0
}

impl LockWord<'_> {
    /// Takes the lock by the guess that it is free and consistent, and that nobody sleeps. Wait-free.
    #[inline]
    pub(super) fn try_acquire(&self, ask: bool) -> Option<Held> {
        self.acquire(0, 0, ask)
    }

    /// As [`LockWord::try_acquire`] when the lock may well be taken: looks before it writes.
    pub(super) fn look_and_acquire(&self, flags: u32, ask: bool) -> Option<Held> {
        self.acquire(self.word.load(Relaxed), flags, ask)
    }

    /// Takes the lock with `flags` if it is free, or if its owner is dead and it may `ask`; the word was `seen` last.
    fn acquire(&self, mut seen: u32, flags: u32, ask: bool) -> Option<Held> {
        for _ in 0..ATTEMPTS {
            let mine = if is_free(seen) {
                seen | self.identity.number() | flags
            } else if ask && self.identity.is_dead(seen) {
                // The dead one may have been about to wake somebody.
                self.identity.number() | SLEEPERS | INCONSISTENT
            } else {
                return None;
            };
            // Acquire: what the last owner wrote is visible to this one. What a dead one wrote is, since to know of its death
            // is to know of all that it did (`Liveness`).
            match self.word.compare_exchange(seen, mine, Acquire, Relaxed) {
                Ok(_) => return Some(Held { word: mine, leave: mine & INCONSISTENT }),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// Takes the lock as soon as it is free or its owner is found dead; `None` if that was not so when the time was up.
    pub(super) fn acquire_within(&self, limit: Limit<'_>) -> Option<Held> {
        if let Some(held) = self.try_acquire(false) {
            return Some(held);
        }
        let waiting = Asking::new(self);
        let flags = || if waiting.has_announced() { SLEEPERS } else { 0 };
        waiting
            .wait_until(limit.waiter, limit.deadline, || {
                self.look_and_acquire(flags(), waiting.may_ask())
            })
            // A short deadline may have passed before anybody asked.
            .or_else(|| self.look_and_acquire(flags(), true))
    }

    /// Gives the lock back and wakes one sleeper, if there may be one.
    ///
    /// If the word is not the owner's any more it was taken over, and is left to the successor.
    #[inline]
    pub(super) fn release(&self, held: Held) {
        let mut seen = held.word;
        // Changes in between are sleepers' flags: two at most, if no peer is hostile.
        for _ in 0..ATTEMPTS {
            if (seen ^ self.identity.number()) & NUMBER != 0 {
                return;
            }
            let left = held.leave | self.left_to_wake(seen);
            // Release: what this owner wrote is visible to the next.
            match self.word.compare_exchange(seen, left, Release, Relaxed) {
                Ok(_) => {
                    if seen & SLEEPERS != 0 {
                        self.wake_one();
                    }
                    return;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// The sleepers' flag as a party leaves it that can wake nobody: to the next one.
    pub(super) fn left_to_wake(&self, seen: u32) -> u32 {
        if self.notifier.waiter().is_some() {
            0
        } else {
            seen & SLEEPERS
        }
    }

    #[cold]
    pub(super) fn wake_one(&self) {
        if let Some(waiter) = self.notifier.waiter() {
            waiter.wake(WaitWord(self.word), 1);
        }
    }
}

impl Announce for &LockWord<'_> {
    fn announce(&self, _waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        // Release: who clears the flag sees what its setter did before (a reader's place in a `RwLock`).
        let seen = self.word.fetch_or(SLEEPERS, Release);
        (WaitWord(self.word), seen | SLEEPERS)
    }
}

/// A wait in which one look after each announcement may ask who is dead, and the others may not, since asking costs more.
#[derive(Debug)]
pub(super) struct Asking<A> {
    announce: A,
    announced: Cell<bool>,
    ask: Cell<bool>,
}

impl<A: Announce> Asking<A> {
    pub(super) fn new(announce: A) -> Self {
        Asking { announce, announced: Cell::new(false), ask: Cell::new(false) }
    }

    pub(super) fn has_announced(&self) -> bool {
        self.announced.get()
    }

    /// True once after each announcement.
    pub(super) fn may_ask(&self) -> bool {
        self.ask.take()
    }
}

impl<A: Announce> Announce for Asking<A> {
    fn announce(&self, waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        self.announced.set(true);
        self.ask.set(true);
        self.announce.announce(waiter)
    }
}

/// Who owns the lock in `word`, for a view: the number of owners, 0 or 1.
pub(super) fn owners(word: Atomic<'_, u32>) -> u64 {
    u64::from(!is_free(word.load(Acquire)))
}

/// Moves a word that only this party and those who wait for it change, from a state that `from` accepts to `to`; what it was.
pub(super) fn exchange_if(
    word: Atomic<'_, u32>,
    guess: u32,
    from: impl Fn(u32) -> bool,
    to: impl Fn(u32) -> u32,
) -> Result<u32, u32> {
    let mut seen = guess;
    for _ in 0..ATTEMPTS {
        if !from(seen) {
            return Err(seen);
        }
        match word.compare_exchange(seen, to(seen), AcqRel, Acquire) {
            Ok(_) => return Ok(seen),
            Err(now) => seen = now,
        }
    }
    Err(seen)
}
