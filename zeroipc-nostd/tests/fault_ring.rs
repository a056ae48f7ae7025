//! Ring: one end stopped, or killed, before every one of its accesses: the other goes on, and the end can be taken over.
#![cfg(all(zeroipc_fault, not(loom)))]

mod memory;
mod stepper;

use memory::Memory;
use std::mem::forget;
use std::thread;
use stepper::Party;
use zeroipc_nostd::testing::abandon_at;
use zeroipc_nostd::{
    Consumer, FormatOptions, Geometry, PopError, Producer, PushError, Ring, Spin, WordSize,
};

/// Two words: an element that is half-written would show.
type Item = [u64; 2];

const fn item(value: u64) -> Item {
    [value, !value]
}

fn value(item: Item) -> u64 {
    assert_eq!(item[1], !item[0], "a torn element");
    item[0]
}

static SPIN: Spin = Spin::new(|| 0);

/// A ring of four with `held` elements in it, numbered from 1, somewhere in its life.
fn with_ring(word: WordSize, notifier: bool, held: u64, test: impl FnOnce(Ring<'_, Item>)) {
    let mut memory = Memory::filled(1024, 0xA5);
    let geometry = Geometry::new(word, 8).unwrap();
    let mut region = memory.region(FormatOptions::new().max_entries(2).geometry(geometry));
    if notifier {
        region = region.with_notifier(&SPIN);
    }
    let ring = Ring::<Item>::create(region, "ring", 4).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for turn in 0..7 {
        producer.try_push(item(turn)).unwrap();
        assert_eq!(consumer.try_pop(), Ok(item(turn)));
    }
    (1..=held).for_each(|n| producer.try_push(item(n)).unwrap());
    drop((producer, consumer));
    test(ring);
}

fn each(mut test: impl FnMut(WordSize, bool, u64)) {
    for word in [WordSize::Four, WordSize::Eight] {
        for notifier in [false, true] {
            [0, 2, 4].into_iter().for_each(|held| test(word, notifier, held));
        }
    }
}

fn pop_all(consumer: &mut Consumer<'_, Item>) -> Vec<u64> {
    let mut popped = Vec::new();
    loop {
        match consumer.try_pop() {
            Ok(item) => popped.push(value(item)),
            Err(PopError::Empty) => return popped,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A thousand elements through the ring, and `Full` where it belongs.
fn run(producer: &mut Producer<'_, Item>, consumer: &mut Consumer<'_, Item>) {
    assert_eq!(pop_all(consumer), []);
    for n in 0..250 {
        for more in 0..4 {
            producer.try_push(item(1000 + 4 * n + more)).unwrap();
        }
        assert_eq!(producer.try_push(item(0)), Err(PushError::Full(item(0))));
        assert!(pop_all(consumer).into_iter().eq(1000 + 4 * n..1004 + 4 * n));
    }
}

#[test]
fn a_killed_producer() {
    each(|word, notifier, held| {
        // With a consumer that is there already, and with one that comes afterwards.
        for early in [false, true] {
            for step in 0.. {
                let mut finished = false;
                with_ring(word, notifier, held, |ring| {
                    let there = early.then(|| ring.consumer().unwrap());
                    let mut producer = ring.producer().unwrap();
                    let pushed = abandon_at(step, || producer.try_push(item(held + 1)));
                    let full = pushed == Ok(Err(PushError::Full(item(held + 1))));
                    assert!(!full || held == 4);
                    forget(producer);
                    finished = pushed.is_ok();

                    let mut consumer = there.unwrap_or_else(|| ring.consumer().unwrap());
                    let popped = pop_all(&mut consumer);
                    // All that was there, and the last one or not; it must be if the push had returned.
                    let least = held + u64::from(pushed == Ok(Ok(())));
                    let most = if held == 4 { 4 } else { held + 1 };
                    assert!((least..=most).contains(&(popped.len() as u64)), "{popped:?}");
                    assert!(popped.into_iter().zip(1..).all(|(found, n)| found == n));

                    ring.producer().unwrap_err();
                    run(&mut ring.take_over_producer(), &mut consumer);
                    drop(ring.producer().unwrap());
                });
                if finished {
                    break;
                }
            }
        }
    });
}

#[test]
fn a_killed_consumer() {
    each(|word, notifier, held| {
        for early in [false, true] {
            for step in 0.. {
                let mut finished = false;
                with_ring(word, notifier, held, |ring| {
                    let there = early.then(|| ring.producer().unwrap());
                    let mut consumer = ring.consumer().unwrap();
                    let popped = abandon_at(step, || consumer.try_pop());
                    forget(consumer);
                    finished = popped.is_ok();

                    // The producer goes on to exactly full.
                    let mut producer = there.unwrap_or_else(|| ring.producer().unwrap());
                    let mut next = held + 1;
                    while producer.try_push(item(next)).is_ok() {
                        next += 1;
                    }
                    assert!(ring.is_full());

                    ring.consumer().unwrap_err();
                    let mut consumer = ring.take_over_consumer();
                    let rest = pop_all(&mut consumer);
                    assert_eq!(rest.len(), 4);
                    // The one that was being popped comes again or not; nothing else is gone or doubled.
                    let gone = next - 1 - 4;
                    assert!(rest.into_iter().eq(gone + 1..next));
                    match popped {
                        Ok(Ok(popped)) => assert_eq!((value(popped), gone), (1, 1)),
                        Ok(Err(_)) => assert_eq!((held, gone), (0, 0)),
                        Err(_) => assert!(gone <= 1),
                    }
                    run(&mut producer, &mut consumer);
                    drop((producer, consumer));
                    drop(ring.consumer().unwrap());
                });
                if finished {
                    break;
                }
            }
        }
    });
}

#[test]
fn a_stopped_producer() {
    each(|word, notifier, held| {
        for step in 0.. {
            let mut finished = false;
            with_ring(word, notifier, held, |ring| {
                thread::scope(|scope| {
                    let mut consumer = ring.consumer().unwrap();
                    let mut producer = ring.producer().unwrap();
                    let party = Party::start(scope, step, move || {
                        let pushed = producer.try_push(item(held + 1));
                        (producer, pushed)
                    });
                    finished = !party.is_stopped();
                    let mut popped = pop_all(&mut consumer);
                    for _ in 0..1000 {
                        assert_eq!(consumer.try_pop(), Err(PopError::Empty));
                    }
                    let (mut producer, pushed) = party.finish();
                    popped.extend(pop_all(&mut consumer));
                    let expected = held + u64::from(pushed.is_ok());
                    assert!(popped.into_iter().eq(1..=expected));
                    run(&mut producer, &mut consumer);
                });
            });
            if finished {
                break;
            }
        }
    });
}

#[test]
fn a_stopped_consumer() {
    each(|word, notifier, held| {
        for step in 0.. {
            let mut finished = false;
            with_ring(word, notifier, held, |ring| {
                thread::scope(|scope| {
                    let mut producer = ring.producer().unwrap();
                    let mut consumer = ring.consumer().unwrap();
                    let party = Party::start(scope, step, move || {
                        let popped = consumer.try_pop();
                        (consumer, popped)
                    });
                    finished = !party.is_stopped();
                    let mut next = held + 1;
                    for _ in 0..1000 {
                        next += u64::from(producer.try_push(item(next)).is_ok());
                    }
                    assert!(ring.is_full());
                    let (mut consumer, popped) = party.finish();
                    let mut all: Vec<u64> = popped.ok().map(value).into_iter().collect();
                    all.extend(pop_all(&mut consumer));
                    assert!(all.into_iter().eq(1..next));
                    run(&mut producer, &mut consumer);
                });
            });
            if finished {
                break;
            }
        }
    });
}

#[test]
fn killed_while_taking_or_leaving_a_role() {
    for step in 0..8 {
        with_ring(WordSize::Eight, false, 2, |ring| {
            let taken = abandon_at(step, || forget(ring.producer().unwrap()));
            assert!(taken.is_err() || step >= 2);
            let mut producer = ring.producer().unwrap_or_else(|_| ring.take_over_producer());
            let mut consumer = ring.consumer().unwrap();
            assert_eq!(pop_all(&mut consumer), [1, 2]);
            run(&mut producer, &mut consumer);
            // What happens here after the kill is the rest of a drop; nothing is left to run it.
            let left = abandon_at(step, move || drop(consumer));
            assert!(left.is_err() || step >= 2);
            let mut consumer = ring.consumer().unwrap_or_else(|_| ring.take_over_consumer());
            run(&mut producer, &mut consumer);
        });
    }
}

/// A holder that is slow to leave does not release the role of whoever took it over.
#[test]
fn an_old_holder_leaves_while_its_role_is_taken_over() {
    for step in 0..8 {
        with_ring(WordSize::Eight, false, 0, |ring| {
            thread::scope(|scope| {
                let old = ring.producer().unwrap();
                let party = Party::start(scope, step, move || drop(old));
                let mut new = ring.take_over_producer();
                party.finish();
                ring.producer().unwrap_err();
                run(&mut new, &mut ring.consumer().unwrap());
                drop(new);
                drop(ring.producer().unwrap());
            });
        });
    }
}

/// A holder that was taken for dead but is not: elements may be spoilt, but nothing hangs and nothing panics.
#[test]
fn a_producer_that_was_not_dead() {
    each(|word, notifier, held| {
        for step in 0..10 {
            with_ring(word, notifier, held, |ring| {
                thread::scope(|scope| {
                    let mut old = ring.producer().unwrap();
                    let party = Party::start(scope, step, move || {
                        let _ = old.try_push(item(99));
                        old
                    });
                    let mut new = ring.take_over_producer();
                    let mut consumer = ring.consumer().unwrap();
                    for n in 0..10 {
                        let _ = new.try_push(item(n));
                        let _ = consumer.try_pop();
                    }
                    let mut old = party.finish();
                    for n in 0..20 {
                        let _ = old.try_push(item(n));
                        let _ = new.try_push(item(n));
                        let _ = consumer.try_pop();
                        assert!(ring.len() <= ring.capacity());
                    }
                });
            });
        }
    });
}

/// Ways to push or pop several elements at once.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Slice,
    Exact,
    Grant,
    /// Commits or releases one less than it got.
    Part,
}

const WAYS: [Way; 4] = [Way::Slice, Way::Exact, Way::Grant, Way::Part];

/// Pushes up to three elements from `first` on; how many it says it has pushed.
fn push_many(producer: &mut Producer<'_, Item>, way: Way, first: u64) -> u64 {
    let values = [item(first), item(first + 1), item(first + 2)];
    match way {
        Way::Slice => producer.try_push_slice(&values).unwrap_or(0) as u64,
        Way::Exact => producer.try_push_exact(&values).map_or(0, |()| 3),
        Way::Grant | Way::Part => {
            let Ok(grant) = producer.try_grant(3) else { return 0 };
            let len = grant.len();
            grant.write_from(1, &values[1..len]).unwrap();
            grant.write(0, values[0]).unwrap();
            let count = if way == Way::Part { len - 1 } else { len };
            grant.commit(count);
            count as u64
        }
    }
}

/// Pops up to three elements.
fn pop_many(consumer: &mut Consumer<'_, Item>, way: Way) -> Vec<u64> {
    let mut values = [item(0); 3];
    let count = match way {
        Way::Slice => consumer.try_pop_slice(&mut values).unwrap_or(0),
        Way::Exact => consumer.try_pop_exact(&mut values).map_or(0, |()| 3),
        Way::Grant | Way::Part => {
            let Ok(grant) = consumer.try_read_grant(3) else { return Vec::new() };
            let len = grant.len();
            grant.read_into(1, &mut values[1..len]).unwrap();
            values[0] = grant.read(0).unwrap();
            assert!(grant.iter().eq(values[..len].iter().copied()));
            let count = if way == Way::Part { len - 1 } else { len };
            grant.release(count);
            count
        }
    };
    values[..count].iter().copied().map(value).collect()
}

/// A producer that dies with several elements in its hands has pushed all of them or none.
#[test]
fn a_killed_producer_of_many() {
    each(|word, notifier, held| {
        for way in WAYS {
            let whole = {
                let mut whole = 0;
                with_ring(word, notifier, held, |ring| {
                    whole = push_many(&mut ring.producer().unwrap(), way, held + 1);
                });
                whole
            };
            for step in 0.. {
                let mut finished = false;
                with_ring(word, notifier, held, |ring| {
                    let mut producer = ring.producer().unwrap();
                    let pushed = abandon_at(step, || push_many(&mut producer, way, held + 1));
                    forget(producer);
                    finished = pushed.is_ok();
                    let mut consumer = ring.consumer().unwrap();
                    let popped = pop_all(&mut consumer);
                    let count = popped.len() as u64;
                    assert!(count == held + whole || (count == held && !finished), "{popped:?}");
                    assert!(popped.into_iter().eq(1..=count));
                    run(&mut ring.take_over_producer(), &mut consumer);
                });
                if finished {
                    break;
                }
            }
        }
    });
}

/// What a consumer had in its hands when it died comes again as a whole, or not at all.
#[test]
fn a_killed_consumer_of_many() {
    each(|word, notifier, held| {
        for way in WAYS {
            for step in 0.. {
                let mut finished = false;
                with_ring(word, notifier, held, |ring| {
                    let mut consumer = ring.consumer().unwrap();
                    let popped = abandon_at(step, || pop_many(&mut consumer, way));
                    forget(consumer);
                    finished = popped.is_ok();
                    let mut producer = ring.producer().unwrap();
                    let mut next = held + 1;
                    while producer.try_push(item(next)).is_ok() {
                        next += 1;
                    }
                    assert!(ring.is_full());
                    let mut consumer = ring.take_over_consumer();
                    let rest = pop_all(&mut consumer);
                    let gone = next - 1 - 4;
                    assert!(rest.into_iter().eq(gone + 1..next));
                    match popped {
                        Ok(popped) => assert!(popped.into_iter().eq(1..=gone)),
                        Err(_) => {
                            let whole = match way {
                                Way::Exact if held < 3 => 0,
                                Way::Part => held.min(3).saturating_sub(1),
                                _ => held.min(3),
                            };
                            assert!(gone == 0 || gone == whole, "{gone} of {whole}");
                        }
                    }
                    run(&mut producer, &mut consumer);
                });
                if finished {
                    break;
                }
            }
        }
    });
}

#[test]
fn a_stopped_producer_of_many() {
    each(|word, notifier, held| {
        for way in WAYS {
            for step in 0.. {
                let mut finished = false;
                with_ring(word, notifier, held, |ring| {
                    thread::scope(|scope| {
                        let mut consumer = ring.consumer().unwrap();
                        let mut producer = ring.producer().unwrap();
                        let party = Party::start(scope, step, move || {
                            let pushed = push_many(&mut producer, way, held + 1);
                            (producer, pushed)
                        });
                        finished = !party.is_stopped();
                        let mut popped = pop_all(&mut consumer);
                        for _ in 0..1000 {
                            assert_eq!(
                                consumer.try_pop_slice(&mut [item(0); 2]),
                                Err(PopError::Empty)
                            );
                            assert_eq!(consumer.peek(), Err(PopError::Empty));
                        }
                        let (mut producer, pushed) = party.finish();
                        popped.extend(pop_all(&mut consumer));
                        assert!(popped.into_iter().eq(1..=held + pushed));
                        run(&mut producer, &mut consumer);
                    });
                });
                if finished {
                    break;
                }
            }
        }
    });
}

#[test]
fn a_stopped_consumer_of_many() {
    each(|word, notifier, held| {
        for way in WAYS {
            for step in 0.. {
                let mut finished = false;
                with_ring(word, notifier, held, |ring| {
                    thread::scope(|scope| {
                        let mut producer = ring.producer().unwrap();
                        let mut consumer = ring.consumer().unwrap();
                        let party = Party::start(scope, step, move || {
                            let popped = pop_many(&mut consumer, way);
                            (consumer, popped)
                        });
                        finished = !party.is_stopped();
                        let mut next = held + 1;
                        for _ in 0..1000 {
                            let values = [item(next), item(next + 1), item(next + 2)];
                            next += producer.try_push_slice(&values).unwrap_or(0) as u64;
                        }
                        assert!(ring.is_full());
                        let (mut consumer, mut all) = party.finish();
                        all.extend(pop_all(&mut consumer));
                        assert!(all.into_iter().eq(1..next));
                        run(&mut producer, &mut consumer);
                    });
                });
                if finished {
                    break;
                }
            }
        }
    });
}

/// A grant that is dropped, or whose holder dies, leaves no trace; making one writes nothing.
#[test]
fn a_grant_that_comes_to_nothing() {
    each(|word, notifier, held| {
        for killed in [false, true] {
            with_ring(word, notifier, held, |ring| {
                let mut producer = ring.producer().unwrap();
                if let Ok(grant) = producer.try_grant(2) {
                    grant.write(0, item(99)).unwrap();
                    if killed {
                        let _grant = grant;
                    }
                }
                let mut consumer = ring.consumer().unwrap();
                if let Ok(grant) = consumer.try_read_grant(2) {
                    assert_eq!(grant.read(0), Ok(item(1)));
                    if killed {
                        let _grant = grant;
                    }
                }
                assert!(pop_all(&mut consumer).into_iter().eq(1..=held));
                run(&mut producer, &mut consumer);
            });
        }
    });
}

/// Bulk operations are wait-free: so many accesses, whatever the other end does.
#[test]
fn accesses_of_many() {
    use zeroipc_nostd::testing::run as counted;
    with_ring(WordSize::Eight, true, 0, |ring| {
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let values = [item(1), item(2), item(3)];
        // A look at the other counter, two words an element, the own counter, and the sleeper's word of the bell.
        let (pushed, steps) = counted(|_| (), || producer.try_push_slice(&values));
        assert_eq!((pushed, steps), (Ok(3), 1 + 6 + 1 + 1));
        let (popped, steps) = counted(|_| (), || consumer.try_pop_slice(&mut [item(0); 4]));
        assert_eq!((popped, steps), (Ok(3), 1 + 6 + 1 + 1));
        let (skipped, steps) = counted(|_| (), || consumer.skip(4));
        assert_eq!((skipped, steps), (Ok(0), 1));
    });
}
