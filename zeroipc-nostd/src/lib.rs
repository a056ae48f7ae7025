//! # ZeroIPC: shared memory as an active computational substrate
//!
//! Named, typed, concurrent structures that live *inside* a region of memory that several parties see at once: two
//! processes, two bare-metal cores, a host and a guest. No broker, no serialisation, no heap.
//!
//! This crate is the core: `no_std`, no allocation, on any memory and with portable atomics. On a hosted system start
//! with the crate `zeroipc`, which adds shared memory by name and waiting in the kernel.
//!
//! | structure | progress of its operations | needs compare-and-exchange |
//! |---|---|---|
//! | [`Array`] | load and store wait-free; updating in place (`fetch_add` and its like) lock-free | only for updating in place |
//! | [`Ring`] | push and pop, one or many at a time or in place, wait-free; one producer, one consumer | no |
//! | [`Map`] | lookup, insertion, replacement, removal lock-free, with any party stopped anywhere inside; lookups write nothing | yes |
//! | [`Set`] | as `Map` | yes |
//! | [`Queue`] | push and pop lock-free, with any one party stopped anywhere inside; many producers, many consumers | yes |
//! | [`Semaphore`] | try and release lock-free; acquiring waits for some holder | yes |
//! | [`Event`] | set, reset and query wait-free; waiting waits for who sets it | yes |
//! | [`Latch`] | count down lock-free, query wait-free; waiting waits for who still has to count | with a counter for each party no |
//! | [`Barrier`] | waits for all participants | yes |
//! | [`Once`] | query wait-free; the others wait for who runs it | yes |
//! | [`Mutex`] | waits for the owner, notices its death | yes |
//! | [`RwLock`] | readers wait for the writer, the writer for readers; both notice deaths | yes |
//! | [`Monitor`] | waits for the owner and for whom it is to be notified by; notices the owner's death | yes |
//! | [`Signal`] | reads wait-free; writes lock-free from many parties, or wait-free from one | no with one writer |
//! | [`Stack`] | push and pop lock-free, with any party stopped anywhere inside; last in, first out | yes |
//! | [`Pool`] | alloc lock-free, free and handing over wait-free; slots that travel between parties without copying | yes |
//! | [`Future`] | setting and trying wait-free; getting waits for who has promised to set it, notices its death | not if one party sets it |
//! | [`Stream`] | a subscriber's next wait-free; emit lock-free, with any one party stopped anywhere inside, or wait-free from one publisher; with backpressure it waits for the slowest subscriber, notices its death | not with one publisher that overwrites |
//! | [`Service`] | asking, taking and answering lock-free; a call waits for the server that took it, notices its death | yes |
//! | [`Lazy`] | peeking wait-free; the others wait for who evaluates it, notice its death | yes |
//! | [`Channel`] | buffered: as `Queue`; without a buffer sender and receiver wait for each other; both can be selected from | yes |
//!
//! A [`Region`] is made from a [`Span`] of memory and holds the table of names; a [`View`] looks at one without writing,
//! and an [`Observer`] follows the values of one structure so.
//!
//! **Everything in a region is untrusted.** Sizes and offsets are validated once, when a structure is opened, and kept
//! in the handle; what is read later is checked against the handle's own copy. A peer can spoil data, but it cannot make
//! this crate panic, read or write outside the region, or loop for ever in a `try_` operation.
//!
//! The bytes are specified in `SPECIFICATION.md`. Little-endian targets only.
#![cfg_attr(not(any(loom, zeroipc_fault, test)), no_std)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_core
)]
// The models and the fault form are test harnesses: there a misuse should stop the test.
#![cfg_attr(
    any(loom, zeroipc_fault),
    allow(clippy::panic, clippy::expect_used, clippy::std_instead_of_core)
)]

#[cfg(target_endian = "big")]
compile_error!("ZeroIPC regions are little-endian: big-endian targets are not supported");

mod array;
mod asynchronous;
mod codata;
mod element;
mod error;
mod geometry;
mod map;
mod name;
mod observe;
mod party;
mod pool;
mod prefix;
mod queue;
mod region;
mod ring;
mod role;
mod set;
mod slots;
mod stack;
mod sync;
mod synchronisation;
mod table;
mod view;
mod wait;

pub use array::{Array, Elements, Integer, Number};
pub use asynchronous::{
    ChannelRecv, ChannelSend, EventWait, FutureGet, Operation, PublisherEmit, QueuePop, QueuePush,
    Reactor, Repeatable, RingPop, RingPush, SemaphoreAcquire, ServiceGet, ServiceNext,
    ServiceRequest, StreamEmit, SubscriberNext, Ticket, Waiting, WakerTable, Wakes, WatchError,
    WithReactor,
};
#[cfg(feature = "futures-core")]
pub use asynchronous::{ChannelStream, SubscriberStream, Waits};
pub use codata::eventual::{self, all, all_of, any, Eventual};
pub use codata::source::{self, Source};
pub use codata::{
    select, select_timeout, select_with, try_select, FutureCase, PopCase, PushCase, Selectable,
    WaitCase,
};
pub use codata::{Channel, ChannelIter, ChannelTryIter, RecvCase, SendCase};
pub use codata::{Client, Pending, Request, Server, Service};
pub use codata::{Evaluation, FailureText, Future, FutureState, Lazy, LazyState, Promise};
pub use codata::{Publisher, Stream, StreamOptions, Subscriber};
pub use element::Element;
pub use error::{
    AcquireError, ArriveError, BarrierError, CountDownError, FutureError, IndexOutOfBounds,
    LazyError, LockError, MapError, NameError, NextError, NoPlace, OnceError, PartyError,
    PoolError, PopError, PopTimeoutError, PromiseError, PushError, PushTimeoutError, RegionError,
    ReleaseError, RoleTaken, SignalError, StructureError, TryAcquireError, TryLockError,
    UpdateError, WaitError,
};
pub use error::{CallError, ReplyError};
pub use error::{EmitError, PublisherError, SubscribeError};
pub use error::{RecvError, SelectError, SendError, TryRecvError, TrySendError};
pub use geometry::{Geometry, WordSize};
pub use map::{Exchange, Map, MapIter, MapOptions};
pub use name::Name;
pub use observe::{Observer, Seen};
pub use party::{Liveness, PartyId};
pub use pool::{Handle, Loan, Pool};
pub use prefix::Kind;
pub use queue::{PopGrant, PushGrant, Queue, Refused};
pub use region::Region;
pub use ring::{Consumer, Producer, ReadGrant, Ring, WriteGrant};
pub use set::{Set, SetIter};
pub use stack::Stack;
pub use sync::Span;
pub use sync::{CacheMaintenance, NoCache};
pub use synchronisation::{
    Barrier, BarrierWaitResult, Event, EventMode, Latch, LatchParty, Monitor, MonitorGuard, Mutex,
    MutexGuard, Once, OnceRun, OnceState, Participant, Permit, RwLock, RwLockReadGuard,
    RwLockWriteGuard, Semaphore, WaitTimeoutResult,
};
pub use synchronisation::{Signal, SignalWriter};
pub use table::record::Capability;
pub use table::{BadEntry, Entry, FormatOptions, TableVersion, MAGIC};
pub use view::{StructureInfo, View};
pub use wait::{Spin, Wait, WaitSet, WaitWord};

/// Stop points and the model's memory, for this project's own tests.
#[cfg(any(loom, zeroipc_fault))]
#[doc(hidden)]
pub mod testing {
    pub use crate::sync::hook::{abandon_at, run, Abandoned};
    #[cfg(loom)]
    pub use crate::sync::{unexplored, Slab};
}
