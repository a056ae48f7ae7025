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
