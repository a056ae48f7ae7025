//! What goes through queues in tests: who sent it, which one it is, and a checksum of both.

use crate::random::mix;

/// Sender, sequence number, checksum.
pub type Item = [u64; 3];

/// Item number `sequence` of `sender`.
#[must_use]
pub fn item(sender: u64, sequence: u64) -> Item {
    [sender, sequence, checksum(sender, sequence)]
}

/// Sender and sequence number of an item.
///
/// # Panics
/// If the checksum is wrong: the item is torn, or was never sent.
#[must_use]
pub fn opened(item: Item) -> (u64, u64) {
    let [sender, sequence, sum] = item;
    assert_eq!(sum, checksum(sender, sequence), "item {item:?} was not sent so");
    (sender, sequence)
}

fn checksum(sender: u64, sequence: u64) -> u64 {
    mix(sender << 40 ^ sequence)
}
