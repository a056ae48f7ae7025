//! Select: one of several things, whichever can be done first, and no other.
//!
//! 1. *Poll*: try each case in a random order; the first that can be done is it.
//! 2. If some cases are rendezvous: take a place for each (or none), show them all under one claim word, that of the first, and open it
//!    (`channel/rendezvous.rs`). From then on another party may match one of them, which decides.
//! 3. Announce at each case's word, look again, and sleep on all words at once. Any case that is not a rendezvous is tried only while
//!    the claim word is *busy*, so that no other party can match at the same time.
//! 4. Withdraw; free the places; where there is something left for others that we may have been woken for, wake another.
//!
//! **Fair**: each order of the cases is as likely as any other, so those that can be done at once come first equally often.

mod cases;
mod order;

pub(super) use cases::shown_by_name;
pub use cases::{FutureCase, PopCase, PushCase, WaitCase};

use self::order::Order;
use super::channel::claim::{Home, Met};
use crate::error::SelectError;
use crate::sync::{fence_after_rmw, Span};
use crate::wait::{deadline_after, wait_for_any, Announce, Wait, WaitSet};
use core::cell::Cell;
use core::time::Duration;

/// How many cases a select may have: as many words as one sleep waits for.
const MOST_CASES: usize = 64;

/// Something that a [`select`] may do: made by [`Channel::select_recv`](crate::Channel::select_recv),
/// [`Channel::select_send`](crate::Channel::select_send), [`Queue::select_pop`](crate::Queue::select_pop),
/// [`Queue::select_push`](crate::Queue::select_push), [`Event::select_wait`](crate::Event::select_wait) and
/// [`Future::select_get`](crate::Future::select_get). It keeps its own result.
///
/// Only types of this library implement it.
pub trait Selectable: Case {}

impl<C: Case> Selectable for C {}

/// How a case is tried.
#[derive(Debug, Clone, Copy)]
pub enum Mode<'m, 'h> {
    /// Once, and that is all.
    Once,
    /// Before it is waited for.
    First,
    /// While others may match at this place.
    At(&'m Home<'h>),
}

impl<'m, 'h> Mode<'m, 'h> {
    pub(crate) fn home(self) -> Option<&'m Home<'h>> {
        match self {
            Mode::Once | Mode::First => None,
            Mode::At(home) => Some(home),
        }
    }

    /// Does `act`, which says whether it did anything, while nobody can match.
    pub(crate) fn commit(self, act: impl FnOnce() -> bool) -> Tried {
        let home = self.home();
        if home.is_some_and(|home| !home.enter()) {
            return Tried::Matched;
        }
        match (act(), home) {
            (true, Some(home)) => {
                home.finish();
                Tried::Done
            }
            (true, None) => Tried::Done,
            (false, Some(home)) => {
                home.leave();
                Tried::Left
            }
            (false, None) => Tried::Nothing,
        }
    }
}

/// What trying a case came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    Done,
    Nothing,
    /// Nothing; and for a moment nobody could match.
    Left,
    /// Nothing, and another party has matched.
    Matched,
}

/// What [`Selectable`] hides.
pub trait Case {
    /// Does it if it can be done now, and keeps the result.
    fn attempt(&self, mode: Mode<'_, '_>) -> Tried;

    /// Announces that a sleeper waits for it.
    fn announce<'s>(&'s self, waiter: &dyn Wait, set: &mut WaitSet<'s>);

    /// Wakes another if there is still something for it, since we may have been woken in its place.
    fn pass_on(&self);

    /// The waiter of the region that it is in.
    fn waiter(&self) -> Option<&dyn Wait>;

    /// If it is a rendezvous: that side of it.
    fn meet(&self) -> Option<&dyn Meet> {
        None
    }
}

/// A case that another party may do to us.
pub trait Meet {
    /// The memory in which all claim words must be, and how many cases one of them tells apart.
    fn reach(&self) -> Option<(Span<'_>, usize)>;

    /// Takes a place, if there is one, asking for dead parties if it may.
    fn take_place(&self, ask: bool) -> bool;

    /// Announces that a sleeper waits for a place.
    fn announce_room<'s>(&'s self, waiter: &dyn Wait, set: &mut WaitSet<'s>);

    /// Where the party of the place waits.
    fn home(&self) -> Option<Home<'_>>;

    /// Shows the place as `case` of the select at `home`.
    fn show(&self, case: u32, home: &Home<'_>) -> Option<()>;

    /// Tells a peer that could take it.
    fn ring(&self);

    /// Another party has matched this case, and left its value in `place`, if it sent one. False if a peer wrote nonsense.
    fn matched(&self, place: usize) -> bool;

    /// Gives the place back, if there is one.
    fn free(&self);
}

/// Does one of `cases` if one can be done now: which. The default of a select. Never waits. Up to 64 cases; more are not tried.
///
/// ```
/// use zeroipc_nostd::{try_select, Channel, FormatOptions, Region, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let numbers = Channel::<u32>::create(region, "numbers", 4)?;
/// let words = Channel::<[u8; 4]>::create(region, "words", 4)?;
///
/// let (number, word) = (numbers.select_recv(), words.select_recv());
/// assert_eq!(try_select(&[&number, &word]), None);
/// words.try_send(*b"four")?;
/// assert_eq!(try_select(&[&number, &word]), Some(1));
/// assert_eq!(word.result(), Some(Ok(*b"four")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn try_select(cases: &[&dyn Selectable]) -> Option<usize> {
    match poll(cases, Mode::Once) {
        Polled::Done(case) => Some(case),
        Polled::Nothing | Polled::Left | Polled::Matched => None,
    }
}

/// Does one of `cases`, whichever can be done first, waiting as long as it takes: which. The case itself then gives its result.
///
/// A channel that is closed (and drained) can be received from, and sent to: with the result that it is closed. Up to 64 cases. Those of
/// channels without a buffer must be in one region, mapped once; with 4-byte words up to 16 of them.
///
/// While nothing can be done the party sleeps on all at once. It takes part in a rendezvous as a whole: it is matched in one case or in
/// none, also when two selects meet. Waits with the waiter of the first case's region.
///
/// A party that is killed inside is matched or not; what it offered can still be taken, at most once. Its places come back as those of
/// [`Channel::send`](crate::Channel::send).
///
/// # Errors
/// [`SelectError::NoCases`], [`SelectError::TooManyCases`], [`SelectError::DifferentRegions`], [`SelectError::NoWaiter`],
/// [`SelectError::Corrupt`].
pub fn select(cases: &[&dyn Selectable]) -> Result<usize, SelectError> {
    select_with(cases, waiter_of(cases)?, None)
}

/// [`select`], waiting for at most `timeout`.
///
/// # Errors
/// As [`select`]; [`SelectError::Timeout`], never early: then nothing was done.
pub fn select_timeout(cases: &[&dyn Selectable], timeout: Duration) -> Result<usize, SelectError> {
    let waiter = waiter_of(cases)?;
    select_with(cases, waiter, deadline_after(waiter, timeout))
}

fn waiter_of<'s>(cases: &[&'s dyn Selectable]) -> Result<&'s dyn Wait, SelectError> {
    let first = cases.first().ok_or(SelectError::NoCases)?;
    first.waiter().ok_or(SelectError::NoWaiter)
}

/// [`select`], waiting by `waiter` until `deadline` on its clock; for ever if there is none.
///
/// # Errors
/// As [`select`]; [`SelectError::Timeout`], never before the deadline: then nothing was done.
pub fn select_with(
    cases: &[&dyn Selectable],
    waiter: &dyn Wait,
    deadline: Option<u64>,
) -> Result<usize, SelectError> {
    check(cases)?;
    if let Polled::Done(case) = poll(cases, Mode::First) {
        return Ok(case);
    }
    let announced = Cell::new(false);
    let selected = wait(cases, waiter, deadline, &announced);
    if announced.get() {
        cases.iter().for_each(|case| case.pass_on());
    }
    selected
}

fn meets<'s>(cases: &'s [&dyn Selectable]) -> impl Iterator<Item = (usize, &'s dyn Meet)> {
    cases.iter().enumerate().filter_map(|(index, case)| case.meet().map(|meet| (index, meet)))
}

fn check(cases: &[&dyn Selectable]) -> Result<(), SelectError> {
    if cases.is_empty() {
        return Err(SelectError::NoCases);
    }
    if cases.len() > MOST_CASES {
        return Err(SelectError::TooManyCases);
    }
    let Some((region, most)) = meets(cases).next().and_then(|(_, meet)| meet.reach()) else {
        return Ok(());
    };
    if meets(cases).count() > most {
        return Err(SelectError::TooManyCases);
    }
    let same = |(other, of): (Span<'_>, usize)| {
        other.offset_in(&region) == Some(0) && other.len() == region.len() && of == most
    };
    if meets(cases).all(|(_, meet)| meet.reach().is_some_and(same)) {
        Ok(())
    } else {
        Err(SelectError::DifferentRegions)
    }
}

/// What trying all cases came to.
enum Polled {
    Done(usize),
    Nothing,
    Left,
    Matched,
}

/// Tries all cases once.
fn poll(cases: &[&dyn Selectable], mode: Mode<'_, '_>) -> Polled {
    let mut polled = Polled::Nothing;
    for index in Order::of(cases.len()) {
        let Some(case) = cases.get(index) else { continue };
        match case.attempt(mode) {
            Tried::Done => return Polled::Done(index),
            Tried::Matched => return Polled::Matched,
            Tried::Left => polled = Polled::Left,
            Tried::Nothing => {}
        }
    }
    polled
}

/// Steps 2 and 3, and of 4 all but the last.
fn wait(
    cases: &[&dyn Selectable],
    waiter: &dyn Wait,
    deadline: Option<u64>,
    announced: &Cell<bool>,
) -> Result<usize, SelectError> {
    let waits_alone = meets(cases).next().is_none();
    let found = wait_for_any(
        waiter,
        deadline,
        |waiter, set| {
            announced.set(true);
            cases.iter().for_each(|case| case.announce(waiter, set));
            meets(cases).for_each(|(_, meet)| meet.announce_room(waiter, set));
        },
        || match poll(cases, Mode::First) {
            Polled::Done(case) => Some(Some(case)),
            _ if waits_alone => None,
            _ => take_places(cases, announced.get()).then_some(None),
        },
    );
    match found.ok_or(SelectError::Timeout)? {
        Some(case) => Ok(case),
        None => {
            let selected = wait_at_places(cases, waiter, deadline, announced);
            meets(cases).for_each(|(_, meet)| meet.free());
            selected
        }
    }
}

/// Takes a place for each case that needs one, or none.
fn take_places(cases: &[&dyn Selectable], ask: bool) -> bool {
    let all = meets(cases).all(|(_, meet)| meet.take_place(ask));
    if !all {
        meets(cases).for_each(|(_, meet)| meet.free());
    }
    all
}

fn wait_at_places(
    cases: &[&dyn Selectable],
    waiter: &dyn Wait,
    deadline: Option<u64>,
    announced: &Cell<bool>,
) -> Result<usize, SelectError> {
    let home = meets(cases).next().and_then(|(_, meet)| meet.home());
    let home = home.ok_or(SelectError::Corrupt)?;
    for (nth, (_, meet)) in (0..).zip(meets(cases)) {
        meet.show(nth, &home).ok_or(SelectError::Corrupt)?;
    }
    if !home.open() {
        return Err(SelectError::Corrupt);
    }
    let ring = || meets(cases).for_each(|(_, meet)| meet.ring());
    ring();
    let look = || match home.met() {
        Met::NotYet => None,
        Met::Corrupt => Some(Err(SelectError::Corrupt)),
        Met::Yes { case, place } => {
            let met = meets(cases).nth(case).filter(|(_, meet)| meet.matched(place));
            Some(met.map(|(index, _)| index).ok_or(SelectError::Corrupt))
        }
    };
    let selected = wait_for_any(
        waiter,
        deadline,
        |waiter, set| {
            announced.set(true);
            let (word, value) = home.bell().announce(waiter);
            set.add(word, value);
            cases.iter().for_each(|case| case.announce(waiter, set));
        },
        || {
            look().or_else(|| match poll(cases, Mode::At(&home)) {
                Polled::Done(case) => Some(Ok(case)),
                Polled::Matched => look(),
                Polled::Left => {
                    fence_after_rmw();
                    ring();
                    None
                }
                Polled::Nothing => None,
            })
        },
    );
    selected.unwrap_or_else(|| {
        if home.withdraw() {
            Err(SelectError::Timeout)
        } else {
            look().unwrap_or(Err(SelectError::Corrupt))
        }
    })
}
