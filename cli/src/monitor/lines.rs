//! How values are written: for people, as JSON, as CSV.

use super::source::{Came, Place};
use super::types::{Cell, Hex, Number, Part, Value};
use crate::columns::printable;
use crate::outcome::Failure;
use crate::output::Output;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    People,
    Json,
    Csv,
}

/// Writes a line for each value.
#[derive(Debug)]
pub(super) struct Lines {
    form: Form,
    /// Whether values that had been taken out are among them, and so marked.
    taken: bool,
    /// Whether something was written since the last flush.
    pub(super) pending: bool,
}

/// What is known of a value beside its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub(super) came: Came,
    /// Since the start, and the clock's time.
    pub(super) elapsed: Duration,
    pub(super) time: SystemTime,
    /// How many went by unseen right before it.
    pub(super) missed: u64,
}

impl Lines {
    pub(super) fn new(form: Form, taken: bool) -> Self {
        Lines { form, taken, pending: false }
    }

    /// What stands above all lines.
    pub(super) fn header(
        &mut self,
        elements: bool,
        columns: &[String],
        output: &mut Output,
    ) -> Result<(), Failure> {
        if self.form != Form::Csv {
            return Ok(());
        }
        let mut header = match elements {
            true => vec!["time", "element"],
            false => vec!["time", "sequence", "missed"],
        };
        if self.taken {
            header.push("taken");
        }
        let columns = columns.iter().map(|column| quoted(column));
        let cells: Vec<_> = header.into_iter().map(str::to_owned).chain(columns).collect();
        self.pending = true;
        output.line(cells.join(","))
    }

    pub(super) fn value(
        &mut self,
        about: About,
        value: &Value<'_>,
        output: &mut Output,
    ) -> Result<(), Failure> {
        self.pending = true;
        match self.form {
            Form::People => {
                if about.missed > 0 {
                    output.line(format_args!("{:>14}({} missed)", "", about.missed))?;
                }
                let mark = if about.came.taken { "~" } else { "" };
                let place = match about.came.place {
                    Place::Sequence(sequence) => format!("#{sequence}{mark}"),
                    Place::Element(element) => format!("[{element}]"),
                };
                let seconds = about.elapsed.as_secs_f64();
                output.line(format_args!("{seconds:>12.6}  {place:<8}  {}", people(value)))
            }
            Form::Json => {
                output.compact_json(&JsonLine { about, value, taken: self.taken })?;
                output.line("")
            }
            Form::Csv => {
                let mut cells = vec![format!("{:.6}", seconds(about.time))];
                match about.came.place {
                    Place::Sequence(sequence) => {
                        cells.extend([sequence.to_string(), about.missed.to_string()]);
                    }
                    Place::Element(element) => cells.push(element.to_string()),
                }
                if self.taken {
                    cells.push(about.came.taken.to_string());
                }
                cells.extend(value.cells().iter().map(|cell| match cell {
                    Cell::Number(number) => number.to_string(),
                    Cell::Hex(bytes) => Hex(bytes).to_string(),
                    Cell::Text(text) => quoted(text),
                }));
                output.line(cells.join(","))
            }
        }
    }

    pub(super) fn flush(&mut self, output: &mut Output) -> Result<(), Failure> {
        if std::mem::take(&mut self.pending) {
            output.flush()?;
        }
        Ok(())
    }
}

/// Seconds since 1970, to the microsecond.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as f64 / 1e6
}

fn people(value: &Value<'_>) -> String {
    match value {
        Value::One(part) => people_part(part),
        Value::Record(parts) => {
            let parts: Vec<_> = parts
                .iter()
                .map(|(name, part)| format!("{}={}", printable(name), people_part(part)))
                .collect();
            parts.join(" ")
        }
    }
}

fn people_part(part: &Part) -> String {
    match part {
        Part::Number(number) => number.to_string(),
        Part::Numbers(numbers) => {
            let numbers: Vec<_> = numbers.iter().map(Number::to_string).collect();
            format!("[{}]", numbers.join(", "))
        }
        Part::Hex(bytes) => Hex(bytes).to_string(),
        Part::Text(text) => format!("\"{}\"", printable(text)),
        Part::Guess(bytes) => {
            let hex = Hex(bytes);
            match **bytes {
                [a] => format!("{hex}  u8 {a}"),
                [a, b] => format!("{hex}  u16 {}", u16::from_le_bytes([a, b])),
                [a, b, c, d] => {
                    let bytes = [a, b, c, d];
                    let float = f32::from_le_bytes(bytes);
                    let float = shortly(float.abs().into(), float);
                    format!("{hex}  u32 {}  f32 {float}", u32::from_le_bytes(bytes))
                }
                [a, b, c, d, e, f, g, h] => {
                    let bytes = [a, b, c, d, e, f, g, h];
                    let float = f64::from_le_bytes(bytes);
                    let float = shortly(float.abs(), float);
                    format!("{hex}  u64 {}  f64 {float}", u64::from_le_bytes(bytes))
                }
                _ => hex.to_string(),
            }
        }
    }
}

/// A number that may be anything, by its magnitude: without a row of zeros.
fn shortly(magnitude: f64, number: impl fmt::Display + fmt::LowerExp) -> String {
    if magnitude == 0.0 || (1e-4..1e9).contains(&magnitude) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

/// A cell of CSV (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

struct JsonLine<'a> {
    about: About,
    value: &'a Value<'a>,
    taken: bool,
}

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &seconds(self.about.time))?;
        match self.about.came.place {
            Place::Sequence(sequence) => {
                map.serialize_entry("sequence", &sequence)?;
                map.serialize_entry("missed", &self.about.missed)?;
            }
            Place::Element(element) => map.serialize_entry("element", &element)?,
        }
        if self.taken {
            map.serialize_entry("taken", &self.about.came.taken)?;
        }
        map.serialize_entry("value", self.value)?;
        map.end()
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::One(part) => part.serialize(serializer),
            Value::Record(parts) => {
                let mut map = serializer.serialize_map(Some(parts.len()))?;
                for (name, part) in parts {
                    map.serialize_entry(name, part)?;
                }
                map.end()
            }
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Part::Number(number) => number.serialize(serializer),
            Part::Numbers(numbers) => {
                let mut list = serializer.serialize_seq(Some(numbers.len()))?;
                numbers.iter().try_for_each(|number| list.serialize_element(number))?;
                list.end()
            }
            Part::Hex(bytes) | Part::Guess(bytes) => serializer.collect_str(&Hex(bytes)),
            Part::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What is not finite has no form in JSON and becomes null.
        match *self {
            Number::Unsigned(number) => serializer.serialize_u64(number),
            Number::Signed(number) => serializer.serialize_i64(number),
            Number::Single(number) => serializer.serialize_f32(number),
            Number::Double(number) => serializer.serialize_f64(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }

    #[test]
    fn bytes_of_no_type_show_what_they_could_be() {
        let guess = |bytes: &[u8]| people_part(&Part::Guess(bytes.to_vec()));
        assert_eq!(guess(&[7]), "07  u8 7");
        assert_eq!(guess(&[1, 2]), "0102  u16 513");
        assert_eq!(guess(&21.5_f32.to_le_bytes()), "0000ac41  u32 1101791232  f32 21.5");
        assert_eq!(guess(&1_u64.to_le_bytes()), "0100000000000000  u64 1  f64 5e-324");
        assert_eq!(guess(&[1, 2, 3]), "010203");
    }
}
