//! Regions by name: create, open, remove, and what can be wrong with each.

mod scratch;

use scratch::Scratch;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{symlink, FileExt, MetadataExt};
use std::sync::Barrier;
use zeroipc_nostd::{Array, Capability, Geometry, Queue, RegionError, Ring, WordSize};
use zeroipc_posix::{Error, Memory, ReadOnlyMemory};

const SIZE: usize = 1 << 16;

#[test]
fn what_one_handle_stores_another_loads() {
    let name = Scratch::new();
    let memory = Memory::create(&name.0, SIZE).unwrap();
    assert_eq!(memory.size(), SIZE);
    let array = Array::<f32>::create(&memory, "temperature", 1000).unwrap();
    array.store(5, 21.5).unwrap();
    assert_eq!(array.load(6), Ok(0.0));

    let other = Memory::open(&name.0).unwrap();
    assert_eq!(other.size(), SIZE);
    assert_eq!(other.region().session(), memory.region().session());
    assert_eq!(Array::<f32>::open(&other, "temperature").unwrap().load(5), Ok(21.5));

    let looking = ReadOnlyMemory::open(&name.0).unwrap();
    assert_eq!(looking.size(), SIZE);
    assert!(looking.view().find("temperature").is_ok());
}

#[test]
fn memory_may_be_shared_between_threads() {
    fn shareable<T: Send + Sync + std::fmt::Debug>() {}
    shareable::<Memory>();
    shareable::<ReadOnlyMemory>();
    shareable::<Error>();
}

#[test]
fn a_size_that_is_no_whole_page_is_kept() {
    let name = Scratch::new();
    let memory = Memory::create(&name.0, 5001).unwrap();
    assert_eq!(memory.size(), 5001);
    assert_eq!(fs::metadata(name.path()).unwrap().len(), 5001);
    assert_eq!(Memory::open(&name.0).unwrap().size(), 5001);
}

#[test]
fn a_taken_name_and_a_missing_one_are_told_apart() {
    let name = Scratch::new();
    assert_eq!(Memory::open(&name.0).unwrap_err(), Error::NotFound);
    assert_eq!(ReadOnlyMemory::open(&name.0).unwrap_err(), Error::NotFound);
    assert_eq!(Memory::unlink(&name.0), Err(Error::NotFound));
    assert!(!name.path().exists());

    let memory = Memory::create(&name.0, SIZE).unwrap();
    Array::<u32>::create(&memory, "kept", 1).unwrap().store(0, 7).unwrap();
    assert_eq!(Memory::create(&name.0, SIZE).unwrap_err(), Error::Exists);
    let same = Memory::open_or_create(&name.0, 2 * SIZE).unwrap();
    assert_eq!(same.size(), SIZE);
    assert_eq!(Array::<u32>::open(&same, "kept").unwrap().load(0), Ok(7));
}

#[test]
fn an_unlinked_region_lives_on_with_those_who_have_it() {
    let name = Scratch::new();
    let old = Memory::create(&name.0, SIZE).unwrap();
    let old_array = Array::<u32>::create(&old, "a", 1).unwrap();
    Memory::unlink(&name.0).unwrap();
    old_array.store(0, 1).unwrap();

    let new = Memory::create(&name.0, SIZE).unwrap();
    assert_ne!(new.region().session(), old.region().session());
    let new_array = Array::<u32>::create(&new, "a", 1).unwrap();
    assert_eq!((old_array.load(0), new_array.load(0)), (Ok(1), Ok(0)));
}

#[test]
fn names_are_checked_before_anything_is_done() {
    let long = format!("/{}", "x".repeat(255));
    for bad in ["", "no_slash", "/", "/.", "/..", "/a/b", "/../etc/x", "/a\0b", &long] {
        let is_name = |result: Result<(), Error>| {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Name { .. }), "{bad:?}: {error:?}");
        };
        is_name(Memory::create(bad, SIZE).map(drop));
        is_name(Memory::open(bad).map(drop));
        is_name(Memory::open_or_create(bad, SIZE).map(drop));
        is_name(ReadOnlyMemory::open(bad).map(drop));
        is_name(Memory::unlink(bad));
    }
}

#[test]
fn a_size_that_holds_no_region_creates_nothing() {
    let name = Scratch::new();
    for size in [0, 1, 100] {
        let error = Memory::create(&name.0, size).unwrap_err();
        let Error::TooSmall { size: asked, needed } = error else { panic!("{error:?}") };
        assert_eq!(asked, size as u64);
        assert!(needed > 100);
        assert!(!name.path().exists());
        assert!(matches!(Memory::anonymous(size), Err(Error::TooSmall { .. })));
    }
    let too_many = Memory::options().max_entries(u32::MAX).create(&name.0, SIZE).unwrap_err();
    assert!(matches!(too_many, Error::Region(RegionError::TooManyEntries { .. })));
    assert!(!name.path().exists());
}

#[test]
fn more_than_there_is_fails_at_creation_and_leaves_nothing() {
    let system = rustix::fs::statvfs("/dev/shm").unwrap();
    let name = Scratch::new();
    if system.f_blocks != 0 {
        let more = (system.f_bfree * system.f_frsize + (1 << 30)) as usize;
        let error = Memory::create(&name.0, more).unwrap_err();
        assert_eq!(error, Error::NoSpace { size: more as u64 });
        let text = error.to_string();
        assert!(text.contains("sparse") && text.contains(&more.to_string()), "{text}");
        assert!(!name.path().exists());

        // The same without a reservation takes hardly anything.
        let memory = Memory::options().sparse(true).create(&name.0, more).unwrap();
        assert_eq!(memory.size(), more);
        assert!(fs::metadata(name.path()).unwrap().blocks() * 512 < 1 << 20);
        let array = Array::<u64>::create(&memory, "huge", more / 16).unwrap();
        array.store(more / 16 - 1, 1).unwrap();
        assert_eq!(array.load(more / 16 - 1), Ok(1));
    }
    let name = Scratch::new();
    for options in [Memory::options(), Memory::options().sparse(true)] {
        let error = options.create(&name.0, usize::MAX).unwrap_err();
        assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
        assert!(!name.path().exists());
    }
}

#[test]
fn storage_is_reserved_unless_it_is_sparse() {
    let (reserved, sparse) = (Scratch::new(), Scratch::new());
    let _reserved = Memory::create(&reserved.0, 1 << 20).unwrap();
    let _sparse = Memory::options().sparse(true).create(&sparse.0, 1 << 20).unwrap();
    assert!(fs::metadata(reserved.path()).unwrap().blocks() * 512 >= 1 << 20);
    assert!(fs::metadata(sparse.path()).unwrap().blocks() * 512 < 1 << 20);
}

#[test]
fn reading_only_creates_nothing() {
    let name = Scratch::new();
    Memory::create(&name.0, SIZE).unwrap();
    let before = fs::read(name.path()).unwrap();
    let looking = ReadOnlyMemory::open(&name.0).unwrap();
    assert_eq!(looking.view().entries().count(), 1);
    drop(looking);
    assert_eq!(fs::read(name.path()).unwrap(), before);
}

#[test]
fn a_file_that_lost_its_end_is_refused() {
    let name = Scratch::new();
    Memory::create(&name.0, SIZE).unwrap();
    let file = OpenOptions::new().write(true).open(name.path()).unwrap();
    for left in [SIZE as u64 - 1, 4096] {
        file.set_len(left).unwrap();
        let truncated = RegionError::Truncated { have: left, recorded: SIZE as u64 };
        assert_eq!(Memory::open(&name.0).unwrap_err(), Error::Region(truncated));
        assert_eq!(ReadOnlyMemory::open(&name.0).unwrap_err(), Error::Region(truncated));
    }
    for left in [10, 0] {
        file.set_len(left).unwrap();
        for error in
            [Memory::open(&name.0).unwrap_err(), ReadOnlyMemory::open(&name.0).unwrap_err()]
        {
            assert!(matches!(error, Error::Region(RegionError::TooSmall { .. })), "{error:?}");
        }
    }
}

#[test]
fn what_is_no_region_is_refused() {
    let name = Scratch::new();
    fs::write(name.path(), vec![1; SIZE]).unwrap();
    let wrong = Error::Region(RegionError::WrongMagic { found: 0x0101_0101 });
    assert_eq!(Memory::open(&name.0).unwrap_err(), wrong);
    assert_eq!(Memory::open_or_create(&name.0, SIZE).unwrap_err(), wrong);
    assert_eq!(Memory::create(&name.0, SIZE).unwrap_err(), Error::Exists);

    let version = Scratch::new();
    Memory::create(&version.0, SIZE).unwrap();
    let file = OpenOptions::new().write(true).open(version.path()).unwrap();
    file.write_all_at(&[9, 0, 0, 0], 4).unwrap();
    let unknown = Error::Region(RegionError::UnknownVersion { version: 9 });
    assert_eq!(Memory::open(&version.0).unwrap_err(), unknown);
}

#[test]
fn links_folders_and_pipes_are_refused_without_waiting() {
    let (target, link) = (Scratch::new(), Scratch::new());
    Memory::create(&target.0, SIZE).unwrap();
    symlink(target.path(), link.path()).unwrap();
    assert_eq!(Memory::open(&link.0).unwrap_err(), Error::NotAFile);

    let pipe = Scratch::new();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, pipe.path(), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(Memory::open(&pipe.0).unwrap_err(), Error::NotAFile);
    assert_eq!(ReadOnlyMemory::open(&pipe.0).unwrap_err(), Error::NotAFile);

    let folder = Scratch::new();
    fs::create_dir(folder.path()).unwrap();
    let opened = (Memory::open(&folder.0), ReadOnlyMemory::open(&folder.0));
    fs::remove_dir(folder.path()).unwrap();
    assert_eq!(opened.0.unwrap_err(), Error::NotAFile);
    assert_eq!(opened.1.unwrap_err(), Error::NotAFile);
}

#[test]
fn options_reach_the_region() {
    let name = Scratch::new();
    let geometry = Geometry::new(WordSize::Four, 32).unwrap();
    let memory = Memory::options()
        .max_entries(200)
        .geometry(geometry)
        .capability(Capability::LoadStore)
        .prefault(true)
        .create(&name.0, SIZE)
        .unwrap();
    let view = memory.region().view();
    assert!(view.max_entries() > 200);
    assert_eq!((view.geometry(), view.capability()), (geometry, Capability::LoadStore));
    // Only who formatted such a region creates in it, and that survives the way through `Memory`.
    Ring::<u32>::create(&memory, "ring", 4).unwrap();
    assert!(Queue::<u32>::create(&memory, "queue", 4).is_err());
    assert!(Array::<u32>::create(&Memory::open(&name.0).unwrap(), "array", 4).is_err());
}

#[test]
fn pages_can_be_brought_in_locked_and_large() {
    let name = Scratch::new();
    match Memory::options().lock(true).prefault(true).create(&name.0, 1 << 20) {
        Ok(memory) => assert_eq!(memory.size(), 1 << 20),
        Err(error) => {
            assert!(matches!(error, Error::Lock { size: 0x10_0000, .. }), "{error:?}");
            assert!(error.to_string().contains("RLIMIT_MEMLOCK"));
            assert!(!name.path().exists());
            Memory::create(&name.0, 1 << 20).unwrap();
        }
    }
    Memory::options().prefault(true).open(&name.0).unwrap();

    // Kernels may have no huge pages at all, and say so.
    let huge = Scratch::new();
    match Memory::options().huge_pages(true).prefault(true).create(&huge.0, 5 << 20) {
        Ok(memory) => {
            assert_eq!(memory.size(), 5 << 20);
            assert!(fs::metadata(huge.path()).unwrap().blocks() * 512 >= 5 << 20);
            Memory::options().huge_pages(true).open(&huge.0).unwrap();
        }
        Err(error) => assert!(error.to_string().contains("huge pages"), "{error}"),
    }
    match Memory::options().huge_pages(true).anonymous(5 << 20) {
        Ok(memory) => assert_eq!(memory.size(), 6 << 20),
        Err(error) => assert_eq!(error, Error::NoHugePages { size: 6 << 20 }),
    }
}

#[test]
fn whoever_comes_first_creates() {
    const PARTIES: usize = 8;
    for _ in 0..50 {
        let name = Scratch::new();
        let start = Barrier::new(PARTIES);
        let sessions: Vec<u32> = std::thread::scope(|scope| {
            let parties: Vec<_> = (0..PARTIES)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        let memory = Memory::open_or_create(&name.0, 1 << 14).unwrap();
                        let array = Array::<u32>::open_or_create(&memory, "a", 8).unwrap();
                        assert_eq!(array.len(), 8);
                        memory.region().session()
                    })
                })
                .collect();
            parties.into_iter().map(|party| party.join().unwrap()).collect()
        });
        assert!(sessions.iter().all(|session| *session == sessions[0]), "{sessions:?}");
    }
}

#[test]
fn only_one_of_many_creators_succeeds() {
    const PARTIES: usize = 8;
    let name = Scratch::new();
    let start = Barrier::new(PARTIES);
    let created: usize = std::thread::scope(|scope| {
        let parties: Vec<_> = (0..PARTIES)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    match Memory::create(&name.0, SIZE) {
                        Ok(_) => 1,
                        Err(error) => {
                            assert_eq!(error, Error::Exists);
                            0
                        }
                    }
                })
            })
            .collect();
        parties.into_iter().map(|party| party.join().unwrap()).sum()
    });
    assert_eq!(created, 1);
}
