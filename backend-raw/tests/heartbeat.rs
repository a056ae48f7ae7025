//! Heartbeats: who is dead, and who only was.

mod shared;

use shared::Shared;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use zeroipc_nostd::{
    Capability, FormatOptions, Geometry, Kind, Liveness, Mutex, PartyId, StructureError,
    TryLockError, WordSize,
};
use zeroipc_raw::Heartbeats;

#[test]
fn an_earlier_life_is_over_at_once() {
    static MEMORY: Shared = Shared::new();
    for line in [8, 32, 128] {
        let geometry = Geometry::new(WordSize::Four, line).unwrap();
        let options = FormatOptions::new().geometry(geometry).capability(Capability::LoadStore);
        let memory = MEMORY.all();
        let region = memory.create(&options).unwrap();
        let beats = Heartbeats::create(region, "beats", 3).unwrap();
        assert_eq!(Heartbeats::open(memory.open().unwrap(), "beats").unwrap().slots(), 3);
        let resets = beats.resets();
        let lives: Vec<PartyId> =
            (0..4).flat_map(|_| (0..3).map(|slot| beats.join(slot).unwrap().party())).collect();
        for (n, party) in lives.iter().enumerate() {
            assert_eq!(resets.is_dead(*party), n < 9, "{party}");
            assert!(!lives.iter().skip(n + 1).any(|other| other == party));
        }
        assert!(beats.join(3).is_none());
        assert_eq!(beats.beats(3), None);
    }
}

#[test]
fn silence() {
    static MEMORY: Shared = Shared::new();
    static NOW: AtomicU32 = AtomicU32::new(u32::MAX - 30); // soon it wraps around
    let pass = |milliseconds| NOW.fetch_add(milliseconds, SeqCst);
    let memory = MEMORY.all();
    let region = memory.create(&FormatOptions::new()).unwrap();
    let beats = Heartbeats::create(region, "beats", 2).unwrap();
    let (one, other) = (beats.join(0).unwrap(), beats.join(1).unwrap());
    let liveness = beats.liveness::<2>(|| NOW.load(SeqCst), 100);
    for _ in 0..5 {
        pass(60);
        one.beat();
        assert!(!liveness.is_dead(one.party()));
    }
    // Nobody has looked at the other since 300 ms.
    assert!(liveness.is_dead(other.party()));
    other.beat();
    assert!(!liveness.is_dead(other.party()));
    pass(99);
    assert!(!liveness.is_dead(one.party()));
    pass(1);
    assert!(liveness.is_dead(one.party()));
    // Of slots that are not watched nothing is known.
    assert!(!beats.liveness::<0>(|| 0, 0).is_dead(one.party()));
}

/// What it is for: a core is reset with a lock, and the next one is told.
#[test]
fn a_lock_of_a_core_that_was_reset() {
    static MEMORY: Shared = Shared::new();
    let memory = MEMORY.all();
    let created = memory.create(&FormatOptions::new()).unwrap();
    let beats = Heartbeats::create(created, "beats", 2).unwrap();
    let liveness = beats.resets();
    let as_core = |slot| created.with_party(beats.join(slot).unwrap().party(), &liveness);
    let (one, other) = (as_core(0), as_core(1));
    let lock = Mutex::<u32>::create(one, "lock", 7).unwrap();
    std::mem::forget(lock.try_lock().unwrap());
    let theirs = Mutex::<u32>::open(other, "lock").unwrap();
    assert!(matches!(theirs.try_lock(), Err(TryLockError::WouldBlock)));
    let _reborn = as_core(0);
    assert!(matches!(theirs.try_lock(), Err(TryLockError::OwnerDied(_))));
}

#[test]
fn not_heartbeats() {
    static MEMORY: Shared = Shared::new();
    let memory = MEMORY.all();
    let region = memory.create(&FormatOptions::new()).unwrap();
    zeroipc_nostd::Array::<u32>::create(region, "array", 17).unwrap();
    zeroipc_nostd::Queue::<u32>::create(region, "queue", 16).unwrap();
    let open = |name| Heartbeats::open(region, name).unwrap_err();
    assert!(matches!(open("array"), StructureError::WrongCapacity { expected: 16, found: 17, .. }));
    assert!(matches!(open("queue"), StructureError::WrongKind { found: Kind::QUEUE, .. }));
    let none = Heartbeats::create(region, "none", 0).unwrap_err();
    assert!(matches!(none, StructureError::BadCapacity { .. }));
}
