//! Which slots of a resting Queue are owned, by the layout in SPECIFICATION.md (9.1) and not by the library's code.

use std::collections::BTreeSet;
use zeroipc_nostd::{Kind, View};

/// The slots that entries and spare words own. With nobody inside an operation these are all, except those that killed
/// parties took with them.
///
/// # Panics
/// If there is no such queue, or a slot has two owners, or one does not exist.
#[must_use]
pub fn owned(view: &View<'_>, name: &str) -> BTreeSet<u64> {
    let entry = view.find(name).expect("the queue");
    let info = view.inspect(&entry).expect("its prefix");
    assert_eq!(info.kind, Kind::QUEUE);
    let word = u64::from(info.geometry.word_bytes());
    let line = u64::from(info.geometry.line_bytes());
    let read = |offset: u64, bytes: usize| {
        let mut buffer = [0; 8];
        assert_eq!(view.read_bytes(entry.offset + offset, &mut buffer[..bytes]), bytes);
        u64::from_le_bytes(buffer)
    };
    let spares = read(12, 4);
    let elem = u64::from(info.elem_size);
    let align = (1 << elem.trailing_zeros()).min(16).min(line);
    let slot_at = word.next_multiple_of(align);
    let cell = (slot_at + elem).next_multiple_of(word.max(align));
    let tail = 32_u64.next_multiple_of(line);
    let head = (tail + word).next_multiple_of(line);
    let cells = (head + word).next_multiple_of(line);
    let slots = info.capacity + spares;
    let spare_words = (cells + cell * slots).next_multiple_of(word);
    assert_eq!(spare_words + word * spares, entry.size, "the layout fills the entry");

    // As few bits as name every slot.
    let number_mask = slots.next_power_of_two() - 1;
    let in_entries =
        (0..info.capacity).map(|index| read(cells + cell * index, word as usize) & number_mask);
    let in_spares = (0..spares)
        .map(|index| read(spare_words + word * index, word as usize))
        .filter_map(|number| number.checked_sub(1));
    let mut owned = BTreeSet::new();
    for slot in in_entries.chain(in_spares) {
        assert!(slot < slots, "slot {slot} does not exist");
        assert!(owned.insert(slot), "slot {slot} has two owners");
    }
    owned
}
