//! The places of a channel without a buffer, where senders and receivers meet.
//!
//! P is the number of places of each kind (`extra` of the prefix, 1 to 32), W the word size, L the line size, A = 32 up to L, E the
//! element's alignment (the largest power of two that divides `elem_size`, at most 16 and at most L).
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | A | 4 | `offers`: bit i while a sender offers at its place i |
//! | A + 4 | 4 | eventcount of senders that wait for a place |
//! | B = A + 8 up to L | 4 | `requests`: bit i while a receiver waits at its place i |
//! | B + 4 | 4 | eventcount of receivers that wait for a place |
//! | C = B + 8 up to L | S x P | places of senders, S = (40 up to E, + `elem_size`) up to L |
//! | C + S x P | R x P | places of receivers, R = 40 up to L |
//!
//! A place (all 0 initially):
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | W | `claim` (`claim.rs`) |
//! | 8 | 4 | `owner`: the number of the party whose place it is; 0 if it is free |
//! | 12 | 4 | eventcount of its party |
//! | 16 | W | `home`: where in the region the claim word is that decides; the place's own, or another's for a select |
//! | 24 | W | `expected`: what that word is while it can be matched |
//! | 32 | 4 | `case`: which of a select's cases this is; 0 if it is none |
//! | 36 | 4 | `receiver`: the number of the party to which the value is given |
//! | 40 up to E | `elem_size` | the value (of senders only) |
//!
//! 1. *Take a place*: CAS `owner` from 0 to one's number; move `claim` to *owned*.
//! 2. *Offer*, *request*: write value, `home`, `expected`, `case`; set the place's bit; move the claim word to *open*. A sender then rings
//!    one receiver that is asleep.
//! 3. *Take an offer*: read `claim`, `home`, `expected`, copy the value, and see that `claim` is in the same use. CAS the claim word at
//!    `home` from `expected` to *matched*. If that succeeds the value is ours. Ring that party.
//! 4. Who takes an offer while it has a request of its own first moves its own claim word from *open* to *busy*; if that fails it has been
//!    matched. Afterwards to *owned* if it took one, or back to *open*; and then it looks again at all, and rings again for what it
//!    offers. Two that are busy with each other: the one whose claim word has the higher offset gives way.
//! 5. *Give*, to one that waits (`try_send`): write the value into a place of one's own and move that to *given*. CAS the claim word of
//!    the receiver from `expected` to *matched*, naming that place. If that succeeds the place is the receiver's, who frees it; the
//!    giver moves it to *handed*, if it is still *given*. Otherwise back to *owned*.
//! 6. *Withdraw*: CAS the own claim word from *open* to *owned*. Success: certainly not matched. Failure: matched.
//! 7. *Free a place*: clear its bit; move `claim` to *free* of the next use; `owner` to 0; wake one that waits for a place.
//!
//! **Why nobody is matched twice, or only in part.** A party has one claim word, however many offers and requests it has, and one CAS moves
//! it from *open* to *matched*. A party that takes and could be taken excludes the latter first (4). **Why a copy is good:** the value
//! is not written again before the claim word has left *open* of that use for good. **Why nobody sleeps who could be met:** a
//! sender sets its bit and then looks for requests, a receiver sets its bit and then looks for offers, with full fences in between,
//! so one of the two sees the other; and as only receivers take while others could take them, the sender rings. Who saw the
//! other busy is rung, or looked for, when that goes back to *open*.
//!
//! **The dead.** An offer of a dead party can be taken like any other, once, until somebody who finds no place frees it. A request of a party
//! that is known to be dead gets nothing. Freeing: *given* if giver and receiver are dead, *handed* if the receiver is, all others if the
//! owner is.
//!
//! A synchronous queue with one CAS to meet: Scherer, Lea and Scott, "Scalable synchronous queues" (2006,
//! <https://doi.org/10.1145/1122971.1122994>), in slots instead of list nodes. Selecting by one claim word for each party with a
//! third state in between: Reppy, Russo and Xiao, "Parallel Concurrent ML" (2009, <https://doi.org/10.1145/1596550.1596588>).

use super::claim::{Claim, Home, Phase};
use super::places::{Layout, Place, Places, Side};
use crate::element::Element;
use crate::party::Membership;
use crate::prefix::Prefix;
use crate::sync::{fence_after_rmw, look_again, Atomic, Racy, Span};
use crate::wait::{EventCount, Notifier};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// How often a taker tries again at the same offer, whose party is going back and forth, before it goes on.
const TRIES: u32 = 4;

/// What a channel without a buffer consists of.
#[derive(Debug)]
pub(crate) struct Rendezvous<'a, T> {
    senders: Places<'a>,
    receivers: Places<'a>,
    values: Racy<'a, T>,
    /// All of the region, where the claim words of others are.
    region: Span<'a>,
    pub(super) notifier: Notifier<'a>,
    membership: Membership<'a>,
}

impl<T> Clone for Rendezvous<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Rendezvous<'_, T> {}

/// What looking for an offer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    Value(T),
    Nothing,
    /// Nothing; and for a moment nobody could have matched us, so whoever we offer something to is to be rung again.
    Left,
    /// Nothing, and we have been matched ourselves meanwhile.
    Matched,
}

/// An offer, as it was seen.
struct Offer<'a, T> {
    home: Home<'a>,
    /// What the claim word there was.
    open: Claim,
    case: u32,
    value: T,
}

/// Whether a place in this phase shows something.
fn is_shown(phase: Phase) -> bool {
    matches!(phase, Phase::Posted | Phase::Open | Phase::Busy)
}

/// Whether the party at `home` can be matched in the use that `open` says, now, or in a moment if it is busy.
fn is_open(home: &Home<'_>, open: Claim) -> bool {
    let mut looks = 0;
    while home.load() == open.in_phase(Phase::Busy) && look_again(&mut looks) {}
    open.phase() == Phase::Open && home.load() == open
}

/// Why a value was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    NobodyWaits,
    NoPlace,
}

impl<'a, T: Element> Rendezvous<'a, T> {
    /// The one in `span`, a part of `region`; `None` if it does not fit.
    pub(super) fn at(
        span: Span<'a>,
        region: Span<'a>,
        layout: &Layout,
        notifier: Notifier<'a>,
        membership: Membership<'a>,
    ) -> Option<Self> {
        let (count, base) = (layout.places as usize, span.offset_in(&region)?);
        let places = |shown, at, stride| {
            let part = span.part(at, stride * u64::from(layout.places))?;
            let places = Places {
                shown: span.word(shown)?,
                room: EventCount::new(span.word(shown + 4)?),
                span: part,
                stride,
                count,
                wide: layout.wide,
                at: base + at,
            };
            // All can be reached.
            (0..count).try_for_each(|index| places.place(region, index).map(|_| ()))?;
            Some(places)
        };
        let stride = usize::try_from(layout.sender_stride).ok()?;
        Some(Rendezvous {
            senders: places(layout.offers, layout.senders, layout.sender_stride)?,
            receivers: places(layout.requests, layout.receivers, layout.receiver_stride)?,
            values: span.racy(layout.senders + layout.value, stride, count)?,
            region,
            notifier,
            membership,
        })
    }
}

impl<'a, T> Rendezvous<'a, T> {
    fn side(&self, side: Side) -> &Places<'a> {
        match side {
            Side::Senders => &self.senders,
            Side::Receivers => &self.receivers,
        }
    }

    fn place(&self, side: Side, index: usize) -> Option<Place<'a>> {
        self.side(side).place(self.region, index)
    }

    /// The region's memory, in which all claim words of a select must be.
    pub(crate) fn region(&self) -> Span<'a> {
        self.region
    }

    /// How many cases a select may have.
    pub(crate) fn most_cases(&self) -> usize {
        super::claim::most_cases(self.senders.wide)
    }

    /// What those sleep on that find no place.
    pub(crate) fn room(&self, side: Side) -> &EventCount<'a> {
        &self.side(side).room
    }

    /// Whether somebody can be met there, or was a moment ago.
    pub(crate) fn is_anybody(&self, side: Side) -> bool {
        self.side(side).shown.load(Acquire) != 0
    }

    /// Step 1. Asks for the dead if it may and there is no other way.
    pub(crate) fn take_place(&self, side: Side, ask: bool) -> Option<usize> {
        let free = || self.side(side).indices(u32::MAX).find(|index| self.own(side, *index));
        free().or_else(|| {
            let reaped = ask && (0..self.side(side).count).any(|index| self.reap(side, index));
            reaped.then(free).flatten()
        })
    }

    fn own(&self, side: Side, index: usize) -> bool {
        let Some(place) = self.place(side, index) else { return false };
        let me = self.membership.number();
        // Acquire: who had it has finished with it.
        let ours = place.owner.load(Relaxed) == 0
            && place.owner.compare_exchange(0, me, Acquire, Relaxed).is_ok();
        if ours {
            place.own.store(place.own.load().in_phase(Phase::Owned));
        }
        ours
    }

    /// Where the party of a place waits.
    pub(crate) fn home(&self, side: Side, index: usize) -> Option<Home<'a>> {
        self.place(side, index).map(|place| place.own)
    }

    /// Step 2, at a place which we own: as `case` of the select that waits at `home`, or by itself if that is none. Until
    /// `home` is open nobody is met.
    pub(crate) fn show(&self, side: Side, index: usize, case: u32, home: &Home<'_>) -> Option<()> {
        let place = self.place(side, index)?;
        // Release: who sees a part of this sees that the place is in another use (`Racy`).
        place.home.store(home.offset(), Release);
        place.expected.store(home.load().in_phase(Phase::Open).bits(), Release);
        place.case.store(case, Release);
        if home.offset() != place.own.offset() {
            place.own.store(place.own.load().in_phase(Phase::Posted));
        }
        // A read-modify-write, for the fence that follows the opening.
        self.side(side).shown.fetch_or(1 << index, AcqRel);
        Some(())
    }

    /// Step 2 of a party that offers or requests one thing: where it can be met from now on. `None` if a peer wrote nonsense.
    pub(super) fn open(&self, side: Side, place: usize) -> Option<Home<'a>> {
        let home = self.home(side, place)?;
        self.show(side, place, 0, &home)?;
        home.open().then_some(home)
    }

    /// Step 7: the place is ours, and what it showed can not be met any more.
    pub(crate) fn free(&self, side: Side, index: usize) {
        let places = self.side(side);
        let Some(place) = self.place(side, index) else { return };
        if places.shown.load(Relaxed) >> index & 1 != 0 {
            places.shown.fetch_and(!(1 << index), AcqRel);
        }
        place.own.store(place.own.load().next());
        // Release: what we did there is done for the next.
        place.owner.swap(0, AcqRel);
        places.room.notify(self.notifier);
    }
}

impl<'a, T: Element> Rendezvous<'a, T> {
    /// The value that is offered at a place which we own.
    pub(crate) fn write(&self, index: usize, value: &T) {
        self.values.write(index, value);
    }

    /// Steps 3 and 4: takes any offer, for the party that waits at `me` if it does.
    pub(crate) fn take(&self, me: Option<&Home<'_>>) -> Taken<T> {
        let shown = self.senders.shown.load(Acquire);
        if shown == 0 {
            return Taken::Nothing;
        }
        let mut nothing = Taken::Nothing;
        for index in self.senders.indices(shown) {
            match self.take_from(index, me) {
                Taken::Nothing => {}
                Taken::Left => nothing = Taken::Left,
                taken => return taken,
            }
        }
        nothing
    }

    fn take_from(&self, index: usize, me: Option<&Home<'_>>) -> Taken<T> {
        let mut nothing = Taken::Nothing;
        for _ in 0..TRIES {
            let Some(offer) = self.offer(index, me) else { break };
            if me.is_some_and(|me| !me.enter()) {
                return Taken::Matched;
            }
            if self.meet(&offer, me) {
                if let Some(me) = me {
                    me.finish();
                }
                offer.home.ring(self.notifier);
                return Taken::Value(offer.value);
            }
            if let Some(me) = me {
                me.leave();
                fence_after_rmw();
                nothing = Taken::Left;
            }
        }
        nothing
    }

    /// What is offered at a place of senders, unless it is our own, if its party can be matched.
    fn offer(&self, index: usize, me: Option<&Home<'_>>) -> Option<Offer<'a, T>> {
        let place = self.place(Side::Senders, index)?;
        let seen = place.own.load();
        if !is_shown(seen.phase()) {
            return None;
        }
        let home = place.home(self.region, self.senders.wide)?;
        let (expected, case) = (place.expected.load(Relaxed), place.case.load(Relaxed));
        // Ends with an acquire fence: what was read before is ordered before the next load, too.
        let value = self.values.read(index)?;
        let ours = me.is_some_and(|me| me.offset() == home.offset());
        let good = place.own.load().is_use_of(seen) && !ours;
        let open = home.claim(expected);
        (good && is_open(&home, open)).then_some(Offer { home, open, case, value })
    }

    /// The one CAS by which an offer is taken.
    fn meet(&self, offer: &Offer<'a, T>, me: Option<&Home<'_>>) -> bool {
        let (home, matched) = (&offer.home, offer.open.matched(offer.case, 0));
        let mut met = home.exchange(offer.open, matched);
        // If both are busy the other gives way, if its offset is the higher one.
        let mut looks = 0;
        while !met
            && me.is_some_and(|me| me.offset() < home.offset())
            && home.load() == offer.open.in_phase(Phase::Busy)
            && look_again(&mut looks)
        {
            met = home.exchange(offer.open, matched);
        }
        met
    }

    /// Step 5: gives `value` to one that waits. Asks whether it lives.
    pub(crate) fn give(&self, value: &T) -> Result<(), Refused> {
        let shown = self.receivers.shown.load(Acquire);
        if shown == 0 {
            return Err(Refused::NobodyWaits);
        }
        let from = self.take_place(Side::Senders, true).ok_or(Refused::NoPlace)?;
        self.write(from, value);
        if self.receivers.indices(shown).any(|index| self.give_at(from, index).is_some()) {
            return Ok(());
        }
        self.free(Side::Senders, from);
        Err(Refused::NobodyWaits)
    }

    /// Gives what is in the place `from`, which we own, at a place of receivers.
    fn give_at(&self, from: usize, index: usize) -> Option<()> {
        let (mine, place) = (self.place(Side::Senders, from)?, self.place(Side::Receivers, index)?);
        let seen = place.own.load();
        if !is_shown(seen.phase()) {
            return None;
        }
        let home = place.home(self.region, self.receivers.wide)?;
        let (expected, case) = (place.expected.load(Acquire), place.case.load(Acquire));
        let receiver = place.owner.load(Acquire);
        let open = home.claim(expected);
        let good = place.own.load().is_use_of(seen)
            && !self.membership.is_dead(receiver)
            && is_open(&home, open);
        if !good {
            return None;
        }
        let owned = mine.own.load();
        mine.receiver.store(receiver, Release);
        mine.own.store(owned.in_phase(Phase::Given));
        if !home.exchange(open, open.matched(case, from)) {
            mine.own.store(owned);
            return None;
        }
        // Fails if it has been freed already.
        mine.own.exchange(owned.in_phase(Phase::Given), owned.in_phase(Phase::Handed));
        home.ring(self.notifier);
        Some(())
    }

    /// The value that was given to us in a place of senders, which is ours now and is freed; `None` if a peer wrote nonsense.
    pub(crate) fn accept(&self, place: usize) -> Option<T> {
        let phase = self.place(Side::Senders, place)?.own.load().phase();
        let value = self.values.read(place).filter(|_| {
            // Nobody else frees it: it is so unless a peer named a place at will.
            matches!(phase, Phase::Given | Phase::Handed)
        })?;
        self.free(Side::Senders, place);
        Some(value)
    }
}

impl<'a, T> Rendezvous<'a, T> {
    /// Tells one receiver that is asleep that there is an offer. The caller has just shown it, or found one that somebody else could
    /// have been told of. Whether there was one.
    pub(crate) fn ring_one(&self) -> bool {
        fence_after_rmw();
        // Acquire: where their claim words are.
        let shown = self.receivers.shown.load(Acquire);
        if shown == 0 {
            return false;
        }
        for index in self.receivers.indices(shown) {
            let place = self.place(Side::Receivers, index);
            let home = place.and_then(|place| place.home(self.region, self.receivers.wide));
            if home.is_some_and(|home| home.bell().notify_asleep(self.notifier)) {
                return true;
            }
        }
        false
    }

    /// If there are offers, tells one receiver: for one that has just freed its place, where it may have been rung.
    pub(crate) fn pass_on(&self) {
        // Freeing ends with a full fence, if there are wakers at all: who offers does not find our place any more, or we find the offer.
        if self.is_anybody(Side::Senders) {
            self.ring_one();
        }
    }

    /// Tells all that wait. The caller has just closed the channel.
    pub(super) fn ring_all(&self) {
        fence_after_rmw();
        for side in [Side::Senders, Side::Receivers] {
            let places = self.side(side);
            // Acquire: as in `ring_one`.
            for index in places.indices(places.shown.load(Acquire)) {
                let place = self.place(side, index);
                if let Some(home) = place.and_then(|place| place.home(self.region, places.wide)) {
                    home.bell().notify_many(self.notifier, u32::MAX);
                }
            }
            places.room.notify_many(self.notifier, u32::MAX);
        }
    }

    /// Frees the place of a dead party; false if it is none. Asks for deaths.
    fn reap(&self, side: Side, index: usize) -> bool {
        let Some(place) = self.place(side, index) else { return false };
        let owner = place.owner.load(Acquire);
        // Asked before the claim is read: the dead don't change it any more.
        let owner_is_dead = owner != 0 && self.membership.is_dead(owner);
        let claim = place.own.load();
        let receiver_is_dead = || self.membership.is_dead(place.receiver.load(Acquire));
        let owned = claim.in_phase(Phase::Owned);
        let ours = match claim.phase() {
            // The giver has done with it, so the claim itself is what those that reap compete for.
            Phase::Handed => receiver_is_dead() && place.own.exchange(claim, owned),
            Phase::Given if !(owner_is_dead && receiver_is_dead()) => false,
            _ => owner_is_dead && self.inherit(&place, owner),
        };
        if ours {
            self.free(side, index);
        }
        ours
    }

    /// Becomes the owner of what a dead party owned, and sees to it that nobody meets that party any more.
    fn inherit(&self, place: &Place<'a>, dead: u32) -> bool {
        // The number does not come again, so only one of those that found it dead succeeds.
        let me = self.membership.number();
        if place.owner.compare_exchange(dead, me, AcqRel, Relaxed).is_err() {
            return false;
        }
        // Each failure means that somebody met it just now, after which nobody does.
        for _ in 0..TRIES {
            let claim = place.own.load();
            if place.own.exchange(claim, claim.in_phase(Phase::Owned)) {
                break;
            }
        }
        true
    }
}

/// How many parties wait at the channel that begins `span`, for a view; `None` if it does not fit into it.
pub(super) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let layout = Layout::of(prefix).filter(|layout| layout.size <= span.len() as u64)?;
    let offers: Atomic<'_, u32> = span.word(layout.offers)?;
    let requests: Atomic<'_, u32> = span.word(layout.requests)?;
    Some(u64::from(offers.load(Acquire).count_ones() + requests.load(Acquire).count_ones()))
}
