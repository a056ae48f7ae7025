//! Actor with a mailbox: one process owns an account, all others send it messages; its successor goes on where it was killed.
//!
//! `cargo run --example actor_mailbox` shows it. In terminals of your own: `actor_mailbox account /bank 1` and
//! `actor_mailbox customer /bank 2`.

mod roles;

use roles::{Deaths, Outcome, Part, Play, PATIENCE};
use std::thread::sleep;
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes};
use zeroipc::{Array, Future, FutureError, Memory, Queue, Region};

const DEPOSITS: u64 = 50;
const DEPOSIT: u32 = 1;
const ASK: u32 = 2;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Message {
    what: u32,
    /// Whose: an answer goes to the Future of this number.
    from: u32,
    amount: u64,
}

/// The mailbox outlives the actor: what was sent to it waits there for its successor.
fn mailbox(memory: &Memory) -> Outcome<Queue<'_, Message>> {
    Ok(Queue::open_or_create(memory, "mailbox", 16)?)
}

fn reply(region: Region<'_>, to: u32) -> Outcome<Future<'_, u64>> {
    Ok(Future::open_or_create(region, &format!("reply to {to}"))?)
}

/// Nobody else touches the balance, so it needs no lock. It lies in the region, so it outlives the actor, too.
fn account(memory: &Memory, me: u32) -> Outcome {
    let (mailbox, deaths) = (mailbox(memory)?, Deaths::of(memory)?);
    let region = deaths.region(memory, me)?;
    let balance = Array::<u64>::open_or_create(memory, "balance", 1)?;
    println!("account {me}: open, with {}", balance.load(0)?);
    loop {
        let (message, now) = (mailbox.pop_timeout(PATIENCE)?, balance.load(0)?);
        match message.what {
            DEPOSIT => balance.store(0, now + message.amount)?,
            // The amount of a question is the generation of its Future: a late answer meets no other question, and nobody.
            _ => {
                let reply = reply(region, message.from)?.at_generation(message.amount);
                let _ = reply.promise().and_then(|promise| promise.set(now));
            }
        }
        sleep(Duration::from_micros(300)); // so that there is something in the mailbox
    }
}

fn customer(memory: &Memory, me: u32) -> Outcome {
    let mailbox = mailbox(memory)?;
    for amount in 1..=DEPOSITS {
        mailbox.push_timeout(Message { what: DEPOSIT, from: me, amount }, PATIENCE)?;
    }
    let balance = loop {
        let answer = reply(memory.region(), me)?.reset()?;
        let question = Message { what: ASK, from: me, amount: answer.generation() };
        mailbox.push_timeout(question, PATIENCE)?;
        // A question may have died with the actor that had it in its hand.
        match answer.get_timeout(Duration::from_secs(2)) {
            Err(FutureError::Timeout) => println!("customer {me}: asking again"),
            answer => break answer?,
        }
    };
    println!("customer {me}: the balance is {balance}");
    Ok(())
}

fn main() -> Outcome {
    if let Some(Part { role, number, memory }) = Part::of_this_process()? {
        return match role.as_str() {
            "account" => account(&memory, number),
            "customer" => customer(&memory, number),
            role => Err(format!("account or customer, not {role}").into()),
        };
    }
    let play = Play::begin()?;
    let deaths = Deaths::of(&play.memory)?;
    let first = play.start("account", 1)?;
    let customers = [play.start("customer", 2)?, play.start("customer", 3)?];
    let balance = Array::<u64>::open_or_create(&play.memory, "balance", 1)?;
    while balance.load(0)? < 200 {
        sleep(Duration::from_millis(1));
    }
    first.kill(&deaths)?;
    println!("account 1 is killed, with {} messages in its mailbox", mailbox(&play.memory)?.len());
    let second = play.start("account", 4)?;
    customers.into_iter().try_for_each(|customer| customer.finish())?;
    second.kill(&deaths)?;
    let (found, all) = (balance.load(0)?, DEPOSITS * (DEPOSITS + 1));
    println!("the balance is {found} of {all}: at most one message died with the first account");
    Ok(())
}
