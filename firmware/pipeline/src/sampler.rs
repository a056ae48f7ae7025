//! Core 0: creates the device's region, samples, and checks what the other core makes of the samples.

use crate::data::{Answer, Calibration, Sample, Sequence, Smooth, Source, Status};
use crate::device::{next, popped, pushed, received, sent, Failure, Turn};
use crate::gate::Gate;
use crate::host_link::HostLink;
use crate::places::names;
use crate::{BATCH, CHANNEL, QUEUE, RING, STREAM};
use zeroipc_nostd::{
    Channel, Consumer, FormatOptions, Future, FutureError, Geometry, Producer, Queue, Region, Ring,
    Signal, SignalWriter, Stream, StreamOptions, Subscriber, WordSize,
};
use zeroipc_raw::RawRegion;

/// What core 0 holds.
#[derive(Debug)]
pub struct Sampler<'a, 's> {
    region: Region<'a>,
    calibration: Future<'a, Calibration>,
    offset: i32,
    /// Samples and readings to be sent, once there is a calibration.
    sources: Option<[Source; 2]>,
    samples: Producer<'a, Sample>,
    filtered: Consumer<'a, Sample>,
    sequence: Sequence,
    /// Does what core 1 does, to compare.
    smooth: Smooth,
    requests: Channel<'a, Sample>,
    replies: Channel<'a, Sample>,
    asked: u32,
    /// Of the replies.
    replied: Sequence,
    levels: Subscriber<'a, Sample>,
    levels_taken: u32,
    readings: Producer<'a, Sample>,
    answers: Queue<'a, Answer>,
    status: SignalWriter<'a, Status>,
    host: &'s mut HostLink<'a>,
    gate: Option<&'s Gate>,
}

impl<'a, 's> Sampler<'a, 's> {
    /// Creates the device's region, a new session, with all that is in it; then core 1 is let in.
    ///
    /// Waits for core 1 at the `gate`; `None` if this core takes the part of the other one as well, and has nothing open.
    ///
    /// # Errors
    /// [`Failure`]: what cannot be created.
    pub fn start(
        device: &'a RawRegion,
        host: &'s mut HostLink<'a>,
        gate: Option<&'s Gate>,
    ) -> Result<Self, Failure> {
        if let Some(gate) = gate {
            gate.close();
        }
        let last = device.open().map_or(0, |region| region.session());
        let geometry = Geometry::new(WordSize::NATIVE, 64).unwrap_or(Geometry::SMALLEST);
        let region = device.create(&FormatOptions::new().geometry(geometry).max_entries(16))?;
        while gate.is_some_and(|gate| !gate.is_waited_at()) {
            core::hint::spin_loop();
        }
        if last != 0 {
            host.wait_to_leave(last);
        }
        let [own, other] = names::CORES;
        let status = Signal::create_single_writer(region, own, Status::default(), 4)?;
        Signal::create_single_writer(region, other, Status::default(), 4)?;
        let samples = Ring::create(region, names::SAMPLES, RING)?;
        let filtered = Ring::create(region, names::FILTERED, RING)?;
        let requests = Channel::create(region, names::REQUESTS, CHANNEL)?;
        let replies = Channel::create(region, names::REPLIES, CHANNEL)?;
        let one = StreamOptions::new().single_publisher();
        let levels = Stream::create_with(region, names::LEVELS, STREAM, &one)?;
        let readings = Ring::create(region, names::READINGS, RING)?;
        let answers = Queue::create(region, names::ANSWERS, QUEUE)?;
        // Last: who finds this one finds all.
        let calibration = Future::create(region, names::CALIBRATION)?;
        let sampler = Sampler {
            region,
            calibration,
            offset: 0,
            sources: None,
            samples: samples.producer()?,
            filtered: filtered.consumer()?,
            sequence: Sequence::from_start(),
            smooth: Smooth::default(),
            requests,
            replies,
            asked: 0,
            replied: Sequence::from_start(),
            levels: levels.subscribe()?,
            levels_taken: 0,
            readings: readings.producer()?,
            answers,
            status: status.writer()?,
            host,
            gate,
        };
        if let Some(gate) = gate {
            gate.open();
        }
        Ok(sampler)
    }

    /// The session that it created.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.region.session()
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            from_core: self.sequence.received,
            from_host: 0,
            wrong: self.sequence.wrong + self.replied.wrong + self.host.wrong,
            calls: self.replied.received,
            levels: self.levels_taken,
            answered: self.host.answered,
            host_session: self.host.session(),
            host_sessions: self.host.sessions,
        }
    }

    /// Does a bounded piece of work.
    ///
    /// # Errors
    /// [`Failure`]: a peer spoilt the region. Begin anew.
    pub fn turn(&mut self) -> Result<Turn, Failure> {
        if self.gate.is_some_and(Gate::is_waited_at) {
            return Err(Failure::Left);
        }
        let session = self.session();
        let Some([samples, readings]) = &mut self.sources else {
            match self.calibration.try_get() {
                Ok(Calibration { offset, .. }) => {
                    self.offset = offset;
                    self.sources = Some([Source::new(session, offset); 2]);
                }
                Err(FutureError::Pending) => {}
                Err(error) => return Err(error.into()),
            }
            return Ok(Turn::Idle);
        };
        let count = pushed(self.samples.try_push_slice(samples.rest()))?;
        samples.advance(count);
        let to_linux = pushed(self.readings.try_push_slice(readings.rest()))?;
        readings.advance(to_linux);

        let (before, offset) = (self.status(), self.offset);
        let mut batch = [Sample::new(0, 0, 0); BATCH];
        let back = popped(self.filtered.try_pop_slice(&mut batch))?;
        for sample in batch.iter().take(back) {
            let was = Sample::measured(sample.sequence, offset, session);
            let filtered = self.smooth.next(was.value);
            self.sequence.take(sample, session);
            if sample.value != filtered {
                self.sequence.wrong += 1;
            }
        }

        let (called, looked) = (self.call()?, self.look()?);
        let busy = count + back + to_linux > 0 || called || looked;
        let turn = self.host.turn(&self.answers)?;
        let after = self.status();
        if after != before {
            self.status.set(after);
        }
        Ok(turn.and(if busy { Turn::Busy } else { Turn::Idle }))
    }

    /// Asks core 1 and checks what it replied; returns whether it did anything.
    fn call(&mut self) -> Result<bool, Failure> {
        let session = self.session();
        let request = Sample::measured(self.asked, self.offset, session);
        let asked = sent(self.requests.try_send(request))?;
        self.asked = self.asked.wrapping_add(u32::from(asked));
        let reply = received(self.replies.try_recv())?;
        if let Some(reply) = reply {
            let request = Sample::measured(reply.sequence, self.offset, session);
            self.replied.take(&reply, session);
            if reply != request.replied(session) {
                self.replied.wrong += 1;
            }
        }
        Ok(asked || reply.is_some())
    }

    /// Takes a value of the stream; returns whether there was one.
    fn look(&mut self) -> Result<bool, Failure> {
        let place = self.levels.sequence() as u32;
        let Some(level) = next(&mut self.levels)? else { return Ok(false) };
        self.levels_taken = self.levels_taken.wrapping_add(1);
        if level.sequence != place || !level.is_intact(self.session()) {
            self.sequence.wrong += 1;
        }
        Ok(true)
    }
}
