//! Core 0: gives jobs in bursts, takes results, and checks both.

use crate::shared::{Failure, Shared, BURST, BURSTS};
use static_cell::StaticCell;
use zeroipc_mps2_an521::{device_memory, nanoseconds, release_core_1, say};
use zeroipc_nostd::PushError;
use zeroipc_raw::RawRegion;

static MEMORY: StaticCell<RawRegion> = StaticCell::new();

/// How long core 1 has nothing to do after each burst.
const PAUSE: u64 = 20_000_000;

/// What a job comes to.
pub fn result_of(job: u32) -> u32 {
    job.wrapping_mul(job) ^ 0x5A5A
}

pub fn run() -> Result<(), Failure> {
    let memory = MEMORY.init(device_memory()?);
    let shared = Shared::create(memory)?;
    release_core_1();
    shared.ready.wait().map_err(|_| Failure::Waiting)?;

    let mut work = Work { shared, given: 0, taken: 0 };
    for burst in 1..=BURSTS {
        shared.readings.emit(burst).map_err(|_| Failure::Waiting)?;
        work.do_until(burst * BURST)?;
        let later = nanoseconds() + PAUSE;
        while nanoseconds() < later {}
    }
    shared.readings.close().map_err(|_| Failure::Waiting)?;
    let [received, missed, _] = shared.told.pop().map_err(|_| Failure::Waiting)?;
    shared.stop.set();
    let [turns, doorbells, ticks] = shared.told.pop().map_err(|_| Failure::Waiting)?;

    say!(
        "core 0: {} jobs given and {} results taken, each once and in order",
        work.given,
        work.taken
    );
    say!("core 1: {received} readings received, {missed} missed");
    say!("core 1: {turns} turns of its executor, {doorbells} doorbells, {ticks} ticks");
    if received + missed != BURSTS || work.taken != BURSTS * BURST {
        return Err(Failure::Lost);
    }
    // One turn in which the tasks began; each other one was ended by an interrupt.
    if turns > 1 + doorbells + ticks || doorbells == 0 {
        return Err(Failure::Polled);
    }
    Ok(())
}

struct Work {
    shared: Shared,
    given: u32,
    taken: u32,
}

impl Work {
    /// Gives jobs and takes results until there were `count` of each.
    fn do_until(&mut self, count: u32) -> Result<(), Failure> {
        while self.taken < count {
            let full = self.given == count
                || match self.shared.jobs.try_push(self.given) {
                    Ok(()) => {
                        self.given += 1;
                        false
                    }
                    Err(PushError::Full(_)) => true,
                    Err(_) => return Err(Failure::Waiting),
                };
            if full {
                // Sleeps until core 1 rings.
                let result = self.shared.results.pop().map_err(|_| Failure::Waiting)?;
                if result != result_of(self.taken) {
                    return Err(Failure::Wrong { job: self.taken, result });
                }
                self.taken += 1;
            }
        }
        Ok(())
    }
}
