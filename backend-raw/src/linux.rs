//! Memory of devices and of other cores, from a Linux process: `/dev/mem`, UIO, and the BARs of PCI devices.
//!
//! What all three have in common: a file whose mapping is physical memory. The mapping lives as long as the [`DeviceMemory`].

use crate::error::RawError;
use crate::range::RawRegion;
use rustix::fs::{fstat, open, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};
use std::boxed::Box;
use std::ffi::c_void;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::string::String;

/// A mapping of physical memory.
///
/// ```no_run
/// use zeroipc_nostd::Ring;
/// use zeroipc_raw::linux::DeviceMemory;
///
/// // 64 KiB that the device tree reserves for the Cortex-M7 ("no-map"), and its firmware formats.
/// // SAFETY: nothing else in this system uses the range.
/// let memory = unsafe { DeviceMemory::physical(0x9000_0000, 0x1_0000) }?;
/// let region = memory.region().open()?;
/// let samples = Ring::<u32>::open(region, "samples")?.consumer()?;
/// # let _ = samples;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DeviceMemory {
    region: RawRegion,
    mapping: *mut c_void,
    mapped: usize,
}

// SAFETY: as for `RawRegion`; the mapping is only touched again when it is dropped, by its owner.
unsafe impl Send for DeviceMemory {}
// SAFETY: as above.
unsafe impl Sync for DeviceMemory {}

/// Why physical memory cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// The system refused: which step, at which file.
    System {
        /// `open`, `map`, ...
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error. `EPERM` at `/dev/mem` means that the kernel does not let it be mapped (`STRICT_DEVMEM`,
        /// lockdown): use UIO.
        error: Errno,
    },
    /// A file in sysfs does not hold the number that it should.
    BadAttribute {
        /// The file.
        path: PathBuf,
        /// What stands there.
        found: String,
    },
    /// The file, bar or map is shorter than what was asked for.
    TooShort {
        /// The file.
        path: PathBuf,
        /// Bytes asked for, from the file's start.
        needed: u64,
        /// Bytes that there are.
        available: u64,
    },
    /// The range is not one that can be shared.
    Range(RawError),
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { step, path, error } => {
                write!(f, "cannot {step} {}: {error}", path.display())?;
                match *error {
                    Errno::PERM if path == Path::new("/dev/mem") => {
                        f.write_str("; the kernel keeps it closed: use a UIO device instead")
                    }
                    Errno::ACCESS | Errno::PERM => f.write_str("; this needs root or a udev rule"),
                    _ => Ok(()),
                }
            }
            Self::BadAttribute { path, found } => {
                write!(f, "{} should hold a number, but holds {found:?}", path.display())
            }
            Self::TooShort { path, needed, available } => write!(
                f,
                "{} has {available} bytes, but the range would end at byte {needed}",
                path.display()
            ),
            Self::Range(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DeviceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { error, .. } => Some(error),
            Self::Range(error) => Some(error),
            _ => None,
        }
    }
}

impl From<RawError> for DeviceError {
    fn from(error: RawError) -> Self {
        Self::Range(error)
    }
}

impl DeviceMemory {
    /// `len` bytes of physical memory from `address` on, by `/dev/mem`: opened with `O_SYNC`, so that memory which the kernel
    /// does not manage is mapped uncached.
    ///
    /// On arm64 that is *device* memory (kernel: `phys_mem_access_prot`). The structures' accesses work there, since they are single aligned
    /// words, but compare-and-exchange is not defined to: create or use a `LoadStore` region, and copy nothing into memory that a grant lends by
    /// other means than aligned words.
    ///
    /// # Safety
    /// The range must be what [`RawRegion`] demands, for as long as the result exists: above all nobody else's. Physical
    /// memory that the kernel uses is not: reserve it (`reserved-memory` with `no-map` in the device tree, `memmap=` on x86).
    ///
    /// # Errors
    /// [`DeviceError::System`], [`DeviceError::Range`].
    pub unsafe fn physical(address: u64, len: usize) -> Result<Self, DeviceError> {
        // SAFETY: the caller's promise.
        unsafe { Self::file(Path::new("/dev/mem"), address, len) }
    }

    /// Map `map` of the UIO device `device` (as in `/dev/uio0`): all of it.
    ///
    /// # Safety
    /// As for [`DeviceMemory::physical`]; the map must be memory, not registers.
    ///
    /// # Errors
    /// [`DeviceError::System`], also if there is no such device or map; [`DeviceError::BadAttribute`], [`DeviceError::Range`].
    pub unsafe fn uio(device: u32, map: u32) -> Result<Self, DeviceError> {
        // SAFETY: the caller's promise.
        unsafe { Self::uio_below(Path::new("/"), device, map) }
    }

    /// [`DeviceMemory::uio`] of a system whose `sys` and `dev` lie below `root`.
    ///
    /// # Safety
    /// As for [`DeviceMemory::uio`].
    ///
    /// # Errors
    /// As for [`DeviceMemory::uio`].
    #[doc(hidden)]
    pub unsafe fn uio_below(root: &Path, device: u32, map: u32) -> Result<Self, DeviceError> {
        let attributes = root.join(std::format!("sys/class/uio/uio{device}/maps/map{map}"));
        let size = attribute(&attributes.join("size"))?;
        // Where the memory starts in its first page. Absent in kernels before 3.1x, where it is 0.
        let start = match attribute(&attributes.join("offset")) {
            Err(DeviceError::System { error: Errno::NOENT, .. }) => 0,
            other => other?,
        };
        let path = root.join(std::format!("dev/uio{device}"));
        let len = usize::try_from(size).map_err(|_| too_long(size))?;
        // A UIO device tells its maps apart by the page at which they are mapped (kernel: Documentation/driver-api/uio-howto).
        let at = u64::from(map) * page();
        // SAFETY: the caller's promise.
        unsafe { Self::mapped(&path, OFlags::empty(), at, start, len) }
    }

    /// `len` bytes from `offset` on of BAR `bar` of the PCI device at `address`, as in `0000:00:04.0`.
    ///
    /// The file is `resourceN`, whose mapping is uncached. Prefetchable BARs (ivshmem's, a card's memory) also have a `resourceN_wc`: that one
    /// is write-combining, which does not keep the order of stores, and is no memory for a region.
    ///
    /// # Safety
    /// As for [`DeviceMemory::physical`]: the BAR must be memory, not registers.
    ///
    /// # Errors
    /// [`DeviceError::System`], [`DeviceError::TooShort`], [`DeviceError::Range`].
    pub unsafe fn pci_bar(
        address: &str,
        bar: u32,
        offset: u64,
        len: usize,
    ) -> Result<Self, DeviceError> {
        let path = PathBuf::from(std::format!("/sys/bus/pci/devices/{address}/resource{bar}"));
        // SAFETY: the caller's promise.
        unsafe { Self::file(&path, offset, len) }
    }

    /// `len` bytes from `offset` on of any file whose mapping is shared memory: a BAR of another bus, a character device of a
    /// driver of one's own, hugetlbfs.
    ///
    /// # Safety
    /// As for [`DeviceMemory::physical`]. An ordinary file must not be truncated meanwhile.
    ///
    /// # Errors
    /// [`DeviceError::System`], [`DeviceError::TooShort`], [`DeviceError::Range`].
    pub unsafe fn file(path: &Path, offset: u64, len: usize) -> Result<Self, DeviceError> {
        let start = offset % page();
        // SAFETY: the caller's promise.
        unsafe { Self::mapped(path, OFlags::SYNC, offset - start, start, len) }
    }

    /// Maps `start + len` bytes from the page at `at` on; the region is the last `len` of them.
    ///
    /// # Safety
    /// As for [`DeviceMemory::file`].
    unsafe fn mapped(
        path: &Path,
        flags: OFlags,
        at: u64,
        start: u64,
        len: usize,
    ) -> Result<Self, DeviceError> {
        let system = |step| move |error| DeviceError::System { step, path: path.into(), error };
        let flags = OFlags::RDWR | OFlags::CLOEXEC | flags;
        let file = open(path, flags, Mode::empty()).map_err(system("open"))?;
        let total = start.checked_add(len as u64).ok_or_else(|| too_long(len as u64))?;
        let stat = fstat(&file).map_err(system("look at"))?;
        // BARs and ordinary files have a size, beyond which an access is a bus error. Character devices have none.
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            let (needed, available) = (at.saturating_add(total), stat.st_size as u64);
            if needed > available {
                return Err(DeviceError::TooShort { path: path.into(), needed, available });
            }
        }
        let mapped = usize::try_from(total).map_err(|_| too_long(total))?;
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping where the kernel has room, so no memory of this program changes.
        let mapping =
            unsafe { mmap(core::ptr::null_mut(), mapped, rights, MapFlags::SHARED, &file, at) }
                .map_err(system("map"))?;
        let base = mapping.cast::<u8>().wrapping_add(start as usize);
        // SAFETY: `start + len` bytes are mapped until this is dropped; for the rest the caller has promised.
        match unsafe { RawRegion::from_pointer(base, len) } {
            Ok(region) => Ok(DeviceMemory { region, mapping, mapped }),
            Err(error) => {
                // SAFETY: just mapped, and nobody has seen it.
                let _ = unsafe { munmap(mapping, mapped) };
                Err(error.into())
            }
        }
    }

    /// The memory, in which regions are created and opened. They borrow it, so it stays mapped while they are used.
    #[must_use]
    pub fn region(&self) -> &RawRegion {
        &self.region
    }

    /// The memory for ever: for structures in statics and detached threads.
    #[must_use]
    pub fn leak(self) -> &'static RawRegion {
        &Box::leak(Box::new(self)).region
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // SAFETY: mapped in `mapped`; what was made from it borrowed `self` and is gone. It can only fail if these numbers are
        // wrong, and then there is nothing to do.
        let _ = unsafe { munmap(self.mapping, self.mapped) };
    }
}

/// Longer than an address space.
fn too_long(bytes: u64) -> DeviceError {
    let len = usize::try_from(bytes).unwrap_or(usize::MAX);
    DeviceError::Range(RawError::AddressOverflow { address: 0, len })
}

fn page() -> u64 {
    rustix::param::page_size() as u64
}

/// The number in a sysfs file: `0x` and hexadecimal digits.
fn attribute(path: &Path) -> Result<u64, DeviceError> {
    let text = fs::read_to_string(path).map_err(|error| DeviceError::System {
        step: "read",
        path: path.into(),
        error: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    })?;
    let digits = text.trim().trim_start_matches("0x");
    u64::from_str_radix(digits, 16)
        .map_err(|_| DeviceError::BadAttribute { path: path.into(), found: text.trim().into() })
}
