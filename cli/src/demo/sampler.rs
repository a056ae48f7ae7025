//! The process that samples this machine ten times a second.

use super::layout::{now, put, Counter, Event, EventKind, Layout, Request, Sample};
use super::machine::{Machine, Measurement};
use super::worker;
use crate::args::WorkerArguments;
use crate::outcome::{Failure, Outcome};
use std::thread::sleep;
use std::time::{Duration, Instant};
use zeroipc::Producer;

const PERIOD: Duration = Duration::from_millis(100);
const HEARTBEAT: u64 = 10;
/// Percent: a core is busy above the first, and calm again below the second.
const BUSY: f32 = 50.0;
const CALM: f32 = 40.0;

/// Runs the hidden command.
pub(crate) fn run(arguments: &WorkerArguments) -> Result<Outcome, Failure> {
    worker::run("sampler", arguments, |layout| {
        let producer = layout.samples.producer().map_err(|error| error.to_string())?;
        let sampler = Sampler {
            layout,
            producer,
            busy: vec![false; layout.cpu_load.len()],
            load: None,
            sequence: 0,
        };
        sampler.run(Machine::new()?, arguments)
    })
}

struct Sampler<'a> {
    layout: Layout<'a>,
    producer: Producer<'a, Sample>,
    /// Which cores are busy.
    busy: Vec<bool>,
    /// The load average that was announced last.
    load: Option<f32>,
    sequence: u64,
}

impl Sampler<'_> {
    fn run(mut self, mut machine: Machine, arguments: &WorkerArguments) -> Result<(), String> {
        let mut next = Instant::now() + PERIOD;
        loop {
            sleep(next.saturating_duration_since(Instant::now()));
            // Ticks that were missed, by a stopped process or a sleeping machine, are not made up for.
            next = (next + PERIOD).max(Instant::now());
            if worker::orphaned(arguments) {
                return Ok(());
            }
            if self.layout.requested() != Request::Run {
                self.layout.set_sampler_done();
                return Ok(());
            }
            self.sample(&machine.measure()?)?;
        }
    }

    fn sample(&mut self, measured: &Measurement) -> Result<(), String> {
        for (core, load) in measured.cores.iter().enumerate() {
            put(&self.layout.cpu_load, core, *load);
        }
        let cores = measured.cores.len();
        let sample = Sample {
            sequence: self.sequence,
            time: now(),
            memory_used: measured.memory_used,
            memory_total: measured.memory_total,
            load: measured.load,
            cpu: measured.cores.iter().sum::<f32>() / cores.max(1) as f32,
            temperature: measured.temperature,
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
        };
        self.sequence += 1;
        // Not waiting: a sample that comes late is worth less than the next one.
        match self.producer.try_push(sample) {
            Ok(()) => self.layout.add(Counter::SamplesPushed, 1),
            Err(zeroipc::PushError::Corrupt(_)) => return Err("the ring is corrupt".to_owned()),
            Err(_) => self.layout.add(Counter::SamplesRefused, 1),
        }
        self.events(measured)
    }

    fn events(&mut self, measured: &Measurement) -> Result<(), String> {
        if self.sequence.is_multiple_of(HEARTBEAT) {
            let count = self.sequence as f32;
            self.event(EventKind::Heartbeat, 0, count, count - HEARTBEAT as f32)?;
        }
        for (core, load) in measured.cores.iter().copied().enumerate() {
            let Some(busy) = self.busy.get(core).copied() else { break };
            let kind = match busy {
                false if load > BUSY => EventKind::Busy,
                true if load < CALM => EventKind::Calm,
                _ => continue,
            };
            self.busy[core] = !busy;
            let limit = if busy { CALM } else { BUSY };
            self.event(kind, u32::try_from(core).unwrap_or(u32::MAX), load, limit)?;
        }
        let load = measured.load[0];
        match self.load.replace(load) {
            Some(before) if before != load => self.event(EventKind::Load, 0, load, before),
            _ => Ok(()),
        }
    }

    fn event(&self, kind: EventKind, core: u32, value: f32, before: f32) -> Result<(), String> {
        let event = Event { time: now(), kind: kind as u32, core, value, before };
        match self.layout.events.try_push(event) {
            Ok(()) => self.layout.add(Counter::EventsPushed, 1),
            Err(zeroipc::PushError::Corrupt(_)) => return Err("the queue is corrupt".to_owned()),
            Err(_) => self.layout.add(Counter::EventsRefused, 1),
        }
        Ok(())
    }
}
