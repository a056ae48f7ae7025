//! The one door to shared memory: every atomic access of every structure goes through here.
//!
//! Algorithms are written against [`Span`], [`Atomic`], [`Words`] and [`Slots`] and carry no `cfg`. Three forms exist:
//!
//! | form | chosen by | what it is |
//! |---|---|---|
//! | real | default | raw memory, native atomics, payload by per-word relaxed copies |
//! | fault | `--cfg zeroipc_fault` | the real form with a [`hook`] before each access, where a test can stop or abandon a thread |
//! | model | `--cfg loom` | a slab of loom atomics by offset; owned payload in loom cells, so that races on it are found |
//!
//! The choice is a `RUSTFLAGS` cfg and not a feature, so that no other crate's feature set can turn it on.

mod atomic;
mod caches;
pub(crate) mod hook;
mod number;
mod private_cell;
mod waker_slot;
mod word;

#[cfg(loom)]
mod model;
#[cfg(not(loom))]
mod real;

pub(crate) use atomic::{AnyWord, Atomic};
pub(crate) use caches::Caches;
pub use caches::{CacheMaintenance, NoCache};
#[cfg(loom)]
pub use model::Span;
#[cfg(loom)]
pub use model::{unexplored, Slab};
#[cfg(loom)]
pub(crate) use model::{Cells, Racy, Raw, Shared, Slots, Words, Wrapped, WrappedWords};
pub(crate) use number::{Bitwise, Change, NativeInteger};
#[cfg(not(loom))]
pub use real::Span;
#[cfg(not(loom))]
pub(crate) use real::{Cells, Racy, Raw, Shared, Slots, Words, Wrapped, WrappedWords};
pub(crate) use waker_slot::{Refused, WakerSlot};
pub(crate) use word::{by_word, native_cas, private_cas, ByWord, Wide, Word, HAS_WIDE};

/// Orders an earlier read-modify-write of this thread before its later loads.
///
/// On x86 a locked instruction is already a full barrier, so only the compiler is told.
#[inline(always)]
pub(crate) fn fence_after_rmw() {
    #[cfg(loom)]
    loom::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    #[cfg(all(not(loom), any(target_arch = "x86", target_arch = "x86_64")))]
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
    #[cfg(all(not(loom), not(any(target_arch = "x86", target_arch = "x86_64"))))]
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// A full fence: earlier accesses of this thread before its later ones.
#[inline(always)]
pub(crate) fn full_fence() {
    #[cfg(loom)]
    loom::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    #[cfg(not(loom))]
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// What this thread loads before (relaxed) it sees as if it had acquired it, before what it does after.
#[inline(always)]
pub(crate) fn acquire_fence() {
    #[cfg(loom)]
    loom::sync::atomic::fence(core::sync::atomic::Ordering::Acquire);
    #[cfg(not(loom))]
    core::sync::atomic::fence(core::sync::atomic::Ordering::Acquire);
}

/// Another number each time (mostly: it only spreads handles over slots), to begin a search for a slot with.
#[inline]
pub(crate) fn scattered() -> usize {
    // Not in the model: what is left of one execution must not change the next.
    #[cfg(loom)]
    return 0;
    #[cfg(not(loom))]
    {
        use core::sync::atomic::Ordering::Relaxed;
        static COUNT: portable_atomic::AtomicUsize = portable_atomic::AtomicUsize::new(0);
        let count = COUNT.load(Relaxed);
        // Not a read-modify-write, which not every target has.
        COUNT.store(count.wrapping_add(1), Relaxed);
        count
    }
}

/// One polite turn of a bounded polling loop.
#[inline(always)]
pub(crate) fn relax() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    core::hint::spin_loop();
}

/// A moment's rest of a party that found nothing and may come again at once: one that polls without rest takes the line away
/// from the peer that is about to write it (measured: twice the latency).
#[inline(always)]
pub(crate) fn rest_after_a_look() {
    #[cfg(not(any(loom, zeroipc_fault)))]
    core::hint::spin_loop();
}

/// Rest between two looks at a word that a peer is about to change: as long as a cache line takes to go there and back, since
/// each look takes the line away from the peer.
#[inline(always)]
fn rest() {
    #[cfg(loom)]
    relax();
    #[cfg(not(loom))]
    for _ in 0..16 {
        relax();
    }
}

/// How often an operation looks again at a word that a peer is about to change, before it acts without that peer.
///
/// Long enough for a running peer to finish, far shorter than a time slice. Zero under loom: there each look is an
/// interleaving of its own, and immediate displacement is the case worth exploring.
#[cfg(not(any(loom, zeroipc_fault)))]
const PATIENCE: u32 = 128;
#[cfg(zeroipc_fault)]
const PATIENCE: u32 = 2;
#[cfg(all(loom, not(zeroipc_fault)))]
const PATIENCE: u32 = 0;

/// One more look at a word that a peer is about to change, after a pause; false once it is time to act without that peer.
#[inline(always)]
pub(crate) fn look_again(looks: &mut u32) -> bool {
    if *looks == PATIENCE {
        *looks = 0;
        return false;
    }
    *looks += 1;
    rest();
    true
}
