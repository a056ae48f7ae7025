//! The processes of a pattern: the program starts itself again in other roles, watches over them, and tells who died.
#![allow(dead_code, unreachable_pub)] // each pattern uses a part of it

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};
use zeroipc::{Array, Liveness, Memory, PartyId, Region};

pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A wait that is as good as for ever in a demonstration, and ends if something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What this process was started for: `ROLE [REGION [NUMBER]]` on its command line.
pub struct Part {
    pub role: String,
    pub number: u32,
    pub memory: Memory,
}

impl Part {
    /// `None` if there is nothing on the command line: then this process shows the whole pattern.
    pub fn of_this_process() -> Outcome<Option<Self>> {
        let mut args = env::args().skip(1);
        let Some(role) = args.next() else { return Ok(None) };
        let region = args.next().unwrap_or_else(|| "/pattern".into());
        let number = args.next().map_or(Ok(1), |number| number.parse())?;
        if env::var_os("PATTERN_PLAY").is_some() {
            // Nobody watches over us any more when the other end of our input is gone.
            thread::spawn(|| io::copy(&mut io::stdin(), &mut io::sink()).map(|_| process::exit(1)));
        }
        Ok(Some(Part { role, number, memory: Memory::open_or_create(&region, 1 << 20)? }))
    }
}

/// The whole pattern: a region of its own, which is gone at the end, and the processes in it.
pub struct Play {
    name: String,
    pub memory: Memory,
}

impl Play {
    pub fn begin() -> Outcome<Self> {
        let program = env::current_exe()?;
        let pattern = program.file_stem().and_then(|name| name.to_str()).unwrap_or("pattern");
        let name = format!("/{pattern}-{}", process::id());
        Ok(Play { memory: Memory::create(&name, 1 << 20)?, name })
    }

    /// Starts a process in `role`.
    pub fn start(&self, role: &str, number: u32) -> Outcome<Actor> {
        let mut command = Command::new(env::current_exe()?);
        command.args([role, &self.name, &number.to_string()]).env("PATTERN_PLAY", "");
        Ok(Actor { child: command.stdin(Stdio::piped()).spawn()?, number })
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        let _ = Memory::unlink(&self.name);
    }
}

/// A process of the pattern. It does not outlive this.
pub struct Actor {
    child: Child,
    number: u32,
}

impl Actor {
    /// Waits for its good end.
    pub fn finish(mut self) -> Outcome {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("process {}: {status}", self.number).into()),
                None if Instant::now() > deadline => return Err("a process takes too long".into()),
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Kills it (SIGKILL), waits until it is gone for certain, and tells the others.
    pub fn kill(mut self, deaths: &Deaths<'_>) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(deaths.0.store(self.number as usize, 1)?)
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who is dead, as the one that watches over the processes knows: a flag for each of the parties 1 to 63.
#[derive(Debug, Clone, Copy)]
pub struct Deaths<'a>(Array<'a, u32>);

impl<'a> Deaths<'a> {
    pub fn of(memory: &'a Memory) -> Outcome<Self> {
        Ok(Deaths(Array::open_or_create(memory, "deaths", 64)?))
    }

    /// The region as party `number` sees it: structures that are opened through it notice deaths.
    pub fn region(&'a self, memory: &'a Memory, number: u32) -> Outcome<Region<'a>> {
        Ok(memory.region().with_party(PartyId::new(number).ok_or("no party")?, self))
    }
}

impl Liveness for Deaths<'_> {
    fn is_dead(&self, party: PartyId) -> bool {
        self.0.load(party.number() as usize) == Ok(1)
    }
}
