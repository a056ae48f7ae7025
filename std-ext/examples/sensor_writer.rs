//! Creates a region with an array of temperatures and stores one: run this first, then `sensor_reader`.
//!
//! `cargo run -p zeroipc --example sensor_writer [NAME]`

use zeroipc::{Array, Memory};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "/sensor_data".into());

    let memory = Memory::open_or_create(&name, 10 << 20)?;
    let temperature = Array::<f32>::open_or_create(&memory, "temperature", 1000)?;
    temperature.store(0, 21.5)?;

    println!("stored {} in {name}; it stays there when this program ends", temperature.load(0)?);
    Ok(())
}
