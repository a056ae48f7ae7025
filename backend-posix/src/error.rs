//! Why a region could not be created, opened, listed or handed over.

use rustix::io::Errno;
use std::fmt;
use zeroipc_nostd::RegionError;

/// What went wrong with a region of the operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The text cannot name a region in shared memory.
    Name {
        /// The text.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A region (or something else) already has this name.
    Exists,
    /// Nothing has this name.
    NotFound,
    /// This user may not open it so.
    PermissionDenied,
    /// There is something of this name, but it is not a file of memory: a folder, a pipe, a device.
    NotAFile,
    /// The memory was mapped, but the region in it cannot be used.
    Region(RegionError),
    /// The file system has no room for the region; nothing was created.
    NoSpace {
        /// Bytes asked for.
        size: u64,
    },
    /// The size asked for cannot hold a region; nothing was created.
    TooSmall {
        /// Bytes asked for.
        size: u64,
        /// Bytes needed at least, by these options.
        needed: u64,
    },
    /// No region can lie there in the file: not the start of a page, or not inside it.
    Offset {
        /// Bytes into the file.
        offset: u64,
        /// Bytes that the file has.
        len: u64,
    },
    /// The system has not enough huge pages; nothing was created.
    NoHugePages {
        /// Bytes needed in huge pages of 2 MiB.
        size: u64,
    },
    /// The memory could not be locked; nothing was created.
    Lock {
        /// Bytes to be locked.
        size: u64,
        /// The system's answer.
        source: Errno,
    },
    /// The descriptor is not that of a sealed memfd, so a peer could shrink it under us.
    NotSealed,
    /// The peer closed the socket, or what came from it is not one region.
    Handover {
        /// What came instead.
        what: &'static str,
    },
    /// Others created and removed the region again and again while we tried to open or create it.
    Contended,
    /// The operating system refused.
    System {
        /// What was tried.
        operation: &'static str,
        /// The system's answer.
        source: Errno,
    },
}

impl Error {
    /// A refusal without a meaning of its own.
    pub(crate) fn system(operation: &'static str) -> impl Fn(Errno) -> Error {
        move |source| Error::System { operation, source }
    }

    /// A refusal by a file system, which says by its number what is the matter.
    pub(crate) fn path(operation: &'static str) -> impl Fn(Errno) -> Error {
        move |source| match source {
            Errno::NOENT => Error::NotFound,
            Errno::EXIST => Error::Exists,
            Errno::ACCESS | Errno::PERM => Error::PermissionDenied,
            // A symbolic link where none may be followed, and a folder opened for writing.
            Errno::LOOP | Errno::ISDIR => Error::NotAFile,
            source => Error::System { operation, source },
        }
    }
}

impl From<RegionError> for Error {
    fn from(error: RegionError) -> Self {
        Error::Region(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, what } => write!(
                f,
                "{name:?} cannot name a region: {what}; take a slash and 1 to 254 bytes, like \"/sensor_data\""
            ),
            Self::Exists => {
                f.write_str("the name is taken; open it, or unlink it first if nobody needs it")
            }
            Self::NotFound => {
                f.write_str("nothing has this name; create it first, or check the spelling")
            }
            Self::PermissionDenied => f.write_str(
                "permission denied; only the owner, and whom the creator allows by `Options::mode`, may do this",
            ),
            Self::NotAFile => f.write_str(
                "there is something else of this name, not memory (a folder, a link, a pipe); choose another name",
            ),
            Self::Region(error) => error.fmt(f),
            Self::NoSpace { size } => write!(
                f,
                "no room for {size} bytes; unlink regions that nobody needs, ask for less, enlarge the file system (`mount -o remount,size=` for /dev/shm), or take the `sparse` option, which reserves nothing"
            ),
            Self::TooSmall { size, needed } => write!(
                f,
                "{size} bytes are too few for a region: {needed} are needed for its table alone"
            ),
            Self::Offset { offset, len } => write!(
                f,
                "no region can start at {offset:#x} in a file of {len:#x} bytes: take the start of a page ({:#x} bytes) inside it",
                rustix::param::page_size()
            ),
            Self::NoHugePages { size } => write!(
                f,
                "not enough huge pages for {size} bytes; raise /proc/sys/vm/nr_hugepages to {} or more, or do without",
                size >> 21
            ),
            Self::Lock { size, source } => write!(
                f,
                "{size} bytes could not be locked in memory ({source}); raise RLIMIT_MEMLOCK (`ulimit -l`, LimitMEMLOCK=), or do without"
            ),
            Self::NotSealed => f.write_str(
                "not a sealed memfd; only memory made by `Memory::anonymous` can be handed over, open any other by its name",
            ),
            Self::Handover { what } => {
                write!(f, "no region came over the socket: {what}; the peer sends it by `Memory::send_to`")
            }
            Self::Contended => f.write_str(
                "others create and remove this region again and again; try again when they have settled",
            ),
            Self::System { operation, source } => write!(f, "cannot {operation}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Region(error) => Some(error),
            Self::Lock { source, .. } | Self::System { source, .. } => Some(source),
            _ => None,
        }
    }
}
