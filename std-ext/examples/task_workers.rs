//! Four tasks take jobs that other programs push, until one of those sets the event `stop`; then it says how many they were.
//!
//! `cargo run -p zeroipc --example task_workers [NAME]`

use std::sync::OnceLock;
use zeroipc::{Event, EventMode, Memory, Queue};

/// Tasks that are spawned live as long as the program, and so must what they use.
static MEMORY: OnceLock<Memory> = OnceLock::new();

async fn work(jobs: Queue<'static, u64>, stop: Event<'static>) -> u32 {
    let mut done = 0;
    loop {
        tokio::select! {
            // Jobs first: what was pushed before the stop is done.
            biased;
            job = jobs.pop_async() => match job {
                Ok(_job) => done += 1,
                Err(error) => panic!("{error}"),
            },
            _ = stop.wait_async() => return done,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "/jobs".into());
    let memory = Memory::create(&name, 1 << 20)?;
    let memory = MEMORY.get_or_init(|| memory);
    let stop = Event::create(memory, "stop", EventMode::Manual)?;
    let jobs = Queue::<u64>::create(memory, "jobs", 64)?;

    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(work(jobs, stop))).collect();
    let mut done = 0;
    for task in tasks {
        done += task.await?;
    }
    println!("{done} jobs");
    Memory::unlink(&name)?;
    Ok(())
}
