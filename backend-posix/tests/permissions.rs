//! Permissions do not depend on the umask. One test alone in its process, since the umask is the process's.

mod scratch;

use rustix::fs::Mode;
use scratch::Scratch;
use std::os::unix::fs::PermissionsExt;
use zeroipc_posix::Memory;

#[test]
fn permissions_are_those_asked_for() {
    for umask in [0, 0o022, 0o777] {
        rustix::process::umask(Mode::from_raw_mode(umask));
        for (mode, options) in [
            (0o600, Memory::options()),
            (0o666, Memory::options().mode(0o666)),
            (0o640, Memory::options().mode(0o640).sparse(true)),
        ] {
            let name = Scratch::new();
            options.create(&name.0, 1 << 14).unwrap();
            let found = std::fs::metadata(name.path()).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode, "umask {umask:o}");
        }
    }
}
