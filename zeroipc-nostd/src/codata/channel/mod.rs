//! Channel: values handed from senders to receivers, through a buffer or from hand to hand.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 24 | prefix: kind `CHAN`, `capacity` = 0 for a rendezvous, otherwise that of the queue; `extra` = 0, or places |
//! | 24 | 4 | `closed`: 0, or 1 once it is closed |
//! | 28 | 4 | 0 |
//! | A = 32 up to L | | a Queue, its prefix included; or the places of a rendezvous (`rendezvous.rs`) |
//!
//! L is the line size. Buffered:
//!
//! 1. *Send*: if `closed` is 1, it is closed. Otherwise push. If the queue is full and `closed` is 1 by then, it is closed.
//! 2. *Receive*: pop. If the queue is empty and `closed` is 1, *seal* the queue: from then on every push says full. If there turns
//!    out to be something to pop, start again; otherwise it is closed and drained.
//! 3. *Close*: exchange `closed` for 1; wake all senders and all receivers.
//!
//! Without a buffer: `rendezvous.rs`, and for tasks `stay.rs`. Whoever finds `closed` to be 1 withdraws what it offers or requests, and it is closed, unless it
//! was met before.
//!
//! Why no value is lost: a send that saw 0 may push long after the close. But a receiver says *closed* only after it has sealed the
//! queue, and a push succeeds only before that. So each send that succeeds is received, or is there to be received; it began
//! before the close was done, and counts as having been before it.

mod cases;
pub(super) mod claim;
mod iter;
mod meeting;
mod places;
mod rendezvous;
mod stay;

pub use cases::{RecvCase, SendCase};
pub use iter::{ChannelIter, ChannelTryIter};
pub(crate) use stay::Stay;

use self::meeting::Meeting;
use self::places::Layout;
use self::rendezvous::Rendezvous;
use crate::element::Element;
use crate::error::{
    PopError, PushError, RecvError, SendError, StructureError, TryRecvError, TrySendError,
};
use crate::geometry::{align_up, Geometry};
use crate::prefix::{Kind, Prefix};
use crate::queue::{self, Queue, Unsealed};
use crate::region::{elem_size, open_or_create, Region};
use crate::sync::{Atomic, Span};
use crate::table::block_bytes;
use crate::wait::{deadline_after, Announce, Limit, Notifier, Wait};
use core::sync::atomic::Ordering::{AcqRel, Acquire};
use core::time::Duration;

const CLOSED: u64 = 24;
const CONTROL_BYTES: u64 = 32;

/// How often an operation starts again because another party got in between, before it says `Blocked`.
const TURNS: u32 = 1 << 10;

/// A channel for any number of senders and receivers in many parties. Copy it freely.
///
/// **With a buffer** it is a [`Queue`] that can be closed: what was sent before is still received, in order; sending fails from then on.
///
/// **Without** (capacity 0, a *rendezvous*) a send returns when its value was taken by a receiver, and one that timed out was
/// certainly not taken. So many senders and as many receivers wait at a time as there are places ([`Channel::create_with_places`]); more
/// wait for a place. [`Channel::try_send`] succeeds if a receiver waits, and [`Channel::try_recv`] if a sender does. Who meets whom is
/// random, not first come first served.
///
/// Tasks meet threads and other tasks as well: [`Channel::recv_async`], [`Channel::send_async`].
///
/// Both can be waited for together with other channels, in either direction, by [`select`](crate::select()).
///
/// **Deaths.** A party that is killed while it waits has received nothing. What it offered can be taken, once, until somebody needs
/// its place: places of parties that are known to be dead (see [`Region::with_party`]) are given to those that find none. A
/// `try_send` asks whether the receiver lives; without numbers of parties it may give a value to one that was killed while it
/// waited. Nobody is held up by a party that stops, but a sender that is asleep while others stop on its way may look again only
/// after 100 ms.
///
/// Needs compare-and-exchange.
///
/// ```
/// use zeroipc_nostd::{Channel, FormatOptions, Region, Span, TryRecvError, TrySendError};
///
/// # let mut memory = vec![0_u64; 2048];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let jobs = Channel::<u32>::create(region, "jobs", 16)?;
/// jobs.try_send(1)?;
/// jobs.try_send(2)?;
/// jobs.close();
/// assert_eq!(jobs.try_send(3), Err(TrySendError::Closed(3)));
/// assert_eq!(jobs.try_iter().collect::<Vec<_>>(), [1, 2]);
/// assert_eq!(jobs.try_recv(), Err(TryRecvError::Closed));
///
/// let hand = Channel::<u32>::create(region, "hand", 0)?;
/// assert_eq!(hand.try_send(1), Err(TrySendError::Full(1))); // nobody waits for it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Channel<'a, T> {
    form: Form<'a, T>,
    closed: Atomic<'a, u32>,
    notifier: Notifier<'a>,
}

/// With a buffer or without.
#[derive(Debug)]
enum Form<'a, T> {
    Buffered(Queue<'a, T>),
    Rendezvous(Rendezvous<'a, T>),
}

impl<T> Clone for Form<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Form<'_, T> {}

impl<T> Clone for Channel<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Channel<'_, T> {}

impl<'a, T> Channel<'a, T> {
    /// Where parties meet, if it has no buffer.
    fn rendezvous(&self) -> Option<&Rendezvous<'a, T>> {
        match &self.form {
            Form::Rendezvous(rendezvous) => Some(rendezvous),
            Form::Buffered(_) => None,
        }
    }
}

impl<'a, T: Element> Channel<'a, T> {
    /// Creates a channel whose buffer holds at least `capacity` values: the next power of two, at least 2. With 0 there is no buffer.
    ///
    /// Linear in the capacity. Lock-free; a party that dies inside leaks at most the channel's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a capacity above the limit (32768 with 4-byte words),
    /// an element of no size, a region without compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        if capacity == 0 {
            return Self::create_with_places(region, name, places::DEFAULT_PLACES);
        }
        let region = region.into();
        let geometry = region.geometry();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::CHANNEL });
        }
        let max = queue::max_capacity(geometry, elem_size::<T>()?);
        let bad = StructureError::BadCapacity { capacity: capacity as u64, min: 0, max };
        let start = align_up(CONTROL_BYTES, u64::from(geometry.line_bytes())).ok_or(bad)?;
        let block = queue::Block::new::<T>(geometry, capacity, queue::DEFAULT_SPARES).ok_or(bad)?;
        let prefix = Prefix { kind: Kind::CHANNEL, extra: 0, ..block.prefix };
        let size = start.checked_add(block.size()).ok_or(bad)?;
        region.create_structure(name, prefix, size, |span| {
            span.clear(CLOSED, start - CLOSED);
            let part = span.part(start, block.size())?;
            block.prefix.write(part)?;
            block.initialise::<T>(part)?;
            Some(size)
        })?;
        Self::open(region, name)
    }

    /// Creates a channel without a buffer at which up to `places` senders, and as many receivers, wait at a time (1 to 32); more wait
    /// until one has gone.
    ///
    /// [`Channel::create`] with capacity 0 makes 16 of each.
    ///
    /// # Errors
    /// As [`Channel::create`]; [`StructureError::BadCapacity`] for an impossible number of places.
    pub fn create_with_places(
        region: impl Into<Region<'a>>,
        name: &str,
        places: u32,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::CHANNEL });
        }
        let mut prefix = Prefix::new(Kind::CHANNEL, region.geometry(), elem_size::<T>()?, 0);
        prefix.extra = places;
        let max = u64::from(claim::MOST_PLACES);
        let size = Layout::of(&prefix)
            .ok_or(StructureError::BadCapacity { capacity: u64::from(places), min: 1, max })?
            .size;
        region.create_structure(name, prefix, size, |span| {
            span.clear(CLOSED, size - CLOSED);
            Some(size)
        })?;
        Self::open(region, name)
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another element size, a corrupt structure, a region or target
    /// without compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::CHANNEL, elem_size::<T>()?)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::CHANNEL });
        }
        let corrupt = found.corrupt("its capacity or buffer");
        let notifier = region.notifier();
        let form = if found.prefix.capacity == 0 {
            let layout = Layout::of(&found.prefix).ok_or(corrupt)?;
            let (all, membership) = (region.view().table.span, region.membership());
            let parts = Rendezvous::at(found.span, all, &layout, notifier, membership);
            Form::Rendezvous(parts.ok_or(corrupt)?)
        } else {
            let (part, prefix) = buffer(found.span, &found.prefix).ok_or(corrupt)?;
            Form::Buffered(Queue::at(part, &prefix, notifier).ok_or(corrupt)?)
        };
        Ok(Channel { form, closed: found.span.word(CLOSED).ok_or(corrupt)?, notifier })
    }

    /// Opens the channel, or creates it if there is none.
    ///
    /// # Errors
    /// As [`Channel::open`] and [`Channel::create`]; [`StructureError::WrongCapacity`] if it exists with another capacity.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let channel =
            open_or_create(|| Self::open(region, name), || Self::create(region, name, capacity))?;
        let rounded = if capacity == 0 { Some(0) } else { queue::rounded(capacity) };
        if rounded != Some(channel.capacity()) {
            let (expected, found) = (capacity as u64, channel.capacity() as u64);
            let name = crate::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected, found });
        }
        Ok(channel)
    }

    /// Bytes that a channel for at least `capacity` values takes in a region at most; `None` if there can't be one.
    #[must_use]
    pub fn footprint(geometry: Geometry, capacity: usize) -> Option<u64> {
        if capacity == 0 {
            return Self::footprint_with_places(geometry, places::DEFAULT_PLACES);
        }
        let start = align_up(CONTROL_BYTES, u64::from(geometry.line_bytes()))?;
        let block = queue::Block::new::<T>(geometry, capacity, queue::DEFAULT_SPARES)?;
        block_bytes(geometry, start.checked_add(block.size())?)
    }

    /// Bytes that a channel without a buffer and with so many places takes in a region at most; `None` if there can't be one.
    #[must_use]
    pub fn footprint_with_places(geometry: Geometry, places: u32) -> Option<u64> {
        let mut prefix = Prefix::new(Kind::CHANNEL, geometry, elem_size::<T>().ok()?, 0);
        prefix.extra = places;
        block_bytes(geometry, Layout::of(&prefix)?.size)
    }

    /// The buffer, if it has one.
    pub(crate) fn buffer(&self) -> Option<&Queue<'a, T>> {
        match &self.form {
            Form::Buffered(queue) => Some(queue),
            Form::Rendezvous(_) => None,
        }
    }

    pub(crate) fn notifier(&self) -> Notifier<'a> {
        self.notifier
    }

    fn meeting<'c>(&self, rendezvous: &'c Rendezvous<'a, T>) -> Meeting<'c, 'a, T> {
        Meeting { rendezvous, closed: self.closed }
    }

    /// Sends `value` if that needs no waiting: if there is room in the buffer, or without a buffer if a receiver waits, which then has
    /// it as soon as it runs. (Not a task: see [`Channel::recv_async`].) Lock-free.
    ///
    /// What the sender did before is visible to the receiver. A party that stops, or is killed, inside holds up nobody.
    ///
    /// # Errors
    /// [`TrySendError`], with the value.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        if self.is_closed() {
            return Err(TrySendError::Closed(value));
        }
        match &self.form {
            Form::Buffered(queue) => queue.try_push(value).map_err(|error| match error {
                // Acquire in the push: if it was refused by the seal, it sees why.
                PushError::Full(value) if self.is_closed() => TrySendError::Closed(value),
                PushError::Full(value) => TrySendError::Full(value),
                PushError::Blocked(value) => TrySendError::Blocked(value),
                PushError::Corrupt(value) => TrySendError::Corrupt(value),
            }),
            Form::Rendezvous(rendezvous) => self.meeting(rendezvous).try_send(value),
        }
    }

    /// Receives a value if that needs no waiting: if there is one in the buffer, or without a buffer if a sender waits. Lock-free.
    ///
    /// A sender that selects and is just about to do something else may be passed over.
    ///
    /// # Errors
    /// [`TryRecvError`]; [`TryRecvError::Closed`] only if no value will ever come again.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match &self.form {
            Form::Buffered(queue) => match queue.try_pop() {
                Ok(value) => Ok(value),
                Err(PopError::Empty) if self.is_closed() => self.drain(queue),
                Err(PopError::Empty) => Err(TryRecvError::Empty),
                Err(PopError::Blocked) => Err(TryRecvError::Blocked),
                Err(PopError::Corrupt) => Err(TryRecvError::Corrupt),
            },
            Form::Rendezvous(_) if self.is_closed() => Err(TryRecvError::Closed),
            Form::Rendezvous(rendezvous) => {
                self.meeting(rendezvous).try_recv().ok_or(TryRecvError::Empty)
            }
        }
    }

    /// Step 2 of receiving, once it was empty and closed.
    #[cold]
    fn drain(&self, queue: &Queue<'a, T>) -> Result<T, TryRecvError> {
        for _ in 0..TURNS {
            match queue.seal() {
                Ok(()) => return Err(TryRecvError::Closed),
                Err(Unsealed::Blocked) => return Err(TryRecvError::Blocked),
                Err(Unsealed::Corrupt) => return Err(TryRecvError::Corrupt),
                Err(Unsealed::Values) => match queue.try_pop() {
                    Ok(value) => return Ok(value),
                    // Another receiver was faster.
                    Err(PopError::Empty) => {}
                    Err(PopError::Blocked) => return Err(TryRecvError::Blocked),
                    Err(PopError::Corrupt) => return Err(TryRecvError::Corrupt),
                },
            }
        }
        Err(TryRecvError::Blocked)
    }

    /// Sends `value`, waiting as long as it takes: [`Channel::send_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::Corrupt`], [`SendError::NoWaiter`], with the value.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.notifier.waiter() {
            Some(waiter) => self.send_with(value, waiter, None),
            None => Err(SendError::NoWaiter(value)),
        }
    }

    /// Receives a value, waiting for one as long as it takes: [`Channel::recv_timeout`] without a timeout.
    ///
    /// # Errors
    /// [`RecvError::Closed`], [`RecvError::Corrupt`], [`RecvError::NoWaiter`].
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_with(self.notifier.waiter().ok_or(RecvError::NoWaiter)?, None)
    }

    /// Sends `value`, waiting for at most `timeout` for room, or without a buffer for a receiver that takes it. Asleep if it takes
    /// long.
    ///
    /// Needs a region with a notifier, which `zeroipc::Memory` has.
    ///
    /// # Errors
    /// [`SendError`], with the value, which was certainly not sent; [`SendError::Timeout`] is never early.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendError<T>> {
        match self.notifier.waiter() {
            Some(waiter) => self.send_with(value, waiter, deadline_after(waiter, timeout)),
            None => Err(SendError::NoWaiter(value)),
        }
    }

    /// Receives a value, waiting for a sender for at most `timeout`, asleep if it takes long.
    ///
    /// Needs a region with a notifier, which `zeroipc::Memory` has.
    ///
    /// # Errors
    /// [`RecvError`]; [`RecvError::Timeout`] is never early.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvError> {
        let waiter = self.notifier.waiter().ok_or(RecvError::NoWaiter)?;
        self.recv_with(waiter, deadline_after(waiter, timeout))
    }

    /// Sends `value`, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Channel::send_timeout`].
    pub fn send_with(
        &self,
        value: T,
        waiter: &dyn Wait,
        deadline: Option<u64>,
    ) -> Result<(), SendError<T>> {
        match &self.form {
            Form::Buffered(queue) => {
                let sent =
                    queue.space().wait_until(waiter, deadline, || match self.try_send(value) {
                        Ok(()) => Some(Ok(())),
                        Err(TrySendError::Full(_) | TrySendError::Blocked(_)) => None,
                        Err(TrySendError::Closed(value)) => Some(Err(SendError::Closed(value))),
                        Err(TrySendError::Corrupt(value)) => Some(Err(SendError::Corrupt(value))),
                    });
                sent.unwrap_or(Err(SendError::Timeout(value)))
            }
            Form::Rendezvous(rendezvous) => {
                self.meeting(rendezvous).send(value, Limit { waiter, deadline })
            }
        }
    }

    /// Receives a value, waiting by `waiter` until `deadline` on its clock; for ever if there is none.
    ///
    /// # Errors
    /// As [`Channel::recv_timeout`].
    pub fn recv_with(&self, waiter: &dyn Wait, deadline: Option<u64>) -> Result<T, RecvError> {
        match &self.form {
            Form::Buffered(queue) => {
                let received =
                    queue.items().wait_until(waiter, deadline, || match self.try_recv() {
                        Ok(value) => Some(Ok(value)),
                        Err(TryRecvError::Empty | TryRecvError::Blocked) => None,
                        Err(TryRecvError::Closed) => Some(Err(RecvError::Closed)),
                        Err(TryRecvError::Corrupt) => Some(Err(RecvError::Corrupt)),
                    });
                received.unwrap_or(Err(RecvError::Timeout))
            }
            Form::Rendezvous(rendezvous) => {
                self.meeting(rendezvous).recv(Limit { waiter, deadline })
            }
        }
    }

    /// Closes it: from now on nothing can be sent, and receivers get what was sent before. Returns whether this call did it.
    ///
    /// Wait-free. Wakes all that wait. A send that is going on meanwhile succeeds and is received, or says that it is closed. A
    /// party killed inside has closed it and maybe woken nobody: sleepers look again within 100 ms.
    pub fn close(&self) -> bool {
        // Also if it is closed already: only a read-modify-write orders the look at the sleepers.
        let first = self.closed.swap(1, AcqRel) == 0;
        match &self.form {
            Form::Buffered(queue) => {
                queue.items().notify_all(self.notifier);
                queue.space().notify_all(self.notifier);
            }
            Form::Rendezvous(rendezvous) => rendezvous.ring_all(),
        }
        first
    }

    /// Whether somebody has closed it. There may still be values to receive. Wait-free.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // Acquire: what was done before the close is visible.
        self.closed.load(Acquire) != 0
    }

    /// How many values are in the buffer: a moment's value. Wait-free.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Buffered(queue) => queue.len(),
            Form::Rendezvous(_) => 0,
        }
    }

    /// Whether no value is in the buffer: a moment's value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values fit into the buffer.
    #[must_use]
    pub fn capacity(&self) -> usize {
        match &self.form {
            Form::Buffered(queue) => queue.capacity(),
            Form::Rendezvous(_) => 0,
        }
    }
}

/// The queue's part of the channel in `span`, and its prefix; `None` if they do not match the channel's.
pub(crate) fn buffer<'a>(span: Span<'a>, prefix: &Prefix) -> Option<(Span<'a>, Prefix)> {
    let geometry = prefix.geometry.ok()?;
    let start = align_up(CONTROL_BYTES, u64::from(geometry.line_bytes()))?;
    let part = span.part(start, (span.len() as u64).checked_sub(start)?)?;
    let inner = Prefix::read(part)?;
    // Read once and compared, so that nothing depends on what a peer writes here later.
    let same = inner.kind == Kind::QUEUE
        && inner.geometry.ok()? == geometry
        && inner.elem_size == prefix.elem_size
        && inner.capacity == prefix.capacity
        && prefix.extra == 0;
    same.then_some((part, inner))
}

/// How many values are in the buffer of the channel that begins `span`, for a view; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    if prefix.capacity == 0 {
        return rendezvous::fill(span, prefix);
    }
    let (part, inner) = buffer(span, prefix)?;
    queue::fill(part, &inner)
}
