use crate::sandbox::{inspect, populate, Folder, Name, Region, Run};
use serde_json::Value;
use std::fs;
use std::mem::forget;
use zeroipc::{
    Array, Barrier, Channel, Event, EventMode, Future, Geometry, Latch, Lazy, Map, Memory, Monitor,
    Mutex, Once, Options, Pool, Queue, Ring, RwLock, Semaphore, Service, Set, Signal, Stack,
    Stream, StreamOptions,
};

/// Where entry `index` of a table of version 1 is.
fn entry(index: u64) -> u64 {
    16 + 40 * index
}

fn json(name: &str) -> (Run, Value) {
    let run = inspect(&["show", name, "--json"]);
    let value = run.json();
    (run, value)
}

#[track_caller]
fn adds_up(report: &Value) {
    let bytes = |field: &str| report["bytes"][field].as_u64().unwrap();
    let sum = bytes("used") + bytes("leaked") + bytes("free");
    assert_eq!(report["size"], sum, "{report}");
}

#[test]
fn shows_every_structure() {
    let region = Region::new(1 << 20);
    let run = inspect(&["show", region.name()]);
    assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
    assert!(run.line("temperature").starts_with("temperature Array 4 1000 1000 "), "{run:?}");
    assert!(run.line("samples").starts_with("samples Ring 8 16 3 "), "{run:?}");
    assert!(run.line("jobs").starts_with("jobs Queue 4 8 4 "), "{run:?}");
    assert!(run.line("jobs").ends_with(" 8 64 elements in it"), "{run:?}");
    assert_eq!(run.line("size"), "size 1048576 bytes 1.0 MiB");
    assert_eq!(run.line("leaked"), "leaked 0 bytes 0 B");
    assert_eq!(run.line("entries"), "entries 4 of 65, the region's own included");
    assert!(!run.output.contains(".region"));
    let run = inspect(&["show", "--all", region.name()]);
    assert!(run.line(".region").starts_with(".region Region 0 1048576 - "), "{run:?}");
}

/// A structure of each kind: its name, how it is made, and the kind, element size, capacity and fill that are shown.
type Made = (&'static str, fn(&Memory, &str), [&'static str; 4]);

/// Of each kind also one whose fill differs from zero and from its capacity, where it has a fill. A new kind adds its lines here.
const KINDS: &[Made] = &[
    ("array", array_of_5, ["Array", "2", "5", "5"]),
    ("ring", ring_of_2, ["Ring", "8", "4", "2"]),
    ("queue", queue_of_1, ["Queue", "4", "2", "1"]),
    ("signal", signal_set_3_times, ["Signal", "12", "8", "3"]),
    ("signal of one", signal_of_one_set_once, ["Signal", "8", "4", "1"]),
    ("stack", stack_of_2, ["Stack", "4", "5", "2"]),
    ("pool", pool_with_one_lent, ["Pool", "16", "3", "1"]),
    ("map", map_of_2, ["Map", "12", "8", "2"]),
    ("set", set_of_1, ["Set", "8", "4", "1"]),
    ("semaphore", semaphore_with_2_left, ["Semaphore", "0", "5", "2"]),
    ("mutex", mutex_free, ["Mutex", "8", "1", "0"]),
    ("mutex held", mutex_held, ["Mutex", "4", "1", "1"]),
    ("rwlock", rwlock_read_twice, ["RwLock", "4", "1", "2"]),
    ("monitor", monitor_held, ["Monitor", "4", "1", "1"]),
    ("barrier", barrier_of_3, ["Barrier", "0", "3", "0"]),
    ("latch", latch_of_3_with_2_left, ["Latch", "0", "3", "2"]),
    ("once", once_done, ["Once", "0", "1", "1"]),
    ("event", event_set, ["Event", "0", "1", "1"]),
    ("future", future_set, ["Future", "4", "1", "1"]),
    ("lazy", lazy_unevaluated, ["Lazy", "4", "1", "0"]),
    ("service", service_with_one_call, ["Service", "4", "3", "1"]),
    ("stream", stream_of_5, ["Stream", "4", "4", "4"]),
    ("stream of one", stream_of_one_with_3, ["Stream", "8", "4", "3"]),
    ("channel", channel_of_2, ["Channel", "4", "4", "2"]),
    ("rendezvous", rendezvous_alone, ["Channel", "4", "0", "0"]),
];

fn stack_of_2(memory: &Memory, name: &str) {
    let stack = Stack::<u32>::create(memory, name, 5).unwrap();
    (0..2).for_each(|n| stack.try_push(n).unwrap());
}

fn pool_with_one_lent(memory: &Memory, name: &str) {
    let pool = Pool::<[u64; 2]>::create(memory, name, 3).unwrap();
    forget(pool.try_alloc().unwrap());
}

fn map_of_2(memory: &Memory, name: &str) {
    let map = Map::<u64, u32>::create(memory, name, 8).unwrap();
    (0..2).for_each(|n| assert_eq!(map.insert(n, 7), Ok(None)));
}

fn set_of_1(memory: &Memory, name: &str) {
    assert_eq!(Set::<u64>::create(memory, name, 4).unwrap().insert(7), Ok(true));
}

fn semaphore_with_2_left(memory: &Memory, name: &str) {
    Semaphore::create(memory, name, 3, 5).unwrap().try_acquire().unwrap().forget();
}

fn mutex_free(memory: &Memory, name: &str) {
    Mutex::create(memory, name, 0_u64).unwrap();
}

fn barrier_of_3(memory: &Memory, name: &str) {
    Barrier::create(memory, name, 3).unwrap();
}

fn mutex_held(memory: &Memory, name: &str) {
    let mutex = Mutex::create(memory, name, 0_u32).unwrap();
    forget(mutex.try_lock().unwrap());
}

fn rwlock_read_twice(memory: &Memory, name: &str) {
    let lock = RwLock::create(memory, name, 0_u32).unwrap();
    (0..2).for_each(|_| forget(lock.try_read().unwrap()));
}

fn monitor_held(memory: &Memory, name: &str) {
    let monitor = Monitor::create(memory, name, 0_u32).unwrap();
    forget(monitor.try_lock().unwrap());
}

fn latch_of_3_with_2_left(memory: &Memory, name: &str) {
    Latch::create(memory, name, 3).unwrap().count_down().unwrap();
}

fn once_done(memory: &Memory, name: &str) {
    assert_eq!(Once::create(memory, name).unwrap().call_once(|_| ()), Ok(true));
}

fn future_set(memory: &Memory, name: &str) {
    Future::<u32>::create(memory, name).unwrap().promise().unwrap().set(7).unwrap();
}

fn lazy_unevaluated(memory: &Memory, name: &str) {
    Lazy::<u32>::create(memory, name).unwrap();
}

fn service_with_one_call(memory: &Memory, name: &str) {
    let client = Service::<u32, u64>::create(memory, name, 3).unwrap().client();
    forget(client.try_request(7).unwrap());
}

fn stream_of_5(memory: &Memory, name: &str) {
    let stream = Stream::<u32>::create(memory, name, 4).unwrap();
    (0..5).for_each(|n| assert!(stream.emit(n).is_ok()));
}

fn stream_of_one_with_3(memory: &Memory, name: &str) {
    let options = StreamOptions::new().single_publisher().backpressure(2);
    let stream = Stream::<u64>::create_with(memory, name, 4, &options).unwrap();
    let mut publisher = stream.publisher().unwrap();
    (0..3).for_each(|n| assert!(publisher.emit(n).is_ok()));
}

fn channel_of_2(memory: &Memory, name: &str) {
    let channel = Channel::<u32>::create(memory, name, 3).unwrap();
    (0..2).for_each(|n| channel.try_send(n).unwrap());
}

fn rendezvous_alone(memory: &Memory, name: &str) {
    Channel::<u32>::create(memory, name, 0).unwrap();
}

fn event_set(memory: &Memory, name: &str) {
    Event::create(memory, name, EventMode::Manual).unwrap().set();
}

fn array_of_5(memory: &Memory, name: &str) {
    Array::<u16>::create(memory, name, 5).unwrap();
}

fn ring_of_2(memory: &Memory, name: &str) {
    let ring = Ring::<u64>::create(memory, name, 4).unwrap();
    let mut producer = ring.producer().unwrap();
    (0..2).for_each(|n| producer.try_push(n).unwrap());
}

fn queue_of_1(memory: &Memory, name: &str) {
    Queue::<u32>::create(memory, name, 2).unwrap().try_push(7).unwrap();
}

fn signal_set_3_times(memory: &Memory, name: &str) {
    let signal = Signal::create(memory, name, [0_u32; 3]).unwrap();
    (1..4).for_each(|n| assert_eq!(signal.set([9; 3]), Ok(n)));
}

fn signal_of_one_set_once(memory: &Memory, name: &str) {
    let signal = Signal::create_single_writer(memory, name, 0_u64, 4).unwrap();
    signal.writer().unwrap().set(5);
}

#[test]
fn shows_every_kind() {
    for geometry in [Geometry::SMALLEST, Geometry::default()] {
        let name = Name::new();
        let memory = Memory::options().geometry(geometry).create(&name.0, 1 << 20).unwrap();
        KINDS.iter().for_each(|(name, create, _)| create(&memory, name));
        let run = inspect(&["show", &name.0]);
        assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
        let (_, report) = json(&name.0);
        let structures = report["structures"].as_array().unwrap();
        assert_eq!(structures.len(), KINDS.len());
        for ((name, _, shown), found) in KINDS.iter().zip(structures) {
            let start = format!("{name} {} ", shown.join(" "));
            assert!(run.line(&start).starts_with(&start), "{run:?}");
            let text = |field: &str| found[field].to_string().replace('"', "");
            let fields = ["kind", "element_size", "capacity", "fill"].map(text);
            assert_eq!((text("name").as_str(), fields), (*name, shown.map(str::to_owned)));
            // Every kind says what its fill is.
            let meaning = found["fill_is"].as_str().unwrap();
            assert!(run.line(&start).ends_with(&format!(" {meaning}")), "{run:?}");
        }
        adds_up(&report);
    }
}

#[test]
fn json_has_what_the_help_says() {
    let region = Region::new(1 << 20);
    let (run, report) = json(region.name());
    let view = region.memory.region().view();
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(report["name"], region.name());
    assert_eq!(report["version"], 1);
    assert_eq!(report["size"], 1 << 20);
    assert_eq!(report["session"], view.session());
    assert_eq!(report["capability"], "cas");
    assert_eq!(report["geometry"]["line_bytes"], 64);
    assert_eq!(report["entries"]["used"], 4);
    assert_eq!(report["entries"]["max"], view.max_entries());
    assert_eq!(report["bytes"]["leaked"], 0);
    assert_eq!(report["bytes"]["used"], view.next_offset());
    adds_up(&report);
    let structures = report["structures"].as_array().unwrap();
    let names: Vec<_> = structures.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["temperature", "samples", "jobs"]);
    let queue = &structures[2];
    let found = view.find("jobs").unwrap();
    assert_eq!(queue["kind"], "Queue");
    assert_eq!(queue["element_size"], 4);
    assert_eq!((&queue["capacity"], &queue["fill"]), (&8.into(), &4.into()));
    assert_eq!(queue["offset"], found.offset);
    assert_eq!(queue["size"], found.size);
    assert_eq!(queue["index"], found.index);
    assert_eq!(queue["word_bytes"], 8);
    assert_eq!(report["errors"], Value::Array(Vec::new()));
}

#[test]
fn a_name_needs_no_slash_and_a_region_may_be_a_file() {
    let region = Region::new(1 << 16);
    assert_eq!(inspect(&["show", &region.name()[1..]]).code, 0);

    let folder = Folder::new();
    let path = folder.file("region");
    populate(&Memory::create_file(&path, 1 << 16).unwrap());
    let path = path.to_str().unwrap();
    for arguments in [&["show", path][..], &["show", "--file", path]] {
        let run = inspect(arguments);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.output.starts_with(path), "{run:?}");
        assert!(run.line("jobs").starts_with("jobs Queue 4 8 4 "), "{run:?}");
    }
}

#[test]
fn an_empty_region_has_no_structures() {
    let name = Name::new();
    let _memory = Memory::create(&name.0, 4096).unwrap();
    let run = inspect(&["show", &name.0]);
    assert_eq!(run.code, 0);
    assert!(run.output.ends_with("No structures.\n"), "{run:?}");
}

#[test]
fn regions_of_4_gib_and_more() {
    let folder = Folder::new();
    let path = folder.file("large");
    populate(&Options::new().sparse(true).create_file(&path, 5 << 30).unwrap());
    let (run, report) = json(path.to_str().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(report["version"], 3);
    assert_eq!(report["size"], 5_u64 << 30);
    assert_eq!(report["bytes"]["leaked"], 0);
    adds_up(&report);
}

#[test]
fn what_is_not_there_is_1() {
    for arguments in [&["show", "/zeroipc-no-such-region"][..], &["show", "--file", "/no/such"]] {
        let run = inspect(arguments);
        assert_eq!((run.code, run.output.as_str()), (1, ""), "{run:?}");
        assert!(run.errors.starts_with("zeroipc-inspect: /"), "{run:?}");
    }
}

#[test]
fn what_is_no_region_is_2() {
    let folder = Folder::new();
    let path = folder.file("nonsense");
    for content in [&[][..], &[7; 3], &[7; 4096]] {
        fs::write(&path, content).unwrap();
        let run = inspect(&["show", path.to_str().unwrap()]);
        assert_eq!((run.code, run.output.as_str()), (2, ""), "{run:?}");
        assert!(run.errors.starts_with("zeroipc-inspect: "), "{run:?}");
    }
    let run = inspect(&["show", "--file", folder.0.to_str().unwrap()]);
    assert_eq!(run.code, 2, "{run:?}");
    assert_eq!(inspect(&["show", "/"]).code, 2);
}

#[test]
fn a_spoilt_entry_does_not_hide_the_others() {
    let region = Region::new(1 << 16);
    // The offset of `samples` leads out of the region.
    region.spoil(entry(2) + 32, &0xffff_fff8_u32.to_le_bytes());
    let run = inspect(&["show", region.name()]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.line("temperature").starts_with("temperature Array"), "{run:?}");
    assert!(run.line("jobs").starts_with("jobs Queue"), "{run:?}");
    assert!(run.line("(corrupt)").contains("entry 2"), "{run:?}");
    assert!(run.errors.contains("entry 2 is corrupt"), "{run:?}");

    let (run, report) = json(region.name());
    assert_eq!(run.code, 2);
    assert_eq!(report["errors"][0]["index"], 2);
    assert!(report["errors"][0]["name"].is_null());
    assert_eq!(report["structures"].as_array().unwrap().len(), 2);
    adds_up(&report);
}

#[test]
fn a_spoilt_structure_is_named() {
    let region = Region::new(1 << 16);
    let view = region.memory.region().view();
    region.spoil(view.find("temperature").unwrap().offset + 16, &u32::MAX.to_le_bytes());
    region.spoil(view.find("samples").unwrap().offset + 16, &3_u32.to_le_bytes());
    region.spoil(view.find("jobs").unwrap().offset + 4, &[9; 4]);
    let (run, report) = json(region.name());
    assert_eq!(run.code, 2, "{run:?}");
    let errors = report["errors"].as_array().unwrap();
    let names: Vec<_> = errors.iter().map(|error| error["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["temperature", "samples", "jobs"]);
    assert_eq!(report["structures"], Value::Array(Vec::new()));
    adds_up(&report);
}

#[test]
fn unexplained_bytes_are_leaked() {
    let region = Region::new(1 << 16);
    // As if a creator had reserved a block and died.
    let next = u32::try_from(region.memory.region().view().next_offset()).unwrap();
    region.spoil(12, &(next + 640).to_le_bytes());
    let (_, report) = json(region.name());
    assert_eq!(report["bytes"]["leaked"], 640);
    adds_up(&report);
    zeroipc::Array::<u8>::create(&region.memory, "later", 10).unwrap();
    let (run, report) = json(region.name());
    // What the next structure's alignment leaves over may be counted with it.
    let leaked = report["bytes"]["leaked"].as_u64().unwrap();
    assert!((640..640 + 64).contains(&leaked), "{report}");
    assert_eq!(run.code, 0);
    adds_up(&report);
}

#[test]
fn looking_changes_nothing() {
    let region = Region::new(1 << 16);
    let before = region.bytes();
    inspect(&["show", region.name(), "--all"]);
    inspect(&["dump", region.name()]);
    inspect(&["list"]);
    assert!(before == region.bytes());
}

#[test]
fn a_region_inside_a_file() {
    let folder = Folder::new();
    let path = folder.file("memory");
    fs::write(&path, vec![0; 1 << 20]).unwrap();
    let memory = Memory::create_within(&path, 512 << 10, 64 << 10).unwrap();
    Array::<u32>::create(&memory, "inside", 5).unwrap();
    let path = path.to_str().unwrap();
    for at in ["512K", "0x80000", "524288"] {
        let run = inspect(&["show", "--file", path, "--at", at]);
        assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
        assert!(run.line("inside").starts_with("inside Array 4 5 "), "{run:?}");
        assert!(run.output.starts_with(&format!("{path}+0x80000\n")), "{run:?}");
    }
    let run = inspect(&["dump", "--file", path, "--at", "512K", "--size", "4"]);
    assert!(run.output.starts_with("00000000  4d 50 49 5a "), "{run:?}");
    for at in ["0", "1", "1M", "256K"] {
        let run = inspect(&["show", "--file", path, "--at", at]);
        assert_eq!(run.code, 2, "{run:?}");
    }
    let run = inspect(&["show", "/in-shared-memory", "--at", "4K"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.errors.contains("--at is for regions inside a file"), "{run:?}");
}
