//! Benches of ZeroIPC beside its peers: see `--help`.
//!
//! | file | what |
//! |---|---|
//! | `rows/` | what is measured, against whom, and what is expected |
//! | `windows.rs` | the loops that are timed |
//! | `duel.rs` | the repetitions: ours, the hop, the peer's |
//! | `hop.rs` | the unit of everything |
//! | `pinned.rs` | two processes on two cores, watched |
//! | `shared.rs` | their memory |
//! | `report.rs` | medians and lines |

mod args;
mod duel;
mod hop;
mod pinned;
mod report;
mod rows;
mod shared;
mod windows;

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use args::Args;
use duel::Plan;
use report::Summary;

const WRONG: u8 = 1;
const UNMEASURED: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("zeroipc-bench: {message}");
            return ExitCode::from(UNMEASURED);
        }
    };
    if args.help {
        print!("{}", args::HELP);
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            eprintln!("zeroipc-bench: {message}");
            ExitCode::from(UNMEASURED)
        }
    }
}

fn run(args: &Args) -> Result<u8, String> {
    shared::map().map_err(|errno| format!("no shared memory: {errno}"))?;
    let mut csv = match &args.csv {
        Some(path) => {
            let mut file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
            file.write_all(report::CSV_HEADING.as_bytes()).map_err(|e| e.to_string())?;
            Some(file)
        }
        None => None,
    };
    let cores = pinned::two_cores();
    match cores {
        Some([leader, follower]) => {
            println!("two processes, on cores {leader} (consumer) and {follower} (producer)\n");
            println!("{}", report::heading());
        }
        None => {
            println!("only one core may be used: nothing can be measured between two processes")
        }
    }
    let budget = Duration::from_secs(if args.quick { 3 } else { 15 });
    let mut ratios = Vec::new();
    let mut code = 0;
    for row in rows::all().filter(|row| row.name.contains(&args.filter)) {
        let Some(cores) = cores else {
            ratios.push(report::skipped_line(&row, "skipped"));
            continue;
        };
        match (row.run)(Plan { cores, budget }) {
            Ok(outcome) => {
                if let Some(file) = &mut csv {
                    let lines = report::csv_lines(&row, &outcome);
                    file.write_all(lines.as_bytes()).map_err(|e| e.to_string())?;
                }
                let summary = Summary::new(row, &outcome);
                println!("{}", summary.table_line());
                ratios.push(summary.ratio_line());
                if outcome.wrong {
                    eprintln!("zeroipc-bench: {}: data arrived wrong", row.name);
                    code = WRONG;
                }
            }
            Err(failure) => {
                eprintln!("zeroipc-bench: {}: {failure}", row.name);
                ratios.push(report::skipped_line(&row, "failed"));
                if code != WRONG {
                    code = UNMEASURED;
                }
            }
        }
    }
    println!();
    for line in ratios {
        println!("{line}");
    }
    Ok(code)
}
