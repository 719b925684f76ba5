//! What clients find through Metadata, DescribeCluster and FindCoordinator: brokers, topics, ids, coordinators.

use super::start::restart;
use super::{Rig, batch};
use crate::broker::door::{Client, Request};
use crate::ids::TopicId;
use crate::wire::dialect::Dialect;
use crate::wire::messages::describe_cluster::DescribeClusterRequest;
use crate::wire::messages::describe_topic_partitions::DescribeTopicPartitionsRequest;
use crate::wire::messages::find_coordinator::{Coordinator, FindCoordinatorRequest};
use crate::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use crate::wire::{self, ErrorCode, Response};

fn named(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() };
    MetadataRequest { topics: Some(names.iter().map(topic).collect()), ..Default::default() }
}

fn metadata(rig: &mut Rig, request: MetadataRequest) -> MetadataResponse {
    let Response::Metadata(response) = rig.ask(request) else { panic!() };
    response
}

/// Asks as a client that came in on the listener advertised so.
fn ask_at(rig: &mut Rig, host: &str, port: u16, request: impl Into<wire::Request>) -> Response {
    let request = request.into();
    let dialect = Dialect::of(request.key(), *request.key().accepted().end());
    let from =
        Client { client_id: "test".into(), host: "/127.0.0.1".into(), advertised: (host.into(), port) };
    let to = rig.send_from(from, Request::Api(request), dialect);
    rig.answer(to)
}

fn coordinators(response: Response) -> Vec<Coordinator> {
    let Response::FindCoordinator(found) = response else { panic!() };
    found.coordinators
}

fn groups(keys: &[&str], key_type: i8) -> FindCoordinatorRequest {
    let coordinator_keys = keys.iter().map(|k| k.to_string()).collect();
    FindCoordinatorRequest { key_type, coordinator_keys, ..Default::default() }
}

#[test]
fn a_topic_is_found_by_its_id_and_an_id_that_no_topic_has_is_echoed_without_a_name() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let known = rig.log("t", 0).topic;
    let unknown = TopicId([9; 16]);
    let by_id = |topic_id| MetadataRequestTopic { name: None, topic_id };
    let topics = Some(vec![by_id(known), by_id(unknown)]);
    let found = metadata(&mut rig, MetadataRequest { topics, ..Default::default() });
    let told: Vec<_> = found.topics.iter().map(|t| (t.error_code, t.name.as_deref(), t.topic_id)).collect();
    let expected = [(ErrorCode::NONE, Some("t"), known), (ErrorCode::UNKNOWN_TOPIC_ID, None, unknown)];
    assert_eq!(told, expected);
}

#[test]
fn a_topic_has_one_id_in_every_answer_and_after_a_restart_and_fetch_takes_it() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", 1, batch(&["a"]));
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(metadata(&mut rig, named(&["t"])).topics[0].topic_id);
        let Response::DescribeTopicPartitions(page) = rig.ask(DescribeTopicPartitionsRequest::default())
        else {
            panic!()
        };
        ids.push(page.topics[0].topic_id);
        rig = restart(rig);
        rig.wake();
    }
    assert!(!ids[0].is_zero() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let mut request = rig.fetch_from("t", 0);
    (request.topics[0].topic, request.topics[0].topic_id) = (String::new(), ids[0]);
    let Response::Fetch(fetch) = rig.ask(request) else { panic!() };
    assert_eq!(fetch.responses[0].partitions[0].error_code, ErrorCode::NONE);
    assert_eq!(fetch.responses[0].topic_id, ids[0]);
}

#[test]
fn every_metadata_answer_names_a_broker_that_is_the_controller_and_one_constant_cluster() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let mut clusters = Vec::new();
    let all = MetadataRequest { topics: None, ..Default::default() };
    for request in [all, named(&[]), named(&["t"]), named(&["made"]), named(&["no/name"])] {
        let told = metadata(&mut rig, request);
        let brokers: Vec<i32> = told.brokers.iter().map(|b| b.node_id).collect();
        assert_eq!((brokers, told.controller_id), (vec![1], 1));
        clusters.push(told.cluster_id.expect("clients take null for a broken cluster"));
    }
    let Response::DescribeCluster(cluster) = rig.ask(DescribeClusterRequest::default()) else { panic!() };
    clusters.push(cluster.cluster_id);
    clusters.dedup();
    assert_eq!(clusters.len(), 1, "{clusters:?}");
}

#[test]
fn a_broker_and_a_coordinator_have_the_address_of_the_listener_that_was_asked() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    for (host, port) in [("inside", 9092), ("outside.example", 19092)] {
        let Response::Metadata(m) = ask_at(&mut rig, host, port, named(&["t"])) else { panic!() };
        assert_eq!((m.brokers[0].host.as_str(), m.brokers[0].port), (host, i32::from(port)));
        let Response::DescribeCluster(c) =
            ask_at(&mut rig, host, port, DescribeClusterRequest { endpoint_type: 1, ..Default::default() })
        else {
            panic!()
        };
        assert_eq!((c.brokers[0].host.as_str(), c.brokers[0].port), (host, i32::from(port)));
        let found = coordinators(ask_at(&mut rig, host, port, groups(&["g"], 0)));
        assert_eq!((found[0].host.as_str(), found[0].port), (host, i32::from(port)));
    }
}

#[test]
fn coordinators_of_several_groups_are_found_at_once_and_of_unknown_kinds_not() {
    let mut rig = Rig::new(&[]);
    let found = coordinators(rig.ask(groups(&["g", "h"], 0)));
    let told: Vec<_> = found.iter().map(|c| (c.key.as_str(), c.error_code, c.node_id)).collect();
    assert_eq!(told, [("g", ErrorCode::NONE, 1), ("h", ErrorCode::NONE, 1)]);
    for key_type in [2, 9, -1] {
        let refused = &coordinators(rig.ask(groups(&["g"], key_type)))[0];
        assert_eq!((refused.error_code, refused.node_id), (ErrorCode::INVALID_REQUEST, -1));
    }
}

#[test]
fn a_partition_without_a_leader_says_so_and_the_others_of_its_topic_have_theirs() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 2, &[]);
    rig.prompt = false;
    rig.produce("t", 1, batch(&["a"]));
    let broken = rig.log("t", 0);
    rig.fail(broken);
    let told = metadata(&mut rig, named(&["t"]));
    let partitions: Vec<_> = told.topics[0]
        .partitions
        .iter()
        .map(|p| (p.error_code, p.leader_id, p.leader_epoch, p.offline_replicas.clone()))
        .collect();
    let expected = [(ErrorCode::LEADER_NOT_AVAILABLE, -1, 0, vec![1]), (ErrorCode::NONE, 1, 0, Vec::new())];
    assert_eq!((told.topics[0].error_code, &partitions[..]), (ErrorCode::NONE, &expected[..]));
}

#[test]
fn operations_are_told_only_to_who_asks() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    for asks in [false, true] {
        let request = MetadataRequest {
            include_cluster_authorized_operations: asks,
            include_topic_authorized_operations: asks,
            ..named(&["t"])
        };
        let Response::Metadata(told) = rig.ask_in(10, request) else { panic!() };
        let told = [told.cluster_authorized_operations, told.topics[0].topic_authorized_operations];
        assert_eq!(told.map(|bits| bits != i32::MIN), [asks; 2]);
    }
}

#[test]
fn the_topic_of_groups_gets_its_own_configs_however_a_client_makes_it() {
    for made_by_metadata in [true, false] {
        let mut rig = Rig::new(&[("num.partitions", "3"), ("offsets.topic.num.partitions", "7")]);
        if made_by_metadata {
            let first = metadata(&mut rig, named(&["__consumer_offsets"]));
            assert_eq!(first.topics[0].error_code, ErrorCode::LEADER_NOT_AVAILABLE);
        } else {
            rig.ask(groups(&["g"], 0));
        }
        let found = metadata(&mut rig, named(&["__consumer_offsets"]));
        assert_eq!((found.topics[0].partitions.len(), found.topics[0].is_internal), (7, true));
        let config = rig.broker.topic_config(found.topics[0].topic_id);
        assert!(config.compacts && !config.deletes, "offsets must not age away");
    }
}

#[test]
fn a_topic_that_several_ask_for_at_once_is_made_once_and_is_usable_for_all() {
    let mut rig = Rig::new(&[]);
    rig.prompt = false;
    let waiting = [rig.send(named(&["t"])), rig.send(named(&["t"]))];
    rig.complete(&[]);
    for to in waiting {
        let Response::Metadata(told) = rig.answer(to) else { panic!() };
        assert_eq!(told.topics[0].error_code, ErrorCode::LEADER_NOT_AVAILABLE, "look again");
    }
    rig.prompt = true;
    let found = metadata(&mut rig, named(&["t"]));
    assert_eq!((found.topics[0].error_code, found.topics[0].partitions[0].leader_id), (ErrorCode::NONE, 1));
    let to = rig.produce("t", -1, batch(&["a"]));
    assert_eq!(rig.produced(to).base_offset, 0);
}
