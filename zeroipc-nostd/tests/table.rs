//! The table: versions, limits, names, sessions, views, and creation by many at once.
#![cfg(not(loom))]

mod memory;

use memory::{geometries, Memory};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::thread;
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, Kind, Name, NameError, Queue, Region, RegionError,
    Ring, Span, StructureError, TableVersion, View, WordSize, MAGIC,
};

const VERSIONS: [TableVersion; 2] = [TableVersion::V1, TableVersion::V3];

fn options(version: TableVersion) -> FormatOptions {
    FormatOptions::new().version(version)
}

fn header(version: TableVersion) -> (u64, u64) {
    match version {
        TableVersion::V1 => (16, 40),
        TableVersion::V3 => (32, 48),
    }
}

/// Every entry makes sense, names are there once, and no structure overlaps another, the table, or the free memory.
fn check_table(view: View<'_>) {
    let (header, stride) = header(view.version());
    let mut end = header + stride * u64::from(view.max_entries());
    let mut names = BTreeSet::new();
    let mut entries: Vec<_> = view.entries().map(Result::unwrap).collect();
    entries.sort_unstable_by_key(|entry| entry.offset);
    for entry in entries {
        assert!(names.insert(entry.name), "{} twice", entry.name);
        let info = view.inspect(&entry).unwrap();
        let line = u64::from(info.geometry.line_bytes());
        assert_eq!(entry.offset % line, 0, "{entry:?}");
        assert!(entry.offset >= end, "{entry:?} before {end}");
        end = entry.offset + entry.size;
    }
    assert!(end <= view.next_offset() && view.next_offset() <= view.size());
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn a_new_region() {
    for version in VERSIONS {
        for geometry in geometries() {
            let mut memory = Memory::filled(4096, 0xA5);
            let span = memory.span();
            let options = options(version).geometry(geometry).max_entries(7).session(99);
            let region = Region::create(span, &options).unwrap();
            let view = region.view();
            assert_eq!((view.version(), view.size(), view.geometry()), (version, 4096, geometry));
            assert_eq!((view.capability(), view.session()), (Capability::Cas, 99));
            assert_eq!((view.entry_count(), region.is_current()), (1, true));
            assert_eq!(view.next_offset(), view.heap_offset());
            let record = view.entries().next().unwrap().unwrap();
            assert_eq!((record.name.as_str(), record.size), (".region", 32));
            assert_eq!(view.inspect(&record).unwrap().kind, Kind::REGION);
            check_table(view);

            // Room for seven and the record at least; in version 1 the padding before the record counts too.
            let (header, stride) = header(version);
            let room = (record.offset - header) / stride;
            match version {
                TableVersion::V1 => assert_eq!(u64::from(view.max_entries()), room),
                TableVersion::V3 => assert_eq!(view.max_entries(), 8),
            }
            assert!((8..=8 + u64::from(geometry.line_bytes()) / stride).contains(&room));

            // Who opens it finds the same.
            let opened = Region::open(span).unwrap().view();
            assert_eq!(opened.max_entries(), view.max_entries());
            assert_eq!((opened.session(), opened.size()), (99, 4096));
            let bytes = memory.bytes();
            assert_eq!((word(bytes, 0), word(bytes, 4)), (MAGIC, version.number()));
        }
    }
}

/// The padding of version 1 is used: as many structures as `max_entries` says, and not one more.
#[test]
fn as_many_structures_as_entries() {
    for version in VERSIONS {
        for geometry in geometries() {
            for asked in 0..6 {
                let mut memory = Memory::filled(4096, 0xA5);
                let region = memory.region(options(version).geometry(geometry).max_entries(asked));
                let max_entries = region.view().max_entries();
                assert!(max_entries > asked);
                for n in 1..max_entries {
                    Array::<u8>::create(region, &n.to_string(), 1).unwrap().store(0, 1).unwrap();
                }
                let next = region.view().next_offset();
                assert!(matches!(
                    Array::<u8>::create(region, "more", 1),
                    Err(StructureError::TableFull { max_entries: max }) if max == max_entries
                ));
                assert_eq!(region.view().next_offset(), next);
                check_table(region.view());
                // Names that are there are still found, and told apart from names that are not.
                assert_eq!(region.view().entry_count(), max_entries);
                assert!(matches!(
                    Array::<u8>::open(region, "more"),
                    Err(StructureError::NotFound { .. })
                ));
            }
        }
    }
}

#[test]
fn region_sizes_at_the_edge() {
    for version in VERSIONS {
        let options = options(version).max_entries(3).geometry(Geometry::SMALLEST);
        let (header, stride) = header(version);
        let needed = (header + 4 * stride + 32) as usize;
        for size in 0..needed {
            let mut memory = Memory::zeroed(size);
            let error = Region::create(memory.span(), &options).unwrap_err();
            let needed = needed as u64;
            assert_eq!(error, RegionError::TooSmall { size: size as u64, needed });
            assert!(memory.bytes().iter().all(|byte| *byte == 0), "wrote into too little memory");
        }
        // It fits exactly; then a structure does not.
        let mut memory = Memory::zeroed(needed);
        let region = memory.region(options);
        assert!(matches!(
            Array::<u8>::create(region, "a", 1),
            Err(StructureError::NoSpace { available: 0, .. })
        ));
        // Intent of 40 bytes, prefix of 24, an element, up to a multiple of 8.
        let mut memory = Memory::zeroed(needed + 72);
        let region = memory.region(options);
        assert!(matches!(
            Array::<u8>::create(region, "a", 9),
            Err(StructureError::NoSpace { available: 72, .. })
        ));
        Array::<u8>::create(region, "a", 8).unwrap();
        assert_eq!(region.view().next_offset(), region.view().size());
        check_table(region.view());
    }
}

/// Padding before the record counts as entries in version 1: what is formatted can be opened nevertheless.
#[test]
fn the_largest_table() {
    const LIMIT: u32 = 1 << 20;
    let line = Geometry::new(WordSize::Four, 128).unwrap();
    let mut memory = Memory::zeroed(48 * LIMIT as usize + 4096);
    for version in VERSIONS {
        let options = options(version).geometry(line);
        let region = Region::create(memory.span(), &options.max_entries(LIMIT - 4)).unwrap();
        assert!(region.view().max_entries() <= LIMIT);
        assert!(Region::open(memory.span()).is_ok());
        match Region::create(memory.span(), &options.max_entries(LIMIT - 1)) {
            Ok(_) => assert!(Region::open(memory.span()).is_ok()),
            Err(error) => assert!(matches!(error, RegionError::TooManyEntries { .. }), "{error}"),
        }
    }
}

#[test]
fn distinct_errors_of_regions() {
    let mut memory = Memory::zeroed(4096);
    let create = |memory: &mut Memory, options| Region::create(memory.span(), &options).map(drop);
    let too_many = create(&mut memory, FormatOptions::new().max_entries(u32::MAX));
    assert!(matches!(too_many, Err(RegionError::TooManyEntries { entries: u32::MAX, .. })));
    let too_small = create(&mut memory, FormatOptions::new().max_entries(1000));
    assert!(matches!(too_small, Err(RegionError::TooSmall { size: 4096, .. })));
    for bytes in [0, 1, 4, 24, 256] {
        let error = RegionError::BadLineSize { bytes };
        assert_eq!(Geometry::new(WordSize::Four, bytes), Err(error));
    }

    // Nothing there yet, and memory that does not fit.
    assert!(matches!(Region::open(memory.span()), Err(RegionError::WrongMagic { found: 0 })));
    let misaligned = Span::from_slice(&mut memory.bytes_mut()[4..]);
    assert!(matches!(misaligned, Err(RegionError::Misaligned { .. })));
    assert!(matches!(View::from_bytes(&memory.bytes()[4..]), Err(RegionError::Misaligned { .. })));

    for version in VERSIONS {
        create(&mut memory, options(version)).unwrap();
        // Truncated, at every length.
        for len in 0..4096 {
            let error = View::from_bytes(&memory.bytes()[..len]).map(drop).unwrap_err();
            let possible = matches!(
                error,
                RegionError::TooSmall { .. }
                    | RegionError::Truncated { .. }
                    | RegionError::Corrupt { .. }
            );
            assert!(possible, "{len} bytes: {error:?}");
            if len >= 3100 {
                let have = len as u64;
                assert_eq!(error, RegionError::Truncated { have, recorded: 4096 });
            }
        }
        // Longer than recorded is fine.
        let mut longer = Memory::zeroed(8192);
        longer.bytes_mut()[..4096].copy_from_slice(memory.bytes());
        assert_eq!(Region::open(longer.span()).unwrap().view().size(), 4096);

        let mut other = memory.clone();
        other.bytes_mut()[4] = 2;
        assert_eq!(
            Region::open(other.span()).map(drop).unwrap_err(),
            RegionError::UnknownVersion { version: 2 }
        );
        let mut other = memory.clone();
        other.bytes_mut()[0] ^= 1;
        assert_eq!(
            Region::open(other.span()).map(drop).unwrap_err(),
            RegionError::WrongMagic { found: MAGIC ^ 1 }
        );
    }
}

#[test]
fn names() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let longest = "n".repeat(31);
    // Prefixes of each other, and text beyond ASCII: 31 bytes of 2 and one.
    let umlauts = format!("{}x", "ü".repeat(15));
    let good = ["a", "aa", "aaaa", "aaaaa", &longest, &umlauts, "with space", "a/b"];
    for (name, n) in good.into_iter().zip(0_u32..) {
        Array::<u32>::create(region, name, 1).unwrap().store(0, n).unwrap();
        assert_eq!(Name::new(name).unwrap().to_string(), name);
    }
    for (name, n) in good.into_iter().zip(0_u32..) {
        assert_eq!(Array::<u32>::open(region, name).unwrap().load(0), Ok(n));
        assert!(matches!(
            Array::<u32>::create(region, name, 1),
            Err(StructureError::Exists { name: taken }) if taken.as_str() == name
        ));
    }
    let bad = [
        ("", NameError::Empty),
        (&"n".repeat(32), NameError::TooLong { len: 32 }),
        (&"ü".repeat(16), NameError::TooLong { len: 32 }),
        ("a\0", NameError::Control),
        ("a\nb", NameError::Control),
        ("\u{7f}", NameError::Control),
    ];
    for (name, error) in bad {
        assert_eq!(Name::new(name), Err(error));
        let created = Array::<u32>::create(region, name, 1).map(drop);
        assert_eq!(created, Err(StructureError::Name(error)));
        assert_eq!(Array::<u32>::open(region, name).map(drop), Err(StructureError::Name(error)));
    }
    // Reserved names cannot be created by users, but found.
    for name in [".", ".region", ".mine"] {
        assert!(Name::new(name).unwrap().is_reserved());
        assert_eq!(
            Ring::<u32>::create(region, name, 1).map(drop),
            Err(StructureError::Name(NameError::Reserved))
        );
    }
    assert_eq!(region.view().find(".region").unwrap().index, 0);
    assert!(matches!(
        Array::<u32>::open(region, ".region"),
        Err(StructureError::WrongKind { found: Kind::REGION, .. })
    ));
}

#[test]
fn sessions_tell_regions_apart() {
    for version in VERSIONS {
        // With the same seed, with none, and with different ones.
        for seeds in [[5, 5], [0, 0], [7, 8], [1, 0], [u32::MAX, 0]] {
            let mut memory = Memory::zeroed(4096);
            let span = memory.span();
            let format = |seed| Region::create(span, &options(version).session(seed)).unwrap();
            let mut old = format(seeds[0]);
            Array::<u32>::create(old, "array", 4).unwrap();
            for _ in 0..5 {
                let new = format(seeds[1]);
                assert!(new.session() != old.session() && new.session() != 0);
                assert!(!old.is_current() && new.is_current());
                assert!(!old.view().is_current());
                let stale = Err(StructureError::Stale);
                assert_eq!(Array::<u32>::create(old, "other", 4).map(drop), stale);
                assert_eq!(Queue::<u32>::create(old, "other", 4).map(drop), stale);
                // The old region's structure is gone.
                assert!(Array::<u32>::open(old, "array").is_err());
                Array::<u32>::create(new, "array", 4).unwrap();
                assert_eq!(Array::<u32>::open(old, "array").map(drop), stale);
                old = new;
            }
        }
    }
}

/// Also when the new table is shorter, so that the old region's record stays where it was.
#[test]
fn sessions_tell_regions_of_different_tables_apart() {
    for (before, after) in [(8, 3), (3, 8), (8, 8)] {
        for (old_version, version) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let (old_version, version) = (VERSIONS[old_version], VERSIONS[version]);
            let mut memory = Memory::zeroed(4096);
            let span = memory.span();
            let old = Region::create(span, &options(old_version).max_entries(before)).unwrap();
            Array::<u32>::create(old, "array", 4).unwrap();
            let new = Region::create(span, &options(version).max_entries(after)).unwrap();
            assert!(!old.is_current(), "{old_version:?} {before}, then {version:?} {after}");
            assert!(new.is_current());
            assert!(Array::<u32>::create(old, "late", 4).is_err());
        }
    }
}

#[test]
fn fresh_memory_is_not_cleared_and_other_memory_is() {
    for version in VERSIONS {
        for zeroed in [true, false] {
            let mut memory = Memory::filled(4096, if zeroed { 0 } else { 0xFF });
            let region = memory.region(options(version).max_entries(8).zeroed(zeroed));
            let array = Array::<u32>::create(region, "array", 100).unwrap();
            assert!(array.iter().eq([0; 100]));
            // Blocks that are given back are zero again.
            Ring::<u32>::create(region, "ring", 8).unwrap();
            Queue::<u32>::create(region, "queue", 8).unwrap();
            assert!(Queue::<u32>::create(region, "queue", 8).is_err());
            assert!(Array::<[u8; 3]>::create(region, "bytes", 5).unwrap().iter().eq([[0; 3]; 5]));
            check_table(region.view());
        }
    }
    // Who says so of memory that is not zero has what was there.
    let mut memory = Memory::filled(4096, 0xFF);
    let region = memory.region(FormatOptions::new().zeroed(true));
    assert_eq!(Array::<u8>::create(region, "array", 1).unwrap().load(0), Ok(0xFF));
}

#[test]
fn a_view_of_a_copy_agrees() {
    for version in VERSIONS {
        let mut memory = Memory::filled(8192, 0xA5);
        let region = memory.region(options(version).max_entries(8).session(3));
        Array::<u16>::create(region, "array", 5).unwrap();
        let ring = Ring::<[u8; 12]>::create(region, "ring", 8).unwrap();
        let mut producer = ring.producer().unwrap();
        (0..3).for_each(|n| producer.try_push([n; 12]).unwrap());
        drop(producer);
        let queue = Queue::<u64>::create(region, "queue", 4).unwrap();
        (0..2).for_each(|n| queue.try_push(n).unwrap());
        let live = region.view();
        let shown = |view: View<'_>| -> Vec<_> {
            let entries = view.entries().map(Result::unwrap);
            entries.map(|entry| (entry, view.inspect(&entry).unwrap())).collect()
        };
        let expected = shown(live);
        let fills: Vec<_> = expected.iter().map(|(_, info)| info.fill).collect();
        assert_eq!(fills, [None, Some(5), Some(3), Some(2)]);
        let sizes: Vec<_> = expected.iter().map(|(_, info)| info.elem_size).collect();
        assert_eq!(sizes, [0, 2, 12, 8]);
        let capacities: Vec<_> = expected.iter().map(|(_, info)| info.capacity).collect();
        assert_eq!(capacities, [8192, 5, 8, 4]);
        let (next, session) = (live.next_offset(), live.session());

        let copy = memory.clone();
        let view = View::from_bytes(copy.bytes()).unwrap();
        assert_eq!(shown(view), expected);
        assert_eq!((view.next_offset(), view.session()), (next, session));
        let mut start = [0; 8];
        assert_eq!(view.read_bytes(0, &mut start), 8);
        assert_eq!(start, copy.bytes()[..8]);
        assert_eq!(view.read_bytes(8190, &mut start), 2);
        assert_eq!(view.read_bytes(8192, &mut start), 0);
        assert_eq!(view.read_bytes(u64::MAX, &mut start), 0);
    }
}

/// Structures of any kind and size until nothing fits: none overlaps another.
fn exhaust(version: TableVersion, geometry: Geometry, sizes: &[(u8, usize)]) {
    let mut memory = Memory::filled(8192, 0xA5);
    let region = memory.region(options(version).geometry(geometry).max_entries(40));
    let mut created = 0;
    for (kind, size) in sizes.iter().copied() {
        let name = format!("structure {created}");
        let result = match kind {
            0 => Array::<u8>::create(region, &name, size).map(drop),
            1 => Array::<[u8; 12]>::create(region, &name, size).map(drop),
            2 => Ring::<u32>::create(region, &name, size).map(drop),
            _ => Queue::<u64>::create_with_spares(region, &name, size, 2).map(drop),
        };
        match result {
            Ok(()) => created += 1,
            Err(StructureError::NoSpace { needed, available }) => {
                // On a line the padding before the structure may be what does not fit.
                assert!(needed + u64::from(geometry.line_bytes()) > available);
            }
            Err(StructureError::TableFull { max_entries }) => assert_eq!(created + 1, max_entries),
            Err(error) => panic!("{error}"),
        }
    }
    check_table(region.view());
    assert_eq!(region.view().entry_count(), created + 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn structures_never_overlap(
        version in prop::sample::select(VERSIONS.to_vec()),
        geometry in prop::sample::select(geometries()),
        sizes in prop::collection::vec((0_u8..4, 1_usize..200), 1..60),
    ) {
        exhaust(version, geometry, &sizes);
    }
}

/// Eight parties create the same 64 names at once: each name once, each structure whole.
#[test]
fn many_create_the_same_names_at_once() {
    for version in VERSIONS {
        for zeroed in [false, true] {
            let mut memory = Memory::filled(64 * 1024, if zeroed { 0 } else { 0xA5 });
            let span = memory.span();
            let options = options(version).max_entries(72).zeroed(zeroed);
            Region::create(span, &options).unwrap();
            let create = |party: usize| {
                let region = Region::open(span).unwrap();
                // Each from another place on, so that they meet everywhere.
                (0..64_usize).map(move |n| (n + 8 * party) % 64).filter(move |n| {
                    let name = format!("name {n}");
                    match Array::<u64>::create(region, &name, 4) {
                        Ok(array) => {
                            assert!(array.iter().eq([0; 4]));
                            true
                        }
                        Err(StructureError::Exists { .. }) => {
                            Array::<u64>::open(region, &name).unwrap();
                            false
                        }
                        Err(error) => panic!("{error}"),
                    }
                })
            };
            let created: Vec<usize> = thread::scope(|scope| {
                let create = &create;
                let parties: Vec<_> =
                    (0..8).map(|p| scope.spawn(move || create(p).collect::<Vec<_>>())).collect();
                parties.into_iter().flat_map(|party| party.join().unwrap()).collect()
            });
            assert_eq!(created.len(), 64);
            assert_eq!(created.into_iter().collect::<BTreeSet<_>>().len(), 64);
            let view = Region::open(span).unwrap().view();
            assert_eq!(view.entry_count(), 65);
            check_table(view);
            if zeroed {
                let next = view.next_offset() as usize;
                assert!(memory.bytes()[next..].iter().all(|byte| *byte == 0));
            }
        }
    }
}

/// Eight parties open or create: all of them end with the same structure.
#[test]
fn many_open_or_create_the_same_name() {
    for _ in 0..50 {
        let mut memory = Memory::filled(8192, 0xA5);
        let span = memory.span();
        Region::create(span, &FormatOptions::new().max_entries(8)).unwrap();
        thread::scope(|scope| {
            for party in 0..8 {
                scope.spawn(move || {
                    let region = Region::open(span).unwrap();
                    let queue = Queue::<u32>::open_or_create(region, "queue", 8).unwrap();
                    queue.try_push(party).unwrap();
                });
            }
        });
        let region = Region::open(span).unwrap();
        let queue = Queue::<u32>::open(region, "queue").unwrap();
        let mut popped: Vec<_> = std::iter::from_fn(|| queue.try_pop().ok()).collect();
        popped.sort_unstable();
        assert!(popped.into_iter().eq(0..8));
        check_table(region.view());
    }
}
