//! Hostile regions: whatever stands in a region, nothing panics, hangs, or touches memory outside.
//!
//! A seeded, light fuzz. Regions in all geometries and both table versions are spoilt, at random and aimed, before they are
//! opened and while handles are open; some regions are random from the start. A failing case names its seed.

use std::cell::Cell;
use std::time::Duration;
use zeroipc_nostd::{
    Array, Capability, Element, FormatOptions, Geometry, PopError, PushError, Queue, Region, Ring,
    TableVersion, View, WordSize, MAGIC,
};
use zeroipc_tests::guarded::Guarded;
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::random::Random;

/// A region as hostile peers find it: two of each structure, used for a while.
struct Victim {
    memory: Guarded,
    /// Offsets of words that say something about the layout or the state: the aim of most attacks.
    targets: Vec<usize>,
}

const NAMES: [&str; 6] = ["bytes", "numbers", "ring", "blocks", "queue", "wide"];
/// How often each operation is tried.
const OPERATIONS: u32 = 12;

type Block = [u32; 3];

impl Victim {
    fn new(random: &mut Random) -> Self {
        let memory = Guarded::new(random.pick(&[4096, 6144, 16384]));
        let version = random.pick(&[TableVersion::V1, TableVersion::V3]);
        let word = random.pick(&[WordSize::Four, WordSize::Eight]);
        let line = random.pick(&[8, 16, 32, 64, 128]);
        let cas = !random.one_in(5);
        let options = FormatOptions::new()
            .version(version)
            .geometry(Geometry::new(word, line).unwrap())
            .capability(if cas { Capability::Cas } else { Capability::LoadStore })
            .max_entries(random.pick(&[6, 8, 20]))
            .zeroed(random.one_in(2));
        let region = Region::create(memory.span(), &options).unwrap();
        Array::<u8>::create(region, "bytes", 33).unwrap();
        Array::<u64>::create(region, "numbers", 9).unwrap();
        fill_ring(&Ring::<u32>::create(region, "ring", 4).unwrap(), random);
        fill_ring(&Ring::<Block>::create(region, "blocks", 8).unwrap(), random);
        if cas {
            let spares = random.pick(&[1, 2, 5]);
            fill_queue(
                &Queue::<u32>::create_with_spares(region, "queue", 4, spares).unwrap(),
                random,
            );
            fill_queue(&Queue::<Block>::create_with_spares(region, "wide", 2, 1).unwrap(), random);
        }
        let targets = targets(region);
        Victim { memory, targets }
    }

    /// Spoils one place.
    fn spoil(&self, random: &mut Random) {
        let len = self.memory.len() as u64;
        let at =
            if random.one_in(3) { random.below(len) as usize } else { random.pick(&self.targets) };
        let near = u64::from(self.memory.read_u32(at));
        let around = random.below(9);
        let power = 1 << random.below(64);
        let bits = random.bits();
        let elsewhere = self.memory.read_u64(random.below(len) as usize);
        let value = random.pick(&[
            0,
            1,
            u64::MAX,
            u64::MAX / 2,
            power,
            power - 1,
            len,
            len - 8,
            bits,
            bits % len,
            (bits % len) & !7,
            elsewhere,
            near.wrapping_add(around).wrapping_sub(4),
        ]);
        match random.below(4) {
            0 => self.memory.flip(at, random.below(8) as u32),
            1 => self.memory.write_u64(at, value),
            _ => self.memory.write_u32(at, value as u32),
        }
    }
}

fn fill_ring<T: Element>(ring: &Ring<'_, T>, random: &mut Random) {
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for _ in 0..random.below(20) {
        if random.one_in(2) {
            let _ = producer.try_push(T::new_zeroed());
        } else {
            let _ = consumer.try_pop();
        }
    }
}

fn fill_queue<T: Element>(queue: &Queue<'_, T>, random: &mut Random) {
    for _ in 0..random.below(20) {
        if random.one_in(2) {
            let _ = queue.try_push(T::new_zeroed());
        } else {
            let _ = queue.try_pop();
        }
    }
}

/// Header, entries (twice, since they matter most), and the first 512 bytes of each block.
fn targets(region: Region<'_>) -> Vec<usize> {
    let view = region.view();
    let table = 0..view.heap_offset() as usize;
    let mut all: Vec<usize> = table.clone().chain(table).step_by(4).collect();
    for entry in view.entries().flatten() {
        let start = entry.offset.saturating_sub(40) as usize;
        let end = (entry.offset + entry.size.min(512)) as usize;
        all.extend((start..end).step_by(4));
        // Kind, geometry, element size, extra and capacity are few words, and everything hangs on them.
        let prefix = entry.offset as usize;
        all.extend((prefix..prefix + 24).step_by(4));
    }
    all
}

/// Opens, inspects and uses all that is there, and creates more. Nothing is expected but that it returns.
fn use_everything(memory: &Guarded, random: &mut Random) {
    if let Ok(view) = View::open(memory.span()) {
        look(&view);
    }
    let Ok(region) = Region::open(memory.span()) else { return };
    for name in NAMES {
        use_array::<u8>(region, name, random);
        use_array::<u64>(region, name, random);
        use_array::<Block>(region, name, random);
        use_ring::<u32>(region, name, random);
        use_ring::<Block>(region, name, random);
        use_queue::<u32>(region, name);
        use_queue::<Block>(region, name);
    }
    create_more(region, random);
    look(&region.view());
}

fn look(view: &View<'_>) {
    let mut buffer = [0; 64];
    for entry in view.entries().flatten() {
        let _ = view.inspect(&entry);
        let _ = view.find(entry.name.as_str());
        view.read_bytes(entry.offset, &mut buffer);
        view.read_bytes(entry.offset + entry.size, &mut buffer);
    }
    view.read_bytes(view.next_offset(), &mut buffer);
    view.read_bytes(u64::MAX, &mut buffer);
    let _ = (view.is_current(), view.session(), view.capability(), view.max_entries());
}

fn use_array<T: Element>(region: Region<'_>, name: &str, random: &mut Random) {
    let Ok(array) = Array::<T>::open(region, name) else { return };
    let last = array.len().wrapping_sub(1);
    let random = random.bits() as usize;
    for index in [0, last, array.len(), random, usize::MAX] {
        let _ = array.store(index, T::new_zeroed());
        assert_eq!(array.load(index).is_ok(), index < array.len());
    }
}

fn use_ring<T: Element>(region: Region<'_>, name: &str, random: &mut Random) {
    let Ok(ring) = Ring::<T>::open(region, name) else { return };
    assert!(ring.len() <= ring.capacity());
    let mut producer = match ring.producer() {
        Ok(producer) => producer,
        Err(_) if random.one_in(2) => return,
        Err(_) => ring.take_over_producer(),
    };
    let mut consumer = ring.consumer().unwrap_or_else(|_| ring.take_over_consumer());
    use_ends(&mut producer, &mut consumer);
}

fn use_ends<T: Element>(
    producer: &mut zeroipc_nostd::Producer<'_, T>,
    consumer: &mut zeroipc_nostd::Consumer<'_, T>,
) {
    for _ in 0..OPERATIONS {
        let _ = producer.try_push(T::new_zeroed());
    }
    for _ in 0..OPERATIONS {
        let _ = consumer.try_pop();
    }
}

fn use_queue<T: Element>(region: Region<'_>, name: &str) {
    if let Ok(queue) = Queue::<T>::open(region, name) {
        push_and_pop(&queue);
    }
}

fn push_and_pop<T: Element>(queue: &Queue<'_, T>) {
    assert!(queue.len() <= queue.capacity());
    for _ in 0..OPERATIONS {
        // Uses up all its turns, so once is enough.
        if matches!(queue.try_push(T::new_zeroed()), Err(PushError::Blocked(_))) {
            break;
        }
    }
    for _ in 0..OPERATIONS {
        if matches!(queue.try_pop(), Err(PopError::Blocked)) {
            break;
        }
    }
}

fn create_more(region: Region<'_>, random: &mut Random) {
    let len = random.pick(&[1, 3, 16, 5000]);
    let _ = Array::<u16>::open_or_create(region, "more bytes", len);
    let _ = Ring::<u64>::open_or_create(region, "more", len);
    let _ = Queue::<u32>::open_or_create(region, "still more", len.min(64));
    let _ = Array::<u8>::create(region, "ring", 1);
    for number in 0..random.below(20) {
        let _ = Array::<u8>::create(region, &format!("one of many {number}"), 1);
    }
}

/// Runs `case` for many seeds, with a watchdog, and checks the guards after each.
fn for_seeds(count: u64, what: &'static str, case: impl Fn(&mut Random) -> Guarded) {
    let _watchdog = watchdog(Duration::from_secs(300), what);
    let current = Cell::new(0);
    /// Says which seed it was, also when the case panics.
    struct Report<'a>(&'a Cell<u64>);
    impl Drop for Report<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the failing seed is {}", self.0.get());
            }
        }
    }
    let _report = Report(&current);
    for seed in 0..count {
        current.set(seed);
        let memory = case(&mut Random::new(seed));
        assert!(memory.is_intact(), "{what}: memory outside was written");
    }
}

#[test]
fn spoilt_before_opening() {
    for_seeds(4000, "spoilt before opening", |random| {
        let victim = Victim::new(random);
        for _ in 0..=random.below(6) {
            victim.spoil(random);
        }
        use_everything(&victim.memory, random);
        victim.memory
    });
}

#[test]
fn spoilt_while_open() {
    for_seeds(1200, "spoilt while open", |random| {
        let victim = Victim::new(random);
        {
            let region = Region::open(victim.memory.span()).unwrap();
            let bytes = Array::<u8>::open(region, "bytes").unwrap();
            let ring = Ring::<u32>::open(region, "ring").unwrap();
            let mut producer = ring.producer().unwrap();
            let mut consumer = ring.consumer().unwrap();
            let queues = [Queue::<u32>::open(region, "queue")];
            let wide = [Queue::<Block>::open(region, "wide")];
            for _ in 0..6 {
                for _ in 0..=random.below(3) {
                    victim.spoil(random);
                }
                // Handles keep what they checked: their own bounds stay in force.
                assert!(bytes.load(32).is_ok() && bytes.load(33).is_err());
                use_ends(&mut producer, &mut consumer);
                queues.iter().flatten().for_each(push_and_pop);
                wide.iter().flatten().for_each(push_and_pop);
                look(&region.view());
                create_more(region, random);
            }
        }
        use_everything(&victim.memory, random);
        victim.memory
    });
}

#[test]
fn random_from_the_start() {
    for_seeds(6000, "random from the start", |random| {
        let memory = Guarded::new(random.pick(&[8, 16, 32, 64, 256, 1024, 4096]));
        let mask = random.pick(&[u64::MAX, 0x0000_00FF_0000_00FF, 0x0000_0FF8_0000_0FF8]);
        for at in (0..memory.len()).step_by(8) {
            memory.write_u64(at, random.bits() & mask);
        }
        if !random.one_in(4) {
            memory.write_u32(0, MAGIC);
            if memory.len() > 8 {
                let version = random.pick(&[0, 1, 1, 2, 3, 3, 4]);
                memory.write_u32(4, version);
            }
        }
        use_everything(&memory, random);
        memory
    });
}

/// Random bytes after a header, entry 0 and record that are right: gets further than plain noise.
#[test]
fn random_behind_a_good_record() {
    for_seeds(250, "random behind a good record", |random| {
        let victim = Victim::new(random);
        let memory = victim.memory;
        let end = Region::open(memory.span()).unwrap().view().heap_offset() as usize;
        let noise = random.pick(&[u64::MAX, 0x0000_0FF8_0000_0FF8]);
        for at in (end..memory.len()).step_by(8) {
            let prefix = victim.targets.contains(&at) && !random.one_in(4);
            if !prefix {
                memory.write_u64(at, random.bits() & noise);
            }
        }
        use_everything(&memory, random);
        memory
    });
}

/// A creator must survive any number of entries, and an intent that lies, at every claim.
#[test]
fn spoilt_claims() {
    for_seeds(2000, "spoilt claims", |random| {
        let victim = Victim::new(random);
        let memory = victim.memory;
        let view = Region::open(memory.span()).unwrap().view();
        let (header, stride, at) = match view.version() {
            TableVersion::V1 => (16, 40, 32),
            TableVersion::V3 => (32, 48, 32),
        };
        // A claim of the next entry, as a creator leaves it that stops there, but by a liar.
        let next = header + stride * view.entry_count() as usize;
        if view.entry_count() < view.max_entries() {
            let claim = match random.below(4) {
                0 => random.bits(),
                1 => random.below(memory.len() as u64) & !7,
                2 => view.next_offset(),
                _ => view.heap_offset() + 40,
            };
            match view.version() {
                TableVersion::V1 => memory.write_u32(next + at, claim as u32),
                TableVersion::V3 => memory.write_u64(next + at, claim),
            }
        }
        if random.one_in(2) {
            let count = random.pick(&[0, 1, 5, 9, 1000, u32::MAX]);
            memory.write_u32(8, count);
        }
        use_everything(&memory, random);
        memory
    });
}
