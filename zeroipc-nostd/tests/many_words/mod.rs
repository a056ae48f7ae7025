//! A `Wait` for tests that sleeps on several words at once, as a kernel would by `futex_waitv`.
#![allow(dead_code)] // each test file uses a part of it

use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{Wait, WaitSet, WaitWord};

/// Sleeps for ever unless it is woken: a lost wake-up hangs the test.
#[derive(Debug)]
pub(crate) struct Deep {
    start: Instant,
    books: Mutex<Books>,
    condition: Condvar,
}

#[derive(Debug, Default)]
struct Books {
    /// Who sleeps, by the number of its sleep, and the addresses of its words; the first that came is woken first.
    asleep: Vec<(u64, Vec<usize>)>,
    sleeps: u64,
}

impl Deep {
    pub(crate) fn new() -> Self {
        Deep { start: Instant::now(), books: Mutex::default(), condition: Condvar::new() }
    }

    /// Returns when `count` are asleep.
    pub(crate) fn until_asleep(&self, count: usize) {
        while self.books.lock().unwrap().asleep.len() < count {
            thread::yield_now();
        }
    }
}

fn address(word: WaitWord<'_>) -> usize {
    word.address().as_ptr() as usize
}

impl Wait for Deep {
    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        let mut set = WaitSet::new();
        set.add(word, expected);
        self.wait_any(&set, deadline);
    }

    fn wait_any(&self, set: &WaitSet<'_>, _deadline: u64) {
        let mut books = self.books.lock().unwrap();
        if set.has_changed() {
            return;
        }
        let mine = books.sleeps;
        books.sleeps += 1;
        books.asleep.push((mine, set.iter().map(|(word, _)| address(word)).collect()));
        while books.asleep.iter().any(|(sleep, _)| *sleep == mine) {
            books = self.condition.wait_timeout(books, Duration::from_secs(600)).unwrap().0;
        }
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        let word = address(word);
        let mut books = self.books.lock().unwrap();
        let mut woken = 0;
        books.asleep.retain(|(_, words)| {
            let wake = woken < count && words.contains(&word);
            woken += u32::from(wake);
            !wake
        });
        self.condition.notify_all();
        woken
    }

    fn spins(&self) -> u32 {
        0
    }
}
