//! Producer and consumer with backpressure: a slow consumer slows its producers down, and nothing is dropped or piles up.
//!
//! `cargo run --example producer_consumer` shows it in four processes. In terminals of your own:
//! `producer_consumer consumer /things 2` and `producer_consumer producer /things 1`, and another with 2.

mod roles;

use roles::{Outcome, Part, Play, PATIENCE};
use std::thread::sleep;
use std::time::Duration;
use zeroipc::{Memory, PushError, Queue};

const ITEMS: u32 = 100;
/// What a producer pushes last.
const DONE: u32 = u32::MAX;

/// The bound is the pattern: no more than eight things are ever under way.
fn things(memory: &Memory) -> Outcome<Queue<'_, [u32; 2]>> {
    Ok(Queue::open_or_create(memory, "things", 8)?)
}

fn producer(memory: &Memory, me: u32) -> Outcome {
    let things = things(memory)?;
    let mut waits = 0;
    for number in (0..ITEMS).chain([DONE]) {
        // `push` alone would do: it waits for room. This one counts how often it has to.
        if let Err(PushError::Full(thing)) = things.try_push([me, number]) {
            waits += 1;
            things.push_timeout(thing, PATIENCE)?;
        }
    }
    println!("producer {me}: pushed {ITEMS}, waited for room {waits} times");
    Ok(())
}

/// Takes from so many producers until each has said that it is done.
fn consumer(memory: &Memory, producers: u32) -> Outcome {
    let things = things(memory)?;
    let (mut taken, mut most) = (vec![0; producers as usize + 1], 0);
    let mut working = producers;
    while working > 0 {
        most = most.max(things.len());
        let [from, number] = things.pop_timeout(PATIENCE)?;
        if number == DONE {
            working -= 1;
            continue;
        }
        // Those of one producer come in its order.
        let count = taken.get_mut(from as usize).ok_or("an unknown producer")?;
        assert_eq!(number, *count);
        *count += 1;
        sleep(Duration::from_millis(1)); // slower than they are
    }
    println!("consumer: took {} things, {most} waiting at most", taken.iter().sum::<u32>());
    Ok(())
}

fn main() -> Outcome {
    if let Some(part) = Part::of_this_process()? {
        return match part.role.as_str() {
            "producer" => producer(&part.memory, part.number),
            "consumer" => consumer(&part.memory, part.number),
            role => Err(format!("producer or consumer, not {role}").into()),
        };
    }
    let play = Play::begin()?;
    let producers = [play.start("producer", 1)?, play.start("producer", 2)?];
    let consumer = play.start("consumer", 2)?;
    producers.into_iter().try_for_each(|producer| producer.finish())?;
    consumer.finish()
}
