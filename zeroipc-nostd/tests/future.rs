//! Future: against a sequential model, over all geometries; what waiters are told; with loads and stores alone.
#![cfg(not(loom))]

mod memory;
mod mortals;
mod sleeper;

use memory::{geometries, Memory};
use mortals::Mortals;
use proptest::prelude::*;
use sleeper::Sleeper;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    Capability, Element, FailureText, FormatOptions, Future, FutureError, FutureState, Kind,
    PartyId, Promise, PromiseError, Region, StructureError,
};

fn fill(region: Region<'_>) -> Option<u64> {
    let view = region.view();
    view.inspect(&view.find("future").unwrap()).unwrap().fill
}

/// What a test may do.
#[derive(Debug, Clone)]
enum Act {
    Promise,
    Set(u8),
    Fail(String),
    Drop,
    Reset,
    Old,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Promise),
        3 => any::<u8>().prop_map(Act::Set),
        2 => "\\PC{0,60}".prop_map(Act::Fail),
        1 => Just(Act::Drop),
        2 => Just(Act::Reset),
        1 => Just(Act::Old),
    ]
}

/// The model: what the present generation is, and of which generation a promise is out.
#[derive(Debug, Default)]
struct Model {
    generation: u64,
    settled: Option<Result<u8, FutureError>>,
    promised: Option<u64>,
}

fn cut(text: &str) -> &str {
    let fits = |end: &usize| *end <= FailureText::MAX_BYTES && text.is_char_boundary(*end);
    &text[..(0..=text.len()).rev().find(fits).unwrap()]
}

fn follows_the_model<T: Element + PartialEq + std::fmt::Debug>(
    region: Region<'_>,
    acts: &[Act],
    value: impl Fn(u8) -> T,
) {
    let mut future = Future::<T>::create(region, "future").unwrap();
    let mut old = future;
    let mut promise: Option<Promise<'_, T>> = None;
    let mut model = Model::default();
    for act in acts {
        let is_ours = model.promised == Some(model.generation);
        match act {
            Act::Promise => {
                let expected = match (&model.settled, model.promised) {
                    (Some(_), _) => Some(PromiseError::Settled),
                    (None, Some(_)) => Some(PromiseError::RoleTaken { owner: None }),
                    (None, None) => None,
                };
                match future.promise() {
                    Ok(new) => {
                        assert_eq!(expected, None);
                        (promise, model.promised) = (Some(new), Some(model.generation));
                    }
                    Err(error) => assert_eq!(Some(error), expected),
                }
            }
            Act::Drop => {
                promise = None;
                if is_ours {
                    model.settled = Some(Err(FutureError::Broken));
                }
                model.promised = None;
            }
            Act::Set(_) | Act::Fail(_) => {
                let Some(promise) = promise.take() else { continue };
                let (kept, settled) = match act {
                    Act::Set(number) => (promise.set(value(*number)), Ok(*number)),
                    Act::Fail(text) => {
                        let error = FutureError::Failed(FailureText::new(cut(text)));
                        (promise.fail(text), Err(error))
                    }
                    _ => unreachable!(),
                };
                assert_eq!(kept, if is_ours { Ok(()) } else { Err(PromiseError::Superseded) });
                if is_ours {
                    model.settled = Some(settled);
                }
                model.promised = None;
            }
            Act::Reset => {
                old = future;
                future = future.reset().unwrap();
                model.generation += 1;
                model.settled = None;
            }
            Act::Old if model.generation > 0 => {
                assert_eq!(old.promise().unwrap_err(), PromiseError::Superseded);
                assert_eq!(old.reset().unwrap_err(), FutureError::Superseded);
            }
            Act::Old => {}
        }
        let is_promised = model.promised == Some(model.generation);
        let expected = model.settled.unwrap_or(Err(FutureError::Pending)).map(&value);
        assert_eq!(future.try_get(), expected);
        let state = match &model.settled {
            None if is_promised => FutureState::Promised { owner: None },
            None => FutureState::Pending,
            Some(Ok(_)) => FutureState::Ready,
            Some(Err(FutureError::Failed(_))) => FutureState::Failed,
            Some(_) => FutureState::Broken,
        };
        assert_eq!(future.state(), Ok(state));
        assert_eq!(fill(region), Some(u64::from(model.settled.is_some())));
        assert_eq!(future.latest().generation(), model.generation);
        assert_eq!(future.at_generation(model.generation).try_get(), expected);
        if model.generation > 0 {
            assert_eq!(old.try_get(), Err(FutureError::Superseded));
            assert_eq!(old.state(), Err(FutureError::Superseded));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn as_the_model_says(acts in proptest::collection::vec(act(), 1..40)) {
        for geometry in geometries() {
            for capability in [Capability::Cas, Capability::LoadStore] {
                let options = FormatOptions::new().geometry(geometry).capability(capability);
                let mut memory = Memory::filled(4096, 0xA5).shifted(8);
                follows_the_model::<u8>(memory.region(options), &acts, |n| n);
                let mut memory = Memory::filled(4096, 0xA5);
                let wide = |n: u8| [u64::from(n); 9];
                follows_the_model::<[u64; 9]>(memory.region(options), &acts, wide);
                let mut memory = Memory::filled(4096, 0xA5);
                let odd = |n: u8| [n; 13];
                follows_the_model::<[u8; 13]>(memory.region(options), &acts, odd);
            }
        }
    }
}

#[test]
fn it_takes_what_its_footprint_says() {
    for geometry in geometries() {
        let mut memory = Memory::filled(4096, 0xA5).shifted(8);
        let region = memory.region(FormatOptions::new().geometry(geometry));
        let before = region.view().next_offset();
        Future::<[u32; 5]>::create(region, "future").unwrap();
        let taken = region.view().next_offset() - before;
        assert!(taken <= Future::<[u32; 5]>::footprint(geometry).unwrap());
    }
}

/// What three waiters are told, who sleep when `settle` comes.
fn waiters_are_told(
    capability: Capability,
    settle: impl FnOnce(Promise<'_, u64>),
    expected: Result<u64, FutureError>,
) {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(4096);
    let options = FormatOptions::new().capability(capability);
    let region = memory.region(options).with_notifier(&sleeper);
    let future = Future::<u64>::create(region, "future").unwrap();
    let promise = future.promise().unwrap();
    thread::scope(|scope| {
        let waiters = [(); 3].map(|()| scope.spawn(move || future.get()));
        sleeper.until_asleep(3);
        settle(promise);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), expected);
        }
    });
    assert_eq!(sleeper.wakes(), [u32::MAX], "one call woke all");
    assert_eq!(future.latest().reset().unwrap().promise().unwrap().set(1), Ok(()));
    assert_eq!(sleeper.wakes(), [], "nobody to wake");
}

#[test]
fn all_waiters_are_woken_at_once() {
    for capability in [Capability::Cas, Capability::LoadStore] {
        waiters_are_told(capability, |promise| promise.set(7).unwrap(), Ok(7));
        let failed = FutureError::Failed(FailureText::new("no"));
        waiters_are_told(capability, |promise| promise.fail("no").unwrap(), Err(failed));
        waiters_are_told(capability, |promise| drop(promise), Err(FutureError::Broken));
        let reset = |promise: Promise<'_, u64>| {
            promise.future().reset().unwrap();
            assert_eq!(promise.set(7), Err(PromiseError::Superseded));
        };
        waiters_are_told(capability, reset, Err(FutureError::Superseded));
    }
}

#[test]
fn a_dead_party_breaks_its_promise() {
    for capability in [Capability::Cas, Capability::LoadStore] {
        let (sleeper, mortals) = (Sleeper::new(), Mortals::new());
        let mut memory = Memory::zeroed(4096);
        let options = FormatOptions::new().capability(capability);
        let region = memory.region(options).with_notifier(&sleeper);
        Future::<u64>::create(region, "future").unwrap();
        let opened = |party| Future::<u64>::open(mortals.region(region, party), "future").unwrap();
        let dead = opened(3).promise().unwrap();
        let future = opened(4);
        let owner = PartyId::new(3);
        assert_eq!(future.state(), Ok(FutureState::Promised { owner }));
        assert_eq!(future.promise().unwrap_err(), PromiseError::RoleTaken { owner });
        assert!(!future.break_if_dead());
        thread::scope(|scope| {
            let waiters = [4, 5].map(|party| scope.spawn(move || opened(party).get()));
            sleeper.until_asleep(2);
            mortals.kill(3);
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Err(FutureError::Broken));
            }
        });
        // It was not dead after all, but it is too late. With loads and stores alone only its successor writes that.
        if capability == Capability::Cas {
            assert_eq!(dead.set(7), Err(PromiseError::Settled));
        } else {
            std::mem::forget(dead);
            assert_eq!(future.try_get(), Err(FutureError::Pending));
            assert_eq!(future.promise().unwrap_err(), PromiseError::Settled);
        }
        assert_eq!(future.try_get(), Err(FutureError::Broken));
        let next = future.reset().unwrap();
        next.promise().unwrap().set(8).unwrap();
        assert_eq!(next.get(), Ok(8));
    }
}

/// The role of a dead party is taken over in a later use of the slot, which its death does not break.
#[test]
fn a_dead_party_of_an_older_use_breaks_nothing() {
    let (sleeper, mortals) = (Sleeper::new(), Mortals::new());
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let first = Future::<u64>::create(mortals.region(region, 1), "future").unwrap();
    std::mem::forget(first.promise().unwrap());
    mortals.kill(1);
    let other = Future::<u64>::open(mortals.region(region, 2), "future").unwrap();
    let next = other.reset().unwrap();
    assert_eq!(next.get_timeout(Duration::from_millis(5)), Err(FutureError::Timeout));
    assert!(!next.break_if_dead());
    next.promise().unwrap().set(3).unwrap();
    assert_eq!(next.try_get(), Ok(3));
}

#[test]
fn requests_and_responses_by_generation() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let slot = Future::<u64>::create(region, "future").unwrap();
    let (ask, asked) = std::sync::mpsc::channel::<(u64, u64)>();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (generation, question) in asked {
                // Too late if the other side has given up.
                if let Ok(promise) = slot.at_generation(generation).promise() {
                    let _ = promise.set(question * question);
                }
            }
        });
        let mut slot = slot;
        for question in 0..2000 {
            slot = slot.reset().unwrap();
            ask.send((slot.generation(), question)).unwrap();
            if question % 3 != 0 {
                assert_eq!(slot.get(), Ok(question * question));
            }
        }
        drop(ask);
    });
}

#[test]
fn distinct_errors() {
    const SHORT: Duration = Duration::from_millis(30);
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(4096);
    let region = memory.region(FormatOptions::new());
    let future = Future::<u32>::open_or_create(region, "future").unwrap();
    assert_eq!(future.get(), Err(FutureError::NoWaiter));
    let future = Future::<u32>::open_or_create(region.with_notifier(&sleeper), "future").unwrap();
    let start = Instant::now();
    assert_eq!(future.get_timeout(SHORT), Err(FutureError::Timeout));
    assert!(start.elapsed() >= SHORT, "never early");
    assert!(matches!(
        Future::<u64>::open(region, "future").unwrap_err(),
        StructureError::WrongElementSize { .. }
    ));
    assert_eq!(
        Future::<()>::create(region, "other").unwrap_err(),
        StructureError::ZeroSizedElement
    );
    assert_eq!(Kind::FUTURE.bytes(), *b"FUTR");
}

/// A peer may write anything where the text is.
#[test]
fn a_text_that_is_none_is_corrupt() {
    for (offset, byte) in [(0, 200_u8), (1, 1), (4, 0xFF)] {
        let mut memory = Memory::zeroed(4096);
        let region = memory.region(FormatOptions::new());
        let future = Future::<u32>::create(region, "future").unwrap();
        future.promise().unwrap().fail("not good").unwrap();
        let bytes = memory.bytes_mut();
        let at = bytes.windows(8).position(|bytes| bytes == b"not good").unwrap() - 4;
        bytes[at + offset] = byte;
        let region = Region::open(memory.span()).unwrap();
        let future = Future::<u32>::open(region, "future").unwrap();
        assert_eq!(future.try_get(), Err(FutureError::Corrupt));
    }
}
