//! Parties that can die: a `Liveness` for tests, and regions as one party or another sees them.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use zeroipc_nostd::{Liveness, PartyId, Region};

/// Who of the parties 1 to 63 is dead, and how often somebody asked.
#[derive(Debug, Default)]
pub struct Mortals {
    dead: AtomicU64,
    asked: AtomicU64,
}

impl Mortals {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn kill(&self, party: u32) {
        self.dead.fetch_or(1 << party, SeqCst);
    }

    pub fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    /// The region as `party` sees it.
    pub fn region<'a>(&'a self, region: Region<'a>, party: u32) -> Region<'a> {
        region.with_party(PartyId::new(party).unwrap(), self)
    }
}

impl Liveness for Mortals {
    fn is_dead(&self, party: PartyId) -> bool {
        self.asked.fetch_add(1, SeqCst);
        self.dead.load(SeqCst) >> party.number() & 1 != 0
    }
}
