//! Memory as a linker script would set it aside.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};
use zeroipc_raw::RawRegion;

#[derive(Debug)]
#[repr(C, align(128))]
pub struct Shared(UnsafeCell<[u8; 8192]>);
// SAFETY: only regions reach the bytes, and by atomic accesses.
unsafe impl Sync for Shared {}

impl Shared {
    pub const fn new() -> Self {
        Shared(UnsafeCell::new([0; 8192]))
    }

    pub fn base(&self) -> *mut u8 {
        self.0.get().cast()
    }

    pub fn all(&'static self) -> RawRegion {
        // SAFETY: a static, which is mapped for ever; each test has its own and goes through regions or atomics only.
        unsafe { RawRegion::from_pointer(self.base(), 8192) }.unwrap()
    }

    /// A word as a peer that does what it likes sees it.
    pub fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset + 4 <= 8192 && offset % 4 == 0);
        // SAFETY: inside the bytes.
        let word = unsafe { self.base().add(offset) };
        // SAFETY: inside the bytes, aligned, and only accessed atomically.
        unsafe { AtomicU32::from_ptr(word.cast()) }
    }

    pub fn fill(&self, with: u32) {
        (0..8192).step_by(4).for_each(|at| self.word(at).store(with, Ordering::SeqCst));
    }
}
