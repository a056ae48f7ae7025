//! Service: calls and their answers between several clients and several servers.
//!
//! | offset | bytes | field | written by |
//! |---|---|---|---|
//! | 0 | 24 | prefix: kind `SRVC`, `elem_size` = bytes of a request, `extra` = bytes of a response, `capacity` = places for calls | creator |
//! | 24 | 4 | eventcount of requests: servers without work sleep on it | |
//! | 28 | 4 | eventcount of space: clients without a place sleep on it | |
//! | 32 | 4 | `closed`: 1 once the service is closed, else 0 | who closes |
//! | 36 | 4 | reserved, 0 | |
//! | A = 40 up to L | D x `capacity` | places | |
//!
//! A place, of D bytes:
//!
//! | offset | bytes | field | written by |
//! |---|---|---|---|
//! | 0 | 4 | `state`: see [`state`] | all |
//! | 4 | 4 | `generation`: of the last request here, 0 to 2^27 - 1 | client |
//! | 8 | 4 | `client`: the number of the party that asked last | client |
//! | 12 | 4 | eventcount of the answer: its client sleeps on it | |
//! | Q = 16 up to `elem_size`'s alignment | `elem_size` | request | client |
//! | R = (Q + `elem_size`) up to `extra`'s alignment | `extra` | response | server |
//! | X = (R + `extra`) up to 8 | 120 | text of the failure | server |
//!
//! L is the line size; the alignment of a size is the largest power of two that divides it, at most 16 and at most L; D is X + 120
//! up to L. All words are of 4 bytes, in both word sizes. Initially all but the prefix is 0.
//!
//! 1. *Claim*: a client looks for a free place, from the one that it had last, and CASes its state from free to claimed by it.
//! 2. *Request*: it writes `client`, counts `generation` up, writes the request, and CASes the state from claimed to requested
//!    with that generation; then it wakes one server.
//! 3. *Take*: a server looks for a requested place, from the one after that which it had last, and CASes it to taken by it.
//! 4. *Answer*: it reads the request, writes the response or the text, and CASes the state from taken to value, failed, or broken,
//!    with the generation; then it wakes the client. If the state is abandoned instead, it frees the place.
//! 5. *Get*: the client waits until the state is value, failed or broken with its generation, reads what is there, and frees the
//!    place: CAS to free. A waiter that finds its request taken by a dead party CASes it from taken to broken, as if
//!    that party had done it.
//! 6. *Cancel*: a client that does not want the answer CASes requested to free; or taken to abandoned, and the server frees it.
//! 7. *Reclaim*: a place that a dead client claimed, or in which its request or an answer to it stands, is freed; a place that a dead
//!    server took becomes broken; one that it had and that was abandoned is freed.
//!
//! **Why a search, and not a queue of places.** Taking a request and recording who took it are one CAS here. With a queue a
//! server that dies between popping a number and recording itself leaves a request that is in no queue and in nobody's hands,
//! and nobody could ever tell that. Nothing is shared between calls: a call costs the lines of its place and no others. The price
//! is a look at the state of each place, which stays in the cache while nothing changes, and that requests are not taken in the
//! order in which they came: each server goes round, so none waits for more than `capacity` - 1 others. Measured (`rpc` of the
//! benches): half of a round trip takes 1.6 hops of a cache line, and 3.3 with a Queue of requests and a Future for the answer.
//!
//! **Why it holds.** A place belongs to one party at a time, which its state names: to the client until it is requested, to the server
//! while it is taken or abandoned, to the client again when it is answered. The owner alone moves it on, or whoever is certain of
//! its death, so a state that names a party does not come back under anybody's feet; the others carry the generation. An answer
//! that nobody waits for never meets another request: the place is not free before its server let go of it.
//!
//! The request-response port on shared slots is that of Birrell and Nelson, "Implementing remote procedure calls" (1984),
//! <https://doi.org/10.1145/2080.357392>, on one machine as in Bershad, Anderson, Lazowska and Levy, "Lightweight remote procedure
//! call" (1990), <https://doi.org/10.1145/77648.77650>.

mod calls;
mod client;
mod server;
mod state;

pub use client::{Client, Pending};
pub use server::{Request, Server};

use self::calls::Calls;
use self::state::State;
use super::text::TEXT_BYTES;
use crate::element::Element;
use crate::error::StructureError;
use crate::geometry::{align_up, Geometry};
use crate::prefix::{Kind, Prefix};
use crate::region::{elem_size, open_or_create, Region};
use crate::sync::Span;
use crate::table::block_bytes;
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;

const REQUESTS: u64 = 24;
const SPACE: u64 = 28;
const CLOSED: u64 = 32;
const CONTROL_BYTES: u64 = 40;

const GENERATION: u64 = 4;
const CLIENT: u64 = 8;
const ANSWER: u64 = 12;
const PAYLOAD: u64 = 16;

/// Searches are linear in it.
const MAX_CALLS: u64 = 1 << 16;

/// Calls that parties make and others answer: a request of type `Req`, a response of type `Resp`. Copy it freely.
///
/// Any number of [clients](Service::client) and any number of [servers](Service::server), in any processes. Each call is
/// taken by one server, and its answer goes to who made it. As many calls can be under way at once as the service has places.
///
/// ```
/// use zeroipc_nostd::{CallError, FormatOptions, Region, Service, Span};
///
/// # let mut memory = vec![0_u64; 1024];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// // From degrees Celsius to degrees Fahrenheit; eight calls at a time.
/// let service = Service::<f32, f32>::create(region, "fahrenheit", 8)?;
///
/// // A client asks, and has other things to do ...
/// let client = service.client();
/// let pending = client.try_request(100.0)?;
/// assert_eq!(pending.try_get(), Err(CallError::Pending));
///
/// // ... a server, in another process, answers ...
/// let server = Service::<f32, f32>::open(region, "fahrenheit")?.server();
/// let request = server.try_next()?;
/// let celsius = request.get();
/// request.reply(celsius * 1.8 + 32.0)?;
///
/// // ... and the client has it. With a notifier all three lines of it are `client.call(100.0)`.
/// assert_eq!(pending.try_get(), Ok(212.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **Large messages** do not go through the service. Put them into slots of a [`Pool`](crate::Pool) and send handles:
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Handle, Pool, Region, Service, Span};
///
/// # let mut memory = vec![0_u64; 8192];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// # let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let frames = Pool::<[u8; 4096]>::create(region, "frames", 4)?;
/// let invert = Service::<Handle, Handle>::create(region, "invert", 4)?;
/// let client = invert.client();
///
/// let mut frame = frames.try_alloc()?;
/// frame.write([7; 4096]);
/// let pending = client.try_request(frame.into_handle())?;
///
/// let server = invert.server();
/// let request = server.try_next()?;
/// let mut frame = frames.from_handle(request.get())?;
/// frame.write(frame.read().map(|byte| !byte));
/// request.reply(frame.into_handle())?;
///
/// let frame = frames.from_handle(pending.try_get()?)?;
/// assert_eq!(frame.read(), [!7; 4096]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **When a party dies**, and the parties opened the service through a region with [`Region::with_party`]: the calls that a dead
/// server had taken fail with [`CallError::Broken`](crate::CallError::Broken) within 100 ms of when the death is known, and those
/// that it had not taken are taken by others. The places of a dead client come back when a client waits for one, or by
/// [`Service::reclaim`]. A party that is stopped keeps what it has in hand, and holds up nobody else.
///
/// Needs compare-and-exchange. Requests at one place are counted modulo 2^27: a party that is stopped inside an operation while exactly
/// so many are made there may take an old one for the present one.
pub struct Service<'a, Req, Resp> {
    calls: Calls<'a, Req, Resp>,
}

impl<Req, Resp> Clone for Service<'_, Req, Resp> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Req, Resp> Copy for Service<'_, Req, Resp> {}

impl<Req, Resp> fmt::Debug for Service<'_, Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("capacity", &self.calls.capacity()).finish_non_exhaustive()
    }
}

impl<'a, Req: Element, Resp: Element> Service<'a, Req, Resp> {
    /// Creates a service with places for `capacity` calls at once, 1 to 65536.
    ///
    /// Calls that were given up count while a server has them in hand. Client and server look at every place when they search,
    /// so more than are needed cost time. Linear in the capacity. Lock-free; a party that dies inside leaks at most the
    /// service's memory.
    ///
    /// # Errors
    /// [`StructureError`]: a bad or taken name, no room in table or memory, a capacity of 0 or above the limit, a request or response of
    /// no size, a region without compare-and-exchange.
    pub fn create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::SERVICE });
        }
        let prefix = prefix::<Req, Resp>(region.geometry(), capacity)?;
        let max = max_calls(u64::from(prefix.elem_size) + u64::from(prefix.extra));
        let bad = StructureError::BadCapacity { capacity: capacity as u64, min: 1, max };
        let layout = Layout::of(&prefix).ok_or(bad)?;
        region.create_structure(name, prefix, layout.size, |span| {
            // All zero is the initial state: no sleeper, open, free. Requests and responses are written before they are read.
            span.clear(REQUESTS, layout.calls - REQUESTS);
            (0..layout.capacity).for_each(|call| {
                span.clear(layout.calls + call * layout.stride, PAYLOAD);
            });
            Some(layout.size)
        })?;
        Self::open(region, name)
    }

    /// Opens a service.
    ///
    /// # Errors
    /// [`StructureError`]: no such name, another kind, another size of request or response, a corrupt structure, a region or
    /// target without compare-and-exchange.
    pub fn open(region: impl Into<Region<'a>>, name: &str) -> Result<Self, StructureError> {
        let region = region.into();
        let found = region.open_structure(name, Kind::SERVICE, elem_size::<Req>()?)?;
        if !region.has_cas() {
            return Err(StructureError::NeedsCas { kind: Kind::SERVICE });
        }
        let (expected, extra) = (elem_size::<Resp>()?, found.prefix.extra);
        if extra != expected {
            let name = found.name;
            return Err(StructureError::WrongElementSize { name, expected, found: extra });
        }
        let corrupt = found.corrupt("its capacity");
        let layout = Layout::of(&found.prefix).ok_or(corrupt)?;
        let calls = Calls::at(found.span, &layout, &region).ok_or(found.corrupt("its size"))?;
        Ok(Service { calls })
    }

    /// Opens the service, or creates it with places for `capacity` calls if there is none.
    ///
    /// # Errors
    /// As [`Service::open`] and [`Service::create`]; [`StructureError::WrongCapacity`] if it exists with another capacity.
    pub fn open_or_create(
        region: impl Into<Region<'a>>,
        name: &str,
        capacity: usize,
    ) -> Result<Self, StructureError> {
        let region = region.into();
        let service =
            open_or_create(|| Self::open(region, name), || Self::create(region, name, capacity))?;
        if service.capacity() != capacity {
            let (expected, found) = (capacity as u64, service.capacity() as u64);
            let name = crate::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected, found });
        }
        Ok(service)
    }

    /// Bytes that a service with places for `capacity` calls takes in a region at most; `None` if there can't be one.
    #[must_use]
    pub fn footprint(geometry: Geometry, capacity: usize) -> Option<u64> {
        let prefix = prefix::<Req, Resp>(geometry, capacity).ok()?;
        block_bytes(geometry, Layout::of(&prefix)?.size)
    }

    /// A client: makes calls. As many as you like; one for each thread keeps them from looking at the same places.
    #[must_use]
    pub fn client(&self) -> Client<'a, Req, Resp> {
        Client::new(self.calls)
    }

    /// A server: answers calls. As many as you like.
    #[must_use]
    pub fn server(&self) -> Server<'a, Req, Resp> {
        Server::new(self.calls)
    }

    /// Ends the service: no more requests are taken in. Wakes all that wait in it; linear in the capacity.
    ///
    /// Calls that a server has taken are still answered. Those that none has taken fail with
    /// [`CallError::Closed`](crate::CallError::Closed), unless a server comes first; servers are told
    /// [`NextError::Closed`](crate::NextError::Closed) when they find no more. If this party dies inside, the service is closed or not,
    /// and sleepers find out within 100 ms.
    pub fn close(&self) {
        self.calls.close();
    }

    /// Whether somebody closed it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }

    /// Gives back the places of clients that are known to be dead, and breaks the calls that dead servers had taken; returns
    /// how many places became free. Lock-free, linear in the number of places.
    ///
    /// Does nothing unless the service was opened through a region with [`Region::with_party`], which says how to learn who is
    /// dead. A client that waits for a place does this by itself.
    pub fn reclaim(&self) -> usize {
        self.calls.reclaim()
    }

    /// How many calls can be under way at once.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.calls.capacity()
    }

    /// How many places are taken, by calls under way and by answers that were not fetched: each is looked at once.
    #[must_use]
    pub fn in_use(&self) -> usize {
        (0..self.calls.capacity()).filter(|place| self.calls.is_in_use(*place)).count()
    }
}

fn prefix<Req: Element, Resp: Element>(
    geometry: Geometry,
    capacity: usize,
) -> Result<Prefix, StructureError> {
    let mut prefix = Prefix::new(Kind::SERVICE, geometry, elem_size::<Req>()?, capacity as u64);
    prefix.extra = elem_size::<Resp>()?;
    Ok(prefix)
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    calls: u64,
    /// Within a place.
    request: u64,
    response: u64,
    text: u64,
    stride: u64,
    capacity: u64,
    size: u64,
}

impl Layout {
    /// By the prefix; `None` if it is not one that [`Service::create`] writes.
    fn of(prefix: &Prefix) -> Option<Self> {
        let line = u64::from(prefix.geometry.ok()?.line_bytes());
        let (request, response) = (u64::from(prefix.elem_size), u64::from(prefix.extra));
        let capacity = prefix.capacity;
        let possible = [request, response].iter().all(|size| (1..=1 << 30).contains(size))
            && (1..=max_calls(request + response)).contains(&capacity);
        if !possible {
            return None;
        }
        let align = |size: u64| (1 << size.trailing_zeros()).min(16).min(line);
        let request_at = align_up(PAYLOAD, align(request))?;
        let response_at = align_up(request_at + request, align(response))?;
        let text = align_up(response_at + response, 8)?;
        let stride = align_up(text + TEXT_BYTES, line)?;
        let calls = align_up(CONTROL_BYTES, line)?;
        let size = calls.checked_add(stride.checked_mul(capacity)?)?;
        Some(Layout {
            calls,
            request: request_at,
            response: response_at,
            text,
            stride,
            capacity,
            size,
        })
    }
}

/// The limit, and half of what a pointer can reach, for places with a payload of so many bytes.
fn max_calls(payload: u64) -> u64 {
    MAX_CALLS.min(isize::MAX as u64 / 2 / (payload + 512))
}

/// How many places of the service that begins `span` are taken, for a view; `None` if it does not fit into it.
pub(crate) fn fill(span: Span<'_>, prefix: &Prefix) -> Option<u64> {
    let layout = Layout::of(prefix).filter(|layout| layout.size <= span.len() as u64)?;
    let capacity = usize::try_from(layout.capacity).ok()?;
    let states = span.words::<u32>(layout.calls, usize::try_from(layout.stride).ok()?, capacity)?;
    let taken = (0..capacity)
        .filter_map(|call| states.get(call))
        .filter(|state| State::of(state.load(Relaxed)) != State::Free);
    Some(taken.count() as u64)
}
