//! What models of waiting need: a kernel to sleep by, and parties in threads of their own.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{Capability, FormatOptions, Geometry, Region, Wait, WaitWord, WordSize};

/// A kernel's futexes: comparing and going to sleep is one step. Its clock stands still, so nobody wakes by time, and a
/// sleeper that nobody wakes is a deadlock, which loom reports.
#[derive(Debug)]
pub struct Kernel {
    sleepers: Mutex<Vec<Futex>>,
    woken: Condvar,
    spins: u32,
}

/// Those that sleep on one word: how many ever did, and how many of them (the first) were woken.
#[derive(Debug)]
struct Futex {
    word: usize,
    slept: u32,
    woken: u32,
}

fn futex(all: &mut Vec<Futex>, word: usize) -> &mut Futex {
    let at = all.iter().position(|futex| futex.word == word).unwrap_or_else(|| {
        all.push(Futex { word, slept: 0, woken: 0 });
        all.len() - 1
    });
    &mut all[at]
}

impl Kernel {
    pub fn new() -> Arc<Self> {
        Self::after(0)
    }

    /// One whose parties look so often before they announce that they sleep: the announcement's fence helps less.
    pub fn after(spins: u32) -> Arc<Self> {
        Arc::new(Kernel { sleepers: Mutex::new(Vec::new()), woken: Condvar::new(), spins })
    }
}

impl Wait for Kernel {
    fn now(&self) -> u64 {
        0
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, _deadline: u64) {
        let mut sleepers = self.sleepers.lock().unwrap();
        if word.load() == expected {
            let mine = futex(&mut sleepers, word.id());
            let place = mine.slept;
            mine.slept += 1;
            while futex(&mut sleepers, word.id()).woken <= place {
                sleepers = self.woken.wait(sleepers).unwrap();
            }
        }
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        let mut sleepers = self.sleepers.lock().unwrap();
        let these = futex(&mut sleepers, word.id());
        let woken = count.min(these.slept - these.woken);
        these.woken += woken;
        drop(sleepers);
        self.woken.notify_all();
        woken
    }

    fn spins(&self) -> u32 {
        self.spins
    }
}

pub fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder
}

/// Memory with what `create` makes in it.
pub fn memory(capability: Capability, create: impl FnOnce(Region<'_>)) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry).capability(capability);
    create(Region::create(slab.span(), &options).unwrap());
    slab
}

/// Runs `body` in a thread of the model, on the region with the kernel to wait by.
pub fn party<R: 'static>(
    slab: &Arc<Slab>,
    kernel: &Arc<Kernel>,
    body: impl FnOnce(Region<'_>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let (slab, kernel) = (slab.clone(), kernel.clone());
    thread::spawn(move || {
        let region = unexplored(|| Region::open(slab.span()).unwrap());
        body(region.with_notifier(&*kernel))
    })
}

/// A number that parties write and read without atomics: loom reports a race.
#[derive(Debug, Clone)]
pub struct Plain(Arc<loom::cell::UnsafeCell<u32>>);

// SAFETY: loom's cell checks at run time that accesses do not race; that check is the point.
unsafe impl Send for Plain {}
// SAFETY: as above.
unsafe impl Sync for Plain {}

impl Plain {
    pub fn new(value: u32) -> Self {
        #[allow(clippy::arc_with_non_send_sync)] // see above
        Plain(Arc::new(loom::cell::UnsafeCell::new(value)))
    }

    pub fn get(&self) -> u32 {
        // SAFETY: loom gives a valid pointer and has checked that nobody writes.
        self.0.with(|value| unsafe { *value })
    }

    pub fn set(&self, value: u32) {
        // SAFETY: loom gives a valid pointer and has checked that nobody else accesses it.
        self.0.with_mut(|to| unsafe { *to = value });
    }
}
