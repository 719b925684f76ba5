//! Metadata, DescribeCluster and FindCoordinator: where clients find brokers, topics, leaders and coordinators.

use crate::broker::Broker;
use crate::broker::addresses::Reached;
use crate::broker::door::{Caller, Client};
use crate::broker::turn::Turn;
use crate::cluster::additions::Additions;
use crate::cluster::image::Topic;
use crate::cluster::names;
use crate::ids::{BrokerId, LogId, TopicId};
use crate::wire::dialect::Dialect;
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use crate::wire::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use crate::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};

/// FindCoordinator's key types.
const GROUP_KEY: i8 = 0;
const TRANSACTION_KEY: i8 = 1;
/// DescribeCluster's endpoint type for brokers.
const BROKERS: i8 = 1;
/// All operations on a cluster: create, alter, describe, cluster action, describe and alter configs, idempotent write.
const CLUSTER_OPERATIONS: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);
/// All operations on a topic: read, write, create, delete, alter, describe, describe and alter configs.
const TOPIC_OPERATIONS: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);

const fn bits(operations: &[u8]) -> i32 {
    let (mut out, mut i) = (0, 0);
    while i < operations.len() {
        out |= 1 << operations[i];
        i += 1;
    }
    out
}

impl Broker {
    /// Handles a metadata request; may create topics.
    pub(super) fn metadata(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        (from, dialect): (&Client, Dialect),
        request: MetadataRequest,
    ) {
        let creates = request.allow_auto_topic_creation && self.config.auto_create_topics;
        let operations = request.include_topic_authorized_operations;
        let mut additions = Additions::default();
        let topics = if asks_for_all(&request, dialect) {
            self.controller.image().topics().map(|t| self.topic_entry(t, operations)).collect()
        } else if let Some(refused) = refuse_ids(&request, dialect) {
            refused
        } else {
            let asked = request.topics.unwrap_or_default();
            asked.iter().map(|t| self.asked_topic(t, (creates, operations), &mut additions)).collect()
        };
        let broker = |(id, host, port, rack): Reached| MetadataResponseBroker {
            node_id: id.0,
            host,
            port: i32::from(port),
            rack,
        };
        let response = MetadataResponse {
            brokers: self.listed(turn.now.mono, from).into_iter().map(broker).collect(),
            cluster_id: Some(self.identity.cluster_id.clone()),
            controller_id: self.controller_told(),
            topics,
            cluster_authorized_operations: granted(
                request.include_cluster_authorized_operations,
                CLUSTER_OPERATIONS,
            ),
            ..Default::default()
        };
        self.ask_for_topics(turn);
        // Topics that are being made are answered with LEADER_NOT_AVAILABLE, once they exist: the next request finds them.
        self.decide_and_answer(turn, additions.into_facts(), to, response.into());
    }

    fn asked_topic(
        &mut self,
        asked: &MetadataRequestTopic,
        (creates, operations): (bool, bool),
        additions: &mut Additions,
    ) -> MetadataResponseTopic {
        let image = self.controller.image();
        let Some(name) = asked.name.as_deref().filter(|_| asked.topic_id.is_zero()) else {
            return match image.topic_by_id(asked.topic_id) {
                Some(topic) => self.topic_entry(topic, operations),
                None => no_topic(None, asked.topic_id, ErrorCode::UNKNOWN_TOPIC_ID),
            };
        };
        if let Some(topic) = image.topic(name) {
            return self.topic_entry(topic, operations);
        }
        let code = if names::refuse(name).is_some() {
            ErrorCode::INVALID_TOPIC_EXCEPTION
        } else if creates {
            self.auto_create(name, additions)
        } else {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        };
        no_topic(Some(name.to_string()), TopicId::ZERO, code)
    }

    fn topic_entry(&self, topic: &Topic, operations: bool) -> MetadataResponseTopic {
        MetadataResponseTopic {
            name: Some(topic.name.clone()),
            topic_id: topic.id,
            is_internal: names::is_internal(&topic.name),
            partitions: (0..topic.partitions.len()).map(|index| self.partition_entry(topic, index)).collect(),
            topic_authorized_operations: granted(operations, TOPIC_OPERATIONS),
            ..Default::default()
        }
    }

    /// What clients are told of a partition.
    pub(super) fn partition_entry(&self, topic: &Topic, index: usize) -> MetadataResponsePartition {
        let state = &topic.partitions[index];
        let (error_code, offline_replicas) = self.partition_health(topic.id, index as i32);
        MetadataResponsePartition {
            error_code,
            partition_index: index as i32,
            leader_id: state.leader.filter(|_| error_code == ErrorCode::NONE).map_or(-1, |leader| leader.0),
            leader_epoch: state.leader_epoch.0,
            replica_nodes: state.replicas.iter().map(|b| b.0).collect(),
            isr_nodes: state.isr.iter().map(|b| b.0).collect(),
            offline_replicas,
        }
    }

    /// Whether a partition has a leader that can serve, and which of its replicas are offline.
    fn partition_health(&self, topic: TopicId, partition: i32) -> (ErrorCode, Vec<i32>) {
        let log = LogId { topic, partition };
        let state = self.controller.image().partition(log);
        let brokers = self.controller.image().brokers();
        let gone = |id: &BrokerId| !self.is_alone() && brokers.get(id).is_none_or(|r| r.fenced);
        let mut offline: Vec<i32> =
            state.iter().flat_map(|s| &s.replicas).filter(|id| gone(id)).map(|id| id.0).collect();
        let mine = state.is_some_and(|s| s.leader == Some(self.me)) || self.is_alone();
        if mine && self.usable(log).is_err() {
            offline.push(self.me.0);
        } else if state.is_some_and(|s| s.leader.is_some()) {
            return (ErrorCode::NONE, offline);
        }
        (ErrorCode::LEADER_NOT_AVAILABLE, offline)
    }

    /// Handles DescribeCluster.
    pub(super) fn describe_cluster(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        from: &Client,
        request: DescribeClusterRequest,
    ) {
        let mut response = DescribeClusterResponse {
            endpoint_type: request.endpoint_type,
            cluster_id: self.identity.cluster_id.clone(),
            controller_id: self.controller_told(),
            cluster_authorized_operations: granted(
                request.include_cluster_authorized_operations,
                CLUSTER_OPERATIONS,
            ),
            ..Default::default()
        };
        if request.endpoint_type == BROKERS {
            response.brokers = self.reached_by(from).into_iter().map(|at| described(at, false)).collect();
            if request.include_fenced_brokers {
                response.brokers.extend(self.fenced(from).into_iter().map(|at| described(at, true)));
            }
        } else {
            response.error_code = ErrorCode::MISMATCHED_ENDPOINT_TYPE;
            response.error_message =
                Some("this is a broker's listener; controllers have no listener for clients".into());
        }
        turn.reply(to, response.into());
    }

    /// Handles FindCoordinator: whoever leads the partition of `__consumer_offsets` that a group falls into.
    pub(super) fn find_coordinator(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        from: &Client,
        request: FindCoordinatorRequest,
    ) {
        let mut additions = Additions::default();
        let refused = match request.key_type {
            GROUP_KEY => self.need_group_offsets(&mut additions).err(),
            TRANSACTION_KEY => Some((
                ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                "transactions are not supported by this version of Quipu".to_string(),
            )),
            other => Some((
                ErrorCode::INVALID_REQUEST,
                format!("there is no coordinator of key type {other} here"),
            )),
        };
        let coordinators =
            request.coordinator_keys.into_iter().map(|key| self.coordinator(key, from, &refused)).collect();
        let response = FindCoordinatorResponse { coordinators, ..Default::default() };
        self.ask_for_topics(turn);
        self.decide_and_answer(turn, additions.into_facts(), to, response.into());
    }

    fn coordinator(&self, key: String, from: &Client, refused: &Option<(ErrorCode, String)>) -> Coordinator {
        match refused {
            Some((error_code, why)) => Coordinator {
                key,
                node_id: -1,
                port: -1,
                error_code: *error_code,
                error_message: Some(why.clone()),
                ..Default::default()
            },
            None => match self.coordinator_of(&key, from) {
                Some((id, host, port, _)) => Coordinator {
                    key,
                    node_id: id.0,
                    host,
                    port: i32::from(port),
                    error_message: None,
                    ..Default::default()
                },
                None => Coordinator {
                    key,
                    node_id: -1,
                    port: -1,
                    error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
                    error_message: Some("the partition that the group falls into has no leader yet".into()),
                    ..Default::default()
                },
            },
        }
    }
}

fn described((id, host, port, rack): Reached, is_fenced: bool) -> DescribeClusterBroker {
    DescribeClusterBroker { broker_id: id.0, host, port: i32::from(port), rack, is_fenced }
}

fn asks_for_all(request: &MetadataRequest, dialect: Dialect) -> bool {
    request.topics.as_ref().is_none_or(|topics| topics.is_empty() && dialect.metadata_empty_means_all)
}

/// A topic named by id where the version has no ids fails the whole request, as in Kafka. What cannot be null is empty.
fn refuse_ids(request: &MetadataRequest, dialect: Dialect) -> Option<Vec<MetadataResponseTopic>> {
    let asked = request.topics.iter().flatten();
    if dialect.metadata_topic_ids || asked.clone().all(|t| t.topic_id.is_zero() && t.name.is_some()) {
        return None;
    }
    let refused = |t: &MetadataRequestTopic| {
        no_topic(Some(t.name.clone().unwrap_or_default()), t.topic_id, ErrorCode::INVALID_REQUEST)
    };
    Some(asked.map(refused).collect())
}

fn no_topic(name: Option<String>, topic_id: TopicId, error_code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic { error_code, name, topic_id, ..Default::default() }
}

/// Authorized operations as far as they were asked for; everybody may do everything so far.
fn granted(asked: bool, operations: i32) -> i32 {
    if asked { operations } else { i32::MIN }
}
