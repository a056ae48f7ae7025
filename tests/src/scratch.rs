//! Names of shared memory objects that vanish with the test.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A name like `/zeroipc-test-4711-0` that no other test uses. The object is unlinked when this is dropped, also when the
/// test fails.
#[derive(Debug)]
pub struct Scratch {
    name: String,
}

impl Scratch {
    /// A fresh name; creates nothing.
    #[must_use]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Relaxed);
        Scratch { name: format!("/zeroipc-test-{}-{count}", std::process::id()) }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // That it was never created, or is unlinked already, is fine.
        let _ = zeroipc::Memory::unlink(&self.name);
    }
}
