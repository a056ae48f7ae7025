//! Communicating sequential processes: channels without a buffer, where sender and receiver meet, and a process that waits for
//! whichever of several comes first, in both directions. It is a buffer of its own making.
//!
//! `cargo run --example csp_select` shows it. In terminals of your own: `csp_select buffer /words`, `csp_select left /words`,
//! `csp_select right /words` and `csp_select reader /words`.

mod roles;

use roles::{Outcome, Part, Play, PATIENCE};
use std::collections::VecDeque;
use std::thread::sleep;
use std::time::Duration;
use zeroipc::{select_timeout, Channel, Memory, RecvError, Selectable};

const WORDS: u32 = 40;
/// What the buffer holds at most.
const ROOM: usize = 5;

/// Capacity 0: who sends has met who receives.
fn channel<'a>(memory: &'a Memory, name: &str) -> Outcome<Channel<'a, u32>> {
    Ok(Channel::open_or_create(memory, name, 0)?)
}

fn writer(memory: &Memory, name: &str) -> Outcome {
    let words = channel(memory, name)?;
    (0..WORDS).try_for_each(|word| words.send_timeout(word, PATIENCE))?;
    words.close();
    Ok(())
}

/// Takes from the left and from the right while it has room, and gives to the reader while it has something.
fn buffer(memory: &Memory) -> Outcome {
    let (left, right) = (channel(memory, "left")?, channel(memory, "right")?);
    let out = channel(memory, "out")?;
    let (mut held, mut most, mut open) = (VecDeque::new(), 0, [true; 2]);
    while open != [false; 2] || !held.is_empty() {
        let sources = [left.select_recv(), right.select_recv()];
        let give = out.select_send(held.front().copied().unwrap_or_default());
        let mut cases: Vec<&dyn Selectable> = Vec::new();
        for (source, open) in sources.iter().zip(open) {
            if open && held.len() < ROOM {
                cases.push(source);
            }
        }
        if !held.is_empty() {
            cases.push(&give);
        }
        // One of them happens, and no other.
        select_timeout(&cases, PATIENCE)?;
        for (source, open) in sources.iter().zip(&mut open) {
            match source.result() {
                Some(Ok(word)) => held.push_back(word),
                Some(Err(RecvError::Closed)) => *open = false,
                Some(Err(error)) => return Err(error.into()),
                None => {}
            }
        }
        if give.result().transpose()?.is_some() {
            held.pop_front();
        }
        most = most.max(held.len());
    }
    out.close();
    println!("buffer: held {most} at most");
    Ok(())
}

fn reader(memory: &Memory) -> Outcome {
    let out = channel(memory, "out")?;
    let (mut count, mut sum) = (0, 0);
    for word in &out {
        count += 1;
        sum += word;
        sleep(Duration::from_micros(500)); // slower than the writers
    }
    println!("reader: {count} words, {sum} in all");
    Ok(())
}

fn main() -> Outcome {
    if let Some(Part { role, memory, .. }) = Part::of_this_process()? {
        return match role.as_str() {
            "left" | "right" => writer(&memory, &role),
            "buffer" => buffer(&memory),
            "reader" => reader(&memory),
            role => Err(format!("left, right, buffer or reader, not {role}").into()),
        };
    }
    let play = Play::begin()?;
    let roles = ["left", "right", "buffer", "reader"];
    let actors = roles.map(|role| play.start(role, 1));
    actors.into_iter().try_for_each(|actor| actor?.finish())
}
