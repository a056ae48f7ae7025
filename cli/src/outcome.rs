//! How a command ends, and the exit code that follows.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;
use zeroipc::Error;

/// How a command ended that had no trouble of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As asked: exit code 0.
    Done,
    /// The answer is no: exit code 1.
    No,
    /// Something is wrong with what was looked at, and it was said: exit code 2.
    Spoilt,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::No => ExitCode::from(1),
            Outcome::Spoilt => ExitCode::from(2),
        }
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for does not exist: exit code 1.
    No(String),
    /// Anything else: exit code 2.
    Error(String),
    /// Standard output does not take any more: success if its reader closed it.
    Output(io::Error),
}

impl Failure {
    pub(crate) fn error(what: impl Display) -> Self {
        Failure::Error(what.to_string())
    }

    /// Of opening or reading the region `name`.
    pub(crate) fn region(name: impl Display, error: Error) -> Self {
        let message = format!("{name}: {error}");
        match error {
            Error::NotFound => Failure::No(message),
            _ => Failure::Error(message),
        }
    }
}
