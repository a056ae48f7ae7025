//! Waiting without an operating system, with threads as cores.

mod shared;

use shared::Shared;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{FormatOptions, PopTimeoutError, Ring, Wait};
use zeroipc_raw::{Bell, Wfe};

fn now() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// An interrupt line between threads: rings pending, and a way to sleep until one is.
#[derive(Debug)]
struct Line {
    pending: Mutex<bool>,
    change: Condvar,
    rests: AtomicU32,
}

impl Line {
    const fn new() -> Self {
        Line { pending: Mutex::new(false), change: Condvar::new(), rests: AtomicU32::new(0) }
    }

    fn ring(&self) {
        *self.pending.lock().unwrap() = true;
        self.change.notify_all();
    }

    /// With interrupts masked (the lock) it is asked, and the sleep ends by a ring, or by a timer after 10 ms.
    fn rest(&self, nothing_yet: &dyn Fn() -> bool) {
        self.rests.fetch_add(1, SeqCst);
        let mut pending = self.pending.lock().unwrap();
        if nothing_yet() && !*pending {
            (pending, _) = self.change.wait_timeout(pending, Duration::from_millis(10)).unwrap();
        }
        *pending = false;
    }
}

fn passes(memory: &'static Shared, one: &'static dyn Wait, other: &'static dyn Wait) {
    const COUNT: u32 = 2000;
    let range = memory.all();
    let region = range.create(&FormatOptions::new()).unwrap();
    Ring::<u32>::create(region, "ring", 4).unwrap();
    let timeout = Duration::from_secs(60);
    thread::scope(|scope| {
        scope.spawn(|| {
            let region = range.open().unwrap().with_notifier(one);
            let mut producer = Ring::<u32>::open(region, "ring").unwrap().producer().unwrap();
            for value in 0..COUNT {
                if value % 100 == 0 {
                    thread::sleep(Duration::from_millis(1)); // so that the other goes to sleep
                }
                producer.push_timeout(value, timeout).unwrap();
            }
        });
        let region = range.open().unwrap().with_notifier(other);
        let mut consumer = Ring::<u32>::open(region, "ring").unwrap().consumer().unwrap();
        for value in 0..COUNT {
            assert_eq!(consumer.pop_timeout(timeout), Ok(value));
        }
        let before = now();
        let late = consumer.pop_timeout(Duration::from_millis(20));
        assert_eq!(late, Err(PopTimeoutError::Timeout));
        assert!(now() - before >= 20_000_000);
    });
}

#[test]
fn by_a_doorbell() {
    static MEMORY: Shared = Shared::new();
    static FIRST: Line = Line::new();
    static SECOND: Line = Line::new();
    // Each rings at the other, and rests at its own line.
    static ONE: Bell = Bell::new(now, || SECOND.ring(), |still| FIRST.rest(still));
    static OTHER: Bell = Bell::new(now, || FIRST.ring(), |still| SECOND.rest(still));
    passes(&MEMORY, &ONE, &OTHER);
    assert!(SECOND.rests.load(SeqCst) > 0, "nobody ever slept");
}

/// Closures may hold what they need.
#[test]
fn by_closures_that_hold_something() {
    static MEMORY: Shared = Shared::new();
    let line: &'static Line = Box::leak(Box::new(Line::new()));
    let bell = Box::leak(Box::new(Bell::with(
        now,
        move || line.ring(),
        move |_: &dyn Fn() -> bool| {
            // A core that only naps: it never misses anything for long.
            thread::yield_now();
        },
    )));
    passes(&MEMORY, bell, bell);
}

/// On this machine there may be no event: then it looks again and again.
#[test]
fn by_an_event() {
    static MEMORY: Shared = Shared::new();
    static WFE: Wfe = Wfe::new(now);
    passes(&MEMORY, &WFE, &WFE);
}
