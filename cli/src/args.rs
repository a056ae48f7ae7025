//! The command line: what may be said, and nothing of what it means. Help, man pages and completions come from here.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
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
/// For each structure: kind, size of an element in bytes, capacity, how many elements are in it now (of a Signal: how many
/// slots it has, and its version), its size in bytes, its offset in the region, and the word and line size that its creator
/// chose. Used bytes include the table; leaked
/// bytes belong to no structure, because a creator died or two created the same name, or because a structure is being
/// created just now.
///
/// A spoilt entry is shown as such; the rest is shown all the same, and the exit code is 2.
///
/// With --json: an object with `name`, `version`, `size`, `session`, `capability` (`cas` or `load_store`), `geometry`
/// (`word_bytes`, `line_bytes`), `entries` (`used`, `max`), `bytes` (`used`, `leaked`, `free`; they add up to `size`),
/// `structures` and `errors`. A structure has `index`, `name`, `kind`, `element_size`, `capacity`, `fill` (null where it
/// has no meaning), `size`, `offset`, `word_bytes`, `line_bytes`. An error has `index` (of the entry), `name` (null if it
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
    fn seconds() {
        assert_eq!(parse_seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "0", "-1", "NaN", "inf", "1e300", "x"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }
}
