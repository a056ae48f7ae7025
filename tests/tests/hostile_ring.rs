//! A hostile Ring: whatever stands in it while slices and grants are used, nothing panics, hangs, or touches memory outside.

use std::time::Duration;
use zeroipc_nostd::{
    Capability, Consumer, Element, FormatOptions, Geometry, PopError, Producer, PushError, Region,
    Ring, WordSize,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

type Block = [u32; 3];

fn victim(random: &mut Random) -> (Guarded, usize) {
    let memory = Guarded::new(4096);
    let word = random.pick(&[WordSize::Four, WordSize::Eight]);
    let line = random.pick(&[8, 16, 32, 64, 128]);
    let capability = random.pick(&[Capability::Cas, Capability::LoadStore]);
    let options = FormatOptions::new()
        .geometry(Geometry::new(word, line).unwrap())
        .capability(capability)
        .max_entries(4);
    let region = Region::create(memory.span(), &options).unwrap();
    Ring::<u8>::create(region, "bytes", 16).unwrap();
    Ring::<u64>::create(region, "words", 1).unwrap();
    Ring::<Block>::create(region, "blocks", 8).unwrap();
    let heap = region.view().heap_offset() as usize;
    (memory, heap)
}

/// Mostly near the start of a ring, where its counters are.
fn spoil(memory: &Guarded, heap: usize, random: &mut Random) {
    let reach = random.pick(&[700, (memory.len() - heap) as u64]);
    let at = heap + random.below(reach) as usize;
    let near = u64::from(memory.read_u32(at));
    let (bits, around) = (random.bits(), random.below(40));
    let value = random.pick(&[
        0,
        u64::MAX,
        u64::MAX / 2,
        1 << 31,
        bits,
        bits % 64,
        near.wrapping_add(around).wrapping_sub(20),
        near.wrapping_add(around).wrapping_sub(20),
    ]);
    match random.below(4) {
        0 => memory.flip(at, random.below(8) as u32),
        1 => memory.write_u64(at, value),
        _ => memory.write_u32(at, value as u32),
    }
}

/// Uses both ends; `between` is called while a grant is held.
fn use_ends<T: Element>(
    producer: &mut Producer<'_, T>,
    consumer: &mut Consumer<'_, T>,
    random: &mut Random,
    between: &dyn Fn(&mut Random),
) {
    let capacity = producer.ring().capacity();
    let mut values = [T::new_zeroed(); 20];
    for _ in 0..6 {
        let count = random.below(21) as usize;
        match producer.try_push_slice(&values[..count]) {
            Ok(pushed) => assert!(pushed <= capacity.min(count)),
            Err(PushError::Full(_) | PushError::Corrupt(_)) => {}
            Err(PushError::Blocked(_)) => panic!("a ring is never blocked"),
        }
        let _ = producer.try_push_exact(&values[..count]);
        if let Ok(mut grant) = producer.try_grant(random.pick(&[count, usize::MAX])) {
            let len = grant.len();
            assert!(len <= capacity);
            between(random);
            for index in [0, len.wrapping_sub(1), len, usize::MAX, random.bits() as usize] {
                assert_eq!(grant.write(index, values[0]).is_ok(), index < len);
                let fits = index <= len && count <= len - index;
                assert_eq!(grant.write_from(index, &values[..count]).is_ok(), fits);
            }
            // SAFETY: nobody else is there.
            if let Some((before, after)) = unsafe { grant.as_mut_slices() } {
                before.iter_mut().chain(after).for_each(|slot| *slot = values[1]);
            }
            grant.commit(random.pick(&[0, count, len, usize::MAX]));
        }
        let count = random.below(21) as usize;
        match consumer.try_pop_slice(&mut values[..count]) {
            Ok(popped) => assert!(popped <= capacity.min(count)),
            Err(PopError::Empty | PopError::Corrupt) => {}
            Err(PopError::Blocked) => panic!("a ring is never blocked"),
        }
        let _ = (consumer.try_pop_exact(&mut values[..count]), consumer.peek());
        if let Ok(grant) = consumer.try_read_grant(random.pick(&[count, usize::MAX])) {
            let len = grant.len();
            assert!(len <= capacity);
            between(random);
            assert_eq!(grant.iter().count(), len);
            for index in [0, len.wrapping_sub(1), len, usize::MAX, random.bits() as usize] {
                assert_eq!(grant.read(index).is_ok(), index < len);
                let fits = index <= len && count <= len - index;
                assert_eq!(grant.read_into(index, &mut values[..count]).is_ok(), fits);
            }
            // SAFETY: nobody else is there.
            let slices = unsafe { grant.as_slices() };
            assert!(slices.is_none_or(|(before, after)| before.len() + after.len() == len));
            grant.release(random.pick(&[0, count, len, usize::MAX]));
        }
        if let Ok(skipped) = consumer.skip(random.pick(&[0, count, usize::MAX])) {
            assert!(skipped <= capacity);
        }
    }
}

fn use_ring<T: Element>(region: Region<'_>, name: &str, random: &mut Random) {
    let Ok(ring) = Ring::<T>::open(region, name) else { return };
    let mut producer = ring.producer().unwrap_or_else(|_| ring.take_over_producer());
    let mut consumer = ring.consumer().unwrap_or_else(|_| ring.take_over_consumer());
    use_ends(&mut producer, &mut consumer, random, &|_| ());
    assert!(ring.len() <= ring.capacity());
}

#[test]
fn spoilt_before_and_while_open() {
    let _watchdog = watchdog(Duration::from_secs(120), "a hostile ring");
    for seed in 0..800 {
        let random = &mut Random::new(seed);
        let (memory, heap) = victim(random);
        {
            let region = Region::open(memory.span()).unwrap();
            let bytes = Ring::<u8>::open(region, "bytes").unwrap();
            let blocks = Ring::<Block>::open(region, "blocks").unwrap();
            let (mut byte_in, mut byte_out) =
                (bytes.producer().unwrap(), bytes.consumer().unwrap());
            let (mut block_in, mut block_out) =
                (blocks.producer().unwrap(), blocks.consumer().unwrap());
            let spoil = |random: &mut Random| spoil(&memory, heap, random);
            for _ in 0..4 {
                for _ in 0..=random.below(4) {
                    spoil(random);
                }
                use_ends(&mut byte_in, &mut byte_out, random, &spoil);
                use_ends(&mut block_in, &mut block_out, random, &spoil);
            }
        }
        if let Ok(region) = Region::open(memory.span()) {
            for name in ["bytes", "words", "blocks"] {
                use_ring::<u8>(region, name, random);
                use_ring::<u64>(region, name, random);
                use_ring::<Block>(region, name, random);
            }
        }
        assert!(memory.is_intact(), "seed {seed}: memory outside was written");
    }
}
