//! A Pool full of nonsense, before it is opened and while handles and loans are open: nothing panics, hangs, or touches memory
//! outside.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use zeroipc_nostd::{FormatOptions, Geometry, Handle, Liveness, PartyId, Pool, Region, WordSize};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

type Block = [u8; 13];
const SLOTS: usize = 5;

/// Says of half of all parties that they are dead.
#[derive(Debug)]
struct Half;

impl Liveness for Half {
    fn is_dead(&self, party: PartyId) -> bool {
        party.number().is_multiple_of(2)
    }
}

fn spoil(memory: &Guarded, start: usize, end: usize, random: &mut Random) {
    let at = start + random.below((end - start) as u64) as usize;
    let near = memory.read_u32(at);
    let few = random.below(4) as u32;
    let bit = 1 << random.below(32);
    let value = random.pick(&[
        0,
        1,
        u32::MAX,
        1 << 30,
        1 << 30 | few,
        2 << 30 | few,
        3 << 30,
        near.wrapping_add(1),
        near ^ bit,
    ]);
    match random.below(4) {
        0 => memory.flip(at, random.below(8) as u32),
        1 => memory.write_u64(at, random.bits()),
        _ => memory.write_u32(at, value),
    }
}

fn use_all(pool: &Pool<'_, Block>, sent: &mut Vec<Handle>, random: &mut Random) {
    let mut bytes = [0; 13];
    for _ in 0..6 {
        let Ok(mut loan) = pool.try_alloc() else { break };
        loan.write([7; 13]);
        let (offset, len) = (random.below(15) as usize, random.below(14) as usize);
        assert_eq!(loan.write_bytes(offset, &bytes[..len]).is_ok(), offset + len <= 13);
        assert_eq!(loan.read_bytes(offset, &mut bytes[..len]).is_ok(), offset + len <= 13);
        let _ = loan.read();
        match random.below(3) {
            0 => sent.push(loan.into_handle()),
            1 => std::mem::forget(loan),
            _ => {}
        }
    }
    for handle in sent.iter().copied().chain(pool.in_transit().collect::<Vec<_>>()) {
        if let Ok(loan) = pool.from_handle(handle) {
            assert!(loan.index() < pool.capacity());
        }
    }
    assert!(pool.reclaim() <= pool.capacity() && pool.taken() <= pool.capacity());
}

#[test]
fn nonsense() {
    let _watchdog = watchdog(Duration::from_secs(100), "nonsense in a pool");
    for seed in 0..1200 {
        let random = &mut Random::new(seed);
        let memory = Guarded::new(2048);
        let word = random.pick(&[WordSize::Four, WordSize::Eight]);
        let geometry = Geometry::new(word, random.pick(&[8, 32, 128])).unwrap();
        let options = FormatOptions::new().geometry(geometry).max_entries(2);
        let region = Region::create(memory.span(), &options).unwrap();
        let region = region.with_party(PartyId::new(3).unwrap(), &Half);
        let pool = Pool::<Block>::create(region, "pool", SLOTS).unwrap();
        let entry = region.view().find("pool").unwrap();
        let (start, end) = (entry.offset as usize, (entry.offset + entry.size) as usize);
        let mut sent = Vec::new();
        for _ in 0..4 {
            // Also under loans that are open.
            let loan = pool.try_alloc();
            for _ in 0..=random.below(4) {
                spoil(&memory, start, end, random);
            }
            drop(loan);
            use_all(&pool, &mut sent, random);
            let _ = region.view().inspect(&entry);
            if let Ok(pool) = Pool::<Block>::open(region, "pool") {
                use_all(&pool, &mut sent, random);
            }
        }
        assert!(memory.is_intact(), "seed {seed}: memory outside was written");
    }
}

/// A peer that never stops writing: every operation ends nevertheless.
#[test]
fn a_peer_that_writes_all_the_time() {
    let _watchdog = watchdog(Duration::from_secs(100), "a pool that is written all the time");
    let memory = Guarded::new(2048);
    let region = Region::create(memory.span(), &FormatOptions::new().max_entries(2)).unwrap();
    let region = region.with_party(PartyId::new(3).unwrap(), &Half);
    let pool = Pool::<Block>::create(region, "pool", SLOTS).unwrap();
    let entry = region.view().find("pool").unwrap();
    let (start, end) = (entry.offset as usize, (entry.offset + entry.size) as usize);
    let running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let random = &mut Random::new(1);
            while running.load(Relaxed) {
                spoil(&memory, start, end, random);
            }
        });
        let random = &mut Random::new(2);
        for _ in 0..1000 {
            use_all(&pool, &mut Vec::new(), random);
        }
        running.store(false, Relaxed);
    });
    assert!(memory.is_intact());
}
