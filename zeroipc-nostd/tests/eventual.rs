//! Combinators of futures: their laws, for any states of the futures below them; waiting; and what the dead have promised.
#![cfg(not(loom))]

mod memory;
mod mortals;
mod sleeper;

use memory::Memory;
use mortals::Mortals;
use proptest::prelude::*;
use sleeper::Sleeper;
use std::thread;
use std::time::{Duration, Instant};
use zeroipc_nostd::{
    all, all_of, any, Eventual, FailureText, FormatOptions, Future, FutureError, PartyId, Region,
};

/// What a future is like.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Open,
    Value(u32),
    Failed(u8),
    Broken,
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        2 => Just(State::Open),
        4 => (0..1000_u32).prop_map(State::Value),
        2 => proptest::num::u8::ANY.prop_map(State::Failed),
        1 => Just(State::Broken),
    ]
}

fn failure(number: u8) -> FutureError {
    FutureError::Failed(FailureText::new(&number.to_string()))
}

impl State {
    fn settled(self) -> Option<Result<u32, FutureError>> {
        match self {
            State::Open => None,
            State::Value(value) => Some(Ok(value)),
            State::Failed(number) => Some(Err(failure(number))),
            State::Broken => Some(Err(FutureError::Broken)),
        }
    }
}

/// Futures in these states.
fn futures<'a, const N: usize>(region: Region<'a>, states: [State; N]) -> [Future<'a, u32>; N] {
    std::array::from_fn(|at| {
        let future = Future::create(region, &format!("future {at}")).unwrap();
        match states[at] {
            State::Open => {}
            State::Value(value) => future.promise().unwrap().set(value).unwrap(),
            State::Failed(number) => future.promise().unwrap().fail(&number.to_string()).unwrap(),
            State::Broken => drop(future.promise().unwrap()),
        }
        future
    })
}

/// Each form of asking gives the same as the model, but for what a wait says that ended without it.
fn gives<'a, V, E: Eventual<'a, Value = V, Error = FutureError>>(
    eventual: &E,
    expected: Option<Result<V, FutureError>>,
) where
    V: PartialEq + std::fmt::Debug + Clone,
{
    let sleeper = Sleeper::new();
    let or = |error| expected.clone().unwrap_or(Err(error));
    assert_eq!(eventual.try_get(), or(FutureError::Pending));
    assert_eq!(eventual.get(), or(FutureError::NoWaiter));
    assert_eq!(eventual.get_timeout(Duration::from_millis(1)), or(FutureError::NoWaiter));
    assert_eq!(eventual.get_with(&sleeper, Some(0)), or(FutureError::Timeout));
    if expected.is_some() {
        assert_eq!(eventual.get_with(&sleeper, None), or(FutureError::Timeout));
    }
}

const MANY: usize = 5;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_laws_hold(states in proptest::array::uniform5(state()), add in 0..9_u32, odd in proptest::bool::ANY) {
        let mut memory = Memory::zeroed(1 << 13);
        let region = memory.region(FormatOptions::new());
        let list: [Future<'_, u32>; MANY] = futures(region, states);
        let (x, y) = (list[0], list[1]);
        let (sx, sy) = (states[0].settled(), states[1].settled());
        let f = |value: u32| value + add;
        let g = |value: u32| value * 2;
        let rename = |error: FutureError| match error {
            FutureError::Failed(_) => FutureError::Superseded,
            other => other,
        };
        // A step that fails for some values.
        let step = |value: u32| if (value % 2 == 1) == odd { Ok(value / 2) } else { Err(failure(1)) };

        // map: as the result's, identity, composition.
        gives(&x.map(f), sx.map(|x| x.map(f)));
        gives(&x.map(|value| value), sx);
        gives(&x.map(f).map(g), sx.map(|x| x.map(|value| g(f(value)))));
        gives(&x.map_err(rename), sx.map(|x| x.map_err(rename)));

        // then: as the result's `and_then`; `Ok` is its unit on both sides; associative.
        gives(&x.then(step), sx.map(|x| x.and_then(step)));
        gives(&x.then(Ok), sx);
        let unit: Result<u32, FutureError> = Ok(add);
        gives(&unit.then(step), Some(step(add)));
        gives(&x.then(step).then(step), sx.map(|x| x.and_then(|value| step(value).and_then(step))));
        gives(
            &x.then(|value| step(value).then(step)),
            sx.map(|x| x.and_then(|value| step(value).and_then(step))),
        );
        // Into another future.
        let other = |value: u32| y.map(move |other| (value, other));
        let both = match (sx, sy) {
            (Some(Err(error)), _) => Some(Err(error)),
            (Some(Ok(x)), Some(Ok(y))) => Some(Ok((x, y))),
            (Some(Ok(_)), Some(Err(error))) => Some(Err(error)),
            _ => None,
        };
        gives(&x.then(other), both);

        // combine: the same, and an early failure of the other.
        let early = match (sx, sy) {
            (None, Some(Err(error))) => Some(Err(error)),
            _ => both,
        };
        gives(&x.combine(y), early);
        gives(&x.combine(y).map(|(x, y)| (y, x)), early.map(|both| both.map(|(x, y)| (y, x))));

        // all: collected, or the first failure.
        let settled: Vec<_> = states.iter().map(|state| state.settled()).collect();
        let failed = settled.iter().flatten().find_map(|settled| settled.err());
        let collected: Option<Vec<u32>> =
            settled.iter().map(|settled| settled.and_then(Result::ok)).collect();
        let expected = match failed {
            Some(error) => Some(Err(error)),
            None => collected.map(|values| Ok(<[u32; MANY]>::try_from(values).unwrap())),
        };
        gives(&all(list), expected);
        gives(&all_of(&list), expected.map(|settled| settled.map(|_| ())));
        if settled.iter().all(Option::is_some) {
            let collect: Result<Vec<u32>, FutureError> = list.iter().map(|x| x.try_get()).collect();
            prop_assert_eq!(all(list).try_get().map(|values| values.to_vec()), collect);
        }

        // any: the first value; if all have failed the last error.
        let first = settled.iter().enumerate().find_map(|(at, settled)| match settled {
            Some(Ok(value)) => Some((at, *value)),
            _ => None,
        });
        let all_failed = settled.iter().all(|settled| matches!(settled, Some(Err(_))));
        let last = settled.last().copied().flatten().and_then(Result::err);
        let expected = first.map(Ok).or(last.filter(|_| all_failed).map(Err));
        gives(&any(list), expected);
        gives(&any(&list[..]), expected);
        gives(&any(list.to_vec()), expected);
        gives(&any([x]), sx.map(|x| x.map(|value| (0, value))));
    }
}

/// Other error types, all the way.
#[test]
fn errors_can_be_ones_own() {
    #[derive(Debug, Clone, PartialEq)]
    enum Mine {
        NotYet,
        Gone(String),
    }
    impl From<FutureError> for Mine {
        fn from(error: FutureError) -> Self {
            match error {
                FutureError::Pending | FutureError::Timeout => Mine::NotYet,
                other => Mine::Gone(other.to_string()),
            }
        }
    }
    let mut memory = Memory::zeroed(1 << 13);
    let states = [State::Value(1), State::Open, State::Failed(3)];
    let [one, open, failed] = futures(memory.region(FormatOptions::new()), states)
        .map(|future| future.map_err(Mine::from).then(|value| Ok(u64::from(value) + 1)));
    assert_eq!(one.try_get(), Ok(2));
    assert_eq!(open.get_with(&Sleeper::new(), Some(0)), Err(Mine::NotYet));
    assert_eq!(failed.try_get(), Err(Mine::Gone("the future failed: 3".into())));
    assert_eq!(all([&one, &open]).try_get(), Err(Mine::NotYet));
    assert_eq!(all([&one, &open, &failed]).try_get().err(), failed.try_get().err());
    assert_eq!(any([&open, &failed, &one]).try_get(), Ok((2, 2)));
    let none: [Future<'_, u32>; 0] = [];
    assert_eq!(any(none).try_get(), Err(FutureError::Broken));
    assert_eq!(all_of(&none).try_get(), Ok(()));
}

/// One sleep, at several words: whichever is settled ends it, and nobody looks by itself (the sleeper is deep).
#[test]
fn one_sleep_waits_for_all() {
    let sleeper = Sleeper::deep();
    let mut memory = Memory::zeroed(1 << 13);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let [a, b] = futures(region, [State::Open; 2]);
    let (pa, pb) = (a.promise().unwrap(), b.promise().unwrap());
    thread::scope(|scope| {
        let both = scope.spawn(|| a.combine(b).get());
        let list = scope.spawn(|| all([a, b]).get());
        let chain = scope.spawn(|| a.then(|value| b.map(move |other| value * 100 + other)).get());
        sleeper.until_asleep(3);
        pa.set(1).unwrap();
        // Those that waited for the first wait for the second now.
        sleeper.until_asleep(3);
        pb.set(2).unwrap();
        assert_eq!(both.join().unwrap(), Ok((1, 2)));
        assert_eq!(list.join().unwrap(), Ok([1, 2]));
        assert_eq!(chain.join().unwrap(), Ok(102));
    });
}

/// While several are waited for, the death of any of those who promised is found out.
#[test]
fn the_dead_are_noticed_while_several_are_waited_for() {
    let mortals = Mortals::new();
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(1 << 13);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let party = |number: u32| region.with_party(PartyId::new(number).unwrap(), &mortals);
    let names = ["first", "second"];
    for name in names {
        Future::<u32>::create(region, name).unwrap();
    }
    let promise =
        |number, name| Future::<u32>::open(party(number), name).unwrap().promise().unwrap();
    let (first, second) = (promise(1, "first"), promise(2, "second"));
    let list = names.map(|name| Future::<u32>::open(party(3), name).unwrap());
    mortals.kill(2);
    assert_eq!(all(list).get(), Err(FutureError::Broken));
    std::mem::forget(second);
    thread::scope(|scope| {
        let any = scope.spawn(|| any(list).get());
        first.set(7).unwrap();
        assert_eq!(any.join().unwrap(), Ok((0, 7)));
    });
}

#[test]
fn a_timeout_is_never_early() {
    let sleeper = Sleeper::new();
    let mut memory = Memory::zeroed(1 << 13);
    let region = memory.region(FormatOptions::new()).with_notifier(&sleeper);
    let list = futures(region, [State::Open; 3]);
    for timeout in [0, 5, 130].map(Duration::from_millis) {
        let start = Instant::now();
        assert_eq!(all(list).get_timeout(timeout), Err(FutureError::Timeout));
        assert!(start.elapsed() >= timeout);
    }
}
