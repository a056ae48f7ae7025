//! Two Cortex-M33 cores in QEMU and a process on Linux share structures.
//!
//! The region of the 32-bit device has words of 4 bytes and is used by the 64-bit host, and the other way round.

mod firmware;

use firmware::{exchange, Board};
use zeroipc::WordSize;
use zeroipc_firmware_pipeline::MPS2_AN521;
use zeroipc_tests::machine::{mps2_an521, Firmware};

#[test]
fn two_cores_and_linux() {
    let board = Board {
        firmware: Firmware {
            folder: "cortex-m33",
            binary: "zeroipc-cortex-m33",
            targets: &["thumbv8m.main-none-eabi"],
            emulator: "qemu-system-arm",
        },
        arguments: mps2_an521,
        places: MPS2_AN521,
        words: [WordSize::Four, WordSize::Four],
        stopped: 0,
    };
    exchange("two_cores_and_linux", &board);
}
