//! Regions and folders that go away with the test, and runs of the inspector.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use zeroipc::{Array, Memory, Queue, Ring};

/// A name in shared memory that no other test uses.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("/zeroipc-inspect-test-{}-{count}", std::process::id())
}

/// Removes whatever stands under a name when dropped.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl Name {
    pub(crate) fn new() -> Self {
        Name(unique_name())
    }

    /// The file behind it.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new("/dev/shm").join(&self.0[1..])
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = Memory::unlink(&self.0);
    }
}

/// A region with an array, a ring and a queue that are partly filled.
#[derive(Debug)]
pub(crate) struct Region {
    name: Name,
    pub(crate) memory: Memory,
}

impl Region {
    pub(crate) fn new(size: usize) -> Self {
        let name = Name::new();
        let memory = Memory::create(&name.0, size).unwrap();
        populate(&memory);
        Region { name, memory }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name.0
    }

    /// Overwrites bytes behind everybody's back.
    pub(crate) fn spoil(&self, offset: u64, bytes: &[u8]) {
        spoil(&self.name.path(), offset, bytes);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.name.path()).unwrap()
    }
}

pub(crate) fn spoil(path: &Path, offset: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}

pub(crate) fn populate(memory: &Memory) {
    Array::<f32>::create(memory, "temperature", 1000).unwrap().store(0, 21.5).unwrap();
    let ring = Ring::<u64>::create(memory, "samples", 16).unwrap();
    let mut producer = ring.producer().unwrap();
    let queue = Queue::<u32>::create(memory, "jobs", 8).unwrap();
    for number in 0..3 {
        producer.try_push(number).unwrap();
        queue.try_push(7).unwrap();
    }
    queue.try_push(7).unwrap();
}

/// A folder that is removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(&unique_name()[1..]);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Run {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.output).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The line that begins with `start`, with single spaces.
    pub(crate) fn line(&self, start: &str) -> String {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut lines = self.output.lines().map(words);
        lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {self:?}"))
    }
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zeroipc-inspect"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn inspect(arguments: &[&str]) -> Run {
    finish(command(arguments).spawn().unwrap())
}

/// With a standard output whose reader is gone already.
pub(crate) fn inspect_into_closed_pipe(arguments: &[&str]) -> Run {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    finish(command(arguments).stdout(writer).spawn().unwrap())
}

pub(crate) fn finish(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        output: text(output.stdout),
        errors: text(output.stderr),
    }
}

/// Waits, generously, until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "still not: {what}");
        sleep(Duration::from_millis(10));
    }
}
