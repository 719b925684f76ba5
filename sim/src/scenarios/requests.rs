//! What clients of scenarios ask for.

use quipu_core::broker::door::{Produce, ProduceTopic, Request};
use quipu_core::ids::ProducerId;
use quipu_core::record::BatchBuilder;
use quipu_core::time::Timestamp;
use quipu_core::wire::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use quipu_core::wire::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use quipu_core::wire::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use quipu_core::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use quipu_core::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::scenarios::given::Given;

/// A new topic: `create t partitions=3`, or with `replicas=1,2` each of its partitions on those brokers.
pub(super) fn create(given: &Given<'_>) -> CreateTopicsRequest {
    let partitions = given.number("partitions", 1);
    let on = given.list("replicas").map(|broker_ids| {
        let each =
            |partition_index| CreatableReplicaAssignment { partition_index, broker_ids: broker_ids.clone() };
        (0..partitions).map(each).collect()
    });
    let configs = given.named.iter().filter(|(name, _)| name.contains('.'));
    let topic = CreatableTopic {
        name: given.words[1].into(),
        num_partitions: if on.is_some() { -1 } else { partitions },
        replication_factor: if on.is_some() { -1 } else { 1 },
        assignments: on.unwrap_or_default(),
        configs: configs
            .map(|(name, value)| CreatableTopicConfig {
                name: name.to_string(),
                value: Some(value.to_string()),
            })
            .collect(),
    };
    CreateTopicsRequest { topics: vec![topic], ..Default::default() }
}

/// Records: `produce t a b acks=1`.
pub(super) fn produce(given: &Given<'_>, ms: i64) -> Request {
    let mut batch = BatchBuilder::new();
    if let Some(id) = given.named.get("producer") {
        let id = ProducerId(id.parse().expect("a producer id"));
        batch = batch.producer(id, given.number("epoch", 0), given.number("sequence", 0));
    }
    let at = Timestamp(1_800_000_000_000 + ms);
    given.words[2..].iter().for_each(|value| batch.push(at, None, Some(value.as_bytes())));
    let partitions = vec![(given.number("partition", 0), Ok(batch.build()))];
    Request::Produce(Produce {
        transactional_id: None,
        acks: given.number("acks", -1),
        timeout_ms: 30_000,
        frame_bytes: 0,
        topics: vec![ProduceTopic { name: given.words[1].into(), partitions }],
    })
}

/// Records back: `fetch t from=0`, or by who knows the leader of an epoch, `epoch=2`.
pub(super) fn fetch(given: &Given<'_>) -> Request {
    let partition = FetchPartition {
        partition: given.number("partition", 0),
        fetch_offset: given.number("from", 0),
        current_leader_epoch: given.number("epoch", -1),
        partition_max_bytes: given.number("max", 1 << 20),
        ..Default::default()
    };
    let topic =
        FetchTopic { topic: given.words[1].into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest {
        max_wait_ms: given.number("wait", 0),
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    Request::Api(request.into())
}

/// Other replicas: `reassign t replicas=1,3`; without any, what is under way is called off.
pub(super) fn reassign(given: &Given<'_>) -> AlterPartitionReassignmentsRequest {
    let partition = ReassignablePartition {
        partition_index: given.number("partition", 0),
        replicas: given.list("replicas"),
    };
    let topic = ReassignableTopic { name: given.words[1].into(), partitions: vec![partition] };
    AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() }
}

/// Configs of a topic or a broker: `alter topic t NAME=VALUE`; one without a value goes back to its default.
pub(crate) fn alter(given: &Given<'_>) -> IncrementalAlterConfigsRequest {
    let configs = given.named.iter().filter(|(name, _)| name.contains('.'));
    let one = |(name, value): (&&str, &&str)| AlterableConfig {
        name: name.to_string(),
        config_operation: i8::from(value.is_empty()),
        value: Some(value.to_string()).filter(|value| !value.is_empty()),
    };
    let resource = AlterConfigsResource {
        resource_type: if given.words[1] == "broker" { 4 } else { 2 },
        resource_name: given.words[2].into(),
        configs: configs.map(one).collect(),
    };
    IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() }
}

/// An election in a partition: `elect t`, of the preferred leader, or `elect t unclean`.
pub(super) fn elect(given: &Given<'_>) -> ElectLeadersRequest {
    let partitions = vec![given.number("partition", 0)];
    ElectLeadersRequest {
        election_type: i8::from(given.words.contains(&"unclean")),
        topic_partitions: Some(vec![TopicPartitions { topic: given.words[1].into(), partitions }]),
        ..Default::default()
    }
}
