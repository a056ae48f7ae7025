//! A bare-metal guest shares structures with Linux, its host, over ivshmem.
//!
//! The guest has one core, which takes turns as core 0 and as core 1 of `zeroipc-firmware-pipeline`.
#![no_std]
#![no_main]

mod board;

use board::exit;
use zeroipc_firmware_pipeline::{Failure, Filter, HostLink, Sampler, Turn};
use zeroipc_raw::RawRegion;

/// Called by `start.s`.
#[no_mangle]
extern "C" fn main() -> ! {
    let Some([Ok(device), Ok(host)]) = board::memory() else {
        say!("there is no ivshmem device with memory below 4 GiB");
        exit(1)
    };
    let mut links = [HostLink::new(&host, 0), HostLink::new(&host, 1)];
    loop {
        match session(&device, &mut links) {
            Failure::Region(error) => {
                say!("{error:?}");
                exit(1)
            }
            failure => say!("{failure:?}; another session"),
        }
    }
}

/// Creates the region and exchanges until something goes wrong in it.
fn session<'a>(device: &'a RawRegion, [first, second]: &mut [HostLink<'a>; 2]) -> Failure {
    let mut turns = || {
        let mut sampler = Sampler::start(device, first, None)?;
        say!("session {}", sampler.session());
        let mut filter = Filter::start(device, second)?;
        loop {
            match (sampler.turn()?, filter.turn()?) {
                (Turn::Stop, _) | (_, Turn::Stop) => {
                    say!("{:?} {:?}", sampler.status(), filter.status());
                    exit(0)
                }
                (Turn::Idle, Turn::Idle) => core::hint::spin_loop(),
                _ => {}
            }
        }
    };
    let Err::<core::convert::Infallible, _>(failure) = turns();
    failure
}
