//! An array's elements as bytes, for a party that looks without knowing their type.

use super::{extent, fill};
use crate::error::IndexOutOfBounds;
use crate::prefix::Prefix;
use crate::sync::{Raw, Span};

/// How often an element is copied before it counts as never at rest.
const LOOKS: u32 = 16;

/// The elements of an [`Array`](crate::Array) of whatever type, as bytes: [`View::elements`](crate::View::elements).
#[derive(Debug, Clone, Copy)]
pub struct Elements<'a> {
    raw: Raw<'a>,
}

impl<'a> Elements<'a> {
    /// `None` if the array does not fit into `span`.
    pub(crate) fn new(span: Span<'a>, prefix: &Prefix) -> Option<Self> {
        let len = usize::try_from(fill(span, prefix)?).ok()?;
        let (data, _) = extent(prefix.geometry.ok()?, prefix.elem_size, prefix.capacity)?;
        let size = prefix.elem_size as usize;
        Some(Elements { raw: span.raw(data, size, len, size)? })
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.count()
    }

    /// Always false: an array has at least one element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of an element.
    #[must_use]
    pub fn elem_size(&self) -> usize {
        self.raw.size()
    }

    /// Copies element `index` into the first bytes of `value`, or as many of its first bytes as fit. Wait-free.
    ///
    /// An element of 1, 2, 4 or 8 bytes is one value that somebody stored (of 8 bytes, where the target has 64-bit atomics). Any
    /// other may be seen half-written, as by every reader of an array. It is then copied until two copies in a row agree, at most
    /// 16 times: false if they never did.
    ///
    /// # Errors
    /// [`IndexOutOfBounds`].
    pub fn read(&self, index: usize, value: &mut [u8]) -> Result<bool, IndexOutOfBounds> {
        let size = self.elem_size();
        let one_access =
            size <= if cfg!(target_has_atomic = "64") { 8 } else { 4 } && size.is_power_of_two();
        for _ in 0..LOOKS {
            if !self.raw.read(index, value) {
                return Err(IndexOutOfBounds { index, len: self.len() });
            }
            if one_access || self.raw.matches(index, value) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
