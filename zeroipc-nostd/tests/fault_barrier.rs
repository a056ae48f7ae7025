//! Barrier: whoever arrived and stopped holds up nobody, and whoever died is noticed and replaced, at every step.
#![cfg(all(zeroipc_fault, not(loom)))]

mod buried;
mod memory;
mod sleeper;
mod stepper;

use buried::{bury_at, id, region, Graveyard};
use sleeper::Sleeper;
use std::thread;
use stepper::Party;
use zeroipc_nostd::{Barrier, BarrierError, Participant};

/// The same barrier for two as seen by parties 1 to 4.
fn barriers(graveyard: &'static Graveyard) -> [Barrier<'static>; 4] {
    let sleeper: &'static Sleeper = Box::leak(Box::new(Sleeper::new()));
    let region = region().with_notifier(sleeper);
    [1, 2, 3, 4].map(|number| {
        Barrier::open_or_create(region.with_party(id(number), graveyard), "barrier", 2).unwrap()
    })
}

/// Two that meet often.
fn meet<'a>(one: &mut Participant<'a>, two: &mut Participant<'a>) {
    thread::scope(|scope| {
        let waits = [one, two].map(|participant| {
            scope.spawn(move || {
                (0..50).map(|_| u32::from(participant.wait().unwrap().is_leader())).sum::<u32>()
            })
        });
        let leaders: u32 = waits.into_iter().map(|wait| wait.join().unwrap()).sum();
        assert_eq!(leaders, 50);
    });
}

#[test]
fn the_dead_are_noticed_at_every_step() {
    let mut noticed = 0;
    // Beyond that it only looks for the other again and again, or has met it twice.
    for step in 0..30 {
        let graveyard = Graveyard::new();
        let [one, dead, heir, _] = barriers(graveyard);
        let mut one = one.join().unwrap();
        let mut participant = dead.join().unwrap();
        let waiting = thread::spawn(move || {
            let mut results = Vec::new();
            loop {
                let result = one.wait();
                results.push(result);
                if result.is_err() || results.len() == 2 {
                    return (one, results);
                }
            }
        });
        let finished = bury_at(step, move || {
            let results = [participant.wait(), participant.wait()];
            std::mem::forget(participant);
            results
        });
        graveyard.bury(id(2));
        let (mut one, results) = waiting.join().unwrap();
        if results.last() == Some(&Err(BarrierError::PeerDied(id(2)))) {
            noticed += 1;
        } else {
            assert!(results.iter().all(Result::is_ok), "{results:?}");
        }
        meet(&mut one, &mut heir.join().unwrap());
        if finished.is_some() {
            break;
        }
    }
    assert!(noticed >= 3, "only {noticed} of the dead were missed");
}

/// While it takes a place, or leaves one.
#[test]
fn killed_while_joining_or_leaving() {
    for step in 0.. {
        let graveyard = Graveyard::new();
        let [one, dead, heir, late] = barriers(graveyard);
        let mut one = one.join().unwrap();
        let mut second = late.join().unwrap();
        std::mem::forget(late.join());
        graveyard.bury(id(4));
        // It takes the place of a dead one, and leaves it.
        let finished = bury_at(step, move || drop(dead.join().unwrap()));
        graveyard.bury(id(2));
        let _ = &mut second;
        std::mem::forget(second);
        meet(&mut one, &mut heir.join().unwrap());
        if finished.is_some() {
            assert!(step >= 4);
            break;
        }
    }
}

/// Stopped anywhere in its wait, and then going on: each generation has both of its participants, and one leader.
#[test]
fn a_stopped_party_is_waited_for_and_goes_on() {
    for step in 0.. {
        let [one, two, ..] = barriers(Graveyard::new());
        let (mut one, mut two) = (one.join().unwrap(), two.join().unwrap());
        let done = thread::scope(|scope| {
            let party = Party::start(scope, step, || {
                [one.wait(), one.wait()].map(|result| u32::from(result.unwrap().is_leader()))
            });
            let stopped = party.is_stopped();
            let other = scope.spawn(|| {
                [two.wait(), two.wait()].map(|result| u32::from(result.unwrap().is_leader()))
            });
            let (one, two) = (party.finish(), other.join().unwrap());
            assert_eq!([one[0] + two[0], one[1] + two[1]], [1, 1]);
            !stopped
        });
        meet(&mut one, &mut two);
        if done || step > 40 {
            break;
        }
    }
}
