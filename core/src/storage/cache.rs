//! Things of segments that are kept while there is room: open files, and indexes read from disk.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use crate::ids::{LogId, Offset};

/// One state of one segment. A segment that is cut, or made anew at the same offset, has another `birth`, so that what a
/// slow reader puts here late is never taken for the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentKey {
    pub(crate) log: LogId,
    pub(crate) base: Offset,
    pub(crate) birth: u64,
}

/// A cache that drops the least recently used when what it holds costs too much. Clones share it.
pub(crate) struct Cache<V> {
    shared: Arc<RwLock<Held<V>>>,
}

struct Held<V> {
    room: usize,
    cost: usize,
    tick: u64,
    by_key: BTreeMap<SegmentKey, (V, u64, usize)>,
    by_age: BTreeMap<u64, SegmentKey>,
}

impl<V> Clone for Cache<V> {
    fn clone(&self) -> Self {
        Cache { shared: Arc::clone(&self.shared) }
    }
}

impl<V: Clone> Cache<V> {
    /// An empty cache for things that cost `room` together.
    pub(crate) fn new(room: usize) -> Cache<V> {
        let held = Held { room, cost: 0, tick: 0, by_key: BTreeMap::new(), by_age: BTreeMap::new() };
        Cache { shared: Arc::new(RwLock::new(held)) }
    }

    /// What is kept under this key, which thereby is the youngest.
    pub(crate) fn get(&self, key: &SegmentKey) -> Option<V> {
        let mut held = self.lock();
        let (value, _, cost) = held.by_key.get(key)?.clone();
        held.put(*key, value.clone(), cost);
        Some(value)
    }

    /// Keeps something, dropping the oldest things as long as there is too much.
    pub(crate) fn put(&self, key: SegmentKey, value: V, cost: usize) {
        let mut held = self.lock();
        held.put(key, value, cost);
        while held.cost > held.room && held.by_age.len() > 1 {
            let Some((_, oldest)) = held.by_age.pop_first() else { break };
            held.drop_key(&oldest);
        }
    }

    /// Drops one thing.
    pub(crate) fn forget(&self, key: &SegmentKey) {
        self.lock().drop_key(key);
    }

    fn lock(&self) -> RwLockWriteGuard<'_, Held<V>> {
        // Nothing in here can leave it half changed: a panic elsewhere does not spoil it.
        self.shared.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Held<V> {
    fn put(&mut self, key: SegmentKey, value: V, cost: usize) {
        self.drop_key(&key);
        self.tick += 1;
        self.cost += cost;
        self.by_age.insert(self.tick, key);
        self.by_key.insert(key, (value, self.tick, cost));
    }

    fn drop_key(&mut self, key: &SegmentKey) {
        if let Some((_, tick, cost)) = self.by_key.remove(key) {
            self.by_age.remove(&tick);
            self.cost -= cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: i64) -> SegmentKey {
        SegmentKey { log: LogId::METADATA, base: Offset(n), birth: 0 }
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_the_cost_stays_within_the_room() {
        let cache = Cache::new(3);
        (0..3).for_each(|n| cache.put(key(n), n, 1));
        assert_eq!(cache.get(&key(0)), Some(0));
        cache.put(key(3), 3, 1);
        assert_eq!((cache.get(&key(1)), cache.get(&key(0)), cache.get(&key(3))), (None, Some(0), Some(3)));
        cache.put(key(4), 4, 100);
        assert_eq!((cache.get(&key(4)), cache.get(&key(3))), (Some(4), None), "one is always kept");
        cache.forget(&key(4));
        assert_eq!(cache.lock().cost, 0);
    }
}
