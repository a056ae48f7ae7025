//! Where the regions lie in the file that QEMU keeps the shared memory in, and what is in them.

/// Where the two regions of a machine are in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// How large the file must be, in bytes.
    pub file: u64,
    /// Where the device's region starts in it.
    pub device: u64,
    /// Where the region of Linux starts in it.
    pub host: u64,
    /// Bytes of each region.
    pub size: usize,
}

/// Two Cortex-M33 cores: the file is the board's 16 MiB of PSRAM.
pub const MPS2_AN521: Places = Places { file: 16 << 20, device: 0, host: 8 << 20, size: 256 << 10 };

/// Two RISC-V harts: the file is all of the machine's RAM, programs and stacks in front.
pub const RISCV_VIRT: Places =
    Places { file: 16 << 20, device: 8 << 20, host: 12 << 20, size: 256 << 10 };

/// An x86-64 guest: the file is the memory of an ivshmem device.
pub const IVSHMEM: Places = Places { file: 1 << 20, device: 0, host: 512 << 10, size: 256 << 10 };

/// The names of the structures.
pub mod names {
    /// From core 0 to core 1.
    pub const SAMPLES: &str = "samples";
    /// From core 1 to core 0.
    pub const FILTERED: &str = "filtered";
    /// From core 0 to core 1.
    pub const REQUESTS: &str = "requests";
    /// From core 1 to core 0.
    pub const REPLIES: &str = "replies";
    /// From core 1 to everybody.
    pub const LEVELS: &str = "levels";
    /// From core 0 to Linux.
    pub const READINGS: &str = "readings";
    /// From both cores to Linux.
    pub const ANSWERS: &str = "answers";
    /// From core 1, once a boot.
    pub const CALIBRATION: &str = "calibration";
    /// How far each core is.
    pub const CORES: [&str; 2] = ["core 0", "core 1"];
    /// From Linux to core 1.
    pub const SETPOINTS: &str = "setpoints";
    /// From Linux to both cores.
    pub const COMMANDS: &str = "commands";
    /// How far Linux is.
    pub const LINUX: &str = "linux";
}
