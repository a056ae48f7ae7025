//! Combinators of futures: local views that are evaluated when they are looked at, without storage.
//!
//! Each is to a future what the operation of the same name is to the `Result` that the future gives, whichever form asks for it:
//!
//! | combinator | law, for any form `get` (`try_get`, `get`, `get_timeout`, `get_with`) |
//! |---|---|
//! | `map(f)` | `x.map(f).get() == x.get().map(f)` |
//! | `map_err(f)` | `x.map_err(f).get() == x.get().map_err(f)` |
//! | `then(f)` | `x.then(f).get() == x.get().and_then(\|value\| f(value).get())` |
//! | `combine(y)` | both values; a failure of either as soon as it is there |
//! | `all(list)` | once all are settled, `list.map(get)` collected; a failure of any as soon as it is there |
//! | `any(list)` | the first in the list that has a value; if all have failed, the last one's error |
//!
//! An error of the wait itself (pending, timed out, no waiter) is that of `x`. So `map` keeps identity and composition, and `then` with
//! `Ok` as its unit is associative. A view waits in one sleep for all that is
//! still open (`wait_for_any`), and notices the death of each party that has promised something.

use super::Future;
use crate::element::Element;
use crate::error::FutureError;
use crate::wait::{deadline_after, wait_for_any, Wait, WaitSet};
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

/// Something that will be settled: a [`Future`], or what combinators make of some.
///
/// Nothing is stored: each look evaluates the functions given to combinators anew, so they should be cheap and give the same each
/// time. What they give costs no memory in the region, and is nobody else's: to share it, set another future by it.
///
/// ```
/// use zeroipc_nostd::{all, any, Eventual, FormatOptions, Future, FutureError, Region, Span};
///
/// # let mut memory = vec![0_u64; 512];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let width = Future::<u32>::create(region, "width")?;
/// let height = Future::<u32>::create(region, "height")?;
///
/// let area = width.combine(height).map(|(width, height)| width * height);
/// assert_eq!(area.try_get(), Err(FutureError::Pending));
/// width.promise()?.set(6)?;
/// height.promise()?.set(7)?;
/// assert_eq!(area.try_get(), Ok(42));
///
/// assert_eq!(all([width, height]).try_get(), Ok([6, 7]));
/// assert_eq!(any([width, height]).try_get(), Ok((0, 6)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Eventual<'a> {
    /// What it is settled with.
    type Value;

    /// Why it is not, or not yet.
    type Error;

    /// What it is settled with, if it is. `ask`: also if whoever promised it is dead, which is then found out.
    fn look(&self, ask: bool) -> Option<Result<Self::Value, Self::Error>>;

    /// The error of a look or a wait that ended without it being settled.
    fn unsettled(&self, error: FutureError) -> Self::Error;

    /// Announces a sleeper at all that is still open, and adds the words to sleep on.
    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>);

    /// How the region is waited in.
    fn waiter(&self) -> Option<&'a dyn Wait>;

    /// What it is settled with, without waiting: as [`Future::try_get`].
    ///
    /// # Errors
    /// [`FutureError::Pending`], or the error that it is settled with.
    fn try_get(&self) -> Result<Self::Value, Self::Error> {
        self.look(false).unwrap_or_else(|| Err(self.unsettled(FutureError::Pending)))
    }

    /// What it is settled with, waiting as long as it takes: as [`Future::get`].
    ///
    /// # Errors
    /// [`FutureError::NoWaiter`], or the error that it is settled with.
    fn get(&self) -> Result<Self::Value, Self::Error> {
        match self.waiter() {
            Some(waiter) => self.get_with(waiter, None),
            None => self.look(false).unwrap_or_else(|| Err(self.unsettled(FutureError::NoWaiter))),
        }
    }

    /// What it is settled with, waiting for at most `timeout`: as [`Future::get_timeout`].
    ///
    /// # Errors
    /// [`FutureError::Timeout`], never early; [`FutureError::NoWaiter`]; or the error that it is settled with.
    fn get_timeout(&self, timeout: Duration) -> Result<Self::Value, Self::Error> {
        match self.waiter() {
            Some(waiter) => self.get_with(waiter, deadline_after(waiter, timeout)),
            None => self.look(false).unwrap_or_else(|| Err(self.unsettled(FutureError::NoWaiter))),
        }
    }

    /// What it is settled with, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// One sleep waits for all futures in it that are open, up to 64; with more it looks each millisecond.
    ///
    /// # Errors
    /// [`FutureError::Timeout`], never before the deadline, or the error that it is settled with.
    fn get_with(
        &self,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<Self::Value, Self::Error> {
        let mut looks = waiter.spins();
        let found = wait_for_any(
            waiter,
            deadline,
            |waiter, set| self.announce(waiter, set),
            || {
                // The dead are asked for when spinning did not help.
                let ask = looks == 0;
                looks = looks.saturating_sub(1);
                self.look(ask)
            },
        );
        // A short deadline may have passed before anybody asked.
        let found = found.or_else(|| self.look(true));
        found.unwrap_or_else(|| Err(self.unsettled(FutureError::Timeout)))
    }

    /// The same with `f` of its value.
    fn map<U, F: Fn(Self::Value) -> U>(self, f: F) -> Map<Self, F>
    where
        Self: Sized,
    {
        Map { of: self, f }
    }

    /// The same with `f` of its error, also of [`FutureError::Pending`], [`FutureError::Timeout`] and [`FutureError::NoWaiter`].
    fn map_err<E, F: Fn(Self::Error) -> E>(self, f: F) -> MapErr<Self, F>
    where
        Self: Sized,
    {
        MapErr { of: self, f }
    }

    /// What comes of its value: another future, or a `Result`, which is settled already.
    fn then<U: Eventual<'a, Error = Self::Error>, F: Fn(Self::Value) -> U>(
        self,
        f: F,
    ) -> Then<Self, F>
    where
        Self: Sized,
    {
        Then { of: self, f }
    }

    /// Both values; a failure as soon as either has failed, this one's if both have.
    fn combine<U: Eventual<'a, Error = Self::Error>>(self, other: U) -> Combine<Self, U>
    where
        Self: Sized,
    {
        Combine { left: self, right: other }
    }
}

impl<'a, T: Element> Eventual<'a> for Future<'a, T> {
    type Value = T;
    type Error = FutureError;

    fn look(&self, ask: bool) -> Option<Result<T, FutureError>> {
        Future::look(self, ask)
    }

    fn unsettled(&self, error: FutureError) -> FutureError {
        error
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        let (word, expected) = self.bell().announced(waiter);
        set.add(word, expected);
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.notifier().waiter()
    }
}

/// Settled from the beginning: what the function of [`Eventual::then`] gives when it needs nothing more.
impl<'a, T: Clone, E: Clone + From<FutureError>> Eventual<'a> for Result<T, E> {
    type Value = T;
    type Error = E;

    fn look(&self, _ask: bool) -> Option<Result<T, E>> {
        Some(self.clone())
    }

    fn unsettled(&self, error: FutureError) -> E {
        error.into()
    }

    fn announce(&self, _waiter: &dyn Wait, _set: &mut WaitSet<'a>) {}

    fn waiter(&self) -> Option<&'a dyn Wait> {
        None
    }
}

impl<'a, E: Eventual<'a> + ?Sized> Eventual<'a> for &E {
    type Value = E::Value;
    type Error = E::Error;

    fn look(&self, ask: bool) -> Option<Result<E::Value, E::Error>> {
        (**self).look(ask)
    }

    fn unsettled(&self, error: FutureError) -> E::Error {
        (**self).unsettled(error)
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        (**self).announce(waiter, set);
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        (**self).waiter()
    }
}

macro_rules! debug_as_name {
    ($name:ident<$($parameter:ident),+>) => {
        impl<$($parameter),+> fmt::Debug for $name<$($parameter),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

/// See [`Eventual::map`].
#[derive(Clone, Copy)]
pub struct Map<S, F> {
    of: S,
    f: F,
}
debug_as_name!(Map<S, F>);

impl<'a, S: Eventual<'a>, U, F: Fn(S::Value) -> U> Eventual<'a> for Map<S, F> {
    type Value = U;
    type Error = S::Error;

    fn look(&self, ask: bool) -> Option<Result<U, S::Error>> {
        self.of.look(ask).map(|settled| settled.map(&self.f))
    }

    fn unsettled(&self, error: FutureError) -> S::Error {
        self.of.unsettled(error)
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        self.of.announce(waiter, set);
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.of.waiter()
    }
}

/// See [`Eventual::map_err`].
#[derive(Clone, Copy)]
pub struct MapErr<S, F> {
    of: S,
    f: F,
}
debug_as_name!(MapErr<S, F>);

impl<'a, S: Eventual<'a>, E, F: Fn(S::Error) -> E> Eventual<'a> for MapErr<S, F> {
    type Value = S::Value;
    type Error = E;

    fn look(&self, ask: bool) -> Option<Result<S::Value, E>> {
        self.of.look(ask).map(|settled| settled.map_err(&self.f))
    }

    fn unsettled(&self, error: FutureError) -> E {
        (self.f)(self.of.unsettled(error))
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        self.of.announce(waiter, set);
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.of.waiter()
    }
}

/// See [`Eventual::then`].
#[derive(Clone, Copy)]
pub struct Then<S, F> {
    of: S,
    f: F,
}
debug_as_name!(Then<S, F>);

impl<'a, S, U, F> Eventual<'a> for Then<S, F>
where
    S: Eventual<'a>,
    U: Eventual<'a, Error = S::Error>,
    F: Fn(S::Value) -> U,
{
    type Value = U::Value;
    type Error = S::Error;

    fn look(&self, ask: bool) -> Option<Result<U::Value, S::Error>> {
        match self.of.look(ask)? {
            Ok(value) => (self.f)(value).look(ask),
            Err(error) => Some(Err(error)),
        }
    }

    fn unsettled(&self, error: FutureError) -> S::Error {
        self.of.unsettled(error)
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        match self.of.look(false) {
            None => self.of.announce(waiter, set),
            Some(Ok(value)) => (self.f)(value).announce(waiter, set),
            // A look after this finds it.
            Some(Err(_)) => {}
        }
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.of.waiter()
    }
}

/// See [`Eventual::combine`].
#[derive(Clone, Copy)]
pub struct Combine<L, R> {
    left: L,
    right: R,
}
debug_as_name!(Combine<L, R>);

impl<'a, L: Eventual<'a>, R: Eventual<'a, Error = L::Error>> Eventual<'a> for Combine<L, R> {
    type Value = (L::Value, R::Value);
    type Error = L::Error;

    fn look(&self, ask: bool) -> Option<Result<Self::Value, L::Error>> {
        match (self.left.look(ask), self.right.look(ask)) {
            (Some(Err(error)), _) | (_, Some(Err(error))) => Some(Err(error)),
            (Some(Ok(left)), Some(Ok(right))) => Some(Ok((left, right))),
            _ => None,
        }
    }

    fn unsettled(&self, error: FutureError) -> L::Error {
        self.left.unsettled(error)
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        announce_if_open(&self.left, waiter, set);
        announce_if_open(&self.right, waiter, set);
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.left.waiter().or_else(|| self.right.waiter())
    }
}

/// What is settled needs no waiting for, and stays so: at most it is superseded.
fn announce_if_open<'a>(of: &impl Eventual<'a>, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
    if of.look(false).is_none() {
        of.announce(waiter, set);
    }
}

/// All values of a list, once they are there; a failure as soon as any has failed, the first one's in the list.
///
/// A list of none does not compile: it would have nothing to wait for.
pub fn all<'a, E: Eventual<'a>, const N: usize>(list: [E; N]) -> All<[E; N]>
where
    E::Value: Copy,
    E::Error: From<FutureError>,
{
    const { assert!(N > 0, "all of none") };
    All { list }
}

/// Settled with nothing once all of a list of any length have values; a failure as soon as any has failed, the first one's in the list.
///
/// Then each gives its value by [`Eventual::try_get`], as long as nobody resets it.
pub fn all_of<'l, 'a, E: Eventual<'a>>(list: &'l [E]) -> All<&'l [E]>
where
    E::Error: From<FutureError>,
{
    All { list }
}

/// See [`all`] and [`all_of`].
#[derive(Debug, Clone, Copy)]
pub struct All<L> {
    list: L,
}

/// The first failure, or whether all have values, each of which is shown to `take`.
fn look_at_all<'a, E: Eventual<'a>>(
    list: &[E],
    ask: bool,
    mut take: impl FnMut(usize, E::Value),
) -> Option<Result<(), E::Error>> {
    let mut open = false;
    for (index, each) in list.iter().enumerate() {
        match each.look(ask) {
            Some(Ok(value)) => take(index, value),
            Some(Err(error)) => return Some(Err(error)),
            None => open = true,
        }
    }
    (!open).then_some(Ok(()))
}

fn unsettled<'a, E: Eventual<'a>>(list: &[E], error: FutureError) -> E::Error
where
    E::Error: From<FutureError>,
{
    match list.first() {
        Some(first) => first.unsettled(error),
        None => error.into(),
    }
}

impl<'a, E: Eventual<'a>, const N: usize> Eventual<'a> for All<[E; N]>
where
    E::Value: Copy,
    E::Error: From<FutureError>,
{
    type Value = [E::Value; N];
    type Error = E::Error;

    fn look(&self, ask: bool) -> Option<Result<Self::Value, E::Error>> {
        let mut values: Option<[E::Value; N]> = None;
        let settled = look_at_all(&self.list, ask, |index, value| {
            if let Some(place) = values.get_or_insert([value; N]).get_mut(index) {
                *place = value;
            }
        });
        match settled? {
            Ok(()) => values.map(Ok),
            Err(error) => Some(Err(error)),
        }
    }

    fn unsettled(&self, error: FutureError) -> E::Error {
        unsettled(&self.list, error)
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        self.list.iter().for_each(|each| announce_if_open(each, waiter, set));
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.list.iter().find_map(Eventual::waiter)
    }
}

impl<'a, E: Eventual<'a>> Eventual<'a> for All<&[E]>
where
    E::Error: From<FutureError>,
{
    type Value = ();
    type Error = E::Error;

    fn look(&self, ask: bool) -> Option<Result<(), E::Error>> {
        look_at_all(self.list, ask, |_, _| {})
    }

    fn unsettled(&self, error: FutureError) -> E::Error {
        unsettled(self.list, error)
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        self.list.iter().for_each(|each| announce_if_open(each, waiter, set));
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.list.iter().find_map(Eventual::waiter)
    }
}

/// The first value of a list (an array, a slice), with its place there, as soon as one is there; of several that are there, the
/// first in the list. It fails when all have failed, with the last one's error in the list; of a list of none, with
/// [`FutureError::Broken`].
pub fn any<'a, L: AsRef<[E]>, E: Eventual<'a>>(list: L) -> Any<L, E>
where
    E::Error: From<FutureError>,
{
    Any { list, of: PhantomData }
}

/// See [`any`].
#[derive(Clone, Copy)]
pub struct Any<L, E> {
    list: L,
    of: PhantomData<fn() -> E>,
}
debug_as_name!(Any<L, E>);

impl<'a, L: AsRef<[E]>, E: Eventual<'a>> Eventual<'a> for Any<L, E>
where
    E::Error: From<FutureError>,
{
    type Value = (usize, E::Value);
    type Error = E::Error;

    fn look(&self, ask: bool) -> Option<Result<Self::Value, E::Error>> {
        let (mut open, mut failed) = (false, None);
        for (index, each) in self.list.as_ref().iter().enumerate() {
            match each.look(ask) {
                Some(Ok(value)) => return Some(Ok((index, value))),
                Some(Err(error)) => failed = Some(error),
                None => open = true,
            }
        }
        (!open).then(|| Err(failed.unwrap_or_else(|| FutureError::Broken.into())))
    }

    fn unsettled(&self, error: FutureError) -> E::Error {
        unsettled(self.list.as_ref(), error)
    }

    fn announce(&self, waiter: &dyn Wait, set: &mut WaitSet<'a>) {
        self.list.as_ref().iter().for_each(|each| announce_if_open(each, waiter, set));
    }

    fn waiter(&self) -> Option<&'a dyn Wait> {
        self.list.as_ref().iter().find_map(Eventual::waiter)
    }
}
