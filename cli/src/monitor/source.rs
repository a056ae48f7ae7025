//! What is monitored: values that follow one another, or elements that change.

use std::ops::Range;
use zeroipc::{Elements, Kind, NextError, Observer};

/// How much memory may go into remembering the elements of an Array.
const REMEMBERED_BYTES: usize = 64 << 20;

/// Where values come from.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Flow(Observer<'a>),
    Elements(Changes<'a>),
}

/// A value that came; its bytes are in [`Source::next`]'s buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) place: Place,
    /// It was not in the structure any more when it was copied.
    pub(super) taken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Sequence(u64),
    Element(usize),
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum None {
    /// None has come yet.
    Yet,
    /// None will come any more.
    More,
    /// Nonsense is there.
    Corrupt,
}

impl Source<'_> {
    pub(super) fn elem_size(&self) -> usize {
        match self {
            Source::Flow(watch) => watch.elem_size(),
            Source::Elements(changes) => changes.elements.elem_size(),
        }
    }

    /// The next value, into `value`, which is an element's size.
    pub(super) fn next(&mut self, value: &mut [u8]) -> Result<Came, None> {
        match self {
            Source::Flow(watch) => match watch.try_next(value) {
                Ok(seen) => Ok(Came { place: Place::Sequence(seen.sequence), taken: seen.taken }),
                Err(NextError::Empty) => Err(None::Yet),
                Err(NextError::Closed) => Err(None::More),
                Err(_) => Err(None::Corrupt),
            },
            Source::Elements(changes) => {
                let element = changes.next(value).ok_or(None::Yet)?;
                Ok(Came { place: Place::Element(element), taken: false })
            }
        }
    }

    /// How many values went by unseen, as far as that can be known.
    pub(super) fn missed(&self) -> Option<u64> {
        match self {
            Source::Flow(watch) => Some(watch.missed()),
            Source::Elements(_) => None,
        }
    }

    /// Whether more would be seen with the values that were taken out already.
    pub(super) fn can_be_emptied(&self) -> bool {
        matches!(self, Source::Flow(watch) if [Kind::RING, Kind::QUEUE, Kind::CHANNEL].contains(&watch.kind()))
    }
}

/// Elements of an Array and what they were when they were last looked at.
#[derive(Debug)]
pub(super) struct Changes<'a> {
    elements: Elements<'a>,
    range: Range<usize>,
    /// The bytes of the elements in the range, if they were looked at yet.
    last: Vec<u8>,
    known: bool,
    /// Whether those that are there at the first look count as changes.
    first_counts: bool,
    /// The next one to be looked at.
    at: usize,
}

impl<'a> Changes<'a> {
    pub(super) fn new(
        elements: Elements<'a>,
        range: Range<usize>,
        first_counts: bool,
    ) -> Result<Self, String> {
        let bytes = range.len().checked_mul(elements.elem_size());
        let bytes = bytes.filter(|bytes| *bytes <= REMEMBERED_BYTES).ok_or_else(|| {
            format!(
                "too many elements to follow all {} of them; choose some by --element",
                range.len()
            )
        })?;
        let at = range.start;
        Ok(Changes { elements, range, last: vec![0; bytes], known: false, first_counts, at })
    }

    /// The next element that has changed. None at the end of each round.
    fn next(&mut self, value: &mut [u8]) -> Option<usize> {
        let size = self.elements.elem_size();
        while self.at < self.range.end {
            let (index, start) = (self.at, (self.at - self.range.start) * size);
            self.at += 1;
            // One that is being written all the time is shown when it comes to rest.
            if self.elements.read(index, value) != Ok(true) {
                continue;
            }
            let last = &mut self.last[start..start + size];
            let changed = if self.known { last != value } else { self.first_counts };
            last.copy_from_slice(value);
            if changed {
                return Some(index);
            }
        }
        self.at = self.range.start;
        self.known = true;
        None
    }
}
