//! Publish and subscribe: every subscriber sees every value, from where it joined; who is too slow is told exactly what it missed,
//! and holds up nobody.
//!
//! `cargo run --example pub_sub` shows it. In terminals of your own: `pub_sub reader /prices`, `pub_sub slow /prices 2`, and then
//! `pub_sub publisher /prices`. `pub_sub late /prices` still finds the last 64.

mod roles;

use roles::{Outcome, Part, Play, PATIENCE};
use std::thread::sleep;
use std::time::Duration;
use zeroipc::{Latch, Memory, NextError, Stream, Subscriber};

const PRICES: u64 = 2000;

/// Keeps the last 64.
fn prices(memory: &Memory) -> Outcome<Stream<'_, u64>> {
    Ok(Stream::open_or_create(memory, "prices", 64)?)
}

fn publisher(memory: &Memory) -> Outcome {
    let prices = prices(memory)?;
    for number in 0..PRICES {
        // Never waits, whoever listens or does not.
        prices.emit(number)?;
        if number % 20 == 0 {
            sleep(Duration::from_micros(500));
        }
    }
    prices.close()?;
    println!("publisher: {PRICES} prices");
    Ok(())
}

/// Takes all that come until the stream is closed, and rests after each for as long as `pause`.
fn listen(who: &str, mut prices: Subscriber<'_, u64>, pause: Duration) -> Outcome {
    let (mut taken, mut missed_in_all, mut expected) = (0, 0, prices.sequence());
    loop {
        match prices.next_timeout(PATIENCE) {
            Ok(number) => {
                assert_eq!(number, expected);
                taken += 1;
                expected += 1;
            }
            // Where the gap is, and how large: the next one is that after it.
            Err(NextError::Lagged { missed }) => {
                missed_in_all += missed;
                expected += missed;
            }
            Err(NextError::Closed) => break,
            Err(error) => return Err(error.into()),
        }
        sleep(pause);
    }
    println!("{who}: took {taken}, missed {missed_in_all}");
    Ok(())
}

fn main() -> Outcome {
    if let Some(Part { role, memory, .. }) = Part::of_this_process()? {
        let prices = prices(&memory)?;
        if role == "publisher" {
            return publisher(&memory);
        }
        let late = role == "late";
        let subscriber = if late { prices.subscribe_from_oldest()? } else { prices.subscribe()? };
        if let Ok(here) = Latch::open(&memory, "here") {
            let _ = here.count_down();
        }
        return match role.as_str() {
            "reader" | "late" => listen(&role, subscriber, Duration::ZERO),
            "slow" => listen(&role, subscriber, Duration::from_millis(1)),
            role => Err(format!("publisher, reader, slow or late, not {role}").into()),
        };
    }
    let play = Play::begin()?;
    let here = Latch::create(&play.memory, "here", 4)?;
    let (reader, slow) = (play.start("reader", 1)?, play.start("slow", 2)?);
    let doomed = [play.start("reader", 3)?, play.start("reader", 4)?];
    here.wait_timeout(PATIENCE)?;
    // A subscriber writes nothing, so its death is nobody's business.
    let deaths = roles::Deaths::of(&play.memory)?;
    doomed.into_iter().try_for_each(|reader| reader.kill(&deaths))?;
    play.start("publisher", 5)?.finish()?;
    play.start("late", 6)?.finish()?;
    reader.finish()?;
    slow.finish()
}
