use crate::sandbox::{inspect, Name, Region};
use std::fs;

#[test]
fn lists_a_region() {
    let region = Region::new(1 << 20);
    let run = inspect(&["list"]);
    assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
    assert!(run.output.starts_with("NAME "), "{run:?}");
    let line = run.line(&format!("{} ", region.name()));
    assert!(line.contains(" 1.0 MiB ") && line.contains(" 0600 "), "{line}");
    assert!(line.ends_with(" ok"), "{line}");
}

#[test]
fn json_has_what_the_help_says() {
    let region = Region::new(1 << 20);
    let run = inspect(&["list", "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let json = run.json();
    let rows = json.as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == region.name()).unwrap();
    let view = region.memory.region().view();
    assert_eq!(row["size"], 1 << 20);
    assert_eq!(row["uid"], rustix::process::getuid().as_raw());
    assert_eq!(row["mode"], "0600");
    assert_eq!(row["version"], 1);
    assert_eq!(row["session"], view.session());
    assert_eq!(row["structures"], 3);
    assert_eq!(row["used"], view.next_offset());
    assert!(row["error"].is_null() && row["modified"].is_u64());
    assert!(row.as_object().unwrap().contains_key("user"));
}

#[test]
fn a_spoilt_region_is_listed_with_what_is_wrong() {
    let region = Region::new(1 << 16);
    region.spoil(4, &99_u32.to_le_bytes());
    let run = inspect(&["list", "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let json = run.json();
    let row = json.as_array().unwrap().iter().find(|row| row["name"] == region.name()).unwrap();
    assert!(row["error"].as_str().unwrap().contains("version 99"), "{row}");
    assert!(row["version"].is_null() && row["used"].is_null(), "{row}");
}

#[test]
fn other_files_are_not_regions_and_none_is_1() {
    let name = Name::new();
    fs::write(name.path(), [7; 4096]).unwrap();
    let run = inspect(&["list", "--json"]);
    let json = run.json();
    let rows = json.as_array().unwrap();
    assert!(rows.iter().all(|row| row["name"] != name.0.as_str()), "{rows:?}");
    // Other tests have regions at the same time, or not.
    assert_eq!(run.code, i32::from(rows.is_empty()), "{run:?}");
}
