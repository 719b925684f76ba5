//! The last reader: reads every partition from its first record to its end, once the world is at rest.

use std::collections::BTreeMap;

use quipu_core::client::ConsumerSettings;
use quipu_core::client::{Command, Event, Reset, Start, TopicPartition};

use super::{Actor, Env};
use crate::history::FinalLog;

/// The last reader.
pub struct Drainer {
    partitions: Vec<TopicPartition>,
    logs: BTreeMap<TopicPartition, (FinalLog, Option<i64>, Option<i64>)>,
}

impl Drainer {
    /// One that reads these.
    pub fn new(partitions: Vec<TopicPartition>) -> Drainer {
        Drainer { partitions, logs: BTreeMap::new() }
    }
}

impl Actor for Drainer {
    fn kind(&self) -> &'static str {
        "last reader"
    }

    fn started(&mut self, env: &mut Env<'_>) {
        env.commands
            .push(Command::Consumer(ConsumerSettings { reset: Reset::Fail, ..ConsumerSettings::default() }));
        let all = self.partitions.iter().map(|p| (p.clone(), Start::Beginning));
        env.commands.push(Command::Assign(all.collect()));
        self.tick(env);
    }

    fn tick(&mut self, env: &mut Env<'_>) {
        env.commands.push(Command::Poll);
        env.tick_about_ms(50);
    }

    fn told(&mut self, env: &mut Env<'_>, event: Event) {
        match event {
            Event::Positioned { partition, offset, .. } => {
                let log = FinalLog { start: offset.0, ..FinalLog::default() };
                self.logs.insert(partition, (log, Some(offset.0), None));
            }
            Event::Records { partition, records, next, end } => {
                let known: Vec<_> = records
                    .iter()
                    .filter_map(|r| {
                        let number = env.history.recognise(&partition, r.record.offset.0, r)?;
                        Some((r.record.offset.0, number, r.record.timestamp.0))
                    })
                    .collect();
                let Some((log, at, upto)) = self.logs.get_mut(&partition) else { return };
                log.records.extend(known);
                (*at, *upto) = (Some(next.0), Some(end.0));
                env.trace.mark(&[env.now, next.0 as u64]);
                env.commands.push(Command::Poll);
            }
            Event::Unreadable { partition, failure } => {
                env.say(|| format!("{partition} cannot be read: {failure}"));
                let (log, at, upto) = self.logs.entry(partition).or_default();
                log.unreadable = Some(failure.to_string());
                (*at, *upto) = (Some(0), Some(0));
            }
            _ => {}
        }
        if self.is_at_rest() {
            env.history.logs = self.logs.iter().map(|(of, (log, ..))| (of.clone(), log.clone())).collect();
        }
    }

    fn ended(&mut self) {
        self.logs.clear();
    }

    fn is_at_rest(&self) -> bool {
        let read = |(_, at, end): &(FinalLog, Option<i64>, Option<i64>)| matches!((at, end), (Some(at), Some(end)) if at >= end);
        self.logs.len() == self.partitions.len() && self.logs.values().all(read)
    }

    fn waits_for(&self) -> String {
        let at: Vec<_> = self.logs.iter().map(|(of, (_, at, end))| (of.to_string(), at, end)).collect();
        format!("the ends of {} partitions; it is at {at:?}", self.partitions.len())
    }
}
