//! Event against a flag, its waits, and what it refuses.
#![cfg(not(loom))]

mod memory;
mod sleeper;

use memory::{geometries, Memory};
use proptest::prelude::*;
use sleeper::Sleeper;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    Capability, Event, EventMode, FormatOptions, Geometry, Kind, Region, StructureError, WaitError,
};

const MODES: [EventMode; 2] = [EventMode::Manual, EventMode::Automatic];

#[derive(Debug, Clone)]
enum Step {
    Set,
    Reset,
    TryWait,
    Wait,
    Reopen,
}

fn agrees(geometry: Geometry, mode: EventMode, steps: &[Step]) {
    let sleeper = Sleeper::new();
    let mut memory = Memory::filled(2048, 0xA5).shifted(8);
    let span = memory.span();
    let region = Region::create(span, &FormatOptions::new().geometry(geometry)).unwrap();
    let before = region.view().next_offset();
    let mut event = Event::create(region, "event", mode).unwrap();
    let taken = region.view().next_offset() - before;
    assert!(taken <= Event::footprint(geometry).unwrap());
    let mut model = false;
    for step in steps {
        match *step {
            Step::Set => {
                event.set();
                model = true;
            }
            Step::Reset => {
                assert_eq!(event.reset(), model);
                model = false;
            }
            Step::TryWait | Step::Wait => {
                let waited = match step {
                    Step::TryWait => event.try_wait(),
                    _ => event.wait_with(&sleeper, Some(0)) == Ok(()),
                };
                assert_eq!(waited, model);
                model &= mode == EventMode::Manual;
            }
            Step::Reopen => {
                event = Event::open(Region::open(span).unwrap(), "event").unwrap();
            }
        }
        assert_eq!((event.is_set(), event.mode()), (model, mode));
        let view = region.view();
        let info = view.inspect(&view.find("event").unwrap()).unwrap();
        assert_eq!(info.fill, Some(u64::from(model)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_event_is_a_flag(
        geometry in prop::sample::select(geometries()),
        mode in prop::sample::select(MODES.to_vec()),
        steps in prop::collection::vec(prop::sample::select(vec![
            Step::Set, Step::Set, Step::Reset, Step::TryWait, Step::Wait, Step::Reopen,
        ]), 0..60),
    ) {
        agrees(geometry, mode, &steps);
    }
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let event = Event::create(region, "event", EventMode::Manual).unwrap();
    assert_eq!(event.wait(), Err(WaitError::NoWaiter));
    assert_eq!(event.wait_timeout(Duration::ZERO), Err(WaitError::NoWaiter));
    assert!(matches!(
        Event::open_or_create(region, "event", EventMode::Automatic),
        Err(StructureError::WrongForm { .. })
    ));
    assert_eq!(
        Event::open_or_create(region, "event", EventMode::Manual).unwrap().mode(),
        EventMode::Manual
    );
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    assert_eq!(
        Event::create(region, "event", EventMode::Manual).unwrap_err(),
        StructureError::NeedsCas { kind: Kind::EVENT }
    );
}

#[test]
fn a_timeout_is_never_early() {
    const SHORT: Duration = Duration::from_millis(50);
    let sleeper = Sleeper::new();
    for mode in MODES {
        let mut memory = Memory::zeroed(4096);
        let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
        let event = Event::create(region, "event", mode).unwrap();
        let start = Instant::now();
        assert_eq!(event.wait_timeout(SHORT), Err(WaitError::Timeout));
        assert!(start.elapsed() >= SHORT);
    }
}

/// Also when the reset comes before any of them has run.
#[test]
fn a_manual_set_releases_all_that_were_waiting() {
    for _ in 0..50 {
        let sleeper = Sleeper::deep();
        let mut memory = Memory::zeroed(4096);
        let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
        let event = Event::create(region, "event", EventMode::Manual).unwrap();
        thread::scope(|scope| {
            let waiting = [(); 3].map(|()| scope.spawn(move || event.wait().unwrap()));
            sleeper.until_asleep(3);
            event.set();
            assert!(event.reset());
            waiting.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(sleeper.wakes().first(), Some(&u32::MAX));
    }
}

#[test]
fn an_automatic_set_releases_one() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let event = Event::create(region, "event", EventMode::Automatic).unwrap();
    event.set();
    assert!(event.try_wait());
    assert_eq!(sleeper.wakes(), [], "nobody sleeps");
    thread::scope(|scope| {
        let waiting = [(); 3].map(|()| scope.spawn(move || event.wait().unwrap()));
        for left in (0..3).rev() {
            sleeper.until_asleep(left + 1);
            event.set();
            while waiting.iter().filter(|thread| thread.is_finished()).count() as u32 != 3 - left {
                thread::yield_now();
            }
            assert_eq!((sleeper.wakes(), event.is_set()), (vec![1], false));
        }
    });
}
