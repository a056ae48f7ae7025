//! The start-up test: two threads as two cores, and peers that do it wrong as memory that is not fit.

mod shared;

use shared::Shared;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use zeroipc_nostd::{Capability, FormatOptions};
use zeroipc_raw::{Proven, SelfTest, SelfTestError, Side};

const HOW: SelfTest = SelfTest::new().rounds(30).patience(500_000_000);

fn both(memory: &'static Shared) -> [Result<Proven, SelfTestError>; 2] {
    let side = |side| thread::spawn(move || memory.all().self_test(side, &HOW));
    [side(Side::First), side(Side::Second)].map(|thread| thread.join().unwrap())
}

#[test]
fn two_cores_agree() {
    static MEMORY: Shared = Shared::new();
    // Whatever was there: zeros, ones, what the last boot left, what another test of another length left.
    let fills = [Some(0), Some(u32::MAX), None, None, Some(0x5A5A_0F0F), Some(0x5A5B_0F0F)];
    // Often: one of the two may be faster at the shared word a thousand times in a row.
    for fill in fills.into_iter().cycle().take(120) {
        fill.into_iter().for_each(|fill| MEMORY.fill(fill));
        let [first, second] = both(&MEMORY);
        let proven = first.unwrap();
        assert_eq!(second, Ok(proven));
        // Two threads on one processor may never meet: then it is not proven.
        let expected = if proven.met > 0 { Capability::Cas } else { Capability::LoadStore };
        assert_eq!(proven.capability, expected);
        let memory = MEMORY.all();
        memory.create(&FormatOptions::new().capability(proven.capability)).unwrap();
    }
}

#[test]
fn nobody_there() {
    static MEMORY: Shared = Shared::new();
    let how = SelfTest::new().patience(1000);
    for round in 0..3 {
        let alone = MEMORY.all().self_test(Side::First, &how);
        assert_eq!(alone, Err(SelfTestError::NoPeer), "{round}");
    }
    // What a whole run of the last boot left is nobody either.
    assert!(both(&MEMORY).iter().all(Result::is_ok));
    for side in [Side::First, Side::Second, Side::First] {
        assert_eq!(MEMORY.all().self_test(side, &how), Err(SelfTestError::NoPeer));
    }
}

#[test]
fn too_small() {
    static MEMORY: Shared = Shared::new();
    let refused = |how: SelfTest| MEMORY.all().self_test(Side::First, &how).unwrap_err();
    assert_eq!(refused(SelfTest::new().line(16)), SelfTestError::TooSmall { needed: 96 });
    assert_eq!(refused(SelfTest::new().line(36)), SelfTestError::TooSmall { needed: 108 });
    assert_eq!(refused(SelfTest::new().line(4096)), SelfTestError::TooSmall { needed: 12288 });
}

/// What a second core does that meets as it should, and then plays by its own rules.
fn against(
    memory: &'static Shared,
    how: SelfTest,
    play: impl Fn(u32) + Send + 'static,
) -> Result<Proven, SelfTestError> {
    const ECHO: u32 = 0x5A5A_0F0F;
    let first = thread::spawn(move || memory.all().self_test(Side::First, &how));
    let (mine, theirs) = (64, 0);
    memory.word(mine + 8).store(7, SeqCst);
    memory.word(mine).store(7, SeqCst);
    loop {
        memory.word(mine + 4).store(memory.word(theirs).load(SeqCst) ^ ECHO, SeqCst);
        if memory.word(theirs + 4).load(SeqCst) ^ ECHO == 7 || first.is_finished() {
            break;
        }
    }
    // Its echo came after its hello.
    let base = memory.word(theirs).load(SeqCst);
    memory.word(mine + 4).store(base ^ ECHO, SeqCst);
    while !first.is_finished() {
        play(base);
        thread::yield_now();
    }
    first.join().unwrap()
}

#[test]
fn a_core_that_stops() {
    static MEMORY: Shared = Shared::new();
    let how = SelfTest::new().rounds(10).patience(3_000_000);
    assert_eq!(against(&MEMORY, how, |_| ()), Err(SelfTestError::Stalled));
}

/// The step is seen, what was written before is not.
#[test]
fn writes_out_of_order() {
    static MEMORY: Shared = Shared::new();
    let how = SelfTest::new().rounds(10).patience(200_000_000);
    let play = |base: u32| {
        let step = MEMORY.word(8).load(SeqCst).wrapping_sub(base);
        MEMORY.word(64 + 8).store(7 + step + 1, SeqCst);
    };
    assert_eq!(against(&MEMORY, how, play), Err(SelfTestError::Reordered));
}

/// A core without fences: all is in order, but it never sees the other's flag in time.
#[test]
fn fences_that_do_nothing() {
    static MEMORY: Shared = Shared::new();
    let how = SelfTest::new().rounds(10).patience(200_000_000);
    let play = |base: u32| {
        let step = MEMORY.word(8).load(SeqCst).wrapping_sub(base);
        // Payload of the round that comes, whichever it is; the flag is never raised, and `met` says 0.
        let round = step / 2 + 1;
        MEMORY.word(64 + 24).store(round, SeqCst);
        MEMORY.word(64 + 28).store(round, SeqCst);
        let ahead = u32::from(step < 20 && step % 2 == 1);
        MEMORY.word(64 + 8).store(7 + step + ahead, SeqCst);
    };
    assert_eq!(against(&MEMORY, how, play), Err(SelfTestError::FenceIgnored));
}

/// Increments that do not exclude each other: loads and stores are what is left.
#[test]
fn lost_increments() {
    static MEMORY: Shared = Shared::new();
    let how = SelfTest::new().rounds(10).patience(200_000_000);
    let play = |base: u32| {
        let step = MEMORY.word(8).load(SeqCst).wrapping_sub(base);
        let round = step / 2 + 1;
        MEMORY.word(64 + 24).store(round, SeqCst);
        MEMORY.word(64 + 28).store(round, SeqCst);
        MEMORY.word(64 + 12).store(1, SeqCst);
        MEMORY.word(64 + 20).store(1, SeqCst);
        // It says 10 increments, and there are none of them.
        MEMORY.word(64 + 16).store(10, SeqCst);
        let ahead = u32::from(step < 20 && step % 2 == 1);
        MEMORY.word(64 + 8).store(7 + step + ahead, SeqCst);
    };
    let proven = against(&MEMORY, how, play).unwrap();
    assert_eq!(proven.capability, Capability::LoadStore);
}
