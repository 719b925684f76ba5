//! Brokers that take part without a vote: they join, keep and lead records, die, come back, and leave for good.

use super::replicas::{commit, committed, coordinator, create, ends, leader_of};
use super::trio::{Trio, address};
use super::{Rig, batch};
use crate::broker::door::Input;
use crate::cluster::membership;
use crate::cluster::view::View;
use crate::ids::{BrokerId, LogId, Offset};
use crate::quorum::Quorum;
use crate::wire::Response;
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest};
use crate::wire::messages::metadata::MetadataRequest;

const FOURTH: usize = 3;

/// Three voters that run, and a fourth broker that has just come.
fn four() -> Trio {
    let mut all = Trio::new();
    all.add(FOURTH);
    all.run(4_000);
    all
}

/// One voter and two brokers without a vote.
fn one_voter() -> Trio {
    let mut all = Trio::of(1);
    (0..3).for_each(|at| all.add(at));
    all.run(8_000);
    all
}

/// Makes a topic whose only partition is on these brokers, the first of which is to lead it.
fn place(all: &mut Trio, at: usize, name: &str, on: &[i32]) -> LogId {
    let assigned = CreatableReplicaAssignment { partition_index: 0, broker_ids: on.to_vec() };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![assigned],
        ..Default::default()
    };
    let to = all.rigs[at].send(CreateTopicsRequest { topics: vec![topic], ..Default::default() });
    all.run(1_000);
    let Response::CreateTopics(made) = all.rigs[at].answer(to) else { panic!("not an answer") };
    assert_eq!(made.topics[0].error_code, ErrorCode::NONE, "{:?}", made.topics[0].error_message);
    all.rigs[at].log(name, 0)
}

/// Which brokers take part, as one of them sees it.
fn active(all: &Trio, at: usize) -> Vec<i32> {
    let brokers = all.rigs[at].broker.image().brokers().iter();
    brokers.filter(|(_, r)| r.is_active()).map(|(id, _)| id.0).collect()
}

fn isr(all: &Trio, at: usize, log: LogId) -> Vec<i32> {
    let mut isr: Vec<i32> =
        all.rigs[at].broker.image().partition(log).unwrap().isr.iter().map(|id| id.0).collect();
    isr.sort_unstable();
    isr
}

fn writes(all: &mut Trio, at: usize, topic: &str, offset: i64) {
    let to = all.rigs[at].produce(topic, -1, batch(&["x"]));
    all.run(500);
    let told = all.rigs[at].produced(to);
    assert_eq!((told.error_code, told.base_offset), (ErrorCode::NONE, offset), "{told:?}");
}

#[test]
fn a_broker_without_a_vote_joins_and_everybody_knows_where_it_is() {
    let mut all = Trio::new();
    let epoch = |all: &Trio| all.rigs[0].broker.quorum.as_ref().map(Quorum::epoch);
    let before = epoch(&all);
    all.add(FOURTH);
    assert_eq!(all.rigs[FOURTH].broker.me().address, Some(address(4)));
    all.run(4_000);
    for at in 0..4 {
        assert!(all.rigs[at].broker.is_ready(), "{:?}", all.rigs[at].notes);
        assert_eq!(active(&all, at), [1, 2, 3, 4]);
        assert_eq!(all.rigs[at].broker.image().voters().len(), 3);
        let others: Vec<i32> = (1..=4).filter(|id| *id != at as i32 + 1).collect();
        let known = &all.rigs[at].addresses;
        assert_eq!(known.keys().map(|id| id.0).collect::<Vec<_>>(), others);
        assert!(known.iter().all(|(id, there)| *there == address(id.0 as usize)));
    }
    assert_eq!(
        all.rigs[FOURTH].cluster,
        all.rigs[0].broker.status().cluster_id,
        "it has learned the cluster"
    );
    assert_eq!(epoch(&all), before, "nobody was elected for that");
    let Response::Metadata(told) =
        all.rigs[FOURTH].ask(MetadataRequest { topics: None, ..Default::default() })
    else {
        panic!("not an answer to Metadata")
    };
    assert_eq!(told.brokers.len(), 4);
}

#[test]
fn a_leader_without_a_vote_acknowledges_dies_is_replaced_and_comes_back_in_sync() {
    let mut all = four();
    let log = place(&mut all, FOURTH, "t", &[4, 1, 2]);
    assert_eq!(leader_of(&all, 0, log), Some(FOURTH));
    writes(&mut all, FOURTH, "t", 0);
    all.run(600);
    assert_eq!(ends(&all, log), [(1, 1), (1, 1), (-1, -1), (1, 1)].map(|(a, b)| (Offset(a), Offset(b))));
    all.crash(FOURTH);
    all.run(8_000);
    assert_eq!(active(&all, 0), [1, 2, 3]);
    let next = leader_of(&all, 0, log).expect("another leads");
    writes(&mut all, next, "t", 1);
    all.restart(FOURTH);
    all.run(8_000);
    assert_eq!((active(&all, 0), isr(&all, 0, log)), (vec![1, 2, 3, 4], vec![1, 2, 4]));
    assert_eq!(ends(&all, log)[FOURTH], (Offset(2), Offset(2)));
}

#[test]
fn a_broker_without_a_vote_follows_another_one_at_the_address_that_it_has_registered() {
    let mut all = four();
    all.add(4);
    all.run(4_000);
    let log = place(&mut all, 4, "t", &[5, 4]);
    assert_eq!(leader_of(&all, 4, log), Some(4));
    writes(&mut all, 4, "t", 0);
    all.run(600);
    assert_eq!(ends(&all, log)[FOURTH], (Offset(1), Offset(1)));
    assert_eq!(isr(&all, 0, log), [4, 5]);
}

#[test]
fn the_active_controller_dies_or_stops_and_no_broker_without_a_vote_counts_as_gone() {
    let mut all = four();
    let log = place(&mut all, FOURTH, "t", &[4, 1, 2, 3]);
    let run = |all: &Trio| all.rigs[FOURTH].broker.member.run;
    let before = run(&all);
    for (in_order, refused) in [(false, false), (true, false), (false, true), (true, true)] {
        let leader = all.leader();
        if in_order {
            all.rigs[leader].now.mono = all.now;
            all.rigs[leader].step(Input::Stop);
            all.run(2_000);
        }
        all.crash(leader);
        if refused {
            let broker = BrokerId(leader as i32 + 1);
            for at in all.up() {
                all.rigs[at].now.mono = all.now;
                all.rigs[at].step(Input::Absent { broker });
            }
        }
        all.run(8_000);
        let other = (leader + 1) % 3;
        assert_eq!(leader_of(&all, other, log), Some(FOURTH), "in order: {in_order}");
        let state = all.rigs[other].broker.image().partition(log).unwrap();
        assert_eq!(state.leader_epoch.0, 0, "it was led on all the time");
        all.restart(leader);
        all.run(8_000);
        assert_eq!(isr(&all, 0, log), [1, 2, 3, 4]);
    }
    assert_eq!(run(&all), before);
    assert!(!all.rigs[FOURTH].broker.quorum.as_ref().unwrap().is_leader());
}

#[test]
fn a_broker_without_a_vote_stops_in_order_and_hands_over_first() {
    let mut all = four();
    let log = place(&mut all, 0, "t", &[4, 1]);
    all.rigs[FOURTH].now.mono = all.now;
    all.rigs[FOURTH].step(Input::Stop);
    all.run(1_000);
    assert!(!all.rigs[FOURTH].broker.is_ready(), "it has stopped");
    assert_eq!(leader_of(&all, 0, log), Some(0));
    writes(&mut all, 0, "t", 0);
}

#[test]
fn it_coordinates_groups_and_what_they_have_committed_survives_it() {
    let mut all = one_voter();
    create(&mut all, 1, "t", 1);
    let found = coordinator(&mut all, 1).or_else(|| coordinator(&mut all, 1));
    let mut first = found.expect("the topic of groups is made on first use");
    let to = commit(&mut all.rigs[first], 7);
    all.run(500);
    let Response::OffsetCommit(told) = all.rigs[first].answer(to) else { panic!("not an answer") };
    assert_eq!(told.topics[0].partitions[0].error_code, ErrorCode::NONE);
    // Whoever it was: then somebody without a vote, and then the other one.
    for _ in 0..2 {
        all.crash(first);
        all.run(4_000);
        if first == 0 {
            // Nobody decides who follows it until it is back.
            all.restart(first);
            all.run(8_000);
        }
        let asked = (first + 1) % 3;
        let next = coordinator(&mut all, asked).expect("another coordinates it");
        assert_eq!(committed(&mut all.rigs[next]), (ErrorCode::NONE, 7));
        if all.down.contains(&first) {
            all.restart(first);
            all.run(8_000);
        }
        first = next;
    }
}

#[test]
fn one_voter_and_two_brokers_without_a_vote_go_on_while_it_is_away_and_after() {
    let mut all = one_voter();
    assert!((0..3).all(|at| active(&all, at) == [1, 2, 3]));
    assert_eq!(all.rigs[0].broker.image().voters().len(), 1);
    let with = place(&mut all, 1, "with", &[2, 1, 3]);
    let without = place(&mut all, 2, "without", &[2, 3]);
    writes(&mut all, 1, "with", 0);
    all.crash(0);
    all.run(4_000);
    writes(&mut all, 1, "without", 0);
    // Nobody can decide that the voter is out of sync.
    let to = all.rigs[1].produce("with", -1, batch(&["waits"]));
    all.run(3_000);
    assert_eq!(all.rigs[1].produced(to).error_code, ErrorCode::REQUEST_TIMED_OUT, "not all in sync have it");
    all.restart(0);
    all.run(8_000);
    let leader = leader_of(&all, 0, with).expect("somebody leads");
    writes(&mut all, leader, "with", 2);
    all.run(600);
    assert_eq!((isr(&all, 2, with), isr(&all, 0, without)), (vec![1, 2, 3], vec![2, 3]));
    assert_eq!(ends(&all, with), [(Offset(3), Offset(3)); 3]);
}

#[test]
fn after_all_were_down_those_without_a_vote_find_their_voter_again() {
    let mut all = one_voter();
    let log = place(&mut all, 1, "t", &[3, 2]);
    writes(&mut all, 2, "t", 0);
    (0..3).for_each(|at| all.crash(at));
    all.restart(1);
    all.run(5_000);
    all.restart(2);
    all.restart(0);
    all.run(8_000);
    assert!((0..3).all(|at| active(&all, at) == [1, 2, 3]));
    let leader = leader_of(&all, 0, log).expect("somebody leads");
    writes(&mut all, leader, "t", 1);
}

#[test]
fn who_has_left_for_good_is_unregistered_and_forgotten_and_may_join_again() {
    let mut all = four();
    let log = place(&mut all, 0, "t", &[1, 4]);
    all.crash(FOURTH);
    all.run(4_000);
    let leader = all.leader();
    all.act(leader, |broker, turn| {
        let view = View { image: broker.controller.draft(), config: &broker.config };
        let facts = membership::unregister(&view, BrokerId(4)).expect("it is fenced");
        broker.decide(turn, facts);
    });
    all.run(1_000);
    for at in 0..3 {
        assert!(!all.rigs[at].broker.image().brokers().contains_key(&BrokerId(4)));
        assert!(!all.rigs[at].addresses.contains_key(&BrokerId(4)), "nobody looks for it any more");
    }
    all.restart(FOURTH);
    all.run(8_000);
    assert_eq!((active(&all, 0), isr(&all, 0, log)), (vec![1, 2, 3, 4], vec![1, 4]));
}

#[test]
fn one_that_was_away_for_long_catches_up_from_a_snapshot_and_knows_where_the_others_are() {
    let mut all = four();
    all.add(4);
    all.run(4_000);
    all.crash(FOURTH);
    for next in 1..30 {
        all.decide(next * 1000);
        all.run(100);
        all.keep_snapshot(all.leader());
    }
    all.run(1_000);
    // Nothing of the log that it has follows on any more, and its own disk is new.
    all.restart_over(FOURTH, None::<Rig>);
    all.run(8_000);
    let rig = &all.rigs[FOURTH];
    assert!(rig.broker.log(LogId::METADATA).is_some_and(|log| log.start() > Offset(0)));
    assert_eq!(active(&all, FOURTH), [1, 2, 3, 4, 5]);
    assert_eq!(rig.addresses.get(&BrokerId(5)), Some(&address(5)));
}
