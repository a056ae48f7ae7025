//! Each way to get it wrong gives an error of its own type, with a message of its own that names what matters.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use zeroipc::{Error, Memory};
use zeroipc_nostd::{
    Array, FormatOptions, Geometry, Kind, Name, NameError, Queue, Region, RegionError, Ring,
    StructureError, TableVersion, MAGIC,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::scratch::Scratch;

const THIRTY_TWO: &str = "a name that is thirty-two bytes!";

/// Messages seen so far: each must be new, and contain its essentials.
#[derive(Default)]
struct Messages {
    seen: BTreeSet<String>,
}

impl Messages {
    fn check(&mut self, error: &dyn Display, essentials: &[&str]) {
        let message = error.to_string();
        for essential in essentials {
            assert!(message.contains(essential), "{message:?} does not mention {essential:?}");
        }
        assert!(self.seen.insert(message.clone()), "two errors say {message:?}");
    }
}

fn options() -> FormatOptions {
    FormatOptions::new().max_entries(4).geometry(Geometry::SMALLEST)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// What opening and creating structures in `region`, which has room for four, may answer.
fn structures(region: Region<'_>, messages: &mut Messages) {
    Array::<u32>::create(region, "counts", 10).unwrap();

    let error = Queue::<u32>::open(region, "counts").unwrap_err();
    let (expected, found) = (Kind::QUEUE, Kind::ARRAY);
    assert_eq!(error, StructureError::WrongKind { name: name("counts"), expected, found });
    messages.check(&error, &["counts", "Array", "Queue"]);

    let error = Array::<u64>::open(region, "counts").unwrap_err();
    let (expected, found) = (8, 4);
    assert_eq!(error, StructureError::WrongElementSize { name: name("counts"), expected, found });
    messages.check(&error, &["counts", "8", "4", "bytes"]);

    let error = Array::<u32>::open_or_create(region, "counts", 11).unwrap_err();
    let (expected, found) = (11, 10);
    assert_eq!(error, StructureError::WrongCapacity { name: name("counts"), expected, found });
    messages.check(&error, &["counts", "11", "10"]);

    let error = Ring::<u32>::create(region, "counts", 4).unwrap_err();
    assert_eq!(error, StructureError::Exists { name: name("counts") });
    messages.check(&error, &["counts", "taken"]);

    let error = Array::<u32>::open(region, "missing").unwrap_err();
    assert_eq!(error, StructureError::NotFound { name: name("missing") });
    messages.check(&error, &["missing"]);

    // Names that cannot be: the same answer when creating and when opening.
    let error = Array::<u32>::create(region, "", 1).unwrap_err();
    assert_eq!(error, StructureError::Name(NameError::Empty));
    assert_eq!(Array::<u32>::open(region, "").unwrap_err(), error);
    messages.check(&error, &["empty", "31"]);

    assert_eq!(THIRTY_TWO.len(), 32);
    let error = Array::<u32>::create(region, THIRTY_TWO, 1).unwrap_err();
    assert_eq!(error, StructureError::Name(NameError::TooLong { len: 32 }));
    assert_eq!(Array::<u32>::open(region, THIRTY_TWO).unwrap_err(), error);
    messages.check(&error, &["32", "31"]);

    let error = Array::<u32>::create(region, "two\nlines", 1).unwrap_err();
    assert_eq!(error, StructureError::Name(NameError::Control));
    messages.check(&error, &["control"]);

    let error = Array::<u32>::create(region, ".mine", 1).unwrap_err();
    assert_eq!(error, StructureError::Name(NameError::Reserved));
    messages.check(&error, &["dot"]);

    let error = Ring::<u32>::create(region, "nothing", 0).unwrap_err();
    assert!(matches!(error, StructureError::BadCapacity { capacity: 0, min: 1, .. }));
    messages.check(&error, &["capacity of 0", "1 to"]);

    let error = Array::<()>::create(region, "void", 1).unwrap_err();
    assert_eq!(error, StructureError::ZeroSizedElement);
    messages.check(&error, &["no size"]);

    let error = Array::<u8>::create(region, "endless", 1 << 40).unwrap_err();
    assert!(matches!(error, StructureError::NoSpace { needed, .. } if needed > 1 << 40));
    messages.check(&error, &["needed", "left", "larger"]);

    let mut number = 0;
    let error = loop {
        match Array::<u8>::create(region, &format!("one of {number}"), 1) {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    let max_entries = region.view().max_entries();
    assert_eq!(error, StructureError::TableFull { max_entries });
    assert_eq!(region.view().entry_count(), max_entries);
    messages.check(&error, &["entries", &max_entries.to_string()]);
}

#[test]
fn on_plain_memory() {
    let mut messages = Messages::default();
    let memory = Guarded::new(4096);
    structures(Region::create(memory.span(), &options()).unwrap(), &mut messages);

    let mut region_error = |error: RegionError, expected: RegionError, essentials: &[&str]| {
        assert_eq!(error, expected);
        messages.check(&error, essentials);
    };

    let small = Guarded::new(128);
    region_error(
        Region::create(small.span(), &options()).unwrap_err(),
        RegionError::TooSmall { size: 128, needed: 248 },
        &["128", "248", "too small"],
    );
    region_error(
        Region::open(small.span()).unwrap_err(),
        RegionError::WrongMagic { found: 0 },
        &["0x00000000", "0x5a49504d"],
    );

    memory.write_u32(0, 0x1234_5678);
    region_error(
        Region::open(memory.span()).unwrap_err(),
        RegionError::WrongMagic { found: 0x1234_5678 },
        &["0x12345678", "0x5a49504d", "magic"],
    );

    Region::create(memory.span(), &options()).unwrap();
    memory.write_u32(4, 2);
    region_error(
        Region::open(memory.span()).unwrap_err(),
        RegionError::UnknownVersion { version: 2 },
        &["version 2", "1 and 3"],
    );

    let tiny = Guarded::new(8);
    tiny.write_u32(0, MAGIC);
    tiny.write_u32(4, 1);
    region_error(
        Region::open(tiny.span()).unwrap_err(),
        RegionError::TooSmall { size: 8, needed: 16 },
        &["8 bytes", "16"],
    );
}

#[test]
fn truncated_in_both_versions() {
    for version in [TableVersion::V1, TableVersion::V3] {
        let whole = Guarded::new(4096);
        let region = Region::create(whole.span(), &options().version(version)).unwrap();
        Array::<u8>::create(region, "bytes", 100).unwrap();
        for have in (0..whole.len()).step_by(8) {
            let part = Guarded::new(have);
            for at in (0..have).step_by(8) {
                part.write_u64(at, whole.read_u64(at));
            }
            let error = Region::open(part.span()).unwrap_err();
            let have = have as u64;
            match error {
                RegionError::Truncated { have: found, recorded } => {
                    assert_eq!(found, have);
                    assert!(recorded > have);
                    let message = error.to_string();
                    assert!(message.contains(&have.to_string()), "{message}");
                    assert!(message.contains(&recorded.to_string()), "{message}");
                }
                // Not even the header is there.
                RegionError::TooSmall { size, .. } => assert!(size == have && have < 32),
                other => panic!("{version:?} with {have} bytes: {other}"),
            }
        }
        assert!(Region::open(whole.span()).is_ok());
    }
}

/// The file behind a region in shared memory, to be spoilt from outside.
fn file(scratch: &Scratch) -> File {
    let path = format!("/dev/shm{}", scratch.name());
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

#[test]
fn in_shared_memory() {
    let mut messages = Messages::default();
    let scratch = Scratch::new();
    let named = scratch.name();

    let error = Memory::open(named).unwrap_err();
    assert_eq!(error, Error::NotFound);
    messages.check(&error, &["nothing has this name"]);

    let error = Memory::create(named, 64).unwrap_err();
    assert!(matches!(error, Error::TooSmall { size: 64, .. }), "{error:?}");
    messages.check(&error, &["64 bytes", "too few"]);
    assert_eq!(Memory::open(named).unwrap_err(), Error::NotFound, "nothing was created");

    let memory =
        Memory::options().max_entries(4).geometry(Geometry::SMALLEST).create(named, 8192).unwrap();
    structures(memory.region(), &mut messages);
    let error = Memory::create(named, 8192).unwrap_err();
    assert_eq!(error, Error::Exists);
    messages.check(&error, &["taken"]);
    drop(memory);

    let file = file(&scratch);
    file.set_len(4096).unwrap();
    let error = Memory::open(named).unwrap_err();
    let (have, recorded) = (4096, 8192);
    assert_eq!(error, Error::Region(RegionError::Truncated { have, recorded }));
    messages.check(&error, &["4096", "8192"]);

    file.set_len(8192).unwrap();
    file.write_at(&7_u32.to_le_bytes(), 4).unwrap();
    let error = Memory::open(named).unwrap_err();
    assert_eq!(error, Error::Region(RegionError::UnknownVersion { version: 7 }));
    messages.check(&error, &["version 7"]);

    file.write_at(b"ELF!", 0).unwrap();
    let error = Memory::open(named).unwrap_err();
    let found = u32::from_le_bytes(*b"ELF!");
    assert_eq!(error, Error::Region(RegionError::WrongMagic { found }));
    messages.check(&error, &["0x21464c45", "0x5a49504d"]);

    file.set_len(0).unwrap();
    let error = Memory::open(named).unwrap_err();
    assert!(matches!(error, Error::Region(_)), "an empty file: {error:?}");
    messages.check(&error, &["0 bytes"]);

    for bad in ["", "sensor_data", "/", "/..", "/a/b"] {
        let error = Memory::open(bad).unwrap_err();
        assert!(matches!(&error, Error::Name { name, .. } if name == bad), "{bad}: {error:?}");
    }
    messages.check(&Memory::open("sensor_data").unwrap_err(), &["sensor_data", "slash"]);
}
