//! Opens the region of `sensor_writer`, loads a temperature, and removes the region.
//!
//! `cargo run -p zeroipc --example sensor_reader [NAME]`

use zeroipc::{Array, Memory};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "/sensor_data".into());

    let memory = Memory::open(&name)?;
    let temperature = Array::<f32>::open(&memory, "temperature")?;
    println!("{} degrees, in one of {} places", temperature.load(0)?, temperature.len());

    // Nobody needs it any more.
    Memory::unlink(&name)?;
    Ok(())
}
