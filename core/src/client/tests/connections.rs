//! Connections: versions, time-outs, late answers, and calls that find their broker.

use crate::client::door::{CallError, ClientInput, Command, Event, Target};
use crate::client::testing::{Bench, address, versions};
use crate::ids::BrokerId;
use crate::wire::messages::create_topics::{
    CreatableTopic, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use crate::wire::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use crate::wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use crate::wire::{ApiKey, ErrorCode, Request, Response};

fn call(target: Target, request: impl Into<Request>) -> Command {
    Command::Call { tag: 5, target, request: request.into(), timeout_ms: 20_000 }
}

fn create() -> CreateTopicsRequest {
    let topic =
        CreatableTopic { name: "t".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    CreateTopicsRequest { topics: vec![topic], ..Default::default() }
}

fn created(error_code: ErrorCode) -> CreateTopicsResponse {
    let topic = CreatableTopicResult { name: "t".into(), error_code, ..Default::default() };
    CreateTopicsResponse { topics: vec![topic], ..Default::default() }
}

/// The result of the one call, once it is there.
fn result(bench: &mut Bench) -> Option<Result<Response, CallError>> {
    bench.news().into_iter().find_map(|e| match e {
        Event::Answered { tag: 5, result } => Some(result),
        _ => None,
    })
}

#[test]
fn a_broker_that_does_not_know_our_apiversions_is_asked_again_in_its_own() {
    let mut bench = Bench::new();
    bench.answers_ordinary = false;
    bench.command(call(Target::Any, ListGroupsRequest::default()));
    let conn = *bench.open.keys().next().unwrap();
    bench.step(ClientInput::Connected { conn });
    let first = bench.heard(ApiKey::ApiVersions);
    assert_eq!(first.header.version, 4);
    // Kafka answers in version 0 with error 35 and its versions (KIP-511).
    let mut refusal = versions(&[(ApiKey::ApiVersions, 0, 2)]);
    if let Response::ApiVersions(r) = &mut refusal {
        r.error_code = ErrorCode::UNSUPPORTED_VERSION;
    }
    let mut as_version_0 = first;
    as_version_0.header.version = 0;
    bench.answer(&as_version_0, refusal);
    let second = bench.heard(ApiKey::ApiVersions);
    assert_eq!(second.header.version, 2);
    bench.answer(&second, versions(&[(ApiKey::ListGroups, 0, 1)]));
    let asked = bench.heard(ApiKey::ListGroups);
    assert_eq!(asked.header.version, 1, "the newest that both speak");
    bench.answer(&asked, ListGroupsResponse::default());
    assert!(matches!(result(&mut bench), Some(Ok(Response::ListGroups(_)))));
}

#[test]
fn a_request_the_broker_does_not_offer_is_refused_unsent() {
    let mut bench = Bench::new();
    bench.answers_ordinary = false;
    bench.command(call(Target::Any, DescribeClusterRequest::default()));
    let conn = *bench.open.keys().next().unwrap();
    bench.step(ClientInput::Connected { conn });
    let asked = bench.heard(ApiKey::ApiVersions);
    bench.answer(&asked, versions(&[(ApiKey::DescribeCluster, 90, 99)]));
    let Some(Err(CallError::Unsupported(text))) = result(&mut bench) else { panic!("it must be refused") };
    assert!(text.contains("DescribeCluster"), "{text}");
    bench.quiet();
}

#[test]
fn a_lost_answer_leaves_the_outcome_of_a_change_unknown_and_repeats_a_question() {
    let mut bench = Bench::new();
    bench.command(call(Target::Any, create()));
    let asked = bench.heard(ApiKey::CreateTopics);
    bench.cut(asked.conn);
    assert!(matches!(result(&mut bench), Some(Err(CallError::Unknown(_)))));

    bench.command(call(Target::Any, ListGroupsRequest::default()));
    let asked = bench.heard(ApiKey::ListGroups);
    bench.cut(asked.conn);
    bench.pass(2000);
    let again = bench.heard(ApiKey::ListGroups);
    bench.answer(&again, ListGroupsResponse::default());
    assert!(matches!(result(&mut bench), Some(Ok(_))));
}

#[test]
fn an_answer_after_the_time_out_is_dropped() {
    let mut bench = Bench::new();
    bench.command(call(Target::Any, create()));
    let asked = bench.heard(ApiKey::CreateTopics);
    bench.pass(20_001);
    assert!(matches!(result(&mut bench), Some(Err(CallError::Unknown(_)))));
    bench.answer(&asked, created(ErrorCode::NONE));
    assert!(result(&mut bench).is_none(), "one answer only");

    bench.command(call(Target::Any, create()));
    let asked = bench.heard(ApiKey::CreateTopics);
    bench.pass(30_001);
    assert!(bench.closed.contains(&asked.conn), "a connection that does not answer is given up");
    bench.answer(&asked, created(ErrorCode::NONE));
    assert!(matches!(result(&mut bench), Some(Err(CallError::Unknown(_)))));
}

#[test]
fn a_call_for_the_controller_finds_the_new_one() {
    let mut bench = Bench::new();
    bench.command(call(Target::Controller, create()));
    let asked = bench.heard(ApiKey::CreateTopics);
    assert_eq!(bench.open[&asked.conn], address(1));
    bench.answer(&asked, created(ErrorCode::NOT_CONTROLLER));
    assert!(result(&mut bench).is_none());
    bench.pass(1000);
    let again = bench.heard(ApiKey::CreateTopics);
    bench.answer(&again, created(ErrorCode::NONE));
    assert!(matches!(result(&mut bench), Some(Ok(_))));
}

#[test]
fn a_broker_that_cannot_be_reached_is_reported_and_tried_again() {
    let mut bench = Bench::new();
    bench.answers_ordinary = false;
    bench.command(call(Target::Any, ListGroupsRequest::default()));
    let conn = *bench.open.keys().next().unwrap();
    bench.step(ClientInput::Disconnected { conn, why: "connection refused".into() });
    assert!(matches!(&bench.news()[..], [Event::Unreachable { addr, .. }] if *addr == address(1)));
    bench.open.clear();
    bench.pass(500);
    assert_eq!(bench.open.len(), 1, "a new connection is tried");
    bench.pass(30_000);
    let Some(Err(CallError::Failed(failure))) = result(&mut bench) else {
        panic!("the call ends with its time")
    };
    assert!(failure.text.contains("b1:9001"), "{failure}");
}

#[test]
fn a_broker_is_asked_by_its_number_once_metadata_has_named_it() {
    let mut bench = Bench::new();
    bench.command(call(Target::Broker(BrokerId(2)), DescribeClusterRequest::default()));
    let asked = bench.heard(ApiKey::DescribeCluster);
    assert_eq!(bench.open[&asked.conn], address(2));
    bench.answer(&asked, DescribeClusterResponse::default());
    assert!(matches!(result(&mut bench), Some(Ok(_))));
    bench.command(call(Target::Broker(BrokerId(9)), DescribeClusterRequest::default()));
    assert!(matches!(result(&mut bench), Some(Err(CallError::Failed(_)))));
}
