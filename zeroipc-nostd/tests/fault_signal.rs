//! Signal: a party stopped, or killed, before every one of its accesses holds up nobody, loses nothing and tears nothing.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;
mod stepper;

use memory::Memory;
use std::mem::forget;
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{
    Capability, FormatOptions, Geometry, Signal, SignalError, SignalWriter, Spin, WordSize,
};

/// Several words: a value that is half-written would show.
type Item = [u64; 3];

fn item(n: u64) -> Item {
    [n, !n, n ^ 0x5555]
}

fn number(found: Item) -> u64 {
    assert_eq!(found, item(found[0]), "a torn value");
    found[0]
}

static SPIN: Spin = Spin::new(|| 0);

/// A signal with as many slots, set `before` times, in a region of its own.
fn with_signal(word: WordSize, slots: u32, before: u64, test: impl FnOnce(Signal<'_, Item>)) {
    let mut memory = Memory::filled(8192, 0xA5);
    let geometry = Geometry::new(word, 16).unwrap();
    let options = FormatOptions::new().max_entries(2).geometry(geometry);
    let region = memory.region(options).with_notifier(&SPIN);
    let signal = Signal::create_with_slots(region, "signal", item(0), slots).unwrap();
    for n in 1..=before {
        assert_eq!(signal.set(item(n)), Ok(n));
    }
    test(signal);
}

const WORDS: [WordSize; 2] = [WordSize::Four, WordSize::Eight];

/// What a party may be stopped in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Get,
    Set,
    Update,
    Compare,
}

const ACTS: [Act; 4] = [Act::Get, Act::Set, Act::Update, Act::Compare];
const WRITES: [Act; 3] = [Act::Set, Act::Update, Act::Compare];

/// The value that a stopped party sets.
const PARTY: u64 = 1 << 40;

impl Act {
    /// Returns how many sets it counts for.
    fn run(self, signal: Signal<'_, Item>, n: u64) -> u64 {
        match self {
            Act::Get => {
                number(signal.get().unwrap());
                0
            }
            Act::Set => {
                signal.set(item(PARTY + n)).unwrap();
                1
            }
            Act::Update => {
                let (old, new) = signal.update(|old| item(number(old) + PARTY)).unwrap();
                assert_eq!(number(new), number(old) + PARTY);
                1
            }
            Act::Compare => {
                let (_, version) = signal.get_with_version().unwrap();
                match signal.compare_version_and_set(version, item(PARTY + n)) {
                    Ok(set) => {
                        assert_eq!(set, version + 1);
                        1
                    }
                    Err(SignalError::Changed { version: found }) => {
                        assert!(found > version);
                        0
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

/// Sets, updates and reads, a thousand in all; returns how many sets those were.
fn churn(signal: Signal<'_, Item>) -> u64 {
    for n in 0..250 {
        let version = signal.set(item(n)).unwrap();
        assert_eq!(signal.get_with_version(), Ok((item(n), version)));
        assert_eq!(signal.update(|old| item(number(old) + 1)), Ok((item(n), item(n + 1))));
        assert_eq!(signal.compare_version_and_set(version + 1, item(n)), Ok(version + 2));
    }
    750
}

/// The step before which a set owns a slot and has published nothing.
const INSIDE: u64 = 6;

/// No slot is missing: one is current, one is set, and all others may stop.
fn all_slots_are_there(signal: Signal<'_, Item>) {
    thread::scope(|scope| {
        let parties: Vec<_> = (2..signal.slots())
            .map(|_| Party::start(scope, INSIDE, move || signal.set(item(1))))
            .collect();
        assert!(parties.iter().all(Party::is_stopped));
        signal.set(item(2)).unwrap();
        for party in parties {
            party.finish().unwrap();
        }
    });
}

#[test]
fn a_stopped_party_holds_up_nobody() {
    for word in WORDS {
        for (act, slots, before) in
            ACTS.into_iter().flat_map(|act| [(act, 3, 0), (act, 4, 5), (act, 8, 30)])
        {
            for step in 0.. {
                let mut finished = false;
                with_signal(word, slots, before, |signal| {
                    thread::scope(|scope| {
                        let party = Party::start(scope, step, move || act.run(signal, 0));
                        finished = !party.is_stopped();
                        let mut sets = before + churn(signal);
                        sets += party.finish();
                        assert_eq!(signal.version(), sets, "a set was lost or counted twice");
                        number(signal.get().unwrap());
                        sets += churn(signal);
                        assert_eq!(signal.version(), sets);
                    });
                    all_slots_are_there(signal);
                });
                if finished {
                    assert!(step >= 5, "{act:?} of {step} steps");
                    break;
                }
            }
        }
    }
}

/// A reader that is overtaken by one set less than would spoil its slot still gets what it came for, at once.
#[test]
fn a_reader_whose_slot_was_not_reused_succeeds() {
    for step in 1..6 {
        with_signal(WordSize::Eight, 4, 7, |signal| {
            thread::scope(|scope| {
                let mut party = Party::start(scope, step, move || signal.get_with_version());
                for n in 8..11 {
                    signal.set(item(n)).unwrap();
                }
                assert!(!party.go_to(6), "it looked again");
                assert_eq!(party.finish(), Ok((item(7), 7)));
            });
        });
    }
}

#[test]
fn as_many_as_there_are_slots_to_spare_may_stop() {
    for slots in [3, 5] {
        for (act, first) in WRITES.into_iter().flat_map(|act| (0..18).map(move |at| (act, at))) {
            with_signal(WordSize::Eight, slots, 3, |signal| {
                thread::scope(|scope| {
                    let parties: Vec<_> = (0..u64::from(slots) - 2)
                        .map(|n| Party::start(scope, first + n, move || act.run(signal, n)))
                        .collect();
                    churn(signal);
                    let before = signal.version();
                    let running = parties.iter().map(Party::is_stopped).collect::<Vec<_>>();
                    let sets: Vec<_> = parties.into_iter().map(Party::finish).collect();
                    let late: u64 =
                        running.iter().zip(&sets).filter(|(late, _)| **late).map(|(_, n)| n).sum();
                    let now = signal.version();
                    // Those that had published before they were stopped are counted already.
                    assert!((before..=before + late).contains(&now));
                    churn(signal);
                });
                all_slots_are_there(signal);
            });
        }
    }
}

#[test]
fn one_more_blocks_writers_but_no_reader() {
    for word in WORDS {
        with_signal(word, 4, 9, |signal| {
            thread::scope(|scope| {
                let start = |n| Party::start(scope, INSIDE, move || signal.set(item(n)));
                let mut parties: Vec<_> = (100..103).map(start).collect();
                assert!(parties.iter().all(Party::is_stopped));
                for _ in 0..1000 {
                    assert_eq!(signal.set(item(1)), Err(SignalError::Blocked));
                    assert_eq!(signal.update(|old| old), Err(SignalError::Blocked));
                    assert_eq!(
                        signal.compare_version_and_set(9, item(1)),
                        Err(SignalError::Blocked)
                    );
                    assert_eq!(signal.get_with_version(), Ok((item(9), 9)));
                }
                // As soon as one goes on, all go on.
                assert_eq!(parties.remove(1).finish(), Ok(10));
                assert_eq!(signal.get(), Ok(item(101)));
                churn(signal);
                for party in parties {
                    party.finish().unwrap();
                }
            });
            all_slots_are_there(signal);
        });
    }
}

#[test]
fn a_killed_writer_takes_one_slot_at_most() {
    for (word, slots) in WORDS.into_iter().flat_map(|word| [(word, 3), (word, 6)]) {
        for act in WRITES {
            for step in 0.. {
                let mut finished = false;
                with_signal(word, slots, 4, |signal| {
                    for victim in 0..u64::from(slots) - 2 {
                        let before = signal.version();
                        let killed = abandon_at(step, || act.run(signal, victim));
                        finished = killed.is_ok();
                        let set = signal.version() - before;
                        assert!(set <= 1 && killed.map_or(true, |sets| sets == set));
                        number(signal.get().unwrap());
                        churn(signal);
                    }
                });
                if finished {
                    break;
                }
            }
        }
    }
}

#[test]
fn killed_beyond_the_slots_writers_are_told_and_readers_go_on() {
    with_signal(WordSize::Four, 5, 2, |signal| {
        for n in 0..4 {
            abandon_at(INSIDE, || signal.set(item(n))).unwrap_err();
        }
        for _ in 0..1000 {
            assert_eq!(signal.set(item(1)), Err(SignalError::Blocked));
            assert_eq!(signal.get_with_version(), Ok((item(2), 2)));
        }
    });
}

/// A signal of one writer, by loads and stores where there is nothing else.
fn with_writer(
    capability: Capability,
    slots: u32,
    test: impl FnOnce(Signal<'_, Item>, SignalWriter<'_, Item>),
) {
    let mut memory = Memory::filled(4096, 0xA5);
    let options = FormatOptions::new().max_entries(2).geometry(Geometry::SMALLEST);
    let region = memory.region(options.capability(capability)).with_notifier(&SPIN);
    let signal = Signal::create_single_writer(region, "signal", item(0), slots).unwrap();
    let mut writer = signal.writer().unwrap();
    (1..=5).for_each(|n| assert_eq!(writer.set(item(n)), n));
    test(signal, writer);
}

fn each_writer(mut test: impl FnMut(Capability, u32)) {
    for capability in [Capability::Cas, Capability::LoadStore] {
        for slots in [2, 3, 8] {
            test(capability, slots);
        }
    }
}

/// A thousand sets by the only writer.
fn write(signal: Signal<'_, Item>, writer: &mut SignalWriter<'_, Item>) {
    let before = signal.version();
    for n in 1..=1000 {
        assert_eq!(writer.set(item(n)), before + n);
        assert_eq!(signal.get_with_version(), Ok((item(n), before + n)));
    }
}

#[test]
fn the_only_writer_is_stopped_or_killed_anywhere() {
    each_writer(|capability, slots| {
        for step in 0.. {
            let mut finished = false;
            with_writer(capability, slots, |signal, mut writer| {
                thread::scope(|scope| {
                    let party = Party::start(scope, step, move || {
                        writer.set(item(6));
                        writer
                    });
                    let seen = signal.version();
                    assert!(seen == 5 || seen == 6);
                    for _ in 0..1000 {
                        assert_eq!(signal.get_with_version(), Ok((item(seen), seen)));
                    }
                    write(signal, &mut party.finish());
                });
            });
            with_writer(capability, slots, |signal, mut writer| {
                finished = abandon_at(step, || writer.set(item(6))).is_ok();
                forget(writer);
                let seen = signal.version();
                assert!(seen == 6 || seen == 5 && !finished);
                assert_eq!(signal.get_with_version(), Ok((item(seen), seen)));
                assert_eq!(signal.writer().unwrap_err(), SignalError::RoleTaken);
                write(signal, &mut signal.take_over_writer().unwrap());
                drop(signal.writer().unwrap());
            });
            if finished {
                assert!(step >= 5, "a set of {step} steps");
                break;
            }
        }
    });
}

#[test]
fn a_reader_stopped_anywhere_beside_the_only_writer() {
    each_writer(|capability, slots| {
        for step in 0.. {
            let mut finished = false;
            with_writer(capability, slots, |signal, mut writer| {
                thread::scope(|scope| {
                    let party = Party::start(scope, step, move || signal.get_with_version());
                    finished = !party.is_stopped();
                    write(signal, &mut writer);
                    let (value, version) = party.finish().unwrap();
                    number(value);
                    assert!((5..=1005).contains(&version));
                });
            });
            if finished {
                break;
            }
        }
    });
}

/// A writer that was taken for dead but is not: values may be spoilt, but nothing hangs and nothing panics.
#[test]
fn a_writer_that_was_not_dead() {
    each_writer(|capability, slots| {
        for step in 0..8 {
            with_writer(capability, slots, |signal, mut old| {
                thread::scope(|scope| {
                    let party = Party::start(scope, step, move || {
                        old.set(item(99));
                        old
                    });
                    let mut new = signal.take_over_writer().unwrap();
                    for n in 0..10 {
                        new.set(item(n));
                    }
                    let mut old = party.finish();
                    for n in 0..20 {
                        old.set(item(n));
                        new.set(item(n));
                        signal.get().unwrap();
                    }
                });
            });
        }
    });
}
