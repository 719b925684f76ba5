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
//!
//! The start of a log is held together alike: the low watermark passes where the log starts durably at every member of the maximal
//! in-sync replicas, and who is let in starts no lower.

pub mod asking;
pub mod following;
pub mod isr;
pub mod leading;
pub mod messages;
pub mod progress;
pub mod quota;
pub mod serving;
mod session;
pub mod waiters;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::ids::{LeaderEpoch, Offset};
use crate::log::Log;
use crate::replica::following::Following;
use crate::replica::leading::Leading;
use crate::replica::waiters::Waiters;

/// What this broker is to a partition.
#[derive(Debug, Default)]
pub enum Role {
    /// Nobody leads it, as far as is known here; or this is the metadata log, which its quorum rules.
    #[default]
    Idle,
    /// It leads it.
    Leads(Leading),
    /// It follows another.
    Follows(Following),
}

/// A partition on this broker. `W` is whoever waits for an offset to be committed, `F` names a parked fetch.
#[derive(Debug)]
pub struct Partition<W, F> {
    /// Its log.
    pub log: Log,
    /// The topic's name.
    pub topic: String,
    /// The newest leader epoch in which this broker has taken up its role; -1 before the first.
    pub epoch: LeaderEpoch,
    /// What this broker is to it.
    pub role: Role,
    /// The leader's high watermark and log start as a follower has heard of them: they count here as far as this broker's disk has
    /// the log.
    pub heard: (Offset, Offset),
    /// Who waits for the high watermark.
    pub waiters: Waiters<W>,
    /// Who waits for this broker's disk alone (acks=1).
    pub local: Waiters<W>,
    /// Who waits for the low watermark: for records to be deleted for good.
    pub deleting: Waiters<W>,
    /// The fetches that are parked here.
    pub parked: BTreeSet<F>,
    /// Why it cannot be used, if it cannot: what a person should read.
    pub offline: Option<String>,
}

impl<W, F: Ord> Partition<W, F> {
    /// A replica of a log.
    pub fn new(log: Log, topic: String, epoch: LeaderEpoch, offline: Option<String>) -> Partition<W, F> {
        Partition {
            log,
            topic,
            epoch,
            role: Role::Idle,
            heard: (Offset(0), Offset(0)),
            waiters: Waiters::default(),
            local: Waiters::default(),
            deleting: Waiters::default(),
            parked: BTreeSet::new(),
            offline,
        }
    }

    /// Takes everybody who waits for the high or the low watermark, or for this broker's disk.
    pub fn take_waiting(&mut self) -> Vec<W> {
        self.waiters.drain().chain(self.local.drain()).chain(self.deleting.drain()).collect()
    }

    /// Whether a leader's high watermark has come to where its epoch begins: before that it may be behind what was told to be committed.
    pub fn knows_end(&self) -> bool {
        match &self.role {
            Role::Leads(leading) => self.log.high() >= leading.epoch_start(),
            Role::Follows(_) | Role::Idle => true,
        }
    }

    /// Raises a follower's high watermark to what its leader has committed, as far as it is on disk here. Answers whether it moved, and
    /// the start to which the log may be trimmed now, if that is another.
    pub fn follow_marks(&mut self) -> (bool, Option<Offset>) {
        let moved = self.log.raise_high(self.heard.0.min(self.log.flushed()).max(self.log.high()));
        let start = self.heard.1.min(self.log.high());
        (moved, Some(start).filter(|start| *start > self.log.start()))
    }
}
