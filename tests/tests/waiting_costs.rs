//! What waiting costs: no system call while nobody waits, and next to no processor time while somebody does.

use rustix::time::{clock_gettime, ClockId};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc::{
    select, select_timeout, try_select, Array, Barrier, Channel, Event, EventMode, Latch, Map,
    Memory, Monitor, Mutex, Once, Pool, PopError, PopTimeoutError, PushError, Queue, RecvError,
    Ring, RwLock, SelectError, Selectable, Semaphore, Set, Signal, Stack, TryRecvError,
    TrySendError, WaitError,
};
use zeroipc_tests::processes::{part, Party};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(60);

/// Where the latch starts.
const LATCH: u32 = 5;

/// From here on any system call of this thread kills the process; false where the kernel cannot do that.
///
/// A filter of one instruction, by <https://man7.org/linux/man-pages/man2/seccomp.2.html>. Reading clocks is no system call
/// where the vDSO does it, but operations that find at once what they want read none.
fn forbid_system_calls() -> bool {
    let mut kill = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_KILL_PROCESS,
    };
    let program = libc::sock_fprog { len: 1, filter: &mut kill };
    // SAFETY: `PR_SET_NO_NEW_PRIVS` takes four numbers and touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return false;
    }
    // SAFETY: `program` is a filter of one instruction, both alive during the call, and the kernel copies them.
    unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0 }
}

/// Runs `body` on a thread that may make no system call, and ends the process: in peace only if it made none.
fn without_system_calls(body: impl FnOnce() + Send) -> ! {
    static READY: AtomicBool = AtomicBool::new(false);
    static DONE: AtomicBool = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            if forbid_system_calls() {
                READY.store(true, SeqCst);
                body();
            }
            DONE.store(true, SeqCst);
            // Leaving the thread would take system calls.
            while READY.load(SeqCst) {
                std::hint::spin_loop();
            }
        });
        let start = Instant::now();
        while !DONE.load(SeqCst) {
            assert!(start.elapsed() < LIMIT, "hangs");
            thread::sleep(Duration::from_millis(1));
        }
        if !READY.load(SeqCst) {
            eprintln!("SKIPPED: this kernel filters no system calls");
        }
        // Before the scope waits for the thread.
        std::process::exit(0)
    })
}

/// Each structure at work, empty, full, and between, with nobody waiting.
fn use_everything(memory: &Memory, rounds: u32) {
    let queue = Queue::<u32>::open(memory, "queue").unwrap();
    let ring = Ring::<u32>::open(memory, "ring").unwrap();
    let array = Array::<u32>::open(memory, "array").unwrap();
    let many = Signal::<[u64; 8]>::open(memory, "many").unwrap();
    let one = Signal::<[u64; 8]>::open(memory, "one").unwrap();
    let stack = Stack::<u32>::open(memory, "stack").unwrap();
    let pool = Pool::<u32>::open(memory, "pool").unwrap();
    let map = Map::<u32, u32>::open(memory, "map").unwrap();
    let set = Set::<u32>::open(memory, "set").unwrap();
    let semaphore = Semaphore::open(memory, "semaphore").unwrap();
    let mutex = Mutex::<u32>::open(memory, "mutex").unwrap();
    let lock = RwLock::<u32>::open(memory, "lock").unwrap();
    let monitor = Monitor::<u32>::open(memory, "monitor").unwrap();
    let event = Event::open(memory, "event").unwrap();
    let barrier = Barrier::open(memory, "barrier").unwrap();
    let once = Once::open(memory, "once").unwrap();
    let latch = Latch::open(memory, "latch").unwrap();
    let channel = Channel::<u32>::open(memory, "channel").unwrap();
    let met = Channel::<u32>::open(memory, "met").unwrap();
    // Not dropped: that would be one more thing to do under the filter, and there is nobody to give the roles to.
    let mut producer = ManuallyDrop::new(ring.producer().unwrap());
    let mut consumer = ManuallyDrop::new(ring.consumer().unwrap());
    let mut writer = ManuallyDrop::new(one.writer().unwrap());
    let (name, capacity) = (memory.region(), queue.capacity() as u32);
    without_system_calls(move || {
        for round in 0..rounds {
            for n in 0..capacity {
                queue.push(n).unwrap();
                producer.push(n).unwrap();
            }
            assert_eq!(queue.try_push(9), Err(PushError::Full(9)));
            assert_eq!(producer.try_push(9), Err(PushError::Full(9)));
            for n in 0..capacity {
                assert_eq!((queue.pop(), consumer.pop()), (Ok(n), Ok(n)));
            }
            assert_eq!(queue.try_pop(), Err(PopError::Empty));
            assert_eq!(consumer.try_pop(), Err(PopError::Empty));
            array.store(0, round).unwrap();
            let version = many.set([u64::from(round); 8]).unwrap();
            many.update(|old| old).unwrap();
            many.compare_version_and_set(version + 1, [1; 8]).unwrap();
            assert_eq!(many.wait_for_change(version), Ok(([1; 8], version + 2)));
            let version = writer.set([u64::from(round); 8]);
            assert_eq!(one.wait_for_change(version - 1).map(|found| found.1), Ok(version));
            let before = stack.len();
            stack.push(round).unwrap();
            assert_eq!((stack.pop(), stack.len()), (Ok(round), before));
            pool.alloc().unwrap().write(round);
            map.insert(round % 4, round).unwrap();
            assert_eq!((map.get(&(round % 4)), set.insert(7)), (Ok(Some(round)), Ok(round == 0)));
            drop(semaphore.acquire().unwrap());
            let mut guard = mutex.lock().unwrap();
            guard.store(round);
            drop(guard);
            drop(lock.read().unwrap());
            drop(lock.write().unwrap());
            drop(monitor.lock().unwrap());
            monitor.notify_all();
            event.set();
            assert_eq!(event.wait(), Ok(()));
            assert!(barrier.wait().is_ok());
            assert!(once.call_once(|_| ()).is_ok());
            if round < LATCH {
                latch.count_down().unwrap();
            }
            assert_eq!(latch.try_wait(), round + 1 >= LATCH);
            for n in 0..capacity {
                channel.send(n).unwrap();
            }
            assert_eq!(channel.try_send(9), Err(TrySendError::Full(9)));
            (0..capacity).for_each(|n| assert_eq!(channel.recv(), Ok(n)));
            assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
            assert_eq!(met.try_send(9), Err(TrySendError::Full(9)));
            assert_eq!(met.try_recv(), Err(TryRecvError::Empty));
            let (send, recv, meet) =
                (channel.select_send(1), met.select_recv(), met.select_send(2));
            assert_eq!((select(&[&send, &recv, &meet]), send.result()), (Ok(0), Some(Ok(()))));
            assert_eq!(try_select(&[&recv, &meet]), None);
            assert_eq!(channel.try_recv(), Ok(1));
        }
        assert!(name.is_current());
    })
}

#[test]
fn nobody_waits_and_nobody_calls_the_system() {
    const TEST: &str = "nobody_waits_and_nobody_calls_the_system";
    if let Some(part) = part() {
        match part.role.as_str() {
            "use" => use_everything(&Memory::open(&part.region).unwrap(), 2000),
            "call" => without_system_calls(thread::yield_now),
            "wake" => {
                let memory = Memory::open(&part.region).unwrap();
                let many = Signal::<[u64; 8]>::open(&memory, "many").unwrap();
                without_system_calls(|| {
                    many.set([7; 8]).unwrap();
                });
            }
            other => panic!("no role {other}"),
        }
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    Queue::<u32>::create(&memory, "queue", 4).unwrap();
    Ring::<u32>::create(&memory, "ring", 4).unwrap();
    Array::<u32>::create(&memory, "array", 4).unwrap();
    let many = Signal::create(&memory, "many", [0_u64; 8]).unwrap();
    Signal::create_single_writer(&memory, "one", [0_u64; 8], 4).unwrap();
    Stack::<u32>::create(&memory, "stack", 4).unwrap();
    Pool::<u32>::create(&memory, "pool", 4).unwrap();
    Map::<u32, u32>::create(&memory, "map", 4).unwrap();
    Set::<u32>::create(&memory, "set", 4).unwrap();
    Semaphore::create(&memory, "semaphore", 1, 1).unwrap();
    Mutex::create(&memory, "mutex", 0_u32).unwrap();
    RwLock::create(&memory, "lock", 0_u32).unwrap();
    Monitor::create(&memory, "monitor", 0_u32).unwrap();
    Event::create(&memory, "event", EventMode::Automatic).unwrap();
    Barrier::create(&memory, "barrier", 1).unwrap();
    Once::create(&memory, "once").unwrap();
    Latch::create(&memory, "latch", LATCH).unwrap();
    Channel::<u32>::create(&memory, "channel", 4).unwrap();
    Channel::<u32>::create(&memory, "met", 0).unwrap();
    Party::start(TEST, "use", 0, scratch.name()).finish(LIMIT);

    // The test can fail: a call of the system ends the process, and so does a set that must wake somebody.
    let dies = |role| {
        let mut party = Party::start(TEST, role, 0, scratch.name());
        let start = Instant::now();
        loop {
            if let Some(status) = party.ended() {
                break !status.success();
            }
            assert!(start.elapsed() < LIMIT);
            thread::sleep(Duration::from_millis(1));
        }
    };
    if dies("call") {
        let version = many.version();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| many.wait_for_change_timeout(version, LIMIT));
            // Asleep by then, with hardly an exception; otherwise this half of the test says nothing.
            thread::sleep(Duration::from_millis(100));
            let died = dies("wake");
            assert!(died || waiter.is_finished() || many.version() != version);
            waiter.join().unwrap().unwrap();
        });
    }
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn waiting_takes_no_processor_time() {
    const WAIT: Duration = Duration::from_secs(5);
    let memory = Memory::anonymous(1 << 20).unwrap();
    let queue = Queue::<u32>::create(&memory, "queue", 4).unwrap();
    let ring = Ring::<u32>::create(&memory, "ring", 4).unwrap();
    let many = Signal::create(&memory, "many", [0_u64; 8]).unwrap();
    let one = Signal::create_single_writer(&memory, "one", [0_u64; 8], 4).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let channel = Channel::<u32>::create(&memory, "channel", 4).unwrap();
    let met = Channel::<u32>::create(&memory, "met", 0).unwrap();
    let names: Vec<_> = (0..16).map(|index| format!("channel{index}")).collect();
    let channels: Vec<_> = (0..16)
        .map(|index| Channel::<u32>::create(&memory, &names[index], index % 2 * 4).unwrap())
        .collect();
    type Waiting<'a> = (&'static str, Box<dyn FnOnce() + Send + 'a>);
    // Further structures come here.
    let waits: Vec<Waiting<'_>> = vec![
        ("Queue", Box::new(|| assert_eq!(queue.pop_timeout(WAIT), Err(PopTimeoutError::Timeout)))),
        (
            "Ring",
            Box::new(|| assert_eq!(consumer.pop_timeout(WAIT), Err(PopTimeoutError::Timeout))),
        ),
        (
            "Signal of many",
            Box::new(|| {
                assert_eq!(many.wait_for_change_timeout(0, WAIT), Err(WaitError::Timeout));
            }),
        ),
        (
            "Signal of one",
            Box::new(|| {
                assert_eq!(one.wait_for_change_timeout(0, WAIT), Err(WaitError::Timeout));
            }),
        ),
        ("Channel", Box::new(|| assert_eq!(channel.recv_timeout(WAIT), Err(RecvError::Timeout)))),
        ("rendezvous", Box::new(|| assert_eq!(met.recv_timeout(WAIT), Err(RecvError::Timeout)))),
        (
            "select over 16 channels",
            Box::new(|| {
                let cases: Vec<_> = channels.iter().map(Channel::select_recv).collect();
                let cases: Vec<&dyn Selectable> = cases.iter().map(|case| case as _).collect();
                assert_eq!(select_timeout(&cases, WAIT), Err(SelectError::Timeout));
            }),
        ),
    ];
    thread::scope(|scope| {
        for (name, wait) in waits {
            scope.spawn(move || {
                let (start, before) = (Instant::now(), processor_time());
                wait();
                let (passed, used) = (start.elapsed(), processor_time() - before);
                assert!(passed >= WAIT, "{name}: ended after {passed:?}");
                assert!(used < WAIT / 100, "{name}: used {used:?} of the processor in {passed:?}");
            });
        }
    });
}
