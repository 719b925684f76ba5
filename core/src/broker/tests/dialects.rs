//! Older versions of requests: what they may not ask for, and what they are told instead.

use super::{Rig, batch};
use crate::ids::TopicId;
use crate::record::batch::Codec;
use crate::record::{Batch, BatchBuilder};
use crate::time::Timestamp;
use crate::wire::messages::fetch::PartitionData;
use crate::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use crate::wire::{ErrorCode, Records, Response};

fn fetched(response: Response) -> PartitionData {
    let Response::Fetch(mut fetch) = response else { panic!("not an answer to Fetch") };
    fetch.responses.remove(0).partitions.remove(0)
}

fn has_records(partition: &PartitionData) -> bool {
    matches!(&partition.records, Some(Records::Held(chunks)) if !chunks.is_empty())
}

fn metadata(rig: &mut Rig, version: i16, topics: Vec<MetadataRequestTopic>) -> MetadataResponse {
    let request = MetadataRequest { topics: Some(topics), ..Default::default() };
    let Response::Metadata(response) = rig.ask_in(version, request) else { panic!() };
    response
}

#[test]
fn a_topic_id_in_metadata_10_or_11_is_an_invalid_request_for_all_its_topics() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let id = rig.log("t", 0).topic;
    let named = MetadataRequestTopic { name: Some("t".into()), topic_id: TopicId::ZERO };
    let by_id = MetadataRequestTopic { name: None, topic_id: id };
    let nameless = MetadataRequestTopic { name: None, topic_id: TopicId::ZERO };
    for refused in [by_id.clone(), nameless] {
        for version in [10, 11] {
            let answer = metadata(&mut rig, version, vec![refused.clone(), named.clone()]);
            let told: Vec<_> =
                answer.topics.iter().map(|t| (t.name.as_deref(), t.topic_id, t.error_code)).collect();
            let refusal = ErrorCode::INVALID_REQUEST;
            assert_eq!(
                told,
                [(Some(""), refused.topic_id, refusal), (Some("t"), TopicId::ZERO, refusal)],
                "a name that version {version} cannot leave out is empty"
            );
            assert_eq!(answer.brokers.len(), 1, "a client without brokers would be lost");
        }
    }
    assert_eq!(metadata(&mut rig, 11, vec![named]).topics[0].error_code, ErrorCode::NONE);
    let found = metadata(&mut rig, 12, vec![by_id]);
    assert_eq!((found.topics[0].error_code, found.topics[0].topic_id), (ErrorCode::NONE, id));
}

#[test]
fn topics_are_fetched_by_id_from_version_13_on_and_zero_is_no_topic() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", 1, batch(&["a"]));
    let mut request = rig.fetch_from("t", 0);
    request.topics[0].topic_id = TopicId::ZERO;
    assert_eq!(fetched(rig.ask_in(13, request.clone())).error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    assert!(has_records(&fetched(rig.ask_in(12, request))));
    let mut nowhere = rig.fetch_from("t", 0);
    nowhere.topics[0].topic = "nowhere".into();
    assert!(has_records(&fetched(rig.ask_in(13, nowhere.clone()))), "the id alone counts");
    let code = fetched(rig.ask_in(12, nowhere)).error_code;
    assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "the name alone counts");
}

#[test]
fn a_fetch_that_waits_keeps_the_meaning_of_its_version() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let mut by_name = rig.fetch_from("t", 0);
    let mut by_id = by_name.clone();
    by_name.topics[0].topic_id = TopicId::ZERO;
    by_id.topics[0].topic = String::new();
    for (offset, (version, mut request)) in (0..).zip([(12, by_name), (13, by_id)]) {
        request.topics[0].partitions[0].fetch_offset = offset;
        let woken = rig.send_in(version, request.clone());
        rig.produce("t", 1, batch(&["a"]));
        assert!(has_records(&fetched(rig.answer(woken))), "version {version}");
        request.topics[0].partitions[0].fetch_offset = offset + 1;
        let late = rig.send_in(version, request);
        rig.pass_ms(500);
        assert_eq!(fetched(rig.answer(late)).error_code, ErrorCode::NONE, "version {version}");
    }
}

fn zstd(value: &str) -> Batch {
    let mut builder = BatchBuilder::new().compression(Codec::Zstd, None);
    builder.push(Timestamp(1_700_000_000_000), None, Some(value.as_bytes()));
    builder.build()
}

#[test]
fn before_fetch_10_a_topic_of_type_zstd_cannot_be_read() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[("compression.type", "zstd")]);
    rig.produce("t", 1, zstd("a"));
    let request = rig.fetch_from("t", 0);
    let refused = fetched(rig.ask_in(9, request.clone()));
    assert_eq!(refused.error_code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    assert_eq!((refused.high_watermark, refused.records), (-1, Some(Records::default())));
    assert!(has_records(&fetched(rig.ask_in(10, request.clone()))));
    let mut nowhere = request;
    nowhere.topics[0].partitions[0].partition = 7;
    let code = fetched(rig.ask_in(9, nowhere)).error_code;
    assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "what does not exist has no type");
}

#[test]
fn batches_that_producers_compressed_with_zstd_are_sent_to_everybody_as_kafka_does() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[("compression.type", "producer")]);
    rig.produce("t", 1, zstd("a"));
    let request = rig.fetch_from("t", 0);
    assert!(has_records(&fetched(rig.ask_in(4, request))));
}
