//! Finding regions.

mod scratch;

use scratch::Scratch;
use std::fs::{self, OpenOptions};
use std::time::{Duration, SystemTime};
use zeroipc_nostd::RegionError;
use zeroipc_posix::{list, Error, Listing, Memory};

fn listed(name: &str) -> Option<Listing> {
    list().unwrap().into_iter().find(|listing| listing.name == name)
}

#[test]
fn regions_are_listed_with_what_is_known_of_them() {
    let name = Scratch::new();
    assert_eq!(listed(&name.0), None);
    Memory::create(&name.0, 1 << 16).unwrap();
    let listing = listed(&name.0).unwrap();
    assert_eq!((listing.size, listing.mode, listing.status), (1 << 16, 0o600, Ok(())));
    assert_eq!(listing.uid, rustix::process::geteuid().as_raw());
    let age = SystemTime::now().duration_since(listing.modified).unwrap_or_default();
    assert!(age < Duration::from_secs(3600), "{age:?}");
}

#[test]
fn regions_of_others_are_listed_if_they_may_be_read() {
    let name = Scratch::new();
    Memory::options().mode(0o644).create(&name.0, 1 << 16).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(name.path(), Some(12345), None).unwrap();
    }
    let listing = listed(&name.0).unwrap();
    assert_eq!((listing.mode, listing.status), (0o644, Ok(())));
    if rustix::process::geteuid().is_root() {
        assert_eq!(listing.uid, 12345);
    }
}

#[test]
fn broken_regions_are_listed_with_what_is_wrong() {
    let name = Scratch::new();
    Memory::create(&name.0, 1 << 16).unwrap();
    OpenOptions::new().write(true).open(name.path()).unwrap().set_len(4096).unwrap();
    let truncated = RegionError::Truncated { have: 4096, recorded: 1 << 16 };
    assert_eq!(listed(&name.0).unwrap().status, Err(Error::Region(truncated)));
}

#[test]
fn large_tables_and_large_regions_are_checked_in_full() {
    let name = Scratch::new();
    Memory::options().max_entries(100_000).create(&name.0, 8 << 20).unwrap();
    assert_eq!(listed(&name.0).unwrap().status, Ok(()));
    let name = Scratch::new();
    Memory::options().sparse(true).create(&name.0, 5 << 30).unwrap();
    assert_eq!(listed(&name.0).unwrap().status, Ok(()));
}

#[test]
fn files_of_others_are_left_out() {
    let (other, empty) = (Scratch::new(), Scratch::new());
    fs::write(other.path(), vec![7; 100]).unwrap();
    fs::write(empty.path(), []).unwrap();
    assert_eq!(listed(&other.0), None);
    assert_eq!(listed(&empty.0), None);
}
