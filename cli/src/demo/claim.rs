//! The demo's region: who may have it.
//!
//! Whoever holds the lock (`flock`) on the file that stands under the name owns the region. The kernel drops the lock when
//! its holder dies, however that happens; so a region without a lock is left over and may be replaced.

use super::layout::{CONTROL, REGION_BYTES};
use crate::outcome::Failure;
use crate::target::Target;
use rustix::fs::{flock, FlockOperation};
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use zeroipc::{Error, Kind, Memory, ReadOnlyMemory};

/// How often the region may come and go under us before that is somebody's mistake.
const TURNS: u32 = 16;

/// A region that is ours; removed when dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    name: String,
    memory: Memory,
    /// Keeps the lock.
    _lock: File,
    /// Whether a left-over region was replaced.
    pub(crate) replaced: bool,
}

impl Claim {
    /// Creates the region `name`, in place of one that a dead demo left.
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        let target = Target::named(name);
        if !target.is_shared() {
            return Err(Failure::Error(format!("{name}: give a name such as /zeroipc-demo")));
        }
        let name = target.name();
        let mut replaced = false;
        for _ in 0..TURNS {
            let created = match Memory::create(name, REGION_BYTES) {
                Ok(_) => true,
                Err(Error::Exists) => false,
                Err(error) => return Err(Failure::region(name, error)),
            };
            let lock = match target.open_bytes() {
                Ok(file) => file,
                // Removed in between.
                Err(Failure::No(_)) => continue,
                Err(Failure::Error(message)) => {
                    return Err(Failure::Error(format!("{message}; choose another with --name")))
                }
                Err(failure) => return Err(failure),
            };
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(Failure::Error(format!(
                        "{name}: a demo is running already; look into it with `zeroipc-inspect show {name}`, or start another with --name"
                    )))
                }
                Err(error) => return Err(Failure::Error(format!("{name}: {error}"))),
            }
            // From here on nobody else who goes by the lock touches the file, if it still is the one under the name.
            if !is_under_name(&lock, &target)? {
                continue;
            }
            if created {
                let memory = Memory::open(name).map_err(|error| Failure::region(name, error))?;
                return Ok(Claim { name: name.to_owned(), memory, _lock: lock, replaced });
            }
            if !is_demo(name) {
                return Err(Failure::Error(format!(
                    "{name}: exists and is not a demo's; choose another with --name"
                )));
            }
            remove(name)?;
            replaced = true;
        }
        Err(Failure::Error(format!("{name}: somebody removes it again and again")))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = Memory::unlink(&self.name);
    }
}

fn remove(name: &str) -> Result<(), Failure> {
    match Memory::unlink(name) {
        Ok(()) | Err(Error::NotFound) => Ok(()),
        Err(error) => Err(Failure::region(name, error)),
    }
}

fn is_under_name(file: &File, target: &Target) -> Result<bool, Failure> {
    let identity = |file: &File| {
        let data = file.metadata().map_err(Failure::error)?;
        Ok((data.dev(), data.ino()))
    };
    match target.open_bytes() {
        Ok(found) => Ok(identity(&found)? == identity(file)?),
        Err(Failure::No(_)) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Whether the region begins as every demo's does, so that nobody else's is ever removed.
fn is_demo(name: &str) -> bool {
    let Ok(memory) = ReadOnlyMemory::open(name) else { return false };
    let view = memory.view();
    let first = view.entries().flatten().find(|entry| !entry.name.is_reserved());
    first.is_some_and(|entry| {
        let is_array = view.inspect(&entry).is_ok_and(|info| info.kind == Kind::ARRAY);
        entry.name.as_str() == CONTROL && is_array && view.size() == REGION_BYTES as u64
    })
}
