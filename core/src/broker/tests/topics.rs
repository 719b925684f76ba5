//! Topics: made, found, grown, deleted, made again.

use super::{Rig, batch, idempotent};
use crate::storage::ops::StoreOp;
use crate::wire::dialect::Dialect;
use crate::wire::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use crate::wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use crate::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use crate::wire::messages::init_producer_id::InitProducerIdRequest;
use crate::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use crate::wire::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use crate::wire::{ApiKey, ErrorCode, Response};

fn named(names: &[&str], creates: bool) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() };
    MetadataRequest {
        topics: Some(names.iter().map(topic).collect()),
        allow_auto_topic_creation: creates,
        ..Default::default()
    }
}

fn metadata(rig: &mut Rig, request: MetadataRequest) -> MetadataResponse {
    let Response::Metadata(response) = rig.ask(request) else { panic!() };
    response
}

fn delete(rig: &mut Rig, name: &str) -> ErrorCode {
    let topics = vec![DeleteTopicState { name: Some(name.into()), ..Default::default() }];
    let Response::DeleteTopics(r) = rig.ask(DeleteTopicsRequest { topics, ..Default::default() }) else {
        panic!()
    };
    r.responses[0].error_code
}

#[test]
fn a_topic_asked_about_is_made_when_client_and_broker_allow_it() {
    let mut rig = Rig::new(&[]);
    assert_eq!(
        metadata(&mut rig, named(&["a"], false)).topics[0].error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(metadata(&mut rig, named(&["a"], true)).topics[0].error_code, ErrorCode::LEADER_NOT_AVAILABLE);
    let found = metadata(&mut rig, named(&["a"], true));
    assert_eq!((found.topics[0].error_code, found.topics[0].partitions[0].leader_id), (ErrorCode::NONE, 1));
    assert!(!found.topics[0].topic_id.is_zero() && found.cluster_id.is_some() && found.controller_id == 1);
    let mut strict = Rig::new(&[("auto.create.topics.enable", "false")]);
    assert_eq!(
        metadata(&mut strict, named(&["a"], true)).topics[0].error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

#[test]
fn null_asks_for_all_topics_and_an_empty_list_for_none_but_in_version_0() {
    let mut rig = Rig::new(&[]);
    rig.create("a", 1, &[]);
    assert_eq!(metadata(&mut rig, MetadataRequest { topics: None, ..Default::default() }).topics.len(), 1);
    assert_eq!(metadata(&mut rig, named(&[], false)).topics.len(), 0);
    let oldest = Dialect::of(ApiKey::Metadata, 0);
    let to = rig.send_as("old", crate::broker::door::Request::Api(named(&[], true).into()), oldest);
    let Response::Metadata(all) = rig.answer(to) else { panic!() };
    assert_eq!(all.topics.len(), 1);
}

#[test]
fn a_topic_made_again_has_another_id_and_none_of_the_old_records() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", 1, batch(&["old"]));
    let old = rig.log("t", 0);
    assert_eq!(delete(&mut rig, "t"), ErrorCode::NONE);
    assert_eq!(delete(&mut rig, "t"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    rig.create("t", 1, &[]);
    assert_ne!(rig.log("t", 0).topic, old.topic);
    let to = rig.produce("t", 1, batch(&["new"]));
    assert_eq!(rig.produced(to).base_offset, 0);
    assert!(!rig.disk.contains_key(&old));
}

#[test]
fn a_fetch_parked_at_a_topic_that_goes_is_answered() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let request = rig.fetch_from("t", 0);
    let waiting = rig.send(request);
    delete(&mut rig, "t");
    let Response::Fetch(answer) = rig.answer(waiting) else { panic!() };
    assert_eq!(answer.responses[0].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn partitions_are_added_and_can_be_written_at_once() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let topics = vec![CreatePartitionsTopic { name: "t".into(), count: 3, assignments: None }];
    let Response::CreatePartitions(r) = rig.ask(CreatePartitionsRequest { topics, ..Default::default() })
    else {
        panic!()
    };
    assert_eq!(r.results[0].error_code, ErrorCode::NONE, "{:?}", r.results[0].error_message);
    assert!(rig.broker.usable(rig.log("t", 2)).is_ok());
}

#[test]
fn delete_records_moves_the_start_and_what_lies_before_is_out_of_range() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", 1, batch(&["a", "b", "c"]));
    let ask = |rig: &mut Rig, offset| {
        let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
        let topics = vec![DeleteRecordsTopic { name: "t".into(), partitions }];
        let Response::DeleteRecords(r) = rig.ask(DeleteRecordsRequest { topics, ..Default::default() })
        else {
            panic!()
        };
        (r.topics[0].partitions[0].error_code, r.topics[0].partitions[0].low_watermark)
    };
    assert_eq!(ask(&mut rig, 4), (ErrorCode::OFFSET_OUT_OF_RANGE, -1));
    assert_eq!(ask(&mut rig, 2), (ErrorCode::NONE, 2));
    let request = rig.fetch_from("t", 1);
    let Response::Fetch(f) = rig.ask(request) else { panic!() };
    assert_eq!(f.responses[0].partitions[0].error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(ask(&mut rig, -1), (ErrorCode::NONE, 3), "-1 is everything committed");
}

#[test]
fn producer_ids_are_never_given_out_twice_over_restarts_too() {
    let mut rig = Rig::new(&[]);
    let take = |rig: &mut Rig| {
        let Response::InitProducerId(r) =
            rig.ask(InitProducerIdRequest { transactional_id: None, ..Default::default() })
        else {
            panic!()
        };
        assert_eq!((r.error_code, r.producer_epoch), (ErrorCode::NONE, 0));
        r.producer_id
    };
    let first: Vec<i64> = (0..1500).map(|_| take(&mut rig)).collect();
    let logs = rig.disk.iter().map(|(log, batches)| super::recovered(*log, batches)).collect();
    let mut next = Rig::over(&[], logs);
    next.disk = std::mem::take(&mut rig.disk);
    next.wake();
    let mut all: Vec<i64> = first.into_iter().chain((0..10).map(|_| take(&mut next))).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 1510);
}

#[test]
fn retention_by_time_and_size_moves_the_start() {
    let settings = [("log.retention.check.interval.ms", "1000"), ("log.segment.bytes", "1048576")];
    let mut rig = Rig::new(&settings);
    rig.create("aged", 1, &[("retention.ms", "5000")]);
    rig.create("large", 1, &[("retention.bytes", "2000000"), ("retention.ms", "-1")]);
    let value = "x".repeat(600_000);
    for _ in 0..6 {
        rig.produce("aged", 1, batch(&[&value]));
        rig.produce("large", 1, batch(&[&value]));
    }
    rig.pass_ms(2_000);
    let start = |rig: &Rig, topic| rig.broker.partitions[&rig.log(topic, 0)].log.start().0;
    assert_eq!(start(&rig, "aged"), 0);
    assert!((1..6).contains(&start(&rig, "large")), "{}", start(&rig, "large"));
    rig.pass_ms(7_000);
    assert_eq!(start(&rig, "aged"), 6, "even the active segment goes when it is old");
    let to = rig.produce("aged", 1, batch(&["next"]));
    assert_eq!(rig.produced(to).base_offset, 6);
}

#[test]
fn a_trim_is_preceded_by_a_snapshot_of_the_producers_that_it_would_make_forgotten() {
    let mut rig = Rig::new(&[("log.retention.check.interval.ms", "1000")]);
    rig.create("t", 1, &[("retention.ms", "5000")]);
    rig.produce("t", -1, idempotent(0, 0, "a"));
    rig.prompt = false;
    rig.pass_ms(7_000);
    let log = rig.log("t", 0);
    let ops: Vec<&StoreOp> = rig.queued.iter().map(|(_, op)| op).collect();
    let trim = ops.iter().position(|op| matches!(op, StoreOp::Trim { log: l, .. } if *l == log));
    let kept = ops.iter().position(
        |op| matches!(op, StoreOp::Producers { log: l, at, table } if *l == log && at.0 == 1 && table.len() == 1),
    );
    assert!(trim.is_some() && kept < trim, "kept at {kept:?}, trimmed at {trim:?}: {ops:?}");
    assert!(kept.is_some());
}

#[test]
fn groups_live_in_as_many_shards_as_their_topic_has_partitions_however_it_was_made() {
    for partitions in [3, 80] {
        let mut rig = Rig::new(&[]);
        rig.create("__consumer_offsets", partitions, &[]);
        let fetch = OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
        let Response::OffsetFetch(r) =
            rig.ask(OffsetFetchRequest { groups: vec![fetch], ..Default::default() })
        else {
            panic!()
        };
        assert_eq!(r.groups[0].error_code, ErrorCode::NONE, "{partitions} partitions");
    }
}
