//! The commands of scenarios.

use std::collections::BTreeMap;

use bytes::Bytes;
use quipu_core::broker::door::{Produce, ProduceTopic, Request};
use quipu_core::ids::ProducerId;
use quipu_core::record::BatchBuilder;
use quipu_core::time::Timestamp;
use quipu_core::wire::ApiKey;
use quipu_core::wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use quipu_core::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use quipu_core::wire::messages::find_coordinator::FindCoordinatorRequest;
use quipu_core::wire::messages::heartbeat::HeartbeatRequest;
use quipu_core::wire::messages::init_producer_id::InitProducerIdRequest;
use quipu_core::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use quipu_core::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use quipu_core::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use quipu_core::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::stage::Stage;

/// A command: its words, and what was given with a name.
struct Given<'a> {
    words: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Given<'a> {
    fn read(line: &'a str) -> Given<'a> {
        let (named, words): (Vec<&str>, Vec<&str>) = line.split_whitespace().partition(|w| w.contains('='));
        Given { words, named: named.into_iter().filter_map(|w| w.split_once('=')).collect() }
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> T {
        self.named.get(name).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name}={v}")))
    }

    fn word(&self, name: &str) -> String {
        self.named.get(name).map(ToString::to_string).unwrap_or_default()
    }
}

impl Stage {
    /// Does what a line says: what happened.
    pub(crate) fn perform(&mut self, line: &str) -> Vec<String> {
        let given = Given::read(line);
        match given.words[0] {
            "start" => {
                let configs: Vec<(&str, &str)> = given.named.iter().map(|(n, v)| (*n, *v)).collect();
                self.start(&configs);
            }
            "round" => self.round(),
            "pass" => self.pass(given.words[1].parse().expect("milliseconds")),
            "kill" => self.end(false),
            "lose-power" => self.end(true),
            "fail-sync" => self.disk.fail_next_sync(),
            "room" => {
                self.disk.set_room(given.words[1].parse().ok().map(|more: u64| self.disk.used() + more))
            }
            "stop" => self.step(quipu_core::broker::door::Input::Stop),
            "create" => self.create(&given),
            "producer-id" => {
                self.call(InitProducerIdRequest { transactional_id: None, ..Default::default() })
            }
            "produce" => self.produce(&given),
            "fetch" => self.fetch(&given),
            _ => self.of_groups(&given),
        }
        std::mem::take(&mut self.told)
    }

    fn of_groups(&mut self, given: &Given<'_>) {
        match given.words[0] {
            "coordinator" => self.call(FindCoordinatorRequest {
                coordinator_keys: vec![given.words[1].into()],
                ..Default::default()
            }),
            "join" => self.join(given),
            "sync" => self.sync_group(given),
            "heartbeat" => self.call(HeartbeatRequest {
                group_id: given.words[1].into(),
                generation_id: given.number("generation", 0),
                member_id: self.member(&given.word("member")),
                group_instance_id: given.named.get("instance").map(ToString::to_string),
            }),
            "commit" => self.commit(given),
            "committed" => self.committed(given),
            other => panic!("no command is called `{other}`"),
        }
    }

    fn end(&mut self, power: bool) {
        self.process = None;
        if power {
            self.disk.lose_power()
        } else {
            self.disk.restart()
        }
        self.told.push(if power { "its machine lost power" } else { "its process is gone" }.into());
    }

    fn create(&mut self, given: &Given<'_>) {
        let configs = given.named.iter().filter(|(name, _)| name.contains('.'));
        let topic = CreatableTopic {
            name: given.words[1].into(),
            num_partitions: given.number("partitions", 1),
            replication_factor: 1,
            configs: configs
                .map(|(name, value)| CreatableTopicConfig {
                    name: name.to_string(),
                    value: Some(value.to_string()),
                })
                .collect(),
            ..Default::default()
        };
        self.call(CreateTopicsRequest { topics: vec![topic], ..Default::default() });
    }

    fn produce(&mut self, given: &Given<'_>) {
        let mut batch = BatchBuilder::new();
        if let Some(id) = given.named.get("producer") {
            let id = ProducerId(id.parse().expect("a producer id"));
            batch = batch.producer(id, given.number("epoch", 0), given.number("sequence", 0));
        }
        let at = Timestamp(1_800_000_000_000 + self.ms);
        given.words[2..].iter().for_each(|value| batch.push(at, None, Some(value.as_bytes())));
        let partitions = vec![(given.number("partition", 0), Ok(batch.build()))];
        let produce = Produce {
            transactional_id: None,
            acks: given.number("acks", -1),
            timeout_ms: 30_000,
            frame_bytes: 0,
            topics: vec![ProduceTopic { name: given.words[1].into(), partitions }],
        };
        self.ask(Request::Produce(produce), ApiKey::Produce, 9);
    }

    fn fetch(&mut self, given: &Given<'_>) {
        let partition = FetchPartition {
            partition: given.number("partition", 0),
            fetch_offset: given.number("from", 0),
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
        self.ask(Request::Api(request.into()), ApiKey::Fetch, 12);
    }

    fn join(&mut self, given: &Given<'_>) {
        self.call(JoinGroupRequest {
            group_id: given.words[1].into(),
            session_timeout_ms: given.number("session", 10_000),
            rebalance_timeout_ms: given.number("rebalance", 20_000),
            member_id: self.member(&given.word("member")),
            group_instance_id: given.named.get("instance").map(ToString::to_string),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::new() }],
            ..Default::default()
        });
    }

    fn sync_group(&mut self, given: &Given<'_>) {
        let assignments = given.words[2..].iter().filter_map(|w| w.split_once(':'));
        self.call(SyncGroupRequest {
            group_id: given.words[1].into(),
            generation_id: given.number("generation", 0),
            member_id: self.member(&given.word("member")),
            group_instance_id: given.named.get("instance").map(ToString::to_string),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assignments
                .map(|(member, share)| SyncGroupRequestAssignment {
                    member_id: self.member(member),
                    assignment: Bytes::copy_from_slice(share.as_bytes()),
                })
                .collect(),
        });
    }

    fn commit(&mut self, given: &Given<'_>) {
        let partition = OffsetCommitRequestPartition {
            partition_index: given.number("partition", 0),
            committed_offset: given.number("offset", 0),
            ..Default::default()
        };
        self.call(OffsetCommitRequest {
            group_id: given.words[1].into(),
            generation_id_or_member_epoch: given.number("generation", -1),
            member_id: self.member(&given.word("member")),
            topics: vec![OffsetCommitRequestTopic {
                name: given.words[2].into(),
                partitions: vec![partition],
            }],
            ..Default::default()
        });
    }

    fn committed(&mut self, given: &Given<'_>) {
        let topic = OffsetFetchRequestTopics { name: given.words[2].into(), partition_indexes: vec![0] };
        let group = OffsetFetchRequestGroup {
            group_id: given.words[1].into(),
            topics: Some(vec![topic]),
            ..Default::default()
        };
        self.call(OffsetFetchRequest { groups: vec![group], ..Default::default() });
    }
}
