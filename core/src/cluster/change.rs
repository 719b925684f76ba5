//! One change of one partition: from what is wanted to who leads, who is in sync and who may still lead (Kafka:
//! `PartitionChangeBuilder`, KIP-966).

use std::collections::BTreeSet;

use crate::cluster::partition::{PartitionChange, PartitionState};
use crate::ids::BrokerId;

/// How a leader is chosen (Kafka: `PartitionChangeBuilder.Election`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The preferred leader if it may lead, else as `Online`.
    Preferred,
    /// The leader stays while it may; else the first that may in the order of the replicas.
    Online,
    /// As `Online`, and if nobody may, anybody who is there: records are lost.
    Unclean,
}

/// Under which rules a partition changes.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// Who may lead: who is registered, unfenced and not stopping once the decision is taken.
    pub acceptable: &'a dyn Fn(BrokerId) -> bool,
    /// `min.insync.replicas` of the topic; it counts as at least 1 and at most the number of replicas.
    pub min_isr: usize,
    /// How a leader is chosen.
    pub election: Election,
    /// Who may lack records that it has acknowledged, if somebody may, and how many.
    pub lost: Option<Lost>,
}

/// A replica that has lost records which it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Perhaps the last ones: it went down with records that were not synced (KIP-966: an unclean shutdown).
    Some(BrokerId),
    /// All of them: its disk is another one.
    All(BrokerId),
}

impl Lost {
    /// Whose records are lost.
    pub fn broker(self) -> BrokerId {
        match self {
            Lost::Some(broker) | Lost::All(broker) => broker,
        }
    }
}

/// What a partition should be like; the election and the eligible leader replicas follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// All replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The ISR.
    pub isr: Vec<BrokerId>,
    /// Replicas that a reassignment adds.
    pub adding: Vec<BrokerId>,
    /// Replicas that it takes away.
    pub removing: Vec<BrokerId>,
}

impl Target {
    /// Everything as it is.
    pub fn of(state: &PartitionState) -> Target {
        Target {
            replicas: state.replicas.clone(),
            isr: state.isr.clone(),
            adding: state.adding.clone(),
            removing: state.removing.clone(),
        }
    }

    /// The ISR without some broker.
    pub fn without(mut self, broker: BrokerId) -> Target {
        self.isr.retain(|b| *b != broker);
        self
    }

    /// Ends a reassignment whose replicas to stay are all in sync (Kafka: `maybeCompleteReassignment`): all of them, since
    /// one alone may be fewer than min.insync.replicas (KAFKA-15665).
    fn complete(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let stays = |b: &&BrokerId| !self.removing.contains(*b);
        let replicas: Vec<BrokerId> = self.replicas.iter().filter(stays).copied().collect();
        if replicas.is_empty() || !replicas.iter().all(|b| self.isr.contains(b)) {
            return;
        }
        self.isr.retain(|b| replicas.contains(b));
        self.replicas = replicas;
        self.adding.clear();
        self.removing.clear();
    }
}

/// The change that brings a partition to its target; `None` when there is none.
pub fn change(state: &PartitionState, mut target: Target, terms: &Terms<'_>) -> Option<PartitionChange> {
    target.complete();
    let mut next = PartitionState {
        isr: ordered(&target.replicas, |b| target.isr.contains(&b)),
        adding: ordered(&target.replicas, |b| target.adding.contains(&b)),
        removing: ordered(&target.replicas, |b| target.removing.contains(&b)),
        replicas: target.replicas,
        ..state.clone()
    };
    let min_isr = terms.min_isr.clamp(1, next.replicas.len().max(1));
    keep_eligible(state, &mut next, min_isr, terms.lost);
    elect(state, &mut next, terms);
    if next.isr.len() >= min_isr {
        // From here on the high watermark moves without those who are not in sync. Kafka's builder leaves them until the
        // next change; an election from among them in between would lose what was committed since.
        next.elr.clear();
    }
    remember_leader(state, &mut next, terms.lost);
    // Who is no replica any more must not go on as one under the same leader epoch.
    let drops = state.replicas.iter().any(|b| !next.replicas.contains(b));
    let change = state.difference(&next, drops);
    (!change.is_nothing()).then_some(change)
}

/// Those of the replicas that fulfil something, in the order of the replicas.
fn ordered(replicas: &[BrokerId], is: impl Fn(BrokerId) -> bool) -> Vec<BrokerId> {
    replicas.iter().copied().filter(|b| is(*b)).collect()
}

/// While the ISR is below min.insync.replicas the high watermark stands still, so that who leaves it still has all that is
/// committed (Kafka: `maybePopulateTargetElr`).
fn keep_eligible(state: &PartitionState, next: &mut PartitionState, min_isr: usize, lost: Option<Lost>) {
    if next.isr.len() >= min_isr {
        return next.elr.clear();
    }
    let lost = lost.map(Lost::broker);
    let had: BTreeSet<BrokerId> = state.elr.iter().chain(&state.isr).copied().collect();
    next.elr = ordered(&next.replicas, |b| had.contains(&b) && !next.isr.contains(&b) && Some(b) != lost);
}

/// Chooses the leader, and makes the ISR what the choice asks for.
fn elect(state: &PartitionState, next: &mut PartitionState, terms: &Terms<'_>) {
    // In the ISR, or among the eligible ones when nobody is in the ISR.
    let may = |b: BrokerId| {
        (next.isr.contains(&b) || next.isr.is_empty() && next.elr.contains(&b)) && (terms.acceptable)(b)
    };
    let preferred = next.replicas.first().copied().filter(|_| terms.election == Election::Preferred);
    let clean = preferred.into_iter().chain(state.leader).chain(next.replicas.iter().copied());
    if let Some(leader) = clean.into_iter().find(|b| may(*b)) {
        next.leader = Some(leader);
        if next.isr.is_empty() {
            next.isr = vec![leader];
            next.elr.retain(|b| *b != leader);
        }
        return;
    }
    let forced = last_leader(state, next, terms).or_else(|| {
        let mut there = next.replicas.iter().copied().filter(|b| (terms.acceptable)(*b));
        there.next().filter(|_| terms.election == Election::Unclean)
    });
    next.leader = forced;
    if let Some(leader) = forced {
        (next.isr, next.elr) = (vec![leader], Vec::new());
    }
}

/// Whoever led last, when nobody has all that is committed any more and it is back: of all it has the most (KIP-966, the
/// balanced recovery). Kafka's builder takes it even while it is away.
fn last_leader(state: &PartitionState, next: &PartitionState, terms: &Terms<'_>) -> Option<BrokerId> {
    let [last] = state.last_known_elr[..] else { return None };
    let gone = matches!(terms.lost, Some(Lost::All(b)) if b == last);
    let alone = next.isr.is_empty() && next.elr.is_empty();
    (alone && !gone && next.replicas.contains(&last) && (terms.acceptable)(last)).then_some(last)
}

/// Keeps who led last while nobody leads, but for one whose disk is another one: it has nothing (Kafka:
/// `maybeUpdateLastKnownLeader`).
fn remember_leader(state: &PartitionState, next: &mut PartitionState, lost: Option<Lost>) {
    if next.leader.is_some() {
        return next.last_known_elr.clear();
    }
    if let Some(leader) = state.leader {
        next.last_known_elr = vec![leader];
    }
    let replicas = &next.replicas;
    let gone = |b: BrokerId| matches!(lost, Some(Lost::All(l)) if l == b) || !replicas.contains(&b);
    next.last_known_elr.retain(|b| !gone(*b));
}

#[cfg(test)]
mod tests;
