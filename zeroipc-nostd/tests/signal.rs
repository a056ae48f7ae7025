//! Signal against a plain variable and a counter, across the wrap of its versions, and what creation and opening refuse.
#![cfg(not(loom))]

#[macro_use]
mod elements;
mod memory;
mod sleeper;

use elements::{Sample, TYPES};
use memory::{geometries, Memory};
use proptest::prelude::*;
use sleeper::Sleeper;
use std::thread;
use zeroipc_nostd::{
    Array, Capability, FormatOptions, Geometry, Kind, Region, Ring, Signal, SignalError,
    SignalWriter, Spin, StructureError, WaitError, WordSize,
};

#[derive(Debug, Clone, Copy)]
enum Step {
    Set(usize),
    Update,
    /// With the version that is current, or another.
    Compare(bool),
    /// Goes on with the handle of another party.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_usize..40).prop_map(Step::Set),
        4 => Just(Step::Update),
        4 => any::<bool>().prop_map(Step::Compare),
        1 => Just(Step::Reopen),
    ]
}

/// Who may write, and in which region.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Many,
    One,
    OneByLoadsAndStores,
}

const FORMS: [Form; 3] = [Form::Many, Form::One, Form::OneByLoadsAndStores];

fn options(form: Form, geometry: Geometry) -> FormatOptions {
    let capability = match form {
        Form::OneByLoadsAndStores => Capability::LoadStore,
        _ => Capability::Cas,
    };
    FormatOptions::new().max_entries(4).geometry(geometry).capability(capability)
}

fn create<T: Sample>(form: Form, region: Region<'_>, slots: u32) -> Signal<'_, T> {
    let initial = T::nth(0);
    let signal = match form {
        Form::One => Signal::create_single_writer(region, "signal", initial, slots),
        _ => Signal::create_with_slots(region, "signal", initial, slots),
    };
    signal.unwrap()
}

/// Both ways to write behind one face.
#[derive(Debug)]
enum Pen<'a, T: Sample> {
    Many(Signal<'a, T>),
    One(SignalWriter<'a, T>),
}

impl<'a, T: Sample> Pen<'a, T> {
    fn of(signal: Signal<'a, T>) -> Self {
        if signal.has_single_writer() {
            Pen::One(signal.writer().unwrap())
        } else {
            Pen::Many(signal)
        }
    }

    fn set(&mut self, value: T) -> u64 {
        match self {
            Pen::Many(signal) => signal.set(value).unwrap(),
            Pen::One(writer) => writer.set(value),
        }
    }

    fn update(&mut self, value: T) -> (T, T) {
        match self {
            Pen::Many(signal) => signal.update(|_| value).unwrap(),
            Pen::One(writer) => writer.update(|_| value).unwrap(),
        }
    }
}

fn agrees<T: Sample>(form: Form, geometry: Geometry, shift: usize, slots: u32, steps: &[Step]) {
    let slots = if form == Form::Many { slots.max(3) } else { slots };
    let mut memory = Memory::filled(16384, 0xA5).shifted(shift);
    let span = memory.span();
    let region = Region::create(span, &options(form, geometry)).unwrap();
    let mut signal = create::<T>(form, region, slots);
    assert_eq!(signal.slots(), slots as usize);
    assert_eq!(signal.has_single_writer(), form != Form::Many);
    let guard = Array::<u8>::create(region, "guard", 8).unwrap();
    let entry = region.view().find("signal").unwrap();
    // The block: its end on 8 bytes, and in front of the structure its intent and the way to the next line.
    let most = entry.size.next_multiple_of(8) + 40 + u64::from(geometry.line_bytes()) - 8;
    assert_eq!(Signal::<T>::footprint(geometry, slots), Some(most));
    let mut pen = Pen::of(signal);
    let (mut value, mut version) = (T::nth(0), 0);
    for step in steps {
        match *step {
            Step::Set(count) => {
                for _ in 0..count {
                    version += 1;
                    value = T::nth(version);
                    assert_eq!(pen.set(value), version);
                }
            }
            Step::Update => {
                version += 1;
                let old = value;
                value = T::nth(version);
                assert_eq!(pen.update(value), (old, value));
            }
            Step::Compare(right) => {
                let expected = if right { version } else { version + 1 };
                let new = T::nth(version + 1);
                let set = signal.compare_version_and_set(expected, new);
                if form != Form::Many {
                    assert_eq!(set, Err(SignalError::SingleWriter));
                } else if right {
                    (version, value) = (version + 1, new);
                    assert_eq!(set, Ok(version));
                } else {
                    assert_eq!(set, Err(SignalError::Changed { version }));
                }
            }
            Step::Reopen => {
                drop(pen);
                signal = Signal::open(Region::open(span).unwrap(), "signal").unwrap();
                pen = Pen::of(signal);
            }
        }
        assert_eq!(signal.get(), Ok(value));
        assert_eq!(signal.get_with_version(), Ok((value, version)));
        let mut into = T::nth(1 << 40);
        assert_eq!((signal.get_into(&mut into), into), (Ok(version), value));
        assert_eq!(signal.version(), version);
        assert_eq!(region.view().inspect(&entry).unwrap().fill, Some(version));
    }
    assert!(guard.iter().eq([0; 8]), "wrote beyond the signal");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_signal_is_a_variable_with_a_version(
        which in 0..TYPES,
        form in prop::sample::select(FORMS.to_vec()),
        geometry in prop::sample::select(geometries()),
        shift in prop::sample::select(vec![0_usize, 8, 24, 64]),
        slots in 2_u32..=33,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        for_type!(which, agrees(form, geometry, shift, slots, &steps));
    }
}

/// With 4-byte words and 8 slots there are 29 bits of version, with 2 slots 30.
#[test]
fn versions_wrap() {
    for (form, slots, bits) in [(Form::Many, 8, 3), (Form::One, 2, 2), (Form::One, 5, 3)] {
        let geometry = Geometry::SMALLEST;
        let last = u32::MAX >> bits;
        let mut memory = Memory::zeroed(4096);
        let region = memory.region(options(form, geometry));
        create::<u64>(form, region, slots);
        let at = region.view().find("signal").unwrap().offset as usize;
        // `current`, and the stamp of slot 0, as after so many sets.
        for offset in [40, 48] {
            let near = (last - 2) << bits;
            memory.bytes_mut()[at + offset..][..4].copy_from_slice(&near.to_le_bytes());
        }
        let region = Region::open(memory.span()).unwrap();
        let signal = Signal::<u64>::open(region, "signal").unwrap();
        assert_eq!(signal.get_with_version(), Ok((u64::nth(0), u64::from(last) - 2)));
        let mut pen = Pen::of(signal);
        for n in 0..40 {
            let version = u64::from((last - 1).wrapping_add(n) & last);
            assert_eq!(pen.set(u64::from(n)), version);
            assert_eq!(signal.get_with_version(), Ok((u64::from(n), version)));
        }
    }
}

fn region_in(memory: &mut Memory, word: WordSize) -> Region<'_> {
    let geometry = Geometry::new(word, 8).unwrap();
    memory.region(FormatOptions::new().max_entries(8).geometry(geometry))
}

#[test]
fn distinct_errors() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory, WordSize::Four);
    let many = |slots| Signal::create_with_slots(region, "signal", 7_u32, slots).unwrap_err();
    let one = |slots| Signal::create_single_writer(region, "signal", 7_u32, slots).unwrap_err();
    for slots in [0, 2, 257, u32::MAX] {
        assert!(matches!(many(slots), StructureError::BadCapacity { min: 3, max: 256, .. }));
    }
    for slots in [0, 1, 257] {
        assert!(matches!(one(slots), StructureError::BadCapacity { min: 2, max: 256, .. }));
    }
    assert!(matches!(
        Signal::create(region, "signal", [0_u8; 4096]),
        Err(StructureError::NoSpace { .. })
    ));
    assert!(matches!(
        Signal::create(region, "signal", [0_u8; 0]),
        Err(StructureError::ZeroSizedElement)
    ));
    assert!(matches!(Signal::<u32>::open(region, "signal"), Err(StructureError::NotFound { .. })));

    let signal = Signal::create(region, "signal", 7_u32).unwrap();
    assert!(matches!(many(8), StructureError::Exists { .. }));
    assert!(matches!(
        Signal::<u64>::open(region, "signal"),
        Err(StructureError::WrongElementSize { expected: 8, found: 4, .. })
    ));
    assert!(matches!(
        Ring::<u32>::open(region, "signal"),
        Err(StructureError::WrongKind { expected: Kind::RING, found: Kind::SIGNAL, .. })
    ));
    assert_eq!(signal.writer().unwrap_err(), SignalError::ManyWriters);
    assert_eq!(signal.take_over_writer().unwrap_err(), SignalError::ManyWriters);
    assert_eq!(Signal::<[u8; 0]>::footprint(Geometry::default(), 8), None);
    assert_eq!(Signal::<u8>::footprint(Geometry::default(), 257), None);

    let one = Signal::create_single_writer(region, "one", 7_u32, 2).unwrap();
    assert_eq!(one.set(8), Err(SignalError::SingleWriter));
    assert_eq!(one.update(|value| value), Err(SignalError::SingleWriter));
    assert_eq!(one.get(), Ok(7));
}

#[test]
fn open_or_create() {
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory, WordSize::Eight);
    let one = Signal::open_or_create(region, "signal", 1_u32).unwrap();
    assert_eq!(one.set(2), Ok(1));
    // What is there counts, of either form.
    assert_eq!(Signal::open_or_create(region, "signal", 9_u32).unwrap().get(), Ok(2));
    Signal::create_single_writer(region, "one", 5_u32, 3).unwrap();
    assert_eq!(Signal::open_or_create(region, "one", 9_u32).unwrap().get(), Ok(5));
}

#[test]
fn the_role_is_held_by_one() {
    for form in [Form::One, Form::OneByLoadsAndStores] {
        let mut memory = Memory::zeroed(4096);
        let span = memory.span();
        let region = Region::create(span, &options(form, Geometry::default())).unwrap();
        let signal = create::<u64>(form, region, 4);
        let other = Signal::<u64>::open(Region::open(span).unwrap(), "signal").unwrap();
        let mut writer = signal.writer().unwrap();
        assert_eq!(other.writer().unwrap_err(), SignalError::RoleTaken);
        assert_eq!(writer.set(10), 1);
        drop(writer);
        // The next one goes on where the last one stopped.
        let mut writer = other.writer().unwrap();
        assert_eq!(writer.update(|value| value + 1), Ok((10, 11)));
        assert_eq!(writer.signal().get_with_version(), Ok((11, 2)));
        let mut next = signal.take_over_writer().unwrap();
        assert_eq!(next.set(12), 3);
        drop(writer);
        assert_eq!(other.writer().unwrap_err(), SignalError::RoleTaken);
        drop(next);
        drop(other.writer().unwrap());
    }
}

/// A region whose parties do not all have compare-and-exchange: made anew as such, with a signal of many writers in it.
#[test]
fn a_party_without_compare_and_exchange_reads_what_many_write() {
    static SPIN: Spin = Spin::new(|| 0);
    let mut memory = Memory::zeroed(4096);
    let region = region_in(&mut memory, WordSize::Four);
    Signal::create(region, "signal", 5_u32).unwrap().set(6).unwrap();
    let record = region.view().heap_offset() as usize - 32;
    // Flag bit 0 of the record: here it stands for a party that has none.
    memory.bytes_mut()[record + 12] &= !1;
    let region = Region::open(memory.span()).unwrap();
    let signal = Signal::<u32>::open(region, "signal").unwrap();
    assert_eq!(signal.get_with_version(), Ok((6, 1)));
    assert_eq!(signal.set(7), Err(SignalError::NeedsCas));
    assert_eq!(signal.update(|value| value), Err(SignalError::NeedsCas));
    assert_eq!(signal.compare_version_and_set(1, 7), Err(SignalError::NeedsCas));
    assert_eq!(signal.wait_for_change_with(0, &SPIN, Some(0)), Ok((6, 1)));
    assert_eq!(signal.wait_for_change_with(1, &SPIN, Some(0)), Err(WaitError::Timeout));
}

/// A value of which every part tells the others.
type Block = [u64; 16];

fn block(n: u64) -> Block {
    std::array::from_fn(|i| n.wrapping_mul(i as u64 + 1))
}

fn number(found: Block) -> u64 {
    assert_eq!(found, block(found[0]), "a torn value");
    found[0]
}

/// Reads until version `last`; values match, and neither they nor versions go back.
fn read_until(signal: Signal<'_, Block>, last: u64) {
    let (mut value, mut version) = (0, 0);
    while version < last {
        match signal.get_with_version() {
            Ok((found, at)) => {
                assert!(at >= version, "version {at} after {version}");
                let found = number(found);
                assert!(found >= value);
                (value, version) = (found, at);
            }
            Err(error) => assert_eq!(error, SignalError::Contended),
        }
    }
}

#[test]
fn readers_see_whole_values_of_many_writers() {
    const EACH: u64 = 20_000;
    for (word, slots) in [(WordSize::Four, 3), (WordSize::Eight, 4), (WordSize::Eight, 8)] {
        let mut memory = Memory::zeroed(16384);
        let region = region_in(&mut memory, word);
        let signal = Signal::create_with_slots(region, "signal", block(0), slots).unwrap();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(move || read_until(signal, 2 * EACH));
                scope.spawn(move || {
                    for _ in 0..EACH {
                        // With 3 slots a writer that was interrupted and one more in the way are enough.
                        while signal.update(|old| block(number(old) + 1)).is_err() {
                            thread::yield_now();
                        }
                    }
                });
            }
        });
        // Each update counted: nothing was lost.
        assert_eq!(signal.get_with_version(), Ok((block(2 * EACH), 2 * EACH)));
    }
}

#[test]
fn readers_see_whole_values_of_one_writer() {
    const COUNT: u64 = 100_000;
    for (form, slots) in [(Form::One, 2), (Form::One, 8), (Form::OneByLoadsAndStores, 3)] {
        let mut memory = Memory::zeroed(16384);
        let region = memory.region(options(form, Geometry::SMALLEST));
        let signal = match form {
            Form::One => Signal::create_single_writer(region, "signal", block(0), slots),
            _ => Signal::create_with_slots(region, "signal", block(0), slots),
        }
        .unwrap();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(move || read_until(signal, COUNT));
            }
            let mut writer = signal.writer().unwrap();
            for n in 1..=COUNT {
                assert_eq!(writer.set(block(n)), n);
            }
        });
    }
}

/// Of the parties that set by the version that they saw, one wins each version.
#[test]
fn each_version_is_won_once() {
    const ROUNDS: u64 = 10_000;
    let mut memory = Memory::zeroed(4096);
    let signal = Signal::create(region_in(&mut memory, WordSize::Eight), "signal", 0_u64).unwrap();
    let won: Vec<Vec<u64>> = thread::scope(|scope| {
        let parties = [1, 2, 3].map(|party| {
            scope.spawn(move || {
                let mut won = Vec::new();
                loop {
                    let version = signal.version();
                    if version >= ROUNDS {
                        return won;
                    }
                    match signal.compare_version_and_set(version, party) {
                        Ok(set) => {
                            assert_eq!(set, version + 1);
                            won.push(set);
                        }
                        Err(SignalError::Changed { version: found }) => assert!(found > version),
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        parties.map(|party| party.join().unwrap()).to_vec()
    });
    let mut all = won.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=signal.version()));
}

/// One call wakes all that sleep; afterwards, and while nobody sleeps, there is none.
#[test]
fn a_set_wakes_all_by_one_call() {
    for form in FORMS {
        let sleeper = Sleeper::new();
        let mut memory = Memory::zeroed(4096);
        let region = memory.region(options(form, Geometry::default())).with_notifier(&sleeper);
        let signal = create::<u64>(form, region, 4);
        let mut pen = Pen::of(signal);
        for round in 0..3 {
            let since = signal.version();
            thread::scope(|scope| {
                let waiters = [(); 3].map(|()| scope.spawn(move || signal.wait_for_change(since)));
                sleeper.until_asleep(3);
                pen.set(round);
                for waiter in waiters {
                    assert_eq!(waiter.join().unwrap(), Ok((round, since + 1)));
                }
            });
            (0..100).for_each(|n| assert_eq!(pen.set(n), since + 2 + n));
            let wakes = sleeper.wakes();
            // A sleeper that looked by itself meanwhile, on a busy machine, may have announced itself anew.
            assert!(!wakes.is_empty() && wakes.iter().all(|count| *count == u32::MAX));
            assert!(wakes.len() == 1 || sleeper.sleeps() > 3 * (round as u32 + 1));
        }
    }
}
