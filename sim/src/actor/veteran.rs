//! An idempotent producer that has written two thousand million records: its sequence numbers are about to begin again.
//!
//! It speaks to the broker in single requests, since a client of ours begins with sequence 0, and is less careful than that:
//! it sends what was not answered again and again, and relies on the broker to tell what is a duplicate.

use std::collections::VecDeque;

use bytes::Bytes;
use quipu_core::client::{CallError, Command, Event, Target, TopicPartition};
use quipu_core::ids::ProducerId;
use quipu_core::record::BatchBuilder;
use quipu_core::wire::{ErrorCode, Request, Response};
use serde::{Deserialize, Serialize};

use super::{Actor, Env, by_hand};
use crate::history::{Fate, Sent};

/// What a plan of old does not say.
fn one() -> usize {
    1
}

/// What a veteran does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VeteranPlan {
    /// Where to.
    pub partition: (String, i32),
    /// How many records there are left until its sequence numbers begin again.
    pub left: i32,
    /// Records of a batch, at most.
    pub batch: u64,
    /// Batches under way at once, at most.
    #[serde(default = "one")]
    pub in_flight: usize,
    /// Milliseconds between batches, about.
    pub every_ms: u64,
}

/// A batch under way: it is sent until it is known to be written.
struct Batch {
    numbers: Vec<u64>,
    bytes: Bytes,
    /// How many were filled before it.
    nth: usize,
    attempts: u32,
    asked: Option<u64>,
}

/// A veteran.
pub struct Veteran {
    plan: VeteranPlan,
    identity: Option<(ProducerId, i16)>,
    /// The question for an identity.
    asked: Option<u64>,
    next: i32,
    /// In order of their sequence numbers.
    batches: VecDeque<Batch>,
    filled: usize,
    tags: u64,
    /// A batch of this life is known to be written: the broker knows which sequence number comes next.
    known: bool,
    /// It writes no more in this life.
    retired: bool,
}

impl Veteran {
    /// One that does what the plan says.
    pub fn new(plan: VeteranPlan) -> Veteran {
        let (batches, known, retired) = (VecDeque::new(), false, false);
        Veteran { plan, identity: None, asked: None, next: 0, batches, filled: 0, tags: 0, known, retired }
    }

    fn partition(&self) -> TopicPartition {
        TopicPartition::new(self.plan.partition.0.as_str(), self.plan.partition.1)
    }

    fn ask(&mut self, env: &mut Env<'_>, target: Target, request: Request) -> Option<u64> {
        self.tags += 1;
        env.commands.push(Command::Call { tag: self.tags, target, request, timeout_ms: 10_000 });
        Some(self.tags)
    }

    fn fill(&mut self, env: &mut Env<'_>, (id, epoch): (ProducerId, i16)) {
        let (mut numbers, mut batch) = (Vec::new(), BatchBuilder::new().producer(id, epoch, self.next));
        for _ in 0..=env.rng.below(self.plan.batch) {
            let (number, record) = env.history.send(Sent {
                by: (env.user, env.life),
                partition: self.partition(),
                idempotent: true,
                acks: -1,
                in_flight: self.plan.in_flight,
                repeats: false,
                timestamp: env.wall.0,
                at: env.now,
                done_at: u64::MAX,
                fate: Fate::Open,
            });
            by_hand::push(&mut batch, &record);
            numbers.push(number);
        }
        self.next = sequence_after(self.next, numbers.len());
        let bytes = batch.build().to_bytes();
        self.batches.push_back(Batch { numbers, bytes, nth: self.filled, attempts: 0, asked: None });
        self.filled += 1;
    }

    /// Sends whatever is not on its way, in order. A broker takes any sequence number from a producer that it has nothing of: so
    /// what follows a batch that it may not have waits for that one.
    fn send(&mut self, env: &mut Env<'_>) {
        for at in 0..self.batches.len() {
            let batch = &self.batches[at];
            let again = batch.attempts > u32::from(batch.asked.is_some());
            if batch.asked.is_none() && (at == 0 || !again) {
                let request = by_hand::produce(&self.partition(), batch.bytes.clone());
                self.batches[at].attempts += 1;
                self.batches[at].asked = self.ask(env, Target::Leader(self.partition()), request);
            }
            if again || !self.known {
                break;
            }
        }
    }

    fn answered(&mut self, env: &mut Env<'_>, at: usize, result: Result<Response, CallError>) {
        self.batches[at].asked = None;
        let response = match result {
            Ok(Response::Produce(response)) => response,
            Ok(_) => return,
            Err(why) => return env.say(|| format!("no answer: {why}")),
        };
        let told = response.responses.first().and_then(|t| t.partition_responses.first());
        let Some(told) = told else { return };
        match told.error_code {
            ErrorCode::NONE => self.written(env, at, Some(told.base_offset)),
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER => self.written(env, at, None),
            ErrorCode::INVALID_TIMESTAMP => self.give_up(env, at),
            other => env.say(|| format!("refused: {other} {:?}", told.error_message)),
        }
    }

    fn written(&mut self, env: &mut Env<'_>, at: usize, base: Option<i64>) {
        self.known = true;
        for (i, number) in self.batches.remove(at).into_iter().flat_map(|b| b.numbers).enumerate() {
            env.history.sent(number, env.now, Fate::Done(base.map(|base| base + i as i64)));
            env.trace.mark(&[env.now, number]);
        }
    }

    /// The clocks are too far apart for a batch. Whether it was written when it was sent before is not known, nor whether
    /// those after it will be: it writes no more.
    fn give_up(&mut self, env: &mut Env<'_>, at: usize) {
        for (place, batch) in std::mem::take(&mut self.batches).into_iter().enumerate() {
            let never = place == at && batch.attempts == 1;
            let fate = if never { Fate::Failed } else { Fate::Unknown };
            env.say(|| format!("records {:?} are given up: {fate:?}", batch.numbers));
            batch.numbers.into_iter().for_each(|number| env.history.sent(number, env.now, fate));
        }
        self.retired = true;
    }

    fn identified(&mut self, env: &mut Env<'_>, result: Result<Response, CallError>) {
        let identity = match result {
            Ok(Response::InitProducerId(response)) => by_hand::identified(&response),
            Ok(other) => panic!("a question for a producer id is answered with {other:?}"),
            Err(why) => Err(format!("no answer: {why}")),
        };
        match identity {
            Ok(identity) => (self.identity, self.next) = (Some(identity), i32::MAX - self.plan.left),
            Err(why) => env.say(|| why),
        }
    }
}

/// After 2^31-1 comes 0.
fn sequence_after(sequence: i32, records: usize) -> i32 {
    ((sequence as usize + records) % (1 << 31)) as i32
}

impl Actor for Veteran {
    fn kind(&self) -> &'static str {
        "veteran"
    }

    fn started(&mut self, env: &mut Env<'_>) {
        env.tick_about_ms(self.plan.every_ms);
    }

    fn tick(&mut self, env: &mut Env<'_>) {
        env.tick_about_ms(self.plan.every_ms);
        match self.identity {
            None if env.loading && self.asked.is_none() => {
                self.asked = self.ask(env, Target::Any, by_hand::identity());
            }
            Some(identity) if env.loading && !self.retired => {
                // A broker remembers as many as may be under way, and no more: the oldest that waits is one of them.
                let oldest = self.batches.front().map_or(self.filled, |b| b.nth);
                if self.filled - oldest < self.plan.in_flight {
                    self.fill(env, identity);
                }
                self.send(env);
            }
            _ => self.send(env),
        }
    }

    fn told(&mut self, env: &mut Env<'_>, event: Event) {
        let Event::Answered { tag, result } = event else { return };
        if self.asked.take_if(|asked| *asked == tag).is_some() {
            self.identified(env, result);
        } else if let Some(at) = self.batches.iter().position(|batch| batch.asked == Some(tag)) {
            self.answered(env, at, result);
        }
    }

    fn ended(&mut self) {
        self.batches.clear();
        (self.identity, self.asked, self.known, self.retired) = (None, None, false, false);
    }

    fn is_at_rest(&self) -> bool {
        self.batches.is_empty()
    }

    fn waits_for(&self) -> String {
        let numbers: Vec<&Vec<u64>> = self.batches.iter().map(|b| &b.numbers).collect();
        format!("records {numbers:?} to be written; {} is the sequence number after them", self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::sequence_after;

    #[test]
    fn sequence_numbers_begin_again_after_the_largest() {
        assert_eq!(sequence_after(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
    }
}
