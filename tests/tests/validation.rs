//! The rules of opening in SPECIFICATION.md (4.4, 6.2 and those of each kind), broken one at a time.

use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, Kind, Name, Queue, Region, RegionError, Ring,
    StructureError, TableVersion, View,
};
use zeroipc_tests::guarded::Guarded;

const SIZE: usize = 65536;
/// Where the region record lies in version 1 with lines of 8 bytes and room for 4 entries besides its own.
const RECORD: usize = 0xD8;
const ENTRY_0: usize = 16;

fn options() -> FormatOptions {
    FormatOptions::new().max_entries(4).geometry(Geometry::SMALLEST).session(1)
}

/// A region of version 1 with an Array, a Ring and a Queue, all of `u32`.
fn region(memory: &Guarded) -> Region<'_> {
    let region = Region::create(memory.span(), &options()).unwrap();
    Array::<u32>::create(region, "array", 10).unwrap();
    Ring::<u32>::create(region, "ring", 4).unwrap();
    // So large that many a layout would fit into its entry.
    Queue::<u32>::create_with_spares(region, "queue", 2048, 1024).unwrap();
    region
}

/// What opening says after `value` was written to the 4 bytes at `offset`.
fn opening(offset: usize, value: u32) -> Result<(), RegionError> {
    let memory = Guarded::new(SIZE);
    region(&memory);
    memory.write_u32(offset, value);
    let result = Region::open(memory.span()).map(|_| ());
    assert_eq!(View::open(memory.span()).map(|_| ()), result, "a view says the same");
    result
}

#[test]
fn regions() {
    let have = SIZE as u64;
    let truncated = |recorded| Err(RegionError::Truncated { have, recorded });
    assert_eq!(opening(8, 2), Ok(()), "untouched in effect");
    assert_eq!(opening(0, 1), Err(RegionError::WrongMagic { found: 1 }));
    for version in [0, 2, 4, u32::MAX] {
        assert_eq!(opening(4, version), Err(RegionError::UnknownVersion { version }));
    }
    assert_eq!(opening(12, SIZE as u32 + 8), truncated(have + 8), "next_offset");

    let (name, offset, size) = (ENTRY_0, ENTRY_0 + 32, ENTRY_0 + 36);
    let kind = RECORD;
    let geometry = RECORD + 4;
    let recorded = RECORD + 16;
    let corrupt: &[(usize, u32, &str)] = &[
        (offset, 0, "no record"),
        (offset, 16 + 39, "no room for an entry"),
        (offset, RECORD as u32 + 4, "not a multiple of 8"),
        (offset, SIZE as u32, "record at the end"),
        (offset, SIZE as u32 + 8, "record beyond the end"),
        (size, 31, "record too short"),
        (size, SIZE as u32, "record too long"),
        (name, 0, "no name"),
        (name, u32::from_le_bytes(*b".rex"), "another name"),
        (name + 28, 1, "bytes behind the name"),
        (kind, u32::from_le_bytes(*b"ARRY"), "another kind"),
        (geometry, 0x0001_0805, "word size 5"),
        (geometry, 0x0001_1804, "line size 24"),
        (geometry, 0x0002_0804, "revision 2"),
        (recorded, RECORD as u32 + 31, "smaller than its table"),
    ];
    for (offset, value, what) in corrupt {
        let result = opening(*offset, *value);
        assert!(matches!(result, Err(RegionError::Corrupt { .. })), "{what}: {result:?}");
    }
    assert_eq!(opening(recorded, SIZE as u32 + 1), truncated(have + 1), "recorded size");
    assert_eq!(opening(recorded + 4, 1), truncated(have + (1 << 32)), "recorded size, high half");
}

#[test]
fn wide_tables() {
    let options = options().version(TableVersion::V3);
    let opening = |offset, value| {
        let memory = Guarded::new(SIZE);
        Region::create(memory.span(), &options).unwrap();
        memory.write_u32(offset, value);
        Region::open(memory.span()).map(|region| region.view().max_entries())
    };
    assert_eq!(opening(12, 5), Ok(5), "as it was");
    assert_eq!(opening(12, 1), Ok(1));
    for max_entries in [0, 6, u32::MAX] {
        let result = opening(12, max_entries);
        assert!(matches!(result, Err(RegionError::Corrupt { .. })), "{max_entries}: {result:?}");
    }
    let have = SIZE as u64;
    let recorded = have + 1;
    assert_eq!(opening(16, SIZE as u32 + 1), Err(RegionError::Truncated { have, recorded }));
}

/// A count of entries beyond the table is clamped; what is behind is never looked at.
#[test]
fn entry_count_is_clamped() {
    let memory = Guarded::new(SIZE);
    let region = region(&memory);
    memory.write_u32(8, u32::MAX);
    assert_eq!(region.view().entry_count(), region.view().max_entries());
    let error = Array::<u8>::create(region, "one more", 1).unwrap_err();
    assert_eq!(error, StructureError::TableFull { max_entries: 5 });
    assert!(Array::<u32>::open(region, "array").is_ok());
}

type Opener = fn(Region<'_>) -> Option<StructureError>;

fn array(region: Region<'_>) -> Option<StructureError> {
    Array::<u32>::open(region, "array").err()
}

fn ring(region: Region<'_>) -> Option<StructureError> {
    Ring::<u32>::open(region, "ring").err()
}

fn queue(region: Region<'_>) -> Option<StructureError> {
    Queue::<u32>::open(region, "queue").err()
}

/// What `open` says after `value` was written to the 4 bytes at `offset` of the structure `name`.
fn broken(name: &str, offset: usize, value: u32, open: Opener) -> Option<StructureError> {
    let memory = Guarded::new(SIZE);
    let region = region(&memory);
    assert_eq!(open(region), None);
    let start = region.view().find(name).unwrap().offset as usize;
    memory.write_u32(start + offset, value);
    open(region)
}

#[test]
fn structures() {
    let openers: [(&str, Opener); 3] = [("array", array), ("ring", ring), ("queue", queue)];
    for (text, open) in openers {
        let name = Name::new(text).unwrap();
        let broken = |offset, value| broken(text, offset, value, open).unwrap();
        let error = broken(0, u32::from_le_bytes(*b"ABCD"));
        assert!(matches!(error, StructureError::WrongKind { .. }));
        assert!(error.to_string().contains("ABCD"), "unknown kinds are shown: {error}");
        for geometry in [0x0001_0803, 0x0001_0904, 0x0001_0004, 0x0001_FF08] {
            let error = broken(4, geometry);
            assert!(matches!(error, StructureError::Corrupt { .. }), "{geometry:x}: {error}");
        }
        assert_eq!(broken(4, 0x0002_0804), StructureError::UnknownLayout { name, revision: 2 });
        assert!(matches!(broken(4, 0x0101_0804), StructureError::UnknownLayout { .. }));
        let (expected, found) = (4, 8);
        assert_eq!(broken(8, 8), StructureError::WrongElementSize { name, expected, found });
        for (offset, capacity) in [(16, 0), (16, 1 << 20), (16, u32::MAX), (20, 1), (20, 1 << 31)] {
            let error = broken(offset, capacity);
            assert!(matches!(error, StructureError::Corrupt { .. }), "{text} {capacity}: {error}");
        }
    }
    let corrupt: &[(&str, Opener, usize, u32, &str)] = &[
        ("array", array, 16, 11, "one element more than there is room for"),
        ("ring", ring, 16, 3, "not a power of two"),
        ("ring", ring, 16, 8, "a larger ring than there is room for"),
        ("queue", queue, 16, 1, "fewer than two"),
        ("queue", queue, 16, 1000, "not a power of two"),
        ("queue", queue, 16, 4096, "more slots than an entry can name"),
        ("queue", queue, 12, 0, "no spares"),
        ("queue", queue, 12, 1025, "more spares than the limit"),
        ("queue", queue, 12, u32::MAX, "endless spares"),
    ];
    for (name, open, offset, value, what) in corrupt {
        let error = broken(name, *offset, *value, *open).expect(what);
        assert!(matches!(error, StructureError::Corrupt { .. }), "{name}, {what}: {error}");
    }
    // Smaller than it was is a structure that fits, and nobody can tell.
    assert_eq!(broken("ring", 16, 2, ring), None);
    assert_eq!(broken("array", 16, 9, array), None);
}

#[test]
fn limits_of_spares_are_their_own() {
    let memory = Guarded::new(SIZE);
    let region = region(&memory);
    let start = region.view().find("queue").unwrap().offset as usize;
    // A small queue inside the memory of a large one: 2 + 1025 slots would fit well.
    memory.write_u32(start + 16, 2);
    for (spares, fits) in [(0, false), (1, true), (1024, true), (1025, false), (2000, false)] {
        memory.write_u32(start + 12, spares);
        assert_eq!(queue(region).is_none(), fits, "{spares} spares");
    }
}

/// An entry that contradicts the region is skipped: its name is not found, and the others are.
#[test]
fn entries() {
    let entry = ENTRY_0 + 40;
    let (name, offset, size) = (entry, entry + 32, entry + 36);
    let bad: &[(usize, u32, &str)] = &[
        (name + 28, 1, "bytes behind the name"),
        (name + 28, 1 << 24, "no NUL at the end"),
        (offset, 0, "in the header"),
        (offset, RECORD as u32 - 8, "in the table"),
        (offset, RECORD as u32 + 12, "not a multiple of 8"),
        (offset, SIZE as u32, "beyond the end"),
        (offset, u32::MAX - 7, "so far that the end wraps around"),
        (size, SIZE as u32, "too long"),
        (size, u32::MAX, "so long that the end wraps around"),
    ];
    for (at, value, what) in bad {
        let memory = Guarded::new(SIZE);
        let region = region(&memory);
        memory.write_u32(*at, *value);
        let error = array(region).expect(what);
        assert!(matches!(error, StructureError::NotFound { .. }), "{what}: {error}");
        assert_eq!((ring(region), queue(region)), (None, None), "{what}");
        assert_eq!(region.view().entries().filter(Result::is_err).count(), 1, "{what}");
    }
    let memory = Guarded::new(SIZE);
    let region = region(&memory);
    memory.write_u32(size, 23);
    assert!(matches!(array(region), Some(StructureError::Corrupt { .. })), "no room for a prefix");
}

#[test]
fn stale_handles() {
    let memory = Guarded::new(SIZE);
    let old = region(&memory);
    let session = old.session();
    let new = Region::create(memory.span(), &options().session(session)).unwrap();
    assert_ne!(new.session(), session, "even if the same is asked for");
    Array::<u32>::create(new, "array", 10).unwrap();
    assert_eq!(array(old), Some(StructureError::Stale));
    assert_eq!(Array::<u32>::create(old, "more", 1).unwrap_err(), StructureError::Stale);
    assert!(!old.is_current() && new.is_current());
    memory.write_u32(0, 0);
    assert!(!new.is_current(), "somebody is about to format it");
    assert_eq!(array(new), Some(StructureError::Stale));
}

#[test]
fn loads_and_stores_alone() {
    let memory = Guarded::new(SIZE);
    let options = options().capability(Capability::LoadStore);
    let region = Region::create(memory.span(), &options).unwrap();
    Array::<u32>::create(region, "array", 10).unwrap();
    Ring::<u32>::create(region, "ring", 4).unwrap();
    let error = Queue::<u32>::create(region, "queue", 4).unwrap_err();
    assert_eq!(error, StructureError::NeedsCas { kind: Kind::QUEUE });
    let other = Region::open(memory.span()).unwrap();
    assert_eq!((array(other), ring(other)), (None, None));
    let error = Array::<u32>::create(other, "more", 1).unwrap_err();
    assert_eq!(error, StructureError::NotCreator);
}

/// A creator that stopped right after its claim left an offset and an intent: whoever creates next completes the entry.
#[test]
fn claims_left_behind_are_completed() {
    for version in [TableVersion::V1, TableVersion::V3] {
        let memory = Guarded::new(SIZE);
        let region = Region::create(memory.span(), &options().version(version)).unwrap();
        Array::<u32>::create(region, "left", 3).unwrap().store(1, 7).unwrap();
        let entry = match version {
            TableVersion::V1 => ENTRY_0 + 40,
            TableVersion::V3 => 32 + 48,
        };
        let offset = memory.read_u32(entry + 32);
        // Everything but the claim is undone.
        memory.write_u32(8, 1);
        (entry..entry + 32).step_by(4).for_each(|at| memory.write_u32(at, 0));
        match version {
            TableVersion::V1 => memory.write_u32(entry + 36, 0),
            TableVersion::V3 => memory.write_u64(entry + 40, 0),
        }
        let missing = Array::<u32>::open(region, "left").unwrap_err();
        assert!(matches!(missing, StructureError::NotFound { .. }));

        Array::<u8>::create(region, "next", 1).unwrap();
        let left = Array::<u32>::open(region, "left").unwrap();
        assert_eq!((left.len(), left.load(1)), (3, Ok(7)));
        assert_eq!(region.view().find("left").unwrap().offset, u64::from(offset));
        assert_eq!(region.view().entry_count(), 3);
        let name = Name::new("left").unwrap();
        let again = Array::<u32>::create(region, "left", 3).unwrap_err();
        assert_eq!(again, StructureError::Exists { name });
    }
}

/// What a party reserved and could not use goes back, as zeros where the region promises zeros.
#[test]
fn blocks_go_back() {
    let memory = Guarded::new(SIZE);
    let region = Region::create(memory.span(), &options().zeroed(true)).unwrap();
    Array::<u32>::create(region, "left", 3).unwrap();
    // The claim is there, the name is not yet: the next creator of "left" finds out after it has reserved.
    let before = memory.read_u32(12);
    memory.write_u32(8, 1);
    let error = Queue::<u32>::create(region, "left", 4).unwrap_err();
    assert_eq!(error, StructureError::Exists { name: Name::new("left").unwrap() });
    assert_eq!(memory.read_u32(12), before, "next_offset is where it was");
    assert!(memory.bytes()[before as usize..].iter().all(|byte| *byte == 0));
}
