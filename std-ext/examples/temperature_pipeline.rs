//! Derives streams from the temperatures of `temperature_publisher`, until that ends. Kill it and start it again: it goes on where
//! it was, and no subscriber misses anything.
//!
//! `cargo run -p zeroipc --example temperature_pipeline [NAME]`

use zeroipc::{Memory, Stream, StreamExt, Target};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "/weather".into());

    let memory = Memory::open(&name)?;
    let temperature = Stream::<f64>::open(&memory, "temperature")?;

    // From the first temperature that is left, the first time.
    let from_oldest = |name| Target::new(name).from_oldest();
    let temp_f = temperature.map(&memory, from_oldest("temp_f"), |celsius| celsius * 1.8 + 32.0)?;
    let smooth = temperature.window::<5>(&memory, from_oldest("smooth"))?;
    let warm = temperature.filter(&memory, from_oldest("warm"), |celsius| *celsius > 20.0)?;
    let highest = temperature.fold(&memory, from_oldest("highest"), f64::MIN, f64::max)?;

    temp_f.join()?;
    smooth.join()?;
    warm.join()?;
    highest.join()?;
    Ok(())
}
