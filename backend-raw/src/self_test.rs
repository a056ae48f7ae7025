//! A start-up test between two cores: whether they see what each other writes, in order, and whether compare-and-exchange of
//! one excludes the other. Data sheets and errata are long; this takes milliseconds.
//!
//! Each of the two cores owns one line of the range, and both use a third:
//!
//! | line | words |
//! |---|---|
//! | of each core | `hello`, `echo`, `step`, `flag`, `count`, `met`, payload (2 words) |
//! | shared | `counter` |
//!
//! 1. Meeting. Each writes a fresh `hello` and echoes the other's. Whoever sees its own `hello` echoed knows that the other lives
//!    in this boot, whatever an earlier one left in memory.
//! 2. Order (message passing). In turn each writes its payload and then (release) its step; the other acquires the step and looks
//!    at the payload.
//! 3. Fences (store buffering). Both raise a flag, fence, and look at the other's: one of them must see it. That is what a doorbell
//!    relies on.
//! 4. Exclusion. Both count one word up by compare-and-exchange, until they met often enough. None may be lost.

use crate::range::RawRegion;
use core::fmt;
use core::hint::spin_loop;
use core::ptr::NonNull;
use portable_atomic::AtomicU32;
use portable_atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use zeroipc_nostd::Capability;

/// Which of the two cores runs the test here. Each must be run by exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Say, the core that boots first.
    First,
    /// The other.
    Second,
}

/// How a [`RawRegion::self_test`] goes about it. All numbers must be the same on both sides.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct SelfTest {
    line: usize,
    rounds: u32,
    patience: u32,
}

impl SelfTest {
    /// Lines of 64 bytes, 1000 rounds, patience for 100 million looks.
    pub const fn new() -> Self {
        SelfTest { line: 64, rounds: 1000, patience: 100_000_000 }
    }

    /// How far apart the two cores' words are, in bytes: at least the cache line and the granule of exclusive accesses.
    pub const fn line(mut self, bytes: usize) -> Self {
        self.line = bytes;
        self
    }

    /// How often each thing is tried.
    pub const fn rounds(mut self, rounds: u32) -> Self {
        self.rounds = rounds;
        self
    }

    /// How often to look for something that the other core should do, before it is given up.
    pub const fn patience(mut self, looks: u32) -> Self {
        self.patience = looks;
        self
    }
}

impl Default for SelfTest {
    fn default() -> Self {
        Self::new()
    }
}

/// What a self-test found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Proven {
    /// What the memory may be used with: for [`FormatOptions::capability`](zeroipc_nostd::FormatOptions::capability).
    pub capability: Capability,
    /// How often the two cores came into each other's way at the shared word, as this side saw it. Few say little.
    pub met: u32,
}

/// Why memory is not fit to be shared as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SelfTestError {
    /// The range is too short, or the lines are.
    TooSmall {
        /// Bytes needed.
        needed: usize,
    },
    /// The other core was never seen: it does not run the test, looks elsewhere, or its writes stay in its cache.
    NoPeer,
    /// The other core was there and then made no more progress that could be seen from here.
    Stalled,
    /// A write was seen before one that came earlier: the memory or its attributes do not keep the order of releases.
    Reordered,
    /// Both cores missed each other's flag: full fences do not reach the other core.
    FenceIgnored,
}

impl fmt::Display for SelfTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed } => write!(f, "the self-test needs {needed} bytes"),
            Self::NoPeer => f.write_str(
                "the other core was not seen: does it run the test, at the same memory, and is that memory uncached or coherent?",
            ),
            Self::Stalled => f.write_str("the other core stopped in the middle of the test"),
            Self::Reordered => f.write_str(
                "a later write was seen before an earlier one: map the memory as normal, shareable and uncached or coherent",
            ),
            Self::FenceIgnored => f.write_str(
                "both cores missed each other's write across a full fence: map the memory as normal and shareable",
            ),
        }
    }
}

impl core::error::Error for SelfTestError {}

/// Bytes of a core's own words.
const OWN: usize = 32;
/// Makes an echo differ from what it echoes, and both from memory that is all zero or all one.
const ECHO: u32 = 0x5A5A_0F0F;

impl RawRegion {
    /// Tests the memory from two cores at once, before a region is created in it; overwrites three lines at its start.
    ///
    /// Both cores call this at the same time, one as each [`Side`], when both boot. A core that boots alone must not: the others'
    /// region lies there. Bounded: at most so many looks as [`SelfTest::patience`] says at each of some thousand steps.
    ///
    /// The result is what was *proven*: [`Capability::Cas`] if no increment was lost and the cores met at the word at least
    /// once, otherwise [`Capability::LoadStore`]. A bus that answers exclusive accesses with a fault does so here (so does
    /// RISC-V with memory that has no atomics): let the fault handler note that, and start again without `Cas`.
    ///
    /// ```
    /// # use core::cell::UnsafeCell;
    /// use zeroipc_nostd::FormatOptions;
    /// use zeroipc_raw::{RawRegion, SelfTest, Side};
    /// # #[repr(C, align(64))]
    /// # struct Shared(UnsafeCell<[u8; 4096]>);
    /// # unsafe impl Sync for Shared {}
    /// # static SHARED: Shared = Shared(UnsafeCell::new([0; 4096]));
    /// # let memory = unsafe { RawRegion::from_pointer(SHARED.0.get().cast(), 4096) }?;
    ///
    /// # std::thread::scope(|scope| {
    /// # scope.spawn(|| memory.self_test(Side::Second, &SelfTest::new()));
    /// let proven = memory.self_test(Side::First, &SelfTest::new())?;
    /// let region = memory.create(&FormatOptions::new().capability(proven.capability))?;
    /// # let _ = region;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SelfTestError`]: with any of them the memory is of no use as it is mapped.
    pub fn self_test(&self, side: Side, how: &SelfTest) -> Result<Proven, SelfTestError> {
        let needed = how.line.saturating_mul(3);
        if how.line < OWN || how.line % 8 != 0 || self.len() < needed {
            return Err(SelfTestError::TooSmall { needed: needed.max(3 * OWN) });
        }
        let lines = [self.own(0), self.own(how.line)];
        let [first, second] = lines;
        let (mine, theirs) = match side {
            Side::First => (first, second),
            Side::Second => (second, first),
        };
        let counter = self.test_word(2 * how.line);
        Run { mine, theirs, counter, side, how: *how, base: 0, peer: 0, step: 0 }.all()
    }

    /// A core's words, from `offset` on; the caller has checked that they lie inside.
    fn own(&self, offset: usize) -> Own<'_> {
        let word = |index: usize| self.test_word(offset + 4 * index);
        Own {
            hello: word(0),
            echo: word(1),
            step: word(2),
            flag: word(3),
            count: word(4),
            met: word(5),
            payload: [word(6), word(7)],
        }
    }
}

/// A core's line.
#[derive(Clone, Copy)]
struct Own<'a> {
    hello: &'a AtomicU32,
    echo: &'a AtomicU32,
    step: &'a AtomicU32,
    flag: &'a AtomicU32,
    count: &'a AtomicU32,
    met: &'a AtomicU32,
    payload: [&'a AtomicU32; 2],
}

struct Run<'a> {
    mine: Own<'a>,
    theirs: Own<'a>,
    counter: &'a AtomicU32,
    side: Side,
    how: SelfTest,
    /// This side's `hello` and the other's: steps count from there.
    base: u32,
    peer: u32,
    step: u32,
}

impl Run<'_> {
    fn all(mut self) -> Result<Proven, SelfTestError> {
        self.meet()?;
        self.order()?;
        self.fences()?;
        let (exact, met) = self.exclusion()?;
        let capability = if exact && met > 0 { Capability::Cas } else { Capability::LoadStore };
        Ok(Proven { capability, met })
    }

    fn meet(&mut self) -> Result<(), SelfTestError> {
        // Not what an earlier boot left, neither of our own nor as an echo.
        let (old, echoed) = (self.mine.hello.load(Relaxed), self.theirs.echo.load(Relaxed) ^ ECHO);
        let fresh = [1, 2, 3].map(|more| old.wrapping_add(more << 16));
        self.base = if fresh[0] == echoed { fresh[1] } else { fresh[0] };
        // Steps count from `hello`, so they are there before it.
        self.mine.step.store(self.base, Relaxed);
        self.mine.hello.store(self.base, Release);
        for _ in 0..self.how.patience {
            let hello = self.theirs.hello.load(Acquire);
            self.mine.echo.store(hello ^ ECHO, Release);
            if self.theirs.echo.load(Acquire) ^ ECHO == self.base {
                // Its `hello` is fresh, since that came before the echo.
                self.peer = self.theirs.hello.load(Acquire);
                self.mine.echo.store(self.peer ^ ECHO, Release);
                return Ok(());
            }
            spin_loop();
        }
        Err(SelfTestError::NoPeer)
    }

    /// Says that this side is done with one more step.
    fn done(&mut self) {
        self.step += 1;
        self.mine.step.store(self.base.wrapping_add(self.step), Release);
    }

    /// Waits until the other side has done `steps` steps.
    fn wait_for(&self, steps: u32) -> Result<(), SelfTestError> {
        for _ in 0..self.how.patience {
            // Modular: at most one step ahead of us, or far behind.
            let done = self.theirs.step.load(Acquire).wrapping_sub(self.peer);
            if done.wrapping_sub(steps) < 1 << 31 {
                return Ok(());
            }
            spin_loop();
        }
        Err(SelfTestError::Stalled)
    }

    /// Both sides have done the same steps.
    fn together(&mut self) -> Result<(), SelfTestError> {
        self.done();
        self.wait_for(self.step)
    }

    fn order(&mut self) -> Result<(), SelfTestError> {
        for round in 1..=self.how.rounds {
            for writer in [Side::First, Side::Second] {
                if writer == self.side {
                    self.mine.payload.iter().for_each(|word| word.store(round, Relaxed));
                    self.done();
                    self.wait_for(self.step)?;
                } else {
                    self.wait_for(self.step + 1)?;
                    if self.theirs.payload.iter().any(|word| word.load(Relaxed) != round) {
                        return Err(SelfTestError::Reordered);
                    }
                    self.done();
                }
            }
        }
        Ok(())
    }

    fn fences(&mut self) -> Result<(), SelfTestError> {
        for _ in 0..self.how.rounds {
            self.mine.flag.store(0, Relaxed);
            self.mine.met.store(0, Relaxed);
            self.together()?;
            self.mine.flag.store(1, Relaxed);
            core::sync::atomic::fence(SeqCst);
            let seen = self.theirs.flag.load(Relaxed);
            self.mine.met.store(seen, Relaxed);
            self.together()?;
            if seen == 0 && self.theirs.met.load(Relaxed) == 0 {
                return Err(SelfTestError::FenceIgnored);
            }
            self.together()?;
        }
        Ok(())
    }

    /// Whether no increment was lost, and how often the cores met.
    fn exclusion(&mut self) -> Result<(bool, u32), SelfTestError> {
        clear(self.counter);
        self.together()?;
        let (mut count, mut met, mut refused) = (0, 0, 0);
        let mut seen = self.counter.load(Relaxed);
        // Until they met often, or it is clear that they never will.
        while count < self.how.rounds || (met < 16 && count < self.how.rounds.saturating_mul(64)) {
            match add_one(self.counter, seen) {
                Ok(()) => {
                    count += 1;
                    seen = seen.wrapping_add(1);
                    refused = 0;
                }
                // The other was faster, maybe many times in a row: its own counting ends.
                Err(found) if found != seen => {
                    met += 1;
                    seen = found;
                }
                Err(_) => refused += 1,
            }
            // Where exclusives never succeed; and where somebody who does not keep to the rules never lets us.
            if refused > 1000 || met > self.how.patience {
                // One too many, by which both sides see that it was given up.
                count = count.wrapping_add(1);
                break;
            }
        }
        self.mine.count.store(count, Relaxed);
        self.mine.met.store(met, Relaxed);
        self.together()?;
        let both = count.wrapping_add(self.theirs.count.load(Relaxed));
        let exact = self.counter.load(Relaxed) == both;
        // Both sides come to the same result, so that they format and open alike.
        let all = met.saturating_add(self.theirs.met.load(Relaxed));
        self.together()?;
        Ok((exact, all))
    }
}

/// Zero, from both sides before either counts.
///
/// On RISC-V by an atomic exchange, since a compare-and-exchange is a loop there that the compiler does not let out of our hands: in memory
/// where `sc` never succeeds it would not end. An `amoswap` of such memory is an access fault, which a handler can note.
fn clear(counter: &AtomicU32) {
    #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
    portable_atomic::cfg_has_atomic_cas! {
        // Its result is looked at, or it would become a store.
        core::hint::black_box(counter.swap(0, SeqCst));
    }
    counter.store(0, Relaxed);
}

/// One try to count up from `from`; gives what was there instead. A weak exchange: it may fail for no reason, but never waits.
#[allow(unreachable_code)] // one of the two halves is empty on every target
fn add_one(counter: &AtomicU32, from: u32) -> Result<(), u32> {
    portable_atomic::cfg_has_atomic_cas! {
        // Not one that is emulated for this program (`portable-atomic`'s features): no region takes that for `Cas`.
        if AtomicU32::is_always_lock_free() {
            return counter
                .compare_exchange_weak(from, from.wrapping_add(1), SeqCst, Relaxed)
                .map(drop);
        }
    }
    let _ = from;
    Err(counter.load(Relaxed))
}

impl RawRegion {
    /// The word at `offset`, a multiple of 4 that the caller has checked to lie inside with all its bytes.
    fn test_word(&self, offset: usize) -> &AtomicU32 {
        let base = NonNull::new(self.base()).unwrap_or(NonNull::dangling());
        // SAFETY: `self_test` checked that three lines lie inside the range, and asks for words inside those only.
        let word = unsafe { base.add(offset) };
        // SAFETY: aligned (the range is to 8, the offset to 4); whoever made the range promised that it is mapped and only
        // accessed atomically while `self` exists.
        unsafe { word.cast::<AtomicU32>().as_ref() }
    }
}
