//! Parties that stop for ever: unlike an abandoned one, a buried party does not even run its destructors.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use crate::memory::Memory;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use zeroipc_nostd::testing::run;
use zeroipc_nostd::{FormatOptions, Geometry, Liveness, PartyId, Region, WordSize};

/// A region that lives as long as the process, like the threads that are stopped in it.
pub fn region() -> Region<'static> {
    let memory = Box::leak(Box::new(Memory::filled(1024, 0xA5)));
    let geometry = Geometry::new(WordSize::Four, 16).unwrap();
    memory.region(FormatOptions::new().max_entries(4).geometry(geometry))
}

/// Runs `operation` in a thread that stops for ever before its access number `step`; `Some` if it finished before.
pub fn bury_at<R: Send + 'static>(
    step: u64,
    operation: impl FnOnce() -> R + Send + 'static,
) -> Option<R> {
    let (tell, told) = channel();
    thread::spawn(move || {
        let grave = tell.clone();
        let hook = move |n| {
            if n == step {
                grave.send(None).unwrap();
                loop {
                    thread::park();
                }
            }
        };
        let (result, _) = run(hook, operation);
        let _ = tell.send(Some(result));
    });
    told.recv().unwrap()
}

/// Those are dead whose bit is set.
#[derive(Debug, Default)]
pub struct Graveyard(AtomicU64);

impl Graveyard {
    pub fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    pub fn bury(&self, party: PartyId) {
        self.0.fetch_or(1 << party.number(), SeqCst);
    }
}

impl Liveness for Graveyard {
    fn is_dead(&self, party: PartyId) -> bool {
        self.0.load(SeqCst) >> party.number() & 1 != 0
    }
}

pub fn id(number: u32) -> PartyId {
    PartyId::new(number).unwrap()
}
