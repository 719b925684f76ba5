//! Elections that somebody asks for or that put leaders back where they belong (Kafka: `ReplicationControlManager.electLeaders`,
//! `maybeBalancePartitionLeaders`).

use std::collections::BTreeMap;

use crate::cluster::change::{Election, Target};
use crate::cluster::facts::Fact;
use crate::cluster::partition::PartitionState;
use crate::cluster::topics::Refusal;
use crate::cluster::view::{Movement, View};
use crate::ids::BrokerId;
use crate::wire::error::ErrorCode;

/// ElectLeaders for one partition: the preferred leader, or any at all where nobody leads (KIP-183, KIP-460).
pub fn elect(view: &View<'_>, (topic, partition): (&str, i32), election: Election) -> Result<Fact, Refusal> {
    let Some(place) = view.find(topic, partition) else {
        let why = format!("There is no partition {partition} of topic '{}'.", topic.escape_default());
        return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, why));
    };
    let state = place.2;
    let needless = match election {
        Election::Preferred => state.has_preferred_leader(),
        Election::Online | Election::Unclean => state.leader.is_some(),
    };
    if needless {
        return Err((
            ErrorCode::ELECTION_NOT_NEEDED,
            "Leader election not needed for topic partition.".into(),
        ));
    }
    let fact = view.change(place, Target::of(state), Some(election), Movement::default());
    fact.ok_or_else(|| match election {
        Election::Preferred => (
            ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE,
            "The preferred leader is not available, or not in sync.".into(),
        ),
        Election::Online | Election::Unclean => {
            (ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE, "No replica that may lead is available.".into())
        }
    })
}

/// Chooses leaders where nobody leads, as far as somebody may by now; for every `unclean.leader.election.interval.ms` and
/// whenever a topic's configs have changed (Kafka: `ReplicationControlManager.maybeElectUncleanLeaders`). At most `limit`.
pub fn elect_leaderless(view: &View<'_>, limit: usize) -> Vec<Fact> {
    let leaderless = view.image.partitions().filter(|(.., state)| state.leader.is_none());
    let elected =
        leaderless.filter_map(|place| view.change(place, Target::of(place.2), None, Movement::default()));
    elected.take(limit).collect()
}

/// Clears the eligible leader replicas that are not eligible any more since `min.insync.replicas` has been lowered: a leader
/// commits without them from now on. `view` has the new configs; the facts belong into the same batch, behind the config's.
pub fn settle_eligible(view: &View<'_>) -> Vec<Fact> {
    let held = view.image.partitions().filter(|(.., state)| !state.elr.is_empty());
    held.filter_map(|place| view.change(place, Target::of(place.2), None, Movement::default())).collect()
}

/// Gives leaderships back to the preferred leaders that may lead. With `over_percent`, only of brokers that lead so much less
/// than they should (`leader.imbalance.per.broker.percentage`); with `None` of all. At most `limit` (Kafka's
/// `MAX_ELECTIONS_PER_IMBALANCE` is 1000): what is left over is for the next time.
pub fn rebalance(view: &View<'_>, over_percent: Option<u32>, limit: usize) -> Vec<Fact> {
    let wanting = over_percent.map(|percent| imbalanced(view, percent));
    let preferred = |state: &PartitionState| state.replicas.first().copied();
    let chosen = view.image.partitions().filter(|(.., state)| {
        let wants = |broker| wanting.as_ref().is_none_or(|list| list.contains(&broker));
        is_misled(state) && preferred(state).is_some_and(wants)
    });
    let moved = chosen.filter_map(|place| {
        let fact = view.change(place, Target::of(place.2), Some(Election::Preferred), Movement::default())?;
        // Where the preferred leader may not lead yet, nothing is moved for its sake.
        let Fact::PartitionChanged { change, .. } = &fact else { return None };
        (change.leader == Some(preferred(place.2))).then_some(fact)
    });
    moved.take(limit).collect()
}

/// Whether somebody else leads than should.
fn is_misled(state: &PartitionState) -> bool {
    state.leader.is_some() && !state.has_preferred_leader()
}

/// The brokers of whose preferred partitions more than so many percent are led by others.
fn imbalanced(view: &View<'_>, percent: u32) -> Vec<BrokerId> {
    let mut counts: BTreeMap<BrokerId, (u64, u64)> = BTreeMap::new();
    for (.., state) in view.image.partitions() {
        if let Some(preferred) = state.replicas.first() {
            let (all, misled) = counts.entry(*preferred).or_default();
            *all += 1;
            *misled += u64::from(is_misled(state));
        }
    }
    let over = |(all, misled): (u64, u64)| misled * 100 > all * u64::from(percent);
    counts.into_iter().filter(|(_, count)| over(*count)).map(|(broker, _)| broker).collect()
}

#[cfg(test)]
mod tests;
