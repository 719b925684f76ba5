//! Which cluster a broker says it belongs to, before the quorum has formed and after.

use std::collections::BTreeMap;

use super::{Rig, identity, recovered};
use crate::cluster::brokers::PeerAddress;
use crate::cluster::facts::Fact;
use crate::ids::{BrokerId, LogId, Offset};
use crate::record::{Batch, BatchBuilder};
use crate::time::Timestamp;

const THREE: [(&str, &str); 1] = [("quipu.voters", "1@a:9192,2@b:9192,3@c:9192")];

/// A broker with others that finds one decision in its metadata log, if any, and an election that went with it.
fn over(fact: Option<&Fact>) -> Rig {
    as_broker("1", fact.map(std::slice::from_ref).unwrap_or_default())
}

/// The same for any broker and some decisions, each in a batch of its own.
fn as_broker(id: &str, facts: &[Fact]) -> Rig {
    let mut batches: Vec<Batch> = facts.iter().map(decision).collect();
    for (offset, batch) in batches.iter_mut().enumerate() {
        batch.stamp(Offset(offset as i64), Default::default());
    }
    let logs = if batches.is_empty() { vec![] } else { vec![recovered(LogId::METADATA, &batches)] };
    let election = crate::quorum::Election::default().encode().into();
    let settings = [THREE[0], ("node.id", id), ("quipu.peer.listen", "d:9192")];
    let mut rig = Rig::over_kept(&settings, logs, (Ok(Some(election)), 42));
    rig.disk.insert(LogId::METADATA, batches);
    rig.wake();
    rig
}

fn decision(fact: &Fact) -> Batch {
    BatchBuilder::plain(Timestamp(1), &[(None, Some(fact.encode().into()))])
}

/// Broker 4 registers with this directory.
fn registered(directory: u8) -> Fact {
    let (broker, peer) = (BrokerId(4), PeerAddress { host: "d".into(), port: 9192 });
    let directory = [directory; 16];
    let endpoints = Vec::new();
    Fact::BrokerRegistered { broker, incarnation: 7, at: Offset(1), directory, endpoints, peer, rack: None }
}

#[test]
fn a_new_broker_that_is_to_form_a_cluster_with_others_belongs_to_none_yet() {
    let rig = over(None);
    assert_eq!((rig.cluster, rig.broker.status().cluster_id), (None, None));
    assert_eq!(rig.broker.me().cluster, None);
}

#[test]
fn a_broker_belongs_to_the_cluster_that_its_log_names_whatever_its_directory_was_called() {
    let voters = [(BrokerId(1), [1; 16])].into();
    let rig = over(Some(&Fact::QuorumFormed { cluster_id: "theirs".into(), voters }));
    assert_eq!(rig.cluster.as_deref(), Some("theirs"));
    assert_eq!(rig.broker.status().cluster_id.as_deref(), Some("theirs"));
}

#[test]
fn a_broker_without_a_vote_belongs_to_the_cluster_in_its_log_only_if_it_has_taken_part_in_it() {
    let voters = [(BrokerId(1), [1; 16])].into();
    let formed = || Fact::QuorumFormed { cluster_id: "theirs".into(), voters: BTreeMap::clone(&voters) };
    let cluster = |facts: &[Fact]| as_broker("4", facts).cluster;
    // The voters may have lost it again, and have formed another one since.
    assert_eq!(cluster(&[formed()]), None);
    assert_eq!(cluster(&[formed(), registered(9)]), None, "that was another disk");
    assert_eq!(cluster(&[formed(), registered(4)]).as_deref(), Some("theirs"));
}

#[test]
fn the_beginning_of_a_log_that_another_broker_wrote_alone_makes_nobody_a_cluster_of_its_own() {
    let started = |id| Fact::BrokerStarted { broker: BrokerId(id), incarnation: 3 };
    assert_eq!(as_broker("4", &[started(1)]).cluster, None);
    assert_eq!(as_broker("4", &[started(4)]).cluster, Some(identity().cluster_id), "it was alone itself");
}

#[test]
fn a_broker_that_was_alone_stays_the_cluster_that_it_was() {
    let rig = over(Some(&Fact::ProducerIdsAllocated { next: 1000 }));
    assert_eq!(rig.cluster, Some(identity().cluster_id));
    let alone = Rig::new(&[]);
    assert_eq!((alone.cluster, alone.broker.status().cluster_id), (None, Some(identity().cluster_id)));
}

#[test]
fn among_its_peers_a_broker_is_its_node_its_directory_and_this_run() {
    let mut rig = over(None);
    let me = rig.broker.me();
    assert_eq!((me.id, me.directory), (BrokerId(1), [1; 16]));
    assert_ne!(me.incarnation, rig.broker.draw(), "what is drawn for other ends is not it");
}
