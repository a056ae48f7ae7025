//! Mutex, Monitor and RwLock: a party stopped before every one of its accesses keeps the lock or does not have it; one killed
//! there is noticed, and the others go on.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;
mod mortals;
mod stepper;

use memory::Memory;
use mortals::Mortals;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{
    FormatOptions, LockError, Monitor, Mutex, Region, RwLock, TryLockError, Wait, WaitWord,
};

/// Two halves that a whole value has in common.
type Value = [u64; 2];

const fn whole(n: u64) -> Value {
    [n, !n]
}

fn is_whole(value: Value) -> bool {
    value[1] == !value[0]
}

/// A waiter that looks twice, sleeps not at all, and whose clock goes on with each look at it.
#[derive(Debug, Default)]
struct Hasty(AtomicU64);

impl Wait for Hasty {
    fn now(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }

    fn wait(&self, _word: WaitWord<'_>, _expected: u32, _deadline: u64) {}

    fn wake(&self, _word: WaitWord<'_>, _count: u32) -> u32 {
        0
    }

    fn spins(&self) -> u32 {
        2
    }
}

impl Hasty {
    /// After a few sleeps.
    fn soon(&self) -> Option<u64> {
        Some(self.0.load(SeqCst) + 5)
    }
}

/// One region with a lock of each kind, as each party sees it.
struct Locks<'a> {
    mutex: Mutex<'a, Value>,
    monitor: Monitor<'a, Value>,
    lock: RwLock<'a, Value>,
    waiter: &'a Hasty,
}

impl<'a> Locks<'a> {
    fn open(region: Region<'a>, waiter: &'a Hasty) -> Self {
        Locks {
            mutex: Mutex::open_or_create(region, "mutex", whole(0)).unwrap(),
            monitor: Monitor::open_or_create(region, "monitor", whole(0)).unwrap(),
            lock: RwLock::open(region, "lock").unwrap(),
            waiter,
        }
    }
}

/// Runs `test` with the locks as parties 1, 2 and 3 see them.
fn with_locks(test: impl FnOnce(&[Locks<'_>; 3], &Mortals)) {
    let (mortals, waiter) = (Mortals::new(), Hasty::default());
    let mut memory = Memory::filled(4096, 0xA5);
    let region = memory.region(FormatOptions::new().max_entries(4)).with_notifier(&waiter);
    RwLock::<Value>::create_with_readers(region, "lock", whole(0), 2).unwrap();
    let parties = [1, 2, 3].map(|n| Locks::open(mortals.region(region, n), &waiter));
    test(&parties, &mortals);
}

/// What a party does that may be stopped or killed inside, and what the others do then.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Mutex,
    Monitor,
    Read,
    Write,
    Downgrade,
    TryWrite,
}

const ACTS: [Act; 6] =
    [Act::Mutex, Act::Monitor, Act::Read, Act::Write, Act::Downgrade, Act::TryWrite];

impl Act {
    /// Takes the lock by waiting if need be, and puts the next value in if it writes; whether it did so.
    fn run(self, locks: &Locks<'_>) -> bool {
        let (waiter, soon) = (locks.waiter, locks.waiter.soon());
        let next = |value: Value| whole(value[0] + 1);
        match self {
            Act::Mutex => {
                let guard = locks.mutex.lock_with(waiter, soon);
                guard.map(|mut guard| guard.update(next)).is_ok()
            }
            Act::Monitor => match locks.monitor.lock_with(waiter, soon) {
                Ok(mut guard) => {
                    guard.update(next);
                    locks.monitor.notify_one();
                    let (guard, waited) = locks
                        .monitor
                        .wait_while_with(guard, |_| true, waiter, waiter.soon())
                        .unwrap();
                    assert!(waited.timed_out());
                    drop(guard);
                    locks.monitor.notify_all();
                    true
                }
                Err(_) => false,
            },
            Act::Read => {
                if let Ok(guard) = locks.lock.read_with(waiter, soon) {
                    assert!(is_whole(guard.load()));
                }
                false
            }
            Act::Write => {
                let guard = locks.lock.write_with(waiter, soon);
                guard.map(|mut guard| guard.update(next)).is_ok()
            }
            Act::Downgrade => match locks.lock.write_with(waiter, soon) {
                Ok(mut guard) => {
                    guard.update(next);
                    let value = guard.load();
                    if let Ok(guard) = guard.downgrade() {
                        assert_eq!(guard.load(), value);
                    }
                    true
                }
                Err(_) => false,
            },
            Act::TryWrite => locks.lock.try_write().map(|mut guard| guard.update(next)).is_ok(),
        }
    }

    /// The same lock, taken for writing without waiting: what is in it, whether its owner had died; `None` if it is taken.
    /// What is broken is repaired.
    fn look(self, locks: &Locks<'_>) -> Option<(Value, bool)> {
        macro_rules! repaired {
            ($tried:expr) => {
                match $tried {
                    Ok(guard) => Some((guard.load(), false)),
                    Err(TryLockError::OwnerDied(mut guard)) => {
                        let found = guard.load();
                        guard.store(whole(found[0]));
                        guard.mark_consistent();
                        Some((found, true))
                    }
                    Err(_) => None,
                }
            };
        }
        match self {
            Act::Mutex => repaired!(locks.mutex.try_lock()),
            Act::Monitor => repaired!(locks.monitor.try_lock()),
            _ => repaired!(locks.lock.try_write()),
        }
    }
}

#[test]
fn an_owner_killed_at_each_step_is_noticed() {
    for act in ACTS {
        let mut told = 0;
        for step in 0.. {
            let mut done = false;
            with_locks(|[victim, heir, another], mortals| {
                done = abandon_at(step, || act.run(victim)).is_ok();
                if !done {
                    mortals.kill(1);
                }
                // Readers first: whom they find dead is told to the next writer all the same.
                if step % 2 == 0 && !matches!(act, Act::Mutex | Act::Monitor) {
                    match another.lock.try_read() {
                        Ok(guard) => assert!(is_whole(guard.load())),
                        Err(TryLockError::OwnerDied(guard)) => assert!(guard.is_inconsistent()),
                        Err(error) => panic!("{act:?} at {step}: {error}"),
                    };
                }
                let (value, died) = act.look(heir).expect("the dead hold up nobody");
                assert!(died || is_whole(value), "{act:?} at {step}: {value:?}");
                assert!(value[0] <= 1);
                told += u32::from(died);
                // It goes on, and nobody is told twice.
                for _ in 0..50 {
                    assert!(act.run(another) || act == Act::Read);
                    assert!(matches!(act.look(heir), Some((value, false)) if is_whole(value)));
                }
            });
            if done {
                break;
            }
        }
        assert!(told > 0 || act == Act::Read, "{act:?}: nobody was told");
    }
}

/// Killed while it waits for another, or gives up waiting: that harms nobody, and tells nothing.
#[test]
fn a_waiter_killed_at_each_step_is_forgotten() {
    for (act, owner_reads) in ACTS.into_iter().flat_map(|act| [(act, false), (act, true)]) {
        for step in 0.. {
            let mut done = false;
            with_locks(|[victim, owner, another], mortals| {
                let one = (act == Act::Mutex).then(|| owner.mutex.try_lock().unwrap());
                let two = (act == Act::Monitor).then(|| owner.monitor.try_lock().unwrap());
                let reader = owner_reads.then(|| owner.lock.try_read().unwrap());
                let writer = (!owner_reads).then(|| owner.lock.try_write().unwrap());
                done = match abandon_at(step, || act.run(victim)) {
                    Ok(ran) => {
                        assert!(!ran, "{act:?}");
                        true
                    }
                    Err(_) => {
                        mortals.kill(1);
                        false
                    }
                };
                drop((one, two, reader, writer));
                // As a writer that waited for readers it had the lock.
                let may_be_told = owner_reads && !matches!(act, Act::Mutex | Act::Monitor);
                match act.look(another) {
                    Some((value, died)) => assert!(value == whole(0) && (may_be_told || !died)),
                    None => panic!("{act:?} at {step}: taken"),
                }
                assert!(act.run(another) || act == Act::Read);
                assert!(matches!(act.look(owner), Some((value, false)) if is_whole(value)));
            });
            if done {
                break;
            }
        }
    }
}

/// Others take turns while it stands there, or find the lock taken; in the end each change has been made once.
#[test]
fn an_owner_stopped_at_each_step_keeps_the_lock_or_has_none() {
    for act in ACTS {
        for step in 0.. {
            let mut done = false;
            with_locks(|[party, other, _], _| {
                let mut changes = 0;
                let finished = thread::scope(|scope| {
                    let stopped = Party::start(scope, step, || act.run(party));
                    done = !stopped.is_stopped();
                    for _ in 0..200 {
                        match act {
                            // It does not wait for a reader that it cannot see.
                            Act::Read => {
                                if let Some((value, told)) = act.look(other) {
                                    assert!(is_whole(value) && !told);
                                }
                            }
                            _ => changes += u64::from(act.run(other)),
                        }
                    }
                    stopped.finish()
                });
                changes += u64::from(finished);
                assert_eq!(act.look(other), Some((whole(changes), false)), "{act:?} at {step}");
            });
            if done {
                break;
            }
        }
    }
}

/// A reader stopped anywhere holds up no reader.
#[test]
fn a_stopped_reader_holds_up_no_reader() {
    for step in 0.. {
        let mut done = false;
        with_locks(|[party, other, _], _| {
            thread::scope(|scope| {
                let stopped = Party::start(scope, step, || Act::Read.run(party));
                done = !stopped.is_stopped();
                for _ in 0..1000 {
                    assert!(is_whole(other.lock.try_read().unwrap().load()));
                }
                stopped.finish();
            });
            assert!(matches!(
                other.lock.write_with(other.waiter, other.waiter.soon()),
                Ok(_) | Err(LockError::Timeout)
            ));
        });
        if done {
            break;
        }
    }
}
