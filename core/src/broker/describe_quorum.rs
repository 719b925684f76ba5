//! DescribeQuorum: who leads the metadata log, and how far the others are with it; only the leader knows.

use crate::broker::Broker;
use crate::broker::door::Caller;
use crate::broker::turn::Turn;
use crate::cluster::brokers::Endpoint;
use crate::cluster::names::CLUSTER_METADATA;
use crate::ids::{BrokerId, LogId, Offset};
use crate::quorum::{Progress, Quorum, Voter};
use crate::time::{Instant, Now};
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumRequestTopic, DescribeQuorumResponse,
    DescribeQuorumResponseListener, DescribeQuorumResponseNode, DescribeQuorumResponsePartition,
    DescribeQuorumResponseTopic, ReplicaState,
};

/// What is not known, in Kafka's answers.
const UNKNOWN: i64 = -1;

impl Broker {
    /// Handles DescribeQuorum. Who does not lead the quorum says so of the whole request, as Kafka does
    /// (`KafkaRaftClient.handleDescribeQuorumRequest`).
    pub(super) fn describe_quorum(&self, turn: &mut Turn, to: Caller, request: &DescribeQuorumRequest) {
        let response = match self.quorum.as_ref().filter(|quorum| quorum.is_leader()) {
            Some(quorum) => DescribeQuorumResponse {
                topics: request.topics.iter().map(|t| self.quorums_of(turn.now, quorum, t)).collect(),
                nodes: quorum.voters().ids().into_iter().map(|id| self.quorum_node(id)).collect(),
                error_message: None,
                ..Default::default()
            },
            None => DescribeQuorumResponse {
                error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                error_message: Some(self.leaderless()),
                ..Default::default()
            },
        };
        turn.reply(to, response.into());
    }

    /// What a broker says that knows of no leader of the quorum.
    fn leaderless(&self) -> String {
        let epoch = self.quorum.as_ref().map(|quorum| quorum.epoch().0);
        let epoch = epoch.map_or(String::new(), |epoch| format!(" in epoch {epoch}"));
        let me = self.me;
        format!(
            "broker {me} knows of no leader of the metadata quorum{epoch}: look whether a majority of the voters is up, and \
             reaches one another"
        )
    }

    fn quorums_of(
        &self,
        now: Now,
        quorum: &Quorum,
        asked: &DescribeQuorumRequestTopic,
    ) -> DescribeQuorumResponseTopic {
        let partition = |index: i32| {
            if (asked.topic_name.as_str(), index) == (CLUSTER_METADATA, LogId::METADATA.partition) {
                return self.metadata_quorum(now, quorum);
            }
            DescribeQuorumResponsePartition {
                partition_index: index,
                error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                error_message: Some(format!("only partition 0 of {CLUSTER_METADATA} is kept by a quorum")),
                leader_id: -1,
                ..Default::default()
            }
        };
        DescribeQuorumResponseTopic {
            topic_name: asked.topic_name.clone(),
            partitions: asked.partitions.iter().map(|p| partition(p.partition_index)).collect(),
        }
    }

    /// The quorum as its leader sees it.
    fn metadata_quorum(&self, now: Now, quorum: &Quorum) -> DescribeQuorumResponsePartition {
        let log = &self.partitions[&LogId::METADATA].log;
        let votes = |id, p: &Progress| quorum.voters().holds(Voter { id, directory: p.directory });
        let voter = |id: BrokerId| {
            if id == self.me {
                return state(id, self.identity.directory_id, log.end(), (now.wall.0, now.wall.0));
            }
            match quorum.progress().find(|(of, p)| *of == id && votes(id, p)) {
                Some((_, p)) => replica(now, id, p),
                None => {
                    let directory = quorum.voters().directory(id).unwrap_or_default();
                    state(id, directory, Offset(UNKNOWN), (UNKNOWN, UNKNOWN))
                }
            }
        };
        // A node with another directory than its vote was given to has no vote: it only reads along.
        let observers = quorum.progress().filter(|(id, p)| !votes(*id, p));
        DescribeQuorumResponsePartition {
            partition_index: LogId::METADATA.partition,
            error_message: None,
            leader_id: self.me.0,
            leader_epoch: quorum.epoch().0,
            high_watermark: log.high().0,
            observers: observers.map(|(id, p)| replica(now, id, p)).collect(),
            current_voters: quorum.voters().ids().into_iter().map(voter).collect(),
            ..Default::default()
        }
    }

    /// Where clients reach a voter: brokers take what controllers decide, and controllers have no listeners of their own.
    fn quorum_node(&self, id: BrokerId) -> DescribeQuorumResponseNode {
        let registered = self.controller.image().brokers().get(&id).map(|r| r.endpoints.as_slice());
        let endpoints = if id == self.me { Some(self.member.endpoints()) } else { registered };
        let listener = |at: &Endpoint| DescribeQuorumResponseListener {
            name: at.listener.clone(),
            host: at.host.clone(),
            port: at.port,
        };
        let listeners = endpoints.unwrap_or_default().iter().map(listener).collect();
        DescribeQuorumResponseNode { node_id: id.0, listeners }
    }
}

/// What the leader knows of another node.
fn replica(now: Now, id: BrokerId, progress: &Progress) -> ReplicaState {
    let wall = |then: Instant| now.wall.0 - now.mono.since(then).as_millis() as i64;
    let times = (wall(progress.fetched), progress.caught_up.map_or(UNKNOWN, wall));
    state(id, progress.directory, progress.end, times)
}

fn state(id: BrokerId, directory: [u8; 16], end: Offset, (fetched, caught_up): (i64, i64)) -> ReplicaState {
    ReplicaState {
        replica_id: id.0,
        replica_directory_id: directory,
        log_end_offset: end.0,
        last_fetch_timestamp: fetched,
        last_caught_up_timestamp: caught_up,
    }
}
