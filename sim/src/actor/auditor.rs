//! An auditor: asks for offsets of partitions and groups again and again, and writes the answers down.

use std::collections::BTreeMap;

use quipu_core::client::{Command, Event, Target, TopicPartition};
use quipu_core::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use quipu_core::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use quipu_core::wire::{ErrorCode, Request, Response};
use serde::{Deserialize, Serialize};

use super::{Actor, Env};
use crate::history::{OffsetLookup, Sighting};

/// What an auditor does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditorPlan {
    /// What it asks about.
    pub partitions: Vec<(String, i32)>,
    /// Whose offsets it asks for.
    pub groups: Vec<String>,
    /// Milliseconds between questions, about.
    pub every_ms: u64,
}

enum Question {
    Offset { partition: TopicPartition, what: i64, asked_at: u64 },
    Group { group: String, asked_at: u64 },
}

/// An auditor.
pub struct Auditor {
    plan: AuditorPlan,
    asked: BTreeMap<u64, Question>,
    tags: u64,
}

impl Auditor {
    /// An auditor that does what the plan says.
    pub fn new(plan: AuditorPlan) -> Auditor {
        Auditor { plan, asked: BTreeMap::new(), tags: 0 }
    }

    fn ask(&mut self, env: &mut Env<'_>, question: Question, target: Target, request: Request) {
        self.tags += 1;
        self.asked.insert(self.tags, question);
        env.commands.push(Command::Call { tag: self.tags, target, request, timeout_ms: 10_000 });
    }

    fn ask_offset(&mut self, env: &mut Env<'_>) {
        let (topic, index) =
            self.plan.partitions[env.rng.below(self.plan.partitions.len() as u64) as usize].clone();
        let what = match env.rng.below(3) {
            0 => -1,
            1 => -2,
            _ => env.wall.0 - env.rng.below(20_000) as i64,
        };
        let partitions =
            vec![ListOffsetsPartition { partition_index: index, current_leader_epoch: -1, timestamp: what }];
        let topics = vec![ListOffsetsTopic { name: topic.clone(), partitions }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let partition = TopicPartition::new(topic, index);
        let question = Question::Offset { partition: partition.clone(), what, asked_at: env.now };
        self.ask(env, question, Target::Leader(partition), request.into());
    }

    fn ask_group(&mut self, env: &mut Env<'_>) {
        let group = self.plan.groups[env.rng.below(self.plan.groups.len() as u64) as usize].clone();
        let mut topics: Vec<OffsetFetchRequestTopics> = Vec::new();
        for (name, index) in &self.plan.partitions {
            match topics.iter_mut().find(|t| t.name == *name) {
                Some(topic) => topic.partition_indexes.push(*index),
                None => topics
                    .push(OffsetFetchRequestTopics { name: name.clone(), partition_indexes: vec![*index] }),
            }
        }
        let asked =
            OffsetFetchRequestGroup { group_id: group.clone(), topics: Some(topics), ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![asked], ..Default::default() };
        let question = Question::Group { group: group.clone(), asked_at: env.now };
        self.ask(env, question, Target::Group(group), request.into());
    }

    fn answered(env: &mut Env<'_>, question: Question, response: &Response) {
        match (question, response) {
            (Question::Offset { partition, what, asked_at }, Response::ListOffsets(r)) => {
                let told = r.topics.first().and_then(|t| t.partitions.first());
                if let Some(told) = told.filter(|t| t.error_code == ErrorCode::NONE) {
                    let found = (told.offset, told.timestamp);
                    env.trace.mark(&[env.now, told.offset as u64]);
                    env.history.lookups.push(OffsetLookup { partition, what, found, asked_at, at: env.now });
                }
            }
            (Question::Group { group, asked_at }, Response::OffsetFetch(r)) => {
                let topics =
                    r.groups.iter().filter(|g| g.error_code == ErrorCode::NONE).flat_map(|g| &g.topics);
                for (topic, told) in topics.flat_map(|t| t.partitions.iter().map(move |p| (&t.name, p))) {
                    env.trace.mark(&[env.now, told.committed_offset as u64]);
                    env.history.sightings.push(Sighting {
                        group: group.clone(),
                        partition: TopicPartition::new(topic.as_str(), told.partition_index),
                        offset: told.committed_offset,
                        asked_at,
                        at: env.now,
                    });
                }
            }
            _ => {}
        }
    }
}

impl Actor for Auditor {
    fn kind(&self) -> &'static str {
        "auditor"
    }

    fn started(&mut self, env: &mut Env<'_>) {
        env.tick_about_ms(self.plan.every_ms);
    }

    fn tick(&mut self, env: &mut Env<'_>) {
        if !env.loading {
            return;
        }
        if self.plan.groups.is_empty() || env.rng.percent(60) {
            self.ask_offset(env);
        } else {
            self.ask_group(env);
        }
        env.tick_about_ms(self.plan.every_ms);
    }

    fn told(&mut self, env: &mut Env<'_>, event: Event) {
        let Event::Answered { tag, result } = event else { return };
        let Some(question) = self.asked.remove(&tag) else { return };
        match result {
            Ok(response) => Self::answered(env, question, &response),
            Err(why) => env.say(|| format!("no answer: {why}")),
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
