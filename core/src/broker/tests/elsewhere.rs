//! Clients that ask the wrong broker are told who leads (KIP-951), and consumers read from the replica in their own rack (KIP-392).

use super::trio::Trio;
use super::{Rig, batch};
use crate::ids::{LogId, Offset};
use crate::wire::Response;
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use crate::wire::messages::fetch::{FetchRequest, FetchResponse};

const SELECTOR: (&str, &str) =
    ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector");

/// A topic with one partition on three brokers; who leads it, and its log.
fn topic(trio: &mut Trio) -> (usize, LogId) {
    let topic =
        CreatableTopic { name: "t".into(), num_partitions: 1, replication_factor: 3, ..Default::default() };
    trio.rigs[0].send(CreateTopicsRequest { topics: vec![topic], ..Default::default() });
    trio.run(1_000);
    let log = trio.rigs[0].log("t", 0);
    let leader = trio.rigs[0].broker.image().partition(log).unwrap().leader.unwrap();
    (leader.0 as usize - 1, log)
}

fn write(trio: &mut Trio, at: usize) {
    let to = trio.rigs[at].produce("t", -1, batch(&["a", "b"]));
    trio.run(100);
    assert_eq!(trio.rigs[at].produced(to).error_code, ErrorCode::NONE);
}

fn fetched(rig: &mut Rig, version: i16, request: FetchRequest) -> FetchResponse {
    let Response::Fetch(found) = rig.ask_in(version, request) else { panic!("not an answer to Fetch") };
    found
}

#[test]
fn a_producer_that_asks_a_follower_is_told_the_leader_its_epoch_and_where_it_is() {
    let mut trio = Trio::new();
    let (leader, log) = topic(&mut trio);
    let follower = (leader + 1) % 3;
    let epoch = trio.rigs[0].broker.image().partition(log).unwrap().leader_epoch.0;
    let to = trio.rigs[follower].produce("t", -1, batch(&["a"]));
    let Response::Produce(told) = trio.rigs[follower].answer(to) else { panic!("not an answer") };
    let hint = &told.responses[0].partition_responses[0];
    assert_eq!(hint.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!((hint.current_leader.leader_id, hint.current_leader.leader_epoch), (leader as i32 + 1, epoch));
    let nodes: Vec<_> = told.node_endpoints.iter().map(|n| (n.node_id, n.host.as_str(), n.port)).collect();
    assert_eq!(nodes, [(leader as i32 + 1, ["host-1", "host-2", "host-3"][leader], 9092)]);
}

#[test]
fn who_waits_for_a_leader_that_is_deposed_is_told_the_next_one_and_who_knows_an_older_epoch_the_newer() {
    let mut trio = Trio::new();
    let (leader, log) = topic(&mut trio);
    trio.cut_off.insert(leader);
    trio.run(8_000);
    trio.cut_off.clear();
    let mut waits = None;
    while trio.rigs[leader].broker.leads(log) {
        waits = Some(trio.rigs[leader].produce("t", -1, batch(&["a"])));
        trio.run(100);
    }
    let waits = waits.expect("it does not know yet that it leads no more");
    let Response::Produce(told) = trio.rigs[leader].answer(waits) else { panic!("not an answer") };
    let hint = &told.responses[0].partition_responses[0];
    assert_eq!(hint.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER, "{hint:?}");
    assert_ne!(hint.current_leader.leader_id, leader as i32 + 1);
    let state = trio.rigs[leader].broker.image().partition(log).unwrap().clone();
    let leads = state.leader.unwrap().0 as usize - 1;
    let mut asked = trio.rigs[leads].fetch_from("t", 0);
    asked.topics[0].partitions[0].current_leader_epoch = 0;
    let told = fetched(&mut trio.rigs[leads], 16, asked);
    let hint = &told.responses[0].partitions[0];
    assert_eq!(hint.error_code, ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(hint.current_leader.leader_epoch, state.leader_epoch.0);
    assert_eq!(told.node_endpoints.len(), 1);
}

#[test]
fn a_consumer_may_read_from_a_follower_what_that_knows_to_be_committed_and_no_more() {
    let mut trio = Trio::new();
    let (leader, log) = topic(&mut trio);
    let follower = (leader + 1) % 3;
    write(&mut trio, leader);
    trio.run(600);
    let asked = trio.rigs[follower].fetch_from("t", 0);
    let old = fetched(&mut trio.rigs[follower], 10, FetchRequest { max_wait_ms: 0, ..asked.clone() });
    assert_eq!(old.responses[0].partitions[0].error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let found = fetched(&mut trio.rigs[follower], 12, asked.clone());
    let found = &found.responses[0].partitions[0];
    assert_eq!((found.error_code, found.high_watermark), (ErrorCode::NONE, 2));
    assert!(found.records.as_ref().is_some_and(|records| records.held_bytes() > 0));
    // What comes later wakes who waits, once it is known to be committed here too.
    let waits = trio.rigs[follower].fetch_from("t", 2);
    let to = trio.rigs[follower].send_in(12, waits);
    write(&mut trio, leader);
    trio.run(300);
    let Response::Fetch(found) = trio.rigs[follower].answer(to) else { panic!("not an answer") };
    assert_eq!(found.responses[0].partitions[0].high_watermark, 4);
    // What it has and does not know to be committed is not read.
    trio.cut_off.insert((leader + 2) % 3);
    trio.rigs[leader].produce("t", 1, batch(&["e"]));
    trio.run(300);
    assert_eq!(trio.rigs[follower].broker.log(log).unwrap().end().0, 5, "one of three is away");
    let ahead = FetchRequest { max_wait_ms: 0, ..trio.rigs[follower].fetch_from("t", 4) };
    let found = fetched(&mut trio.rigs[follower], 12, ahead);
    let found = &found.responses[0].partitions[0];
    assert_eq!((found.error_code, found.high_watermark), (ErrorCode::NONE, 4));
    assert_eq!(found.records.as_ref().map_or(0, |records| records.held_bytes()), 0);
    let beyond = FetchRequest { max_wait_ms: 0, ..trio.rigs[follower].fetch_from("t", 6) };
    let found = fetched(&mut trio.rigs[follower], 12, beyond);
    assert_eq!(found.responses[0].partitions[0].error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[test]
fn a_consumer_is_told_to_read_in_its_own_rack_and_goes_back_to_the_leader_when_nobody_is_in_sync_there() {
    let mut trio = Trio::with(&[("broker.rack", "r{id}"), SELECTOR]);
    let (leader, _) = topic(&mut trio);
    write(&mut trio, leader);
    let near = (leader + 1) % 3;
    let asked = |trio: &Trio, rack: usize| FetchRequest {
        rack_id: format!("r{}", rack + 1),
        max_wait_ms: 0,
        ..trio.rigs[leader].fetch_from("t", 0)
    };
    let preferred = |trio: &mut Trio, version: i16, rack: usize| {
        let request = asked(trio, rack);
        let found =
            fetched(&mut trio.rigs[leader], version, request).responses.remove(0).partitions.remove(0);
        let bytes = found.records.map_or(0, |records| records.held_bytes());
        (found.preferred_read_replica, bytes > 0)
    };
    assert_eq!(preferred(&mut trio, 12, near), (near as i32 + 1, false));
    assert_eq!(preferred(&mut trio, 12, leader), (-1, true), "the leader is in that rack");
    assert_eq!(preferred(&mut trio, 12, 7), (-1, true), "nobody is in that rack");
    assert_eq!(preferred(&mut trio, 10, near), (-1, true), "it would not understand");
    // It has led once, and deleted what the leader still has.
    let log = trio.rigs[near].log("t", 0);
    trio.act(near, |broker, turn| broker.trim(turn, log, Offset(1)));
    trio.run(1_000);
    assert_eq!(
        preferred(&mut trio, 12, near),
        (-1, true),
        "it would be told that this is out of range, again and again"
    );
    trio.crash(near);
    trio.run(8_000);
    assert!(trio.rigs[leader].broker.leads(trio.rigs[leader].log("t", 0)), "another one died");
    assert_eq!(preferred(&mut trio, 12, near), (-1, true), "it is not in sync any more");
}
