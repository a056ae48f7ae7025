//! The two word sizes of the format, 4 and 8 bytes, and what this target can do with them.

use core::fmt::Debug;
use core::ops::{BitAnd, BitOr, Shl, Shr};
use core::sync::atomic::Ordering;

#[cfg(loom)]
use loom::sync::atomic as native;
#[cfg(not(loom))]
use portable_atomic as native;

/// A shared word: `u32` everywhere, `u64` where the target has native 64-bit atomics.
///
/// The format is little-endian and so is every target (lib.rs), so a word needs no conversion.
pub(crate) trait Word:
    Copy
    + Eq
    + Debug
    + Send
    + Sync
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
    + 'static
{
    /// The atomic that holds it.
    type Native: Send + Sync + 'static;
    const BYTES: usize;
    const ZERO: Self;
    const ONE: Self;

    /// The low bits of `value`: exact for everything that was checked against this width at open.
    fn low(value: u64) -> Self;
    fn wide(self) -> u64;
    /// The low bits as an index; the caller masks or checks it.
    fn index(self) -> usize;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    /// Whether the top bit is set: the sign of a modular difference.
    fn is_negative(self) -> bool;

    fn load(at: &Self::Native, order: Ordering) -> Self;
    fn store(at: &Self::Native, value: Self, order: Ordering);
    fn compare_exchange(
        at: &Self::Native,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self>;
    fn swap(at: &Self::Native, value: Self, order: Ordering) -> Self;
    fn fetch_add(at: &Self::Native, value: Self, order: Ordering) -> Self;
    fn fetch_or(at: &Self::Native, value: Self, order: Ordering) -> Self;
    fn fetch_and(at: &Self::Native, value: Self, order: Ordering) -> Self;

    /// The model's atomic for this word, from the slab's cell.
    #[cfg(loom)]
    fn of_cell(cell: &super::model::Cell) -> Option<&Self::Native>;
    #[cfg(loom)]
    fn new_cell() -> super::model::Cell;
}

macro_rules! word {
    ($type:ty, $atomic:ident, $cell:ident) => {
        impl Word for $type {
            type Native = native::$atomic;
            const BYTES: usize = core::mem::size_of::<$type>();
            const ZERO: Self = 0;
            const ONE: Self = 1;

            #[inline(always)]
            fn low(value: u64) -> Self {
                value as $type
            }
            #[inline(always)]
            fn wide(self) -> u64 {
                u64::from(self)
            }
            #[inline(always)]
            fn index(self) -> usize {
                self as usize
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn is_negative(self) -> bool {
                self >> (8 * Self::BYTES - 1) != 0
            }
            #[inline(always)]
            fn load(at: &Self::Native, order: Ordering) -> Self {
                at.load(order)
            }
            #[inline(always)]
            fn store(at: &Self::Native, value: Self, order: Ordering) {
                at.store(value, order);
            }
            #[inline(always)]
            #[allow(unreachable_code, unused_variables)] // one of the two halves is empty on every target
            fn compare_exchange(
                at: &Self::Native,
                current: Self,
                new: Self,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Self, Self> {
                portable_atomic::cfg_has_atomic_cas! {
                    return at.compare_exchange(current, new, success, failure);
                }
                // No such instruction: regions are opened as `LoadStore` here, and nothing that needs it opens.
                Err(at.load(Ordering::Acquire))
            }
            #[inline(always)]
            #[allow(unreachable_code, unused_variables)]
            fn swap(at: &Self::Native, value: Self, order: Ordering) -> Self {
                portable_atomic::cfg_has_atomic_cas! {
                    return at.swap(value, order);
                }
                at.load(Ordering::Acquire)
            }
            #[inline(always)]
            #[allow(unreachable_code, unused_variables)]
            fn fetch_add(at: &Self::Native, value: Self, order: Ordering) -> Self {
                portable_atomic::cfg_has_atomic_cas! {
                    return at.fetch_add(value, order);
                }
                at.load(Ordering::Acquire)
            }
            #[inline(always)]
            #[allow(unreachable_code, unused_variables)]
            fn fetch_or(at: &Self::Native, value: Self, order: Ordering) -> Self {
                portable_atomic::cfg_has_atomic_cas! {
                    return at.fetch_or(value, order);
                }
                at.load(Ordering::Acquire)
            }
            #[inline(always)]
            #[allow(unreachable_code, unused_variables)]
            fn fetch_and(at: &Self::Native, value: Self, order: Ordering) -> Self {
                portable_atomic::cfg_has_atomic_cas! {
                    return at.fetch_and(value, order);
                }
                at.load(Ordering::Acquire)
            }
            #[cfg(loom)]
            fn of_cell(cell: &super::model::Cell) -> Option<&Self::Native> {
                match cell {
                    super::model::Cell::$cell(atomic) => Some(atomic),
                    _ => None,
                }
            }
            #[cfg(loom)]
            fn new_cell() -> super::model::Cell {
                super::model::Cell::$cell(native::$atomic::new(0))
            }
        }
    };
}

word!(u32, AtomicU32, W4);
portable_atomic::cfg_has_atomic_64! {
    word!(u64, AtomicU64, W8);
}

/// Whether 8-byte words work here.
pub(crate) const HAS_WIDE: bool = has_wide();

#[allow(unreachable_code)]
const fn has_wide() -> bool {
    portable_atomic::cfg_has_atomic_64! {
        return native_wide();
    }
    false
}

portable_atomic::cfg_has_atomic_64! {
    const fn native_wide() -> bool {
        portable_atomic::AtomicU64::is_always_lock_free()
    }
}

/// Whether compare-and-exchange works between cores here: natively, not by masking interrupts or by a private lock.
#[allow(unreachable_code)] // one of the two halves is empty on every target
pub(crate) const fn native_cas() -> bool {
    portable_atomic::cfg_has_atomic_cas! {
        return portable_atomic::AtomicU32::is_always_lock_free();
    }
    false
}

/// Whether there is a compare-and-exchange for this party's own memory: natively, or by what the program says to `portable-atomic`.
#[allow(unreachable_code)] // one of the two halves is empty on every target
pub(crate) const fn private_cas() -> bool {
    portable_atomic::cfg_has_atomic_cas! {
        return true;
    }
    false
}

/// A structure's core in the word size that its creator chose.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ByWord<A, B> {
    /// 4-byte words.
    W4(A),
    /// 8-byte words; does not exist where the target has no 64-bit atomics, and takes no code there.
    #[allow(dead_code)] // no constructor on such targets
    W8(B, Having),
}

impl<A, B> ByWord<A, B> {
    /// A core of 8-byte words; `None` where there is none.
    #[inline(always)]
    #[allow(clippy::needless_return)] // one of the two halves is empty on every target
    pub(crate) fn wide(core: B) -> Option<Self> {
        portable_atomic::cfg_has_atomic_64! {
            return Some(ByWord::W8(core, Having));
        }
        portable_atomic::cfg_no_atomic_64! {
            let _ = core;
            return None;
        }
    }
}

portable_atomic::cfg_has_atomic_64! {
    /// Proof of 64-bit atomics: a value where the target has them, and none where it has not.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Having;
}
portable_atomic::cfg_no_atomic_64! {
    /// Proof of 64-bit atomics: a value where the target has them, and none where it has not.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Having {}
}

portable_atomic::cfg_has_atomic_64! {
    /// The type behind an 8-byte word.
    pub(crate) type Wide = u64;
}
portable_atomic::cfg_no_atomic_64! {
    /// No 64-bit atomics: the variant exists for the type checker and is never built.
    pub(crate) type Wide = u32;
}

/// Runs one expression for either word size.
macro_rules! by_word {
    ($value:expr, $core:ident => $body:expr) => {
        match $value {
            $crate::sync::ByWord::W4($core) => $body,
            $crate::sync::ByWord::W8($core, _) => $body,
        }
    };
}
pub(crate) use by_word;
