//! `demo`: two processes share live data about this machine through a region, and this one shows it.

mod children;
mod claim;
pub(crate) mod consumer;
mod layout;
mod machine;
mod panel;
pub(crate) mod sampler;
mod worker;

use crate::args::DemoArguments;
use crate::outcome::{Failure, Outcome};
use crate::output::{complain, Output};
use children::Children;
use claim::Claim;
use layout::{Counter, Layout, Request, Summary};
use machine::Machine;
use panel::{Panel, Reading};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often signals and processes are looked at, and how often the panel is drawn and a line printed.
const POLL: Duration = Duration::from_millis(50);
const DRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(1);

/// Runs the command.
pub(crate) fn run(arguments: &DemoArguments, output: &mut Output) -> Result<Outcome, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(Failure::error)?;
    }
    let cores = Machine::new().map_err(Failure::Error)?.cores();
    let claim = Claim::new(&arguments.name)?;
    if claim.replaced {
        complain(format_args!("{}: replaced a region that a killed demo left", claim.name()));
    }
    let layout = Layout::create(claim.memory().region(), cores)
        .map_err(|error| Failure::Error(format!("{}: {error}", claim.name())))?;
    let mut children = Children::spawn(claim.name())?;
    let started = Instant::now();

    let watched = watch(arguments, &claim, &layout, &mut children, &stop, output);
    let elapsed = started.elapsed();
    let request = if watched.is_ok() { Request::Finish } else { Request::Abandon };
    let finished = children.finish(&layout, request);
    let outcome = watched.and(finished).and_then(|()| summarise(&layout, elapsed, output));
    let name = claim.name().to_owned();
    drop(claim);
    let outcome = outcome?;
    output.line(format_args!("{name} is removed."))?;
    Ok(outcome)
}

/// Shows what is in the region until it is time to stop.
fn watch(
    arguments: &DemoArguments,
    claim: &Claim,
    layout: &Layout<'_>,
    children: &mut Children,
    stop: &AtomicBool,
    output: &mut Output,
) -> Result<(), Failure> {
    let started = Instant::now();
    let until = arguments.seconds.and_then(|seconds| started.checked_add(seconds));
    let mut panel = Panel::new(claim.name(), children.ids(), output.is_terminal());
    panel.begin(output)?;
    let interval = if output.is_terminal() { DRAW } else { LINE };
    let mut next = started + interval;
    loop {
        let now = Instant::now();
        if now >= next {
            panel.show(&Reading::of(layout, now - started), output)?;
            next = (next + interval).max(now);
        }
        if stop.load(Ordering::Relaxed) || until.is_some_and(|until| now >= until) {
            return Ok(());
        }
        children.check()?;
        let wake = until.map_or(next, |until| until.min(next)).min(now + POLL);
        sleep(wake.saturating_duration_since(now));
    }
}

/// What came of it, once both processes have stopped.
fn summarise(
    layout: &Layout<'_>,
    elapsed: Duration,
    output: &mut Output,
) -> Result<Outcome, Failure> {
    let count = |counter| layout.count(counter);
    let (pushed, popped) = (count(Counter::SamplesPushed), count(Counter::SamplesPopped));
    let lost = count(Counter::SamplesLost);
    let events = (count(Counter::EventsPushed), count(Counter::EventsPopped));
    output.line("")?;
    output.line(format_args!("Stopped after {:.1} s.", elapsed.as_secs_f64()))?;
    output.line(format_args!("samples: {pushed} produced, {popped} consumed, {lost} lost"))?;
    output.line(format_args!("events:  {} produced, {} consumed", events.0, events.1))?;
    output.line(format_args!(
        "latency: {} on average, {} at most, from a push in one process to the pop in the other",
        panel::latency(layout.summary(Summary::LatencyMean)),
        panel::latency(layout.summary(Summary::LatencyMax)),
    ))?;
    let refused = (count(Counter::SamplesRefused), count(Counter::EventsRefused));
    if refused != (0, 0) {
        output.line(format_args!(
            "no room: for {} samples and {} events, because the consumer was held up",
            refused.0, refused.1
        ))?;
    }
    if pushed != popped || events.0 != events.1 {
        complain("not everything that was produced has been consumed");
        return Ok(Outcome::Spoilt);
    }
    Ok(Outcome::Done)
}
