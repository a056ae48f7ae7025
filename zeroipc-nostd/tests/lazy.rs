//! Lazy: against a sequential model, over all geometries; one evaluator; what those that wait get.
#![cfg(not(loom))]

mod memory;
mod mortals;
mod sleeper;

use memory::{geometries, Memory};
use mortals::Mortals;
use proptest::prelude::*;
use sleeper::Sleeper;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    Capability, Element, FailureText, FormatOptions, Kind, Lazy, LazyError, LazyState, PartyId,
    Region, StructureError,
};

fn fill(region: Region<'_>) -> Option<u64> {
    let view = region.view();
    view.inspect(&view.find("lazy").unwrap()).unwrap().fill
}

#[derive(Debug, Clone)]
enum Act {
    Get(Result<u8, String>),
    GiveUp,
    Panic,
    Invalidate,
    /// An evaluation during which it is invalidated.
    InVain(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => any::<u8>().prop_map(|value| Act::Get(Ok(value))),
        1 => "[a-zé]{0,70}".prop_map(|text| Act::Get(Err(text))),
        1 => Just(Act::GiveUp),
        1 => Just(Act::Panic),
        2 => Just(Act::Invalidate),
        1 => any::<u8>().prop_map(Act::InVain),
    ]
}

fn follows_the_model<T: Element + PartialEq + std::fmt::Debug>(
    region: Region<'_>,
    acts: &[Act],
    value: impl Fn(u8) -> T,
) {
    let lazy = Lazy::<T>::create(region, "lazy").unwrap();
    let mut model: Option<Result<T, LazyError>> = None;
    for act in acts {
        match act {
            Act::Get(outcome) => {
                let expected = *model.get_or_insert_with(|| match outcome {
                    Ok(number) => Ok(value(*number)),
                    Err(text) => Err(LazyError::Failed(FailureText::new(text))),
                });
                let made = outcome.as_ref().map(|number| value(*number));
                assert_eq!(lazy.get_or_try_init(|| made), expected);
            }
            Act::GiveUp => {
                if let Ok(Ok(evaluation)) = lazy.try_begin() {
                    assert!(model.is_none());
                    assert_eq!(lazy.state(), Ok(LazyState::Running { owner: None }));
                    let busy = LazyError::Running { owner: None };
                    assert_eq!(lazy.try_begin().unwrap_err(), busy);
                    drop(evaluation);
                }
            }
            Act::Panic => {
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    lazy.get_or_init(|| resume_unwind(Box::new(1)))
                }));
                assert_eq!(panicked.is_err(), model.is_none());
            }
            Act::Invalidate => {
                lazy.invalidate();
                model = None;
            }
            Act::InVain(number) => {
                let expected = model.unwrap_or(Ok(value(*number)));
                let found = lazy.get_or_init(|| {
                    lazy.invalidate();
                    value(*number)
                });
                assert_eq!(found, expected);
            }
        }
        assert_eq!(lazy.peek(), model.and_then(Result::ok));
        let state = match model {
            None => LazyState::Unevaluated,
            Some(Ok(_)) => LazyState::Ready,
            Some(Err(_)) => LazyState::Failed,
        };
        assert_eq!(lazy.state(), Ok(state));
        assert_eq!(fill(region), Some(u64::from(model.is_some())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn as_the_model_says(acts in proptest::collection::vec(act(), 1..40)) {
        for geometry in geometries() {
            let options = FormatOptions::new().geometry(geometry);
            let mut memory = Memory::filled(4096, 0xA5).shifted(8);
            follows_the_model::<u8>(memory.region(options), &acts, |n| n);
            let mut memory = Memory::filled(4096, 0xA5);
            follows_the_model::<[u64; 9]>(memory.region(options), &acts, |n| [u64::from(n); 9]);
            let mut memory = Memory::filled(4096, 0xA5);
            follows_the_model::<[u8; 13]>(memory.region(options), &acts, |n| [n; 13]);
        }
    }
}

#[test]
fn one_of_many_evaluates() {
    for geometry in geometries() {
        let sleeper = Sleeper::deep();
        let mut memory = Memory::filled(4096, 0xA5).shifted(8);
        let region = memory.region(FormatOptions::new().geometry(geometry)).with_notifier(&sleeper);
        let before = region.view().next_offset();
        let lazy = Lazy::<[u64; 4]>::create(region, "lazy").unwrap();
        let taken = region.view().next_offset() - before;
        assert!(taken <= Lazy::<[u64; 4]>::footprint(geometry).unwrap());
        let evaluated = AtomicU32::new(0);
        for round in 1..=20 {
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let value = lazy.get_or_init(|| {
                            thread::yield_now();
                            [u64::from(evaluated.fetch_add(1, SeqCst)); 4]
                        });
                        assert_eq!(value, Ok([round - 1; 4]));
                    });
                }
            });
            assert_eq!(u64::from(evaluated.load(SeqCst)), round);
            lazy.invalidate();
        }
    }
}

/// Values come and go under those that look: each is whole, and each is one that was there.
#[test]
fn looks_while_it_is_invalidated() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let lazy = Lazy::<[u64; 8]>::create(region, "lazy").unwrap();
    let next = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for turn in 0..3000_u32 {
                    let make = || [u64::from(next.fetch_add(1, SeqCst)); 8];
                    let value = lazy.get_or_init(make).unwrap();
                    assert_eq!(value, [value[0]; 8], "a torn value");
                    if let Some(value) = lazy.peek() {
                        assert_eq!(value, [value[0]; 8], "a torn value");
                    }
                    if turn % 3 == 0 {
                        let before = u64::from(next.load(SeqCst));
                        lazy.invalidate();
                        // Its evaluation began after that.
                        let value = lazy.get_or_init(make).unwrap();
                        assert!(value[0] >= before, "an invalidated value");
                    }
                }
            });
        }
    });
}

#[test]
fn who_waits_for_one_that_gives_up_evaluates() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let lazy = Lazy::<u32>::create(region, "lazy").unwrap();
    let evaluation = lazy.try_begin().unwrap().unwrap();
    thread::scope(|scope| {
        let waiting = [1, 2].map(|value| scope.spawn(move || lazy.get_or_init(|| value)));
        sleeper.until_asleep(2);
        drop(evaluation);
        let values = waiting.map(|waiting| waiting.join().unwrap().unwrap());
        assert_eq!(values[0], values[1]);
    });
    lazy.invalidate();
    let evaluation = lazy.try_begin().unwrap().unwrap();
    thread::scope(|scope| {
        let waiting = [1, 2].map(|value| scope.spawn(move || lazy.get_or_init(|| value)));
        sleeper.until_asleep(2);
        // Over before it was done: nobody gets it.
        lazy.invalidate();
        assert!(!evaluation.set(9));
        let values = waiting.map(|waiting| waiting.join().unwrap().unwrap());
        assert!(values[0] == values[1] && values[0] != 9);
    });
}

#[test]
fn a_dead_evaluator_is_replaced() {
    let (sleeper, mortals) = (Sleeper::new(), Mortals::new());
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    Lazy::<u32>::create(region, "lazy").unwrap();
    let opened = |party| Lazy::<u32>::open(mortals.region(region, party), "lazy").unwrap();
    let dead = opened(3).try_begin().unwrap().unwrap();
    let lazy = opened(4);
    let owner = PartyId::new(3);
    assert_eq!(lazy.try_begin().unwrap_err(), LazyError::Running { owner });
    assert_eq!(lazy.state(), Ok(LazyState::Running { owner }));
    thread::scope(|scope| {
        let waiting = [4, 5].map(|party| scope.spawn(move || opened(party).get_or_init(|| party)));
        sleeper.until_asleep(2);
        mortals.kill(3);
        let values = waiting.map(|waiting| waiting.join().unwrap().unwrap());
        assert_eq!(values[0], values[1]);
    });
    // It was not dead after all: its value does not count.
    assert!(!dead.set(9));
    assert!(matches!(lazy.peek(), Some(4 | 5)));
}

#[test]
fn distinct_errors() {
    const SHORT: Duration = Duration::from_millis(30);
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let lazy = Lazy::<u32>::open_or_create(region, "lazy").unwrap();
    let evaluation = lazy.try_begin().unwrap().unwrap();
    assert_eq!(lazy.get_or_init(|| panic!()), Err(LazyError::NoWaiter));
    let other = Lazy::<u32>::open_or_create(region.with_notifier(&sleeper), "lazy").unwrap();
    let start = Instant::now();
    assert_eq!(other.get_or_init_timeout(SHORT, || panic!()), Err(LazyError::Timeout));
    assert!(start.elapsed() >= SHORT, "never early");
    assert!(evaluation.fail("broken glass"));
    let failed = LazyError::Failed(FailureText::new("broken glass"));
    assert_eq!(lazy.get_or_init(|| panic!()), Err(failed));
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new().capability(Capability::LoadStore));
    assert_eq!(
        Lazy::<u32>::create(region, "lazy").unwrap_err(),
        StructureError::NeedsCas { kind: Kind::LAZY }
    );
}
