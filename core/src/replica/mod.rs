//! One replica of one partition: takes appends, knows who waits for them, and raises the high watermark.
//!
//! How replicas come to be alike is decided here too: [`leading`] and [`following`] are the two roles of a replica, [`asking`]
//! and [`serving`] the two ends of the one fetch that a follower has under way at each leader, over all partitions they share.
//! These machines look at logs and never touch them; what is to be done comes out as values. Four rules, those of Kafka's TLA+
//! specification (KIP-320, KIP-497, KIP-966), hold them together:
//!
//! - In every epoch a follower finds out first where its log parts from the leader's, and nothing that it has counts before.
//! - Where they part is believed of the leader of the same epoch only, in the one answer that is awaited.
//! - The high watermark passes what every member of the *maximal* in-sync replicas, committed and proposed, has flushed and
//!   said so in the leader's epoch; and the leader is one of them.
//! - Who is let in has flushed up to the high watermark, and up to where the leader's epoch begins.

pub mod asking;
pub mod following;
pub mod isr;
pub mod leading;
pub mod messages;
pub mod progress;
pub mod serving;
pub mod waiters;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::ids::{LeaderEpoch, Offset};
use crate::log::Log;
use crate::replica::waiters::Waiters;

/// A partition on this broker. `W` is whoever waits for an offset to be committed, `F` names a parked fetch.
#[derive(Debug)]
pub struct Partition<W, F> {
    /// Its log.
    pub log: Log,
    /// The topic's name.
    pub topic: String,
    /// The epoch in which this broker leads it.
    pub epoch: LeaderEpoch,
    /// Who waits for the high watermark.
    pub waiters: Waiters<W>,
    /// The fetches that are parked here.
    pub parked: BTreeSet<F>,
    /// Why it cannot be used, if it cannot: what a person should read.
    pub offline: Option<String>,
}

impl<W, F: Ord> Partition<W, F> {
    /// A replica of a log.
    pub fn new(log: Log, topic: String, epoch: LeaderEpoch, offline: Option<String>) -> Partition<W, F> {
        Partition { log, topic, epoch, waiters: Waiters::default(), parked: BTreeSet::new(), offline }
    }

    /// The disk has synced everything below `to`. Answers whether the high watermark moved.
    pub fn flushed_to(&mut self, to: Offset) -> bool {
        self.log.flushed_to(to);
        self.log.raise_high(self.in_sync_flushed())
    }

    /// The leader counts itself up to `flushed`, never up to `end`; it is the only in-sync replica of a single node.
    fn in_sync_flushed(&self) -> Offset {
        self.log.flushed()
    }

    /// This broker leads the partition, from now on in this epoch: everything it has flushed is committed.
    pub fn lead(&mut self, epoch: LeaderEpoch) {
        assert!(epoch >= self.epoch, "{:?}: leader epoch {epoch} after {}", self.log.id(), self.epoch);
        self.epoch = epoch;
        if self.offline.is_none() {
            self.log.raise_high(self.in_sync_flushed());
        }
    }
}
