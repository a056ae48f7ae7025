//! `zeroipc-inspect`: looks into ZeroIPC regions. `zeroipc-inspect --help` says what it does.

mod accounting;
mod args;
mod columns;
mod demo;
mod dump;
mod generate;
mod list;
mod monitor;
mod outcome;
mod output;
mod show;
mod target;

use args::{Arguments, Command};
use clap::Parser;
use outcome::{Failure, Outcome};
use output::{complain, Output};
use std::io::ErrorKind;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    let mut output = Output::new();
    let result = run(&arguments.command, &mut output).and_then(|outcome| {
        output.flush()?;
        Ok(outcome)
    });
    match result {
        Ok(outcome) => outcome.into(),
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            // What could be shown goes before the complaint; if it cannot be written, that is the smaller trouble.
            let _ = output.flush();
            let (message, outcome) = match failure {
                Failure::No(message) => (message, Outcome::No),
                Failure::Error(message) => (message, Outcome::Spoilt),
                Failure::Output(error) => (format!("standard output: {error}"), Outcome::Spoilt),
            };
            complain(message);
            outcome.into()
        }
    }
}

fn run(command: &Command, output: &mut Output) -> Result<Outcome, Failure> {
    match command {
        Command::List(arguments) => list::run(arguments, output),
        Command::Show(arguments) => show::run(arguments, output),
        Command::Dump(arguments) => dump::run(arguments, output),
        Command::Monitor(arguments) => monitor::run(arguments, output),
        Command::Demo(arguments) => demo::run(arguments, output),
        Command::Completions(arguments) => generate::completions(arguments, output),
        Command::Man(arguments) => generate::man(arguments, output),
        Command::DemoSampler(arguments) => demo::sampler::run(arguments),
        Command::DemoConsumer(arguments) => demo::consumer::run(arguments),
    }
}

/// Help and version go to standard output; a usage error to standard error, in our own form.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A closed pipe is success here, too.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return Outcome::Spoilt.into();
    }
    let text = error.render().to_string();
    complain(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
    Outcome::Spoilt.into()
}
