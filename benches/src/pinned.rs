//! Two processes on two cores, and a parent that watches them, so that no bench can hang.

use std::fmt;
use std::io::Write;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{
    getpid, getppid, kill_process, pidfd_open, set_parent_process_death_signal, waitpid, Pid,
    PidfdFlags, Signal, WaitOptions, WaitStatus,
};
use rustix::thread::{sched_getaffinity, sched_setaffinity, CpuSet};
use rustix::time::Timespec;

/// Which of the two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Gives the orders and takes the times; consumes.
    Leader,
    /// Obeys; produces.
    Follower,
}

/// Why a row has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The two processes did not finish in time and were killed.
    Stuck(Duration),
    /// One of them ended in another way than by finishing.
    Died(Side, Option<WaitStatus>),
    /// A system call failed.
    System(&'static str, Errno),
    /// A contender could not be built.
    Build(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Stuck(limit) => write!(f, "not finished within {limit:?}: killed"),
            Failure::Died(side, Some(status)) => write!(f, "the {side:?} ended early: {status:?}"),
            Failure::Died(side, None) => write!(f, "the {side:?} could not be waited for"),
            Failure::System(call, errno) => write!(f, "{call} failed: {errno}"),
            Failure::Build(why) => write!(f, "could not be built: {why}"),
        }
    }
}

/// Two cores that this process may use; `None` if it has only one.
pub(crate) fn two_cores() -> Option<[usize; 2]> {
    let allowed = sched_getaffinity(None).ok()?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    Some([cores.next()?, cores.next()?])
}

/// Runs `body` in two child processes, each pinned to its core, and waits for both.
///
/// `body` sees this process's memory as it is now: shared where it was mapped so, a private copy elsewhere. If one child
/// fails or `limit` passes, both are killed. Both are always reaped.
pub(crate) fn run_pair(
    cores: [usize; 2],
    limit: Duration,
    mut body: impl FnMut(Side),
) -> Result<(), Failure> {
    // What is still in the buffer would be printed by each child too.
    let _ = std::io::stdout().flush();
    let leader = Child::start(Side::Leader, cores[0], &mut body)?;
    let follower = Child::start(Side::Follower, cores[1], &mut body)?;
    let deadline = Instant::now() + limit;
    let mut running = vec![leader, follower];
    while !running.is_empty() {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else {
            return Err(Failure::Stuck(limit));
        };
        wait_for_any(&running, left)?;
        let mut index = 0;
        while let Some(child) = running.get_mut(index) {
            match child.reap(WaitOptions::NOHANG) {
                None => index += 1,
                Some(status) if status.exit_status() == Some(0) => drop(running.remove(index)),
                Some(status) => return Err(Failure::Died(child.side, Some(status))),
            }
        }
    }
    Ok(())
}

/// Sleeps until a child has ended or `left` has passed: no timer ticks disturb the cores meanwhile.
fn wait_for_any(children: &[Child], left: Duration) -> Result<(), Failure> {
    let mut ends: Vec<_> =
        children.iter().map(|child| PollFd::new(&child.end, PollFlags::IN)).collect();
    let left = Timespec::try_from(left).ok();
    match poll(&mut ends, left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(Failure::System("poll", errno)),
    }
}

/// A child process; killed and reaped when dropped before its end.
struct Child {
    side: Side,
    pid: Pid,
    end: OwnedFd,
    reaped: bool,
}

impl Child {
    fn start(side: Side, core: usize, body: &mut impl FnMut(Side)) -> Result<Self, Failure> {
        let parent = getpid();
        // SAFETY: this program has one thread, so the child is a whole copy and no lock in it is held by a thread that
        // it lacks. It leaves through `_exit`, so nothing of the parent's is dropped or flushed twice.
        let forked = unsafe { libc::fork() };
        if forked == 0 {
            let run = AssertUnwindSafe(|| {
                // A parent that was killed takes its children along.
                let tied = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
                let ready = tied && getppid() == Some(parent) && pin(core).is_ok();
                if ready {
                    body(side);
                }
                ready
            });
            let status = i32::from(!catch_unwind(run).unwrap_or(false));
            // SAFETY: ends this child at once, without the parent's exit handlers.
            unsafe { libc::_exit(status) }
        }
        let pid = Pid::from_raw(forked).filter(|_| forked > 0);
        let pid = pid.ok_or(Failure::System("fork", Errno::AGAIN))?;
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(end) => Ok(Child { side, pid, end, reaped: false }),
            Err(errno) => {
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::empty());
                Err(Failure::System("pidfd_open", errno))
            }
        }
    }

    /// The child's status if it has ended.
    fn reap(&mut self, options: WaitOptions) -> Option<WaitStatus> {
        let (_, status) = waitpid(Some(self.pid), options).ok().flatten()?;
        self.reaped = true;
        Some(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            // Not reaped, so the number is still this child's.
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = self.reap(WaitOptions::empty());
        }
    }
}

fn pin(core: usize) -> Result<(), Errno> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only)
}

/// How often this process has lost its core to another one so far.
pub(crate) fn times_lost() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: writes one `rusage` through a valid pointer, or nothing.
    let _ = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: zeroed, which is a valid value of plain integers, and maybe overwritten by another.
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_nivcsw).unwrap_or(0)
}
