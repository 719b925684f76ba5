//! The two halves of a rebalance, and the offsets to go on from.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::ids::{BrokerId, Offset};
use crate::wire::consumer_protocol::{
    decode_assignment, decode_subscription, encode_assignment, encode_subscription,
};
use crate::wire::messages::consumer_protocol::{
    AssignmentTopicPartition, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use crate::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
};
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use crate::wire::{ErrorCode, WireError};

use super::assign::{Share, Strategy, Subscriber, assign};
use super::{Member, Stage, World};
use crate::client::cluster::Known;
use crate::client::door::{Assigned, Event, Failure, Reset, Start, TopicPartition};
use crate::client::link::Line;
use crate::client::net::Net;

/// The protocol type of groups of consumers.
const CONSUMER: &str = "consumer";
/// The version of what members tell each other: 1, which every client of the last years reads.
const TOLD_IN: i16 = 1;

impl Member {
    pub(super) fn ask_join(&mut self, net: &mut Net, coordinator: BrokerId) {
        let told =
            ConsumerProtocolSubscription { topics: self.settings.topics.clone(), ..Default::default() };
        let metadata = encode_subscription(TOLD_IN, &told).unwrap_or_default();
        let protocol =
            |s: &Strategy| JoinGroupRequestProtocol { name: s.name().into(), metadata: metadata.clone() };
        let request = JoinGroupRequest {
            group_id: self.settings.group.clone(),
            session_timeout_ms: self.settings.session_timeout_ms,
            rebalance_timeout_ms: self.settings.rebalance_timeout_ms,
            member_id: self.id.clone(),
            group_instance_id: self.settings.instance.clone(),
            protocol_type: CONSUMER.into(),
            protocols: self.settings.strategies.iter().map(protocol).collect(),
            reason: None,
        };
        self.asking = Some(self.ask(net, coordinator, Line::Group, request.into()));
    }

    pub(super) fn joined(&mut self, world: &mut World<'_>, r: JoinGroupResponse) {
        match r.error_code {
            ErrorCode::NONE => {}
            // The coordinator wants to know the id before it counts the member (KIP-394).
            ErrorCode::MEMBER_ID_REQUIRED => {
                self.id = r.member_id;
                return;
            }
            code => return self.obey(world, code),
        }
        (self.id, self.generation, self.attempts) = (r.member_id, r.generation_id, 0);
        let protocol = r.protocol_name.unwrap_or_default();
        if r.leader != self.id || r.skip_assignment {
            self.stage = Stage::Sync { protocol, assignments: BTreeMap::new() };
            return;
        }
        let Some(strategy) = Strategy::named(&protocol) else {
            let text = format!("the group chose the assignor '{protocol}', which this client does not have");
            return self.expelled(world, Failure::local(text));
        };
        let members = r.members.into_iter().map(|m| Subscriber {
            topics: subscribed(&m.metadata),
            member: m.member_id,
            instance: m.group_instance_id,
        });
        self.stage = Stage::Assign { strategy, members: members.collect() };
    }

    /// Assigns all partitions, once all topics are known or known not to be.
    pub(super) fn assign_all(&mut self, world: &mut World<'_>, coordinator: BrokerId) {
        let Stage::Assign { strategy, members } = &self.stage else { return };
        let topics: BTreeSet<String> = members.iter().flat_map(|m| m.topics.iter().cloned()).collect();
        let mut partitions = BTreeMap::new();
        let mut all_known = true;
        for topic in topics {
            let name = topic.as_str().into();
            world.cluster.want(world.net, &name);
            match world.cluster.known(world.net, &topic) {
                Known::Partitions(_) => {
                    let found = world.cluster.partitions(&topic);
                    partitions.insert(topic, found);
                }
                Known::Never(_) => {}
                Known::NotYet => {
                    all_known = false;
                    if let Some(ends) = world.cluster.patience_ends(world.net, &topic) {
                        world.net.wake_at(ends);
                    }
                }
            }
        }
        if all_known {
            let (protocol, shares) =
                (strategy.name().to_string(), assign(*strategy, members.clone(), &partitions));
            self.stage = Stage::Sync { protocol, assignments: shares };
            self.ask_sync(world.net, coordinator);
        }
    }

    pub(super) fn ask_sync(&mut self, net: &mut Net, coordinator: BrokerId) {
        let Stage::Sync { protocol, assignments } = &self.stage else { return };
        let mine = |(member_id, share): (&String, &Share)| SyncGroupRequestAssignment {
            member_id: member_id.clone(),
            assignment: written(share).unwrap_or_default(),
        };
        let request = SyncGroupRequest {
            group_id: self.settings.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.settings.instance.clone(),
            protocol_type: Some(CONSUMER.into()),
            protocol_name: Some(protocol.clone()),
            assignments: assignments.iter().map(mine).collect(),
        };
        self.asking = Some(self.ask(net, coordinator, Line::Group, request.into()));
    }

    pub(super) fn synced(&mut self, world: &mut World<'_>, r: SyncGroupResponse) {
        if r.error_code.is_err() {
            return self.obey(world, r.error_code);
        }
        match read(&r.assignment) {
            Ok(partitions) => self.assignment = partitions,
            Err(error) => {
                let text = format!("the group's leader sent an assignment that cannot be read: {error}");
                return self.expelled(world, Failure::local(text));
            }
        }
        self.attempts = 0;
        self.next_beat = world.net.now.mono.after_ms(self.settings.heartbeat_ms);
        self.commits.begin(world.net, self.settings.auto_commit_ms);
        let (generation, member) = (self.generation, self.id.clone());
        let assigned = Assigned { generation, member, partitions: self.assignment.clone() };
        world.net.event(Event::Assigned(assigned));
        self.stage = if self.assignment.is_empty() { Stage::Stable } else { Stage::Offsets };
    }

    pub(super) fn ask_committed(&mut self, world: &mut World<'_>, coordinator: BrokerId) {
        let mut topics: Vec<OffsetFetchRequestTopics> = Vec::new();
        for of in &self.assignment {
            match topics.last_mut() {
                Some(topic) if *topic.name == *of.topic => topic.partition_indexes.push(of.partition),
                _ => topics.push(OffsetFetchRequestTopics {
                    name: of.topic.to_string(),
                    partition_indexes: vec![of.partition],
                }),
            }
        }
        let group = OffsetFetchRequestGroup {
            group_id: self.settings.group.clone(),
            topics: Some(topics),
            ..Default::default()
        };
        let require_stable = world.consumer.reads_committed();
        let request = OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() };
        self.asking = Some(self.ask(world.net, coordinator, Line::Group, request.into()));
    }

    pub(super) fn offsets_found(&mut self, world: &mut World<'_>, r: OffsetFetchResponse) {
        let Some(group) = r.groups.into_iter().next() else { return self.try_later(world.net) };
        let parts = group.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t.name.as_str(), p)));
        let failed = parts.clone().map(|(_, p)| p.error_code).find(|code| code.is_err());
        let failed = Some(group.error_code).filter(|code| code.is_err()).or(failed);
        if let Some(code) = failed {
            return self.obey(world, code);
        }
        let found: BTreeMap<(&str, i32), i64> =
            parts.map(|(topic, p)| ((topic, p.partition_index), p.committed_offset)).collect();
        let policy = world.consumer.reset_policy();
        let mut lost = Vec::new();
        let mut starts: Vec<(TopicPartition, Start)> = Vec::new();
        for of in &self.assignment {
            let start = match found.get(&(&*of.topic, of.partition)).copied() {
                Some(offset) if offset >= 0 => Start::Offset(Offset(offset)),
                _ => match policy {
                    Reset::Earliest => Start::Beginning,
                    Reset::Latest => Start::End,
                    Reset::Fail => {
                        lost.push(of.clone());
                        Start::End
                    }
                },
            };
            starts.push((of.clone(), start));
        }
        world.consumer.assign(starts);
        for of in lost {
            let text = format!(
                "group {} has no offset for {of}, and auto.offset.reset is none",
                self.settings.group
            );
            world.consumer.lose(world.net, &of, Failure::local(text));
        }
        (self.stage, self.attempts) = (Stage::Stable, 0);
    }
}

/// The topics of a member; one that does not speak the consumer protocol gets nothing.
fn subscribed(metadata: &Bytes) -> BTreeSet<String> {
    decode_subscription(metadata).map(|(_, s)| s.topics.into_iter().collect()).unwrap_or_default()
}

fn written(share: &Share) -> Result<Bytes, WireError> {
    let topic = |(topic, partitions): (&String, &Vec<i32>)| AssignmentTopicPartition {
        topic: topic.clone(),
        partitions: partitions.clone(),
    };
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: share.iter().map(topic).collect(),
        user_data: None,
    };
    encode_assignment(TOLD_IN, &assignment)
}

/// The partitions of an assignment, in order. An empty one (of a member that got nothing) has none.
fn read(bytes: &Bytes) -> Result<Vec<TopicPartition>, WireError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (_, assignment) = decode_assignment(bytes)?;
    let mut partitions: Vec<TopicPartition> = Vec::new();
    for topic in assignment.assigned_partitions {
        let name: std::sync::Arc<str> = topic.topic.into();
        partitions.extend(topic.partitions.into_iter().map(|p| TopicPartition::new(name.clone(), p)));
    }
    partitions.sort();
    partitions.dedup();
    Ok(partitions)
}
