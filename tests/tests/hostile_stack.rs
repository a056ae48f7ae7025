//! A Stack full of nonsense, before it is opened and while handles are open: nothing panics, hangs, or touches memory outside.

use std::time::Duration;
use zeroipc_nostd::{FormatOptions, Geometry, PopError, PushError, Region, Stack, WordSize};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

type Block = [u32; 3];

fn spoil(memory: &Guarded, start: usize, end: usize, random: &mut Random) {
    let at = start + random.below((end - start) as u64) as usize;
    let near = memory.read_u32(at);
    let few = random.below(12) as u32;
    let power = 1 << random.below(32);
    let elsewhere = memory.read_u32(start + random.below((end - start) as u64) as usize);
    let value = random.pick(&[
        0,
        1,
        u32::MAX,
        u32::MAX - 1,
        power,
        few,
        near.wrapping_add(1),
        near.wrapping_sub(1),
        elsewhere,
    ]);
    match random.below(4) {
        0 => memory.flip(at, random.below(8) as u32),
        1 => memory.write_u64(at, random.bits()),
        _ => memory.write_u32(at, value),
    }
}

fn use_all(stack: &Stack<'_, Block>) {
    for n in 0..8 {
        if matches!(stack.try_push([n; 3]), Err(PushError::Blocked(_))) {
            break;
        }
        let _ = (stack.peek(), stack.is_full());
        assert!(stack.len() <= stack.capacity());
    }
    for _ in 0..12 {
        if matches!(stack.try_pop(), Err(PopError::Blocked)) {
            break;
        }
    }
    // A circle in the list makes no endless iterator: slots that were given back are no tops.
    assert!(stack.drain().take(1000).count() < 1000, "a drain without end");
}

#[test]
fn nonsense() {
    let _watchdog = watchdog(Duration::from_secs(100), "nonsense in a stack");
    for seed in 0..1200 {
        let random = &mut Random::new(seed);
        let memory = Guarded::new(2048);
        let word = random.pick(&[WordSize::Four, WordSize::Eight]);
        let geometry = Geometry::new(word, random.pick(&[8, 32, 128])).unwrap();
        let options = FormatOptions::new().geometry(geometry).max_entries(2);
        let region = Region::create(memory.span(), &options).unwrap();
        let spares = random.pick(&[1, 4]);
        let stack = Stack::<Block>::create_with_spares(region, "stack", 4, spares).unwrap();
        let entry = region.view().find("stack").unwrap();
        let (start, end) = (entry.offset as usize, (entry.offset + entry.size) as usize);
        for n in 0..random.below(5) {
            stack.try_push([n as u32; 3]).unwrap();
        }
        for _ in 0..4 {
            for _ in 0..=random.below(4) {
                spoil(&memory, start, end, random);
            }
            use_all(&stack);
            let _ = region.view().inspect(&entry);
            if let Ok(stack) = Stack::<Block>::open(region, "stack") {
                use_all(&stack);
            }
        }
        if random.one_in(4) {
            for at in (start + 24..end & !7).step_by(8) {
                let mask = random.pick(&[u64::MAX, 0x0F_0000_000F]);
                memory.write_u64(at, random.bits() & mask);
            }
            use_all(&stack);
        }
        assert!(memory.is_intact(), "seed {seed}: memory outside was written");
    }
}

/// A peer that never stops writing: every operation ends nevertheless.
#[test]
fn a_peer_that_writes_all_the_time() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let _watchdog = watchdog(Duration::from_secs(100), "a stack that is written all the time");
    let memory = Guarded::new(2048);
    let region = Region::create(memory.span(), &FormatOptions::new().max_entries(2)).unwrap();
    let stack = Stack::<Block>::create(region, "stack", 4).unwrap();
    let entry = region.view().find("stack").unwrap();
    let (start, end) = (entry.offset as usize, (entry.offset + entry.size) as usize);
    let running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let random = &mut Random::new(1);
            while running.load(Relaxed) {
                spoil(&memory, start, end, random);
            }
        });
        for _ in 0..2000 {
            let _ = stack.try_push([7; 3]);
            let _ = (stack.peek(), stack.try_pop());
            assert!(stack.len() <= 4);
        }
        running.store(false, Relaxed);
    });
    assert!(memory.is_intact());
}
