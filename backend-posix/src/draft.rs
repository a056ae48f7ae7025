//! A file in the making: reserved and formatted where nobody sees it, then put in its place in one step.
//!
//! 1. An unnamed file (`O_TMPFILE`) is made in the folder where the region will lie.
//! 2. Storage is reserved, and the region formatted in it.
//! 3. A link gives it its name, which fails if the name is taken. The kernel makes links one at a time, so whoever opens
//!    the name finds a complete region or none.
//!
//! If the process dies before step 3, the kernel takes the unnamed file back. Where the file system knows no unnamed
//! files, or /proc (by which a link reaches one) is missing, a hidden temporary name takes their place; it alone can be
//! left over, if the process is killed while it exists.

use crate::error::Error;
use crate::name::STAGED;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, RenameFlags, CWD};
use rustix::io::{retry_on_intr, Errno};
use std::path::{Path, PathBuf};

/// Reserved by one call: small enough that a signal, which makes the call start again, does not stop progress.
const STEP: u64 = 4 << 20;

/// A file that has no name yet.
#[derive(Debug)]
pub(crate) struct Draft {
    file: OwnedFd,
    staged: Option<Staged>,
}

/// A temporary name, removed on drop.
#[derive(Debug)]
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = rustix::fs::unlink(&self.0);
    }
}

impl Draft {
    /// An empty file on the file system of `target`, readable and writable by this user alone.
    pub(crate) fn beside(target: &Path) -> Result<Self, Error> {
        match Self::unnamed(target) {
            // Each means, on some file system or kernel, that it knows no unnamed files.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                Self::named(target)
            }
            other => other,
        }
        .map_err(no_folder("create a file in that folder"))
    }

    fn unnamed(target: &Path) -> Result<Self, Errno> {
        // Without /proc it could never be given a name.
        rustix::fs::access("/proc/self/fd", rustix::fs::Access::EXISTS)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = retry_on_intr(|| rustix::fs::open(folder(target), flags, private()))?;
        Ok(Draft { file, staged: None })
    }

    fn named(target: &Path) -> Result<Self, Errno> {
        let pid = std::process::id();
        let path = folder(target).join(format!("{STAGED}{pid}-{:016x}", random()));
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let file = retry_on_intr(|| rustix::fs::open(&path, flags, private()))?;
        Ok(Draft { file, staged: Some(Staged(path)) })
    }

    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Gives the file its name, whatever the umask with these permissions.
    ///
    /// # Errors
    /// [`Error::Exists`] if the name is taken; then nothing is left of the draft.
    pub(crate) fn publish(&self, target: &Path, mode: u32) -> Result<(), Error> {
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode & 0o7777))
            .map_err(Error::system("set the permissions"))?;
        let linked = match &self.staged {
            None => {
                let unnamed = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, unnamed, CWD, target, AtFlags::SYMLINK_FOLLOW)
            }
            Some(Staged(path)) => match rustix::fs::link(path, target) {
                // No hard links here. The name that is then left to remove is gone.
                Err(Errno::PERM | Errno::OPNOTSUPP) => {
                    rustix::fs::renameat_with(CWD, path, CWD, target, RenameFlags::NOREPLACE)
                }
                other => other,
            },
        };
        linked.map_err(no_folder("give the region its name"))
    }
}

/// As [`Error::path`], but what is not found is the folder.
fn no_folder(operation: &'static str) -> impl Fn(Errno) -> Error {
    move |source| match source {
        Errno::NOENT => Error::System { operation, source },
        other => Error::path(operation)(other),
    }
}

/// The folder of `target`.
fn folder(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Nobody else may see a region before its creator's choice of permissions holds.
fn private() -> Mode {
    Mode::RUSR | Mode::WUSR
}

/// Makes `file` `size` bytes long.
pub(crate) fn set_len(file: &OwnedFd, size: u64) -> Result<(), Error> {
    match retry_on_intr(|| rustix::fs::ftruncate(file, size)) {
        Err(Errno::FBIG | Errno::INVAL | Errno::OVERFLOW) => Err(Error::NoSpace { size }),
        other => other.map_err(Error::system("set the size")),
    }
}

/// Refuses what cannot succeed, before the system gathers all the memory that it has and gives it back.
pub(crate) fn check_room(file: &OwnedFd, size: u64) -> Result<(), Error> {
    match rustix::fs::fstatvfs(file) {
        // No blocks at all means no limit.
        Ok(system) if system.f_blocks != 0 => {
            let free = system.f_bfree.saturating_mul(system.f_frsize);
            if size > free {
                return Err(Error::NoSpace { size });
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Takes storage for all `size` bytes of `file`, so that no later write can find none.
///
/// Up to about 1 ms per MiB where the memory must be cleared.
pub(crate) fn reserve(file: &OwnedFd, size: u64) -> Result<(), Error> {
    reserve_from(file, 0, size)
}

/// [`reserve`] for the `size` bytes from `start` on, which the file has.
pub(crate) fn reserve_from(file: &OwnedFd, start: u64, size: u64) -> Result<(), Error> {
    for offset in (0..size).step_by(STEP as usize) {
        let part = STEP.min(size - offset);
        let (flags, from) = (FallocateFlags::empty(), start + offset);
        let reserved = match retry_on_intr(|| rustix::fs::fallocate(file, flags, from, part)) {
            // A file system that cannot reserve can be written to.
            Err(Errno::OPNOTSUPP) => write_zeros(file, from, part),
            other => other,
        };
        match reserved {
            Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => return Err(Error::NoSpace { size }),
            other => other.map_err(Error::system("reserve storage"))?,
        }
    }
    Ok(())
}

fn write_zeros(file: &OwnedFd, from: u64, len: u64) -> Result<(), Errno> {
    let zeros = [0; 16 << 10];
    let mut done = 0;
    while done < len {
        let part = zeros.len().min(usize::try_from(len - done).unwrap_or(zeros.len()));
        let bytes = zeros.get(..part).unwrap_or(&zeros);
        match retry_on_intr(|| rustix::io::pwrite(file, bytes, from + done))? {
            0 => return Err(Errno::NOSPC),
            written => done += written as u64,
        }
    }
    Ok(())
}

/// A number that others hardly guess, or come upon.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    let flags = rustix::rand::GetRandomFlags::NONBLOCK;
    match rustix::rand::getrandom(&mut bytes, flags) {
        Ok(8) => u64::from_ne_bytes(bytes),
        // Early at boot, or without the call: the time and the process differ, too.
        _ => {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
            let time = (now.tv_sec as u64) << 30 ^ now.tv_nsec as u64;
            time ^ u64::from(std::process::id()) << 32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in shared memory that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let pid = std::process::id();
            let path = Path::new(crate::name::SHM).join(format!("zeroipc-draft-{name}-{pid}"));
            std::fs::create_dir(&path).unwrap();
            Folder(path)
        }

        fn files(&self) -> Vec<String> {
            let entries = std::fs::read_dir(&self.0).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_temporary_name_does_what_an_unnamed_file_does() {
        let folder = Folder::new("named");
        let target = folder.0.join("target");

        let abandoned = Draft::named(&target).unwrap();
        assert_eq!(folder.files().len(), 1);
        drop(abandoned);
        assert!(folder.files().is_empty());

        let draft = Draft::named(&target).unwrap();
        set_len(draft.file(), 100).unwrap();
        write_zeros(draft.file(), 0, 100).unwrap();
        draft.publish(&target, 0o640).unwrap();
        drop(draft);
        assert_eq!(folder.files(), ["target"]);

        let second = Draft::named(&target).unwrap();
        assert_eq!(second.publish(&target, 0o600), Err(Error::Exists));
        drop(second);
        assert_eq!(folder.files(), ["target"]);
    }

    #[test]
    fn an_unnamed_file_leaves_nothing_behind() {
        let folder = Folder::new("unnamed");
        let target = folder.0.join("target");
        let draft = Draft::unnamed(&target).unwrap();
        assert!(folder.files().is_empty());
        draft.publish(&target, 0o600).unwrap();
        assert_eq!(folder.files(), ["target"]);
        let second = Draft::unnamed(&target).unwrap();
        assert_eq!(second.publish(&target, 0o600), Err(Error::Exists));
    }

    #[test]
    fn zeros_are_written_in_full() {
        let folder = Folder::new("zeros");
        let draft = Draft::beside(&folder.0.join("target")).unwrap();
        write_zeros(draft.file(), 0, 100_001).unwrap();
        assert_eq!(rustix::fs::fstat(draft.file()).unwrap().st_size, 100_001);
    }
}
