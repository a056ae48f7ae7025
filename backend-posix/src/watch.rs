//! A file descriptor for a future: so that a loop of `epoll`, `poll` or `select` waits for a structure among its other descriptors.

use crate::error::Error;
use rustix::event::{eventfd, EventfdFlags};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// A file descriptor that is readable while a future may have something: the bridge to event loops.
///
/// It takes any asynchronous form: `queue.pop_async()`, `event.wait_async()`, `future.get_async()`, and futures of one's own. Nothing
/// happens by itself: when the descriptor is readable, call [`Watch::poll`].
///
/// | | the descriptor |
/// |---|---|
/// | in the beginning, and after a poll that gave something | is readable: there may be more |
/// | after a poll that gave nothing | is not readable |
/// | when the future is woken, since something has changed | becomes readable, until the next poll |
///
/// So it may be waited for level-triggered (one poll each time, or more), or edge-triggered (poll until there is nothing). Readable
/// means that it is worth to poll: another party may be faster, and each 100 ms one of those that wait for the same is
/// asked to look for itself. Do not read from or write to the descriptor.
///
/// The wait is that of the future: served by the process's one thread for all tasks, and given up when this is dropped. A future that
/// can be polled again after it was ready ([`Waiting`](zeroipc_nostd::Waiting) can) gives one thing after another.
///
/// ```
/// use rustix::event::{poll, PollFd, PollFlags};
/// use std::task::Poll;
/// use zeroipc_nostd::Queue;
/// use zeroipc_posix::{Memory, Watch};
///
/// let memory = Memory::anonymous(1 << 16)?;
/// let jobs = Queue::<u32>::create(&memory, "jobs", 4)?;
/// let mut watch = Watch::new(jobs.pop_async())?;
/// assert_eq!(watch.poll(), Poll::Pending);
///
/// jobs.push(7)?; // by any process
/// poll(&mut [PollFd::new(&watch, PollFlags::IN)], None)?; // or epoll, or an event loop
/// assert_eq!(watch.poll(), Poll::Ready(Ok(7)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Under tokio the future itself does better; its `AsyncFd` takes a `Watch` all the same.
pub struct Watch<F> {
    future: F,
    bell: Arc<Bell>,
    waker: Waker,
}

#[derive(Debug)]
struct Bell(OwnedFd);

impl Bell {
    fn make_readable(&self) {
        // Fails only if the counter is near 2^64, when it is readable already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    fn make_unreadable(&self) {
        // Fails only if it is not readable already.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.make_readable();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.make_readable();
    }
}

impl<F: Future + Unpin> Watch<F> {
    /// A descriptor for `future`, readable at first. The future is first polled by [`Watch::poll`].
    ///
    /// # Errors
    /// [`Error::System`] if the process or the system has no descriptor left.
    pub fn new(future: F) -> Result<Self, Error> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let made = eventfd(1, flags).map_err(Error::system("make an eventfd"))?;
        let bell = Arc::new(Bell(made));
        Ok(Watch { future, waker: Waker::from(bell.clone()), bell })
    }

    /// What the future has, if it has something; afterwards the descriptor is readable or not, as above. Never waits.
    ///
    /// A future that must not be polled after it was ready must not be here either.
    pub fn poll(&mut self) -> Poll<F::Output> {
        // Before the future is polled, so that a wake-up in the meantime makes it readable again.
        self.bell.make_unreadable();
        let output = Pin::new(&mut self.future).poll(&mut Context::from_waker(&self.waker));
        if output.is_ready() {
            self.bell.make_readable();
        }
        output
    }
}

impl<F> Watch<F> {
    /// The future.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F> AsFd for Watch<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.0.as_fd()
    }
}

impl<F> AsRawFd for Watch<F> {
    fn as_raw_fd(&self) -> RawFd {
        self.bell.0.as_raw_fd()
    }
}

impl<F> fmt::Debug for Watch<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("fd", &self.bell.0).finish_non_exhaustive()
    }
}
