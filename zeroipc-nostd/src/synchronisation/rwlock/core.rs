//! The algorithm of the RwLock, on its words alone.
//!
//! The *gate* is a robust lock word (`lock_word.rs`): free, or owned by the one writer. Each reader has a *place*, a word on a
//! line of its own:
//!
//! | bits | field of a place |
//! |---|---|
//! | 0 to 29 | the reader's number; 0 while the place is free |
//! | 30 | *waiting*: the reader waits for the gate; clear: it reads, or is about to look whether it may |
//! | 31 | *awaited*: a writer may be asleep on the place |
//!
//! 1. Read: CAS the own number into a free place. Full fence. If the gate is free, the reader is in. Otherwise make the place
//!    *waiting*, wake the writer if it was *awaited*, set the gate's *sleepers*, look at the gate once more, and sleep on the
//!    place until it is not *waiting* any more.
//! 2. Stop reading: CAS the place to 0 (release); if it was *awaited* wake the writer, and if somebody waits for a place, one of
//!    them.
//! 3. Write: take the gate. Full fence. Go through the places, and wait for each that is neither free nor *waiting*, asleep on
//!    it if it takes long.
//! 4. Stop writing: while the gate has *sleepers*, clear that flag, make every *waiting* place a reading one, and wake its
//!    reader. Then CAS the gate free (release), and wake one writer if there were *sleepers*.
//!
//! **Exclusion.** A reader's CAS on its place and the look at the gate, and a writer's CAS on the gate and its look at the places,
//! have a full fence in between (Dekker 1965): one of the two sees the other, or both do, and then the reader gives way. A reader
//! that was let in by step 4 was so while the writer owned the gate, so the next writer sees it.
//!
//! **Policy.** Phases, as in the phase-fair locks of Brandenburg and Anderson (2010, <https://doi.org/10.1007/s11241-010-9097-2>):
//! the gate keeps new readers out as soon as a writer has it, so readers do not starve writers; and a writer that goes lets in all
//! readers that sleep, whom the next writer then waits for, so writers do not starve readers. A reader that has announced
//! itself waits for two writers at most. Writers among each other are as unfair as a Mutex.
//!
//! **No wake-up is lost.** A reader makes its place *waiting*, then sets the gate's *sleepers*; the writer clears the flag and then
//! looks at the places, and cannot free the gate while the flag is set. A writer sleeps on a place's very word.
//!
//! Many words, one for each reader, are the idea of the "big-reader" locks of Linux 2.4 and of Hsieh and Weihl (1992,
//! <https://doi.org/10.1109/IPPS.1992.222989>): readers on different places share no line that they write.
//!
//! **Death.** A dead writer is taken over as in a Mutex, by a writer, or by a reader that then stops writing at once. A dead
//! reader's place is cleared by the writer that waits for it, or by a reader that finds no place free.

use super::super::lock_word::{
    exchange_if, is_free, Asking, Held, LockWord, INCONSISTENT, NUMBER, SLEEPERS,
};
use crate::sync::{fence_after_rmw, Atomic, Words};
use crate::wait::{Announce, EventCount, Limit, Wait, WaitWord};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const WAITING: u32 = 1 << 30;
const AWAITED: u32 = 1 << 31;

/// How often a writer that goes lets in who came to sleep meanwhile. More than a few mean that readers come and sleep without
/// end; then it leaves the rest to the next writer, or to their next look.
const ROUNDS: u32 = 8;

#[derive(Debug, Clone, Copy)]
pub(super) struct Core<'a> {
    pub(super) gate: LockWord<'a>,
    pub(super) free_places: EventCount<'a>,
    pub(super) places: Words<'a, u32>,
    pub(super) count: usize,
}

/// What a reader knows that has the lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    place: usize,
    pub(super) inconsistent: bool,
}

/// Whether a place says that its reader is in, or about to look.
fn is_reading(place: u32) -> bool {
    place & NUMBER != 0 && place & WAITING == 0
}

impl<'a> Core<'a> {
    fn me(&self) -> u32 {
        self.gate.identity.number()
    }

    /// The words of all places.
    fn each_place(&self) -> impl Iterator<Item = Atomic<'a, u32>> {
        let places = self.places;
        (0..self.count).map_while(move |index| places.get(index))
    }

    fn wake(&self, place: Atomic<'_, u32>) {
        if let Some(waiter) = self.gate.notifier.waiter() {
            waiter.wake(WaitWord(place), 1);
        }
    }

    // Places.

    /// Takes a free place in the state `flags`; parties begin to look at different ones.
    fn take_place(&self, flags: u32) -> Option<usize> {
        let first = self.me() as usize % self.count.max(1);
        (first..self.count).chain(0..first).find(|index| {
            self.places.get(*index).is_some_and(|place| {
                let seen = place.load(Relaxed);
                // Acquire: a reader is in only after the gate said so, but its successor in the place goes on from here.
                is_free(seen)
                    && place.compare_exchange(seen, self.me() | flags, AcqRel, Relaxed).is_ok()
            })
        })
    }

    /// Takes a free place, clearing those of the dead if there is none and it may `ask`.
    fn find_place(&self, flags: u32, ask: bool) -> Option<usize> {
        self.take_place(flags).or_else(|| {
            let cleared =
                ask && self.each_place().filter(|place| self.clear_if_dead(*place)).count() > 0;
            if cleared {
                self.take_place(flags)
            } else {
                None
            }
        })
    }

    /// Frees a place whose reader is dead.
    fn clear_if_dead(&self, place: Atomic<'_, u32>) -> bool {
        let seen = place.load(Acquire);
        if is_free(seen) || !self.gate.identity.is_dead(seen) {
            return false;
        }
        exchange_if(place, seen, |now| now & NUMBER == seen & NUMBER, |_| 0)
            .is_ok_and(|was| self.after_leaving(place, was, 0))
    }

    /// Moves the own place from reading, or from waiting, to `to`; false if it is not in that state (any more).
    fn leave(&self, index: usize, from: u32, to: u32) -> bool {
        let Some(place) = self.places.get(index) else { return false };
        // Release: what was read, was read before the next writer writes.
        exchange_if(place, from, |now| now & !AWAITED == from, |_| to)
            .is_ok_and(|was| self.after_leaving(place, was, to))
    }

    /// Tells those that wait for what a place was; always true.
    fn after_leaving(&self, place: Atomic<'_, u32>, was: u32, to: u32) -> bool {
        if was & AWAITED != 0 {
            self.wake(place);
        }
        if to == 0 {
            self.free_places.notify(self.gate.notifier);
        }
        true
    }

    // Readers.

    /// Whether the gate lets this party in, whose place is reading.
    fn enter(&self, place: usize) -> Option<Reading> {
        // Against the writer's: either it sees our place, or we see it in the gate.
        fence_after_rmw();
        let gate = self.gate.word.load(Acquire);
        is_free(gate).then_some(Reading { place, inconsistent: gate & INCONSISTENT != 0 })
    }

    /// Whether no writer has the gate, after having cleared it of a dead one if it may `ask`.
    fn is_open(&self, ask: bool) -> bool {
        let gate = self.gate.word.load(Acquire);
        if !is_free(gate) && ask && self.gate.identity.is_dead(gate) {
            // The value is not touched, so readers that are in do not matter.
            if let Some(held) = self.gate.look_and_acquire(0, true) {
                self.stop_writing(held);
            }
        }
        is_free(gate) || is_free(self.gate.word.load(Acquire))
    }

    pub(super) fn try_read(&self, ask: bool) -> Option<Reading> {
        if !self.is_open(ask) {
            return None;
        }
        let place = self.find_place(0, ask)?;
        self.enter(place).or_else(|| {
            self.leave(place, self.me(), 0);
            None
        })
    }

    pub(super) fn read_within(&self, limit: Limit<'_>) -> Option<Reading> {
        if let Some(reading) = self.try_read(false) {
            return Some(reading);
        }
        loop {
            let for_place = Asking::new(self.free_places);
            let place = for_place
                .wait_until(limit.waiter, limit.deadline, || {
                    self.find_place(WAITING, for_place.may_ask())
                })
                .or_else(|| self.find_place(WAITING, true))?;
            match self.wait_in(place, limit) {
                Entry::Entered(reading) => return Some(reading),
                Entry::TimeUp => return None,
                // Somebody took us for dead, and freed the place.
                Entry::Lost => {}
            }
        }
    }

    /// Waits in a place that is waiting.
    fn wait_in(&self, index: usize, limit: Limit<'_>) -> Entry {
        let Some(place) = self.places.get(index) else { return Entry::Lost };
        let (me, waiting) = (self.me(), self.me() | WAITING);
        let for_gate = Asking::new(InPlace { gate: &self.gate, place, waiting });
        let look = |ask: bool| {
            for _ in 0..ROUNDS {
                if place.load(Relaxed) != waiting {
                    break;
                }
                if !self.is_open(ask) {
                    return None;
                }
                // On our own account, unless a writer lets us in at this moment.
                if self.leave(index, waiting, me) {
                    if let Some(reading) = self.enter(index) {
                        return Some(Entry::Entered(reading));
                    }
                    self.leave(index, me, waiting);
                    // The writer may have let in all that waited while we did not, and be gone.
                    self.gate.word.fetch_or(SLEEPERS, Release);
                }
            }
            // Acquire: what the writer wrote that let us in.
            match place.load(Acquire) {
                let_in if let_in & !AWAITED == me => {
                    // The writer had settled this before it let us in, and the next one waits for us.
                    let gate = self.gate.word.load(Acquire);
                    let inconsistent = gate & INCONSISTENT != 0;
                    Some(Entry::Entered(Reading { place: index, inconsistent }))
                }
                still if still == waiting => None,
                _ => Some(Entry::Lost),
            }
        };
        for_gate
            .wait_until(limit.waiter, limit.deadline, || look(for_gate.may_ask()))
            .or_else(|| look(true))
            .unwrap_or_else(|| {
                if self.leave(index, waiting, 0) {
                    Entry::TimeUp
                } else {
                    // Let in at the last moment, then; or lost.
                    look(false).unwrap_or(Entry::Lost)
                }
            })
    }

    pub(super) fn stop_reading(&self, reading: Reading) {
        self.leave(reading.place, self.me(), 0);
    }

    // Writers.

    pub(super) fn try_write(&self) -> Option<Held> {
        // Looked at first, so that an attempt in vain does not keep readers out.
        if !self.each_place().all(|place| self.is_left(place, true)) {
            return None;
        }
        let held = self.gate.try_acquire(true)?;
        fence_after_rmw();
        if self.each_place().all(|place| self.is_left(place, true)) {
            return Some(held);
        }
        self.stop_writing(held);
        None
    }

    pub(super) fn write_within(&self, limit: Limit<'_>) -> Option<Held> {
        let held = self.gate.acquire_within(limit)?;
        // Against the readers': either we see a reader's place, or it sees us in the gate.
        fence_after_rmw();
        for place in self.each_place() {
            if self.is_left(place, false) {
                continue;
            }
            let waiting = Asking::new(Awaited { place });
            let left = waiting.wait_until(limit.waiter, limit.deadline, || {
                self.is_left(place, waiting.may_ask()).then_some(())
            });
            if left.is_none() && !self.is_left(place, true) {
                self.stop_writing(held);
                return None;
            }
        }
        Some(held)
    }

    /// Whether nobody reads in `place`, after having cleared it of a dead reader if it may `ask`.
    fn is_left(&self, place: Atomic<'_, u32>, ask: bool) -> bool {
        // Acquire: what its reader read, it read before we write.
        !is_reading(place.load(Acquire)) || ask && self.clear_if_dead(place)
    }

    /// Lets in who waits, and opens the gate.
    pub(super) fn stop_writing(&self, held: Held) {
        let mine = |now: u32| now & NUMBER == self.me();
        let mut told = false;
        for _ in 0..ROUNDS {
            // With *sleepers*: as it will be left, but still ours, so that who is let in knows about the value what we say now.
            // Without: free (release). In both cases the word is another for whoever is on the way to sleep.
            let next = |now: u32| match now & SLEEPERS {
                0 => held.leave | if told { self.gate.left_to_wake(SLEEPERS) } else { 0 },
                _ => self.me() | held.leave,
            };
            match exchange_if(self.gate.word, held.word, mine, next) {
                Err(_) => return, // taken over
                Ok(was) if was & SLEEPERS != 0 => {
                    told = true;
                    self.let_in();
                }
                Ok(_) => {
                    if told {
                        self.gate.wake_one();
                    }
                    return;
                }
            }
        }
        // Free, with the flag as it is.
        if exchange_if(self.gate.word, held.word, mine, |now| held.leave | now & SLEEPERS).is_ok() {
            self.gate.wake_one();
        }
    }

    /// Makes all waiting readers reading ones.
    fn let_in(&self) {
        for place in self.each_place() {
            let seen = place.load(Acquire);
            let waits = |now: u32| now & WAITING != 0 && now & NUMBER != 0;
            if exchange_if(place, seen, waits, |now| now & NUMBER).is_ok() {
                self.wake(place);
            }
        }
    }

    /// The reader's part of a party that stops writing but goes on reading; `None` if no place is free.
    pub(super) fn downgrade(&self, held: Held) -> Option<Reading> {
        let place = self.find_place(0, true)?;
        self.stop_writing(held);
        Some(Reading { place, inconsistent: held.is_inconsistent() })
    }

    /// How many parties hold the lock: a moment's value.
    pub(super) fn holders(&self) -> u64 {
        let readers = self.each_place().filter(|place| is_reading(place.load(Acquire))).count();
        readers as u64 + u64::from(!is_free(self.gate.word.load(Acquire)))
    }
}

/// How a wait in a place ended.
#[derive(Debug)]
enum Entry {
    Entered(Reading),
    TimeUp,
    /// The place is not this party's any more.
    Lost,
}

/// A reader's announcement: known by the gate, asleep in its place.
#[derive(Debug)]
struct InPlace<'l, 'a> {
    gate: &'l LockWord<'a>,
    place: Atomic<'a, u32>,
    waiting: u32,
}

impl Announce for InPlace<'_, '_> {
    fn announce(&self, waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        let _ = self.gate.announce(waiter);
        (WaitWord(self.place), self.waiting)
    }
}

/// A writer's announcement to the reader in a place.
#[derive(Debug)]
struct Awaited<'a> {
    place: Atomic<'a, u32>,
}

impl Announce for Awaited<'_> {
    fn announce(&self, _waiter: &dyn Wait) -> (WaitWord<'_>, u32) {
        let seen = self.place.load(Relaxed);
        // If it is free by now, no place holds this value, and nobody sleeps on it.
        let _ = exchange_if(self.place, seen, is_reading, |now| now | AWAITED);
        (WaitWord(self.place), seen | AWAITED)
    }
}
