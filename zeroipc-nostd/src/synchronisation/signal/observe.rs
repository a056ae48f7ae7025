//! A signal's values, seen by a party that only loads: as any reader does, without knowing the type.

use super::core::{Core, READS};
use super::Layout;
use crate::error::NextError;
use crate::geometry::WordSize;
use crate::observe::{Passing, Seen};
use crate::prefix::Prefix;
use crate::sync::{by_word, ByWord, Caches, Raw, Span, Wide, Word};

/// Follows a signal.
#[derive(Debug)]
pub(crate) struct SignalObserver<'a> {
    versions: ByWord<Versions<'a, u32>, Versions<'a, Wide>>,
}

#[derive(Debug)]
struct Versions<'a, W: Word> {
    /// Its values are not used, so any element will do that fits into every cell: a word of 4 bytes.
    core: Core<'a, u32, W>,
    values: Raw<'a>,
    /// The highest version before they start again from 0.
    highest: u64,
    /// The next version to be seen, counted on where versions wrap around.
    next: u64,
}

impl<'a> SignalObserver<'a> {
    /// From the next change on; `None` if the signal does not fit into `span`.
    pub(crate) fn new(span: Span<'a>, prefix: &Prefix) -> Option<Self> {
        let layout = Layout::of(prefix)?;
        let versions = match prefix.geometry.ok()?.word() {
            WordSize::Four => ByWord::W4(Versions::new(span, prefix, &layout)?),
            WordSize::Eight => ByWord::wide(Versions::new(span, prefix, &layout)?)?,
        };
        Some(SignalObserver { versions })
    }
}

impl Passing for SignalObserver<'_> {
    fn rewind(&mut self, count: u64, _taken: bool) {
        by_word!(&mut self.versions, versions => versions.rewind(count));
    }

    fn try_next(
        &mut self,
        value: &mut [u8],
        _taken: bool,
        missed: &mut u64,
    ) -> Result<Seen, NextError> {
        by_word!(&mut self.versions, versions => versions.try_next(value, missed))
    }
}

impl<'a, W: Word> Versions<'a, W> {
    fn new(span: Span<'a>, prefix: &Prefix, layout: &Layout) -> Option<Self> {
        let core = Core::<u32, W>::at(span, layout, Caches::default())?;
        let (stride, slots) = (usize::try_from(layout.stride).ok()?, core.slots());
        let first = layout.cells + layout.value_in_cell;
        Some(Versions {
            core,
            values: span.raw(first, stride, slots, prefix.elem_size as usize)?,
            highest: core.version(W::ZERO.minus(W::ONE)),
            next: core.version(core.word()).wrapping_add(1),
        })
    }

    /// How many versions `version` is from `next`, forwards; none if it lies behind.
    fn ahead(&self, version: u64) -> Option<u64> {
        let apart = version.wrapping_sub(self.next) & self.highest;
        (apart <= self.highest / 2).then_some(apart)
    }

    /// There is only the current one.
    fn rewind(&mut self, count: u64) {
        let newer = self.ahead(self.core.version(self.core.word())).map_or(0, |apart| apart + 1);
        self.next = self.next.wrapping_add(newer).wrapping_sub(count.min(1));
    }

    fn try_next(&mut self, value: &mut [u8], missed: &mut u64) -> Result<Seen, NextError> {
        for _ in 0..READS {
            let word = self.core.word();
            let Some(skipped) = self.ahead(self.core.version(word)) else {
                return Err(NextError::Empty);
            };
            let slot = self.core.slot(word);
            if !self.values.read(slot, value) {
                return Err(NextError::Corrupt);
            }
            if self.core.is_whole(word, slot) {
                *missed = missed.saturating_add(skipped);
                let sequence = self.next.wrapping_add(skipped);
                self.next = sequence.wrapping_add(1);
                return Ok(Seen { sequence, taken: false });
            }
        }
        // So often only if a peer wrote nonsense.
        Err(NextError::Corrupt)
    }
}
