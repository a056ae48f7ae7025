//! The thread that drives a derived stream, and its end.

use super::stop::Stop;
use crate::{Memory, StructureError, SubscribeError};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{mpsc, Arc};
use std::thread::{Builder, JoinHandle};

/// How a driver ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its source did, and so the result is closed.
    Closed,
    /// It was stopped. Whoever derives the same stream again goes on where it was.
    Stopped,
}

/// Why a stream could not be derived, or its driver gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeriveError {
    /// A structure could not be opened or created.
    Structure(StructureError),
    /// A source could not be subscribed to.
    Subscribe(SubscribeError),
    /// Another driver derives the same stream, or somebody else emits into it. It goes on; this one has ended.
    Overtaken,
    /// Somebody closed the result though its source goes on.
    ResultClosed,
    /// The result can't be emitted into: it was created for one publisher, or too many died inside an emit.
    NoPublisher,
    /// A peer wrote nonsense into a structure.
    Corrupt,
    /// The user's function panicked. The result is not closed.
    Panicked,
    /// The system gives no thread.
    NoThread,
}

impl From<StructureError> for DeriveError {
    fn from(error: StructureError) -> Self {
        Self::Structure(error)
    }
}

impl From<SubscribeError> for DeriveError {
    fn from(error: SubscribeError) -> Self {
        Self::Subscribe(error)
    }
}

impl fmt::Display for DeriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Structure(error) => error.fmt(f),
            Self::Subscribe(error) => error.fmt(f),
            Self::Overtaken => {
                f.write_str("another driver derives the same stream, or somebody else emits into it")
            }
            Self::ResultClosed => f.write_str("somebody closed the derived stream"),
            Self::NoPublisher => f.write_str(
                "the derived stream takes no emits: it was created for one publisher, or too many died inside",
            ),
            Self::Corrupt => {
                f.write_str("corrupt: a peer has spoilt the structure; recreate the region")
            }
            Self::Panicked => f.write_str("the operator's function panicked"),
            Self::NoThread => f.write_str("the system gives no thread to drive the stream"),
        }
    }
}

impl std::error::Error for DeriveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Structure(error) => Some(error),
            Self::Subscribe(error) => Some(error),
            _ => None,
        }
    }
}

/// What driver and handle share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) stop: Stop,
    pub(super) missed: AtomicU64,
}

/// A thread that drives a derived stream, or calls a function for each value ([`StreamExt::for_each`](crate::StreamExt::for_each)).
///
/// Dropping it stops the thread and waits for its end.
#[derive(Debug)]
#[must_use = "dropped at once, it stops at once"]
pub struct Driver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Ended, DeriveError>>>,
}

impl Driver {
    /// Starts `body` in a thread of its own, and returns when it has called `ready`, or has failed before.
    pub(super) fn start(
        memory: &Memory,
        body: impl FnOnce(&Memory, &Shared, &dyn Fn()) -> Result<Ended, DeriveError> + Send + 'static,
    ) -> Result<Self, DeriveError> {
        let shared = Arc::new(Shared::default());
        let (ready, is_ready) = mpsc::channel();
        let (memory, theirs) = (memory.clone(), shared.clone());
        let thread = Builder::new()
            .name("zeroipc-derive".into())
            .spawn(move || {
                body(&memory, &theirs, &|| {
                    // Nobody listens any more after the first.
                    let _ = ready.send(());
                })
            })
            .map_err(|_| DeriveError::NoThread)?;
        let mut driver = Driver { shared, thread: Some(thread) };
        match is_ready.recv() {
            Ok(()) => Ok(driver),
            // It ended without having begun.
            Err(mpsc::RecvError) => driver.end().map(|_| driver),
        }
    }

    /// Stops it: a thread that waits is woken, one that works finishes the value that it has. Returns how it ended, which
    /// may be for a reason before this call.
    ///
    /// # Errors
    /// [`DeriveError`], if it had given up.
    pub fn stop(mut self) -> Result<Ended, DeriveError> {
        self.shared.stop.stop();
        self.end()
    }

    /// Waits until it ends by itself: when the source closes, and all its values are done; the result is closed then.
    ///
    /// # Errors
    /// [`DeriveError`], if it gave up.
    pub fn join(mut self) -> Result<Ended, DeriveError> {
        self.end()
    }

    /// Lets it run without a handle: until the source closes, or the process ends.
    pub fn detach(mut self) {
        self.thread = None;
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// How many values of its sources this driver has missed so far, because they were overwritten before it took them.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.shared.missed.load(Relaxed)
    }

    fn end(&mut self) -> Result<Ended, DeriveError> {
        match self.thread.take() {
            Some(thread) => thread.join().unwrap_or(Err(DeriveError::Panicked)),
            None => Ok(Ended::Stopped),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.shared.stop.stop();
            let _ = self.end();
        }
    }
}
