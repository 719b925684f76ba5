//! A coordinator with one shard, a clock, and a log: every fact is applied and kept, every answer is checked to encode.

mod admin;
mod commits;
mod failover;
mod joining;
mod props;
mod retention;
mod statics;
mod syncing;
mod timers;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{GroupConfig, Groups, TopicView};
use crate::caller::{Caller, Client};
use crate::coordinator::{Decision, Fact};
use crate::ids::ConnId;
use crate::time::{Instant, Now, Timestamp};
use crate::wire::dialect::Dialect;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use crate::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use crate::wire::messages::offset_commit as oc;
use crate::wire::messages::offset_fetch as of;
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use crate::wire::{
    ApiKey, ErrorCode, Out, Request, RequestHeader, Response, decode_request, decode_response,
    encode_request, encode_response,
};

/// Every topic of the tests with its partitions.
pub(super) struct Topics(pub BTreeMap<String, i32>);

impl TopicView for Topics {
    fn partitions(&self, topic: &str) -> Option<i32> {
        self.0.get(topic).copied()
    }
}

pub(super) struct World {
    pub groups: Groups,
    pub now: Now,
    pub topics: Topics,
    pub log: Vec<(i32, Fact, Timestamp)>,
    answers: BTreeMap<u64, Response>,
    open: BTreeMap<u64, (ApiKey, i16)>,
    gone: BTreeSet<u64>,
}

pub(super) const START: Timestamp = Timestamp(1_700_000_000_000);

impl World {
    pub(super) fn new(config: GroupConfig) -> World {
        World::with_shards(config, 1)
    }

    pub(super) fn with_shards(config: GroupConfig, shards: i32) -> World {
        let mut world = World {
            groups: Groups::new(config, shards),
            now: Now { mono: Instant(1_000_000), wall: START },
            topics: Topics([("t".to_owned(), 4), ("u".to_owned(), 2)].into()),
            log: Vec::new(),
            answers: BTreeMap::new(),
            open: BTreeMap::new(),
            gone: BTreeSet::new(),
        };
        for shard in 0..shards {
            world.groups.lead(shard);
            let decision = world.groups.loaded(world.now, shard, &world.topics);
            world.absorb(decision);
        }
        world
    }

    /// With the initial delay off, so that the first join completes at once.
    pub(super) fn quick() -> World {
        World::new(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() })
    }

    /// Sends a request in the newest version; the number names its answer. Every request has a connection of its own.
    pub(super) fn ask(&mut self, request: impl Into<Request>) -> u64 {
        let request = request.into();
        let version = *request.key().accepted().end();
        self.ask_in(version, request)
    }

    pub(super) fn ask_in(&mut self, version: i16, request: impl Into<Request>) -> u64 {
        let request = request.into();
        let number = self.open.len() as u64;
        let to = Caller { conn: ConnId(number), seq: 0 };
        let from = Client { client_id: "c".into(), host: "/h".into(), advertised: ("h".into(), 9092) };
        let dialect = Dialect::of(request.key(), version);
        self.open.insert(number, (request.key(), version));
        let request = through_the_wire(version, &request);
        let decision = self.groups.handle(self.now, to, &from, dialect, request, &self.topics);
        self.absorb(decision);
        number
    }

    /// Applies and keeps facts, and takes answers, each at most once.
    pub(super) fn absorb(&mut self, decision: Decision) {
        for (shard, fact) in decision.facts {
            self.groups.apply(shard, &fact, self.now.wall);
            self.log.push((shard, fact, self.now.wall));
        }
        for answer in decision.replies {
            let number = answer.to.conn.0;
            assert!(!self.gone.contains(&number), "{number} has gone and needs no answer");
            let (key, version) = self.open[&number];
            let mut out = Out::default();
            encode_response(&mut out, 0, version, &answer.response).expect("every answer fits its version");
            let frame = out.take_joined().slice(4..);
            let (_, seen) = decode_response(key, version, &frame).expect("and reads back");
            let before = self.answers.insert(number, seen);
            assert!(before.is_none(), "request {number} is answered twice");
        }
    }

    /// Lets time pass, waking the coordinator whenever it wants to be.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = Instant(self.now.mono.0 + ms * 1000);
        while let Some(at) = self.groups.next_deadline().filter(|at| *at <= end) {
            let at = at.max(self.now.mono);
            self.now.wall.0 += (at.0 - self.now.mono.0) as i64 / 1000;
            self.now.mono = at;
            let decision = self.groups.on_wake(self.now);
            self.absorb(decision);
        }
        self.now.wall.0 += (end.0 - self.now.mono.0) as i64 / 1000;
        self.now.mono = end;
    }

    /// Lets time pass in which the coordinator gets to do nothing.
    pub(super) fn stand_still(&mut self, ms: u64) {
        self.now.wall.0 += ms as i64;
        self.now.mono.0 += ms * 1000;
    }

    pub(super) fn gone(&mut self, number: u64) {
        self.gone.insert(number);
        self.groups.gone(ConnId(number));
    }

    pub(super) fn unanswered(&self) -> Vec<u64> {
        let open = self.open.keys().filter(|n| !self.answers.contains_key(n) && !self.gone.contains(n));
        open.copied().collect()
    }

    pub(super) fn waits(&self, number: u64) -> bool {
        !self.answers.contains_key(&number)
    }

    pub(super) fn answer(&self, number: u64) -> &Response {
        self.answers.get(&number).unwrap_or_else(|| panic!("request {number} is not answered yet"))
    }

    pub(super) fn joined(&self, number: u64) -> JoinGroupResponse {
        match self.answer(number) {
            Response::JoinGroup(r) => r.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn synced(&self, number: u64) -> SyncGroupResponse {
        match self.answer(number) {
            Response::SyncGroup(r) => r.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// A dynamic member joins, with the id that it is asked to use, and waits.
    pub(super) fn enter(&mut self, group: &str) -> (String, u64) {
        let first = self.ask(join(group, ""));
        let id = self.joined(first);
        assert_eq!(id.error_code, ErrorCode::MEMBER_ID_REQUIRED);
        let waiting = self.ask(join(group, &id.member_id));
        (id.member_id, waiting)
    }

    /// A group of one, stable. Its member and generation.
    pub(super) fn stable(&mut self, group: &str) -> (String, i32) {
        let (id, waiting) = self.enter(group);
        self.pass(3_000);
        let generation = self.joined(waiting).generation_id;
        let synced = self.ask(sync(group, &id, generation, &[(&id, "all")]));
        assert_eq!(self.synced(synced).assignment, "all");
        (id, generation)
    }

    pub(super) fn beat(&mut self, group: &str, id: &str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: group.into(),
            generation_id: generation,
            member_id: id.into(),
            ..Default::default()
        };
        let number = self.ask(request);
        match self.answer(number) {
            Response::Heartbeat(r) => r.error_code,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn leave(&mut self, group: &str, id: &str, instance: Option<&str>) -> ErrorCode {
        let number = self.ask(LeaveGroupRequest {
            group_id: group.into(),
            members: vec![MemberIdentity {
                member_id: id.into(),
                group_instance_id: instance.map(str::to_owned),
                reason: None,
            }],
            ..Default::default()
        });
        match self.answer(number) {
            Response::LeaveGroup(r) if r.error_code == ErrorCode::NONE => r.members[0].error_code,
            Response::LeaveGroup(r) => r.error_code,
            other => panic!("{other:?}"),
        }
    }

    /// Commits offset 7 in t-0.
    pub(super) fn commit(&mut self, group: &str, id: &str, generation: i32) -> ErrorCode {
        let number = self.ask(commit(group, id, generation));
        match self.answer(number) {
            Response::OffsetCommit(r) => r.topics[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        }
    }

    /// What is committed in t-0.
    pub(super) fn fetched(&mut self, group: &str) -> i64 {
        let topics = vec![of::OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0] }];
        let asked = of::OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: Some(topics),
            ..Default::default()
        };
        let number = self.ask(of::OffsetFetchRequest { groups: vec![asked], ..Default::default() });
        match self.answer(number) {
            Response::OffsetFetch(r) => r.groups[0].topics[0].partitions[0].committed_offset,
            other => panic!("{other:?}"),
        }
    }

    /// The state of a group as DescribeGroups tells it.
    pub(super) fn state(&mut self, group: &str) -> String {
        let groups = vec![group.to_owned()];
        let number = self.ask(crate::wire::messages::describe_groups::DescribeGroupsRequest {
            groups,
            ..Default::default()
        });
        match self.answer(number) {
            Response::DescribeGroups(r) => r.groups[0].group_state.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// A new coordinator that replays the log, as after a failover.
    pub(super) fn fail_over(&mut self) {
        let config = self.groups.config.clone();
        let shards = self.groups.shards.len() as i32;
        for shard in 0..shards {
            for answer in self.groups.resign(shard) {
                self.absorb(Decision { facts: Vec::new(), replies: vec![answer] });
            }
        }
        assert_eq!(self.groups.parks.len(), 0);
        let id_seed = config.id_seed + 1;
        self.groups = Groups::new(GroupConfig { id_seed, ..config }, shards);
        for shard in 0..shards {
            self.groups.lead(shard);
            for (_, fact, written) in self.log.iter().filter(|(s, _, _)| *s == shard) {
                self.groups.replay(shard, fact.key.clone(), fact.value.clone(), *written);
            }
            let decision = self.groups.loaded(self.now, shard, &self.topics);
            self.absorb(decision);
        }
    }
}

/// The request as it arrives when a client sends it in that version.
fn through_the_wire(version: i16, request: &Request) -> Request {
    let header =
        RequestHeader { api_key: request.key(), version, correlation_id: 0, client_id: Some("c".into()) };
    let mut out = Out::default();
    encode_request(&mut out, &header, request).expect("the test sends what this version can say");
    decode_request(&out.take_joined().slice(4..)).expect("and it reads back").1
}

/// Metadata of a consumer that subscribes to these topics.
pub(super) fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 1];
    bytes.extend_from_slice(&(topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend_from_slice(&(topic.len() as i16).to_be_bytes());
        bytes.extend_from_slice(topic.as_bytes());
    }
    bytes.extend_from_slice(&[0xff; 4]);
    Bytes::from(bytes)
}

pub(super) fn protocol(name: &str, metadata: impl Into<Bytes>) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol { name: name.into(), metadata: metadata.into() }
}

/// A consumer of topic t that speaks range.
pub(super) fn join(group: &str, id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        member_id: id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", subscription(&["t"]))],
        ..Default::default()
    }
}

pub(super) fn static_join(group: &str, id: &str, instance: &str) -> JoinGroupRequest {
    JoinGroupRequest { group_instance_id: Some(instance.into()), ..join(group, id) }
}

pub(super) fn sync(
    group: &str,
    id: &str,
    generation: i32,
    shares: &[(&str, &'static str)],
) -> SyncGroupRequest {
    let share = |(id, share): &(&str, &'static str)| SyncGroupRequestAssignment {
        member_id: (*id).to_owned(),
        assignment: Bytes::from_static(share.as_bytes()),
    };
    SyncGroupRequest {
        group_id: group.into(),
        generation_id: generation,
        member_id: id.into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: shares.iter().map(share).collect(),
        ..Default::default()
    }
}

pub(super) fn commit(group: &str, id: &str, generation: i32) -> oc::OffsetCommitRequest {
    let partition = oc::OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: 7,
        committed_leader_epoch: 3,
        committed_metadata: Some("note".into()),
    };
    oc::OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: generation,
        member_id: id.into(),
        topics: vec![oc::OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition] }],
        ..Default::default()
    }
}
