//! Who is dead, as a test's supervisor knows from the system: a flag for each party in the region.

use zeroipc::{Array, Liveness, Memory, PartyId, Region};

const NAME: &str = "deaths";

/// A `Liveness` whose knowledge comes from whoever has waited for the dead.
#[derive(Debug, Clone, Copy)]
pub struct Deaths<'a> {
    flags: Array<'a, u32>,
}

impl<'a> Deaths<'a> {
    /// For parties 1 to `parties`, all alive.
    ///
    /// # Panics
    /// If there is no room.
    #[must_use]
    pub fn create(memory: &'a Memory, parties: u32) -> Self {
        Deaths { flags: Array::create(memory, NAME, parties as usize + 1).expect("room") }
    }

    /// As another process created it.
    ///
    /// # Panics
    /// If none did.
    #[must_use]
    pub fn open(memory: &'a Memory) -> Self {
        Deaths { flags: Array::open(memory, NAME).expect("created before") }
    }

    /// The process that was `party` is gone for certain.
    ///
    /// # Panics
    /// If there is no such party.
    pub fn mark(&self, party: u32) {
        self.flags.store(party as usize, 1).expect("a party");
    }

    /// The region as `party` sees it.
    ///
    /// # Panics
    /// If that is no number.
    #[must_use]
    pub fn region(&'a self, memory: &'a Memory, party: u32) -> Region<'a> {
        memory.region().with_party(PartyId::new(party).expect("a number"), self)
    }
}

impl Liveness for Deaths<'_> {
    fn is_dead(&self, party: PartyId) -> bool {
        self.flags.load(party.number() as usize) == Ok(1)
    }
}
