//! Which cluster a broker says it belongs to, before the quorum has formed and after.

use super::{Rig, identity, recovered};
use crate::cluster::facts::Fact;
use crate::ids::{BrokerId, LogId, Offset};
use crate::record::{Batch, BatchBuilder};
use crate::time::Timestamp;

const THREE: [(&str, &str); 1] = [("quipu.voters", "1@a:9192,2@b:9192,3@c:9192")];

/// A broker with others that finds one decision in its metadata log, if any, and an election that went with it.
fn over(fact: Option<&Fact>) -> Rig {
    let batches: Vec<Batch> = fact.iter().map(|fact| decision(fact)).collect();
    let logs = if batches.is_empty() { vec![] } else { vec![recovered(LogId::METADATA, &batches)] };
    let election = crate::quorum::Election::default().encode().into();
    let mut rig = Rig::over_kept(&THREE, logs, (Ok(Some(election)), 42));
    rig.disk.insert(LogId::METADATA, batches);
    rig.wake();
    rig
}

fn decision(fact: &Fact) -> Batch {
    let mut batch = BatchBuilder::plain(Timestamp(1), &[(None, Some(fact.encode().into()))]);
    batch.stamp(Offset(0), Default::default());
    batch
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
