//! Requests that ask for too much, or for the same thing again and again: what is told and what is made stays bounded.

use std::collections::BTreeSet;

use super::Rig;
use crate::wire::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use crate::wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use crate::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use crate::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use crate::wire::{ErrorCode, Response};

/// More names than a quadratic search gets through while a test waits.
const MANY: usize = 100_000;

fn create(rig: &mut Rig, topics: &[(&str, i32)], validate_only: bool) -> Vec<(String, ErrorCode)> {
    let topics = topics
        .iter()
        .map(|(name, num_partitions)| CreatableTopic {
            name: name.to_string(),
            num_partitions: *num_partitions,
            replication_factor: 1,
            ..Default::default()
        })
        .collect();
    let request = CreateTopicsRequest { topics, validate_only, ..Default::default() };
    let Response::CreateTopics(r) = rig.ask(request) else { panic!() };
    r.topics.into_iter().map(|t| (t.name, t.error_code)).collect()
}

fn codes(answers: Vec<(String, ErrorCode)>) -> Vec<ErrorCode> {
    answers.into_iter().map(|(_, code)| code).collect()
}

#[test]
fn a_request_that_would_make_more_partitions_than_one_may_is_refused_before_they_are_made() {
    let mut rig = Rig::new(&[]);
    for validate_only in [true, false] {
        let asked = [("a", 9_000), ("b", 1_001), ("c", 1_000), ("d", i32::MAX)];
        let (fine, refused) = (ErrorCode::NONE, ErrorCode::POLICY_VIOLATION);
        assert_eq!(codes(create(&mut rig, &asked, validate_only)), [fine, refused, fine, refused]);
    }
    let names: BTreeSet<&str> = rig.broker.controller.image().topics().map(|t| t.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["a", "c"]));
}

#[test]
fn topics_that_a_metadata_request_has_no_room_to_make_are_made_by_the_next() {
    let mut rig = Rig::new(&[("num.partitions", "6000")]);
    let ask = |rig: &mut Rig| {
        let topic = |name: &str| MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
        let topics = Some(vec![topic("a"), topic("b")]);
        let request = MetadataRequest { topics, allow_auto_topic_creation: true, ..Default::default() };
        let Response::Metadata(r) = rig.ask(request) else { panic!() };
        r.topics.iter().map(|t| t.error_code).collect::<Vec<_>>()
    };
    assert_eq!(ask(&mut rig), [ErrorCode::LEADER_NOT_AVAILABLE, ErrorCode::LEADER_NOT_AVAILABLE]);
    assert_eq!(ask(&mut rig), [ErrorCode::NONE, ErrorCode::LEADER_NOT_AVAILABLE]);
    assert_eq!(ask(&mut rig), [ErrorCode::NONE, ErrorCode::NONE]);
}

#[test]
fn a_topic_asked_about_many_times_is_told_once() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 100, &[]);
    let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic; MANY]), ..Default::default() };
    let Response::Metadata(r) = rig.ask(request) else { panic!() };
    assert_eq!((r.topics.len(), r.topics[0].partitions.len()), (1, 100));
}

#[test]
fn a_topic_named_twice_in_one_request_is_refused_once_and_nothing_happens_to_it() {
    let mut rig = Rig::new(&[]);
    assert_eq!(
        create(&mut rig, &[("a", 1), ("b", 1), ("a", 2)], false),
        [("a".to_string(), ErrorCode::INVALID_REQUEST), ("b".to_string(), ErrorCode::NONE)]
    );
    let grown = CreatePartitionsTopic { name: "b".into(), count: 3, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![grown; MANY], ..Default::default() };
    let Response::CreatePartitions(r) = rig.ask(request) else { panic!() };
    assert_eq!((r.results.len(), r.results[0].error_code), (1, ErrorCode::INVALID_REQUEST));
    let gone = DeleteTopicState { name: Some("b".into()), ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![gone; MANY], ..Default::default() };
    let Response::DeleteTopics(r) = rig.ask(request) else { panic!() };
    assert!(r.responses.iter().all(|t| t.error_code == ErrorCode::INVALID_REQUEST));
    assert_eq!(rig.broker.controller.image().topic("b").map(|t| t.partitions.len()), Some(1));
}

#[test]
fn a_resource_or_a_config_named_twice_is_refused() {
    let mut rig = Rig::new(&[]);
    rig.create("a", 1, &[]);
    rig.create("b", 1, &[]);
    let resource = |topic: &str, configs: &[&str]| AlterConfigsResource {
        resource_type: 2,
        resource_name: topic.into(),
        configs: configs
            .iter()
            .map(|name| AlterableConfig {
                name: name.to_string(),
                value: Some("1000".into()),
                ..Default::default()
            })
            .collect(),
    };
    let resources = vec![
        resource("a", &["retention.ms"]),
        resource("a", &["retention.bytes"]),
        resource("b", &["retention.ms"; MANY]),
    ];
    let request = IncrementalAlterConfigsRequest { resources, ..Default::default() };
    let Response::IncrementalAlterConfigs(r) = rig.ask(request) else { panic!() };
    let told: Vec<_> = r.responses.iter().map(|r| (r.resource_name.as_str(), r.error_code)).collect();
    assert_eq!(told, [("a", ErrorCode::INVALID_REQUEST), ("b", ErrorCode::INVALID_REQUEST)]);
    assert!(rig.broker.controller.image().topics().all(|t| t.configs.is_empty()));
}
