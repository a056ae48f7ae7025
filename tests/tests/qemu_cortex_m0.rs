//! A Cortex-M0 in QEMU, without compare-and-exchange: its main loop and an interrupt exchange a million items, each once, by
//! loads and stores. Linux reads the region that it leaves.

use std::time::Duration;
use zeroipc::{Array, Capability, Future, Geometry, Memory, NextError, Ring, Signal, Stream};
use zeroipc_tests::machine::{Firmware, Inspector, Machine};
use zeroipc_tests::processes::watchdog;
use zeroipc_tests::scratch::ScratchFolder;

const ITEMS: u32 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(110);

#[test]
fn a_core_without_compare_and_exchange() {
    let firmware = Firmware {
        folder: "cortex-m0",
        binary: "zeroipc-cortex-m0",
        targets: &["thumbv6m-none-eabi"],
        emulator: "qemu-system-arm",
    };
    let Some(program) = firmware.build() else { return };
    let inspector = Inspector::build();
    let _watchdog = watchdog(Duration::from_secs(200), "the Cortex-M0");
    let folder = ScratchFolder::new("cortex-m0");

    let arguments = ["-M", "microbit", "-semihosting-config", "enable=on,target=native"];
    let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    arguments.extend(["-kernel".to_owned(), program.display().to_string()]);
    let mut machine = Machine::start(firmware.emulator, &arguments, folder.file("console"));
    assert_eq!(machine.finish(PATIENCE), Some(0), "{}", machine.state());

    // What it left, as the 64-bit host sees it.
    let file = folder.file("zeroipc-cortex-m0.region");
    let memory = Memory::open_file(&file).unwrap();
    let view = memory.region().view();
    assert_eq!(view.capability(), Capability::LoadStore);
    assert_eq!(view.geometry(), Geometry::SMALLEST);
    let counts = Array::<u32>::open(&memory, "counts").unwrap();
    let [items, ticks, missed] = [0, 1, 2].map(|index| counts.load(index).unwrap());
    assert_eq!(items, ITEMS);
    assert_eq!(Future::<u32>::open(&memory, "done").unwrap().try_get(), Ok(ticks + missed));
    assert!(Ring::<u32>::open(&memory, "items").unwrap().is_empty());
    let [sent, inverted] = Signal::<[u32; 2]>::open(&memory, "sent").unwrap().get().unwrap();
    assert_eq!(sent, !inverted);
    let mut last = Stream::<u32>::open(&memory, "ticks").unwrap().subscribe_from_oldest().unwrap();
    let kept: Vec<u32> = std::iter::from_fn(|| match last.try_next() {
        Err(NextError::Empty) => None,
        other => Some(other.unwrap()),
    })
    .collect();
    assert!(kept.len() >= 7, "all but the oldest are kept: {kept:?}");
    assert!(kept.iter().rev().zip((0..ticks + missed).rev()).all(|(a, b)| *a == b), "{kept:?}");

    let shown = inspector.run(&["show".as_ref(), "--file".as_ref(), file.as_ref()]);
    for kind in ["Ring", "Stream", "Signal", "Future", "Array", "loads and stores only"] {
        assert!(shown.contains(kind), "no {kind}:\n{shown}");
    }
}
