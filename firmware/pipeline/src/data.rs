//! The items: plain data, the same for every word size.

use crate::BATCH;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A value on its way, with what is needed to find out whether it arrived once, whole and in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Sample {
    /// Its place in the flow.
    pub sequence: u32,
    /// The value.
    pub value: i32,
    /// Made from both and from the session.
    pub check: u32,
}

impl Sample {
    /// A sample of the region's session `session`.
    #[must_use]
    pub fn new(sequence: u32, value: i32, session: u32) -> Self {
        Sample { sequence, value, check: mixed(mixed(sequence ^ session) ^ value as u32) }
    }

    /// What a sensor with some noise shows at this place.
    #[must_use]
    pub fn measured(sequence: u32, offset: i32, session: u32) -> Self {
        let (phase, noise) = ((sequence & 0xfff) as i32, (mixed(sequence) & 0xff) as i32);
        Sample::new(sequence, (phase - 0x800).abs() * 16 + noise + offset, session)
    }

    /// The only right reply to it.
    #[must_use]
    pub fn replied(&self, session: u32) -> Self {
        Sample::new(self.sequence, !self.value, session)
    }

    /// Whether it is of this session, and whole.
    #[must_use]
    pub fn is_intact(&self, session: u32) -> bool {
        *self == Sample::new(self.sequence, self.value, session)
    }
}

/// Spreads the bits of `x`, so that one wrong bit changes many.
fn mixed(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    (x ^ (x >> 15)).wrapping_mul(0x846c_a68b) ^ x
}

/// What is expected of a flow: each place once, in order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sequence {
    next: Option<u32>,
    /// How many items came.
    pub received: u32,
    /// How many of them were not what was expected.
    pub wrong: u32,
}

impl Sequence {
    /// Of a flow that begins now: the first item has place 0.
    #[must_use]
    pub fn from_start() -> Self {
        Sequence { next: Some(0), ..Self::default() }
    }

    /// Of a flow that another party had received before: whatever place comes first is right.
    #[must_use]
    pub fn from_anywhere() -> Self {
        Self::default()
    }

    /// Takes the next item.
    pub fn take(&mut self, sample: &Sample, session: u32) {
        let in_turn = self.next.is_none_or(|next| next == sample.sequence);
        self.received = self.received.wrapping_add(1);
        if !in_turn || !sample.is_intact(session) {
            self.wrong = self.wrong.wrapping_add(1);
        }
        self.next = Some(sample.sequence.wrapping_add(1));
    }
}

/// A flow from the sensor: makes a batch only when the last one is sent.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    batch: [Sample; BATCH],
    sent: usize,
    session: u32,
    offset: i32,
}

impl Source {
    /// Begins at place 0.
    #[must_use]
    pub fn new(session: u32, offset: i32) -> Self {
        let mut source = Source { batch: [Sample::new(0, 0, 0); BATCH], sent: 0, session, offset };
        source.measure(0);
        source
    }

    fn measure(&mut self, first: u32) {
        for (sample, sequence) in self.batch.iter_mut().zip(0..) {
            *sample = Sample::measured(first.wrapping_add(sequence), self.offset, self.session);
        }
        self.sent = 0;
    }

    /// What is to be sent next.
    #[must_use]
    pub fn rest(&self) -> &[Sample] {
        self.batch.get(self.sent..).unwrap_or(&[])
    }

    /// So many of them were sent.
    pub fn advance(&mut self, count: usize) {
        self.sent += count;
        if let ([], Some(last)) = (self.rest(), self.batch.last()) {
            self.measure(last.sequence.wrapping_add(1));
        }
    }
}

/// A low-pass filter of integers: the same on every machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Smooth {
    level: i32,
}

impl Smooth {
    /// The filtered value after `value`.
    pub fn next(&mut self, value: i32) -> i32 {
        self.level = self.level.wrapping_add(value.wrapping_sub(self.level) >> 3);
        self.level
    }
}

/// What core 1 finds out about the sensor before core 0 may sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Calibration {
    /// Added to each value.
    pub offset: i32,
    /// The session for which it holds.
    pub session: u32,
}

/// What Linux asks of the cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Command {
    /// Which one; [`Command::STOP`] ends the firmware.
    pub number: u32,
    /// What it is about.
    pub operand: u32,
    /// The session of the region of Linux.
    pub session: u32,
}

impl Command {
    /// Ends the firmware.
    pub const STOP: u32 = u32::MAX;

    /// The only right answer.
    #[must_use]
    pub fn answered_by(&self, core: u32) -> Answer {
        Answer { number: self.number, result: mixed(self.operand), core, session: self.session }
    }
}

/// What a core answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Answer {
    /// The command's.
    pub number: u32,
    /// Made from the command's operand.
    pub result: u32,
    /// Who answers.
    pub core: u32,
    /// The command's.
    pub session: u32,
}

/// How far a core is since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Status {
    /// Items that came from the other core.
    pub from_core: u32,
    /// Items that came from Linux.
    pub from_host: u32,
    /// Items that were not what was expected.
    pub wrong: u32,
    /// Requests (of core 1) or replies (of core 0) that came.
    pub calls: u32,
    /// Values of the stream that core 0 took.
    pub levels: u32,
    /// Commands answered.
    pub answered: u32,
    /// The session of the region of Linux that it uses now; 0 without.
    pub host_session: u32,
    /// How many sessions of Linux it has seen.
    pub host_sessions: u32,
}

/// How far the process on Linux is since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct HostStatus {
    /// Readings that came, in this session of the device.
    pub readings: u32,
    /// Values of the stream that came, in this session of the device.
    pub levels: u32,
    /// Setpoints sent, in all.
    pub setpoints: u32,
    /// Commands that were answered, each once and rightly, in this session of the device.
    pub answered: u32,
    /// Items that were not what was expected, in all.
    pub wrong: u32,
    /// The session of the device's region that it uses now; 0 without.
    pub device_session: u32,
    /// How many sessions of the device it has seen.
    pub device_sessions: u32,
}
