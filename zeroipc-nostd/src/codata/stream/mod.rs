//! Stream: one value after another, for any number of subscribers, each with its own cursor.
//!
//! W is the word size, L the line size, E the element's alignment: the largest power of two that divides `elem_size`, at
//! most 16 and at most L. S is the number of spares, P that of places for registered subscribers.
//!
//! | offset | bytes | field | written by |
//! |---|---|---|---|
//! | 0 | 24 | prefix: kind `STRM`, `capacity` = number of values kept, a power of two; `extra` = form + 16 x P + 65536 x S | creator |
//! | 24 | 4 | what subscribers sleep on: eventcount, or `rung` of the broadcast if there is one publisher | |
//! | 28 | 4 | `waiting` of the broadcast | sleepers, the publisher |
//! | 32 | 4 | publisher's role, if there is one: odd while taken | its takers |
//! | 36 | 4 | eventcount of space: publishers sleep on it | |
//! | 40 | 4 | `joins`: how many subscribers have registered, modulo 2^32 | subscribers |
//! | 44 | 4 | reserved | |
//! | A = 48 up to L | W | `tail`: the next sequence number, modulo 2^(8W); a hint that may lag behind | publishers |
//! | B = A + W up to L | W | `slowest`: not ahead of any registered subscriber | publishers |
//! | C = B + W up to L | Q x P | places, Q = 2W up to L: owner (4 bytes), and at W the cursor (W bytes) | subscribers |
//! | D = C + Q x P | W x S | spare words: 0 for none, or slot number + 1 | publishers |
//! | F = D + W x S up to L | G x (`capacity` + S) | cells, G = (V + `elem_size`) up to max(W, E), V = W up to E | publishers |
//!
//! Form is 0 for many publishers, S being 1 to 1024; 1 for one, S being 0. P is 0 (the oldest values are overwritten) to 1024
//! (backpressure). A cell is an entry (W bytes) and, at V, a slot. Slot k lies in cell k. The last S cells have a slot only.
//! Initially entry i is void (`entry.rs`) and names slot i, spare word k holds slot `capacity` + k, and all else is 0.
//!
//! The algorithm is in `core.rs`, that of backpressure in `places.rs`.

mod ahead;
mod core;
mod emit;
mod emit_at;
mod entry;
mod layout;
mod observe;
mod places;
mod publisher;
mod subscribe;
mod subscriber;

pub use layout::StreamOptions;
pub(crate) use observe::StreamObserver;
pub use publisher::Publisher;
pub use subscriber::Subscriber;

use self::core::{Core, Log};
use self::layout::{max_capacity, rounded, Layout, ROLE, SPACE, VALUES, WAITING};
use crate::element::Element;
use crate::error::{PublisherError, RoleTaken, StructureError};
use crate::geometry::{Geometry, WordSize};
use crate::name::Name;
use crate::party::Membership;
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, open_or_create, Region};
use crate::role::Role;
use crate::sync::{by_word, ByWord, Span, Wide, Word};
use crate::table::block_bytes;
use crate::wait::{Bell, EventCount, Notifier};

/// One value after another, for any number of subscribers in any party, each with its own cursor.
///
/// Publishers [`emit`](Stream::emit); every subscriber takes every value, in order, from where it joined: from
/// [now](Stream::subscribe), from the [oldest](Stream::subscribe_from_oldest) that is left, or from a
/// [sequence number](Stream::subscribe_at), where it was before a restart. Values are numbered from 0 on.
///
/// Two choices of the creator:
///
/// | | overwrite the oldest (the default) | [backpressure](StreamOptions::backpressure) |
/// |---|---|---|
/// | the last `capacity` values | are kept; less one while the next is being written | the same |
/// | a subscriber that is too slow | is told exactly how many it missed | makes publishers wait for it |
/// | subscribers | any number; they write nothing | a registered number of them; a dead one holds up nobody for long |
///
/// | | many publishers (the default) | [one publisher](StreamOptions::single_publisher) |
/// |---|---|---|
/// | emit | by the stream itself: lock-free; needs compare-and-exchange | by the [`Publisher`], whose role one handle holds: wait-free, loads and stores |
/// | a publisher that is killed inside | takes one slot of [so many](StreamOptions::spares) with it | leaves the role taken: [`Stream::take_over_publisher`] |
///
/// Subscribers without backpressure need loads only. **In a region of loads and stores** a stream with one publisher that
/// overwrites works whole.
///
/// Sequence numbers are counted in 8-byte words modulo 2^64, and in 4-byte words modulo 2^32; a subscriber may lag by 2^60, or
/// 2^28, before it is told wrong. A party that is stopped in the middle of an operation while *exactly* a multiple of twice as many
/// values go by may take what it then finds for what it had seen.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, NextError, Region, Span, Stream};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let ticks = Stream::<u32>::create(region, "ticks", 4)?;
/// let mut early = ticks.subscribe()?;
/// for tick in 0..6 {
///     ticks.emit(tick)?;
/// }
///
/// // Four values are kept. One that joins late gets them, and one that was slow is told what it missed.
/// let mut late = Stream::<u32>::open(region, "ticks")?.subscribe_from_oldest()?;
/// assert_eq!(late.try_next(), Ok(2));
/// assert_eq!(early.try_next(), Err(NextError::Lagged { missed: 2 }));
/// assert_eq!(early.try_next(), Ok(2));
///
/// ticks.close()?;
/// assert_eq!((late.try_next(), late.try_next(), late.try_next()), (Ok(3), Ok(4), Ok(5)));
/// assert_eq!(late.try_next(), Err(NextError::Closed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stream<'a, T> {
    core: ByWord<Core<'a, T, u32>, Core<'a, T, Wide>>,
    sleepers: Bell<'a>,
    space: Bell<'a>,
    role: Role<'a>,
    notifier: Notifier<'a>,
    membership: Membership<'a>,
    one_publisher: bool,
    has_backpressure: bool,
    cas: bool,
    name: Name,
}

impl<T> Clone for Stream<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Stream<'_, T> {}

impl<'a, T: Element> Stream<'a, T> {
    /// Creates a stream that keeps the last `capacity` values, rounded up to a power of two, and overwrites the oldest: for many
    /// publishers, or for one in a region of loads and stores only.
    ///
    /// Lock-free; a party that dies inside leaks at most the stream's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a capacity of 0 or above the limit, an
    /// element of no size.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        Self::create_with(region, name, capacity, &StreamOptions::new())
    }

    /// As [`Stream::create`], with backpressure, with other spares, or for one publisher.
    ///
    /// # Errors
    /// As [`Stream::create`]; [`StructureError::BadCapacity`] also for an impossible number of subscribers or spares;
    /// [`StructureError::NeedsCas`] for backpressure in a region of loads and stores only.
    pub fn create_with(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
        options: &StreamOptions,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        if options.has_backpressure() && !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::STREAM });
        }
        let (geometry, elem_size) = (region.geometry(), elem_size::<T>()?);
        let options = options.or_single_publisher(region.has_cas());
        let max = max_capacity(geometry, elem_size);
        let bad = StructureError::BadCapacity { capacity: capacity as u64, min: 1, max };
        let prefix = prefix(geometry, elem_size, capacity, options).ok_or(bad)?;
        let layout = Layout::of(&prefix).ok_or(bad)?;
        region.create_structure(name, prefix, layout.size, |span| {
            span.clear(VALUES, layout.cells - VALUES);
            match geometry.word() {
                WordSize::Four => Core::<T, u32>::at(span, &layout)?.initialise(),
                WordSize::Eight => Core::<T, Wide>::at(span, &layout)?.initialise(),
            }?;
            Some(layout.size)
        })?;
        Self::open(region, name)
    }

    /// Opens a stream of whatever form.
    ///
    /// A party without compare-and-exchange may subscribe to one that overwrites, whoever publishes.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::STREAM, elem_size::<T>()?)?;
        let corrupt = found.corrupt("its form or capacity");
        let layout = Layout::of(&found.prefix).ok_or(corrupt)?;
        let span = found.span;
        let core = match found.geometry.word() {
            WordSize::Four => ByWord::W4(Core::at(span, &layout).ok_or(corrupt)?),
            WordSize::Eight => Core::at(span, &layout).and_then(ByWord::wide).ok_or(corrupt)?,
        };
        let word = |offset| span.word::<u32>(offset).ok_or(corrupt);
        let (values, cas) = (word(VALUES)?, region.has_cas());
        let sleepers = Bell::for_all(values, word(WAITING)?, layout.one_publisher, cas);
        Ok(Stream {
            core,
            sleepers,
            space: Bell::all_of_stores(EventCount::new(word(SPACE)?)),
            role: Role { word: word(ROLE)?, cas, recorded: true },
            notifier: region.notifier(),
            membership: region.membership(),
            one_publisher: layout.one_publisher,
            has_backpressure: layout.place_count > 0,
            cas,
            name: found.name,
        })
    }

    /// Opens the stream, of whatever form, or creates it for at least `capacity` values if there is none.
    ///
    /// # Errors
    /// As [`Stream::open`] and [`Stream::create`]; [`StructureError::WrongCapacity`] if it exists with another capacity.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let stream =
            open_or_create(|| Self::open(region, name), || Self::create(region, name, capacity))?;
        if rounded(capacity) != Some(stream.capacity() as u64) {
            let (expected, found) = (capacity as u64, stream.capacity() as u64);
            let name = crate::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected, found });
        }
        Ok(stream)
    }

    /// How many bytes a stream for at least `capacity` values takes in a region at most; `None` if there can't be one.
    #[must_use]
    pub fn footprint(geometry: Geometry, capacity: usize) -> Option<u64> {
        Self::footprint_with(geometry, capacity, &StreamOptions::new())
    }

    /// As [`Stream::footprint`], for one that is created with `options`.
    #[must_use]
    pub fn footprint_with(
        geometry: Geometry,
        capacity: usize,
        options: &StreamOptions,
    ) -> Option<u64> {
        let prefix = prefix(geometry, elem_size::<T>().ok()?, capacity, *options)?;
        block_bytes(geometry, Layout::of(&prefix)?.size)
    }

    /// Ends the stream: what was published stays, subscribers take it and are told; what is emitted later is refused. Returns false
    /// if it was closed already.
    ///
    /// The end has one place in the order of values: an emit at the same time comes before it or is refused. Lock-free. Wakes all
    /// that wait. If there is one publisher, the caller takes its role for a moment: a publisher that has it closes by itself.
    ///
    /// # Errors
    /// [`PublisherError::RoleTaken`], [`PublisherError::NeedsCas`], [`PublisherError::Corrupt`].
    pub fn close(&self) -> Result<bool, PublisherError> {
        if self.one_publisher {
            return Ok(self.publisher()?.close());
        }
        if !self.cas {
            return Err(PublisherError::NeedsCas);
        }
        let closed = by_word!(&self.core, core => core.log.close());
        self.sleepers.ring(&self.notifier);
        self.tell_publishers();
        closed.map_err(|_| PublisherError::Corrupt)
    }

    /// Whether it was closed. Wait-free.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        by_word!(&self.core, core => core.log.is_closed(core.log.next()))
    }

    /// Takes the role of the only publisher; the handle gives it back when dropped.
    ///
    /// The role is recorded in the region, so two publishers exclude each other across processes. Where there is no
    /// compare-and-exchange this works only if no two parties take the role in the same moment.
    ///
    /// # Errors
    /// [`PublisherError::RoleTaken`] if somebody has it; a killed holder keeps it: see [`Stream::take_over_publisher`].
    /// [`PublisherError::ManyPublishers`] if the stream has no such role.
    pub fn publisher(&self) -> Result<Publisher<'a, T>, PublisherError> {
        self.by_role()?;
        let token = self.role.take().map_err(|RoleTaken| PublisherError::RoleTaken)?;
        Ok(Publisher::new(*self, token))
    }

    /// Takes the role of the only publisher from a holder that is known to be dead.
    ///
    /// What it had published stays; what it was publishing is not seen. If it is alive after all, values may be lost or torn;
    /// memory safety is not at stake.
    ///
    /// # Errors
    /// [`PublisherError::ManyPublishers`] if the stream has no such role.
    pub fn take_over_publisher(&self) -> Result<Publisher<'a, T>, PublisherError> {
        self.by_role()?;
        Ok(Publisher::new(*self, self.role.take_over()))
    }

    fn by_role(&self) -> Result<(), PublisherError> {
        if self.one_publisher {
            Ok(())
        } else {
            Err(PublisherError::ManyPublishers)
        }
    }

    /// Its name in the region.
    #[must_use]
    pub fn name(&self) -> Name {
        self.name
    }

    /// What subscribers sleep on.
    pub(crate) fn values_bell(&self) -> Bell<'a> {
        self.sleepers
    }

    /// What publishers sleep on.
    pub(crate) fn space_bell(&self) -> Bell<'a> {
        self.space
    }

    pub(crate) fn notifier(&self) -> Notifier<'a> {
        self.notifier
    }

    /// How many values are kept.
    #[must_use]
    pub fn capacity(&self) -> usize {
        by_word!(&self.core, core => core.log.capacity())
    }

    /// How many values are left, for one who subscribes from the oldest: a moment's value. Wait-free.
    #[must_use]
    pub fn len(&self) -> usize {
        by_word!(&self.core, core => core.log.len())
    }

    /// Whether nothing is left: nothing was ever published.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sequence number of the value that is published next: so many were published, modulo 2^64, or 2^32 with 4-byte words. A
    /// moment's value. Wait-free.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        by_word!(&self.core, core => core.log.next().wide())
    }

    /// The sequence number of the oldest value that is left; that of the next if there is none. A moment's value. Wait-free.
    #[must_use]
    pub fn oldest_sequence(&self) -> u64 {
        by_word!(&self.core, core => core.log.oldest(core.log.next()).wide())
    }

    /// Whether there is one publisher, who holds the role.
    #[must_use]
    pub fn has_single_publisher(&self) -> bool {
        self.one_publisher
    }

    /// Whether a value is overwritten only when all subscribers have taken it.
    #[must_use]
    pub fn has_backpressure(&self) -> bool {
        self.has_backpressure
    }
}

impl<T> Stream<'_, T> {
    /// Wakes publishers that wait for a subscriber. The caller has just moved its cursor, or left.
    #[inline(always)]
    fn tell_publishers(&self) {
        if self.has_backpressure {
            self.space.ring(&self.notifier);
        }
    }
}

fn prefix(
    geometry: Geometry,
    elem_size: u32,
    capacity: usize,
    options: StreamOptions,
) -> Option<Prefix> {
    let mut prefix = Prefix::new(Kind::STREAM, geometry, elem_size, rounded(capacity)?);
    prefix.extra = options.to_extra();
    Some(prefix)
}

/// How many values are left in the stream that begins `span`, for a view; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let layout = Layout::of(prefix).filter(|layout| layout.size <= span.len() as u64)?;
    let len = match prefix.geometry.ok()?.word() {
        WordSize::Four => Log::<u32>::at(span, &layout)?.len(),
        WordSize::Eight => Log::<Wide>::at(span, &layout)?.len(),
    };
    Some(len as u64)
}
