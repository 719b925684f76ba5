//! Leaders and replicas that an operator moves, in a cluster of three: elections, reassignments, brokers that are taken out.

use super::trio::Trio;
use super::{Rig, batch};
use crate::cluster::partition::PartitionState;
use crate::ids::{BrokerId, LogId, Offset};
use crate::wire::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use crate::wire::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::wire::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use crate::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::wire::messages::list_partition_reassignments::ListPartitionReassignmentsRequest;
use crate::wire::messages::unregister_broker::UnregisterBrokerRequest;
use crate::wire::{ErrorCode, Request, Response};

fn ids(list: &[i32]) -> Vec<BrokerId> {
    list.iter().copied().map(BrokerId).collect()
}

fn ask(trio: &mut Trio, at: usize, request: impl Into<Request>) -> Response {
    let to = trio.rigs[at].send(request);
    trio.run(1_000);
    trio.rigs[at].answer(to)
}

/// A topic of one partition on these brokers.
fn create(trio: &mut Trio, name: &str, replicas: &[i32], configs: &[(&str, &str)]) -> LogId {
    let on = CreatableReplicaAssignment { partition_index: 0, broker_ids: replicas.to_vec() };
    let set = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
    };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![on],
        configs: configs.iter().map(set).collect(),
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let Response::CreateTopics(made) = ask(trio, 0, request) else { panic!("not an answer") };
    assert_eq!(made.topics[0].error_code, ErrorCode::NONE, "{:?}", made.topics[0].error_message);
    trio.rigs[0].log(name, 0)
}

fn state(trio: &Trio, at: usize, log: LogId) -> PartitionState {
    trio.rigs[at].broker.image().partition(log).expect("there is such a partition").clone()
}

fn election(election_type: i8, named: Option<(&str, &[i32])>) -> ElectLeadersRequest {
    let named =
        named.map(|(topic, list)| vec![TopicPartitions { topic: topic.into(), partitions: list.to_vec() }]);
    ElectLeadersRequest { election_type, topic_partitions: named, ..Default::default() }
}

/// The code of the whole answer, and that of each partition.
fn elected(response: Response) -> (ErrorCode, Vec<ErrorCode>) {
    let Response::ElectLeaders(told) = response else { panic!("not an answer to ElectLeaders") };
    let codes = told.replica_election_results.iter().flat_map(|t| &t.partition_result);
    (told.error_code, codes.map(|p| p.error_code).collect())
}

fn moves(topic: &str, moved: &[(i32, Option<&[i32]>)]) -> AlterPartitionReassignmentsRequest {
    let to = |(partition_index, replicas): &(i32, Option<&[i32]>)| ReassignablePartition {
        partition_index: *partition_index,
        replicas: replicas.map(<[i32]>::to_vec),
    };
    let partitions = moved.iter().map(to).collect();
    let topics = vec![ReassignableTopic { name: topic.into(), partitions }];
    AlterPartitionReassignmentsRequest { topics, ..Default::default() }
}

fn moved(response: Response) -> Vec<ErrorCode> {
    let Response::AlterPartitionReassignments(told) = response else { panic!("not an answer") };
    assert_eq!(told.error_code, ErrorCode::NONE, "{:?}", told.error_message);
    let partitions = told.responses.iter().flat_map(|t| &t.partitions);
    partitions
        .map(|p| {
            assert_eq!(p.error_message.is_some(), p.error_code.is_err(), "{p:?}");
            p.error_code
        })
        .collect()
}

/// Replicas, those to come and those to go of everything that is on its way.
fn under_way(trio: &mut Trio, at: usize) -> Vec<[Vec<i32>; 3]> {
    let Response::ListPartitionReassignments(told) =
        ask(trio, at, ListPartitionReassignmentsRequest::default())
    else {
        panic!("not an answer")
    };
    let all = told.topics.into_iter().flat_map(|t| t.partitions);
    all.map(|p| [p.replicas, p.adding_replicas, p.removing_replicas]).collect()
}

fn unregistered(trio: &mut Trio, at: usize, broker_id: i32) -> ErrorCode {
    let Response::UnregisterBroker(told) = ask(trio, at, UnregisterBrokerRequest { broker_id }) else {
        panic!("not an answer")
    };
    assert_eq!(told.error_message.is_some(), told.error_code.is_err());
    told.error_code
}

/// A topic whose preferred leader, broker 1, has died and come back: broker 2 leads it.
fn led_by_another(settings: &[(&'static str, &'static str)]) -> (Trio, LogId) {
    let mut trio = Trio::with(settings);
    let log = create(&mut trio, "t", &[1, 2, 3], &[]);
    trio.crash(0);
    trio.run(8_000);
    trio.restart(0);
    trio.run(8_000);
    assert_eq!(state(&trio, 1, log).isr.len(), 3);
    (trio, log)
}

#[test]
fn the_preferred_leader_leads_again_when_an_election_is_asked_for_and_not_twice() {
    let (mut trio, log) = led_by_another(&[]);
    assert_eq!(state(&trio, 1, log).leader, Some(BrokerId(2)));
    for at in 0..3 {
        let told = ask(&mut trio, at, election(0, Some(("t", &[0, 0]))));
        let expected = if at == 0 { ErrorCode::NONE } else { ErrorCode::ELECTION_NOT_NEEDED };
        assert_eq!(elected(told), (ErrorCode::NONE, vec![expected]), "asked of broker {}", at + 1);
        assert_eq!(state(&trio, at, log).leader, Some(BrokerId(1)));
    }
    let to = trio.rigs[0].produce("t", -1, batch(&["a"]));
    trio.run(300);
    assert_eq!(trio.rigs[0].produced(to).error_code, ErrorCode::NONE);
}

#[test]
fn an_election_everywhere_tells_only_of_partitions_that_needed_one() {
    let (mut trio, log) = led_by_another(&[]);
    create(&mut trio, "other", &[3, 1], &[]);
    assert_eq!(elected(ask(&mut trio, 2, election(0, None))), (ErrorCode::NONE, vec![ErrorCode::NONE]));
    assert_eq!(state(&trio, 2, log).leader, Some(BrokerId(1)));
    assert_eq!(elected(ask(&mut trio, 2, election(0, None))), (ErrorCode::NONE, vec![]));
}

#[test]
fn elections_that_cannot_be_are_refused_and_change_nothing() {
    let mut trio = Trio::new();
    let log = create(&mut trio, "t", &[1, 2, 3], &[]);
    let before = state(&trio, 0, log);
    let told = ask(&mut trio, 1, election(1, Some(("t", &[0, 1, -1]))));
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(elected(told).1, [ErrorCode::ELECTION_NOT_NEEDED, unknown, unknown]);
    assert_eq!(elected(ask(&mut trio, 1, election(0, Some(("none", &[0]))))).1, [unknown]);
    assert_eq!(elected(ask(&mut trio, 1, election(7, None))), (ErrorCode::INVALID_REQUEST, vec![]));
    let many: Vec<i32> = (0..10_001).collect();
    let told = ask(&mut trio, 1, election(0, Some(("t", &many))));
    assert_eq!(elected(told), (ErrorCode::POLICY_VIOLATION, vec![]));
    trio.crash(0);
    trio.run(8_000);
    let told = ask(&mut trio, 1, election(0, Some(("t", &[0]))));
    assert_eq!(elected(told).1, [ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE]);
    assert_eq!(before.replicas, state(&trio, 1, log).replicas);
}

#[test]
fn the_active_controller_puts_the_preferred_leader_back_by_itself_unless_that_is_switched_off() {
    let often = ("leader.imbalance.check.interval.seconds", "20");
    for (on, leader) in [("true", 1), ("false", 2)] {
        let (mut trio, log) = led_by_another(&[often, ("auto.leader.rebalance.enable", on)]);
        trio.run(21_000);
        assert_eq!(state(&trio, 0, log).leader, Some(BrokerId(leader)), "auto.leader.rebalance.enable={on}");
    }
}

#[test]
fn a_partition_moves_to_another_broker_with_all_its_records_and_leaves_nothing_behind() {
    let mut trio = Trio::new();
    let log = create(&mut trio, "t", &[1], &[]);
    let to = trio.rigs[0].produce("t", -1, batch(&["a", "b"]));
    trio.run(100);
    assert_eq!(trio.rigs[0].produced(to).error_code, ErrorCode::NONE);
    assert_eq!(moved(ask(&mut trio, 2, moves("t", &[(0, Some(&[2]))]))), [ErrorCode::NONE]);
    trio.run(2_000);
    let after = state(&trio, 0, log);
    assert_eq!(
        (after.replicas.clone(), after.isr.clone(), after.leader),
        (ids(&[2]), ids(&[2]), Some(BrokerId(2)))
    );
    assert!(!after.is_reassigning() && under_way(&mut trio, 0).is_empty());
    assert!(trio.rigs[0].broker.log(log).is_none() && !trio.rigs[0].disk.contains_key(&log));
    assert_eq!(trio.rigs[1].broker.log(log).map(|l| (l.high(), l.flushed())), Some((Offset(2), Offset(2))));
    // And back, to a broker that has had it before, by way of all three.
    for replicas in [&[1, 2, 3][..], &[3, 1], &[1]] {
        let leader = state(&trio, 0, log).leader.unwrap().0 as usize - 1;
        let to = trio.rigs[leader].produce("t", -1, batch(&["c"]));
        assert_eq!(moved(ask(&mut trio, 1, moves("t", &[(0, Some(replicas))]))), [ErrorCode::NONE]);
        trio.run(3_000);
        assert_eq!(trio.rigs[leader].produced(to).error_code, ErrorCode::NONE);
        assert_eq!(state(&trio, 0, log).replicas, ids(replicas));
    }
    assert_eq!(trio.rigs[0].broker.log(log).map(|l| l.high()), Some(Offset(5)));
    assert!((1..3).all(|at| trio.rigs[at].broker.log(log).is_none()));
}

#[test]
fn a_leader_that_hears_of_a_new_replica_later_than_that_itself_serves_it_as_soon_as_it_does() {
    let mut trio = Trio::new();
    let new = trio.leader();
    let [leads, other] = trio.others()[..] else { unreachable!("three of them") };
    let [leads_id, other_id, new_id] = [leads, other, new].map(|at| at as i32 + 1);
    let log = create(&mut trio, "t", &[leads_id, other_id], &[]);
    // The new replica is the active controller: it asks for records before the leader has heard that it may.
    trio.uninformed = Some((new, leads));
    trio.rigs[new].send(moves("t", &[(0, Some(&[leads_id, other_id, new_id]))]));
    trio.run(100);
    trio.uninformed = None;
    assert_eq!((state(&trio, new, log).replicas.len(), state(&trio, leads, log).replicas.len()), (3, 2));
    // What was lost is asked for again after this; no chore has to come round.
    trio.run(i64::try_from(trio.rigs[leads].broker.config.quorum.request_timeout_ms).unwrap() + 500);
    assert_eq!(state(&trio, new, log).isr.len(), 3);
}

#[test]
fn a_move_waits_for_the_new_replica_and_is_called_off_midway() {
    let mut trio = Trio::new();
    let (late, first) = (trio.others()[0], trio.leader());
    let second = 3 - late - first;
    let [to, from, other] = [late, first, second].map(|at| at as i32 + 1);
    let log = create(&mut trio, "t", &[from, other], &[]);
    trio.rigs[first].produce("t", -1, batch(&["a"]));
    trio.run(600);
    trio.cut_off.insert(late);
    let there: &[i32] = &[from, to];
    assert_eq!(moved(ask(&mut trio, second, moves("t", &[(0, Some(there))]))), [ErrorCode::NONE]);
    trio.run(3_000);
    assert_eq!(under_way(&mut trio, second), [[vec![from, to, other], vec![to], vec![other]]]);
    let whole = state(&trio, first, log).isr;
    assert!(whole.len() == 2 && !whole.contains(&BrokerId(to)), "who has nothing does not count: {whole:?}");
    assert_eq!(moved(ask(&mut trio, first, moves("t", &[(0, None)]))), [ErrorCode::NONE]);
    let after = state(&trio, first, log);
    assert_eq!((after.replicas, after.adding, after.removing), (ids(&[from, other]), ids(&[]), ids(&[])));
    let told = moved(ask(&mut trio, first, moves("t", &[(0, None)])));
    assert_eq!(told, [ErrorCode::NO_REASSIGNMENT_IN_PROGRESS]);
    trio.cut_off.clear();
    trio.run(4_000);
    assert!(under_way(&mut trio, second).is_empty() && trio.rigs[late].broker.log(log).is_none());
    assert_eq!(moved(ask(&mut trio, late, moves("t", &[(0, Some(there))]))), [ErrorCode::NONE]);
    trio.run(4_000);
    assert_eq!(state(&trio, first, log).replicas, ids(there));
    assert_eq!(trio.rigs[late].broker.log(log).map(|l| l.high()), Some(Offset(1)));
    assert!(trio.rigs[second].broker.log(log).is_none());
}

#[test]
fn moves_that_cannot_be_are_refused_and_change_nothing() {
    let mut trio = Trio::new();
    let log = create(&mut trio, "t", &[1, 2], &[]);
    let before = state(&trio, 0, log);
    let wrong = ErrorCode::INVALID_REPLICA_ASSIGNMENT;
    for replicas in [&[][..], &[1, 9], &[1, 1], &[-1]] {
        assert_eq!(moved(ask(&mut trio, 1, moves("t", &[(0, Some(replicas))]))), [wrong], "{replicas:?}");
    }
    let twice = moves("t", &[(0, Some(&[1, 3])), (0, Some(&[2, 3])), (1, None)]);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(moved(ask(&mut trio, 1, twice)), [ErrorCode::INVALID_REQUEST, unknown]);
    assert_eq!(moved(ask(&mut trio, 2, moves("none", &[(0, Some(&[1]))]))), [unknown]);
    let mut narrower = moves("t", &[(0, Some(&[3]))]);
    narrower.allow_replication_factor_change = false;
    assert_eq!(moved(ask(&mut trio, 2, narrower)), [ErrorCode::INVALID_REPLICATION_FACTOR]);
    let many: Vec<(i32, Option<&[i32]>)> = (0..10_001).map(|p| (p, None)).collect();
    let Response::AlterPartitionReassignments(told) = ask(&mut trio, 0, moves("t", &many)) else { panic!() };
    assert_eq!((told.error_code, told.responses.len()), (ErrorCode::POLICY_VIOLATION, 0));
    assert_eq!(state(&trio, 0, log), before);
}

#[test]
fn a_dead_broker_is_forgotten_and_who_comes_back_belongs_again() {
    let mut trio = Trio::new();
    let log = create(&mut trio, "t", &[3, 1, 2], &[]);
    assert_eq!(unregistered(&mut trio, 1, 4), ErrorCode::BROKER_ID_NOT_REGISTERED);
    assert_eq!(trio.rigs[1].broker.image().brokers().len(), 3);
    trio.crash(2);
    trio.run(8_000);
    assert_eq!(unregistered(&mut trio, 0, 3), ErrorCode::NONE);
    assert_eq!(trio.rigs[1].broker.image().brokers().keys().copied().collect::<Vec<_>>(), ids(&[1, 2]));
    assert_eq!(
        moved(ask(&mut trio, 1, moves("t", &[(0, Some(&[3]))]))),
        [ErrorCode::INVALID_REPLICA_ASSIGNMENT]
    );
    trio.restart(2);
    trio.run(8_000);
    assert_eq!(trio.rigs[0].broker.image().brokers().len(), 3);
    assert_eq!(state(&trio, 0, log).isr.len(), 3);
}

#[test]
fn a_running_broker_that_is_unregistered_leads_nothing_and_stays_out_until_it_is_started_again() {
    for by_snapshot in [false, true] {
        let mut trio = Trio::new();
        let out = trio.others()[0];
        let others: Vec<usize> = (0..3).filter(|at| *at != out).collect();
        let [id, first, second] = [out, others[0], others[1]].map(|at| at as i32 + 1);
        let log = create(&mut trio, "t", &[id, first, second], &[]);
        let alone = create(&mut trio, "alone", &[id], &[]);
        assert_eq!(unregistered(&mut trio, out, id), ErrorCode::INVALID_REQUEST, "it alone has a partition");
        assert_eq!(moved(ask(&mut trio, out, moves("alone", &[(0, Some(&[first]))]))), [ErrorCode::NONE]);
        trio.run(3_000);
        assert_eq!(state(&trio, out, alone).replicas, ids(&[first]));
        if by_snapshot {
            // It hears of it in a snapshot, in which there is nothing of it any more.
            trio.cut_off.insert(out);
            assert_eq!(unregistered(&mut trio, others[0], id), ErrorCode::NONE);
            for next in 1..30 {
                trio.decide(next * 1_000);
                trio.run(100);
                others.iter().for_each(|at| trio.keep_snapshot(*at));
            }
            trio.cut_off.clear();
            trio.run(5_000);
            let metadata = trio.rigs[out].broker.log(LogId::METADATA).expect("it has one");
            assert!(metadata.start() > Offset(0), "it took the snapshot");
        } else {
            assert_eq!(unregistered(&mut trio, out, id), ErrorCode::NONE);
        }
        trio.run(5_000);
        for at in 0..3 {
            let mut left = ids(&[first, second]);
            left.sort_unstable();
            assert_eq!(trio.rigs[at].broker.image().brokers().keys().copied().collect::<Vec<_>>(), left);
            let now = state(&trio, at, log);
            assert!(
                now.leader.is_some_and(|leader| leader != BrokerId(id)) && !now.isr.contains(&BrokerId(id))
            );
        }
        let leader = state(&trio, out, log).leader.expect("another leads it").0 as usize - 1;
        let to = trio.rigs[out].produce("t", 1, batch(&["a"]));
        assert_eq!(trio.rigs[out].produced(to).error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
        let to = trio.rigs[leader].produce("t", -1, batch(&["a"]));
        trio.run(300);
        assert_eq!(trio.rigs[leader].produced(to).error_code, ErrorCode::NONE);
        trio.crash(out);
        trio.restart(out);
        trio.run(8_000);
        assert_eq!(state(&trio, leader, log).isr.len(), 3, "it is in sync again");
    }
}

/// Alters `min.insync.replicas` of a topic (2) or a broker (4).
fn in_sync_at_least(trio: &mut Trio, (kind, name): (i8, &str), value: &str) -> ErrorCode {
    let (name, value) = (name.to_owned(), Some(value.to_owned()));
    let config = AlterableConfig { name: "min.insync.replicas".into(), config_operation: 0, value };
    let resource = AlterConfigsResource { resource_type: kind, resource_name: name, configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let Response::IncrementalAlterConfigs(told) = ask(trio, 0, request) else { panic!("not an answer") };
    told.responses[0].error_code
}

#[test]
fn how_many_must_be_in_sync_is_altered_for_all_brokers_or_for_a_topic_and_not_for_one_broker() {
    let mut trio = Trio::new();
    create(&mut trio, "t", &[1, 2, 3], &[]);
    assert_eq!(in_sync_at_least(&mut trio, (4, "2"), "2"), ErrorCode::INVALID_CONFIG);
    assert_eq!(in_sync_at_least(&mut trio, (4, ""), "2"), ErrorCode::NONE);
    assert_eq!(in_sync_at_least(&mut trio, (2, "t"), "3"), ErrorCode::NONE);
}

#[test]
fn who_was_eligible_is_not_any_more_when_fewer_replicas_must_be_in_sync() {
    let mut trio = Trio::new();
    let log = create(&mut trio, "t", &[1, 2, 3], &[("min.insync.replicas", "3")]);
    trio.crash(2);
    trio.run(8_000);
    assert_eq!(state(&trio, 0, log).elr, ids(&[3]));
    assert_eq!(in_sync_at_least(&mut trio, (2, "t"), "2"), ErrorCode::NONE);
    assert_eq!((state(&trio, 0, log).elr, state(&trio, 0, log).isr), (ids(&[]), ids(&[1, 2])));
}

#[test]
fn a_node_alone_answers_for_itself() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    assert_eq!(elected(rig.ask(election(0, None))), (ErrorCode::NONE, vec![]));
    assert_eq!(elected(rig.ask(election(0, Some(("t", &[0]))))).1, [ErrorCode::ELECTION_NOT_NEEDED]);
    assert_eq!(moved(rig.ask(moves("t", &[(0, Some(&[1]))]))), [ErrorCode::NONE]);
    assert_eq!(moved(rig.ask(moves("t", &[(0, Some(&[2]))]))), [ErrorCode::INVALID_REPLICA_ASSIGNMENT]);
    let Response::UnregisterBroker(told) = rig.ask(UnregisterBrokerRequest { broker_id: 1 }) else {
        panic!()
    };
    assert_eq!(told.error_code, ErrorCode::INVALID_REQUEST);
    let to = rig.produce("t", -1, batch(&["a"]));
    assert_eq!(rig.produced(to).error_code, ErrorCode::NONE);
}
