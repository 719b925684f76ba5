//! AlterPartition: a leader asks for another ISR, by compare-and-set on both epochs (Kafka:
//! `ReplicationControlManager.alterPartition`, KIP-497, KIP-841, KIP-903).

use crate::cluster::change::Target;
use crate::cluster::facts::Fact;
use crate::cluster::lifecycle::check_run;
use crate::cluster::partition::{PartitionChange, PartitionState};
use crate::cluster::topics::Refusal;
use crate::cluster::view::{Movement, Place, View};
use crate::ids::{BrokerId, LeaderEpoch, LogId};
use crate::wire::error::ErrorCode;

/// A replica, and which run of its broker the leader has seen catch up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The replica.
    pub broker: BrokerId,
    /// The incarnation under which it fetches.
    pub incarnation: u64,
}

/// A leader's question for another ISR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterPartition {
    /// Which partition.
    pub log: LogId,
    /// Who asks, in which run.
    pub leader: Member,
    /// The epoch in which it leads.
    pub leader_epoch: LeaderEpoch,
    /// The state from which it sets out.
    pub partition_epoch: i32,
    /// The ISR that it wants; itself is in it.
    pub isr: Vec<Member>,
}

/// Decides an ISR change. Answers the facts, and the state that they come to: the leader it names is another one when a
/// reassignment ends with this change (the caller tells NEW_LEADER_ELECTED then). What the partition has already is answered
/// with no facts when the question is an old one, so that one whose answer was lost can be asked again (KAFKA-14144).
pub fn alter_partition(
    view: &View<'_>,
    asked: &AlterPartition,
) -> Result<(Option<Fact>, PartitionState), Refusal> {
    check_run(view, asked.leader.broker, asked.leader.incarnation)?;
    let place = find(view, asked.log)?;
    let state = place.2;
    check_epochs(state, asked)?;
    let isr: Vec<BrokerId> = asked.isr.iter().map(|m| m.broker).collect();
    let same = isr.len() == state.isr.len() && state.isr.iter().all(|b| isr.contains(b));
    if same && asked.partition_epoch == state.partition_epoch {
        // Nothing changes but the partition epoch: by that the leader finds out that what it proposed before cannot come true any more.
        let mut next = state.clone();
        let change = PartitionChange::default();
        next.apply(&change);
        let fact = Fact::PartitionChanged { topic: asked.log.topic, partition: asked.log.partition, change };
        return Ok((Some(fact), next));
    }
    if same {
        return Ok((None, state.clone()));
    }
    if asked.partition_epoch < state.partition_epoch {
        let why = format!("The partition has changed since; its epoch is {}.", state.partition_epoch);
        return Err((ErrorCode::INVALID_UPDATE_VERSION, why));
    }
    check_isr(view, state, asked)?;
    let target = Target { isr, ..Target::of(state) };
    let fact = view.change(place, target, None, Movement::default());
    let mut next = state.clone();
    if let Some(Fact::PartitionChanged { change, .. }) = &fact {
        next.apply(change);
    }
    Ok((fact, next))
}

fn find<'a>(view: &View<'a>, log: LogId) -> Result<Place<'a>, Refusal> {
    let Some(topic) = view.image.topic_by_id(log.topic) else {
        return Err((ErrorCode::UNKNOWN_TOPIC_ID, format!("There is no topic with id {}.", log.topic)));
    };
    let state = usize::try_from(log.partition).ok().and_then(|index| topic.partitions.get(index));
    let unknown = || {
        let why = format!("Topic '{}' has no partition {}.", topic.name, log.partition);
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, why)
    };
    Ok((topic, log.partition, state.ok_or_else(unknown)?))
}

fn check_epochs(state: &PartitionState, asked: &AlterPartition) -> Result<(), Refusal> {
    // Whoever asks knows of more than is decided here: another controller decides by now (KAFKA-14154).
    if asked.leader_epoch > state.leader_epoch || asked.partition_epoch > state.partition_epoch {
        let why = "The partition has moved on further than this controller knows.";
        return Err((ErrorCode::NOT_CONTROLLER, why.into()));
    }
    if asked.leader_epoch < state.leader_epoch {
        let why = format!("The partition is in leader epoch {}.", state.leader_epoch);
        return Err((ErrorCode::FENCED_LEADER_EPOCH, why));
    }
    if state.leader != Some(asked.leader.broker) {
        let why = format!("Broker {} does not lead the partition.", asked.leader.broker);
        return Err((ErrorCode::INVALID_REQUEST, why));
    }
    Ok(())
}

fn check_isr(view: &View<'_>, state: &PartitionState, asked: &AlterPartition) -> Result<(), Refusal> {
    let refused = |why: String| Err((ErrorCode::INVALID_REQUEST, why));
    if !asked.isr.iter().any(|m| m.broker == asked.leader.broker) {
        return refused("The leader is not in the ISR that it asks for.".into());
    }
    for (i, member) in asked.isr.iter().enumerate() {
        if !state.replicas.contains(&member.broker) {
            return refused(format!("Broker {} is no replica of the partition.", member.broker));
        }
        if asked.isr[..i].iter().any(|m| m.broker == member.broker) {
            return refused(format!("The ISR names broker {} twice.", member.broker));
        }
    }
    for member in &asked.isr {
        let registration = view.image.brokers().get(&member.broker);
        let flaw = match registration {
            None => "is not registered",
            Some(r) if r.fenced => "is fenced",
            Some(r) if r.stopping => "is shutting down",
            // It was in sync before it was started again; its disk may be another one since (KIP-903).
            Some(r) if r.incarnation != member.incarnation => "has been started again since it caught up",
            Some(_) => continue,
        };
        return Err((ErrorCode::INELIGIBLE_REPLICA, format!("Broker {} {flaw}.", member.broker)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
