//! Histories of a Signal, checked for linearizability to a register with a version.

use stateright::semantics::SequentialSpec;
use zeroipc_nostd::{FormatOptions, Geometry, Region, Signal, SignalError, WordSize};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::history::check;
use zeroipc_tests::random::Random;

/// A value with a version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Versioned {
    value: u64,
    version: u64,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Get,
    Version,
    Set(u64),
    Add(u64),
    /// By this version.
    Compare(u64, u64),
}

#[derive(Debug, Clone, PartialEq)]
enum Ret {
    /// Value and version.
    Got(u64, u64),
    /// The version, found or made.
    Version(u64),
    /// Old and new value.
    Updated(u64, u64),
    /// The version that was there.
    Changed(u64),
}

impl SequentialSpec for Versioned {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        let set = |this: &mut Self, value| {
            this.value = value;
            this.version += 1;
            Ret::Version(this.version)
        };
        match *op {
            Op::Get => Ret::Got(self.value, self.version),
            Op::Version => Ret::Version(self.version),
            Op::Set(value) => set(self, value),
            Op::Add(by) => {
                let old = self.value;
                set(self, old + by);
                Ret::Updated(old, self.value)
            }
            Op::Compare(version, value) if version == self.version => set(self, value),
            Op::Compare(..) => Ret::Changed(self.version),
        }
    }
}

/// A value as wide as to take several accesses.
type Wide = [u64; 8];

fn wide(n: u64) -> Wide {
    [n; 8]
}

fn narrow(value: Wide) -> u64 {
    assert_eq!(value, wide(value[0]), "a torn value");
    value[0]
}

fn run(signal: &Signal<'_, Wide>, op: Op) -> Ret {
    match op {
        Op::Get => {
            let (value, version) = signal.get_with_version().unwrap();
            Ret::Got(narrow(value), version)
        }
        Op::Version => Ret::Version(signal.version()),
        Op::Set(value) => Ret::Version(signal.set(wide(value)).unwrap()),
        Op::Add(by) => {
            let (old, new) = signal.update(|old| wide(narrow(old) + by)).unwrap();
            Ret::Updated(narrow(old), narrow(new))
        }
        Op::Compare(version, value) => match signal.compare_version_and_set(version, wide(value)) {
            Ok(version) => Ret::Version(version),
            Err(SignalError::Changed { version }) => Ret::Changed(version),
            Err(error) => panic!("{error}"),
        },
    }
}

fn options(word: WordSize) -> FormatOptions {
    FormatOptions::new().max_entries(2).geometry(Geometry::new(word, 64).unwrap())
}

#[test]
fn many_writers() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let word = random.pick(&[WordSize::Four, WordSize::Eight]);
        let memory = Guarded::new(4096);
        let region = Region::create(memory.span(), &options(word)).unwrap();
        // One slot for each of three threads, and one that is current: reused as soon as possible.
        let signal = Signal::create_with_slots(region, "signal", wide(0), 5).unwrap();
        let programs = (1..4)
            .map(|thread| {
                let mut op = |n| match random.below(6) {
                    0 | 1 => Op::Get,
                    2 => Op::Version,
                    3 => Op::Set(100 * thread + n),
                    4 => Op::Add(1000 * thread),
                    _ => Op::Compare(random.below(8), 100 * thread + n),
                };
                (0..5).map(&mut op).collect()
            })
            .collect();
        check(Versioned { value: 0, version: 0 }, programs, |_, op| run(&signal, *op));
        assert!(memory.is_intact());
    }
}

#[test]
fn one_writer() {
    for seed in 0..1000 {
        let mut random = Random::new(seed);
        let word = random.pick(&[WordSize::Four, WordSize::Eight]);
        let memory = Guarded::new(4096);
        let region = Region::create(memory.span(), &options(word)).unwrap();
        let signal = Signal::create_single_writer(region, "signal", wide(0), 3).unwrap();
        let writer = std::sync::Mutex::new(signal.writer().unwrap());
        let mut programs: Vec<Vec<Op>> =
            vec![(1..7).map(|n| if random.one_in(3) { Op::Add(n) } else { Op::Set(n) }).collect()];
        for _ in 0..2 {
            programs.push((0..5).map(|_| random.pick(&[Op::Get, Op::Get, Op::Version])).collect());
        }
        check(Versioned { value: 0, version: 0 }, programs, |_, op| match *op {
            // Only thread 0 comes here.
            Op::Set(value) => Ret::Version(writer.lock().unwrap().set(wide(value))),
            Op::Add(by) => {
                let mut writer = writer.lock().unwrap();
                let (old, new) = writer.update(|old| wide(narrow(old) + by)).unwrap();
                Ret::Updated(narrow(old), narrow(new))
            }
            op => run(&signal, op),
        });
    }
}
