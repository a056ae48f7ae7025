//! Element types of every shape: one access or several, of each width.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use zerocopy::{FromBytes, Immutable, IntoBytes};
use zeroipc_nostd::Element;

/// An element that a test can number.
pub trait Sample: Element + PartialEq + std::fmt::Debug {
    /// Different for different `n` as far as the size allows, in every part of the element.
    fn nth(n: u64) -> Self;
}

/// `n` spread over 64 bits, so that every byte of it counts.
fn spread(n: u64) -> u64 {
    n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

macro_rules! integer {
    ($($type:ty),+) => {
        $(impl Sample for $type {
            fn nth(n: u64) -> Self {
                let high = spread(n) as u128;
                (high << 64 | spread(!n) as u128) as $type
            }
        })+
    };
}
integer!(u8, u16, u32, u64, u128);

impl Sample for f32 {
    fn nth(n: u64) -> Self {
        // Exact, and never a NaN, which would not equal itself.
        (n % (1 << 24)) as f32
    }
}

impl<const N: usize> Sample for [u8; N]
where
    [u8; N]: Element,
{
    fn nth(n: u64) -> Self {
        std::array::from_fn(|i| spread(n.wrapping_add(i as u64)) as u8)
    }
}

/// 24 bytes, moved in words of 8.
#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Pose {
    at: [u64; 2],
    heading: u32,
    quality: u16,
    flags: [u8; 2],
}

impl Sample for Pose {
    fn nth(n: u64) -> Self {
        let s = spread(n);
        Pose { at: [s, !s], heading: s as u32, quality: s as u16, flags: [n as u8, s as u8] }
    }
}

/// 64 bytes: a line.
#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Frame {
    number: u64,
    data: [u32; 14],
}

impl Sample for Frame {
    fn nth(n: u64) -> Self {
        Frame { number: n, data: std::array::from_fn(|i| spread(n + i as u64) as u32) }
    }
}

/// How many element types there are.
pub const TYPES: usize = 10;

/// Calls `$function::<T>($args)` with the element type number `$which`.
#[allow(unused_macros)] // not all tests are for all types
macro_rules! for_type {
    ($which:expr, $function:ident($($args:expr),*)) => {
        match $which {
            0 => $function::<u8>($($args),*),
            1 => $function::<u16>($($args),*),
            2 => $function::<u32>($($args),*),
            3 => $function::<u64>($($args),*),
            4 => $function::<f32>($($args),*),
            5 => $function::<[u8; 3]>($($args),*),
            6 => $function::<[u8; 12]>($($args),*),
            7 => $function::<$crate::elements::Pose>($($args),*),
            8 => $function::<$crate::elements::Frame>($($args),*),
            _ => $function::<u128>($($args),*),
        }
    };
}
