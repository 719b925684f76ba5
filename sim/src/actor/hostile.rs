//! A hostile client: commits for others, floods, churns groups, deletes records, and sends frames that nobody can read.

use std::collections::BTreeMap;

use quipu_core::client::{CallError, Command, Event, Target, TopicPartition};
use quipu_core::wire::messages as m;
use quipu_core::wire::{ErrorCode, Request, Response};
use serde::{Deserialize, Serialize};

use super::{Actor, Env, garbage, operator};
use crate::history::{Fate, Trim};

/// What a hostile client does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostilePlan {
    /// The partitions that others use.
    pub partitions: Vec<(String, i32)>,
    /// The groups that others are in.
    pub groups: Vec<String>,
    /// Milliseconds between deeds, about.
    pub every_ms: u64,
    /// Requests of a flood, at most.
    pub flood: u64,
    /// Whether it deletes others' records.
    pub trims: bool,
}

enum Deed {
    /// Something that must be refused, in words.
    Trespass(String),
    /// The place in the history of a DeleteRecords.
    Trim(usize),
    /// To become a member of a group of its own.
    Join(String),
    Other,
}

/// A hostile client.
pub struct Hostile {
    plan: HostilePlan,
    asked: BTreeMap<u64, Deed>,
    tags: u64,
}

/// Offsets that no log ever reaches: where one of them is told, a commit was taken that had to be refused.
const NO_LOG_REACHES: i64 = 1 << 40;

impl Hostile {
    /// One that does what the plan says.
    pub fn new(plan: HostilePlan) -> Hostile {
        Hostile { plan, asked: BTreeMap::new(), tags: 0 }
    }

    fn ask(&mut self, env: &mut Env<'_>, deed: Deed, target: Target, request: Request) {
        self.tags += 1;
        self.asked.insert(self.tags, deed);
        env.commands.push(Command::Call { tag: self.tags, target, request, timeout_ms: 10_000 });
    }

    fn a_partition(&self, env: &mut Env<'_>) -> (String, i32) {
        self.plan.partitions[env.rng.below(self.plan.partitions.len() as u64) as usize].clone()
    }

    fn do_something(&mut self, env: &mut Env<'_>) {
        match env.rng.below(10) {
            0..3 if !self.plan.groups.is_empty() => {
                let group = self.plan.groups[env.rng.below(self.plan.groups.len() as u64) as usize].clone();
                self.trespass(env, group);
            }
            3 => self.flood(env),
            4 if self.plan.trims => self.trim(env),
            5..8 => env.frames.push(garbage::frames(env.rng)),
            _ => self.churn(env),
        }
    }

    /// A request in the name of a member that it is not: one of an older generation, or one that never was.
    fn trespass(&mut self, env: &mut Env<'_>, group: String) {
        let old = env.history.old_members(&group);
        let (member, generation) = match old.len() {
            0 => (format!("{}-{}", garbage::NAME, self.tags), 1),
            _ if env.rng.percent(30) => (format!("{}-{}", garbage::NAME, self.tags), old[0].1),
            n => old[env.rng.below(n as u64) as usize].clone(),
        };
        let words = format!("{member} in generation {generation} of {group}");
        let target = Target::Group(group.clone());
        let request = match env.rng.below(4) {
            0 => m::heartbeat::HeartbeatRequest {
                group_id: group,
                generation_id: generation,
                member_id: member,
                ..Default::default()
            }
            .into(),
            1 => m::sync_group::SyncGroupRequest {
                group_id: group,
                generation_id: generation,
                member_id: member,
                ..Default::default()
            }
            .into(),
            _ => self.foreign_commit(env, group, (member, generation)),
        };
        let words = format!("{} of {words}", request.key().name());
        self.ask(env, Deed::Trespass(words), target, request);
    }

    fn foreign_commit(
        &self,
        env: &mut Env<'_>,
        group_id: String,
        (member_id, generation): (String, i32),
    ) -> Request {
        let (name, partition_index) = self.a_partition(env);
        let committed_offset = NO_LOG_REACHES + self.tags as i64;
        let partition = m::offset_commit::OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            ..Default::default()
        };
        m::offset_commit::OffsetCommitRequest {
            group_id,
            generation_id_or_member_epoch: generation,
            member_id,
            topics: vec![m::offset_commit::OffsetCommitRequestTopic { name, partitions: vec![partition] }],
            ..Default::default()
        }
        .into()
    }

    fn flood(&mut self, env: &mut Env<'_>) {
        for _ in 0..env.rng.below(self.plan.flood + 1) {
            let (topic, index) = self.a_partition(env);
            let request = if env.rng.percent(50) {
                m::metadata::MetadataRequest { topics: None, ..Default::default() }.into()
            } else {
                let asked = m::list_offsets::ListOffsetsPartition {
                    partition_index: index,
                    current_leader_epoch: -1,
                    timestamp: env.wall.0 - env.rng.below(20_000) as i64,
                };
                let topics = vec![m::list_offsets::ListOffsetsTopic { name: topic, partitions: vec![asked] }];
                m::list_offsets::ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }.into()
            };
            self.ask(env, Deed::Other, Target::Any, request);
        }
    }

    fn trim(&mut self, env: &mut Env<'_>) {
        let (topic, index) = self.a_partition(env);
        let partition = TopicPartition::new(topic.as_str(), index);
        let seen = env.history.polls.iter().rev().find(|p| p.partition == partition).map_or(0, |p| p.next);
        let offset = env.rng.below(seen.max(0) as u64 + 1) as i64;
        let place = env.history.trims.len();
        let (of, at) = (partition.clone(), env.now);
        env.history.trims.push(Trim { partition: of, offset, at, done_at: u64::MAX, fate: Fate::Open });
        self.ask(
            env,
            Deed::Trim(place),
            Target::Leader(partition),
            operator::deletion(&topic, index, offset),
        );
    }

    /// Makes, empties and removes groups of its own, and joins those of others without ever taking part.
    fn churn(&mut self, env: &mut Env<'_>) {
        let group_id = format!("{}-{}", garbage::NAME, env.rng.below(3));
        let target = Target::Group(group_id.clone());
        let (topic, index) = self.a_partition(env);
        let request: Request = match env.rng.below(5) {
            0 => self.foreign_commit(env, group_id, (String::new(), -1)),
            1 => m::offset_delete::OffsetDeleteRequest {
                group_id,
                topics: vec![m::offset_delete::OffsetDeleteRequestTopic {
                    name: topic,
                    partitions: vec![m::offset_delete::OffsetDeleteRequestPartition {
                        partition_index: index,
                    }],
                }],
            }
            .into(),
            2 => m::delete_groups::DeleteGroupsRequest { groups_names: vec![group_id] }.into(),
            _ => return self.join(env, group_id, String::new()),
        };
        self.ask(env, Deed::Other, target, request);
    }

    fn join(&mut self, env: &mut Env<'_>, own: String, member_id: String) {
        let others =
            (member_id.is_empty() && !self.plan.groups.is_empty() && env.rng.percent(15)).then(|| {
                let which = env.rng.below(self.plan.groups.len() as u64) as usize;
                self.plan.groups[which].clone()
            });
        let deed = if others.is_none() { Deed::Join(own.clone()) } else { Deed::Other };
        let group_id = others.unwrap_or(own);
        let request = m::join_group::JoinGroupRequest {
            group_id: group_id.clone(),
            session_timeout_ms: 500 + env.rng.below(3_000) as i32,
            rebalance_timeout_ms: 500 + env.rng.below(3_000) as i32,
            member_id,
            protocol_type: "consumer".into(),
            protocols: vec![m::join_group::JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
            }],
            ..Default::default()
        };
        self.ask(env, deed, Target::Group(group_id), request.into());
    }

    /// Joins again under the name it was given; as a member it commits before it has been told what is its own.
    fn joined(&mut self, env: &mut Env<'_>, group: String, result: &Result<Response, CallError>) {
        let Ok(Response::JoinGroup(r)) = result else { return };
        match r.error_code {
            ErrorCode::MEMBER_ID_REQUIRED => self.join(env, group, r.member_id.clone()),
            ErrorCode::NONE => {
                let commit = self.foreign_commit(env, group.clone(), (r.member_id.clone(), r.generation_id));
                self.ask(env, Deed::Other, Target::Group(group), commit);
            }
            _ => {}
        }
    }
}

/// Whether something that had to be refused was taken.
fn was_taken(result: &Result<Response, CallError>) -> bool {
    match result {
        Ok(Response::OffsetCommit(r)) => {
            r.topics.iter().flat_map(|t| &t.partitions).any(|p| p.error_code == ErrorCode::NONE)
        }
        Ok(Response::SyncGroup(r)) => r.error_code == ErrorCode::NONE,
        // While a coordinator loads it calls every heartbeat good.
        _ => false,
    }
}

impl Actor for Hostile {
    fn kind(&self) -> &'static str {
        "hostile"
    }

    fn started(&mut self, env: &mut Env<'_>) {
        env.tick_about_ms(self.plan.every_ms);
    }

    fn tick(&mut self, env: &mut Env<'_>) {
        if !env.loading {
            return;
        }
        if self.asked.len() < 300 {
            self.do_something(env);
        }
        env.tick_about_ms(self.plan.every_ms);
    }

    fn told(&mut self, env: &mut Env<'_>, event: Event) {
        let Event::Answered { tag, result } = event else { return };
        let Some(deed) = self.asked.remove(&tag) else { return };
        env.trace.mark(&[env.now, tag, u64::from(result.is_ok())]);
        match deed {
            Deed::Trespass(words) if was_taken(&result) => {
                env.say(|| format!("{words} was taken"));
                env.history.trespasses.push(words);
            }
            Deed::Trim(place) => {
                let trim = &mut env.history.trims[place];
                (trim.fate, trim.done_at) = (operator::trimmed(&result), env.now);
            }
            Deed::Join(group) => self.joined(env, group, &result),
            Deed::Trespass(_) | Deed::Other => {}
        }
    }

    fn ended(&mut self) {
        self.asked.clear();
    }

    fn is_at_rest(&self) -> bool {
        self.asked.is_empty()
    }

    fn waits_for(&self) -> String {
        format!("{} answers", self.asked.len())
    }
}
