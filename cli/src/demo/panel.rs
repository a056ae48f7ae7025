//! What the demo shows: a panel that is drawn again and again on a terminal, one line a second elsewhere.

use super::layout::{now, Counter, Event, EventKind, Layout, Summary};
use crate::columns::human;
use crate::outcome::Failure;
use crate::output::Output;
use std::io;
use std::time::Duration;

/// Cells of a bar.
const BAR: usize = 30;
/// Cores that get a bar each; more share lines with one character a core.
const BARS: usize = 8;
/// Events shown.
const EVENTS: u64 = 4;

/// What is in the region at a moment.
#[derive(Debug)]
pub(crate) struct Reading {
    elapsed: Duration,
    cores: Vec<f32>,
    cpu: f64,
    memory: (u64, u64),
    load: [f64; 3],
    temperature: f64,
    pushed: u64,
    popped: u64,
    lost: u64,
    in_ring: usize,
    ring_capacity: usize,
    events: u64,
    in_queue: usize,
    queue_capacity: usize,
    recent: Vec<Event>,
    latency_mean: f64,
    latency_max: f64,
}

impl Reading {
    pub(crate) fn of(layout: &Layout<'_>, elapsed: Duration) -> Self {
        let summary = |field| layout.summary(field);
        // Popped before pushed, so that never more seems to be consumed than was produced.
        let popped = layout.count(Counter::SamplesPopped);
        let events = layout.count(Counter::EventsPopped);
        Reading {
            elapsed,
            cores: layout.cpu_load.iter().collect(),
            cpu: summary(Summary::CpuLast),
            memory: (summary(Summary::MemoryUsed) as u64, summary(Summary::MemoryTotal) as u64),
            load: [summary(Summary::Load1), summary(Summary::Load5), summary(Summary::Load15)],
            temperature: summary(Summary::Temperature),
            pushed: layout.count(Counter::SamplesPushed).max(popped),
            popped,
            lost: layout.count(Counter::SamplesLost),
            in_ring: layout.samples.len(),
            ring_capacity: layout.samples.capacity(),
            events,
            in_queue: layout.events.len(),
            queue_capacity: layout.events.capacity(),
            recent: recent(layout, events),
            latency_mean: summary(Summary::LatencyMean),
            latency_max: summary(Summary::LatencyMax),
        }
    }

    /// For where nothing can be drawn over.
    fn line(&self) -> String {
        format!(
            "{:>4} s  cpu {:>3.0} % of {} cores  memory {} of {}  load {:.2}  samples {} produced, {} consumed, {} lost  \
             events {}  latency {}",
            self.elapsed.as_secs(),
            self.cpu,
            self.cores.len(),
            human(self.memory.0),
            human(self.memory.1),
            self.load[0],
            self.pushed,
            self.popped,
            self.lost,
            self.events,
            latency(self.latency_mean),
        )
    }

    fn lines(&self, panel: &Panel) -> Vec<String> {
        let Panel { name, processes: (sampler, consumer), .. } = panel;
        let mut lines = vec![
            format!(
                "ZeroIPC demo: two processes share live data in {name}, {} s",
                self.elapsed.as_secs()
            ),
            String::new(),
            format!("  Array cpu_load: process {sampler} stores"),
        ];
        lines.extend(cores(&self.cores));
        lines.push(format!(
            "  Ring samples: {sampler} pushes, {consumer} pops; {} of {} in it",
            self.in_ring, self.ring_capacity
        ));
        let (used, total) = self.memory;
        let memory = 100.0 * used as f32 / total.max(1) as f32;
        lines.push(format!("    memory   {} {} of {}", bar(memory), human(used), human(total)));
        let [one, five, fifteen] = self.load;
        let temperature = match self.temperature.is_nan() {
            true => String::new(),
            false => format!("   hottest {:.0} °C", self.temperature),
        };
        lines.push(format!("    load     {one:.2} {five:.2} {fifteen:.2}{temperature}"));
        lines.push(format!(
            "    samples  {} produced, {} consumed, {} lost",
            self.pushed, self.popped, self.lost
        ));
        lines.push(format!(
            "    latency  {} on average, {} at most, from push to pop",
            latency(self.latency_mean),
            latency(self.latency_max),
        ));
        lines.push(format!(
            "  Queue events: {sampler} pushes, {consumer} pops; {} of {} in it, {} consumed",
            self.in_queue, self.queue_capacity, self.events
        ));
        let now = now();
        let mut recent: Vec<_> = self.recent.iter().map(|event| describe(event, now)).collect();
        // Always as many lines, so that what is below stays where it is.
        recent.resize(EVENTS as usize, String::new());
        lines.extend(recent);
        lines.push(String::new());
        lines.push(format!("  Look into it from another terminal:  {}", panel.look));
        lines.push("  Ctrl-C stops.".to_owned());
        lines
    }
}

/// The last events, the newest first.
fn recent(layout: &Layout<'_>, count: u64) -> Vec<Event> {
    let length = layout.recent_events.len() as u64;
    (count.saturating_sub(EVENTS.min(length))..count)
        .rev()
        .filter_map(|number| {
            let index = usize::try_from(number.checked_rem(length)?).ok()?;
            layout.recent_events.load(index).ok()
        })
        .collect()
}

fn describe(event: &Event, now: u64) -> String {
    let Event { core, value, before, .. } = *event;
    let what = match EventKind::of(event.kind) {
        Some(EventKind::Heartbeat) => format!("heartbeat: {value:.0} samples"),
        Some(EventKind::Busy) => format!("core {core} is busy: {value:.0} % (above {before:.0} %)"),
        Some(EventKind::Calm) => format!("core {core} is calm: {value:.0} % (below {before:.0} %)"),
        Some(EventKind::Load) => format!("load average {before:.2} -> {value:.2}"),
        None => return String::new(),
    };
    format!("    {:>4.1} s ago  {what}", now.saturating_sub(event.time) as f64 / 1e9)
}

/// A bar for each core, or a character for each if there are many.
fn cores(loads: &[f32]) -> Vec<String> {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if loads.len() <= BARS {
        let of_core = |(core, load): (usize, &f32)| {
            format!("    core {core:<3} {} {load:>3.0} %", bar(*load))
        };
        return loads.iter().enumerate().map(of_core).collect();
    }
    let character = |load: &f32| LEVELS[((load / 12.5) as usize).min(LEVELS.len() - 1)];
    let of_line = |(line, loads): (usize, &[f32])| {
        format!(
            "    cores from {:<3}  {}",
            line * 64,
            loads.iter().map(character).collect::<String>()
        )
    };
    loads.chunks(64).enumerate().map(of_line).collect()
}

/// A bar for 0 to 100 %.
fn bar(percent: f32) -> String {
    let filled = ((percent / 100.0 * BAR as f32).round() as usize).min(BAR);
    "█".repeat(filled) + &"░".repeat(BAR - filled)
}

/// A time in seconds, for people.
pub(crate) fn latency(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

/// Where readings are shown.
#[derive(Debug)]
pub(crate) struct Panel {
    name: String,
    processes: (u32, u32),
    /// The command that shows the region, as it can be typed here.
    look: String,
    terminal: bool,
    /// Lines that stand above the cursor and are drawn over.
    drawn: usize,
}

impl Panel {
    pub(crate) fn new(name: &str, processes: (u32, u32), terminal: bool) -> Self {
        // As this one was called: it need not be on the path.
        let program = std::env::args_os()
            .next()
            .map(|program| program.to_string_lossy().into_owned())
            .unwrap_or_else(|| "zeroipc-inspect".to_owned());
        let look = format!("{program} show {name}");
        Panel { name: name.to_owned(), processes, look, terminal, drawn: 0 }
    }

    /// Where nothing can be drawn over, says once what a panel would say always.
    pub(crate) fn begin(&self, output: &mut Output) -> Result<(), Failure> {
        if !self.terminal {
            let (name, (sampler, consumer)) = (&self.name, self.processes);
            output.line(format_args!("ZeroIPC demo: two processes share live data in {name}."))?;
            output.line(format_args!(
                "Process {sampler} samples this machine, {consumer} consumes."
            ))?;
            output.line(format_args!("Look into it from another terminal: {}", self.look))?;
            output.line("")?;
            output.flush()?;
        }
        Ok(())
    }

    pub(crate) fn show(&mut self, reading: &Reading, output: &mut Output) -> Result<(), Failure> {
        let window = rustix::termios::tcgetwinsize(io::stdout()).ok();
        let mut lines = reading.lines(self);
        // A panel that does not fit cannot be drawn over.
        let fits = window.is_none_or(|size| size.ws_row == 0 || lines.len() < size.ws_row.into());
        if !self.terminal || !fits {
            self.drawn = 0;
            output.line(reading.line())?;
            return output.flush();
        }
        let width = window.map_or(0, |size| usize::from(size.ws_col));
        if width > 0 {
            // A line that wraps would count as two.
            lines.iter_mut().for_each(|line| *line = line.chars().take(width - 1).collect());
        }
        if self.drawn > 0 {
            // To the first line of the last panel, and clear from there on.
            output.write(format_args!("\x1b[{}A\x1b[J", self.drawn))?;
        }
        for line in &lines {
            output.line(line)?;
        }
        self.drawn = lines.len();
        output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_in_bounds() {
        for percent in [-5.0, 0.0, 49.0, 100.0, 1e9, f32::NAN] {
            assert_eq!(bar(percent).chars().count(), BAR, "{percent}");
        }
        assert_eq!(cores(&[50.0; 3]).len(), 3);
        assert_eq!(cores(&[f32::NAN; 130]).len(), 3);
    }

    #[test]
    fn latencies() {
        assert_eq!(latency(0.000_021), "21 µs");
        assert_eq!(latency(0.0123), "12.3 ms");
        assert_eq!(latency(2.0), "2.0 s");
    }

    #[test]
    fn unknown_events_are_not_described() {
        let event = Event { time: 5, kind: 99, core: 0, value: 0.0, before: 0.0 };
        assert_eq!(describe(&event, 0), "");
    }
}
