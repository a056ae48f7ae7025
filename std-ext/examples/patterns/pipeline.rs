//! Pipeline: a sensor's degrees Celsius, made Fahrenheit by one process, watched by another; a stage that is killed and started
//! again goes on at the value where it stopped.
//!
//! `cargo run --example pipeline` shows it. In terminals of your own, in any order: `pipeline sensor /oven`,
//! `pipeline converter /oven` and `pipeline alert /oven`.

mod roles;

use roles::{Outcome, Part, Play, PATIENCE};
use std::thread::sleep;
use std::time::Duration;
use zeroipc::{Memory, NextError, Source, Stream};

const READINGS: u32 = 400;

/// Long enough for all; a shorter one with backpressure would slow the sensor down instead.
fn stream<'a>(memory: &'a Memory, name: &str) -> Outcome<Stream<'a, f32>> {
    Ok(Stream::open_or_create(memory, name, 512)?)
}

fn sensor(memory: &Memory) -> Outcome {
    let celsius = stream(memory, "celsius")?;
    for n in 0..READINGS {
        celsius.emit(20.0 + (n % 50) as f32)?;
        sleep(Duration::from_micros(200));
    }
    celsius.close()?;
    Ok(())
}

fn converter(memory: &Memory) -> Outcome {
    let (celsius, fahrenheit) = (stream(memory, "celsius")?, stream(memory, "fahrenheit")?);
    // What it has given out says how far its predecessor came: nothing is converted twice, and nothing is left out.
    let done = fahrenheit.next_sequence();
    println!("converter: begins with reading {done}");
    let mut readings = celsius.subscribe_at(done)?.map(|celsius| celsius * 1.8 + 32.0);
    loop {
        match readings.next_timeout(PATIENCE) {
            Ok(reading) => fahrenheit.emit(reading)?,
            Err(NextError::Closed) => break,
            Err(error) => return Err(error.into()),
        };
    }
    fahrenheit.close()?;
    println!("converter: {} readings", fahrenheit.next_sequence());
    Ok(())
}

fn alert(memory: &Memory) -> Outcome {
    let fahrenheit = stream(memory, "fahrenheit")?;
    let mut count = 0;
    fahrenheit
        .subscribe_from_oldest()?
        // Only when it gets hot, not as long as it is.
        .scan(false, |hot, reading| {
            let was_hot = std::mem::replace(hot, reading >= 150.0);
            Some((*hot && !was_hot).then_some(reading))
        })
        .filter_map(|alert| alert)
        .for_each(|reading| {
            count += 1;
            println!("alert {count}: {reading:.1} °F");
        })?;
    Ok(())
}

fn main() -> Outcome {
    if let Some(Part { role, memory, .. }) = Part::of_this_process()? {
        return match role.as_str() {
            "sensor" => sensor(&memory),
            "converter" => converter(&memory),
            "alert" => alert(&memory),
            role => Err(format!("sensor, converter or alert, not {role}").into()),
        };
    }
    let play = Play::begin()?;
    let fahrenheit = stream(&play.memory, "fahrenheit")?;
    let others = [play.start("alert", 1)?, play.start("sensor", 2)?];
    let first = play.start("converter", 3)?;
    while fahrenheit.next_sequence() < 100 {
        sleep(Duration::from_millis(1));
    }
    first.kill(&roles::Deaths::of(&play.memory)?)?;
    println!("the converter is killed");
    play.start("converter", 4)?.finish()?;
    others.into_iter().try_for_each(|stage| stage.finish())
}
