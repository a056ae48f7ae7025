//! Which region is meant, and how it is opened: for reading only.

use crate::args::TargetArguments;
use crate::outcome::Failure;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use zeroipc::ReadOnlyMemory;

/// A region as named on the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// For people.
    name: String,
    place: Place,
    /// Where it starts in the file.
    at: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A name in shared memory, with its slash.
    Shared,
    File(PathBuf),
}

impl Target {
    pub(crate) fn new(arguments: &TargetArguments) -> Result<Self, Failure> {
        let mut target = match (&arguments.name, &arguments.file) {
            (_, Some(path)) => Self::file(path.clone()),
            (Some(name), None) => Self::named(name),
            (None, None) => {
                return Err(Failure::error("which region? give its name, or --file PATH"))
            }
        };
        if arguments.at > 0 {
            if target.is_shared() {
                return Err(Failure::error("--at is for regions inside a file: give its path"));
            }
            target.at = arguments.at;
            target.name = format!("{}+{:#x}", target.name, target.at);
        }
        Ok(target)
    }

    /// A path if there is a slash anywhere but at the start; otherwise a name, to which the slash is added.
    pub(crate) fn named(name: &str) -> Self {
        let bare = name.strip_prefix('/').unwrap_or(name);
        if bare.contains('/') {
            return Self::file(PathBuf::from(name));
        }
        Target { name: format!("/{bare}"), place: Place::Shared, at: 0 }
    }

    fn file(path: PathBuf) -> Self {
        Target { name: path.display().to_string(), place: Place::File(path), at: 0 }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a name in shared memory.
    pub(crate) fn is_shared(&self) -> bool {
        self.place == Place::Shared
    }

    /// Where it starts in the file behind it.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Maps the region.
    pub(crate) fn open(&self) -> Result<ReadOnlyMemory, Failure> {
        match &self.place {
            Place::Shared => ReadOnlyMemory::open(&self.name),
            Place::File(path) if self.at == 0 => ReadOnlyMemory::open_file(path),
            Place::File(path) => ReadOnlyMemory::open_within(path, self.at),
        }
        .map_err(|error| Failure::region(&self.name, error))
    }

    /// Which file stands behind the name now, if there is one.
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        let data = self.open_bytes().ok()?.metadata().ok()?;
        Some((data.dev(), data.ino()))
    }

    /// Opens the file behind the region, whatever is in it.
    pub(crate) fn open_bytes(&self) -> Result<File, Failure> {
        // Nonblocking, for else a FIFO would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = match &self.place {
            Place::Shared => {
                rustix::shm::open(&self.name, rustix::shm::OFlags::RDONLY, Mode::empty())
            }
            Place::File(path) => rustix::fs::open(path, flags, Mode::empty()),
        };
        let at = |message: &str| format!("{}: {message}", self.name);
        let file: File = match opened {
            Ok(file) => file.into(),
            Err(Errno::NOENT) => return Err(Failure::region(&self.name, zeroipc::Error::NotFound)),
            Err(Errno::ACCESS) => {
                return Err(Failure::region(&self.name, zeroipc::Error::PermissionDenied))
            }
            Err(error) => return Err(Failure::Error(at(&error.to_string()))),
        };
        match file.metadata() {
            Ok(data) if data.is_file() => Ok(file),
            Ok(_) => Err(Failure::Error(at("not an ordinary file"))),
            Err(error) => Err(Failure::Error(at(&error.to_string()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        assert_eq!(Target::named("/a"), Target::named("a"));
        assert_eq!(Target::named("a").name(), "/a");
        assert!(Target::named("a").is_shared());
        for path in ["./a", "/dev/shm/a", "a/b", "/a/"] {
            assert_eq!(Target::named(path), Target::file(PathBuf::from(path)), "{path}");
        }
    }
}
