//! Operations as functions of their own, whose instructions `measure` counts, and how large handles are.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::mem::size_of;
use footprint::memory;
use zeroipc_nostd::{
    Channel, Consumer, PopError, Producer, PushError, Queue, Ring, Signal, SignalError, SignalWriter,
};

#[no_mangle]
#[inline(never)]
fn counted_ring_push(producer: &mut Producer<'_, u32>, value: u32) -> Result<(), PushError<u32>> {
    producer.try_push(value)
}

#[no_mangle]
#[inline(never)]
fn counted_ring_pop(consumer: &mut Consumer<'_, u32>) -> Result<u32, PopError> {
    consumer.try_pop()
}

#[no_mangle]
#[inline(never)]
fn counted_signal_read(signal: &Signal<'_, u32>) -> Result<u32, SignalError> {
    signal.get()
}

#[no_mangle]
#[inline(never)]
fn counted_signal_write(writer: &mut SignalWriter<'_, u32>, value: u32) {
    writer.set(value);
}

macro_rules! handles {
    ($($name:ident: $($type:ty),+;)+) => {
        $(
            #[no_mangle]
            #[used]
            #[link_section = ".handles"]
            static $name: [u8; 0 $(+ size_of::<$type>())+] = [0; 0 $(+ size_of::<$type>())+];
        )+
    };
}

handles! {
    handles_ring: Producer<'static, u32>, Consumer<'static, u32>;
    handles_queue: Queue<'static, u32>;
    handles_channel: Channel<'static, u32>;
}

fn run() -> Option<()> {
    let memory = memory()?;
    let region = memory.open().ok()?;
    let mut producer = Ring::<u32>::open(region, "ring").ok()?.producer().ok()?;
    let mut consumer = Ring::<u32>::open(region, "ring").ok()?.consumer().ok()?;
    let signal = Signal::<u32>::open(region, "signal").ok()?;
    let mut writer = signal.writer().ok()?;
    loop {
        let _ = black_box(counted_ring_push(&mut producer, black_box(1)));
        let _ = black_box(counted_ring_pop(&mut consumer));
        let _ = black_box(counted_signal_read(&signal));
        counted_signal_write(&mut writer, black_box(1));
    }
}

#[no_mangle]
extern "C" fn _start() -> ! {
    let _ = run();
    loop {}
}
