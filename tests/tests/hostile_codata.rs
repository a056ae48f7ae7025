//! Hostile peers of Future and Lazy: whatever stands there, nothing panics, hangs, or touches memory outside. A failing case
//! names its seed.

use std::time::Duration;
use zeroipc_nostd::{
    Capability, Element, FormatOptions, Future, Geometry, Lazy, Liveness, PartyId, Region, Spin,
    View, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

const NAMES: [&str; 4] = ["answer", "block", "value", "text"];
static SPIN: Spin = Spin::new(|| 0);

/// Odd numbers are dead.
#[derive(Debug)]
struct Odd;

impl Liveness for Odd {
    fn is_dead(&self, party: PartyId) -> bool {
        party.number() & 1 != 0
    }
}

fn create(memory: &Guarded, random: &mut Random) {
    let word = random.pick(&[WordSize::Four, WordSize::Eight]);
    let line = random.pick(&[8, 16, 32, 64, 128]);
    let cas = !random.one_in(4);
    let options = FormatOptions::new()
        .geometry(Geometry::new(word, line).unwrap())
        .capability(if cas { Capability::Cas } else { Capability::LoadStore })
        .max_entries(5);
    let region = Region::create(memory.span(), &options).unwrap();
    Future::<u8>::create(region, "answer").unwrap();
    Future::<[u32; 3]>::create(region, "block").unwrap().promise().unwrap().fail("no").unwrap();
    if cas {
        Lazy::<[u32; 3]>::create(region, "value").unwrap();
        let text = Lazy::<[u8; 77]>::create(region, "text").unwrap();
        text.get_or_try_init(|| Err("not so")).unwrap_err();
    }
}

/// Spoils a word of the table's heap, most often in the control words of a structure.
fn spoil(memory: &Guarded, random: &mut Random) {
    let Ok(region) = Region::open(memory.span()) else { return };
    let entries: Vec<_> = region.view().entries().flatten().skip(1).collect();
    if entries.is_empty() {
        return;
    }
    let entry = random.pick(&entries);
    let reach = if random.one_in(2) { 80.min(entry.size) } else { entry.size };
    let at = entry.offset + random.below(reach);
    let Ok(at) = usize::try_from(at) else { return };
    if at + 8 > memory.len() {
        return;
    }
    let bits = random.bits();
    let value = random.pick(&[0, 1, 2, 3, 4, 5, 8, 255, 256, u32::MAX, bits as u32]);
    match random.below(3) {
        0 => memory.flip(at, random.below(8) as u32),
        1 => memory.write_u32(at, value),
        _ => memory.write_u64(at, bits),
    }
}

/// Opens each under each name, with a notifier and a number.
fn with_all(memory: &Guarded, mut each: impl FnMut(Region<'_>, &str)) {
    if let Ok(view) = View::open(memory.span()) {
        for entry in view.entries().flatten() {
            let _ = view.inspect(&entry);
        }
    }
    let Ok(region) = Region::open(memory.span()) else { return };
    let region = region.with_notifier(&SPIN).with_party(PartyId::new(2).unwrap(), &Odd);
    NAMES.iter().for_each(|name| each(region, name));
}

fn use_as<T: Element + std::fmt::Debug>(memory: &Guarded) {
    with_all(memory, |region, name| {
        Future::<T>::open(region, name).into_iter().for_each(use_future);
        Lazy::<T>::open(region, name).into_iter().for_each(use_lazy);
    });
}

fn use_all(memory: &Guarded) {
    use_as::<u8>(memory);
    use_as::<[u32; 3]>(memory);
    use_as::<[u8; 77]>(memory);
}

fn use_future<T: Element + std::fmt::Debug>(future: Future<'_, T>) {
    for future in [future, future.latest(), future.at_generation(u64::MAX)] {
        let shown = format!("{:?} {:?}", future.try_get(), future.state());
        assert!(!shown.is_empty());
        let _ = (future.break_if_dead(), future.get_with(&SPIN, Some(0)).is_ok());
        for settle in 0..3 {
            let Ok(promise) = future.promise() else { continue };
            let _ = match settle {
                0 => promise.set(T::new_zeroed()),
                1 => promise.fail("a text"),
                _ => {
                    drop(promise);
                    Ok(())
                }
            };
        }
        if let Ok(next) = future.reset() {
            let _ = next.promise().map(|promise| promise.set(T::new_zeroed()));
        }
    }
}

fn use_lazy<T: Element + std::fmt::Debug>(lazy: Lazy<'_, T>) {
    for _ in 0..2 {
        let shown = format!("{:?} {:?}", lazy.peek(), lazy.state());
        assert!(!shown.is_empty());
        let _ = lazy.get_or_init_with(&SPIN, Some(0), T::new_zeroed).is_ok();
        let _ = lazy.try_get_or_init(|| Err::<T, _>("a text")).is_ok();
        lazy.invalidate();
        drop(lazy.try_begin());
        if let Ok(Ok(evaluation)) = lazy.try_begin() {
            let _ = evaluation.fail("another");
        }
    }
}

#[test]
fn spoilt_before_opening_and_while_open() {
    let _watchdog = watchdog(Duration::from_secs(300), "hostile codata");
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let memory = Guarded::new(4096);
        create(&memory, &mut random);
        for _ in 0..random.below(8) {
            spoil(&memory, &mut random);
        }
        use_all(&memory);
        // Spoilt between opening and use: handles keep what they checked.
        with_all(&memory, |region, name| {
            let (small, block) =
                (Future::<u8>::open(region, name), Future::<[u32; 3]>::open(region, name));
            let (value, text) =
                (Lazy::<[u32; 3]>::open(region, name), Lazy::<[u8; 77]>::open(region, name));
            (0..20).for_each(|_| spoil(&memory, &mut random));
            small.into_iter().for_each(use_future);
            block.into_iter().for_each(use_future);
            value.into_iter().for_each(use_lazy);
            text.into_iter().for_each(use_lazy);
        });
        use_all(&memory);
        assert!(memory.is_intact(), "memory outside was written with seed {seed}");
    }
}
