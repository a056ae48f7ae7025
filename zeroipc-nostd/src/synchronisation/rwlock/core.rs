//! The algorithm of the RwLock, on its words alone.
//!
//! The *gate* is a robust lock word (`lock_word.rs`): free, or owned by the one writer. Each reader has a *place*, a word on a
//! line of its own:
//!
//! | bits | field of a place |
//! |---|---|
//! | 0 to 29 | the reader's number; 0 while the place is free |
//! | 30 | *waiting*: the reader waits for the gate; clear: it reads, or is about to look whether it may |
//! | 31 | of a place that is not *waiting*, *awaited*: a writer may be asleep on it; of one that is, *poked*: not to be slept on |
//!
//! 1. Read: CAS the own number into a free place. Full fence. If the gate is free, the reader is in. Otherwise make the place
//!    *waiting*, wake the writer if it was *awaited*, set the gate's *sleepers*, look at the gate once more (if it is free, the
//!    place is reading again, and so on from the fence), and sleep on the place while it is *waiting* and not *poked*.
//! 2. Stop reading: CAS the place to 0 (release); if it was *awaited* wake the writer, and if somebody waits for a place, one of
//!    them.
//! 3. Write: take the gate. Full fence. Go through the places, and wait for each that is neither free nor *waiting*, asleep on
//!    it if it takes long.
//! 4. Stop writing: if the gate has *sleepers*, clear that flag, make every *waiting* place a reading one, and wake its
//!    reader. Then CAS the gate free (release). If it had *sleepers* again, poke and wake the readers that are *waiting* now. If it
//!    had *sleepers* at all, wake one writer.
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
//! **No wake-up is lost.** A reader makes its place *waiting*, then sets the gate's *sleepers*, then looks at the gate; a writer that
//! clears the flag looks at the places afterwards. If a reader was not *waiting* at that moment, because it was trying the gate, it
//! finds its place *poked* by itself, and announces itself anew. A writer sleeps on a place's very word.
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
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

const WAITING: u32 = 1 << 30;
/// Of a reading place.
const AWAITED: u32 = 1 << 31;
/// Of a waiting place.
const POKED: u32 = 1 << 31;

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

fn is_waiting(place: u32) -> bool {
    place & NUMBER != 0 && place & WAITING != 0
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
            // A reader and a writer may be asleep on it at a time, if one of them is about to look again: all, so that none is forgotten.
            waiter.wake(WaitWord(place), u32::MAX);
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
        exchange_if(place, from, |now| now & !(AWAITED | POKED) == from, |_| to)
            .is_ok_and(|was| self.after_leaving(place, was, to))
    }

    /// Tells those that wait for what a place was; always true.
    fn after_leaving(&self, place: Atomic<'_, u32>, was: u32, to: u32) -> bool {
        if is_reading(was) && was & AWAITED != 0 {
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
            if place.load(Relaxed) & !POKED == waiting {
                if !self.is_open(ask) {
                    return None;
                }
                // On our own account, unless a writer lets us in at this moment.
                if self.leave(index, waiting, me) {
                    let entered = self.enter(index).map(Entry::Entered);
                    if entered.is_none() {
                        // The writer may have let in all that waited while we did not: not to be slept on.
                        self.leave(index, me, waiting | POKED);
                    }
                    return entered;
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
                still if still & !POKED == waiting => None,
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
        let sleepers = |now: u32| now & SLEEPERS != 0;
        let mut told = false;
        if sleepers(held.word) || sleepers(self.gate.word.load(Relaxed)) {
            // The gate as it will be left, but still ours: who is let in knows about the value what we say now.
            let kept = self.me() | held.leave;
            if exchange_if(self.gate.word, held.word, mine, |_| kept).is_ok_and(sleepers) {
                told = true;
                self.each_waiting(|place| place & NUMBER);
            }
        }
        // Release: what this writer wrote is visible to the next, and to readers that enter by themselves.
        let left = |now: u32| {
            held.leave | self.gate.left_to_wake(if told { SLEEPERS } else { now & SLEEPERS })
        };
        let Ok(was) = exchange_if(self.gate.word, held.word, mine, left) else { return };
        if sleepers(was) {
            // They came too late to be let in, and may be asleep before an open gate.
            self.each_waiting(|place| place | POKED);
        }
        if told || sleepers(was) {
            self.gate.wake_one();
        }
    }

    /// Moves all waiting readers on, and wakes them.
    fn each_waiting(&self, to: impl Fn(u32) -> u32) {
        for place in self.each_place() {
            let seen = place.load(Acquire);
            if exchange_if(place, seen, is_waiting, &to).is_ok() {
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
        let poked = self.waiting | POKED;
        let _ = exchange_if(self.place, poked, |now| now == poked, |_| self.waiting);
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
