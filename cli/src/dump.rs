//! `dump`: a region's bytes.
//!
//! Read from the file and not from a mapping: so it shows also what cannot be opened as a region, and a file that is cut
//! short meanwhile ends the dump and nothing else.

use crate::args::DumpArguments;
use crate::columns::human;
use crate::outcome::{Failure, Outcome};
use crate::output::Output;
use crate::target::Target;
use serde::{Serialize, Serializer};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of a line.
const LINE: usize = 16;
/// Bytes read at a time: whole lines.
const CHUNK: usize = 4096 * LINE;

/// What is to be dumped, in the order of the JSON.
#[derive(Debug, Serialize)]
struct Dump<'a> {
    name: &'a str,
    region_size: u64,
    offset: u64,
    size: u64,
    hex: Bytes<'a>,
}

/// A range of a file.
#[derive(Debug, Clone, Copy)]
struct Bytes<'a> {
    file: &'a File,
    /// Where the region starts in it.
    start: u64,
    offset: u64,
    size: u64,
}

/// Runs the command.
pub(crate) fn run(arguments: &DumpArguments, output: &mut Output) -> Result<Outcome, Failure> {
    let target = Target::new(&arguments.target)?;
    let name = target.name();
    let file = target.open_bytes()?;
    let failed = |error: io::Error| Failure::Error(format!("{name}: {error}"));
    // Inside a file the region ends nobody knows where: what follows is dumped as well.
    let region_size = file.metadata().map_err(failed)?.len().saturating_sub(target.at());
    let offset = arguments.offset;
    if offset >= region_size {
        return Err(Failure::Error(format!(
            "{name}: offset {offset} is out of range; the region has {region_size} bytes ({})",
            human(region_size)
        )));
    }
    let size = arguments.size.min(region_size - offset);
    let bytes = Bytes { file: &file, start: target.at(), offset, size };
    if arguments.json {
        output.json(&Dump { name, region_size, offset, size, hex: bytes })?;
    } else {
        bytes.write(output, !arguments.no_squeezing).map_err(|error| match error {
            Trouble::Read(error) => failed(error),
            Trouble::Write(failure) => failure,
        })?;
    }
    Ok(Outcome::Done)
}

enum Trouble {
    Read(io::Error),
    Write(Failure),
}

impl Bytes<'_> {
    /// Calls `each` with the range, in pieces of whole lines, and where each piece starts.
    fn pieces<E>(
        &self,
        read_failed: impl Fn(io::Error) -> E,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = vec![0; CHUNK];
        let mut at = self.offset;
        let end = self.offset.saturating_add(self.size);
        while at < end {
            let want = usize::try_from(end - at).map_or(CHUNK, |rest| rest.min(CHUNK));
            let got = fill(self.file, self.start.saturating_add(at), &mut buffer[..want])
                .map_err(&read_failed)?;
            each(at, &buffer[..got])?;
            at += got as u64;
            if got < want {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, output: &mut Output, squeeze: bool) -> Result<(), Trouble> {
        let mut last: Option<[u8; LINE]> = None;
        let mut starred = false;
        let mut end = self.offset;
        self.pieces(Trouble::Read, |start, piece| {
            for (at, line) in (start..).step_by(LINE).zip(piece.chunks(LINE)) {
                end = at + line.len() as u64;
                let whole = <[u8; LINE]>::try_from(line).ok();
                if squeeze && whole.is_some() && whole == last {
                    if !starred {
                        output.line("*").map_err(Trouble::Write)?;
                    }
                    starred = true;
                    continue;
                }
                starred = false;
                last = whole;
                output.line(Line { at, bytes: line }).map_err(Trouble::Write)?;
            }
            Ok(())
        })?;
        output.line(format_args!("{end:08x}")).map_err(Trouble::Write)
    }
}

/// Reads until `buffer` is full or the file ends; returns how many bytes there were.
fn fill(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Piece by piece into the output, however large the range is.
        serializer.collect_str(self)
    }
}

/// Two digits a byte.
impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces(|_| fmt::Error, |_, piece| piece.iter().try_for_each(|b| write!(f, "{b:02x}")))
    }
}

/// A line of at most 16 bytes.
struct Line<'a> {
    at: u64,
    bytes: &'a [u8],
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x} ", self.at)?;
        for index in 0..LINE {
            if index == LINE / 2 {
                f.write_str(" ")?;
            }
            match self.bytes.get(index) {
                Some(byte) => write!(f, " {byte:02x}")?,
                None => f.write_str("   ")?,
            }
        }
        f.write_str("  |")?;
        for byte in self.bytes {
            let printable = byte.is_ascii_graphic() || *byte == b' ';
            write!(f, "{}", if printable { char::from(*byte) } else { '.' })?;
        }
        f.write_str("|")
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn lines_look_like_hexdumps() {
        let full = Line { at: 0x10, bytes: b"0123456789abcde\n" }.to_string();
        let expected =
            "00000010  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 0a  |0123456789abcde.|";
        assert_eq!(full, expected);
        let short = Line { at: 0, bytes: &[0xff, b'A'] }.to_string();
        assert_eq!(short, format!("00000000  ff 41 {:43} |.A|", ""));
    }
}
