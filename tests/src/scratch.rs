//! Names of shared memory objects, and folders, that vanish with the test.

use std::path::{Path, PathBuf};
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

/// An empty folder that goes with the test, with all that is in it, also when the test fails.
#[derive(Debug)]
pub struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Creates it, among the system's temporary files; `what` becomes a part of its name, and differs between the tests of a process.
    ///
    /// # Panics
    /// If it cannot be created.
    #[must_use]
    pub fn new(what: &str) -> Self {
        let name = format!("zeroipc-{what}-{}", std::process::id());
        let folder = ScratchFolder(std::env::temp_dir().join(name));
        std::fs::create_dir(&folder.0).expect("a folder");
        folder
    }

    /// Where `file` of it is.
    #[must_use]
    pub fn file(&self, file: &str) -> PathBuf {
        self.path().join(file)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
