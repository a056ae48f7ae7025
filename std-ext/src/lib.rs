//! # ZeroIPC: shared memory as an active computational substrate
//!
//! Named, typed, lock-free structures in memory that several processes share. No broker, no daemon, no serialisation.
//!
//! One program creates a region and a structure in it:
//!
//! ```no_run
//! use zeroipc::{Array, Memory};
//!
//! let memory = Memory::create("/sensor_data", 10 << 20)?;
//! let temperature = Array::<f32>::create(&memory, "temperature", 1000)?;
//! temperature.store(0, 21.5)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Another, at the same time or later, opens what it finds there:
//!
//! ```no_run
//! use zeroipc::{Array, Memory};
//!
//! let memory = Memory::open("/sensor_data")?;
//! let temperature = Array::<f32>::open(&memory, "temperature")?;
//! println!("{} degrees", temperature.load(0)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! These are `examples/sensor_writer.rs` and `examples/sensor_reader.rs`.
//!
//! | to share | take | it waits |
//! |---|---|---|
//! | the latest values, and counters, many writers and readers | [`Array`] | never |
//! | a stream, from one producer to one consumer, also many at a time or in place | [`Ring`] | [`Producer::push`], [`Consumer::pop`] and their like if asked to |
//! | values by key, many readers and writers | [`Map`] | never |
//! | which keys there are | [`Set`] | never |
//! | work or messages, among many producers and consumers | [`Queue`] | [`Queue::push`], [`Queue::pop`] if asked to |
//! | a number of resources | [`Semaphore`] | [`Semaphore::acquire`] for a holder |
//! | that something happened | [`Event`] | [`Event::wait`] for who sets it |
//! | that a number of things are done, once | [`Latch`] | [`Latch::wait`] for who still has to count |
//! | a step of work, among all who take part | [`Barrier`] | [`Barrier::wait`] for all |
//! | an initialisation | [`Once`] | [`Once::call_once`] for who runs it |
//! | the latest of something of any size, never half of it | [`Signal`] | [`Signal::wait_for_change`] if asked to |
//! | what came last first: free lists, caches, depth-first work | [`Stack`] | [`Stack::push`], [`Stack::pop`] if asked to |
//! | large messages that are written and read in place | [`Pool`], a handle of 8 bytes through a [`Queue`] | [`Pool::alloc`] if asked to |
//! | a value that one at a time changes, whoever dies | [`Mutex`] | [`Mutex::lock`] for the owner |
//! | a value that many read and few change | [`RwLock`] | [`RwLock::read`], [`RwLock::write`] for the others |
//! | a value, and waiting until it is as wanted | [`Monitor`] | [`Monitor::wait_while`] for a notification |
//! | an answer that comes later, once | [`Future`] | [`Future::get`] for who has promised it |
//! | a question, answered by whichever server comes first | [`Service`] | [`Client::call`] for an answer, [`Server::next`] for a request |
//! | values from hand to hand, or through a buffer that can be closed | [`Channel`] | [`Channel::send`], [`Channel::recv`] if asked to |
//! | one value after another, for any number of subscribers who each take all | [`Stream`] | [`Subscriber::next`] for a value; [`Stream::emit`] for the slowest subscriber if the stream has backpressure |
//! | a value that is expensive to make and is made once | [`Lazy`] | [`Lazy::get_or_init`] for who evaluates it |
//!
//! ## Waiting
//!
//! Forms named `try_` never wait. The plain forms wait as long as it takes, and those named `_timeout` at most so long:
//! they look for a moment, and then sleep in the kernel until a peer wakes them, without using the processor. A timeout is
//! never early. While nobody sleeps, nobody makes a system call.
//!
//! ```
//! use std::time::Duration;
//! use zeroipc::{Memory, PopTimeoutError, PushTimeoutError, Queue, Ring};
//!
//! # struct Cleanup(String);
//! # impl Drop for Cleanup { fn drop(&mut self) { let _ = Memory::unlink(&self.0); } }
//! # let cleanup = Cleanup(format!("/zeroipc-waiting-{}", std::process::id()));
//! # let name = cleanup.0.as_str();
//! let memory = Memory::create(name, 1 << 20)?;
//! let jobs = Queue::<u32>::create(&memory, "jobs", 2)?;
//!
//! std::thread::scope(|scope| {
//!     let worker = scope.spawn(|| jobs.pop()); // waits for a job, here or in another process
//!     jobs.push(7)?; // waits for room, if there is none
//!     assert_eq!(worker.join().expect("no panic"), Ok(7));
//!     Ok::<(), PushTimeoutError<u32>>(())
//! })?;
//!
//! let soon = Duration::from_millis(5);
//! assert_eq!(jobs.pop_timeout(soon), Err(PopTimeoutError::Timeout));
//! jobs.push(1)?;
//! jobs.push(2)?;
//! assert_eq!(jobs.push_timeout(3, soon), Err(PushTimeoutError::Timeout(3))); // full: 3 comes back
//!
//! // The ends of a ring are taken by one party each.
//! let samples = Ring::<f64>::create(&memory, "samples", 1024)?;
//! let (mut producer, mut consumer) = (samples.producer()?, samples.consumer()?);
//! producer.push_timeout(0.5, soon)?;
//! assert_eq!(consumer.pop_timeout(soon)?, 0.5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Tasks
//!
//! Each waiting form has one for tasks of any executor, named `_async`: [`Queue::pop_async`], [`Queue::push_async`],
//! [`Consumer::pop_async`], [`Producer::push_async`], [`Event::wait_async`], [`Semaphore::acquire_async`], [`Channel::recv_async`],
//! [`Channel::send_async`], [`Subscriber::next_async`], [`Stream::emit_async`], and `future.await` for a [`Future`]. One thread of the
//! process sleeps in the kernel for all of them, begun by the first that waits. Dropping one that is pending loses nothing
//! ([`Waiting`]; at a channel without a buffer an offer may just have been taken), so they can stand in `select!` and in timeouts. [`Subscriber::stream_async`], [`Channel::stream_async`] and
//! [`Waiting::into_stream`] give streams of the crate `futures-core`.
//!
//! ```
//! use std::time::Duration;
//! use zeroipc::{Memory, Queue};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let memory = Memory::anonymous(1 << 16)?;
//! let jobs = Queue::<u32>::create(&memory, "jobs", 4)?;
//! let worker = async {
//!     let mut sum = 0;
//!     while let Ok(job) = tokio::time::timeout(Duration::from_millis(50), jobs.pop_async()).await {
//!         sum += job?;
//!     }
//!     Ok::<u32, Box<dyn std::error::Error>>(sum)
//! };
//! let boss = async {
//!     for job in 1..=10 {
//!         jobs.push_async(job).await?; // waits for room
//!     }
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! };
//! let (sum, done) = tokio::join!(worker, boss);
//! done?;
//! assert_eq!(sum?, 55);
//! # Ok(())
//! # }
//! ```
//!
//! A task that is spawned must own what it uses, or have it for ever: let it have a `&'static Memory`, from a `static` as in
//! `examples/task_workers.rs`, or open its structures from a clone of the memory that it owns.
//!
//! A loop of `epoll` waits for a structure by a [`Watch`]. Without an operating system tasks wait by a [`WakerTable`].
//!
//! ## Futures together
//!
//! [`Eventual`] is what a [`Future`] and its combinations have in common: `map`, `map_err`, `then`, `combine`, [`all`], [`any`]. They are
//! views, without storage, and wait in one sleep for all futures in them.
//!
//! ```
//! use zeroipc::{all, any, Eventual, Future, Memory};
//!
//! let memory = Memory::anonymous(1 << 16)?;
//! let prices = ["here", "there"].map(|name| Future::<u32>::create(&memory, name));
//! let [here, there] = prices;
//! let (here, there) = (here?, there?);
//! there.promise()?.set(30)?; // by some other process
//! assert_eq!(any([here, there]).get()?, (1, 30));
//!
//! here.promise()?.set(20)?;
//! let cheapest = here.combine(there).map(|(here, there)| here.min(there));
//! assert_eq!(cheapest.get()?, 20);
//! assert_eq!(all([here, there]).get()?, [20, 30]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## What can be an element
//!
//! Plain data that is valid whatever its bytes: numbers, arrays of them, and structs that derive the traits of the crate
//! `zerocopy`. See [`Element`].
//!
//! ```
//! use zerocopy::{FromBytes, Immutable, IntoBytes};
//! use zeroipc::{Memory, Queue};
//!
//! #[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
//! #[repr(C)]
//! struct Reading {
//!     nanoseconds: u64,
//!     sensor: u32,
//!     celsius: f32,
//! }
//!
//! let memory = Memory::anonymous(1 << 16)?; // without a name; see `Memory::send_to`
//! let readings = Queue::<Reading>::create(&memory, "readings", 64)?;
//! let reading = Reading { nanoseconds: 1, sensor: 2, celsius: 21.5 };
//! readings.push(reading)?;
//! assert_eq!(readings.pop()?, reading);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Streams of what streams give
//!
//! A [`Subscriber`], the [`Consumer`] of a ring and a [`Queue`] are sources of values ([`Source`]), with adapters like those of iterators: `map`,
//! `filter`, `scan`, `window`, `zip`, `merge` and more. They run where they are pulled. The methods of [`StreamExt`] have the same names, and
//! make *named streams in the region* of it, driven by a thread, for other processes to subscribe to:
//!
//! ```
//! use zeroipc::{Memory, Source, Stream, StreamExt};
//!
//! let memory = Memory::anonymous(1 << 18)?;
//! let temperature = Stream::<f32>::create(&memory, "temperature", 64)?;
//!
//! // The thread runs until it is stopped, or the handle dropped, or the stream closed.
//! let smooth = temperature.window::<3>(&memory, "smooth")?;
//!
//! // Anybody who has the region open:
//! let mut means = Stream::<[f32; 3]>::open(&memory, "smooth")?
//!     .subscribe()?
//!     .map(|window| window.iter().sum::<f32>() / 3.0)
//!     .filter(|mean| *mean > 20.0);
//!
//! for celsius in [18.0, 20.0, 22.0, 24.0] {
//!     temperature.emit(celsius)?;
//! }
//! assert_eq!(means.next()?, 22.0);
//! smooth.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Kill the process that derives `smooth`, start it again, and it goes on where it was: no value is lost or comes twice. [`derive()`] does so
//! for any chain of operators, and [`unfold`] makes streams out of nothing. The examples `temperature_publisher`,
//! `temperature_pipeline` and `temperature_subscriber` are three programs that do this.
//!
//! ## When a process dies
//!
//! Being killed at any instruction leaves the structures working for the others: a Queue loses at most the item and the
//! slot that were in its hands; a Ring waits for a successor, who takes the role over
//! ([`Ring::take_over_producer`], [`Ring::take_over_consumer`]). The region stays until [`Memory::unlink`] removes its name
//! and the last process that has it open is gone.
//!
//! ## Looking in
//!
//! `zeroipc-inspect list` shows the regions of this machine, `zeroipc-inspect show /sensor_data` what is in one, and
//! `zeroipc-inspect monitor /sensor_data temperature --type f32` its values as they come, all without writing to it; [`list`],
//! [`ReadOnlyMemory`] and [`Observer`] do so in a program.

mod derived;

pub use derived::{
    derive, unfold, DeriveError, Derived, Driver, Ended, Pipeline, State, StreamExt, Target,
    Tracked,
};
#[doc(inline)]
pub use zeroipc_nostd::*;
#[doc(inline)]
pub use zeroipc_posix::*;

/// The programs of the guide to codata, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/codata.md")]
struct GuideToCodata;

/// The program of the table of memory, as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/memory.md")]
struct TableOfMemory;
