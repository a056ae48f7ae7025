//! Two RISC-V harts in QEMU and a process on Linux share structures.
//!
//! The region of the 32-bit device has words of 4 bytes and is used by the 64-bit host, and the other way round.

mod firmware;

use firmware::{exchange, Board};
use zeroipc::WordSize;
use zeroipc_firmware_pipeline::RISCV_VIRT;
use zeroipc_tests::machine::Firmware;

#[test]
fn two_harts_and_linux() {
    let board = Board {
        firmware: Firmware {
            folder: "riscv",
            binary: "zeroipc-riscv",
            targets: &["riscv32imac-unknown-none-elf"],
            emulator: "qemu-system-riscv32",
        },
        arguments: |path| {
            let memory =
                format!("memory-backend-file,id=ram,size=16M,mem-path={},share=on", path.display());
            ["-M", "virt,memory-backend=ram", "-m", "16M", "-object", &memory]
                .into_iter()
                .chain(["-smp", "2", "-bios", "none"])
                .map(str::to_owned)
                .collect()
        },
        places: RISCV_VIRT,
        words: [WordSize::Four, WordSize::Four],
        stopped: 0,
    };
    exchange("two_harts_and_linux", &board);
}
