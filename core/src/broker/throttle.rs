//! Throttled replication: what the quotas of this broker let through to and from replicas that catch up (KIP-73).
//!
//! A replica that is in sync is never held back, and what it takes does not count: else a steady load would leave nothing to those
//! that catch up. (Kafka counts it.) Who is in sync is what the controller has committed, on both sides.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::Broker;
use crate::cluster::image::MetadataImage;
use crate::config::{ClusterConfig, TopicConfig};
use crate::ids::{BrokerId, LogId, TopicId};
use crate::replica::quota::Quota;
use crate::replica::serving::{Found, Share};
use crate::time::Instant;

/// Both quotas of a broker, and what waits for that of its followers. What waits for that of its leaders is with the fetches that are
/// parked ([`crate::replica::serving::Serving`]).
#[derive(Debug)]
pub(super) struct Throttle {
    /// `leader.replication.throttled.rate`.
    pub(super) leader: Quota,
    /// `follower.replication.throttled.rate`.
    follower: Quota,
    /// The partitions that are not asked for until the quota has room, and whom they are to be asked of.
    resting: BTreeMap<LogId, BrokerId>,
    /// When throttled partitions have had records last, by a count: who has waited longest is asked for first.
    had: BTreeMap<LogId, u64>,
    turns: u64,
}

impl Throttle {
    /// Nothing is used yet.
    pub(super) fn new(config: &ClusterConfig) -> Throttle {
        Throttle {
            leader: Quota::new(config.leader_rate),
            follower: Quota::new(config.follower_rate),
            resting: BTreeMap::new(),
            had: BTreeMap::new(),
            turns: 0,
        }
    }

    /// Sets the rates.
    pub(super) fn set(&mut self, config: &ClusterConfig) {
        self.leader.set(config.leader_rate);
        self.follower.set(config.follower_rate);
    }

    /// Finds for a replica what fits into `room` and, where it is bounded by that, into the leader's quota, and counts it. `find` is told
    /// how many bytes; `None` is no records at all.
    pub(super) fn within_leaders<R>(
        &mut self,
        now: Instant,
        bounded: bool,
        room: usize,
        find: impl FnOnce(Option<usize>) -> Found<R>,
    ) -> Found<R> {
        match self.leader.room(now) {
            _ if !bounded || !self.leader.is_set() => find(Some(room)),
            Ok(left) => {
                let found = find(Some(room.min(left)));
                self.leader.used(now, found.bytes);
                let quota = if found.bytes > 0 { Share::Taken } else { Share::None };
                Found { quota, ..found }
            }
            Err(until) => {
                let found = find(None);
                let quota = if found.more { Share::Awaited(until) } else { Share::None };
                Found { more: false, quota, ..found }
            }
        }
    }

    /// A throttled replica here has taken so many bytes.
    pub(super) fn took(&mut self, now: Instant, log: LogId, bytes: usize) {
        if bytes > 0 && self.follower.is_set() {
            self.follower.used(now, bytes);
            self.turns += 1;
            self.had.insert(log, self.turns);
        }
    }

    /// Whether a throttled replica here has to wait before its leader is asked for more. It is asked for later ([`Throttle::rested`]).
    pub(super) fn holds_back(&mut self, now: Instant, log: LogId, leader: BrokerId) -> bool {
        let waits = self.follower.room(now).is_err();
        if waits {
            self.resting.insert(log, leader);
        }
        waits
    }

    /// The partitions to be asked for now that the quota has room, or is another.
    pub(super) fn rested(&mut self, now: Instant) -> BTreeMap<LogId, BrokerId> {
        let room = !self.resting.is_empty() && self.follower.room(now).is_ok();
        if room { std::mem::take(&mut self.resting) } else { BTreeMap::new() }
    }

    /// A partition does not wait any more, for whatever reason; whom it is to be asked of, if it did.
    pub(super) fn release(&mut self, log: LogId) -> Option<BrokerId> {
        self.had.remove(&log);
        self.resting.remove(&log)
    }

    /// All that waits.
    pub(super) fn release_all(&mut self) -> BTreeMap<LogId, BrokerId> {
        self.had.clear();
        std::mem::take(&mut self.resting)
    }

    /// Who was served longer ago comes first: its leader serves in this order.
    pub(super) fn order<T>(&self, asked: &mut [(LogId, T)]) {
        if !self.had.is_empty() {
            asked.sort_by_key(|(log, _)| self.had.get(log).copied().unwrap_or(0));
        }
    }

    /// How many partitions wait.
    pub(super) fn resting(&self) -> usize {
        self.resting.len()
    }

    /// When the quota has room for what waits.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        (!self.resting.is_empty()).then(|| self.follower.opens())
    }
}

/// Which replicas on a broker are throttled, by its metadata.
#[derive(Clone, Copy)]
pub(super) struct Throttled<'a> {
    pub(super) me: BrokerId,
    pub(super) image: &'a MetadataImage,
    pub(super) topics: &'a BTreeMap<TopicId, Arc<TopicConfig>>,
}

impl Throttled<'_> {
    /// Whether the leader here is throttled; towards those that are not in sync, that is.
    pub(super) fn leader(self, log: LogId) -> bool {
        let config = self.topics.get(&log.topic);
        config.is_some_and(|c| c.leaders_throttled.has(log.partition, self.me))
    }

    /// Whether the follower here is throttled, and not in sync.
    pub(super) fn follower(self, log: LogId) -> bool {
        let config = self.topics.get(&log.topic);
        config.is_some_and(|c| c.followers_throttled.has(log.partition, self.me))
            && self.image.partition(log).is_some_and(|state| !state.isr.contains(&self.me))
    }
}

impl Broker {
    /// The rates, or which replicas are throttled, may have changed: who waits is looked at anew.
    pub(super) fn throttle_changed(&mut self) {
        self.replication.throttle.set(&self.config.cluster);
        self.replication.serving.quota_changed();
        let waited = self.replication.throttle.release_all();
        waited.into_iter().for_each(|(log, leader)| self.replication.followed_changed(leader, log));
    }

    /// Who is in sync has changed: who waits for a quota may have to wait no more.
    pub(super) fn throttled_isr_changed(&mut self, log: LogId) {
        self.replication.serving.isr_changed(log);
        if let Some(leader) = self.replication.throttle.release(log) {
            self.replication.followed_changed(leader, log);
        }
    }
}
