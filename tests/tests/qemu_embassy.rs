//! Tasks of an embassy executor on one Cortex-M33 core wait for the other and are woken by its doorbell; what it logs through
//! defmt is decoded.

use defmt_decoder::{DecodeError, Table};
use std::fs;
use std::path::Path;
use std::time::Duration;
use zeroipc_tests::machine::{mps2_an521, Firmware, Machine};
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::scratch::ScratchFolder;

const PATIENCE: Duration = Duration::from_secs(110);

/// The lines of a log, as its level and its text.
fn decoded(program: &Path, log: &Path) -> Vec<String> {
    let program = fs::read(program).unwrap();
    let table = Table::parse(&program).unwrap().expect("the program has a section .defmt");
    let mut decoder = table.new_stream_decoder();
    decoder.received(&fs::read(log).unwrap());
    let mut lines = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => {
                let level = frame.level().map_or("print", |level| level.as_str());
                lines.push(format!("{level} {}", frame.display_message()));
            }
            Err(DecodeError::UnexpectedEof) => return lines,
            Err(DecodeError::Malformed) => panic!("a malformed frame after {lines:#?}"),
        }
    }
}

#[test]
fn tasks_are_woken_by_the_other_core() {
    let firmware = Firmware {
        folder: "embassy",
        binary: "zeroipc-embassy",
        targets: &["thumbv8m.main-none-eabi"],
        emulator: "qemu-system-arm",
    };
    let Some(program) = firmware.build() else { return };
    let _watchdog = watchdog(Duration::from_secs(200), "the embassy example");
    let folder = ScratchFolder::new("embassy");
    let (memory, log) = (folder.file("psram"), folder.file("log"));
    fs::File::create(&memory).unwrap().set_len(16 << 20).unwrap();

    let mut arguments = mps2_an521(&memory);
    // After the console's, the second.
    arguments.extend(["-serial".to_owned(), format!("file:{}", log.display())]);
    arguments.extend(["-kernel".to_owned(), program.display().to_string()]);
    let mut machine = Machine::start(firmware.emulator, &arguments, folder.file("console"));
    // The firmware itself finds out whether a job was lost, or came twice, and whether its tasks slept.
    assert_eq!(machine.finish(PATIENCE), Some(0), "{}", machine.printed());
    let printed = machine.printed();
    assert!(printed.contains("10000 jobs given and 10000 results taken"), "{printed}");

    let expected = [
        "error region: Region(WrongMagic { found: 0 })",
        "error structure: NotFound { name: \"nothing\" }",
        "error structure: WrongElementSize { name: \"jobs\", expected: 8, found: 4 }",
        "warn operation: Empty",
        "info jobs: StructureInfo { kind: \"Queue\", geometry: Geometry { word: Four, line: 8 }, \
         elem_size: 4, capacity: 16, fill: Some(0) }",
    ];
    assert_eq!(decoded(&program, &log), expected);
}
