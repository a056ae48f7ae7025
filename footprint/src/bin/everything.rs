//! One of each structure, created and used: what a firmware takes that uses all of the core.
#![no_std]
#![no_main]

use footprint::{memory, opaque};
use zeroipc_nostd::{
    Array, Barrier, Channel, Event, EventMode, FormatOptions, Future, Latch, Lazy, Map, Monitor,
    Mutex, Once, Pool, Queue, Ring, RwLock, Semaphore, Set, Signal, Stack,
};

fn run() -> Option<()> {
    let memory = memory()?;
    let region = memory.create(&FormatOptions::new()).ok()?;
    let array = Array::<u32>::create(region, "array", 8).ok()?;
    let ring = Ring::<u32>::create(region, "ring", 8).ok()?;
    let (mut producer, mut consumer) = (ring.producer().ok()?, ring.consumer().ok()?);
    let queue = Queue::<u32>::create(region, "queue", 8).ok()?;
    let stack = Stack::<u32>::create(region, "stack", 8).ok()?;
    let pool = Pool::<u32>::create(region, "pool", 8).ok()?;
    let map = Map::<u32, u32>::create(region, "map", 8).ok()?;
    let set = Set::<u32>::create(region, "set", 8).ok()?;
    let signal = Signal::<u32>::create(region, "signal", opaque(0)).ok()?;
    let channel = Channel::<u32>::create(region, "channel", 8).ok()?;
    let future = Future::<u32>::create(region, "future").ok()?;
    let lazy = Lazy::<u32>::create(region, "lazy").ok()?;
    let semaphore = Semaphore::create(region, "semaphore", 2, 2).ok()?;
    let mutex = Mutex::<u32>::create(region, "mutex", opaque(0)).ok()?;
    let rwlock = RwLock::<u32>::create(region, "rwlock", opaque(0)).ok()?;
    let monitor = Monitor::<u32>::create(region, "monitor", opaque(0)).ok()?;
    let barrier = Barrier::create(region, "barrier", 2).ok()?;
    let latch = Latch::create(region, "latch", 2).ok()?;
    let once = Once::create(region, "once").ok()?;
    let event = Event::create(region, "event", EventMode::Manual).ok()?;
    loop {
        let value = opaque(1);
        array.store(1, array.load(0).ok()?).ok()?;
        array.fetch_add(2, value).ok()?;
        producer.try_push(value).ok()?;
        opaque(consumer.try_pop().ok()?);
        queue.try_push(value).ok()?;
        opaque(queue.try_pop().ok()?);
        stack.try_push(value).ok()?;
        opaque(stack.try_pop().ok()?);
        let loan = pool.try_alloc().ok()?;
        opaque(loan.read());
        map.insert(value, value).ok()?;
        opaque(map.get(&value).ok()??);
        map.remove(&value).ok()?;
        set.insert(value).ok()?;
        set.remove(&value).ok()?;
        signal.set(value).ok()?;
        opaque(signal.get().ok()?);
        channel.try_send(value).ok()?;
        opaque(channel.try_recv().ok()?);
        if let Ok(promise) = future.promise() {
            promise.set(value).ok()?;
        }
        opaque(future.try_get().ok()?);
        opaque(lazy.peek()?);
        drop(semaphore.try_acquire().ok()?);
        opaque(mutex.try_lock().ok()?.load());
        opaque(rwlock.try_read().ok()?.load());
        opaque(monitor.try_lock().ok()?.load());
        opaque(u32::from(barrier.wait().is_ok()));
        latch.count_down().ok()?;
        opaque(u32::from(once.is_completed()));
        event.set();
        event.reset();
    }
}

#[no_mangle]
extern "C" fn _start() -> ! {
    let _ = run();
    loop {}
}
