//! Names and files that are gone when a test ends, however it ends.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use zeroipc_posix::Memory;

/// A name for a region that nobody else uses.
pub(crate) struct Scratch(pub(crate) String);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Relaxed);
        Scratch(format!("/zeroipc-posix-test-{}-{count}", std::process::id()))
    }

    /// The file behind it, for tests that do to it what should not be done.
    #[allow(dead_code)] // each binary of tests has its own copy of this module, and not all look at files
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/shm{}", self.0))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Memory::unlink(&self.0);
    }
}
