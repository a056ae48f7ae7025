//! The algorithm of Map and Set, for one word size: buckets of lock-free lists over slots.
//!
//! M. M. Michael, "High performance dynamic lock-free hash tables and list-based sets" (2002),
//! <https://doi.org/10.1145/564870.564881>, with slots for pointers, and two changes: a value is replaced by one step, and
//! those who only read never write.
//!
//! A *word* names a slot or none (`word.rs`): the head of each bucket, and the *link* of each slot, which names the next slot
//! of the list. Every change of a word is a CAS that takes its tag one further, also across reuse of its slot. A list is in
//! ascending order of (fingerprint, bytes of the key). A slot is *in the list* if a chain of words leads to it from the head;
//! its key is *there* if the slot is in the list and its link is not marked. Slots are owned by whoever set their bit in the
//! bitmap, until they are published; then by the list; then by whoever unlinked them, who clears the bit.
//!
//! **find(key)**, for those who change something
//! 1. The anchor is the head of the key's bucket; load its word.
//! 2. If it names none, or a slot with a greater fingerprint: the key is absent.
//! 3. Load the link of the slot named. If it is marked, unlink the slot: CAS the anchor from its word to what the link names.
//!    The slot is ours; give it back. Go to 2 with the new word. If the CAS fails, start again.
//! 4. Read key and value if the fingerprint is the key's. Start again unless the anchor still holds its word. Found, or
//!    absent if the key read is greater; otherwise the link is the anchor, with the word loaded in 3. Go to 2.
//!
//! **insert** of an absent key: if as many keys are there as fit, and the anchor still holds its word, it is full. Take a
//! slot, fill it, let its link name what the anchor's word names, CAS the anchor to name it, count the key. If the CAS fails
//! give the slot back and start again.
//!
//! **remove**: uncount the key, CAS the link of its slot to the same, marked: from then on it is not there. If that fails count
//! it again and start again. Unlink as in 3; if that fails find the key once more, which passes, and unlinks, the slot.
//!
//! **replace** the value of a key that is there, in slot x: take a slot y, fill it with the key and the new value, let its link
//! name what the link of x names, and CAS the link of x to name y, marked. Unlink x: the anchor then names y.
//!
//! **look(key)**, for those who only read: as find, but step over a marked slot instead of unlinking it: keep the anchor, and
//! go on with the slot that the link names. Each step checks that the anchor still holds its word.
//!
//! **Why it holds.** While an anchor holds the same word, tag included, its own slot is in the list and not marked: a marked
//! link never changes until its slot has been unlinked, given back, and filled anew, with another tag. So the slot that an
//! anchor names is in the list, and what was read of it between two looks at the anchor is of one filling. A marked slot
//! behind an anchor that has not changed is still linked, and so is what it names: unlinking that needs a CAS on an unmarked word that
//! names it, and the only word that does is the marked link. So readers may step over any number of marked slots as long
//! as they check the anchor before them.
//!
//! Replacing is one CAS on the link of x. Before it, x is there and y is not in the list. After it, x is marked and y, whose
//! link is not, is in the list: the old value went and the new came at once, and the key was never absent. Whoever
//! comes by steps from x to y: y has the same key, and so the same place in the order. If x is removed or replaced by
//! another at the same time, both need the CAS on the same word, and one succeeds.
//!
//! A key is there at most once: the place of a key in the order is between one anchor and the slot that its word names; two
//! parties that insert it need the CAS on the same word, and one succeeds.
//!
//! The count goes up after a key was published and down before it is marked, so it is never more than the number of keys
//! that are there, and less by at most one for each party inside, or killed inside.
//!
//! Lock-free: whoever starts again does so because a CAS of another party succeeded on the word that it relied on. All loops
//! are bounded nevertheless, against hostile memory ([`Effort`]).

use super::hash::murmur3;
use super::layout::{keys_of, Layout};
use super::word::Naming;
use crate::element::Element;
use crate::error::MapError;
use crate::slots::Bitmap;
use crate::sync::{Atomic, Cells, Racy, Span, Word};
use core::cmp::Ordering;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// How many slots beyond those that exist a list may lead through before it is called corrupt: that many can have been put
/// before a reader, one after the other, only by others who did that much while it took as many steps.
const PATIENCE: u64 = 256;
/// How often an operation starts again before it says `Contended`.
const TURNS: u64 = 1 << 16;
/// How often all slots are looked through for a free one: a free slot may move while we look.
const ROUNDS: u32 = 4;

#[derive(Debug)]
pub(super) struct List<'a, K, V, W: Word> {
    cells: Cells<'a, K, V, W>,
    bitmap: Bitmap<'a>,
    count: Atomic<'a, u32>,
    naming: Naming<W>,
    seed: u32,
    /// A power of two.
    capacity: usize,
    slots: usize,
}

impl<K, V, W: Word> Clone for List<'_, K, V, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, W: Word> Copy for List<'_, K, V, W> {}

/// Where keys with one hash belong.
#[derive(Debug, Clone, Copy)]
struct Address {
    bucket: usize,
    fingerprint: usize,
}

/// Where a key stands in the order of its list: by the fingerprint in the word that names it, and by its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rank<K> {
    fingerprint: usize,
    pub(super) key: K,
}

impl<K: Element> Rank<K> {
    fn is_after(&self, other: &Self) -> bool {
        let bytes = || self.key.as_bytes().cmp(other.key.as_bytes());
        self.fingerprint.cmp(&other.fingerprint).then_with(bytes).is_gt()
    }
}

/// A place in a list: the word that names the first slot whose key is not less than the one looked for.
struct Place<'a, V, W: Word> {
    anchor: Atomic<'a, W>,
    /// What the anchor held.
    seen: W,
    /// The key's slot, if the key is there.
    node: Option<Node<V, W>>,
}

/// A slot in a list.
struct Node<V, W> {
    slot: usize,
    /// What its link held, unmarked.
    next: W,
    value: V,
}

/// What came of one pass over a list; `None` if another party interfered.
type Pass<T> = Result<Option<T>, MapError>;

/// What to do with a key, given its value.
#[derive(Debug)]
pub(super) enum Change<V> {
    /// Nothing.
    Keep,
    /// Insert it, or replace its value.
    Put(V),
    /// Remove it, if it is there.
    Remove,
}

/// What an operation has spent of its bounds.
struct Effort {
    turns: u64,
    steps: u64,
    limit: u64,
}

impl Effort {
    /// One slot further. No list has more slots than there are.
    #[inline(always)]
    fn step(&mut self) -> Result<(), MapError> {
        self.steps += 1;
        if self.steps > self.limit {
            return Err(MapError::Corrupt);
        }
        Ok(())
    }

    /// From the start again, because another party changed what this one relied on. Steps cost turns too, so that a peer
    /// cannot make a bounded operation take ages.
    #[cold]
    fn again(&mut self) -> Result<(), MapError> {
        self.turns += 1 + self.steps / 64;
        self.steps = 0;
        if self.turns > TURNS + self.limit {
            return Err(MapError::Contended);
        }
        Ok(())
    }
}

/// The word or slot that a checked index names is always there; if not, nothing is as it should be.
#[inline(always)]
fn there<T>(found: Option<T>) -> Result<T, MapError> {
    found.ok_or(MapError::Corrupt)
}

impl<'a, K: Element, V: Element, W: Word> List<'a, K, V, W> {
    /// The map in `span`; `None` if the layout does not fit into it.
    pub(super) fn at(span: Span<'a>, layout: &Layout, seed: u32) -> Option<Self> {
        let stride = usize::try_from(layout.stride).ok()?;
        let capacity = usize::try_from(layout.capacity).ok()?;
        let slots = usize::try_from(layout.slots).ok()?;
        let parts = (usize::try_from(layout.key).ok()?, usize::try_from(layout.value).ok()?);
        Some(List {
            cells: Cells::at(span, layout.cells, stride, slots, parts)?,
            bitmap: Bitmap::at(span, layout.bitmap, slots)?,
            count: span.word(layout.count)?,
            naming: Naming::of(layout.slots),
            seed,
            capacity,
            slots,
        })
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn seed(&self) -> u32 {
        self.seed
    }

    pub(super) fn len(&self) -> usize {
        // At most `slots`, which is a `usize`.
        keys_of(self.count.load(Acquire), self.slots as u64) as usize
    }

    fn effort(&self) -> Effort {
        Effort { turns: 0, steps: 0, limit: self.slots as u64 + PATIENCE }
    }

    #[inline(always)]
    fn address(&self, key: &K) -> Address {
        let hash = murmur3(key.as_bytes(), self.seed);
        Address {
            bucket: hash as usize & (self.capacity - 1),
            fingerprint: Naming::<W>::fingerprint_of_hash(hash),
        }
    }

    /// What `read` reads of the key's slot, or `None` if the key is not there. Writes nothing.
    #[inline(always)]
    pub(super) fn look<R>(
        &self,
        key: &K,
        read: impl Fn(&Racy<'a, V>) -> Option<R>,
    ) -> Result<Option<R>, MapError> {
        let address = self.address(key);
        let mut effort = self.effort();
        loop {
            if let Some(result) = self.look_once(address, key, &read, &mut effort)? {
                return Ok(result);
            }
            effort.again()?;
        }
    }

    /// One pass of look; `None` if another party interfered.
    #[inline(always)]
    fn look_once<R>(
        &self,
        address: Address,
        key: &K,
        read: &impl Fn(&Racy<'a, V>) -> Option<R>,
        effort: &mut Effort,
    ) -> Pass<Option<R>> {
        let mut anchor = there(self.cells.get(address.bucket))?.head();
        // Acquire, here and at links: what is named was filled before.
        let mut seen = anchor.load(Acquire);
        let mut current = seen;
        loop {
            let fingerprint = Naming::fingerprint(current);
            let Some(slot) = self.naming.slot(current) else { return Ok(Some(None)) };
            if fingerprint > address.fingerprint {
                return Ok(Some(None));
            }
            effort.step()?;
            let cell = there(self.cells.get(slot))?;
            let link = cell.link();
            let next = link.load(Acquire);
            let marked = Naming::is_marked(next);
            let candidate = fingerprint == address.fingerprint && !marked;
            let hit = candidate && there(cell.key().read(0))?.as_bytes() == key.as_bytes();
            let value = if hit { Some(there(read(&cell.value()))?) } else { None };
            // Relaxed: after the acquiring load of the link, and the fence of the payload. If any of them saw a later filling of
            // the slot, they acquired what came before it: the change of the anchor.
            if anchor.load(Relaxed) != seen {
                return Ok(None);
            }
            if hit {
                return Ok(Some(value));
            }
            if !marked {
                (anchor, seen) = (link, next);
            }
            current = next;
        }
    }

    /// The first key of `bucket` that comes after `last` in its order, with its value. Writes nothing.
    pub(super) fn after(
        &self,
        bucket: usize,
        last: Option<&Rank<K>>,
    ) -> Result<Option<(Rank<K>, V)>, MapError> {
        let mut effort = self.effort();
        loop {
            if let Some(result) = self.after_once(bucket, last, &mut effort)? {
                return Ok(result);
            }
            effort.again()?;
        }
    }

    /// One pass of after; `None` if another party interfered.
    fn after_once(
        &self,
        bucket: usize,
        last: Option<&Rank<K>>,
        effort: &mut Effort,
    ) -> Pass<Option<(Rank<K>, V)>> {
        let mut anchor = there(self.cells.get(bucket))?.head();
        let mut seen = anchor.load(Acquire);
        let mut current = seen;
        loop {
            let fingerprint = Naming::fingerprint(current);
            let Some(slot) = self.naming.slot(current) else { return Ok(Some(None)) };
            effort.step()?;
            let cell = there(self.cells.get(slot))?;
            let link = cell.link();
            let next = link.load(Acquire);
            let marked = Naming::is_marked(next);
            let (key, value) = (there(cell.key().read(0))?, there(cell.value().read(0))?);
            // As in `look_once`.
            if anchor.load(Relaxed) != seen {
                return Ok(None);
            }
            let rank = Rank { fingerprint, key };
            if !marked && last.map_or(true, |last| rank.is_after(last)) {
                return Ok(Some(Some((rank, value))));
            }
            if !marked {
                (anchor, seen) = (link, next);
            }
            current = next;
        }
    }

    /// Does with `key` what `decide` says of its value. Returns the value that was there, and whether it was changed.
    ///
    /// `decide` is asked again if another party came before.
    #[inline]
    pub(super) fn change(
        &self,
        key: &K,
        mut decide: impl FnMut(Option<&V>) -> Change<V>,
    ) -> Result<Option<V>, MapError> {
        let address = self.address(key);
        let mut effort = self.effort();
        loop {
            let place = self.find(address, key, &mut effort)?;
            let change = decide(place.node.as_ref().map(|node| &node.value));
            let done = match (&place.node, &change) {
                (_, Change::Keep) | (None, Change::Remove) => true,
                (None, Change::Put(value)) => self.insert(address, &place, key, value)?,
                (Some(node), Change::Put(value)) => {
                    self.replace(address, &place, node, key, value)?
                }
                (Some(node), Change::Remove) => self.remove(address, &place, node, key)?,
            };
            if done {
                return Ok(place.node.map(|node| node.value));
            }
            effort.again()?;
        }
    }

    fn find(
        &self,
        address: Address,
        key: &K,
        effort: &mut Effort,
    ) -> Result<Place<'a, V, W>, MapError> {
        loop {
            if let Some(place) = self.find_once(address, key, effort)? {
                return Ok(place);
            }
            effort.again()?;
        }
    }

    /// One pass of find; `None` if another party interfered.
    #[inline]
    fn find_once(&self, address: Address, key: &K, effort: &mut Effort) -> Pass<Place<'a, V, W>> {
        let mut anchor = there(self.cells.get(address.bucket))?.head();
        let mut seen = anchor.load(Acquire);
        loop {
            let fingerprint = Naming::fingerprint(seen);
            let Some(slot) = self.naming.slot(seen) else { break };
            if fingerprint > address.fingerprint {
                break;
            }
            effort.step()?;
            let cell = there(self.cells.get(slot))?;
            let link = cell.link();
            let next = link.load(Acquire);
            if Naming::is_marked(next) {
                match self.unlink(anchor, seen, slot, next)? {
                    Some(onward) => seen = onward,
                    None => return Ok(None),
                }
                continue;
            }
            let mut order = Ordering::Less;
            let mut node = None;
            if fingerprint == address.fingerprint {
                order = there(cell.key().read(0))?.as_bytes().cmp(key.as_bytes());
                if order == Ordering::Equal {
                    node = Some(Node { slot, next, value: there(cell.value().read(0))? });
                }
            }
            // As in `look_once`.
            if anchor.load(Relaxed) != seen {
                return Ok(None);
            }
            if order != Ordering::Less {
                return Ok(Some(Place { anchor, seen, node }));
            }
            (anchor, seen) = (link, next);
        }
        Ok(Some(Place { anchor, seen, node: None }))
    }

    /// Unlinks the marked `slot` that `seen`, the word of the anchor, names; its link holds `next`. Returns the anchor's new
    /// word, or `None` if it had changed.
    #[cold]
    fn unlink(
        &self,
        anchor: Atomic<'a, W>,
        seen: W,
        slot: usize,
        next: W,
    ) -> Result<Option<W>, MapError> {
        let onward = self.naming.naming_same(seen, next);
        // Release: hands on the filling of what `next` names, which we acquired.
        if anchor.compare_exchange(seen, onward, AcqRel, Relaxed).is_err() {
            return Ok(None);
        }
        // Whoever unlinked a slot owns it. If it was free, a peer has put it into two lists.
        if self.bitmap.give(slot) {
            Ok(Some(onward))
        } else {
            Err(MapError::Corrupt)
        }
    }

    /// Inserts an absent key; false if another party came before.
    fn insert(
        &self,
        address: Address,
        place: &Place<'a, V, W>,
        key: &K,
        value: &V,
    ) -> Result<bool, MapError> {
        // Signed: see `keys_of`.
        let is_full = self.count.load(Acquire) as i32 >= self.capacity as i32;
        let slot = if is_full { None } else { self.take(address) };
        let Some(slot) = slot else {
            // Exact only if the key was absent at that moment: so it was if nobody has been at its place since we found it so.
            return if place.anchor.load(Acquire) == place.seen {
                Err(MapError::Full)
            } else {
                Ok(false)
            };
        };
        self.fill(slot, place.seen, key, value)?;
        let word = self.naming.naming_slot(place.seen, slot, address.fingerprint);
        // Release: publishes the slot.
        if place.anchor.compare_exchange(place.seen, word, AcqRel, Relaxed).is_err() {
            self.bitmap.give(slot);
            return Ok(false);
        }
        self.count.fetch_add(1, AcqRel);
        Ok(true)
    }

    /// Replaces the value of a key that is there; false if another party came before.
    fn replace(
        &self,
        address: Address,
        place: &Place<'a, V, W>,
        node: &Node<V, W>,
        key: &K,
        value: &V,
    ) -> Result<bool, MapError> {
        let slot = self.take(address).ok_or(MapError::Full)?;
        self.fill(slot, node.next, key, value)?;
        let word = Naming::marked(self.naming.naming_slot(node.next, slot, address.fingerprint));
        self.bury(address, place, node, key, word, Some(slot))
    }

    /// Removes a key that is there; false if another party came before.
    fn remove(
        &self,
        address: Address,
        place: &Place<'a, V, W>,
        node: &Node<V, W>,
        key: &K,
    ) -> Result<bool, MapError> {
        self.count.fetch_add(u32::MAX, AcqRel);
        let word = Naming::marked(self.naming.naming_same(node.next, node.next));
        let removed = self.bury(address, place, node, key, word, None)?;
        if !removed {
            self.count.fetch_add(1, AcqRel);
        }
        Ok(removed)
    }

    /// Marks a slot by changing its link to `word`, which may name a `successor`, and unlinks it; false, and the successor
    /// given back, if another party came before.
    fn bury(
        &self,
        address: Address,
        place: &Place<'a, V, W>,
        node: &Node<V, W>,
        key: &K,
        word: W,
        successor: Option<usize>,
    ) -> Result<bool, MapError> {
        let link = there(self.cells.get(node.slot))?.link();
        // Release: publishes the successor.
        if link.compare_exchange(node.next, word, AcqRel, Relaxed).is_err() {
            if let Some(slot) = successor {
                self.bitmap.give(slot);
            }
            return Ok(false);
        }
        // It is done. The rest is housekeeping, and its failure is not this operation's.
        if let Ok(None) = self.unlink(place.anchor, place.seen, node.slot, word) {
            let _ = self.find(address, key, &mut self.effort());
        }
        Ok(true)
    }

    /// A slot of our own, the bucket's home slot if it is free.
    #[inline]
    fn take(&self, address: Address) -> Option<usize> {
        (0..ROUNDS).find_map(|_| self.bitmap.take(address.bucket))
    }

    /// Fills a slot of our own. Its link will name what `before`, the word that is to name it, names.
    #[inline]
    fn fill(&self, slot: usize, before: W, key: &K, value: &V) -> Result<(), MapError> {
        let cell = there(self.cells.get(slot))?;
        let link = cell.link();
        cell.key().write(0, key);
        cell.value().write(0, value);
        // The tag goes on from the last filling. Relaxed: the payload's release fence came before, so whoever still has a word
        // that named the slot then, and sees this link, sees that word changed.
        link.store(self.naming.naming_same(link.load(Relaxed), before), Relaxed);
        Ok(())
    }
}
