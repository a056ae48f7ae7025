//! Real processes for tests: a test starts its own binary again, for the same test in another role.
//!
//! ```no_run
//! # use std::time::Duration;
//! use zeroipc_tests::processes::{self, Party};
//!
//! #[test]
//! fn two_processes() {
//!     if let Some(part) = processes::part() {
//!         // In the child: do what `part.role` says on `part.region`; a panic makes the parent's test fail.
//!         return;
//!     }
//!     let mut other = Party::start("two_processes", "other", 0, "/some-region");
//!     other.finish(Duration::from_secs(10));
//! }
//! ```
//!
//! Nothing outlives its test: a [`Party`] that is dropped is killed, and a child ends by itself after [`LIFETIME`].

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

/// A child that is older than this ends itself, in case that nobody is left to end it.
pub const LIFETIME: Duration = Duration::from_secs(120);

const ROLE: &str = "ZEROIPC_TEST_ROLE";
const NUMBER: &str = "ZEROIPC_TEST_NUMBER";
const REGION: &str = "ZEROIPC_TEST_REGION";

/// What a child was started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is to do.
    pub role: String,
    /// Which of several that do the same.
    pub number: u64,
    /// The region's name.
    pub region: String,
}

/// This process's part, if it is a child; `None` in the process that runs the tests.
#[must_use]
pub fn part() -> Option<Part> {
    let part = Part {
        role: env::var(ROLE).ok()?,
        number: env::var(NUMBER).ok()?.parse().ok()?,
        region: env::var(REGION).ok()?,
    };
    thread::spawn(|| {
        thread::sleep(LIFETIME);
        eprintln!("a child process is still there after {LIFETIME:?}: it ends itself");
        std::process::exit(124);
    });
    Some(part)
}

/// Ends this process with a message if it is still there after `limit`: for tests that must not hang.
///
/// The result disarms the watchdog when it is dropped.
#[must_use]
pub fn watchdog(limit: Duration, what: &'static str) -> Watchdog {
    let (disarm, armed) = std::sync::mpsc::channel::<()>();
    thread::spawn(move || {
        if armed.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{what} is not done after {limit:?}: it hangs");
            std::process::abort();
        }
    });
    Watchdog { _disarm: disarm }
}

/// See [`watchdog`].
#[derive(Debug)]
pub struct Watchdog {
    _disarm: std::sync::mpsc::Sender<()>,
}

/// A child process.
#[derive(Debug)]
pub struct Party {
    child: Child,
    what: String,
}

impl Party {
    /// Starts this test binary again for the test `test` (its full path in the binary) with a part to play.
    #[must_use]
    pub fn start(test: &str, role: &str, number: u64, region: &str) -> Self {
        let binary = env::current_exe().expect("the path of the test binary");
        let child = Command::new(binary)
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(NUMBER, number.to_string())
            .env(REGION, region)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a child process");
        Party { child, what: format!("{role} {number}") }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Kills it by SIGKILL and waits until it is gone. Harmless if it has ended.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for a good end.
    ///
    /// # Panics
    /// If the child failed, or is still there after `limit`.
    pub fn finish(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            if Instant::now() >= deadline {
                self.kill();
                panic!("{} was not done after {limit:?} and was killed", self.what);
            }
            thread::sleep(Duration::from_millis(1));
        };
        assert!(status.success(), "{} failed: {status}", self.what);
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.kill();
    }
}
