//! Where subscribers register whom publishers must not overtake.
//!
//! A place is the number of its subscriber's party with the mark `ACTIVE` (0: free; without the mark: about to be used), and the
//! cursor: the first sequence that the subscriber has not taken. `slowest` is not ahead of the cursor of any subscriber: until it is
//! `capacity` behind, a publisher looks at nothing else.
//!
//! **Register**: take a free place, or that of a dead party. Store a cursor, set `ACTIVE`, count `joins` up, fence. Whoever starts
//! with the next value looks for the first sequence that is not published only now.
//!
//! **Look for the slowest**, a publisher: load `joins`, then all cursors, fence, load `joins` again: if it is the same, the least
//! cursor (or the sequence to publish, if that is less) is the new `slowest`. Otherwise once more.
//!
//! Why no registered subscriber misses anything that is published after it registered: a publisher that counted it in respects
//! its cursor. One that did not looked at all cursors before the registration was counted (fences), and none of them is ahead of
//! what was published then. So from then on the `slowest` that it stores, now or later, is at most the sequence with which the
//! newcomer starts. Who starts with older values may lose some of these while it registers, and is told how many.

use super::layout::{Layout, JOINS};
use crate::party::{Membership, PARTY_BITS};
use crate::sync::{full_fence, Atomic, Span, Word, Words};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const ACTIVE: u32 = 1 << PARTY_BITS;
const NUMBER: u32 = ACTIVE - 1;

/// How often a publisher looks at all cursors again since somebody registered meanwhile.
const LOOKS: u32 = 16;

#[derive(Debug)]
pub(super) struct Places<'a, W: Word> {
    owners: Words<'a, u32>,
    cursors: Words<'a, W>,
    count: usize,
    slowest: Atomic<'a, W>,
    joins: Atomic<'a, u32>,
}

impl<W: Word> Clone for Places<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W: Word> Copy for Places<'_, W> {}

/// A registered subscriber's own place.
#[derive(Debug)]
pub(super) struct Place<'a, W: Word> {
    owner: Atomic<'a, u32>,
    cursor: Atomic<'a, W>,
    number: u32,
    /// Whether a store moves the cursor, and no read-modify-write.
    stores: bool,
}

impl<'a, W: Word> Places<'a, W> {
    /// `Some(None)` if there are none; `None` if they do not lie inside `span`.
    #[allow(clippy::option_option)]
    pub(super) fn at(span: Span<'a>, layout: &Layout) -> Option<Option<Self>> {
        let count = usize::try_from(layout.place_count).ok()?;
        let stride = usize::try_from(layout.place_stride).ok()?;
        if count == 0 {
            return Some(None);
        }
        Some(Some(Places {
            owners: span.words(layout.places, stride, count)?,
            cursors: span.words(layout.places + layout.cursor_in_place, stride, count)?,
            count,
            slowest: span.word(layout.slowest)?,
            joins: span.word(JOINS)?,
        }))
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn get(&self, index: usize) -> Option<(Atomic<'a, u32>, Atomic<'a, W>)> {
        Some((self.owners.get(index)?, self.cursors.get(index)?))
    }

    fn all(&self) -> impl Iterator<Item = (Atomic<'a, u32>, Atomic<'a, W>)> {
        let places = *self;
        (0..self.count).map_while(move |index| places.get(index))
    }

    /// Whether every subscriber has taken what `sequence` would overwrite.
    #[inline(always)]
    pub(super) fn has_room(&self, sequence: W, capacity: W) -> bool {
        // Acquire: as the publisher who stored it, we come after what subscribers did before they moved their cursors.
        let slowest = self.slowest.load(Acquire);
        is_near(sequence, slowest, capacity) || self.look_for_slowest(sequence, capacity)
    }

    /// Whether that was so when somebody last looked.
    #[inline(always)]
    pub(super) fn had_room(&self, sequence: W, capacity: W) -> bool {
        is_near(sequence, self.slowest.load(Relaxed), capacity)
    }

    #[cold]
    #[inline(never)]
    fn look_for_slowest(&self, sequence: W, capacity: W) -> bool {
        for _ in 0..LOOKS {
            // Acquire: who was counted is seen as active.
            let joins = self.joins.load(Acquire);
            let mut slowest = sequence;
            for (owner, cursor) in self.all() {
                if owner.load(Acquire) & ACTIVE == 0 {
                    continue;
                }
                // Acquire: see `has_room`.
                let cursor = cursor.load(Acquire);
                if cursor.minus(slowest).is_negative() {
                    slowest = cursor;
                }
            }
            full_fence();
            if self.joins.load(Relaxed) == joins {
                self.slowest.store(slowest, Release);
                return is_near(sequence, slowest, capacity);
            }
        }
        false
    }

    /// Takes a place that is free, or whose party is dead; `None` if there is none. It counts only from [`Places::activate`] on.
    ///
    /// `stores`: as [`Notifier::may_store`](crate::wait::Notifier::may_store) says.
    pub(super) fn take(&self, membership: &Membership<'_>, stores: bool) -> Option<Place<'a, W>> {
        let number = membership.number();
        let free = |owner: u32| owner == 0;
        let dead = |owner: u32| membership.is_dead(owner & NUMBER);
        let take_if = |may_take: &dyn Fn(u32) -> bool| {
            self.all().find_map(|(owner, cursor)| {
                let seen = owner.load(Acquire);
                // Acquire: the last one has finished with the cursor.
                let taken =
                    may_take(seen) && owner.compare_exchange(seen, number, AcqRel, Relaxed).is_ok();
                taken.then_some(Place { owner, cursor, number, stores })
            })
        };
        take_if(&free).or_else(|| take_if(&dead))
    }

    /// From now on `place` counts, with `cursor`. What is loaded after this is at least as new as what any publisher has seen who does
    /// not count it.
    pub(super) fn activate(&self, place: &Place<'a, W>, cursor: W) {
        place.cursor.store(cursor, Relaxed);
        // Release: who sees it active sees its cursor.
        place.owner.store(place.number | ACTIVE, Release);
        self.joins.fetch_add(1, AcqRel);
        full_fence();
    }

    /// Frees the places of dead parties; returns how many.
    pub(super) fn remove_dead(&self, membership: &Membership<'_>) -> usize {
        let dead = self.all().filter(|(owner, _)| {
            let seen = owner.load(Acquire);
            seen != 0
                && membership.is_dead(seen & NUMBER)
                && owner.compare_exchange(seen, 0, AcqRel, Relaxed).is_ok()
        });
        dead.count()
    }

    /// How many subscribers are registered.
    pub(super) fn registered(&self) -> usize {
        self.all().filter(|(owner, _)| owner.load(Relaxed) & ACTIVE != 0).count()
    }
}

/// Whether `sequence` is less than `capacity` ahead of `slowest`. One that is behind it was seen before others published it.
#[inline(always)]
fn is_near<W: Word>(sequence: W, slowest: W, capacity: W) -> bool {
    let apart = sequence.minus(slowest);
    apart.is_negative() || apart.wide() < capacity.wide()
}

impl<W: Word> Place<'_, W> {
    /// Moves the cursor. By a read-modify-write, since a look for a sleeping publisher follows, if that one's fence does not reach us.
    #[inline(always)]
    pub(super) fn move_to(&self, cursor: W) {
        // Release: we have read what may now be overwritten.
        if self.stores {
            self.cursor.store(cursor, Release);
        } else {
            self.cursor.swap(cursor, AcqRel);
        }
    }

    /// Gives the place back. Nothing happens if another has it, who believed us dead.
    pub(super) fn leave(&self) {
        let _ = self.owner.compare_exchange(self.number | ACTIVE, 0, AcqRel, Relaxed);
    }
}
