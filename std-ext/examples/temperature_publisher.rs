//! Publishes a temperature every 100 ms: run this first, then `temperature_pipeline`, and any number of `temperature_subscriber`.
//!
//! `cargo run -p zeroipc --example temperature_publisher [NAME [COUNT]]`

use std::time::Duration;
use zeroipc::{unfold, Memory, Target};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "/weather".into());
    let count = std::env::args().nth(2).map_or(Ok(u64::MAX), |count| count.parse())?;

    let memory = Memory::open_or_create(&name, 1 << 20)?;
    let target = Target::new("temperature").capacity(1024).every(Duration::from_millis(100));
    // A day in a hundred steps. If this program is killed and started again, the day goes on.
    let temperature = unfold(&memory, target, 0_u64, move |step| {
        let hour = step as f64 * 0.24;
        let celsius = 15.0 + 8.0 * ((hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
        (step < count).then_some((celsius, step + 1))
    })?;
    temperature.join()?;
    Ok(())
}
