//! Reassignments: start one, change it on its way, call it off, and list what is under way (KIP-455; Kafka:
//! `ReplicationControlManager.alterPartitionReassignment`, `PartitionReassignmentReplicas`, `PartitionReassignmentRevert`).

use crate::cluster::change::Target;
use crate::cluster::facts::Fact;
use crate::cluster::image::MetadataImage;
use crate::cluster::topics::{Refusal, one_assignment};
use crate::cluster::view::{Movement, Place, View};
use crate::ids::BrokerId;
use crate::wire::error::ErrorCode;

/// What somebody wants of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The replicas that it should have; `None` calls the reassignment off.
    pub replicas: Option<Vec<i32>>,
}

/// Decides a reassignment. `None` when there is nothing to do. What an earlier reassignment of the partition was to add and
/// this one does not want is dropped at once; a cancelled one goes back to the replicas before the first.
pub fn reassign(
    view: &View<'_>,
    asked: &Reassignment,
    factor_may_change: bool,
) -> Result<Option<Fact>, Refusal> {
    let Some(place) = view.find(&asked.topic, asked.partition) else {
        let why =
            format!("There is no partition {} of topic '{}'.", asked.partition, asked.topic.escape_default());
        return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, why));
    };
    let target = match &asked.replicas {
        None => call_off(place)?,
        Some(replicas) => set_out(view, place, replicas, factor_may_change)?,
    };
    let left = |b: &BrokerId| target.replicas.contains(b);
    let mut whole = place.2.isr.iter().chain(&place.2.elr).peekable();
    let nothing_left = whole.peek().is_some() && !whole.any(left);
    let fact = view.change(place, target.clone(), None, Movement::default());
    let ends_leadership = matches!(&fact, Some(Fact::PartitionChanged { change, .. })
        if change.leader == Some(None) && place.2.leader.is_some());
    if nothing_left || ends_leadership {
        let why = "None of the replicas that would be left at once is in sync and running.";
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why.into()));
    }
    Ok(fact)
}

/// Back to the replicas before.
fn call_off((_, _, state): Place<'_>) -> Result<Target, Refusal> {
    if !state.is_reassigning() {
        return Err((
            ErrorCode::NO_REASSIGNMENT_IN_PROGRESS,
            "No partition reassignment is in progress.".into(),
        ));
    }
    Ok(to_replicas(state.original_replicas(), Vec::new(), Vec::new(), &state.isr))
}

/// On to other replicas.
fn set_out(
    view: &View<'_>,
    (_, _, state): Place<'_>,
    asked: &[i32],
    factor_may_change: bool,
) -> Result<Target, Refusal> {
    let wanted = one_assignment(asked, view.image.brokers())?;
    let originals = state.original_replicas();
    if !factor_may_change && wanted.len() != originals.len() {
        let why = format!(
            "The replication factor is {}, and the request does not allow to change it.",
            originals.len()
        );
        return Err((ErrorCode::INVALID_REPLICATION_FACTOR, why));
    }
    let adding = wanted.iter().copied().filter(|b| !originals.contains(b)).collect();
    let removing: Vec<BrokerId> = originals.into_iter().filter(|b| !wanted.contains(b)).collect();
    let replicas = wanted.into_iter().chain(removing.iter().copied()).collect();
    Ok(to_replicas(replicas, adding, removing, &state.isr))
}

fn to_replicas(
    replicas: Vec<BrokerId>,
    adding: Vec<BrokerId>,
    removing: Vec<BrokerId>,
    isr: &[BrokerId],
) -> Target {
    let isr = isr.iter().copied().filter(|b| replicas.contains(b)).collect();
    Target { replicas, isr, adding, removing }
}

/// The partitions with a reassignment under way, by topic name and number: what ListPartitionReassignments shows.
pub fn under_way(image: &MetadataImage) -> impl Iterator<Item = Place<'_>> {
    image.partitions().filter(|(.., state)| state.is_reassigning())
}

#[cfg(test)]
mod tests;
