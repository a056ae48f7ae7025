//! `monitor`: the values of one structure as they come.
//!
//! The mapping is read-only, so this can take no role, announce no sleep and move no counter: nobody waits for it, and it is
//! woken by nobody. All that is left is to look again and again.

mod lines;
mod source;
mod summary;
mod types;

pub(crate) use types::Type;

use crate::args::MonitorArguments;
use crate::outcome::{Failure, Outcome};
use crate::output::Output;
use crate::target::Target;
use lines::{About, Form, Lines};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use source::{Changes, Source};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};
use summary::{End, Ending, Summary};
use types::Decoder;
use zeroipc::{Kind, ReadOnlyMemory, StructureError, View};

/// How often, at most, signals are looked for, and the region's name and the reader of standard output.
const CHECK: Duration = Duration::from_millis(50);
const CHECK_NAME: Duration = Duration::from_millis(200);

/// Runs the command.
pub(crate) fn run(arguments: &MonitorArguments, output: &mut Output) -> Result<Outcome, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(Failure::error)?;
    }
    let target = Target::named(&arguments.region);
    // Before the region is opened: if another takes its place in between, that is found out.
    let identity = target.identity();
    let memory = target.open()?;
    let monitor = Monitor::new(arguments, &target, identity, &memory)?;
    monitor.run(&stop, output)
}

/// One structure, and how its values are shown.
struct Monitor<'a> {
    arguments: &'a MonitorArguments,
    target: &'a Target,
    identity: Option<(u64, u64)>,
    view: View<'a>,
    source: Source<'a>,
    decoder: Decoder,
    columns: Vec<String>,
    form: Form,
    lines: Lines,
    summary: Summary,
    started: Instant,
    /// Misses that were told of.
    told: u64,
}

impl<'a> Monitor<'a> {
    fn new(
        arguments: &'a MonitorArguments,
        target: &'a Target,
        identity: Option<(u64, u64)>,
        memory: &'a ReadOnlyMemory,
    ) -> Result<Self, Failure> {
        let view = memory.view();
        let failed = |error: StructureError| {
            let message = format!("{}: {error}", target.name());
            match error {
                StructureError::NotFound { .. } | StructureError::Name(_) => Failure::No(message),
                _ => Failure::Error(message),
            }
        };
        let name = arguments.name.as_str();
        let kind = view.find(name).and_then(|entry| view.inspect(&entry)).map_err(failed)?.kind;
        let source = match kind {
            Kind::ARRAY => {
                let elements = view.elements(name).map_err(failed)?;
                let range = chosen(arguments.element.clone(), elements.len(), name)?;
                let first_counts = arguments.tail != Some(0);
                Source::Elements(
                    Changes::new(elements, range, first_counts).map_err(Failure::Error)?,
                )
            }
            _ if arguments.element.is_some() => {
                let message = format!("--element is for Arrays, and {name:?} is a {kind}");
                return Err(Failure::Error(message));
            }
            _ => {
                let mut watch = view.observe(name).map_err(failed)?;
                if arguments.taken {
                    watch = watch.including_taken();
                }
                // A Signal's value is there all the time; other values are over once they are seen.
                let tail = arguments.tail.unwrap_or(u64::from(kind == Kind::SIGNAL));
                if tail > 0 {
                    watch.rewind(tail);
                }
                Source::Flow(watch)
            }
        };
        let decoder = Decoder::new(arguments.r#type.as_ref(), name, source.elem_size())
            .map_err(Failure::Error)?;
        let form = match (arguments.json, arguments.csv) {
            (true, _) => Form::Json,
            (_, true) => Form::Csv,
            _ => Form::People,
        };
        Ok(Monitor {
            arguments,
            target,
            identity,
            view,
            source,
            columns: decoder.columns(),
            decoder,
            form,
            lines: Lines::new(form, arguments.taken),
            summary: Summary::default(),
            started: Instant::now(),
            told: 0,
        })
    }

    fn run(mut self, stop: &AtomicBool, output: &mut Output) -> Result<Outcome, Failure> {
        let elements = matches!(self.source, Source::Elements(_));
        self.lines.header(elements, &self.columns, output)?;
        let end = self.watch(stop, output)?;
        self.lines.flush(output)?;
        let ending = Ending {
            end,
            elapsed: self.started.elapsed(),
            missed: self.source.missed(),
            elements,
            hint: self.source.can_be_emptied() && !self.arguments.taken,
        };
        self.summary.write(self.form, &self.columns, &ending);
        // Asked for so many values, and there were not so many.
        let short = self.arguments.count.is_some_and(|count| self.summary.seen() < count);
        Ok(if short { Outcome::No } else { Outcome::Done })
    }

    /// Shows values until there is a reason to stop.
    fn watch(&mut self, stop: &AtomicBool, output: &mut Output) -> Result<End, Failure> {
        let until = self.arguments.seconds.and_then(|time| self.started.checked_add(time));
        let mut value = vec![0; self.source.elem_size()];
        let mut name_checked = self.started;
        let mut removed = false;
        loop {
            // What a removed region still holds is shown before the end.
            if let Some(end) = self.drain(&mut value, stop, until, output)? {
                return Ok(end);
            }
            self.lines.flush(output)?;
            if removed {
                return Ok(End::Removed);
            }
            let now = Instant::now();
            if now.duration_since(name_checked) >= CHECK_NAME {
                name_checked = now;
                removed = self.target.identity() != self.identity;
                output.check_reader()?;
            }
            self.rest(now, stop, until);
        }
    }

    /// Shows all values that are there now.
    fn drain(
        &mut self,
        value: &mut [u8],
        stop: &AtomicBool,
        until: Option<Instant>,
        output: &mut Output,
    ) -> Result<Option<End>, Failure> {
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(Some(End::Signal));
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Some(End::Seconds));
            }
            let came = self.source.next(value);
            // Looked at after the copy: what was copied before is of the region that was opened.
            if !self.view.is_current() {
                return Ok(Some(End::Recreated));
            }
            let came = match came {
                Ok(came) => came,
                Err(source::None::Yet) => return Ok(None),
                Err(source::None::More) => return Ok(Some(End::Closed)),
                Err(source::None::Corrupt) => {
                    let name = &self.arguments.name;
                    return Err(Failure::Error(format!(
                        "{}: {name:?} is corrupt: a peer has spoilt it",
                        self.target.name()
                    )));
                }
            };
            let missed = self.source.missed().unwrap_or(0);
            let about = About {
                came,
                elapsed: self.started.elapsed(),
                time: SystemTime::now(),
                missed: missed - self.told,
            };
            self.told = missed;
            let value = self.decoder.decode(value);
            self.lines.value(about, &value, output)?;
            self.summary.add(came.place, came.taken, &value);
            if self.arguments.count.is_some_and(|count| self.summary.seen() >= count) {
                return Ok(Some(End::Count));
            }
        }
    }

    /// Until it is time to look again.
    fn rest(&self, now: Instant, stop: &AtomicBool, until: Option<Instant>) {
        let interval = self.arguments.interval;
        if interval.is_zero() {
            std::hint::spin_loop();
            return;
        }
        // Beyond what a clock can say is never.
        let next = now.checked_add(interval);
        let next = [next, until].into_iter().flatten().min();
        loop {
            let now = Instant::now();
            let left = next.map_or(CHECK, |next| next.saturating_duration_since(now));
            if left.is_zero() || stop.load(Ordering::Relaxed) {
                return;
            }
            sleep(left.min(CHECK));
        }
    }
}

/// The elements asked for, if the Array has them; all if none were.
fn chosen(asked: Option<Range<usize>>, len: usize, name: &str) -> Result<Range<usize>, Failure> {
    match asked {
        None => Ok(0..len),
        Some(range) if range.end <= len => Ok(range),
        Some(_) => Err(Failure::Error(format!(
            "{name:?} has {len} elements: --element takes numbers from 0 to {}",
            len - 1
        ))),
    }
}
