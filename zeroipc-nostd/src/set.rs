//! Set: keys, many readers and writers, lock-free.
//!
//! The layout is that of a [`Map`](crate::Map) whose values have no size, with kind `SET_`; so are the words and the algorithm.

use crate::element::Element;
use crate::error::{MapError, StructureError};
use crate::geometry::Geometry;
use crate::map::{Map, MapIter, MapOptions};
use crate::prefix::Kind;
use crate::region::{open_or_create, Region};

/// Keys, which any number of parties look up, insert and remove at the same time. Lock-free.
///
/// Keys are compared by their bytes: `-0.0` and `0.0` are different keys, and a NaN is a key like any other.
///
/// Looking ([`Set::contains`], [`Set::iter`]) never writes, and takes one pass over the few keys of one bucket unless somebody
/// changes that bucket meanwhile. A party that stops anywhere inside an operation holds up nobody; if it is killed there, its
/// change was made or not, and at most one slot is gone with it. Needs compare-and-exchange.
///
/// What a party did before it inserted a key is visible to whoever finds the key.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Region, Set, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let seen = Set::<[u8; 6]>::create(region, "seen", 64)?;
/// let address = [2, 0, 0, 0, 0, 1];
/// assert!(seen.insert(address)?);
/// assert!(!seen.insert(address)?, "it was there");
/// assert!(seen.contains(&address)?);
/// assert!(seen.remove(&address)?);
/// assert!(seen.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Set<'a, T> {
    map: Map<'a, T, ()>,
}

impl<T> Clone for Set<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Set<'_, T> {}

impl<'a, T: Element> Set<'a, T> {
    /// Creates a set for at least `capacity` keys: the next power of two. With 8 spares: see [`Set::create_with`].
    ///
    /// Linear in the capacity, unless the region knows that its memory is fresh. Lock-free; a party that dies inside leaks
    /// at most the set's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a capacity of 0 or above the limit (2^18 with
    /// 4-byte words, 2^30 with 8-byte words, at most), a key of no size, a region without compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        Self::create_with(region, name, capacity, &MapOptions::new())
    }

    /// Creates a set with other spares or another seed.
    ///
    /// # Errors
    /// As [`Set::create`]; [`StructureError::BadCapacity`] also for an impossible number of spares.
    pub fn create_with(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
        options: &MapOptions,
    ) -> Result<Self, StructureError> {
        Map::create_as(Kind::SET, region.into(), name, capacity, options).map(|map| Set { map })
    }

    /// Opens a set.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, keys of another size, a corrupt structure, a region or target without
    /// compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        Map::open_as(Kind::SET, region.into(), name).map(|map| Set { map })
    }

    /// Opens the set, or creates it for at least `capacity` keys if there is none.
    ///
    /// # Errors
    /// As [`Set::open`] and [`Set::create`]; [`StructureError::WrongCapacity`] if it exists with another capacity.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let set =
            open_or_create(|| Self::open(region, name), || Self::create(region, name, capacity))?;
        set.map.with_capacity(name, capacity).map(|map| Set { map })
    }

    /// How many bytes a set of at least `capacity` keys takes in a region of this geometry; `None` if it is not possible.
    #[must_use]
    pub fn footprint(geometry: Geometry, capacity: usize, options: &MapOptions) -> Option<u64> {
        Map::<T, ()>::footprint_as(Kind::SET, geometry, capacity, options)
    }

    /// Whether `key` is there. Writes nothing.
    ///
    /// Lock-free: one pass over the keys of one bucket, and another for each time that somebody changed the bucket meanwhile.
    ///
    /// # Errors
    /// [`MapError::Contended`], [`MapError::Corrupt`].
    #[inline]
    pub fn contains(&self, key: &T) -> Result<bool, MapError> {
        self.map.contains_key(key)
    }

    /// Inserts `key`; returns whether it was not there. Lock-free.
    ///
    /// A party that stops inside has up to two slots with it until it goes on.
    ///
    /// # Errors
    /// [`MapError::Full`], [`MapError::Contended`], [`MapError::Corrupt`].
    #[inline]
    pub fn insert(&self, key: T) -> Result<bool, MapError> {
        self.map.insert_absent(&key, ()).map(|there| there.is_none())
    }

    /// Removes `key`; returns whether it was there. Lock-free.
    ///
    /// A party that stops inside has up to two slots with it until it goes on.
    ///
    /// # Errors
    /// [`MapError::Contended`], [`MapError::Corrupt`].
    #[inline]
    pub fn remove(&self, key: &T) -> Result<bool, MapError> {
        self.map.remove(key).map(|there| there.is_some())
    }

    /// All keys, in no order that means anything. Writes nothing; others may change the set meanwhile.
    ///
    /// Each key that is there all the time comes exactly once. A key that is inserted or removed meanwhile comes once or not at
    /// all, and no key comes that was never there.
    ///
    /// An item is an error where a peer wrote nonsense or never stops changing a bucket; it is the last.
    #[must_use]
    pub fn iter(&self) -> SetIter<'a, T> {
        SetIter { keys: self.map.iter() }
    }

    /// Removes the keys one by one. Those that others insert meanwhile may stay.
    ///
    /// # Errors
    /// [`MapError::Contended`], [`MapError::Corrupt`]: some keys may be left then.
    pub fn clear(&self) -> Result<(), MapError> {
        self.map.clear()
    }

    /// How many keys are there: a moment's value. Wait-free.
    ///
    /// Never more than there are, and exact while nobody is inside an operation. Less by at most one for each party inside, or
    /// killed inside.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// How many keys fit.
    ///
    /// One more may for each party that inserts at the same time as another takes the last place, or was killed inside.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.map.capacity()
    }

    /// Whether no keys are there: a moment's value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The seed of the hash.
    #[must_use]
    pub fn seed(&self) -> u32 {
        self.map.seed()
    }
}

/// The iterator of [`Set::iter`].
#[derive(Debug, Clone)]
pub struct SetIter<'a, T> {
    keys: MapIter<'a, T, ()>,
}

impl<T: Element> Iterator for SetIter<'_, T> {
    type Item = Result<T, MapError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.keys.next().map(|item| item.map(|(key, ())| key))
    }
}

impl<T: Element> core::iter::FusedIterator for SetIter<'_, T> {}
