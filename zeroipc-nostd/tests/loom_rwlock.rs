//! Models of the RwLock: a writer is alone, nobody sleeps for ever, deaths of readers and writers are found.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release -p zeroipc-nostd --test loom_rwlock`. Preemptions are bounded as each
//! model says; the bound can be raised by `LOOM_MAX_PREEMPTIONS`. The value lies in a loom cell: a reader beside a writer is
//! found even if it reads nothing wrong.
#![cfg(loom)]

mod mortal_kernel;

use mortal_kernel::{bounded, party, Kernel};
use std::mem::forget;
use std::sync::Arc;
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{FormatOptions, Geometry, LockError, Region, RwLock, TryLockError, WordSize};

fn memory(readers: u32) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(512));
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    let options = FormatOptions::new().max_entries(1).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    RwLock::<u32>::create_with_readers(region, "lock", 0, readers).unwrap();
    slab
}

fn lock(region: Region<'_>) -> RwLock<'_, u32> {
    unexplored(|| RwLock::open(region, "lock").unwrap())
}

fn reads(region: Region<'_>) -> u32 {
    lock(region).read().unwrap().load()
}

fn writes(region: Region<'_>) {
    lock(region).write().unwrap().update(|value| value + 1);
}

/// All have gone: a writer gets in at once.
fn value(slab: &Slab) -> u32 {
    lock(Region::open(slab.span()).unwrap()).try_write().unwrap().load()
}

#[test]
fn a_reader_and_a_writer() {
    for places in [1, 2] {
        bounded(4).check(move || {
            let (slab, kernel) = (memory(places), Kernel::new());
            let reader = party(&slab, &kernel, 1, |region, _| reads(region));
            let writer = party(&slab, &kernel, 2, |region, _| writes(region));
            writer.join().unwrap();
            assert!(reader.join().unwrap() <= 1);
            assert_eq!(value(&slab), 1);
        });
    }
}

/// The reader comes again while the writer does: what was said to it the first time must not count.
#[test]
fn a_reader_and_a_writer_twice() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let reader = party(&slab, &kernel, 1, |region, _| (reads(region), reads(region)));
        let writer = party(&slab, &kernel, 2, |region, _| {
            writes(region);
            writes(region);
        });
        writer.join().unwrap();
        let (first, second) = reader.join().unwrap();
        assert!(first <= second && second <= 2);
        assert_eq!(value(&slab), 2);
    });
}

#[test]
fn a_reader_and_two_writers() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let reader = party(&slab, &kernel, 1, |region, _| reads(region));
        let writers = [2, 3].map(|n| party(&slab, &kernel, n, |region, _| writes(region)));
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert!(reader.join().unwrap() <= 2);
        assert_eq!(value(&slab), 2);
    });
}

#[test]
fn two_readers_with_a_place_each_and_a_writer() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(2), Kernel::new());
        let readers = [2, 3].map(|n| party(&slab, &kernel, n, |region, _| reads(region)));
        let writer = party(&slab, &kernel, 1, |region, _| writes(region));
        writer.join().unwrap();
        readers.into_iter().for_each(|reader| assert!(reader.join().unwrap() <= 1));
        assert_eq!(value(&slab), 1);
    });
}

#[test]
fn two_readers_with_one_place_and_a_writer() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let readers = [2, 3].map(|n| party(&slab, &kernel, n, |region, _| reads(region)));
        let writer = party(&slab, &kernel, 1, |region, _| writes(region));
        writer.join().unwrap();
        readers.into_iter().for_each(|reader| assert!(reader.join().unwrap() <= 1));
        assert_eq!(value(&slab), 1);
    });
}

#[test]
fn who_does_not_wait_gets_it_or_not() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let reader = party(&slab, &kernel, 1, |region, _| match lock(region).try_read() {
            Ok(guard) => assert!(guard.load() <= 1),
            Err(TryLockError::WouldBlock) => {}
            Err(error) => panic!("{error}"),
        });
        let writer = party(&slab, &kernel, 2, |region, _| match lock(region).try_write() {
            Ok(mut guard) => {
                guard.store(1);
                1
            }
            Err(TryLockError::WouldBlock) => 0,
            Err(error) => panic!("{error}"),
        });
        let waits = party(&slab, &kernel, 3, |region, _| reads(region));
        reader.join().unwrap();
        waits.join().unwrap();
        let written = writer.join().unwrap();
        assert_eq!(value(&slab), written);
    });
}

/// A reader that gives up leaves nothing behind that keeps others asleep.
#[test]
fn a_reader_that_gives_up_holds_up_nobody() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let hasty = party(&slab, &kernel, 1, |region, kernel| {
            if let Ok(guard) = lock(region).read_with(kernel, Some(0)) {
                assert!(guard.load() <= 1);
            };
        });
        let reader = party(&slab, &kernel, 2, |region, _| reads(region));
        let writer = party(&slab, &kernel, 3, |region, _| writes(region));
        hasty.join().unwrap();
        reader.join().unwrap();
        writer.join().unwrap();
        assert_eq!(value(&slab), 1);
    });
}

/// Nor does a writer.
#[test]
fn a_writer_that_gives_up_holds_up_nobody() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let hasty = party(&slab, &kernel, 1, |region, kernel| {
            match lock(region).write_with(kernel, Some(0)) {
                Ok(mut guard) => {
                    guard.update(|value| value + 1);
                    1
                }
                Err(LockError::Timeout) => 0,
                Err(error) => panic!("{error}"),
            }
        });
        let reader = party(&slab, &kernel, 2, |region, _| reads(region));
        let writer = party(&slab, &kernel, 3, |region, _| writes(region));
        reader.join().unwrap();
        writer.join().unwrap();
        let taken = hasty.join().unwrap();
        assert_eq!(value(&slab), 1 + taken);
    });
}

#[test]
fn a_writer_that_goes_on_reading() {
    bounded(3).check(|| {
        let (slab, kernel) = (memory(2), Kernel::new());
        let first = party(&slab, &kernel, 1, |region, _| {
            let lock = lock(region);
            let mut guard = lock.write().unwrap();
            guard.update(|value| value + 10);
            let written = guard.load();
            match guard.downgrade() {
                Ok(guard) => assert_eq!(guard.load(), written),
                Err(guard) => assert_eq!(guard.load(), written),
            };
        });
        let second = party(&slab, &kernel, 2, |region, _| {
            writes(region);
            reads(region)
        });
        first.join().unwrap();
        assert!([1, 11].contains(&second.join().unwrap()));
        assert_eq!(value(&slab), 11);
    });
}

/// A reader in the only place dies, while `others` want the lock, each by its own number.
fn a_reader_dies(preemptions: usize, others: [&'static [fn(Region<'_>)]; 2]) {
    bounded(preemptions).check(move || {
        let (slab, kernel) = (memory(1), Kernel::new());
        let victim = party(&slab, &kernel, 1, |region, kernel| {
            forget(lock(region).read().unwrap());
            kernel.dies(1);
        });
        let others: Vec<_> = (2..)
            .zip(others.concat())
            .map(|(number, other)| party(&slab, &kernel, number, move |region, _| other(region)))
            .collect();
        victim.join().unwrap();
        let writers = others.len() as u32;
        others.into_iter().for_each(|other| other.join().unwrap());
        let me = zeroipc_nostd::PartyId::new(4).unwrap();
        let last = lock(Region::open(slab.span()).unwrap().with_party(me, &*kernel));
        assert!(last.try_write().unwrap().load() <= writers);
    });
}

fn looks(region: Region<'_>) {
    assert!(reads(region) <= 1);
}

#[test]
fn a_dead_reader_is_cleared_by_a_writer() {
    a_reader_dies(4, [&[writes], &[]]);
}

#[test]
fn a_dead_reader_is_cleared_by_a_reader() {
    a_reader_dies(4, [&[looks], &[]]);
}

#[test]
fn a_dead_reader_is_cleared_by_a_writer_or_by_a_reader() {
    a_reader_dies(1, [&[writes], &[looks]]);
}

/// A reader may find the death first; then the writer is still told.
#[test]
fn a_dead_writer_is_told_to_readers_until_a_writer_repairs() {
    bounded(2).check(|| {
        let (slab, kernel) = (memory(1), Kernel::new());
        let victim = party(&slab, &kernel, 1, |region, kernel| {
            let lock = lock(region);
            let mut guard = lock.write().unwrap();
            guard.store(100);
            forget(guard);
            kernel.dies(1);
        });
        let reader = party(&slab, &kernel, 2, |region, _| match lock(region).read() {
            Ok(guard) => [0, 1, 7].contains(&guard.load()),
            Err(LockError::OwnerDied(guard)) => guard.load() == 100,
            Err(error) => panic!("{error}"),
        });
        let writer = party(&slab, &kernel, 3, |region, _| match lock(region).write() {
            Ok(mut guard) => {
                guard.store(1);
                0
            }
            Err(LockError::OwnerDied(mut guard)) => {
                assert_eq!(guard.load(), 100);
                guard.store(7);
                guard.mark_consistent();
                1
            }
            Err(error) => panic!("{error}"),
        });
        victim.join().unwrap();
        assert!(reader.join().unwrap());
        let told = writer.join().unwrap();
        let last = Region::open(slab.span()).unwrap();
        let last = last.with_party(zeroipc_nostd::PartyId::new(4).unwrap(), &*kernel);
        match lock(last).try_write() {
            Ok(guard) => assert_eq!((guard.load(), told), (7, 1)),
            // The victim came after the writer.
            Err(error) => assert_eq!((error.into_guard().unwrap().load(), told), (100, 0)),
        };
    });
}
