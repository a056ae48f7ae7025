//! Lazy: a value that is evaluated by whichever party wants it first, once for all.
//!
//! The layout, and how an outcome is settled and read, is in `outcome.rs`; the kind is `LAZY`, and the phases promised and broken do
//! not occur.
//!
//! 1. *Read*; if there is a value or a failure, that is it.
//! 2. Vacant: own the outcome, or wait for its owner and go to 1. One party of all succeeds; it takes the place of a dead one.
//! 3. Look once more, as the owner: if it is settled, disown, wake all, and go to 1. Otherwise evaluate.
//! 4. Settle the generation that was seen in step 3; disown; wake all. An evaluation that is given up (a panic, a guard
//!    that is dropped) only disowns and wakes: one of those that wait evaluates then.
//! 5. *Invalidate*: move `state` to vacant of the next generation, whatever its phase. Whoever evaluates at that moment settles
//!    nothing, since its generation is over.
//!
//! Call by need with one evaluator is that of Friedman and Wise, "CONS should not evaluate its arguments" (1976); among several
//! parties it is the blocking of a thunk under evaluation, Harris, Marlow and Peyton Jones, "Haskell on a shared-memory
//! multiprocessor" (2005), <https://doi.org/10.1145/1088348.1088354>.

use super::outcome::{self, Found, Outcome, Owned, Phase, State, TURNS};
use super::text::FailureText;
use crate::element::Element;
use crate::error::{LazyError, StructureError};
use crate::geometry::Geometry;
use crate::party::PartyId;
use crate::prefix::{Kind, Prefix};
use crate::region::{open_or_create, Region};
use crate::sync::{hook, Span};
use crate::wait::{Announce, Limit, Wait};
use core::convert::Infallible;
use core::fmt;
use core::time::Duration;

/// A value that is evaluated by whichever party wants it first, and kept for all. Copy it freely.
///
/// Exactly one party evaluates it at a time, among all processes; the others wait for it, or peek. A failure is kept like a value.
/// An evaluator that panics leaves it to the next; the death of one is noticed if the region was opened
/// [as a party](Region::with_party) on both sides, and one of those that wait takes its place. Needs compare-and-exchange.
///
/// Evaluations are counted modulo 2^61 with 8-byte words, modulo 2^29 with 4-byte words: a party that is stopped inside an
/// operation while exactly so many invalidations go by may take an old value for the present one.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Lazy, LazyError, Region, Span};
///
/// # let mut memory = vec![0_u64; 256];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let area = Lazy::<f64>::create(region, "area")?;
/// assert_eq!(area.peek(), None);
/// assert_eq!(area.get_or_init(|| 6.0 * 7.0)?, 42.0);
/// assert_eq!(Lazy::<f64>::open(region, "area")?.get_or_init(|| unreachable!())?, 42.0);
///
/// area.invalidate();
/// let failed = area.get_or_try_init(|| "seven".parse::<f64>()).unwrap_err();
/// assert_eq!(failed.to_string(), "the evaluation failed: invalid float literal");
/// assert_eq!(area.get_or_init(|| unreachable!()), Err(failed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lazy<'a, T> {
    outcome: Outcome<'a, T>,
}

impl<T> Clone for Lazy<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Lazy<'_, T> {}

impl<T> fmt::Debug for Lazy<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").finish_non_exhaustive()
    }
}

/// How far a lazy value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LazyState {
    /// Nobody has evaluated it since it was created or invalidated.
    Unevaluated,
    /// Somebody evaluates it.
    Running {
        /// Who, if that party has a number.
        owner: Option<PartyId>,
    },
    /// The value is there.
    Ready,
    /// Its evaluation failed.
    Failed,
}

impl<'a, T: Element> Lazy<'a, T> {
    /// Creates one that nobody has evaluated.
    ///
    /// Lock-free; a party that dies inside leaks at most its memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, an element of no size, a region without
    /// compare-and-exchange.
    pub fn create(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::LAZY });
        }
        Outcome::<T>::create(region, name, Kind::LAZY)?;
        Self::open(region, name)
    }

    /// Opens one.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure, a region or target without
    /// compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let outcome = Outcome::open(region, name, Kind::LAZY)?;
        if !outcome.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::LAZY });
        }
        Ok(Lazy { outcome })
    }

    /// Opens it, or creates it if there is none.
    ///
    /// # Errors
    /// As [`Lazy::open`] and [`Lazy::create`].
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
        outcome::footprint::<T>(geometry, Kind::LAZY)
    }

    /// The value, if it is there. Wait-free, and writes nothing; nobody who stops or dies holds it up.
    ///
    /// What the evaluator did before it gave the value is visible afterwards.
    #[must_use]
    pub fn peek(&self) -> Option<T> {
        match self.outcome.read(self.outcome.state()) {
            Found::Value(value) => Some(value),
            // `Gone` too: at the moment that it went it was vacant.
            _ => None,
        }
    }

    /// The value; evaluates it by `evaluate`, or waits for whoever does, as long as it takes.
    ///
    /// If `evaluate` panics, one of those that wait evaluates in its place. Calling this from within `evaluate` waits for itself.
    /// If somebody invalidates it while `evaluate` runs, the caller gets its own value, and nobody else does.
    ///
    /// # Errors
    /// [`LazyError::Failed`] if an earlier evaluation failed; [`LazyError::Corrupt`]; [`LazyError::NoWaiter`] if another evaluates
    /// it and the region was opened without a notifier.
    pub fn get_or_init(&self, evaluate: impl FnOnce() -> T) -> Result<T, LazyError> {
        self.get_or_try_init(infallible(evaluate))
    }

    /// As [`Lazy::get_or_init`], waiting for another's evaluation for at most `timeout`. While `evaluate` itself runs, nobody looks
    /// at the clock.
    ///
    /// # Errors
    /// As [`Lazy::get_or_init`]; [`LazyError::Timeout`], never early.
    pub fn get_or_init_timeout(
        &self,
        timeout: Duration,
        evaluate: impl FnOnce() -> T,
    ) -> Result<T, LazyError> {
        self.get_or_try_init_timeout(timeout, infallible(evaluate))
    }

    /// As [`Lazy::get_or_init`], waiting for another's evaluation by `waiter` until `deadline` on its clock; for ever if there is
    /// none.
    ///
    /// # Errors
    /// As [`Lazy::get_or_init`]; [`LazyError::Timeout`], never before the deadline.
    pub fn get_or_init_with(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
        evaluate: impl FnOnce() -> T,
    ) -> Result<T, LazyError> {
        self.get_or_try_init_with(waiter, deadline, infallible(evaluate))
    }

    /// As [`Lazy::get_or_init`] for an evaluation that may fail: as much of what the error shows is kept, for all, as fits into
    /// [`FailureText::MAX_BYTES`].
    ///
    /// # Errors
    /// As [`Lazy::get_or_init`]; [`LazyError::Failed`] also if this evaluation failed.
    pub fn get_or_try_init<E: fmt::Display>(
        &self,
        evaluate: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, LazyError> {
        // Who need not wait needs no notifier.
        let begun = match self.begin(false) {
            Err(LazyError::Running { .. }) => {
                self.begin_within(self.outcome.notifier.forever()?)?
            }
            begun => begun?,
        };
        finish(begun, evaluate)
    }

    /// As [`Lazy::get_or_try_init`], waiting for another's evaluation for at most `timeout`.
    ///
    /// # Errors
    /// As [`Lazy::get_or_try_init`]; [`LazyError::Timeout`], never early.
    pub fn get_or_try_init_timeout<E: fmt::Display>(
        &self,
        timeout: Duration,
        evaluate: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, LazyError> {
        let begun = match self.begin(false) {
            Err(LazyError::Running { .. }) => {
                self.begin_within(self.outcome.notifier.at_most(timeout)?)?
            }
            begun => begun?,
        };
        finish(begun, evaluate)
    }

    /// As [`Lazy::get_or_try_init`], waiting for another's evaluation by `waiter` until `deadline` on its clock; for ever if there
    /// is none.
    ///
    /// # Errors
    /// As [`Lazy::get_or_try_init`]; [`LazyError::Timeout`], never before the deadline.
    pub fn get_or_try_init_with<E: fmt::Display>(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
        evaluate: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, LazyError> {
        finish(self.begin_within(Limit { waiter, deadline })?, evaluate)
    }

    /// The value; evaluates it by `evaluate` if nobody has, and never waits for another. Lock-free up to `evaluate`.
    ///
    /// # Errors
    /// As [`Lazy::get_or_try_init`]; [`LazyError::Running`] if another evaluates it, who is not known to be dead.
    pub fn try_get_or_init<E: fmt::Display>(
        &self,
        evaluate: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, LazyError> {
        finish(self.begin(true)?, evaluate)
    }

    /// Becomes the one that evaluates it, with a guard instead of a closure; `Err` holds the value if there is one.
    ///
    /// # Errors
    /// The outer result: as [`Lazy::try_get_or_init`].
    pub fn try_begin(&self) -> Result<Result<Evaluation<'a, T>, T>, LazyError> {
        self.begin(true)
    }

    fn begin_within(&self, limit: Limit<'_>) -> Result<Result<Evaluation<'a, T>, T>, LazyError> {
        let look = |ask| match self.begin(ask) {
            Err(LazyError::Running { .. }) => None,
            begun => Some(begun),
        };
        let mut looks = limit.waiter.spins();
        let begun = self.outcome.wait_until(limit.waiter, limit.deadline, || {
            // The dead are asked for when spinning did not help.
            let ask = looks == 0;
            looks = looks.saturating_sub(1);
            look(ask)
        });
        // A short deadline may have passed before anybody asked.
        begun.or_else(|| look(true)).unwrap_or(Err(LazyError::Timeout))
    }

    fn begin(&self, ask: bool) -> Result<Result<Evaluation<'a, T>, T>, LazyError> {
        for _ in 0..TURNS {
            match self.outcome.read(self.outcome.state()) {
                Found::Value(value) => return Ok(Err(value)),
                Found::Failed(text) => return Err(LazyError::Failed(text)),
                Found::Broken | Found::Corrupt => return Err(LazyError::Corrupt),
                Found::Gone => continue,
                Found::Open => {}
            }
            self.outcome.own(ask).map_err(|Owned { by }| LazyError::Running { owner: by })?;
            // As the owner: only now nobody else settles it.
            let state = self.outcome.state();
            if state.phase() == Some(Phase::Vacant) {
                return Ok(Ok(Evaluation { lazy: *self, generation: state.generation() }));
            }
            self.give_up();
        }
        // Others evaluated and invalidated it without end: as good as somebody who still does. Waiting is right then, too.
        Err(LazyError::Running { owner: None })
    }

    /// Somebody may have gone to sleep because this party was the owner.
    fn give_up(&self) {
        self.outcome.disown();
        self.outcome.notify();
    }

    /// Forgets the value, or the failure: whoever wants it next evaluates it again. Wait-free.
    ///
    /// Who asks after this returned never gets a value whose evaluation had begun before it was called, except from its own.
    pub fn invalidate(&self) {
        let first = self.outcome.state().generation();
        let vacant = State::new(self.outcome.after(first), Phase::Vacant);
        for _ in 0..TURNS {
            let state = self.outcome.state();
            // If another did it meanwhile, it did it for us.
            if state.generation() != first || self.outcome.move_state(state, vacant) {
                return;
            }
        }
    }

    /// How far it is. Wait-free.
    ///
    /// # Errors
    /// [`LazyError::Corrupt`].
    pub fn state(&self) -> Result<LazyState, LazyError> {
        match self.outcome.state().phase() {
            Some(Phase::Vacant) if self.outcome.is_owned() => {
                Ok(LazyState::Running { owner: self.outcome.owner() })
            }
            Some(Phase::Vacant) => Ok(LazyState::Unevaluated),
            Some(Phase::Value) => Ok(LazyState::Ready),
            Some(Phase::Failed) => Ok(LazyState::Failed),
            Some(Phase::Promised | Phase::Broken) | None => Err(LazyError::Corrupt),
        }
    }
}

fn infallible<T>(evaluate: impl FnOnce() -> T) -> impl FnOnce() -> Result<T, Infallible> {
    || Ok(evaluate())
}

fn finish<T: Element, E: fmt::Display>(
    begun: Result<Evaluation<'_, T>, T>,
    evaluate: impl FnOnce() -> Result<T, E>,
) -> Result<T, LazyError> {
    let evaluation = match begun {
        Ok(evaluation) => evaluation,
        Err(value) => return Ok(value),
    };
    match evaluate() {
        Ok(value) => {
            // False only if it was invalidated meanwhile, or if another took over in the belief that we are dead.
            let _ = evaluation.set(value);
            Ok(value)
        }
        Err(error) => {
            let text = FailureText::display(error);
            let _ = evaluation.settle(Err(&text));
            Err(LazyError::Failed(text))
        }
    }
}

/// The evaluation of a [`Lazy`] by this party. Dropped without a result, it is given up, and another evaluates.
#[must_use = "dropped at once, it gives the evaluation up"]
pub struct Evaluation<'a, T: Element> {
    lazy: Lazy<'a, T>,
    generation: u64,
}

impl<T: Element> fmt::Debug for Evaluation<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluation").field("lazy", &self.lazy).finish_non_exhaustive()
    }
}

impl<T: Element> Evaluation<'_, T> {
    /// Gives the value, for all. False if it was invalidated meanwhile, or if another took over, believing this party
    /// dead: then nobody sees it. Wait-free.
    #[must_use]
    pub fn set(self, value: T) -> bool {
        self.settle(Ok(&value))
    }

    /// Gives a failure, for all. As [`Evaluation::set`].
    #[must_use]
    pub fn fail(self, text: &str) -> bool {
        self.settle(Err(&FailureText::new(text)))
    }

    fn settle(self, outcome: Result<&T, &FailureText>) -> bool {
        // Dropped at the end: disowned, and all are woken.
        self.lazy.outcome.settle(State::new(self.generation, Phase::Vacant), outcome)
    }
}

impl<T: Element> Drop for Evaluation<'_, T> {
    fn drop(&mut self) {
        if !hook::is_abandoned() {
            self.lazy.give_up();
        }
    }
}

/// 1 if the lazy value that begins `span` is evaluated, else 0, for a view; `None` if it is none.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    match outcome::phase(span, prefix)? {
        Phase::Vacant => Some(0),
        Phase::Value | Phase::Failed => Some(1),
        Phase::Promised | Phase::Broken => None,
    }
}
