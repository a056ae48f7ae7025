//! Fork and join: the parts of a sum are computed by a process each, and joined by Futures; a part whose process died is
//! computed by whoever joins.
//!
//! `cargo run --example fork_join` shows it in five processes.

mod roles;

use roles::{Actor, Deaths, Outcome, Part, Play, PATIENCE};
use std::ops::Range;
use std::thread::sleep;
use std::time::Duration;
use zeroipc::{Array, Future, FutureError, Memory, Region};

const NUMBERS: u32 = 1 << 16;
const PARTS: u32 = 4;

fn numbers(memory: &Memory) -> Outcome<Array<'_, u32>> {
    Ok(Array::open_or_create(memory, "numbers", NUMBERS as usize)?)
}

/// The answer that part `part` is to give.
fn answer(region: Region<'_>, part: u32) -> Outcome<Future<'_, u64>> {
    Ok(Future::open_or_create(region, &format!("sum of part {part}"))?)
}

fn range(part: u32) -> Range<usize> {
    let size = (NUMBERS / PARTS) as usize;
    (part - 1) as usize * size..part as usize * size
}

fn sum(numbers: &Array<'_, u32>, part: u32) -> Outcome<u64> {
    let mut values = vec![0; range(part).len()];
    numbers.read_into(range(part).start, &mut values)?;
    Ok(values.into_iter().map(u64::from).sum())
}

/// The forked side: promises an answer, computes, and gives it. `hangs` stands for what goes wrong in reality.
fn child(memory: &Memory, part: u32, hangs: bool) -> Outcome {
    let deaths = Deaths::of(memory)?;
    let promise = answer(deaths.region(memory, part)?, part)?.promise()?;
    if hangs {
        sleep(PATIENCE);
    }
    promise.set(sum(&numbers(memory)?, part)?)?;
    Ok(())
}

fn main() -> Outcome {
    if let Some(Part { role, number, memory }) = Part::of_this_process()? {
        return match role.as_str() {
            "child" => child(&memory, number, false),
            "hanging" => child(&memory, number, true),
            role => Err(format!("child or hanging, not {role}").into()),
        };
    }
    let play = Play::begin()?;
    let deaths = Deaths::of(&play.memory)?;
    let region = deaths.region(&play.memory, 10)?;
    let numbers = numbers(&play.memory)?;
    numbers.write_from(0, &(0..NUMBERS).collect::<Vec<_>>())?;

    // Fork: the data is there already, only the part's number travels.
    let answers = (1..=PARTS).map(|part| answer(region, part)).collect::<Outcome<Vec<_>>>()?;
    let children =
        (1..PARTS).map(|part| play.start("child", part)).collect::<Outcome<Vec<Actor>>>()?;
    let hanging = play.start("hanging", PARTS)?;
    while answers.last().map(Future::state) == Some(Ok(zeroipc::FutureState::Pending)) {
        sleep(Duration::from_millis(1));
    }
    hanging.kill(&deaths)?;

    // Join: each answer is waited for; one that was promised by a dead process is broken at once.
    let mut total = 0;
    for (part, answer) in (1..=PARTS).zip(answers) {
        total += match answer.get_timeout(PATIENCE) {
            Err(FutureError::Broken) => {
                println!("part {part}: its process died; it is computed here");
                sum(&numbers, part)?
            }
            answer => answer?,
        };
    }
    println!("joined {PARTS} parts: the sum of all below {NUMBERS} is {total}");
    children.into_iter().try_for_each(|child| child.finish())
}
