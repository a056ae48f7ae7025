//! From repetitions to lines: medians within the class that most repetitions belong to.

use std::fmt::Write;

use crate::duel::{Outcome, Sample};
use crate::hop::Class;
use crate::rows::{Row, Target, Unit};

/// The 10th, 50th and 90th percentile.
#[derive(Debug, Clone, Copy)]
struct Spread {
    p10: f64,
    median: f64,
    p90: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let index = (part * sorted.len().saturating_sub(1) as f64).round() as usize;
            sorted.get(index).copied().unwrap_or(f64::NAN)
        };
        Spread { p10: at(0.1), median: at(0.5), p90: at(0.9) }
    }
}

/// What one row came to.
#[derive(Debug)]
pub(crate) struct Summary {
    row: Row,
    class: Class,
    near: usize,
    far: usize,
    disturbed: usize,
    hop: Spread,
    ours: Spread,
    peer: Spread,
    /// Ours by the peer's within each repetition.
    paired: Spread,
    wrong: bool,
}

impl Summary {
    pub(crate) fn new(row: Row, outcome: &Outcome) -> Self {
        let is =
            |class| move |sample: &&Sample| !sample.disturbed && Class::of(sample.hop) == class;
        let near = outcome.samples.iter().filter(is(Class::Near)).count();
        let far = outcome.samples.iter().filter(is(Class::Far)).count();
        let class = if near >= far { Class::Near } else { Class::Far };
        let spread = |figure: &dyn Fn(&Sample) -> f64| {
            Spread::of(outcome.samples.iter().filter(is(class)).map(figure))
        };
        let figure = |nanos: f64, hop: f64| match row.unit {
            Unit::Throughput => 1000.0 / nanos,
            Unit::Latency => nanos / hop,
            Unit::Solo | Unit::Asleep => nanos,
        };
        Summary {
            row,
            class,
            near,
            far,
            disturbed: outcome.samples.iter().filter(|sample| sample.disturbed).count(),
            hop: spread(&|sample| sample.hop),
            ours: spread(&|sample| figure(sample.ours, sample.hop)),
            peer: spread(&|sample| figure(sample.peer, sample.hop)),
            paired: spread(&|sample| {
                figure(sample.ours, sample.hop) / figure(sample.peer, sample.hop)
            }),
            wrong: outcome.wrong,
        }
    }

    /// Whether there was any repetition in which no process lost its core.
    fn measured(&self) -> bool {
        self.near + self.far > 0
    }

    fn ratio(&self) -> f64 {
        match self.row.target {
            Target::Over(_) => self.ours.median - self.peer.median,
            Target::AtLeast(_) | Target::AtMost(_) => self.ours.median / self.peer.median,
        }
    }

    /// The line of the table for people.
    pub(crate) fn table_line(&self) -> String {
        if !self.measured() {
            let count = self.disturbed;
            return format!(
                "{:23} all {count} repetitions were disturbed by other processes",
                self.row.name
            );
        }
        let unit = match self.row.unit {
            Unit::Throughput => "M/s",
            Unit::Latency => "hops",
            Unit::Solo | Unit::Asleep => "ns",
        };
        let range = |spread: &Spread| {
            format!("{:7.2} ({:.2}..{:.2})", spread.median, spread.p10, spread.p90)
        };
        let mut line = String::new();
        let _ = write!(
            line,
            "{:23} {:27} {:27} {:5} {:19} {:5.1} ns  {} ({} near, {} far, {} disturbed)",
            self.row.name,
            range(&self.ours),
            range(&self.peer),
            unit,
            format!("{:.2} ({:.2}..{:.2})", self.paired.median, self.paired.p10, self.paired.p90),
            self.hop.median,
            self.class,
            self.near,
            self.far,
            self.disturbed
        );
        if self.wrong {
            line.push_str("  WRONG DATA");
        }
        line
    }

    /// The line for scripts: `ratio NAME OURS PEER RATIO TARGET ok|short`.
    pub(crate) fn ratio_line(&self) -> String {
        if !self.measured() {
            return skipped_line(&self.row, "disturbed");
        }
        let ratio = self.ratio();
        let met = match self.row.target {
            _ if self.wrong => false,
            Target::AtLeast(least) => ratio >= least,
            Target::AtMost(most) | Target::Over(most) => ratio <= most,
        };
        format!(
            "ratio {} {:.2} {:.2} {:.2} {} {}",
            self.row.name,
            self.ours.median,
            self.peer.median,
            ratio,
            target(self.row.target),
            if met { "ok" } else { "short" }
        )
    }
}

/// The line for a row that was not measured.
pub(crate) fn skipped_line(row: &Row, why: &str) -> String {
    format!("ratio {} - - - {} {why}", row.name, target(row.target))
}

/// What stands above the table.
pub(crate) fn heading() -> String {
    format!(
        "{:23} {:27} {:27} {:5} {:19} {:8}  {}",
        "row",
        "ours: median (p10..p90)",
        "peer: median (p10..p90)",
        "unit",
        "ours/peer, paired",
        "hop",
        "class (repetitions)"
    )
}

/// Every repetition of a row, in nanoseconds, as lines of CSV.
pub(crate) fn csv_lines(row: &Row, outcome: &Outcome) -> String {
    let mut lines = String::new();
    for (index, Sample { hop, ours, peer, disturbed }) in outcome.samples.iter().enumerate() {
        let class = if *disturbed { "disturbed".to_owned() } else { Class::of(*hop).to_string() };
        let _ = writeln!(
            lines,
            "{},{},{index},{class},{hop:.2},{ours:.3},{peer:.3}",
            row.name, row.peer
        );
    }
    lines
}

/// The first line of the CSV.
pub(crate) const CSV_HEADING: &str = "row,peer,repetition,class,hop_ns,ours_ns,peer_ns\n";

fn target(target: Target) -> String {
    match target {
        Target::AtLeast(least) => format!(">={least:.2}"),
        Target::AtMost(most) => format!("<={most:.2}"),
        Target::Over(most) => format!("<=+{most:.2}"),
    }
}
