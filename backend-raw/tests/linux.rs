//! Device memory, with ordinary files in place of devices: what is mapped where, and what is refused.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use zeroipc_nostd::{FormatOptions, Queue, RegionError};
use zeroipc_raw::linux::{DeviceError, DeviceMemory};
use zeroipc_raw::RawError;

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("zeroipc-raw-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The page size as the kernel says it.
fn page() -> usize {
    let text = fs::read("/proc/self/auxv").unwrap();
    let words: Vec<usize> = text
        .chunks_exact(size_of::<usize>())
        .map(|bytes| usize::from_ne_bytes(bytes.try_into().unwrap()))
        .collect();
    words.chunks_exact(2).find(|pair| pair[0] == 6).map(|pair| pair[1]).unwrap()
}

#[test]
fn a_bar() {
    let folder = Folder::new("bar");
    let path = folder.file("resource2", vec![0xA5; 5 * page()]);
    // Not at the start of a page, as a part of a BAR may be.
    for offset in [0, 2304 % page() as u64 + page() as u64, 3 * page() as u64 - 8] {
        // SAFETY: the file is this test's, and keeps its size.
        let host = unsafe { DeviceMemory::file(&path, offset, 2048) }.unwrap();
        // SAFETY: as above.
        let guest = unsafe { DeviceMemory::file(&path, offset, 2048) }.unwrap();
        assert_eq!(host.region().len(), 2048);
        let region = host.region().create(&FormatOptions::new()).unwrap();
        Queue::<u64>::create(region, "queue", 4).unwrap().try_push(offset).unwrap();
        let seen = Queue::<u64>::open(guest.region().open().unwrap(), "queue").unwrap();
        assert_eq!(seen.try_pop(), Ok(offset));
        drop((host, guest));
        let content = fs::read(&path).unwrap();
        assert_eq!(&content[offset as usize..][..4], b"MPIZ");
        assert!(offset == 0 || content[offset as usize - 1] == 0xA5);
    }
    // SAFETY: as above.
    let kept = unsafe { DeviceMemory::file(&path, 0, 2048) }.unwrap().leak();
    assert!(kept.open().is_ok());
}

#[test]
fn refused() {
    let folder = Folder::new("refused");
    let path = folder.file("resource0", vec![0; page()]);
    let map = |offset, len| {
        // SAFETY: as above.
        unsafe { DeviceMemory::file(&path, offset, len) }.map(drop)
    };
    let short = DeviceError::TooShort {
        path: path.clone(),
        needed: page() as u64 + 8,
        available: page() as u64,
    };
    assert_eq!(map(8, page()), Err(short));
    assert!(matches!(map(4, 64), Err(DeviceError::Range(RawError::Misaligned { align: 8, .. }))));
    assert!(map(0, 64).is_ok());
    // SAFETY: there is no such device.
    let none = unsafe { DeviceMemory::pci_bar("ffff:ff:1f.7", 9, 0, 64) }.map(drop).unwrap_err();
    assert!(matches!(none, DeviceError::System { step: "open", .. }), "{none:?}");
    assert!(none
        .to_string()
        .starts_with("cannot open /sys/bus/pci/devices/ffff:ff:1f.7/resource9: "));
}

#[test]
fn a_uio_device() {
    let folder = Folder::new("uio");
    folder.file("dev/uio3", vec![0; 3 * page()]);
    folder.file("sys/class/uio/uio3/maps/map1/size", "0x800\n");
    folder.file("sys/class/uio/uio3/maps/map1/offset", "0x40\n");
    folder.file("sys/class/uio/uio3/maps/map2/size", "0x800\n");
    folder.file("sys/class/uio/uio3/maps/map0/size", "many\n");
    let open = |device, map| {
        // SAFETY: the files are this test's.
        unsafe { DeviceMemory::uio_below(&folder.0, device, map) }
    };
    let with_offset = open(3, 1).unwrap();
    assert_eq!(
        (with_offset.region().len(), with_offset.region().address() % page()),
        (0x800, 0x40)
    );
    with_offset.region().create(&FormatOptions::new()).unwrap();
    let content = fs::read(folder.0.join("dev/uio3")).unwrap();
    assert_eq!(&content[page() + 0x40..][..4], b"MPIZ");

    // Another map is other memory; an `offset` need not be there.
    let other = open(3, 2).unwrap();
    let error = other.region().open().map(drop).unwrap_err();
    assert!(matches!(error, RawError::Region(RegionError::WrongMagic { .. })));
    assert!(matches!(open(3, 0), Err(DeviceError::BadAttribute { found, .. }) if found == "many"));
    assert!(matches!(open(4, 0), Err(DeviceError::System { step: "read", .. })));
}
