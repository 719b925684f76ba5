//! An idempotent producer that has written two thousand million records: its sequence numbers are about to begin again.
//!
//! It speaks to the broker in single requests, since a client of ours begins with sequence 0.

use bytes::Bytes;
use quipu_core::client::{CallError, Command, Event, NewRecord, Target, TopicPartition};
use quipu_core::ids::ProducerId;
use quipu_core::record::BatchBuilder;
use quipu_core::wire::messages::init_producer_id::InitProducerIdRequest;
use quipu_core::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use quipu_core::wire::{ErrorCode, Request, Response};
use serde::{Deserialize, Serialize};

use super::{Actor, Env};
use crate::history::{Fate, Sent};

/// What a veteran does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VeteranPlan {
    /// Where to.
    pub partition: (String, i32),
    /// How many records there are left until its sequence numbers begin again.
    pub left: i32,
    /// Records of a batch, at most.
    pub batch: u64,
    /// Milliseconds between batches, about.
    pub every_ms: u64,
}

/// The batch under way: it is sent until it is known to be written.
struct Batch {
    numbers: Vec<u64>,
    bytes: Bytes,
    attempts: u32,
}

/// A veteran.
pub struct Veteran {
    plan: VeteranPlan,
    identity: Option<(ProducerId, i16)>,
    next: i32,
    batch: Option<Batch>,
    asked: Option<u64>,
    tags: u64,
}

impl Veteran {
    /// One that does what the plan says.
    pub fn new(plan: VeteranPlan) -> Veteran {
        Veteran { plan, identity: None, next: 0, batch: None, asked: None, tags: 0 }
    }

    fn partition(&self) -> TopicPartition {
        TopicPartition::new(self.plan.partition.0.as_str(), self.plan.partition.1)
    }

    fn ask(&mut self, env: &mut Env<'_>, target: Target, request: Request) {
        self.tags += 1;
        self.asked = Some(self.tags);
        env.commands.push(Command::Call { tag: self.tags, target, request, timeout_ms: 10_000 });
    }

    fn fill(&mut self, env: &mut Env<'_>, (id, epoch): (ProducerId, i16)) {
        let (mut numbers, mut batch) = (Vec::new(), BatchBuilder::new().producer(id, epoch, self.next));
        for _ in 0..=env.rng.below(self.plan.batch) {
            let (number, record) = env.history.send(Sent {
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
            });
            push(&mut batch, &record);
            numbers.push(number);
        }
        self.next = sequence_after(self.next, numbers.len());
        self.batch = Some(Batch { numbers, bytes: batch.build().to_bytes(), attempts: 0 });
    }

    fn send(&mut self, env: &mut Env<'_>) {
        let Some(batch) = &mut self.batch else { return };
        batch.attempts += 1;
        let (name, index) = self.plan.partition.clone();
        let partition_data = vec![PartitionProduceData { index, records: Some(batch.bytes.clone()) }];
        let topic_data = vec![TopicProduceData { name, partition_data }];
        let request = ProduceRequest { acks: -1, timeout_ms: 5_000, topic_data, ..Default::default() };
        self.ask(env, Target::Leader(self.partition()), request.into());
    }

    fn answered(&mut self, env: &mut Env<'_>, result: Result<Response, CallError>) {
        match result {
            Ok(Response::InitProducerId(r)) if r.error_code == ErrorCode::NONE => {
                self.identity = Some((ProducerId(r.producer_id), r.producer_epoch));
                self.next = sequence_after(i32::MAX - self.plan.left, 0);
            }
            Ok(Response::Produce(r)) => {
                let told = r.responses.first().and_then(|t| t.partition_responses.first());
                let Some(told) = told else { return };
                match told.error_code {
                    ErrorCode::NONE => self.written(env, Some(told.base_offset)),
                    ErrorCode::DUPLICATE_SEQUENCE_NUMBER => self.written(env, None),
                    ErrorCode::INVALID_TIMESTAMP => self.give_up(env),
                    other => env.say(|| format!("refused: {other} {:?}", told.error_message)),
                }
            }
            Ok(_) => {}
            Err(why) => env.say(|| format!("no answer: {why}")),
        }
    }

    fn written(&mut self, env: &mut Env<'_>, base: Option<i64>) {
        for (i, number) in self.batch.take().into_iter().flat_map(|b| b.numbers).enumerate() {
            env.history.sent(number, env.now, Fate::Done(base.map(|base| base + i as i64)));
            env.trace.mark(&[env.now, number]);
        }
    }

    /// The clocks are too far apart for this batch. Whether it was written when it was sent before is not known, nor is
    /// what sequence number would be next: it begins again, as somebody else.
    fn give_up(&mut self, env: &mut Env<'_>) {
        let Some(batch) = self.batch.take() else { return };
        let fate = if batch.attempts == 1 { Fate::Failed } else { Fate::Unknown };
        env.say(|| format!("records {:?} are given up: {fate:?}", batch.numbers));
        batch.numbers.into_iter().for_each(|number| env.history.sent(number, env.now, fate));
        self.identity = None;
    }
}

fn push(batch: &mut BatchBuilder, record: &NewRecord) {
    let headers: Vec<(&[u8], Option<&[u8]>)> =
        record.headers.iter().map(|h| (h.key.as_ref(), h.value.as_deref())).collect();
    let timestamp = record.timestamp.expect("every record of a history has a timestamp");
    batch.push_with_headers(timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
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
        if self.asked.is_some() {
            return;
        }
        match self.identity {
            None if env.loading => {
                let request = InitProducerIdRequest {
                    transactional_id: None,
                    transaction_timeout_ms: i32::MAX,
                    ..Default::default()
                };
                self.ask(env, Target::Any, request.into());
            }
            Some(identity) if env.loading && self.batch.is_none() => {
                self.fill(env, identity);
                self.send(env);
            }
            _ => self.send(env),
        }
    }

    fn told(&mut self, env: &mut Env<'_>, event: Event) {
        let Event::Answered { tag, result } = event else { return };
        if self.asked.take_if(|asked| *asked == tag).is_some() {
            self.answered(env, result);
        }
    }

    fn ended(&mut self) {
        (self.identity, self.batch, self.asked) = (None, None, None);
    }

    fn is_at_rest(&self) -> bool {
        self.batch.is_none()
    }

    fn waits_for(&self) -> String {
        let numbers = self.batch.as_ref().map(|b| &b.numbers);
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
