//! Standard output: the one place that writes to it.

use crate::outcome::Failure;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use serde::Serialize;
use std::fmt::{Arguments, Display};
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

/// Buffered standard output. Flush it at the end: a drop does so too, but cannot tell whether it worked.
#[derive(Debug)]
pub(crate) struct Output {
    to: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Output { to: BufWriter::new(io::stdout().lock()) }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.to.get_ref().is_terminal()
    }

    /// Text without a line's end.
    pub(crate) fn write(&mut self, text: Arguments<'_>) -> Result<(), Failure> {
        self.to.write_fmt(text).map_err(Failure::Output)
    }

    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        self.write(format_args!("{text}\n"))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to.write_all(bytes).map_err(Failure::Output)
    }

    /// `value` as indented JSON and a line's end.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut self.to, value)
            .map_err(|error| Failure::Output(error.into()))?;
        self.line("")
    }

    /// `value` as JSON on one line, without the line's end.
    pub(crate) fn compact_json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.to, value).map_err(|error| Failure::Output(error.into()))
    }

    /// An error, as of writing, if the reader has closed its end: who seldom writes would not notice.
    pub(crate) fn check_reader(&self) -> Result<(), Failure> {
        let mut asked = [PollFd::new(self.to.get_ref(), PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut asked, Some(&now)) {
            Ok(1..) if asked[0].revents().contains(PollFlags::ERR) => {
                Err(Failure::Output(io::ErrorKind::BrokenPipe.into()))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(Failure::Output)
    }
}

/// A message on standard error. If that is closed there is nobody left to tell.
pub(crate) fn complain(message: impl Display) {
    let _ = writeln!(io::stderr(), "zeroipc-inspect: {message}");
}
