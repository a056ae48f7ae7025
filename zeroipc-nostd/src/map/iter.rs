//! All keys of a Map or a Set.
//!
//! A bucket's list is in ascending order. So an iteration remembers no place in the list, which may change at any time, but the last
//! key that came, and looks for the first after it. A key that is there all the time is never stepped over, and none comes
//! twice.

use super::list::Rank;
use super::Map;
use crate::element::Element;
use crate::error::MapError;

/// The iterator of [`Map::iter`].
#[derive(Debug, Clone)]
pub struct MapIter<'a, K, V> {
    map: Map<'a, K, V>,
    /// The bucket to go on in; the number of buckets at the end.
    bucket: usize,
    /// The last key that came from it.
    last: Option<Rank<K>>,
    /// How many more may come from it: keys ascend, but a hostile peer could go on inventing greater ones.
    left: u32,
}

/// Far more keys than come and go in one bucket while an iteration is at it.
const MOST: u32 = 1 << 16;

impl<'a, K: Element, V: Element> MapIter<'a, K, V> {
    pub(super) fn new(map: Map<'a, K, V>) -> Self {
        MapIter { map, bucket: 0, last: None, left: MOST }
    }

    fn end_with(&mut self, error: MapError) -> Option<Result<(K, V), MapError>> {
        self.bucket = self.map.capacity();
        Some(Err(error))
    }
}

impl<K: Element, V: Element> Iterator for MapIter<'_, K, V> {
    type Item = Result<(K, V), MapError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.bucket < self.map.capacity() {
            match self.map.after(self.bucket, self.last.as_ref()) {
                Ok(Some((rank, value))) => {
                    self.last = Some(rank);
                    self.left -= 1;
                    if self.left == 0 {
                        return self.end_with(MapError::Contended);
                    }
                    return Some(Ok((rank.key, value)));
                }
                Ok(None) => {
                    self.bucket += 1;
                    (self.last, self.left) = (None, MOST);
                }
                Err(error) => return self.end_with(error),
            }
        }
        None
    }
}

impl<K: Element, V: Element> core::iter::FusedIterator for MapIter<'_, K, V> {}
