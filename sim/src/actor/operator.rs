//! An operator: makes the topics of the load, and then makes and deletes others, alters configs and deletes records.

use std::collections::BTreeMap;

use bytes::Bytes;
use quipu_core::client::{CallError, Command, Event, Target, TopicPartition};
use quipu_core::record::BatchBuilder;
use quipu_core::wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use quipu_core::wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use quipu_core::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use quipu_core::wire::{ErrorCode, Request, Response};
use serde::{Deserialize, Serialize};

use super::moves::MovesPlan;
use super::{Actor, Env, by_hand};
use crate::history::{Fate, Trim};

/// A topic of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopicPlan {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// Its configs.
    pub configs: Vec<(String, String)>,
    /// Its replication factor; the brokers' default if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i16>,
}

/// What an operator does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperatorPlan {
    /// The topics of the load: made first, and again until they are there.
    pub topics: Vec<TopicPlan>,
    /// Milliseconds between other deeds, about; 0 for none.
    pub every_ms: u64,
    /// How many deeds in a hundred delete records of the load's topics.
    pub trims_percent: u64,
    /// How it moves leaders and replicas, among several brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves: Option<MovesPlan>,
}

enum Deed {
    Make(usize),
    /// The place in the history of a DeleteRecords.
    Trim(usize),
    Other,
}

/// An operator.
pub struct Operator {
    plan: OperatorPlan,
    made: Vec<bool>,
    asked: BTreeMap<u64, Deed>,
    tags: u64,
    /// A topic that comes and goes.
    others: u64,
}

impl Operator {
    /// An operator that does what the plan says.
    pub fn new(plan: OperatorPlan) -> Operator {
        let made = vec![false; plan.topics.len()];
        Operator { plan, made, asked: BTreeMap::new(), tags: 0, others: 0 }
    }

    fn ask(&mut self, env: &mut Env<'_>, deed: Deed, target: Target, request: Request) {
        self.tags += 1;
        self.asked.insert(self.tags, deed);
        env.commands.push(Command::Call { tag: self.tags, target, request, timeout_ms: 10_000 });
    }

    fn make(&mut self, env: &mut Env<'_>, which: usize) {
        let request = creation(&self.plan.topics[which]);
        self.ask(env, Deed::Make(which), Target::Controller, request);
    }

    fn do_something(&mut self, env: &mut Env<'_>) {
        if let Some(moves) = self.plan.moves.clone().filter(|moves| env.rng.percent(moves.percent)) {
            let request = moves.draw(env.rng, &self.plan.topics);
            return self.ask(env, Deed::Other, Target::Controller, request);
        }
        if env.rng.percent(self.plan.trims_percent) {
            return self.trim(env);
        }
        let name = format!("other-{}", self.others % 3);
        self.others += 1;
        let request = if env.rng.percent(40) {
            return self.write(env, name);
        } else if env.rng.percent(50) {
            creation(&TopicPlan {
                name,
                partitions: 1 + env.rng.below(3) as i32,
                configs: Vec::new(),
                replicas: None,
            })
        } else {
            let topics = vec![DeleteTopicState { name: Some(name), ..Default::default() }];
            DeleteTopicsRequest { topics, timeout_ms: 5_000, ..Default::default() }.into()
        };
        self.ask(env, Deed::Other, Target::Controller, request);
    }

    /// Writes something into a topic that comes and goes, if it is there, so that there is something in what is removed.
    fn write(&mut self, env: &mut Env<'_>, name: String) {
        let batch = BatchBuilder::plain(env.wall, &[(None, Some(Bytes::from_static(b"soon forgotten")))]);
        let partition = TopicPartition::new(name, 0);
        let request = by_hand::produce(&partition, batch.to_bytes());
        self.ask(env, Deed::Other, Target::Leader(partition), request);
    }

    fn trim(&mut self, env: &mut Env<'_>) {
        let topic = &self.plan.topics[env.rng.below(self.plan.topics.len() as u64) as usize];
        let (name, index) = (topic.name.clone(), env.rng.below(topic.partitions as u64) as i32);
        let partition = TopicPartition::new(name.as_str(), index);
        let seen = env.history.polls.iter().rev().find(|p| p.partition == partition).map_or(0, |p| p.next);
        let offset = env.rng.below(seen.max(0) as u64 + 1) as i64;
        let place = env.history.trims.len();
        env.history.trims.push(Trim {
            partition: partition.clone(),
            offset,
            at: env.now,
            done_at: u64::MAX,
            fate: Fate::Open,
        });
        self.ask(env, Deed::Trim(place), Target::Leader(partition), deletion(&name, index, offset));
    }

    fn make_again(&mut self, env: &mut Env<'_>, which: usize, result: &Result<Response, CallError>) {
        let code = match result {
            Ok(Response::CreateTopics(r)) => r.topics.first().map(|t| t.error_code),
            _ => None,
        };
        if matches!(code, Some(ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS)) {
            self.made[which] = true;
        } else {
            env.say(|| {
                let why = result.as_ref().err();
                format!("{} is not made yet: {code:?} {why:?}", self.plan.topics[which].name)
            });
            self.make(env, which);
        }
    }
}

/// A DeleteRecords of one partition.
pub(super) fn deletion(topic: &str, index: i32, offset: i64) -> Request {
    let partitions = vec![DeleteRecordsPartition { partition_index: index, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.to_string(), partitions }];
    DeleteRecordsRequest { topics, timeout_ms: 5_000 }.into()
}

/// What a DeleteRecords of one partition was answered.
pub(super) fn trimmed(result: &Result<Response, CallError>) -> Fate {
    match result {
        Ok(Response::DeleteRecords(r)) => match r.topics.first().and_then(|t| t.partitions.first()) {
            Some(told) if told.error_code.is_none() => Fate::Done(Some(told.low_watermark)),
            _ => Fate::Unknown,
        },
        Err(CallError::Failed(_) | CallError::Unsupported(_)) => Fate::Failed,
        _ => Fate::Unknown,
    }
}

fn creation(topic: &TopicPlan) -> Request {
    let configs = topic
        .configs
        .iter()
        .map(|(name, value)| CreatableTopicConfig { name: name.clone(), value: Some(value.clone()) });
    let topic = CreatableTopic {
        name: topic.name.clone(),
        num_partitions: topic.partitions,
        replication_factor: topic.replicas.unwrap_or(-1),
        configs: configs.collect(),
        ..Default::default()
    };
    CreateTopicsRequest { topics: vec![topic], timeout_ms: 5_000, ..Default::default() }.into()
}

impl Actor for Operator {
    fn kind(&self) -> &'static str {
        "operator"
    }

    fn started(&mut self, env: &mut Env<'_>) {
        let missing: Vec<usize> = (0..self.made.len()).filter(|i| !self.made[*i]).collect();
        missing.into_iter().for_each(|which| self.make(env, which));
        env.tick_about_ms(self.plan.every_ms.max(500));
    }

    fn tick(&mut self, env: &mut Env<'_>) {
        if env.loading && self.plan.every_ms > 0 && self.asked.len() < 10 {
            self.do_something(env);
        }
        env.tick_about_ms(self.plan.every_ms.max(500));
    }

    fn told(&mut self, env: &mut Env<'_>, event: Event) {
        let Event::Answered { tag, result } = event else { return };
        let Some(deed) = self.asked.remove(&tag) else { return };
        env.trace.mark(&[env.now, tag, u64::from(result.is_ok())]);
        match deed {
            Deed::Make(which) => self.make_again(env, which, &result),
            Deed::Trim(place) => {
                let trim = &mut env.history.trims[place];
                (trim.fate, trim.done_at) = (trimmed(&result), env.now);
            }
            Deed::Other => {}
        }
    }

    fn ended(&mut self) {
        self.asked.clear();
    }

    fn is_at_rest(&self) -> bool {
        self.asked.is_empty() && self.made.iter().all(|made| *made)
    }

    fn waits_for(&self) -> String {
        format!("{} answers; topics made: {:?}", self.asked.len(), self.made)
    }
}
