use crate::sandbox::{
    command, eventually, finish, inspect, inspect_into_closed_pipe, Name, Region, Run,
};
use rustix::process::{kill_process, Pid, Signal as Killing};
use serde_json::{json, Value};
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes};
use zeroipc::{Array, Geometry, Memory, Queue, Ring, Signal, Stack, Stream, WordSize};

#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Reading {
    ns: u64,
    sensor: u32,
    celsius: f32,
}

const READING: &str = "ns:u64,sensor:u32,celsius:f32";

fn reading(n: u32) -> Reading {
    Reading { ns: u64::from(n) << 40, sensor: !n, celsius: n as f32 / 2.0 }
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A monitor that runs; killed when dropped.
struct Monitor(Option<Child>);

impl Monitor {
    fn start(arguments: &[&str]) -> Monitor {
        let arguments = [&["monitor"], arguments].concat();
        Monitor(Some(command(&arguments).spawn().unwrap()))
    }

    fn signal(&self, signal: Killing) {
        kill_process(Pid::from_child(self.0.as_ref().unwrap()), signal).unwrap();
    }

    fn finish(mut self) -> Run {
        finish(self.0.take().unwrap())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn what_is_in_a_ring_is_shown_in_every_form() {
    let name = Name::new();
    let memory = Memory::create(&name.0, 1 << 16).unwrap();
    let ring = Ring::<Reading>::create(&memory, "readings", 8).unwrap();
    let mut producer = ring.producer().unwrap();
    (0..5).for_each(|n| producer.try_push(reading(n)).unwrap());
    let last_3 = ["monitor", &name.0, "readings", "--tail", "3", "--count", "3", "--type", READING];

    let run = inspect(&last_3);
    assert_eq!(run.code, 0, "{run:?}");
    let lines: Vec<_> = run.output.lines().collect();
    assert_eq!(lines.len(), 3, "{run:?}");
    let expected = format!("#2        ns={} sensor={} celsius=1", 2_u64 << 40, !2_u32);
    assert!(lines[0].ends_with(&expected), "{run:?}");
    assert!(run.errors.starts_with("3 values in "), "{run:?}");
    assert!(run.errors.contains("), 0 missed; as many as asked for\n"), "{run:?}");
    assert!(run.errors.contains("celsius  min 1  max 2  mean 1.5\n"), "{run:?}");

    let run = inspect(&[&last_3[..], &["--json"]].concat());
    let found = objects(&run.output);
    assert_eq!(found.len(), 3, "{run:?}");
    assert_eq!(found[1]["sequence"], 3);
    assert_eq!(found[1]["missed"], 0);
    assert!(found[1]["time"].as_f64().unwrap() > 1e9 && found[1].get("taken").is_none());
    assert_eq!(found[1]["value"], json!({"ns": 3_u64 << 40, "sensor": !3_u32, "celsius": 1.5}));
    let summary = &objects(&run.errors)[0];
    assert_eq!((&summary["seen"], &summary["missed"]), (&json!(3), &json!(0)));
    assert_eq!((&summary["end"], &summary["taken"]), (&json!("count"), &json!(0)));
    let celsius = &summary["numbers"][2];
    assert_eq!((&celsius["name"], &celsius["count"]), (&json!("celsius"), &json!(3)));
    assert_eq!((&celsius["min"], &celsius["max"]), (&json!(1.0), &json!(2.0)));
    assert_eq!((&celsius["mean"], &celsius["element"]), (&json!(1.5), &Value::Null));
    assert!(summary["rate"].is_f64() && summary["seconds"].is_f64());

    let run = inspect(&[&last_3[..], &["--csv", "--taken"]].concat());
    let lines: Vec<_> = run.output.lines().collect();
    assert_eq!(lines[0], "time,sequence,missed,taken,ns,sensor,celsius");
    assert!(lines[3].ends_with(&format!(",4,0,false,{},{},2", 4_u64 << 40, !4_u32)), "{run:?}");
    assert_eq!(lines.len(), 4);
}

#[test]
fn types() {
    let name = Name::new();
    let memory = Memory::create(&name.0, 1 << 16).unwrap();
    Signal::create(&memory, "text", *b"caf\xc3\xa9\x1b\0rest").unwrap();
    Signal::create(&memory, "floats", [1.5_f32, -2.0, f32::NAN]).unwrap();
    Signal::create(&memory, "small", [0xFFFE_u16]).unwrap();
    let of = |structure: &str, options: &[&str]| {
        let run = inspect(&[&["monitor", &name.0, structure, "--count", "1"], options].concat());
        assert_eq!(run.code, 0, "{run:?}");
        run.output
    };
    let value = |structure: &str, r#type: &str| {
        let text = of(structure, &["--json", "--type", r#type]);
        objects(&text).remove(0)["value"].clone()
    };
    assert_eq!(value("text", "text"), "café\u{1b}");
    assert_eq!(value("text", "a:hex[3],b:text[8]"), json!({"a": "636166", "b": "é\u{1b}"}));
    assert!(of("text", &["--type", "text"]).ends_with("\"café\\u{1b}\"\n"));
    assert_eq!(value("floats", "f32[3]"), json!([1.5, -2.0, null]));
    assert_eq!(value("floats", "_:u8[8],last:u32"), json!({"last": f32::NAN.to_bits()}));
    assert!(of("floats", &["--type", "f32[3]"]).ends_with("#0        [1.5, -2, NaN]\n"));
    let csv = of("floats", &["--csv", "--type", "f32[3]"]);
    assert!(csv.starts_with("time,sequence,missed,value[0],value[1],value[2]\n"), "{csv}");
    assert!(csv.ends_with(",0,0,1.5,-2,NaN\n"), "{csv}");
    assert_eq!(value("small", "i16"), -2);
    assert_eq!(value("small", "i8[2]"), json!([-2, -1]));
    // Without a type: bytes as they lie there, and what they could be.
    assert!(of("small", &[]).ends_with("feff  u16 65534\n"));
    assert_eq!(objects(&of("small", &["--json"]))[0]["value"], "feff");
}

#[test]
fn a_type_of_another_size_is_refused() {
    let region = Region::new(1 << 16);
    let run = inspect(&["monitor", region.name(), "samples", "--type", "f32"]);
    assert_eq!((run.code, run.output.as_str()), (2, ""), "{run:?}");
    let expected = "f32 has 4 bytes, and each element of \"samples\" has 8; perhaps f32[2]?";
    assert!(run.errors.contains(expected), "{run:?}");
    let run = inspect(&["monitor", region.name(), "samples", "--type", READING]);
    assert_eq!(run.code, 2);
    assert!(run.errors.contains(&format!("{READING} has 16 bytes, and each")), "{run:?}");
}

/// Everything is pushed and nothing popped, so nothing may be missed.
#[test]
fn values_are_equal_and_in_order() {
    const COUNT: u32 = 3000;
    for (geometry, queue) in [(Geometry::SMALLEST, false), (Geometry::default(), true)] {
        let name = Name::new();
        let memory = Memory::options().geometry(geometry).create(&name.0, 1 << 20).unwrap();
        if queue {
            Queue::<Reading>::create(&memory, "it", COUNT as usize).unwrap();
        } else {
            Ring::<Reading>::create(&memory, "it", COUNT as usize).unwrap();
        }
        let count = COUNT.to_string();
        let options = ["--type", READING, "--json", "--count", &count, "--tail", &count];
        let monitor =
            Monitor::start(&[&[name.0.as_str(), "it", "--interval", "1ms"], &options[..]].concat());
        let mut producer =
            Ring::<Reading>::open(&memory, "it").ok().map(|ring| ring.producer().unwrap());
        for n in 0..COUNT {
            match &mut producer {
                Some(producer) => producer.try_push(reading(n)).unwrap(),
                None => Queue::open(&memory, "it").unwrap().try_push(reading(n)).unwrap(),
            }
            if n % 100 == 0 {
                sleep(Duration::from_millis(1));
            }
        }
        let run = monitor.finish();
        assert_eq!(run.code, 0, "{}", run.errors);
        for (n, found) in (0..).zip(objects(&run.output)) {
            let Reading { ns, sensor, celsius } = reading(n);
            assert_eq!(found["value"], json!({"ns": ns, "sensor": sensor, "celsius": celsius}));
            assert_eq!((&found["sequence"], &found["missed"]), (&json!(n), &json!(0)));
        }
        assert_eq!(objects(&run.errors)[0]["seen"], COUNT);
    }
}

/// With a consumer that takes everything out: seen and missed add up to all there were, and what is seen is right.
#[test]
fn what_is_taken_out_is_seen_or_counted() {
    const COUNT: u32 = 20_000;
    for taken in [false, true] {
        let name = Name::new();
        let memory = Memory::create(&name.0, 1 << 20).unwrap();
        let ring = Ring::<Reading>::create(&memory, "it", 64).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        // Once it has shown one value, it is there.
        producer.try_push(reading(0)).unwrap();
        let mut options = vec![name.0.as_str(), "it", "--tail", "1", "--type", READING, "--json"];
        options.extend(["--interval", "0"]);
        if taken {
            options.push("--taken");
        }
        let mut monitor = Monitor::start(&options);
        let output = monitor.0.as_mut().unwrap().stdout.take().unwrap();
        let mut lines = BufReader::new(output).lines();
        lines.next().unwrap().unwrap();
        let newest = Arc::new(AtomicU32::new(0));
        let of_reader = Arc::clone(&newest);
        let reader = thread::spawn(move || {
            let (mut seen, mut missed, mut last) = (1, 0, 0);
            for line in lines {
                let found: Value = serde_json::from_str(&line.unwrap()).unwrap();
                let n = u32::try_from(found["sequence"].as_u64().unwrap()).unwrap();
                let Reading { ns, sensor, celsius } = reading(n);
                let expected = json!({"ns": ns, "sensor": sensor, "celsius": celsius});
                assert_eq!(found["value"], expected, "torn, or not in its place");
                let before = u32::try_from(found["missed"].as_u64().unwrap()).unwrap();
                assert_eq!(n, last + before + 1);
                (seen, missed, last) = (seen + 1, missed + before, n);
                of_reader.store(n, Relaxed);
            }
            (seen, missed)
        });
        for n in 1..COUNT {
            consumer.try_pop().unwrap();
            producer.try_push(reading(n)).unwrap();
            if n % 500 == 0 {
                sleep(Duration::from_millis(2));
            }
        }
        // The last one is still in it, so it is seen, and all before it are seen or counted.
        eventually("the last one is seen", || newest.load(Relaxed) == COUNT - 1);
        monitor.signal(Killing::INT);
        let run = monitor.finish();
        assert_eq!(run.code, 0, "{run:?}");
        let (seen, missed) = reader.join().unwrap();
        let summary = &objects(&run.errors)[0];
        assert_eq!(summary["end"], "signal");
        assert_eq!((&summary["seen"], &summary["missed"]), (&json!(seen), &json!(missed)));
        assert_eq!(seen + missed, COUNT);
    }
}

#[test]
fn signals_show_whole_values_and_count_skipped_versions() {
    type Triple = [u64; 3];
    const LAST: u64 = 30_000;
    let triple = |n: u64| [n, !n, n << 20];
    for word in [WordSize::Four, WordSize::Eight] {
        let name = Name::new();
        let geometry = Geometry::new(word, 64).unwrap();
        let memory = Memory::options().geometry(geometry).create(&name.0, 1 << 16).unwrap();
        let signal = Signal::<Triple>::create(&memory, "it", triple(0)).unwrap();
        let mut monitor =
            Monitor::start(&[&name.0, "it", "--json", "--type", "u64[3]", "--interval", "0"]);
        let output = monitor.0.as_mut().unwrap().stdout.take().unwrap();
        let reader = thread::spawn(move || {
            let mut lines = BufReader::new(output).lines();
            let mut found: Vec<Value> = Vec::new();
            while found.last().is_none_or(|found| found["sequence"] != LAST) {
                found.push(serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap());
            }
            // Kept open: a reader that goes away ends the monitor.
            (found, lines)
        });
        for n in 1..=LAST {
            signal.set(triple(n)).unwrap();
            if n % 1000 == 0 {
                sleep(Duration::from_millis(5));
            }
        }
        // The current value is seen at last, whatever was skipped.
        let (found, _lines) = reader.join().unwrap();
        monitor.signal(Killing::TERM);
        let run = monitor.finish();
        assert_eq!(run.code, 0, "{run:?}");
        let (mut next, mut missed) = (found[0]["sequence"].as_u64().unwrap(), 0);
        for found in &found {
            let version = found["sequence"].as_u64().unwrap();
            assert_eq!(found["value"], json!(triple(version)), "torn");
            next += found["missed"].as_u64().unwrap();
            missed += found["missed"].as_u64().unwrap();
            assert_eq!(version, next);
            next += 1;
        }
        assert_eq!(next, LAST + 1);
        assert_eq!(objects(&run.errors)[0]["missed"], missed);
    }
}

#[test]
fn a_signal_begins_with_its_value_unless_asked_not_to() {
    let name = Name::new();
    let memory = Memory::create(&name.0, 1 << 16).unwrap();
    let signal = Signal::create(&memory, "it", 5_u8).unwrap();
    let monitor = Monitor::start(&[&name.0, "it", "--type", "u8", "--tail", "0", "--json"]);
    // Nothing says when it is there: set until it has seen one.
    let mut monitor = monitor;
    let output = monitor.0.as_mut().unwrap().stdout.take().unwrap();
    let line = thread::spawn(move || BufReader::new(output).lines().next().unwrap().unwrap());
    while !line.is_finished() {
        signal.set(6).unwrap();
        sleep(Duration::from_millis(20));
    }
    assert_eq!(objects(&line.join().unwrap())[0]["value"], 6);
}

#[test]
fn elements_of_an_array_are_shown_when_they_change() {
    let name = Name::new();
    let memory = Memory::create(&name.0, 1 << 16).unwrap();
    let array = Array::<f64>::create(&memory, "it", 4).unwrap();
    array.store(1, 2.5).unwrap();
    let all = inspect(&["monitor", &name.0, "it", "--type", "f64", "--seconds", "0.5", "--csv"]);
    assert_eq!(all.code, 0, "{all:?}");
    let rows: Vec<_> = all.output.lines().map(|line| line.split_once(',').unwrap().1).collect();
    assert_eq!(rows, ["element,value", "0,0", "1,2.5", "2,0", "3,0"]);
    assert!(all.errors.contains("\n[1]  min 2.5  max 2.5  mean 2.5\n"), "{all:?}");
    let none = inspect(&["monitor", &name.0, "it", "--tail", "0", "--seconds", "0.5"]);
    assert_eq!((none.code, none.output.as_str()), (0, ""), "{none:?}");
    assert!(none.errors.starts_with("0 values in ") && none.errors.contains("; the time is over"));

    let monitor = Monitor::start(&[
        &name.0,
        "it",
        "--element",
        "1..3",
        "--count",
        "4",
        "--json",
        "--type",
        "f64",
    ]);
    let mut changes = 0.0;
    let mut monitor = monitor;
    eventually("it has seen four", || {
        changes += 1.0;
        array.store(2, changes).unwrap();
        array.store(3, changes).unwrap();
        monitor.0.as_mut().unwrap().try_wait().unwrap().is_some()
    });
    let run = monitor.finish();
    let found = objects(&run.output);
    let elements: Vec<_> = found.iter().map(|found| found["element"].as_u64().unwrap()).collect();
    assert_eq!(elements, [1, 2, 2, 2]);
    assert!(found[0].get("sequence").is_none() && found[0]["value"] == 2.5);
    let values: Vec<_> = found[1..].iter().map(|found| found["value"].as_f64().unwrap()).collect();
    assert!(values.is_sorted(), "{values:?}");

    let run = inspect(&["monitor", &name.0, "it", "--element", "4"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.errors.contains("takes numbers from 0 to 3"), "{run:?}");
}

#[test]
fn nobody_is_disturbed() {
    let region = Region::new(1 << 16);
    let signal = Signal::create(&region.memory, "signal", 7_u32).unwrap();
    let before = region.bytes();
    for name in ["temperature", "samples", "jobs", "signal"] {
        let run = inspect(&[
            "monitor",
            region.name(),
            name,
            "--tail",
            "9",
            "--taken",
            "--seconds",
            "0.1",
            "--interval",
            "0",
        ]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(!run.output.is_empty(), "{name}");
    }
    assert!(before == region.bytes());
    // The mapping cannot be written, and the file need not be writable.
    let mut monitor = Monitor::start(&[region.name(), "signal"]);
    let output = monitor.0.as_mut().unwrap().stdout.take().unwrap();
    // Kept open: a reader that goes away ends the monitor.
    let mut lines = BufReader::new(output).lines();
    lines.next().unwrap().unwrap();
    let process = Pid::from_child(monitor.0.as_ref().unwrap()).as_raw_nonzero();
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let map = maps.lines().find(|line| line.ends_with(region.name())).unwrap();
    assert!(map.contains(" r--s "), "{map}");
    signal.set(8).unwrap();
}

#[test]
fn a_count_that_is_not_reached_is_1() {
    let region = Region::new(1 << 16);
    let of =
        |options: &[&str]| inspect(&[&["monitor", region.name(), "samples"], options].concat());
    let run = of(&["--tail", "9", "--count", "4", "--seconds", "0.5"]);
    assert_eq!((run.code, run.output.lines().count()), (1, 3), "{run:?}");
    assert_eq!(of(&["--tail", "9", "--count", "3", "--seconds", "9"]).code, 0);
    assert_eq!(of(&["--seconds", "0.5"]).code, 0);
}

#[test]
fn it_ends_when_the_region_is_removed_or_replaced() {
    for replace in [false, true] {
        let name = Name::new();
        let memory = Memory::create(&name.0, 1 << 16).unwrap();
        let ring = Ring::<u32>::create(&memory, "it", 8).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.try_push(7).unwrap();
        let monitor = Monitor::start(&[&name.0, "it", "--tail", "1", "--json", "--type", "u32"]);
        let mut monitor = monitor;
        let output = monitor.0.as_mut().unwrap().stdout.take().unwrap();
        let mut lines = BufReader::new(output).lines();
        lines.next().unwrap().unwrap();
        // What is pushed before is still shown.
        producer.try_push(8).unwrap();
        Memory::unlink(&name.0).unwrap();
        if replace {
            Memory::create(&name.0, 1 << 16).unwrap();
        }
        assert_eq!(objects(&lines.next().unwrap().unwrap())[0]["value"], 8);
        let run = monitor.finish();
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(objects(&run.errors)[0]["end"], "removed", "{run:?}");
    }
}

#[test]
fn it_ends_when_the_region_is_created_anew() {
    let region = Region::new(1 << 16);
    let mut monitor = Monitor::start(&[region.name(), "samples", "--tail", "1"]);
    let output = monitor.0.as_mut().unwrap().stdout.take().unwrap();
    // Kept open: a reader that goes away ends the monitor.
    let mut lines = BufReader::new(output).lines();
    lines.next().unwrap().unwrap();
    // Another session in the same memory, as after a reset: `session` is at 16 of the record, the first structure.
    let record = region.memory.region().view().find(".region").unwrap().offset;
    let other = region.memory.region().session() ^ 1;
    let bytes = region.bytes();
    let at = (record..record + 64).step_by(4).find(|at| {
        let at = usize::try_from(*at).unwrap();
        bytes[at..at + 4] == (other ^ 1).to_le_bytes()
    });
    region.spoil(at.unwrap(), &other.to_le_bytes());
    let run = monitor.finish();
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.errors.contains("; the region was created anew\n"), "{run:?}");
}

#[test]
fn a_spoilt_structure_is_2() {
    let region = Region::new(1 << 16);
    let mut monitor = Monitor::start(&[region.name(), "samples", "--tail", "1"]);
    let output = monitor.0.as_mut().unwrap().stdout.take().unwrap();
    // Kept open: a reader that goes away ends the monitor.
    let mut lines = BufReader::new(output).lines();
    lines.next().unwrap().unwrap();
    // The ring's tail, far beyond its head.
    let ring = region.memory.region().view().find("samples").unwrap().offset;
    region.spoil(ring + 64, &u64::MAX.to_le_bytes());
    let run = monitor.finish();
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.errors.contains("\"samples\" is corrupt: a peer has spoilt it"), "{run:?}");
}

#[test]
fn what_cannot_be_monitored_is_said() {
    let region = Region::new(1 << 16);
    Stack::<u32>::create(&region.memory, "stack", 4).unwrap();
    let of = |name: &str, options: &[&str]| {
        inspect(&[&["monitor", region.name(), name], options].concat())
    };
    let run = of("stack", &[]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.errors.contains("\"stack\" is of kind Stack"), "{run:?}");
    let run = of("nothing", &[]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.errors.contains("no structure is named \"nothing\""), "{run:?}");
    assert_eq!(inspect(&["monitor", "/zeroipc-no-such-region", "x"]).code, 1);
    let run = of("samples", &["--element", "1"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.errors.contains("--element is for Arrays"), "{run:?}");
    for bad in [
        &["--type", "float"][..],
        &["--interval", "-1"],
        &["--count", "0"],
        &["--seconds", "0"],
        &["--json", "--csv"],
        &["--element", "2..2"],
    ] {
        let run = of("temperature", bad);
        assert_eq!((run.code, run.output.as_str()), (2, ""), "{run:?}");
        assert!(run.errors.starts_with("zeroipc-inspect: "), "{run:?}");
    }
}

#[test]
fn a_closed_pipe_is_success_even_when_nothing_comes() {
    let region = Region::new(1 << 16);
    for options in [&["--tail", "3"][..], &[], &["--csv"]] {
        let arguments = [&["monitor", region.name(), "samples"], options].concat();
        let run = inspect_into_closed_pipe(&arguments);
        assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
    }
}

/// A stream that runs ahead of the monitor, and its end.
#[test]
fn streams_are_followed_to_their_end_and_lags_are_exact() {
    const COUNT: u32 = 20_000;
    let name = Name::new();
    let memory = Memory::create(&name.0, 1 << 20).unwrap();
    let stream = Stream::<Reading>::create(&memory, "it", 256).unwrap();
    stream.try_emit(reading(0)).unwrap();
    let mut monitor = Monitor::start(&[
        &name.0,
        "it",
        "--tail",
        "1",
        "--type",
        READING,
        "--json",
        "--interval",
        "1ms",
    ]);
    let output = monitor.0.as_mut().unwrap().stdout.take().unwrap();
    let mut lines = BufReader::new(output).lines();
    let first = lines.next().unwrap().unwrap();
    let reader = thread::spawn(move || lines.map(|line| line.unwrap() + "\n").collect::<String>());
    for n in 1..COUNT {
        stream.try_emit(reading(n)).unwrap();
        if n % 1000 == 0 {
            sleep(Duration::from_millis(3));
        }
    }
    stream.close().unwrap();
    let run = monitor.finish();
    assert_eq!(run.code, 0, "{run:?}");
    let (mut next, mut missed) = (0, 0);
    for found in objects(&(first + "\n" + &reader.join().unwrap())) {
        next += found["missed"].as_u64().unwrap();
        missed += found["missed"].as_u64().unwrap();
        assert_eq!(found["sequence"], next);
        let Reading { ns, sensor, celsius } = reading(u32::try_from(next).unwrap());
        let expected = json!({"ns": ns, "sensor": sensor, "celsius": celsius});
        assert_eq!(found["value"], expected, "torn, or not in its place");
        next += 1;
    }
    assert_eq!(next, u64::from(COUNT), "the last ones are kept, so they are seen");
    let summary = &objects(&run.errors)[0];
    assert_eq!((&summary["end"], &summary["missed"]), (&json!("closed"), &json!(missed)));
    assert_eq!(summary["seen"], u64::from(COUNT) - missed);
}
