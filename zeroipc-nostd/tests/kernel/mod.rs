//! A kernel's futex in the model: comparing and going to sleep is one step. Its clock stands still, so nobody wakes by time,
//! and a sleeper that nobody wakes is a deadlock, which loom reports.

use loom::sync::{Condvar, Mutex};
use std::sync::Arc;
use zeroipc_nostd::{Wait, WaitWord};

#[derive(Debug)]
pub(crate) struct Kernel {
    /// How many ever went to sleep, and how many of them (the first) were woken.
    sleepers: Mutex<(u32, u32)>,
    woken: Condvar,
}

impl Kernel {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Kernel { sleepers: Mutex::new((0, 0)), woken: Condvar::new() })
    }
}

impl Wait for Kernel {
    fn now(&self) -> u64 {
        0
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, _deadline: u64) {
        let mut sleepers = self.sleepers.lock().unwrap();
        if word.load() == expected {
            let place = sleepers.0;
            sleepers.0 += 1;
            while sleepers.1 <= place {
                sleepers = self.woken.wait(sleepers).unwrap();
            }
        }
    }

    fn wake(&self, _word: WaitWord<'_>, count: u32) -> u32 {
        let mut sleepers = self.sleepers.lock().unwrap();
        let woken = count.min(sleepers.0 - sleepers.1);
        sleepers.1 += woken;
        drop(sleepers);
        self.woken.notify_all();
        woken
    }

    fn spins(&self) -> u32 {
        0
    }
}
