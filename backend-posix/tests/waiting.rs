//! Sleeping in the kernel: never too short, and woken from another process without fail.
//!
//! The second process is this binary again, with a task in its environment.

mod scratch;

use rustix::io::Errno;
use rustix::thread::futex;
use scratch::Scratch;
use std::env;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use zeroipc_nostd::{PopTimeoutError, PushTimeoutError, Queue, Ring, Wait, WaitWord};
use zeroipc_posix::{Futex, Memory};

const TASK: &str = "ZEROIPC_POSIX_TEST_TASK";
const NAME: &str = "ZEROIPC_POSIX_TEST_NAME";

const ROUNDS: u32 = 20_000;

/// Long enough that only a wake-up that never came, or a peer that failed, explains it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A waiter that never spins and never looks by itself: whatever ends its sleep must wake it.
#[derive(Debug)]
struct Sleeper {
    lost: AtomicBool,
}

static SLEEPER: Sleeper = Sleeper { lost: AtomicBool::new(false) };

impl Wait for Sleeper {
    fn now(&self) -> u64 {
        Futex.now()
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, _deadline: u64) {
        let limit = futex::Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let flags = futex::Flags::empty();
        if futex::wait(word.address(), flags, expected, Some(&limit)) == Err(Errno::TIMEDOUT) {
            self.lost.store(true, Relaxed);
        }
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        Futex.wake(word, count)
    }

    fn sleeper_fences_for_us(&self) -> bool {
        Futex.sleeper_fences_for_us()
    }

    fn sleep_fence(&self) {
        Futex.sleep_fence();
    }

    fn spins(&self) -> u32 {
        0
    }
}

/// The other process; ended with the test.
struct Peer(Child);

impl Peer {
    fn start(task: &str, name: &Scratch) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "in_the_other_process", "--nocapture"]);
        command.env(TASK, task).env(NAME, &name.0).stdout(Stdio::null());
        Peer(command.spawn().unwrap())
    }

    fn finish(mut self) {
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the other process does; nothing when run as a test.
#[test]
fn in_the_other_process() {
    let Ok(task) = env::var(TASK) else { return };
    let memory = Memory::open(&env::var(NAME).unwrap()).unwrap();
    match task.as_str() {
        "push-later" => {
            let queue = Queue::<u32>::open(&memory, "queue").unwrap();
            std::thread::sleep(Duration::from_millis(50));
            queue.push(7).unwrap();
        }
        "echo-queues" => {
            let region = memory.region().with_notifier(&SLEEPER);
            let there = Queue::<u32>::open(region, "there").unwrap();
            let back = Queue::<u32>::open(region, "back").unwrap();
            for round in 0..ROUNDS {
                assert_eq!(there.pop_timeout(PATIENCE), Ok(round));
                back.push_timeout(round, PATIENCE).unwrap();
            }
        }
        "echo-rings" => {
            let region = memory.region().with_notifier(&SLEEPER);
            let there = Ring::<u32>::open(region, "there").unwrap();
            let back = Ring::<u32>::open(region, "back").unwrap();
            let (mut there, mut back) = (there.consumer().unwrap(), back.producer().unwrap());
            for round in 0..ROUNDS {
                assert_eq!(there.pop_timeout(PATIENCE), Ok(round));
                back.push_timeout(round, PATIENCE).unwrap();
            }
        }
        "drain-slowly" => {
            let region = memory.region().with_notifier(&SLEEPER);
            let queue = Queue::<u32>::open(region, "queue").unwrap();
            let ring = Ring::<u32>::open(region, "ring").unwrap();
            let mut ring = ring.consumer().unwrap();
            for round in 0..ROUNDS {
                assert_eq!(queue.pop_timeout(PATIENCE), Ok(round));
                assert_eq!(ring.pop_timeout(PATIENCE), Ok(round));
            }
        }
        other => panic!("no task {other}"),
    }
    assert!(!SLEEPER.lost.load(Relaxed), "a wake-up was lost");
}

#[test]
fn a_timeout_is_never_early() {
    let memory = Memory::anonymous(1 << 16).unwrap();
    let queue = Queue::<u32>::create(&memory, "queue", 2).unwrap();
    let ring = Ring::<u32>::create(&memory, "ring", 2).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    // Beyond one slice of sleep (100 ms), too.
    for timeout in [0, 1, 50, 130].map(Duration::from_millis) {
        let start = Instant::now();
        assert_eq!(queue.pop_timeout(timeout), Err(PopTimeoutError::Timeout));
        assert!(start.elapsed() >= timeout);
        let start = Instant::now();
        assert_eq!(consumer.pop_timeout(timeout), Err(PopTimeoutError::Timeout));
        assert!(start.elapsed() >= timeout);
    }
    let timeout = Duration::from_millis(50);
    for value in 0..2 {
        queue.push(value).unwrap();
        producer.push(value).unwrap();
    }
    let start = Instant::now();
    assert_eq!(queue.push_timeout(2, timeout), Err(PushTimeoutError::Timeout(2)));
    assert!(start.elapsed() >= timeout);
    let start = Instant::now();
    assert_eq!(producer.push_timeout(2, timeout), Err(PushTimeoutError::Timeout(2)));
    assert!(start.elapsed() >= timeout);
}

#[test]
fn the_futex_sleeps_while_the_word_is_the_same_and_not_else() {
    // A word of a region is reached by a waiter that takes note of what it is asked to wait for.
    #[derive(Debug)]
    struct Probe;
    impl Wait for Probe {
        fn now(&self) -> u64 {
            Futex.now()
        }
        fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
            let start = self.now();
            Futex.wait(word, expected.wrapping_add(1), start + 60_000_000_000);
            assert!(self.now() - start < 60_000_000_000, "slept though the word differed");
            assert_eq!(Futex.wake(word, 1), 0, "woke somebody where nobody sleeps");
            Futex.wait(word, expected, deadline);
        }
        fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
            Futex.wake(word, count)
        }
        fn spins(&self) -> u32 {
            0
        }
    }
    let memory = Memory::anonymous(1 << 16).unwrap();
    let queue = Queue::<u32>::create(&memory, "queue", 2).unwrap();
    let deadline = Futex.now() + 5_000_000;
    assert_eq!(queue.pop_with(&Probe, Some(deadline)), Err(PopTimeoutError::Timeout));
    assert!(Futex.now() >= deadline);
}

#[test]
fn a_sleeping_pop_is_woken_by_a_push_in_another_process() {
    let name = Scratch::new();
    let memory = Memory::create(&name.0, 1 << 16).unwrap();
    let queue = Queue::<u32>::create(&memory, "queue", 4).unwrap();
    let peer = Peer::start("push-later", &name);
    assert_eq!(queue.pop_with(&SLEEPER, None), Ok(7));
    peer.finish();
    assert!(!SLEEPER.lost.load(Relaxed), "the wake-up was lost");
}

#[test]
fn no_wake_up_is_lost_between_processes_on_queues() {
    let name = Scratch::new();
    let memory = Memory::create(&name.0, 1 << 16).unwrap();
    let region = memory.region().with_notifier(&SLEEPER);
    let there = Queue::<u32>::create(region, "there", 2).unwrap();
    let back = Queue::<u32>::create(region, "back", 2).unwrap();
    let peer = Peer::start("echo-queues", &name);
    for round in 0..ROUNDS {
        there.push_timeout(round, PATIENCE).unwrap();
        assert_eq!(back.pop_timeout(PATIENCE), Ok(round));
    }
    peer.finish();
    assert!(!SLEEPER.lost.load(Relaxed), "a wake-up was lost");
}

#[test]
fn no_wake_up_is_lost_between_processes_on_rings() {
    let name = Scratch::new();
    let memory = Memory::create(&name.0, 1 << 16).unwrap();
    let region = memory.region().with_notifier(&SLEEPER);
    let there = Ring::<u32>::create(region, "there", 2).unwrap();
    let back = Ring::<u32>::create(region, "back", 2).unwrap();
    let (mut there, mut back) = (there.producer().unwrap(), back.consumer().unwrap());
    let peer = Peer::start("echo-rings", &name);
    for round in 0..ROUNDS {
        there.push_timeout(round, PATIENCE).unwrap();
        assert_eq!(back.pop_timeout(PATIENCE), Ok(round));
    }
    peer.finish();
    assert!(!SLEEPER.lost.load(Relaxed), "a wake-up was lost");
}

#[test]
fn a_full_structure_wakes_its_producer() {
    let name = Scratch::new();
    let memory = Memory::create(&name.0, 1 << 16).unwrap();
    let region = memory.region().with_notifier(&SLEEPER);
    let queue = Queue::<u32>::create(region, "queue", 2).unwrap();
    let ring = Ring::<u32>::create(region, "ring", 2).unwrap();
    let mut ring = ring.producer().unwrap();
    let peer = Peer::start("drain-slowly", &name);
    for round in 0..ROUNDS {
        queue.push_timeout(round, PATIENCE).unwrap();
        ring.push_timeout(round, PATIENCE).unwrap();
    }
    peer.finish();
    assert!(!SLEEPER.lost.load(Relaxed), "a wake-up was lost");
}
