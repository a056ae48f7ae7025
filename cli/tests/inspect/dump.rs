use crate::sandbox::{inspect, Folder, Region};
use std::fs;

#[test]
fn hexadecimal_and_ascii() {
    let region = Region::new(1 << 16);
    let run = inspect(&["dump", region.name(), "--size", "0x20"]);
    assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
    let lines: Vec<_> = run.output.lines().collect();
    assert_eq!(lines.len(), 3, "{run:?}");
    assert!(lines[0].starts_with("00000000  4d 50 49 5a 01 00 00 00  04 00 00 00 "), "{run:?}");
    assert!(lines[0].contains("  |MPIZ...."), "{run:?}");
    assert!(lines[1].ends_with("  |.region.........|"), "{run:?}");
    assert_eq!(lines[2], "00000020");
}

#[test]
fn the_default_is_256_bytes_from_the_start() {
    let region = Region::new(1 << 16);
    let run = inspect(&["dump", region.name(), "-v"]);
    assert_eq!(run.output.lines().count(), 17, "{run:?}");
    assert!(run.output.ends_with("00000100\n"), "{run:?}");
}

#[test]
fn repeated_lines_are_squeezed_unless_asked_not_to_be() {
    let folder = Folder::new();
    let path = folder.file("zeros");
    fs::write(&path, [0; 100]).unwrap();
    let path = path.to_str().unwrap();
    let zeros = |count: usize| "00 ".repeat(count);
    let first = format!("00000000  {} {} |{}|", zeros(8), zeros(8), ".".repeat(16));
    let run = inspect(&["dump", path]);
    let last = format!("00000060  {}{:37} |....|", zeros(4), "");
    assert_eq!(run.output, format!("{first}\n*\n{last}\n00000064\n"));
    assert_eq!(inspect(&["dump", path, "--no-squeezing"]).output.lines().count(), 8);
}

#[test]
fn json_holds_the_same_bytes() {
    let region = Region::new(1 << 16);
    let run = inspect(&["dump", region.name(), "--json", "--offset", "0x10", "--size", "1K"]);
    assert_eq!(run.code, 0, "{run:?}");
    let json = run.json();
    assert_eq!(json["name"], region.name());
    assert_eq!(json["region_size"], 1 << 16);
    assert_eq!((&json["offset"], &json["size"]), (&16.into(), &1024.into()));
    let expected: String =
        region.bytes()[16..16 + 1024].iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(json["hex"], expected);
}

#[test]
fn ends_where_the_region_ends() {
    let region = Region::new(1 << 16);
    let run = inspect(&["dump", region.name(), "--offset", "65530", "--size", "1M"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.output.ends_with("|\n00010000\n"), "{run:?}");
    let run = inspect(&["dump", region.name(), "--offset", "64K"]);
    assert_eq!((run.code, run.output.as_str()), (2, ""), "{run:?}");
    assert!(run.errors.contains("out of range; the region has 65536 bytes"), "{run:?}");
    let run = inspect(&["dump", region.name(), "--offset", "0xffffffffffffffff"]);
    assert_eq!(run.code, 2, "{run:?}");
}

#[test]
fn a_spoilt_region_can_be_dumped() {
    let region = Region::new(1 << 16);
    region.spoil(0, b"gone");
    let run = inspect(&["dump", region.name(), "--size", "16"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.output.contains("|gone...."), "{run:?}");
}

#[test]
fn what_is_not_there_is_1_and_no_file_is_2() {
    assert_eq!(inspect(&["dump", "/zeroipc-no-such-region"]).code, 1);
    let folder = Folder::new();
    assert_eq!(inspect(&["dump", "--file", folder.0.to_str().unwrap()]).code, 2);
}
