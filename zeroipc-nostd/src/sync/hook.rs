//! Stop points: a place before every shared access where a test may stop, delay or abandon its thread.
//!
//! Exists for tests only. In the real form [`step`] is empty and compiles to nothing; with `--cfg zeroipc_fault` or
//! `--cfg loom` it counts the accesses of the current thread and calls the closure that the thread installed.

#[cfg(not(any(loom, zeroipc_fault)))]
#[inline(always)]
pub(crate) fn step() {}

/// Whether this thread stands for a party that was killed: what its guards would do when dropped must not happen.
#[cfg(not(any(loom, zeroipc_fault)))]
#[inline(always)]
pub(crate) fn is_abandoned() -> bool {
    false
}

#[cfg(any(loom, zeroipc_fault))]
pub use armed::{abandon_at, run, Abandoned};
#[cfg(any(loom, zeroipc_fault))]
pub(crate) use armed::{is_abandoned, step};

#[cfg(any(loom, zeroipc_fault))]
mod armed {
    use std::boxed::Box;
    use std::cell::{Cell, RefCell};
    use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

    type Hook = Box<dyn FnMut(u64)>;

    // Loom's threads are coroutines of one system thread: each needs its own slot.
    #[cfg(loom)]
    loom::thread_local! {
        static HOOK: RefCell<Option<Hook>> = RefCell::new(None);
        static COUNT: Cell<u64> = Cell::new(0);
        static ABANDONED: Cell<bool> = Cell::new(false);
    }
    #[cfg(not(loom))]
    std::thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
        static COUNT: Cell<u64> = const { Cell::new(0) };
        static ABANDONED: Cell<bool> = const { Cell::new(false) };
    }

    /// What [`abandon_at`] throws: the thread has left the operation for ever, as if it had been killed there.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Abandoned;

    pub(crate) fn step() {
        // Taken out while it runs, so that a hook which itself touches a region does not recurse.
        let Some(mut hook) = HOOK.with(|h| h.borrow_mut().take()) else { return };
        let n = COUNT.with(|c| {
            let n = c.get();
            c.set(n + 1);
            n
        });
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| hook(n))) {
            ABANDONED.with(|abandoned| abandoned.set(payload.is::<Abandoned>()));
            resume_unwind(payload);
        }
        HOOK.with(|h| *h.borrow_mut() = Some(hook));
    }

    /// Whether the thread is leaving its operation as [`Abandoned`], dropping what it held on the way.
    pub(crate) fn is_abandoned() -> bool {
        ABANDONED.with(Cell::get)
    }

    /// Runs `body` with `hook` before each shared access (numbered from 0); returns its result and how many there were.
    pub fn run<R>(hook: impl FnMut(u64) + 'static, body: impl FnOnce() -> R) -> (R, u64) {
        COUNT.with(|c| c.set(0));
        HOOK.with(|h| *h.borrow_mut() = Some(Box::new(hook)));
        let result = catch_unwind(AssertUnwindSafe(body));
        HOOK.with(|h| *h.borrow_mut() = None);
        ABANDONED.with(|abandoned| abandoned.set(false));
        let count = COUNT.with(Cell::get);
        match result {
            Ok(result) => (result, count),
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Runs `body` and abandons it just before its access number `at`, as a kill would.
    ///
    /// # Errors
    /// [`Abandoned`] if the access was reached; `Ok` if `body` finished with fewer.
    pub fn abandon_at<R>(at: u64, body: impl FnOnce() -> R) -> Result<R, Abandoned> {
        let stop = move |n| {
            if n == at {
                resume_unwind(Box::new(Abandoned));
            }
        };
        match catch_unwind(AssertUnwindSafe(|| run(stop, body))) {
            Ok((result, _)) => Ok(result),
            Err(payload) if payload.is::<Abandoned>() => Err(Abandoned),
            Err(payload) => resume_unwind(payload),
        }
    }
}
