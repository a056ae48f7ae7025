//! Table: a creator, or a formatter, stopped or killed before every one of its accesses leaves a table that works.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;
mod stepper;

use memory::Memory;
use std::collections::BTreeSet;
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{
    Array, FormatOptions, Geometry, Queue, Region, RegionError, Ring, Span, StructureError,
    TableVersion, View, WordSize,
};

const VERSIONS: [TableVersion; 2] = [TableVersion::V1, TableVersion::V3];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Make {
    Array,
    Ring,
    Queue,
}

const MAKES: [Make; 3] = [Make::Array, Make::Ring, Make::Queue];

impl Make {
    fn create(self, region: Region<'_>, name: &str) -> Result<(), StructureError> {
        match self {
            Make::Array => Array::<u64>::create(region, name, 4).map(drop),
            Make::Ring => Ring::<u64>::create(region, name, 4).map(drop),
            Make::Queue => Queue::<u64>::create_with_spares(region, name, 2, 1).map(drop),
        }
    }

    /// Opens it and finds it as new, and working.
    fn check(self, region: Region<'_>, name: &str) {
        match self {
            Make::Array => {
                let array = Array::<u64>::open(region, name).unwrap();
                assert!(array.iter().eq([0; 4]), "{name} is not zero");
                array.store(3, 7).unwrap();
                assert_eq!(array.load(3), Ok(7));
                array.store(3, 0).unwrap();
            }
            Make::Ring => {
                let ring = Ring::<u64>::open(region, name).unwrap();
                assert_eq!((ring.len(), ring.capacity()), (0, 4));
                let (mut producer, mut consumer) =
                    (ring.producer().unwrap(), ring.consumer().unwrap());
                (0..4).for_each(|n| producer.try_push(n).unwrap());
                producer.try_push(4).unwrap_err();
                assert!((0..4).all(|n| consumer.try_pop() == Ok(n)));
            }
            Make::Queue => {
                let queue = Queue::<u64>::open(region, name).unwrap();
                assert_eq!((queue.len(), queue.capacity()), (0, 2));
                (0..2).for_each(|n| queue.try_push(n).unwrap());
                queue.try_push(2).unwrap_err();
                assert!((0..2).all(|n| queue.try_pop() == Ok(n)));
            }
        }
    }
}

fn options(version: TableVersion, entries: u32) -> FormatOptions {
    let geometry = Geometry::new(WordSize::Four, 8).unwrap();
    FormatOptions::new().version(version).max_entries(entries).geometry(geometry)
}

/// Every entry makes sense, names are there once, and no structure overlaps another or the table.
fn check_table(view: View<'_>) {
    let mut names = BTreeSet::new();
    let mut places = Vec::new();
    for entry in view.entries() {
        let entry = entry.unwrap();
        assert!(names.insert(entry.name), "{} twice", entry.name);
        assert!(view.inspect(&entry).is_ok(), "{entry:?}");
        places.push((entry.offset, entry.offset + entry.size));
    }
    places.sort_unstable();
    assert!(places.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{places:?} overlap");
    assert!(places.iter().all(|place| place.1 <= view.next_offset()));
    let table_end = match view.version() {
        TableVersion::V1 => 16 + 40 * u64::from(view.max_entries()),
        TableVersion::V3 => 32 + 48 * u64::from(view.max_entries()),
    };
    assert!(places[0].0 >= table_end);
}

/// What the others do after, or during, somebody's creation of `name`: their names, then that name too.
fn others_create(region: Region<'_>, make: Make, name: &str, names: &[&str]) {
    for (other, make) in names.iter().zip(MAKES.into_iter().cycle()) {
        make.create(region, other).unwrap();
        make.check(region, other);
    }
    match make.create(region, name) {
        Ok(()) | Err(StructureError::Exists { .. }) => make.check(region, name),
        Err(error) => panic!("{error}"),
    }
    for (other, make) in names.iter().zip(MAKES.into_iter().cycle()) {
        assert!(matches!(make.create(region, other), Err(StructureError::Exists { .. })));
        make.check(region, other);
    }
    check_table(region.view());
}

const TEN: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

#[test]
fn a_killed_creator_blocks_nobody() {
    for version in VERSIONS {
        for make in MAKES {
            for zeroed in [false, true] {
                for step in 0.. {
                    let mut memory = Memory::filled(4096, if zeroed { 0 } else { 0xA5 });
                    let span = memory.span();
                    let region =
                        Region::create(span, &options(version, 16).zeroed(zeroed)).unwrap();
                    Make::Array.create(region, "before").unwrap();
                    let finished = abandon_at(step, || make.create(region, "name"));
                    others_create(Region::open(span).unwrap(), make, "name", &TEN);
                    Make::Array.check(region, "before");
                    if let Ok(result) = finished {
                        result.unwrap();
                        assert!(step > 40, "a creation of {step} steps");
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn two_killed_creators_block_nobody() {
    for (one, two) in [("x", "x"), ("x", "y")] {
        for first in 0.. {
            let mut all_finished = false;
            for second in 0.. {
                let mut memory = Memory::filled(2048, 0xA5);
                let region = memory.region(options(TableVersion::V1, 8));
                let killed = [(first, one), (second, two)].map(|(step, name)| {
                    abandon_at(step, || Make::Array.create(region, name)).is_err()
                });
                others_create(region, Make::Array, one, &["a", "b"]);
                others_create(region, Make::Array, two, &["c"]);
                if !killed[1] {
                    all_finished = !killed[0];
                    break;
                }
            }
            if all_finished {
                break;
            }
        }
    }
}

/// The last free entry is claimed by a creator that dies.
#[test]
fn a_killed_creator_and_a_full_table() {
    for version in VERSIONS {
        for step in 0.. {
            let mut memory = Memory::filled(2048, 0xA5);
            let region = memory.region(options(version, 2));
            let free = region.view().max_entries() - region.view().entry_count();
            for name in &TEN[1..free as usize] {
                Make::Array.create(region, name).unwrap();
            }
            let finished = abandon_at(step, || Make::Array.create(region, "name")).is_ok();
            match Make::Ring.create(region, "other") {
                Ok(()) => {
                    assert!(matches!(
                        Make::Array.create(region, "name"),
                        Err(StructureError::TableFull { .. })
                    ));
                    Make::Ring.check(region, "other");
                }
                Err(StructureError::TableFull { .. }) => Make::Array.check(region, "name"),
                Err(error) => panic!("{error}"),
            }
            check_table(region.view());
            if finished {
                break;
            }
        }
    }
}

#[test]
fn a_stopped_creator_blocks_nobody() {
    for version in VERSIONS {
        for make in MAKES {
            for step in 0.. {
                let mut memory = Memory::filled(4096, 0xA5);
                let region = memory.region(options(version, 16));
                let finished = thread::scope(|scope| {
                    let party = Party::start(scope, step, move || make.create(region, "name"));
                    let stopped = party.is_stopped();
                    for (name, make) in TEN.iter().zip(MAKES.into_iter().cycle()) {
                        make.create(region, name).unwrap();
                        make.check(region, name);
                    }
                    party.finish().unwrap();
                    !stopped
                });
                others_create(region, make, "name", &["k"]);
                if finished {
                    break;
                }
            }
        }
    }
}

/// One of two creators of the same name has it, and the other is told so.
#[test]
fn a_stopped_creator_and_another_of_the_same_name() {
    for version in VERSIONS {
        for make in MAKES {
            for step in 0.. {
                let mut memory = Memory::filled(2048, 0xA5);
                let region = memory.region(options(version, 4));
                let finished = thread::scope(|scope| {
                    let party = Party::start(scope, step, move || make.create(region, "name"));
                    let stopped = party.is_stopped();
                    let ours = make.create(region, "name");
                    make.check(region, "name");
                    let theirs = party.finish();
                    assert!(ours.is_ok() != theirs.is_ok(), "{ours:?} {theirs:?}");
                    let loser = ours.and(theirs).unwrap_err();
                    assert!(matches!(loser, StructureError::Exists { .. }));
                    !stopped
                });
                make.check(region, "name");
                check_table(region.view());
                if finished {
                    break;
                }
            }
        }
    }
}

/// The other took the last entry, or the last memory, for that name: it is still the name that is said to be taken.
#[test]
fn a_stopped_creator_and_another_that_took_the_last_of_it() {
    for version in VERSIONS {
        for last_entry in [true, false] {
            for step in 0.. {
                let mut memory = Memory::filled(4096, 0xA5);
                let region = memory.region(options(version, if last_entry { 1 } else { 8 }));
                let view = region.view();
                let spare_entries = view.max_entries() - view.entry_count() - 1;
                if last_entry {
                    for name in &TEN[..spare_entries as usize] {
                        Make::Array.create(region, name).unwrap();
                    }
                } else {
                    // One array of 4 needs an intent of 40 bytes, a prefix of 24, and 32.
                    let left = view.size() - view.next_offset() - 96 - 64;
                    Array::<u8>::create(region, "large", left as usize).unwrap();
                }
                let finished = thread::scope(|scope| {
                    let create = move || Make::Array.create(region, "name");
                    let party = Party::start(scope, step, create);
                    let stopped = party.is_stopped();
                    let ours = Make::Array.create(region, "name");
                    let theirs = party.finish();
                    // Whoever reserved the last memory first may still be about to use it.
                    let possible = |result: &Result<(), StructureError>| {
                        matches!(result, Ok(()) | Err(StructureError::Exists { .. }))
                            || matches!(result, Err(StructureError::NoSpace { .. })) && stopped
                    };
                    assert!(possible(&ours) && theirs != ours, "step {step}: {ours:?} {theirs:?}");
                    assert!(!matches!(theirs, Err(StructureError::NoSpace { .. })), "step {step}");
                    !stopped
                });
                Make::Array.check(region, "name");
                check_table(region.view());
                if finished {
                    break;
                }
            }
        }
    }
}

/// A creator that lost the name dies while it gives its block back: free memory stays zero in a zeroed region.
#[test]
fn free_memory_stays_zero_whenever_a_loser_dies() {
    for step in 0.. {
        for later in 1.. {
            let mut memory = Memory::zeroed(1024);
            let region = memory.region(options(TableVersion::V1, 4).zeroed(true));
            let (stopped_first, stopped_again) = thread::scope(|scope| {
                let create = move || Make::Ring.create(region, "name");
                let mut party = Party::start(scope, step, create);
                let stopped = party.is_stopped();
                let _ = Make::Array.create(region, "name");
                let again = party.go_to(step + later);
                party.abandon();
                (stopped, again)
            });
            check_table(region.view());
            let next = region.view().next_offset() as usize;
            let all_zero = memory.bytes()[next..].iter().all(|byte| *byte == 0);
            assert!(all_zero, "dirt beyond {next} after steps {step} and {later}");
            if !stopped_first {
                return;
            }
            if !stopped_again {
                break;
            }
        }
    }
}

/// What lay in the memory before somebody formats it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Zeroes,
    Dirt,
    Region(TableVersion, u32),
}

const BEFORE: [Before; 6] = [
    Before::Zeroes,
    Before::Dirt,
    Before::Region(TableVersion::V1, 8),
    Before::Region(TableVersion::V1, 3),
    Before::Region(TableVersion::V3, 8),
    Before::Region(TableVersion::V3, 3),
];

impl Before {
    fn memory(self) -> Memory {
        let mut memory = Memory::filled(1024, if self == Before::Dirt { 0xA5 } else { 0 });
        if let Before::Region(version, entries) = self {
            let region = memory.region(options(version, entries).session(77));
            Array::<u64>::create(region, "old", 4).unwrap().store(2, 1234).unwrap();
        }
        memory
    }

    /// Nothing opens, unless it is all of the old region.
    fn check(self, span: Span<'_>) {
        match (Region::open(span), self) {
            (Err(RegionError::WrongMagic { .. }), _) => {}
            (Ok(region), Before::Region(version, _)) => {
                assert_eq!((region.session(), region.view().version()), (77, version));
                assert_eq!(region.view().entry_count(), 2);
                assert_eq!(Array::<u64>::open(region, "old").unwrap().load(2), Ok(1234));
                check_table(region.view());
            }
            (other, _) => panic!("{other:?} with {self:?} before"),
        }
    }
}

#[test]
fn a_half_made_region_does_not_open() {
    for before in BEFORE {
        for version in VERSIONS {
            for step in 0.. {
                let mut memory = before.memory();
                let span = memory.span();
                let old = Region::open(span).ok();
                let format = || Region::create(span, &options(version, 5).session(78)).map(drop);
                let finished = abandon_at(step, format).is_ok();
                if finished {
                    assert_eq!(Region::open(span).unwrap().session(), 78);
                    assert!(step > 30, "a formatting of {step} steps");
                    break;
                }
                before.check(span);
                // And whoever comes next formats it.
                let region = Region::create(span, &options(version, 5).session(79)).unwrap();
                assert!(old.is_none_or(|old| !old.is_current()));
                others_create(region, Make::Queue, "name", &["a", "b"]);
                assert!(matches!(
                    Array::<u64>::open(region, "old"),
                    Err(StructureError::NotFound { .. })
                ));
            }
        }
    }
}

/// The session number differs from that of the region before, also when a formatter died in between.
#[test]
fn a_killed_formatter_does_not_bring_an_old_session_back() {
    for version in VERSIONS {
        for step in 0.. {
            let mut memory = Memory::zeroed(1024);
            let span = memory.span();
            let old = Region::create(span, &options(version, 5)).unwrap();
            let finished =
                abandon_at(step, || Region::create(span, &options(version, 5)).map(drop)).is_ok();
            Region::create(span, &options(version, 5)).unwrap();
            assert!(!old.is_current(), "session {} again after step {step}", old.session());
            if finished {
                break;
            }
        }
    }
}

/// Handles of the old region are harmless while, and after, the memory is formatted anew.
#[test]
fn a_stopped_formatter_and_handles_of_the_old_region() {
    for version in VERSIONS {
        for step in 0.. {
            let mut memory = Before::Region(TableVersion::V1, 8).memory();
            let span = memory.span();
            let old = Region::open(span).unwrap();
            let finished = thread::scope(|scope| {
                let format =
                    move || Region::create(span, &options(version, 5).session(78)).map(drop);
                let party = Party::start(scope, step, format);
                let stopped = party.is_stopped();
                match Make::Ring.create(old, "late") {
                    Ok(()) => Make::Ring.check(old, "late"),
                    Err(error) => assert_eq!(error, StructureError::Stale),
                }
                party.finish().unwrap();
                !stopped
            });
            assert!(!old.is_current());
            assert_eq!(Make::Ring.create(old, "later"), Err(StructureError::Stale));
            let region = Region::open(span).unwrap();
            others_create(region, Make::Array, "name", &["a"]);
            if finished {
                break;
            }
        }
    }
}
