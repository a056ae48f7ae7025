//! Once: runs once, gives up, is taken over, and what it refuses.
#![cfg(not(loom))]

mod memory;
mod sleeper;

use memory::{geometries, Memory};
use proptest::prelude::*;
use sleeper::Sleeper;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    Capability, FormatOptions, Kind, Liveness, Once, OnceError, PartyId, Region, StructureError,
    WaitError,
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

fn fill(region: Region<'_>) -> Option<u64> {
    let view = region.view();
    view.inspect(&view.find("once").unwrap()).unwrap().fill
}

#[test]
fn it_runs_once() {
    for geometry in geometries() {
        let sleeper = Sleeper::deep();
        let mut memory = Memory::filled(2048, 0xA5).shifted(8);
        let region = memory.region(FormatOptions::new().geometry(geometry)).with_notifier(&sleeper);
        let before = region.view().next_offset();
        let once = Once::create(region, "once").unwrap();
        let taken = region.view().next_offset() - before;
        assert!(taken <= Once::footprint(geometry).unwrap());
        assert_eq!((once.is_completed(), fill(region)), (false, Some(0)));
        let value = AtomicU32::new(0);
        thread::scope(|scope| {
            let calls = [(); 4].map(|()| {
                scope.spawn(|| {
                    let ran = once.call_once(|state| {
                        assert_eq!((state.owner_died(), state.was_abandoned()), (None, false));
                        thread::sleep(Duration::from_millis(1));
                        value.store(value.load(Relaxed) + 1, Relaxed);
                    });
                    assert_eq!(value.load(Relaxed), 1);
                    ran.unwrap()
                })
            });
            let ran = calls.map(|call| call.join().unwrap());
            assert_eq!(ran.into_iter().filter(|ran| *ran).count(), 1);
        });
        assert_eq!((once.is_completed(), fill(region)), (true, Some(1)));
        assert_eq!(Once::open(region, "once").unwrap().try_call_once(|_| panic!()), Ok(false));
    }
}

#[test]
fn who_gives_up_leaves_it_to_the_next() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let once = Once::create(region, "once").unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        once.call_once(|_| std::panic::resume_unwind(Box::new(1)))
    }));
    assert!(panicked.is_err() && !once.is_completed());
    let run = once.try_begin().unwrap().unwrap();
    assert!(run.state().was_abandoned());
    assert_eq!(once.try_call_once(|_| panic!()), Err(OnceError::Running { owner: None }));
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            once.call_once(|state| assert!(state.was_abandoned() && state.owner_died().is_none()))
        });
        sleeper.until_asleep(1);
        drop(run);
        assert_eq!(waiting.join().unwrap(), Ok(true));
    });
    assert!(once.is_completed() && once.try_begin().unwrap().is_none());
}

#[test]
fn a_dead_runner_is_replaced() {
    let (sleeper, graveyard) = (Sleeper::new(), Graveyard::default());
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let opened = |number| Once::open(region.with_party(id(number), &graveyard), "once").unwrap();
    Once::create(region, "once").unwrap();
    let dead = opened(3).try_begin().unwrap().unwrap();
    let once = opened(4);
    let busy = OnceError::Running { owner: Some(id(3)) };
    assert_eq!(once.try_begin().unwrap_err(), busy);
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            once.call_once(|state| {
                assert_eq!((state.owner_died(), state.was_abandoned()), (Some(id(3)), false));
            })
        });
        sleeper.until_asleep(1);
        graveyard.0.store(1 << 3, SeqCst);
        assert_eq!(waiting.join().unwrap(), Ok(true));
    });
    // It was not dead after all: its run does not count.
    assert!(!dead.complete());
    assert!(once.is_completed());
}

#[test]
fn distinct_errors() {
    const SHORT: Duration = Duration::from_millis(50);
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let once = Once::open_or_create(region, "once").unwrap();
    assert_eq!(once.call_once(|_| panic!()), Err(WaitError::NoWaiter));
    let _run = once.try_begin().unwrap().unwrap();
    let once = Once::open_or_create(region.with_notifier(&sleeper), "once").unwrap();
    let start = Instant::now();
    assert_eq!(once.call_once_timeout(SHORT, |_| panic!()), Err(WaitError::Timeout));
    assert!(start.elapsed() >= SHORT, "never early");
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    assert_eq!(
        Once::create(region, "once").unwrap_err(),
        StructureError::NeedsCas { kind: Kind::ONCE }
    );
}

/// What a party does, one after another.
#[derive(Debug, Clone)]
enum Step {
    Begin(usize),
    Complete(usize),
    GiveUp(usize),
    Die(usize),
    Call(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let party = || 0..PARTIES;
    prop_oneof![
        6 => party().prop_map(Step::Begin),
        1 => party().prop_map(Step::Complete),
        3 => party().prop_map(Step::GiveUp),
        2 => party().prop_map(Step::Die),
        1 => party().prop_map(Step::Call),
    ]
}

const PARTIES: usize = 3;

/// Pending, with what is known of the run before; running by a party; done.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Model {
    Pending { abandoned: bool },
    Running(usize),
    Done,
}

fn agrees(geometry: zeroipc_nostd::Geometry, steps: &[Step]) {
    let graveyard = Graveyard::default();
    let mut memory = Memory::filled(4096, 0xA5);
    let region = memory.region(FormatOptions::new().max_entries(2).geometry(geometry));
    Once::create(region, "once").unwrap();
    let number = |party: usize| party as u32 + 1;
    let opened = |party: usize| {
        Once::open(region.with_party(id(number(party)), &graveyard), "once").unwrap()
    };
    let mut runs = [(); PARTIES].map(|()| None);
    let mut model = Model::Pending { abandoned: false };
    for step in steps {
        let is_dead = |party: usize| graveyard.0.load(SeqCst) >> number(party) & 1 != 0;
        match *step {
            Step::Begin(party) | Step::Call(party) => {
                // The dead do nothing, and who runs it does not begin again.
                if is_dead(party) || model == Model::Running(party) {
                    continue;
                }
                let begun = opened(party).try_begin();
                match model {
                    Model::Done => assert!(begun.unwrap().is_none()),
                    Model::Running(owner) if !is_dead(owner) => {
                        let owner = Some(id(number(owner)));
                        assert_eq!(begun.unwrap_err(), OnceError::Running { owner });
                    }
                    Model::Pending { .. } | Model::Running(_) => {
                        let run = begun.unwrap().unwrap();
                        let (died, abandoned) = match model {
                            Model::Running(owner) => (Some(id(number(owner))), false),
                            Model::Pending { abandoned } => (None, abandoned),
                            Model::Done => unreachable!(),
                        };
                        assert_eq!(run.state().owner_died(), died);
                        assert_eq!(run.state().was_abandoned(), abandoned);
                        if matches!(step, Step::Call(_)) {
                            assert!(run.complete());
                            model = Model::Done;
                        } else {
                            runs[party] = Some(run);
                            model = Model::Running(party);
                        }
                    }
                }
            }
            Step::Complete(party) => {
                if let Some(run) = runs[party].take().filter(|_| !is_dead(party)) {
                    assert!(run.complete());
                    model = Model::Done;
                }
            }
            Step::GiveUp(party) => {
                if runs[party].take().filter(|_| !is_dead(party)).is_some() {
                    model = Model::Pending { abandoned: true };
                }
            }
            Step::Die(party) => {
                // Its guard is never dropped; one party stays alive.
                if party > 0 {
                    graveyard.0.fetch_or(1 << number(party), SeqCst);
                    std::mem::forget(runs[party].take());
                }
            }
        }
        assert_eq!(opened(0).is_completed(), model == Model::Done);
        assert_eq!(fill(region), Some(u64::from(model == Model::Done)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_once_is_pending_running_or_done(
        geometry in prop::sample::select(geometries()),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        agrees(geometry, &steps);
    }
}
