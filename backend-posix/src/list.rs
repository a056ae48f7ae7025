//! The regions in shared memory, of all users.

use crate::error::Error;
use crate::mapping::Mapping;
use crate::name::{SHM, STAGED};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::{retry_on_intr, Errno};
use std::path::Path;
use std::time::{Duration, SystemTime};
use zeroipc_nostd::{RegionError, View, MAGIC};

/// A region as [`list`] finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// Its name, as [`Memory::open`](crate::Memory::open) takes it. What is not UTF-8 in it is replaced.
    pub name: String,
    /// Bytes of its file.
    pub size: u64,
    /// The user whom it belongs to.
    pub uid: u32,
    /// Its permission bits.
    pub mode: u32,
    /// When it was created, or its size last changed: writing through a mapping does not count.
    pub modified: SystemTime,
    /// Whether it can be opened, and if not, why.
    pub status: Result<(), Error>,
}

/// Every region in shared memory that this user may read, whoever made it, in the order of their names.
///
/// A region is a file that starts with the magic number; one that is broken is listed with what is wrong. Files that are no
/// regions, or may not be read, are left out. Nothing is mapped from them, so no peer can disturb the listing.
///
/// # Errors
/// [`Error::System`] or [`Error::PermissionDenied`] if the folder of shared memory cannot be read.
pub fn list() -> Result<Vec<Listing>, Error> {
    let folder = |error: std::io::Error| {
        let source = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        Error::path("read /dev/shm")(source)
    };
    let mut listings = Vec::new();
    for entry in std::fs::read_dir(SHM).map_err(folder)? {
        let name = entry.map_err(folder)?.file_name();
        let shown = name.to_string_lossy();
        if !shown.starts_with(STAGED) {
            // Who cannot be read, or went while we looked, is left out.
            if let Ok(Some(listing)) = inspect(&Path::new(SHM).join(&name), &shown) {
                listings.push(listing);
            }
        }
    }
    listings.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listings)
}

/// What the file at `path` is, if it is a region.
fn inspect(path: &Path, name: &str) -> Result<Option<Listing>, Errno> {
    // Opening a device may do things, so the kind of file is asked first.
    if !is_file(&rustix::fs::lstat(path)?) {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
    let stat = rustix::fs::fstat(&file)?;
    let mut magic = [0; 4];
    let read = retry_on_intr(|| rustix::io::pread(&file, &mut magic, 0))?;
    if !is_file(&stat) || read < magic.len() || u32::from_le_bytes(magic) != MAGIC {
        return Ok(None);
    }
    let since = Duration::new(
        u64::try_from(stat.st_mtime).unwrap_or(0),
        u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    );
    Ok(Some(Listing {
        name: format!("/{name}"),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        uid: stat.st_uid,
        mode: Mode::from_raw_mode(stat.st_mode).bits(),
        modified: SystemTime::UNIX_EPOCH + since,
        status: check(&file, &stat),
    }))
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// How much is read first: the table, unless somebody asked for a very large one.
const FIRST: usize = 64 << 10;
/// No table is larger.
const MOST: usize = 64 << 20;

/// Whether a region can be opened in a copy of what the file begins with.
///
/// A copy, since its owner may shrink the file at any moment, and a look at a mapping of it would then end this process.
fn check(file: &OwnedFd, stat: &Stat) -> Result<(), Error> {
    let no_memory = Error::System { operation: "map the memory", source: Errno::NOMEM };
    let size = usize::try_from(stat.st_size).map_err(|_| no_memory)?;
    let mut status = Ok(());
    for most in [FIRST, MOST] {
        let copy = Mapping::copy_of(file, size, most)?;
        // SAFETY: the span lives no longer than this block, the mapping until its end.
        let span = unsafe { copy.span() }?;
        status = View::open(span).map(|_| ()).map_err(Error::Region);
        // What seems to be nonsense may be what was not read.
        if !matches!(status, Err(Error::Region(RegionError::Corrupt { .. }))) || most >= size {
            break;
        }
    }
    status
}
