//! Models of tasks at a Channel without a buffer: dropped in any moment they lose and double nothing, and no wake-up is lost. A task or a
//! thread that nobody wakes is a deadlock, which loom reports.
#![cfg(loom)]

mod kernel;

use kernel::{bounded, Kernel};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use zeroipc_nostd::testing::{unexplored, Slab};
use zeroipc_nostd::{
    Channel, FormatOptions, Geometry, Reactor, RecvError, Region, SendError, Ticket, TryRecvError,
    Wait, WaitWord, Wakes, WatchError, WordSize,
};

type Pair = [u32; 2];

const ONE: Pair = [1, 1];
const TWO: Pair = [2, 2];

/// Which watch, at which word, and what to wake.
type Watch = (Ticket, usize, Waker);

/// A kernel with a list of tasks, which are woken before threads: who waits at which word.
#[derive(Debug)]
struct Desk {
    kernel: Arc<Kernel>,
    /// Also how many there were.
    tasks: Mutex<(u64, Vec<Watch>)>,
}

impl Desk {
    fn new() -> Arc<Self> {
        Arc::new(Desk { kernel: Kernel::new(), tasks: Mutex::new((0, Vec::new())) })
    }

    fn wake_tasks(&self, word: WaitWord<'_>, count: u32) -> u32 {
        let mut tasks = self.tasks.lock().unwrap();
        let mut woken = 0;
        while woken < count {
            let at = tasks.1.iter().position(|(_, at, _)| *at == word.id());
            let Some(at) = at else { break };
            tasks.1.remove(at).2.wake();
            woken += 1;
        }
        woken
    }
}

impl Wait for Desk {
    fn now(&self) -> u64 {
        0
    }

    fn wait(&self, word: WaitWord<'_>, expected: u32, deadline: u64) {
        self.kernel.wait(word, expected, deadline);
    }

    fn wake(&self, word: WaitWord<'_>, count: u32) -> u32 {
        let woken = self.wake_tasks(word, count);
        woken + if woken < count { self.kernel.wake(word, count - woken) } else { 0 }
    }

    fn spins(&self) -> u32 {
        0
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
        let mut tasks = self.tasks.lock().unwrap();
        if word.load() != expected {
            return Err(WatchError::Changed);
        }
        tasks.0 += 1;
        let ticket = Ticket(tasks.0);
        tasks.1.push((ticket, word.id(), waker.clone()));
        Ok(ticket)
    }

    fn renew(&self, ticket: Ticket, _waker: &Waker) -> bool {
        // Each task has one waker.
        self.tasks.lock().unwrap().1.iter().any(|(other, ..)| *other == ticket)
    }

    fn unwatch(&self, ticket: Ticket, word: WaitWord<'_>, pass_on: bool) -> bool {
        let mut tasks = self.tasks.lock().unwrap();
        let before = tasks.1.len();
        tasks.1.retain(|(other, ..)| *other != ticket);
        let was_woken = tasks.1.len() == before;
        drop(tasks);
        if pass_on {
            self.wake_tasks(word, 1);
        }
        was_woken
    }
}

/// Runs one task: sleeps until the task is woken.
struct Executor {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Executor {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

fn executor() -> Arc<Executor> {
    Arc::new(Executor { woken: Mutex::new(false), changed: Condvar::new() })
}

fn run<F: Future>(future: F) -> F::Output {
    let (executor, mut future) = (executor(), pin!(future));
    let waker = Waker::from(executor.clone());
    match future.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(output) => output,
        Poll::Pending => go_on(&executor, future),
    }
}

/// With one that waits.
fn go_on<F: Future>(executor: &Arc<Executor>, mut future: Pin<&mut F>) -> F::Output {
    let waker = Waker::from(executor.clone());
    loop {
        let mut woken = executor.woken.lock().unwrap();
        while !*woken {
            woken = executor.changed.wait(woken).unwrap();
        }
        *woken = false;
        drop(woken);
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
    }
}

/// Polls once, and drops it.
fn glance<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(&Waker::from(executor()))) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn memory(word: WordSize, places: u32) -> Arc<Slab> {
    let slab = Arc::new(Slab::new(1024));
    let geometry = Geometry::new(word, 8).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = Region::create(slab.span(), &options).unwrap();
    Channel::<Pair>::create_with_places(region, "channel", places).unwrap();
    slab
}

/// Runs `body` in a thread of the model, on the channel with the desk to wait by.
fn party<R: 'static>(
    slab: &Arc<Slab>,
    desk: &Arc<Desk>,
    body: impl FnOnce(Channel<'_, Pair>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let (slab, desk) = (slab.clone(), desk.clone());
    thread::spawn(move || {
        let region = unexplored(|| Region::open(slab.span()).unwrap());
        body(unexplored(|| Channel::open(region.with_notifier(&*desk), "channel").unwrap()))
    })
}

/// Gives up at once if nobody is there.
fn recv_in_no_time(channel: Channel<'_, Pair>) -> Option<Pair> {
    match channel.recv_with(&*Kernel::new(), Some(0)) {
        Ok(value) => Some(value),
        Err(RecvError::Timeout | RecvError::Closed) => None,
        Err(error) => panic!("{error}"),
    }
}

fn send_in_no_time(channel: Channel<'_, Pair>, value: Pair) -> bool {
    match channel.send_with(value, &*Kernel::new(), Some(0)) {
        Ok(()) => true,
        Err(SendError::Timeout(_) | SendError::Closed(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

/// A party's whole life.
type Act<R> = fn(Channel<'_, Pair>) -> R;

fn meet(
    word: WordSize,
    preemptions: usize,
    send: Act<Result<(), SendError<Pair>>>,
    recv: Act<Result<Pair, RecvError>>,
) {
    bounded(preemptions).check(move || {
        let (slab, desk) = (memory(word, 1), Desk::new());
        let sender = party(&slab, &desk, send);
        let receiver = party(&slab, &desk, recv);
        assert_eq!(sender.join().unwrap(), Ok(()));
        assert_eq!(receiver.join().unwrap(), Ok(ONE));
    });
}

#[test]
fn a_task_receives_from_a_thread() {
    meet(WordSize::Four, 2, |channel| channel.send(ONE), |channel| run(channel.recv_async()));
}

#[test]
fn a_task_sends_to_a_thread() {
    meet(WordSize::Four, 2, |channel| run(channel.send_async(ONE)), |channel| channel.recv());
}

#[test]
fn a_task_receives_from_a_task() {
    let (send, recv): (Act<_>, Act<_>) =
        (|channel| run(channel.send_async(ONE)), |channel| run(channel.recv_async()));
    meet(WordSize::Four, 2, send, recv);
    meet(WordSize::Eight, 1, send, recv);
}

/// A receiver that is dropped has been woken for a value or not; if so, another of its party is.
#[test]
fn a_receiver_is_dropped_before_a_sender() {
    bounded(3).check(|| {
        let (slab, desk) = (memory(WordSize::Four, 2), Desk::new());
        let receivers = party(&slab, &desk, |channel| {
            let executors = [executor(), executor()];
            let wakers = executors.clone().map(Waker::from);
            let mut contexts = wakers.each_ref().map(Context::from_waker);
            let (mut dropped, mut other) = (channel.recv_async(), channel.recv_async());
            // What matters here begins when both wait.
            let received = unexplored(|| match Pin::new(&mut dropped).poll(&mut contexts[0]) {
                Poll::Pending => Pin::new(&mut other).poll(&mut contexts[1]),
                received => received,
            });
            drop(dropped);
            match received {
                Poll::Ready(received) => received,
                Poll::Pending => go_on(&executors[1], Pin::new(&mut other)),
            }
        });
        let sender = party(&slab, &desk, |channel| channel.send(ONE));
        assert_eq!(receivers.join().unwrap(), Ok(ONE));
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

/// One receiver alone, which gives up: the sender knows.
#[test]
fn a_value_is_received_before_the_drop_or_not() {
    bounded(1).check(|| {
        let (slab, desk) = (memory(WordSize::Four, 1), Desk::new());
        let dropped = party(&slab, &desk, |channel| glance(channel.recv_async()));
        let sender = party(&slab, &desk, |channel| send_in_no_time(channel, ONE));
        let given = party(&slab, &desk, |channel| channel.try_send(TWO).is_ok());
        let received = dropped.join().unwrap();
        assert!(!given.join().unwrap(), "given to a task that was not there any more");
        assert_eq!(sender.join().unwrap(), received == Some(Ok(ONE)));
    });
}

/// A sender that is dropped: its value is taken, once, or is not there any more. The next one uses its place.
#[test]
fn a_sender_is_dropped_before_a_receiver() {
    bounded(2).check(|| {
        let (slab, desk) = (memory(WordSize::Four, 1), Desk::new());
        let sender = party(&slab, &desk, |channel| {
            (glance(channel.send_async(ONE)), send_in_no_time(channel, TWO))
        });
        let receiver = party(&slab, &desk, recv_in_no_time);
        let (first, second) = sender.join().unwrap();
        match receiver.join().unwrap() {
            Some(ONE) => assert!(!second),
            Some(TWO) => assert_eq!((first, second), (None, true)),
            received => assert_eq!((received, first, second), (None, None, false)),
        }
        let last = party(&slab, &desk, |channel| channel.try_recv());
        assert_eq!(last.join().unwrap(), Err(TryRecvError::Empty));
    });
}

/// Who withdraws is told the truth.
#[test]
fn an_offer_is_withdrawn_or_taken() {
    bounded(3).check(|| {
        let (slab, desk) = (memory(WordSize::Four, 1), Desk::new());
        let sender = party(&slab, &desk, |channel| {
            let mut send = channel.send_async(ONE);
            let waker = Waker::from(executor());
            match Pin::new(&mut send).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(sent) => sent.is_ok(),
                Poll::Pending => send.withdraw().is_ok(),
            }
        });
        let receiver = party(&slab, &desk, |channel| channel.try_recv());
        let received = receiver.join().unwrap();
        assert_eq!(sender.join().unwrap(), received == Ok(ONE));
    });
}

/// A receiver that was woken for an offer which is taken back sleeps on, and is woken for the next.
#[test]
fn an_offer_that_is_taken_back_costs_no_wake_up() {
    bounded(1).check(|| {
        let (slab, desk) = (memory(WordSize::Four, 1), Desk::new());
        let sender = party(&slab, &desk, |channel| {
            let first = glance(channel.send_async(ONE));
            let second = run(channel.send_async(TWO));
            (first, second)
        });
        let receiver = party(&slab, &desk, |channel| run(channel.recv_async()));
        let received = receiver.join().unwrap();
        if received == Ok(ONE) {
            let other = party(&slab, &desk, |channel| channel.recv());
            assert_eq!(other.join().unwrap(), Ok(TWO));
        } else {
            assert_eq!(received, Ok(TWO));
        }
        assert_eq!(sender.join().unwrap().1, Ok(()));
    });
}

#[test]
fn a_close_wakes_tasks() {
    bounded(2).check(|| {
        let (slab, desk) = (memory(WordSize::Four, 1), Desk::new());
        let sender = party(&slab, &desk, |channel| run(channel.send_async(ONE)));
        let closer = party(&slab, &desk, |channel| channel.close());
        assert!(closer.join().unwrap());
        assert_eq!(sender.join().unwrap(), Err(SendError::Closed(ONE)));
    });
    bounded(2).check(|| {
        let (slab, desk) = (memory(WordSize::Four, 1), Desk::new());
        let receiver = party(&slab, &desk, |channel| run(channel.recv_async()));
        let closer = party(&slab, &desk, |channel| channel.close());
        assert!(closer.join().unwrap());
        assert_eq!(receiver.join().unwrap(), Err(RecvError::Closed));
    });
}

/// Two receivers, one place, and senders that wait until both have got something.
fn share(preemptions: usize, recv: Act<Result<Pair, RecvError>>, first: bool) {
    bounded(preemptions).check(move || {
        let (slab, desk) = (memory(WordSize::Four, 1), Desk::new());
        let receivers = [0, 1].map(|_| party(&slab, &desk, recv));
        let sender = party(&slab, &desk, move |channel| {
            if first {
                // Another receiver, which may have the place.
                let received = glance(channel.recv_async());
                assert_eq!(received, None);
            }
            channel.send(ONE).unwrap();
            channel.send(TWO).unwrap();
        });
        sender.join().unwrap();
        let mut received = receivers.map(|receiver| receiver.join().unwrap().unwrap());
        received.sort_unstable();
        assert_eq!(received, [ONE, TWO]);
    });
}

#[test]
fn tasks_share_one_place() {
    share(1, |channel| run(channel.recv_async()), false);
}

/// A thread that waits for a place and finds a value instead leaves the place to the next.
#[test]
fn threads_share_one_place() {
    share(1, |channel| channel.recv(), true);
}
