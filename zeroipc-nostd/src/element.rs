//! Which types may be shared.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A type that may live in a region: plain data without padding, pointers or interior mutability, valid for any bytes.
///
/// Implemented for every type that has zerocopy's traits: derive them.
///
/// ```
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Pose {
///     x: f64,
///     y: f64,
///     heading: f32,
///     quality: u32,
/// }
///
/// fn shareable<T: zeroipc_nostd::Element>() {}
/// shareable::<Pose>();
/// ```
///
/// A `bool`, a reference, a `usize` that another word size would read differently, or a struct with a hole must not be
/// shared; the first, second and fourth do not compile:
///
/// ```compile_fail
/// fn shareable<T: zeroipc_nostd::Element>() {}
/// shareable::<bool>();
/// ```
pub trait Element: Copy + FromBytes + IntoBytes + Immutable + Send + 'static {}

impl<T: Copy + FromBytes + IntoBytes + Immutable + Send + 'static> Element for T {}
