//! Structures in memory whose caches are not coherent, on a model of such caches: what is written reaches memory, and what is
//! read comes from there, at the maintenance calls of the core; and any line may be written back or fetched by itself at any time.
//!
//! Each party has a buffer of its own, which is what its processor sees of the region, and memory is a third one. At each
//! maintenance call the other party may go on. Every kind of call is left out once, which must be noticed.
#![cfg(all(feature = "incoherent", not(any(loom, zeroipc_fault))))]
#![allow(clippy::single_range_in_vec_init, clippy::type_complexity)] // ranges of bytes, of which some kinds of call have one

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use zeroipc_nostd::{
    Array, CacheMaintenance, FormatOptions, Geometry, Kind, NoCache, PopError, PushError, Region,
    RegionError, Ring, Signal, SignalError, Span, StructureError, WordSize,
};

const LINE: usize = 32;
const LINES: usize = 96;
const WORDS: usize = LINE / 8;

/// Bytes, reached atomically, on lines.
#[derive(Debug)]
#[repr(C, align(32))]
struct Line([AtomicU64; WORDS]);

fn lines(fill: u64) -> Vec<Line> {
    (0..LINES).map(|_| Line(std::array::from_fn(|_| AtomicU64::new(fill)))).collect()
}

fn get(line: &Line) -> [u64; WORDS] {
    std::array::from_fn(|n| line.0[n].load(SeqCst))
}

fn put(line: &Line, words: [u64; WORDS]) {
    line.0.iter().zip(words).for_each(|(to, word)| to.store(word, SeqCst));
}

/// Memory, whose turn it is, and chance.
#[derive(Debug)]
struct World {
    state: Mutex<State>,
    turn: Condvar,
}

type Turn<'s> = MutexGuard<'s, State>;

#[derive(Debug)]
struct State {
    memory: Vec<[u64; WORDS]>,
    turn: usize,
    running: [bool; 2],
    seed: u64,
    /// Whether caches do nothing by themselves.
    quiet: bool,
    /// At one in so many points the other party goes on.
    pace: u64,
    /// What went against the rules of maintenance.
    broken: Option<&'static str>,
}

impl State {
    fn chance(&mut self, of: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % of
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Clean,
    Invalidate,
}

/// A kind of call that is left out: of a party, and where the bytes begin.
type LeftOut = Option<(usize, Call, Vec<Range<usize>>)>;

/// One party's cache.
struct Cache<'w> {
    me: usize,
    world: &'w World,
    buffer: Vec<Line>,
    /// What each line held when it was last fetched or written back: it is dirty if it differs.
    fetched: Mutex<Vec<[u64; WORDS]>>,
    left_out: LeftOut,
}

impl fmt::Debug for Cache<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cache {}", self.me)
    }
}

impl<'w> Cache<'w> {
    fn new(me: usize, world: &'w World, left_out: LeftOut) -> Self {
        // What was fetched before any of this: stale, but not dirty.
        let stale = 0xA5A5_A5A5_A5A5_A5A5;
        let fetched = Mutex::new(vec![[stale; WORDS]; LINES]);
        Cache { me, world, buffer: lines(stale), fetched, left_out }
    }

    fn span(&self) -> Span<'_> {
        let base = self.buffer.as_ptr().cast_mut().cast::<u8>();
        // SAFETY: the buffer lives as long as the span and is only accessed atomically.
        unsafe { Span::from_raw_parts(base, LINES * LINE) }.unwrap()
    }

    fn write_back(&self, state: &mut State, line: usize) {
        let fetched = &mut self.fetched.lock().unwrap()[line];
        let now = get(&self.buffer[line]);
        if now != *fetched {
            if state.memory[line] != *fetched && state.memory[line] != now {
                state.broken = Some("two parties wrote one line");
            }
            state.memory[line] = now;
            *fetched = now;
        }
    }

    fn fetch(&self, state: &State, line: usize) {
        put(&self.buffer[line], state.memory[line]);
        self.fetched.lock().unwrap()[line] = state.memory[line];
    }

    fn is_dirty(&self, line: usize) -> bool {
        get(&self.buffer[line]) != self.fetched.lock().unwrap()[line]
    }

    /// What a cache does by itself: lines come and go.
    fn by_itself(&self, state: &mut State) {
        if state.quiet {
            return;
        }
        for _ in 0..state.chance(4) {
            let line = state.chance(LINES as u64) as usize;
            match self.is_dirty(line) {
                true => self.write_back(state, line),
                false => self.fetch(state, line),
            }
        }
        // The lines in use more often than others.
        for line in 0..LINES {
            if self.is_dirty(line) && state.chance(3) == 0 {
                self.write_back(state, line);
            }
        }
    }

    fn call(&self, call: Call, first: *const u8, len: usize) {
        let at = first as usize - self.buffer.as_ptr() as usize;
        let mut state = self.world.wait_for_turn(self.me);
        self.by_itself(&mut state);
        if len < LINES * LINE {
            state = self.world.maybe_pass(self.me, state);
        }
        // Opening a region looks at all of it, which is not left out.
        let left_out = self.left_out.as_ref().is_some_and(|(party, which, bytes)| {
            let there = bytes.iter().any(|bytes| bytes.contains(&at));
            *party == self.me && *which == call && there && len < LINES * LINE
        });
        for line in at / LINE..(at + len).div_ceil(LINE) {
            match call {
                _ if left_out => {}
                Call::Clean => self.write_back(&mut state, line),
                Call::Invalidate if self.is_dirty(line) => {
                    state.broken = Some("a dirty line was invalidated");
                }
                Call::Invalidate => self.fetch(&state, line),
            }
            // The other may go on in the middle of it, except where that is all of the region.
            if len < LINES * LINE {
                self.by_itself(&mut state);
                state = self.world.maybe_pass(self.me, state);
            }
        }
        drop(self.world.maybe_pass(self.me, state));
    }
}

impl CacheMaintenance for Cache<'_> {
    fn line(&self) -> u32 {
        LINE as u32
    }
    fn clean(&self, first: *const u8, len: usize) {
        self.call(Call::Clean, first, len);
    }
    fn invalidate(&self, first: *const u8, len: usize) {
        self.call(Call::Invalidate, first, len);
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let memory = lines(0x7777_7777).iter().map(get).collect();
        let quiet = seed / 2 % 2 == 0;
        let pace = [2, 6, 24][(seed / 4 % 3) as usize];
        let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let state =
            State { memory, turn: 0, running: [true, true], seed, quiet, pace, broken: None };
        World { state: Mutex::new(state), turn: Condvar::new() }
    }

    fn wait_for_turn(&self, me: usize) -> Turn<'_> {
        let state = self.state.lock().unwrap();
        self.turn.wait_while(state, |state| state.turn != me && state.running[1 - me]).unwrap()
    }

    /// Lets the other party go on, or not.
    fn maybe_pass<'s>(&'s self, me: usize, mut state: Turn<'s>) -> Turn<'s> {
        let pace = state.pace;
        if !state.running[1 - me] || state.chance(pace) != 0 {
            return state;
        }
        state.turn = 1 - me;
        self.turn.notify_all();
        self.turn.wait_while(state, |state| state.turn != me && state.running[1 - me]).unwrap()
    }

    fn finish(&self, me: usize) {
        let mut state = self.state.lock().unwrap();
        state.running[me] = false;
        state.turn = 1 - me;
        self.turn.notify_all();
    }
}

fn options() -> FormatOptions {
    FormatOptions::new()
        .max_entries(4)
        .geometry(Geometry::new(WordSize::Four, LINE as u32).unwrap())
}

/// Runs both parties, each with its region; what either says is wrong, or the model.
fn run(
    seed: u64,
    left_out: LeftOut,
    create: impl Fn(Region<'_>) + Sync,
    parties: [&(dyn Fn(Region<'_>) -> Result<(), &'static str> + Sync); 2],
) -> Result<(), &'static str> {
    let world = World::new(seed);
    let caches = [0, 1].map(|me| Cache::new(me, &world, left_out.clone()));
    let results = thread::scope(|scope| {
        let threads = [0, 1].map(|me| {
            let (cache, world, create, party) = (&caches[me], &world, &create, parties[me]);
            scope.spawn(move || {
                drop(world.wait_for_turn(me));
                let result = if me == 0 {
                    let region = Region::create_incoherent(cache.span(), &options(), cache);
                    let region = region.map_err(|_| "cannot be created");
                    region.and_then(|region| {
                        create(region);
                        party(region)
                    })
                } else {
                    opened(cache).and_then(party)
                };
                world.finish(me);
                result
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    let broken = world.state.lock().unwrap().broken;
    results.into_iter().collect::<Result<Vec<()>, _>>()?;
    broken.map_or(Ok(()), Err)
}

/// As soon as the other party has created it.
fn opened<'c>(cache: &'c Cache<'_>) -> Result<Region<'c>, &'static str> {
    for _ in 0..4000 {
        match Region::open_incoherent(cache.span(), cache) {
            Ok(region) => return Ok(region),
            Err(RegionError::WrongMagic { .. }) => {}
            Err(_) => return Err("half a region"),
        }
    }
    Err("no region")
}

/// As soon as the other party has created it; the last of all, so that all are there.
fn found<S>(open: impl Fn() -> Result<S, StructureError>) -> Result<S, &'static str> {
    for _ in 0..4000 {
        match open() {
            Ok(structure) => return Ok(structure),
            Err(StructureError::NotFound { .. }) => {}
            Err(_) => return Err("half a structure"),
        }
    }
    Err("no structure")
}

const COUNT: u32 = 40;

fn push_all(region: Region<'_>) -> Result<(), &'static str> {
    let mut producer = found(|| Ring::<[u32; 3]>::open(region, "ring"))?.producer().unwrap();
    let mut looks = 0;
    let mut next = 1;
    while next <= COUNT {
        // One by one, in bulk and in place.
        let pushed = match next % 3 {
            0 => producer.try_push([next, next, !next]).map_err(|error| match error {
                PushError::Corrupt(_) => "corrupt to the producer",
                _ => "",
            }),
            1 => producer.try_push_exact(&[[next, next, !next]]).map_err(|error| match error {
                PushError::Corrupt(_) => "corrupt to the producer",
                _ => "",
            }),
            _ => match producer.try_grant(1) {
                Ok(grant) => {
                    grant.write(0, [next, next, !next]).unwrap();
                    grant.commit(1);
                    Ok(())
                }
                Err(PushError::Corrupt(())) => Err("corrupt to the producer"),
                Err(_) => Err(""),
            },
        };
        match pushed {
            Ok(()) => next += 1,
            Err("") => looks += 1,
            Err(error) => return Err(error),
        }
        if looks > 4000 {
            return Err("the producer is stuck");
        }
    }
    Ok(())
}

fn pop_all(region: Region<'_>) -> Result<(), &'static str> {
    let mut consumer = found(|| Ring::<[u32; 3]>::open(region, "ring"))?.consumer().unwrap();
    let mut looks = 0;
    let mut next = 1;
    while next <= COUNT {
        let popped = match next % 2 {
            0 => consumer.try_pop(),
            _ => {
                let mut value = [[0; 3]];
                consumer.try_pop_exact(&mut value).map(|()| value[0])
            }
        };
        match popped {
            Ok(value) if value == [next, next, !next] => next += 1,
            Ok(_) => return Err("another value than was pushed"),
            Err(PopError::Corrupt) => return Err("corrupt to the consumer"),
            Err(_) => looks += 1,
        }
        if looks > 4000 {
            return Err("the consumer is stuck");
        }
    }
    Ok(())
}

fn ring(seed: u64, left_out: LeftOut) -> Result<(), &'static str> {
    let create = |region: Region<'_>| {
        Ring::<[u32; 3]>::create(region, "ring", 4).unwrap();
    };
    // Who creates is the producer in one half, and the consumer in the other.
    match seed % 2 {
        0 => run(seed, left_out, create, [&push_all, &pop_all]),
        _ => run(seed, left_out, create, [&pop_all, &push_all]),
    }
}

type Large = [u32; 24];

fn large(n: u32) -> Large {
    [n; 24]
}

fn write_all(region: Region<'_>) -> Result<(), &'static str> {
    let signal = found(|| Signal::<Large>::open(region, "signal"))?;
    let mut writer = signal.writer().map_err(|_| "no writer's role")?;
    for n in 1..=COUNT {
        writer.set(large(n));
    }
    Ok(())
}

fn read_all(region: Region<'_>) -> Result<(), &'static str> {
    let signal = found(|| Signal::<Large>::open(region, "signal"))?;
    let mut last = 0;
    for _ in 0..4000 {
        match signal.get() {
            Ok(value) if value != large(value[0]) => return Err("a torn value"),
            Ok(value) if value[0] < last => return Err("an older value than before"),
            Ok(value) => last = value[0],
            Err(SignalError::Contended) => {}
            Err(_) => return Err("corrupt"),
        }
        if last == COUNT {
            return Ok(());
        }
    }
    Err("the last value never came")
}

fn signal(seed: u64, left_out: LeftOut) -> Result<(), &'static str> {
    let create = |region: Region<'_>| {
        Signal::<Large>::create_single_writer(region, "signal", large(0), 2).unwrap();
    };
    run(seed, left_out, create, [&write_all, &read_all])
}

const SEEDS: u64 = 40;

fn holds(model: impl Fn(u64, LeftOut) -> Result<(), &'static str>) {
    for seed in 0..SEEDS {
        assert_eq!(model(seed, None), Ok(()), "seed {seed}");
    }
}

/// Leaves one kind of call out, and wants some seed to notice.
fn noticed(
    model: impl Fn(u64, LeftOut) -> Result<(), &'static str>,
    what: &str,
    party: impl Fn(u64) -> usize,
    call: Call,
    bytes: &[Range<usize>],
) {
    let found = (0..50 * SEEDS)
        .find_map(|seed| model(seed, Some((party(seed), call, bytes.to_vec()))).err());
    println!("without {what}: {found:?}");
    assert!(found.is_some(), "nobody noticed that {what} was left out");
}

/// Where the blocks start and where the first structure lies: the same in every region with these options.
fn place() -> (usize, usize) {
    let world = World::new(1);
    world.finish(1);
    let cache = Cache::new(0, &world, None);
    let region = Region::create_incoherent(cache.span(), &options(), &cache).unwrap();
    Ring::<[u32; 3]>::create(region, "ring", 4).unwrap();
    let entry = region.view().find("ring").unwrap();
    (region.view().heap_offset() as usize, entry.offset as usize)
}

#[test]
fn a_ring_holds() {
    holds(ring);
}

#[test]
fn a_signal_holds() {
    holds(signal);
}

#[test]
fn every_call_of_the_table_matters() {
    let (heap, at) = place();
    let (creator, opener) = (|_| 0, |_| 1);
    let (table, block, structure) = ([0..1], [heap..at], [at..at + 1]);
    for model in [ring, signal] {
        noticed(model, "the table's clean", creator, Call::Clean, &table);
        noticed(model, "the clean of a new structure", creator, Call::Clean, &block);
        noticed(model, "the look at the table", opener, Call::Invalidate, &table);
        noticed(model, "the look at a new structure", opener, Call::Invalidate, &structure);
    }
}

#[test]
fn every_call_of_a_ring_matters() {
    let at = place().1;
    // As the layout says, for lines of 32 bytes.
    let (tail, head) = ([at + 64..at + 68], [at + 96..at + 100]);
    let elements = [at + 128..at + 128 + 4 * 12];
    let producer = |seed: u64| (seed % 2) as usize;
    let consumer = |seed: u64| 1 - (seed % 2) as usize;
    noticed(ring, "the clean of elements", producer, Call::Clean, &elements);
    noticed(ring, "the clean of the tail", producer, Call::Clean, &tail);
    noticed(ring, "the producer's look at the head", producer, Call::Invalidate, &head);
    noticed(ring, "the consumer's look at the tail", consumer, Call::Invalidate, &tail);
    noticed(ring, "the consumer's look at elements", consumer, Call::Invalidate, &elements);
    noticed(ring, "the clean of the head", consumer, Call::Clean, &head);
}

#[test]
fn every_call_of_a_signal_matters() {
    let at = place().1;
    // As the layout says, for lines of 32 bytes: cells of 128, with the value 16 bytes from their start.
    let current = [at + 64..at + 65];
    let stamps = [0, 1].map(|cell| at + 96 + 128 * cell..at + 97 + 128 * cell);
    let values = stamps.clone().map(|stamp| stamp.start + 16..stamp.end + 16);
    let (writer, reader) = (|_| 0, |_| 1);
    noticed(signal, "the clean of a stamp", writer, Call::Clean, &stamps);
    noticed(signal, "the clean of a value", writer, Call::Clean, &values);
    noticed(signal, "the clean of the current word", writer, Call::Clean, &current);
    noticed(signal, "the look at the current word", reader, Call::Invalidate, &current);
    noticed(signal, "the look at a value", reader, Call::Invalidate, &values);
    noticed(signal, "the second look at a stamp", reader, Call::Invalidate, &stamps);
}

#[test]
fn what_does_not_work_says_so() {
    let world = World::new(1);
    world.finish(1);
    let cache = Cache::new(0, &world, None);
    let narrow = options().geometry(Geometry::SMALLEST);
    let error = Region::create_incoherent(cache.span(), &narrow, &cache).map(drop).unwrap_err();
    assert_eq!(error, RegionError::BadLineSize { bytes: 8 });
    let region = Region::create_incoherent(cache.span(), &options(), &cache).unwrap();
    let refused = Array::<u32>::create(region, "array", 4).map(drop).unwrap_err();
    assert_eq!(refused, StructureError::NeedsCoherence { kind: Kind::ARRAY });
    // Whoever does not maintain a cache has no place there, except to look.
    let plain = Region::open(cache.span()).map(drop).unwrap_err();
    assert_eq!(plain, RegionError::NeedsCacheMaintenance);
    assert_eq!(region.view().entry_count(), 1);
    let wide = NoCache::new(64);
    let error = Region::open_incoherent(cache.span(), &wide).map(drop).unwrap_err();
    assert_eq!(error, RegionError::BadLineSize { bytes: 32 });
    assert!(Region::open_incoherent(cache.span(), &NoCache::new(32)).is_ok());
}
