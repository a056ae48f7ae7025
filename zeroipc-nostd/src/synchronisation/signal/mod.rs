//! Signal: a value of any size with a version; the latest wins, and nobody ever sees half of one.
//!
//! W is the word size, L the line size, E the element's alignment: the largest power of two that divides `elem_size`, at
//! most 16 and at most L. N is the number of slots, B the bits that a slot's number takes: of N - 1, at least 2.
//!
//! | offset | bytes | field | written by |
//! |---|---|---|---|
//! | 0 | 24 | prefix: kind `SIGN`, `extra` = 1 if there is one writer, else 0, `capacity` = N | creator |
//! | 24 | 4 | what parties that wait for a change sleep on: eventcount, or `rung` of the broadcast if there is one writer | |
//! | 28 | 4 | `waiting` of the broadcast | sleepers, the writer |
//! | 32 | 4 | writer's role, if there is one writer: odd while taken | its takers |
//! | 36 | 4 | reserved | |
//! | A = 40 up to L | W | `current`: version x 2^B + slot | writers |
//! | C = A + W up to L | D x N | cells, D = (V + `elem_size`) up to L, V = W up to E | the slot's owner |
//!
//! A cell is a stamp (W bytes: version x 2^B + marks) and, at V, a value. Initially `current` is 0, slot 0 holds the initial value
//! and stamp 0, and the other stamps are 3 (free and void).
//!
//! The algorithm is in `core.rs`.

mod core;
mod observe;
mod writer;

pub(crate) use observe::SignalObserver;
pub use writer::SignalWriter;

use self::core::Core;
use crate::element::Element;
use crate::error::{RoleTaken, SignalError, StructureError, WaitError};
use crate::geometry::{align_up, Geometry, WordSize};
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, open_or_create, Region};
use crate::role::Role;
use crate::sync::{by_word, ByWord, Caches, Span, Wide, Word};
use crate::table::block_bytes;
use crate::wait::{Announce, Bell, Limit, Notifier, Wait};
use ::core::sync::atomic::Ordering::Acquire;
use ::core::time::Duration;

const CHANGES: u64 = 24;
const WAITING: u64 = 28;
const ROLE: u64 = 32;
const CONTROL_BYTES: u64 = 40;

/// Slots of a signal that does not say: a read starts again only if 7 sets went by during one copy, and 6 writers may be
/// stopped inside.
const DEFAULT_SLOTS: u32 = 8;
const MAX_SLOTS: u64 = 256;
/// In `extra`.
const ONE_WRITER: u32 = 1;

/// The latest value of something: any size, with a version; many readers, many writers or one.
///
/// Reading never waits for a writer, wherever that one is stopped or killed, and never sees a part of one value and a part of
/// another. Each set makes the next version, from 0 for the initial value on.
///
/// There are two forms, chosen by the creator; [`Signal::create`] takes what the region can do:
///
/// | | many writers | one writer |
/// |---|---|---|
/// | needs compare-and-exchange | to write; not to read | no |
/// | written by | [`Signal::set`], [`Signal::update`] by anybody: lock-free | [`SignalWriter`], whose role one handle holds: wait-free |
/// | a writer that is killed inside | takes one slot with it | leaves the role taken: [`Signal::take_over_writer`] |
///
/// Versions are counted in 8-byte words modulo 2^61, and in 4-byte words modulo 2^29 (with the default of 8 slots: in general 2 to
/// the power of the bits that a slot's number leaves). A party that is stopped in the middle of an operation while *exactly* a
/// multiple of so many sets go by may take what it then finds for what it had seen.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Region, Signal, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let position = Signal::create(region, "position", [0.0_f64; 3])?;
/// position.set([1.0, 2.0, 0.5])?;
/// position.update(|[x, y, z]| [x + 1.0, y, z])?;
///
/// let elsewhere = Signal::<[f64; 3]>::open(region, "position")?;
/// assert_eq!(elsewhere.get()?, [2.0, 2.0, 0.5]);
/// assert_eq!(elsewhere.version(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Signal<'a, T> {
    core: ByWord<Core<'a, T, u32>, Core<'a, T, Wide>>,
    changes: Bell<'a>,
    role: Role<'a>,
    notifier: Notifier<'a>,
    writing: Writing,
}

impl<T> Clone for Signal<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Signal<'_, T> {}

/// Who may write by which means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// Anybody, and we can.
    Anybody,
    /// Anybody who has compare-and-exchange, which we do not.
    NotHere,
    /// Who holds the role.
    ByRole,
}

impl<'a, T: Element> Signal<'a, T> {
    /// Creates a signal with a value, which has version 0, and 8 slots: for many writers, or for one in a region of loads and
    /// stores only.
    ///
    /// Lock-free; a party that dies inside leaks at most the signal's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, an element of no size.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        initial: T,
    ) -> Result<Self, StructureError> {
        Self::create_with_slots(region, name, initial, DEFAULT_SLOTS)
    }

    /// As [`Signal::create`], with `slots` slots: 3 to 256, or 2 to 256 if there is one writer.
    ///
    /// With n slots, n - 2 writers may be stopped inside while others go on to write; and a read starts again only if n - 1
    /// sets (fewer by the stopped ones) went by during one copy.
    ///
    /// # Errors
    /// As [`Signal::create`]; [`StructureError::BadCapacity`] for an impossible number of slots.
    pub fn create_with_slots(
        region: impl Into<Region<'a>>,
        name: &str,
        initial: T,
        slots: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        Self::create_as(region, name, initial, slots, if region.has_cas() { 0 } else { ONE_WRITER })
    }

    /// Creates a signal with one writer: see [`Signal::writer`]. `slots` is 2 to 256; 4 are plenty unless values are large.
    ///
    /// # Errors
    /// As [`Signal::create_with_slots`].
    pub fn create_single_writer(
        region: impl Into<Region<'a>>,
        name: &str,
        initial: T,
        slots: u32,
    ) -> Result<Self, StructureError> {
        Self::create_as(region.into(), name, initial, slots, ONE_WRITER)
    }

    fn create_as(
        region: Region<'a>,
        name: &str,
        initial: T,
        slots: u32,
        form: u32,
    ) -> Result<Self, StructureError> {
        let (geometry, elem_size) = (region.geometry(), elem_size::<T>()?);
        let capacity = u64::from(slots);
        let mut prefix = Prefix::new(Kind::SIGNAL, geometry, elem_size, capacity);
        prefix.extra = form;
        let bad = StructureError::BadCapacity { capacity, min: min_slots(form), max: MAX_SLOTS };
        let layout = Layout::of(&prefix).ok_or(bad)?;
        region.create_structure(name, prefix, layout.size, |span| {
            span.clear(CHANGES, layout.cells - CHANGES);
            match geometry.word() {
                WordSize::Four => {
                    Core::<T, u32>::at(span, &layout, Caches::default())?.initialise(&initial)
                }
                WordSize::Eight => {
                    Core::<T, Wide>::at(span, &layout, Caches::default())?.initialise(&initial)
                }
            }?;
            Some(layout.size)
        })?;
        Self::open(region, name)
    }

    /// Opens a signal of either form. A party without compare-and-exchange may read and wait, but not write one of many
    /// writers.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::SIGNAL, elem_size::<T>()?)?;
        let corrupt = found.corrupt("its form or number of slots");
        let layout = Layout::of(&found.prefix).ok_or(corrupt)?;
        let span = found.span;
        let core = match found.geometry.word() {
            WordSize::Four => ByWord::W4(Core::at(span, &layout, region.caches()).ok_or(corrupt)?),
            WordSize::Eight => {
                Core::at(span, &layout, region.caches()).and_then(ByWord::wide).ok_or(corrupt)?
            }
        };
        let word = |offset| span.word::<u32>(offset).ok_or(corrupt);
        let (changes, cas) = (word(CHANGES)?, region.has_cas());
        let single = found.prefix.extra == ONE_WRITER;
        let changes = if single && region.caches().is_incoherent() {
            Bell::always(changes)
        } else {
            Bell::for_all(changes, word(WAITING)?, single, cas)
        };
        let writing = match (single, cas) {
            (true, _) => Writing::ByRole,
            (false, true) => Writing::Anybody,
            (false, false) => Writing::NotHere,
        };
        let role = Role { word: word(ROLE)?, cas, recorded: !region.caches().is_incoherent() };
        Ok(Signal { core, changes, role, notifier: region.notifier(), writing })
    }

    /// Opens the signal, of whatever form and number of slots, or creates it with `initial` if there is none.
    ///
    /// # Errors
    /// As [`Signal::open`] and [`Signal::create`].
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        initial: T,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        open_or_create(|| Self::open(region, name), || Self::create(region, name, initial))
    }

    /// How many bytes a signal with `slots` slots takes in a region at most; `None` if there can't be one.
    #[must_use]
    pub fn footprint(geometry: Geometry, slots: u32) -> Option<u64> {
        let mut prefix =
            Prefix::new(Kind::SIGNAL, geometry, elem_size::<T>().ok()?, u64::from(slots));
        // The form makes no difference, except that one writer may do with fewer slots.
        prefix.extra = ONE_WRITER;
        block_bytes(geometry, Layout::of(&prefix)?.size)
    }

    /// The current value. Wait-free: at most 64 copies, of which the second is rare.
    ///
    /// A copy is of no use, and made again, only if writers came all around the other slots meanwhile: with 8 slots, if 7 sets
    /// went by during the copy of one value. So a reader that keeps running never needs many; one that is interrupted inside a
    /// copy needs one more.
    ///
    /// What the writer did before it set the value is visible afterwards. Nobody who stops or dies holds up a reader.
    ///
    /// # Errors
    /// [`SignalError::Contended`] if all 64 copies failed, which takes a party that is interrupted in every one of 64
    /// copies in a row, or that is slower by a factor of the number of slots than the writers together; trying again is
    /// harmless. [`SignalError::Corrupt`] if a peer wrote nonsense.
    #[inline(always)]
    pub fn get(&self) -> Result<T, SignalError> {
        by_word!(&self.core, core => core.read().map(|(value, _)| value))
    }

    /// The current value and its version: as [`Signal::get`].
    ///
    /// # Errors
    /// As [`Signal::get`].
    #[inline(always)]
    pub fn get_with_version(&self) -> Result<(T, u64), SignalError> {
        by_word!(&self.core, core => core.read().map(|(value, word)| (value, core.version(word))))
    }

    /// Reads the current value into `value`; returns its version. As [`Signal::get`], without moving the value: for large ones.
    ///
    /// After an error `value` holds a mixture of values, or what it held before.
    ///
    /// # Errors
    /// As [`Signal::get`].
    #[inline(always)]
    pub fn get_into(&self, value: &mut T) -> Result<u64, SignalError> {
        by_word!(&self.core, core => core.read_into(value).map(|word| core.version(word)))
    }

    /// The current version: how many sets there were, modulo what the word has room for (see [`Signal`]). Wait-free: one load.
    ///
    /// For one party it never goes back.
    #[inline]
    #[must_use]
    pub fn version(&self) -> u64 {
        by_word!(&self.core, core => core.version(core.word()))
    }

    /// Sets the value; returns its version. Lock-free: it starts again only when another set succeeded, without a new copy.
    ///
    /// Wakes all that wait for a change, and makes no system call if nobody does. A writer that stops inside holds up nobody, and one
    /// slot is with it; if it is killed there the slot is gone, and the value was set or not; those that wait may then learn of it only
    /// when they look by themselves, within 100 ms.
    ///
    /// # Errors
    /// [`SignalError::Blocked`] if every slot is with a stopped writer; [`SignalError::SingleWriter`] if there is one writer;
    /// [`SignalError::NeedsCas`]; [`SignalError::Contended`] if others set 2^16 times meanwhile; [`SignalError::Corrupt`].
    #[inline]
    pub fn set(&self, value: T) -> Result<u64, SignalError> {
        self.writable()?;
        let version = by_word!(&self.core, core => core.version(core.set(&value)?));
        self.changes.ring(&self.notifier);
        Ok(version)
    }

    /// Replaces the value by what `change` makes of it; returns the old and the new one. Lock-free: when another set succeeded
    /// meanwhile, `change` is asked again, with the newer value.
    ///
    /// # Errors
    /// As [`Signal::set`] and [`Signal::get`].
    #[inline]
    pub fn update(&self, change: impl FnMut(T) -> T) -> Result<(T, T), SignalError> {
        self.writable()?;
        let (old, new) = by_word!(&self.core, core => {
            core.update(change).map(|(old, new, _)| (old, new))
        })?;
        self.changes.ring(&self.notifier);
        Ok((old, new))
    }

    /// Sets the value if the version is still `version`; returns the new version. Lock-free.
    ///
    /// # Errors
    /// [`SignalError::Changed`] if it is another version by now; else as [`Signal::set`].
    #[inline]
    pub fn compare_version_and_set(&self, version: u64, value: T) -> Result<u64, SignalError> {
        self.writable()?;
        let set = by_word!(&self.core, core => {
            let word = core.word();
            let set = if core.version(word) == version {
                core.set_if(word, &value)?
            } else {
                Err(word)
            };
            set.map(|word| core.version(word)).map_err(|word| core.version(word))
        });
        let version = set.map_err(|version| SignalError::Changed { version })?;
        self.changes.ring(&self.notifier);
        Ok(version)
    }

    #[inline(always)]
    fn writable(&self) -> Result<(), SignalError> {
        match self.writing {
            Writing::Anybody => Ok(()),
            Writing::NotHere => Err(SignalError::NeedsCas),
            Writing::ByRole => Err(SignalError::SingleWriter),
        }
    }

    /// Takes the role of the only writer; the handle gives it back when dropped.
    ///
    /// The role is recorded in the region, so two writers exclude each other across processes. Where there is no
    /// compare-and-exchange this works only if no two parties take the role in the same moment.
    ///
    /// # Errors
    /// [`SignalError::RoleTaken`] if somebody has it; a killed holder keeps it: see [`Signal::take_over_writer`].
    /// [`SignalError::ManyWriters`] if the signal has no such role.
    pub fn writer(&self) -> Result<SignalWriter<'a, T>, SignalError> {
        self.by_role()?;
        let token = self.role.take().map_err(|RoleTaken| SignalError::RoleTaken)?;
        Ok(SignalWriter::new(*self, token))
    }

    /// Takes the role of the only writer from a holder that is known to be dead.
    ///
    /// What it had set stays; what it was setting is not seen. If it is alive after all, values may be torn and
    /// versions may go back; memory safety is not at stake.
    ///
    /// # Errors
    /// [`SignalError::ManyWriters`] if the signal has no such role.
    pub fn take_over_writer(&self) -> Result<SignalWriter<'a, T>, SignalError> {
        self.by_role()?;
        Ok(SignalWriter::new(*self, self.role.take_over()))
    }

    fn by_role(&self) -> Result<(), SignalError> {
        if self.writing == Writing::ByRole {
            Ok(())
        } else {
            Err(SignalError::ManyWriters)
        }
    }

    /// Waits until the version is another than `since`, as long as it takes; returns the value then and its version.
    ///
    /// Versions in between may be missed: the latest wins. Any number of parties wait, in any process, and a set wakes all.
    /// Waits for some writer. A party without compare-and-exchange is not woken by a signal with many writers: it looks every
    /// 100 ms.
    ///
    /// # Errors
    /// [`WaitError::NoWaiter`] if the region was opened without a notifier; [`WaitError::Corrupt`].
    pub fn wait_for_change(&self, since: u64) -> Result<(T, u64), WaitError> {
        self.wait_within(since, self.notifier.forever()?)
    }

    /// Waits until the version is another than `since`, for at most `timeout`.
    ///
    /// # Errors
    /// As [`Signal::wait_for_change`]; [`WaitError::Timeout`], never early.
    pub fn wait_for_change_timeout(
        &self,
        since: u64,
        timeout: Duration,
    ) -> Result<(T, u64), WaitError> {
        self.wait_within(since, self.notifier.at_most(timeout)?)
    }

    /// Waits until the version is another than `since`, by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], never before the deadline; [`WaitError::Corrupt`].
    pub fn wait_for_change_with(
        &self,
        since: u64,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<(T, u64), WaitError> {
        self.wait_within(since, Limit { waiter, deadline })
    }

    fn wait_within(&self, since: u64, limit: Limit<'_>) -> Result<(T, u64), WaitError> {
        self.changes.wait_within(limit, || {
            if self.version() == since {
                return None;
            }
            match self.get_with_version() {
                Ok(found) => Some(Ok(found)),
                Err(SignalError::Contended) => None,
                Err(_) => Some(Err(WaitError::Corrupt)),
            }
        })?
    }

    /// How many slots it has.
    #[must_use]
    pub fn slots(&self) -> usize {
        by_word!(&self.core, core => core.slots())
    }

    /// Whether it has one writer, who holds the role.
    #[must_use]
    pub fn has_single_writer(&self) -> bool {
        self.writing == Writing::ByRole
    }
}

/// With one writer a slot to be read and one to be written do; of many one more may be stopped.
fn min_slots(form: u32) -> u64 {
    if form == ONE_WRITER {
        2
    } else {
        3
    }
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    current: u64,
    cells: u64,
    value_in_cell: u64,
    stride: u64,
    slots: u64,
    bits: u32,
    size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is not one that creation writes.
    fn of(prefix: &Prefix) -> Option<Self> {
        let geometry = prefix.geometry.ok()?;
        let (word, line) = (u64::from(geometry.word_bytes()), u64::from(geometry.line_bytes()));
        let (elem, slots) = (u64::from(prefix.elem_size), prefix.capacity);
        let possible = elem > 0
            && prefix.extra <= ONE_WRITER
            && (min_slots(prefix.extra)..=MAX_SLOTS).contains(&slots);
        if !possible {
            return None;
        }
        let current = align_up(CONTROL_BYTES, line)?;
        let cells = align_up(current + word, line)?;
        let elem_align = (1 << elem.trailing_zeros()).min(16).min(line);
        let value_in_cell = align_up(word, elem_align)?;
        let stride = align_up(value_in_cell + elem, line)?;
        // The bits of the highest number, and at least those that the marks of a stamp take.
        let bits = slots.checked_sub(1)?.checked_ilog2()? + 1;
        let size = cells.checked_add(stride.checked_mul(slots)?)?;
        Some(Layout { current, cells, value_in_cell, stride, slots, bits: bits.max(2), size })
    }
}

/// The version of the signal that begins `span`, for a view; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    fn version<W: Word>(span: Span<'_>, layout: &Layout) -> Option<u64> {
        let current = span.word::<W>(layout.current)?.load(Acquire).wide();
        let slot = current & ((1 << layout.bits) - 1);
        (slot < layout.slots).then_some(current >> layout.bits)
    }
    let layout = Layout::of(prefix).filter(|layout| layout.size <= span.len() as u64)?;
    match prefix.geometry.ok()?.word() {
        WordSize::Four => version::<u32>(span, &layout),
        WordSize::Eight => version::<Wide>(span, &layout),
    }
}
