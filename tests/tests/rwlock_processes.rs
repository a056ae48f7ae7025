//! An RwLock between real processes, some of which are killed while they hold it.

mod turns;

use turns::{as_party, hold, killed_at_random, killed_holders, take_turns, with_memory, write};
use turns::{is_whole, record, Record, Shared, LIMIT};
use zeroipc::{LockError, Memory, RwLock};
use zeroipc_tests::processes::{part, Part};

const EACH: u64 = 5_000;

/// The parent's part is `test`; a child does what it was started for.
fn between_processes(most: u64, test: impl FnOnce(&Memory, &str, &RwLock<'_, Record>)) {
    let Some(part) = part() else {
        let create = |memory: &Memory| {
            RwLock::create_with_readers(memory, "lock", record(0, 0), 3).unwrap();
        };
        return with_memory(create, |memory, name| {
            test(memory, name, &RwLock::open(memory, "lock").unwrap());
        });
    };
    as_party(&part, |region, shared| {
        let lock = RwLock::<Record>::open(region, "lock").unwrap();
        match part.role.as_str() {
            "writer" => write(&part, &lock, shared, most),
            "holder" => hold(&part, &lock, shared),
            "reader" => read(&part, &lock, shared, most),
            other => panic!("no role {other}"),
        }
    });
}

/// Reads until told to stop, or `most` times: what was written whole, and nothing that is older than what was read before.
fn read(part: &Part, lock: &RwLock<'_, Record>, shared: Shared<'_>, most: u64) {
    let mut last = 0;
    for _ in 0..most {
        if shared.stopped() {
            return;
        }
        match lock.read_timeout(LIMIT) {
            Ok(guard) => {
                let record = guard.load();
                assert!(is_whole(record), "half-written, and nobody said so: {record:?}");
                assert!(record[0] >= last);
                last = record[0];
            }
            // A writer will repair it.
            Err(LockError::OwnerDied(guard)) => assert!(guard.is_inconsistent()),
            Err(error) => panic!("{error}"),
        }
        let done = shared.done.load(part.number as usize).unwrap();
        shared.done.store(part.number as usize, done + (1 << 32)).unwrap();
    }
}

#[test]
fn four_processes_take_turns_and_two_look() {
    between_processes(EACH, |_, name, lock| {
        let test = "four_processes_take_turns_and_two_look";
        take_turns(test, name, lock, &["reader", "reader"], EACH);
    });
}

#[test]
fn each_killed_writer_is_told_of_once() {
    between_processes(u64::MAX, |memory, name, lock| {
        let shared = Shared::open(memory);
        killed_holders("each_killed_writer_is_told_of_once", name, lock, shared, memory);
    });
}

/// More readers than places, and all are killed now and then.
#[test]
fn the_killed_hold_up_nobody() {
    between_processes(u64::MAX, |memory, name, lock| {
        let shared = Shared::open(memory);
        let roles = ["writer", "reader", "writer", "reader", "reader", "reader"];
        killed_at_random("the_killed_hold_up_nobody", name, lock, &roles, shared, memory);
    });
}
