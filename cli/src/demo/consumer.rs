//! The process that takes samples and events out and keeps statistics: one thread waits for each.

use super::layout::{now, put, Counter, Event, Layout, Request, Sample, Summary};
use super::worker;
use crate::args::WorkerArguments;
use crate::outcome::{Failure, Outcome};
use std::thread;
use std::time::Duration;
use zeroipc::{Consumer, PopTimeoutError};

/// How long to wait before looking whether to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Runs the hidden command.
pub(crate) fn run(arguments: &WorkerArguments) -> Result<Outcome, Failure> {
    worker::run("consumer", arguments, |layout| {
        let consumer = layout.samples.consumer().map_err(|error| error.to_string())?;
        thread::scope(|scope| {
            let events = scope.spawn(|| take_events(layout, arguments));
            let samples = take_samples(layout, consumer, arguments);
            events.join().map_err(|_| "its thread for events has panicked".to_owned())??;
            samples
        })
    })
}

/// What has been seen of the samples.
#[derive(Debug, Default)]
struct Statistics {
    count: u64,
    /// The sequence number that comes next.
    next: u64,
    cpu_sum: f64,
    cpu_max: f64,
    latency_sum: f64,
    latency_max: f64,
}

fn take_samples(
    layout: Layout<'_>,
    mut consumer: Consumer<'_, Sample>,
    arguments: &WorkerArguments,
) -> Result<(), String> {
    let mut statistics = Statistics::default();
    while let Some(sample) = next(layout, arguments, |patience| consumer.pop_timeout(patience))? {
        let latency = now().saturating_sub(sample.time) as f64 / 1e9;
        layout.add(Counter::SamplesLost, sample.sequence.saturating_sub(statistics.next));
        statistics.take(&sample, latency);
        statistics.write(&sample, &layout);
        layout.add(Counter::SamplesPopped, 1);
    }
    Ok(())
}

fn take_events(layout: Layout<'_>, arguments: &WorkerArguments) -> Result<(), String> {
    let pop = |patience| -> Result<Event, _> { layout.events.pop_timeout(patience) };
    while let Some(event) = next(layout, arguments, pop)? {
        let length = layout.recent_events.len().max(1) as u64;
        let index = layout.count(Counter::EventsPopped) % length;
        put(&layout.recent_events, usize::try_from(index).unwrap_or(0), event);
        // After the event: whoever sees the count finds it there.
        layout.add(Counter::EventsPopped, 1);
    }
    Ok(())
}

/// Waits for the next element; `None` when there will be no more.
fn next<T>(
    layout: Layout<'_>,
    arguments: &WorkerArguments,
    mut pop: impl FnMut(Duration) -> Result<T, PopTimeoutError>,
) -> Result<Option<T>, String> {
    loop {
        if layout.requested() == Request::Abandon || worker::orphaned(arguments) {
            return Ok(None);
        }
        // Before the pop: what the sampler pushed before it was done is then found by it.
        let done = layout.sampler_done();
        match pop(if done { Duration::ZERO } else { PATIENCE }) {
            Ok(element) => return Ok(Some(element)),
            Err(PopTimeoutError::Timeout) if done => return Ok(None),
            Err(PopTimeoutError::Timeout) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

impl Statistics {
    fn take(&mut self, sample: &Sample, latency: f64) {
        self.count += 1;
        self.next = sample.sequence.saturating_add(1);
        self.cpu_sum += f64::from(sample.cpu);
        self.cpu_max = self.cpu_max.max(f64::from(sample.cpu));
        self.latency_sum += latency;
        self.latency_max = self.latency_max.max(latency);
    }

    fn write(&self, sample: &Sample, layout: &Layout<'_>) {
        let count = self.count.max(1) as f64;
        let [load1, load5, load15] = sample.load.map(f64::from);
        for (field, value) in [
            (Summary::CpuLast, f64::from(sample.cpu)),
            (Summary::CpuMean, self.cpu_sum / count),
            (Summary::CpuMax, self.cpu_max),
            (Summary::MemoryUsed, sample.memory_used as f64),
            (Summary::MemoryTotal, sample.memory_total as f64),
            (Summary::Load1, load1),
            (Summary::Load5, load5),
            (Summary::Load15, load15),
            (Summary::Temperature, f64::from(sample.temperature)),
            (Summary::LatencyMean, self.latency_sum / count),
            (Summary::LatencyMax, self.latency_max),
        ] {
            layout.set_summary(field, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics() {
        let mut statistics = Statistics::default();
        let sample = |sequence, cpu| Sample {
            sequence,
            time: 0,
            memory_used: 0,
            memory_total: 0,
            load: [0.0; 3],
            cpu,
            temperature: f32::NAN,
            cores: 1,
        };
        statistics.take(&sample(0, 10.0), 0.5);
        statistics.take(&sample(3, 30.0), 0.25);
        assert_eq!((statistics.count, statistics.next), (2, 4));
        assert_eq!((statistics.cpu_sum, statistics.cpu_max), (40.0, 30.0));
        assert_eq!((statistics.latency_sum, statistics.latency_max), (0.75, 0.5));
    }
}
