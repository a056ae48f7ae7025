use crate::sandbox::{command, eventually, finish, inspect, populate, Name, Run};
use rustix::process::{kill_process, Pid, Signal};
use std::io::{BufRead, BufReader};
use std::process::Child;
use zeroipc::Memory;

/// A demo that runs; killed when dropped, its region removed.
struct Demo {
    name: Name,
    child: Option<Child>,
}

impl Demo {
    fn start() -> Demo {
        Self::start_as(Name::new())
    }

    fn start_as(name: Name) -> Demo {
        let child = command(&["demo", "--name", &name.0]).spawn().unwrap();
        let demo = Demo { name, child: Some(child) };
        eventually("samples were consumed", || demo.counter(4) > Some(0));
        demo
    }

    /// An element of the demo's counters.
    fn counter(&self, index: usize) -> Option<u64> {
        let memory = Memory::open(&self.name.0).ok()?;
        zeroipc::Array::<u64>::open(&memory, "counters").ok()?.load(index).ok()
    }

    fn child(&self) -> &Child {
        self.child.as_ref().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child()), signal).unwrap();
    }

    fn finish(mut self) -> (Run, Name) {
        let run = finish(self.child.take().unwrap());
        (run, std::mem::replace(&mut self.name, Name::new()))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The number before `what` in the summary.
fn count(run: &Run, line: &str, what: &str) -> u64 {
    let line = run.line(line);
    let before = line.split(what).next().unwrap();
    before.split_whitespace().last().unwrap().parse().unwrap()
}

fn assert_summary(run: &Run) {
    let samples = count(run, "samples:", "produced");
    assert!(samples > 0, "{run:?}");
    assert_eq!(count(run, "samples:", "consumed"), samples, "{run:?}");
    assert_eq!(count(run, "samples:", "lost"), 0, "{run:?}");
    assert_eq!(count(run, "events:", "consumed"), count(run, "events:", "produced"), "{run:?}");
    assert!(run.output.contains("latency:"), "{run:?}");
}

#[test]
fn runs_for_the_time_given_and_leaves_nothing() {
    let name = Name::new();
    let run = inspect(&["demo", "--seconds", "1", "--name", &name.0]);
    assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
    assert_summary(&run);
    assert!(run.output.contains(&format!("zeroipc-inspect show {}\n", name.0)), "{run:?}");
    // Not a terminal: plain lines.
    assert!(!run.output.contains('\x1b') && run.output.contains("1 s  cpu"), "{run:?}");
    assert!(!name.path().exists());
}

#[test]
fn signals_stop_it_cleanly() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let demo = Demo::start();
        demo.signal(signal);
        let (run, name) = demo.finish();
        assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
        assert_summary(&run);
        assert!(!name.path().exists());
    }
}

#[test]
fn a_live_demo_can_be_looked_into() {
    let demo = Demo::start();
    let name = demo.name.0.as_str();
    let run = inspect(&["show", name, "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let report = run.json();
    let structures = report["structures"].as_array().unwrap();
    let kind = |name: &str| {
        let found = structures.iter().find(|structure| structure["name"] == name);
        found.unwrap()["kind"].as_str().unwrap().to_owned()
    };
    assert_eq!(kind("cpu_load"), "Array");
    assert_eq!(kind("samples"), "Ring");
    assert_eq!(kind("events"), "Queue");
    assert_eq!(kind("summary"), "Array");
    assert_eq!(report["bytes"]["leaked"], 0);
    assert!(inspect(&["list"]).output.contains(name));
    assert_eq!(inspect(&["dump", name]).code, 0);

    // And a second one leaves it alone.
    let run = inspect(&["demo", "--seconds", "1", "--name", name]);
    assert_eq!((run.code, run.output.as_str()), (2, ""), "{run:?}");
    assert!(run.errors.contains("a demo is running already"), "{run:?}");
    assert!(demo.name.path().exists());
    demo.signal(Signal::INT);
    assert_eq!(demo.finish().0.code, 0);
}

#[test]
fn a_killed_demo_is_replaced_and_its_processes_end() {
    let mut demo = Demo::start();
    let mut lines = BufReader::new(demo.child.as_mut().unwrap().stdout.take().unwrap()).lines();
    let line =
        lines.find_map(|line| line.ok().filter(|line| line.starts_with("Process "))).unwrap();
    let numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let processes: Vec<_> = numbers.map(|number| number.parse::<u32>().unwrap()).collect();
    assert_eq!(processes.len(), 2, "{line}");
    demo.signal(Signal::KILL);
    let (run, name) = demo.finish();
    assert_eq!(run.code, -1);
    assert!(name.path().exists());
    let runs = |process: &u32| {
        // A zombie, which nobody in a container may reap, has no command line.
        std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty())
    };
    eventually("its processes have ended", || !processes.iter().any(runs));

    let run = inspect(&["demo", "--seconds", "0.5", "--name", &name.0]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.errors.contains("replaced a region that a killed demo left"), "{run:?}");
    assert_summary(&run);
    assert!(!name.path().exists());
}

#[test]
fn a_region_of_somebody_else_is_left_alone() {
    let name = Name::new();
    let memory = Memory::create(&name.0, 1 << 16).unwrap();
    let refused = || {
        let run = inspect(&["demo", "--seconds", "1", "--name", &name.0]);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.errors.contains("is not a demo's"), "{run:?}");
        assert!(name.path().exists());
    };
    refused();
    populate(&memory);
    refused();
}

#[test]
fn a_dead_process_is_said_and_2() {
    for (process, who) in [(0, "sampler"), (1, "consumer")] {
        let demo = Demo::start();
        let children =
            format!("/proc/{0}/task/{0}/children", Pid::from_child(demo.child()).as_raw_nonzero());
        // In the order in which they were started; not every kernel has this file.
        let Ok(children) = std::fs::read_to_string(children) else { return };
        let child: i32 = children.split_whitespace().nth(process).unwrap().parse().unwrap();
        kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).unwrap();
        let (run, name) = demo.finish();
        assert_eq!(run.code, 2, "{run:?}");
        assert!(
            run.errors.contains(&format!("the demo's {who} was killed by signal 9")),
            "{run:?}"
        );
        assert!(!name.path().exists());
    }
}

#[test]
fn a_closed_pipe_ends_it_with_success() {
    let name = Name::new();
    let run = crate::sandbox::inspect_into_closed_pipe(&["demo", "--name", &name.0]);
    assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
    assert!(!name.path().exists());
}

#[test]
fn bad_arguments_are_2() {
    for arguments in [&["--seconds", "0"][..], &["--seconds", "soon"], &["--name", "a/b"]] {
        let arguments = [&["demo"], arguments].concat();
        let run = inspect(&arguments);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.errors.starts_with("zeroipc-inspect: "), "{run:?}");
    }
}
