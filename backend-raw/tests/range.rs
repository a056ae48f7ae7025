//! Ranges: what is refused, what is found where, and regions in them.

use std::cell::UnsafeCell;
use std::error::Error;
use zeroipc_nostd::{Array, FormatOptions, Queue, Region, RegionError, Ring, StructureError};
use zeroipc_raw::{RawError, RawRegion};

/// What a linker script would set aside.
#[repr(C, align(128))]
struct Shared(UnsafeCell<[u8; 8192]>);
// SAFETY: only regions reach the bytes, and by atomic accesses.
unsafe impl Sync for Shared {}

impl Shared {
    const fn new() -> Self {
        Shared(UnsafeCell::new([0; 8192]))
    }

    fn base(&self) -> *mut u8 {
        self.0.get().cast()
    }
}

/// A range of which only the numbers are looked at.
fn range(address: usize, len: usize) -> Result<RawRegion, RawError> {
    // SAFETY: nothing is created or opened in it, so nothing is accessed.
    unsafe { RawRegion::new(address, len) }
}

/// Part of a static that is the caller's.
fn part(shared: &'static Shared, offset: usize, len: usize) -> RawRegion {
    assert!(offset + len <= 8192);
    let base = shared.base().wrapping_add(offset);
    // SAFETY: inside the static, which is mapped for ever; each test has its own and goes through regions only.
    unsafe { RawRegion::from_pointer(base, len) }.unwrap()
}

#[test]
fn ranges_that_cannot_be() {
    let error = |address, len| range(address, len).unwrap_err();
    assert_eq!(error(0, 4096), RawError::NullAddress);
    assert_eq!(error(0x2000_0004, 64), RawError::Misaligned { address: 0x2000_0004, align: 8 });
    let address = usize::MAX - 7;
    assert_eq!(error(address, 8), RawError::AddressOverflow { address, len: 8 });
    let len = isize::MAX as usize + 1;
    assert_eq!(error(8, len), RawError::AddressOverflow { address: 8, len });
    assert!(range(usize::MAX - 15, 8).is_ok());
    assert!(range(8, isize::MAX as usize).is_ok());

    let pointer = |address: usize| address as *mut u8;
    // SAFETY: as in `range`.
    let reversed = unsafe { RawRegion::between(pointer(64), pointer(56)) };
    assert_eq!(reversed.unwrap_err(), RawError::Reversed { start: 64, end: 56 });
    // SAFETY: as in `range`.
    let between = unsafe { RawRegion::between(pointer(64), pointer(192)) }.unwrap();
    assert_eq!((between.address(), between.len()), (64, 128));
}

#[test]
fn whole_lines() {
    let even = range(0x2000_0040, 256).unwrap();
    for line in [8, 16, 32, 64] {
        assert_eq!(even.check_line(line), Ok(()));
    }
    let misaligned = RawError::Misaligned { address: 0x2000_0040, align: 128 };
    assert_eq!(even.check_line(128), Err(misaligned));
    let uneven = range(0x2000_0040, 100).unwrap();
    assert_eq!(uneven.check_line(64), Err(RawError::UnevenLength { len: 100, line: 64 }));
    for bytes in [0, 1, 4, 24] {
        assert_eq!(even.check_line(bytes), Err(RawError::BadLineSize { bytes }));
    }
}

#[test]
fn ranges_that_overlap() {
    let one = range(0x1000, 0x100).unwrap();
    let overlap = |address, len| {
        let other = range(address, len).unwrap();
        let result = one.check_disjoint(&other);
        assert_eq!(other.check_disjoint(&one), result);
        result
    };
    assert_eq!(overlap(0x1100, 0x100), Ok(()));
    assert_eq!(overlap(0xF00, 0x100), Ok(()));
    assert_eq!(overlap(0x1080, 0), Ok(()));
    assert_eq!(overlap(0x10F8, 0x100), Err(RawError::Overlap { address: 0x10F8, len: 8 }));
    assert_eq!(overlap(0xF08, 0x100), Err(RawError::Overlap { address: 0x1000, len: 8 }));
    assert_eq!(overlap(0x1010, 0x20), Err(RawError::Overlap { address: 0x1010, len: 0x20 }));
    assert_eq!(overlap(0x800, 0x1000), Err(RawError::Overlap { address: 0x1000, len: 0x100 }));
    assert_eq!(overlap(0x1000, 0x100), Err(RawError::Overlap { address: 0x1000, len: 0x100 }));
}

#[test]
fn two_parties_share_a_static() -> Result<(), Box<dyn Error>> {
    static SHARED: Shared = Shared::new();
    let ours = part(&SHARED, 0, 4096);
    let theirs = part(&SHARED, 0, 4096);
    assert_eq!(
        theirs.open().map(drop),
        Err(RawError::Region(RegionError::WrongMagic { found: 0 }))
    );
    assert!(theirs.view().is_err());

    let region = ours.create(&FormatOptions::new())?;
    Array::<f32>::create(region, "temperature", 16)?.store(5, 21.5)?;
    let queue = Queue::<u32>::create(region, "commands", 8)?;
    let mut producer = Ring::<u64>::create(region, "samples", 8)?.producer()?;

    let found = theirs.open()?;
    assert_eq!(Array::<f32>::open(found, "temperature")?.load(5)?, 21.5);
    Queue::<u32>::open(found, "commands")?.try_push(7)?;
    assert_eq!(queue.try_pop(), Ok(7));
    producer.try_push(1)?;
    assert_eq!(Ring::<u64>::open(found, "samples")?.consumer()?.try_pop(), Ok(1));
    assert_eq!(theirs.view()?.entry_count(), 4);

    // Another boot: the old handles are told.
    ours.create(&FormatOptions::new())?;
    assert!(!found.is_current());
    assert!(matches!(
        Array::<f32>::open(found, "temperature"),
        Err(StructureError::Stale | StructureError::NotFound { .. })
    ));
    Ok(())
}

#[test]
fn neighbours_do_not_touch_each_other() {
    static SHARED: Shared = Shared::new();
    let (low, high) = (part(&SHARED, 0, 4096), part(&SHARED, 4096, 4096));
    low.check_disjoint(&high).unwrap();
    low.check_line(128).unwrap();
    let names = ["low", "high"];
    let regions = [&low, &high].map(|range| range.create(&FormatOptions::new()).unwrap());
    for (region, name) in regions.into_iter().zip(names) {
        let left = region.view().size() - region.view().next_offset();
        // All of it but what an intent, a prefix and two paddings may need.
        let array = Array::<u8>::create(region, name, left as usize - 40 - 24 - 2 * 64).unwrap();
        (0..array.len()).for_each(|index| array.store(index, 0xA5).unwrap());
    }
    for (range, name) in [&low, &high].into_iter().zip(names) {
        let array = Array::<u8>::open(range.open().unwrap(), name).unwrap();
        assert!(array.iter().all(|byte| byte == 0xA5));
    }
}

/// A range in a static gives regions that live for ever.
#[test]
fn a_range_in_a_static() {
    static SHARED: Shared = Shared::new();
    static RANGE: std::sync::OnceLock<RawRegion> = std::sync::OnceLock::new();
    let range = RANGE.get_or_init(|| part(&SHARED, 0, 4096));
    let region: Region<'static> = range.create(&FormatOptions::new()).unwrap();
    let queue = Queue::<u32>::create(region, "queue", 2).unwrap();
    std::thread::spawn(move || queue.try_push(1).unwrap()).join().unwrap();
    assert_eq!(queue.try_pop(), Ok(1));
}

#[test]
fn errors_say_what_to_do() {
    let texts = [
        (RawError::NullAddress, "null"),
        (RawError::Misaligned { address: 0x2004, align: 8 }, "0x2004"),
        (RawError::UnevenLength { len: 100, line: 64 }, "round the length"),
        (RawError::BadLineSize { bytes: 24 }, "24"),
        (RawError::AddressOverflow { address: 0x10, len: 7 }, "0x10"),
        (RawError::Reversed { start: 0x40, end: 0x38 }, "0x38"),
        (RawError::Overlap { address: 0x1000, len: 8 }, "move one"),
        (RawError::Region(RegionError::WrongMagic { found: 0 }), "no ZeroIPC region"),
    ];
    for (error, part) in texts {
        assert!(error.to_string().contains(part), "{error}");
    }
    let source = RawError::Region(RegionError::NeedsCas);
    assert!(source.source().is_some());
}
