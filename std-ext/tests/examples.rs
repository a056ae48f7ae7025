//! The two programs of the crate's first page, as two programs.

use std::path::PathBuf;
use std::process::{Command, Output};
use zeroipc::{Array, Error, Memory};

struct Scratch(String);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Memory::unlink(&self.0);
    }
}

fn run(example: &str, name: &str) -> Output {
    // Cargo builds examples with the tests and puts them beside them.
    let tests = std::env::current_exe().unwrap();
    let folder: PathBuf = tests.ancestors().nth(2).unwrap().join("examples");
    Command::new(folder.join(example)).arg(name).output().unwrap()
}

#[test]
fn what_the_writer_stores_the_reader_loads() {
    let name = Scratch(format!("/zeroipc-examples-{}", std::process::id()));
    let written = run("sensor_writer", &name.0);
    assert!(written.status.success(), "{written:?}");
    let memory = Memory::open(&name.0).unwrap();
    assert_eq!(memory.size(), 10 << 20);
    assert_eq!(Array::<f32>::open(&memory, "temperature").unwrap().load(0), Ok(21.5));

    let read = run("sensor_reader", &name.0);
    assert_eq!(String::from_utf8_lossy(&read.stdout), "21.5 degrees, in one of 1000 places\n");
    assert_eq!(Memory::open(&name.0).unwrap_err(), Error::NotFound);
    assert!(!run("sensor_reader", &name.0).status.success());
}
