//! A `Wait` for tests: really asleep, and counted.
#![allow(dead_code)] // each test file uses a part of it

use std::collections::HashMap;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{Wait, WaitWord};

/// Sleeps by a mutex and a condition, as a kernel would by a futex.
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
    /// By the word's address: who sleeps there, and how many of them were told to wake.
    asleep: HashMap<usize, u32>,
    told: HashMap<usize, u32>,
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
        while self.books.lock().unwrap().asleep.values().sum::<u32>() < count {
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
        *books.asleep.entry(address).or_default() += 1;
        books.sleeps += 1;
        loop {
            let told = books.told.entry(address).or_default();
            if *told > 0 {
                *told -= 1;
                return; // `wake` has counted us out
            }
            let left = deadline.saturating_sub(self.now());
            if left == 0 && !self.deep {
                *books.asleep.entry(address).or_default() -= 1;
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
        let woken = count.min(*asleep);
        *asleep -= woken;
        *books.told.entry(address).or_default() += woken;
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
