//! Who is alive: a counter for each core, and an incarnation that a reset changes.
//!
//! An [`Array`] of `u32`, in which each slot has a line of its own: at its start the *incarnation*, which counts how often the
//! slot was joined, then the *beats*. Only the slot's core writes there, so loads and stores are enough.
//!
//! A party's number is `incarnation x slots + slot + 1`: each life of a core has its own. So it can be told for certain that
//! an earlier life of a core that was reset is over, and what it held comes back at once, without any timeout.

use core::fmt;
use portable_atomic::{AtomicU32, Ordering::Relaxed};
use zeroipc_nostd::{Array, Liveness, PartyId, Region, StructureError};

/// The heartbeats of up to `slots` cores in a region.
///
/// ```
/// use zeroipc_nostd::{FormatOptions, Mutex, Region, Span};
/// use zeroipc_raw::Heartbeats;
///
/// # let mut memory = vec![0_u64; 512];
/// # let memory = zerocopy::IntoBytes::as_mut_bytes(memory.as_mut_slice());
/// # fn milliseconds() -> u32 { 0 }
/// let region = Region::create(Span::from_slice(memory)?, &FormatOptions::new())?;
/// let beats = Heartbeats::create(region, "heartbeats", 2)?;
///
/// // Core 1 joins at each boot, and beats from a timer interrupt.
/// let pulse = beats.join(1).ok_or("no such slot")?;
/// pulse.beat();
///
/// // A core that is silent for longer than its watchdog lets it be, was reset.
/// let liveness = beats.liveness::<2>(milliseconds, 100);
/// let region = region.with_party(pulse.party(), &liveness);
/// let lock = Mutex::<u32>::create(region, "lock", 7)?;
/// # let _ = lock;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Heartbeats<'a> {
    words: Array<'a, u32>,
    slots: usize,
    /// Words from one slot to the next.
    stride: usize,
}

impl<'a> Heartbeats<'a> {
    /// Creates them for `slots` cores.
    ///
    /// # Errors
    /// [`StructureError`], as for an [`Array`].
    pub fn create(region: Region<'a>, name: &str, slots: usize) -> Result<Self, StructureError> {
        let stride = stride(&region);
        let words = slots.saturating_mul(stride);
        Self::of(Array::create(region, name, words)?, name, stride)
    }

    /// Opens what [`Heartbeats::create`] made.
    ///
    /// # Errors
    /// [`StructureError`], as for an [`Array`]; [`StructureError::WrongCapacity`] if its length is not one of these.
    pub fn open(region: Region<'a>, name: &str) -> Result<Self, StructureError> {
        Self::of(Array::open(region, name)?, name, stride(&region))
    }

    fn of(words: Array<'a, u32>, name: &str, stride: usize) -> Result<Self, StructureError> {
        let (slots, found) = (words.len() / stride, words.len() as u64);
        if slots == 0 || words.len() % stride != 0 {
            let name = zeroipc_nostd::Name::new(name)?;
            return Err(StructureError::WrongCapacity { name, expected: stride as u64, found });
        }
        Ok(Heartbeats { words, slots, stride })
    }

    /// How many cores there is room for.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Begins a new life of the core `slot`; `None` if there is no such slot. Once a boot, by that core only.
    ///
    /// From then on everybody knows that all its earlier lives are over.
    #[must_use]
    pub fn join(&self, slot: usize) -> Option<Pulse<'a>> {
        let most = ((1 << 30) - 2) / u32::try_from(self.slots).ok()?;
        let incarnation = self.load(slot, INCARNATION)?.wrapping_add(1);
        // Numbers come again only after so many boots.
        let incarnation = if incarnation >= most { 0 } else { incarnation };
        let party = self.number(slot, incarnation)?;
        let beats = self.load(slot, BEATS)?.wrapping_add(1);
        self.store(slot, BEATS, beats)?;
        self.store(slot, INCARNATION, incarnation)?;
        Some(Pulse { beats: *self, slot, party })
    }

    /// What this party thinks of the others: `silence` milliseconds without a beat are a death.
    ///
    /// **`silence` must be proof**: longer than a watchdog lets that core live without beating. A core that is only slow and comes
    /// back after it was declared dead would go on with what it no longer owns. Where nothing resets a silent core use
    /// [`Heartbeats::resets`], which only believes in resets.
    ///
    /// `N` is at least the number of slots; about further ones nothing is ever known.
    #[must_use]
    pub fn liveness<const N: usize>(
        &self,
        milliseconds: fn() -> u32,
        silence: u32,
    ) -> Silence<'a, N> {
        let now = milliseconds();
        let last = core::array::from_fn(|slot| {
            let beats = AtomicU32::new(self.load(slot, BEATS).unwrap_or(0));
            Look { beats, at: AtomicU32::new(now) }
        });
        Silence { beats: *self, clock: milliseconds, silence, last }
    }

    /// Only resets are deaths: a party is dead once its core has joined again.
    #[must_use]
    pub fn resets(&self) -> Resets<'a> {
        Resets { beats: *self }
    }

    /// How many beats the slot has had: for watching it.
    #[must_use]
    pub fn beats(&self, slot: usize) -> Option<u32> {
        self.load(slot, BEATS)
    }

    /// Slot and incarnation of a party.
    fn life(&self, party: PartyId) -> (usize, u32) {
        // `slots` is at least 1 (`of`).
        let number = party.number() as usize - 1;
        (number % self.slots, (number / self.slots) as u32)
    }

    fn number(&self, slot: usize, incarnation: u32) -> Option<PartyId> {
        let number = (incarnation as usize).checked_mul(self.slots)?.checked_add(slot + 1)?;
        PartyId::new(u32::try_from(number).ok()?)
    }

    fn was_reset(&self, slot: usize, incarnation: u32) -> bool {
        self.load(slot, INCARNATION).is_some_and(|now| now != incarnation)
    }

    fn load(&self, slot: usize, word: usize) -> Option<u32> {
        if slot >= self.slots {
            return None;
        }
        self.words.load(slot * self.stride + word).ok()
    }

    fn store(&self, slot: usize, word: usize, value: u32) -> Option<()> {
        self.words.store(slot * self.stride + word, value).ok()
    }
}

const INCARNATION: usize = 0;
const BEATS: usize = 1;

/// A line of words.
fn stride(region: &Region<'_>) -> usize {
    region.view().geometry().line_bytes() as usize / 4
}

/// One life of a core.
#[derive(Debug, Clone, Copy)]
pub struct Pulse<'a> {
    beats: Heartbeats<'a>,
    slot: usize,
    party: PartyId,
}

impl Pulse<'_> {
    /// One beat: a load and a store on the core's own line. From one context at a time: best a timer interrupt that only runs
    /// if the rest of the core does, as a watchdog's.
    pub fn beat(&self) {
        let beats = self.beats.load(self.slot, BEATS).unwrap_or(0);
        // Cannot fail: the slot was checked by `join`.
        let _ = self.beats.store(self.slot, BEATS, beats.wrapping_add(1));
    }

    /// The number of this life, for [`Region::with_party`].
    #[must_use]
    pub fn party(&self) -> PartyId {
        self.party
    }
}

/// [`Liveness`] by resets only; from [`Heartbeats::resets`].
#[derive(Debug, Clone, Copy)]
pub struct Resets<'a> {
    beats: Heartbeats<'a>,
}

impl Liveness for Resets<'_> {
    fn is_dead(&self, party: PartyId) -> bool {
        let (slot, incarnation) = self.beats.life(party);
        self.beats.was_reset(slot, incarnation)
    }
}

/// When a slot's beats were last seen to change.
struct Look {
    beats: AtomicU32,
    at: AtomicU32,
}

/// [`Liveness`] by resets and by silence; from [`Heartbeats::liveness`].
pub struct Silence<'a, const N: usize> {
    beats: Heartbeats<'a>,
    clock: fn() -> u32,
    silence: u32,
    last: [Look; N],
}

impl<const N: usize> fmt::Debug for Silence<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Silence").field("milliseconds", &self.silence).finish_non_exhaustive()
    }
}

impl<const N: usize> Liveness for Silence<'_, N> {
    fn is_dead(&self, party: PartyId) -> bool {
        let (slot, incarnation) = self.beats.life(party);
        if self.beats.was_reset(slot, incarnation) {
            return true;
        }
        let (Some(beats), Some(last)) = (self.beats.load(slot, BEATS), self.last.get(slot)) else {
            return false;
        };
        // The clock before the look: else a beat in between would count as silence.
        let now = (self.clock)();
        if last.beats.load(Relaxed) != beats {
            last.beats.store(beats, Relaxed);
            last.at.store(now, Relaxed);
            return false;
        }
        now.wrapping_sub(last.at.load(Relaxed)) >= self.silence
    }
}
