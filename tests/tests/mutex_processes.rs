//! A Mutex between real processes, some of which are killed while they hold it.

mod turns;

use turns::{as_party, hold, killed_at_random, killed_holders, take_turns, with_memory, write};
use turns::{record, Record, Shared};
use zeroipc::{Memory, Mutex};
use zeroipc_tests::processes::part;

const EACH: u64 = 10_000;

/// The parent's part is `test`; a child does what it was started for.
fn between_processes(most: u64, test: impl FnOnce(&Memory, &str, &Mutex<'_, Record>)) {
    let Some(part) = part() else {
        let create = |memory: &Memory| {
            Mutex::create(memory, "mutex", record(0, 0)).unwrap();
        };
        return with_memory(create, |memory, name| {
            test(memory, name, &Mutex::open(memory, "mutex").unwrap());
        });
    };
    as_party(&part, |region, shared| {
        let mutex = Mutex::<Record>::open(region, "mutex").unwrap();
        match part.role.as_str() {
            "writer" => write(&part, &mutex, shared, most),
            "holder" => hold(&part, &mutex, shared),
            other => panic!("no role {other}"),
        }
    });
}

#[test]
fn four_processes_take_turns() {
    between_processes(EACH, |_, name, mutex| {
        take_turns("four_processes_take_turns", name, mutex, &[], EACH);
    });
}

#[test]
fn each_killed_holder_is_told_of_once() {
    between_processes(u64::MAX, |memory, name, mutex| {
        let shared = Shared::open(memory);
        killed_holders("each_killed_holder_is_told_of_once", name, mutex, shared, memory);
    });
}

#[test]
fn the_killed_hold_up_nobody() {
    between_processes(u64::MAX, |memory, name, mutex| {
        let shared = Shared::open(memory);
        let roles = ["writer"; 4];
        killed_at_random("the_killed_hold_up_nobody", name, mutex, &roles, shared, memory);
    });
}
