//! Tasks that wait, across processes: nothing is lost, no thread for each, and no processor time while nothing happens.

use std::future::Future as _;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use zeroipc::{
    all, any, Channel, Event, EventMode, Eventual, Future, Memory, NextError, Queue, RecvError,
    Ring, Semaphore, SendError, Stream, StreamOptions,
};
use zeroipc_tests::processes::{part, watchdog, Party};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);

fn workers(count: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(count).enable_all().build().unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// How many threads this process has.
fn threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
    line.trim().parse().unwrap()
}

/// Memory that tasks may keep for ever.
fn leaked(memory: Memory) -> &'static Memory {
    Box::leak(Box::new(memory))
}

/// A process pushes, and tasks of another receive everything, each number once.
#[test]
fn tasks_receive_what_another_process_pushes() {
    const ITEMS: u64 = 100_000;
    const TASKS: u64 = 4;
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let queue = Queue::<u64>::open(&memory, "queue").unwrap();
        for item in 1..=ITEMS {
            queue.push(item).unwrap();
            if item % 1000 == 0 {
                // Now and then all have to wait.
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        (0..TASKS).for_each(|_| queue.push(u64::MAX).unwrap());
        return;
    }
    let _watchdog = watchdog(LIMIT, "receiving");
    let scratch = Scratch::new();
    let memory = leaked(Memory::create(scratch.name(), 1 << 16).unwrap());
    let queue = Queue::<u64>::create(memory, "queue", 64).unwrap();
    let test = "tasks_receive_what_another_process_pushes";
    let mut peer = Party::start(test, "producer", 0, scratch.name());
    let (count, sum) = workers(2).block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                tokio::spawn(async move {
                    let (mut count, mut sum, mut last) = (0, 0, 0);
                    loop {
                        let item = queue.pop_async().await.unwrap();
                        if item == u64::MAX {
                            return (count, sum);
                        }
                        assert!(item > last, "{item} came after {last}");
                        last = item;
                        (count, sum) = (count + 1, sum + item);
                    }
                })
            })
            .collect();
        let (mut count, mut sum) = (0, 0);
        for task in tasks {
            let (a, b) = task.await.unwrap();
            (count, sum) = (count + a, sum + b);
        }
        (count, sum)
    });
    peer.finish(LIMIT);
    assert_eq!((count, sum), (ITEMS, ITEMS * (ITEMS + 1) / 2));
}

/// Question and answer between a task here and a task there: every wake-up counts.
#[test]
fn tasks_in_two_processes_answer_each_other() {
    const ROUNDS: u64 = 2000;
    async fn echo(memory: &'static Memory, from: &str, to: &str, begins: bool) {
        let from = Queue::<u64>::open(memory, from).unwrap();
        let to = Queue::<u64>::open(memory, to).unwrap();
        for round in 0..ROUNDS {
            if begins {
                to.push_async(round).await.unwrap();
            }
            assert_eq!(from.pop_async().await, Ok(round));
            if !begins {
                to.push_async(round).await.unwrap();
            }
        }
    }
    let _watchdog = watchdog(LIMIT, "answering");
    if let Some(part) = part() {
        let memory = leaked(Memory::open(&part.region).unwrap());
        return one_thread().block_on(echo(memory, "there", "back", false));
    }
    let scratch = Scratch::new();
    let memory = leaked(Memory::create(scratch.name(), 1 << 16).unwrap());
    for name in ["there", "back"] {
        Queue::<u64>::create(memory, name, 2).unwrap();
    }
    let test = "tasks_in_two_processes_answer_each_other";
    let mut peer = Party::start(test, "echo", 0, scratch.name());
    let start = Instant::now();
    one_thread().block_on(echo(memory, "back", "there", true));
    eprintln!("{:?} a round trip", start.elapsed() / ROUNDS as u32);
    peer.finish(LIMIT);
}

/// A thousand tasks wait, and there is one thread more than before.
#[test]
fn a_thousand_tasks_wait_without_threads() {
    const TASKS: u32 = 1000;
    if part().is_none() {
        // In a process of its own, where nobody else begins threads.
        let (scratch, test) = (Scratch::new(), "a_thousand_tasks_wait_without_threads");
        return Party::start(test, "wait", 0, scratch.name()).finish(LIMIT);
    }
    let memory = leaked(Memory::anonymous(1 << 20).unwrap());
    let queue = Queue::<u32>::create(memory, "queue", 16).unwrap();
    let event = Event::create(memory, "event", EventMode::Manual).unwrap();
    one_thread().block_on(async {
        let before = threads();
        let mut tasks = Vec::new();
        for number in 0..TASKS {
            tasks.push(tokio::spawn(async move {
                if number % 2 == 0 {
                    event.wait_async().await.unwrap();
                    0
                } else {
                    queue.pop_async().await.unwrap()
                }
            }));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(threads(), before + 1, "{TASKS} tasks");
        event.set();
        for number in 0..TASKS / 2 {
            queue.push_async(number).await.unwrap();
        }
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        assert_eq!(sum, (0..TASKS / 2).sum::<u32>());
    });
}

/// More words than one thread sleeps on.
#[test]
fn tasks_wait_on_three_hundred_words() {
    let _watchdog = watchdog(LIMIT, "waiting on many words");
    let memory = leaked(Memory::options().max_entries(512).anonymous(1 << 20).unwrap());
    let futures: Vec<_> = (0..300)
        .map(|number| Future::<u32>::create(memory, &format!("future {number}")).unwrap())
        .collect();
    one_thread().block_on(async {
        let tasks: Vec<_> = futures.iter().map(|future| tokio::spawn(future.get_async())).collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let setter = std::thread::spawn({
            let futures = futures.clone();
            move || {
                for (number, future) in futures.iter().enumerate() {
                    future.promise().unwrap().set(number as u32).unwrap();
                }
            }
        });
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), Ok(number as u32));
        }
        setter.join().unwrap();
    });
}

/// Tasks that wait take no processor time.
#[test]
fn waiting_takes_no_processor_time() {
    const NAME: &str = "waiting_takes_no_processor_time";
    if part().is_none() {
        // In a process of its own, without the other tests.
        let scratch = Scratch::new();
        return Party::start(NAME, "idle", 0, scratch.name()).finish(LIMIT);
    }
    let memory = leaked(Memory::anonymous(1 << 18).unwrap());
    let queue = Queue::<u32>::create(memory, "queue", 16).unwrap();
    let future = Future::<u32>::create(memory, "future").unwrap();
    let event = Event::create(memory, "event", EventMode::Automatic).unwrap();
    let semaphore = Semaphore::create(memory, "semaphore", 0, 10).unwrap();
    let runtime = workers(2);
    for number in 0..100 {
        match number % 4 {
            0 => drop(runtime.spawn(async move {
                let _ = queue.pop_async().await;
            })),
            1 => drop(runtime.spawn(async move {
                let _ = event.wait_async().await;
            })),
            2 => drop(runtime.spawn(async move {
                let _ = semaphore.acquire_async().await;
            })),
            _ => drop(runtime.spawn(async move {
                let _ = future.await;
            })),
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    let used = || {
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(clock.tv_sec as u64, clock.tv_nsec as u32)
    };
    let (start, before) = (Instant::now(), used());
    std::thread::sleep(Duration::from_secs(2));
    let (elapsed, used) = (start.elapsed(), used() - before);
    eprintln!("{used:?} of {elapsed:?}");
    assert!(used < elapsed / 100, "{used:?} of processor time in {elapsed:?}");
}

/// Waits that are given up all the time, here and in another process, lose nothing.
#[test]
fn giving_up_loses_nothing() {
    const ITEMS: u64 = 20_000;
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let queue = Queue::<u64>::open(&memory, "queue").unwrap();
        for item in 1..=ITEMS {
            queue.push(item).unwrap();
            if item % 16 == 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        return;
    }
    let _watchdog = watchdog(LIMIT, "giving up");
    let scratch = Scratch::new();
    let memory = leaked(Memory::create(scratch.name(), 1 << 16).unwrap());
    let queue = Queue::<u64>::create(memory, "queue", 8).unwrap();
    let mut peer = Party::start("giving_up_loses_nothing", "producer", 0, scratch.name());
    let total = std::sync::atomic::AtomicU64::new(0);
    let total: &'static _ = Box::leak(Box::new(total));
    let count: &'static _ = Box::leak(Box::new(std::sync::atomic::AtomicU64::new(0)));
    workers(2).block_on(async {
        use std::sync::atomic::Ordering::Relaxed;
        let tasks: Vec<_> = (0..6_u64)
            .map(|number| {
                tokio::spawn(async move {
                    let mut turns = number;
                    while count.load(Relaxed) < ITEMS {
                        turns = turns.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let pause = Duration::from_micros(turns >> 56);
                        tokio::select! {
                            item = queue.pop_async() => {
                                total.fetch_add(item.unwrap(), Relaxed);
                                count.fetch_add(1, Relaxed);
                            }
                            () = tokio::time::sleep(pause) => {}
                            () = tokio::task::yield_now(), if turns >> 63 == 0 => {}
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(count.load(Relaxed), ITEMS);
        assert_eq!(total.load(Relaxed), ITEMS * (ITEMS + 1) / 2);
    });
    peer.finish(LIMIT);
}

/// Tasks that take one permit, and tasks that take two at once, and an event that releases one at a time.
#[test]
fn permits_and_sets_go_to_one_task_each() {
    let _watchdog = watchdog(LIMIT, "permits");
    let memory = leaked(Memory::anonymous(1 << 18).unwrap());
    let semaphore = Semaphore::create(memory, "semaphore", 2, 2).unwrap();
    let event = Event::create(memory, "event", EventMode::Automatic).unwrap();
    let inside: &'static _ = Box::leak(Box::new(std::sync::atomic::AtomicU32::new(0)));
    workers(2).block_on(async {
        use std::sync::atomic::Ordering::SeqCst;
        let tasks: Vec<_> = (0..40)
            .map(|number| {
                tokio::spawn(async move {
                    let wanted = 1 + number % 2;
                    for _ in 0..20 {
                        let permit = semaphore.acquire_many_async(wanted).await.unwrap();
                        assert!(inside.fetch_add(wanted, SeqCst) + wanted <= 2);
                        tokio::task::yield_now().await;
                        inside.fetch_sub(wanted, SeqCst);
                        drop(permit);
                    }
                    event.wait_async().await.unwrap();
                })
            })
            .collect();
        let setter = tokio::spawn(async move {
            for _ in 0..40 {
                while event.is_set() {
                    tokio::task::yield_now().await;
                }
                event.set();
            }
        });
        for task in tasks {
            task.await.unwrap();
        }
        setter.await.unwrap();
        assert!(!event.is_set());
    });
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn both_ends_of_a_ring_are_tasks() {
    const ITEMS: u32 = 20_000;
    let _watchdog = watchdog(LIMIT, "the ring");
    let memory = leaked(Memory::anonymous(1 << 18).unwrap());
    let ring = Ring::<u32>::create(memory, "ring", 4).unwrap();
    workers(2).block_on(async {
        let producer = tokio::spawn(async move {
            let mut producer = ring.producer().unwrap();
            for item in 0..ITEMS {
                producer.push_async(item).await.unwrap();
            }
        });
        let mut consumer = ring.consumer().unwrap();
        for item in 0..ITEMS {
            assert_eq!(consumer.pop_async().await, Ok(item));
        }
        producer.await.unwrap();
    });
}

/// The next item of a stream.
async fn next<S: futures_core::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *stream).poll_next(context)).await
}

/// A process publishes; several tasks here take every value, in order, with backpressure, each until the end.
#[test]
fn subscribers_that_are_tasks_take_every_value() {
    const VALUES: u64 = 20_000;
    let test = "subscribers_that_are_tasks_take_every_value";
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let stream = Stream::<u64>::open(&memory, "stream").unwrap();
        for value in 0..VALUES {
            stream.emit(value).unwrap();
        }
        stream.close().unwrap();
        return;
    }
    let _watchdog = watchdog(LIMIT, "subscribing");
    let scratch = Scratch::new();
    let memory = leaked(Memory::create(scratch.name(), 1 << 18).unwrap());
    let options = StreamOptions::new().backpressure(4);
    let stream = Stream::<u64>::create_with(memory, "stream", 64, &options).unwrap();
    let subscribers = [(); 3].map(|()| stream.subscribe().unwrap());
    let mut peer = Party::start(test, "publisher", 0, scratch.name());
    workers(2).block_on(async {
        let tasks = subscribers.map(|mut subscriber| {
            tokio::spawn(async move {
                let mut values = subscriber.stream_async();
                let mut expected = 0;
                while let Some(value) = next(&mut values).await {
                    assert_eq!(value, Ok(expected));
                    expected += 1;
                }
                expected
            })
        });
        for task in tasks {
            assert_eq!(task.await.unwrap(), VALUES);
        }
    });
    peer.finish(LIMIT);
}

/// A task publishes with backpressure and waits for a slow subscriber, which counts what it missed where there is none.
#[test]
fn publishers_that_are_tasks_wait_for_the_slowest() {
    let _watchdog = watchdog(LIMIT, "publishing");
    let memory = leaked(Memory::anonymous(1 << 18).unwrap());
    let options = StreamOptions::new().backpressure(1);
    let stream = Stream::<u64>::create_with(memory, "stream", 4, &options).unwrap();
    let hasty = Stream::<u64>::create(memory, "hasty", 4).unwrap();
    let mut subscriber = stream.subscribe().unwrap();
    let mut late = hasty.subscribe().unwrap();
    one_thread().block_on(async {
        let publisher = tokio::spawn(async move {
            for value in 0..500 {
                assert_eq!(stream.emit_async(value).await, Ok(value));
                hasty.emit_async(value).await.unwrap();
            }
            stream.close().unwrap();
        });
        for value in 0..500 {
            assert_eq!(subscriber.next_async().await, Ok(value));
        }
        assert_eq!(subscriber.next_async().await, Err(NextError::Closed));
        publisher.await.unwrap();
        assert_eq!(late.next_async().await, Err(NextError::Lagged { missed: 496 }));
        assert_eq!(late.next_async().await, Ok(496));
    });
}

/// Tasks send through a channel to tasks, until it is closed.
#[test]
fn tasks_send_and_receive_through_a_channel() {
    const EACH: u64 = 3000;
    let _watchdog = watchdog(LIMIT, "the channel");
    let memory = leaked(Memory::anonymous(1 << 18).unwrap());
    let channel = Channel::<u64>::create(memory, "channel", 4).unwrap();
    workers(2).block_on(async {
        let senders = [0, 1, 2].map(|sender| {
            tokio::spawn(async move {
                for item in 0..EACH {
                    channel.send_async(sender * EACH + item).await.unwrap();
                }
            })
        });
        let receivers = [(); 3].map(|()| {
            tokio::spawn(async move {
                let mut items = channel.stream_async();
                let (mut count, mut sum) = (0, 0);
                while let Some(item) = next(&mut items).await {
                    (count, sum) = (count + 1, sum + item.unwrap());
                }
                (count, sum)
            })
        });
        for sender in senders {
            sender.await.unwrap();
        }
        channel.close();
        let mut total = (0, 0);
        for receiver in receivers {
            let (count, sum) = receiver.await.unwrap();
            total = (total.0 + count, total.1 + sum);
        }
        assert_eq!(total, (3 * EACH, (0..3 * EACH).sum::<u64>()));
        assert_eq!(channel.recv_async().await, Err(RecvError::Closed));
        assert_eq!(channel.send_async(1).await, Err(SendError::Closed(1)));
    });
}

/// One sleep in the kernel at several futures: the later in the list ends it too.
#[test]
fn whichever_future_is_settled_ends_the_wait() {
    let _watchdog = watchdog(LIMIT, "any");
    let memory = leaked(Memory::anonymous(1 << 18).unwrap());
    let list: [Future<'_, u64>; 3] =
        ["a", "b", "c"].map(|name| Future::create(memory, name).unwrap());
    let promises = list.map(|future| future.promise().unwrap());
    std::thread::scope(|scope| {
        let first = scope.spawn(|| any(list).get());
        let each = scope.spawn(|| all(list).get());
        for (number, promise) in promises.into_iter().enumerate().rev() {
            std::thread::sleep(Duration::from_millis(5));
            promise.set(number as u64).unwrap();
        }
        assert_eq!(first.join().unwrap(), Ok((2, 2)));
        assert_eq!(each.join().unwrap(), Ok([0, 1, 2]));
    });
}

/// A task that is leaked in the middle of a wait leaves nothing behind that is looked at once its memory is gone.
#[test]
fn a_leaked_task_outlives_its_memory_in_peace() {
    let _watchdog = watchdog(LIMIT, "leaking");
    for _ in 0..20 {
        let memory = Memory::anonymous(1 << 16).unwrap();
        let queue = Queue::<u64>::create(&memory, "queue", 4).unwrap();
        let mut pop = Box::pin(queue.pop_async());
        let waker = std::task::Waker::noop();
        assert!(pop.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        std::mem::forget(pop);
        drop(memory);
    }
    // The thread that sleeps for tasks still works.
    let memory = leaked(Memory::anonymous(1 << 16).unwrap());
    let queue = Queue::<u64>::create(memory, "queue", 4).unwrap();
    one_thread().block_on(async {
        let task = tokio::spawn(queue.pop_async());
        tokio::time::sleep(Duration::from_millis(150)).await;
        queue.push(1).unwrap();
        assert_eq!(task.await.unwrap(), Ok(1));
    });
}
