//! Future: a party stopped or dead at every step of every operation, and what the others get.
#![cfg(all(zeroipc_fault, not(loom)))]

mod buried;
mod memory;
mod sleeper;
mod stepper;

use buried::{bury_at, id, region, Graveyard};
use sleeper::Sleeper;
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{Future, FutureError, PromiseError};

type Block = [u32; 4];

/// The same future as seen by parties 1 to 3.
fn futures(graveyard: &'static Graveyard) -> [Future<'static, Block>; 3] {
    let sleeper: &'static Sleeper = Box::leak(Box::new(Sleeper::new()));
    let region = region().with_notifier(sleeper);
    [1, 2, 3].map(|number| {
        Future::open_or_create(region.with_party(id(number), graveyard), "future").unwrap()
    })
}

/// Killed anywhere between the promise and the end of setting: waiters get the value or learn of the death, and the slot is
/// good for another use.
#[test]
fn a_setter_that_dies_at_every_step() {
    let (mut broken, mut set, mut pending) = (0, 0, 0);
    for step in 0.. {
        let graveyard = Graveyard::new();
        let [dead, one, two] = futures(graveyard);
        let finished = bury_at(step, move || dead.promise().unwrap().set([7; 4]).unwrap());
        let before = one.state();
        graveyard.bury(id(1));
        if finished.is_none() && matches!(before, Ok(zeroipc_nostd::FutureState::Pending)) {
            // It had not promised yet: another may.
            pending += 1;
            one.promise().unwrap().set([8; 4]).unwrap();
            assert_eq!(two.get(), Ok([8; 4]));
        } else {
            let waiters = [one, two].map(|future| thread::spawn(move || future.get()));
            let found = waiters.map(|waiter| waiter.join().unwrap());
            assert_eq!(found[0], found[1]);
            match found[0] {
                Ok(value) => {
                    assert_eq!(value, [7; 4]);
                    set += 1;
                }
                Err(error) => {
                    assert_eq!((error, finished), (FutureError::Broken, None));
                    broken += 1;
                }
            }
        }
        let next = two.reset().unwrap();
        next.promise().unwrap().set([9; 4]).unwrap();
        assert_eq!(one.at_generation(1).get(), Ok([9; 4]));
        if finished.is_some() {
            break;
        }
    }
    assert!(pending >= 2 && broken >= 3 && set >= 2, "{pending} {broken} {set}");
}

/// Stopped, not dead: the others read, reset and are refused the role, 1000 times, and then it goes on.
#[test]
fn a_stopped_setter_holds_up_nobody_who_reads() {
    for step in 0.. {
        let [slow, one, two] = futures(Graveyard::new());
        let done = thread::scope(|scope| {
            let party = Party::start(scope, step, move || {
                slow.promise().and_then(|promise| promise.set([7; 4]))
            });
            let stopped = party.is_stopped();
            for _ in 0..1000 {
                let found = two.try_get();
                assert!(matches!(found, Ok([7, 7, 7, 7]) | Err(FutureError::Pending)), "{found:?}");
                assert!(!two.break_if_dead(), "it is not dead");
            }
            let mut last = one;
            for _ in 0..1000 {
                last = last.reset().unwrap();
                assert_eq!(last.try_get(), Err(FutureError::Pending));
                assert_eq!(two.try_get(), Err(FutureError::Superseded));
            }
            let mine = last.promise();
            let result = party.finish();
            assert!(matches!(
                result,
                Ok(()) | Err(PromiseError::Superseded | PromiseError::RoleTaken { .. })
            ));
            match mine {
                Ok(promise) => promise.set([8; 4]).unwrap(),
                Err(error) => {
                    assert!(matches!(error, PromiseError::RoleTaken { .. }));
                    last.promise().unwrap().set([8; 4]).unwrap();
                }
            }
            assert_eq!(last.try_get(), Ok([8; 4]));
            !stopped
        });
        if done {
            break;
        }
    }
}

/// A reader stopped anywhere inside while the slot is used 1000 times: it gets its own answer or is told that it is over.
#[test]
fn a_stopped_reader_never_gets_another_answer() {
    for fails in [false, true] {
        for step in 0.. {
            let [reader, one, _] = futures(Graveyard::new());
            one.promise().unwrap().set([0; 4]).unwrap();
            let done = thread::scope(|scope| {
                let party = Party::start(scope, step, move || reader.try_get());
                let stopped = party.is_stopped();
                let mut last = one;
                for number in 1..=1000 {
                    last = last.reset().unwrap();
                    let promise = last.promise().unwrap();
                    if fails {
                        promise.fail("no").unwrap();
                    } else {
                        promise.set([number; 4]).unwrap();
                    }
                }
                let found = party.finish();
                assert!(matches!(found, Ok([0, 0, 0, 0]) | Err(FutureError::Superseded)));
                !stopped
            });
            if done {
                break;
            }
        }
    }
}

/// A waiter that is killed at any step of finding a promise broken, or a party that is killed while it resets.
#[test]
fn who_dies_while_breaking_or_resetting() {
    for resets in [false, true] {
        for step in 0.. {
            let graveyard = Graveyard::new();
            let [dead, one, two] = futures(graveyard);
            std::mem::forget(dead.promise().unwrap());
            graveyard.bury(id(1));
            let killed = abandon_at(step, || {
                if resets {
                    let _ = one.reset().map(|next| drop(next.promise()));
                } else {
                    assert!(one.break_if_dead());
                }
            });
            graveyard.bury(id(2));
            let found = two.latest().get_timeout(std::time::Duration::from_millis(1));
            let possible = [FutureError::Broken, FutureError::Timeout];
            assert!(found.is_err_and(|error| possible.contains(&error)));
            let next = two.latest().reset().unwrap();
            next.promise().unwrap().set([9; 4]).unwrap();
            assert_eq!(next.try_get(), Ok([9; 4]));
            if killed.is_ok() {
                break;
            }
        }
    }
}
