//! Integers that one native atomic holds, for read-modify-writes of elements.

use super::hook;
use crate::element::Element;
use core::fmt::Debug;
use core::sync::atomic::Ordering;

#[cfg(loom)]
use loom::sync::atomic as native;
#[cfg(not(loom))]
use portable_atomic as native;

/// What a read-modify-write makes of an element and an operand. Arithmetic wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Add,
    Sub,
    Min,
    Max,
    Swap,
}

/// As [`Change`], for bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bitwise {
    And,
    Or,
    Xor,
}

/// An integer and its native atomic.
pub trait NativeInteger: Element + Ord + Debug {
    type Native;

    /// Whether the atomic's read-modify-writes exclude other cores here: by instructions, not by a lock or by masking
    /// interrupts.
    const NATIVE: bool;

    /// Acquire.
    fn load(at: &Self::Native) -> Self;
    /// Returns what was there before. AcqRel.
    fn change(at: &Self::Native, change: Change, value: Self) -> Self;
    /// Returns what was there before. AcqRel.
    fn combine(at: &Self::Native, bitwise: Bitwise, value: Self) -> Self;
    /// AcqRel, on failure Acquire.
    fn compare_exchange(at: &Self::Native, current: Self, new: Self) -> Result<Self, Self>;

    /// The model's atomic, which has no sign.
    #[cfg(loom)]
    fn of_cell(cell: &super::model::Cell) -> Option<&Self::Native>;
}

/// `$atomic` holds the integer in the real form, and in the model `$bits_atomic` holds its `$bits`.
macro_rules! integer {
    ($type:ty, $atomic:ident) => {
        #[cfg(not(loom))]
        impl NativeInteger for $type {
            type Native = native::$atomic;
            const NATIVE: bool = native::$atomic::is_always_lock_free();

            #[inline(always)]
            fn load(at: &Self::Native) -> Self {
                hook::step();
                at.load(Ordering::Acquire)
            }

            #[inline(always)]
            #[allow(unreachable_code, unused_variables)] // one of the two halves is empty on every target
            fn change(at: &Self::Native, change: Change, value: Self) -> Self {
                hook::step();
                portable_atomic::cfg_has_atomic_cas! {
                    return match change {
                        Change::Add => at.fetch_add(value, Ordering::AcqRel),
                        Change::Sub => at.fetch_sub(value, Ordering::AcqRel),
                        Change::Min => at.fetch_min(value, Ordering::AcqRel),
                        Change::Max => at.fetch_max(value, Ordering::AcqRel),
                        Change::Swap => at.swap(value, Ordering::AcqRel),
                    };
                }
                // No such instructions: the handle refuses before it comes here.
                at.load(Ordering::Acquire)
            }

            #[inline(always)]
            #[allow(unreachable_code, unused_variables)]
            fn combine(at: &Self::Native, bitwise: Bitwise, value: Self) -> Self {
                hook::step();
                portable_atomic::cfg_has_atomic_cas! {
                    return match bitwise {
                        Bitwise::And => at.fetch_and(value, Ordering::AcqRel),
                        Bitwise::Or => at.fetch_or(value, Ordering::AcqRel),
                        Bitwise::Xor => at.fetch_xor(value, Ordering::AcqRel),
                    };
                }
                at.load(Ordering::Acquire)
            }

            #[inline(always)]
            #[allow(unreachable_code, unused_variables)]
            fn compare_exchange(at: &Self::Native, current: Self, new: Self) -> Result<Self, Self> {
                hook::step();
                portable_atomic::cfg_has_atomic_cas! {
                    return at.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
                }
                Err(at.load(Ordering::Acquire))
            }
        }
    };
    ($type:ty, $atomic:ident, model $bits:ty, $bits_atomic:ident, $cell:ident) => {
        integer!($type, $atomic);

        #[cfg(loom)]
        impl NativeInteger for $type {
            type Native = native::$bits_atomic;
            const NATIVE: bool = true;

            fn load(at: &Self::Native) -> Self {
                hook::step();
                at.load(Ordering::Acquire) as $type
            }

            fn change(at: &Self::Native, change: Change, value: Self) -> Self {
                hook::step();
                let bits = value as $bits;
                (match change {
                    Change::Add => at.fetch_add(bits, Ordering::AcqRel),
                    Change::Sub => at.fetch_sub(bits, Ordering::AcqRel),
                    Change::Swap => at.swap(bits, Ordering::AcqRel),
                    // With the integer's own sign, which the model's atomic does not know.
                    Change::Min | Change::Max => at
                        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |was| {
                            let was = was as $type;
                            let (min, max) = (was.min(value), was.max(value));
                            Some((if change == Change::Min { min } else { max }) as $bits)
                        })
                        .unwrap_or_else(|was| was),
                }) as $type
            }

            fn combine(at: &Self::Native, bitwise: Bitwise, value: Self) -> Self {
                hook::step();
                let bits = value as $bits;
                (match bitwise {
                    Bitwise::And => at.fetch_and(bits, Ordering::AcqRel),
                    Bitwise::Or => at.fetch_or(bits, Ordering::AcqRel),
                    Bitwise::Xor => at.fetch_xor(bits, Ordering::AcqRel),
                }) as $type
            }

            fn compare_exchange(at: &Self::Native, current: Self, new: Self) -> Result<Self, Self> {
                hook::step();
                at.compare_exchange(
                    current as $bits,
                    new as $bits,
                    Ordering::AcqRel,
                    Ordering::Acquire,
                )
                .map(|was| was as $type)
                .map_err(|was| was as $type)
            }

            fn of_cell(cell: &super::model::Cell) -> Option<&Self::Native> {
                match cell {
                    super::model::Cell::$cell(atomic) => Some(atomic),
                    _ => None,
                }
            }
        }
    };
}

// The model has words of 4 and 8 bytes only.
integer!(u8, AtomicU8);
integer!(i8, AtomicI8);
integer!(u16, AtomicU16);
integer!(i16, AtomicI16);
integer!(u32, AtomicU32, model u32, AtomicU32, W4);
integer!(i32, AtomicI32, model u32, AtomicU32, W4);
// The same condition as for the width in which payload is copied, so an element is aligned to its atomic.
#[cfg(target_has_atomic = "64")]
integer!(u64, AtomicU64, model u64, AtomicU64, W8);
#[cfg(target_has_atomic = "64")]
integer!(i64, AtomicI64, model u64, AtomicU64, W8);
