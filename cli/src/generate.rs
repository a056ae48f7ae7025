//! `completions` and `man`: what is generated from the definition of the command line.

use crate::args::{Arguments, CompletionsArguments, ManArguments};
use crate::outcome::{Failure, Outcome};
use crate::output::Output;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::fs;
use std::path::Path;

/// Runs `completions`.
pub(crate) fn completions(
    arguments: &CompletionsArguments,
    output: &mut Output,
) -> Result<Outcome, Failure> {
    let mut command = visible(&Arguments::command());
    let name = command.get_name().to_owned();
    // Into memory first: the generator stops the process if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    output.bytes(&script)?;
    Ok(Outcome::Done)
}

/// Runs `man`.
pub(crate) fn man(arguments: &ManArguments, output: &mut Output) -> Result<Outcome, Failure> {
    let mut command = visible(&Arguments::command()).disable_help_subcommand(true);
    command.build();
    let Some(directory) = &arguments.dir else {
        output.bytes(&page(command)?)?;
        return Ok(Outcome::Done);
    };
    let at = |path: &Path, error| Failure::Error(format!("{}: {error}", path.display()));
    fs::create_dir_all(directory).map_err(|error| at(directory, error))?;
    let pages: Vec<_> = command.get_subcommands().cloned().chain([command.clone()]).collect();
    for command in pages {
        // Once built, a subcommand knows its full name with a dash: zeroipc-inspect-show.
        let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
        let path = directory.join(format!("{name}.1"));
        fs::write(&path, page(command)?).map_err(|error| at(&path, error))?;
        output.line(path.display())?;
    }
    Ok(Outcome::Done)
}

/// The same command without what is hidden, which the generators would show.
fn visible(command: &Command) -> Command {
    let subcommands = command.get_subcommands().filter(|command| !command.is_hide_set());
    Command::new(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(command.get_about().cloned().unwrap_or_default())
        .long_about(command.get_long_about().cloned().unwrap_or_default())
        .subcommand_required(true)
        .subcommands(subcommands.cloned())
}

fn page(command: Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(Failure::error)?;
    Ok(page)
}
