//! Who may register, and what becomes of what it had.

use super::*;
use crate::cluster::tests::{Stage, code, ids, parts, request};
use crate::ids::LeaderEpoch;

#[test]
fn a_living_id_on_another_disk_is_refused_until_its_session_has_ended() {
    let mut stage = Stage::new(&[1, 2]);
    assert_eq!(stage.register(request(1, 2, 9)), ErrorCode::DUPLICATE_BROKER_REGISTRATION);
    stage.now = Instant(0).after_ms(9000);
    assert_eq!(stage.register(request(1, 2, 9)), ErrorCode::NONE);
    let now = &stage.image.brokers()[&BrokerId(1)];
    assert_eq!((now.incarnation, now.directory, now.fenced), (2, Some([9; 16]), true));
}

#[test]
fn a_broker_that_was_started_again_replaces_its_earlier_run_at_once_and_leads_in_a_new_epoch() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("alone", &[&[1]], &[]);
    stage.topic("both", &[&[1, 2]], &[]);
    assert_eq!(stage.register(request(1, 2, 1)), ErrorCode::NONE);
    assert_eq!(parts(stage.state("alone", 0)), (None, vec![], vec![1]));
    assert_eq!(parts(stage.state("both", 0)), (Some(2), vec![2], vec![]));
    stage.beat(1, 2);
    assert_eq!(parts(stage.state("alone", 0)), (Some(1), vec![1], vec![]));
    assert_eq!(stage.state("alone", 0).leader_epoch, LeaderEpoch(2));
    assert_eq!(parts(stage.state("both", 0)), (Some(2), vec![2], vec![]), "it has to catch up first");
}

#[test]
fn the_same_registration_again_is_no_new_one() {
    let mut stage = Stage::new(&[1]);
    let before = stage.log.len();
    assert_eq!(stage.register(request(1, 1, 1)), ErrorCode::NONE);
    assert_eq!(stage.log.len(), before);
}

#[test]
fn a_broker_with_a_wiped_disk_leaves_every_isr_and_all_eligible_leader_replicas() {
    let mut stage = Stage::new(&[1, 2, 3]);
    stage.topic("t", &[&[1, 2], &[2, 1], &[1, 3]], &[("min.insync.replicas", "2")]);
    stage.fence(1);
    assert_eq!(parts(stage.state("t", 0)), (Some(2), vec![2], vec![1]));
    assert_eq!(stage.register(request(1, 2, 9)), ErrorCode::DUPLICATE_BROKER_REGISTRATION);
    stage.now = Instant(0).after_ms(9000);
    assert_eq!(stage.register(request(1, 2, 9)), ErrorCode::NONE);
    for (partition, left) in [(0, 2), (1, 2), (2, 3)] {
        assert_eq!(parts(stage.state("t", partition)), (Some(left), vec![left], vec![]));
    }
}

#[test]
fn a_wiped_disk_that_was_the_last_one_leads_nothing_again_by_itself() {
    let mut stage = Stage::new(&[1]);
    stage.topic("t", &[&[1]], &[]);
    stage.now = Instant(0).after_ms(9000);
    assert_eq!(stage.register(request(1, 2, 9)), ErrorCode::NONE);
    stage.beat(1, 2);
    assert_eq!(parts(stage.state("t", 0)), (None, vec![], vec![]));
}

#[test]
fn a_lost_tail_costs_the_eligibility_but_the_last_known_leader_comes_back() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("alone", &[&[1]], &[]);
    stage.topic("both", &[&[1, 2]], &[("min.insync.replicas", "2")]);
    let lossy = RegistrationRequest { lost_tail: true, ..request(1, 2, 1) };
    assert_eq!(stage.register(lossy), ErrorCode::NONE);
    assert_eq!(parts(stage.state("both", 0)), (Some(2), vec![2], vec![]));
    assert_eq!(stage.state("alone", 0).last_known_elr, ids(&[1]));
    stage.beat(1, 2);
    assert_eq!(parts(stage.state("alone", 0)), (Some(1), vec![1], vec![]));
}

#[test]
fn the_directory_of_another_broker_another_cluster_and_listeners_of_one_name_are_refused() {
    let mut stage = Stage::new(&[1]);
    assert_eq!(stage.register(request(2, 1, 1)), ErrorCode::DUPLICATE_BROKER_REGISTRATION);
    let mut twice = request(2, 1, 2);
    twice.endpoints.push(twice.endpoints[0].clone());
    assert_eq!(stage.register(twice), ErrorCode::INVALID_REGISTRATION);
    assert_eq!(
        stage.register(RegistrationRequest { endpoints: Vec::new(), ..request(2, 1, 2) }),
        ErrorCode::INVALID_REGISTRATION
    );
    stage.fold([Fact::QuorumFormed { cluster_id: "d".into(), voters: [(BrokerId(1), [1; 16])].into() }]);
    assert_eq!(stage.register(request(2, 1, 2)), ErrorCode::INCONSISTENT_CLUSTER_ID);
    assert_eq!(
        stage.register(RegistrationRequest { cluster_id: "d".into(), ..request(2, 1, 2) }),
        ErrorCode::NONE
    );
}

#[test]
fn a_node_that_was_alone_keeps_its_partitions_when_it_registers() {
    let mut stage = Stage::new(&[]);
    stage.fold([Fact::BrokerStarted { broker: BrokerId(1), incarnation: 7 }]);
    stage.topic("t", &[&[1]], &[]);
    assert_eq!(stage.register(request(1, 8, 1)), ErrorCode::NONE);
    stage.beat(1, 8);
    assert_eq!(parts(stage.state("t", 0)), (Some(1), vec![1], vec![]));
}

#[test]
fn a_dead_broker_is_unregistered_and_nothing_waits_for_it_any_more() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("t", &[&[1, 2]], &[("min.insync.replicas", "2")]);
    assert_eq!(code(unregister(&stage.view(), BrokerId(3))), ErrorCode::BROKER_ID_NOT_REGISTERED);
    stage.fence(1);
    assert_eq!(parts(stage.state("t", 0)), (Some(2), vec![2], vec![1]));
    let facts = unregister(&stage.view(), BrokerId(1)).unwrap();
    stage.fold(facts);
    assert_eq!(parts(stage.state("t", 0)), (Some(2), vec![2], vec![]));
    assert!(!stage.image.brokers().contains_key(&BrokerId(1)));
}

#[test]
fn a_running_broker_is_unregistered_too_unless_it_alone_has_what_is_committed() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("t", &[&[1, 2]], &[]);
    stage.topic("alone", &[&[2]], &[]);
    let told = unregister(&stage.view(), BrokerId(2)).expect_err("it alone has a topic");
    assert_eq!(told.0, ErrorCode::INVALID_REQUEST);
    assert!(told.1.contains("alone-0"), "{}", told.1);
    let facts = unregister(&stage.view(), BrokerId(1)).unwrap();
    stage.fold(facts);
    assert_eq!(parts(stage.state("t", 0)), (Some(2), vec![2], vec![]));
    assert!(!stage.image.brokers().contains_key(&BrokerId(1)));
    let told = unregister(&stage.view(), BrokerId(2)).expect_err("nobody else is left");
    assert_eq!(told.0, ErrorCode::INVALID_REQUEST);
}
