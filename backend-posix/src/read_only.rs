//! Memory that this process only looks at.

use crate::error::Error;
use crate::mapping::{file_len, len_from, Access, Mapping};
use crate::name::shm_path;
use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;
use std::fmt;
use std::path::Path;
use zeroipc_nostd::View;

/// A region mapped for reading only, by somebody who looks: no bug here can change what others share.
///
/// Needs no more than leave to read the file. As with [`Memory::open`](crate::Memory::open), a peer who may write to it
/// can shrink it while we look.
pub struct ReadOnlyMemory {
    /// Valid while `mapping` is; given out only for the life of a borrow of this.
    view: View<'static>,
    mapping: Mapping,
}

impl ReadOnlyMemory {
    /// Opens the region `name` for reading.
    ///
    /// # Errors
    /// As [`Memory::open`](crate::Memory::open).
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::open_at(&shm_path(name)?, OFlags::NOFOLLOW, 0)
    }

    /// Opens a region in an ordinary file for reading.
    ///
    /// # Errors
    /// As [`Memory::open`](crate::Memory::open).
    pub fn open_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_at(path.as_ref(), OFlags::empty(), 0)
    }

    /// Opens the region that begins at `offset` in a file, for reading.
    ///
    /// # Errors
    /// As [`Memory::open_within`](crate::Memory::open_within).
    pub fn open_within(path: impl AsRef<Path>, offset: u64) -> Result<Self, Error> {
        Self::open_at(path.as_ref(), OFlags::empty(), offset)
    }

    fn open_at(path: &Path, extra: OFlags, offset: u64) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | extra;
        let file = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))
            .map_err(Error::path("open the region"))?;
        let len = if offset == 0 { file_len(&file)? } else { len_from(&file, offset)? };
        let mapping = Mapping::within(&file, offset, len, Access::ReadOnly)?;
        // SAFETY: only a view is made of it, which never writes and is given out for the life of this memory only.
        let span = unsafe { mapping.span() }?;
        Ok(ReadOnlyMemory { view: View::open(span)?, mapping })
    }

    /// The region as it is there.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        self.view
    }

    /// Bytes of the region, as recorded at its creation.
    #[must_use]
    pub fn size(&self) -> usize {
        // Opening checked that no more is recorded than mapped.
        usize::try_from(self.view.size()).unwrap_or(self.mapping.len())
    }
}

impl<'a> From<&'a ReadOnlyMemory> for View<'a> {
    fn from(memory: &'a ReadOnlyMemory) -> Self {
        memory.view()
    }
}

impl fmt::Debug for ReadOnlyMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnlyMemory")
            .field("size", &self.size())
            .field("session", &self.view.session())
            .finish_non_exhaustive()
    }
}
