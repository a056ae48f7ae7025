//! A bare-metal x86-64 guest in QEMU and its host, Linux, share structures over ivshmem.

mod firmware;

use firmware::{exchange, Board};
use zeroipc::WordSize;
use zeroipc_firmware_pipeline::IVSHMEM;
use zeroipc_tests::machine::Firmware;

#[test]
fn a_guest_and_its_host() {
    let board = Board {
        firmware: Firmware {
            folder: "x86-64",
            binary: "zeroipc-x86-64",
            targets: &["x86_64-unknown-none"],
            emulator: "qemu-system-x86_64",
        },
        arguments: |path| {
            let memory = format!(
                "memory-backend-file,id=shared,size=1M,mem-path={},share=on",
                path.display()
            );
            // One core of a machine that could have two: else its read-modify-writes would not hold against the host.
            ["-M", "pc,accel=tcg", "-m", "64", "-smp", "1,maxcpus=2", "-nic", "none"]
                .into_iter()
                .chain(["-object", &memory, "-device", "ivshmem-plain,memdev=shared"])
                .chain(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
                .map(str::to_owned)
                .collect()
        },
        places: IVSHMEM,
        words: [WordSize::Eight, WordSize::Eight],
        // QEMU makes it of the guest's 0.
        stopped: 1,
    };
    exchange("a_guest_and_its_host", &board);
}
