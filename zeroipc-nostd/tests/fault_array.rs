//! Array: one party stopped, or killed, before every access of an operation: the others go on, and no update is lost,
//! doubled or half-done.
#![cfg(all(zeroipc_fault, not(loom)))]
#![allow(dropping_copy_types)] // says that only the accesses count

mod memory;
mod stepper;

use memory::Memory;
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::{abandon_at, run};
use zeroipc_nostd::{Array, FormatOptions};

const OTHERS: u32 = 1000;

fn with_arrays(test: impl FnOnce(Array<'_, u32>, Array<'_, f64>)) {
    let mut memory = Memory::filled(8192, 0xA5);
    let region = memory.region(FormatOptions::new().max_entries(4));
    let words = Array::<u32>::create(region, "words", 80).unwrap();
    let floats = Array::<f64>::create(region, "floats", 4).unwrap();
    test(words, floats);
}

/// Updates that can be counted afterwards, each on an element of its own.
type Update = fn(Array<'_, u32>, Array<'_, f64>);
const UPDATES: [Update; 6] = [
    |words, _| {
        words.fetch_add(0, 1).unwrap();
    },
    |words, _| {
        words.fetch_sub(1, 1).unwrap();
    },
    |words, _| {
        words.fetch_xor(2, 1).unwrap();
    },
    |words, _| {
        let found = words.load(3).unwrap();
        let _ = words.compare_exchange(3, found, found + 1).unwrap().map(|_| words.fetch_add(4, 1));
    },
    |_, floats| {
        floats.fetch_add(0, 1.0).unwrap();
    },
    |_, floats| {
        floats.fetch_sub(1, 1.0).unwrap();
    },
];

/// How many times each update was done, as its element shows; modulo 2 for the exclusive or.
fn books(words: Array<'_, u32>, floats: Array<'_, f64>) -> [u32; 6] {
    let word = |index| words.load(index).unwrap();
    let float = |index| floats.load(index).unwrap();
    [word(0), word(1).wrapping_neg(), word(2), word(3), float(0) as u32, -float(1) as u32]
}

/// An update is one step for the others wherever its party stops: it is there as a whole or not at all.
#[test]
fn a_stopped_update() {
    for (which, update) in UPDATES.iter().enumerate() {
        for step in 0.. {
            let mut finished = false;
            with_arrays(|words, floats| {
                thread::scope(|scope| {
                    let party = Party::start(scope, step, move || update(words, floats));
                    finished = !party.is_stopped();
                    // Nobody waits for it: each of these returns.
                    (0..OTHERS).for_each(|_| update(words, floats));
                    party.finish();
                    let all = if finished { OTHERS + 1 } else { OTHERS };
                    let shown = books(words, floats)[which];
                    match which {
                        2 => assert_eq!(shown, (OTHERS + 1) % 2),
                        // A compare-and-exchange that was overtaken fails, and says so.
                        3 => {
                            assert_eq!(words.load(4), Ok(shown));
                            assert!(shown == OTHERS + 1 || (shown == all && !finished));
                        }
                        _ => assert_eq!(shown, OTHERS + 1),
                    }
                });
            });
            if finished {
                break;
            }
        }
    }
}

#[test]
fn a_killed_update() {
    for (which, update) in UPDATES.iter().enumerate() {
        for step in 0.. {
            let mut finished = false;
            with_arrays(|words, floats| {
                finished = abandon_at(step, || update(words, floats)).is_ok();
                let before = books(words, floats)[which];
                assert!(before <= 1 && (before == 1 || !finished), "{which} {step}: {before}");
                (0..OTHERS).for_each(|_| update(words, floats));
                let after = books(words, floats)[which];
                assert_eq!(after, if which == 2 { before } else { before + OTHERS });
            });
            if finished {
                break;
            }
        }
    }
}

/// A float's update takes one more turn for each update of others that comes between its load and its store, and no more.
#[test]
fn turns_of_a_float() {
    // A hook owns what it uses, so this memory lives for ever.
    let memory = Box::leak(Box::new(Memory::zeroed(1024)));
    let region = memory.region(FormatOptions::new().max_entries(4));
    let floats = Array::<f64>::create(region, "floats", 4).unwrap();
    let ((), alone) = run(|_| (), || drop(floats.fetch_add(0, 1.0).unwrap()));
    // A load and a compare-and-exchange; where nothing changes, the load.
    assert_eq!(alone, 2);
    let ((), steps) = run(|_| (), || drop(floats.fetch_min(0, 1e9).unwrap()));
    assert_eq!(steps, 1);
    for others in 0..10 {
        let interfere = move |n| {
            // Before each of the first compare-and-exchanges: the load is access 0.
            if (1..=others).contains(&n) {
                floats.fetch_add(0, 1.0).unwrap();
            }
        };
        let before = floats.load(0).unwrap();
        let ((), steps) = run(interfere, || drop(floats.fetch_add(0, 1.0).unwrap()));
        assert_eq!(steps, alone + others);
        assert_eq!(floats.load(0), Ok(before + 1.0 + others as f64));
    }
}

/// Loads, stores and integer updates take the same number of accesses whatever others do: they are wait-free.
#[test]
fn accesses_are_counted() {
    with_arrays(|words, floats| {
        let count = |operation: &dyn Fn()| run(|_| (), operation).1;
        assert_eq!(count(&|| drop(words.load(0).unwrap())), 1);
        assert_eq!(count(&|| words.store(0, 1).unwrap()), 1);
        assert_eq!(count(&|| drop(floats.load(0).unwrap())), 1);
        assert_eq!(count(&|| drop(words.fetch_max(0, 1).unwrap())), 1);
        assert_eq!(count(&|| drop(words.compare_exchange(0, 1, 2).unwrap())), 1);
        assert_eq!(count(&|| drop(floats.swap(0, 2.0).unwrap())), 1);
        // Two elements in an access, where the machine has such an access.
        let bulk = count(&|| words.read_into(1, &mut [0; 33]).unwrap());
        assert!((17..=33).contains(&bulk), "{bulk}");
    });
}

/// A bulk copy that stops anywhere has moved each element wholly or not at all, in order, and holds up nobody.
#[test]
fn a_bulk_copy_that_stops_anywhere() {
    const START: usize = 3;
    for killed in [false, true] {
        for step in 0.. {
            let mut finished = false;
            with_arrays(|words, _| {
                let new: Vec<u32> = (1..=70).map(|n| n << 16 | n).collect();
                thread::scope(|scope| {
                    let values = new.clone();
                    let party = Party::start(scope, step, move || {
                        words.write_from(START, &values).unwrap();
                    });
                    finished = !party.is_stopped();
                    for _ in 0..OTHERS {
                        words.fetch_add(0, 1).unwrap();
                        words.store(79, 7).unwrap();
                    }
                    let mut seen = [0; 70];
                    words.read_into(START, &mut seen).unwrap();
                    let written =
                        seen.iter().zip(&new).take_while(|(seen, new)| seen == new).count();
                    assert!(seen[written..].iter().all(|seen| *seen == 0), "{seen:?}");
                    assert_eq!(written == 70, finished);
                    if killed {
                        party.abandon();
                    } else {
                        party.finish();
                        words.read_into(START, &mut seen).unwrap();
                        assert_eq!(seen.as_slice(), new);
                    }
                    assert_eq!((words.load(0), words.load(79)), (Ok(OTHERS), Ok(7)));
                });
            });
            if finished {
                break;
            }
        }
    }
}
