//! Array: a fixed number of elements that anybody loads and stores.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `ARRY`, `capacity` = number of elements |
//! | 24 rounded up to the line size | `elem_size` x `capacity` | the elements, packed, all zero at creation |
//!
//! An element of 1, 2, 4 or 8 bytes is loaded and stored by one atomic access (8 where the target has 64-bit atomics).
//! Any other is moved word by word, in the widest word that its size is a multiple of, and may be seen half-written.
//! Numbers can also be updated in place, each by one atomic read-modify-write (`update.rs`), and many elements can be
//! moved at once (`bulk.rs`): each of them as if on its own.

mod bulk;
mod raw;
mod update;

pub use raw::Elements;
pub use update::{Integer, Number};

use crate::element::Element;
use crate::error::{IndexOutOfBounds, StructureError};
use crate::geometry::{align_up, Geometry};
use crate::prefix::{Kind, Prefix, PREFIX_BYTES};
use crate::region::{elem_size, open_or_create, Region};
use crate::sync::{Shared, Span};
use crate::table::block_bytes;

/// A fixed number of elements that anybody loads and stores, at any time.
///
/// Loads and stores, of one element or many, need nothing else of the memory. Updating a number in place
/// ([`Array::fetch_add`] and its like) needs compare-and-exchange; whether there is one is known when the array is opened,
/// and where there is none the update is refused ([`UpdateError::NeedsCas`](crate::UpdateError::NeedsCas)).
///
/// ```
/// use zeroipc_nostd::{Array, FormatOptions, Region, Span};
///
/// # let mut memory = vec![0_u64; 2048];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let temperature = Array::<f32>::create(region, "temperature", 1000)?;
/// temperature.store(5, 21.5)?;
///
/// let elsewhere = Array::<f32>::open(region, "temperature")?;
/// assert_eq!(elsewhere.load(5)?, 21.5);
/// assert_eq!(elsewhere.len(), 1000);
/// assert!(elsewhere.load(1000).is_err());
///
/// // Many at once, and in place.
/// elsewhere.write_from(0, &[20.0, 20.5, 21.0])?;
/// assert_eq!(temperature.fetch_max(1, 30.0)?, 20.5);
/// assert!(temperature.iter().take(3).eq([20.0, 30.0, 21.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Array<'a, T> {
    elements: Shared<'a, T>,
    /// Whether this party and the region both have compare-and-exchange.
    cas: bool,
}

impl<T> Clone for Array<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Array<'_, T> {}

impl<'a, T: Element> Array<'a, T> {
    /// Creates an array of `len` elements, all zero.
    ///
    /// Linear in `len`, unless the region knows that its memory is fresh. Lock-free; a party that dies inside leaks at
    /// most the array's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, no length, an element of no size.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        len: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let elem_size = elem_size::<T>()?;
        let geometry = region.geometry();
        let capacity = len as u64;
        let (data, size) =
            extent(geometry, elem_size, capacity).ok_or(StructureError::BadCapacity {
                capacity,
                min: 1,
                max: isize::MAX as u64 / u64::from(elem_size),
            })?;
        let prefix = Prefix::new(Kind::ARRAY, geometry, elem_size, capacity);
        let fresh = region.view().table.record.zeroed;
        region.create_structure(name, prefix, size, |span| {
            if fresh {
                return Some(PREFIX_BYTES);
            }
            span.clear(data, size - data);
            Some(size)
        })?;
        Self::open(region, name)
    }

    /// Opens an array.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::ARRAY, elem_size::<T>()?)?;
        let capacity = found.prefix.capacity;
        let len = usize::try_from(capacity).map_err(|_| found.corrupt("its capacity"))?;
        // Checks that the whole array lies inside the entry's size.
        let elements = extent(found.geometry, found.prefix.elem_size, capacity)
            .and_then(|(data, _)| found.span.shared(data, len))
            .ok_or(found.corrupt("its capacity"))?;
        Ok(Array { elements, cas: region.has_cas() })
    }

    /// Opens the array, or creates it with `len` elements if there is none.
    ///
    /// # Errors
    /// As [`Array::open`] and [`Array::create`]; [`StructureError::WrongCapacity`] if it exists with another length.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        len: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let array =
            open_or_create(|| Self::open(region, name), || Self::create(region, name, len))?;
        if array.len() != len {
            return Err(StructureError::WrongCapacity {
                name: crate::Name::new(name)?,
                expected: len as u64,
                found: array.len() as u64,
            });
        }
        Ok(array)
    }

    /// How many bytes an array of `len` elements takes in a region at most; `None` if there can't be one.
    ///
    /// The exact number depends on where its block starts on a line. The sum over all structures, and the table, is what a
    /// region needs.
    #[must_use]
    pub fn footprint(geometry: Geometry, len: usize) -> Option<u64> {
        let (_, size) = extent(geometry, elem_size::<T>().ok()?, len as u64)?;
        block_bytes(geometry, size)
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.count()
    }

    /// Always false: an array has at least one element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loads an element, with acquire: what its writer did before storing it is visible afterwards.
    ///
    /// Wait-free. A writer stopped inside a store holds up nobody; of an element that is not 1, 2, 4 or 8 bytes, a
    /// part of its old and a part of its new value may then be seen.
    ///
    /// # Errors
    /// [`IndexOutOfBounds`].
    #[inline]
    pub fn load(&self, index: usize) -> Result<T, IndexOutOfBounds> {
        self.elements.load(index).ok_or(IndexOutOfBounds { index, len: self.len() })
    }

    /// Stores an element, with release. Wait-free.
    ///
    /// # Errors
    /// [`IndexOutOfBounds`].
    #[inline]
    pub fn store(&self, index: usize, value: T) -> Result<(), IndexOutOfBounds> {
        if self.elements.store(index, &value) {
            Ok(())
        } else {
            Err(IndexOutOfBounds { index, len: self.len() })
        }
    }

    /// All elements in order, each loaded as by [`Array::load`] when the iterator comes to it.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = T> + ExactSizeIterator + 'a {
        let elements = self.elements;
        // Every index is good, so what stands in for a bad one is never seen.
        (0..self.len()).map(move |index| elements.load(index).unwrap_or_else(T::new_zeroed))
    }
}

/// How many elements the array that begins `span` has, for a view; `None` if they do not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let (_, size) = extent(prefix.geometry.ok()?, prefix.elem_size, prefix.capacity)?;
    (prefix.elem_size > 0 && size <= span.len() as u64).then_some(prefix.capacity)
}

/// Where the elements start and end; `None` if there are none or more than a pointer can reach.
fn extent(geometry: Geometry, elem_size: u32, capacity: u64) -> Option<(u64, u64)> {
    let data = align_up(PREFIX_BYTES, u64::from(geometry.line_bytes()))?;
    let bytes = capacity.checked_mul(u64::from(elem_size))?;
    let size = data.checked_add(bytes)?;
    (capacity > 0 && bytes <= isize::MAX as u64).then_some((data, size))
}
