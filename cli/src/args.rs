//! The command line: what may be said, and nothing of what it means. Help, man pages and completions come from here.
// The help texts are for people at a terminal: `f32[3]` is no link.
#![allow(rustdoc::broken_intra_doc_links)]

use crate::monitor::Type;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// Look into ZeroIPC regions: shared memory with named, typed structures in it.
///
/// A region is mapped read-only, so looking never disturbs the processes that use it, and it may be live: what is shown
/// is a moment's value.
///
/// Exit codes: 0 if all went well, 1 if the answer is no (no such region, no regions), 2 if something is wrong (usage,
/// permissions, a corrupt region). A closed pipe on standard output is success.
#[derive(Debug, Parser)]
#[command(name = "zeroipc-inspect", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(ListArguments),
    Show(ShowArguments),
    Dump(DumpArguments),
    Monitor(MonitorArguments),
    Demo(DemoArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
    #[command(hide = true)]
    DemoSampler(WorkerArguments),
    #[command(hide = true)]
    DemoConsumer(WorkerArguments),
}

/// List the regions on this machine, also those of other users that may be read.
///
/// A file in shared memory counts as a region if it begins with the magic number. One that is spoilt is listed with what
/// is wrong with it, which is not an error of the list. Exit code 1 if there are none.
///
/// With --json: an array of objects with `name`, `size` (bytes), `uid`, `user` (null if unknown), `mode` (octal text),
/// `modified` (seconds since 1970), `error` (null, or what is wrong), and, null if there is an error, `version`,
/// `session`, `structures` (reserved ones not counted) and `used` (bytes before the first free one).
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show a region's table and every structure in it.
///
/// For each structure: kind, size of an element in bytes, capacity (of a Signal, how many slots it has), fill, its size in bytes,
/// its offset in the region, the word and line size that its creator chose, and what its fill is: of most kinds how many
/// elements are in it now. Used bytes include the table; leaked
/// bytes belong to no structure, because a creator died or two created the same name, or because a structure is being
/// created just now.
///
/// A spoilt entry is shown as such; the rest is shown all the same, and the exit code is 2.
///
/// With --json: an object with `name`, `version`, `size`, `session`, `capability` (`cas` or `load_store`), `geometry`
/// (`word_bytes`, `line_bytes`), `entries` (`used`, `max`), `bytes` (`used`, `leaked`, `free`; they add up to `size`),
/// `structures` and `errors`. A structure has `index`, `name`, `kind`, `element_size`, `capacity`, `fill` and `fill_is` (null where
/// it has none), `size`, `offset`, `word_bytes`, `line_bytes`. An error has `index` (of the entry), `name` (null if it
/// cannot be read) and `message`.
#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Show also structures with reserved names, which start with a dot.
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print a region's bytes in hexadecimal and ASCII, 16 a line.
///
/// Lines that repeat the one before are replaced by a single `*`, as hexdump does. Fewer bytes than asked for are
/// printed at the region's end; an offset beyond it is an error. It works on a spoilt region, too.
///
/// With --json: an object with `name`, `region_size`, `offset`, `size` (bytes that follow) and `hex` (two digits a byte).
#[derive(Debug, Args)]
pub(crate) struct DumpArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// The first byte: decimal, 0x and hexadecimal, or with the suffix K or M (1024, 1024 x 1024).
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_number)]
    pub(crate) offset: u64,
    /// How many bytes, written like the offset.
    #[arg(long, value_name = "N", default_value = "256", value_parser = parse_number)]
    pub(crate) size: u64,
    /// Print every line, also those that repeat the one before.
    #[arg(short = 'v', long)]
    pub(crate) no_squeezing: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show the values of a Stream, Ring, Queue, Channel, Signal or Array as they come.
///
/// It only reads: it takes nothing out, takes no role, and nobody waits for it or wakes it. So it looks again and again, every
/// --interval, and shows what has come since the last look: of a Stream, a Ring, a Queue and a Channel with a buffer each value, in
/// order; of a Signal the
/// current value, once for each version; of an Array each element that has changed. A value that was being written or taken
/// out while it was copied is not shown, so none is ever half one value and half another. (Only of an Array's elements that
/// are not 1, 2, 4 or 8 bytes nobody can tell: they are copied until two copies agree.)
///
/// What is taken out of a Ring, Queue or Channel before it is looked at is missed, and counted; with --taken most of it is shown all the
/// same. A Stream keeps its last values whoever takes them: only what is overwritten before it is looked at is missed. Where
/// something was missed, a line says how much.
///
/// It ends on Ctrl-C, after --count values or --seconds, when a Stream is closed or a Channel closed and drained, when the region is removed or created anew. A summary then goes to
/// standard error: how many values were seen and missed, and the smallest, largest and mean of each number. If there were
/// fewer values than --count asked for, the exit code is 1.
///
/// TYPE says how an element is read: u8, u16, u32, u64, i8, i16, i32, i64, f32, f64, hex, text (up to the first zero byte);
/// several of them as f32[3]; a record as ns:u64,sensor:u32,celsius:f32. Numbers are little-endian. The parts of a record follow
/// one another without gaps, as they do in every element; parts whose name begins with _ are left out. The type must be as
/// large as the element. Without a type bytes are shown in hexadecimal.
///
/// With --json: an object a line with `time` (seconds since 1970, when it was seen), `sequence` (the number of the value
/// from 0, of a Signal the version) and `missed` (how many right before it), or, of an Array, `element`; `taken` if
/// --taken is given; and `value`: a number (null if it is not finite), a text, a list of numbers, or an object by the fields of
/// the record. The summary is an object, too, with `seen`, `taken`, `missed` (null of an Array), `seconds`, `rate` (values a second),
/// `end` (`count`, `seconds`, `signal`, `closed`, `removed`, `recreated`) and `numbers`: `element`, `name`, `count`, `min`, `max`, `mean`.
///
/// With --csv: the same in columns, the parts of the value each in one of its own.
#[derive(Debug, Args)]
pub(crate) struct MonitorArguments {
    /// The region: /name in shared memory (the slash may be left out), or the path of a file if it has another slash.
    pub(crate) region: String,
    /// The structure in it.
    pub(crate) name: String,
    /// How an element is read, such as f64, u32[4] or ns:u64,celsius:f32.
    #[arg(long, value_name = "TYPE")]
    pub(crate) r#type: Option<Type>,
    /// Of an Array only this element, or those from N up to, not including, M.
    #[arg(long, value_name = "N[..M]", value_parser = parse_range)]
    pub(crate) element: Option<Range<usize>>,
    /// How long to rest between looks: 10ms, 500us, 1s; a plain number counts milliseconds. 0 looks without rest, which
    /// keeps one processor busy.
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = parse_interval)]
    pub(crate) interval: Duration,
    /// Begin with the last N values that are still there; by default with the next one, but of a Signal or an Array with what
    /// is there.
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<u64>,
    /// Stop after so many values.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "N", value_parser = parse_seconds)]
    pub(crate) seconds: Option<Duration>,
    /// Show also values that were taken out of a Ring or Queue before they were looked at, marked with ~, as long as their place
    /// does not count as used again. Nearly always they are what they were; but a producer that writes many at once
    /// or in place says so too late, and then it may be another value, or half of one.
    #[arg(long)]
    pub(crate) taken: bool,
    /// Print a JSON object a line.
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Print comma-separated values under a header.
    #[arg(long)]
    pub(crate) csv: bool,
}

/// Which region.
#[derive(Debug, Args)]
pub(crate) struct TargetArguments {
    /// The region: /name in shared memory (the slash may be left out), or the path of a file if it has another slash.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) name: Option<String>,
    /// The path of a file that holds the region.
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Where the region starts in the file, such as the memory of an emulator: a multiple of the page size, written as
    /// decimal, 0x and hexadecimal, or with the suffix K or M.
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_number)]
    pub(crate) at: u64,
}

/// See two processes share live data about this machine through a region.
///
/// One process samples the load of each core, memory, load average and temperatures ten times a second into an Array, a
/// Ring and a Queue; a second one takes the samples and events out and keeps statistics in further Arrays; this command
/// shows what is in the region. Look into it meanwhile from another terminal with `zeroipc-inspect show /zeroipc-demo`.
///
/// It ends on Ctrl-C or after the given time and removes the region. A region left over from a demo that was killed is
/// replaced.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Stop after so many seconds; without it, on Ctrl-C.
    #[arg(long, value_name = "N", value_parser = parse_seconds)]
    pub(crate) seconds: Option<Duration>,
    /// The region's name in shared memory.
    #[arg(long, value_name = "NAME", default_value = "/zeroipc-demo")]
    pub(crate) name: String,
}

/// A process of the demo.
#[derive(Debug, Args)]
pub(crate) struct WorkerArguments {
    /// The region.
    #[arg(long)]
    pub(crate) name: String,
    /// The process that started this one; when it is gone, so is this one.
    #[arg(long)]
    pub(crate) parent: u32,
}

/// Print a completion script for a shell.
///
/// For example, for bash: zeroipc-inspect completions bash > ~/.local/share/bash-completion/completions/zeroipc-inspect
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell.
    pub(crate) shell: Shell,
}

/// Print the man page, or write one for each subcommand into a directory.
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// Write the pages into this directory instead.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// A number of bytes: `256`, `0x1f0`, `4K`, `0x10M`.
fn parse_number(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        _ => (text, 1),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    // `from_str_radix` takes a sign, which has no meaning here.
    let number = digits
        .chars()
        .all(|c| c.is_digit(radix))
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
        .ok_or("give a decimal number, or 0x and hexadecimal, with K or M behind it if you like")?;
    number.checked_mul(unit).ok_or_else(|| "the number is too large".to_owned())
}

/// An element, or a range of them: `5`, `0..8`.
fn parse_range(text: &str) -> Result<Range<usize>, String> {
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let range = match text.split_once("..") {
        Some((start, end)) => number(start).zip(number(end)).map(|(start, end)| start..end),
        None => number(text).and_then(|one| Some(one..one.checked_add(1)?)),
    };
    let good = range.filter(|range| !range.is_empty());
    good.ok_or_else(|| "give the number of an element, or two as 0..8".to_owned())
}

/// A time: `10ms`, `500us`, `1.5s`; of a plain number, milliseconds.
fn parse_interval(text: &str) -> Result<Duration, String> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("", 1e-3)];
    let (number, unit) = units
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((text, 1e-3));
    let number: f64 = number.trim().parse().map_err(|_| "give a time such as 10ms, 500us or 1s")?;
    Duration::try_from_secs_f64(number * unit)
        .map_err(|_| "give a time that is not negative, and not for ever".to_owned())
}

/// Seconds, fractions allowed.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds, such as 5 or 0.5")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("give more than 0 seconds, and not more than there will be".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn numbers() {
        let good = [("0", 0), ("256", 256), ("0x1F", 31), ("4K", 4096), ("2m", 2 << 20)];
        for (text, number) in good {
            assert_eq!(parse_number(text), Ok(number), "{text}");
        }
        assert_eq!(parse_number("0x1K"), Ok(1024));
        for bad in ["", "K", "0x", "-1", "+1", "1G", "0x1G", "1.5K", "99999999999999999M"] {
            assert!(parse_number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(parse_range("5"), Ok(5..6));
        assert_eq!(parse_range("0..8"), Ok(0..8));
        for bad in ["", "..", "3..", "..3", "3..3", "4..3", "-1", "x", "18446744073709551615"] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn intervals() {
        let good =
            [("0", 0), ("10", 10_000), ("10ms", 10_000), ("500us", 500), ("1.5s", 1_500_000)];
        for (text, micros) in good {
            assert_eq!(parse_interval(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for bad in ["", "s", "-1", "inf", "NaN", "1h", "1e300s"] {
            assert!(parse_interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn seconds() {
        assert_eq!(parse_seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "0", "-1", "NaN", "inf", "1e300", "x"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }
}
