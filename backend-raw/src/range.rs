//! A range of addresses that is fit to be shared.

use crate::error::RawError;
use zeroipc_nostd::{FormatOptions, Region, Span, View};

/// What the core needs: its widest word.
const ALIGN: usize = 8;

/// A range of addresses in which a region lies or will lie.
///
/// Holds no memory and frees none: its maker vouches for the range for as long as it exists. What is created or opened
/// through it borrows it, so that nothing outlives the promise. In a `static` it gives regions that live for ever:
///
/// ```no_run
/// use zeroipc_nostd::Region;
/// use zeroipc_raw::{RawError, RawRegion};
///
/// // 16 KiB of SRAM that no linker script of any core uses otherwise.
/// // SAFETY: the bank is there, uncached, and nobody's but this region's.
/// static MAILBOX: RawRegion = match unsafe { RawRegion::new(0x2004_0000, 0x4000) } {
///     Ok(range) => range,
///     Err(_) => panic!("checked while compiling"),
/// };
///
/// fn mailbox() -> Result<Region<'static>, RawError> {
///     MAILBOX.open()
/// }
/// ```
#[derive(Debug)]
pub struct RawRegion {
    base: *mut u8,
    len: usize,
}

// SAFETY: the range is only reached through regions and views, which access it atomically; the contract of every
// constructor is that of `Span`, whose memory any thread may access so.
unsafe impl Send for RawRegion {}
// SAFETY: as above; the range itself never changes.
unsafe impl Sync for RawRegion {}

impl RawRegion {
    /// The `len` bytes from `address` on: physical memory that is mapped one to one, a reserved bank of SRAM.
    ///
    /// Touches nothing, so it also works in a `static` and before the memory is powered.
    ///
    /// # Safety
    /// Until the result and everything made from it is gone, the range must be what the
    /// [crate's documentation](crate#what-the-memory-must-be) demands: mapped, nobody else's, coherent, and atomic
    /// across the parties. The address must be one that Rust did not hand out: for memory that is a Rust object use
    /// [`RawRegion::from_pointer`].
    ///
    /// # Errors
    /// [`RawError::NullAddress`]; [`RawError::Misaligned`] unless `address` is a multiple of 8;
    /// [`RawError::AddressOverflow`] if the range wraps around or exceeds `isize::MAX` bytes.
    pub const unsafe fn new(address: usize, len: usize) -> Result<Self, RawError> {
        match check(address, len) {
            Ok(()) => Ok(RawRegion { base: address as *mut u8, len }),
            Err(error) => Err(error),
        }
    }

    /// The `len` bytes from `base` on: a mapping, a DMA buffer, a static.
    ///
    /// # Safety
    /// As for [`RawRegion::new`]; `base` must be valid for all of the range (point into one object, or be a mapping's).
    ///
    /// # Errors
    /// As [`RawRegion::new`].
    pub unsafe fn from_pointer(base: *mut u8, len: usize) -> Result<Self, RawError> {
        check(base as usize, len)?;
        Ok(RawRegion { base, len })
    }

    /// The bytes from `start` up to and without `end`: two symbols of a linker script.
    ///
    /// ```no_run
    /// use core::ptr::addr_of_mut;
    /// use zeroipc_raw::RawRegion;
    ///
    /// extern "C" {
    ///     // In the linker script: .shared (NOLOAD) : ALIGN(64) { __shared_start = .; . += 4K; __shared_end = .; }
    ///     static mut __shared_start: u8;
    ///     static mut __shared_end: u8;
    /// }
    /// // SAFETY: the section is for this region alone, and no start-up code writes to it.
    /// let memory = unsafe {
    ///     RawRegion::between(addr_of_mut!(__shared_start), addr_of_mut!(__shared_end))
    /// };
    /// ```
    ///
    /// # Safety
    /// As for [`RawRegion::from_pointer`], with the bytes between the two.
    ///
    /// # Errors
    /// As [`RawRegion::new`]; [`RawError::Reversed`] if `end` lies before `start`.
    pub unsafe fn between(start: *mut u8, end: *mut u8) -> Result<Self, RawError> {
        let (first, last) = (start as usize, end as usize);
        let len = last.checked_sub(first).ok_or(RawError::Reversed { start: first, end: last })?;
        // SAFETY: the caller's promise is about these `len` bytes.
        unsafe { Self::from_pointer(start, len) }
    }

    /// Checks that the range consists of whole lines of `line` bytes: the cache line, or the granule of exclusive
    /// accesses or of memory protection.
    ///
    /// Recommended wherever there are caches: other data on the first or last line would be written back over the region,
    /// or delay it. The largest line of all parties counts.
    ///
    /// # Errors
    /// [`RawError::BadLineSize`] unless `line` is a power of two of at least 8; [`RawError::Misaligned`],
    /// [`RawError::UnevenLength`].
    pub fn check_line(&self, line: usize) -> Result<(), RawError> {
        if line < ALIGN || !line.is_power_of_two() {
            return Err(RawError::BadLineSize { bytes: line });
        }
        let (address, len) = (self.address(), self.len);
        if address % line != 0 {
            return Err(RawError::Misaligned { address, align: line });
        }
        if len % line != 0 {
            return Err(RawError::UnevenLength { len, line });
        }
        Ok(())
    }

    /// Checks that this range and `other` have no byte in common: two regions of one memory map.
    ///
    /// Compares addresses as this party sees them: one memory that is mapped twice is not noticed.
    ///
    /// # Errors
    /// [`RawError::Overlap`] with what they have in common.
    pub fn check_disjoint(&self, other: &RawRegion) -> Result<(), RawError> {
        // Cannot overflow: checked when the ranges were made.
        let start = self.address().max(other.address());
        let end = (self.address() + self.len).min(other.address() + other.len);
        match end.checked_sub(start) {
            None | Some(0) => Ok(()),
            Some(len) => Err(RawError::Overlap { address: start, len }),
        }
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> usize {
        self.base as usize
    }

    /// The length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // an empty range is of no use: every region is larger than its header
    pub fn len(&self) -> usize {
        self.len
    }

    /// Formats the range and opens it: one party does so, before or while the others look for the region.
    ///
    /// Whatever was there is lost to those who open it from now on. If this party dies half-way the others find no region.
    /// Without compare-and-exchange the result is the handle that creates all structures: keep it.
    ///
    /// # Errors
    /// [`RawError::Region`]: too small, or options that this target or memory cannot meet
    /// ([`Region::create`]).
    pub fn create(&self, options: &FormatOptions) -> Result<Region<'_>, RawError> {
        Ok(Region::create(self.span()?, options)?)
    }

    /// Opens the region that another party created in the range. Never waits.
    ///
    /// # Errors
    /// [`RawError::Region`] with [`WrongMagic`](zeroipc_nostd::RegionError::WrongMagic) as long as nobody has created it:
    /// try again later. Others: what lies there is no region that this target can use ([`Region::open`]).
    pub fn open(&self) -> Result<Region<'_>, RawError> {
        Ok(Region::open(self.span()?)?)
    }

    /// [`RawRegion::create`] in memory that caches do not keep coherent ([`Region::create_incoherent`]): for Rings and Signals.
    ///
    /// # Errors
    /// [`RawError::Region`], [`RawError::UnevenLength`] if the range does not end with a line.
    #[cfg(feature = "incoherent")]
    pub fn create_incoherent<'r>(
        &'r self,
        options: &FormatOptions,
        caches: &'r dyn zeroipc_nostd::CacheMaintenance,
    ) -> Result<Region<'r>, RawError> {
        self.check_line(caches.line() as usize)?;
        Ok(Region::create_incoherent(self.span()?, options, caches)?)
    }

    /// Opens what another party created by [`RawRegion::create_incoherent`].
    ///
    /// # Errors
    /// As [`RawRegion::open`], and as [`RawRegion::create_incoherent`].
    #[cfg(feature = "incoherent")]
    pub fn open_incoherent<'r>(
        &'r self,
        caches: &'r dyn zeroipc_nostd::CacheMaintenance,
    ) -> Result<Region<'r>, RawError> {
        self.check_line(caches.line() as usize)?;
        Ok(Region::open_incoherent(self.span()?, caches)?)
    }

    /// Opens it for looking only: works on memory that this party may only read.
    ///
    /// # Errors
    /// As [`RawRegion::open`].
    pub fn view(&self) -> Result<View<'_>, RawError> {
        Ok(View::open(self.span()?)?)
    }

    fn span(&self) -> Result<Span<'_>, RawError> {
        // SAFETY: whoever made this range promised that it is mapped, only accessed atomically, and stays so at least as
        // long as `self` is borrowed.
        Ok(unsafe { Span::from_raw_parts(self.base, self.len) }?)
    }
}

/// What can be known of a range from its numbers.
const fn check(address: usize, len: usize) -> Result<(), RawError> {
    if address == 0 {
        return Err(RawError::NullAddress);
    }
    if address % ALIGN != 0 {
        return Err(RawError::Misaligned { address, align: ALIGN });
    }
    if len > isize::MAX as usize || address.checked_add(len).is_none() {
        return Err(RawError::AddressOverflow { address, len });
    }
    Ok(())
}

/// The memory between two symbols of a linker script, which need not be declared: [`RawRegion::between`] as an expression.
///
/// Unsafe to use, as that is.
///
/// ```no_run
/// use zeroipc_raw::linker_region;
///
/// // In the linker script: .shared (NOLOAD) : ALIGN(64) { __shared_start = .; . += 4K; __shared_end = .; }
/// // SAFETY: the section is for this region alone, and no start-up code writes to it.
/// let memory = unsafe { linker_region!(__shared_start, __shared_end) }?;
/// # Ok::<(), zeroipc_raw::RawError>(())
/// ```
#[macro_export]
macro_rules! linker_region {
    ($start:ident, $end:ident) => {{
        extern "C" {
            static mut $start: u8;
            static mut $end: u8;
        }
        $crate::RawRegion::between(
            ::core::ptr::addr_of_mut!($start),
            ::core::ptr::addr_of_mut!($end),
        )
    }};
}
