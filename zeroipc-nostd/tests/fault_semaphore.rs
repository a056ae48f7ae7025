//! Semaphore: a party stopped, or killed, before every one of its accesses holds up nobody, and permits balance.
#![cfg(all(zeroipc_fault, not(loom)))]

mod buried;
mod memory;
mod sleeper;
mod stepper;

use buried::{bury_at, region};
use sleeper::Sleeper;
use std::thread;
use stepper::Party;
use zeroipc_nostd::Semaphore;

fn semaphore(permits: u32) -> Semaphore<'static> {
    let sleeper: &'static Sleeper = Box::leak(Box::new(Sleeper::new()));
    Semaphore::create(region().with_notifier(sleeper), "permits", permits, 4).unwrap()
}

/// How the number of taken permits changes by it.
#[allow(clippy::type_complexity)] // a table
fn acts() -> [(fn(Semaphore<'static>) -> bool, i64); 4] {
    [
        (|semaphore| semaphore.try_acquire().map(|permit| permit.forget()).is_ok(), -1),
        (|semaphore| semaphore.try_acquire_many(2).map(|permit| permit.forget()).is_ok(), -2),
        (|semaphore| semaphore.release().is_ok(), 1),
        (|semaphore| semaphore.release_many(2).is_ok(), 2),
    ]
}

fn churn(semaphore: Semaphore<'_>) {
    for _ in 0..1000 {
        let permit = semaphore.try_acquire().unwrap();
        assert_eq!(permit.count(), 1);
    }
}

#[test]
fn a_stopped_party_holds_up_nobody() {
    for (act, change) in acts() {
        for step in 0.. {
            let semaphore = semaphore(2);
            let done = thread::scope(|scope| {
                let party = Party::start(scope, step, move || act(semaphore));
                let stopped = party.is_stopped();
                // Whatever it has taken: there is one for the others, if need be a new one.
                let more = u32::from(semaphore.available() == 0);
                semaphore.release_many(more).unwrap();
                churn(semaphore);
                let change = if party.finish() { change } else { 0 };
                let expected = 2 + i64::from(more) + change;
                assert_eq!(i64::from(semaphore.available()), expected);
                !stopped
            });
            if done {
                assert!(step >= 2);
                break;
            }
        }
    }
}

#[test]
fn a_killed_party_has_done_it_or_not() {
    for (act, change) in acts() {
        for step in 0.. {
            let semaphore = semaphore(2);
            let finished = bury_at(step, move || act(semaphore));
            let now = i64::from(semaphore.available()) - 2;
            assert!(now == change || (now == 0 && finished.is_none()), "{now} at {step}");
            // Who knows of the death gives back what it held.
            semaphore.release_many(u32::try_from(-now).unwrap_or(0)).unwrap();
            churn(semaphore);
            if finished.is_some() {
                break;
            }
        }
    }
}

/// A sleeper is woken although the one that woke before it, or was to wake it, is dead.
#[test]
fn a_releaser_killed_before_it_wakes_delays_only() {
    for step in 0.. {
        let semaphore = semaphore(0);
        let waiting = thread::spawn(move || semaphore.acquire().unwrap().forget());
        let finished = bury_at(step, move || semaphore.release().unwrap());
        if semaphore.available() == 0 && !waiting.is_finished() && finished.is_none() {
            // Not released: somebody else does.
            let _ = semaphore.release();
        }
        waiting.join().unwrap();
        if finished.is_some() {
            break;
        }
    }
}
