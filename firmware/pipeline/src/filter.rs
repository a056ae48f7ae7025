//! Core 1: calibrates the sensor, filters what core 0 samples, and takes the setpoints that Linux sends.

use crate::data::{Answer, Calibration, Sample, Sequence, Smooth, Status};
use crate::device::{emitted, popped, pushed, received, sent, Failure, Turn};
use crate::host_link::HostLink;
use crate::places::names;
use crate::BATCH;
use zeroipc_nostd::{
    Channel, Consumer, Future, Producer, Publisher, Queue, Region, Ring, Signal, SignalWriter,
    Stream,
};
use zeroipc_raw::RawRegion;

/// What core 1 holds.
#[derive(Debug)]
pub struct Filter<'a, 's> {
    region: Region<'a>,
    samples: Consumer<'a, Sample>,
    sequence: Sequence,
    smooth: Smooth,
    filtered: Producer<'a, Sample>,
    /// Filtered, and not sent yet: from `sent` to `ready` in it.
    batch: [Sample; BATCH],
    ready: usize,
    sent: usize,
    requests: Channel<'a, Sample>,
    replies: Channel<'a, Sample>,
    requested: Sequence,
    /// A reply that found no room yet.
    reply: Option<Sample>,
    levels: Publisher<'a, Sample>,
    answers: Queue<'a, Answer>,
    status: SignalWriter<'a, Status>,
    host: &'s mut HostLink<'a>,
}

impl<'a, 's> Filter<'a, 's> {
    /// Opens the region that core 0 has created, once it has let this core in, and calibrates.
    ///
    /// # Errors
    /// [`Failure`]: what cannot be opened.
    pub fn start(device: &'a RawRegion, host: &'s mut HostLink<'a>) -> Result<Self, Failure> {
        let region = device.open()?;
        let session = region.session();
        let filter = Filter {
            region,
            samples: Ring::open(region, names::SAMPLES)?.consumer()?,
            sequence: Sequence::from_start(),
            smooth: Smooth::default(),
            filtered: Ring::open(region, names::FILTERED)?.producer()?,
            batch: [Sample::new(0, 0, session); BATCH],
            ready: 0,
            sent: 0,
            requests: Channel::open(region, names::REQUESTS)?,
            replies: Channel::open(region, names::REPLIES)?,
            requested: Sequence::from_start(),
            reply: None,
            levels: Stream::open(region, names::LEVELS)?.publisher()?,
            answers: Queue::open(region, names::ANSWERS)?,
            status: Signal::open(region, names::CORES[1])?.writer()?,
            host,
        };
        let calibration = Calibration { offset: (session % 1000) as i32, session };
        Future::open(region, names::CALIBRATION)?.promise()?.set(calibration)?;
        Ok(filter)
    }

    /// Whether the region is still the one that was opened.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.region.is_current()
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            from_core: self.sequence.received,
            from_host: self.host.received,
            wrong: self.sequence.wrong + self.requested.wrong + self.host.wrong,
            calls: self.requested.received,
            levels: 0,
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
        let (session, before) = (self.region.session(), self.status());
        let mut turn = Turn::Idle;
        if self.sent == self.ready {
            self.sent = 0;
            self.ready = popped(self.samples.try_pop_slice(&mut self.batch))?;
            for sample in self.batch.iter_mut().take(self.ready) {
                self.sequence.take(sample, session);
                *sample = Sample::new(sample.sequence, self.smooth.next(sample.value), session);
            }
            if let Some(last) = self.batch.get(..self.ready).and_then(|batch| batch.last()) {
                let place = self.levels.sequence() as u32;
                emitted(self.levels.try_emit(Sample::new(place, last.value, session)))?;
            }
        }
        if let Some(batch) = self.batch.get(self.sent..self.ready).filter(|rest| !rest.is_empty()) {
            self.sent += pushed(self.filtered.try_push_slice(batch))?;
            turn = Turn::Busy;
        }
        if self.reply.is_none() {
            self.reply = received(self.requests.try_recv())?;
            if let Some(request) = &mut self.reply {
                self.requested.take(request, session);
                *request = request.replied(session);
            }
        }
        if let Some(reply) = self.reply {
            if sent(self.replies.try_send(reply))? {
                self.reply = None;
                turn = Turn::Busy;
            }
        }
        turn = turn.and(self.host.turn(&self.answers)?);
        let after = self.status();
        if after != before {
            self.status.set(after);
        }
        Ok(turn)
    }
}
