//! A loan: the exclusive use of one slot.

use super::{Handle, Pool};
use crate::element::Element;
use crate::error::IndexOutOfBounds;
use core::fmt;
use core::mem::size_of;

/// One slot of a [`Pool`], for its holder alone. Dropping it gives the slot back and wakes one who waits for a slot.
///
/// What `write`, `read` and their kin do is always defined: correct peers leave the slot alone, and a wrong or hostile one can
/// only spoil the data. Giving back is wait-free.
#[must_use = "dropping a loan gives its slot back"]
pub struct Loan<'p, T: Element> {
    pool: &'p Pool<'p, T>,
    slot: usize,
}

impl<T: Element> fmt::Debug for Loan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("index", &self.slot).finish_non_exhaustive()
    }
}

impl<'p, T: Element> Loan<'p, T> {
    /// The caller has just become the owner of `slot`.
    #[inline(always)]
    pub(super) fn new(pool: &'p Pool<'p, T>, slot: usize) -> Self {
        Loan { pool, slot }
    }

    /// Which slot it is, below the pool's capacity.
    #[must_use]
    pub fn index(&self) -> usize {
        self.slot
    }

    /// Writes the slot's value.
    #[inline]
    pub fn write(&mut self, value: T) {
        self.pool.slots.write(self.slot, &value);
    }

    /// Reads the slot's value: what was written last, by whomever; after [`Pool::try_alloc`] whatever was left there.
    #[must_use]
    #[inline]
    pub fn read(&self) -> T {
        // There is a slot for every loan; zeros stand for the case that cannot be.
        self.pool.slots.read(self.slot).unwrap_or_else(T::new_zeroed)
    }

    /// Copies `bytes` into the slot, from its byte `offset` on: for payload whose length varies.
    ///
    /// # Errors
    /// [`IndexOutOfBounds`], with the end that would be reached, if they do not fit; nothing is written then.
    pub fn write_bytes(&mut self, offset: usize, bytes: &[u8]) -> Result<(), IndexOutOfBounds> {
        let written = self.pool.slots.write_bytes(self.slot, offset, bytes);
        written.then_some(()).ok_or_else(|| beyond::<T>(offset, bytes.len()))
    }

    /// Copies bytes of the slot, from its byte `offset` on, into `bytes`.
    ///
    /// # Errors
    /// [`IndexOutOfBounds`], with the end that would be reached, if there are not so many; `bytes` is untouched then.
    pub fn read_bytes(&self, offset: usize, bytes: &mut [u8]) -> Result<(), IndexOutOfBounds> {
        let len = bytes.len();
        let read = self.pool.slots.read_bytes(self.slot, offset, bytes);
        read.then_some(()).ok_or_else(|| beyond::<T>(offset, len))
    }

    /// Turns the loan into a handle, to be sent to whoever shall have the slot. Wait-free.
    ///
    /// What this party did with the slot is visible to whoever takes it over. From here on the slot belongs to nobody until
    /// [`Pool::from_handle`]: it survives the death of this party.
    #[must_use = "a handle that is thrown away keeps its slot taken"]
    #[inline]
    pub fn into_handle(self) -> Handle {
        let handle = self.pool.send(self.slot);
        core::mem::forget(self);
        handle
    }
}

#[cfg(not(loom))]
impl<T: Element> Loan<'_, T> {
    /// The slot's value in place, to read; `None` if the slot does not lie at a multiple of the alignment of `T`.
    ///
    /// It does for every `T` of alignment 8 or less. More (a `u128`, say) depends on where the region lies in memory and on the
    /// pool's line size.
    ///
    /// # Safety
    /// While the reference lives, nobody writes the slot. Correct peers do not, since the slot is on loan here; so the contract is
    /// that *all* parties that can write the region are correct, and none of them thinks that this party is dead. If one
    /// writes nevertheless, that is a data race: undefined behaviour in this program, not just wrong data. Where peers are
    /// not trusted, use [`Loan::read`] or [`Loan::read_bytes`].
    #[must_use]
    pub unsafe fn as_ref(&self) -> Option<&T> {
        let pointer = self.pool.slots.address(self.slot)?;
        // SAFETY: `address` gives a pointer to a slot of `size_of::<T>()` bytes inside the region, aligned for `T`; any bytes
        // make a valid `T` (`T: FromBytes`); nobody writes it meanwhile (contract), and the result borrows the loan.
        Some(unsafe { pointer.as_ref() })
    }

    /// The slot's value in place, to read and write; `None` as for [`Loan::as_ref`].
    ///
    /// # Safety
    /// As [`Loan::as_ref`]; and nobody reads the slot either while the reference lives, which only an inspector of the
    /// region's bytes does ([`View::read_bytes`](crate::View::read_bytes), a dump).
    #[must_use]
    pub unsafe fn as_mut(&mut self) -> Option<&mut T> {
        let mut pointer = self.pool.slots.address(self.slot)?;
        // SAFETY: as in `as_ref`; nobody else accesses the slot (contract), and the result borrows the loan mutably.
        Some(unsafe { pointer.as_mut() })
    }
}

impl<T: Element> Drop for Loan<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.pool.give_back(self.slot);
    }
}

#[cold]
fn beyond<T>(offset: usize, len: usize) -> IndexOutOfBounds {
    IndexOutOfBounds { index: offset.saturating_add(len), len: size_of::<T>() }
}
