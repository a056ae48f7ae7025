//! Event: a party stopped, or killed, before every one of its accesses holds up nobody, and no set is doubled.
#![cfg(all(zeroipc_fault, not(loom)))]

mod buried;
mod memory;
mod sleeper;
mod stepper;

use buried::{bury_at, region};
use sleeper::Sleeper;
use std::thread;
use stepper::Party;
use zeroipc_nostd::{Event, EventMode};

fn event(mode: EventMode) -> Event<'static> {
    let sleeper: &'static Sleeper = Box::leak(Box::new(Sleeper::new()));
    Event::create(region().with_notifier(sleeper), "event", mode).unwrap()
}

const ACTS: [fn(Event<'static>) -> bool; 3] = [
    |event| {
        event.set();
        false
    },
    |event| event.reset(),
    |event| event.try_wait(),
];

#[test]
fn a_stopped_party_holds_up_nobody() {
    for set in [false, true] {
        for act in ACTS {
            for step in 0.. {
                let event = event(EventMode::Automatic);
                if set {
                    event.set();
                }
                let done = thread::scope(|scope| {
                    let party = Party::start(scope, step, move || act(event));
                    let stopped = party.is_stopped();
                    for _ in 0..1000 {
                        event.set();
                        assert!(event.is_set() && event.try_wait() && !event.try_wait());
                    }
                    event.set();
                    // One set is there. Either it takes that one, or we do, unless it took one before.
                    let took = party.finish();
                    assert!(event.try_wait() || took);
                    assert!(!event.try_wait(), "a set came twice");
                    !stopped
                });
                if done {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_killed_party_has_done_it_or_not() {
    for mode in [EventMode::Manual, EventMode::Automatic] {
        for act in ACTS {
            for step in 0.. {
                let event = event(mode);
                event.set();
                let finished = bury_at(step, move || act(event));
                for _ in 0..1000 {
                    event.set();
                    assert!(event.try_wait());
                    event.reset();
                    assert!(!event.try_wait());
                }
                if finished.is_some() {
                    break;
                }
            }
        }
    }
}

/// Those that sleep find out although the one that set it died before it woke them.
#[test]
fn a_setter_killed_before_it_wakes_delays_only() {
    for mode in [EventMode::Manual, EventMode::Automatic] {
        for step in 0.. {
            let event = event(mode);
            let waiting = thread::spawn(move || event.wait().unwrap());
            let finished = bury_at(step, move || event.set());
            if step == 0 {
                event.set();
            }
            waiting.join().unwrap();
            if finished.is_some() {
                break;
            }
        }
    }
}
