//! `show`: a region's table and every structure in it.

use crate::accounting::{Bytes, Place};
use crate::args::ShowArguments;
use crate::columns::{human, printable, Align, Columns};
use crate::outcome::{Failure, Outcome};
use crate::output::{complain, Output};
use crate::target::Target;
use serde::Serialize;
use zeroipc::{Capability, Entry, Geometry, Kind, View};

/// What is known of a region, in the order of the JSON.
#[derive(Debug, Serialize)]
struct Report {
    name: String,
    version: u32,
    size: u64,
    session: u32,
    capability: &'static str,
    geometry: GeometryReport,
    entries: EntriesReport,
    bytes: Bytes,
    structures: Vec<StructureReport>,
    errors: Vec<ErrorReport>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct GeometryReport {
    word_bytes: u32,
    line_bytes: u32,
}

#[derive(Debug, Serialize)]
struct EntriesReport {
    used: u32,
    max: u32,
}

#[derive(Debug, Serialize)]
struct StructureReport {
    index: u32,
    name: String,
    kind: String,
    element_size: u32,
    capacity: u64,
    fill: Option<u64>,
    fill_is: Option<&'static str>,
    size: u64,
    offset: u64,
    #[serde(flatten)]
    geometry: GeometryReport,
}

#[derive(Debug, Serialize)]
struct ErrorReport {
    index: u32,
    name: Option<String>,
    message: String,
}

impl From<Geometry> for GeometryReport {
    fn from(geometry: Geometry) -> Self {
        GeometryReport { word_bytes: geometry.word_bytes(), line_bytes: geometry.line_bytes() }
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &ShowArguments, output: &mut Output) -> Result<Outcome, Failure> {
    let target = Target::new(&arguments.target)?;
    let memory = target.open()?;
    let report = Report::of(target.name().to_owned(), &memory.view(), arguments.all);
    if arguments.json {
        output.json(&report)?;
    } else {
        report.write(output)?;
    }
    for error in &report.errors {
        complain(format_args!("{}: {}", report.name, error.message));
    }
    Ok(if report.errors.is_empty() { Outcome::Done } else { Outcome::Spoilt })
}

impl Report {
    fn of(name: String, view: &View<'_>, all: bool) -> Report {
        let mut structures = Vec::new();
        let mut errors = Vec::new();
        let mut places = Vec::new();
        let default_line = u64::from(view.geometry().line_bytes());
        let mut used = 0;
        for entry in view.entries() {
            used += 1;
            let entry = match entry {
                Ok(entry) => entry,
                Err(bad) => {
                    let message = format!("entry {} is corrupt: a peer has spoilt it", bad.index);
                    errors.push(ErrorReport { index: bad.index, name: None, message });
                    continue;
                }
            };
            let place = |line| Place { offset: entry.offset, size: entry.size, line };
            match StructureReport::of(view, &entry) {
                Ok(structure) => {
                    places.push(place(u64::from(structure.geometry.line_bytes)));
                    if all || !entry.name.is_reserved() {
                        structures.push(structure);
                    }
                }
                Err(message) => {
                    // Its own line size cannot be read; most structures have the region's.
                    places.push(place(default_line));
                    let name = Some(entry.name.to_string());
                    errors.push(ErrorReport { index: entry.index, name, message });
                }
            }
        }
        Report {
            name,
            version: view.version().number(),
            size: view.size(),
            session: view.session(),
            capability: match view.capability() {
                Capability::Cas => "cas",
                Capability::LoadStore => "load_store",
            },
            geometry: view.geometry().into(),
            entries: EntriesReport { used, max: view.max_entries() },
            bytes: Bytes::of(view, places),
            structures,
            errors,
        }
    }

    fn write(&self, output: &mut Output) -> Result<(), Failure> {
        let capability = match self.capability {
            "cas" => "compare-and-exchange",
            _ => "loads and stores only",
        };
        let GeometryReport { word_bytes, line_bytes } = self.geometry;
        let size = |bytes: u64| format!("{bytes:>12} bytes  {:>10}", human(bytes));
        output.line(printable(&self.name))?;
        output.line(format_args!("  version   {}", self.version))?;
        output.line(format_args!("  session   {:#010x}", self.session))?;
        output.line(format_args!("  parties   use {capability}"))?;
        output
            .line(format_args!("  geometry  words of {word_bytes}, lines of {line_bytes} bytes"))?;
        let EntriesReport { used, max } = self.entries;
        output.line(format_args!("  entries   {used} of {max}, the region's own included"))?;
        output.line(format_args!("  size   {}", size(self.size)))?;
        output.line(format_args!("  used   {}", size(self.bytes.used)))?;
        output.line(format_args!("  leaked {}", size(self.bytes.leaked)))?;
        output.line(format_args!("  free   {}", size(self.bytes.free)))?;
        output.line("")?;
        if self.structures.is_empty() && self.errors.is_empty() {
            return output.line("No structures.");
        }
        use Align::{Left, Right};
        let header = [
            "NAME", "KIND", "ELEMENT", "CAPACITY", "FILL", "SIZE", "OFFSET", "WORD", "LINE",
            "FILL IS",
        ];
        let align = [Left, Left, Right, Right, Right, Right, Right, Right, Right, Left];
        let mut columns = Columns::new(header, align);
        for structure in &self.structures {
            columns.row(structure.cells());
        }
        columns.write(output)?;
        for error in &self.errors {
            output.line(format_args!("(corrupt) {}", error.message))?;
        }
        Ok(())
    }
}

impl StructureReport {
    fn of(view: &View<'_>, entry: &Entry) -> Result<StructureReport, String> {
        let info = view.inspect(entry).map_err(|error| error.to_string())?;
        Ok(StructureReport {
            index: entry.index,
            name: entry.name.to_string(),
            kind: info.kind.to_string(),
            element_size: info.elem_size,
            capacity: info.capacity,
            fill: info.fill,
            fill_is: meaning(info.kind),
            size: entry.size,
            offset: entry.offset,
            geometry: info.geometry.into(),
        })
    }

    fn cells(&self) -> [String; 10] {
        [
            printable(&self.name),
            self.kind.clone(),
            self.element_size.to_string(),
            self.capacity.to_string(),
            self.fill.map_or_else(|| "-".to_owned(), |fill| fill.to_string()),
            self.size.to_string(),
            format!("{:#x}", self.offset),
            self.geometry.word_bytes.to_string(),
            self.geometry.line_bytes.to_string(),
            self.fill_is.unwrap_or("-").to_owned(),
        ]
    }
}

/// What a structure's fill says; `None` where it has none, or the kind is not known here.
fn meaning(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::ARRAY => "elements",
        Kind::RING | Kind::QUEUE | Kind::STACK => "elements in it",
        Kind::STREAM => "values kept",
        // Without a buffer, who waits at it.
        Kind::CHANNEL => "in it, or waiting",
        Kind::MAP | Kind::SET => "keys in it",
        Kind::POOL => "slots taken",
        Kind::SEMAPHORE => "permits free",
        Kind::MUTEX | Kind::RWLOCK | Kind::MONITOR => "holders",
        Kind::BARRIER => "arrived",
        Kind::LATCH => "left to count",
        Kind::ONCE => "1 if done",
        Kind::EVENT => "1 if set",
        Kind::SIGNAL => "version",
        Kind::FUTURE => "1 if settled",
        Kind::SERVICE => "calls in progress",
        Kind::LAZY => "1 if being evaluated",
        _ => return None,
    })
}
