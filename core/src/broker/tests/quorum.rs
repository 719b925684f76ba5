//! Brokers that keep one metadata log: what one of them decides is known to all, whoever dies.

use super::replicas::coordinator;
use super::trio::Trio;
use crate::ids::{BrokerId, LeaderEpoch, LogId};
use crate::record::Batch;
use crate::wire::Response;
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use crate::wire::messages::find_coordinator::FindCoordinatorRequest;
use crate::wire::messages::metadata::MetadataRequest;

#[test]
fn what_the_leader_decides_is_known_to_all_and_so_is_who_the_voters_are() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    assert_eq!(trio.known(), [10, 10, 10]);
    let images: Vec<_> = trio.rigs.iter().map(|rig| rig.broker.controller.image()).collect();
    assert_eq!(images[0].voters().len(), 3);
    assert_eq!(images[0].encode(), images[1].encode());
    assert_eq!(images[0].encode(), images[2].encode());
    let leader = BrokerId(trio.leader() as i32 + 1);
    assert_eq!(images[0].metadata_leader().map(|(id, _)| id), Some(leader));
}

#[test]
fn a_dead_leader_is_followed_by_another_that_has_all_that_was_committed_and_what_was_not_is_cut() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    let first = trio.leader();
    let others = trio.others();
    // It writes one more fact that nobody hears of.
    trio.decide(99);
    trio.crash(first);
    let kept = trio.rigs[first].disk[&LogId::METADATA].len();
    trio.run(8_000);
    let second = trio.leader();
    assert!(others.contains(&second));
    trio.decide(20);
    trio.restart(first);
    assert_eq!(trio.rigs[first].disk[&LogId::METADATA].len(), kept, "its last one is still there");
    trio.run(5_000);
    assert_eq!(trio.known(), [20, 20, 20]);
    let log = |trio: &Trio, at: usize| {
        let batches = trio.rigs[at].disk[&LogId::METADATA].iter();
        batches.map(|batch| batch.to_bytes()).collect::<Vec<_>>()
    };
    assert_eq!(log(&trio, first), log(&trio, second), "on disk as well");
}

#[test]
fn nothing_is_committed_before_a_majority_has_it_on_disk() {
    let mut trio = Trio::new();
    for at in trio.others() {
        trio.rigs[at].prompt = false;
    }
    trio.decide(10);
    trio.run(300);
    assert_eq!(trio.known(), [0, 0, 0], "all have it, but only one of them on disk");
    let one = trio.others()[0];
    trio.rigs[one].complete(&[]);
    trio.run(300);
    let leader = trio.leader();
    assert_eq!(trio.known()[leader], 10);
}

#[test]
fn a_fact_that_finds_no_room_on_the_leaders_disk_is_known_to_all_or_to_none_and_a_later_epoch_begins() {
    let mut trio = Trio::new();
    let first = trio.leader();
    let epoch = |trio: &Trio| trio.rigs[trio.leader()].broker.quorum.as_ref().map(|q| q.epoch());
    let before = epoch(&trio);
    trio.others().into_iter().for_each(|at| trio.rigs[at].prompt = false);
    trio.rigs[first].prompt = false;
    trio.decide(10);
    trio.rigs[first].complete(&[LogId::METADATA]);
    for rig in &mut trio.rigs {
        rig.prompt = true;
        rig.complete(&[]);
    }
    trio.run(8_000);
    // The others may have had it before the leader's disk refused it.
    let known = trio.known();
    assert!(known == [0, 0, 0] || known == [10, 10, 10], "{known:?}");
    assert!(epoch(&trio) > before);
}

#[test]
fn a_node_whose_metadata_has_another_leader_epoch_than_it_was_written_in_does_not_take_part() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    let log = |trio: &Trio, at: usize| trio.rigs[at].disk[&LogId::METADATA].clone();
    let (before, damaged) = (log(&trio, 0), trio.others()[0]);
    trio.crash(damaged);
    let batch = &mut trio.rigs[damaged].disk.get_mut(&LogId::METADATA).unwrap()[1];
    batch.stamp(batch.header().base_offset, LeaderEpoch(1 << 25));
    trio.restart(damaged);
    trio.run(8_000);
    assert!(
        trio.rigs[damaged].broker.status().dead.is_some_and(|why| why.contains("leader epoch is 33554432"))
    );
    let bytes = |log: Vec<Batch>| log.iter().map(Batch::to_bytes).collect::<Vec<_>>();
    let intact = (0..3).find(|at| *at != damaged && *at != 0).unwrap_or(0);
    assert!(bytes(log(&trio, intact)).starts_with(&bytes(before)), "nothing of theirs is cut");
    trio.crash(damaged);
    trio.decide(20);
    trio.run(3_000);
    assert_eq!(trio.known()[trio.leader()], 20, "the others go on");
}

#[test]
fn after_all_were_down_everything_committed_is_there_again() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    (0..3).for_each(|at| trio.crash(at));
    (0..3).for_each(|at| trio.restart(at));
    trio.run(8_000);
    assert_eq!(trio.known(), [10, 10, 10]);
    trio.decide(20);
    trio.run(3_000);
    assert_eq!(trio.known(), [20, 20, 20]);
}

#[test]
fn a_voter_whose_disk_was_emptied_gets_its_vote_back_so_that_another_may_die() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    for wiped in 0..3 {
        trio.crash(wiped);
        trio.run(8_000);
        trio.restart_over(wiped, None);
        trio.run(12_000);
        let directory = trio.rigs[wiped].broker.identity.directory_id;
        for rig in &trio.rigs {
            let voters = rig.broker.image().voters();
            assert_eq!(voters.len(), 3);
            assert_eq!(voters[&BrokerId(wiped as i32 + 1)], directory, "{:?}", rig.notes);
        }
    }
    // None of the disks is there any more on which it began. What was committed then is, whoever is away.
    for away in 0..3 {
        trio.crash(away);
        trio.run(8_000);
        assert_eq!(trio.known()[trio.leader()], 10);
        trio.restart(away);
        trio.run(8_000);
    }
}

#[test]
fn a_voter_with_an_empty_disk_that_has_not_caught_up_gets_no_vote_and_keeps_nobody_in_office() {
    let mut trio = Trio::new();
    let leader = trio.leader();
    let [wiped, other] = trio.others()[..] else { unreachable!("three of them") };
    trio.crash(wiped);
    trio.crash(other);
    trio.restart_over(wiped, None);
    trio.run(20_000);
    assert!(
        !trio.rigs[leader].broker.quorum.as_ref().unwrap().is_leader(),
        "one vote of three is no majority"
    );
    trio.restart(other);
    trio.run(12_000);
    assert_eq!(trio.rigs[leader].broker.image().voters().len(), 3);
    assert_ne!(trio.rigs[leader].broker.image().voters()[&BrokerId(wiped as i32 + 1)], [wiped as u8 + 1; 16]);
}

#[test]
fn a_topic_is_not_said_to_exist_before_it_is_committed() {
    let mut trio = Trio::new();
    let leader = trio.leader();
    coordinator(&mut trio, leader);
    trio.cut_off.insert(leader);
    let topic =
        CreatableTopic { name: "t".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    trio.rigs[leader].send(request.clone());
    trio.rigs[leader].send(request.clone());
    // What tells only of what is committed does not wait: by that clients find another broker.
    let keys = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
    assert!(matches!(trio.rigs[leader].ask(keys), Response::FindCoordinator(_)));
    assert!(matches!(trio.rigs[leader].ask(MetadataRequest::default()), Response::Metadata(_)));
    trio.run(8_000);
    // It was never decided: whoever asked, or asked again, finds out from the next controller.
    let rig = &trio.rigs[leader];
    assert!(rig.replies.is_empty() && rig.closed.len() == 2, "{:?} {:?}", rig.replies, rig.closed);
    trio.cut_off.clear();
    trio.run(8_000);
    let next = trio.leader();
    for expected in [ErrorCode::NONE, ErrorCode::TOPIC_ALREADY_EXISTS] {
        let to = trio.rigs[next].send(request.clone());
        trio.run(100);
        let Response::CreateTopics(told) = trio.rigs[next].answer(to) else { panic!("not an answer") };
        assert_eq!(told.topics[0].error_code, expected);
    }
}
