//! WakerTable in the manner of bare metal: two cores share memory, each runs its tasks by an executor without threads, sleeps until its
//! doorbell's interrupt, and rings the other's. Nothing here but the tasks' own storage, in `static` or on the stack.
#![cfg(not(any(loom, zeroipc_fault)))]

mod memory;

use core::future::Future;
use core::pin::{pin, Pin};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use memory::Memory;
use std::sync::{Condvar, Mutex};
use std::thread;
use zeroipc_nostd::{
    Channel, Event, EventMode, FormatOptions, FutureError, PopTimeoutError, Queue, Reactor, Region,
    Ring, Semaphore, Spin, Wait, WaitError, WaitWord, WakerTable, WithReactor,
};

/// A core's side of the machine: its doorbell, and the instruction that sleeps until an interrupt.
#[derive(Debug)]
struct Core {
    wakers: WakerTable<4>,
    /// One bit a task: it is to be polled.
    ready: AtomicU32,
    line: Mutex<bool>,
    interrupt: Condvar,
    idle: AtomicU32,
}

impl Core {
    const fn new() -> Self {
        Core {
            wakers: WakerTable::new(),
            ready: AtomicU32::new(0),
            line: Mutex::new(false),
            interrupt: Condvar::new(),
            idle: AtomicU32::new(0),
        }
    }

    /// The other core writes the mailbox's register.
    fn raise(&self) {
        *self.line.lock().unwrap() = true;
        self.interrupt.notify_one();
    }

    /// WFI, and the handler of the interrupt that ended it.
    fn sleep_until_interrupt(&self) {
        self.idle.fetch_add(1, SeqCst);
        let mut line = self.line.lock().unwrap();
        while !*line {
            line = self.interrupt.wait(line).unwrap();
        }
        *line = false;
        drop(line);
        self.wakers.ring();
    }

    /// Runs the tasks until all are done.
    fn run(&'static self, tasks: &mut [Pin<&mut dyn Future<Output = ()>>]) {
        let mut done = 0_u32;
        self.ready.store((1 << tasks.len()) - 1, SeqCst);
        while done.count_ones() < tasks.len() as u32 {
            let ready = self.ready.swap(0, SeqCst);
            if ready == 0 {
                self.sleep_until_interrupt();
                continue;
            }
            for (number, task) in tasks.iter_mut().enumerate() {
                if ready >> number & 1 != 0 && done >> number & 1 == 0 {
                    let waker = task_waker(self, number);
                    if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                        done |= 1 << number;
                    }
                }
            }
        }
    }
}

/// A waker that sets a bit: no allocation, and good in an interrupt.
fn task_waker(core: &'static Core, number: usize) -> Waker {
    static TABLE: RawWakerVTable =
        RawWakerVTable::new(|data| RawWaker::new(data, &TABLE), set_ready, set_ready, |_| {});
    fn set_ready(data: *const ()) {
        let (core, number) = decode(data);
        core.ready.fetch_or(1 << number, SeqCst);
    }
    fn decode(data: *const ()) -> (&'static Core, usize) {
        let data = data as usize;
        (&CORES[data / 32], data % 32)
    }
    let index = CORES.iter().position(|other| std::ptr::eq(other, core)).unwrap();
    let data = (index * 32 + number) as *const ();
    // SAFETY: the functions keep the contract of `RawWaker`: the data is a number, which nothing owns.
    unsafe { Waker::from_raw(RawWaker::new(data, &TABLE)) }
}

/// Two for each of two tests.
static CORES: [Core; 4] = [const { Core::new() }; 4];

/// How a core wakes the other one: by its doorbell. Threads do not wait here.
#[derive(Debug, Clone, Copy)]
struct Doorbell {
    other: &'static Core,
}

impl Wait for Doorbell {
    fn now(&self) -> u64 {
        0
    }
    fn wait(&self, _word: WaitWord<'_>, _expected: u32, _deadline: u64) {
        panic!("a thread waits");
    }
    fn wake(&self, _word: WaitWord<'_>, count: u32) -> u32 {
        self.other.raise();
        count
    }
}

/// Questions go to the other core by a queue, answers come back by a ring, and an event says that all is over.
#[test]
fn two_cores_run_tasks_that_wait_for_each_other() {
    const ROUNDS: u32 = 5000;
    static OVER: AtomicBool = AtomicBool::new(false);
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new());
    Queue::<u32>::create(region, "questions", 2).unwrap();
    Ring::<u32>::create(region, "answers", 2).unwrap();
    Event::create(region, "over", EventMode::Manual).unwrap();

    thread::scope(|scope| {
        let core = |mine: usize| {
            (
                &CORES[mine],
                WithReactor::new(Doorbell { other: &CORES[1 - mine] }, &CORES[mine].wakers),
            )
        };
        scope.spawn(move || {
            let (core, waiter) = core(0);
            let region = region.with_notifier(&waiter);
            let questions = Queue::<u32>::open(region, "questions").unwrap();
            let answers = Ring::<u32>::open(region, "answers").unwrap();
            let over = Event::open(region, "over").unwrap();
            let ask = pin!(async {
                for number in 0..ROUNDS {
                    questions.push_async(number).await.unwrap();
                }
            });
            let listen = pin!(async {
                let mut answers = answers.consumer().unwrap();
                for number in 0..ROUNDS {
                    assert_eq!(answers.pop_async().await, Ok(number * 2));
                }
                over.set();
            });
            core.run(&mut [ask, listen]);
        });
        scope.spawn(move || {
            let (core, waiter) = core(1);
            let region = region.with_notifier(&waiter);
            let questions = Queue::<u32>::open(region, "questions").unwrap();
            let answers = Ring::<u32>::open(region, "answers").unwrap();
            let over = Event::open(region, "over").unwrap();
            let answer = pin!(async {
                let mut answers = answers.producer().unwrap();
                for _ in 0..ROUNDS {
                    let question = questions.pop_async().await.unwrap();
                    answers.push_async(question * 2).await.unwrap();
                }
            });
            let finish = pin!(async {
                over.wait_async().await.unwrap();
                OVER.store(true, SeqCst);
            });
            core.run(&mut [answer, finish]);
        });
    });
    assert!(OVER.load(SeqCst));
    assert!(CORES[..2].iter().all(|core| core.idle.load(SeqCst) > 0), "nobody ever slept");
}

/// From hand to hand between two cores, there and back, with one place on each side.
#[test]
fn tasks_of_two_cores_hand_over() {
    const ROUNDS: u32 = 5000;
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new());
    Channel::<u32>::create_with_places(region, "there", 1).unwrap();
    Channel::<u32>::create_with_places(region, "back", 1).unwrap();
    thread::scope(|scope| {
        for begins in [true, false] {
            scope.spawn(move || {
                let mine = if begins { 2 } else { 3 };
                let core = &CORES[mine];
                let waiter = WithReactor::new(Doorbell { other: &CORES[5 - mine] }, &core.wakers);
                let region = region.with_notifier(&waiter);
                let there = Channel::<u32>::open(region, "there").unwrap();
                let back = Channel::<u32>::open(region, "back").unwrap();
                let task = pin!(async {
                    for number in 0..ROUNDS {
                        if begins {
                            there.send_async(number).await.unwrap();
                            assert_eq!(back.recv_async().await, Ok(number));
                        } else {
                            assert_eq!(there.recv_async().await, Ok(number));
                            back.send_async(number).await.unwrap();
                        }
                    }
                });
                core.run(&mut [task]);
            });
        }
    });
    assert!(CORES[2..].iter().all(|core| core.idle.load(SeqCst) > 0), "nobody ever slept");
}

/// Counts how often it is woken.
#[derive(Debug, Default)]
struct Count(AtomicU32);

impl std::task::Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counting() -> (std::sync::Arc<Count>, Waker) {
    let count = std::sync::Arc::new(Count::default());
    (count.clone(), Waker::from(count))
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn with_table<const N: usize>(body: impl FnOnce(Region<'_>, &WakerTable<N>)) {
    let table = WakerTable::<N>::new();
    let waiter = WithReactor::new(Spin::new(|| 0), &table);
    let mut memory = Memory::zeroed(1 << 14);
    let region = Region::create(memory.span(), &FormatOptions::new()).unwrap();
    body(region.with_notifier(&waiter), &table);
}

/// One ring wakes each once; what was not there for a task leaves it waiting.
#[test]
fn a_ring_wakes_all_that_wait_once() {
    with_table::<4>(|region, table| {
        let queue = Queue::<u32>::create(region, "queue", 4).unwrap();
        let (woken, waker) = counting();
        let (mut first, mut second) = (queue.pop_async(), queue.pop_async());
        assert!(poll(&mut first, &waker).is_pending() && poll(&mut second, &waker).is_pending());
        // Polled again for no reason: still one place each.
        assert!(poll(&mut first, &waker).is_pending() && poll(&mut second, &waker).is_pending());
        table.ring();
        assert_eq!(woken.0.load(SeqCst), 2);
        table.ring();
        assert_eq!(woken.0.load(SeqCst), 2);
        queue.try_push(7).unwrap();
        assert_eq!(poll(&mut second, &waker), Poll::Ready(Ok(7)));
        assert!(poll(&mut first, &waker).is_pending());
        table.ring();
        assert_eq!(woken.0.load(SeqCst), 3);
    });
}

/// The last waker that a task was polled with is the one that is woken.
#[test]
fn the_last_waker_is_woken() {
    with_table::<2>(|region, table| {
        let event = Event::create(region, "event", EventMode::Automatic).unwrap();
        let ((old, first), (new, second)) = (counting(), counting());
        let mut wait = event.wait_async();
        assert!(poll(&mut wait, &first).is_pending() && poll(&mut wait, &second).is_pending());
        table.ring();
        assert_eq!((old.0.load(SeqCst), new.0.load(SeqCst)), (0, 1));
    });
}

/// A table without room is an error, and never a loop; a place that is given up is free.
#[test]
fn a_full_table_is_an_error() {
    with_table::<1>(|region, _| {
        let queue = Queue::<u32>::create(region, "queue", 4).unwrap();
        let (_, waker) = counting();
        let mut first = queue.pop_async();
        assert!(poll(&mut first, &waker).is_pending());
        let mut second = queue.pop_async();
        assert_eq!(poll(&mut second, &waker), Poll::Ready(Err(PopTimeoutError::NoWaiter)));
        drop(first);
        assert!(poll(&mut second, &waker).is_pending());
        queue.try_push(1).unwrap();
        assert_eq!(poll(&mut second, &waker), Poll::Ready(Ok(1)));
    });
}

/// A task that was woken, and is dropped before it looks, tells the peers' sleepers.
#[test]
fn a_wake_up_that_nobody_took_is_passed_on() {
    #[derive(Debug, Default)]
    struct Peers(AtomicU32);
    impl Wait for &Peers {
        fn now(&self) -> u64 {
            0
        }
        fn wait(&self, _word: WaitWord<'_>, _expected: u32, _deadline: u64) {}
        fn wake(&self, _word: WaitWord<'_>, _count: u32) -> u32 {
            self.0.fetch_add(1, SeqCst);
            1
        }
    }
    let (peers, table) = (Peers::default(), WakerTable::<2>::new());
    let waiter = WithReactor::new(&peers, &table);
    let mut memory = Memory::zeroed(1 << 12);
    let region = memory.region(FormatOptions::new()).with_notifier(&waiter);
    let queue = Queue::<u32>::create(region, "queue", 4).unwrap();
    let (_, waker) = counting();

    let mut given_up = queue.pop_async();
    assert!(poll(&mut given_up, &waker).is_pending());
    queue.try_push(1).unwrap();
    table.ring();
    let before = peers.0.load(SeqCst);
    drop(given_up);
    assert_eq!(peers.0.load(SeqCst), before + 1, "the wake-up was swallowed");

    // One that was not woken has nothing to pass on.
    assert_eq!(queue.try_pop(), Ok(1));
    let mut given_up = queue.pop_async();
    assert!(poll(&mut given_up, &waker).is_pending());
    let before = peers.0.load(SeqCst);
    drop(given_up);
    assert_eq!(peers.0.load(SeqCst), before);
}

/// A set that is taken back before the task runs has released it all the same; a permit comes as a guard.
#[test]
fn events_and_permits() {
    with_table::<4>(|region, _| {
        let event = Event::create(region, "event", EventMode::Manual).unwrap();
        let (_, waker) = counting();
        let mut wait = event.wait_async();
        event.set();
        event.reset();
        assert_eq!(poll(&mut wait, &waker), Poll::Ready(Ok(())));
        assert!(poll(&mut wait, &waker).is_pending(), "the next wait began after the set");

        let semaphore = Semaphore::create(region, "semaphore", 2, 2).unwrap();
        let mut acquire = semaphore.acquire_many_async(2);
        let Poll::Ready(Ok(permit)) = poll(&mut acquire, &waker) else { panic!("no permits") };
        assert!(poll(&mut acquire, &waker).is_pending());
        drop(permit);
        assert!(poll(&mut acquire, &waker).is_ready());
        assert!(poll(&mut semaphore.acquire_many_async(3), &waker).is_ready(), "an error at once");
    });
}

/// With loads and stores alone tasks wait all the same, where the structures work.
#[test]
fn with_loads_and_stores_alone() {
    let table = WakerTable::<4>::new();
    let waiter = WithReactor::new(Spin::new(|| 0), &table);
    let mut memory = Memory::zeroed(1 << 14);
    let options = FormatOptions::new().capability(zeroipc_nostd::Capability::LoadStore);
    let region = memory.region(options).with_notifier(&waiter);
    let (woken, waker) = counting();
    let rings = |times| {
        table.ring();
        assert_eq!(woken.0.swap(0, SeqCst), times);
    };

    let future = zeroipc_nostd::Future::<u32>::create(region, "future").unwrap();
    let (mut one, mut other) = (future.get_async(), future.get_async());
    assert!(poll(&mut one, &waker).is_pending() && poll(&mut other, &waker).is_pending());
    future.promise().unwrap().set(1).unwrap();
    rings(2);
    assert_eq!(
        (poll(&mut one, &waker), poll(&mut other, &waker)),
        (Poll::Ready(Ok(1)), Poll::Ready(Ok(1)))
    );

    let ring = Ring::<u32>::create(region, "ring", 2).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut pop = consumer.pop_async();
    assert!(poll(&mut pop, &waker).is_pending());
    producer.try_push(2).unwrap();
    rings(1);
    assert_eq!(poll(&mut pop, &waker), Poll::Ready(Ok(2)));

    let options = zeroipc_nostd::StreamOptions::new().single_publisher();
    let stream = zeroipc_nostd::Stream::<u32>::create_with(region, "stream", 4, &options).unwrap();
    let mut subscriber = stream.subscribe().unwrap();
    let mut next = subscriber.next_async();
    assert!(poll(&mut next, &waker).is_pending());
    stream.publisher().unwrap().try_emit(3).unwrap();
    rings(1);
    assert_eq!(poll(&mut next, &waker), Poll::Ready(Ok(3)));
}

/// Without a reactor there is an error, not a wait for ever.
#[test]
fn without_a_reactor_there_is_nothing_to_wait_with() {
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new());
    let spin = Spin::new(|| 0);
    for region in [region, region.with_notifier(&spin)] {
        let (_, waker) = counting();
        let queue = Queue::<u32>::open_or_create(region, "queue", 2).unwrap();
        let event = Event::open_or_create(region, "event", EventMode::Manual).unwrap();
        let future = zeroipc_nostd::Future::<u32>::open_or_create(region, "future").unwrap();
        assert_eq!(
            poll(&mut queue.pop_async(), &waker),
            Poll::Ready(Err(PopTimeoutError::NoWaiter))
        );
        assert_eq!(poll(&mut event.wait_async(), &waker), Poll::Ready(Err(WaitError::NoWaiter)));
        assert_eq!(poll(&mut future.get_async(), &waker), Poll::Ready(Err(FutureError::NoWaiter)));
        queue.try_push(1).unwrap();
        assert_eq!(poll(&mut queue.pop_async(), &waker), Poll::Ready(Ok(1)));
        queue.try_pop().unwrap_err();
    }
    let table: &dyn Reactor = &WakerTable::<1>::new();
    assert!(!table.renew(zeroipc_nostd::Ticket(u64::MAX), Waker::noop()));
}
