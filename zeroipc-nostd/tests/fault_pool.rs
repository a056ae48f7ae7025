//! Pool: a party stopped, or killed, before every one of its accesses holds up nobody, and its slots come back once it is
//! known to be dead.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;
mod stepper;

use memory::Memory;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{
    FormatOptions, Geometry, Handle, Liveness, Loan, PartyId, Pool, PoolError, Region,
};

type Item = [u32; 3];

/// Who has died, as a test says.
#[derive(Debug, Default)]
struct Dead(AtomicU64);

impl Dead {
    fn dies(&self, number: u32) {
        self.0.fetch_or(1 << number, SeqCst);
    }
}

impl Liveness for Dead {
    fn is_dead(&self, party: PartyId) -> bool {
        self.0.load(SeqCst) >> party.number() & 1 != 0
    }
}

/// What a victim does, with the handle of a slot that was sent to it.
const ACTS: [fn(&Pool<'_, Item>, Handle); 4] = [
    |pool, _| {
        // Allocate, write, give back.
        if let Some(mut loan) = kept(pool.try_alloc()) {
            loan.write([1; 3]);
            give_back(loan);
        }
    },
    |pool, _| {
        // Allocate, send, and take over oneself.
        if let Some(mut loan) = kept(pool.try_alloc()) {
            loan.write([2; 3]);
            let handle = std::mem::ManuallyDrop::into_inner(loan).into_handle();
            kept(pool.from_handle(handle)).map(give_back);
        }
    },
    |pool, sent| {
        // Take over, read, give back.
        if let Some(loan) = kept(pool.from_handle(sent)) {
            assert_eq!(loan.read(), [9; 3]);
            give_back(loan);
        }
    },
    |pool, _| assert_eq!(pool.reclaim(), 0),
];

type Kept<'p> = std::mem::ManuallyDrop<Loan<'p, Item>>;

/// A loan that is not given back by unwinding, which is no part of dying.
fn kept<'p>(loan: Result<Loan<'p, Item>, PoolError>) -> Option<Kept<'p>> {
    loan.ok().map(std::mem::ManuallyDrop::new)
}

fn give_back(loan: Kept<'_>) {
    drop(std::mem::ManuallyDrop::into_inner(loan));
}

const SLOTS: usize = 3;
const VICTIM: u32 = 1;

fn with_pools(test: impl FnOnce(&Pool<'_, Item>, &Pool<'_, Item>, &Dead)) {
    let dead = Dead::default();
    let mut memory = Memory::filled(2048, 0xA5);
    let region = memory.region(FormatOptions::new().max_entries(4).geometry(Geometry::SMALLEST));
    Pool::<Item>::create(region, "pool", SLOTS).unwrap();
    let open = |number| {
        let region: Region<'_> = region.with_party(PartyId::new(number).unwrap(), &dead);
        Pool::<Item>::open(region, "pool").unwrap()
    };
    test(&open(VICTIM), &open(2), &dead);
}

/// A message on its way in one slot.
fn send(pool: &Pool<'_, Item>) -> Handle {
    let mut loan = pool.try_alloc().unwrap();
    loan.write([9; 3]);
    loan.into_handle()
}

/// `count` rounds of everything, with at least `free` slots free.
fn others_go_on(pool: &Pool<'_, Item>, free: usize, count: u32) {
    for round in 0..count {
        let mut loans: Vec<_> = (0..free).map(|_| pool.try_alloc().unwrap()).collect();
        for (n, loan) in (round..).zip(&mut loans) {
            loan.write([n; 3]);
        }
        for (n, loan) in (round..).zip(loans) {
            let loan = pool.from_handle(loan.into_handle()).unwrap();
            assert_eq!(loan.read(), [n; 3], "a slot with two owners");
        }
        assert_eq!(pool.reclaim(), 0, "nobody is dead");
    }
}

#[test]
fn a_stopped_party_holds_up_nobody() {
    for act in ACTS {
        for step in 0.. {
            let mut finished = false;
            with_pools(|victim, others, _| {
                let sent = send(others);
                thread::scope(|scope| {
                    let party = Party::start(scope, step, move || act(victim, sent));
                    finished = !party.is_stopped();
                    // One slot is on its way (or with the victim), and the victim has one at most.
                    others_go_on(others, SLOTS - 2, 1000);
                    party.finish();
                });
                let left = others.from_handle(sent).is_ok();
                assert_eq!(others.taken(), 0, "{left}");
                others_go_on(others, SLOTS, 10);
            });
            if finished {
                break;
            }
        }
    }
}

#[test]
fn slots_of_a_killed_party_come_back() {
    let mut reclaimed = 0;
    let mut lost = 0;
    for (which, act) in ACTS.into_iter().enumerate() {
        for step in 0.. {
            let mut finished = false;
            with_pools(|victim, others, dead| {
                let sent = send(others);
                finished = abandon_at(step, || act(victim, sent)).is_ok();
                others_go_on(others, SLOTS - 2, 10);
                dead.dies(VICTIM);
                let count = others.reclaim();
                assert!(count <= 1 && others.reclaim() == 0);
                reclaimed += count;
                // The message: still on its way, unless the victim had taken it over.
                let received = others.from_handle(sent).map(|loan| assert_eq!(loan.read(), [9; 3]));
                assert!(received.is_ok() || which == 2);
                // A handle that died with its holder is all that may be left, and can be found.
                let left: Vec<_> = others.in_transit().collect();
                assert!(left.len() == others.taken() && (left.is_empty() || which == 1));
                lost += left.len();
                left.into_iter().for_each(|handle| drop(others.from_handle(handle).unwrap()));
                assert_eq!(others.taken(), 0);
                others_go_on(others, SLOTS, 10);
            });
            if finished {
                break;
            }
        }
    }
    assert!(
        reclaimed > 8 && lost > 0,
        "{reclaimed} reclaimed, {lost} lost: the test tests nothing"
    );
}

/// A party that is killed, or stopped, while it gives the slots of another dead one back.
#[test]
fn reclaiming_can_be_stopped_anywhere() {
    for kill in [true, false] {
        for step in 0.. {
            let mut finished = false;
            with_pools(|victim, others, dead| {
                (0..SLOTS).for_each(|_| std::mem::forget(victim.try_alloc().unwrap()));
                dead.dies(VICTIM);
                let again = if kill {
                    finished = abandon_at(step, || others.reclaim()).is_ok();
                    others.reclaim()
                } else {
                    thread::scope(|scope| {
                        let party = Party::start(scope, step, || others.reclaim());
                        finished = !party.is_stopped();
                        let again = others.reclaim();
                        // What was given back is in use again; the late one must leave it alone.
                        let loans: Vec<_> =
                            (0..SLOTS).map(|_| others.try_alloc().unwrap()).collect();
                        let total = party.finish() + again;
                        assert_eq!((total, others.taken()), (SLOTS, SLOTS));
                        drop(loans);
                        again
                    })
                };
                assert!(again <= SLOTS);
                assert_eq!(others.taken(), 0);
            });
            if finished {
                assert!(step > 4, "{step}");
                break;
            }
        }
    }
}

/// Several try with one handle, each stopped at some step: one succeeds.
#[test]
fn one_of_several_takes_over() {
    for (first, second) in (0..4).flat_map(|first| (0..4).map(move |second| (first, second))) {
        with_pools(|victim, others, _| {
            let sent = send(others);
            let took = thread::scope(|scope| {
                let take = |pool: &Pool<'_, Item>| {
                    pool.from_handle(sent).is_ok_and(|loan| loan.read() == [9; 3])
                };
                let one = Party::start(scope, first, move || take(victim));
                let two = Party::start(scope, second, move || take(victim));
                let three = take(others);
                [one.finish(), two.finish(), three]
            });
            assert_eq!(took.iter().filter(|took| **took).count(), 1);
            assert_eq!(others.taken(), 0);
        });
    }
}
