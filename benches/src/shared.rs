//! Memory that both processes see at the same address: one shared mapping made before the fork, and a global allocator
//! which takes from it while [`place`] runs.
//!
//! That is how peers from crates.io run between processes unchanged: what they allocate while they are constructed lies in
//! the mapping. Nothing is ever given back; a run needs a few MiB.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use rustix::io::Errno;
use rustix::mm::{mmap_anonymous, MapFlags, ProtFlags};

/// Address space of the mapping; the kernel backs only what is touched.
const BYTES: usize = 256 << 20;

/// Allocations of at least this size begin on a page, as large ones do anywhere.
const PAGE: usize = 4096;

/// Everything else begins on a pair of lines, so that no contender suffers from a neighbour.
const LINES: usize = 128;

#[global_allocator]
static ALLOCATOR: Bump =
    Bump { base: AtomicUsize::new(0), used: AtomicUsize::new(0), on: AtomicBool::new(false) };

struct Bump {
    /// Address of the mapping; 0 until [`map`] made it.
    base: AtomicUsize,
    used: AtomicUsize,
    /// Whether allocations come from the mapping now.
    on: AtomicBool,
}

impl Bump {
    /// Memory from the mapping; null if it is used up. This program has one thread, so relaxed accesses do.
    fn take(&self, layout: Layout) -> *mut u8 {
        let least = if layout.size() >= PAGE { PAGE } else { LINES };
        let align = layout.align().max(least);
        let base = self.base.load(Relaxed);
        // `map` and `align` keep this far below the end of the address space.
        let start = (base + self.used.load(Relaxed)).next_multiple_of(align) - base;
        match start.checked_add(layout.size()) {
            Some(end) if end <= BYTES => {
                self.used.store(end, Relaxed);
                ptr::with_exposed_provenance_mut(base + start)
            }
            _ => ptr::null_mut(),
        }
    }

    fn owns(&self, pointer: *mut u8) -> bool {
        let base = self.base.load(Relaxed);
        base != 0 && (base..base + BYTES).contains(&pointer.addr())
    }
}

// SAFETY: `take` returns null or a range of the layout's size and alignment inside the mapping, which stays mapped for ever
// and is given out once; everything else is left to the system's allocator.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.on.load(Relaxed) {
            return self.take(layout);
        }
        // SAFETY: the caller keeps the same contract with us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !self.owns(pointer) {
            // SAFETY: not from the mapping, so from `System.alloc`, and with this layout (the caller's contract).
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}

/// Makes the mapping, once, before the first [`place`] and the first fork.
pub(crate) fn map() -> Result<(), Errno> {
    // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
    let base = unsafe {
        mmap_anonymous(
            ptr::null_mut(),
            BYTES,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED | MapFlags::NORESERVE,
        )
    }?;
    ALLOCATOR.base.store(base.expose_provenance(), Relaxed);
    Ok(())
}

/// Runs `build`; all that it allocates lies in shared memory.
pub(crate) fn place<R>(build: impl FnOnce() -> R) -> R {
    ALLOCATOR.on.store(ALLOCATOR.base.load(Relaxed) != 0, Relaxed);
    let built = build();
    ALLOCATOR.on.store(false, Relaxed);
    built
}

/// `bytes` zeroed bytes in shared memory, for ever.
pub(crate) fn memory(bytes: usize) -> &'static mut [u8] {
    place(|| vec![0_u8; bytes].leak())
}
