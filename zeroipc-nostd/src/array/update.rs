//! Updating numbers in place: read, change, write, as one step that nobody sees half of.
//!
//! - Integers: one read-modify-write of the target.
//! - Floats: load the bits, compute, compare-and-exchange the bits; on failure again with what stands there now. A failure
//!   means that another party's update succeeded, so this is lock-free; a party stopped inside holds up nobody.

use super::Array;
use crate::error::{IndexOutOfBounds, UpdateError};
use crate::sync::{Bitwise, Change, NativeInteger};

/// How often a float's update starts again before it reports [`UpdateError::Contended`]. Each turn means that another
/// party changed the element within a few instructions, so only a hostile one can use them up.
const TURNS: u32 = 1 << 16;

/// A number that can be updated in place: the integers of 8 to 64 bits, `f32` and `f64`, each as far as the target has
/// atomics of its size. Implemented here only.
pub trait Number: sealed::Number {}

/// An integer that can be updated in place. Implemented here only.
pub trait Integer: Number + sealed::Integer {}

mod sealed {
    use super::{Bitwise, Change, Contended, Native};
    use crate::element::Element;
    use crate::sync::NativeInteger;

    pub trait Number: Element {
        /// The integer of the same size.
        type Bits: NativeInteger;

        fn change(at: &Native<Self>, change: Change, value: Self) -> Result<Self, Contended>;
        fn compare_exchange(at: &Native<Self>, current: Self, new: Self) -> Result<Self, Self>;
    }

    pub trait Integer: Number {
        fn combine(at: &Native<Self>, bitwise: Bitwise, value: Self) -> Self;
    }
}

/// The atomic that holds a `T`.
type Native<T> = <<T as sealed::Number>::Bits as NativeInteger>::Native;

/// All turns were used up.
#[derive(Debug)]
pub struct Contended;

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl Number for $type {}
        impl Integer for $type {}

        impl sealed::Number for $type {
            type Bits = $type;

            #[inline(always)]
            fn change(at: &Native<Self>, change: Change, value: Self) -> Result<Self, Contended> {
                Ok(NativeInteger::change(at, change, value))
            }

            #[inline(always)]
            fn compare_exchange(at: &Native<Self>, current: Self, new: Self) -> Result<Self, Self> {
                NativeInteger::compare_exchange(at, current, new)
            }
        }

        impl sealed::Integer for $type {
            #[inline(always)]
            fn combine(at: &Native<Self>, bitwise: Bitwise, value: Self) -> Self {
                NativeInteger::combine(at, bitwise, value)
            }
        }
    )+};
}

macro_rules! float {
    ($type:ty, $bits:ty) => {
        impl Number for $type {}

        impl sealed::Number for $type {
            type Bits = $bits;

            #[inline]
            fn change(at: &Native<Self>, change: Change, value: Self) -> Result<Self, Contended> {
                if change == Change::Swap {
                    let was = NativeInteger::change(at, change, value.to_bits());
                    return Ok(<$type>::from_bits(was));
                }
                // Acquire: this may be all that happens.
                let mut found: $bits = NativeInteger::load(at);
                for _ in 0..TURNS {
                    let was = <$type>::from_bits(found);
                    let instead_of_nan = was.is_nan() && !value.is_nan();
                    let now = match change {
                        Change::Add => was + value,
                        Change::Sub => was - value,
                        Change::Min if value < was || instead_of_nan => value,
                        Change::Max if value > was || instead_of_nan => value,
                        Change::Min | Change::Max => return Ok(was),
                        Change::Swap => value,
                    };
                    match NativeInteger::compare_exchange(at, found, now.to_bits()) {
                        Ok(_) => return Ok(was),
                        Err(instead) => found = instead,
                    }
                }
                Err(Contended)
            }

            #[inline]
            fn compare_exchange(at: &Native<Self>, current: Self, new: Self) -> Result<Self, Self> {
                NativeInteger::compare_exchange(at, current.to_bits(), new.to_bits())
                    .map(<$type>::from_bits)
                    .map_err(<$type>::from_bits)
            }
        }
    };
}

integers!(u32, i32);
// The model has words of 4 and 8 bytes only.
#[cfg(not(loom))]
integers!(u8, i8, u16, i16);
float!(f32, u32);
#[cfg(target_has_atomic = "64")]
integers!(u64, i64);
#[cfg(target_has_atomic = "64")]
float!(f64, u64);

/// # Updating in place
///
/// Each of these is one step for everybody, ordered AcqRel: what parties did before their own updates of the element is
/// visible to whoever updates or loads it afterwards. All return what was there before.
///
/// For integers each is one read-modify-write of the target: wait-free where that is one instruction, as `fetch_add`,
/// `fetch_sub`, `swap` and `compare_exchange` are on x86-64 and all are on AArch64 with LSE; otherwise a loop that the
/// compiler makes of the target's instructions. So everything here is lock-free everywhere: a party stopped or killed inside
/// holds up nobody, and has updated the element or not.
///
/// # Errors
/// Of all: [`UpdateError::NeedsCas`] in a region of loads and stores, or where the target cannot do it;
/// [`UpdateError::OutOfBounds`].
impl<T: Number> Array<'_, T> {
    /// Adds `value`. Integers wrap around.
    ///
    /// Floats are added as `+` does it (a NaN stays one), with as many turns as other parties' updates need that come in
    /// between: lock-free.
    ///
    /// ```
    /// # use zeroipc_nostd::{Array, FormatOptions, Region, Span};
    /// # let mut memory = vec![0_u64; 1024];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// # let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
    /// let counts = Array::<u64>::create(region, "counts", 8)?;
    /// assert_eq!(counts.fetch_add(3, 2)?, 0);
    /// assert_eq!(counts.fetch_add(3, 2)?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`UpdateError`]; [`UpdateError::Contended`] for floats only: others changed the element 65536 times in a row.
    #[inline]
    pub fn fetch_add(&self, index: usize, value: T) -> Result<T, UpdateError> {
        self.change(index, Change::Add, value)
    }

    /// Subtracts `value`. As [`Array::fetch_add`].
    ///
    /// # Errors
    /// As [`Array::fetch_add`].
    #[inline]
    pub fn fetch_sub(&self, index: usize, value: T) -> Result<T, UpdateError> {
        self.change(index, Change::Sub, value)
    }

    /// Stores `value` if it is less than what is there.
    ///
    /// Of floats: a NaN is never stored, and one that is there gives way to any number; 0 and -0 are equal. While a float
    /// stays as it is, this is a load with acquire.
    ///
    /// # Errors
    /// As [`Array::fetch_add`].
    #[inline]
    pub fn fetch_min(&self, index: usize, value: T) -> Result<T, UpdateError> {
        self.change(index, Change::Min, value)
    }

    /// Stores `value` if it is greater than what is there. Of floats as [`Array::fetch_min`].
    ///
    /// # Errors
    /// As [`Array::fetch_add`].
    #[inline]
    pub fn fetch_max(&self, index: usize, value: T) -> Result<T, UpdateError> {
        self.change(index, Change::Max, value)
    }

    /// Stores `value`.
    ///
    /// # Errors
    /// [`UpdateError::NeedsCas`], [`UpdateError::OutOfBounds`].
    #[inline]
    pub fn swap(&self, index: usize, value: T) -> Result<T, UpdateError> {
        self.change(index, Change::Swap, value)
    }

    /// Stores `new` if `current` is there. `Ok(Ok(current))` if so; otherwise `Ok(Err(what is there))`, with acquire.
    ///
    /// Floats are compared by their bits: a NaN may equal itself, and 0 and -0 differ.
    ///
    /// ```
    /// # use zeroipc_nostd::{Array, FormatOptions, Region, Span};
    /// # let mut memory = vec![0_u64; 1024];
    /// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
    /// # let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
    /// let owners = Array::<u32>::create(region, "owners", 8)?;
    /// assert_eq!(owners.compare_exchange(0, 0, 17)?, Ok(0));
    /// assert_eq!(owners.compare_exchange(0, 0, 18)?, Err(17));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`UpdateError::NeedsCas`], [`UpdateError::OutOfBounds`].
    #[inline]
    pub fn compare_exchange(
        &self,
        index: usize,
        current: T,
        new: T,
    ) -> Result<Result<T, T>, UpdateError> {
        Ok(T::compare_exchange(self.native(index)?, current, new))
    }

    #[inline(always)]
    fn change(&self, index: usize, change: Change, value: T) -> Result<T, UpdateError> {
        T::change(self.native(index)?, change, value).map_err(|Contended| UpdateError::Contended)
    }

    #[inline(always)]
    fn native(&self, index: usize) -> Result<&Native<T>, UpdateError> {
        if !self.cas || !T::Bits::NATIVE {
            return Err(UpdateError::NeedsCas);
        }
        let element = self.elements.native::<T::Bits>(index);
        element.ok_or(UpdateError::OutOfBounds(IndexOutOfBounds { index, len: self.len() }))
    }
}

/// # Bits
///
/// One step each, with all that [updating in place](Array::fetch_add) says of integers.
impl<T: Integer> Array<'_, T> {
    /// Ands with `value`, bit by bit.
    ///
    /// # Errors
    /// [`UpdateError::NeedsCas`], [`UpdateError::OutOfBounds`].
    #[inline]
    pub fn fetch_and(&self, index: usize, value: T) -> Result<T, UpdateError> {
        self.combine(index, Bitwise::And, value)
    }

    /// Ors with `value`, bit by bit.
    ///
    /// # Errors
    /// [`UpdateError::NeedsCas`], [`UpdateError::OutOfBounds`].
    #[inline]
    pub fn fetch_or(&self, index: usize, value: T) -> Result<T, UpdateError> {
        self.combine(index, Bitwise::Or, value)
    }

    /// Exclusive-ors with `value`, bit by bit.
    ///
    /// # Errors
    /// [`UpdateError::NeedsCas`], [`UpdateError::OutOfBounds`].
    #[inline]
    pub fn fetch_xor(&self, index: usize, value: T) -> Result<T, UpdateError> {
        self.combine(index, Bitwise::Xor, value)
    }

    #[inline(always)]
    fn combine(&self, index: usize, bitwise: Bitwise, value: T) -> Result<T, UpdateError> {
        Ok(T::combine(self.native(index)?, bitwise, value))
    }
}
