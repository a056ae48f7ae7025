//! Event sourcing: what happened is appended to a log and never changed; whoever wants to know how things stand replays it.
//!
//! `cargo run --example event_sourcing` shows it. In terminals of your own: `event_sourcing balances /ledger`, and
//! `event_sourcing teller /ledger 1`, as often as you like.

mod roles;

use roles::{Deaths, Outcome, Part, Play};
use std::collections::BTreeMap;
use std::time::Duration;
use zeroipc::{Array, Memory, Signal, WaitError};

const EVENTS: usize = 120;

/// The log: an event is one word, and 0 is where none has happened yet.
struct Log<'a> {
    events: Array<'a, u64>,
    /// Changes when something was appended: what those that follow the log sleep on.
    news: Signal<'a, u64>,
}

impl<'a> Log<'a> {
    fn of(memory: &'a Memory) -> Outcome<Self> {
        let events = Array::open_or_create(memory, "events", 1000)?;
        Ok(Log { events, news: Signal::open_or_create(memory, "news", 0)? })
    }

    /// One compare-and-exchange: whoever is killed here has appended its event or has not, and is in nobody's way.
    fn append(&self, account: u32, change: i32) -> Outcome {
        let event = u64::from(account) << 32 | u64::from(change as u32);
        let mut place = self.news.get()? as usize;
        while self.events.compare_exchange(place, 0, event)?.is_err() {
            place += 1;
        }
        self.news.update(|seen| seen.max(place as u64))?;
        Ok(())
    }

    /// Gives `apply` each event from the first on, until there were `count`; waits for those that have not happened yet.
    fn replay(&self, count: usize, mut apply: impl FnMut(u32, i32)) -> Outcome {
        for place in 0..count {
            let mut version = self.news.version();
            let event = loop {
                match self.events.load(place)? {
                    // Not for ever: who appended may have died before it told the news.
                    0 => match self.news.wait_for_change_timeout(version, Duration::from_secs(1)) {
                        Ok((_, now)) => version = now,
                        Err(WaitError::Timeout) => {}
                        Err(error) => return Err(error.into()),
                    },
                    event => break event,
                }
            };
            apply((event >> 32) as u32, event as i32);
        }
        Ok(())
    }
}

fn teller(log: &Log<'_>, me: u32) -> Outcome {
    (1..=EVENTS as u32 / 3).try_for_each(|n| log.append(me + n % 2, n as i32 % 7 - 2))
}

/// A projection: it has no state but what the log says, and can begin at any time.
fn balances(log: &Log<'_>) -> Outcome {
    let mut balances = BTreeMap::new();
    log.replay(EVENTS, |account, change| *balances.entry(account).or_insert(0) += change)?;
    println!("after {EVENTS} events: {balances:?}");
    Ok(())
}

fn main() -> Outcome {
    if let Some(Part { role, number, memory }) = Part::of_this_process()? {
        let log = Log::of(&memory)?;
        return match role.as_str() {
            "teller" => teller(&log, number),
            "balances" => balances(&log),
            role => Err(format!("teller or balances, not {role}").into()),
        };
    }
    let play = Play::begin()?;
    let killed = play.start("balances", 10)?;
    play.start("teller", 1)?.finish()?;
    killed.kill(&Deaths::of(&play.memory)?)?;
    println!("whoever kept the balances is killed; nothing is lost with it");
    let (follower, second) = (play.start("balances", 11)?, play.start("teller", 2)?);
    play.start("teller", 3)?.finish()?;
    second.finish()?;
    follower.finish()?;
    play.start("balances", 12)?.finish() // one that begins now finds the same
}
