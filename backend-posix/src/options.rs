//! How a region is created or opened.

use crate::draft::{self, Draft};
use crate::error::Error;
use crate::futex::FUTEX;
use crate::mapping::{file_len, len_from, Access, Mapping};
use crate::memory::Memory;
use crate::name::shm_path;
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{retry_on_intr, Errno};
use std::path::Path;
use zeroipc_nostd::{Capability, FormatOptions, Geometry, Region, RegionError};

/// How often [`Options::open_or_create`] goes round before it gives up: each round means that somebody else created
/// or removed the region in that very moment.
const ROUNDS: u32 = 100;

/// Huge pages of memfds.
const HUGE: usize = 2 << 20;

/// How a region is created or opened; made by [`Memory::options`].
///
/// ```
/// use zeroipc_posix::Memory;
///
/// # struct Cleanup(String);
/// # impl Drop for Cleanup { fn drop(&mut self) { let _ = Memory::unlink(&self.0); } }
/// # let cleanup = Cleanup(format!("/zeroipc-options-{}", std::process::id()));
/// # let name = cleanup.0.as_str();
/// // For a group of users, in memory at once, with room for 500 structures.
/// let memory = Memory::options().mode(0o660).prefault(true).max_entries(500).create(name, 1 << 20)?;
/// assert!(memory.region().view().max_entries() >= 500);
/// # Ok::<(), zeroipc_posix::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Options {
    mode: u32,
    huge_pages: bool,
    prefault: bool,
    lock: bool,
    sparse: bool,
    max_entries: Option<u32>,
    geometry: Option<Geometry>,
    capability: Option<Capability>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The defaults: for this user alone (mode 0600), storage reserved, ordinary pages, the core's defaults for the rest.
    pub fn new() -> Self {
        Options {
            mode: 0o600,
            huge_pages: false,
            prefault: false,
            lock: false,
            sparse: false,
            max_entries: None,
            geometry: None,
            capability: None,
        }
    }

    /// Who may open the region: permission bits as of a file, whatever the umask. Default 0o600.
    ///
    /// Who may only read can look ([`ReadOnlyMemory`](crate::ReadOnlyMemory)); taking part needs both. Who may write can
    /// also shrink the file, which ends all processes that touch what is missing: give it to those you trust with that.
    /// No meaning for [`Options::anonymous`].
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Huge pages of 2 MiB: fewer misses in the address translation for large regions.
    ///
    /// For names and files this is a request, which the kernel follows as /sys/kernel/mm/transparent_hugepage/shmem_enabled
    /// says; for [`Options::anonymous`] it is a demand, and the size is rounded up to whole huge pages.
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.huge_pages = yes;
        self
    }

    /// Brings every page in at once, so that no first access to one waits for the kernel.
    pub fn prefault(mut self, yes: bool) -> Self {
        self.prefault = yes;
        self
    }

    /// Locks every page in memory, so that none is ever swapped out. Limited by `RLIMIT_MEMLOCK`.
    pub fn lock(mut self, yes: bool) -> Self {
        self.lock = yes;
        self
    }

    /// Reserves nothing: pages are taken when they are first written, and creation is quick whatever the size (reserving
    /// takes up to about 1 ms per MiB). If there is none left then, the kernel ends the writing process (SIGBUS).
    pub fn sparse(mut self, yes: bool) -> Self {
        self.sparse = yes;
        self
    }

    /// Room for at least so many structures; see [`FormatOptions::max_entries`].
    pub fn max_entries(mut self, entries: u32) -> Self {
        self.max_entries = Some(entries);
        self
    }

    /// The geometry of structures; see [`FormatOptions::geometry`].
    pub fn geometry(mut self, geometry: Geometry) -> Self {
        self.geometry = Some(geometry);
        self
    }

    /// What every party may use on the region's words; see [`FormatOptions::capability`].
    pub fn capability(mut self, capability: Capability) -> Self {
        self.capability = Some(capability);
        self
    }

    /// Creates the region `name` of `size` bytes: [`Memory::create`] with these options.
    ///
    /// # Errors
    /// As [`Memory::create`]; [`Error::Lock`] if it was to be locked; [`Error::Region`] for options that contradict each
    /// other.
    pub fn create(&self, name: &str, size: usize) -> Result<Memory, Error> {
        self.create_at(&shm_path(name)?, size)
    }

    /// Opens the region `name`: [`Memory::open`] with these options, of which only those of the mapping count
    /// ([`Options::huge_pages`], [`Options::prefault`], [`Options::lock`]).
    ///
    /// # Errors
    /// As [`Memory::open`]; [`Error::Lock`] if it was to be locked.
    pub fn open(&self, name: &str) -> Result<Memory, Error> {
        // A name in a folder where everybody may write: no link is followed.
        self.open_at(&shm_path(name)?, OFlags::NOFOLLOW)
    }

    /// Opens the region `name`, or creates it: [`Memory::open_or_create`] with these options.
    ///
    /// # Errors
    /// As [`Memory::open_or_create`].
    pub fn open_or_create(&self, name: &str, size: usize) -> Result<Memory, Error> {
        let path = shm_path(name)?;
        for _ in 0..ROUNDS {
            match self.open_at(&path, OFlags::NOFOLLOW) {
                Err(Error::NotFound) => {}
                other => return other,
            }
            match self.create_at(&path, size) {
                Err(Error::Exists) => {}
                other => return other,
            }
        }
        Err(Error::Contended)
    }

    /// Creates a region in an ordinary file: [`Memory::create_file`] with these options.
    ///
    /// # Errors
    /// As [`Memory::create_file`].
    pub fn create_file(&self, path: impl AsRef<Path>, size: usize) -> Result<Memory, Error> {
        self.create_at(path.as_ref(), size)
    }

    /// Opens a region in an ordinary file: [`Memory::open_file`] with these options.
    ///
    /// # Errors
    /// As [`Memory::open_file`].
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<Memory, Error> {
        self.open_at(path.as_ref(), OFlags::empty())
    }

    /// Creates a region in part of a file that is there: [`Memory::create_within`] with these options, of which
    /// [`Options::mode`], [`Options::huge_pages`] and [`Options::sparse`] have no meaning.
    ///
    /// # Errors
    /// As [`Memory::create_within`]; [`Error::Lock`] if it was to be locked.
    pub fn create_within(
        &self,
        path: impl AsRef<Path>,
        offset: u64,
        size: usize,
    ) -> Result<Memory, Error> {
        let file = opened_file(path.as_ref(), OFlags::empty())?;
        let rest = len_from(&file, offset)?;
        if size > rest {
            return Err(Error::NoSpace { size: size as u64 });
        }
        draft::reserve_from(&file, offset, size as u64)?;
        let mapping = Mapping::within(&file, offset, size, Access::ReadWrite)?;
        // Whoever had the part before may have left anything in it.
        let region = self.create_in(&mapping, &self.format().zeroed(false))?;
        Ok(Memory::new(region, mapping, None))
    }

    /// Opens a region that begins inside a file: [`Memory::open_within`] with these options, of which only those of the
    /// mapping count.
    ///
    /// # Errors
    /// As [`Memory::open_within`]; [`Error::Lock`] if it was to be locked.
    pub fn open_within(&self, path: impl AsRef<Path>, offset: u64) -> Result<Memory, Error> {
        let file = opened_file(path.as_ref(), OFlags::empty())?;
        let (mapping, region) = self.map(&file, offset)?;
        Ok(Memory::new(region, mapping, None))
    }

    /// Creates a region without a name: [`Memory::anonymous`] with these options.
    ///
    /// # Errors
    /// As [`Memory::anonymous`]; [`Error::NoHugePages`] if the system has too few.
    pub fn anonymous(&self, size: usize) -> Result<Memory, Error> {
        let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut size = size;
        if self.huge_pages {
            flags |= MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
            size = size.checked_next_multiple_of(HUGE).ok_or(Error::NoSpace { size: u64::MAX })?;
        }
        let no_huge_pages = Error::NoHugePages { size: size as u64 };
        let file = rustix::fs::memfd_create("zeroipc", flags).map_err(|source| {
            if self.huge_pages {
                no_huge_pages.clone()
            } else {
                Error::System { operation: "create a memfd", source }
            }
        })?;
        let made = self.fill(&file, size, false);
        let (mapping, region) = made.map_err(|error| match error {
            Error::NoSpace { .. } | Error::System { source: Errno::NOMEM, .. }
                if self.huge_pages =>
            {
                no_huge_pages
            }
            other => other,
        })?;
        rustix::fs::fcntl_add_seals(&file, SEALS).map_err(Error::system("seal the memfd"))?;
        Ok(Memory::new(region, mapping, Some(file)))
    }

    fn create_at(&self, path: &Path, size: usize) -> Result<Memory, Error> {
        // Spares the work if the name is taken already; whether it is in the end is for the link to say.
        if rustix::fs::lstat(path).is_ok() {
            return Err(Error::Exists);
        }
        let draft = Draft::beside(path)?;
        let (mapping, region) = self.fill(draft.file(), size, self.huge_pages)?;
        draft.publish(path, self.mode)?;
        Ok(Memory::new(region, mapping, None))
    }

    /// Makes a region in the empty `file`; if `advise`, asks for huge pages.
    fn fill(
        &self,
        file: &OwnedFd,
        size: usize,
        advise: bool,
    ) -> Result<(Mapping, Region<'static>), Error> {
        let bytes = size as u64;
        draft::set_len(file, bytes)?;
        if !self.sparse {
            draft::check_room(file, bytes)?;
        }
        if !self.sparse && !advise {
            draft::reserve(file, bytes)?;
        }
        let mapping = Mapping::new(file, size, Access::ReadWrite)?;
        if advise && size > 0 {
            mapping.advise_huge()?;
            if !self.sparse {
                // Through the mapping the pages come large where they can; reserving by the file knows no advice.
                mapping.populate_as_advised();
                draft::reserve(file, bytes)?;
            }
        }
        let region = self.create_in(&mapping, &self.format())?;
        Ok((mapping, region))
    }

    /// Makes a region in the mapping.
    fn create_in(
        &self,
        mapping: &Mapping,
        format: &FormatOptions,
    ) -> Result<Region<'static>, Error> {
        // SAFETY: the callers put region and mapping into a `Memory`, which hands the region out for its own life only.
        let span = unsafe { mapping.span() }?;
        let region = Region::create(span, format).map_err(|error| match error {
            RegionError::TooSmall { size, needed } => Error::TooSmall { size, needed },
            other => Error::Region(other),
        })?;
        let region = region.with_notifier(&FUTEX);
        self.settle(mapping, &region)?;
        Ok(region)
    }

    fn open_at(&self, path: &Path, extra: OFlags) -> Result<Memory, Error> {
        let file = opened_file(path, extra)?;
        let (mapping, region) = self.map(&file, 0)?;
        Ok(Memory::new(region, mapping, None))
    }

    /// Opens the region in a sealed memfd.
    pub(crate) fn adopt(&self, memfd: OwnedFd) -> Result<Memory, Error> {
        let (mapping, region) = self.map(&memfd, 0)?;
        Ok(Memory::new(region, mapping, Some(memfd)))
    }

    /// Opens the region that begins at `offset` in `file`.
    fn map(&self, file: &OwnedFd, offset: u64) -> Result<(Mapping, Region<'static>), Error> {
        let len = if offset == 0 { file_len(file)? } else { len_from(file, offset)? };
        let mapping = Mapping::within(file, offset, len, Access::ReadWrite)?;
        // SAFETY: the callers put region and mapping into a `Memory`, which hands the region out for its own life only.
        let span = unsafe { mapping.span() }?;
        let region = Region::open(span)?.with_notifier(&FUTEX);
        if self.huge_pages {
            mapping.advise_huge()?;
        }
        self.settle(&mapping, &region)?;
        Ok((mapping, region))
    }

    /// What is asked of a mapping once there is a region in it.
    fn settle(&self, mapping: &Mapping, region: &Region<'_>) -> Result<(), Error> {
        if self.prefault {
            mapping.prefault(&region.view())?;
        }
        if self.lock {
            mapping.lock()?;
        }
        Ok(())
    }

    fn format(&self) -> FormatOptions {
        let mut format = FormatOptions::new().zeroed(true).session(draft::random() as u32);
        if let Some(entries) = self.max_entries {
            format = format.max_entries(entries);
        }
        if let Some(geometry) = self.geometry {
            format = format.geometry(geometry);
        }
        if let Some(capability) = self.capability {
            format = format.capability(capability);
        }
        format
    }
}

/// A file that is there, for reading and writing.
fn opened_file(path: &Path, extra: OFlags) -> Result<OwnedFd, Error> {
    // Without blocking, since it may be a pipe.
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | extra;
    retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))
        .map_err(Error::path("open the region"))
}

/// What a memfd must have so that nobody changes its size under us, or the seals.
pub(crate) const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
