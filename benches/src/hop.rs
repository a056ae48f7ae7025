//! The hop: how long a cache line takes from one core to the other, which is what everything else is measured in.

use std::fmt;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Round trips of one calibration: 0.1 to 0.6 ms.
const ROUNDS: u64 = 1000;

/// Below this the two cores share a cache; see [`Class`].
const NEAR_NANOS: f64 = 150.0;

/// A word that has two lines to itself, since some machines fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Lone(pub(crate) AtomicU64);

/// Two words in two lines, each written by one side.
#[derive(Debug, Default)]
pub(crate) struct Hop {
    ping: Lone,
    pong: Lone,
}

impl Hop {
    /// The leader's side: nanoseconds for one way. Both sides must come here at about the same time.
    pub(crate) fn lead(&self) -> f64 {
        let first = self.ping.0.load(Ordering::Relaxed) + 1;
        let start = Instant::now();
        for turn in first..first + ROUNDS {
            self.ping.0.store(turn, Ordering::Release);
            while self.pong.0.load(Ordering::Acquire) != turn {}
        }
        start.elapsed().as_secs_f64() * 1e9 / (2 * ROUNDS) as f64
    }

    /// The follower's side.
    pub(crate) fn follow(&self) {
        let first = self.pong.0.load(Ordering::Relaxed) + 1;
        for turn in first..first + ROUNDS {
            while self.ping.0.load(Ordering::Acquire) != turn {}
            self.pong.0.store(turn, Ordering::Release);
        }
    }
}

/// Where the two cores were during a repetition. On a virtual machine this changes by the minute, so repetitions are
/// compared only within a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// They share a last-level cache.
    Near,
    /// They don't.
    Far,
}

impl Class {
    pub(crate) fn of(hop_nanos: f64) -> Self {
        if hop_nanos < NEAR_NANOS {
            Class::Near
        } else {
            Class::Far
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Class::Near => "near",
            Class::Far => "far",
        })
    }
}

/// What a side does after a failed poll in a throughput window; the same for every contender.
///
/// Without it the poller takes away the line that its peer is about to write.
#[inline(always)]
pub(crate) fn pause() {
    for _ in 0..16 {
        spin_loop();
    }
}
