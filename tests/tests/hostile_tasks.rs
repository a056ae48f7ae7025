//! A hostile peer writes anything into the words that tasks wait on: no task panics or hangs, and the thread that sleeps for them goes on.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use zeroipc::{Channel, Event, EventMode, Future, Memory, Queue, Semaphore, Stream};
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;
use zeroipc_tests::scratch::Scratch;

#[test]
fn whatever_is_written_where_tasks_wait() {
    const NAMES: [&str; 6] = ["queue", "event", "semaphore", "future", "stream", "channel"];
    let _watchdog = watchdog(Duration::from_secs(60), "hostile tasks");
    let scratch = Scratch::new();
    let memory: &'static Memory =
        Box::leak(Box::new(Memory::create(scratch.name(), 1 << 16).unwrap()));
    let queue = Queue::<u32>::create(memory, "queue", 4).unwrap();
    let event = Event::create(memory, "event", EventMode::Automatic).unwrap();
    let semaphore = Semaphore::create(memory, "semaphore", 1, 4).unwrap();
    let future = Future::<u32>::create(memory, "future").unwrap();
    let stream = Stream::<u32>::create(memory, "stream", 4).unwrap();
    let channel = Channel::<u32>::create_with_places(memory, "channel", 2).unwrap();
    let mut subscriber = stream.subscribe().unwrap();

    let view = memory.region().view();
    let starts = NAMES.map(|name| view.find(name).unwrap().offset);
    let file = OpenOptions::new().write(true).open(format!("/dev/shm{}", scratch.name())).unwrap();
    static OVER: AtomicBool = AtomicBool::new(false);
    let peer = std::thread::spawn(move || {
        let mut random = Random::new(1);
        while !OVER.load(Relaxed) {
            // Behind the prefix: what tasks sleep on, and what they look at.
            let at = random.pick(&starts) + 24 + 4 * random.below(30);
            let bits = random.bits() as u32;
            let word = random.pick(&[0, 1, 2, 3, u32::MAX, bits]);
            file.write_all_at(&word.to_ne_bytes(), at).unwrap();
            if random.one_in(8) {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    });

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let end = Instant::now() + Duration::from_secs(1);
        let soon = Duration::from_millis(2);
        let mut tasks = Vec::new();
        for _ in 0..3 {
            tasks.push(tokio::spawn(async move {
                while Instant::now() < end {
                    let _ = timeout(soon, queue.pop_async()).await.is_ok();
                    let _ = timeout(soon, queue.push_async(1)).await.is_ok();
                    let _ = timeout(soon, event.wait_async()).await.is_ok();
                    let permit = timeout(soon, semaphore.acquire_async()).await;
                    drop(permit);
                    let _ = timeout(soon, future.get_async()).await.is_ok();
                    let _ = timeout(soon, channel.recv_async()).await.is_ok();
                    let mut send = channel.send_async(1);
                    if timeout(soon, &mut send).await.is_err() {
                        let _ = send.withdraw().is_ok();
                    }
                    tokio::task::yield_now().await;
                }
            }));
        }
        tasks.push(tokio::spawn(async move {
            while Instant::now() < end {
                let _ = timeout(soon, subscriber.next_async()).await.is_ok();
                let _ = timeout(soon, stream.emit_async(1)).await.is_ok();
                tokio::task::yield_now().await;
            }
        }));
        for task in tasks {
            task.await.unwrap();
        }
    });
    OVER.store(true, Relaxed);
    peer.join().unwrap();

    // Others are served as ever.
    let memory: &'static Memory = Box::leak(Box::new(Memory::anonymous(1 << 16).unwrap()));
    let queue = Queue::<u32>::create(memory, "queue", 4).unwrap();
    runtime.block_on(async {
        let task = tokio::spawn(queue.pop_async());
        tokio::time::sleep(Duration::from_millis(10)).await;
        queue.push(7).unwrap();
        assert_eq!(task.await.unwrap(), Ok(7));
    });
}
