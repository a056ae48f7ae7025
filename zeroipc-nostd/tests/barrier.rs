//! Barrier: generations, places, timeouts, the dead, and what it refuses.
#![cfg(not(loom))]

mod memory;
mod sleeper;

use memory::{geometries, Memory};
use proptest::prelude::*;
use sleeper::Sleeper;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    Barrier, BarrierError, Capability, FormatOptions, Kind, Liveness, NoPlace, PartyId,
    StructureError,
};

/// Those are dead whose bit is set.
#[derive(Debug, Default)]
struct Graveyard(AtomicU32);

impl Liveness for Graveyard {
    fn is_dead(&self, party: PartyId) -> bool {
        self.0.load(SeqCst) >> party.number() & 1 != 0
    }
}

fn id(number: u32) -> PartyId {
    PartyId::new(number).unwrap()
}

/// More than 256 generations, so that their numbers come again; by lasting places and by places for one generation.
#[test]
fn nobody_is_a_generation_ahead() {
    const GENERATIONS: u32 = 700;
    for (number, geometry) in geometries().into_iter().enumerate() {
        let sleeper = Sleeper::deep();
        let mut memory = Memory::filled(4096, 0xA5).shifted(8);
        let region = memory.region(FormatOptions::new().geometry(geometry)).with_notifier(&sleeper);
        let before = region.view().next_offset();
        let count = [1, 2, 3, 4][number % 4];
        let barrier = Barrier::create(region, "barrier", count).unwrap();
        let taken = region.view().next_offset() - before;
        assert!(taken <= Barrier::footprint(geometry, count).unwrap());
        let (arrived, leaders) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..count {
                let (arrived, leaders) = (&arrived, &leaders);
                scope.spawn(move || {
                    let mut participant = (number < 5).then(|| barrier.join().unwrap());
                    for generation in 0..GENERATIONS {
                        arrived.fetch_add(1, Relaxed);
                        let result = match participant.as_mut() {
                            Some(participant) => participant.wait(),
                            None => barrier.wait(),
                        };
                        let seen = arrived.load(Relaxed);
                        let expected = count * (generation + 1)..=count * (generation + 2);
                        assert!(expected.contains(&seen), "{seen} not in {expected:?}");
                        leaders.fetch_add(u32::from(result.unwrap().is_leader()), Relaxed);
                    }
                });
            }
        });
        assert_eq!(leaders.load(Relaxed), GENERATIONS);
    }
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    for participants in [0, (1 << 16) + 1] {
        assert!(matches!(
            Barrier::create(region, "barrier", participants),
            Err(StructureError::BadCapacity { min: 1, .. })
        ));
    }
    let barrier = Barrier::create(region, "barrier", 2).unwrap();
    assert_eq!(barrier.wait(), Err(BarrierError::NoWaiter));
    let _places = [barrier.join().unwrap(), barrier.join().unwrap()];
    assert_eq!(barrier.join().unwrap_err(), NoPlace { participants: 2 });
    assert!(matches!(
        Barrier::open_or_create(region, "barrier", 3),
        Err(StructureError::WrongCapacity { expected: 3, found: 2, .. })
    ));
    Barrier::open_or_create(region, "new", 3).unwrap();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    assert_eq!(
        Barrier::create(region, "barrier", 2).unwrap_err(),
        StructureError::NeedsCas { kind: Kind::BARRIER }
    );
}

#[test]
fn a_timeout_is_never_early_and_withdraws() {
    const SHORT: Duration = Duration::from_millis(50);
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let barrier = Barrier::create(region, "barrier", 2).unwrap();
    let arrived = || {
        let view = region.view();
        view.inspect(&view.find("barrier").unwrap()).unwrap().fill
    };
    let start = Instant::now();
    assert_eq!(barrier.wait_timeout(SHORT), Err(BarrierError::Timeout));
    assert!(start.elapsed() >= SHORT);
    assert_eq!(arrived(), Some(0));
    // The one that withdrew is not counted: the next is alone again, and after it two meet.
    let mut one = barrier.join().unwrap();
    assert_eq!(one.wait_timeout(Duration::ZERO), Err(BarrierError::Timeout));
    thread::scope(|scope| {
        let other = scope.spawn(move || barrier.wait().unwrap());
        sleeper.until_asleep(1);
        assert_eq!(arrived(), Some(1));
        assert!(one.wait().unwrap().is_leader());
        assert!(!other.join().unwrap().is_leader());
    });
}

/// Impatient ones against each other: every generation has one leader, and all of its participants or none.
#[test]
fn a_timed_out_arrival_counts_or_does_not() {
    const ROUNDS: u32 = 400;
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let barrier = Barrier::create(region, "barrier", 3).unwrap();
    let (met, leaders) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for number in 0..3 {
            let (met, leaders) = (&met, &leaders);
            scope.spawn(move || {
                let mut participant = barrier.join().unwrap();
                let mut mine = 0;
                while mine < ROUNDS {
                    let timeout = Duration::from_micros(u64::from(number * mine % 50));
                    match participant.wait_timeout(timeout) {
                        Ok(result) => {
                            mine += 1;
                            met.fetch_add(1, Relaxed);
                            leaders.fetch_add(u32::from(result.is_leader()), Relaxed);
                        }
                        Err(error) => assert_eq!(error, BarrierError::Timeout),
                    }
                }
            });
        }
    });
    assert_eq!((met.load(Relaxed), leaders.load(Relaxed)), (3 * ROUNDS, ROUNDS));
}

#[test]
fn the_dead_are_noticed_and_replaced() {
    let (sleeper, graveyard) = (Sleeper::new(), Graveyard::default());
    for arrived in [false, true] {
        graveyard.0.store(0, SeqCst);
        let mut memory = Memory::zeroed(4096);
        let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
        let barrier = Barrier::create(region, "barrier", 3).unwrap();
        let opened =
            |number| Barrier::open(region.with_party(id(number), &graveyard), "barrier").unwrap();
        let mut one = opened(1).join().unwrap();
        let mut two = opened(2).join().unwrap();
        let mut dead = opened(3).join().unwrap();
        assert_eq!(barrier.join().unwrap_err(), NoPlace { participants: 3 });
        if arrived {
            // It dies after it arrived: that generation completes, and the next does not.
            thread::scope(|scope| {
                let waiting = scope.spawn(|| dead.wait().unwrap());
                sleeper.until_asleep(1);
                graveyard.0.store(1 << 3, SeqCst);
                let other = scope.spawn(|| two.wait().unwrap());
                one.wait().unwrap();
                other.join().unwrap();
                waiting.join().unwrap();
            });
        }
        std::mem::forget(dead);
        graveyard.0.store(1 << 3, SeqCst);
        assert_eq!(one.wait(), Err(BarrierError::PeerDied(id(3))));
        assert_eq!(two.wait(), Err(BarrierError::PeerDied(id(3))));
        // Another takes its place.
        let mut four = opened(4).join().unwrap();
        thread::scope(|scope| {
            let waits =
                [&mut one, &mut two, &mut four].map(|one| scope.spawn(move || one.wait().unwrap()));
            let leaders = waits.map(|wait| u32::from(wait.join().unwrap().is_leader()));
            assert_eq!(leaders.iter().sum::<u32>(), 1);
        });
    }
}

/// What one thread can do with a barrier, without ever waiting.
#[derive(Debug, Clone)]
enum Step {
    Join,
    Leave(usize),
    /// Arrives, and withdraws at once unless that completes the generation.
    Arrive(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Join),
        2 => (0_usize..8).prop_map(Step::Leave),
        4 => (0_usize..8).prop_map(Step::Arrive),
    ]
}

fn agrees(geometry: zeroipc_nostd::Geometry, participants: u32, steps: &[Step]) {
    let sleeper = Sleeper::new();
    let mut memory = Memory::filled(16384, 0xA5);
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = memory.region(options).with_notifier(&sleeper);
    let barrier = Barrier::create(region, "barrier", participants).unwrap();
    let mut joined = Vec::new();
    for step in steps {
        match *step {
            Step::Join => match barrier.join() {
                Ok(participant) => joined.push(participant),
                Err(NoPlace { .. }) => assert_eq!(joined.len(), participants as usize),
            },
            Step::Leave(which) => {
                if which < joined.len() {
                    joined.swap_remove(which);
                }
            }
            Step::Arrive(which) => {
                if let Some(participant) = joined.get_mut(which) {
                    let result = participant.wait_timeout(Duration::ZERO);
                    // Alone it is the last to arrive; otherwise the others never come.
                    match result {
                        Ok(result) => assert!(participants == 1 && result.is_leader()),
                        Err(error) => {
                            assert!(participants > 1 && error == BarrierError::Timeout);
                        }
                    }
                }
            }
        }
        assert!(joined.len() <= participants as usize);
        let entry = region.view().find("barrier").unwrap();
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(0), "who withdrew counts");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn places_are_as_many_as_participants_and_withdrawals_leave_nothing(
        geometry in prop::sample::select(geometries()),
        participants in 1_u32..6,
        steps in prop::collection::vec(step(), 0..30),
    ) {
        agrees(geometry, participants, &steps);
    }
}
