//! The commands of scenarios.

use bytes::Bytes;
use quipu_core::wire::ApiKey;
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

use crate::scenarios::given::Given;
use crate::scenarios::requests;
use crate::scenarios::stage::Stage;

impl Stage {
    /// Does what a line says: what happened.
    pub(super) fn perform(&mut self, line: &str) -> Vec<String> {
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
            "create" => self.call(requests::create(&given)),
            "producer-id" => {
                self.call(InitProducerIdRequest { transactional_id: None, ..Default::default() })
            }
            "produce" => {
                let produce = requests::produce(&given, self.ms);
                self.ask(produce, ApiKey::Produce, 9);
            }
            "fetch" => self.ask(requests::fetch(&given), ApiKey::Fetch, 12),
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
