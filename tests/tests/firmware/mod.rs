//! What every firmware example must do together with a process on Linux.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};
use zeroipc::{Memory, Queue, Signal, WordSize};
use zeroipc_firmware_pipeline::{names, Command, HostStatus, Places, Status};
use zeroipc_tests::machine::{Firmware, Inspector, Machine};
use zeroipc_tests::processes::{part, watchdog, Party};
use zeroipc_tests::scratch::Scratch;

/// How many items each flow must have carried.
const MILLION: u32 = 1_000_000;
/// How many it must carry in each session after that.
const MORE: u32 = 20_000;
/// How many commands must have been answered in each session.
const ANSWERS: u32 = 100;
/// How many calls between the cores.
const CALLS: u32 = 1000;
/// How many values of the stream.
const LEVELS: u32 = 100;
const PATIENCE: Duration = Duration::from_secs(110);

/// A machine, and how Linux takes part.
pub(crate) struct Board {
    pub(crate) firmware: Firmware,
    /// The emulator's arguments, but for the program: which file the shared memory is.
    pub(crate) arguments: fn(&Path) -> Vec<String>,
    pub(crate) places: Places,
    /// The word size of the region that the device creates, and that of Linux's.
    pub(crate) words: [WordSize; 2],
    /// Its exit code after a command to stop.
    pub(crate) stopped: i32,
}

/// What both regions say at a moment.
#[derive(Debug, Clone, Copy)]
struct Now {
    device_session: u32,
    cores: [Status; 2],
    host_session: u32,
    linux: HostStatus,
}

struct Shared<'a> {
    path: &'a Path,
    places: Places,
}

impl Shared<'_> {
    /// `None` while one of the regions is not there, or is being created.
    fn now(&self) -> Option<Now> {
        let device = Memory::open_within(self.path, self.places.device).ok()?;
        let host = Memory::open_within(self.path, self.places.host).ok()?;
        let core = |name| Signal::<Status>::open(&device, name).ok()?.get().ok();
        let [first, second] = names::CORES;
        let now = Now {
            device_session: device.region().session(),
            cores: [core(first)?, core(second)?],
            host_session: host.region().session(),
            linux: Signal::open(&host, names::LINUX).ok()?.get().ok()?,
        };
        (device.region().is_current() && host.region().is_current()).then_some(now)
    }

    /// Looks until `done`; nothing may ever be wrong.
    fn wait(&self, machine: &mut Machine, what: &str, done: impl Fn(&Now) -> bool) -> Now {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.now();
            if let Some(now) = now {
                let wrong = [now.cores[0].wrong, now.cores[1].wrong, now.linux.wrong];
                assert_eq!(wrong, [0; 3], "{what}: {now:?}\n{}", machine.printed());
                if done(&now) {
                    return now;
                }
            }
            if let Some(status) = machine.ended() {
                panic!("{what}: the machine has ended, {status}: {now:?}\n{}", machine.printed());
            }
            let late = Instant::now() >= deadline;
            assert!(!late, "{what}: still not there: {now:?}\n{}", machine.state());
            sleep(Duration::from_millis(20));
        }
    }
}

impl Shared<'_> {
    /// Waits until items flow on all paths in another session of the device, which was `last`.
    fn wait_for_device(&self, machine: &mut Machine, what: &str, last: &Now) -> Now {
        let now = self.wait(machine, what, |now| {
            let setpoints = now.linux.setpoints.wrapping_sub(last.linux.setpoints);
            now.device_session != last.device_session
                && now.linux.device_session == now.device_session
                && now.cores.iter().all(|core| core.host_session == now.host_session)
                && now.cores.iter().all(|core| core.from_core >= MORE)
                // More than fit into the ring: core 1 has taken them.
                && setpoints >= MORE
                && now.linux.readings >= MORE
                && others(now)
        });
        assert!(now.linux.device_sessions > last.linux.device_sessions, "{now:?}");
        now
    }
}

/// Items between the cores and between device and Linux, both ways, each once and in order; Linux killed and restarted; the
/// device reset; both looked at by the inspector.
pub(crate) fn exchange(test: &str, board: &Board) {
    if let Some(part) = part() {
        let path = Path::new("/dev/shm").join(part.region.trim_start_matches('/'));
        zeroipc_firmware_host::run(&path, &board.places, board.words[1], |_| false).unwrap();
        return;
    }
    let Some(program) = board.firmware.build() else { return };
    let inspector = Inspector::build();
    let _watchdog = watchdog(Duration::from_secs(300), "the exchange with a machine");
    let scratch = Scratch::new();
    let path = PathBuf::from(format!("/dev/shm{}", scratch.name()));
    fs::File::create(&path).unwrap().set_len(board.places.file).unwrap();

    let mut arguments = (board.arguments)(&path);
    arguments.extend(["-kernel".to_owned(), program.display().to_string()]);
    let console = env::temp_dir().join(format!("zeroipc-console-{}", std::process::id()));
    let start = || Machine::start(board.firmware.emulator, &arguments, console.clone());
    let mut machine = start();
    let shared = Shared { path: &path, places: board.places };
    let mut linux = Party::start(test, "linux", 0, scratch.name());

    let first = shared.wait(&mut machine, "a million items on each flow", |now| {
        let [zero, one] = now.cores;
        let flows = [zero.from_core, one.from_core, one.from_host, now.linux.readings];
        flows.iter().all(|items| *items >= MILLION) && others(now)
    });
    show(&inspector, board, &path);

    // Linux dies, and another comes. The cores go on among themselves meanwhile.
    linux.kill();
    let dead = shared.wait(&mut machine, "the cores go on without Linux", |now| {
        now.cores[0].from_core > first.cores[0].from_core
    });
    let mut linux = Party::start(test, "linux", 0, scratch.name());
    let second = shared.wait(&mut machine, "another session of Linux", |now| {
        let both = now.cores.iter().all(|core| core.host_session == now.host_session);
        let items = now.cores[1].from_host.wrapping_sub(dead.cores[1].from_host);
        both && now.host_session != first.host_session
            && now.linux.device_session == first.device_session
            && items >= MORE
            && now.linux.readings >= MORE
            && others(now)
    });
    assert!(second.cores.iter().all(|core| core.host_sessions >= 2), "{second:?}");

    // The device is reset while Linux goes on; and then its power fails, which all its own memory forgets.
    machine.reset();
    let third = shared.wait_for_device(&mut machine, "the device after a reset", &second);
    drop(machine);
    let mut machine = start();
    let fourth = shared.wait_for_device(&mut machine, "the device after a power failure", &third);
    assert_eq!(fourth.host_session, second.host_session, "Linux was not restarted");
    assert_eq!(linux.ended(), None, "Linux was not restarted");

    // Any party may send a command.
    let memory = Memory::open_within(&path, board.places.host).unwrap();
    let stop = Command { number: Command::STOP, operand: 0, session: 0 };
    Queue::open(&memory, names::COMMANDS).unwrap().push_timeout(stop, PATIENCE).unwrap();
    assert_eq!(machine.finish(PATIENCE), Some(board.stopped), "{}", machine.printed());
    linux.kill();
}

/// Whether what flows less has come, too: answers to commands, calls by channel, values of the stream.
fn others(now: &Now) -> bool {
    let calls = now.cores.iter().all(|core| core.calls >= CALLS);
    let levels = now.cores[0].levels.min(now.linux.levels) >= LEVELS;
    now.linux.answered >= ANSWERS && calls && levels
}

/// The inspector sees the live regions.
fn show(inspector: &Inspector, board: &Board, path: &Path) {
    let at = |offset: u64| format!("--at={offset}");
    let show = |offset| {
        inspector.run(&["show".as_ref(), "--file".as_ref(), path.as_ref(), at(offset).as_ref()])
    };
    let device = show(board.places.device);
    let host = show(board.places.host);
    let shown = |text: &str, name: &str, kind: &str, word: WordSize| {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        let columns = words(line.unwrap_or_else(|| panic!("no {name}:\n{text}")));
        assert!(columns.iter().any(|column| column == kind), "{name} is no {kind}:\n{text}");
        // After kind, element, capacity, fill, size and offset.
        let at = columns.iter().position(|column| column == kind).map(|kind| kind + 6);
        assert_eq!(at.and_then(|at| columns.get(at)), Some(&word.bytes().to_string()), "{text}");
    };
    let [device_words, host_words] = board.words;
    for (name, kind) in [
        ("core 0", "Signal"),
        ("core 1", "Signal"),
        (names::SAMPLES, "Ring"),
        (names::FILTERED, "Ring"),
        (names::READINGS, "Ring"),
        (names::ANSWERS, "Queue"),
        (names::REQUESTS, "Channel"),
        (names::REPLIES, "Channel"),
        (names::LEVELS, "Stream"),
        (names::CALIBRATION, "Future"),
    ] {
        shown(&device, name, kind, device_words);
    }
    for (name, kind) in
        [(names::SETPOINTS, "Ring"), (names::COMMANDS, "Queue"), (names::LINUX, "Signal")]
    {
        shown(&host, name, kind, host_words);
    }
}
