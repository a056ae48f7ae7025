//! Map: keys with values, many readers and writers, lock-free.
//!
//! W is the word size, L the line size, S the number of spares, N = `capacity` + `capacity` / 8 (rounded down) + 3S the number of slots. A size's alignment is
//! the largest power of two that divides it, but at most 8.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `MAP_` (`SET_`), `elem_size` = sizes of key and value together, `extra` = S, `capacity`, a power of two |
//! | 24 | 4 | size of a key |
//! | 28 | 4 | seed of the hash |
//! | A = 32 up to L | 4 | count of keys, signed |
//! | B = A + 4 up to L | 4 x (N / 32 rounded up) | bitmap of slots: 1 while somebody owns the slot |
//! | C = B + ... up to L | D x N | cells |
//!
//! | offset in a cell | bytes | field |
//! |---|---|---|
//! | 0 | W | head of a bucket, in the first `capacity` cells; 0 in the others |
//! | W | W | link of the slot |
//! | 2W up to the key's alignment | size of a key | key |
//! | after the key, up to the value's alignment | size of a value | value |
//!
//! D is the value's end, up to the largest of W and the two alignments. Initially everything from A on is 0. Bucket b of a key is the
//! hash of its bytes (`hash.rs`) modulo `capacity`; its *home slot* is slot b, taken first, so that most lookups touch one line.
//!
//! The words (heads and links) are in `word.rs`, the algorithm is in `list.rs`.

mod hash;
mod iter;
mod layout;
mod list;
mod word;

pub use self::iter::MapIter;
pub(crate) use self::layout::fill;
pub use self::layout::MapOptions;

use self::layout::{max_capacity, rounded, Layout, KEY_SIZE, SEED};
use self::list::{Change, List, Rank};
use crate::element::Element;
use crate::error::{MapError, StructureError};
use crate::geometry::{Geometry, WordSize};
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, open_or_create, Region};
use crate::sync::{by_word, ByWord, Wide};
use core::mem::size_of;
use core::sync::atomic::Ordering::{Relaxed, Release};

/// Keys with values, which any number of parties look up, insert, replace and remove at the same time. Lock-free.
///
/// Keys are compared by their bytes: `-0.0` and `0.0` are different keys, and a NaN is a key like any other. So are values by
/// [`Map::compare_exchange`].
///
/// A value is replaced at once: nobody finds the key absent in between, or half of the value. Removed keys leave nothing behind, so
/// lookups stay as fast as they were, however many keys come and go.
///
/// Looking ([`Map::get`], [`Map::contains_key`], [`Map::iter`]) never writes, and takes one pass over the few keys of one bucket
/// unless somebody changes that bucket meanwhile. A party that stops anywhere inside an operation holds up nobody; if it is killed
/// there, its change was made or not, and at most one slot is gone with it. Needs compare-and-exchange.
///
/// What a party did before it inserted a value is visible to whoever finds the value.
///
/// ```
/// use zeroipc_nostd::{Exchange, FormatOptions, Map, Region, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let prices = Map::<u32, f32>::create(region, "prices", 64)?;
/// assert_eq!(prices.insert(17, 2.5)?, None);
/// assert_eq!(prices.insert(17, 3.0)?, Some(2.5)); // replaced
/// assert_eq!(prices.get(&17)?, Some(3.0));
/// assert_eq!(prices.compare_exchange(&17, 3.0, 3.5)?, Exchange::Done);
/// assert_eq!(prices.update(&17, |price| price * 2.0)?, Some(3.5)); // now 7.0
/// assert_eq!(prices.get_or_insert(18, 1.0)?, 1.0);
///
/// let mut all: Vec<(u32, f32)> = prices.iter().collect::<Result<_, _>>()?;
/// all.sort_by_key(|(key, _)| *key);
/// assert_eq!(all, [(17, 7.0), (18, 1.0)]);
/// assert_eq!(prices.remove(&17)?, Some(7.0));
/// assert_eq!(prices.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Map<'a, K, V> {
    list: ByWord<List<'a, K, V, u32>, List<'a, K, V, Wide>>,
}

impl<K, V> Clone for Map<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Map<'_, K, V> {}

/// What came of a [`Map::compare_exchange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Exchange<V> {
    /// The value was the expected one and is the new one now.
    Done,
    /// The value is this, and not the expected one. Nothing was changed.
    Differs(V),
    /// The key is not there. Nothing was changed.
    Absent,
}

impl<'a, K: Element, V: Element> Map<'a, K, V> {
    /// Creates a map for at least `capacity` keys: the next power of two. With 8 spares: see [`Map::create_with`].
    ///
    /// Linear in the capacity, unless the region knows that its memory is fresh. Lock-free; a party that dies inside leaks
    /// at most the map's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a capacity of 0 or above the limit (2^18 with
    /// 4-byte words, 2^30 with 8-byte words, at most), a key or value of no size, a region without compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        Self::create_with(region, name, capacity, &MapOptions::new())
    }

    /// Creates a map with other spares or another seed.
    ///
    /// # Errors
    /// As [`Map::create`]; [`StructureError::BadCapacity`] also for an impossible number of spares.
    pub fn create_with(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
        options: &MapOptions,
    ) -> Result<Self, StructureError> {
        elem_size::<V>()?;
        Self::create_as(Kind::MAP, region.into(), name, capacity, options)
    }

    /// Opens a map.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, keys or values of another size, a corrupt structure, a region or target
    /// without compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        elem_size::<V>()?;
        Self::open_as(Kind::MAP, region.into(), name)
    }

    /// Opens the map, or creates it for at least `capacity` keys if there is none.
    ///
    /// # Errors
    /// As [`Map::open`] and [`Map::create`]; [`StructureError::WrongCapacity`] if it exists with another capacity.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        open_or_create(|| Self::open(region, name), || Self::create(region, name, capacity))?
            .with_capacity(name, capacity)
    }

    /// How many bytes a map of at least `capacity` keys takes in a region of this geometry; `None` if it is not possible.
    ///
    /// ```
    /// use zeroipc_nostd::{Geometry, Map, MapOptions};
    ///
    /// let small = MapOptions::new().spares(1);
    /// assert_eq!(Map::<u32, u32>::footprint(Geometry::SMALLEST, 4, &small), Some(48 + 7 * 16));
    /// ```
    #[must_use]
    pub fn footprint(geometry: Geometry, capacity: usize, options: &MapOptions) -> Option<u64> {
        elem_size::<V>().ok()?;
        Self::footprint_as(Kind::MAP, geometry, capacity, options)
    }

    /// The value of `key`, if it is there. Writes nothing.
    ///
    /// Lock-free: one pass over the keys of one bucket, and another for each time that somebody changed the bucket meanwhile.
    ///
    /// # Errors
    /// [`MapError::Contended`], [`MapError::Corrupt`].
    #[inline]
    pub fn get(&self, key: &K) -> Result<Option<V>, MapError> {
        by_word!(&self.list, list => list.look(key, |value| value.read(0)))
    }

    /// Whether `key` is there. As [`Map::get`], without reading the value.
    ///
    /// # Errors
    /// As [`Map::get`].
    #[inline]
    pub fn contains_key(&self, key: &K) -> Result<bool, MapError> {
        let found = by_word!(&self.list, list => list.look(key, |_| Some(())));
        found.map(|found| found.is_some())
    }

    /// Inserts `key` with `value`, or replaces its value, at once; returns the value that was replaced. Lock-free.
    ///
    /// A party that stops inside has up to two slots with it until it goes on.
    ///
    /// # Errors
    /// [`MapError::Full`] (never for a key that is there, while no more parties are inside than there are spares),
    /// [`MapError::Contended`], [`MapError::Corrupt`].
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Result<Option<V>, MapError> {
        by_word!(&self.list, list => list.change(&key, |_| Change::Put(value)))
    }

    /// The value of `key`, which is inserted with `value` if it is not there. Lock-free.
    ///
    /// # Errors
    /// As [`Map::insert`].
    pub fn get_or_insert(&self, key: K, value: V) -> Result<V, MapError> {
        self.insert_absent(&key, value).map(|there| there.unwrap_or(value))
    }

    /// The value of `key`, which is inserted with what `make` returns if it is not there. Lock-free, apart from `make`.
    ///
    /// `make` is called at most once, and its result dropped if another party inserts the key meanwhile.
    ///
    /// # Errors
    /// As [`Map::insert`].
    pub fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> Result<V, MapError> {
        match self.get(&key)? {
            Some(value) => Ok(value),
            None => self.get_or_insert(key, make()),
        }
    }

    /// Replaces the value of `key` by `new` if it is `expected`, byte by byte, at once. Lock-free.
    ///
    /// # Errors
    /// As [`Map::insert`].
    pub fn compare_exchange(&self, key: &K, expected: V, new: V) -> Result<Exchange<V>, MapError> {
        let is_expected = |value: &V| value.as_bytes() == expected.as_bytes();
        let exchange = |there: Option<&V>| match there {
            Some(value) if is_expected(value) => Change::Put(new),
            _ => Change::Keep,
        };
        Ok(match by_word!(&self.list, list => list.change(key, exchange))? {
            Some(value) if is_expected(&value) => Exchange::Done,
            Some(value) => Exchange::Differs(value),
            None => Exchange::Absent,
        })
    }

    /// Replaces the value of `key` by what `make` makes of it, at once; returns the value that was replaced, or `None` if the key
    /// is not there. Lock-free, apart from `make`.
    ///
    /// `make` is called again if another party changed the value meanwhile: no change is lost.
    ///
    /// # Errors
    /// As [`Map::insert`].
    pub fn update(&self, key: &K, mut make: impl FnMut(V) -> V) -> Result<Option<V>, MapError> {
        let mut put = |there: Option<&V>| match there {
            Some(value) => Change::Put(make(*value)),
            None => Change::Keep,
        };
        by_word!(&self.list, list => list.change(key, &mut put))
    }

    /// Removes `key`; returns its value. Lock-free.
    ///
    /// A party that stops inside has up to two slots with it until it goes on.
    ///
    /// # Errors
    /// [`MapError::Contended`], [`MapError::Corrupt`].
    #[inline]
    pub fn remove(&self, key: &K) -> Result<Option<V>, MapError> {
        by_word!(&self.list, list => list.change(key, |_| Change::Remove))
    }

    /// All keys with their values, in no order that means anything. Writes nothing; others may change the map meanwhile.
    ///
    /// Each key that is there all the time comes exactly once, also if its value is replaced meanwhile: with one that it had
    /// at some moment of the iteration. A key that is inserted or removed meanwhile comes once or not at all, and no key comes that was
    /// never there. The whole is not a snapshot: each item is true at its own moment.
    ///
    /// An item is an error where a peer wrote nonsense or never stops changing a bucket; it is the last.
    #[must_use]
    pub fn iter(&self) -> MapIter<'a, K, V> {
        MapIter::new(*self)
    }

    /// All keys: as [`Map::iter`].
    pub fn keys(&self) -> impl Iterator<Item = Result<K, MapError>> + 'a {
        self.iter().map(|item| item.map(|(key, _)| key))
    }

    /// All values: as [`Map::iter`].
    pub fn values(&self) -> impl Iterator<Item = Result<V, MapError>> + 'a {
        self.iter().map(|item| item.map(|(_, value)| value))
    }

    /// Removes the keys one by one. Those that others insert meanwhile may stay.
    ///
    /// # Errors
    /// [`MapError::Contended`], [`MapError::Corrupt`]: some keys may be left then.
    pub fn clear(&self) -> Result<(), MapError> {
        self.keys().try_for_each(|key| self.remove(&key?).map(drop))
    }

    /// How many keys are there: a moment's value. Wait-free.
    ///
    /// Never more than there are, and exact while nobody is inside an operation. Less by at most one for each party inside, or
    /// killed inside.
    #[must_use]
    pub fn len(&self) -> usize {
        by_word!(&self.list, list => list.len())
    }

    /// How many keys fit.
    ///
    /// One more may for each party that inserts at the same time as another takes the last place, or was killed inside.
    #[must_use]
    pub fn capacity(&self) -> usize {
        by_word!(&self.list, list => list.capacity())
    }

    /// Whether no keys are there: a moment's value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seed of the hash.
    #[must_use]
    pub fn seed(&self) -> u32 {
        by_word!(&self.list, list => list.seed())
    }

    /// Inserts `key` unless it is there; returns the value that is.
    pub(crate) fn insert_absent(&self, key: &K, value: V) -> Result<Option<V>, MapError> {
        let put = |there: Option<&V>| match there {
            Some(_) => Change::Keep,
            None => Change::Put(value),
        };
        by_word!(&self.list, list => list.change(key, put))
    }

    /// The first key of a bucket after `last`.
    fn after(
        &self,
        bucket: usize,
        last: Option<&Rank<K>>,
    ) -> Result<Option<(Rank<K>, V)>, MapError> {
        by_word!(&self.list, list => list.after(bucket, last))
    }
}

/// What a Map and a Set, which is a map to nothing, have in common.
impl<'a, K: Element, V: Element> Map<'a, K, V> {
    pub(crate) fn create_as(
        kind: Kind,
        region: Region<'a>,
        name: &str,
        capacity: usize,
        options: &MapOptions,
    ) -> Result<Self, StructureError> {
        let (key_size, both) = sizes::<K, V>()?;
        let geometry = region.geometry();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind });
        }
        let max = max_capacity(geometry, both);
        let (prefix, layout) = planned(kind, geometry, key_size, both, capacity, options)
            .ok_or(StructureError::BadCapacity { capacity: capacity as u64, min: 1, max })?;
        let fresh = region.view().table.record.zeroed;
        let seed = options.seed_or(region.session());
        region.create_structure(name, prefix, layout.size, |span| {
            span.word::<u32>(KEY_SIZE)?.store(key_size, Relaxed);
            span.word::<u32>(SEED)?.store(seed, Release);
            let zeros = SEED + 4;
            if fresh {
                return Some(zeros);
            }
            span.clear(zeros, layout.size - zeros);
            Some(layout.size)
        })?;
        Self::open_as(kind, region, name)
    }

    pub(crate) fn open_as(
        kind: Kind,
        region: Region<'a>,
        name: &str,
    ) -> Result<Self, StructureError> {
        let (key_size, both) = sizes::<K, V>()?;
        let found = region.open_structure(name, kind, both)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind });
        }
        let span = found.span;
        let corrupt = found.corrupt("its capacity, spares or size of a key");
        let recorded = span.word::<u32>(KEY_SIZE).ok_or(corrupt)?.load(Relaxed);
        let layout = Layout::of(&found.prefix, recorded).ok_or(corrupt)?;
        if recorded != key_size {
            let (expected, name) = (key_size, found.name);
            return Err(StructureError::WrongKeySize { name, expected, found: recorded });
        }
        let seed = span.word::<u32>(SEED).ok_or(corrupt)?.load(Relaxed);
        let list = match found.geometry.word() {
            WordSize::Four => ByWord::W4(List::at(span, &layout, seed).ok_or(corrupt)?),
            WordSize::Eight => {
                List::at(span, &layout, seed).and_then(ByWord::wide).ok_or(corrupt)?
            }
        };
        Ok(Map { list })
    }

    /// This one, if it has the capacity that was asked for.
    pub(crate) fn with_capacity(self, name: &str, capacity: usize) -> Result<Self, StructureError> {
        let found = self.capacity() as u64;
        if rounded(capacity) == Some(found) {
            return Ok(self);
        }
        let name = crate::Name::new(name)?;
        Err(StructureError::WrongCapacity { name, expected: capacity as u64, found })
    }

    pub(crate) fn footprint_as(
        kind: Kind,
        geometry: Geometry,
        capacity: usize,
        options: &MapOptions,
    ) -> Option<u64> {
        let (key_size, both) = sizes::<K, V>().ok()?;
        planned(kind, geometry, key_size, both, capacity, options).map(|(_, layout)| layout.size)
    }
}

/// The size of a key, and of a key and a value together.
fn sizes<K: Element, V>() -> Result<(u32, u32), StructureError> {
    let key_size = elem_size::<K>()?;
    let both = size_of::<K>().saturating_add(size_of::<V>());
    match u32::try_from(both) {
        Ok(both) if both <= 1 << 30 => Ok((key_size, both)),
        _ => Err(StructureError::ElementTooLarge { size: both }),
    }
}

/// Prefix and layout of a new one; `None` if it is not possible.
fn planned(
    kind: Kind,
    geometry: Geometry,
    key_size: u32,
    both: u32,
    capacity: usize,
    options: &MapOptions,
) -> Option<(Prefix, Layout)> {
    let mut prefix = Prefix::new(kind, geometry, both, rounded(capacity)?);
    prefix.extra = options.spares_or_default();
    let layout = Layout::of(&prefix, key_size)?;
    Some((prefix, layout))
}
