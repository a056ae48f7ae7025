//! Mutex: one is asleep, another is woken in its place, fails and gives up, while the owner releases and takes the lock at any
//! of the other's steps. Whatever the order, the last release wakes the one that is still asleep.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;

use memory::Memory;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::Mutex as Books;
use zeroipc_nostd::testing::run;
use zeroipc_nostd::{FormatOptions, LockError, Mutex, MutexGuard, Region, Wait, WaitWord};

/// Who is asleep. Of two, the hasty one is woken: a system may wake in any order.
#[derive(Debug, Default)]
struct Kernel {
    patient: AtomicBool,
    hasty: AtomicBool,
}

impl Wait for &'static Kernel {
    fn now(&self) -> u64 {
        0
    }

    fn wait(&self, _word: WaitWord<'_>, _expected: u32, _deadline: u64) {}

    fn wake(&self, _word: WaitWord<'_>, count: u32) -> u32 {
        assert_eq!(count, 1);
        u32::from(self.hasty.swap(false, SeqCst) || self.patient.swap(false, SeqCst))
    }
}

/// How one of the two sleeps: `body` is what happens meanwhile. Its clock counts its sleeps.
struct Sleeps<F> {
    asleep: &'static AtomicBool,
    sleeps: AtomicU64,
    body: Books<F>,
}

impl<F> std::fmt::Debug for Sleeps<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sleeps")
    }
}

impl<F: FnMut() + Send> Wait for Sleeps<F> {
    fn now(&self) -> u64 {
        self.sleeps.load(SeqCst)
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, _deadline: u64) {
        if word.load() == expected {
            self.asleep.store(true, SeqCst);
            (self.body.lock().unwrap())();
            self.asleep.store(false, SeqCst);
            self.sleeps.fetch_add(1, SeqCst);
        }
    }

    fn wake(&self, _word: WaitWord<'_>, _count: u32) -> u32 {
        0
    }

    fn spins(&self) -> u32 {
        0
    }
}

/// The owner, who releases the lock and takes it again, in turns.
struct Owner {
    mutex: &'static Mutex<'static, u32>,
    guard: RefCell<Option<MutexGuard<'static, u32>>>,
    turns: Cell<u32>,
}

impl Owner {
    fn turn(&self) -> bool {
        if self.turns.get() == 0 {
            return false;
        }
        self.turns.set(self.turns.get() - 1);
        let held = self.guard.borrow_mut().take();
        if held.is_none() {
            *self.guard.borrow_mut() = self.mutex.try_lock().ok();
        }
        true
    }
}

thread_local! {
    static OWNER: RefCell<Option<Rc<Owner>>> = const { RefCell::new(None) };
}

fn turn() -> bool {
    OWNER.with(|owner| owner.borrow().clone()).unwrap().turn()
}

/// The owner takes a turn before each of these steps of the hasty one; returns how many steps that one made.
fn story(steps: Vec<u64>, kernel: &'static Kernel, region: Region<'static>) -> u64 {
    let region = region.with_notifier(Box::leak(Box::new(kernel)));
    let mutex: &'static _ = Box::leak(Box::new(Mutex::open_or_create(region, "mutex", 0).unwrap()));
    let guard = RefCell::new(Some(mutex.try_lock().unwrap()));
    let owner = Rc::new(Owner { mutex, guard, turns: Cell::new(steps.len() as u32) });
    OWNER.with(|slot| *slot.borrow_mut() = Some(owner.clone()));

    let made = std::sync::Arc::new(AtomicU64::new(0));
    let count = made.clone();
    let patient = Sleeps {
        asleep: &kernel.patient,
        sleeps: AtomicU64::new(0),
        body: Books::new(move || {
            let hasty = Sleeps {
                asleep: &kernel.hasty,
                sleeps: AtomicU64::new(0),
                body: Books::new(move || {
                    let until_woken = || kernel.hasty.load(SeqCst) && turn();
                    (0_u32..).take_while(|_| until_woken()).for_each(drop::<u32>);
                }),
            };
            let due = steps.clone();
            let hook = move |n| {
                due.iter().filter(|step| **step == n).for_each(|_| {
                    turn();
                })
            };
            let (ended, made) = run(hook, || mutex.lock_with(&hasty, Some(1)).map(drop));
            assert!(matches!(ended, Ok(()) | Err(LockError::Timeout)));
            count.store(made, SeqCst);
            while turn() {}
            OWNER.with(|owner| drop(owner.borrow().as_ref().unwrap().guard.borrow_mut().take()));
            assert!(!kernel.patient.load(SeqCst), "it sleeps on before an open lock: {steps:?}");
        }),
    };
    drop(mutex.lock_with(&patient, None).unwrap());
    OWNER.with(|slot| *slot.borrow_mut() = None);
    made.load(SeqCst)
}

#[test]
fn a_sleeper_is_never_forgotten() {
    const STEPS: u64 = 20;
    let kernel: &'static Kernel = Box::leak(Box::default());
    let memory: &'static mut Memory = Box::leak(Box::new(Memory::zeroed(1024)));
    let region = memory.region(FormatOptions::new().max_entries(2));
    let mut most = 0;
    for a in 0..STEPS {
        for b in a..STEPS {
            for c in b..STEPS {
                for d in c..STEPS {
                    for e in d..STEPS {
                        most = most.max(story(vec![a, b, c, d, e], kernel, region));
                    }
                }
            }
        }
    }
    assert!((4..=STEPS).contains(&most), "{most} steps");
}
