//! A cell in this party's own memory, shared between its threads and interrupts by a protocol of its user.

#[cfg(not(loom))]
use core::cell::UnsafeCell;
#[cfg(loom)]
use loom::cell::UnsafeCell;

/// Maybe a value; in the model a race on it is found.
pub(crate) struct PrivateCell<T>(UnsafeCell<Option<T>>);

// SAFETY: values are only moved in and out, by one thread at a time (contract of `replace`), so they are sent.
unsafe impl<T: Send> Sync for PrivateCell<T> {}
// SAFETY: it owns its value.
unsafe impl<T: Send> Send for PrivateCell<T> {}

impl<T> PrivateCell<T> {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        PrivateCell(UnsafeCell::new(None))
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        PrivateCell(UnsafeCell::new(None))
    }

    /// Puts `value` in and returns what was there.
    ///
    /// # Safety
    /// Nobody else accesses the cell during this call, and what others did before happens before it.
    pub(crate) unsafe fn replace(&self, value: Option<T>) -> Option<T> {
        #[cfg(not(loom))]
        // SAFETY: the pointer is valid, and the access exclusive (contract).
        return unsafe { self.0.get().replace(value) };
        #[cfg(loom)]
        self.0.with_mut(|cell| {
            // SAFETY: as above; loom has checked it.
            unsafe { cell.replace(value) }
        })
    }
}
