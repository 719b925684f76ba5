//! A reader: assigns itself partitions and reads them, going on from where it stopped, and seeks now and then.

use std::collections::BTreeMap;

use quipu_core::client::{ClientSettings, ConsumerSettings};
use quipu_core::client::{Command, Event, Reset, Start, TopicPartition};
use quipu_core::ids::Offset;
use serde::{Deserialize, Serialize};

use super::{Actor, Env, be_patient};
use crate::history::Poll;
use crate::plan::tide::between;

/// What a reader does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReaderPlan {
    /// What it reads.
    pub partitions: Vec<(String, i32)>,
    /// How many times in a thousand it seeks when it looks around, or has come to the end of a partition.
    pub seeks_per_mille: u64,
    /// The most bytes of a partition in one answer.
    pub partition_bytes: i32,
    /// How long the broker may wait for records.
    pub wait_ms: i32,
    /// In which rack it stands; nowhere if it is empty.
    #[serde(default)]
    pub rack: String,
}

/// A reader.
pub struct Reader {
    plan: ReaderPlan,
    /// Where it is, and the end it was told, by partition.
    at: BTreeMap<TopicPartition, (i64, i64)>,
    run: u64,
    /// Partitions that could not be read: tried again later.
    unreadable: Vec<TopicPartition>,
}

impl Reader {
    /// A reader that does what the plan says.
    pub fn new(plan: ReaderPlan) -> Reader {
        Reader { plan, at: BTreeMap::new(), run: 0, unreadable: Vec::new() }
    }

    /// Goes back in a partition now and then: mostly a little, seldom to its beginning. Not after every poll, or it would
    /// never come to an end, and read the same for ever.
    fn maybe_seek(&mut self, env: &mut Env<'_>, partition: TopicPartition, next: i64) {
        if env.loading && next > 0 && env.rng.below(1000) < self.plan.seeks_per_mille {
            self.run += 1;
            let to = next - between(env.rng, 1, next as u64) as i64;
            env.commands.push(Command::Seek(partition, Start::Offset(Offset(to))));
        }
    }
}

/// Takes note of records that arrived.
pub(super) fn note(
    env: &mut Env<'_>,
    (group, run): (Option<String>, u64),
    partition: TopicPartition,
    records: &[quipu_core::client::Fetched],
    (next, end): (Offset, Offset),
) {
    let mut known = Vec::with_capacity(records.len());
    for fetched in records {
        let offset = fetched.record.offset.0;
        if let Some(number) = env.history.recognise(&partition, offset, fetched) {
            known.push((offset, number));
        }
    }
    env.trace.mark(&[env.now, next.0 as u64, known.len() as u64]);
    let (by, at) = ((env.user, env.life), env.now);
    env.history.polls.push(Poll { by, group, run, partition, at, records: known, next: next.0, end: end.0 });
}

impl Actor for Reader {
    fn kind(&self) -> &'static str {
        "reader"
    }

    fn settings(&mut self, settings: &mut ClientSettings) {
        be_patient(settings, self.plan.wait_ms);
    }

    fn started(&mut self, env: &mut Env<'_>) {
        self.run += 1;
        env.commands.push(Command::Consumer(ConsumerSettings {
            max_wait_ms: self.plan.wait_ms,
            partition_max_bytes: self.plan.partition_bytes,
            reset: Reset::Earliest,
            rack: self.plan.rack.clone(),
            ..ConsumerSettings::default()
        }));
        let assign = self.plan.partitions.iter().map(|(topic, partition)| {
            let partition = TopicPartition::new(topic.as_str(), *partition);
            let start =
                self.at.get(&partition).map_or(Start::Beginning, |(at, _)| Start::Offset(Offset(*at)));
            (partition, start)
        });
        env.commands.push(Command::Assign(assign.collect()));
        env.tick_about_ms(20);
    }

    fn tick(&mut self, env: &mut Env<'_>) {
        for partition in std::mem::take(&mut self.unreadable) {
            self.run += 1;
            let at = self.at.get(&partition).map_or(0, |(at, _)| *at);
            env.commands.push(Command::Seek(partition, Start::Offset(Offset(at))));
        }
        let count = self.at.len() as u64;
        let some = self.at.iter().nth(env.rng.below(count) as usize).map(|(of, at)| (of.clone(), at.0));
        if let Some((of, next)) = some {
            self.maybe_seek(env, of, next);
        }
        env.commands.push(Command::Poll);
        env.tick_about_ms(if env.loading { 60 } else { 200 });
    }

    fn told(&mut self, env: &mut Env<'_>, event: Event) {
        match event {
            Event::Records { partition, records, next, end } => {
                self.at.insert(partition.clone(), (next.0, end.0));
                note(env, (None, self.run), partition.clone(), &records, (next, end));
                if next >= end {
                    self.maybe_seek(env, partition, next.0);
                }
                if !records.is_empty() {
                    env.commands.push(Command::Poll);
                }
            }
            Event::Positioned { partition, offset, instead_of } => {
                if instead_of.is_some() {
                    self.run += 1;
                }
                self.at.insert(partition, (offset.0, i64::MAX));
            }
            Event::Unreadable { partition, failure } => {
                env.say(|| format!("{partition} cannot be read: {failure}"));
                self.unreadable.push(partition);
            }
            _ => {}
        }
    }

    fn ended(&mut self) {
        self.unreadable.clear();
    }

    fn is_at_rest(&self) -> bool {
        self.at.len() == self.plan.partitions.len() && self.at.values().all(|(at, end)| at >= end)
    }

    fn waits_for(&self) -> String {
        format!("the end of its partitions: it is at {:?} (offset, end)", self.at)
    }
}
