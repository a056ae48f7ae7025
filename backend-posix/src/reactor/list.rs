//! Which tasks wait on which words, and which thread sleeps for each word.

use super::thread::{Bell, MOST_WORDS};
use rustix::process::Pid;
use rustix::thread::futex::{self, Flags};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Acquire};
use std::task::Waker;
use zeroipc_nostd::{Ticket, WaitWord, Wakes, WatchError};

/// Where a word lies.
pub(super) fn address(word: WaitWord<'_>) -> usize {
    std::ptr::from_ref(word.address()).expose_provenance()
}

/// All that wait in this process.
#[derive(Debug)]
pub(super) struct State {
    places: Vec<Place>,
    /// The first free place.
    free: Option<usize>,
    words: HashMap<usize, Word>,
    threads: Vec<Thread>,
    /// A thread that is to be started.
    new_thread: Option<usize>,
    /// Of the first use of each place: not the same in a forked child.
    first_generation: u32,
}

/// A place for a task.
#[derive(Debug)]
struct Place {
    /// Counts its uses, so that a ticket of an older one finds nothing.
    generation: u32,
    task: Option<Task>,
    /// In the word's list, or in that of free places.
    next: Option<usize>,
}

/// Why a thread looks at a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// It was woken at this word.
    pub(super) woken_here: bool,
    /// It was woken at some word, maybe at more than it knows.
    pub(super) woken_somewhere: bool,
    /// It is time to look without a reason.
    pub(super) time: bool,
}

#[derive(Debug)]
struct Task {
    waker: Waker,
    word: usize,
    previous: Option<usize>,
}

#[derive(Debug)]
struct Word {
    expected: u32,
    wakes: Wakes,
    thread: usize,
    first: Option<usize>,
    last: Option<usize>,
}

/// A thread that sleeps for some words.
#[derive(Debug)]
struct Thread {
    words: Vec<usize>,
    bell: &'static Bell,
    /// Whether it is, or is about to be, asleep without knowing of all its words.
    asleep: bool,
}

/// What began, and what is to be done after the lock is given back.
pub(super) struct Watched {
    pub(super) ticket: Ticket,
    woken: Vec<Waker>,
    bell: Option<&'static Bell>,
}

impl Watched {
    pub(super) fn wake(&self) {
        if let Some(bell) = self.bell {
            bell.ring();
        }
        self.woken.iter().for_each(Waker::wake_by_ref);
    }
}

impl State {
    pub(super) fn new(process: Pid) -> Self {
        State {
            places: Vec::new(),
            free: None,
            words: HashMap::new(),
            threads: Vec::new(),
            new_thread: None,
            first_generation: (process.as_raw_nonzero().get() as u32) << 8,
        }
    }

    pub(super) fn take_new_thread(&mut self) -> Option<usize> {
        self.new_thread.take()
    }

    pub(super) fn watch(
        &mut self,
        at: WaitWord<'_>,
        expected: u32,
        wakes: Wakes,
        waker: Waker,
    ) -> Result<Watched, WatchError> {
        if at.load() != expected {
            return Err(WatchError::Changed);
        }
        let address = address(at);
        let (mut woken, mut bell) = (Vec::new(), None);
        match self.words.get_mut(&address) {
            Some(word) => {
                let stale = word.expected != expected;
                word.expected = expected;
                if wakes == Wakes::All {
                    word.wakes = Wakes::All;
                }
                if stale {
                    // Its thread is about to find that out, or has been woken for it.
                    if word.wakes == Wakes::All {
                        self.wake_all(address, &mut woken);
                    }
                }
            }
            None => {
                let (thread, ring) = self.thread_for(address);
                bell = ring;
                let word = Word { expected, wakes, thread, first: None, last: None };
                self.words.insert(address, word);
            }
        }
        let ticket = self.add(address, waker);
        Ok(Watched { ticket, woken, bell })
    }

    /// A thread with room for one more word, and its bell if it must be told.
    fn thread_for(&mut self, address: usize) -> (usize, Option<&'static Bell>) {
        let roomy = self.threads.iter().position(|thread| thread.words.len() < MOST_WORDS);
        let number = roomy.unwrap_or_else(|| {
            let bell: &'static Bell = Box::leak(Box::default());
            self.threads.push(Thread { words: Vec::new(), bell, asleep: false });
            self.new_thread = Some(self.threads.len() - 1);
            self.threads.len() - 1
        });
        let thread = &mut self.threads[number];
        thread.words.push(address);
        (number, std::mem::take(&mut thread.asleep).then_some(thread.bell))
    }

    /// Adds a task to the end of a word's list.
    fn add(&mut self, address: usize, waker: Waker) -> Ticket {
        let index = match self.free {
            Some(index) => {
                self.free = self.places[index].next.take();
                index
            }
            None => {
                let generation = self.first_generation;
                self.places.push(Place { generation, task: None, next: None });
                self.places.len() - 1
            }
        };
        let last = self.words.get_mut(&address).and_then(|word| {
            word.first.get_or_insert(index);
            word.last.replace(index)
        });
        if let Some(last) = last {
            self.places[last].next = Some(index);
        }
        let place = &mut self.places[index];
        place.task = Some(Task { waker, word: address, previous: last });
        place.next = None;
        Ticket((index as u64) << 32 | u64::from(place.generation))
    }

    fn index(&self, ticket: Ticket) -> Option<usize> {
        let index = usize::try_from(ticket.0 >> 32).ok()?;
        let place = self.places.get(index)?;
        (place.task.is_some() && place.generation == ticket.0 as u32).then_some(index)
    }

    /// The waker of a task that waits.
    pub(super) fn waker(&mut self, ticket: Ticket) -> Option<&mut Waker> {
        let index = self.index(ticket)?;
        Some(&mut self.places[index].task.as_mut()?.waker)
    }

    /// Takes a task out of its list, if it waits. The word stays, also without tasks, until its thread looks.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waker> {
        self.take_out(self.index(ticket)?)
    }

    fn take_out(&mut self, index: usize) -> Option<Waker> {
        let place = &mut self.places[index];
        let task = place.task.take()?;
        place.generation = place.generation.wrapping_add(1);
        let next = std::mem::replace(&mut place.next, self.free);
        self.free = Some(index);
        if let Some(previous) = task.previous {
            self.places[previous].next = next;
        }
        if let Some(after) = next.and_then(|next| self.places[next].task.as_mut()) {
            after.previous = task.previous;
        }
        if let Some(word) = self.words.get_mut(&task.word) {
            if word.first == Some(index) {
                word.first = next;
            }
            if word.last == Some(index) {
                word.last = task.previous;
            }
        }
        Some(task.waker)
    }

    fn wake_first(&mut self, address: usize, woken: &mut Vec<Waker>) -> bool {
        let first = self.words.get(&address).and_then(|word| word.first);
        let waker = first.and_then(|first| self.take_out(first));
        let any = waker.is_some();
        woken.extend(waker);
        any
    }

    fn wake_all(&mut self, address: usize, woken: &mut Vec<Waker>) {
        while self.wake_first(address, woken) {}
    }

    /// Somebody should look: the next task, or all if each must.
    pub(super) fn next(&mut self, address: usize, woken: &mut Vec<Waker>) {
        match self.words.get(&address).map(|word| word.wakes) {
            Some(Wakes::All) => self.wake_all(address, woken),
            _ => {
                self.wake_first(address, woken);
            }
        }
    }

    /// What a thread does about a word that it may have been woken at.
    pub(super) fn look(&mut self, address: usize, look: Look, woken: &mut Vec<Waker>) {
        let Some(word) = self.words.get_mut(&address) else { return };
        if word.first.is_none() {
            // Nobody has waited here since the last look.
            if look.woken_somewhere {
                // The wake-up may have been the one for another sleeper.
                with_word(address, wake_one);
            }
            self.remove_word(address);
            return;
        }
        let value = with_word(address, |word| word.load(Acquire));
        if word.expected != value || look.woken_here {
            word.expected = value;
            self.next(address, woken);
        } else if look.time {
            // In case that a peer was killed: if there is something, the others are woken then.
            self.wake_first(address, woken);
        }
    }

    fn remove_word(&mut self, address: usize) {
        let Some(word) = self.words.remove(&address) else { return };
        let words = &mut self.threads[word.thread].words;
        if let Some(at) = words.iter().position(|word| *word == address) {
            words.swap_remove(at);
        }
    }

    /// The words of a thread.
    pub(super) fn words(&self, thread: usize) -> Vec<usize> {
        self.threads.get(thread).map(|thread| thread.words.clone()).unwrap_or_default()
    }

    pub(super) fn bell(&self, thread: usize) -> Option<&'static Bell> {
        Some(self.threads.get(thread)?.bell)
    }

    /// The thread knows of all its words now; if it gets more, its bell is to be rung.
    pub(super) fn falls_asleep(&mut self, thread: usize) {
        if let Some(thread) = self.threads.get_mut(thread) {
            thread.asleep = true;
        }
    }

    /// What is expected of a word that somebody waits on.
    pub(super) fn expected(&self, address: usize) -> Option<u32> {
        Some(self.words.get(&address)?.expected)
    }

    /// A thread could not be started: the next watch tries again.
    pub(super) fn retry_thread(&mut self, number: usize) {
        self.new_thread = Some(number);
    }

    /// Takes all words out that lie in `len` bytes from `start` on.
    pub(super) fn forget(&mut self, start: usize, len: usize) -> Vec<Waker> {
        let inside = |address: &&usize| address.checked_sub(start).is_some_and(|at| at < len);
        let addresses: Vec<usize> = self.words.keys().filter(inside).copied().collect();
        let mut wakers = Vec::new();
        for address in addresses {
            self.wake_all(address, &mut wakers);
            // Our thread may have been woken in the place of another sleeper, and will not know of the word any more.
            with_word(address, wake_one);
            self.remove_word(address);
        }
        wakers
    }
}

fn wake_one(word: &AtomicU32) {
    let _ = futex::wake(word, Flags::empty(), 1);
}

/// A word that is in a list, under the lock.
fn with_word<R>(address: usize, use_it: impl FnOnce(&AtomicU32) -> R) -> R {
    let word: *const AtomicU32 = std::ptr::with_exposed_provenance(address);
    // SAFETY: it was given as a `WaitWord`, so it is aligned, and lies in a mapping, as only regions in mappings get this reactor. The
    // mapping is there: before it is unmapped it takes its words out (`forget`), under the lock that our caller holds.
    use_it(unsafe { &*word })
}
