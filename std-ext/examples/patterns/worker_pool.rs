//! Worker pool: jobs wait in one queue, any worker takes the next, results come back through another; what a dead worker had in
//! hand is done again.
//!
//! `cargo run --example worker_pool` shows it in four processes. In terminals of your own: `worker_pool coordinator /primes`,
//! and `worker_pool worker /primes 1` as often as you like, with other numbers.

mod roles;

use roles::{Actor, Deaths, Outcome, Part, Play, PATIENCE};
use std::collections::BTreeSet;
use std::time::Duration;
use zeroipc::{Memory, PopTimeoutError, Queue};

const JOBS: u32 = 40;
/// How many numbers a job looks through.
const STEP: u32 = 500;
/// A job that ends the worker that takes it.
const STOP: u32 = u32::MAX;

type Jobs<'a> = Queue<'a, u32>;
/// A job, how many primes it found, and the worker.
type Results<'a> = Queue<'a, [u32; 3]>;

fn queues(memory: &Memory) -> Outcome<(Jobs<'_>, Results<'_>)> {
    let jobs = Queue::open_or_create(memory, "jobs", 2 * JOBS as usize)?;
    Ok((jobs, Queue::open_or_create(memory, "results", 2 * JOBS as usize)?))
}

fn is_prime(number: u32) -> bool {
    number > 1 && !(2..number).any(|divisor| number.is_multiple_of(divisor))
}

fn worker(memory: &Memory, me: u32) -> Outcome {
    let (jobs, results) = queues(memory)?;
    loop {
        let job = jobs.pop_timeout(PATIENCE)?;
        if job == STOP {
            return Ok(());
        }
        let primes = (job * STEP..(job + 1) * STEP).filter(|number| is_prime(*number)).count();
        results.push_timeout([job, primes as u32, me], PATIENCE)?;
    }
}

/// Hands out the jobs and collects the results; `meanwhile` is told how many there are.
fn coordinator(memory: &Memory, mut meanwhile: impl FnMut(usize) -> Outcome) -> Outcome {
    let (jobs, results) = queues(memory)?;
    (0..JOBS).try_for_each(|job| jobs.push_timeout(job, PATIENCE))?;
    let (mut missing, mut primes) = ((0..JOBS).collect::<BTreeSet<_>>(), 0);
    while !missing.is_empty() {
        match results.pop_timeout(Duration::from_millis(400)) {
            Ok([job, found, _worker]) => {
                // A job may be done twice, and counts once.
                if missing.remove(&job) {
                    primes += found;
                }
                meanwhile(JOBS as usize - missing.len())?;
            }
            Err(PopTimeoutError::Timeout) if jobs.is_empty() => {
                println!("coordinator: no result for {missing:?}; once more");
                missing.iter().try_for_each(|job| jobs.push_timeout(*job, PATIENCE))?;
            }
            Err(PopTimeoutError::Timeout) => {}
            Err(error) => return Err(error.into()),
        }
    }
    println!("coordinator: {JOBS} jobs done, {primes} primes below {}", JOBS * STEP);
    Ok(())
}

fn main() -> Outcome {
    if let Some(Part { role, number, memory }) = Part::of_this_process()? {
        return match role.as_str() {
            "worker" => worker(&memory, number),
            "coordinator" => coordinator(&memory, |_| Ok(())),
            role => Err(format!("worker or coordinator, not {role}").into()),
        };
    }
    let play = Play::begin()?;
    let deaths = Deaths::of(&play.memory)?;
    let start = |number| play.start("worker", number);
    let mut workers: Vec<Actor> = (1..=3).map(start).collect::<Outcome<_>>()?;
    coordinator(&play.memory, |done| {
        if done == 5 {
            println!("coordinator: worker 3 is killed");
            workers.pop().ok_or("three workers")?.kill(&deaths)?;
        }
        Ok(())
    })?;
    let (jobs, _) = queues(&play.memory)?;
    (0..workers.len()).try_for_each(|_| jobs.push_timeout(STOP, PATIENCE))?;
    workers.into_iter().try_for_each(|worker| worker.finish())
}
