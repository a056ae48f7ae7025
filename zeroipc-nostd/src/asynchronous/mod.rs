//! Waiting without a thread: futures that are woken when a word of the region changes.
//!
//! A future that waits does what a sleeping thread does: it announces itself at the structure, so that peers wake it, looks
//! once more, and leaves its waker with a [`Reactor`]. What a reactor is, the platform decides: on a hosted system one thread
//! that sleeps for all (`zeroipc::Memory` has it), on bare metal a [`WakerTable`] that the doorbell's interrupt rings.
//!
//! Whoever waits and is given up (its future dropped) after it was woken passes the wake-up on.

mod channel;
mod event;
mod future;
mod queue;
mod ring;
mod semaphore;
mod service;
mod stream;
mod table;
mod waiting;

#[cfg(feature = "futures-core")]
pub use channel::ChannelStream;
pub use channel::{ChannelRecv, ChannelSend};
pub use event::EventWait;
pub use future::FutureGet;
pub use queue::{QueuePop, QueuePush};
pub use ring::{RingPop, RingPush};
pub use semaphore::SemaphoreAcquire;
pub use service::{ServiceGet, ServiceNext, ServiceRequest};
#[cfg(feature = "futures-core")]
pub use stream::SubscriberStream;
pub use stream::{PublisherEmit, StreamEmit, SubscriberNext};
pub use table::{WakerTable, WithReactor};
#[cfg(feature = "futures-core")]
pub use waiting::Waits;
pub use waiting::{Operation, Repeatable, Waiting};

use crate::wait::WaitWord;
use core::fmt::{self, Debug};
use core::task::Waker;

/// What wakes tasks when words of a region change. Implementations are shared between threads.
///
/// [`Wait::reactor`](crate::Wait::reactor) says which one a region's futures use.
///
/// An implementation must not access the word after the life of the reference that it was given. (A future that is
/// leaked never takes its task out, so the word may be gone while its waker is still there.)
pub trait Reactor: Debug + Send + Sync {
    /// Wakes `waker` once when `word` differs from `expected`, or when somebody wakes who sleeps on it. May wake it early for
    /// no reason, and should now and then (each 100 ms), for peers that were killed before they woke anybody.
    ///
    /// The caller looks at the structure after this call: what was published before must be visible to it, or its publisher's
    /// ring must find the waker.
    ///
    /// # Errors
    /// [`WatchError`]; then nothing is watched.
    fn watch(
        &self,
        word: WaitWord<'_>,
        expected: u32,
        wakes: Wakes,
        waker: &Waker,
    ) -> Result<Ticket, WatchError>;

    /// Whether the task was not woken yet; if so, `waker` is the one that will be.
    fn renew(&self, ticket: Ticket, waker: &Waker) -> bool;

    /// Ends a watch, if it has not ended by waking; whether it has. Harmless with a ticket that is used up.
    ///
    /// `pass_on`: the task does not need to be woken any more, and did not find that there is nothing; so if one of several tasks
    /// is woken at a time ([`Wakes::One`]), it is the next one's turn.
    fn unwatch(&self, ticket: Ticket, word: WaitWord<'_>, pass_on: bool) -> bool;
}

/// How many of the tasks that watch a word need to look when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wakes {
    /// One; when it has got something it [passes on](Reactor::unwatch).
    One,
    /// Each.
    All,
}

/// Which watch, of those that a [`Reactor`] began; the number is the reactor's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(
    /// Never that of another watch, also after this one has ended.
    pub u64,
);

/// Why a [`Reactor`] did not begin to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchError {
    /// The word has changed already.
    Changed,
    /// It has no place for more.
    Full,
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "the word has changed already; look again",
            Self::Full => "no place for another waker; give the reactor more",
        })
    }
}

impl core::error::Error for WatchError {}
