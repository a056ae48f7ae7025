//! Regions in ordinary files.

use std::fs;
use std::path::PathBuf;
use zeroipc_nostd::Array;
use zeroipc_posix::{Error, Memory, ReadOnlyMemory};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("zeroipc-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn count(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_region_in_a_file_is_found_again() {
    let folder = Folder::new("files");
    let path = folder.0.join("region");
    {
        let memory = Memory::create_file(&path, 100_000).unwrap();
        Array::<u64>::create(&memory, "a", 10).unwrap().store(3, 9).unwrap();
    }
    assert_eq!(folder.count(), 1);
    assert_eq!(fs::metadata(&path).unwrap().len(), 100_000);
    assert_eq!(Memory::create_file(&path, 100_000).unwrap_err(), Error::Exists);
    assert_eq!(folder.count(), 1);

    let memory = Memory::open_file(&path).unwrap();
    assert_eq!(memory.size(), 100_000);
    assert_eq!(Array::<u64>::open(&memory, "a").unwrap().load(3), Ok(9));
    let looking = ReadOnlyMemory::open_file(&path).unwrap();
    assert!(looking.view().find("a").is_ok());
}

#[test]
fn what_cannot_be_created_leaves_nothing() {
    let folder = Folder::new("nofiles");
    let path = folder.0.join("region");
    assert!(matches!(Memory::create_file(&path, 0), Err(Error::TooSmall { .. })));
    assert!(matches!(Memory::create_file(&path, usize::MAX), Err(Error::NoSpace { .. })));
    assert_eq!(folder.count(), 0);

    let nowhere = folder.0.join("missing").join("region");
    assert!(matches!(Memory::create_file(&nowhere, 1 << 16), Err(Error::System { .. })));
    assert_eq!(Memory::open_file(&nowhere).unwrap_err(), Error::NotFound);
    assert_eq!(Memory::open_file(&folder.0).unwrap_err(), Error::NotAFile);
}

#[test]
fn a_region_lies_inside_a_file_and_leaves_the_rest_alone() {
    let folder = Folder::new("within");
    let path = folder.0.join("memory");
    fs::write(&path, vec![0xa5; 1 << 20]).unwrap();
    let (offset, size) = (256 << 10, 64 << 10);

    let memory = Memory::create_within(&path, offset, size).unwrap();
    assert_eq!(memory.size(), size);
    Array::<u64>::create(&memory, "a", 1000).unwrap().store(999, 9).unwrap();
    let bytes = fs::read(&path).unwrap();
    let (start, end) = (offset as usize, offset as usize + size);
    assert!(bytes[..start].iter().chain(&bytes[end..]).all(|byte| *byte == 0xa5));
    assert_eq!(bytes.len(), 1 << 20);
    // Not said to be zero, since it was not.
    let array = Array::<u64>::open(&memory, "a").unwrap();
    assert!((0..999).all(|index| array.load(index) == Ok(0)));

    let looked = ReadOnlyMemory::open_within(&path, offset).unwrap();
    assert_eq!(looked.size(), size);
    let opened = Memory::open_within(&path, offset).unwrap();
    assert_eq!(Array::<u64>::open(&opened, "a").unwrap().load(999), Ok(9));

    // Created anew under those who have it open: they find out, whoever they are.
    let session = memory.region().session();
    let again = Memory::create_within(&path, offset, size).unwrap();
    assert_ne!(again.region().session(), session);
    assert!(!memory.region().is_current() && !opened.region().is_current());
    assert!(!looked.view().is_current() && again.region().is_current());
}

#[test]
fn what_cannot_lie_inside_a_file_is_refused() {
    let folder = Folder::new("not-within");
    let path = folder.0.join("memory");
    assert_eq!(Memory::create_within(&path, 0, 4096).unwrap_err(), Error::NotFound);
    assert_eq!(folder.count(), 0);
    fs::write(&path, vec![0; 64 << 10]).unwrap();
    let len = 64 << 10;
    for offset in [1, 4095, 64 << 10, 1 << 40, u64::MAX] {
        let error = Error::Offset { offset, len };
        assert_eq!(Memory::create_within(&path, offset, 4096).unwrap_err(), error);
        assert_eq!(Memory::open_within(&path, offset).unwrap_err(), error);
        assert_eq!(ReadOnlyMemory::open_within(&path, offset).unwrap_err(), error);
    }
    let size = (60 << 10) + 1;
    assert_eq!(
        Memory::create_within(&path, 4096, size).unwrap_err(),
        Error::NoSpace { size: size as u64 }
    );
    assert!(matches!(Memory::create_within(&path, 0, 16), Err(Error::TooSmall { size: 16, .. })));
    assert!(matches!(Memory::open_within(&path, 4096), Err(Error::Region(_))));
    assert_eq!(Memory::open_within(&folder.0, 4096).unwrap_err(), Error::NotAFile);
    assert_eq!(fs::read(&path).unwrap().len(), 64 << 10);
}
