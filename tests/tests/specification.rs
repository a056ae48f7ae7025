//! The worked examples of SPECIFICATION.md, generated and compared byte by byte.
//!
//! The document is the expectation: it is parsed, not generated, so neither it nor the code can change alone.

use std::collections::BTreeMap;
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, Queue, Region, Ring, TableVersion, WordSize, MAGIC,
};
use zeroipc_tests::guarded::Guarded;

const SPECIFICATION: &str = include_str!("../../SPECIFICATION.md");

/// The dump in the code block tagged `tag`: the bytes at their offsets. What no line shows is zero.
fn dump(tag: &str, size: usize) -> Vec<u8> {
    let fence = format!("```{tag}\n");
    let start = SPECIFICATION.find(&fence).expect("the tagged block") + fence.len();
    let block = &SPECIFICATION[start..];
    let block = &block[..block.find("\n```").expect("the block's end")];
    let mut bytes = BTreeMap::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        let (offset, rest) = line.split_once("  ").expect("an offset and two spaces");
        let offset = usize::from_str_radix(offset, 16).expect("a hexadecimal offset");
        let shown = rest.split("  ").next().expect("bytes");
        for (index, byte) in shown.split(' ').enumerate() {
            let byte = u8::from_str_radix(byte, 16).expect("a hexadecimal byte");
            assert!(bytes.insert(offset + index, byte).is_none(), "shown twice: {line}");
            assert!(offset + index < size, "beyond the region: {line}");
        }
    }
    (0..size).map(|offset| bytes.get(&offset).copied().unwrap_or(0)).collect()
}

/// Compares and says where the two differ, in lines that could stand in the document.
fn compare(tag: &str, region: &[u8]) {
    let expected = dump(tag, region.len());
    let lines = |bytes: &[u8], at: usize| {
        bytes[at..at + 8].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    };
    let wrong: Vec<String> = (0..region.len())
        .step_by(8)
        .filter(|at| expected[*at..*at + 8] != region[*at..*at + 8])
        .map(|at| format!("{at:04x}  {}  document: {}", lines(region, at), lines(&expected, at)))
        .collect();
    assert!(wrong.is_empty(), "{tag}: memory and document differ:\n{}", wrong.join("\n"));
}

#[test]
fn example_in_version_1() {
    let memory = Guarded::new(1024);
    let options = FormatOptions::new()
        .version(TableVersion::V1)
        .geometry(Geometry::SMALLEST)
        .capability(Capability::Cas)
        .max_entries(4)
        .session(0x2A)
        .zeroed(true);
    let region = Region::create(memory.span(), &options).unwrap();

    let counts = Array::<u32>::create(region, "counts", 4).unwrap();
    counts.store(2, 0x11223344).unwrap();

    let samples = Ring::<u32>::create(region, "samples", 4).unwrap();
    let mut producer = samples.producer().unwrap();
    for value in [0x10, 0x20, 0x30] {
        producer.try_push(value).unwrap();
    }
    let mut consumer = samples.consumer().unwrap();
    assert_eq!(consumer.try_pop(), Ok(0x10));
    drop(consumer);

    let jobs = Queue::<u32>::create_with_spares(region, "jobs", 2, 1).unwrap();
    jobs.try_push(0x71).unwrap();
    jobs.try_push(0x72).unwrap();
    assert_eq!(jobs.try_pop(), Ok(0x71));

    assert_eq!(region.view().max_entries(), 5);
    compare("region-version-1", &memory.bytes());
    drop(producer);
}

#[test]
fn example_in_version_3() {
    let memory = Guarded::new(2048);
    let options = FormatOptions::new()
        .version(TableVersion::V3)
        .geometry(Geometry::new(WordSize::Eight, 64).unwrap())
        .capability(Capability::Cas)
        .max_entries(3)
        .session(0x2A)
        .zeroed(true);
    let region = Region::create(memory.span(), &options).unwrap();

    let levels = Array::<[u8; 3]>::create(region, "levels", 2).unwrap();
    levels.store(1, [0xA1, 0xA2, 0xA3]).unwrap();

    let frames = Ring::<u64>::create(region, "frames", 2).unwrap();
    frames.producer().unwrap().try_push(0xF1).unwrap();

    let poses = Queue::<[u32; 3]>::create_with_spares(region, "poses", 2, 1).unwrap();
    for round in 0..3 {
        poses.try_push([0xC1, 0xC2, 0xC3 + round]).unwrap();
        poses.try_pop().unwrap();
    }

    assert_eq!(region.view().max_entries(), 4);
    compare("region-version-3", &memory.bytes());
}

#[test]
fn constants_in_the_text() {
    let hex = format!("0x{MAGIC:08X}");
    assert!(SPECIFICATION.contains(&hex), "the magic number {hex}");
    for kind in ["`REGN`", "`ARRY`", "`RING`", "`QUEU`", "`.region`"] {
        assert!(SPECIFICATION.contains(kind), "{kind} is specified");
    }
}
