//! The examples, as the programs that they are.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use zeroipc::{Array, Error, Event, Memory, Queue, Stream};

struct Scratch(String);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Memory::unlink(&self.0);
    }
}

fn command(example: &str, name: &str) -> Command {
    // Cargo builds examples with the tests and puts them beside them.
    let tests = std::env::current_exe().unwrap();
    let folder: PathBuf = tests.ancestors().nth(2).unwrap().join("examples");
    let mut command = Command::new(folder.join(example));
    command.arg(name);
    command
}

fn run(example: &str, name: &str) -> Output {
    command(example, name).output().unwrap()
}

#[test]
fn what_the_writer_stores_the_reader_loads() {
    let name = Scratch(format!("/zeroipc-examples-{}", std::process::id()));
    let written = run("sensor_writer", &name.0);
    assert!(written.status.success(), "{written:?}");
    let memory = Memory::open(&name.0).unwrap();
    assert_eq!(memory.size(), 10 << 20);
    assert_eq!(Array::<f32>::open(&memory, "temperature").unwrap().load(0), Ok(21.5));

    let read = run("sensor_reader", &name.0);
    assert_eq!(String::from_utf8_lossy(&read.stdout), "21.5 degrees, in one of 1000 places\n");
    assert_eq!(Memory::open(&name.0).unwrap_err(), Error::NotFound);
    assert!(!run("sensor_reader", &name.0).status.success());
}

#[test]
fn temperatures_are_published_derived_and_read() {
    let name = Scratch(format!("/zeroipc-weather-{}", std::process::id()));
    let mut publisher = command("temperature_publisher", &name.0).arg("12").spawn().unwrap();
    while !Memory::open(&name.0).is_ok_and(|m| Stream::<f64>::open(&m, "temperature").is_ok()) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // Killed at some moment, and started again.
    let mut pipeline =
        command("temperature_pipeline", &name.0).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    pipeline.kill().unwrap();
    pipeline.wait().unwrap();
    let derived = run("temperature_pipeline", &name.0);
    assert!(derived.status.success(), "{derived:?}");
    assert!(publisher.wait().unwrap().success());

    let read = run("temperature_subscriber", &name.0);
    let lines = String::from_utf8(read.stdout).unwrap();
    assert_eq!(lines.lines().count(), 12, "{lines}");
    let first = 15.0 - 8.0 * (9.0_f64 / 24.0 * std::f64::consts::TAU).sin();
    let expected = format!("{:.1} F, highest so far {first:.1} C", first * 1.8 + 32.0);
    assert_eq!(lines.lines().next(), Some(expected.as_str()));
}

#[test]
fn tasks_do_the_jobs_that_are_pushed() {
    let name = Scratch(format!("/zeroipc-tasks-{}", std::process::id()));
    let workers = command("task_workers", &name.0).stdout(Stdio::piped()).spawn().unwrap();
    while !Memory::open(&name.0).is_ok_and(|m| Queue::<u64>::open(&m, "jobs").is_ok()) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let memory = Memory::open(&name.0).unwrap();
    let jobs = Queue::<u64>::open(&memory, "jobs").unwrap();
    for job in 0..500 {
        jobs.push(job).unwrap();
    }
    Event::open(&memory, "stop").unwrap().set();
    let done = workers.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "500 jobs\n");
}
