//! What came of it, written to standard error at the end.

use super::lines::Form;
use super::source::Place;
use super::types::{Cell, Number, Value};
use crate::columns::printable;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

/// How many elements of an Array are described to people.
const DESCRIBED: usize = 16;

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum End {
    /// As many values as asked for have been seen.
    Count,
    /// The time is over.
    Seconds,
    /// Ctrl-C, or another signal that ends a process.
    Signal,
    /// The structure says that no more will come.
    Closed,
    /// The region's name is gone, or belongs to another region.
    Removed,
    /// The region was created anew in the same memory.
    Recreated,
}

impl End {
    fn explained(self) -> &'static str {
        match self {
            End::Count => "as many as asked for",
            End::Seconds => "the time is over",
            End::Signal => "stopped by a signal",
            End::Closed => "closed: no more will come",
            End::Removed => "the region was removed, or replaced by another of that name",
            End::Recreated => "the region was created anew",
        }
    }
}

/// Counts what is seen.
#[derive(Debug, Default)]
pub(super) struct Summary {
    seen: u64,
    taken: u64,
    /// Of the numbers, by element of an Array (or 0) and by column.
    numbers: BTreeMap<(usize, usize), Numbers>,
}

#[derive(Debug, Clone, Copy)]
struct Numbers {
    count: u64,
    min: Number,
    max: Number,
    sum: f64,
}

impl Summary {
    pub(super) fn add(&mut self, place: Place, taken: bool, value: &Value<'_>) {
        self.seen += 1;
        self.taken += u64::from(taken);
        let element = match place {
            Place::Sequence(_) => 0,
            Place::Element(element) => element,
        };
        for (column, cell) in value.cells().into_iter().enumerate() {
            let Cell::Number(number) = cell else { continue };
            // Not a number is no number.
            if number.as_f64().is_nan() {
                continue;
            }
            self.numbers
                .entry((element, column))
                .and_modify(|numbers| numbers.add(number))
                .or_insert(Numbers { count: 1, min: number, max: number, sum: number.as_f64() });
        }
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Says it. If standard error is closed there is nobody left to tell.
    pub(super) fn write(&self, form: Form, columns: &[String], of: &Ending) {
        let mut to = io::stderr().lock();
        let _ = match form {
            Form::Json => serde_json::to_writer(&mut to, &self.report(columns, of))
                .map_err(io::Error::from)
                .and_then(|()| writeln!(to)),
            Form::People | Form::Csv => self.describe(columns, of, &mut to),
        };
    }

    fn describe(&self, columns: &[String], of: &Ending, to: &mut impl Write) -> io::Result<()> {
        let values = if self.seen == 1 { "value" } else { "values" };
        let seconds = of.elapsed.as_secs_f64();
        write!(to, "{} {values} in {seconds:.1} s ({:.1} a second)", self.seen, self.rate(of))?;
        if self.taken > 0 {
            write!(to, ", {} of them after they were taken out (~)", self.taken)?;
        }
        if let Some(missed) = of.missed {
            write!(to, ", {missed} missed")?;
        }
        writeln!(to, "; {}", of.end.explained())?;
        if of.hint && of.missed.is_some_and(|missed| missed > 0) {
            writeln!(
                to,
                "Missed values were taken out before they were looked at: --taken shows most of them, a shorter --interval more."
            )?;
        }
        let named = self.numbers.iter().map(|(&(element, column), numbers)| {
            let column = columns.get(column).map_or("value", String::as_str);
            (name(of.elements.then_some(element), column), numbers)
        });
        let named: Vec<_> = named.take(DESCRIBED).collect();
        let width = named.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, Numbers { count, min, max, sum }) in &named {
            let mean = sum / *count as f64;
            writeln!(to, "{name:<width$}  min {min}  max {max}  mean {mean}")?;
        }
        match self.numbers.len() - named.len() {
            0 => Ok(()),
            more => writeln!(to, "... and {more} more; --json tells all"),
        }
    }

    fn rate(&self, of: &Ending) -> f64 {
        match of.elapsed.as_secs_f64() {
            seconds if seconds > 0.0 => self.seen as f64 / seconds,
            _ => 0.0,
        }
    }

    fn report<'a>(&self, columns: &'a [String], of: &Ending) -> Report<'a> {
        let values = self.numbers.iter().map(|(&(element, column), numbers)| NumbersReport {
            element: of.elements.then_some(element),
            name: columns.get(column).map_or("value", String::as_str),
            count: numbers.count,
            min: numbers.min,
            max: numbers.max,
            mean: numbers.sum / numbers.count as f64,
        });
        Report {
            seen: self.seen,
            taken: self.taken,
            missed: of.missed,
            seconds: of.elapsed.as_secs_f64(),
            rate: self.rate(of),
            end: of.end,
            numbers: values.collect(),
        }
    }
}

/// What the summary is told when it is over.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) end: End,
    pub(super) elapsed: Duration,
    pub(super) missed: Option<u64>,
    /// Whether values are an Array's elements.
    pub(super) elements: bool,
    /// Whether what was missed could be seen by `--taken`.
    pub(super) hint: bool,
}

impl Numbers {
    fn add(&mut self, number: Number) {
        self.count += 1;
        self.sum += number.as_f64();
        if number.less_than(self.min) {
            self.min = number;
        }
        if self.max.less_than(number) {
            self.max = number;
        }
    }
}

fn name(element: Option<usize>, column: &str) -> String {
    match element {
        Some(element) if column == "value" => format!("[{element}]"),
        Some(element) => format!("[{element}].{}", printable(column)),
        None => printable(column),
    }
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    seen: u64,
    taken: u64,
    missed: Option<u64>,
    seconds: f64,
    rate: f64,
    end: End,
    numbers: Vec<NumbersReport<'a>>,
}

#[derive(Debug, Serialize)]
struct NumbersReport<'a> {
    element: Option<usize>,
    name: &'a str,
    count: u64,
    min: Number,
    max: Number,
    mean: f64,
}
