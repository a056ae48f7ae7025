//! Histories of operations that overlap, checked for linearizability.
//!
//! Each thread notes when it calls an operation and when that returns, on one clock that all share. Afterwards the checker
//! of the crate `stateright` looks for an order of the operations that agrees with the clock and with a sequential model.
//! The search is exponential in what overlaps, so a history is a handful of operations for each of a few threads, and a
//! test checks thousands of histories.

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::Barrier;

/// What one thread did: each operation, its result, and the moments of its call and its return.
#[derive(Debug, Clone)]
struct Event<O, R> {
    op: O,
    ret: R,
    called: u64,
    returned: u64,
}

type Threads<S> = Vec<Vec<Event<<S as SequentialSpec>::Op, <S as SequentialSpec>::Ret>>>;

/// Runs `programs` (the operations of each thread, in order) at the same time, each operation by `run`, and checks that
/// what came back is linearizable to `model`.
///
/// # Panics
/// If it is not; the history is in the message.
pub fn check<S>(
    model: S,
    programs: Vec<Vec<S::Op>>,
    run: impl Fn(usize, &S::Op) -> S::Ret + Send + Sync,
) where
    S: SequentialSpec + Clone,
    S::Op: Clone + Debug + Send,
    S::Ret: Clone + Debug + Send,
{
    let clock = AtomicU64::new(0);
    let start = Barrier::new(programs.len());
    let threads: Threads<S> = std::thread::scope(|scope| {
        let running: Vec<_> = programs
            .into_iter()
            .enumerate()
            .map(|(thread, program)| {
                let (clock, start, run) = (&clock, &start, &run);
                scope.spawn(move || {
                    start.wait();
                    let one = |op: S::Op| {
                        let called = clock.fetch_add(1, SeqCst);
                        let ret = run(thread, &op);
                        Event { op, ret, called, returned: clock.fetch_add(1, SeqCst) }
                    };
                    program.into_iter().map(one).collect()
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a thread of the history")).collect()
    });
    assert!(linearizable(model, &threads), "not linearizable: {threads:#?}");
}

fn linearizable<S>(model: S, threads: &Threads<S>) -> bool
where
    S: SequentialSpec + Clone,
    S::Op: Clone + Debug,
    S::Ret: Clone + Debug,
{
    enum Moment<'a, S: SequentialSpec> {
        Call(&'a S::Op),
        Return(&'a S::Ret),
    }
    let mut moments: Vec<(u64, usize, Moment<'_, S>)> = threads
        .iter()
        .enumerate()
        .flat_map(|(thread, events)| events.iter().map(move |event| (thread, event)))
        .flat_map(|(thread, event)| {
            [
                (event.called, thread, Moment::Call(&event.op)),
                (event.returned, thread, Moment::Return(&event.ret)),
            ]
        })
        .collect();
    moments.sort_by_key(|(time, ..)| *time);
    let mut tester = LinearizabilityTester::new(model);
    for (_, thread, moment) in moments {
        let fed = match moment {
            Moment::Call(op) => tester.on_invoke(thread, op.clone()).map(drop),
            Moment::Return(ret) => tester.on_return(thread, ret.clone()).map(drop),
        };
        fed.expect("a well-formed history: each thread returns before it calls again");
    }
    tester.is_consistent()
}

#[cfg(test)]
mod tests {
    use super::{check, linearizable, Event};
    use stateright::semantics::register::{Register, RegisterOp, RegisterRet};
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    #[test]
    fn an_atomic_register_is_linearizable() {
        for _ in 0..200 {
            let register = AtomicU32::new(0);
            let programs = (1..4_u32)
                .map(|n| vec![RegisterOp::Write(n), RegisterOp::Read, RegisterOp::Write(10 * n)])
                .collect();
            check(Register(0), programs, |_, op| match op {
                RegisterOp::Write(value) => {
                    register.store(*value, SeqCst);
                    RegisterRet::WriteOk
                }
                RegisterOp::Read => RegisterRet::ReadOk(register.load(SeqCst)),
            });
        }
    }

    #[test]
    fn a_read_of_what_was_overwritten_is_not() {
        let event = |op, ret, called| Event { op, ret, called, returned: called + 1 };
        let writer = [1, 2]
            .map(|n: u32| event(RegisterOp::Write(n), RegisterRet::WriteOk, u64::from(4 * n)));
        let reader = |value| vec![event(RegisterOp::Read, RegisterRet::ReadOk(value), 20)];
        assert!(!linearizable(Register(0), &vec![writer.to_vec(), reader(1)]));
        assert!(linearizable(Register(0), &vec![writer.to_vec(), reader(2)]));
    }
}
