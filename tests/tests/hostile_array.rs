//! A hostile Array: whatever stands in it, at open and while handles are open, nothing panics, hangs, or touches memory
//! outside.

use std::time::Duration;
use zeroipc_nostd::{
    Array, Capability, Element, FormatOptions, Geometry, Number, Region, UpdateError, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

type Block = [u32; 3];

fn victim(random: &mut Random) -> (Guarded, usize) {
    let memory = Guarded::new(4096);
    let word = random.pick(&[WordSize::Four, WordSize::Eight]);
    let line = random.pick(&[8, 16, 32, 64, 128]);
    let cas = !random.one_in(4);
    let options = FormatOptions::new()
        .geometry(Geometry::new(word, line).unwrap())
        .capability(if cas { Capability::Cas } else { Capability::LoadStore })
        .max_entries(5);
    let region = Region::create(memory.span(), &options).unwrap();
    Array::<u8>::create(region, "bytes", 33).unwrap();
    Array::<u64>::create(region, "words", 9).unwrap();
    Array::<f64>::create(region, "floats", 5).unwrap();
    Array::<Block>::create(region, "blocks", 7).unwrap();
    let heap = region.view().heap_offset() as usize;
    (memory, heap)
}

fn spoil(memory: &Guarded, heap: usize, random: &mut Random) {
    let at = heap + random.below((memory.len() - heap) as u64) as usize;
    let (bits, power) = (random.bits(), 1 << random.below(64));
    let value = random.pick(&[0, 1, u64::MAX, u64::MAX / 2, power, power - 1, bits, bits % 4096]);
    match random.below(4) {
        0 => memory.flip(at, random.below(8) as u32),
        1 => memory.write_u64(at, value),
        _ => memory.write_u32(at, value as u32),
    }
}

fn indices(len: usize, random: &mut Random) -> [usize; 5] {
    [0, len.wrapping_sub(1), len, random.bits() as usize, usize::MAX]
}

fn bulk<T: Element>(array: &Array<'_, T>, random: &mut Random) {
    let len = array.len();
    let mut values = [T::new_zeroed(); 40];
    for start in indices(len, random) {
        let count = random.below(41) as usize;
        let fits = start <= len && count <= len - start;
        assert_eq!(array.read_into(start, &mut values[..count]).is_ok(), fits);
        assert_eq!(array.write_from(start, &values[..count]).is_ok(), fits);
    }
    // An array that says it is long is long: the watchdog knows no difference.
    if len < 10_000 {
        array.fill(values[0]);
        assert_eq!(array.iter().len(), len);
        assert_eq!(array.iter().count(), len);
    }
    // SAFETY: not used after this line, and no other party is there.
    let slice = unsafe { array.as_slice() };
    assert!(slice.is_none_or(|slice| slice.len() == len));
}

fn updates<T: Number>(array: &Array<'_, T>, value: T, cas: bool, random: &mut Random) {
    for index in indices(array.len(), random) {
        let results = [
            array.fetch_add(index, value),
            array.fetch_sub(index, value),
            array.fetch_min(index, value),
            array.fetch_max(index, value),
            array.swap(index, value),
            array.compare_exchange(index, value, value).map(|found| found.unwrap_or_else(|f| f)),
        ];
        for result in results {
            match result {
                Ok(_) => assert!(cas && index < array.len()),
                Err(UpdateError::NeedsCas) => assert!(!cas),
                Err(_) => assert!(index >= array.len()),
            }
        }
    }
}

fn use_all(region: Region<'_>, random: &mut Random) {
    let cas = region.view().capability() == Capability::Cas;
    for name in ["bytes", "words", "floats", "blocks"] {
        if let Ok(array) = Array::<u8>::open(region, name) {
            bulk(&array, random);
            updates(&array, 7, cas, random);
        }
        if let Ok(array) = Array::<i64>::open(region, name) {
            bulk(&array, random);
            updates(&array, -7, cas, random);
        }
        if let Ok(array) = Array::<f64>::open(region, name) {
            bulk(&array, random);
            updates(&array, 7.0, cas, random);
        }
        if let Ok(array) = Array::<Block>::open(region, name) {
            bulk(&array, random);
        }
    }
}

#[test]
fn spoilt_before_and_while_open() {
    let _watchdog = watchdog(Duration::from_secs(120), "a hostile array");
    for seed in 0..600 {
        let random = &mut Random::new(seed);
        let (memory, heap) = victim(random);
        {
            let region = Region::open(memory.span()).unwrap();
            let cas = region.view().capability() == Capability::Cas;
            let bytes = Array::<u8>::open(region, "bytes").unwrap();
            let floats = Array::<f64>::open(region, "floats").unwrap();
            for _ in 0..4 {
                for _ in 0..=random.below(6) {
                    spoil(&memory, heap, random);
                }
                // Handles keep what they checked.
                assert_eq!((bytes.len(), floats.len()), (33, 5));
                bulk(&bytes, random);
                updates(&bytes, 1, cas, random);
                bulk(&floats, random);
                updates(&floats, 1.0, cas, random);
                use_all(region, random);
            }
        }
        if let Ok(region) = Region::open(memory.span()) {
            use_all(region, random);
        }
        assert!(memory.is_intact(), "seed {seed}: memory outside was written");
    }
}

/// A peer that does nothing but write one element cannot keep an update of it from ending.
#[test]
fn an_element_that_never_rests() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let _watchdog = watchdog(Duration::from_secs(120), "an update of an element that never rests");
    let memory = Guarded::new(1024);
    let region = Region::create(memory.span(), &FormatOptions::new().max_entries(2)).unwrap();
    let floats = Array::<f64>::create(region, "floats", 1).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0.0;
            while !done.load(Relaxed) {
                n += 1.0;
                floats.store(0, n).unwrap();
            }
        });
        for _ in 0..5_000 {
            // Either is fine; what matters is that it returns.
            let _ = floats.fetch_add(0, 1.0);
            let _ = floats.fetch_max(0, f64::INFINITY);
        }
        done.store(true, Relaxed);
    });
}
