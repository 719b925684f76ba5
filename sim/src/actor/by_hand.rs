//! A producer's requests, built by hand, and what is made of the answers: for those who write what no client of ours would.

use bytes::Bytes;
use quipu_core::client::{NewRecord, TopicPartition};
use quipu_core::ids::ProducerId;
use quipu_core::record::BatchBuilder;
use quipu_core::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use quipu_core::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use quipu_core::wire::{ErrorCode, Request};

/// Asks for a producer id.
pub fn identity() -> Request {
    // The default is a name of no letters, not none.
    let transactional_id = None;
    InitProducerIdRequest { transactional_id, transaction_timeout_ms: i32::MAX, ..Default::default() }.into()
}

/// The producer id and epoch that were given, or why the broker could not. That it finds the question wrong is a mistake in here,
/// and a panic.
pub fn identified(response: &InitProducerIdResponse) -> Result<(ProducerId, i16), String> {
    match response.error_code {
        ErrorCode::NONE => Ok((ProducerId(response.producer_id), response.producer_epoch)),
        ErrorCode::INVALID_REQUEST => panic!("a question for a producer id that no broker understands"),
        other => Err(format!("no producer id: {other}")),
    }
}

/// Adds a record of a history to a batch.
pub fn push(batch: &mut BatchBuilder, record: &NewRecord) {
    let headers: Vec<(&[u8], Option<&[u8]>)> =
        record.headers.iter().map(|h| (h.key.as_ref(), h.value.as_deref())).collect();
    let timestamp = record.timestamp.expect("every record of a history has a timestamp");
    batch.push_with_headers(timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
}

/// Writes to one partition, acks=all.
pub fn produce(partition: &TopicPartition, records: Bytes) -> Request {
    let partition_data = vec![PartitionProduceData { index: partition.partition, records: Some(records) }];
    let topic_data = vec![TopicProduceData { name: partition.topic.to_string(), partition_data }];
    ProduceRequest { acks: -1, timeout_ms: 5_000, topic_data, ..Default::default() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "no broker understands")]
    fn a_question_that_is_wrong_does_not_go_unnoticed() {
        let error_code = ErrorCode::INVALID_REQUEST;
        let _ = identified(&InitProducerIdResponse { error_code, ..Default::default() });
    }
}
