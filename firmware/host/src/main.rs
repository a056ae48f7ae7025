//! Takes part in the exchange of one of the firmware examples, until Ctrl-C or for some seconds.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use zeroipc::WordSize;
use zeroipc_firmware_pipeline::{IVSHMEM, MPS2_AN521, RISCV_VIRT};

const USAGE: &str = "usage: zeroipc-firmware-host cortex-m33|riscv|x86-64 [SECONDS]";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let machine = arguments.next().unwrap_or_default();
    let (places, word) = match machine.as_str() {
        "cortex-m33" => (MPS2_AN521, WordSize::Four),
        "riscv" => (RISCV_VIRT, WordSize::Four),
        "x86-64" => (IVSHMEM, WordSize::Eight),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let seconds = arguments.next().map_or(Ok(u64::MAX), |text| text.parse());
    let Ok(seconds) = seconds else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let default = format!("/dev/shm/zeroipc-{machine}");
    let path = PathBuf::from(std::env::var_os("ZEROIPC_FILE").unwrap_or(default.into()));

    let (start, mut shown) = (Instant::now(), Instant::now());
    let ended = zeroipc_firmware_host::run(&path, &places, word, |status| {
        if shown.elapsed() >= Duration::from_secs(1) {
            println!("{status:?}");
            shown = Instant::now();
        }
        start.elapsed().as_secs() >= seconds
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
