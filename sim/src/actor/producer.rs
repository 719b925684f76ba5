//! A producer: writes numbered records to some partitions, with any acks, codec and idempotence.

use std::collections::BTreeSet;

use quipu_core::client::{Acks, ClientSettings, ProducerSettings};
use quipu_core::client::{Command, Event, Outcome, TopicPartition};
use quipu_core::record::Codec;
use serde::{Deserialize, Serialize};

use super::{Actor, Env};
use crate::history::{Fate, Sent};

/// What a producer does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProducerPlan {
    /// Where to.
    pub partitions: Vec<(String, i32)>,
    /// 0, 1 or -1.
    pub acks: i8,
    /// Whether it is idempotent.
    pub idempotent: bool,
    /// Batches under way at once.
    pub in_flight: usize,
    /// Whether a batch whose fate is unknown is sent again without idempotence.
    pub repeats: bool,
    /// 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub codec: u8,
    /// Milliseconds between bursts, about.
    pub every_ms: u64,
    /// Records of a burst, at most.
    pub burst: u64,
    /// Milliseconds until a record is given up.
    pub timeout_ms: i64,
}

/// A producer.
pub struct Producer {
    plan: ProducerPlan,
    partitions: Vec<TopicPartition>,
    open: BTreeSet<u64>,
}

impl Producer {
    /// A producer that does what the plan says.
    pub fn new(plan: ProducerPlan) -> Producer {
        let partitions = plan.partitions.iter().map(|(t, p)| TopicPartition::new(t.as_str(), *p)).collect();
        Producer { plan, partitions, open: BTreeSet::new() }
    }

    fn write(&mut self, env: &mut Env<'_>) {
        let partition = self.partitions[env.rng.below(self.partitions.len() as u64) as usize].clone();
        // Now and then a record is older than those before it.
        let age = if env.rng.percent(10) { env.rng.below(2_000) as i64 } else { 0 };
        let (tag, record) = env.history.send(Sent {
            by: (env.user, env.life),
            partition,
            idempotent: self.plan.idempotent,
            acks: self.plan.acks,
            in_flight: self.plan.in_flight,
            repeats: self.plan.repeats,
            timestamp: env.wall.0 - age,
            at: env.now,
            done_at: u64::MAX,
            fate: Fate::Open,
        });
        self.open.insert(tag);
        env.commands.push(Command::Produce { tag, record });
    }
}

impl Actor for Producer {
    fn kind(&self) -> &'static str {
        "producer"
    }

    fn settings(&mut self, settings: &mut ClientSettings) {
        settings.unknown_topic_timeout_ms = 60_000;
    }

    fn started(&mut self, env: &mut Env<'_>) {
        let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
        env.commands.push(Command::Producer(ProducerSettings {
            acks: match self.plan.acks {
                0 => Acks::None,
                1 => Acks::Leader,
                _ => Acks::All,
            },
            idempotent: self.plan.idempotent,
            repeat_unknown: self.plan.repeats,
            max_in_flight: self.plan.in_flight,
            linger_ms: 2,
            batch_bytes: 4096,
            codec: codecs[usize::from(self.plan.codec) % codecs.len()],
            delivery_timeout_ms: self.plan.timeout_ms,
            ..ProducerSettings::default()
        }));
        env.tick_about_ms(self.plan.every_ms);
    }

    fn tick(&mut self, env: &mut Env<'_>) {
        if !env.loading {
            return;
        }
        if self.open.len() < 200 {
            for _ in 0..=env.rng.below(self.plan.burst) {
                self.write(env);
            }
        }
        env.tick_about_ms(self.plan.every_ms);
    }

    fn told(&mut self, env: &mut Env<'_>, event: Event) {
        let Event::Produced { tag, outcome } = event else { return };
        self.open.remove(&tag);
        let fate = match &outcome {
            Outcome::Done(placed) => Fate::Done(placed.offset.map(|o| o.0)),
            Outcome::Failed(_) => Fate::Failed,
            Outcome::Unknown(_) => Fate::Unknown,
        };
        env.history.sent(tag, env.now, fate);
        if let Outcome::Failed(why) | Outcome::Unknown(why) = &outcome {
            env.say(|| format!("record {tag}: {fate:?}: {why}"));
        } else {
            env.trace.mark(&[env.now, tag]);
        }
    }

    fn ended(&mut self) {
        self.open.clear();
    }

    fn is_at_rest(&self) -> bool {
        self.open.is_empty()
    }

    fn waits_for(&self) -> String {
        format!("the fate of {} records, the first is number {:?}", self.open.len(), self.open.first())
    }
}
