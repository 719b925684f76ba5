//! A producer that does not know that it was replaced: a newer epoch of it has written, and whatever it writes is refused.
//!
//! Both lives of it speak to the broker in single requests, one after the other, since no client of ours would do this.

use quipu_core::client::{CallError, Command, Event, Target, TopicPartition};
use quipu_core::ids::ProducerId;
use quipu_core::record::BatchBuilder;
use quipu_core::wire::{ErrorCode, Request, Response};
use serde::{Deserialize, Serialize};

use super::{Actor, Env, by_hand};
use crate::history::{Fate, Sent};

/// What a zombie does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ZombiePlan {
    /// Where to.
    pub partition: (String, i32),
    /// Milliseconds between its deeds, about.
    pub every_ms: u64,
}

/// The record under way.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    number: u64,
    epoch: i16,
    sequence: i32,
    /// Its epoch is not the newest that has written.
    fenced: bool,
}

/// A zombie.
pub struct Zombie {
    plan: ZombiePlan,
    identity: Option<ProducerId>,
    /// The newest epoch that has written, and its next sequence.
    newest: (i16, i32),
    /// Whether the life before the newest one has still to write.
    haunts: bool,
    attempt: Option<Attempt>,
    asked: Option<u64>,
    tags: u64,
}

impl Zombie {
    /// One that does what the plan says.
    pub fn new(plan: ZombiePlan) -> Zombie {
        Zombie { plan, identity: None, newest: (0, 0), haunts: false, attempt: None, asked: None, tags: 0 }
    }

    fn partition(&self) -> TopicPartition {
        TopicPartition::new(self.plan.partition.0.as_str(), self.plan.partition.1)
    }

    fn ask(&mut self, env: &mut Env<'_>, target: Target, request: Request) {
        self.tags += 1;
        self.asked = Some(self.tags);
        env.commands.push(Command::Call { tag: self.tags, target, request, timeout_ms: 10_000 });
    }

    /// Writes one record: again what is not known to be written, as the life before, or as the newest one or one newer yet.
    fn write(&mut self, env: &mut Env<'_>, id: ProducerId) {
        let attempt = self.attempt.unwrap_or_else(|| {
            let ((epoch, sequence), fenced) = match () {
                () if std::mem::take(&mut self.haunts) => ((self.newest.0 - 1, 1), true),
                () if self.newest.1 > 0 && env.rng.percent(50) => ((self.newest.0 + 1, 0), false),
                () => (self.newest, false),
            };
            let sent = Sent {
                by: (env.user, env.life),
                partition: self.partition(),
                idempotent: true,
                acks: -1,
                in_flight: 1,
                repeats: false,
                timestamp: env.wall.0,
                at: env.now,
                done_at: u64::MAX,
                fate: Fate::Open,
            };
            let (number, _) = env.history.send(sent);
            Attempt { number, epoch, sequence, fenced }
        });
        self.attempt = Some(attempt);
        let record = env.history.record(attempt.number);
        let mut batch = BatchBuilder::new().producer(id, attempt.epoch, attempt.sequence);
        by_hand::push(&mut batch, &record);
        let request = by_hand::produce(&self.partition(), batch.build().to_bytes());
        self.ask(env, Target::Leader(self.partition()), request);
    }

    fn produced(&mut self, env: &mut Env<'_>, code: ErrorCode, base: i64) {
        let Some(attempt) = self.attempt else { return };
        env.trace.mark(&[env.now, attempt.number, u64::from(attempt.fenced)]);
        match code {
            ErrorCode::NONE => {
                if attempt.fenced && !env.history.is_trimmed(&self.partition()) {
                    let words = format!("a record of epoch {} at {base}", attempt.epoch);
                    env.history.trespasses.push(words);
                }
                // A broker whose disk has lost the newer epoch takes the older one's again for what it was: that is no promise.
                self.settle(env, if attempt.fenced { Fate::Unknown } else { Fate::Done(Some(base)) });
                if !attempt.fenced {
                    self.haunts = attempt.epoch > self.newest.0 || self.newest.0 > 0 && env.rng.percent(30);
                    self.newest = (attempt.epoch, attempt.sequence + 1);
                }
            }
            ErrorCode::INVALID_PRODUCER_EPOCH if attempt.fenced => self.settle(env, Fate::Failed),
            ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::DUPLICATE_SEQUENCE_NUMBER
            | ErrorCode::INVALID_TIMESTAMP => {
                env.say(|| format!("refused: {code}: it begins again, as somebody else"));
                self.settle(env, Fate::Unknown);
                self.identity = None;
            }
            // Anything else may pass: it tries again.
            _ => {}
        }
    }

    fn settle(&mut self, env: &mut Env<'_>, fate: Fate) {
        if let Some(attempt) = self.attempt.take() {
            env.history.sent(attempt.number, env.now, fate);
        }
    }

    fn answered(&mut self, env: &mut Env<'_>, result: Result<Response, CallError>) {
        match result {
            Ok(Response::InitProducerId(r)) => match by_hand::identified(&r) {
                Ok((id, epoch)) => {
                    self.identity = Some(id);
                    (self.newest, self.haunts) = ((epoch, 0), false);
                }
                Err(why) => env.say(|| why),
            },
            Ok(Response::Produce(r)) => {
                if let Some(told) = r.responses.first().and_then(|t| t.partition_responses.first()) {
                    self.produced(env, told.error_code, told.base_offset);
                }
            }
            Ok(_) => {}
            Err(why) => env.say(|| format!("no answer: {why}")),
        }
    }
}

impl Actor for Zombie {
    fn kind(&self) -> &'static str {
        "zombie"
    }

    fn started(&mut self, env: &mut Env<'_>) {
        env.tick_about_ms(self.plan.every_ms);
    }

    fn tick(&mut self, env: &mut Env<'_>) {
        env.tick_about_ms(self.plan.every_ms);
        match self.identity {
            _ if self.asked.is_some() || !env.loading && self.attempt.is_none() => {}
            Some(id) => self.write(env, id),
            None => {
                self.ask(env, Target::Any, by_hand::identity());
            }
        }
    }

    fn told(&mut self, env: &mut Env<'_>, event: Event) {
        let Event::Answered { tag, result } = event else { return };
        if self.asked.take_if(|asked| *asked == tag).is_some() {
            self.answered(env, result);
        }
    }

    fn ended(&mut self) {
        (self.identity, self.attempt, self.asked) = (None, None, None);
    }

    fn is_at_rest(&self) -> bool {
        self.attempt.is_none()
    }

    fn waits_for(&self) -> String {
        format!("{:?} to be written or refused", self.attempt)
    }
}
