//! A producer's requests, built by hand: for those who write what no client of ours would.

use bytes::Bytes;
use quipu_core::client::{NewRecord, TopicPartition};
use quipu_core::record::BatchBuilder;
use quipu_core::wire::Request;
use quipu_core::wire::messages::init_producer_id::InitProducerIdRequest;
use quipu_core::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

/// Asks for a producer id.
pub fn identity() -> Request {
    InitProducerIdRequest { transaction_timeout_ms: i32::MAX, ..Default::default() }.into()
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
