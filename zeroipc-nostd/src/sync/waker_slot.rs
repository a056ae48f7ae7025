//! A place for one waker, in this party's own memory: filled by a task, emptied by whoever rings first, also in an interrupt.
//!
//! `state` is generation x 8 + rung x 4 + phase; the phase is free, writing or waiting.
//!
//! 1. *Claim*: CAS free to writing; put the waker in; CAS writing to waiting. If that fails it was rung meanwhile: take the
//!    waker out, and free the place. The task looks again by itself, as it is running.
//! 2. *Ring*: OR rung. Whoever adds it to waiting owns the waker: takes it out, frees the place, and wakes. Whoever finds rung
//!    or writing leaves it to the party that is there.
//! 3. *Renew, release*: CAS waiting to writing, and then as in 1, or free the place.
//!
//! Freeing begins the next generation, so that a ticket of the last one finds nothing. Nobody ever waits for another, so an
//! interrupt may ring in the middle of any step, and rings may be nested. The manner is that of `AtomicWaker` in the crate
//! `futures`, <https://docs.rs/futures-core/latest/futures_core/task/__internal/struct.AtomicWaker.html>, with places that
//! are given back.

use super::private_cell::PrivateCell;
use super::word::Word;
use core::fmt;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use core::task::Waker;

#[cfg(loom)]
use loom::sync::atomic::AtomicU32;
#[cfg(not(loom))]
use portable_atomic::AtomicU32;

const FREE: u32 = 0;
const WRITING: u32 = 1;
const WAITING: u32 = 2;
const PHASE: u32 = 3;
const RUNG: u32 = 4;
const GENERATION: u32 = 8;

/// See the [module](self).
pub(crate) struct WakerSlot {
    state: AtomicU32,
    /// Belongs to whoever moved `state` to writing, or added rung to waiting.
    waker: PrivateCell<Waker>,
}

impl fmt::Debug for WakerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakerSlot").finish_non_exhaustive()
    }
}

fn generation(state: u32) -> u32 {
    state & !(PHASE | RUNG)
}

impl WakerSlot {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        WakerSlot { state: AtomicU32::new(FREE), waker: PrivateCell::new() }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        WakerSlot { state: AtomicU32::new(FREE), waker: PrivateCell::new() }
    }

    /// Puts `waker` in, if the place is free: the generation.
    pub(crate) fn claim(&self, waker: &mut Option<Waker>) -> Result<u32, Refused> {
        let seen = <u32 as Word>::load(&self.state, Relaxed);
        let generation = generation(seen);
        // Acquire: the last user has finished with the cell. Release: who rings after this sees that it is not free any more.
        let claimed = seen & PHASE == FREE
            && <u32 as Word>::compare_exchange(
                &self.state,
                seen,
                generation | WRITING,
                AcqRel,
                Relaxed,
            )
            .is_ok();
        if !claimed {
            return Err(if seen & (PHASE | RUNG) == WAITING {
                Refused::Taken
            } else {
                Refused::Busy
            });
        }
        // SAFETY: we moved the state to writing: until we move it on, nobody else accesses the cell.
        unsafe { self.waker.replace(waker.take()) };
        self.publish(generation).map_err(|Rung| Refused::Rung)
    }

    /// From writing to waiting; or free, if it was rung meanwhile.
    fn publish(&self, generation: u32) -> Result<u32, Rung> {
        let writing = generation | WRITING;
        // Release: the waker is in, for whoever rings.
        match <u32 as Word>::compare_exchange(
            &self.state,
            writing,
            generation | WAITING,
            AcqRel,
            Relaxed,
        ) {
            Ok(_) => Ok(generation),
            Err(_) => {
                self.empty(generation);
                Err(Rung)
            }
        }
    }

    /// Takes the waker out and frees the place. The caller owns the cell.
    fn empty(&self, generation: u32) -> (Option<Waker>, u32) {
        // SAFETY: the caller owns the cell by the state, and has not moved it on.
        let waker = unsafe { self.waker.replace(None) };
        let free = generation.wrapping_add(GENERATION) | FREE;
        // A read-modify-write, acquire: what was published before a ring that left it to us is seen by whom we wake.
        let last = <u32 as Word>::swap(&self.state, free, AcqRel);
        (waker, last)
    }

    /// Owns the cell of a waiting task of that generation; false if it was rung.
    fn own(&self, generation: u32) -> bool {
        let (waiting, writing) = (generation | WAITING, generation | WRITING);
        <u32 as Word>::compare_exchange(&self.state, waiting, writing, AcqRel, Relaxed).is_ok()
    }

    /// Whether it has not been rung; if so it will wake `waker` from now on.
    pub(crate) fn renew(&self, generation: u32, waker: &Waker) -> bool {
        if !self.own(generation) {
            return false;
        }
        // SAFETY: we moved the state from waiting to writing: until we move it on, nobody else accesses the cell.
        let old = unsafe { self.waker.replace(None) };
        let new = match old {
            Some(old) if old.will_wake(waker) => old,
            _ => waker.clone(),
        };
        // SAFETY: as above.
        unsafe { self.waker.replace(Some(new)) };
        self.publish(generation).is_ok()
    }

    /// Gives the place back; whether it was rung.
    pub(crate) fn release(&self, generation: u32) -> bool {
        !self.own(generation) || self.empty(generation).1 & RUNG != 0
    }

    /// Wakes whoever waits. The caller has fenced after it learnt of what was published.
    pub(crate) fn ring(&self) {
        if <u32 as Word>::load(&self.state, Relaxed) & PHASE == FREE {
            return;
        }
        // Acquire: the waker is in. Release: what was published is there for whoever finds that it was rung.
        let seen = <u32 as Word>::fetch_or(&self.state, RUNG, AcqRel);
        if seen & (PHASE | RUNG) == WAITING {
            if let (Some(waker), _) = self.empty(generation(seen)) {
                waker.wake();
            }
        }
    }
}

/// It was rung before the waker was in.
#[derive(Debug, Clone, Copy)]
struct Rung;

/// Why a waker was not put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As [`Rung`]; the waker is gone.
    Rung,
    /// Another task waits here.
    Taken,
    /// Another party is just putting its waker in, or taking it out: the place may be free soon.
    Busy,
}
