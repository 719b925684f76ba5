//! Clients that ask who leads in the moment in which a leader has died.

use super::replicas::{create, leader_of};
use super::trio::Trio;
use crate::broker::door::{Caller, Input};
use crate::ids::BrokerId;
use crate::wire::Response;
use crate::wire::messages::find_coordinator::FindCoordinatorRequest;
use crate::wire::messages::metadata::MetadataRequest;

/// Three brokers that share a topic of three partitions: all of them, one that leads and does not decide, and the third.
fn shared() -> (Trio, usize, usize) {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 3);
    let [gone, other] = trio.others()[..] else { panic!("three brokers") };
    assert!((0..3).any(|index| leader_of(&trio, 0, trio.rigs[0].log("t", index)) == Some(gone)));
    (trio, gone, other)
}

fn unlinked(trio: &mut Trio, at: usize, from: usize) {
    trio.rigs[at].now.mono = trio.now;
    trio.rigs[at].step(Input::Unlinked { broker: BrokerId(from as i32 + 1) });
}

/// Asks for everything.
fn ask(trio: &mut Trio, at: usize) -> Caller {
    trio.rigs[at].send(MetadataRequest { topics: None, ..Default::default() })
}

fn leaders(trio: &mut Trio, at: usize, to: Caller) -> Vec<i32> {
    let Response::Metadata(told) = trio.rigs[at].answer(to) else { panic!("not an answer to Metadata") };
    let topic = told.topics.iter().filter(|topic| topic.name.as_deref() == Some("t"));
    let partitions = topic.flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.leader_id).collect()
}

#[test]
fn who_asks_before_anybody_can_know_is_told_who_leads_instead_and_not_who_has_led() {
    let (mut trio, gone, other) = shared();
    let controller = trio.leader();
    trio.crash(gone);
    unlinked(&mut trio, other, gone);
    let metadata = ask(&mut trio, other);
    let keys = vec!["g".to_owned()];
    let coordinator =
        trio.rigs[other].send(FindCoordinatorRequest { coordinator_keys: keys, ..Default::default() });
    trio.run(5);
    assert!([metadata, coordinator].iter().all(|to| !trio.rigs[other].replies.contains_key(to)));
    trio.rigs[controller].now.mono = trio.now;
    trio.rigs[controller].step(Input::Absent { broker: BrokerId(gone as i32 + 1) });
    trio.run(100);
    let told = leaders(&mut trio, other, metadata);
    assert!(told.iter().all(|leader| *leader >= 1 && *leader != gone as i32 + 1), "{told:?}");
    assert!(trio.rigs[other].replies.contains_key(&coordinator));
    let again = ask(&mut trio, other);
    assert_eq!(leaders(&mut trio, other, again), told, "nobody is in doubt any more");
}

#[test]
fn a_broker_that_is_there_all_the_same_is_waited_for_once_and_for_a_moment() {
    let (mut trio, there, other) = shared();
    let before = ask(&mut trio, other);
    let before = leaders(&mut trio, other, before);
    unlinked(&mut trio, other, there);
    let first = ask(&mut trio, other);
    trio.run(200);
    assert!(!trio.rigs[other].replies.contains_key(&first));
    let second = ask(&mut trio, other);
    trio.run(60);
    for to in [first, second] {
        assert_eq!(leaders(&mut trio, other, to), before);
    }
    let third = ask(&mut trio, other);
    assert_eq!(leaders(&mut trio, other, third), before);
}

#[test]
fn a_client_that_is_gone_waits_no_more_and_one_of_many_is_answered_at_once() {
    let (mut trio, there, other) = shared();
    unlinked(&mut trio, other, there);
    let first = ask(&mut trio, other);
    for _ in 1..1_000 {
        ask(&mut trio, other);
    }
    let one_more = ask(&mut trio, other);
    assert!(!leaders(&mut trio, other, one_more).is_empty());
    trio.rigs[other].step(Input::Gone { conn: first.conn });
    trio.run(1_000);
    assert!(!trio.rigs[other].replies.contains_key(&first));
}

#[test]
fn a_broker_that_has_died_is_listed_for_as_long_as_clients_of_kafka_see_one_and_then_no_more() {
    let (mut trio, gone, other) = shared();
    trio.crash(gone);
    trio.run(3_000);
    let listed = |trio: &mut Trio| {
        let to = ask(trio, other);
        let Response::Metadata(told) = trio.rigs[other].answer(to) else { panic!("not an answer") };
        let leaders = told.topics.iter().flat_map(|t| &t.partitions).map(|p| p.leader_id);
        assert!(leaders.into_iter().all(|leader| leader != gone as i32 + 1), "others lead");
        told.brokers.len()
    };
    assert_eq!(listed(&mut trio), 3);
    trio.run(9_000);
    assert_eq!(listed(&mut trio), 2);
    trio.restart(gone);
    trio.run(8_000);
    assert_eq!(listed(&mut trio), 3);
    // One that stops in order hands over, and is not there any more then.
    trio.rigs[gone].step(Input::Stop);
    trio.run(3_000);
    assert_eq!(listed(&mut trio), 2);
}
