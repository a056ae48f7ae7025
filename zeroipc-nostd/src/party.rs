//! Who a party is, and how others learn that it is dead.

use core::fmt;
use core::num::NonZeroU32;

/// Bits of a party's number: what a lock's word has room for beside its flags.
pub(crate) const PARTY_BITS: u32 = 30;

/// The owner that a party without a number records: nobody can learn of its death.
pub(crate) const UNKNOWN_PARTY: u32 = (1 << PARTY_BITS) - 1;

/// The number by which a party is known in a region: what a lock records as its owner. From 1 to 2^30 - 1.
///
/// The last one means "unknown": a party with this number is never reported dead.
///
/// No two parties that live at the same time may have the same one, and a number should not come again soon after its
/// holder's death. A region without numbers (see [`Region::with_party`](crate::Region::with_party)) works, but then nobody
/// can learn that a lock's owner is dead.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PartyId(NonZeroU32);

impl PartyId {
    /// The party with this number; `None` for 0 and from 2^30 on.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) if number.get() < 1 << PARTY_BITS => Some(PartyId(number)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Debug for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "party {}", self.0)
    }
}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How a party learns that another is dead: a lock that the kernel drops, a heartbeat, a reset hook.
///
/// What is said must be certain: nothing is ever recovered by a timeout alone. A party that is only slow, or stopped, is
/// alive. Asked when an operation has waited for a while, never on a fast path.
pub trait Liveness: fmt::Debug + Send + Sync {
    /// Whether `party` is known to be dead, so that it will never again access the region.
    fn is_dead(&self, party: PartyId) -> bool;
}

/// Who this party is in a region, and whom it asks about others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Membership<'a> {
    pub(crate) me: Option<PartyId>,
    pub(crate) liveness: Option<&'a dyn Liveness>,
}

impl Membership<'_> {
    /// The number that this party records as an owner.
    pub(crate) fn number(&self) -> u32 {
        self.me.map_or(UNKNOWN_PARTY, PartyId::number)
    }

    /// Whether the party with this number in the region is known to be dead. Numbers that are none are not.
    pub(crate) fn is_dead(&self, number: u32) -> bool {
        match (self.liveness, PartyId::new(number)) {
            (Some(liveness), Some(party)) if number != UNKNOWN_PARTY => liveness.is_dead(party),
            _ => false,
        }
    }
}
