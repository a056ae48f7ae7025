//! A Cortex-M0 has no compare-and-exchange. What works by loads and stores alone works here too: a Ring, a Signal of one
//! writer, a Stream of one publisher, a Future, an Array.
//!
//! The parties are the main loop and an interrupt, which comes at any moment. At the end the region is saved as a file, for
//! the inspector on Linux.
#![no_std]
#![no_main]

mod board;

use board::{exit, save, sleep, start_ticking};
use core::cell::UnsafeCell;
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Future, Geometry, NextError, PopError, Producer, Promise,
    Publisher, Queue, Region, Ring, Signal, SignalWriter, Stream, StreamOptions, StructureError,
    Subscriber,
};
use zeroipc_raw::RawRegion;

/// How many items the interrupt sends.
const ITEMS: u32 = 1_000_000;
/// How many at a time at most.
const BATCH: usize = 64;
/// Cycles between two ticks.
const CYCLES: u32 = 4000;

/// The memory, where the interrupt finds it, too.
static MEMORY: Private<RawRegion> = Private::new();
/// What belongs to the interrupt.
static SENDER: Private<Sender> = Private::new();

/// What only one party uses, or nobody changes.
struct Private<T>(UnsafeCell<Option<T>>);

// SAFETY: filled before the interrupt is let loose; afterwards `MEMORY` is only read, and `SENDER` is the interrupt's alone.
unsafe impl<T> Sync for Private<T> {}

impl<T> Private<T> {
    const fn new() -> Self {
        Private(UnsafeCell::new(None))
    }

    /// # Safety
    /// Only once, before the interrupt is let loose.
    unsafe fn fill(&'static self, value: T) -> Option<&'static T> {
        let place = self.0.get();
        // SAFETY: nobody else reaches it now (contract).
        unsafe { *place = Some(value) };
        // SAFETY: as above.
        unsafe { (*place).as_ref() }
    }

    /// # Safety
    /// Only by the party that it belongs to, which holds no other reference to it.
    #[allow(clippy::mut_from_ref)] // the contract says that there is one reference
    unsafe fn get(&'static self) -> Option<&'static mut T> {
        let place = self.0.get();
        // SAFETY: nobody else reaches it (contract).
        unsafe { (*place).as_mut() }
    }
}

/// What the interrupt does.
struct Sender {
    items: Producer<'static, u32>,
    next: u32,
    ticks: Publisher<'static, u32>,
    count: u32,
    sent: SignalWriter<'static, [u32; 2]>,
    done: Option<Promise<'static, u32>>,
}

/// What the main loop takes.
struct Receiver {
    items: zeroipc_nostd::Consumer<'static, u32>,
    ticks: Subscriber<'static, u32>,
    sent: Signal<'static, [u32; 2]>,
    done: Future<'static, u32>,
    counts: Array<'static, u32>,
}

/// Creates everything: without compare-and-exchange one party does.
fn create(region: Region<'static>) -> Result<(Sender, Receiver), StructureError> {
    let items = Ring::create(region, "items", 256)?;
    let ticks = Stream::create_with(region, "ticks", 8, &StreamOptions::new().single_publisher())?;
    let sent = Signal::create_single_writer(region, "sent", [0; 2], 4)?;
    let done = Future::create(region, "done")?;
    let counts = Array::create(region, "counts", 3)?;
    // Nobody else has any of the roles.
    let nobody = StructureError::Stale;
    let sender = Sender {
        items: items.producer().map_err(|_| nobody)?,
        next: 0,
        ticks: ticks.publisher().map_err(|_| nobody)?,
        count: 0,
        sent: sent.writer().map_err(|_| nobody)?,
        done: Some(done.promise().map_err(|_| nobody)?),
    };
    let receiver = Receiver {
        items: items.consumer().map_err(|_| nobody)?,
        ticks: ticks.subscribe().map_err(|_| nobody)?,
        sent,
        done,
        counts,
    };
    Ok((sender, receiver))
}

fn main() -> ! {
    let Ok(memory) = board::region() else { exit(1) };
    // SAFETY: once, before the interrupt.
    let Some(memory) = (unsafe { MEMORY.fill(memory) }) else { exit(1) };
    let options = FormatOptions::new()
        .geometry(Geometry::SMALLEST)
        .capability(Capability::LoadStore)
        .max_entries(8);
    let Ok(region) = memory.create(&options) else {
        say!("no region");
        exit(1)
    };
    match Queue::<u32>::create(region, "queue", 8) {
        Err(StructureError::NeedsCas { kind }) => {
            say!("as it must be: a {kind:?} needs compare-and-exchange");
        }
        other => {
            say!("a queue without compare-and-exchange: {other:?}");
            exit(1)
        }
    }
    let (sender, receiver) = match create(region) {
        Ok(both) => both,
        Err(error) => {
            say!("{error:?}");
            exit(1)
        }
    };
    // SAFETY: once, before the interrupt.
    unsafe { SENDER.fill(sender) };
    start_ticking(CYCLES);
    match receive(receiver) {
        Ok([items, ticks, missed]) => {
            say!("{items} items, each once; {ticks} ticks, {missed} missed as told");
        }
        Err(what) => {
            say!("wrong: {what}");
            exit(1)
        }
    }
    if !save(memory, "zeroipc-cortex-m0.region\0") {
        say!("the region could not be saved");
        exit(1)
    }
    exit(0)
}

/// The interrupt.
fn tick() {
    // SAFETY: the interrupt's alone, and it does not interrupt itself.
    let Some(sender) = (unsafe { SENDER.get() }) else { return };
    let mut batch = [0; BATCH];
    batch.iter_mut().zip(sender.next..ITEMS).for_each(|(item, value)| *item = value);
    let left = BATCH.min((ITEMS - sender.next) as usize);
    let rest = batch.get(..left).unwrap_or(&[]);
    let count = sender.items.try_push_slice(rest).unwrap_or(0);
    sender.next += count as u32;
    if sender.next == ITEMS {
        if let Some(done) = sender.done.take() {
            // The main loop finds out.
            let _ = done.set(sender.count);
        }
        return;
    }
    if sender.ticks.try_emit(sender.count).is_ok() {
        sender.count += 1;
    }
    sender.sent.set([sender.next, !sender.next]);
}

/// Takes all items; returns how many, and how many ticks came and were missed.
fn receive(mut from: Receiver) -> Result<[u32; 3], &'static str> {
    let (mut items, mut ticks, mut missed) = (0, 0, 0);
    loop {
        let ended = from.done.try_get().ok();
        let mut batch = [0; BATCH / 2];
        let count = match from.items.try_pop_slice(&mut batch) {
            Ok(count) => count,
            Err(PopError::Empty) => 0,
            Err(_) => return Err("the ring is corrupt"),
        };
        for item in batch.iter().take(count) {
            if *item != items {
                return Err("an item is not the next one");
            }
            items += 1;
        }
        match from.ticks.try_next() {
            Ok(tick) if tick == ticks + missed => ticks += 1,
            Ok(_) => return Err("a tick is not the next one"),
            Err(NextError::Lagged { missed: more }) => missed += more as u32,
            Err(NextError::Empty) if items == ITEMS => {
                // All were taken; the interrupt has said before how many ticks there were.
                return match ended {
                    Some(all) if all == ticks + missed => finish(&from, [items, ticks, missed]),
                    Some(_) => Err("ticks are missing"),
                    None => continue,
                };
            }
            Err(NextError::Empty) if count == 0 => sleep(),
            Err(NextError::Empty) => {}
            Err(_) => return Err("the stream is corrupt"),
        }
        match from.sent.get() {
            Ok([sent, inverted]) if sent == !inverted => {}
            _ => return Err("the signal is torn"),
        }
    }
}

fn finish(from: &Receiver, counts: [u32; 3]) -> Result<[u32; 3], &'static str> {
    from.counts.write_from(0, &counts).map_err(|_| "the array is too small")?;
    Ok(counts)
}
