//! For models: a kernel that lets parties sleep, and that knows who is dead.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use loom::sync::atomic::{AtomicU32, Ordering::AcqRel, Ordering::Acquire};
use loom::sync::{Condvar, Mutex};
use loom::thread::{self, JoinHandle, ThreadId};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{Liveness, PartyId, Region, Wait, WaitWord};

loom::thread_local! {
    static SLEPT: Cell<u64> = Cell::new(0);
}

/// A kernel's futex: comparing and going to sleep is one step, and sleepers are woken in order.
///
/// Nobody wakes by time; except that after a death everybody wakes, or does not go to sleep, once, as the end of a slice would
/// have it. Each party's clock counts how often it has slept, so a deadline of 1 is that of one who gives up after one sleep.
#[derive(Debug)]
pub struct Kernel {
    books: Mutex<Books>,
    changed: Condvar,
    /// One bit for each party.
    dead: AtomicU32,
}

#[derive(Debug, Default)]
struct Books {
    /// By word: how many ever went to sleep there, and how many of them (the first) were woken.
    sleepers: HashMap<usize, (u32, u32)>,
    deaths: u32,
    /// Of how many deaths each thread has heard by waking.
    heard: HashMap<ThreadId, u32>,
}

impl Kernel {
    pub fn new() -> Arc<Self> {
        Arc::new(Kernel {
            books: Mutex::new(Books::default()),
            changed: Condvar::new(),
            dead: AtomicU32::new(0),
        })
    }

    /// All that the party did before is known to whoever learns of this.
    pub fn dies(&self, party: u32) {
        self.dead.fetch_or(1 << party, AcqRel);
        let mut books = self.books.lock().unwrap();
        books.deaths += 1;
        books.sleepers.values_mut().for_each(|(asleep, woken)| *woken = *asleep);
        drop(books);
        self.changed.notify_all();
    }
}

impl Wait for Kernel {
    fn now(&self) -> u64 {
        SLEPT.with(Cell::get)
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, _deadline: u64) {
        let mut books = self.books.lock().unwrap();
        let deaths = books.deaths;
        if books.heard.insert(thread::current().id(), deaths).unwrap_or(0) != deaths {
            return;
        }
        if word.load() == expected {
            let here = books.sleepers.entry(word.id()).or_default();
            let place = here.0;
            here.0 += 1;
            while books.sleepers.get(&word.id()).is_some_and(|here| here.1 <= place) {
                books = self.changed.wait(books).unwrap();
            }
            SLEPT.with(|slept| slept.set(slept.get() + 1));
        }
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        let mut books = self.books.lock().unwrap();
        let here = books.sleepers.entry(word.id()).or_default();
        let woken = count.min(here.0 - here.1);
        here.1 += woken;
        drop(books);
        self.changed.notify_all();
        woken
    }

    fn spins(&self) -> u32 {
        0
    }
}

impl Liveness for Kernel {
    fn is_dead(&self, party: PartyId) -> bool {
        self.dead.load(Acquire) >> party.number() & 1 != 0
    }
}

pub fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder
}

/// Runs `body` in a thread of the model as the party with this number, on the region with the kernel to wait by.
pub fn party<R: 'static>(
    slab: &Arc<Slab>,
    kernel: &Arc<Kernel>,
    number: u32,
    body: impl FnOnce(Region<'_>, &Kernel) -> R + 'static,
) -> JoinHandle<R> {
    let (slab, kernel) = (slab.clone(), kernel.clone());
    thread::spawn(move || {
        let region = unexplored(|| Region::open(slab.span()).unwrap());
        let me = PartyId::new(number).unwrap();
        body(region.with_notifier(&*kernel).with_party(me, &*kernel), &kernel)
    })
}
