//! Prints what `temperature_pipeline` derives, from the oldest that is left until the end.
//!
//! `cargo run -p zeroipc --example temperature_subscriber [NAME]`

use zeroipc::{Memory, Source, Stream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "/weather".into());

    let memory = Memory::open(&name)?;
    let temp_f = Stream::<f64>::open(&memory, "temp_f")?.subscribe_from_oldest()?;
    let highest = Stream::<f64>::open(&memory, "highest")?.subscribe_from_oldest()?;
    // What was overwritten before it was read is passed over.
    for values in temp_f.lossy().zip(highest.lossy()).iter() {
        let (fahrenheit, highest) = values?;
        println!("{fahrenheit:.1} F, highest so far {highest:.1} C");
    }
    Ok(())
}
