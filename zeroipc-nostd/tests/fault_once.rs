//! Once: the death of whoever runs it, at every step, is noticed, and another runs it; it is done once.
#![cfg(all(zeroipc_fault, not(loom)))]
#![allow(dropping_copy_types)] // says that only the accesses count

mod buried;
mod memory;
mod sleeper;
mod stepper;

use buried::{bury_at, id, region, Graveyard};
use sleeper::Sleeper;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use stepper::Party;
use zeroipc_nostd::{Once, OnceError};

/// The same once as seen by parties 1 to 3.
fn onces(graveyard: &'static Graveyard) -> [Once<'static>; 3] {
    let sleeper: &'static Sleeper = Box::leak(Box::new(Sleeper::new()));
    let region = region().with_notifier(sleeper);
    [1, 2, 3].map(|number| {
        Once::open_or_create(region.with_party(id(number), graveyard), "once").unwrap()
    })
}

#[test]
fn a_dead_runner_is_replaced_at_every_step() {
    let mut replaced = 0;
    for step in 0.. {
        let graveyard = Graveyard::new();
        let [dead, one, two] = onces(graveyard);
        let begun: &'static AtomicU32 = Box::leak(Box::default());
        let finished = bury_at(step, move || {
            dead.call_once(|_| {
                begun.store(1, SeqCst);
                // A place to die in the middle of it.
                let _ = dead.is_completed();
            })
        });
        let before = dead.is_completed();
        graveyard.bury(id(1));
        let calls = [one, two].map(|once| {
            thread::spawn(move || {
                let mut died = None;
                let ran = once.call_once(|state| died = state.owner_died()).unwrap();
                (ran, died)
            })
        });
        let calls = calls.map(|call| call.join().unwrap());
        let ran = calls.iter().filter(|(ran, _)| *ran).count();
        assert_eq!(ran, usize::from(!before), "it is done once");
        let told = calls.iter().any(|(_, died)| *died == Some(id(1)));
        assert!(told || begun.load(SeqCst) == 0 || before, "the heir was not told");
        replaced += u32::from(told);
        assert!(one.is_completed());
        if finished.is_some() {
            break;
        }
    }
    assert!(replaced >= 2, "only {replaced} died in the middle");
}

/// Believed dead while it was only stopped: its late end changes nothing.
#[test]
fn a_stopped_runner_that_was_replaced_goes_on() {
    for step in 0.. {
        let graveyard = Graveyard::new();
        let [slow, one, two] = onces(graveyard);
        let done = thread::scope(|scope| {
            let party = Party::start(scope, step, move || slow.call_once(|_| ()).unwrap());
            let stopped = party.is_stopped();
            graveyard.bury(id(1));
            one.try_call_once(|_| ()).unwrap();
            for _ in 0..1000 {
                assert!(two.is_completed());
                assert_eq!(two.try_call_once(|_| panic!("a second time")), Ok(false));
            }
            party.finish();
            assert!(two.is_completed());
            !stopped
        });
        if done {
            break;
        }
    }
}

/// While it runs the others are told so, and can go on with something else.
#[test]
fn a_stopped_runner_is_not_replaced_while_it_lives() {
    let [slow, one, _] = onces(Graveyard::new());
    thread::scope(|scope| {
        // Step 2 is in the closure: the state was loaded and exchanged.
        let party =
            Party::start(scope, 2, move || slow.call_once(|_| drop(slow.is_completed())).unwrap());
        assert!(party.is_stopped());
        for _ in 0..1000 {
            let busy = OnceError::Running { owner: Some(id(1)) };
            assert_eq!(one.try_call_once(|_| panic!("not yet")), Err(busy));
        }
        assert!(party.finish());
    });
    assert!(one.is_completed());
}
