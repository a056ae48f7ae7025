//! Tasks where the system is not as usual: a kernel without `futex_waitv`, and a process that was forked.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use zeroipc::{Event, EventMode, Memory, Queue};
use zeroipc_tests::processes::{part, watchdog, Party};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An executor of one task, which needs nothing of the process.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// From now on `futex_waitv` is unknown in this process. False if the kernel filters no system calls.
fn forget_futex_waitv() -> bool {
    let step = |code: u32, k, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
    let returns = |what| step(libc::BPF_RET | libc::BPF_K, what, 0, 0);
    let mut filter = [
        // The number of the call begins the data.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_futex_waitv as u32, 0, 1),
        returns(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        returns(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: this call takes no pointers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return false;
    }
    // SAFETY: `program` is a filter of four instructions, both alive during the call, and the kernel copies them.
    unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0 }
}

/// Tasks get what another process pushes, on several words at once, a millisecond later at worst.
#[test]
fn without_futex_waitv() {
    const ITEMS: u32 = 200;
    let test = "without_futex_waitv";
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let queue = Queue::<u32>::open(&memory, "queue").unwrap();
        let over = Event::open(&memory, "over").unwrap();
        if part.role == "push" {
            (0..ITEMS).for_each(|item| queue.push(item).unwrap());
            return over.set();
        }
        if !forget_futex_waitv() {
            return eprintln!("SKIPPED: this kernel filters no system calls");
        }
        thread::scope(|scope| {
            let waits = scope.spawn(|| block_on(over.wait_async()));
            for item in 0..ITEMS {
                assert_eq!(block_on(queue.pop_async()), Ok(item));
            }
            assert_eq!(waits.join().unwrap(), Ok(()));
        });
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 16).unwrap();
    Queue::<u32>::create(&memory, "queue", 4).unwrap();
    Event::create(&memory, "over", EventMode::Manual).unwrap();
    let mut parties = ["pop", "push"].map(|role| Party::start(test, role, 0, scratch.name()));
    parties.iter_mut().for_each(|party| party.finish(LIMIT));
}

/// A forked child has none of the parent's threads, and begins its own.
#[test]
fn in_a_forked_child() {
    let test = "in_a_forked_child";
    if part().is_none() {
        let scratch = Scratch::new();
        return Party::start(test, "fork", 0, scratch.name()).finish(LIMIT);
    }
    let _watchdog = watchdog(LIMIT / 2, "the child");
    let memory = Memory::anonymous(1 << 16).unwrap();
    let queue = Queue::<u32>::create(&memory, "queue", 4).unwrap();
    let back = Queue::<u32>::create(&memory, "back", 4).unwrap();
    // The parent's thread is there before the fork.
    thread::scope(|scope| {
        let first = scope.spawn(|| block_on(queue.pop_async()));
        thread::sleep(Duration::from_millis(5));
        queue.push(1).unwrap();
        assert_eq!(first.join().unwrap(), Ok(1));
    });
    // SAFETY: the child uses memory, futexes and a new thread, which are good after a fork here (glibc takes care of its heap), and
    // ends by `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let popped = block_on(queue.pop_async());
        let pushed = block_on(back.push_async(popped.unwrap_or(0) + 1));
        // SAFETY: ends this process, and nothing of it is used again.
        unsafe { libc::_exit(i32::from(pushed.is_err())) };
    }
    thread::sleep(Duration::from_millis(20));
    queue.push(6).unwrap();
    assert_eq!(block_on(back.pop_async()), Ok(7));
    let mut status = 0;
    // SAFETY: `status` is written by the call, and valid.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0);
}
