//! Decisions about who belongs to the cluster: brokers register, and dead ones are taken out (Kafka: `ClusterControlManager`).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cluster::brokers::{DirectoryId, Endpoint, PeerAddress, Registration};
use crate::cluster::change::Lost;
use crate::cluster::facts::Fact;
use crate::cluster::liveness::Liveness;
use crate::cluster::topics::Refusal;
use crate::cluster::view::View;
use crate::ids::{BrokerId, Offset};
use crate::time::Instant;
use crate::wire::error::ErrorCode;

/// A broker that wants to belong to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationRequest {
    /// The cluster that it believes to be in.
    pub cluster_id: String,
    /// Its id.
    pub broker: BrokerId,
    /// This run of its process.
    pub incarnation: u64,
    /// Its data directory.
    pub directory: DirectoryId,
    /// Where clients reach it.
    pub endpoints: Vec<Endpoint>,
    /// Where brokers reach it.
    pub peer: PeerAddress,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Whether its logs may lack records that it has acknowledged as a replica: it went down without a clean checkpoint, and
    /// acknowledges before it has synced. With synced durability never.
    pub lost_tail: bool,
}

/// Decides a registration; `at` is the metadata offset of the first fact that comes of it. No facts: it is registered already.
/// The broker is fenced until it has caught up with its registration (Kafka: `ClusterControlManager.registerBroker`).
///
/// Another run of an id that is alive is refused, unless it has the same data directory: two processes cannot have one open,
/// so that the older run is over, and nobody has to wait for its session to end (Kafka waits).
pub fn register(
    view: &View<'_>,
    liveness: &mut Liveness,
    request: &RegistrationRequest,
    (now, at): (Instant, Offset),
) -> Result<Vec<Fact>, Refusal> {
    check(view, request)?;
    let before = view.image.brokers().get(&request.broker);
    if let Some(before) = before {
        if is_same(before, request) {
            liveness.touch(request.broker, request.incarnation, Offset(0), now);
            return Ok(Vec::new());
        }
        let other_disk = before.directory.is_some_and(|d| d != request.directory);
        if other_disk && liveness.lives(request.broker, before.incarnation, now) {
            let why = format!(
                "Another broker is registered with id {} and is alive. If this one was given a new data directory, try again \
                 when the session of the other one has ended.",
                request.broker
            );
            return Err((ErrorCode::DUPLICATE_BROKER_REGISTRATION, why));
        }
    }
    let mut facts = view.leave(request.broker, lost(before, request));
    facts.push(Fact::BrokerRegistered {
        broker: request.broker,
        incarnation: request.incarnation,
        at: at + facts.len() as i64,
        directory: request.directory,
        endpoints: request.endpoints.clone(),
        peer: request.peer.clone(),
        rack: request.rack.clone(),
    });
    liveness.touch(request.broker, request.incarnation, Offset(0), now);
    Ok(facts)
}

/// What the broker has lost since it was last in an ISR. A node that was alone until now has told of no directory: it is taken
/// to be the same. Of a broker that is not known at all, nothing is known of its disk either.
fn lost(before: Option<&Registration>, request: &RegistrationRequest) -> Option<Lost> {
    let same_disk = before.is_some_and(|b| b.directory.is_none_or(|d| d == request.directory));
    if !same_disk {
        return Some(Lost::All(request.broker));
    }
    request.lost_tail.then_some(Lost::Some(request.broker))
}

fn is_same(before: &Registration, request: &RegistrationRequest) -> bool {
    before.incarnation == request.incarnation
        && before.directory == Some(request.directory)
        && before.endpoints == request.endpoints
        && before.peer.as_ref() == Some(&request.peer)
        && before.rack == request.rack
}

fn check(view: &View<'_>, request: &RegistrationRequest) -> Result<(), Refusal> {
    if let Some(ours) = view.image.cluster_id().filter(|ours| *ours != request.cluster_id) {
        let why = format!(
            "Broker {} is of cluster '{}', this is '{ours}'.",
            request.broker,
            request.cluster_id.escape_default()
        );
        return Err((ErrorCode::INCONSISTENT_CLUSTER_ID, why));
    }
    let names: BTreeSet<&str> = request.endpoints.iter().map(|e| e.listener.as_str()).collect();
    if names.is_empty() || names.len() != request.endpoints.len() {
        let why = "A broker needs at least one listener, and each under its own name.";
        return Err((ErrorCode::INVALID_REGISTRATION, why.into()));
    }
    let mut others = view.image.brokers().iter().filter(|(id, _)| **id != request.broker);
    match others.find(|(_, r)| r.directory == Some(request.directory)) {
        Some((other, _)) => Err((
            ErrorCode::DUPLICATE_BROKER_REGISTRATION,
            format!("The data directory of broker {} belongs to broker {other}.", request.broker),
        )),
        None => Ok(()),
    }
}

/// Decides that a broker belongs to the cluster no longer, a running one too (Kafka: `ReplicationControlManager.unregisterBroker`).
/// It leaves the eligible leader replicas: what might come back under its id is not known to be the same disk.
///
/// # Errors
/// It is not registered; or it runs, and nobody else may lead a partition: what only it has would be lost for nothing. (Kafka leaves it
/// the last in-sync replica, and lets it lead when it comes back, on whatever disk.)
pub fn unregister(view: &View<'_>, broker: BrokerId) -> Result<Vec<Fact>, Refusal> {
    let Some(registration) = view.image.brokers().get(&broker) else {
        let why = format!("Broker ID {broker} is not currently registered.");
        return Err((ErrorCode::BROKER_ID_NOT_REGISTERED, why));
    };
    if let Some((topic, partition)) = only_here(view, broker).filter(|_| !registration.fenced) {
        let why = format!(
            "Broker {broker} is running, and nobody else has all that is committed in {topic}-{partition}: move that first."
        );
        return Err((ErrorCode::INVALID_REQUEST, why));
    }
    let mut facts = view.leave(broker, Some(Lost::All(broker)));
    facts.push(Fact::BrokerUnregistered { broker, incarnation: registration.incarnation });
    Ok(facts)
}

/// A partition that nobody else may lead, if there is one.
fn only_here<'a>(view: &View<'a>, broker: BrokerId) -> Option<(&'a str, i32)> {
    let others = |list: &[BrokerId]| list.iter().any(|id| *id != broker);
    let mut all = view.image.partitions();
    let found = all.find(|(.., state)| {
        (state.isr.contains(&broker) || state.elr.contains(&broker))
            && !others(&state.isr)
            && !others(&state.elr)
    });
    found.map(|(topic, partition, _)| (topic.name.as_str(), partition))
}

#[cfg(test)]
mod tests;
