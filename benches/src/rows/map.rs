//! Map: lookups beside an unlocked hash map, and after churn beside before.

use rustc_hash::FxHashMap;
use std::time::Duration;
use zeroipc_nostd::Map;

use super::{failed, region, Row, Target, Unit};
use crate::duel::{duel, Contender, Outcome, Plan};
use crate::pinned::Failure;

pub(super) const ROWS: [Row; 2] = [
    Row {
        name: "map-lookup-4k",
        peer: "FxHashMap",
        unit: Unit::Solo,
        target: Target::AtMost(1.5),
        run: lookup,
    },
    Row {
        name: "map-lookup-after-churn",
        peer: "itself, fresh",
        unit: Unit::Solo,
        target: Target::AtMost(1.1),
        run: churn,
    },
];

/// Keys in the map: half of what it has room for.
const KEYS: u64 = 4096;

/// Distinct keys that come and go before the row of churn is measured; fewer in a quick run.
const CHURN: u64 = 100_000_000;
const QUICK_CHURN: u64 = 5_000_000;

/// The key after `n` others, none twice: an odd factor permutes the numbers.
fn key(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Looks keys up, one after another, in an order that no prefetcher knows.
trait Lookup {
    fn find(&self, key: u64) -> Option<u64>;
}

impl Lookup for Map<'_, u64, u64> {
    #[inline(always)]
    fn find(&self, key: u64) -> Option<u64> {
        self.get(&key).ok().flatten()
    }
}

impl Lookup for FxHashMap<u64, u64> {
    #[inline(always)]
    fn find(&self, key: u64) -> Option<u64> {
        self.get(&key).copied()
    }
}

/// Lookups by the leader alone; an operation is one of them.
struct Lookups<M> {
    map: M,
    /// The keys that are there: key(first) to key(first + KEYS - 1), each with its number as value.
    first: u64,
}

impl<M: Lookup> Contender for Lookups<M> {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        let mut right = true;
        let mut place = 1;
        for _ in 0..count {
            // Every place once, in no simple order (full period: Hull and Dobell 1962).
            place = (place * 1_664_525 + 1_013_904_223) % KEYS;
            let number = self.first + place;
            right &= self.map.find(key(number)) == Some(number);
        }
        right
    }

    fn follow(&mut self, _count: u64) {}
}

fn ours(name: &str) -> Result<Map<'static, u64, u64>, Failure> {
    let map = Map::create(region()?, name, 2 * KEYS as usize).map_err(failed)?;
    for number in 0..KEYS {
        map.insert(key(number), number).map_err(failed)?;
    }
    Ok(map)
}

fn lookup(plan: Plan) -> Result<Outcome, Failure> {
    let mut peer = FxHashMap::default();
    peer.extend((0..KEYS).map(|number| (key(number), number)));
    duel(plan, Lookups { map: ours("map")?, first: 0 }, Lookups { map: peer, first: 0 })
}

fn churn(plan: Plan) -> Result<Outcome, Failure> {
    let churned = ours("churned")?;
    let turns = if plan.budget < Duration::from_secs(10) { QUICK_CHURN } else { CHURN };
    for number in 0..turns {
        churned.remove(&key(number)).map_err(failed)?;
        churned.insert(key(KEYS + number), KEYS + number).map_err(failed)?;
    }
    duel(plan, Lookups { map: churned, first: turns }, Lookups { map: ours("map")?, first: 0 })
}
