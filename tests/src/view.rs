//! The cluster as each of its brokers tells it: who is the active controller, who leads what, who is in sync.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use quipu_core::wire::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumRequestPartition, DescribeQuorumRequestTopic,
};
use quipu_core::wire::messages::metadata::{MetadataRequest, MetadataResponse};
use quipu_core::wire::{Request, Response};

use crate::line::Line;

/// A broker that stands still, or is not in the cluster yet, does not answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The versions that are asked in.
const METADATA: i16 = 9;
const DESCRIBE_QUORUM: i16 = 2;

/// What one broker knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The active controller. A broker that knows of none names itself: believe it when all say the same.
    pub controller: i32,
    /// Those that are alive, in order of their ids.
    pub brokers: Vec<i32>,
    /// By topic and index.
    pub partitions: BTreeMap<(String, i32), Place>,
}

/// Where a partition is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Who leads it, -1 for nobody.
    pub leader: i32,
    /// Who is in sync, in order of their ids.
    pub isr: Vec<i32>,
}

impl View {
    /// What the broker at this address knows; nothing when it does not answer in time.
    pub fn ask(address: SocketAddr) -> Option<View> {
        let request =
            MetadataRequest { topics: None, allow_auto_topic_creation: false, ..Default::default() };
        match call(address, request.into(), METADATA) {
            Ok(Response::Metadata(told)) => Some(View::of(told)),
            _ => None,
        }
    }

    /// The voters of the metadata quorum whose logs are known, in order of their ids, as its leader at this address sees them.
    pub fn voters(address: SocketAddr) -> Option<Vec<i32>> {
        let partitions = vec![DescribeQuorumRequestPartition { partition_index: 0 }];
        let topic_name = "__cluster_metadata".to_owned();
        let request =
            DescribeQuorumRequest { topics: vec![DescribeQuorumRequestTopic { topic_name, partitions }] };
        let Ok(Response::DescribeQuorum(told)) = call(address, request.into(), DESCRIBE_QUORUM) else {
            return None;
        };
        let quorum = told.topics.into_iter().flat_map(|topic| topic.partitions).next()?;
        let known = quorum.current_voters.iter().filter(|voter| voter.log_end_offset >= 0);
        let mut ids: Vec<i32> = known.map(|voter| voter.replica_id).collect();
        ids.sort_unstable();
        Some(ids)
    }

    fn of(told: MetadataResponse) -> View {
        let mut brokers: Vec<i32> = told.brokers.iter().map(|broker| broker.node_id).collect();
        brokers.sort_unstable();
        let mut partitions = BTreeMap::new();
        for topic in told.topics {
            let name = topic.name.unwrap_or_default();
            for found in topic.partitions {
                let mut isr = found.isr_nodes;
                isr.sort_unstable();
                let place = Place { leader: found.leader_id, isr };
                partitions.insert((name.clone(), found.partition_index), place);
            }
        }
        View { controller: told.controller_id, brokers, partitions }
    }

    /// Whether all these brokers are alive, and every partition has a leader and all of them in sync.
    pub fn is_whole(&self, brokers: &[i32]) -> bool {
        let is_whole = |place: &Place| place.leader >= 0 && place.isr == brokers;
        self.brokers == brokers && self.partitions.values().all(is_whole)
    }

    /// The partitions of a topic that this broker leads.
    pub fn led_by(&self, broker: i32, topic: &str) -> Vec<usize> {
        let of_topic = self.partitions.iter().filter(|((name, _), _)| name == topic);
        of_topic.filter(|(_, place)| place.leader == broker).map(|((_, index), _)| *index as usize).collect()
    }
}

/// One request and its answer, on a connection of its own.
fn call(address: SocketAddr, request: Request, version: i16) -> io::Result<Response> {
    Line::open(address, PATIENCE)?.ask(&request, version)
}

#[test]
fn a_view_is_whole_when_every_partition_has_a_leader_and_all_in_sync() {
    let place = |leader, isr: &[i32]| Place { leader, isr: isr.to_vec() };
    let mut view = View { controller: 1, brokers: vec![1, 2], partitions: BTreeMap::new() };
    view.partitions.insert(("t".into(), 0), place(2, &[1, 2]));
    assert!(view.is_whole(&[1, 2]) && !view.is_whole(&[1, 2, 3]));
    view.partitions.insert(("t".into(), 1), place(2, &[2]));
    assert!(!view.is_whole(&[1, 2]));
    view.partitions.insert(("t".into(), 1), place(-1, &[1, 2]));
    assert!(!view.is_whole(&[1, 2]));
    assert_eq!((view.led_by(2, "t"), view.led_by(2, "u")), (vec![0], vec![]));
}
