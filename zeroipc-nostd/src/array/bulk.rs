//! Many elements at once: copied, or used where they are.

use super::Array;
use crate::element::Element;
use crate::error::IndexOutOfBounds;
use core::mem::size_of;

impl<'a, T: Element> Array<'a, T> {
    /// Loads the elements from `start` on into `values`, as many as there is room for.
    ///
    /// Each element is loaded as by [`Array::load`], with acquire; all of them are not one moment's state. Wait-free,
    /// linear in their number, and a few times faster than one by one.
    ///
    /// ```
    /// # use zeroipc_nostd::{Array, FormatOptions, Region, Span};
    /// # let mut memory = vec![0_u64; 1024];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// # let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
    /// let levels = Array::<u16>::create(region, "levels", 100)?;
    /// levels.write_from(40, &[1, 2, 3])?;
    /// let mut some = [0; 5];
    /// levels.read_into(39, &mut some)?;
    /// assert_eq!(some, [0, 1, 2, 3, 0]);
    /// assert!(levels.read_into(96, &mut some).is_err()); // there are only 4
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`IndexOutOfBounds`], with the last index, if there are not so many; then `values` is not changed.
    #[inline]
    pub fn read_into(&self, start: usize, values: &mut [T]) -> Result<(), IndexOutOfBounds> {
        if self.elements.read_into(start, values) {
            Ok(())
        } else {
            Err(self.beyond(start, values.len()))
        }
    }

    /// Stores `values` from `start` on.
    ///
    /// Each element is stored as by [`Array::store`], with release; others may see some of them and not yet the rest, and a
    /// party killed inside has stored some. Wait-free, linear in their number.
    ///
    /// # Errors
    /// [`IndexOutOfBounds`], with the last index, if they do not fit; then nothing is stored.
    #[inline]
    pub fn write_from(&self, start: usize, values: &[T]) -> Result<(), IndexOutOfBounds> {
        if self.elements.write_from(start, values) {
            Ok(())
        } else {
            Err(self.beyond(start, values.len()))
        }
    }

    /// Stores `value` in every element, from the first to the last, each as by [`Array::store`]. Wait-free, linear.
    pub fn fill(&self, value: T) {
        // Elements of less than 8 bytes are stored faster side by side.
        if size_of::<T>() < 8 {
            return self.fill_by_blocks(value);
        }
        for index in 0..self.len() {
            self.elements.store(index, &value);
        }
    }

    /// In a function of its own, so that no large element is ever repeated on the stack.
    fn fill_by_blocks(&self, value: T) {
        const BLOCK: usize = 128;
        let block = [value; BLOCK];
        let mut start = 0;
        while start < self.len() {
            let len = BLOCK.min(self.len() - start);
            self.elements.write_from(start, block.get(..len).unwrap_or_default());
            start += len;
        }
    }

    /// All elements where they are, without a copy. `None` if they are not aligned for a `T`, which only happens to types
    /// whose alignment is greater than 8, or greater than the largest power of two that divides their size.
    ///
    /// # Safety
    /// As long as the slice is in use, no party may write any of the elements: no peer in another process or on another
    /// core, and nobody in this program, through this handle or another. How the parties agree on that is up to them; the
    /// array does not know of it. The slice must not be used after what keeps the region mapped is gone, which its
    /// lifetime sees to.
    #[cfg(not(loom))]
    #[must_use]
    pub unsafe fn as_slice(&self) -> Option<&'a [T]> {
        let slice = self.elements.as_raw_slice(0, self.len())?;
        // SAFETY: `as_raw_slice` gives aligned elements inside the span, valid for `'a`, and any bytes are a valid `T`; by
        // the contract nobody writes them meanwhile.
        Some(unsafe { slice.as_ref() })
    }

    /// All elements where they are, to be changed without a copy. `None` as for [`Array::as_slice`].
    ///
    /// # Safety
    /// As long as the slice is in use, no party may read or write any of the elements by any other way: no peer in another
    /// process or on another core, and nobody in this program, through this handle or another. What is written through the
    /// slice becomes visible to others by whatever the parties agree by, which must be a release on this side and an
    /// acquire on theirs.
    #[cfg(not(loom))]
    #[must_use]
    #[allow(clippy::mut_from_ref)] // handles are copies of each other: exclusion is the caller's promise, not `&mut self`
    pub unsafe fn as_mut_slice(&self) -> Option<&'a mut [T]> {
        let mut slice = self.elements.as_raw_slice(0, self.len())?;
        // SAFETY: as in `as_slice`, and by the contract nobody else accesses them meanwhile.
        Some(unsafe { slice.as_mut() })
    }

    #[cold]
    fn beyond(&self, start: usize, len: usize) -> IndexOutOfBounds {
        IndexOutOfBounds { index: start.saturating_add(len.saturating_sub(1)), len: self.len() }
    }
}
