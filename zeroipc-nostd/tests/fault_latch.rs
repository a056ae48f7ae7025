//! Latch: a party stopped, or killed, before every one of its accesses holds up nobody's counting, and counts once or not.
#![cfg(all(zeroipc_fault, not(loom)))]

mod buried;
mod memory;
mod sleeper;
mod stepper;

use buried::{bury_at, region};
use sleeper::Sleeper;
use std::thread;
use stepper::Party;
use zeroipc_nostd::Latch;

fn latch(parties: u32, count: u32) -> Latch<'static> {
    let sleeper: &'static Sleeper = Box::leak(Box::new(Sleeper::new()));
    let region = region().with_notifier(sleeper);
    match parties {
        0 => Latch::create(region, "latch", count),
        _ => Latch::create_for_parties(region, "latch", parties, count),
    }
    .unwrap()
}

#[test]
fn a_stopped_party_holds_up_nobody() {
    for count in [1, 3] {
        for step in 0.. {
            let latch = latch(0, 1000 + count);
            let done = thread::scope(|scope| {
                let party = Party::start(scope, step, move || latch.count_down_by(count));
                let stopped = party.is_stopped();
                (0..1000).for_each(|_| latch.count_down().unwrap());
                party.finish().unwrap();
                !stopped
            });
            assert!(latch.is_done());
            latch.wait().unwrap();
            if done {
                break;
            }
        }
    }
}

#[test]
fn a_killed_party_has_counted_or_not() {
    for step in 0.. {
        let latch = latch(0, 2);
        let waiting = thread::spawn(move || latch.wait().unwrap());
        let finished = bury_at(step, move || latch.count_down_by(2).unwrap());
        let left = latch.remaining();
        assert!(left == 0 || (left == 2 && finished.is_none()));
        latch.count_down_by(left).unwrap();
        waiting.join().unwrap();
        if finished.is_some() {
            break;
        }
    }
}

/// By loads and stores: another takes the counter over and counts what is left.
#[test]
fn a_killed_holder_of_a_counter_is_replaced() {
    for step in 0.. {
        let latch = latch(2, 2);
        let waiting = thread::spawn(move || latch.wait().unwrap());
        let finished = bury_at(step, move || {
            let mut party = latch.party(0).unwrap();
            party.count_down().unwrap();
            party.count_down().unwrap();
        });
        let mut heir = latch.take_over_party(0).unwrap();
        assert!(finished.is_none() || heir.remaining() == 0);
        heir.count_down_by(heir.remaining()).unwrap();
        assert!(!latch.is_done());
        latch.party(1).unwrap().count_down_by(2).unwrap();
        waiting.join().unwrap();
        if finished.is_some() {
            assert!(step >= 5);
            break;
        }
    }
}
