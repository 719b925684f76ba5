//! The in-sync replicas of a partition as its leader knows them: what is committed, what is proposed, and what of it may yet come.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{BrokerId, LeaderEpoch};
use crate::replica::messages::Incarnation;
use crate::time::Instant;

/// A change that a leader asks of the controller (Kafka: `AlterPartition`, KIP-497).
///
/// The controller takes it only if both epochs are the partition's, every member is alive and, where the run of one is named, in
/// that run (KIP-903). What it takes raises the partition epoch, even if it changes nothing: that is how a leader finds out
/// that earlier proposals cannot come true any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The epoch in which the proposer leads.
    pub epoch: LeaderEpoch,
    /// The partition epoch that it is based on.
    pub partition_epoch: i32,
    /// Who is to be in sync. The run that the leader has heard of, `None` where it has heard of none.
    pub isr: Vec<(BrokerId, Option<Incarnation>)>,
}

/// Why the controller has not done what was proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotChanged {
    /// One of the members is fenced, shutting down or another run (Kafka: `INELIGIBLE_REPLICA`).
    Ineligible,
    /// The leader does not know the newest of the partition (Kafka: `INVALID_UPDATE_VERSION`, `FENCED_LEADER_EPOCH`): it will hear.
    Stale,
    /// Who was asked is not the controller, or cannot decide now (Kafka: `NOT_CONTROLLER`).
    Unavailable,
}

/// The in-sync replicas, as their leader knows them.
#[derive(Clone, Debug)]
pub(super) struct Isr {
    pub(super) committed: BTreeSet<BrokerId>,
    pub(super) partition_epoch: i32,
    /// Everybody whom this leader has proposed since: a proposal may come true until the partition epoch moves, even one that was
    /// refused, since a copy of it may still be under way.
    doubtful: BTreeSet<BrokerId>,
    in_flight: Option<(Proposal, Instant)>,
    not_before: Instant,
}

impl Isr {
    pub(super) fn new(committed: BTreeSet<BrokerId>, partition_epoch: i32) -> Isr {
        let (doubtful, not_before) = (BTreeSet::new(), Instant(0));
        Isr { committed, partition_epoch, doubtful, in_flight: None, not_before }
    }

    /// Everybody who may be in sync by what the controller has decided or may yet decide (Kafka: `PartitionState.maximalIsr`).
    pub(super) fn maximal(&self) -> BTreeSet<BrokerId> {
        self.committed.union(&self.doubtful).copied().collect()
    }

    /// Whether more than one may be in sync.
    pub(super) fn is_of_several(&self) -> bool {
        self.committed.len() > 1 || !self.doubtful.is_empty()
    }

    /// Whether a proposal may be made now.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.in_flight.is_none() && self.not_before <= now
    }

    pub(super) fn propose(&mut self, now: Instant, proposal: Proposal) -> Proposal {
        assert!(self.in_flight.is_none(), "two proposals in flight");
        self.doubtful.extend(proposal.isr.iter().map(|(id, _)| *id));
        self.in_flight = Some((proposal.clone(), now));
        proposal
    }

    /// The proposal in flight, if no answer has come to it for `retry`: it is to be sent again, as it is.
    pub(super) fn overdue(&mut self, now: Instant, retry: Duration) -> Option<Proposal> {
        let (proposal, since) = self.in_flight.as_mut().filter(|(_, since)| now.since(*since) >= retry)?;
        *since = now;
        Some(proposal.clone())
    }

    /// The proposal in flight.
    pub(super) fn in_flight(&self) -> Option<&Proposal> {
        self.in_flight.as_ref().map(|(proposal, _)| proposal)
    }

    /// The controller has decided. Answers whether that was news.
    pub(super) fn decided(&mut self, isr: &[BrokerId], partition_epoch: i32) -> bool {
        if partition_epoch <= self.partition_epoch {
            return false;
        }
        *self = Isr::new(isr.iter().copied().collect(), partition_epoch);
        true
    }

    /// What was proposed on top of this partition epoch is refused. It is not ruled out by that.
    pub(super) fn refused(&mut self, now: Instant, partition_epoch: i32, retry: Duration) {
        if self.in_flight.as_ref().is_some_and(|(p, _)| p.partition_epoch == partition_epoch) {
            (self.in_flight, self.not_before) = (None, now + retry);
        }
    }
}
