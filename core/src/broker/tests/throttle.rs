//! Replicas that catch up under a throttle, in a cluster of three: at its pace, to the end, and to nobody else's harm (KIP-73).

use super::trio::Trio;
use super::{Rig, batch};
use crate::ids::{BrokerId, LogId};
use crate::wire::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use crate::wire::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest};
use crate::wire::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use crate::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::wire::{ErrorCode, Request, Response};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Batches that a new replica has to take, and about how large each is.
const BATCHES: i64 = 30;
const BYTES: usize = 10_000;
/// Bytes a second: two batches.
const RATE: &str = "20000";

fn ask(trio: &mut Trio, at: usize, request: impl Into<Request>) -> Response {
    let to = trio.rigs[at].send(request);
    trio.run(300);
    trio.rigs[at].answer(to)
}

/// Alters a config, or goes back to its default.
fn alter(trio: &mut Trio, at: usize, of: (i8, &str), config: (&str, Option<&str>)) -> (ErrorCode, String) {
    let (name, value) = config;
    let config_operation = if value.is_some() { 0 } else { 1 };
    let config = AlterableConfig { name: name.into(), config_operation, value: value.map(str::to_string) };
    let resource =
        AlterConfigsResource { resource_type: of.0, resource_name: of.1.into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let Response::IncrementalAlterConfigs(mut told) = ask(trio, at, request) else { panic!("not an answer") };
    let told = told.responses.remove(0);
    (told.error_code, told.error_message.unwrap_or_default())
}

fn set(trio: &mut Trio, at: usize, of: (i8, &str), config: (&str, Option<&str>)) {
    assert_eq!(alter(trio, at, of, config), (ErrorCode::NONE, String::new()), "{config:?}");
}

fn create(trio: &mut Trio, name: &str, replicas: &[i32]) -> LogId {
    let on = CreatableReplicaAssignment { partition_index: 0, broker_ids: replicas.to_vec() };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![on],
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let Response::CreateTopics(made) = ask(trio, 0, request) else { panic!("not an answer") };
    assert_eq!(made.topics[0].error_code, ErrorCode::NONE, "{:?}", made.topics[0].error_message);
    trio.run(1_000);
    trio.rigs[0].log(name, 0)
}

/// Three brokers, and a topic `big` that brokers 1 and 2 keep; and one, `other`, that 1 leads and 3 follows.
fn with_much(settings: &[(&'static str, &'static str)]) -> (Trio, LogId) {
    let mut trio = Trio::with(settings);
    let log = create(&mut trio, "big", &[1, 2]);
    create(&mut trio, "other", &[1, 3]);
    let value = "x".repeat(BYTES);
    for _ in 0..BATCHES {
        trio.rigs[0].produce("big", 1, batch(&[&value]));
    }
    trio.run(1_000);
    assert_eq!(end(&trio.rigs[1], log), BATCHES);
    (trio, log)
}

/// Broker 3 is to keep `big` too.
fn move_it(trio: &mut Trio) {
    let to = ReassignablePartition { partition_index: 0, replicas: Some(vec![1, 2, 3]) };
    let topics = vec![ReassignableTopic { name: "big".into(), partitions: vec![to] }];
    ask(trio, 0, AlterPartitionReassignmentsRequest { topics, ..Default::default() });
}

fn end(rig: &Rig, log: LogId) -> i64 {
    rig.broker.log(log).map_or(-1, |log| log.end().0)
}

fn is_in_sync(trio: &Trio, log: LogId) -> bool {
    let state = trio.rigs[0].broker.image().partition(log).expect("there is such a partition");
    state.isr.contains(&BrokerId(3))
}

/// What is produced to `other` is on both its brokers, and acknowledged, in next to no time.
fn the_other_is_not_held_up(trio: &mut Trio) {
    let to = trio.rigs[0].produce("other", -1, batch(&["a"]));
    trio.run(5);
    assert_eq!(trio.rigs[0].produced(to).error_code, ErrorCode::NONE);
}

/// A replica that catches up takes two batches a second, and is in sync when it has all.
fn catches_up_at_its_pace(trio: &mut Trio, log: LogId) {
    let before = end(&trio.rigs[2], log);
    for seconds in 1..=5 {
        trio.run(995);
        the_other_is_not_held_up(trio);
        let taken = end(&trio.rigs[2], log) - before;
        // One second is in advance, and a batch may go beyond what is left.
        assert!((2 * seconds - 1..=2 * seconds + 3).contains(&taken), "{taken} after {seconds} s");
    }
    assert!(!is_in_sync(trio, log));
    trio.run(15_000);
    assert_eq!(end(&trio.rigs[2], log), BATCHES);
    assert!(is_in_sync(trio, log));
}

#[test]
fn a_leader_sends_a_new_replica_no_more_than_its_throttle_says_and_all_in_the_end() {
    let (mut trio, log) = with_much(&[]);
    set(&mut trio, 0, (BROKER, "1"), ("leader.replication.throttled.rate", Some(RATE)));
    set(&mut trio, 0, (TOPIC, "big"), ("leader.replication.throttled.replicas", Some("0:1,0:2")));
    move_it(&mut trio);
    catches_up_at_its_pace(&mut trio, log);
}

#[test]
fn a_leader_reads_from_disk_for_a_new_replica_what_its_throttle_says() {
    let (mut trio, log) = with_much(&[("quipu.hot.tail.bytes", "0")]);
    set(&mut trio, 0, (BROKER, ""), ("leader.replication.throttled.rate", Some(RATE)));
    set(&mut trio, 0, (TOPIC, "big"), ("leader.replication.throttled.replicas", Some("*")));
    move_it(&mut trio);
    let before = end(&trio.rigs[2], log);
    trio.run(5_000);
    // This disk gives two batches at a time, however few were wanted: what was read counts.
    let taken = end(&trio.rigs[2], log) - before;
    assert!((8..=14).contains(&taken), "{taken} in 5 s");
    trio.run(20_000);
    assert!(is_in_sync(&trio, log));
}

#[test]
fn a_new_replica_asks_for_no_more_than_its_throttle_says_and_for_all_in_the_end() {
    let (mut trio, log) = with_much(&[("replica.fetch.response.max.bytes", "1024")]);
    set(&mut trio, 0, (BROKER, "3"), ("follower.replication.throttled.rate", Some(RATE)));
    set(&mut trio, 0, (TOPIC, "big"), ("follower.replication.throttled.replicas", Some("0:3")));
    move_it(&mut trio);
    catches_up_at_its_pace(&mut trio, log);
}

#[test]
fn replicas_that_are_not_named_or_stand_elsewhere_are_not_throttled() {
    let (mut trio, log) = with_much(&[]);
    for at in ["1", "2", "3"] {
        set(&mut trio, 0, (BROKER, at), ("leader.replication.throttled.rate", Some("1")));
        set(&mut trio, 0, (BROKER, at), ("follower.replication.throttled.rate", Some("1")));
    }
    // The leader is broker 1, and who follows is broker 3.
    set(&mut trio, 0, (TOPIC, "big"), ("leader.replication.throttled.replicas", Some("0:2,0:3,1:1")));
    set(&mut trio, 0, (TOPIC, "big"), ("follower.replication.throttled.replicas", Some("0:1,0:2,1:3")));
    move_it(&mut trio);
    trio.run(300);
    assert_eq!(end(&trio.rigs[2], log), BATCHES);
}

#[test]
fn who_is_in_sync_is_never_throttled() {
    let mut trio = Trio::new();
    create(&mut trio, "other", &[1, 3]);
    for (side, rate) in [("leader", "0"), ("follower", "0")] {
        let (rates, which) =
            (format!("{side}.replication.throttled.rate"), format!("{side}.replication.throttled.replicas"));
        set(&mut trio, 0, (BROKER, ""), (&rates, Some(rate)));
        set(&mut trio, 0, (TOPIC, "other"), (&which, Some("*")));
    }
    for _ in 0..20 {
        the_other_is_not_held_up(&mut trio);
    }
}

#[test]
fn a_throttle_that_is_taken_away_or_made_wider_has_effect_at_once() {
    for side in ["leader", "follower"] {
        let (rate, which) =
            (format!("{side}.replication.throttled.rate"), format!("{side}.replication.throttled.replicas"));
        let ways: [((i8, &str), &str, Option<&str>); 4] = [
            ((BROKER, ""), &rate, None),
            ((BROKER, ""), &rate, Some("100000000")),
            ((TOPIC, "big"), &which, None),
            ((TOPIC, "big"), &which, Some("1:1")),
        ];
        for (of, name, value) in ways {
            let (mut trio, log) = with_much(&[("replica.fetch.response.max.bytes", "1024")]);
            set(&mut trio, 0, (BROKER, ""), (&rate, Some("10")));
            set(&mut trio, 0, (TOPIC, "big"), (&which, Some("*")));
            move_it(&mut trio);
            trio.run(3_000);
            assert!(end(&trio.rigs[2], log) < 4, "{side}");
            set(&mut trio, 1, of, (name, value));
            trio.run(600);
            assert_eq!(end(&trio.rigs[2], log), BATCHES, "{name} {value:?}");
        }
    }
}

#[test]
fn throttles_are_shown_and_those_that_say_nothing_are_refused() {
    let mut trio = Trio::new();
    create(&mut trio, "big", &[1, 2]);
    let name = "leader.replication.throttled.replicas";
    let (code, why) = alter(&mut trio, 0, (TOPIC, "big"), (name, Some("0-1")));
    assert_eq!(code, ErrorCode::INVALID_CONFIG);
    let form = "in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...";
    assert!(why.contains("leader.replication.throttled.replicas must be the literal '*'"), "{why}");
    assert!(why.ends_with(form), "{why}");
    let rate = "follower.replication.throttled.rate";
    let (code, why) = alter(&mut trio, 0, (BROKER, "1"), (rate, Some("-1")));
    assert_eq!((code, why.ends_with("Value must be at least 0")), (ErrorCode::INVALID_CONFIG, true), "{why}");
    set(&mut trio, 0, (BROKER, "1"), (rate, Some("5000")));
    set(&mut trio, 0, (TOPIC, "big"), (name, Some("0:1")));
    let mut shown = |of: (i8, &str), name: &str| {
        let resource = DescribeConfigsResource {
            resource_type: of.0,
            resource_name: of.1.into(),
            configuration_keys: Some(vec![name.into()]),
        };
        let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
        let Response::DescribeConfigs(told) = ask(&mut trio, 0, request) else { panic!("not an answer") };
        let config = &told.results[0].configs[0];
        (config.value.clone(), config.config_source, config.read_only)
    };
    assert_eq!(shown((BROKER, "1"), rate), (Some("5000".into()), 2, false));
    assert_eq!(shown((TOPIC, "big"), name), (Some("0:1".into()), 1, false));
    let without = Some(i64::MAX.to_string());
    assert_eq!(shown((BROKER, "1"), "leader.replication.throttled.rate"), (without, 5, false));
}
