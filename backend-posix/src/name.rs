//! Names of regions in shared memory, as `shm_open` takes them, and where they lead.

use crate::error::Error;
use std::path::PathBuf;

/// Where Linux keeps POSIX shared memory.
pub(crate) const SHM: &str = "/dev/shm";

/// Longest file name, without the slash.
const MAX: usize = 254;

/// What files are called that are not yet, or never became, a region; no name of a region starts so.
pub(crate) const STAGED: &str = ".zeroipc-";

/// The file of the region `name`.
pub(crate) fn shm_path(name: &str) -> Result<PathBuf, Error> {
    let bad = |what| Err(Error::Name { name: name.to_owned(), what });
    let Some(file) = name.strip_prefix('/') else { return bad("it does not start with a slash") };
    match file {
        "" => bad("nothing follows the slash"),
        "." | ".." => bad("it is a folder"),
        _ if file.len() > MAX => bad("it is too long"),
        _ if file.contains('/') => bad("it has a second slash"),
        _ if file.contains('\0') => bad("it contains a NUL"),
        _ if file.starts_with(STAGED) => bad("such names are for files in the making"),
        _ => Ok(PathBuf::from(SHM).join(file)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_shm_open() {
        let longest = format!("/{}", "x".repeat(254));
        for good in ["/a", "/sensor_data", "/.hidden", "/...", "/ü b", &longest] {
            assert_eq!(shm_path(good).unwrap().parent().unwrap().as_os_str(), SHM, "{good}");
        }
        let long = format!("/{}", "x".repeat(255));
        for bad in ["", "a", "/", "/.", "/..", "/a/b", "//a", "/a\0b", "/.zeroipc-1-2", &long] {
            assert!(matches!(shm_path(bad), Err(Error::Name { .. })), "{bad}");
        }
    }
}
