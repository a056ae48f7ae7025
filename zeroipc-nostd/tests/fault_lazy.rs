//! Lazy: a party stopped or dead at every step; it is evaluated once by the living, and no stopped reader sees what is over.
#![cfg(all(zeroipc_fault, not(loom)))]

mod buried;
mod memory;
mod sleeper;
mod stepper;

use buried::{bury_at, id, region, Graveyard};
use sleeper::Sleeper;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{Lazy, LazyError};

type Block = [u32; 4];

/// The same lazy value as seen by parties 1 to 3.
fn lazies(graveyard: &'static Graveyard) -> [Lazy<'static, Block>; 3] {
    let sleeper: &'static Sleeper = Box::leak(Box::new(Sleeper::new()));
    let region = region().with_notifier(sleeper);
    [1, 2, 3].map(|number| {
        Lazy::open_or_create(region.with_party(id(number), graveyard), "lazy").unwrap()
    })
}

#[test]
fn a_dead_evaluator_is_replaced_at_every_step() {
    let (mut replaced, mut kept) = (0, 0);
    for step in 0.. {
        let graveyard = Graveyard::new();
        let [dead, one, two] = lazies(graveyard);
        let finished = bury_at(step, move || {
            dead.get_or_init(|| {
                // A place to die in the middle of it.
                let _ = dead.peek();
                [1; 4]
            })
        });
        let before = one.peek();
        graveyard.bury(id(1));
        let calls = [(one, 2), (two, 3)]
            .map(|(lazy, value)| thread::spawn(move || lazy.get_or_init(|| [value; 4]).unwrap()));
        let values = calls.map(|call| call.join().unwrap());
        assert_eq!(values[0], values[1], "it is evaluated once");
        match before {
            Some(value) => assert_eq!(value, values[0]),
            None => assert_ne!(values[0], [1; 4]),
        }
        replaced += u32::from(before.is_none());
        kept += u32::from(before.is_some());
        // It is good for another evaluation, whoever owned it last.
        two.invalidate();
        assert_eq!(one.get_or_init(|| [8; 4]), Ok([8; 4]));
        if finished.is_some() {
            break;
        }
    }
    assert!(replaced >= 4 && kept >= 2, "{replaced} {kept}");
}

/// While it lives nobody takes its place, however long it is stopped; those that need not wait go on.
#[test]
fn a_stopped_evaluator_is_not_replaced_while_it_lives() {
    for step in 0.. {
        let [slow, one, two] = lazies(Graveyard::new());
        let begun = AtomicBool::new(false);
        let done = thread::scope(|scope| {
            let begun = &begun;
            let party = Party::start(scope, step, move || {
                slow.get_or_init(|| {
                    begun.store(true, SeqCst);
                    [1; 4]
                })
            });
            let (stopped, begun_before) = (party.is_stopped(), begun.load(SeqCst));
            let mut mine = None;
            for _ in 0..1000 {
                one.invalidate();
                match one.try_get_or_init(|| Ok::<_, String>([2; 4])) {
                    Ok(value) => mine = Some(value),
                    Err(error) => {
                        assert_eq!(error, LazyError::Running { owner: Some(id(1)) });
                        assert!(mine.is_none(), "it owned it and lost it");
                    }
                }
                assert_eq!(two.peek(), mine);
            }
            let theirs = party.finish().unwrap();
            assert!(theirs == [1; 4] || Some(theirs) == mine);
            let last = two.get_or_init(|| [3; 4]).unwrap();
            let expected = mine.unwrap_or(if begun_before { [3; 4] } else { [1; 4] });
            assert_eq!(last, expected, "what is over was kept");
            !stopped
        });
        if done {
            break;
        }
    }
}

#[test]
fn a_stopped_reader_sees_one_value_or_none() {
    for step in 0.. {
        let [reader, one, _] = lazies(Graveyard::new());
        one.get_or_init(|| [0; 4]).unwrap();
        let done = thread::scope(|scope| {
            let party = Party::start(scope, step, move || reader.peek());
            let stopped = party.is_stopped();
            for number in 1..=1000 {
                one.invalidate();
                assert_eq!(one.get_or_init(|| [number; 4]), Ok([number; 4]));
            }
            let found = party.finish();
            assert!(found.map_or(true, |value| value == [value[0]; 4]), "{found:?}");
            !stopped
        });
        if done {
            break;
        }
    }
}

#[test]
fn who_dies_while_invalidating() {
    for step in 0.. {
        let [dead, one, _] = lazies(Graveyard::new());
        one.get_or_init(|| [1; 4]).unwrap();
        let killed = abandon_at(step, || dead.invalidate());
        let value = one.get_or_init(|| [2; 4]).unwrap();
        assert!(killed.is_err() || value == [2; 4]);
        if killed.is_ok() {
            break;
        }
    }
}
