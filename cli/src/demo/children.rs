//! The demo's two processes, as seen by the command that starts them.

use super::layout::{Layout, Request};
use crate::outcome::Failure;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long they may take to stop before they are killed.
const GRACE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(10);

/// Both processes; killed when dropped, unless they have ended.
#[derive(Debug)]
pub(crate) struct Children {
    sampler: Process,
    consumer: Process,
}

#[derive(Debug)]
struct Process {
    who: &'static str,
    child: Child,
    status: Option<ExitStatus>,
}

impl Children {
    pub(crate) fn spawn(name: &str) -> Result<Self, Failure> {
        Ok(Children {
            sampler: Process::spawn("sampler", "demo-sampler", name)?,
            consumer: Process::spawn("consumer", "demo-consumer", name)?,
        })
    }

    /// Process numbers of sampler and consumer.
    pub(crate) fn ids(&self) -> (u32, u32) {
        (self.sampler.child.id(), self.consumer.child.id())
    }

    /// An error if one has ended: it should not, before it is told to.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        for process in [&mut self.sampler, &mut self.consumer] {
            if let Some(status) = process.ended()? {
                return Err(process.died(status));
            }
        }
        Ok(())
    }

    /// Tells them to stop, through the region, and waits until they have.
    pub(crate) fn finish(mut self, layout: &Layout<'_>, request: Request) -> Result<(), Failure> {
        layout.request(request);
        let deadline = Instant::now() + GRACE;
        let mut trouble = Ok(());
        for process in [&mut self.sampler, &mut self.consumer] {
            let result = process.wait(deadline);
            if result.is_err() {
                // The consumer would wait for a sampler that died.
                layout.request(Request::Abandon);
            }
            trouble = trouble.and(result);
        }
        trouble
    }
}

impl Process {
    fn spawn(who: &'static str, command: &str, name: &str) -> Result<Self, Failure> {
        let failed = |error| Failure::Error(format!("cannot start the demo's {who}: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let child = Command::new(program)
            .arg(command)
            .args(["--name", name, "--parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A group of its own: Ctrl-C at the terminal goes to the command alone, which tells the others.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        Ok(Process { who, child, status: None })
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        if self.status.is_none() {
            self.status = self.child.try_wait().map_err(Failure::error)?;
        }
        Ok(self.status)
    }

    /// Waits until it ends, and kills it at the deadline.
    fn wait(&mut self, deadline: Instant) -> Result<(), Failure> {
        loop {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.died(status)),
                None if Instant::now() < deadline => sleep(POLL),
                None => {
                    self.kill();
                    let who = self.who;
                    return Err(Failure::Error(format!(
                        "the demo's {who} did not stop; killed it"
                    )));
                }
            }
        }
    }

    fn died(&self, status: ExitStatus) -> Failure {
        let how = match (status.signal(), status.code()) {
            (Some(signal), _) => format!("was killed by signal {signal}"),
            (None, Some(code)) => format!("ended unexpectedly with exit code {code}"),
            (None, None) => "ended unexpectedly".to_owned(),
        };
        Failure::Error(format!("the demo's {} {how}", self.who))
    }

    fn kill(&mut self) {
        if self.status.is_none() {
            // Errors mean that it is gone already.
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
