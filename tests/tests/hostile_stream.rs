//! Hostile peers of Stream: whatever stands there, nothing panics, hangs, or touches memory outside. A failing case names its
//! seed.

use std::time::Duration;
use zeroipc_nostd::{
    Capability, Element, FormatOptions, Geometry, Liveness, PartyId, Region, Spin, Stream,
    StreamOptions, View, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

const NAMES: [&str; 3] = ["many", "one", "slow"];
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
    let single = StreamOptions::new().single_publisher();
    let one = Stream::<[u32; 3]>::create_with(region, "one", 4, &single).unwrap();
    let mut publisher = one.publisher().unwrap();
    (0..6).for_each(|n| assert!(publisher.try_emit([n; 3]).is_ok()));
    if cas {
        let few = StreamOptions::new().spares(2);
        let many = Stream::<u8>::create_with(region, "many", 4, &few).unwrap();
        (0..6).for_each(|n| assert!(many.try_emit(n).is_ok()));
        let slow =
            Stream::<[u32; 3]>::create_with(region, "slow", 2, &few.backpressure(2)).unwrap();
        assert!(slow.try_emit([1; 3]).is_ok());
        std::mem::forget(slow.subscribe().unwrap());
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
    let reach = if random.one_in(2) { 128.min(entry.size) } else { entry.size };
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
        Stream::<T>::open(region, name).into_iter().for_each(use_stream);
    });
}

fn use_all(memory: &Guarded) {
    use_as::<u8>(memory);
    use_as::<[u32; 3]>(memory);
}

fn use_stream<T: Element + std::fmt::Debug>(stream: Stream<'_, T>) {
    let value = T::new_zeroed();
    let at = stream.next_sequence().wrapping_sub(1);
    let subscribers = [stream.subscribe(), stream.subscribe_from_oldest(), stream.subscribe_at(at)];
    for mut subscriber in subscribers.into_iter().flatten() {
        for _ in 0..3 {
            let shown = format!("{:?} {:?}", subscriber.peek(), subscriber.try_next());
            assert!(!shown.is_empty());
            let _ = stream.try_emit(value).is_ok();
        }
        let _ = subscriber.next_with(&SPIN, Some(0)).is_ok();
        let _ = (subscriber.lag(), subscriber.available());
    }
    for publisher in [stream.publisher(), stream.take_over_publisher()] {
        let Ok(mut publisher) = publisher else { continue };
        for _ in 0..5 {
            let _ = publisher.try_emit(value).is_ok();
        }
        let _ = publisher.emit_with(value, &SPIN, Some(0)).is_ok();
        drop(format!("{publisher:?}"));
    }
    let _ = stream.emit_with(value, &SPIN, Some(0)).is_ok();
    let _ = (stream.len(), stream.is_closed(), stream.remove_dead_subscribers());
    let _ = (stream.oldest_sequence(), stream.registered_subscribers(), stream.capacity());
    if at.is_multiple_of(3) {
        let _ = stream.close().is_ok();
    }
}

#[test]
fn spoilt_before_opening_and_while_open() {
    let _watchdog = watchdog(Duration::from_secs(300), "hostile streams");
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
            let small = Stream::<u8>::open(region, name);
            let block = Stream::<[u32; 3]>::open(region, name);
            let subscriber = block.as_ref().ok().and_then(|stream| stream.subscribe().ok());
            let publisher = block.as_ref().ok().and_then(|stream| stream.publisher().ok());
            (0..20).for_each(|_| spoil(&memory, &mut random));
            small.into_iter().for_each(use_stream);
            block.into_iter().for_each(use_stream);
            if let (Some(mut publisher), Some(mut subscriber)) = (publisher, subscriber) {
                for n in 0..9 {
                    let _ = (publisher.try_emit([n; 3]).is_ok(), subscriber.try_next());
                }
            }
        });
        use_all(&memory);
        assert!(memory.is_intact(), "memory outside was written with seed {seed}");
    }
}
