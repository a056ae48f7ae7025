//! Pool against a model of who has what, its handles, its bytes, and what its creation and opening refuse.
#![cfg(not(loom))]

#[macro_use]
mod elements;
mod memory;
mod sleeper;

use elements::{Sample, TYPES};
use memory::{geometries, Memory};
use proptest::prelude::*;
use sleeper::Sleeper;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, IntoBytes};
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, Handle, IndexOutOfBounds, Kind, Liveness, Loan,
    PartyId, Pool, PoolError, Queue, Region, StructureError, WaitError, WordSize,
};

#[derive(Debug, Clone)]
enum Step {
    Alloc(usize),
    /// Gives back the n-th loan.
    Drop(usize),
    Write(usize),
    Send(usize),
    Receive(usize),
    /// Tries an old handle again.
    Again(usize),
    Forge(u32, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_usize..8).prop_map(Step::Alloc),
        5 => any::<usize>().prop_map(Step::Drop),
        4 => any::<usize>().prop_map(Step::Write),
        5 => any::<usize>().prop_map(Step::Send),
        4 => any::<usize>().prop_map(Step::Receive),
        3 => any::<usize>().prop_map(Step::Again),
        2 => (0_u32..70, 0_u32..4).prop_map(|(index, generation)| Step::Forge(index, generation)),
        1 => any::<(u32, u32)>().prop_map(|(index, generation)| Step::Forge(index, generation)),
    ]
}

fn handle(index: u32, generation: u32) -> Handle {
    Handle::read_from_bytes([index, generation].as_bytes()).unwrap()
}

fn agrees<T: Sample>(geometry: Geometry, shift: usize, capacity: usize, steps: &[Step]) {
    let mut memory = Memory::filled(24576, 0xA5).shifted(shift);
    let span = memory.span();
    let options = FormatOptions::new().max_entries(4).geometry(geometry);
    let region = Region::create(span, &options).unwrap();
    let start = region.view().next_offset();
    let pool = Pool::<T>::create(region, "pool", capacity).unwrap();
    let used = region.view().next_offset() - start;
    let footprint = Pool::<T>::footprint(geometry, capacity).unwrap();
    assert!(used <= footprint && footprint <= used + 128, "{used} of {footprint}");
    let guard = Array::<u8>::create(region, "guard", 8).unwrap();
    let other = Pool::<T>::open(Region::open(span).unwrap(), "pool").unwrap();

    let mut loans: Vec<(Loan<'_, T>, Option<T>)> = Vec::new();
    let mut sent: BTreeMap<(u32, u32), Option<T>> = BTreeMap::new();
    let mut used = Vec::new();
    let mut next = 0;
    for step in steps {
        let pick = |n: usize, len: usize| (len > 0).then(|| n % len);
        match *step {
            Step::Alloc(count) => {
                for _ in 0..count {
                    let free = capacity - loans.len() - sent.len();
                    match pool.try_alloc() {
                        Ok(loan) => {
                            assert!(free > 0, "more loans than slots");
                            loans.push((loan, None));
                        }
                        Err(error) => assert_eq!((error, free), (PoolError::Full, 0)),
                    }
                }
            }
            Step::Drop(n) => {
                pick(n, loans.len()).map(|n| loans.swap_remove(n));
            }
            Step::Write(n) => {
                if let Some(n) = pick(n, loans.len()) {
                    next += 1;
                    loans[n].0.write(T::nth(next));
                    loans[n].1 = Some(T::nth(next));
                }
            }
            Step::Send(n) => {
                if let Some(n) = pick(n, loans.len()) {
                    let (loan, value) = loans.swap_remove(n);
                    let handle = loan.into_handle();
                    sent.insert((handle.index(), handle.generation()), value);
                    used.push(handle);
                }
            }
            Step::Receive(n) => {
                if let Some(n) = pick(n, sent.len()) {
                    let key = *sent.keys().nth(n).unwrap();
                    let loan = other.from_handle(handle(key.0, key.1)).unwrap();
                    assert_eq!(loan.index(), key.0 as usize);
                    loans.push((loan, sent.remove(&key).unwrap()));
                }
            }
            Step::Again(n) => {
                if let Some(handle) = pick(n, used.len()).map(|n| used[n]) {
                    if !sent.contains_key(&(handle.index(), handle.generation())) {
                        assert_eq!(pool.from_handle(handle).unwrap_err(), PoolError::Stale);
                    }
                }
            }
            Step::Forge(index, generation) => {
                if !sent.contains_key(&(index, generation)) {
                    let error = pool.from_handle(handle(index, generation)).unwrap_err();
                    let exists = (index as usize) < capacity;
                    let expected = if exists { PoolError::Stale } else { PoolError::NoSuchSlot };
                    assert_eq!(error, expected);
                }
            }
        }
        let slots: HashSet<usize> = loans.iter().map(|(loan, _)| loan.index()).collect();
        assert_eq!(slots.len(), loans.len(), "a slot on loan twice");
        for (loan, value) in &loans {
            assert!(value.map_or(true, |value| value == loan.read()), "somebody else wrote it");
        }
        assert!(pool
            .in_transit()
            .map(|handle| (handle.index(), handle.generation()))
            .eq(sent.keys().copied()));
        let taken = loans.len() + sent.len();
        assert_eq!((pool.taken(), pool.capacity()), (taken, capacity));
        let entry = region.view().find("pool").unwrap();
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(taken as u64));
    }
    assert!(guard.iter().eq([0; 8]), "wrote beyond the pool");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_slot_has_one_owner(
        which in 0..TYPES,
        geometry in prop::sample::select(geometries()),
        shift in prop::sample::select(vec![0_usize, 8, 24, 64]),
        capacity in 1_usize..=64,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        for_type!(which, agrees(geometry, shift, capacity, &steps));
    }

    #[test]
    fn bytes_go_where_they_are_told(
        parts in prop::collection::vec((0_usize..80, prop::collection::vec(any::<u8>(), 0..80)), 0..20),
        shift in prop::sample::select(vec![0_usize, 8, 24, 64]),
    ) {
        let mut memory = Memory::filled(4096, 0xA5).shifted(shift);
        let region = memory.region(FormatOptions::new().geometry(Geometry::SMALLEST));
        let pool = Pool::<[u8; 77]>::create(region, "pool", 3).unwrap();
        let mut loans = [(); 3].map(|()| pool.try_alloc().unwrap());
        loans.iter_mut().for_each(|loan| loan.write([9; 77]));
        let mut model = [9; 77];
        for (offset, bytes) in parts {
            let end = offset + bytes.len();
            let beyond = Err(IndexOutOfBounds { index: end, len: 77 });
            let mut read = vec![1; bytes.len()];
            if end <= 77 {
                loans[1].write_bytes(offset, &bytes).unwrap();
                model[offset..end].copy_from_slice(&bytes);
                loans[1].read_bytes(offset, &mut read).unwrap();
                prop_assert_eq!(&read, &bytes);
            } else {
                prop_assert_eq!(loans[1].write_bytes(offset, &bytes), beyond);
                prop_assert_eq!(loans[1].read_bytes(offset, &mut read), beyond);
                prop_assert!(read.iter().all(|byte| *byte == 1));
            }
            prop_assert_eq!(loans[1].read(), model);
        }
        prop_assert_eq!((loans[0].read(), loans[2].read()), ([9; 77], [9; 77]));
        let max = IndexOutOfBounds { index: usize::MAX, len: 77 };
        prop_assert_eq!(loans[1].write_bytes(usize::MAX, &[0]), Err(max));
    }
}

/// In place, without copying; and where slots of at least a line lie.
#[test]
fn in_place() {
    for geometry in geometries() {
        let mut memory = Memory::filled(16384, 0xA5);
        let region = memory.region(FormatOptions::new().geometry(geometry));
        let pool = Pool::<[u64; 33]>::create(region, "pool", 4).unwrap();
        let mut loans = [(); 4].map(|()| pool.try_alloc().unwrap());
        for (n, loan) in loans.iter_mut().enumerate() {
            // SAFETY: all parties are in this test, and none writes meanwhile.
            let value = unsafe { loan.as_mut() }.unwrap();
            value.iter_mut().for_each(|word| *word = n as u64);
            let address = value.as_ptr() as usize;
            assert_eq!(address % geometry.line_bytes() as usize, 0, "{geometry:?}");
        }
        for (n, loan) in loans.iter().enumerate() {
            assert_eq!(loan.read(), [n as u64; 33]);
            // SAFETY: as above.
            assert_eq!(unsafe { loan.as_ref() }, Some(&[n as u64; 33]));
        }
    }
    // A `u128` may lie at a multiple of 8 only, which is not enough on most machines.
    let some = [0, 8].map(|shift| {
        let mut memory = Memory::filled(4096, 0xA5).shifted(shift);
        let region = memory.region(FormatOptions::new());
        let pool = Pool::<u128>::create(region, "pool", 4).unwrap();
        let loan = pool.try_alloc().unwrap();
        // SAFETY: as above.
        unsafe { loan.as_ref() }.is_some()
    });
    assert_eq!(some, [true, align_of::<u128>() <= 8]);
}

fn region_in(memory: &mut Memory) -> Region<'_> {
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    memory.region(FormatOptions::new().max_entries(8).geometry(geometry))
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    let pool = |capacity| Pool::<u32>::create(region, "pool", capacity).map(drop).unwrap_err();
    // With 32-bit addresses memory ends before the slots' numbers do.
    let max = (1 << 30).min(isize::MAX as u64 / 2 / (4 + 128 + 8));
    assert_eq!(pool(0), StructureError::BadCapacity { capacity: 0, min: 1, max });
    let above = StructureError::BadCapacity { capacity: max + 1, min: 1, max };
    assert_eq!(pool(max as usize + 1), above);
    assert!(matches!(pool(usize::MAX), StructureError::BadCapacity { .. }));
    assert!(matches!(pool(1000), StructureError::NoSpace { .. }));
    assert!(matches!(
        Pool::<[u8; 0]>::create(region, "pool", 4),
        Err(StructureError::ZeroSizedElement)
    ));
    assert!(matches!(Pool::<u32>::open(region, "pool"), Err(StructureError::NotFound { .. })));
    assert_eq!(Pool::<u32>::footprint(Geometry::SMALLEST, 0), None);
    assert_eq!(Pool::<[u8; 0]>::footprint(Geometry::SMALLEST, 1), None);

    Pool::<u32>::create(region, "pool", 3).unwrap();
    assert!(matches!(pool(3), StructureError::Exists { .. }));
    assert!(matches!(
        Pool::<u64>::open(region, "pool"),
        Err(StructureError::WrongElementSize { expected: 8, found: 4, .. })
    ));
    assert!(matches!(
        Queue::<u32>::open(region, "pool"),
        Err(StructureError::WrongKind { expected: Kind::QUEUE, found: Kind::POOL, .. })
    ));
    let one = Pool::<u32>::open_or_create(region, "pool", 3).unwrap();
    let _loan = one.try_alloc().unwrap();
    assert_eq!(Pool::<u32>::open_or_create(region, "pool", 3).unwrap().taken(), 1);
    assert!(matches!(
        Pool::<u32>::open_or_create(region, "pool", 4),
        Err(StructureError::WrongCapacity { expected: 4, found: 3, .. })
    ));
}

#[test]
fn needs_compare_and_exchange() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    let kind = Kind::POOL;
    for result in [Pool::<u32>::create(region, "pool", 4), Pool::open_or_create(region, "pool", 4)]
    {
        assert!(matches!(result, Err(StructureError::NeedsCas { kind: k }) if k == kind));
    }
    assert_eq!(region.view().next_offset(), region.view().heap_offset());
}

/// Who has died, as a test says.
#[derive(Debug, Default)]
struct Dead(AtomicU64);

impl Liveness for Dead {
    fn is_dead(&self, party: PartyId) -> bool {
        party.number() < 64 && self.0.load(SeqCst) >> party.number() & 1 != 0
    }
}

fn party(number: u32) -> PartyId {
    PartyId::new(number).unwrap()
}

#[test]
fn slots_of_the_dead_come_back() {
    let dead = Dead::default();
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    Pool::<u32>::create(region, "pool", 6).unwrap();
    let of = |n| Pool::<u32>::open(region.with_party(party(n), &dead), "pool").unwrap();
    let (one, two, nobody) = (of(1), of(2), Pool::<u32>::open(region, "pool").unwrap());
    // Leaked, as by a kill; one is on its way, and one belongs to a party without a number.
    std::mem::forget(one.try_alloc().unwrap());
    let handle = one.try_alloc().unwrap().into_handle();
    std::mem::forget(one.try_alloc().unwrap());
    std::mem::forget(nobody.try_alloc().unwrap());
    let kept = two.try_alloc().unwrap();
    assert_eq!((one.reclaim(), two.reclaim(), nobody.reclaim()), (0, 0, 0));
    dead.0.store(1 << 1, SeqCst);
    assert_eq!(nobody.reclaim(), 0, "it cannot know who is dead");
    assert_eq!((two.reclaim(), two.reclaim()), (2, 0));
    assert_eq!(two.taken(), 3);
    // Its message is still there.
    drop(two.from_handle(handle).unwrap());
    drop(kept);
    assert_eq!(two.taken(), 1);
    // A loan that was taken from a party which is alive after all is not given back twice.
    let mistaken = two.try_alloc().unwrap();
    dead.0.store(1 << 2, SeqCst);
    assert_eq!(one.reclaim(), 1);
    let mine = of(3).try_alloc().map(|loan| loan.index()).unwrap();
    let _ = mine;
    drop(mistaken);
    assert_eq!(one.taken(), 1);
}

#[test]
fn a_stale_loan_gives_nobodys_slot_back() {
    let dead = Dead::default();
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    Pool::<u32>::create(region, "pool", 1).unwrap();
    let of = |n| Pool::<u32>::open(region.with_party(party(n), &dead), "pool").unwrap();
    let (one, two) = (of(1), of(2));
    let mistaken = [one.try_alloc().unwrap(), {
        dead.0.store(1 << 1, SeqCst);
        assert_eq!(two.reclaim(), 1);
        one.try_alloc().unwrap()
    }];
    assert_eq!(two.reclaim(), 1);
    let loan = two.try_alloc().unwrap();
    let [first, second] = mistaken;
    drop(first);
    let handle = second.into_handle();
    assert_eq!(two.from_handle(handle).unwrap_err(), PoolError::Stale);
    assert_eq!((two.taken(), two.try_alloc().unwrap_err()), (1, PoolError::Full));
    drop(loan);
    assert_eq!(two.taken(), 0);
}

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn waiting() {
    let dead = Dead::default();
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory);
    let pool = Pool::<u32>::create(region, "pool", 1).unwrap();
    assert_eq!(pool.alloc().unwrap_err(), WaitError::NoWaiter);
    assert_eq!(pool.alloc_timeout(SHORT).unwrap_err(), WaitError::NoWaiter);
    let region = region.with_notifier(&sleeper);
    let pool = Pool::<u32>::open(region.with_party(party(1), &dead), "pool").unwrap();
    let loan = pool.alloc().unwrap();
    let start = Instant::now();
    assert_eq!(pool.alloc_timeout(SHORT).unwrap_err(), WaitError::Timeout);
    assert_eq!(pool.alloc_with(&sleeper, Some(0)).unwrap_err(), WaitError::Timeout);
    assert!(start.elapsed() >= SHORT, "early");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.alloc().map(|loan| loan.index()));
        sleeper.until_asleep(1);
        drop(loan);
        assert_eq!(waiting.join().unwrap(), Ok(0));

        // Who waits finds out that the owner is dead.
        std::mem::forget(pool.try_alloc().unwrap());
        let other = Pool::<u32>::open(region.with_party(party(2), &dead), "pool").unwrap();
        let waiting = scope.spawn(move || other.alloc().map(|loan| loan.index()));
        sleeper.until_asleep(1);
        dead.0.store(1 << 1, SeqCst);
        assert_eq!(waiting.join().unwrap(), Ok(0));
        // Whoever reclaims wakes those who wait.
        std::mem::forget(pool.try_alloc().unwrap());
        let deaf = Pool::<u32>::open(region, "pool").unwrap();
        let waiting = scope.spawn(move || deaf.alloc().map(|loan| loan.index()));
        sleeper.until_asleep(1);
        let third = Pool::<u32>::open(region.with_party(party(3), &dead), "pool").unwrap();
        assert_eq!(third.reclaim(), 1);
        assert_eq!(waiting.join().unwrap(), Ok(0));
    });
    assert_eq!(pool.taken(), 0);
}

/// Four threads, with one handle of the pool between them or one each; messages by handle through a queue.
#[test]
fn threads() {
    const EACH: u32 = 10_000;
    for shared in [true, false] {
        let sleeper = Sleeper::new();
        let mut memory = Memory::zeroed(8192);
        let region = region_in(&mut memory).with_notifier(&sleeper);
        let pool = Pool::<[u64; 5]>::create(region, "pool", 3).unwrap();
        let queue = Queue::<Handle>::create(region, "queue", 4).unwrap();
        let sum: u64 = thread::scope(|scope| {
            for id in 0..2 {
                let pool = &pool;
                scope.spawn(move || {
                    let own = pool.clone();
                    let pool = if shared { pool } else { &own };
                    for n in 0..EACH {
                        let mut loan = pool.alloc().unwrap();
                        loan.write([u64::from(id * EACH + n); 5]);
                        queue.push(loan.into_handle()).unwrap();
                    }
                });
            }
            let readers = [(); 2].map(|()| {
                let pool = &pool;
                scope.spawn(move || {
                    let own = pool.clone();
                    let pool = if shared { pool } else { &own };
                    let mut sum = 0;
                    for _ in 0..EACH {
                        let loan = pool.from_handle(queue.pop().unwrap()).unwrap();
                        let value = loan.read();
                        assert_eq!(value, [value[0]; 5], "torn");
                        sum += value[0];
                    }
                    sum
                })
            });
            readers.into_iter().map(|reader| reader.join().unwrap()).sum()
        });
        let count = 2 * u64::from(EACH);
        assert_eq!((sum, pool.taken()), (count * (count - 1) / 2, 0));
    }
}
