//! What the demo's two processes have in common.

use super::layout::Layout;
use crate::args::WorkerArguments;
use crate::outcome::{Failure, Outcome};
use std::os::unix::process::parent_id;
use zeroipc::Memory;

/// Opens the demo's region and does `work` with it; `who` is for messages.
pub(crate) fn run(
    who: &str,
    arguments: &WorkerArguments,
    work: impl FnOnce(Layout<'_>) -> Result<(), String>,
) -> Result<Outcome, Failure> {
    let failed = |message: String| Failure::Error(format!("the demo's {who}: {message}"));
    let memory = Memory::open(&arguments.name).map_err(|error| failed(error.to_string()))?;
    let layout = Layout::open(memory.region()).map_err(|error| failed(error.to_string()))?;
    work(layout).map_err(failed)?;
    Ok(Outcome::Done)
}

/// Whether the command that started this process is gone: then nobody would ever tell it to stop.
pub(crate) fn orphaned(arguments: &WorkerArguments) -> bool {
    parent_id() != arguments.parent
}
