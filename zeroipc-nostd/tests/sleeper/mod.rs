//! A `Wait` for tests: really asleep, and counted.
#![allow(dead_code)] // each test file uses a part of it

use std::collections::HashMap;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{Wait, WaitWord};

/// Sleeps by a mutex and a condition, as a kernel would by a futex: who is woken was asleep before, the first of them first.
#[derive(Debug)]
pub(crate) struct Sleeper {
    start: Instant,
    /// Whether it sleeps on beyond every deadline, so that a lost wake-up hangs the test.
    deep: bool,
    books: Mutex<Books>,
    condition: Condvar,
}

#[derive(Debug, Default)]
struct Books {
    /// By the word's address: who sleeps there, by the number of their sleep, in order. Whoever is woken is taken out.
    asleep: HashMap<usize, Vec<u32>>,
    sleeps: u32,
    /// How many each call of `wake` asked for.
    wakes: Vec<u32>,
    woken: u32,
}

impl Sleeper {
    pub(crate) fn new() -> Self {
        Sleeper {
            start: Instant::now(),
            deep: false,
            books: Mutex::default(),
            condition: Condvar::new(),
        }
    }

    pub(crate) fn deep() -> Self {
        Sleeper { deep: true, ..Self::new() }
    }

    /// How often somebody went to sleep.
    pub(crate) fn sleeps(&self) -> u32 {
        self.books.lock().unwrap().sleeps
    }

    /// The calls of `wake` since the last time that this was asked, each with how many it asked for.
    pub(crate) fn wakes(&self) -> Vec<u32> {
        std::mem::take(&mut self.books.lock().unwrap().wakes)
    }

    /// How many sleepers were told to wake.
    pub(crate) fn woken(&self) -> u32 {
        self.books.lock().unwrap().woken
    }

    /// Returns when `count` are asleep, at any words.
    pub(crate) fn until_asleep(&self, count: u32) {
        while self.books.lock().unwrap().asleep.values().map(Vec::len).sum::<usize>()
            < count as usize
        {
            thread::yield_now();
        }
    }
}

impl Wait for Sleeper {
    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        let address = word.address().as_ptr() as usize;
        let mut books = self.books.lock().unwrap();
        if word.load() != expected {
            return;
        }
        let me = books.sleeps;
        books.sleeps += 1;
        books.asleep.entry(address).or_default().push(me);
        loop {
            if !books.asleep.entry(address).or_default().contains(&me) {
                return;
            }
            let left = deadline.saturating_sub(self.now());
            if left == 0 && !self.deep {
                books.asleep.entry(address).or_default().retain(|sleeper| *sleeper != me);
                return;
            }
            let pause =
                if self.deep { Duration::from_secs(600) } else { Duration::from_nanos(left) };
            books = self.condition.wait_timeout(books, pause).unwrap().0;
        }
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        let address = word.address().as_ptr() as usize;
        let mut books = self.books.lock().unwrap();
        books.wakes.push(count);
        let asleep = books.asleep.entry(address).or_default();
        let woken = count.min(asleep.len() as u32);
        asleep.drain(..woken as usize);
        books.woken += woken;
        self.condition.notify_all();
        woken
    }

    /// Asleep soon, so that it is sleeping that is tested.
    fn spins(&self) -> u32 {
        if self.deep {
            0
        } else {
            16
        }
    }
}
