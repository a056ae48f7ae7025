//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Benches of ZeroIPC beside its peers, between two processes pinned to two cores.

Usage: zeroipc-bench [--quick] [--filter TEXT] [--csv PATH]

  --quick        3 seconds for each row instead of 15
  --filter TEXT  only rows whose name contains TEXT
  --csv PATH     write every repetition to PATH: hop, ours and peer in nanoseconds an operation
  --help         this text

Each repetition measures ours, the hop (one way of a cache line from core to core) and the peer's in windows of about
1.5 ms. Figures are medians, with the 10th and 90th percentile, over the repetitions of the class that most belong to:
near (hop below 150 ns) or far; repetitions in which a process lost its core to
another are left out. Throughput is in millions of items a second, latency in hops one way, solo in nanoseconds
for a push and a pop, or for a lookup, in one process.

Of the rows named spinning, RATIO is how much ours is over the peer's, in hops. Those named asleep are nanoseconds
from before a wake-up until the sleeper, idle for 6 ms, is awake.

The last lines are for scripts: ratio NAME OURS PEER RATIO TARGET ok|short|skipped|disturbed|failed

Exit code: 0; 1 if data arrived wrong; 2 if a row could not be measured or the command line was wrong.
";

/// What the command line asks for.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) quick: bool,
    pub(crate) help: bool,
    pub(crate) filter: String,
    pub(crate) csv: Option<PathBuf>,
}

impl Args {
    /// Parses what follows the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut args = Args::default();
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = |option| words.next().ok_or(format!("{option} needs a value"));
            match word.to_str() {
                Some("--quick") => args.quick = true,
                Some("--help" | "-h") => args.help = true,
                Some("--filter") => {
                    args.filter = value("--filter")?.to_string_lossy().into_owned();
                }
                Some("--csv") => args.csv = Some(value("--csv")?.into()),
                _ => return Err(format!("what is {}? See --help", word.display())),
            }
        }
        Ok(args)
    }
}
