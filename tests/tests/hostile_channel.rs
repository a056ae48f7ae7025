//! Hostile peers of Channel and select: whatever stands there, nothing panics, hangs, or touches memory outside. A failing case names
//! its seed.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;
use zeroipc_nostd::{
    select_with, try_select, Channel, Element, FormatOptions, Geometry, Liveness, PartyId, Region,
    Selectable, Spin, View, WakerTable, WithReactor, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

const NAMES: [&str; 4] = ["numbers", "bytes", "met", "blocks"];
static SPIN: Spin = Spin::new(|| 0);
static TASKS: WakerTable<8> = WakerTable::new();
static WAIT: WithReactor<'static, Spin> = WithReactor::new(Spin::new(|| 0), &TASKS);

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
    let options = FormatOptions::new().geometry(Geometry::new(word, line).unwrap()).max_entries(5);
    let region = Region::create(memory.span(), &options).unwrap();
    Channel::<u32>::create(region, "numbers", 4).unwrap();
    Channel::<u8>::create(region, "bytes", 2).unwrap().try_send(1).unwrap();
    Channel::<u32>::create_with_places(region, "met", 2).unwrap();
    Channel::<[u32; 3]>::create_with_places(region, "blocks", 1).unwrap();
}

/// Spoils a word of the table's heap, most often in the control words of a structure.
fn spoil(memory: &Guarded, random: &mut Random) {
    let Ok(region) = Region::open(memory.span()) else { return };
    let entries: Vec<_> = region.view().entries().flatten().skip(1).collect();
    if entries.is_empty() {
        return;
    }
    let entry = random.pick(&entries);
    let reach = if random.one_in(4) { 64.min(entry.size) } else { entry.size };
    let at = entry.offset + random.below(reach) / 4 * 4;
    let Ok(at) = usize::try_from(at) else { return };
    if at + 8 > memory.len() {
        return;
    }
    // Phases of claim words, bits of bitmaps, and offsets in the region among them.
    let bits = random.bits();
    let place = entry.offset as u32 + random.below(entry.size) as u32 / 8 * 8;
    let value = random.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 259, place, place, u32::MAX, bits as u32]);
    match random.below(3) {
        0 => memory.flip(at, random.below(8) as u32),
        1 => memory.write_u32(at, value),
        _ => memory.write_u64(at, if random.one_in(2) { u64::from(value) } else { bits }),
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
    let region = region.with_notifier(&WAIT).with_party(PartyId::new(2).unwrap(), &Odd);
    NAMES.iter().for_each(|name| each(region, name));
}

fn use_as<T: Element + std::fmt::Debug>(memory: &Guarded) {
    with_all(memory, |region, name| {
        Channel::<T>::open(region, name).into_iter().for_each(|channel| use_channel(&channel));
    });
}

fn use_all(memory: &Guarded) {
    use_as::<u8>(memory);
    use_as::<u32>(memory);
    use_as::<[u32; 3]>(memory);
}

fn use_channel<T: Element + std::fmt::Debug>(channel: &Channel<'_, T>) {
    let value = T::new_zeroed();
    for _ in 0..3 {
        let _ = channel.try_send(value).is_ok();
        let _ = (channel.try_recv().is_ok(), channel.len(), channel.is_closed());
        let _ = channel.send_with(value, &SPIN, Some(0)).is_ok();
        let _ = channel.recv_with(&SPIN, Some(0)).is_ok();
        let (send, recv) = (channel.select_send(value), channel.select_recv());
        let cases: [&dyn Selectable; 2] = [&send, &recv];
        let _ = (try_select(&cases), select_with(&cases, &SPIN, Some(0)).is_ok());
        let _ = (send.result().is_some(), recv.result().is_some());
    }
    assert!(channel.try_iter().take(8).count() <= 8);
}

fn poll<F: Future + Unpin>(future: &mut F) {
    let _ = Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_ready();
}

/// Tasks wait at it while it is spoilt.
fn wait_in_tasks<T: Element>(channel: &Channel<'_, T>, mut spoil: impl FnMut()) {
    let value = T::new_zeroed();
    let (mut recv, mut send) = (channel.recv_async(), channel.send_async(value));
    let (mut dropped, mut withdrawn) = (channel.recv_async(), channel.send_async(value));
    for _ in 0..3 {
        spoil();
        poll(&mut recv);
        poll(&mut dropped);
        spoil();
        poll(&mut send);
        poll(&mut withdrawn);
        TASKS.ring();
    }
    drop(dropped);
    let _ = withdrawn.withdraw().is_ok();
    poll(&mut recv);
    poll(&mut send);
}

#[test]
fn spoilt_before_opening_and_while_open() {
    let _watchdog = watchdog(Duration::from_secs(300), "hostile channel");
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let memory = Guarded::new(8192);
        create(&memory, &mut random);
        for _ in 0..random.below(8) {
            spoil(&memory, &mut random);
        }
        use_all(&memory);
        // Spoilt between opening and use: handles keep what they checked.
        with_all(&memory, |region, name| {
            let (numbers, blocks) =
                (Channel::<u32>::open(region, name), Channel::<[u32; 3]>::open(region, name));
            (0..20).for_each(|_| spoil(&memory, &mut random));
            let mut spoil = || spoil(&memory, &mut random);
            numbers.iter().for_each(|channel| wait_in_tasks(channel, &mut spoil));
            blocks.iter().for_each(|channel| wait_in_tasks(channel, &mut spoil));
            numbers.iter().for_each(use_channel);
            blocks.iter().for_each(use_channel);
            let _ = numbers.map(|channel| channel.close());
            let _ = blocks.map(|channel| channel.close());
        });
        use_all(&memory);
        assert!(memory.is_intact(), "memory outside was written with seed {seed}");
    }
}
