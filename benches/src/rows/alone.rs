//! Structures that one party uses by itself: what an operation costs when nobody is in the way. The peers are those of a program
//! that shares them between its own threads.

use std::hint::black_box;
use std::sync;

use crossbeam_queue::ArrayQueue;
use zeroipc_nostd::{Mutex, Pool, RwLock, Semaphore, Stack};

use super::{failed, region, Row, Target, Unit, CAPACITY};
use crate::duel::{duel, Contender, Outcome, Plan};
use crate::pinned::Failure;
use crate::shared::place;

pub(super) const ROWS: [Row; 5] = [
    Row {
        name: "stack-8B-solo",
        peer: "Mutex<Vec>",
        unit: Unit::Solo,
        target: Target::AtMost(1.0),
        run: stack,
    },
    Row {
        name: "pool-8B-solo",
        peer: "ArrayQueue of slots",
        unit: Unit::Solo,
        target: Target::AtMost(1.2),
        run: pool,
    },
    Row {
        name: "mutex-solo",
        peer: "std Mutex",
        unit: Unit::Solo,
        target: Target::AtMost(1.2),
        run: mutex,
    },
    Row {
        name: "rwlock-read-solo",
        peer: "std RwLock",
        unit: Unit::Solo,
        target: Target::AtMost(1.2),
        run: rwlock,
    },
    Row {
        name: "semaphore-solo",
        peer: "std Mutex",
        unit: Unit::Solo,
        target: Target::AtMost(1.2),
        run: semaphore,
    },
];

/// Turns by the leader alone; an operation is one of them. A turn gets its number, and gives it back if all was right.
struct Turns<F>(F);

impl<F: FnMut(u64) -> Option<u64>> Contender for Turns<F> {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        (0..count).all(|number| (self.0)(black_box(number)) == Some(number))
    }

    fn follow(&mut self, _count: u64) {}
}

/// A push and a pop.
fn stack(plan: Plan) -> Result<Outcome, Failure> {
    let ours = Stack::<u64>::create(region()?, "stack", CAPACITY).map_err(failed)?;
    let peer = place(|| sync::Mutex::new(Vec::with_capacity(CAPACITY)));
    let ours = Turns(|number| {
        ours.try_push(number).ok()?;
        ours.try_pop().ok()
    });
    let peer = Turns(|number| {
        peer.lock().ok()?.push(number);
        peer.lock().ok()?.pop()
    });
    duel(plan, ours, peer)
}

/// A slot taken, written, read and given back.
fn pool(plan: Plan) -> Result<Outcome, Failure> {
    let ours = Pool::<u64>::create(region()?, "pool", CAPACITY).map_err(failed)?;
    let (free, slots) = place(|| {
        let free = ArrayQueue::new(CAPACITY);
        (0..CAPACITY).for_each(|slot| {
            let _ = free.push(slot);
        });
        (free, vec![0_u64; CAPACITY])
    });
    let mut slots = slots;
    let ours = Turns(|number| {
        let mut loan = ours.try_alloc().ok()?;
        loan.write(number);
        Some(loan.read())
    });
    let peer = Turns(|number| {
        let slot = free.pop()?;
        *slots.get_mut(slot)? = number;
        let read = black_box(&slots).get(slot).copied();
        free.push(slot).ok()?;
        read
    });
    duel(plan, ours, peer)
}

/// Locked, stored into, loaded from, unlocked.
fn mutex(plan: Plan) -> Result<Outcome, Failure> {
    let ours = Mutex::create(region()?, "mutex", 0_u64).map_err(failed)?;
    let peer = place(|| sync::Mutex::new(0_u64));
    let ours = Turns(|number| {
        let mut guard = ours.try_lock().ok()?;
        guard.store(number);
        Some(guard.load())
    });
    let peer = Turns(|number| {
        let mut guard = peer.try_lock().ok()?;
        *guard = number;
        Some(black_box(*guard))
    });
    duel(plan, ours, peer)
}

/// Locked for reading, loaded from, unlocked.
fn rwlock(plan: Plan) -> Result<Outcome, Failure> {
    let ours = RwLock::create(region()?, "rwlock", 7_u64).map_err(failed)?;
    let peer = place(|| sync::RwLock::new(7_u64));
    let ours = Turns(|number| Some(ours.try_read().ok()?.load() - 7 + number));
    let peer = Turns(|number| Some(*peer.try_read().ok()? - 7 + number));
    duel(plan, ours, peer)
}

/// A permit taken and given back, beside a lock taken and given back: std has no semaphore.
fn semaphore(plan: Plan) -> Result<Outcome, Failure> {
    let ours = Semaphore::create(region()?, "semaphore", 1, 1).map_err(failed)?;
    let peer = place(|| sync::Mutex::new(()));
    let ours = Turns(|number| ours.try_acquire().ok().map(|_permit| number));
    let peer = Turns(|number| peer.try_lock().ok().map(|_guard| number));
    duel(plan, ours, peer)
}
