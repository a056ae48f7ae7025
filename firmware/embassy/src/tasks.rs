//! Core 1: an embassy executor and its tasks.
//!
//! The executor's loop is the one that `embassy-executor` has for Cortex-M, but that it sleeps by WFI where that one sleeps by WFE: QEMU
//! takes WFE for a pause, so nobody could tell a task that sleeps from one that polls.

use crate::control::result_of;
use crate::log;
use crate::shared::{Failure, Shared, OF_CORE_1};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use embassy_executor::raw::Executor;
use static_cell::StaticCell;
use zeroipc_mps2_an521::{device_memory, exit, say, sleep_if};
use zeroipc_nostd::{NextError, WakerTable};
use zeroipc_raw::RawRegion;

/// Wakers of the tasks that wait.
pub static WAKERS: WakerTable<8> = WakerTable::new();

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static MEMORY: StaticCell<RawRegion> = StaticCell::new();

/// Whether a task is to be polled.
static PENDING: AtomicBool = AtomicBool::new(false);
static TURNS: AtomicU32 = AtomicU32::new(0);
static DOORBELLS: AtomicU32 = AtomicU32::new(0);
static TICKS: AtomicU32 = AtomicU32::new(0);

/// The executor's way to be called; from tasks and interrupts.
#[export_name = "__pender"]
fn pend(_: *mut ()) {
    PENDING.store(true, SeqCst);
}

/// Core 0 has rung.
pub fn on_ring() {
    DOORBELLS.fetch_add(1, SeqCst);
    WAKERS.ring();
}

/// For peers that are reset before they ring.
pub fn on_tick() {
    TICKS.fetch_add(1, SeqCst);
    WAKERS.ring();
}

pub fn run() -> ! {
    let executor: &'static Executor = EXECUTOR.init(Executor::new(core::ptr::null_mut()));
    let outcome = open().and_then(|shared| {
        log::what_can_go_wrong(&shared);
        let spawner = executor.spawner();
        spawner.spawn(work(shared).map_err(|_| Failure::Tasks)?);
        spawner.spawn(listen(shared).map_err(|_| Failure::Tasks)?);
        spawner.spawn(end(shared).map_err(|_| Failure::Tasks)?);
        shared.ready.set();
        Ok(())
    });
    if let Err(failure) = outcome {
        fail(failure);
    }
    loop {
        TURNS.fetch_add(1, SeqCst);
        // SAFETY: here only, never within itself.
        unsafe { executor.poll() };
        while !PENDING.swap(false, SeqCst) {
            sleep_if(|| !PENDING.load(SeqCst));
        }
    }
}

fn fail(failure: Failure) -> ! {
    say!("core 1: {failure:?}");
    exit(1)
}

fn open() -> Result<Shared, Failure> {
    let memory = MEMORY.init(device_memory()?);
    let region = memory.open()?.with_notifier(&OF_CORE_1);
    Ok(Shared::open(region)?)
}

/// Does the jobs. Waits for jobs, and for space for results.
#[embassy_executor::task]
async fn work(shared: Shared) {
    loop {
        let done = match shared.jobs.pop_async().await {
            Ok(job) => shared.results.push_async(result_of(job)).await.is_ok(),
            Err(_) => false,
        };
        if !done {
            fail(Failure::Waiting);
        }
    }
}

/// Hears all readings, or exactly how many it missed.
#[embassy_executor::task]
async fn listen(shared: Shared) {
    let Ok(mut readings) = shared.readings.subscribe_from_oldest() else { fail(Failure::Tasks) };
    let (mut received, mut missed) = (0, 0);
    loop {
        match readings.next_async().await {
            Ok(_) => received += 1,
            Err(NextError::Lagged { missed: more }) => missed += more as u32,
            Err(NextError::Closed) => break,
            Err(_) => fail(Failure::Waiting),
        }
    }
    if shared.told.push_async([received, missed, 0]).await.is_err() {
        fail(Failure::Waiting);
    }
}

/// Tells what it took, when it is over.
#[embassy_executor::task]
async fn end(shared: Shared) {
    let over = shared.stop.wait_async().await.is_ok();
    let counts = [TURNS.load(SeqCst), DOORBELLS.load(SeqCst), TICKS.load(SeqCst)];
    if !over || shared.told.push_async(counts).await.is_err() {
        fail(Failure::Waiting);
    }
}
