//! Models of the Pool. What is in slots lies in loom's cells, so a slot with two owners at a time is a race that loom reports.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release -p zeroipc-nostd --test loom_pool`. Preemptions are bounded as each
//! model says; the bound can be raised by `LOOM_MAX_PREEMPTIONS`.
#![cfg(loom)]

mod kernel;

use kernel::Kernel;
use loom::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use loom::thread;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use zerocopy::{FromBytes, IntoBytes};
use zeroipc_nostd::testing::{abandon_at, unexplored, Slab};
use zeroipc_nostd::{
    FormatOptions, Geometry, Handle, Liveness, PartyId, Pool, PoolError, Region, WordSize,
};

fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder
}

fn memory(slots: usize) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    Pool::<u64>::create(region, "p", slots).unwrap();
    slab
}

fn party<R: 'static>(
    slab: &Arc<Slab>,
    body: impl FnOnce(Pool<'_, u64>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let slab = slab.clone();
    thread::spawn(move || {
        body(unexplored(|| Pool::open(Region::open(slab.span()).unwrap(), "p").unwrap()))
    })
}

fn taken(slab: &Arc<Slab>) -> usize {
    Pool::<u64>::open(Region::open(slab.span()).unwrap(), "p").unwrap().taken()
}

/// The handle that the first transit of slot 0 has: known beforehand, so that it is tried before, while and after it is given.
fn first_handle() -> Handle {
    Handle::read_from_bytes([0_u32, 1].as_bytes()).unwrap()
}

/// Allocates, uses the slot, gives it back; says whether there was one.
fn use_one(pool: &Pool<'_, u64>, value: u64) -> bool {
    match pool.try_alloc() {
        Ok(mut loan) => {
            loan.write(value);
            assert_eq!(loan.read(), value);
            true
        }
        Err(error) => {
            assert_eq!(error, PoolError::Full);
            false
        }
    }
}

#[test]
fn three_parties_share_two_slots() {
    bounded(2).check(|| {
        let slab = memory(2);
        let parties = [1, 2, 3].map(|n| party(&slab, move |pool| use_one(&pool, n)));
        let served = parties.map(|party| party.join().unwrap());
        // Who is told Full saw two others at it; they got something.
        assert!(served.iter().filter(|served| **served).count() >= 2);
        assert_eq!(taken(&slab), 0);
    });
}

#[test]
fn one_slot_goes_from_hand_to_hand() {
    bounded(3).check(|| {
        let slab = memory(1);
        let parties =
            [1, 2].map(|n| party(&slab, move |pool| [n, n + 2].map(|n| use_one(&pool, n))));
        let served = parties.map(|party| party.join().unwrap());
        assert!(served.concat().contains(&true));
        assert_eq!(taken(&slab), 0);
    });
}

/// Two try with the same handle while it is being given: at most one has it, and what is in the slot is what was sent.
#[test]
fn of_two_with_one_handle_one_succeeds() {
    bounded(3).check(|| {
        let slab = memory(1);
        let sender = party(&slab, |pool| {
            let mut loan = pool.try_alloc().unwrap();
            loan.write(7);
            assert_eq!(loan.into_handle(), first_handle());
        });
        let receivers = [0, 1].map(|_| {
            party(&slab, |pool| match pool.from_handle(first_handle()) {
                Ok(mut loan) => {
                    assert_eq!(loan.read(), 7);
                    loan.write(8);
                    true
                }
                Err(error) => {
                    assert_eq!(error, PoolError::Stale);
                    false
                }
            })
        });
        sender.join().unwrap();
        let received = receivers.map(|receiver| receiver.join().unwrap());
        assert!(received != [true, true]);
        assert_eq!(taken(&slab), usize::from(received == [false, false]));
    });
}

/// An old handle is refused however often the slot was sent since.
#[test]
fn an_old_handle_is_stale() {
    bounded(3).check(|| {
        let slab = memory(1);
        let sender = party(&slab, |pool| {
            let first = pool.try_alloc().unwrap().into_handle();
            // Who takes it over sends it again.
            pool.from_handle(first).map(|mut loan| {
                loan.write(2);
                loan.into_handle()
            })
        });
        let other = party(&slab, |pool| {
            pool.from_handle(first_handle()).map(|mut loan| {
                loan.write(3);
                loan.into_handle()
            })
        });
        let results = [sender.join().unwrap(), other.join().unwrap()];
        let sent: Vec<_> = results.into_iter().flatten().collect();
        assert!(sent.len() == 1, "{results:?}");
        assert_eq!((sent[0].index(), sent[0].generation()), (0, 2));
        assert_eq!(taken(&slab), 1);
    });
}

/// One party, dead or alive.
#[derive(Debug)]
struct Dead(AtomicBool);

impl Liveness for Dead {
    fn is_dead(&self, party: PartyId) -> bool {
        party.number() == 1 && self.0.load(Acquire)
    }
}

/// A party dies before each of its accesses; another reclaims and uses what it finds. Every slot comes back, once.
#[test]
fn slots_of_the_dead_come_back_once() {
    for step in 0.. {
        let reached = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = reached.clone();
        bounded(2).check(move || {
            let slab = memory(1);
            let dead = Arc::new(Dead(AtomicBool::new(false)));
            let with_number =
                |n: u32, body: fn(&Pool<'_, u64>, u64) -> usize, stop: Option<u64>| {
                    let (slab, dead, seen) = (slab.clone(), dead.clone(), seen.clone());
                    thread::spawn(move || {
                        let region = unexplored(|| Region::open(slab.span()).unwrap());
                        let region = region.with_party(PartyId::new(n).unwrap(), &*dead);
                        let pool = unexplored(|| Pool::<u64>::open(region, "p").unwrap());
                        let Some(stop) = stop else { return body(&pool, u64::from(n)) };
                        if abandon_at(stop, || body(&pool, u64::from(n))).is_err() {
                            seen.store(true, std::sync::atomic::Ordering::Relaxed);
                        }
                        dead.0.store(true, Release);
                        0
                    })
                };
            let victim = with_number(
                1,
                |pool, n| {
                    // While it unwinds nothing is given back: a dead party does nothing.
                    let Ok(loan) = pool.try_alloc() else { return 0 };
                    let mut loan = ManuallyDrop::new(loan);
                    loan.write(n);
                    drop(ManuallyDrop::into_inner(loan));
                    0
                },
                Some(step),
            );
            let reclaim = |pool: &Pool<'_, u64>, n: u64| {
                let count = pool.reclaim();
                let _ = use_one(pool, n);
                count
            };
            let others = [2].map(|n| with_number(n, reclaim, None));
            victim.join().unwrap();
            let early: usize = others.into_iter().map(|other| other.join().unwrap()).sum();
            let region = Region::open(slab.span()).unwrap();
            let region = region.with_party(PartyId::new(4).unwrap(), &*dead);
            let pool = Pool::<u64>::open(region, "p").unwrap();
            assert!(early + pool.reclaim() <= 1);
            assert_eq!(pool.taken(), 0);
        });
        if !reached.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(step > 3, "an alloc, a write and a free have at least four accesses");
            break;
        }
    }
}

/// Sleeps until a slot is free.
#[test]
fn a_sleeper_is_woken() {
    bounded(2).check(|| {
        let slab = memory(1);
        let kernel = Kernel::new();
        let parties = [1_u64, 2].map(|n| {
            let (slab, kernel) = (slab.clone(), kernel.clone());
            thread::spawn(move || {
                let region = unexplored(|| Region::open(slab.span()).unwrap());
                let region = region.with_notifier(&*kernel);
                let pool = unexplored(|| Pool::<u64>::open(region, "p").unwrap());
                (0..2).for_each(|_| pool.alloc().unwrap().write(n));
            })
        });
        parties.into_iter().for_each(|party| party.join().unwrap());
        assert_eq!(taken(&slab), 0);
    });
}
