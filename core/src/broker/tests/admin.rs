//! What administrators ask for: new topics with defaults, configs with their sources, sizes, deletion by id.

use super::{Rig, batch};
use crate::wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest,
};
use crate::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use crate::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use crate::wire::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use crate::wire::{ErrorCode, Response};

/// Sources of configs in Kafka's numbers.
const OF_TOPIC: i8 = 1;
const OF_BROKER: i8 = 4;
const BY_DEFAULT: i8 = 5;

/// A topic that leaves everything to the broker but the configs named.
fn plain(name: &str, configs: &[(&str, &str)]) -> CreatableTopic {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: name.to_string(),
        value: Some(value.to_string()),
    };
    CreatableTopic {
        name: name.into(),
        num_partitions: -1,
        replication_factor: -1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    }
}

fn create(rig: &mut Rig, version: i16, topic: CreatableTopic, validate_only: bool) -> CreatableTopicResult {
    let request = CreateTopicsRequest { topics: vec![topic], validate_only, ..Default::default() };
    let Response::CreateTopics(mut r) = rig.ask_in(version, request) else { panic!() };
    r.topics.remove(0)
}

#[test]
fn minus_one_asks_for_the_brokers_defaults_in_every_version() {
    let mut rig = Rig::new(&[("num.partitions", "3")]);
    for version in 2..=7 {
        let made = create(&mut rig, version, plain(&format!("t{version}"), &[]), false);
        let told = (made.error_code, made.num_partitions, made.replication_factor);
        assert_eq!(told, (ErrorCode::NONE, 3, 1), "version {version}");
    }
    let none = CreatableTopic { num_partitions: 0, ..plain("none", &[]) };
    assert_eq!(create(&mut rig, 7, none, false).error_code, ErrorCode::INVALID_PARTITIONS);
}

#[test]
fn a_topic_that_is_only_validated_is_answered_as_if_it_were_made_and_is_not() {
    let mut rig = Rig::new(&[]);
    let told = create(&mut rig, 7, plain("t", &[]), true);
    assert_eq!((told.error_code, told.num_partitions), (ErrorCode::NONE, 1));
    assert!(rig.broker.log_of("t", 0).is_err());
    let refused = create(&mut rig, 7, plain("t", &[("no.such.config", "1")]), true);
    assert_eq!(refused.error_code, ErrorCode::INVALID_CONFIG);
}

#[test]
fn a_new_topic_is_answered_with_all_its_configs_and_harmless_ones_of_kafkas_are_taken() {
    let mut rig = Rig::new(&[("log.segment.bytes", "2000000")]);
    let configs = [("cleanup.policy", "compact"), ("unclean.leader.election.enable", "false")];
    let made = create(&mut rig, 5, plain("t", &configs), false);
    let told = made.configs.expect("a list, and not null");
    let entry = |name| {
        let one = told.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        (one.value.as_deref(), one.config_source)
    };
    assert_eq!(entry("cleanup.policy"), (Some("compact"), OF_TOPIC));
    assert_eq!(entry("segment.bytes"), (Some("2000000"), OF_BROKER));
    assert_eq!(entry("retention.ms"), (Some("604800000"), BY_DEFAULT));
    assert_eq!(made.topic_config_error_code, ErrorCode::NONE);
}

#[test]
fn a_topics_configs_are_described_with_values_sources_types_and_synonyms() {
    let mut rig = Rig::new(&[("log.segment.bytes", "2000000")]);
    rig.create("_schemas", 1, &[("cleanup.policy", "compact")]);
    let resource = DescribeConfigsResource {
        resource_type: 2,
        resource_name: "_schemas".into(),
        configuration_keys: None,
    };
    let request =
        DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, ..Default::default() };
    let Response::DescribeConfigs(r) = rig.ask(request) else { panic!() };
    let entry = |name: &str| -> &DescribeConfigsResourceResult {
        r.results[0].configs.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("{name} is missing"))
    };
    let told = |name| (entry(name).value.as_deref(), entry(name).config_source);
    assert_eq!(told("cleanup.policy"), (Some("compact"), OF_TOPIC), "Schema Registry dies without it");
    assert_eq!(told("segment.bytes"), (Some("2000000"), OF_BROKER));
    assert_eq!(told("retention.ms"), (Some("604800000"), BY_DEFAULT));
    assert!(r.results[0].configs.iter().all(|c| c.config_type > 0 && !c.is_sensitive));
    let synonyms: Vec<&str> = entry("segment.bytes").synonyms.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(synonyms, ["log.segment.bytes", "log.segment.bytes"], "as set, and by default");
}

#[test]
fn log_dirs_tell_the_size_of_each_replica_and_the_room_on_the_volume() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 2, &[]);
    rig.create("u", 1, &[]);
    rig.free_bytes = 1 << 30;
    rig.produce("t", 1, batch(&["a"]));
    let size = batch(&["a"]).size() as i64;
    let mut ask = |topics| {
        let Response::DescribeLogDirs(r) = rig.ask(DescribeLogDirsRequest { topics }) else { panic!() };
        let dir = &r.results[0];
        assert_eq!((dir.error_code, dir.total_bytes, dir.usable_bytes), (ErrorCode::NONE, 1 << 40, 1 << 30));
        let sizes = dir
            .topics
            .iter()
            .flat_map(|t| t.partitions.iter().map(|p| (t.name.clone(), p.partition_index, p.partition_size)));
        sizes.collect::<Vec<_>>()
    };
    let all = [("t".into(), 0, size), ("t".into(), 1, 0), ("u".into(), 0, 0)];
    assert_eq!(ask(None), all, "null asks for all");
    let one = DescribableLogDirTopic { topic: "t".into(), partitions: vec![0] };
    assert_eq!(ask(Some(vec![one])), all[..1]);
}

#[test]
fn a_topic_is_deleted_by_its_id_and_an_id_that_no_topic_has_is_unknown() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let topic_id = rig.log("t", 0).topic;
    for expected in [(ErrorCode::NONE, Some("t".to_string())), (ErrorCode::UNKNOWN_TOPIC_ID, None)] {
        let topics = vec![DeleteTopicState { name: None, topic_id }];
        let Response::DeleteTopics(r) = rig.ask(DeleteTopicsRequest { topics, ..Default::default() }) else {
            panic!()
        };
        let told = &r.responses[0];
        assert_eq!((told.error_code, told.name.clone()), expected);
        assert_eq!(told.topic_id, topic_id);
    }
    assert!(rig.broker.log_of("t", 0).is_err());
}
