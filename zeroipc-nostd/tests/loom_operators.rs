//! Models of waiting for two sources at once: whichever has a value wakes, and a wake-up that was not needed is passed on. A
//! sleeper that nobody wakes is a deadlock, which loom reports.
#![cfg(loom)]

use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{
    FormatOptions, Geometry, Queue, Region, Source, Stream, StreamOptions, Wait, WaitSet, WaitWord,
    WordSize,
};

/// A kernel's futexes, of which one may wait for several: comparing and going to sleep is one step. Its clock stands still, so
/// nobody wakes by time.
#[derive(Debug)]
struct Kernel {
    books: Mutex<Books>,
    woken: Condvar,
}

#[derive(Debug, Default)]
struct Books {
    /// Who sleeps, with its words; the first that came is woken first.
    asleep: Vec<(u32, Vec<usize>)>,
    sleeps: u32,
}

impl Kernel {
    fn new() -> Arc<Self> {
        Arc::new(Kernel { books: Mutex::new(Books::default()), woken: Condvar::new() })
    }
}

impl Wait for Kernel {
    fn now(&self) -> u64 {
        0
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        let mut set = WaitSet::new();
        set.add(word, expected);
        self.wait_any(&set, deadline);
    }

    fn wait_any(&self, set: &WaitSet<'_>, _deadline: u64) {
        let mut books = self.books.lock().unwrap();
        if set.has_changed() {
            return;
        }
        let mine = books.sleeps;
        books.sleeps += 1;
        books.asleep.push((mine, set.iter().map(|(word, _)| word.id()).collect()));
        while books.asleep.iter().any(|(sleep, _)| *sleep == mine) {
            books = self.woken.wait(books).unwrap();
        }
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        let mut books = self.books.lock().unwrap();
        let mut woken = 0;
        books.asleep.retain(|(_, words)| {
            let wake = woken < count && words.contains(&word.id());
            woken += u32::from(wake);
            !wake
        });
        drop(books);
        self.woken.notify_all();
        woken
    }

    fn spins(&self) -> u32 {
        0
    }
}

fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder
}

fn memory() -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    Queue::<u32>::create_with_spares(region, "one", 2, 1).unwrap();
    Queue::<u32>::create_with_spares(region, "other", 2, 1).unwrap();
    slab
}

/// Runs `body` in a thread of the model, with both queues and the kernel to wait by.
fn party<R: 'static>(
    slab: &Arc<Slab>,
    kernel: &Arc<Kernel>,
    body: impl FnOnce(Queue<'_, u32>, Queue<'_, u32>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let (slab, kernel) = (slab.clone(), kernel.clone());
    thread::spawn(move || {
        let region = unexplored(|| Region::open(slab.span()).unwrap()).with_notifier(&*kernel);
        let open = |name| unexplored(|| Queue::open(region, name).unwrap());
        body(open("one"), open("other"))
    })
}

#[test]
fn either_side_wakes_a_merge() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let reader = party(&slab, &kernel, |one, other| {
            let mut both = one.merge(other);
            both.next().unwrap() + both.next().unwrap()
        });
        let left = party(&slab, &kernel, |one, _| one.try_push(1).unwrap());
        let right = party(&slab, &kernel, |_, other| other.try_push(2).unwrap());
        left.join().unwrap();
        right.join().unwrap();
        assert_eq!(reader.join().unwrap(), 3);
    });
}

/// The reader of both is woken for the value of `other` and takes that of `one`: then the popper must be woken.
#[test]
fn a_wake_up_that_was_not_needed_is_passed_on() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let reader = party(&slab, &kernel, |one, other| {
            if one.merge(other).next().unwrap() == 2 {
                // That was the popper's.
                other.try_push(2).unwrap();
            }
        });
        let popper = party(&slab, &kernel, |_, other| assert_eq!(other.pop().unwrap(), 2));
        let publisher = party(&slab, &kernel, |one, other| {
            other.try_push(2).unwrap();
            one.try_push(1).unwrap();
        });
        publisher.join().unwrap();
        reader.join().unwrap();
        popper.join().unwrap();
    });
}

#[test]
fn both_sides_wake_a_pair() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(), Kernel::new());
        let reader = party(&slab, &kernel, |one, other| one.zip(other).next().unwrap());
        let left = party(&slab, &kernel, |one, _| one.try_push(1).unwrap());
        let right = party(&slab, &kernel, |_, other| other.try_push(2).unwrap());
        left.join().unwrap();
        right.join().unwrap();
        assert_eq!(reader.join().unwrap(), (1, 2));
    });
}

/// Two drivers of one derived stream: of each number there is one value, and who was too late knows.
#[test]
fn a_number_is_emitted_once() {
    bounded(1).check(|| {
        let slab = Arc::new(Slab::new(1024));
        let geometry = Geometry::new(WordSize::Four, 8).unwrap();
        let options = FormatOptions::new().max_entries(2).geometry(geometry);
        let region = Region::create(slab.span(), &options).unwrap();
        let kept = StreamOptions::new().spares(2);
        Stream::<u32>::create_with(region, "result", 2, &kept).unwrap();
        let drivers = [10, 20].map(|mine| {
            let slab = slab.clone();
            thread::spawn(move || {
                let region = unexplored(|| Region::open(slab.span()).unwrap());
                let result = unexplored(|| Stream::<u32>::open(region, "result").unwrap());
                [0, 1].map(|number| result.try_emit_at(number, mine + number as u32).is_ok())
            })
        });
        let [one, other] = drivers.map(|driver| driver.join().unwrap());
        // Whoever tries number 1 has seen number 0, by itself or by its failure.
        assert!(one[0] != other[0] && one[1] != other[1], "{one:?} {other:?}");
        let result = Stream::<u32>::open(region, "result").unwrap();
        assert_eq!(result.get(0), Ok(if one[0] { 10 } else { 20 }));
        assert_eq!(result.get(1), Ok(if one[1] { 11 } else { 21 }));
        assert_eq!(result.next_sequence(), 2);
    });
}
