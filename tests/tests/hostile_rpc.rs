//! Hostile peers of a Service: whatever stands there, nothing panics, hangs, or touches memory outside. A failing case names its
//! seed.

use std::time::Duration;
use zeroipc_nostd::{
    Client, Element, FormatOptions, Geometry, Liveness, PartyId, Region, Server, Service, Spin,
    View, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

const NAMES: [&str; 2] = ["small", "large"];
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
    let geometry = Geometry::new(word, line).unwrap();
    let options = FormatOptions::new().geometry(geometry).max_entries(3);
    let region = Region::create(memory.span(), &options).unwrap();
    Service::<u8, u16>::create(region, "small", 2).unwrap();
    Service::<[u32; 3], [u8; 77]>::create(region, "large", 3).unwrap();
}

/// Spoils a word of the table's heap, most often in the control words of a structure.
fn spoil(memory: &Guarded, random: &mut Random) {
    let Ok(region) = Region::open(memory.span()) else { return };
    let entries: Vec<_> = region.view().entries().flatten().skip(1).collect();
    if entries.is_empty() {
        return;
    }
    let entry = random.pick(&entries);
    let reach = if random.one_in(2) { 160.min(entry.size) } else { entry.size };
    let Ok(at) = usize::try_from((entry.offset + random.below(reach)) & !3) else { return };
    if at + 8 > memory.len() {
        return;
    }
    let (tag, low) = ((random.below(4) as u32) << 30, random.below(40) as u32);
    let bits = random.bits();
    let value = random.pick(&[0, 1, 2, 3, tag | low, tag | low, u32::MAX, bits as u32]);
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

/// Calls and answers, with what `meanwhile` does in between.
fn use_both<Req: Element, Resp: Element + std::fmt::Debug>(
    client: &Client<'_, Req, Resp>,
    server: &Server<'_, Req, Resp>,
    mut meanwhile: impl FnMut(),
) {
    let mut pending = Vec::new();
    for turn in 0..8 {
        pending.extend(client.try_request(Req::new_zeroed()));
        meanwhile();
        let _ = client.call_with(Req::new_zeroed(), &SPIN, Some(0)).is_ok();
        if let Ok(request) = server.next_with(&SPIN, Some(0)) {
            meanwhile();
            let shown = format!("{request:?} {}", request.is_cancelled());
            assert!(!shown.is_empty());
            let _ = request.get();
            let _ = match turn % 3 {
                0 => request.reply(Resp::new_zeroed()),
                1 => request.fail("a text"),
                _ => {
                    drop(request);
                    Ok(())
                }
            };
        }
        meanwhile();
        for call in &pending {
            let shown = format!("{:?} {:?}", call.try_get(), call.get_with(&SPIN, Some(0)));
            assert!(!shown.is_empty());
        }
        if turn % 4 == 3 {
            pending.clear();
        }
    }
}

fn use_service<Req: Element, Resp: Element + std::fmt::Debug>(
    service: Service<'_, Req, Resp>,
    meanwhile: impl FnMut(),
) {
    let _ = (service.in_use(), service.is_closed(), service.reclaim());
    use_both(&service.client(), &service.server(), meanwhile);
    let _ = service.reclaim();
    service.close();
    let _ = service.server().try_next().is_ok();
}

fn use_all(memory: &Guarded, random: &mut Random, spoils: bool) {
    let mut meanwhile = || {
        if spoils {
            (0..3).for_each(|_| spoil(memory, random));
        }
    };
    with_all(memory, |region, name| {
        let small = Service::<u8, u16>::open(region, name);
        let large = Service::<[u32; 3], [u8; 77]>::open(region, name);
        small.into_iter().for_each(|service| use_service(service, &mut meanwhile));
        large.into_iter().for_each(|service| use_service(service, &mut meanwhile));
    });
}

#[test]
fn spoilt_before_opening_and_while_open() {
    let _watchdog = watchdog(Duration::from_secs(300), "a hostile service");
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let memory = Guarded::new(4096);
        create(&memory, &mut random);
        for _ in 0..random.below(8) {
            spoil(&memory, &mut random);
        }
        use_all(&memory, &mut random, false);
        // Spoilt between opening and use, and in between: handles keep what they checked.
        use_all(&memory, &mut random, true);
        use_all(&memory, &mut random, false);
        assert!(memory.is_intact(), "memory outside was written with seed {seed}");
    }
}
