//! A `Watch` in event loops: by epoll, level- and edge-triggered, and under tokio, fed by other processes.

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, OwnedFd};
use std::task::Poll;
use std::time::Duration;
use zeroipc::{Event, EventMode, Future, FutureError, Memory, PopTimeoutError, Queue, Watch};
use zeroipc_tests::processes::{part, watchdog, Party};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);

fn is_readable(fd: impl AsFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)).unwrap() == 1
}

fn until_readable(fd: impl AsFd) {
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).unwrap();
}

/// The table in the documentation, line by line.
#[test]
fn it_is_readable_as_documented() {
    let _watchdog = watchdog(LIMIT, "watching");
    let memory = Memory::anonymous(1 << 16).unwrap();
    let queue = Queue::<u32>::create(&memory, "queue", 4).unwrap();
    let mut watch = Watch::new(queue.pop_async()).unwrap();
    assert!(is_readable(&watch), "in the beginning");
    assert_eq!(watch.poll(), Poll::Pending);
    // A moment later somebody may be asked to look, but not always.
    let quiet = (0..100).any(|_| watch.poll().is_pending() && !is_readable(&watch));
    assert!(quiet, "after a poll that gave nothing");
    queue.push(1).unwrap();
    queue.push(2).unwrap();
    until_readable(&watch);
    assert_eq!(watch.poll(), Poll::Ready(Ok(1)));
    assert!(is_readable(&watch), "after a poll that gave something");
    assert_eq!(watch.poll(), Poll::Ready(Ok(2)));
    assert_eq!(watch.poll(), Poll::Pending);

    let event = Event::create(&memory, "event", EventMode::Automatic).unwrap();
    let mut watch = Watch::new(event.wait_async()).unwrap();
    assert_eq!(watch.poll(), Poll::Pending);
    event.set();
    until_readable(&watch);
    assert_eq!(watch.poll(), Poll::Ready(Ok(())));

    let future = Future::<u32>::create(&memory, "future").unwrap();
    let promise = future.promise().unwrap();
    let mut watch = Watch::new(future.get_async()).unwrap();
    assert_eq!(watch.poll(), Poll::Pending);
    drop(promise);
    until_readable(&watch);
    assert_eq!(watch.poll(), Poll::Ready(Err(FutureError::Broken)));
}

/// A region that gives no reactor says so, at once.
#[test]
fn without_a_reactor_it_says_so() {
    let memory = Memory::anonymous(1 << 16).unwrap();
    let region = memory.region().with_notifier(&zeroipc::Futex);
    let queue = Queue::<u32>::create(region, "queue", 4).unwrap();
    let mut watch = Watch::new(queue.pop_async()).unwrap();
    assert_eq!(watch.poll(), Poll::Ready(Err(PopTimeoutError::NoWaiter)));
}

const ITEMS: u64 = 20_000;

/// In a child: pushes its items into one of the queues.
fn push(queue: &str, region: &str) {
    let memory = Memory::open(region).unwrap();
    let queue = Queue::<u64>::open(&memory, queue).unwrap();
    for item in 1..=ITEMS {
        queue.push(item).unwrap();
        if item % 512 == 0 {
            std::thread::sleep(Duration::from_micros(300));
        }
    }
}

/// Two queues, filled by two processes, and an ordinary pipe in one epoll.
fn in_an_epoll(test: &str, flags: EventFlags, all_at_once: bool) {
    if let Some(part) = part() {
        return push(&part.role, &part.region);
    }
    let _watchdog = watchdog(LIMIT, "the loop");
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    let names = ["left", "right"];
    let mut watches = names.map(|name| {
        Watch::new(Queue::<u64>::create(&memory, name, 16).unwrap().pop_async()).unwrap()
    });
    let epoll: OwnedFd = epoll::create(CreateFlags::CLOEXEC).unwrap();
    for (number, watch) in watches.iter().enumerate() {
        epoll::add(&epoll, watch, EventData::new_u64(number as u64), flags).unwrap();
    }
    let mut peers = names.map(|name| Party::start(test, name, 0, scratch.name()));
    let mut last = [0, 0];
    while last != [ITEMS; 2] {
        let mut events = Vec::with_capacity(4);
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None).unwrap();
        for event in events {
            let number = event.data.u64() as usize;
            while let Poll::Ready(item) = watches[number].poll() {
                assert_eq!(item, Ok(last[number] + 1));
                last[number] += 1;
                if !all_at_once {
                    break;
                }
            }
        }
    }
    peers.iter_mut().for_each(|peer| peer.finish(LIMIT));
}

#[test]
fn in_an_epoll_level_triggered_one_at_a_time() {
    in_an_epoll("in_an_epoll_level_triggered_one_at_a_time", EventFlags::IN, false);
}

#[test]
fn in_an_epoll_edge_triggered_until_there_is_nothing() {
    let flags = EventFlags::IN | EventFlags::ET;
    in_an_epoll("in_an_epoll_edge_triggered_until_there_is_nothing", flags, true);
}

#[test]
fn in_an_async_fd_of_tokio() {
    let test = "in_an_async_fd_of_tokio";
    if let Some(part) = part() {
        return push(&part.role, &part.region);
    }
    let _watchdog = watchdog(LIMIT, "tokio");
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    let queue = Queue::<u64>::create(&memory, "queue", 16).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut peer = Party::start(test, "queue", 0, scratch.name());
    runtime.block_on(async {
        let watch = Watch::new(queue.pop_async()).unwrap();
        // SAFETY: a `Watch` keeps its one descriptor open as long as it is there.
        let mut watch = unsafe { tokio::io::unix::AsyncFd::register(watch) }.unwrap();
        let mut last = 0;
        while last < ITEMS {
            let mut ready = watch.readable_mut().await.unwrap();
            match ready.get_inner_mut().poll() {
                Poll::Ready(item) => {
                    last += 1;
                    assert_eq!(item, Ok(last));
                }
                Poll::Pending => ready.clear_ready(),
            }
        }
    });
    peer.finish(LIMIT);
}
