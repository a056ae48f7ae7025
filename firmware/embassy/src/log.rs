//! The log, through defmt: codes on the second UART, whose texts are in the program's file only.

use crate::shared::Shared;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use zeroipc_mps2_an521::{host_memory, Console};
use zeroipc_nostd::Queue;

/// Logs what fails on purpose, so that one sees how errors and structures look in a log.
pub fn what_can_go_wrong(shared: &Shared) {
    // Nobody has created a region there.
    if let Err(error) = host_memory().and_then(|memory| memory.open().map(|_| ())) {
        defmt::error!("region: {}", error);
    }
    let region = shared.region;
    if let Err(error) = Queue::<u32>::open(region, "nothing") {
        defmt::error!("structure: {}", error);
    }
    if let Err(error) = Queue::<u64>::open(region, "jobs") {
        defmt::error!("structure: {}", error);
    }
    if let Err(error) = shared.told.try_pop() {
        defmt::warn!("operation: {}", error);
    }
    if let Some(entry) =
        region.view().entries().flatten().find(|entry| entry.name.as_str() == "jobs")
    {
        match region.view().inspect(&entry) {
            Ok(info) => defmt::info!("jobs: {}", info),
            Err(error) => defmt::error!("jobs: {}", error),
        }
    }
}

/// Used on core 1 only, and by no interrupt.
#[defmt::global_logger]
struct SecondUart;

static TAKEN: AtomicBool = AtomicBool::new(false);
static ENCODER: Encoder = Encoder(core::cell::UnsafeCell::new(defmt::Encoder::new()));

struct Encoder(core::cell::UnsafeCell<defmt::Encoder>);

// SAFETY: used between `acquire` and `release` only, which let in one at a time.
unsafe impl Sync for Encoder {}

impl Encoder {
    /// # Safety
    /// By who has acquired the logger, and not within itself.
    unsafe fn with(&self, use_it: impl FnOnce(&mut defmt::Encoder)) {
        // SAFETY: the caller's promise.
        use_it(unsafe { &mut *self.0.get() });
    }
}

// SAFETY: `acquire` lets in one at a time: one core logs, in no interrupt, and a second would wait.
unsafe impl defmt::Logger for SecondUart {
    fn acquire() {
        while TAKEN.swap(true, SeqCst) {}
        // SAFETY: acquired.
        unsafe { ENCODER.with(|encoder| encoder.start_frame(Console::send_to_second)) };
    }

    unsafe fn flush() {}

    unsafe fn release() {
        // SAFETY: still acquired.
        unsafe { ENCODER.with(|encoder| encoder.end_frame(Console::send_to_second)) };
        TAKEN.store(false, SeqCst);
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: acquired, by the caller's promise.
        unsafe { ENCODER.with(|encoder| encoder.write(bytes, Console::send_to_second)) };
    }
}
