//! Latch against a number, in both forms, its waits, and what it refuses.
#![cfg(not(loom))]

mod memory;
mod sleeper;

use memory::{geometries, Memory};
use proptest::prelude::*;
use sleeper::Sleeper;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    ArriveError, Capability, CountDownError, FormatOptions, Geometry, Kind, Latch, PartyError,
    Region, StructureError, WaitError,
};

fn fill(region: Region<'_>) -> Option<u64> {
    let view = region.view();
    view.inspect(&view.find("latch").unwrap()).unwrap().fill
}

fn one_counter_agrees(geometry: Geometry, count: u32, steps: &[u32]) {
    let mut memory = Memory::filled(2048, 0xA5).shifted(8);
    let span = memory.span();
    let region = Region::create(span, &FormatOptions::new().geometry(geometry)).unwrap();
    let before = region.view().next_offset();
    let latch = Latch::create(region, "latch", count).unwrap();
    let taken = region.view().next_offset() - before;
    assert!(taken <= Latch::footprint(geometry, 0).unwrap());
    let mut left = count;
    for n in steps {
        let latch = Latch::open(Region::open(span).unwrap(), "latch").unwrap();
        match latch.count_down_by(*n) {
            Ok(()) => left -= n,
            Err(error) => {
                assert_eq!(error, CountDownError::BelowZero { left });
                assert!(*n > left);
            }
        }
        assert_eq!((latch.remaining(), fill(region)), (left, Some(u64::from(left))));
        assert_eq!((latch.is_done(), latch.try_wait()), (left == 0, left == 0));
    }
    assert_eq!(latch.parties(), 0);
    assert_eq!(latch.party(0).unwrap_err(), PartyError::OutOfBounds { parties: 0 });
}

fn parties_agree(geometry: Geometry, cas: bool, parties: u32, each: u32, steps: &[(u32, u32)]) {
    let mut memory = Memory::filled(4096, 0xA5).shifted(8);
    let capability = if cas { Capability::Cas } else { Capability::LoadStore };
    let options = FormatOptions::new().geometry(geometry).capability(capability);
    let region = memory.region(options);
    let before = region.view().next_offset();
    let latch = Latch::create_for_parties(region, "latch", parties, each).unwrap();
    let taken = region.view().next_offset() - before;
    assert!(taken <= Latch::footprint(geometry, parties).unwrap());
    let mut left = vec![each; parties as usize];
    for (index, n) in steps {
        let index = index % parties;
        let mine = &mut left[index as usize];
        // The role is taken anew each time: what was counted stays.
        let mut party = latch.party(index).unwrap();
        assert_eq!(latch.party(index).unwrap_err(), PartyError::Taken);
        match party.count_down_by(*n) {
            Ok(()) => *mine -= n,
            Err(error) => {
                assert_eq!(error, CountDownError::BelowZero { left: *mine });
                assert!(*n > *mine);
            }
        }
        assert_eq!(party.remaining(), *mine);
        let sum: u32 = left.iter().sum();
        assert_eq!((latch.remaining(), fill(region)), (sum, Some(u64::from(sum))));
        assert_eq!(latch.is_done(), sum == 0);
    }
    assert_eq!(latch.count_down(), Err(CountDownError::NeedsParty));
    assert_eq!(latch.party(parties).unwrap_err(), PartyError::OutOfBounds { parties });
    assert_eq!(latch.parties(), parties);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_latch_is_a_number(
        geometry in prop::sample::select(geometries()),
        count in prop_oneof![0..9_u32, Just(u32::MAX)],
        steps in prop::collection::vec(prop_oneof![0..5_u32, Just(u32::MAX)], 0..20),
    ) {
        one_counter_agrees(geometry, count, &steps);
    }

    #[test]
    fn a_latch_of_parties_is_a_number_each(
        geometry in prop::sample::select(geometries()),
        cas in any::<bool>(),
        parties in 1..6_u32,
        each in 1..5_u32,
        steps in prop::collection::vec((0..6_u32, 0..4_u32), 0..30),
    ) {
        parties_agree(geometry, cas, parties, each, &steps);
    }
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    for (parties, each) in [(0, 1), (1, 0), ((1 << 16) + 1, 1), (2, u32::MAX)] {
        let refused = Latch::create_for_parties(region, "latch", parties, each).unwrap_err();
        assert!(matches!(refused, StructureError::BadCapacity { .. }), "{refused}");
    }
    let latch = Latch::create(region, "latch", 2).unwrap();
    assert_eq!(latch.wait(), Err(WaitError::NoWaiter));
    assert_eq!(latch.arrive_and_wait(), Err(ArriveError::Wait(WaitError::NoWaiter)));
    assert_eq!(latch.remaining(), 2, "nothing was counted");
    assert!(matches!(
        Latch::open_or_create(region, "latch", 3),
        Err(StructureError::WrongCapacity { expected: 3, found: 2, .. })
    ));
    assert!(matches!(
        Latch::open_or_create_for_parties(region, "latch", 2, 1),
        Err(StructureError::WrongForm { .. })
    ));
    Latch::open_or_create_for_parties(region, "parties", 2, 1).unwrap();

    let mut memory = Memory::zeroed(4096);
    let span = memory.span();
    let options = FormatOptions::new().capability(Capability::LoadStore);
    let region = Region::create(span, &options).unwrap();
    assert_eq!(
        Latch::create(region, "latch", 1).unwrap_err(),
        StructureError::NeedsCas { kind: Kind::LATCH }
    );
    let mut dead = Latch::create_for_parties(region, "latch", 1, 2).unwrap().party(0).unwrap();
    dead.count_down().unwrap();
    std::mem::forget(dead);
    let other = Latch::open(Region::open(span).unwrap(), "latch").unwrap();
    assert_eq!(other.party(0).unwrap_err(), PartyError::Taken);
    let mut heir = other.take_over_party(0).unwrap();
    heir.count_down().unwrap();
    assert!(other.is_done());
}

#[test]
fn a_timeout_is_never_early() {
    const SHORT: Duration = Duration::from_millis(50);
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let latch = Latch::create(region, "latch", 1).unwrap();
    let start = Instant::now();
    assert_eq!(latch.wait_timeout(SHORT), Err(WaitError::Timeout));
    assert!(start.elapsed() >= SHORT);
    latch.arrive_and_wait().unwrap();
    assert_eq!(latch.arrive_and_wait(), Err(CountDownError::BelowZero { left: 0 }.into()));
    assert_eq!(latch.wait_timeout(Duration::ZERO), Ok(()));
}

#[test]
fn all_sleepers_are_woken_once() {
    for parties in [0, 3] {
        for _ in 0..30 {
            let sleeper = Sleeper::deep();
            let mut memory = Memory::zeroed(4096);
            let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
            let latch = match parties {
                0 => Latch::create(region, "latch", 3).unwrap(),
                _ => Latch::create_for_parties(region, "latch", parties, 1).unwrap(),
            };
            thread::scope(|scope| {
                let waiting = [(); 3].map(|()| scope.spawn(move || latch.wait().unwrap()));
                sleeper.until_asleep(3);
                for index in 0..3 {
                    match parties {
                        0 => latch.count_down().unwrap(),
                        _ => latch.party(index).unwrap().count_down().unwrap(),
                    }
                }
                waiting.into_iter().for_each(|thread| thread.join().unwrap());
            });
            if parties == 0 {
                assert_eq!(sleeper.wakes(), [u32::MAX], "only the last one wakes");
            }
        }
    }
}
