//! Where senders and receivers wait, and how it lies in memory: the tables of [`rendezvous`](super::rendezvous).

use super::claim::{any_word, Home, MOST_PLACES};
use crate::geometry::{align_up, WordSize};
use crate::prefix::Prefix;
use crate::sync::{scattered, AnyWord, Atomic, Span};
use crate::wait::EventCount;
use core::num::NonZeroUsize;
use core::sync::atomic::Ordering::Relaxed;

const OWNER: u64 = 8;
const HOME: u64 = 16;
const EXPECTED: u64 = 24;
const CASE: u64 = 32;
const RECEIVER: u64 = 36;
const PLACE_BYTES: u64 = 40;

/// How many senders, and how many receivers, wait at a time, where nobody says.
pub(super) const DEFAULT_PLACES: u32 = 16;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Senders,
    Receivers,
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) offers: u64,
    pub(super) requests: u64,
    pub(super) senders: u64,
    pub(super) value: u64,
    pub(super) sender_stride: u64,
    pub(super) receivers: u64,
    pub(super) receiver_stride: u64,
    pub(super) places: u32,
    pub(super) wide: bool,
    pub(super) size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is none that creation writes.
    pub(super) fn of(prefix: &Prefix) -> Option<Self> {
        let geometry = prefix.geometry.ok()?;
        let line = u64::from(geometry.line_bytes());
        let (elem, places) = (u64::from(prefix.elem_size), prefix.extra);
        let possible = elem > 0
            && elem <= 1 << 30
            && prefix.capacity == 0
            && (1..=MOST_PLACES).contains(&places);
        if !possible {
            return None;
        }
        let elem_align = (1 << elem.trailing_zeros()).min(16).min(line);
        let offers = align_up(super::CONTROL_BYTES, line)?;
        let requests = align_up(offers + 8, line)?;
        let senders = align_up(requests + 8, line)?;
        let value = align_up(PLACE_BYTES, elem_align)?;
        let sender_stride = align_up(value + elem, line)?;
        let receivers = senders.checked_add(sender_stride.checked_mul(u64::from(places))?)?;
        let receiver_stride = align_up(PLACE_BYTES, line)?;
        let size = receivers.checked_add(receiver_stride * u64::from(places))?;
        let wide = geometry.word() == WordSize::Eight;
        Some(Layout {
            offers,
            requests,
            senders,
            value,
            sender_stride,
            receivers,
            receiver_stride,
            places,
            wide,
            size,
        })
    }
}

/// The places of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    /// One bit for each where somebody can be met.
    pub(super) shown: Atomic<'a, u32>,
    pub(super) room: EventCount<'a>,
    pub(super) span: Span<'a>,
    pub(super) stride: u64,
    pub(super) count: usize,
    pub(super) wide: bool,
    /// Where in the region `span` begins.
    pub(super) at: u64,
}

/// A place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) own: Home<'a>,
    pub(super) owner: Atomic<'a, u32>,
    pub(super) home: AnyWord<'a>,
    pub(super) expected: AnyWord<'a>,
    pub(super) case: Atomic<'a, u32>,
    pub(super) receiver: Atomic<'a, u32>,
}

impl<'a> Places<'a> {
    /// Bounded: there are at most 32.
    pub(super) fn indices(&self, shown: u32) -> impl Iterator<Item = usize> {
        let (count, start) = (self.count, scattered());
        // Not 0, which the compiler cannot know: a remainder that may fail would link the machinery of panics.
        let modulus = NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        (0..count)
            .map(move |nth| (start % modulus + nth) % modulus)
            .filter(move |at| shown >> at & 1 != 0)
    }

    pub(super) fn place(&self, region: Span<'a>, index: usize) -> Option<Place<'a>> {
        if index >= self.count {
            return None;
        }
        let at = index as u64 * self.stride;
        Some(Place {
            own: Home::at(region, self.wide, self.at + at)?,
            owner: self.span.word(at + OWNER)?,
            home: any_word(self.span, self.wide, at + HOME)?,
            expected: any_word(self.span, self.wide, at + EXPECTED)?,
            case: self.span.word(at + CASE)?,
            receiver: self.span.word(at + RECEIVER)?,
        })
    }
}

impl<'a> Place<'a> {
    /// The claim word that decides; `None` if a peer wrote nonsense.
    pub(super) fn home(&self, region: Span<'a>, wide: bool) -> Option<Home<'a>> {
        Home::at(region, wide, self.home.load(Relaxed))
    }
}
