//! Future: an answer that somebody will give, once; any number of parties wait for it.
//!
//! The layout, and how an answer is settled and read, is in `outcome.rs`; the kind is `FUTR`.
//!
//! 1. *Promise*: own the outcome; move `state` from vacant to promised. If it is promised already, its owner was dead: move it
//!    to broken, wake all, and disown.
//! 2. *Set, fail, break*: write the value or the text; move `state` from promised to value, failed or broken; wake all; disown.
//! 3. *Get*: read; while it is vacant or promised, wait. A waiter that finds it promised and the owner dead moves it to broken
//!    and wakes all.
//! 4. *Reset*: move `state` to vacant of the next generation, whatever its phase, and wake all.
//!
//! Why step 3 breaks no living party's promise: a generation becomes promised once, by its owner, and `owner` changes to another
//! party's number while it is promised only if that owner was dead. So if `state` is the same before the owner was found dead
//! and after it, whoever promised is dead.
//!
//! A write-once cell that a reader waits on is the future of Baker and Hewitt, "The incremental garbage collection of processes"
//! (1977), <https://doi.org/10.1145/800228.806932>; the promise's own handle is that of Liskov and Shrira, "Promises" (1988),
//! <https://doi.org/10.1145/53990.54016>.

use super::outcome::{self, Found, Outcome, Owned, Phase, State, TURNS};
use super::text::FailureText;
use crate::element::Element;
use crate::error::{FutureError, PromiseError, StructureError};
use crate::geometry::Geometry;
use crate::party::PartyId;
use crate::prefix::{Kind, Prefix};
use crate::region::{open_or_create, Region};
use crate::sync::{hook, Span};
use crate::wait::{Announce, Bell, Limit, Notifier, Wait};
use core::fmt;
use core::time::Duration;

/// An answer that somebody will give, once: a value or a failure. Copy it freely.
///
/// One party takes the [promise](Future::promise) and keeps it by [`Promise::set`] or [`Promise::fail`]; any number of parties,
/// in any process, [get](Future::get) it, as often as they like. A promise that is dropped, or whose party dies (if the region was
/// opened [as a party](Region::with_party) on both sides), is broken, and readers are told so.
///
/// A handle stands for one *generation*: one use of the slot. [`Future::reset`] begins the next one and returns its handle; handles
/// of older ones answer [`FutureError::Superseded`] from then on, and never another use's value. So one slot serves one
/// request after another: the requester resets it, sends the [generation](Future::generation) along, and the
/// responder takes the promise [at](Future::at_generation) that generation; an answer that comes too late is dropped.
///
/// Generations are counted modulo 2^61 with 8-byte words, modulo 2^29 with 4-byte words.
///
/// **With loads and stores alone** all works if one party both takes promises and resets; any number of others wait and read. A
/// promise whose party died is told by each waiter for itself, until that party's successor takes the role.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Future, FutureError, Region, Span};
///
/// # let mut memory = vec![0_u64; 256];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let answer = Future::<u32>::create(region, "answer")?;
/// let promise = answer.promise()?;
///
/// let elsewhere = Future::<u32>::open(region, "answer")?;
/// assert_eq!(elsewhere.try_get(), Err(FutureError::Pending));
/// promise.set(42)?;
/// assert_eq!(elsewhere.try_get(), Ok(42));
///
/// // The slot's next use. Who holds a handle of the old one is told.
/// let next = answer.reset()?;
/// assert_eq!(elsewhere.try_get(), Err(FutureError::Superseded));
/// next.promise()?.fail("no such question")?;
/// assert_eq!(next.try_get().unwrap_err().to_string(), "the future failed: no such question");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Future<'a, T> {
    outcome: Outcome<'a, T>,
    generation: u64,
}

impl<T> Clone for Future<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Future<'_, T> {}

impl<T> fmt::Debug for Future<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Future").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// How far a future is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FutureState {
    /// Nobody has promised anything.
    Pending,
    /// Somebody has promised to set it.
    Promised {
        /// Who, if that party has a number.
        owner: Option<PartyId>,
    },
    /// The value is there.
    Ready,
    /// It was settled by a failure.
    Failed,
    /// The promise was dropped, or its party died.
    Broken,
}

impl<'a, T: Element> Future<'a, T> {
    /// Creates one that is pending, of generation 0.
    ///
    /// Lock-free; a party that dies inside leaks at most its memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, an element of no size.
    pub fn create(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        Outcome::<T>::create(region, name, Kind::FUTURE)?;
        Self::open(region, name)
    }

    /// Opens one: the handle is of the generation that it has now.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure, a target without
    /// compare-and-exchange though the region's parties use it.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let outcome = Outcome::open(region.into(), name, Kind::FUTURE)?;
        Ok(Future { outcome, generation: outcome.state().generation() })
    }

    /// Opens it, or creates it if there is none.
    ///
    /// # Errors
    /// As [`Future::open`] and [`Future::create`].
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        open_or_create(|| Self::open(region, name), || Self::create(region, name))
    }

    /// Bytes that it takes in a region at most.
    #[must_use]
    pub fn footprint(geometry: Geometry) -> Option<u64> {
        outcome::footprint::<T>(geometry, Kind::FUTURE)
    }

    /// Takes the role of the one that settles it.
    ///
    /// Lock-free. Takes the role over from a party that is known to be dead; if that one had promised this generation, it is
    /// broken thereby. With loads and stores alone roles exclude each other only if no two parties take it in the same moment.
    ///
    /// # Errors
    /// [`PromiseError::RoleTaken`] if another handle has it, or has it still from an older generation;
    /// [`PromiseError::Settled`], [`PromiseError::Superseded`], [`PromiseError::Corrupt`].
    pub fn promise(&self) -> Result<Promise<'a, T>, PromiseError> {
        let vacant = State::new(self.generation, Phase::Vacant);
        self.promisable()?;
        self.outcome.own(true).map_err(|Owned { by }| PromiseError::RoleTaken { owner: by })?;
        let promised = State::new(self.generation, Phase::Promised);
        // A promise without an owner is that of a dead one, from whom the role was taken over.
        let broken = State::new(self.generation, Phase::Broken);
        if self.outcome.state() == promised && self.outcome.move_state(promised, broken) {
            self.outcome.notify();
        }
        if self.outcome.move_state(vacant, promised) {
            return Ok(Promise { future: *self });
        }
        self.outcome.disown();
        self.promisable().and(Err(PromiseError::Superseded))
    }

    /// Whether it is this generation, and not settled.
    fn promisable(&self) -> Result<(), PromiseError> {
        let state = self.outcome.state();
        if state.generation() != self.generation {
            return Err(PromiseError::Superseded);
        }
        match state.phase() {
            Some(Phase::Vacant | Phase::Promised) => Ok(()),
            Some(_) => Err(PromiseError::Settled),
            None => Err(PromiseError::Corrupt),
        }
    }

    /// The value, if it is there. Wait-free, and writes nothing.
    ///
    /// What the one that set it did before is visible afterwards. Nobody who stops or dies holds up this call. A promise whose party
    /// died is still pending for it: those that wait find that out, or [`Future::break_if_dead`].
    ///
    /// # Errors
    /// [`FutureError::Pending`], [`FutureError::Failed`], [`FutureError::Broken`], [`FutureError::Superseded`],
    /// [`FutureError::Corrupt`].
    pub fn try_get(&self) -> Result<T, FutureError> {
        for _ in 0..TURNS {
            let state = self.outcome.state();
            if state.generation() != self.generation {
                return Err(FutureError::Superseded);
            }
            return match self.outcome.read(state) {
                Found::Value(value) => Ok(value),
                Found::Failed(text) => Err(FutureError::Failed(text)),
                Found::Broken => Err(FutureError::Broken),
                Found::Open => Err(FutureError::Pending),
                Found::Corrupt => Err(FutureError::Corrupt),
                // The next look finds another generation.
                Found::Gone => continue,
            };
        }
        Err(FutureError::Corrupt)
    }

    /// The value, waiting as long as it takes for whoever settles it.
    ///
    /// One set wakes all that wait, in all processes. The death of the party that promised is noticed within 100 ms of when it
    /// is known.
    ///
    /// # Errors
    /// [`FutureError::Failed`], [`FutureError::Broken`], [`FutureError::Superseded`], [`FutureError::Corrupt`];
    /// [`FutureError::NoWaiter`] if the region was opened without a notifier.
    pub fn get(&self) -> Result<T, FutureError> {
        self.get_within(self.outcome.notifier.forever()?)
    }

    /// The value, waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Future::get`]; [`FutureError::Timeout`], never early.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, FutureError> {
        self.get_within(self.outcome.notifier.at_most(timeout)?)
    }

    /// The value, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Future::get`]; [`FutureError::Timeout`], never before the deadline.
    pub fn get_with(&self, waiter: &dyn Wait, deadline: Option<u64>) -> Result<T, FutureError> {
        self.get_within(Limit { waiter, deadline })
    }

    fn get_within(&self, limit: Limit<'_>) -> Result<T, FutureError> {
        let mut looks = limit.waiter.spins();
        let found = self.outcome.wait_until(limit.waiter, limit.deadline, || {
            // The dead are asked for when spinning did not help.
            let ask = looks == 0;
            looks = looks.saturating_sub(1);
            self.look(ask)
        });
        // A short deadline may have passed before anybody asked.
        found.or_else(|| self.look(true)).unwrap_or(Err(FutureError::Timeout))
    }

    /// What it was settled by, if it is, or if it may `ask` and whoever promised is dead.
    pub(crate) fn look(&self, ask: bool) -> Option<Result<T, FutureError>> {
        match self.try_get() {
            Err(FutureError::Pending) if ask && self.break_if_dead() => {
                Some(Err(FutureError::Broken))
            }
            Err(FutureError::Pending) => None,
            found => Some(found),
        }
    }

    pub(crate) fn bell(&self) -> Bell<'a> {
        self.outcome.bell()
    }

    pub(crate) fn notifier(&self) -> Notifier<'a> {
        self.outcome.notifier
    }

    /// Breaks the promise if its party is known to be dead; returns whether it was. For those that look by
    /// [`Future::try_get`]: waiters do it by themselves. Wait-free, except for asking.
    pub fn break_if_dead(&self) -> bool {
        let promised = State::new(self.generation, Phase::Promised);
        if self.outcome.state() != promised || !self.outcome.owner_is_dead() {
            return false;
        }
        if !self.outcome.has_cas() {
            // Only the party that settles may write. Here it is dead, as long as nobody else has promised since.
            return self.outcome.state() == promised;
        }
        let broken = State::new(self.generation, Phase::Broken);
        let moved = self.outcome.move_state(promised, broken);
        if moved {
            self.outcome.notify();
        }
        moved
    }

    /// How far it is. Wait-free.
    ///
    /// # Errors
    /// [`FutureError::Superseded`], [`FutureError::Corrupt`].
    pub fn state(&self) -> Result<FutureState, FutureError> {
        let state = self.outcome.state();
        if state.generation() != self.generation {
            return Err(FutureError::Superseded);
        }
        Ok(match state.phase().ok_or(FutureError::Corrupt)? {
            Phase::Vacant => FutureState::Pending,
            Phase::Promised => FutureState::Promised { owner: self.outcome.owner() },
            Phase::Value => FutureState::Ready,
            Phase::Failed => FutureState::Failed,
            Phase::Broken => FutureState::Broken,
        })
    }

    /// Begins the next use of the slot, whether this one is settled or not; returns its handle.
    ///
    /// All that wait for this generation are told [`FutureError::Superseded`]. A party that still holds a promise of it finds out
    /// when it settles, and until then holds the role: [`Future::promise`] of the next generation is refused. With loads and stores
    /// alone only the party that takes promises may do this. Wait-free.
    ///
    /// # Errors
    /// [`FutureError::Superseded`] if another did it before; [`FutureError::Corrupt`].
    pub fn reset(&self) -> Result<Self, FutureError> {
        let generation = self.outcome.after(self.generation);
        for _ in 0..TURNS {
            let state = self.outcome.state();
            if state.generation() != self.generation {
                return Err(FutureError::Superseded);
            }
            if self.outcome.move_state(state, State::new(generation, Phase::Vacant)) {
                self.outcome.notify();
                return Ok(Future { generation, ..*self });
            }
        }
        Err(FutureError::Corrupt)
    }

    /// What those that wait sleep on.
    pub(super) fn sleepers(&self) -> &Outcome<'a, T> {
        &self.outcome
    }

    /// Which use of the slot this handle stands for.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A handle of another use of the slot: of the generation that a request named.
    #[must_use]
    pub fn at_generation(&self, generation: u64) -> Self {
        Future { generation, ..*self }
    }

    /// A handle of the use of the slot that is going on now. Wait-free.
    #[must_use]
    pub fn latest(&self) -> Self {
        Future { generation: self.outcome.state().generation(), ..*self }
    }
}

/// The role of the one that settles a [`Future`]. Dropped without having done it, it breaks the promise.
#[must_use = "dropped at once, it breaks the promise"]
pub struct Promise<'a, T: Element> {
    future: Future<'a, T>,
}

impl<T: Element> fmt::Debug for Promise<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").field("future", &self.future).finish()
    }
}

impl<'a, T: Element> Promise<'a, T> {
    /// The future that it is to settle.
    #[must_use]
    pub fn future(&self) -> Future<'a, T> {
        self.future
    }

    /// Gives the value, and wakes all that wait for it. Wait-free.
    ///
    /// If this party is killed inside, the value was set or the promise is broken.
    ///
    /// # Errors
    /// [`PromiseError::Superseded`] if the slot was reset: nobody will see the value. [`PromiseError::Settled`] if another
    /// broke the promise, believing this party dead.
    pub fn set(self, value: T) -> Result<(), PromiseError> {
        self.settle(Ok(&value))
    }

    /// Gives a failure, of which as much text is kept as fits into [`FailureText::MAX_BYTES`]. As [`Promise::set`].
    ///
    /// # Errors
    /// As [`Promise::set`].
    pub fn fail(self, text: &str) -> Result<(), PromiseError> {
        self.settle(Err(&FailureText::new(text)))
    }

    fn settle(self, outcome: Result<&T, &FailureText>) -> Result<(), PromiseError> {
        let future = self.future;
        let settled = future.outcome.settle(self.promised(), outcome);
        if settled {
            future.outcome.notify();
            future.outcome.disown();
            core::mem::forget(self);
            return Ok(());
        }
        drop(self);
        future.promisable().and(Err(PromiseError::Settled))
    }

    fn promised(&self) -> State {
        State::new(self.future.generation, Phase::Promised)
    }
}

impl<T: Element> Drop for Promise<'_, T> {
    fn drop(&mut self) {
        if hook::is_abandoned() {
            return;
        }
        let outcome = &self.future.outcome;
        let broken = State::new(self.future.generation, Phase::Broken);
        if outcome.move_state(self.promised(), broken) {
            outcome.notify();
        }
        outcome.disown();
    }
}

/// 1 if the future that begins `span` is settled, else 0, for a view; `None` if it is none.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let phase = outcome::phase(span, prefix)?;
    Some(u64::from(!matches!(phase, Phase::Vacant | Phase::Promised)))
}
