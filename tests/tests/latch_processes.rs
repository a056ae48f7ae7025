//! A Latch across processes, in both forms: whoever has waited sees what all did before they counted.

use std::time::Duration;
use zeroipc::{Array, Latch, Memory};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::scratch::Scratch;

const PARTIES: u32 = 4;
const LATCHES: usize = 60;
const LIMIT: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn one_counter() {
    through("one_counter");
}

#[test]
fn a_counter_for_each() {
    through("a_counter_for_each");
}

fn name(index: usize) -> String {
    format!("latch {index}")
}

fn through(test: &str) {
    if let Some(part) = part() {
        return count(&part);
    }
    let scratch = Scratch::new();
    let memory =
        Memory::options().max_entries(LATCHES as u32 + 2).create(scratch.name(), 1 << 20).unwrap();
    Array::<u32>::create(&memory, "done", LATCHES * PARTIES as usize).unwrap();
    for index in 0..LATCHES {
        if test == "one_counter" {
            Latch::create(&memory, &name(index), 2 * PARTIES).unwrap();
        } else {
            Latch::create_for_parties(&memory, &name(index), PARTIES, 2).unwrap();
        }
    }
    let mut parties: Vec<_> = (0..PARTIES)
        .map(|number| Party::start(test, test, u64::from(number), scratch.name()))
        .collect();
    for index in 0..LATCHES {
        let latch = Latch::open(&memory, &name(index)).unwrap();
        latch.wait_timeout(PATIENCE).unwrap();
        assert!(latch.is_done() && latch.remaining() == 0);
    }
    parties.iter_mut().for_each(|party| party.finish(LIMIT));
}

fn count(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let done = Array::<u32>::open(&memory, "done").unwrap();
    for index in 0..LATCHES {
        let latch = Latch::open(&memory, &name(index)).unwrap();
        let mine = index * PARTIES as usize;
        done.store(mine + part.number as usize, 7).unwrap();
        if part.role == "one_counter" {
            latch.count_down().unwrap();
            latch.count_down().unwrap();
        } else {
            let mut party = latch.party(part.number as u32).unwrap();
            party.count_down().unwrap();
            party.count_down().unwrap();
        }
        latch.wait_timeout(PATIENCE).unwrap();
        assert!((0..PARTIES as usize).all(|party| done.load(mine + party) == Ok(7)));
    }
}
