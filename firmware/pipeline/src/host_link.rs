//! A core's end of the region that Linux creates, which may come, go and come again.

use crate::data::{Answer, Command, HostStatus, Sample, Sequence};
use crate::device::{popped, Failure, Turn};
use crate::places::names;
use crate::BATCH;
use zeroipc_nostd::{Consumer, PopError, PushError, Queue, Region, Ring, Signal};
use zeroipc_raw::RawRegion;

/// What a core does with the region of Linux. Outlives sessions of the device's own region.
#[derive(Debug)]
pub struct HostLink<'a> {
    memory: &'a RawRegion,
    core: u32,
    open: Option<Open<'a>>,
    /// Turns until the next look for a region, so that a missing one costs little.
    pause: u32,
    pub(crate) sessions: u32,
    pub(crate) answered: u32,
    pub(crate) received: u32,
    pub(crate) wrong: u32,
}

/// One session of it.
#[derive(Debug)]
struct Open<'a> {
    region: Region<'a>,
    commands: Queue<'a, Command>,
    setpoints: Option<Consumer<'a, Sample>>,
    sequence: Sequence,
    /// A command that was taken, and whose answer found no room yet.
    unanswered: Option<Answer>,
}

const PAUSE: u32 = 256;
/// How often to look whether Linux has left: some seconds.
const LOOKS: u32 = 1 << 20;

impl<'a> HostLink<'a> {
    /// Of core `core`, to the region that Linux creates in `memory` when it likes.
    #[must_use]
    pub fn new(memory: &'a RawRegion, core: u32) -> Self {
        let (sessions, answered, received, wrong) = (0, 0, 0, 0);
        HostLink { memory, core, open: None, pause: 0, sessions, answered, received, wrong }
    }

    /// The session that is open now; 0 if none is.
    pub(crate) fn session(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.region.session())
    }

    /// Takes what Linux sent and answers it. Whatever goes wrong in its region ends only this session of it.
    pub(crate) fn turn(&mut self, answers: &Queue<'_, Answer>) -> Result<Turn, Failure> {
        let Some(open) = self.open.as_mut().filter(|open| open.region.is_current()) else {
            self.open = None;
            return Ok(self.look());
        };
        let mut batch = [Sample::new(0, 0, 0); BATCH];
        let count = match &mut open.setpoints {
            Some(setpoints) => popped(setpoints.try_pop_slice(&mut batch)),
            None => Ok(0),
        };
        let command = match open.unanswered {
            Some(_) => Err(PopError::Empty),
            None => open.commands.try_pop(),
        };
        if command == Err(PopError::Corrupt) {
            return Ok(self.close());
        }
        let command = command.ok();
        // Only what came out of a region that is still the same was sent to us.
        let (Ok(count), true) = (count, open.region.is_current()) else {
            return Ok(self.close());
        };
        let session = open.region.session();
        let before = open.sequence.wrong;
        batch.iter().take(count).for_each(|sample| open.sequence.take(sample, session));
        self.wrong += open.sequence.wrong - before;
        self.received = self.received.wrapping_add(count as u32);
        if command.is_some_and(|command| command.number == Command::STOP) {
            return Ok(Turn::Stop);
        }
        let mut turn = if count == 0 { Turn::Idle } else { Turn::Busy };
        open.unanswered = open.unanswered.or(command.map(|c| c.answered_by(self.core)));
        if let Some(answer) = open.unanswered.take() {
            match answers.try_push(answer) {
                Ok(()) => {
                    self.answered = self.answered.wrapping_add(1);
                    turn = Turn::Busy;
                }
                Err(PushError::Corrupt(_)) => return Err(Failure::Corrupt),
                Err(_) => open.unanswered = Some(answer),
            }
        }
        Ok(turn)
    }

    /// Waits until Linux holds nothing of the device's session `last` any more, but not for ever: Linux may be dead.
    pub(crate) fn wait_to_leave(&self, last: u32) {
        for _ in 0..LOOKS {
            let status = self.memory.open().ok().and_then(|region| {
                Signal::<HostStatus>::open(region, names::LINUX).ok()?.get().ok()
            });
            // No region: Linux was never there, or begins anew.
            if status.is_none_or(|status| status.device_session != last) {
                return;
            }
            core::hint::spin_loop();
        }
    }

    fn look(&mut self) -> Turn {
        if self.pause > 0 {
            self.pause -= 1;
            return Turn::Idle;
        }
        self.pause = PAUSE;
        // Not there yet, or not complete: later.
        let Ok(open) = self.opened() else { return Turn::Idle };
        self.open = Some(open);
        self.sessions += 1;
        Turn::Busy
    }

    fn opened(&self) -> Result<Open<'a>, Failure> {
        let region = self.memory.open()?;
        let commands = Queue::open(region, names::COMMANDS)?;
        let mut sequence = Sequence::from_start();
        let setpoints = if self.core == 1 {
            let ring = Ring::<Sample>::open(region, names::SETPOINTS)?;
            // Only core 1 takes them. If the role is taken, it was core 1 before its reset.
            Some(ring.consumer().unwrap_or_else(|_| {
                sequence = Sequence::from_anywhere();
                ring.take_over_consumer()
            }))
        } else {
            None
        };
        Ok(Open { region, commands, setpoints, sequence, unanswered: None })
    }

    fn close(&mut self) -> Turn {
        self.open = None;
        self.pause = PAUSE;
        Turn::Idle
    }
}
