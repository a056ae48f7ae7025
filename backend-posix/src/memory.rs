//! Memory with a region in it that this process may read and write.

use crate::error::Error;
use crate::futex::fences_reach;
use crate::mapping::Mapping;
use crate::name::shm_path;
use crate::options::Options;
use rustix::fd::OwnedFd;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use zeroipc_nostd::Region;

/// Shared memory with a region in it: mapped as long as this lives.
///
/// ```
/// use zeroipc_nostd::Queue;
/// use zeroipc_posix::Memory;
///
/// # struct Cleanup(String);
/// # impl Drop for Cleanup { fn drop(&mut self) { let _ = Memory::unlink(&self.0); } }
/// # let cleanup = Cleanup(format!("/zeroipc-memory-{}", std::process::id()));
/// # let name = cleanup.0.as_str();
/// // One process ...
/// let memory = Memory::create(name, 1 << 20)?;
/// let jobs = Queue::<u32>::create(&memory, "jobs", 64)?;
/// jobs.push(7)?;
///
/// // ... and another.
/// let memory = Memory::open(name)?;
/// let jobs = Queue::<u32>::open(&memory, "jobs")?;
/// assert_eq!(jobs.pop()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping it unmaps the memory, in this process only; the region stays until [`Memory::unlink`] removes its name and
/// the last process that has it open ends. A process that is killed leaves nothing to clean up but the name.
///
/// A structure cannot outlive the memory that it lies in:
///
/// ```compile_fail,E0505
/// # fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = zeroipc_posix::Memory::open("/sensor_data")?;
/// let temperature = zeroipc_nostd::Array::<f32>::open(&memory, "temperature")?;
/// drop(memory);
/// temperature.load(0)?;
/// # Ok(())
/// # }
/// ```
///
/// A clone is another handle to the same mapping, for a thread that outlives the borrow: the last one unmaps.
#[derive(Clone)]
pub struct Memory {
    /// Valid while the mapping is; given out only for the life of a borrow of this.
    region: Region<'static>,
    held: Arc<Held>,
}

/// What all clones of a memory hold together.
struct Held {
    mapping: Mapping,
    /// Kept to be handed over.
    memfd: Option<OwnedFd>,
}

impl Memory {
    pub(crate) fn new(region: Region<'static>, mapping: Mapping, memfd: Option<OwnedFd>) -> Self {
        // Before any structure is opened in it, as the first structure asks.
        fences_reach();
        Memory { region, held: Arc::new(Held { mapping, memfd }) }
    }

    /// The descriptor, if it is one that can be handed over.
    pub(crate) fn memfd(&self) -> Option<&OwnedFd> {
        self.held.memfd.as_ref()
    }

    /// Creates the region `name` (like `/sensor_data`) of `size` bytes in shared memory, for this user alone.
    ///
    /// It appears complete, or not at all: storage for all of it is reserved first (up to about 1 ms per MiB; the
    /// [`sparse`](Options::sparse) option does without). Its name stays until [`Memory::unlink`], or a restart of the
    /// machine.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Name`]; [`Error::TooSmall`]; [`Error::NoSpace`]; [`Error::System`]. In each case
    /// nothing was created.
    pub fn create(name: &str, size: usize) -> Result<Self, Error> {
        Options::new().create(name, size)
    }

    /// Opens the region `name` that somebody created. Constant time.
    ///
    /// A peer who may write to the file can also shrink it later, and then an access to what is missing ends this process
    /// (SIGBUS). Against a peer that is not trusted so far only [`Memory::anonymous`] protects.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::PermissionDenied`]; [`Error::Name`]; [`Error::Region`] if there is no region in it,
    /// or less of one than was created; [`Error::System`].
    pub fn open(name: &str) -> Result<Self, Error> {
        Options::new().open(name)
    }

    /// Opens the region `name`, or creates it with `size` bytes if there is none: whichever process comes first creates.
    ///
    /// A region that is there is opened whatever its size; [`Memory::size`] tells.
    ///
    /// # Errors
    /// As [`Memory::open`] and [`Memory::create`], without [`Error::NotFound`] and [`Error::Exists`];
    /// [`Error::Contended`] if others create and remove it without end.
    pub fn open_or_create(name: &str, size: usize) -> Result<Self, Error> {
        Options::new().open_or_create(name, size)
    }

    /// Options for creating or opening a region.
    pub fn options() -> Options {
        Options::new()
    }

    /// Removes the name of a region. Whoever has it open keeps it; the memory is free when the last of them is gone.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::PermissionDenied`]; [`Error::Name`]; [`Error::System`].
    pub fn unlink(name: &str) -> Result<(), Error> {
        rustix::fs::unlink(shm_path(name)?).map_err(Error::path("remove the name"))
    }

    /// Creates a region in an ordinary file, with its storage reserved; for regions that outlive a restart.
    ///
    /// As [`Memory::create`] otherwise. The file system decides when content reaches the disk: after a power failure the
    /// region holds some mixture of old and new.
    ///
    /// # Errors
    /// As [`Memory::create`].
    pub fn create_file(path: impl AsRef<Path>, size: usize) -> Result<Self, Error> {
        Options::new().create_file(path, size)
    }

    /// Opens a region in an ordinary file.
    ///
    /// # Errors
    /// As [`Memory::open`].
    pub fn open_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Options::new().open_file(path)
    }

    /// Creates a region of `size` bytes in part of a file that is there: memory of an emulator or of a virtual machine, of
    /// which the rest is somebody else's.
    ///
    /// `offset` is where it starts in the file, a multiple of the page size. Unlike the others this does not make a new
    /// file, so it may be done again and again while peers have the file mapped: whatever was there is lost, and whoever had
    /// opened it finds another session ([`Region::is_current`]). Storage for the part is reserved first. If this process
    /// dies inside, there is no region in the part.
    ///
    /// ```
    /// use zeroipc_nostd::Queue;
    /// use zeroipc_posix::Memory;
    ///
    /// # struct Cleanup(std::path::PathBuf);
    /// # impl Drop for Cleanup { fn drop(&mut self) { let _ = std::fs::remove_file(&self.0); } }
    /// # let path = std::env::temp_dir().join(format!("zeroipc-within-{}", std::process::id()));
    /// # let cleanup = Cleanup(path.clone());
    /// // What an emulator does for the memory of its machine.
    /// std::fs::File::create(&path)?.set_len(1 << 20)?;
    ///
    /// let memory = Memory::create_within(&path, 512 << 10, 64 << 10)?;
    /// Queue::<u32>::create(&memory, "jobs", 64)?.push(7)?;
    /// let elsewhere = Memory::open_within(&path, 512 << 10)?;
    /// assert_eq!(Queue::<u32>::open(&elsewhere, "jobs")?.pop()?, 7);
    ///
    /// let again = Memory::create_within(&path, 512 << 10, 64 << 10)?;
    /// assert!(again.region().is_current() && !elsewhere.region().is_current());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PermissionDenied`], [`Error::NotAFile`]; [`Error::Offset`]; [`Error::NoSpace`] if
    /// the file ends before the region would; [`Error::TooSmall`]; [`Error::System`].
    pub fn create_within(path: impl AsRef<Path>, offset: u64, size: usize) -> Result<Self, Error> {
        Options::new().create_within(path, offset, size)
    }

    /// Opens the region that begins at `offset` in a file.
    ///
    /// # Errors
    /// As [`Memory::open`]; [`Error::Offset`].
    pub fn open_within(path: impl AsRef<Path>, offset: u64) -> Result<Self, Error> {
        Options::new().open_within(path, offset)
    }

    /// Creates a region of `size` bytes without a name: a memfd that is sealed, so that nobody can ever change its size.
    ///
    /// Other processes get it by [`Memory::send_to`], or by a fork. Made of ordinary pages it is safe against peers that
    /// mean harm: they can spoil what is in it, but not take it away under us. (Huge pages can be punched out, and if the
    /// system has no more of them, an access ends the process.)
    ///
    /// # Errors
    /// [`Error::TooSmall`]; [`Error::NoSpace`]; [`Error::System`].
    pub fn anonymous(size: usize) -> Result<Self, Error> {
        Options::new().anonymous(size)
    }

    /// The region: what structures are created and opened in. A `&Memory` does as well.
    ///
    /// It wakes and waits by [`Futex`](crate::Futex).
    #[must_use]
    pub fn region(&self) -> Region<'_> {
        self.region
    }

    /// Bytes of the region, as recorded at its creation.
    #[must_use]
    pub fn size(&self) -> usize {
        // Opening checked that no more is recorded than mapped.
        usize::try_from(self.region.view().size()).unwrap_or(self.held.mapping.len())
    }
}

impl<'a> From<&'a Memory> for Region<'a> {
    fn from(memory: &'a Memory) -> Self {
        memory.region()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("size", &self.size())
            .field("session", &self.region.session())
            .field("memfd", &self.memfd())
            .finish_non_exhaustive()
    }
}
