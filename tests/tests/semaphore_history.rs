//! Histories of a Semaphore are linearizable: what each saw agrees with one order of all that was done.

use stateright::semantics::SequentialSpec;
use zeroipc_nostd::{FormatOptions, Region, Semaphore, TryAcquireError};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::history::check;
use zeroipc_tests::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Acquire(u32),
    Release(u32),
    Available,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ret {
    Did(bool),
    Free(u32),
}

#[derive(Debug, Clone, Copy)]
struct Model {
    free: u32,
    max: u32,
}

impl SequentialSpec for Model {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        let after = match *op {
            Op::Acquire(count) => self.free.checked_sub(count),
            Op::Release(count) => Some(self.free + count).filter(|free| *free <= self.max),
            Op::Available => return Ret::Free(self.free),
        };
        self.free = after.unwrap_or(self.free);
        Ret::Did(after.is_some())
    }
}

#[test]
fn a_semaphore_is_linearizable() {
    for seed in 0..1500 {
        let mut random = Random::new(seed);
        let memory = Guarded::new(1024);
        let region = Region::create(memory.span(), &FormatOptions::new()).unwrap();
        let (free, max) = random.pick(&[(0, 1), (1, 1), (1, 2), (2, 3)]);
        let semaphore = Semaphore::create(region, "permits", free, max).unwrap();
        let programs = (0..3)
            .map(|_| {
                (0..4)
                    .map(|_| {
                        let count = 1 + random.below(u64::from(max)) as u32;
                        random.pick(&[Op::Acquire(count), Op::Release(count), Op::Available])
                    })
                    .collect()
            })
            .collect();
        check(Model { free, max }, programs, |_, op| match *op {
            Op::Acquire(count) => match semaphore.try_acquire_many(count) {
                Ok(permit) => {
                    permit.forget();
                    Ret::Did(true)
                }
                Err(error) => {
                    assert_eq!(error, TryAcquireError::NoPermits);
                    Ret::Did(false)
                }
            },
            Op::Release(count) => Ret::Did(semaphore.release_many(count).is_ok()),
            Op::Available => Ret::Free(semaphore.available()),
        });
    }
}
