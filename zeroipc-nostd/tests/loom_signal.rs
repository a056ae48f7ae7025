//! Models of the Signal: a reader sees whole values of the version that it is told, writers lose nothing, sleepers are woken.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release -p zeroipc-nostd --test loom_signal`. Preemptions are bounded as each
//! model says; the bound can be raised by `LOOM_MAX_PREEMPTIONS`.
#![cfg(loom)]

use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;
use zeroipc_nostd::testing::{abandon_at, run, unexplored, Slab};
use zeroipc_nostd::{
    Capability, FormatOptions, Geometry, Region, Signal, SignalError, Wait, WaitWord, WordSize,
};

/// Two words: half of one value and half of another would show.
type Pair = [u32; 2];

fn pair(n: u32) -> Pair {
    [n, !n]
}

fn number(found: Pair) -> u32 {
    assert_eq!(found[1], !found[0], "a torn value");
    found[0]
}

fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder
}

/// Who may write.
#[derive(Debug, Clone, Copy)]
enum Form {
    Many,
    One,
    OneByLoadsAndStores,
}

/// A signal that is set to `before` already: slots have been used.
fn memory(form: Form, word: WordSize, slots: u32, before: u32) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let capability = match form {
        Form::OneByLoadsAndStores => Capability::LoadStore,
        _ => Capability::Cas,
    };
    let geometry = Geometry::new(word, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry).capability(capability);
    let region = Region::create(slab.span(), &options).unwrap();
    match form {
        Form::Many => {
            let signal = Signal::create_with_slots(region, "s", pair(0), slots).unwrap();
            for n in 1..=before {
                signal.set(pair(n)).unwrap();
            }
        }
        Form::One | Form::OneByLoadsAndStores => {
            let signal = Signal::create_single_writer(region, "s", pair(0), slots).unwrap();
            let mut writer = signal.writer().unwrap();
            for n in 1..=before {
                writer.set(pair(n));
            }
        }
    }
    slab
}

fn open(slab: &Slab) -> Signal<'_, Pair> {
    unexplored(|| Signal::open(Region::open(slab.span()).unwrap(), "s").unwrap())
}

fn party<R: 'static>(
    slab: &Arc<Slab>,
    body: impl FnOnce(Signal<'_, Pair>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let slab = slab.clone();
    thread::spawn(move || body(open(&slab)))
}

fn read(signal: Signal<'_, Pair>) -> (u32, u64) {
    let (value, version) = signal.get_with_version().unwrap();
    (number(value), version)
}

/// Two reads, which must fit each other and versions.
fn read_twice(signal: Signal<'_, Pair>) -> (u32, u64) {
    let (first, at) = signal.get_with_version().unwrap();
    let (second, then) = signal.get_with_version().unwrap();
    assert!(at <= then, "version {then} after {at}");
    assert!(at != then || first == second, "two values of one version");
    number(first);
    (number(second), then)
}

/// With three slots the second set takes the slot that a slow reader still looks at.
fn a_slot_is_reused_under_a_reader(word: WordSize) {
    bounded(4).check(move || {
        let slab = memory(Form::Many, word, 3, 1);
        let reader = party(&slab, read);
        let writer = party(&slab, |signal| {
            for n in 2..5 {
                assert_eq!(signal.set(pair(n)), Ok(u64::from(n)));
            }
        });
        writer.join().unwrap();
        let (value, version) = reader.join().unwrap();
        assert_eq!(u64::from(value), version);
        assert_eq!(open(&slab).get_with_version(), Ok((pair(4), 4)));
    });
}

#[test]
fn a_slot_is_reused_under_a_reader_with_4_byte_words() {
    a_slot_is_reused_under_a_reader(WordSize::Four);
}

#[test]
fn a_slot_is_reused_under_a_reader_with_8_byte_words() {
    a_slot_is_reused_under_a_reader(WordSize::Eight);
}

/// With two slots every second set does.
#[test]
fn the_only_writer_reuses_a_slot_under_a_reader() {
    bounded(4).check(move || {
        let slab = memory(Form::OneByLoadsAndStores, WordSize::Four, 2, 1);
        let reader = party(&slab, read);
        let writer = party(&slab, |signal| {
            let mut writer = unexplored(|| signal.writer().unwrap());
            for n in 2..4 {
                assert_eq!(writer.set(pair(n)), u64::from(n));
            }
            unexplored(|| drop(writer));
        });
        writer.join().unwrap();
        let (value, version) = reader.join().unwrap();
        assert_eq!(u64::from(value), version);
        assert_eq!(open(&slab).get_with_version(), Ok((pair(3), 3)));
    });
}

/// What is seen of the only writer does not go back.
#[test]
fn two_reads_beside_the_only_writer() {
    bounded(3).check(move || {
        let slab = memory(Form::One, WordSize::Eight, 2, 0);
        let reader = party(&slab, read_twice);
        let writer = party(&slab, |signal| {
            let mut writer = unexplored(|| signal.writer().unwrap());
            writer.set(pair(1));
            writer.set(pair(2));
            unexplored(|| drop(writer));
        });
        writer.join().unwrap();
        let (value, version) = reader.join().unwrap();
        assert_eq!(u64::from(value), version);
    });
}

#[test]
fn a_reader_and_two_writers() {
    bounded(2).check(|| {
        let slab = memory(Form::Many, WordSize::Eight, 4, 1);
        let writers =
            [10, 20].map(|n| party(&slab, move |signal| (signal.set(pair(n)).unwrap(), n)));
        let reader = party(&slab, read_twice);
        let mut set = writers.map(|writer| writer.join().unwrap());
        set.sort_unstable();
        assert_eq!(set.map(|(version, _)| version), [2, 3]);
        // What was read at a version is what was set at it.
        let (value, version) = reader.join().unwrap();
        assert!((version, value) == (1, 1) || set.contains(&(version, value)));
        let last = set[1].1;
        assert_eq!(open(&slab).get_with_version(), Ok((pair(last), 3)));
        all_slots_but_one_are_free(&slab, 4);
    });
}

/// When nobody is inside, so many writers may stop as there are slots to spare.
fn all_slots_but_one_are_free(slab: &Slab, slots: u32) {
    unexplored(|| {
        let signal = open(slab);
        for stopped in 0..slots - 2 {
            // Before the load of `current` after the value was written: the slot is with the dead.
            assert!(abandon_at(4, || signal.set(pair(90 + stopped))).is_err());
        }
        signal.set(pair(99)).unwrap();
        assert_eq!(signal.get(), Ok(pair(99)));
    });
}

#[test]
fn updates_count() {
    bounded(4).check(|| {
        let slab = memory(Form::Many, WordSize::Four, 4, 0);
        let parties = [1, 10].map(|add| {
            party(&slab, move |signal| {
                let (old, new) = signal.update(|old| pair(number(old) + add)).unwrap();
                assert_eq!(number(new), number(old) + add);
            })
        });
        for party in parties {
            party.join().unwrap();
        }
        assert_eq!(open(&slab).get_with_version(), Ok((pair(11), 2)));
        all_slots_but_one_are_free(&slab, 4);
    });
}

/// Who takes a slot knows of the version that replaced it, and does not stamp the slot with an older one. The reader's thread sets
/// version 2, and version 3 in the middle of reading it; another writer then finds the slot of version 2 free.
#[test]
fn a_slot_is_not_stamped_by_an_old_version() {
    bounded(3).check(|| {
        let slab = memory(Form::Many, WordSize::Four, 3, 1);
        let writer = party(&slab, |signal| signal.set(pair(50)));
        let reading = slab.clone();
        let reader = thread::spawn(move || {
            let signal = open(&reading);
            let slab = reading.clone();
            let first = signal.set(pair(2));
            let meanwhile = move |step| {
                if step == 2 {
                    // The other writer may have all that is free.
                    let _ = open(&slab).set(pair(3));
                }
            };
            let (value, version) = run(meanwhile, || signal.get_with_version()).0.unwrap();
            number(value);
            assert!(first.is_err() || (2..5).contains(&version));
        });
        reader.join().unwrap();
        // In the model a writer that finds no slot at the first look around waits for none.
        let set = writer.join().unwrap();
        assert!(set.is_ok() || set == Err(SignalError::Blocked));
        all_slots_but_one_are_free(&slab, 3);
    });
}

/// A writer that sets by version 0 takes the slot of version 1, at which a slow reader still looks. Between its look at the version
/// and the rest, others set three times, in the same thread: what matters is where the reader is meanwhile.
#[test]
fn a_late_compare_does_no_harm() {
    bounded(4).check(|| {
        let slab = memory(Form::Many, WordSize::Four, 3, 0);
        let writing = slab.clone();
        let late = thread::spawn(move || {
            let slab = writing.clone();
            let others = move |step| {
                if step == 1 {
                    let signal = open(&slab);
                    (1..4).for_each(|n| assert_eq!(signal.set(pair(n)), Ok(u64::from(n))));
                }
            };
            let signal = open(&writing);
            run(others, || signal.compare_version_and_set(0, pair(50))).0
        });
        let reader = party(&slab, read);
        assert_eq!(late.join().unwrap(), Err(SignalError::Changed { version: 3 }));
        let (value, version) = reader.join().unwrap();
        assert_eq!(u64::from(value), version);
        all_slots_but_one_are_free(&slab, 3);
    });
}

/// A writer is stopped for ever before each of its accesses; another writer and a reader go on.
#[test]
fn a_writer_that_stops_anywhere() {
    for step in 0.. {
        let reached = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = reached.clone();
        bounded(2).check(move || {
            let slab = memory(Form::Many, WordSize::Eight, 3, 0);
            let stopped = party(&slab, move |signal| abandon_at(step, || signal.set(pair(7))));
            let other = party(&slab, |signal| {
                [1, 2].map(|n| (signal.set(pair(n)).unwrap(), n, read(signal)))
            });
            let finished = stopped.join().unwrap().is_ok();
            if !finished {
                seen.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            for (set, n, (value, version)) in other.join().unwrap() {
                // Its own, or what the one that stopped had set.
                assert!(version == set && value == n || version > set && value == 7);
            }
            let signal = open(&slab);
            signal.set(pair(9)).unwrap();
            assert_eq!(signal.get(), Ok(pair(9)));
        });
        if !reached.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(step > 6, "a set has at least seven accesses");
            break;
        }
    }
}

/// A kernel's futex: comparing and going to sleep is one step. Its clock stands still, so nobody wakes by time.
#[derive(Debug)]
struct Kernel {
    /// How many ever went to sleep, and how many of them (the first) were woken.
    sleepers: Mutex<(u32, u32)>,
    woken: Condvar,
}

impl Kernel {
    fn new() -> Arc<Self> {
        Arc::new(Kernel { sleepers: Mutex::new((0, 0)), woken: Condvar::new() })
    }
}

impl Wait for Kernel {
    fn now(&self) -> u64 {
        0
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, _deadline: u64) {
        let mut sleepers = self.sleepers.lock().unwrap();
        if word.load() == expected {
            let place = sleepers.0;
            sleepers.0 += 1;
            while sleepers.1 <= place {
                sleepers = self.woken.wait(sleepers).unwrap();
            }
        }
    }

    fn wake(&self, _word: WaitWord<'_>, count: u32) -> u32 {
        let mut sleepers = self.sleepers.lock().unwrap();
        let woken = count.min(sleepers.0 - sleepers.1);
        sleepers.1 += woken;
        drop(sleepers);
        self.woken.notify_all();
        woken
    }

    fn spins(&self) -> u32 {
        0
    }
}

/// Runs `body` in a thread of the model, with the kernel to wait by.
fn waiting<R: 'static>(
    slab: &Arc<Slab>,
    kernel: &Arc<Kernel>,
    body: impl FnOnce(Signal<'_, Pair>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let (slab, kernel) = (slab.clone(), kernel.clone());
    thread::spawn(move || {
        let region = unexplored(|| Region::open(slab.span()).unwrap());
        body(unexplored(|| Signal::open(region.with_notifier(&*kernel), "s").unwrap()))
    })
}

/// A sleeper that nobody wakes is a deadlock, which loom reports.
#[test]
fn all_that_wait_for_a_change_are_woken() {
    for form in [Form::Many, Form::One, Form::OneByLoadsAndStores] {
        bounded(2).check(move || {
            let (slab, kernel) = (memory(form, WordSize::Four, 3, 0), Kernel::new());
            let waiters = [0, 1]
                .map(|_| waiting(&slab, &kernel, |signal| signal.wait_for_change(0).unwrap()));
            let writer = waiting(&slab, &kernel, move |signal| match form {
                Form::Many => signal.set(pair(5)).unwrap(),
                _ => {
                    let mut writer = unexplored(|| signal.writer().unwrap());
                    writer.set(pair(5))
                }
            });
            assert_eq!(writer.join().unwrap(), 1);
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), (pair(5), 1));
            }
        });
    }
}

/// One that waits for each of two changes, beside one that waits for the first: a ring falls between announcements.
#[test]
fn waiting_again_and_again() {
    bounded(2).check(move || {
        let (slab, kernel) = (memory(Form::One, WordSize::Four, 3, 0), Kernel::new());
        let twice = waiting(&slab, &kernel, |signal| {
            let mut version = 0;
            while version < 2 {
                version = signal.wait_for_change(version).unwrap().1;
            }
        });
        let once = waiting(&slab, &kernel, |signal| signal.wait_for_change(0).unwrap().1);
        let writer = waiting(&slab, &kernel, move |signal| {
            let mut writer = unexplored(|| signal.writer().unwrap());
            writer.set(pair(1));
            writer.set(pair(2));
            unexplored(|| drop(writer));
        });
        writer.join().unwrap();
        twice.join().unwrap();
        assert!(once.join().unwrap() >= 1);
    });
}

/// Two writers that both find sleepers.
#[test]
fn two_wakers() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(Form::Many, WordSize::Four, 4, 0), Kernel::new());
        let waiter = waiting(&slab, &kernel, |signal| {
            let mut version = 0;
            while version < 2 {
                version = signal.wait_for_change(version).unwrap().1;
            }
        });
        let writers =
            [1, 2].map(|n| waiting(&slab, &kernel, move |signal| signal.set(pair(n)).unwrap()));
        for writer in writers {
            writer.join().unwrap();
        }
        waiter.join().unwrap();
    });
}
