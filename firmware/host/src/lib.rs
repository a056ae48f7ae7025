//! # The Linux side of the firmware examples
//!
//! [`run`] creates the region of Linux in the file that QEMU keeps the shared memory in, and takes part: it takes the device's
//! readings, sends setpoints, and lets the cores answer commands. Started again it begins another session; when the device is
//! reset it finds the device's new session and goes on in it.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc::{
    Consumer, Future, Geometry, Memory, NextError, PopError, Producer, PushError, Queue, Region,
    Ring, Signal, SignalWriter, Stream, StructureError, Subscriber, WordSize,
};
use zeroipc_firmware_pipeline::{
    names, Answer, Calibration, Command, HostStatus, Places, Sample, Sequence, Source, Status,
    BATCH, QUEUE, RING,
};

/// How long to wait before looking again for something that is not there.
const PAUSE: Duration = Duration::from_millis(2);
/// How long the cores may take to leave a session before they are taken for dead.
const LEAVING: Duration = Duration::from_secs(2);

/// Takes part in the exchange through the file at `path` until `stop` says so, which is asked again and again with the status.
///
/// # Errors
/// The region of Linux cannot be created, or the device's is of another kind.
pub fn run(
    path: &Path,
    places: &Places,
    word: WordSize,
    mut stop: impl FnMut(&HostStatus) -> bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let geometry = Geometry::new(word, 64)?;
    let mut total = HostStatus::default();
    loop {
        let last = Memory::open_within(path, places.host).map_or(0, |own| own.region().session());
        let own =
            Memory::options().geometry(geometry).create_within(path, places.host, places.size)?;
        wait_to_leave(path, places, last);
        let mut party = Party::create(own.region(), total)?;
        match party.run(path, places, &mut stop)? {
            Ended::Stopped => return Ok(()),
            // By a core that still believed to be in the last session.
            Ended::Spoilt => total = party.status,
        }
    }
}

/// Waits until the cores hold nothing of the session `last` of Linux any more, but not for ever: they may be dead.
fn wait_to_leave(path: &Path, places: &Places, last: u32) {
    let start = Instant::now();
    let is_in_it = |device: &Memory, name| {
        let status = Signal::<Status>::open(device, name).ok().and_then(|core| core.get().ok());
        status.is_some_and(|status| status.host_session == last)
    };
    while last != 0 && start.elapsed() < LEAVING {
        let Ok(device) = Memory::open_within(path, places.device) else { return };
        if !names::CORES.iter().any(|name| is_in_it(&device, name)) {
            return;
        }
        thread::yield_now();
    }
}

/// Why a session of Linux ended.
enum Ended {
    Stopped,
    Spoilt,
}

/// What Linux creates.
struct Party<'a> {
    session: u32,
    setpoints: Producer<'a, Sample>,
    source: Source,
    commands: Queue<'a, Command>,
    status: HostStatus,
    writer: SignalWriter<'a, HostStatus>,
    /// Commands sent in all.
    sent: u32,
    spoilt: bool,
}

/// What the device created in one session.
struct Device<'a> {
    region: Region<'a>,
    readings: Consumer<'a, Sample>,
    sequence: Sequence,
    answers: Queue<'a, Answer>,
    levels: Subscriber<'a, Sample>,
    calibration: Future<'a, Calibration>,
    /// Commands without an answer.
    open: Vec<Command>,
    /// The first command of this session.
    first: u32,
}

impl<'a> Device<'a> {
    fn open(region: Region<'a>, first: u32) -> Result<Self, StructureError> {
        let calibration = Future::open(region, names::CALIBRATION)?;
        let ring = Ring::<Sample>::open(region, names::READINGS)?;
        let (readings, sequence) = match ring.consumer() {
            Ok(consumer) => (consumer, Sequence::from_start()),
            // One process on Linux takes part: whoever has the role is dead.
            Err(_) => (ring.take_over_consumer(), Sequence::from_anywhere()),
        };
        let answers = Queue::open(region, names::ANSWERS)?;
        // Without backpressure anybody may subscribe, so this does not fail.
        let levels = Stream::open(region, names::LEVELS)?.subscribe();
        let levels = levels.map_err(|_| StructureError::Stale)?;
        let open = Vec::new();
        Ok(Device { region, readings, sequence, answers, levels, calibration, open, first })
    }
}

impl<'a> Party<'a> {
    fn create(region: Region<'a>, status: HostStatus) -> Result<Self, Box<dyn std::error::Error>> {
        let writer = Signal::create_single_writer(region, names::LINUX, status, 4)?.writer()?;
        let setpoints = Ring::create(region, names::SETPOINTS, RING)?.producer()?;
        // Last: who finds this one finds all.
        let commands = Queue::create(region, names::COMMANDS, QUEUE)?;
        let session = region.session();
        let source = Source::new(session, 0);
        let (sent, spoilt) = (0, false);
        Ok(Party { session, setpoints, source, commands, status, writer, sent, spoilt })
    }

    /// Takes part in one session of the device after another.
    fn run(
        &mut self,
        path: &Path,
        places: &Places,
        stop: &mut impl FnMut(&HostStatus) -> bool,
    ) -> Result<Ended, Box<dyn std::error::Error>> {
        while !stop(&self.status) {
            // Until the device has created it, there is no region, or not all that belongs into it.
            let Ok(memory) = Memory::open_within(path, places.device) else {
                thread::sleep(PAUSE);
                continue;
            };
            match Device::open(memory.region(), self.sent) {
                Ok(device) => self.exchange(device, stop),
                Err(StructureError::NotFound { .. } | StructureError::Stale) => {
                    thread::sleep(PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
            self.status.device_session = 0;
            self.writer.set(self.status);
            if self.spoilt {
                return Ok(Ended::Spoilt);
            }
        }
        Ok(Ended::Stopped)
    }

    /// Exchanges items with one session of the device.
    fn exchange(&mut self, mut device: Device<'_>, stop: &mut impl FnMut(&HostStatus) -> bool) {
        self.status.device_session = device.region.session();
        self.status.device_sessions += 1;
        (self.status.readings, self.status.answered, self.status.levels) = (0, 0, 0);
        while !self.spoilt && !stop(&self.status) {
            let mut batch = [Sample::new(0, 0, 0); BATCH];
            let popped = device.readings.try_pop_slice(&mut batch);
            let answer = device.answers.try_pop();
            let place = device.levels.sequence();
            let level = device.levels.try_next();
            // Only what came out of a region that is still the same was sent to us.
            if !device.region.is_current()
                || popped == Err(PopError::Corrupt)
                || answer == Err(PopError::Corrupt)
                || level == Err(NextError::Corrupt)
            {
                return;
            }
            let count = popped.unwrap_or(0);
            self.take(&mut device, &batch[..count]);
            if let Ok(answer) = answer {
                self.settle(&mut device, &answer);
            }
            if let Ok(level) = level {
                let is_right = level.sequence == place as u32;
                self.status.wrong +=
                    u32::from(!is_right || !level.is_intact(self.status.device_session));
                self.status.levels += 1;
            }
            let sent = self.send(&mut device);
            self.writer.set(self.status);
            if count == 0 && answer.is_err() && level.is_err() && !sent {
                thread::yield_now();
            }
        }
    }

    /// Checks readings.
    fn take(&mut self, device: &mut Device<'_>, readings: &[Sample]) {
        let session = device.region.session();
        let offset = device.calibration.try_get().map_or(0, |calibration| calibration.offset);
        for reading in readings {
            let before = device.sequence.wrong;
            device.sequence.take(reading, session);
            let measured = *reading == Sample::measured(reading.sequence, offset, session);
            if device.sequence.wrong != before || !measured {
                self.status.wrong += 1;
            }
        }
        self.status.readings = device.sequence.received;
    }

    /// Checks an answer: to a command that is open, each once.
    fn settle(&mut self, device: &mut Device<'_>, answer: &Answer) {
        let asked = device.open.iter().position(|command| command.number == answer.number);
        match asked.map(|index| device.open.swap_remove(index)) {
            Some(command) if command.answered_by(answer.core) == *answer => {
                self.status.answered += 1;
            }
            // Of a command that another process sent, or from before the device's reset.
            None if answer.session != self.session || answer.number < device.first => {}
            _ => self.status.wrong += 1,
        }
    }

    /// Sends setpoints, and a command if there are not many open; returns whether there was room for any.
    fn send(&mut self, device: &mut Device<'_>) -> bool {
        let pushed = self.setpoints.try_push_slice(self.source.rest());
        self.spoilt |= matches!(pushed, Err(PushError::Corrupt(_)));
        let count = pushed.unwrap_or(0);
        self.source.advance(count);
        self.status.setpoints = self.status.setpoints.wrapping_add(count as u32);
        let (operand, session) = (self.status.setpoints, self.session);
        let command = Command { number: self.sent, operand, session };
        let room = device.open.len() < QUEUE && self.commands.try_push(command).is_ok();
        if room {
            device.open.push(command);
            self.sent += 1;
        }
        count > 0 || room
    }
}
