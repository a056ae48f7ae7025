//! A `Wait` and `Reactor` for tests of tasks: who is woken, and who is not, is exact, and nothing happens by time.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use zeroipc_nostd::{Reactor, Ticket, Wait, WaitWord, Wakes, WatchError};

/// Tasks wait at it, the first of each word first. Threads that wait look again every 50 us.
///
/// One that is *asleep* is like a thread that sleeps for all tasks: however often it is woken at a word before it runs, it then wakes one
/// task of that word.
#[derive(Debug)]
pub struct Desk {
    start: Instant,
    tickets: AtomicU64,
    watches: Mutex<Vec<Watch>>,
    /// If it is one that sleeps: the words that it was woken at.
    rung: Option<Mutex<Vec<usize>>>,
    /// No task can wait.
    full: AtomicBool,
}

#[derive(Debug)]
struct Watch {
    ticket: Ticket,
    word: usize,
    waker: Waker,
}

fn address(word: WaitWord<'_>) -> usize {
    word.address().as_ptr() as usize
}

impl Desk {
    pub fn new() -> Self {
        Desk {
            start: Instant::now(),
            tickets: AtomicU64::new(0),
            watches: Mutex::default(),
            rung: None,
            full: AtomicBool::new(false),
        }
    }

    pub fn asleep() -> Self {
        Desk { rung: Some(Mutex::default()), ..Self::new() }
    }

    /// It runs: wakes a task of each word that it was woken at.
    pub fn run(&self) {
        let rung = self.rung.as_ref().map(|rung| std::mem::take(&mut *rung.lock().unwrap()));
        for word in rung.unwrap_or_default() {
            self.take(word, 1);
        }
    }

    /// How many watches there are.
    pub fn len(&self) -> usize {
        self.watches.lock().unwrap().len()
    }

    pub fn set_full(&self, full: bool) {
        self.full.store(full, SeqCst);
    }

    fn take(&self, word: usize, count: u32) -> u32 {
        let mut watches = self.watches.lock().unwrap();
        let mut woken = 0;
        while woken < count {
            let Some(at) = watches.iter().position(|watch| watch.word == word) else {
                break;
            };
            watches.remove(at).waker.wake();
            woken += 1;
        }
        woken
    }
}

impl Wait for Desk {
    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn wait(&self, _word: WaitWord<'_>, _expected: u32, _deadline: u64) {
        std::thread::sleep(Duration::from_micros(50));
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        let word = address(word);
        let Some(rung) = &self.rung else { return self.take(word, count) };
        let watched = self.watches.lock().unwrap().iter().any(|watch| watch.word == word);
        let mut rung = rung.lock().unwrap();
        if !watched || rung.contains(&word) {
            return 0;
        }
        rung.push(word);
        1
    }

    fn spins(&self) -> u32 {
        4
    }

    fn reactor(&self) -> Option<&dyn Reactor> {
        Some(self)
    }
}

impl Reactor for Desk {
    fn watch(
        &self,
        word: WaitWord<'_>,
        expected: u32,
        _wakes: Wakes,
        waker: &Waker,
    ) -> Result<Ticket, WatchError> {
        let mut watches = self.watches.lock().unwrap();
        if word.load() != expected {
            return Err(WatchError::Changed);
        }
        if self.full.load(SeqCst) {
            return Err(WatchError::Full);
        }
        let ticket = Ticket(self.tickets.fetch_add(1, SeqCst));
        watches.push(Watch { ticket, word: address(word), waker: waker.clone() });
        Ok(ticket)
    }

    fn renew(&self, ticket: Ticket, waker: &Waker) -> bool {
        let mut watches = self.watches.lock().unwrap();
        let mine = watches.iter_mut().find(|watch| watch.ticket == ticket);
        mine.map(|watch| watch.waker = waker.clone()).is_some()
    }

    fn unwatch(&self, ticket: Ticket, word: WaitWord<'_>, pass_on: bool) -> bool {
        let mut watches = self.watches.lock().unwrap();
        let before = watches.len();
        watches.retain(|watch| watch.ticket != ticket);
        let was_woken = watches.len() == before;
        drop(watches);
        if pass_on {
            self.take(address(word), 1);
        }
        was_woken
    }
}

/// A task: a future, and whether it was woken since it was last polled.
pub struct Task<F> {
    future: F,
    woken: Arc<Woken>,
}

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl<F: Future + Unpin> Task<F> {
    pub fn new(future: F) -> Self {
        Task { future, woken: Arc::default() }
    }

    /// One that has been polled, and waits.
    pub fn waiting(future: F) -> Self {
        let mut task = Self::new(future);
        assert!(task.poll().is_pending());
        assert!(!task.is_woken());
        task
    }

    pub fn poll(&mut self) -> Poll<F::Output> {
        self.woken.0.store(false, SeqCst);
        let waker = Waker::from(self.woken.clone());
        Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker))
    }

    pub fn into_future(self) -> F {
        self.future
    }

    pub fn is_woken(&self) -> bool {
        self.woken.0.load(SeqCst)
    }

    /// What it gives, for which it must have been woken.
    pub fn woken(&mut self) -> Poll<F::Output> {
        assert!(self.is_woken(), "nobody has woken it");
        self.poll()
    }
}
