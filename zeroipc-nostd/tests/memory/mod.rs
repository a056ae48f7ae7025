//! Memory for the tests: aligned to 128 bytes, or a chosen number of bytes beyond that.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use zerocopy::{FromBytes, Immutable, IntoBytes};
use zeroipc_nostd::{FormatOptions, Geometry, Region, Span, WordSize};

/// The widest line that a geometry may have: so lines are where a geometry says they are.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(128))]
struct Line([u8; 128]);

/// Memory that a test owns.
#[derive(Debug, Clone)]
pub struct Memory {
    lines: Vec<Line>,
    shift: usize,
    len: usize,
}

impl Memory {
    /// All zero, as an operating system gives it.
    pub fn zeroed(len: usize) -> Self {
        Self::filled(len, 0)
    }

    /// With something in it, as a chip gives it.
    pub fn filled(len: usize, byte: u8) -> Self {
        Memory { lines: vec![Line([byte; 128]); len / 128 + 2], shift: 0, len }
    }

    /// The same, `shift` bytes further: not on a line any more.
    pub fn shifted(mut self, shift: usize) -> Self {
        assert!(shift <= 128);
        self.shift = shift;
        self
    }

    pub fn bytes(&self) -> &[u8] {
        &self.lines.as_bytes()[self.shift..self.shift + self.len]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (start, end) = (self.shift, self.shift + self.len);
        &mut self.lines.as_mut_bytes()[start..end]
    }

    pub fn span(&mut self) -> Span<'_> {
        Span::from_slice(self.bytes_mut()).unwrap()
    }

    /// A region over all of it.
    pub fn region(&mut self, options: FormatOptions) -> Region<'_> {
        Region::create(self.span(), &options).unwrap()
    }
}

/// Both word sizes with every line size.
pub fn geometries() -> Vec<Geometry> {
    let words = [WordSize::Four, WordSize::Eight];
    let lines = [8, 16, 32, 64, 128];
    words
        .iter()
        .flat_map(|word| lines.iter().map(|line| Geometry::new(*word, *line).unwrap()))
        .collect()
}
