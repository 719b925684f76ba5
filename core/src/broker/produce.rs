//! Produce: judge each batch against its partition and its producer, append it, and answer once it is durable.

use crate::broker::Broker;
use crate::broker::answers::{AnswerId, Part};
use crate::broker::door::{Caller, Client, Produce};
use crate::broker::turn::Turn;
use crate::cluster::names;
use crate::ids::{LogId, Offset};
use crate::log::Log;
use crate::producer::Admission;
use crate::record::check::Refused;
use crate::record::{Batch, BatchHeader};
use crate::time::Timestamp;
use crate::wire::error::ErrorCode;
use crate::wire::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};

/// Kafka's client id that may write to internal topics.
const ADMIN_CLIENT: &str = "__admin_client";
/// acks: every in-sync replica.
const ALL: i16 = -1;

type Verdict = Result<(LogId, Placed), (ErrorCode, String)>;

/// Where a batch is in the log.
struct Placed {
    base: Offset,
    end: Offset,
    /// The broker's timestamp, where the topic's timestamps are the broker's; else -1.
    appended_at: i64,
}

impl Broker {
    /// Handles a produce request.
    pub(super) fn produce(&mut self, turn: &mut Turn, to: Caller, from: &Client, request: Produce) {
        let (acks, timeout_ms) = (request.acks, i64::from(request.timeout_ms));
        let answer = self.answers.reserve();
        let mut response = ProduceResponse::default();
        let mut waits = Vec::new();
        self.tails.arrive(Some(request.frame_bytes));
        for (t, topic) in request.topics.into_iter().enumerate() {
            let mut results = Vec::with_capacity(topic.partitions.len());
            for (p, (index, batch)) in topic.partitions.into_iter().enumerate() {
                let verdict = match self.refuse_request(acks, request.transactional_id.is_some()) {
                    Some(refusal) => Err(refusal),
                    None => match batch {
                        Ok(batch) => self.produce_one(turn, (from, &topic.name, index), acks, batch),
                        Err(refused) => {
                            results.push(refused_batch(index, refused));
                            continue;
                        }
                    },
                };
                if let Ok((log, placed)) = &verdict {
                    waits.push((*log, placed.end, Part { answer, topic: t, partition: p }));
                }
                results.push(self.partition_result(index, verdict));
            }
            response.responses.push(TopicProduceResponse { name: topic.name, partition_responses: results });
        }
        self.tails.arrive(None);
        match acks {
            0 => close_on_error(turn, to, &response),
            _ => self.answer_when_durable(turn, (to, answer, acks), response, waits, timeout_ms),
        }
    }

    fn refuse_request(&self, acks: i16, transactional: bool) -> Option<(ErrorCode, String)> {
        if !matches!(acks, -1..=1) {
            return Some((
                ErrorCode::INVALID_REQUIRED_ACKS,
                format!("acks is {acks}; it must be 0, 1 or -1 (all)"),
            ));
        }
        if transactional {
            return Some((
                ErrorCode::INVALID_TXN_STATE,
                "transactions are not supported by this version of Quipu".into(),
            ));
        }
        self.disk_is_low().then(|| {
            let why = format!(
                "the disk is nearly full: {} bytes are free; free some space on the broker",
                self.space.0
            );
            (ErrorCode::KAFKA_STORAGE_ERROR, why)
        })
    }

    fn produce_one(
        &mut self,
        turn: &mut Turn,
        (from, topic, index): (&Client, &str, i32),
        acks: i16,
        batch: Batch,
    ) -> Verdict {
        let log = self.writable(from, topic, index, acks)?;
        if batch.header().is_transactional() {
            let why =
                "the batch belongs to a transaction; transactions are not supported by this version of Quipu";
            return Err((ErrorCode::INVALID_TXN_STATE, why.into()));
        }
        if let Some(placed) = self.known_already(log, batch.header())? {
            return Ok((log, placed));
        }
        let appended_at = appended_at(batch.header(), batch.header().max_timestamp);
        let appended = self.append(turn, log, batch);
        Ok((log, Placed { base: appended.base, end: appended.end, appended_at }))
    }

    fn writable(
        &self,
        from: &Client,
        topic: &str,
        index: i32,
        acks: i16,
    ) -> Result<LogId, (ErrorCode, String)> {
        let unknown =
            || (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no partition {topic}-{index}"));
        let state = self.controller.image().topic(topic).ok_or_else(unknown)?;
        let at = usize::try_from(index).ok().and_then(|i| state.partitions.get(i)).ok_or_else(unknown)?;
        if names::is_internal(topic) && from.client_id != ADMIN_CLIENT {
            return Err((
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                format!("{topic} is written by the broker alone"),
            ));
        }
        let log = LogId { topic: state.id, partition: index };
        self.usable(log)?;
        // Kafka's effective minimum: no more than there are replicas.
        let least = (self.topic_config(state.id).min_insync_replicas as usize).min(at.replicas.len());
        if acks == ALL && at.isr.len() < least {
            let why = format!(
                "{topic}-{index} has {} in-sync replica(s), min.insync.replicas is {least}",
                at.isr.len()
            );
            return Err((ErrorCode::NOT_ENOUGH_REPLICAS, why));
        }
        Ok(log)
    }

    /// Where the batch is, if an idempotent producer sent it before; an error when it does not follow what it sent last.
    fn known_already(&self, log: LogId, batch: &BatchHeader) -> Result<Option<Placed>, (ErrorCode, String)> {
        if !batch.has_producer() {
            return Ok(None);
        }
        let partition = &self.partitions[&log];
        let who = format_args!("producer {} (epoch {})", batch.producer_id, batch.producer_epoch).to_string();
        match partition.log.producers().check(batch) {
            Admission::Next => Ok(None),
            Admission::Duplicate(past) => {
                let appended_at = appended_at(batch, past.timestamp);
                Ok(Some(Placed { base: past.base_offset, end: past.last_offset + 1, appended_at }))
            }
            Admission::OutOfOrder { expected } => Err((
                ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
                format!(
                    "{who} sent sequence {} to {}-{}; {expected} is next",
                    batch.base_sequence, partition.topic, log.partition
                ),
            )),
            Admission::Fenced { current } => Err((
                ErrorCode::INVALID_PRODUCER_EPOCH,
                format!("{who} is fenced: epoch {current} has written since"),
            )),
        }
    }

    fn partition_result(&self, index: i32, verdict: Verdict) -> PartitionProduceResponse {
        match verdict {
            Ok((log, placed)) => PartitionProduceResponse {
                index,
                base_offset: placed.base.0,
                log_append_time_ms: placed.appended_at,
                log_start_offset: self.partitions[&log].log.start().0,
                ..Default::default()
            },
            Err((error_code, why)) => PartitionProduceResponse {
                index,
                error_code,
                base_offset: -1,
                error_message: Some(why),
                ..Default::default()
            },
        }
    }

    /// acks=1 waits until this broker's disk has it, acks=all until every in-sync replica's has.
    fn answer_when_durable(
        &mut self,
        turn: &mut Turn,
        (to, answer, acks): (Caller, AnswerId, i16),
        response: ProduceResponse,
        waits: Vec<(LogId, Offset, Part)>,
        timeout_ms: i64,
    ) {
        let far = |log: &Log| if acks == ALL { log.high() } else { log.flushed() };
        let missing: Vec<_> =
            waits.into_iter().filter(|(log, end, _)| far(&self.partitions[log].log) < *end).collect();
        if missing.is_empty() {
            return turn.reply(to, response.into());
        }
        let parts = missing.len();
        for (log, _, part) in missing {
            // A duplicate may end before what others wait for already; it waits for no less than they do.
            let partition = self.partitions.get_mut(&log).expect("it was appended to");
            let end = partition.log.end();
            if acks == ALL { partition.waiters.push(end, part) } else { partition.local.push(end, part) }
        }
        let deadline = turn.now.mono.after_ms(timeout_ms);
        self.answers.wait(answer, to, response.into(), parts, Some(deadline));
    }
}

/// The broker's timestamp of a batch, for the answer: -1 where timestamps are the producer's.
fn appended_at(batch: &BatchHeader, stored: Timestamp) -> i64 {
    if batch.is_log_append_time() { stored.0 } else { -1 }
}

fn refused_batch(index: i32, refused: Refused) -> PartitionProduceResponse {
    let record_errors = refused.record_errors.iter().map(|(batch_index, message)| {
        BatchIndexAndErrorMessage { batch_index: *batch_index, batch_index_error_message: message.clone() }
    });
    PartitionProduceResponse {
        index,
        error_code: ErrorCode(refused.code()),
        base_offset: -1,
        record_errors: record_errors.collect(),
        error_message: Some(refused.message),
        ..Default::default()
    }
}

/// acks=0 has no answer: all a broker can do about an error is to close the connection.
fn close_on_error(turn: &mut Turn, to: Caller, response: &ProduceResponse) {
    let results =
        response.responses.iter().flat_map(|t| t.partition_responses.iter().map(move |p| (&t.name, p)));
    if let Some((topic, failed)) = results.into_iter().find(|(_, p)| p.error_code != ErrorCode::NONE) {
        let why = failed.error_message.as_deref().unwrap_or(failed.error_code.message());
        turn.close(to.conn, format!("a produce with acks=0 to {topic}-{} failed: {why}", failed.index));
    }
}
