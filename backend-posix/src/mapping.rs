//! A file's bytes in our address space: the only place that maps and unmaps.

use crate::error::Error;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::FileType;
use rustix::io::{retry_on_intr, Errno};
use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::ffi::c_void;
use std::ptr::NonNull;
use zeroipc_nostd::{RegionError, Span, View};

/// What a mapping is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

/// Mapped memory; unmapped on drop.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<c_void>,
    /// What the owner asked for; the system maps whole pages.
    len: usize,
    access: Access,
}

// SAFETY: the mapping belongs to the process, not to a thread, and this type never accesses the memory itself.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing is changed through a shared reference.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `file`, shared with all others who map it.
    pub(crate) fn new(file: &OwnedFd, len: usize, access: Access) -> Result<Self, Error> {
        Self::within(file, 0, len, access)
    }

    /// Maps `len` bytes of `file` from `offset` on, a multiple of the page size.
    pub(crate) fn within(
        file: &OwnedFd,
        offset: u64,
        len: usize,
        access: Access,
    ) -> Result<Self, Error> {
        let protection = match access {
            Access::ReadOnly => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        // No bytes cannot be mapped; a page in their place lies beyond the file's end and is never touched.
        let whole = len.max(1);
        let null = std::ptr::null_mut();
        // SAFETY: the kernel chooses the address, so no existing mapping is changed.
        let base = unsafe {
            rustix::mm::mmap(null, whole, protection, MapFlags::SHARED, file.as_fd(), offset)
        };
        Self::made(base, len, access)
    }

    /// A private copy of what `file` begins with: `copied` bytes as far as they are there, and zeros up to `len`.
    ///
    /// Takes room only for what is copied.
    pub(crate) fn copy_of(file: &OwnedFd, len: usize, copied: usize) -> Result<Self, Error> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let null = std::ptr::null_mut();
        // SAFETY: the kernel chooses the address, so no existing mapping is changed.
        let base = unsafe { rustix::mm::mmap_anonymous(null, len.max(1), protection, flags) };
        let mapping = Self::made(base, len, Access::ReadWrite)?;

        let start = mapping.base.as_ptr().cast::<u8>();
        // SAFETY: just mapped for writing, at least so many bytes, all zero, and nobody else has a pointer to them yet.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start, copied.min(len)) };
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match retry_on_intr(|| rustix::io::pread(file, &mut *rest, done as u64)) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(source) => return Err(Error::System { operation: "read the region", source }),
            }
        }
        Ok(mapping)
    }

    fn made(base: Result<*mut c_void, Errno>, len: usize, access: Access) -> Result<Self, Error> {
        let base = base.map_err(Error::path("map the memory"))?;
        let null = Error::System { operation: "map the memory", source: Errno::NOMEM };
        Ok(Mapping { base: NonNull::new(base).ok_or(null)?, len, access })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The memory as a span.
    ///
    /// # Safety
    /// The span, and whatever is made from it, must not be used after this mapping is dropped, and written to only if
    /// it was mapped for that.
    pub(crate) unsafe fn span(&self) -> Result<Span<'static>, RegionError> {
        // SAFETY: the `len` bytes are mapped until the drop, which the caller outlives by nothing (contract), aligned
        // to a page, and reached by no other way in this program than spans, which access atomically. If a peer who
        // may write to the file shrinks it, an access beyond its end ends the process (SIGBUS), as documented where
        // files are opened; it never reaches other memory.
        unsafe { Span::from_raw_parts(self.base.as_ptr().cast(), self.len) }
    }

    /// Asks for huge pages.
    pub(crate) fn advise_huge(&self) -> Result<(), Error> {
        self.advise(Advice::LinuxHugepage).map_err(Error::system(
            "ask for huge pages (does this kernel have transparent huge pages?)",
        ))
    }

    /// Brings every page in now, so that no later access waits for one.
    pub(crate) fn prefault(&self, view: &View<'_>) -> Result<(), Error> {
        let populate = match self.access {
            Access::ReadOnly => Advice::LinuxPopulateRead,
            Access::ReadWrite => Advice::LinuxPopulateWrite,
        };
        match self.advise(populate) {
            // Before Linux 5.14: a look at each page brings it in, only not yet for writing.
            Err(Errno::INVAL) => {
                for offset in (0..self.len as u64).step_by(rustix::param::page_size()) {
                    view.read_bytes(offset, &mut [0]);
                }
                Ok(())
            }
            // The system would have raised SIGBUS at an access.
            Err(Errno::FAULT | Errno::NOMEM) => Err(Error::NoSpace { size: self.len as u64 }),
            other => other.map_err(Error::system("bring the pages in")),
        }
    }

    /// Takes storage for the pages in the size that the advice says, as far as there is some; never fails, since
    /// whatever is missing is reserved afterwards.
    pub(crate) fn populate_as_advised(&self) {
        let _ = self.advise(Advice::LinuxPopulateWrite);
    }

    /// Keeps every page in memory.
    pub(crate) fn lock(&self) -> Result<(), Error> {
        // SAFETY: the range is ours (`new`), and locking changes no content.
        let locked = unsafe { rustix::mm::mlock(self.base.as_ptr(), self.len) };
        locked.map_err(|source| Error::Lock { size: self.len as u64, source })
    }

    fn advise(&self, advice: Advice) -> Result<(), Errno> {
        // SAFETY: the range is ours (`new`), and none of the advice given here changes its content.
        let call = || unsafe { rustix::mm::madvise(self.base.as_ptr(), self.len, advice) };
        retry_on_intr(call)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        crate::reactor::forget(self.base.addr().get(), self.len);
        // SAFETY: mapped by `new` with this length, unmapped only here, and no span is used any more (`span`).
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr(), self.len.max(1)) };
    }
}

/// How many bytes the open `file` has from `offset` on, which must be a multiple of the page size inside it.
pub(crate) fn len_from(file: &OwnedFd, offset: u64) -> Result<usize, Error> {
    let len = file_len(file)?;
    let bad = Error::Offset { offset, len: len as u64 };
    let start = usize::try_from(offset).map_err(|_| bad.clone())?;
    match len.checked_sub(start) {
        Some(rest) if start % rustix::param::page_size() == 0 && rest > 0 => Ok(rest),
        _ => Err(bad),
    }
}

/// How many bytes the open `file` has, if it is one that holds bytes.
pub(crate) fn file_len(file: &OwnedFd) -> Result<usize, Error> {
    let stat = rustix::fs::fstat(file).map_err(Error::system("ask for the size"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::NotAFile);
    }
    // Larger than the address space: as good as unmappable.
    usize::try_from(stat.st_size)
        .map_err(|_| Error::System { operation: "map the memory", source: Errno::NOMEM })
}
